//! Why a reader leaves: a few answers to choose from, and room for a sentence.

use crate::subscriber::clean;

/// Longest sentence that is kept, in characters.
pub const WORDS_LIMIT: usize = 500;

/// What a reader may say on leaving; nobody is asked to say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    TooMuch,
    NotForMe,
    NeverAsked,
    Other,
}

impl Reason {
    /// All answers, in the order of the page.
    pub const ALL: [Reason; 4] = [
        Reason::TooMuch,
        Reason::NotForMe,
        Reason::NeverAsked,
        Reason::Other,
    ];

    /// The name in the form and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Reason::TooMuch => "too-much",
            Reason::NotForMe => "not-for-me",
            Reason::NeverAsked => "never-asked",
            Reason::Other => "other",
        }
    }

    /// What the page says.
    pub fn words(self) -> &'static str {
        match self {
            Reason::TooMuch => "Too many mails",
            Reason::NotForMe => "Not interesting to me any more",
            Reason::NeverAsked => "I never asked for it",
            Reason::Other => "Something else",
        }
    }

    /// The answer of this name.
    pub fn parse(name: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// The answer and the sentence of a form, cleaned; none when both are missing. A sentence alone is
/// [`Reason::Other`].
pub fn given(reason: &str, words: &str) -> Option<(Reason, String)> {
    let words = clean(words, WORDS_LIMIT);
    let reason = Reason::parse(reason).or((!words.is_empty()).then_some(Reason::Other))?;
    Some((reason, words))
}

#[cfg(test)]
mod tests {
    use super::{Reason, WORDS_LIMIT, given};

    #[test]
    fn only_known_answers_and_short_sentences_are_kept() {
        assert_eq!(given("", " \n "), None);
        assert_eq!(given("bored", ""), None);
        assert_eq!(
            given("bored", "So\nlong"),
            Some((Reason::Other, "So long".into()))
        );
        for reason in Reason::ALL {
            assert_eq!(given(reason.name(), ""), Some((reason, String::new())));
        }
        let (_, words) = given("other", &"é".repeat(2 * WORDS_LIMIT)).expect("a sentence");
        assert_eq!(words.chars().count(), WORDS_LIMIT);
    }
}
