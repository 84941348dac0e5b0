//! The words that every theme needs, by language.
//!
//! Promises: each language that is here has all of them; a language of a place (`de-AT`) is its language.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::compile::theme::look::Words;

/// The language of everything that says no other.
pub(super) const ENGLISH: &str = "en";

#[derive(Deserialize)]
struct Table {
    #[serde(flatten)]
    words: Words,
    subscribe: String,
    issues: String,
}

fn tables() -> &'static BTreeMap<String, Table> {
    static TABLES: OnceLock<BTreeMap<String, Table>> = OnceLock::new();
    TABLES.get_or_init(|| {
        toml::from_str(include_str!("words.toml")).expect("a test reads the words of this build")
    })
}

#[derive(Deserialize)]
struct Shipped {
    words: Words,
}

/// The English that comes along: what every theme has, and what the themes of this build say instead.
pub(super) fn shipped() -> &'static [Words] {
    static SHIPPED: OnceLock<Vec<Words>> = OnceLock::new();
    SHIPPED.get_or_init(|| {
        let themes = [
            include_str!("../../../emails/themes/digest/theme.toml"),
            include_str!("../../../emails/themes/letter/theme.toml"),
            include_str!("../../../emails/themes/magazine/theme.toml"),
        ];
        let read = |text| toml::from_str::<Shipped>(text).expect("a theme of this build");
        let own = themes.map(|text| read(text).words);
        let english = tables()[ENGLISH].words.clone();
        own.into_iter().chain([english]).collect()
    })
}

/// The language itself of a BCP 47 tag, in small letters.
pub(super) fn primary(language: &str) -> String {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    primary.to_ascii_lowercase()
}

/// The words of a language, where they are known.
pub(super) fn of(language: &str) -> Option<&'static Words> {
    tables().get(&primary(language)).map(|table| &table.words)
}

/// What the ways from an issue's public page are called in its language: to subscribe, all issues. English where the
/// language is not known.
pub fn ways(language: &str) -> (&'static str, &'static str) {
    let known = tables().get(&primary(language));
    let english = || &tables()[ENGLISH];
    let table = known.unwrap_or_else(english);
    (&table.subscribe, &table.issues)
}

#[cfg(test)]
mod tests {
    use super::{ENGLISH, of, shipped, tables, ways};

    #[test]
    fn every_language_has_every_word() {
        assert!(tables().contains_key(ENGLISH));
        assert_eq!(shipped().len(), 4);
        assert_eq!(
            of("de-AT").map(|words| words.notes.as_str()),
            Some("Anmerkungen")
        );
        assert_eq!(of("DE").map(|words| words.until.as_str()), Some("Bis"));
        assert!(of("tlh").is_none());
        assert_eq!(ways("fr"), ("S’abonner", "Tous les numéros"));
        assert_eq!(ways(""), ("Subscribe", "All issues"));
    }
}
