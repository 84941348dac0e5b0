//! Addresses in plain words that name no scheme, and words that stand where a link was.

use url::Url;

use crate::draft::piece::escape;

/// With what a sentence ends that spoke of a link.
const ENDS: [&str; 7] = [
    "here",
    "link",
    "links",
    "link below",
    "links below",
    "link in bio",
    "button below",
];
/// Before `here` they speak of a place, or of a time.
const PLACES: [&str; 16] = [
    "around", "be", "from", "i'm", "in", "is", "it's", "live", "near", "out", "over", "right",
    "stay", "that's", "up", "we're",
];

/// Whether a line speaks of a link, and its Markdown holds none.
pub(super) fn promises(line: &str, markdown: &str) -> bool {
    if markdown.contains("](") || markdown.contains("<http") {
        return false;
    }
    let lower = line.to_lowercase().replace('\u{2019}', "'");
    let mut sentences = lower.split_inclusive(['.', '!', '?']);
    sentences.any(|sentence| {
        let sentence = sentence.trim_matches(|c: char| !c.is_alphanumeric());
        let end = ENDS.iter().find_map(|end| {
            let before = sentence.strip_suffix(end)?;
            let alone = !before.ends_with(|c: char| c.is_alphanumeric() || c == '-');
            alone.then_some((*end, before))
        });
        end.is_some_and(|(end, before)| {
            let mut words = before.split_whitespace().rev();
            let word = words.next().unwrap_or_default();
            let who = words.next().unwrap_or_default();
            let people =
                ["am", "are", "were"].contains(&word) && ["i", "we", "you", "they"].contains(&who);
            !word.is_empty() && (end != "here" || !PLACES.contains(&word) && !people)
        })
    })
}

/// Plain words as Markdown, in which `www.example.org` and `ada@example.org` are links.
pub(super) fn addressed(text: &str) -> String {
    let mut out = String::new();
    // What stands between two addresses is escaped as a whole: it depends on its neighbours.
    let mut plain = 0;
    let mut at = 0;
    for word in text.split_inclusive(|c: char| c.is_whitespace() || "()[]<>,;\"".contains(c)) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '/');
        if let Some(url) = address(bare) {
            out.push_str(&escape(&text[plain..at]));
            out.push_str(&format!("[{}]({url})", escape(bare)));
            plain = at + bare.len();
        }
        at += word.len();
    }
    out + &escape(&text[plain..])
}

fn address(word: &str) -> Option<String> {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let domain = |host: &str| {
        let top = host.rsplit('.').next().unwrap_or_default();
        let letters = top.len() > 1 && top.chars().all(|c| c.is_ascii_alphabetic());
        letters && host.contains('.') && host.split('.').all(label)
    };
    if let Some((local, host)) = word.split_once('@') {
        let name = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        let fits =
            local.starts_with(|c: char| c.is_ascii_alphanumeric()) && local.chars().all(name);
        return (fits && domain(host)).then(|| format!("mailto:{word}"));
    }
    let rest = word.strip_prefix("www.")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let url = domain(host).then(|| Url::parse(&format!("https://{word}")).ok())??;
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::{addressed, promises};

    #[test]
    fn addresses_without_a_scheme_are_links() {
        for (text, expected) in [
            (
                "See www.example.org/eu.",
                "See [www.example.org/eu](https://www.example.org/eu).",
            ),
            (
                "Ask a_b (ada@example.org), or *not*",
                "Ask a_b ([ada@example.org](mailto:ada@example.org)), or \\*not\\*",
            ),
            (
                "a@b, www.x and @ada@example.org",
                "a@b, www.x and @ada@example.org",
            ),
        ] {
            assert_eq!(addressed(text), expected);
        }
    }

    #[test]
    fn a_sentence_that_ends_where_a_link_was_is_told_from_one_about_a_place() {
        for text in [
            "Watch the video here.",
            "Details are here.",
            "Sign up at the link below.",
            "More info: link",
            "Full article \u{2192} here",
            "find the paper here and the code here",
        ] {
            assert!(promises(text, text), "{text}");
        }
        for text in [
            "Summer is here.",
            "We are here!",
            "He lives around here. So what?",
            "Here",
            "The missing-link",
            "It goes from there to where it ends",
        ] {
            assert!(!promises(text, text), "{text}");
        }
        assert!(!promises(
            "It is here: x. See here.",
            "[See](https://a.example)"
        ));
    }
}
