//! What tools put above the text: the publication's name, title, subtitle, who wrote it, the day, and counts.
//!
//! Promises: what the front matter says is said once; what is left out is told. Takes nothing off the text itself:
//! it ends at the first piece that is none of these.

use scraper::{Html, Selector};

use crate::draft::piece::{Kind, Piece, plain};
use crate::draft::{Found, footer, head};

/// Pieces that may stand above a text.
const PIECES: usize = 12;
/// Characters of a subtitle.
const SUBTITLE: usize = 200;
/// Words of those who wrote it.
const NAMES: usize = 9;

/// Takes beehiiv's off, and keeps what the front matter has a key for. `publication` is what the page is called.
pub(super) fn take(found: &mut Found, publication: Option<&str>) {
    let kinds: Vec<Above> = found
        .pieces
        .iter()
        .take(PIECES)
        .map(|piece| judged(piece, found, publication))
        .collect();
    // One line may be a subtitle; at the second one the text has begun.
    let mut lines = 0;
    let ends = kinds.iter().position(|kind| {
        lines += usize::from(*kind == Above::Words);
        *kind == Above::Text || lines > 1
    });
    let kinds = &kinds[..ends.unwrap_or(kinds.len())];
    // Only what the day, a name or a count shows to be a masthead is one, and a subtitle right below the title.
    let sure = |kind: &Above| matches!(kind, Above::Day | Above::Count | Above::By | Above::Again);
    let last = kinds.iter().rposition(sure);
    let first = found.pieces.first().map(|piece| &piece.kind);
    let headline = matches!(first, Some(Kind::Item { number: None, .. }));
    let subtitle = headline && kinds.first() == Some(&Above::Words) && no_text(&found.pieces);
    let end = match last {
        Some(last) => last + 1,
        None => usize::from(subtitle),
    };
    let mut left_out = Vec::new();
    let mut kept = Vec::new();
    let pieces: Vec<Piece> = found.pieces.drain(..end).collect();
    for (piece, kind) in pieces.into_iter().zip(kinds) {
        let words = words_of(&piece);
        match kind {
            Above::Day => {
                let line = footer::without_footers(&words);
                let (dates, beside) = match head::day(&line) {
                    Some((dates, beside)) => (Some(dates), beside),
                    None => (None, vec![line.as_str()]),
                };
                found.dates = found.dates.or(dates);
                for part in beside.into_iter().filter(|part| !part.trim().is_empty()) {
                    match names(part) {
                        Some(names) if found.authors.is_empty() => found.authors = names,
                        _ => left_out.push(part.trim().to_owned()),
                    }
                }
            }
            Above::By | Above::Name if found.authors.is_empty() => {
                found.authors = names(&words).unwrap_or_default();
            }
            Above::Words if found.teaser.is_none() => found.teaser = Some(words),
            Above::Again => {}
            Above::Picture => kept.push(piece),
            _ => left_out.push(words),
        }
    }
    found.pieces.splice(0..0, kept);
    left_out.retain(|words| !words.is_empty());
    found.notes.extend(head::above(&left_out));
    if !found.authors.is_empty() {
        let note = "the authors are the names above the text";
        found.notes.push(note.into());
    }
    again(found);
}

/// Keeps the day and the names of the head that Substack shows above a post, which is none of its text.
pub(super) fn header(page: &Html, found: &mut Found) {
    let selector = Selector::parse(".post-header").expect("our own selectors are well formed");
    let Some(header) = page.select(&selector).next() else {
        return;
    };
    for text in header.text().map(str::trim) {
        let dates = head::day(text).map(|(dates, _)| dates);
        found.dates = found.dates.or(dates);
        let known = [&found.title, &found.teaser];
        let said = known.iter().any(|known| known.as_deref() == Some(text));
        if found.authors.is_empty() && !said {
            found.authors = names(text).unwrap_or_default();
        }
    }
    if !found.authors.is_empty() {
        let note = "the authors are the names above the text";
        found.notes.push(note.into());
    }
}

/// What a piece above the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Above {
    Day,
    /// "By Ada Example".
    By,
    /// Names alone.
    Name,
    Count,
    /// Says the title once more.
    Again,
    /// A banner, or a face.
    Sign,
    /// A picture that says something.
    Picture,
    /// A line that may be a subtitle.
    Words,
    /// The text has begun.
    Text,
}

fn judged(piece: &Piece, found: &Found, publication: Option<&str>) -> Above {
    let words = words_of(piece);
    let same = |other: Option<&str>| other.is_some_and(|other| other.trim() == words);
    match &piece.kind {
        Kind::Image { .. } => {
            let lower = words.to_lowercase();
            let sign = words.is_empty() || same(publication) || names(&words).is_some();
            match sign || lower.contains("logo") || lower.contains("avatar") {
                true => Above::Sign,
                false => Above::Picture,
            }
        }
        Kind::Paragraph(_) | Kind::Item { number: None, .. } | Kind::Heading { .. } => {
            let bare = footer::without_footers(&words);
            let signed = ["by ", "written by "].iter();
            let lower = words.to_lowercase();
            if same(found.title.as_deref()) || same(publication) {
                Above::Again
            } else if head::day(&bare).is_some() {
                Above::Day
            } else if bare.is_empty() || footer::is_footer(&words) || counts(&words) {
                Above::Count
            } else if signed.clone().any(|by| lower.starts_with(by)) && names(&words).is_some() {
                Above::By
            } else if names(&words).is_some() && matches!(piece.kind, Kind::Paragraph(_)) {
                Above::Name
            } else if head::says_hello(&words) || words.chars().count() > SUBTITLE {
                Above::Text
            } else {
                Above::Words
            }
        }
        _ => Above::Text,
    }
}

/// Whether a headline stands above another one, and so has no text of its own.
fn no_text(pieces: &[Piece]) -> bool {
    let is_headline = |piece: &Piece| matches!(piece.kind, Kind::Item { .. });
    pieces.get(1).is_some_and(is_headline)
}

/// How often something was liked, and the like.
fn counts(words: &str) -> bool {
    !words.is_empty()
        && words
            .chars()
            .all(|c| c.is_ascii_digit() || c.is_whitespace())
}

/// The names of a line that holds nothing else.
fn names(words: &str) -> Option<Vec<String>> {
    let lower = words.to_lowercase();
    let by = ["written by ", "by "].iter();
    let lead = by.filter(|by| lower.starts_with(**by)).map(|by| by.len());
    let words = words[lead.max().unwrap_or_default()..].trim();
    let parts = words.split([',', '&']).flat_map(|part| part.split(" and "));
    let parts: Vec<&str> = parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    let capital = |word: &str| word.starts_with(char::is_uppercase);
    let particle = |word: &str| {
        matches!(
            word,
            "de" | "van" | "von" | "der" | "den" | "la" | "di" | "da"
        )
    };
    let is_name = |part: &&str| {
        let count = part.split(' ').count();
        let fine = part.split(' ').all(|word| capital(word) || particle(word));
        let letters = |c: char| c.is_alphabetic() || " .'-\u{2019}".contains(c);
        (2..=4).contains(&count) && fine && part.chars().all(letters) && !part.ends_with('.')
    };
    let all = !parts.is_empty() && parts.iter().all(is_name);
    (all && words.split(' ').count() <= NAMES)
        .then(|| parts.into_iter().map(str::to_owned).collect())
}

/// Takes a paragraph off the top that says the teaser once more.
fn again(found: &mut Found) {
    let Some(teaser) = &found.teaser else { return };
    let same = |piece: &Piece| {
        matches!(piece.kind, Kind::Paragraph(_)) && words_of(piece) == teaser.trim()
    };
    if found.pieces.first().is_some_and(same) {
        found.pieces.remove(0);
    }
}

fn words_of(piece: &Piece) -> String {
    let text = match &piece.kind {
        Kind::Paragraph(text) | Kind::Item { text, .. } | Kind::Heading { text, .. } => plain(text),
        Kind::Image { alt, .. } if alt != "TODO" => plain(alt),
        _ => String::new(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_are_told_from_other_words_in_capitals() {
        for (line, expected) in [
            ("Noor Haddad", Some(vec!["Noor Haddad"])),
            (
                "By Noor Haddad & Felix van Braun",
                Some(vec!["Noor Haddad", "Felix van Braun"]),
            ),
            (
                "Written by J. R. Doe and Ada O\u{2019}Neil",
                Some(vec!["J. R. Doe", "Ada O\u{2019}Neil"]),
            ),
            ("Good morning", None),
            ("Welcome", None),
            ("The Power Grid In Seven Minutes Flat", None),
            ("Noor Haddad says hello", None),
        ] {
            let found = names(line);
            let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(found, expected, "{line}");
        }
    }
}
