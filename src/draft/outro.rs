//! Where the last item ends: closing words are nobody's item.
//!
//! Promises: a line that the author drew behind the last item is kept, and then nothing is guessed. Else the
//! item ends where words say goodbye, or where it has ended as those before it did. A text without items is
//! left as it is.

use crate::draft::piece::{Kind, Piece, plain};

/// Blocks of closing words at most; more is an item that speaks of leaving.
const LONGEST: usize = 12;
/// Characters of a line with which a letter is signed.
const SIGNED: usize = 60;

/// How closing words begin.
const STARTS: [&str; 37] = [
    "that's all",
    "that is all",
    "that's it",
    "that is it",
    "that's a wrap",
    "and that's",
    "until next",
    "until then",
    "thanks for reading",
    "thanks so much for reading",
    "thank you for reading",
    "thank you so much for reading",
    "happy reading",
    "have a great",
    "have a good",
    "have a lovely",
    "have a wonderful",
    "enjoyed this",
    "if you enjoyed",
    "if you liked this",
    "did you enjoy",
    "did you like",
    "what did you think",
    "how did you like",
    "hit reply",
    "reply to this",
    "just reply",
    "was this forwarded",
    "know someone who",
    "know somebody who",
    "share this newsletter",
    "share this issue",
    "forward this",
    "before you go",
    "as always,",
    "p.s.",
    "ps:",
];
/// How they may begin where little more follows.
const LAST: [&str; 6] = [
    "thank you",
    "thanks for",
    "thanks to all",
    "until the next",
    "if you know",
    "ps ",
];
/// Blocks that little more is.
const LITTLE: usize = 3;
/// What closing words say somewhere.
const WITHIN: [&str; 16] = [
    "see you next",
    "see you in ",
    "see you on ",
    "see you soon",
    "see you again",
    "until next time",
    "until next week",
    "until next month",
    "back next week",
    "back next month",
    "back in your inbox",
    "that's all for",
    "that's it for",
    "talk soon",
    "thanks for reading",
    "thank you for reading",
];
/// With what a letter is signed, before a comma, a name, or nothing.
const SIGNING: [&str; 25] = [
    "thanks",
    "many thanks",
    "best",
    "best wishes",
    "best regards",
    "kind regards",
    "warm regards",
    "warmly",
    "regards",
    "all the best",
    "cheers",
    "ciao",
    "sincerely",
    "yours",
    "yours truly",
    "yours sincerely",
    "love",
    "with love",
    "much love",
    "take care",
    "stay curious",
    "stay safe",
    "stay well",
    "bye",
    "goodbye",
];

/// What a block says of where it stands.
pub(super) enum Part {
    Item,
    Rule,
    /// A paragraph that is a link and nothing else.
    Link,
    /// Words without their marks.
    Words(String),
    Other,
}

/// Draws the line behind the last item where there is none, and takes out those that divide nothing.
pub(super) fn settle(pieces: &mut Vec<Piece>) {
    let mut kept: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces.drain(..) {
        let above = kept.last().map(|above| &above.kind);
        match &piece.kind {
            Kind::Rule if matches!(above, None | Some(Kind::Rule)) => continue,
            // The theme divides its items anyway.
            Kind::Item { .. } if above == Some(&Kind::Rule) => {
                kept.pop();
            }
            _ => {}
        }
        kept.push(piece);
    }
    // What stands behind the last words is not read where it stands.
    let words = |piece: &Piece| !matches!(piece.kind, Kind::Rule | Kind::Note { .. });
    let end = kept.iter().rposition(words).map_or(0, |last| last + 1);
    let behind = kept.split_off(end);
    kept.extend(behind.into_iter().filter(|piece| piece.kind != Kind::Rule));
    let parts: Vec<Part> = kept.iter().map(part).collect();
    if let Some((at, why)) = begin(&parts) {
        kept.insert(at, Piece::guessed(Kind::Rule, why));
    }
    *pieces = kept;
}

fn part(piece: &Piece) -> Part {
    match &piece.kind {
        Kind::Item { .. } => Part::Item,
        Kind::Rule => Part::Rule,
        Kind::Paragraph(text) if is_link(text) => Part::Link,
        Kind::Paragraph(text) | Kind::Heading { text, .. } => Part::Words(plain(text)),
        _ => Part::Other,
    }
}

/// Before which part the closing words begin, and why it is thought so.
pub(super) fn begin(parts: &[Part]) -> Option<(usize, &'static str)> {
    let last = parts.iter().rposition(|part| matches!(part, Part::Item))?;
    let behind = &parts[last + 1..];
    if behind.iter().any(|part| matches!(part, Part::Rule)) {
        return None;
    }
    let goodbye = behind.iter().enumerate().skip(1).find(|(at, part)| {
        let left = behind.len() - at;
        match part {
            Part::Words(text) if says_goodbye(text) => left <= LONGEST,
            Part::Words(text) => left <= LITTLE && begins(text, &LAST),
            _ => false,
        }
    });
    let goodbye = goodbye.map(|(at, _)| {
        let why = "the last item is taken to end here, because these words say goodbye";
        (at, why)
    });
    let linked = after_link(&parts[..last], behind).map(|at| {
        let why = "the last item is taken to end here, because those before it end with a link";
        (at, why)
    });
    let (at, why) = match (goodbye, linked) {
        (Some(one), Some(two)) => one.min(two),
        (one, two) => one.or(two)?,
    };
    Some((last + 1 + at, why))
}

/// The place behind the link with which the last item ends, if all items before it end with one.
fn after_link(before: &[Part], behind: &[Part]) -> Option<usize> {
    let mut items = before.split(|part| matches!(part, Part::Item)).skip(1);
    let mut count = 1;
    // What is before the last item's headline is the body of the item before it.
    if !items.all(|item| {
        count += 1;
        matches!(item.last(), Some(Part::Link))
    }) {
        return None;
    }
    let first = behind.iter().position(|part| matches!(part, Part::Link))?;
    let more = behind[first..]
        .iter()
        .take_while(|part| matches!(part, Part::Link));
    let at = first + more.count();
    let closing = behind.len() - at;
    (count > 2 && (1..=LONGEST).contains(&closing)).then_some(at)
}

/// Whether words say that the letter is over.
pub(super) fn says_goodbye(text: &str) -> bool {
    let lower = calm(text);
    begins(text, &STARTS)
        || WITHIN.iter().any(|words| lower.contains(words))
        || is_signature(text, &lower)
}

fn begins(text: &str, starts: &[&str]) -> bool {
    let lower = calm(text);
    starts.iter().any(|start| lower.starts_with(start))
}

/// In small letters, from the first word on.
fn calm(text: &str) -> String {
    let lower = text.to_lowercase().replace('\u{2019}', "'");
    let words = lower.trim_start_matches(|c: char| !c.is_alphanumeric());
    words.to_owned()
}

/// "Best, Jo", "Cheers", and "\u{2014} Jo and the team".
fn is_signature(text: &str, lower: &str) -> bool {
    if text.chars().count() > SIGNED {
        return false;
    }
    let signed = SIGNING.iter().any(|words| {
        let rest = lower.strip_prefix(words);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([',', '!', '.', '\n']))
    });
    let bare = text.trim_start_matches(['-', '\u{2013}', '\u{2014}', '~', ' ']);
    let dashed = bare.len() < text.len() && !bare.ends_with(['.', '?', ':']);
    let named = bare.starts_with(char::is_uppercase) && bare.split(' ').count() <= 5;
    signed || (dashed && named)
}

/// Whether a paragraph of Markdown is one link and nothing else.
pub(super) fn is_link(text: &str) -> bool {
    let text = text.trim().trim_matches('*').trim();
    let one = |open: &str, close: char| text.matches(open).count() == 1 && text.ends_with(close);
    (text.starts_with('[') && one("](", ')')) || (text.starts_with("<http") && one("<http", '>'))
}

#[cfg(test)]
mod tests {
    use super::{Part, begin, says_goodbye};

    /// `#` an item, `-` a rule, `>` a link, `.` anything else; words as they are.
    fn found(parts: &[&str]) -> Option<usize> {
        let parts = parts.iter().map(|part| match *part {
            "#" => Part::Item,
            "-" => Part::Rule,
            ">" => Part::Link,
            "." => Part::Other,
            words => Part::Words(words.into()),
        });
        let parts: Vec<Part> = parts.collect();
        begin(&parts).map(|(at, _)| at)
    }

    #[test]
    fn closing_words_begin_where_they_say_goodbye() {
        assert_eq!(found(&["#", "a", "#", "b", "See you next week!"]), Some(4));
        assert_eq!(found(&["#", "a", "That's all.", "Cheers,"]), Some(2));
        assert_eq!(found(&["#", "a", ".", "\u{2014} Noor & Felix"]), Some(3));
        // Thanks are a goodbye near the end only.
        assert_eq!(
            found(&["#", "a", "Thank you for walking with me."]),
            Some(2)
        );
        assert_eq!(
            found(&["#", "a", "Thank you, she said.", "b", "c", "d"]),
            None
        );
        // The whole of an item, a line that stands there already, a text without items.
        assert_eq!(found(&["#", "a", "#", "See you next week!"]), None);
        assert_eq!(found(&["#", "a", "-", "See you next week!"]), None);
        assert_eq!(found(&["a", "See you next week!"]), None);
        let mut long = vec!["#", "a", "See you next week, she said."];
        long.extend([". ."; 20]);
        assert_eq!(found(&long), None);
    }

    #[test]
    fn closing_words_follow_the_link_with_which_every_item_ends() {
        let items = ["#", "a", ">", "#", "b", ">", "#", "c", ">"];
        assert_eq!(found(&[&items[..], &["One more thing."]].concat()), Some(9));
        assert_eq!(found(&items), None);
        // Two items are no habit, and one that ends otherwise breaks it.
        assert_eq!(found(&["#", "a", ">", "#", "b", ">", "More."]), None);
        let odd = ["#", "a", "#", "b", ">", "#", "c", ">", "More."];
        assert_eq!(found(&odd), None);
    }

    #[test]
    fn goodbyes_are_known_and_stories_about_them_are_not() {
        for text in [
            "That\u{2019}s it for this week.",
            "\u{1f44b} Until next time!",
            "Best,\nAnna",
            "Cheers",
            "Take care, Jo",
            "P.S. We moved.",
            "I'll be back in your inbox on Friday.",
        ] {
            assert!(says_goodbye(text), "{text}");
        }
        for text in [
            "The best keyboard of the year",
            "Love letters are back",
            "- a list item that goes on for a while",
            "Sign up until 3 May.",
            "Goodbyes are hard, a study says",
        ] {
            assert!(!says_goodbye(text), "{text}");
        }
    }
}
