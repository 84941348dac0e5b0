//! Charts as data: where each bar, dot and line of an SVG stands; the templates draw them.
//!
//! Promises: pure and without words from outside but in titles, which the templates escape; every chart says in its
//! titles what it shows, for whoever does not see it.

use serde::Serialize;

use crate::stats::grouped;
use crate::stats::interval::{Share, percent};

/// Units across a chart, and the height of one of bars.
pub const WIDTH: i64 = 1_000;
pub const HEIGHT: i64 = 160;

/// Bars side by side, of one or two kinds.
#[derive(Debug, Serialize)]
pub struct Bars {
    pub width: i64,
    pub height: i64,
    /// The number that the highest bar stands for.
    pub most: String,
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Debug, Serialize)]
pub struct Bar {
    pub x: i64,
    pub y: i64,
    pub width: i64,
    pub height: i64,
    pub class: &'static str,
    pub title: String,
}

/// Bars of `values`, each with its title; those of each kind in `classes` stand beside each other.
pub fn bars<const N: usize>(
    classes: [&'static str; N],
    values: &[([i64; N], [String; N])],
) -> Bars {
    let most = values.iter().flat_map(|(numbers, _)| numbers).max();
    let most = most.copied().unwrap_or(0).max(1);
    let count = i64::try_from(values.len().max(1)).unwrap_or(1);
    let kinds = i64::try_from(N).unwrap_or(1);
    let slot = WIDTH / count;
    let wide = (slot * 4 / 5 / kinds).max(1);
    let mut bars = Vec::new();
    for (place, (numbers, titles)) in (0..).zip(values) {
        for (kind, ((&number, title), class)) in (0..).zip(numbers.iter().zip(titles).zip(classes))
        {
            if number <= 0 {
                continue;
            }
            let height = (number.saturating_mul(HEIGHT) / most).max(1);
            bars.push(Bar {
                x: place * slot + kind * wide,
                y: HEIGHT - height,
                width: wide,
                height,
                class,
                title: title.clone(),
            });
        }
    }
    Bars {
        width: slot * count,
        height: HEIGHT,
        most: grouped(most, '\u{202f}'),
        bars,
    }
}

/// Shares on one scale, each a dot on the line of its interval.
#[derive(Debug, Serialize)]
pub struct Dots {
    pub rows: Vec<Dot>,
    /// Where the scale ends, as `12 %`.
    pub most: String,
}

/// One share.
#[derive(Debug, Serialize)]
pub struct Dot {
    /// Of what it is a share.
    pub name: String,
    pub x: i64,
    pub from: i64,
    pub width: i64,
    pub class: &'static str,
    pub title: String,
}

/// Dots of those `shares` that have enough data, each with its name and class.
pub fn dots(shares: &[(String, &'static str, Share)]) -> Dots {
    let known: Vec<_> = shares
        .iter()
        .filter_map(|(name, class, share)| Some((name, class, share.interval?)))
        .collect();
    let most = known
        .iter()
        .map(|(.., found)| found.high)
        .fold(0.01, f64::max);
    // Up to the next five in a hundred.
    let most = ((most * 20.0).ceil() / 20.0).min(1.0);
    let rows = known.iter().map(|(name, class, found)| {
        let (from, to) = (across(found.low / most), across(found.high / most));
        Dot {
            name: (*name).clone(),
            x: across(found.share / most),
            from,
            width: (to - from).max(1),
            class,
            title: format!("{name}: {} ({})", percent(found.share), found.range()),
        }
    });
    Dots {
        rows: rows.collect(),
        most: percent(most),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a share of a thousand units"
)]
fn across(share: f64) -> i64 {
    (share.clamp(0.0, 1.0) * 1_000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::{HEIGHT, bars, dots};
    use crate::stats::interval::Share;

    #[test]
    fn the_largest_bar_is_full_and_nothing_draws_nothing() {
        let value = |number: i64| ([number], [format!("{number}")]);
        let chart = bars(["value"], &[value(0), value(5), value(10), value(1)]);
        let drawn: Vec<_> = chart.bars.iter().map(|bar| (bar.x, bar.height)).collect();
        assert_eq!(
            drawn,
            [(250, HEIGHT / 2), (500, HEIGHT), (750, HEIGHT / 10)]
        );
        assert!(bars(["value"], &[]).bars.is_empty());
    }

    #[test]
    fn a_share_stands_within_its_interval_and_few_readers_stand_nowhere() {
        let chart = dots(&[
            ("this".into(), "value", Share::of(100, 1_000)),
            ("small".into(), "rest", Share::of(1, 5)),
        ]);
        let [dot] = chart.rows.as_slice() else {
            panic!("{chart:?}");
        };
        assert_eq!(chart.most, "15.0 %");
        assert_eq!(dot.x, 667);
        assert!(dot.from < dot.x && dot.x < dot.from + dot.width);
        assert!(
            dot.title.starts_with("this: 10.0 % (8.3 to 12.0 %)"),
            "{}",
            dot.title
        );
    }
}
