//! Marks of Markdown, and of a slot, that were read as words: readers would see them.
//!
//! Promises: a mark is told only where it stands among the words that are shown, so that no code and nothing that
//! was read well is ever told; each kind once a line.

use std::ops::Range;

use crate::lint::place::lines;

/// Characters behind a mark by which it is found among the words that are shown.
const PROBE: usize = 10;
const EMPHASIS: &str = "each mark has its other half and no blank inside, `**words**`; between letters that know no \
                        blanks write `<b>words</b>`";
const HEADLINE: &str = "a blank stands behind the marks of a headline: `## ...`";
const LINK: &str = "a link is written `[text](https://...)`, without a blank between";
const FIELD: &str = "a reader's field is written `[[first_name|there]]`; what is meant to be shown goes between \
                     backticks";
/// What other programs write for a reader's field.
const FIELDS: [&str; 4] = ["{first_name}", "{name}", "{email}", "%first_name%"];

/// Where a mark is left, the mark with some of its words, and what to write instead. `prose` is the text of the
/// file from `start` on without code, octet for octet; `shown` are the words that readers see.
pub(super) fn left<'a>(
    text: &'a str,
    prose: &str,
    start: usize,
    shown: &str,
) -> Vec<(usize, &'a str, &'static str)> {
    let mut found = Vec::new();
    let any = |mark: &&str| shown.contains(*mark);
    let emphases: Vec<&str> = ["**", "__"].into_iter().filter(any).collect();
    let fields: Vec<&str> = FIELDS.into_iter().filter(any).collect();
    let links: Vec<&str> = ["] (", ")["].into_iter().filter(any).collect();
    let headlines = shown.contains("##");
    if emphases.is_empty() && fields.is_empty() && links.is_empty() && !headlines {
        return found;
    }
    for (at, line) in lines(prose).filter(|(at, _)| *at >= start) {
        let written = &text[at..at + line.len()];
        let mut told = Vec::new();
        told.extend(emphases.iter().filter_map(|mark| {
            let range = emphasis(line, written, mark, shown)?;
            Some((range, EMPHASIS))
        }));
        told.extend(fields.iter().filter_map(|field| {
            // Behind another `%` it is a template's, and told as one.
            let open = line.find(field)?;
            let alone = !line[..open].ends_with('%');
            alone.then_some((open..open + field.len(), FIELD))
        }));
        told.extend(links.iter().filter_map(|mark| {
            let range = link(line, written, mark, shown)?;
            Some((range, LINK))
        }));
        if headlines && let Some(end) = headline(written, shown).filter(|_| line.starts_with("##"))
        {
            told.push((0..end, HEADLINE));
        }
        for (range, help) in told {
            found.push((at + range.start, &text[at..][range], help));
        }
    }
    found
}

/// The mark and the beginning of its words, where it opens and nothing closes it.
fn emphasis(line: &str, written: &str, mark: &str, shown: &str) -> Option<Range<usize>> {
    let sign = mark.chars().next()?;
    let mut opening = line.match_indices(mark).filter(|(at, _)| {
        let before = line[..*at].chars().next_back().unwrap_or(' ');
        let behind = line[at + mark.len()..].chars().next().unwrap_or(' ');
        let within = before.is_ascii_alphanumeric() || before == sign || before == '\\';
        !within && behind != sign && !behind.is_whitespace()
    });
    opening.find_map(|(at, _)| {
        let words = &written[at + mark.len()..];
        let ends = |c: char| "[]`*_<>&\\!~|".contains(c);
        let words = words.split(ends).next().unwrap_or_default();
        let length: usize = words.chars().take(PROBE).map(char::len_utf8).sum();
        let end = at + mark.len() + words[..length].trim_end().len();
        let whole = end > at + mark.len() && shown.contains(&written[at..end]);
        whole.then_some(at..end)
    })
}

/// A link whose two halves do not touch, or have changed their brackets; a number in brackets is a source.
fn link(line: &str, written: &str, mark: &str, shown: &str) -> Option<Range<usize>> {
    let open = if mark.starts_with(']') { '[' } else { '(' };
    line.match_indices(mark).find_map(|(at, _)| {
        let end = at + mark.len();
        let start = line[..at].rfind(open)?;
        let source = line[start + 1..at]
            .bytes()
            .all(|octet| octet.is_ascii_digit());
        let leads = written[end..].starts_with("http");
        (leads && !source && shown.contains(&written[start..end])).then_some(start..end)
    })
}

/// The beginning of a headline that lacks the blank behind its marks.
fn headline(written: &str, shown: &str) -> Option<usize> {
    let words = written.trim_start_matches('#');
    let marks = written.len() - words.len();
    let length: usize = words.chars().take(PROBE).map(char::len_utf8).sum();
    let end = marks + words[..length].trim_end().len();
    let begins = words.starts_with(char::is_alphanumeric);
    ((2..=6).contains(&marks) && begins && shown.contains(&written[..end])).then_some(end)
}
