//! Typographic quotes where the author typed straight ones: which, a language says.
//!
//! Promises: only what the parser took for a quote is changed, so that no code, address, slot or line of a directive is.
//! Dashes and ellipses are the parser's own, and the same in every language.

use std::ops::Range;

use pulldown_cmark::Event;

/// The marks of a language: around a quotation, and around one within it.
struct Marks {
    double: (&'static str, &'static str),
    single: (&'static str, &'static str),
}

/// By the first part of a BCP 47 tag (Unicode CLDR 46, delimiters); others write as English does.
fn marks(language: &str) -> Marks {
    let first = language.split('-').next().unwrap_or_default();
    let (double, single) = match first.to_ascii_lowercase().as_str() {
        "de" | "cs" | "sk" | "sl" | "is" | "bg" => {
            (("\u{201e}", "\u{201c}"), ("\u{201a}", "\u{2018}"))
        }
        "pl" | "ro" | "hu" | "hr" => (("\u{201e}", "\u{201d}"), ("\u{201a}", "\u{2019}")),
        "fr" => (
            ("\u{ab}\u{202f}", "\u{202f}\u{bb}"),
            ("\u{2039}\u{202f}", "\u{202f}\u{203a}"),
        ),
        "es" | "it" | "ru" | "uk" | "el" | "nb" | "nn" | "no" => {
            (("\u{ab}", "\u{bb}"), ("\u{2018}", "\u{2019}"))
        }
        "sv" | "fi" => (("\u{201d}", "\u{201d}"), ("\u{2019}", "\u{2019}")),
        _ => (("\u{201c}", "\u{201d}"), ("\u{2018}", "\u{2019}")),
    };
    Marks { double, single }
}

/// Puts the quotes of `language` in the place of the English ones that the parser made of straight ones of `text`.
pub(super) fn quoted(text: &str, language: &str, events: &mut [(Event<'_>, Range<usize>)]) {
    let marks = marks(language);
    // Single quotations that were begun and not ended: what closes none is an apostrophe.
    let mut open = 0_usize;
    for (event, range) in events {
        let Event::Text(words) = event else {
            if matches!(event, Event::Start(tag) if !is_among_words(tag)) {
                open = 0;
            }
            continue;
        };
        let typed = &text[range.clone()];
        let mark = match (&**words, typed) {
            ("\u{201c}", "\"") => marks.double.0,
            ("\u{201d}", "\"") => marks.double.1,
            ("\u{2018}", "'") => {
                open += 1;
                marks.single.0
            }
            ("\u{2019}", "'") => {
                let after = text[range.end..].chars().next();
                let ends = !after.is_some_and(char::is_alphanumeric);
                if open == 0 || !ends {
                    continue;
                }
                open -= 1;
                marks.single.1
            }
            _ => continue,
        };
        *words = mark.into();
    }
}

fn is_among_words(tag: &pulldown_cmark::Tag<'_>) -> bool {
    use pulldown_cmark::Tag;
    matches!(
        tag,
        Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. }
    )
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, Options, Parser};

    use super::quoted;
    use crate::issue::mask::DIALECT;

    fn shown(text: &str, language: &str) -> String {
        let options = DIALECT.union(Options::ENABLE_SMART_PUNCTUATION);
        let mut events: Vec<_> = Parser::new_ext(text, options).into_offset_iter().collect();
        quoted(text, language, &mut events);
        let words = events.into_iter().filter_map(|(event, _)| match event {
            Event::Text(words) | Event::Code(words) => Some(words.to_string()),
            _ => None,
        });
        words.collect()
    }

    #[test]
    fn quotes_are_those_of_the_language_and_an_apostrophe_is_everywhere_the_same() {
        let text = "She said \"it's 'fine'\" -- and \u{201c}left\u{201d} --- ...";
        for (language, expected) in [
            (
                "en-GB",
                "She said \u{201c}it\u{2019}s \u{2018}fine\u{2019}\u{201d} \u{2013} and \u{201c}left\u{201d} \u{2014} \u{2026}",
            ),
            (
                "de",
                "She said \u{201e}it\u{2019}s \u{201a}fine\u{2018}\u{201c} \u{2013} and \u{201c}left\u{201d} \u{2014} \u{2026}",
            ),
            (
                "fr",
                "She said \u{ab}\u{202f}it\u{2019}s \u{2039}\u{202f}fine\u{202f}\u{203a}\u{202f}\u{bb} \u{2013} and \
                 \u{201c}left\u{201d} \u{2014} \u{2026}",
            ),
        ] {
            assert_eq!(shown(text, language), expected, "{language}");
        }
        assert_eq!(shown("`\"a\" -- b...`", "de"), "\"a\" -- b...");
        assert_eq!(
            shown("the '90s and rock 'n' roll's", "en")
                .matches('\'')
                .count(),
            0
        );
    }
}
