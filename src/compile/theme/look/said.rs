//! `[words]`: what a theme says itself, in its own language and in others.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::{LANGUAGE, Look, Reader, WORDS, Words};

impl Words {
    /// These words with some of them changed, by their keys.
    pub(in crate::compile::theme) fn with(
        &self,
        changed: &BTreeMap<&'static str, String>,
    ) -> Words {
        let mut words = self.clone();
        for (name, place) in WORDS {
            if let Some(text) = changed.get(name) {
                place(&mut words).clone_from(text);
            }
        }
        words
    }

    /// Those that stand in none of `known`, by their keys.
    pub(in crate::compile::theme) fn unlike(
        &self,
        known: &[Words],
    ) -> BTreeMap<&'static str, String> {
        let word = |words: &Words, place: fn(&mut Words) -> &mut String| {
            let mut words = words.clone();
            std::mem::take(place(&mut words))
        };
        let each = WORDS
            .iter()
            .map(|(name, place)| (*name, word(self, *place), *place));
        let own =
            each.filter(|(_, text, place)| known.iter().all(|other| word(other, *place) != *text));
        own.map(|(name, text, _)| (name, text)).collect()
    }

    /// Their keys.
    pub(in crate::compile::theme) fn keys() -> Vec<&'static str> {
        WORDS.iter().map(|(name, _)| *name).collect()
    }
}

impl Reader<'_> {
    pub(super) fn words(&mut self, table: &DeTable<'_>, look: &mut Look) {
        let mut known: Vec<&str> = WORDS.iter().map(|(name, _)| *name).collect();
        let words = known.clone();
        known.push(LANGUAGE);
        for (key, value) in table {
            let name: &str = key.get_ref();
            if let DeValue::Table(inner) = value.get_ref()
                && !known.contains(&name)
            {
                self.known(inner, "a word of a theme", &words);
                let language = look
                    .translated
                    .entry(name.to_ascii_lowercase())
                    .or_default();
                for (name, _) in WORDS {
                    if let Some(DeValue::String(text)) =
                        inner.get(name).map(|value| value.get_ref())
                    {
                        language.insert(name, text.clone().into_owned());
                    }
                }
                known.push(name);
            }
        }
        if let Some(DeValue::String(language)) = table.get(LANGUAGE).map(|value| value.get_ref()) {
            look.language = language.clone().into_owned();
        }
        self.known(table, "a word of a theme", &known);
        let words = &mut look.words;
        // Whoever misspelt one lacks another; telling both helps nobody.
        let complete = self.found.is_empty();
        for (name, place) in WORDS {
            match table.get(name).map(|value| (value.span(), value.get_ref())) {
                Some((_, DeValue::String(text))) => *place(words) = text.clone().into_owned(),
                Some((span, _)) => self.tell(span, format!("`{name}` must be a text"), None),
                None if complete => {
                    let at = self.source.text.find("[words]").unwrap_or(0);
                    self.tell(at..at + 7, format!("`[words]` lacks `{name}`"), None);
                }
                None => {}
            }
        }
    }
}
