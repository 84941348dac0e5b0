//! What the caps of the relays make of a run's length: what one minute, hour or day does not allow waits for the next.
//!
//! Promises: reckoned by the calendar, as caps are, and with what was sent in the present windows already. The caps
//! per second are left out: a rehearsal runs under them.

use std::time::Duration;

use crate::app::App;
use crate::clock::Timestamp;
use crate::config::kind::WhenFull;
use crate::deliver::report::caps_of;
use crate::rate::Span;
use crate::rate::cap::{Cap, Count, grant};

/// Nothing is reckoned beyond so many minutes, which are ninety days.
const MINUTES: u32 = 90 * 24 * 60;

/// How long so many messages take at so many a second, if the relays in use keep to their caps; none where they have
/// no caps that a rehearsal leaves out.
pub(super) async fn length(
    app: &App,
    messages: u64,
    per_second: f64,
) -> anyhow::Result<Option<Duration>> {
    let config = &app.config;
    let names = config.relays_of("").unwrap_or_default();
    let mut relays: Vec<_> = names
        .into_iter()
        .filter_map(|name| Some((name, config.relay.get(name)?)))
        .collect();
    relays.sort_by_key(|(_, relay)| relay.priority);
    let domain = config.from.address.domain();
    let caps = |at| {
        let each = relays.iter();
        let each = each.map(move |(name, relay)| {
            let mut caps = caps_of(name, relay, domain, at);
            caps.retain(|cap| cap.span > Span::Second);
            caps
        });
        each.collect::<Vec<Vec<Cap>>>()
    };
    let begun = app.clock.now();
    if caps(begun).iter().all(Vec::is_empty) {
        return Ok(None);
    }
    let mut known = Known::default();
    for cap in caps(begun).iter().flatten() {
        for used in app.store.budget(&cap.name).await? {
            known.note(&cap.name, &used.span, Timestamp(used.began), used.used);
        }
    }
    let (mut left, mut at, mut day) = (messages, begun, caps(begun));
    let each = Duration::from_secs(60);
    for _ in 0..MINUTES {
        if Span::Day.begin(at) != Span::Day.begin(at.before(each)) {
            // A warm-up allows more each day.
            day = caps(at);
        }
        let before = left;
        // Truncation is meant: whole messages.
        let mut room = ((per_second * 60.0).max(1.0) as u64).min(left);
        for ((_, relay), caps) in relays.iter().zip(&day) {
            let granted = known.take(caps, room, at);
            room -= granted;
            left -= granted;
            if room == 0 || relay.when_full == WhenFull::Wait {
                break;
            }
        }
        if left == 0 {
            let last = (before as f64 / per_second.max(0.001)).min(60.0);
            return Ok(Some(at.since(begun) + Duration::from_secs_f64(last)));
        }
        at = at.after(each);
    }
    Ok(Some(at.since(begun)))
}

/// What was granted so far, by the name and the span of the caps.
#[derive(Default)]
struct Known(Vec<(String, &'static str, Count)>);

impl Known {
    fn note(&mut self, name: &str, span: &str, began: Timestamp, used: i64) {
        let spans = [Span::Minute, Span::Hour, Span::Day].map(Span::name);
        let Some(span) = spans.into_iter().find(|known| *known == span) else {
            return;
        };
        let used = u64::try_from(used).unwrap_or(0);
        self.0.push((name.to_owned(), span, Count { began, used }));
    }

    fn place(&mut self, cap: &Cap) -> usize {
        let span = cap.span.name();
        let found = self
            .0
            .iter()
            .position(|(name, known, _)| *name == cap.name && *known == span);
        found.unwrap_or_else(|| {
            self.note(&cap.name, span, Timestamp(0), 0);
            self.0.len() - 1
        })
    }

    fn take(&mut self, caps: &[Cap], wanted: u64, at: Timestamp) -> u64 {
        let places: Vec<usize> = caps.iter().map(|cap| self.place(cap)).collect();
        let mut counts: Vec<Count> = places.iter().map(|&place| self.0[place].2).collect();
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let granted = grant(caps, &mut counts, wanted, None, at).number;
        for (&place, count) in places.iter().zip(counts) {
            self.0[place].2 = count;
        }
        u64::from(granted)
    }
}
