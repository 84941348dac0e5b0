//! How a plain text is set: whether its lines are paragraphs, and which of them are headlines by number.
//!
//! Promises: judges the text as a whole, before any line is read.

use std::collections::BTreeMap;

use crate::draft::line::Line;

/// Characters of a headline at most; a longer line is a sentence.
pub(super) const HEADLINE: usize = 90;
/// Characters of a numbered headline at most.
const NUMBERED: usize = 180;
/// Characters of a section's title at most.
const SECTION: usize = 40;
/// Characters that a line of a wrapped text leaves free only on purpose.
const FREE: usize = 15;

/// The width at which somebody wrapped the lines; none where each line is a paragraph.
pub(super) fn width(lines: &[Line<'_>]) -> Option<usize> {
    let text = |line: &Line<'_>| match line {
        Line::Text(text) => Some(text.chars().count()),
        _ => None,
    };
    let pairs = lines
        .windows(2)
        .filter_map(|pair| text(&pair[0]).zip(text(&pair[1])));
    let (mut full, mut all) = (0, 0);
    for (first, _) in pairs {
        all += 1;
        full += usize::from((50..=100).contains(&first));
    }
    let longest = lines.iter().filter_map(text).max().unwrap_or_default();
    (all > 0 && full * 3 >= all * 2 && longest <= 110).then_some(longest)
}

/// Whether the author ended this line before it was full.
pub(super) fn ends_early(line: &str, next: &str, width: usize) -> bool {
    let word = next.split(' ').next().unwrap_or_default();
    line.chars().count() + 1 + word.chars().count() + FREE <= width
}

/// Numbered lines that are headlines: 1, 2, 3 and so on, most of them with text of their own below; each
/// section of the text may begin anew.
pub(super) fn item_lines(lines: &[Line<'_>]) -> BTreeMap<usize, usize> {
    let numbered = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| match line {
            Line::Numbered { number, text } if text.chars().count() <= NUMBERED => {
                Some((at, *number))
            }
            _ => None,
        });
    let mut items: Vec<(usize, usize)> = Vec::new();
    for (at, number) in numbered {
        let expected = items.last().map_or(1, |(_, last)| last + 1);
        let anew = number == 1 && has_title_above(lines, at);
        let follows = number == expected || (items.is_empty() && number <= 1) || anew;
        if follows && has_text_below(lines, at) {
            items.push((at, number));
        }
    }
    if items.len() < 2 {
        items.clear();
    }
    items.into_iter().collect()
}

/// Whether the line above is the title of a section: short, alone, and no sentence.
fn has_title_above(lines: &[Line<'_>], at: usize) -> bool {
    let above = lines[..at].iter().rposition(|line| *line != Line::Blank);
    let Some((index, Line::Text(text))) = above.map(|index| (index, &lines[index])) else {
        return false;
    };
    let alone = index == 0 || matches!(lines[index - 1], Line::Blank | Line::Rule(_));
    let short = text.chars().count() <= SECTION && text.split(' ').count() <= 5;
    alone && short && !text.ends_with(['.', ',', ':', ';', '?', '!'])
}

/// Whether a paragraph stands between this line and the next numbered one.
fn has_text_below(lines: &[Line<'_>], at: usize) -> bool {
    let below = &lines[at + 1..];
    let mut block = below
        .iter()
        .take_while(|line| !matches!(line, Line::Numbered { .. }));
    block.any(|line| matches!(line, Line::Text(_) | Line::Bullet { .. } | Line::Quote(_)))
}

/// Whether a drawn line makes a headline of the words above it: stars stand between two scenes.
pub(super) fn underlines(drawn: &str) -> bool {
    let first = drawn.chars().next().unwrap_or_default();
    let line = matches!(first, '-' | '=' | '_' | '~' | '\u{2014}' | '\u{2500}');
    line && drawn.len() > 2 && drawn.chars().all(|c| c == first)
}

/// The words of a line that is bold as a whole, and short enough for a headline.
pub(super) fn bold(line: &str) -> Option<&str> {
    let words = line.strip_prefix("**")?.strip_suffix("**")?.trim();
    let short = !words.is_empty() && words.chars().count() <= HEADLINE;
    (short && !words.contains("**") && !words.ends_with(['.', ','])).then_some(words)
}

/// The words of a line that Markdown would read as a headline.
pub(super) fn hashed(line: &str) -> Option<&str> {
    let words = line.trim_start_matches('#');
    let marks = line.len() - words.len();
    let words = words.strip_prefix(' ')?.trim_end_matches('#').trim();
    let short = !words.is_empty() && words.chars().count() <= HEADLINE;
    ((1..=6).contains(&marks) && short).then_some(words)
}

/// A line without the emoji at its end.
pub(super) fn without_pictures(line: &str) -> &str {
    let picture = |c: char| c.is_whitespace() || (c > '\u{2190}' && !c.is_alphanumeric());
    line.trim_end_matches(picture)
}

/// Whether a line is a short title in capitals: "QUICK HITS".
pub(super) fn shouts(line: &str) -> bool {
    let letters = line.chars().filter(|c| c.is_alphabetic());
    let capitals = letters.clone().all(char::is_uppercase) && letters.count() > 2;
    capitals && line.chars().count() <= SECTION && line.split(' ').count() <= 5
}
