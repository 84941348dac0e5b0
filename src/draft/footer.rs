//! The lines that end every newsletter: leaving, preferences, whose mail it is. The theme says them here.
//!
//! Promises: what is left out is told, word for word. Leaves the author's own closing words to `outro`.

use crate::draft::head::shown;

/// Lines that are nothing else.
const WHOLE: [&str; 24] = [
    "unsubscribe",
    "view in browser",
    "view in your browser",
    "view online",
    "view this email online",
    "read online",
    "read in browser",
    "manage preferences",
    "manage your preferences",
    "update preferences",
    "update your profile",
    "manage subscription",
    "manage your subscription",
    "unsubscribe from this list",
    "privacy policy",
    "open in app",
    "read in app",
    "subscribe now",
    "leave a comment",
    "like",
    "comment",
    "restack",
    "share this post",
    "share",
];
/// How a line of the small print begins.
const STARTS: [&str; 28] = [
    "sent from my ",
    "you are reading a plain text version",
    "this is a plain text version",
    "view this post on the web",
    "want to change how you receive",
    "our mailing address is",
    "if this email was forwarded",
    "you are receiving this",
    "you're receiving this",
    "you received this",
    "you are getting this",
    "you're getting this",
    "this email was sent to",
    "\u{a9} 20",
    "(c) 20",
    "copyright \u{a9}",
    "update your email preferences",
    "if you no longer wish",
    "if you don't want",
    "don't want to receive",
    "to stop receiving",
    "to unsubscribe",
    "unsubscribe here",
    "powered by ",
    "sent by ",
    "view this email in your browser",
    "thanks for reading! subscribe",
    "click here to unsubscribe",
];
/// What stands beside one of them, and says nothing of the kind alone.
const BESIDE: [&str; 7] = [
    "advertise",
    "archive",
    "forward",
    "forward to a friend",
    "sign up",
    "sponsor",
    "subscribe",
];
/// What stands between several of them on one line.
const DIVIDERS: [char; 4] = ['|', '\u{b7}', '\u{2022}', '\u{2219}'];
/// Lines of small print behind the first of them, at most.
const SMALL_PRINT: usize = 12;

/// Whether a line in plain words is one of those.
pub(super) fn is_footer(line: &str) -> bool {
    let mut any = false;
    let all = parts(line).all(|part| {
        let one = is_one(part);
        any |= one;
        one || BESIDE.contains(&calm(part).as_str())
    });
    any && all
}

/// The line without those of its parts that are: "12 June | Read online" is a date.
pub(super) fn without_footers(line: &str) -> String {
    let kept: Vec<&str> = parts(line).filter(|part| !is_one(part)).collect();
    kept.join(" | ")
}

/// Where the small print begins among the lines or paragraphs of a whole text: all behind it is part of it,
/// the sender's address for one.
pub(super) fn small_print<'a>(texts: impl Iterator<Item = &'a str>) -> Option<usize> {
    let texts: Vec<&str> = texts.collect();
    let leaves = |text: &&str| {
        let lower = calm(text);
        is_footer(text)
            && (lower.contains("unsubscribe")
                || lower.contains("this email")
                || lower.contains("preferences"))
    };
    let (late, wordy) = (texts.len() / 2, |text: &&&str| !text.trim().is_empty());
    let mut begins = (late..texts.len()).filter(|at| leaves(&texts[*at]));
    begins.find(|at| texts[*at..].iter().filter(wordy).count() <= SMALL_PRINT)
}

/// What is told of what was left out.
pub(super) fn note(left_out: &[String]) -> Option<String> {
    let told = format!("left out, because the theme says it: {}", shown(left_out));
    (!left_out.is_empty()).then_some(told)
}

fn parts(line: &str) -> impl Iterator<Item = &str> {
    let parts = line.split(DIVIDERS).map(str::trim);
    parts.filter(|part| !part.is_empty())
}

fn is_one(part: &str) -> bool {
    let lower = calm(part);
    // Plain text has the address behind the words: "View online (https://...)".
    let words = lower.split("http").next().unwrap_or_default();
    let bare = words.trim_end_matches(['.', '\u{2192}', '>', ' ', '(', '[', '<', ':']);
    let time = ["min read", "minute read"]
        .iter()
        .find_map(|unit| bare.strip_suffix(unit));
    let counted = time.is_some_and(|time| time.trim_end().parse::<u16>().is_ok());
    counted || WHOLE.contains(&bare) || STARTS.iter().any(|start| lower.starts_with(start))
}

fn calm(text: &str) -> String {
    text.trim().to_lowercase().replace('\u{2019}', "'")
}

#[cfg(test)]
mod tests {
    use super::{is_footer, small_print, without_footers};

    #[test]
    fn footers_are_known_alone_and_side_by_side() {
        for line in [
            "Unsubscribe",
            "View in browser \u{2192}",
            "Unsubscribe | Manage preferences",
            "You\u{2019}re receiving this because you asked",
            "To unsubscribe, visit https://a.example/u",
            "View online: https://a.example/12",
            "Read in app | 4 min read",
            "Read Online | Sign Up",
        ] {
            assert!(is_footer(line), "{line}");
        }
        for line in [
            "",
            "|",
            "Read more",
            "Share of the market | Unsubscribe",
            "Likewise",
            "Sign up",
            "Sign up | Archive",
        ] {
            assert!(!is_footer(line), "{line}");
        }
        assert_eq!(
            without_footers("12 June 2026 | Read Online"),
            "12 June 2026"
        );
    }

    #[test]
    fn small_print_begins_late_and_goes_to_the_end() {
        let text = [
            "Unsubscribe",
            "a",
            "b",
            "",
            "Unsubscribe here",
            "1 Street, Town",
        ];
        assert_eq!(small_print(text.into_iter()), Some(4));
        assert_eq!(
            small_print(["Unsubscribe", "a", "b", "c"].into_iter()),
            None
        );
        let long = ["a"; 40]
            .into_iter()
            .chain(["Unsubscribe"])
            .chain(["b"; 20]);
        assert_eq!(small_print(long), None);
    }
}
