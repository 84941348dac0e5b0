//! What was left to be done: marks of templates, and an author's notes to herself.

use std::collections::BTreeMap;

use crate::lint::place::lines;
use crate::lint::words::MANY;
use crate::lint::{Desk, lines_named};

/// Words by which people mark what is still to come.
const NOTES: [&str; 8] = ["TK", "TKTK", "tk", "tktk", "TODO", "FIXME", "XXX", "TBD"];
/// What stands in brackets for a word to come.
const PLACEHOLDERS: [&str; 10] = [
    "NAME",
    "FIRST NAME",
    "FIRST_NAME",
    "FNAME",
    "DATE",
    "LINK",
    "URL",
    "CITY",
    "COMPANY",
    "TITLE",
];
/// Names that begin like a note to oneself.
const NAMES_OF_TK: [&str; 2] = ["Elevator", "Maxx"];

pub(super) fn check(desk: &mut Desk<'_>, text: &str) {
    templates(desk, text);
    notes(desk, text);
}

fn templates(desk: &mut Desk<'_>, text: &str) {
    // Opening and closing marks of this program's themes, of Mailchimp, and of mail merges.
    let pairs = [("{{", "}}"), ("{%", "%}"), ("*|", "|*"), ("<%", "%>")];
    let mut found = Vec::new();
    for (opening, closing) in pairs {
        for (at, line) in lines(text) {
            let mut from = 0;
            while let Some(start) = line[from..].find(opening).map(|found| from + found) {
                let end = line[start..].find(closing);
                let end = end.map_or(start + 2, |end| start + end + 2);
                found.push((at + start, &line[start..end]));
                from = end;
            }
            // One without a beginning: the other half may be on another line.
            let lone = line[from..].find(closing).map(|found| from + found);
            if let Some(start) = lone.filter(|_| from == 0) {
                found.push((at + start, closing));
            }
        }
    }
    for (at, word) in words(text) {
        let word = word.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '%');
        let inner = word
            .strip_prefix('%')
            .and_then(|rest| rest.strip_suffix('%'));
        let capital = |octet: u8| octet.is_ascii_uppercase() || octet == b'_';
        let doubled = word
            .strip_prefix("%%")
            .and_then(|rest| rest.strip_suffix("%%"));
        let spelled = inner.is_some_and(|inner| inner.len() > 2 && inner.bytes().all(capital));
        if spelled || doubled.is_some_and(is_name) {
            found.push((at, word));
        }
    }
    found.extend(half_slots(text));
    found.sort_unstable();
    for (at, mark) in found.into_iter().take(MANY) {
        let message = format!("`{mark}` would be shown as it stands");
        let help = "a reader's field is written `[[first_name|there]]`; what is meant to be shown \
                    goes between backticks";
        desk.say("leftover-template", (at, mark.len()), message, help);
    }
}

/// Slots that lack a bracket at their beginning; whole ones are no prose.
fn half_slots(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (end, _) in text.match_indices("]]") {
        let line = text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        let Some(open) = text[line..end].rfind('[').map(|open| line + open) else {
            continue;
        };
        let inside = text[open + 1..end].split_once('|');
        if inside.is_some_and(|(name, _)| is_name(name)) && !text[..open].ends_with('\\') {
            found.push((open, &text[open..end + 2]));
        }
    }
    found
}

/// Whether a field may be called so.
fn is_name(name: &str) -> bool {
    let fine = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(fine)
}

fn notes(desk: &mut Desk<'_>, text: &str) {
    // A fresh issue holds one note a dozen times: it is told once, with where it stands.
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, word) in notes_in(text) {
        places.entry(word).or_default().push(at);
    }
    let mut told: Vec<(usize, &str, String)> = Vec::new();
    for (word, places) in places {
        match places[..] {
            [] | [_] | [_, _] => told.extend(places.iter().map(|at| (*at, word, String::new()))),
            [first, ..] => {
                let source = desk.inputs.issue.source();
                let mut lines: Vec<usize> = places.iter().map(|at| source.place(*at).0).collect();
                lines.dedup();
                let more = format!(" {} times: {}", places.len(), lines_named(&lines));
                told.push((first, word, more));
            }
        }
    }
    told.sort_unstable();
    for (at, word, more) in told.into_iter().take(MANY) {
        let message = format!("`{word}` is left in the text{more}");
        let help = "finish it or take it out; what is meant to be read goes between backticks, and \
                    notes to yourself between `<!--` and `-->`";
        desk.say("leftover-note", (at, word.len()), message, help);
    }
}

/// Brackets in which something is still to come, such as `[Insert link here]` and `[NAME]`.
fn to_fill_in(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let opened = text.match_indices('[').filter_map(|(at, _)| {
        let line = text[at..].lines().next()?;
        let end = line.find(']')?;
        let inner = &line[1..end];
        // A link, a footnote, a slot and what is to be shown are none.
        let behind = line[end + 1..].chars().next();
        let before = text[..at].chars().next_back();
        let other = matches!(behind, Some('(' | '[' | ']' | ':'))
            || matches!(before, Some('\\' | '[' | '!'));
        (!other).then_some((at, &line[..=end], inner))
    });
    opened.filter_map(|(at, mark, inner)| {
        let lower = inner.to_ascii_lowercase();
        let asked = ["insert ", "add ", "your ", "link "]
            .iter()
            .any(|start| lower.starts_with(start))
            || lower.ends_with(" here");
        let capital = |c: char| c.is_ascii_uppercase() || c == '_' || c == ' ';
        let blank = PLACEHOLDERS.contains(&inner) && inner.chars().all(capital);
        (asked || blank).then_some((at, mark))
    })
}

/// The notes to oneself in a text, in its order, with where they begin.
fn notes_in(text: &str) -> Vec<(usize, &str)> {
    let is_name = |at: usize| {
        let next = text[at..].strip_prefix("TK ").unwrap_or_default();
        NAMES_OF_TK.iter().any(|name| next.starts_with(name))
    };
    // Behind a tag, before an apostrophe, beside a dash.
    let parts =
        text.split(|c: char| c.is_whitespace() || "<>=\"'\u{2019}\u{2013}\u{2014}".contains(c));
    let mut found: Vec<(usize, &str)> = parts
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| NOTES.contains(word))
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
        .filter(|(at, _)| !is_name(*at))
        .collect();
    for (at, word) in words(text) {
        let bare = word.trim_end_matches(['.', ',', ')', ';', ':']);
        let later = word.strip_prefix("TK-").unwrap_or_default();
        if later.starts_with(|c: char| c.is_ascii_lowercase()) {
            found.push((at, "TK"));
        }
        let percent = bare == "XX%" || bare == "XX" && text[at + 2..].starts_with(" %");
        if percent || bare == "???" {
            found.push((at, bare));
        }
    }
    found.extend(to_fill_in(text));
    let lower = text.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = lower[from..].find("lorem ipsum").map(|found| from + found) {
        found.push((at, &text[at..at + "lorem ipsum".len()]));
        from = at + 1;
    }
    found.sort_unstable();
    found
}

fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace().map(move |word| {
        let at = word.as_ptr() as usize - text.as_ptr() as usize;
        (at, word)
    })
}

#[cfg(test)]
mod tests {
    use super::notes_in;

    #[test]
    fn a_shop_is_no_note() {
        let text = "TK Maxx and TK, Lorem ipsum, TK Elevator's TODO";
        let found: Vec<&str> = notes_in(text).into_iter().map(|(_, note)| note).collect();
        assert_eq!(found, ["TK", "Lorem ipsum", "TODO"]);
    }

    #[test]
    fn a_note_is_found_behind_a_tag_and_within_a_word() {
        let text = "<mj-text>TODO text, <b>TODO</b> <td>TK</td> TK's TK-later TBD. XX % and XX%, what??? ??? \
                    [Insert link here] [NAME]";
        let found: Vec<&str> = notes_in(text).into_iter().map(|(_, note)| note).collect();
        let expected = [
            "TODO",
            "TODO",
            "TK",
            "TK",
            "TK",
            "TBD",
            "XX",
            "XX%",
            "???",
            "[Insert link here]",
            "[NAME]",
        ];
        assert_eq!(found, expected);
        for text in [
            "[Add it](https://a.example/), \\[NAME], [[NAME]], [1], [NASA], [^NAME], [your plan][1]",
            "STKS, todo, XXL, T.K., a=TKX, TK-421, XXX-rated",
        ] {
            assert_eq!(notes_in(text), [], "{text}");
        }
    }
}
