//! Links and notes in plain text, numbered among the words and listed below them, as mails have them.
//!
//! Promises: a number becomes a link where the list says where it leads, and a footnote where words stand
//! there; a number that is listed twice, for different addresses, is left as it stands, with its lines.

use std::collections::{BTreeMap, BTreeSet};

use crate::draft::links::{self, is_name, phrase_at_end, within};
use crate::draft::piece::escape;
use crate::draft::write::target;

/// The addresses by their numbers, and the text without the lines that list them.
pub(super) fn taken(lines: Vec<&str>) -> (Vec<&str>, BTreeMap<usize, &str>) {
    let mut known = BTreeMap::new();
    for (number, url) in lines.iter().filter_map(|line| listed(line)) {
        if known.insert(number, url).is_some_and(|other| other != url) {
            return (lines, BTreeMap::new());
        }
    }
    let others = lines.iter().filter(|line| listed(line).is_none());
    let mentioned: BTreeSet<usize> = others.flat_map(|line| mentions(line)).collect();
    known.retain(|number, _| mentioned.contains(number));
    let kept = |line: &&str| listed(line).is_none_or(|(number, _)| !known.contains_key(&number));
    (lines.iter().copied().filter(kept).collect(), known)
}

/// Notes with their numbers, and the text without their lines: `[3] words` below words that mention `[3]`.
pub(super) fn notes(lines: Vec<&str>) -> (Vec<&str>, Vec<(usize, String)>) {
    let mut kept: Vec<&str> = Vec::with_capacity(lines.len());
    let mut found: Vec<(usize, String)> = Vec::new();
    // In the lines kept so far.
    let mut mentioned = BTreeSet::new();
    let mut open = false;
    for line in lines {
        let trimmed = line.trim();
        let note = numbered(trimmed).filter(|(number, words)| {
            !words.is_empty()
                && found.iter().all(|(known, _)| known != number)
                && mentioned.contains(number)
        });
        match (note, found.last_mut()) {
            (Some((number, words)), _) => {
                found.push((number, words.to_owned()));
                open = true;
            }
            // A note goes on to the end of its paragraph.
            (None, Some((_, words))) if open && !trimmed.is_empty() => {
                words.push(' ');
                words.push_str(trimmed);
            }
            _ => {
                open = false;
                let first = numbered(trimmed).map(|(number, _)| number);
                mentioned.extend(mentions(line).filter(|number| Some(*number) != first));
                kept.push(line);
            }
        }
    }
    (kept, found)
}

/// The first number behind words such as "read more": what stands before them, the link that they are, and
/// what stands behind it.
fn phrased<'a>(text: &'a str, known: &BTreeMap<usize, &str>) -> Option<(&'a str, String, &'a str)> {
    text.match_indices('[').find_map(|(at, _)| {
        let (number, behind) = text[at + 1..].split_once(']')?;
        let url = known.get(&number.parse().ok()?)?;
        let words = text[..at].trim_end();
        let (before, phrase) = words.split_at(phrase_at_end(words)?);
        let link = format!("[{}]({})", escape(phrase), target(url));
        Some((before, link, behind))
    })
}

/// Markdown in which each escaped `[3]` mentions its note.
pub(super) fn noted(markdown: String, notes: &[(usize, String)]) -> String {
    let mut out = markdown;
    for (number, _) in notes {
        out = out.replace(&format!("\\[{number}\\]"), &format!("[^{number}]"));
    }
    out
}

/// Words with their links, as Markdown.
pub(super) fn linked(text: &str, known: &BTreeMap<usize, &str>) -> String {
    if let Some(link) = named(text, known) {
        return link;
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link, behind)) = phrased(rest, known) {
        out.push_str(&led(within(before).0, known));
        out.push_str(&link);
        rest = behind;
    }
    let (words, _) = match out.is_empty() {
        true => links::linked(rest),
        false => within(rest),
    };
    out + &led(words, known)
}

/// A short line with a number at its end: the whole line is what the link is called.
fn named(line: &str, known: &BTreeMap<usize, &str>) -> Option<String> {
    let (name, number) = line.trim().strip_suffix(']')?.rsplit_once('[')?;
    let url = known.get(&number.parse().ok()?)?;
    let name = name.trim_end();
    let whole = is_name(name) && !name.contains('[');
    whole.then(|| format!("[{}]({})", escape(name), target(url)))
}

/// Markdown in which each escaped `[3]` leads to where the list says.
fn led(markdown: String, known: &BTreeMap<usize, &str>) -> String {
    let mut out = markdown;
    for (number, url) in known {
        let mark = format!("\\[{number}\\]");
        if out.contains(&mark) {
            out = out.replace(&mark, &format!("[\\[{number}\\]]({})", target(url)));
        }
    }
    out
}

/// The numbers in brackets that stand in a line.
fn mentions(line: &str) -> impl Iterator<Item = usize> + '_ {
    let inner = line
        .split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']'));
    inner.filter_map(|(number, _)| {
        let mark = number.len() <= 3 && number.bytes().all(|byte| byte.is_ascii_digit());
        let plain = number == "0" || !number.starts_with('0');
        number.parse().ok().filter(|_| mark && plain)
    })
}

/// `[3] https://...`, with a colon behind the number or without.
fn listed(line: &str) -> Option<(usize, &str)> {
    let (number, url) = numbered(line.trim())?;
    let web = url.starts_with("https://") || url.starts_with("http://");
    (web && !url.contains(char::is_whitespace)).then_some((number, url))
}

/// `[3] words`, with a colon behind the number or without.
fn numbered(line: &str) -> Option<(usize, &str)> {
    let (number, rest) = line.strip_prefix('[')?.split_once(']')?;
    let digits =
        (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let words = rest.trim_start_matches(':').trim();
    digits.then(|| Some((number.parse().ok()?, words)))?
}

#[cfg(test)]
mod tests {
    use super::{led, named, noted, notes, taken};
    use crate::draft::piece::escape;

    #[test]
    fn numbered_links_lead_where_their_list_says() {
        let lines = vec![
            "A story [1] and a list [7].",
            "[1] https://a.example/(x)",
            "[2]: https://b.example",
        ];
        let (kept, known) = taken(lines.clone());
        assert_eq!(kept, [lines[0], lines[2]], "2 is mentioned nowhere");
        assert_eq!(
            led(escape(kept[0]), &known),
            "A story [\\[1\\]](<https://a.example/(x)>) and a list \\[7\\]."
        );
        let link = "[Read it](<https://a.example/(x)>)".to_owned();
        assert_eq!(named("Read it [1]", &known), Some(link));
        assert_eq!(named("Read it [7]", &known), None);
        let twice = vec!["[1]", "[1] https://a.example", "[1] https://b.example"];
        assert_eq!(taken(twice.clone()).0, twice);
    }

    #[test]
    fn words_below_a_number_are_its_note() {
        let lines = vec![
            "It rained [1], and nobody [4] minded.",
            "",
            "[1] The gauge says",
            "nine days.",
            "",
            "[2] Nobody mentions this.",
            "[4]: Not even the slugs.",
        ];
        let (kept, found) = notes(lines.clone());
        assert_eq!(kept, [lines[0], "", "", lines[5]]);
        let wanted = [
            (1, "The gauge says nine days.".to_owned()),
            (4, "Not even the slugs.".to_owned()),
        ];
        assert_eq!(found, wanted);
        assert_eq!(
            noted(escape(lines[0]), &found),
            "It rained [^1], and nobody [^4] minded."
        );
    }
}
