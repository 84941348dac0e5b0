//! Tables of numbers for a terminal.
//!
//! Promises: whatever stands in a cell moves no cursor and rings no bell.

use std::fmt::Write;

use crate::stats;

/// Characters of a link's name, of a slug and of a target in a table.
pub const NAME: usize = 36;
pub const URL: usize = 60;

/// Columns for which `right` holds stand to the right.
pub fn columns(rows: &[Vec<String>], right: impl Fn(usize) -> bool) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |place: usize| {
        let cells = rows.iter().filter_map(|row| row.get(place));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut out = String::new();
        for (place, cell) in row.iter().enumerate() {
            let width = widths[place];
            let gap = if place == 0 { "" } else { "  " };
            let cell = if right(place) {
                format!("{gap}{cell:>width$}")
            } else {
                format!("{gap}{cell:<width$}")
            };
            out.push_str(&cell);
        }
        line(&mut text, out.trim_end());
    }
    text
}

/// A line of texts.
pub fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Adds a line.
pub fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes every line");
}

/// At most so many characters.
pub fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit - 1).collect();
    short.push('…');
    short
}

/// `12,345`.
pub fn grouped(number: i64) -> String {
    stats::grouped(number, ',')
}

#[cfg(test)]
mod tests {
    use super::{columns, cut};

    #[test]
    fn a_long_text_is_cut_and_numbers_stand_to_the_right() {
        assert_eq!(cut("abcdef", 4), "abc…");
        let rows = [("sent", "7"), ("at_dot", "120")];
        let rows = rows.map(|(name, count)| vec![name.to_owned(), count.to_owned()]);
        assert_eq!(
            columns(&rows, |place| place > 0),
            "sent      7\nat_dot  120\n"
        );
    }
}
