//! Custom fields: declared with a type in `emails/fields.toml`, then held by readers.
//!
//! Promises: a value that is kept has its field's type; an undeclared field is never kept. `email` and
//! `name` are built in and cannot be declared again.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::subscriber::clean;

/// Longest text in a field, in characters.
const TEXT_LIMIT: usize = 1_000;
/// Fields at most: each is asked for every reader of an import.
const FIELDS_LIMIT: usize = 64;
/// Names that every reader has anyway.
pub const BUILT_IN: [&str; 2] = ["email", "name"];
/// What the column of a file is called that says how readers stand.
pub const STANDING: &str = "standing";
/// Names that stand for pages of ours in an issue.
const PAGES: [&str; 5] = [
    "unsubscribe_url",
    "preferences_url",
    "view_url",
    "confirm_url",
    "share_url",
];

/// What a field may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// One line.
    Text,
    /// A whole number or a decimal fraction with a point.
    Number,
    /// A day as `2026-07-31`.
    Date,
    Bool,
}

/// The declared fields by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldTable(BTreeMap<String, Declaration>);

/// Why a declaration or a value is not taken; the sentence ends a line such as "row 7: ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    #[error("line {line}: {message}")]
    Syntax {
        /// Octets from the start of the text.
        offset: usize,
        line: usize,
        message: String,
    },
    #[error("`{0}` is built in and cannot be declared; choose another name")]
    BuiltIn(String),
    #[error(
        "`{0}` cannot name a field; it takes a lower-case letter, then letters, digits and `_`"
    )]
    BadName(String),
    #[error("more than {FIELDS_LIMIT} fields are declared")]
    TooMany,
    #[error("`{0}` is not declared; add `[fields.{0}]` to `fields.toml`")]
    Unknown(String),
    #[error("`{name}` takes {kind}")]
    BadValue { name: String, kind: FieldKind },
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FieldKind::Text => "a text",
            FieldKind::Number => "a number such as `3` or `3.5`",
            FieldKind::Date => "a date such as `2026-07-31`",
            FieldKind::Bool => "`true` or `false`",
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    fields: BTreeMap<String, Declaration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    r#type: FieldKind,
    /// The operator vouches that every reader has it, so that a slot needs no default.
    #[serde(default)]
    required: bool,
}

impl FieldTable {
    /// Parses the text of `fields.toml`: `[fields.first_name]` with `type = "text"` and, where no
    /// reader may lack it, `required = true`.
    pub fn parse(text: &str) -> Result<FieldTable, FieldError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            FieldError::Syntax {
                offset: start,
                line: text.as_bytes()[..start]
                    .iter()
                    .filter(|&&b| b == b'\n')
                    .count()
                    + 1,
                message: error.message().replace('\n', "; "),
            }
        })?;
        if file.fields.len() > FIELDS_LIMIT {
            return Err(FieldError::TooMany);
        }
        let mut table = BTreeMap::new();
        for (name, declaration) in file.fields {
            let ours = [&BUILT_IN[..], &PAGES, &[STANDING]].concat();
            if ours.contains(&name.as_str()) {
                return Err(FieldError::BuiltIn(name));
            }
            let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
            if !first || name.len() > 64 || !name.bytes().all(fine) {
                return Err(FieldError::BadName(name));
            }
            table.insert(name, declaration);
        }
        Ok(FieldTable(table))
    }

    /// The type of the field `name`, if it is declared.
    pub fn kind(&self, name: &str) -> Option<FieldKind> {
        self.0.get(name).map(|declaration| declaration.r#type)
    }

    /// Whether no reader may lack the field `name`, by the declaration.
    pub fn required(&self, name: &str) -> bool {
        let declaration = self.0.get(name);
        declaration.is_some_and(|declaration| declaration.required)
    }

    /// How many characters of a text the field `name` keeps; none where it takes no text.
    pub fn keeps(&self, name: &str) -> Option<usize> {
        (self.kind(name) == Some(FieldKind::Text)).then_some(TEXT_LIMIT)
    }

    /// The declared names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Reads `text` as a value of the field `name`; none when it is blank.
    pub fn value(&self, name: &str, text: &str) -> Result<Option<Value>, FieldError> {
        let kind = self.kind(name);
        let kind = kind.ok_or_else(|| FieldError::Unknown(name.to_owned()))?;
        let text = clean(text, TEXT_LIMIT);
        if text.is_empty() {
            return Ok(None);
        }
        let value = match kind {
            FieldKind::Text => Some(Value::String(text)),
            FieldKind::Number => number(&text).map(Value::Number),
            FieldKind::Date => text
                .parse::<jiff::civil::Date>()
                .ok()
                // jiff also takes other ISO 8601 spellings, and a time behind the day.
                .filter(|date| date.to_string() == text)
                .map(|date| Value::String(date.to_string())),
            FieldKind::Bool => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Some(Value::Bool(true)),
                "false" | "no" | "0" => Some(Value::Bool(false)),
                _ => None,
            },
        };
        let name = name.to_owned();
        value.map(Some).ok_or(FieldError::BadValue { name, kind })
    }
}

/// One reader's values by field: what stands in the database as one JSON object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields(pub BTreeMap<String, Value>);

impl Fields {
    /// Reads the JSON object of the database; anything else is no field at all.
    pub fn from_json(text: &str) -> Fields {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The JSON object for the database.
    pub fn to_json(&self) -> String {
        if self.0.is_empty() {
            return "{}".to_owned();
        }
        serde_json::to_string(&self.0).expect("text, numbers and booleans are JSON")
    }

    /// The value of `name` as a text: what a merge slot shows, and what an export writes.
    pub fn text(&self, name: &str) -> Option<String> {
        Some(match self.0.get(name)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// Takes every value of `newer` over the ones held; whether anything changed.
    pub fn merge(&mut self, newer: &Fields) -> bool {
        let mut changed = false;
        for (name, value) in &newer.0 {
            if self.0.get(name) != Some(value) {
                self.0.insert(name.clone(), value.clone());
                changed = true;
            }
        }
        changed
    }
}

fn number(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    // A whole number that would not come out as it went in is none.
    let digits = text.trim_start_matches(['+', '-']);
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // `inf`, `nan` and hexadecimal are no numbers that a person writes into a column.
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let number = text.parse::<f64>().ok().filter(|_| plain)?;
    Number::from_f64(number)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{FieldError, FieldTable, Fields};

    fn table() -> FieldTable {
        let text = "[fields.city]\ntype = \"text\"\n[fields.issues]\ntype = \"number\"\n\
                    [fields.born]\ntype = \"date\"\n[fields.paid]\ntype = \"bool\"\n";
        FieldTable::parse(text).expect("four declarations")
    }

    #[test]
    fn a_value_has_the_type_of_its_field() {
        let table = table();
        for (name, text, value) in [
            ("city", " Zürich\n8001 ", json!("Zürich 8001")),
            ("issues", "007", json!(7)),
            ("issues", "-3.5", json!(-3.5)),
            ("born", "1815-12-10", json!("1815-12-10")),
            ("paid", "Yes", json!(true)),
            ("paid", "0", json!(false)),
        ] {
            assert_eq!(table.value(name, text), Ok(Some(value)), "{name} {text}");
        }
        assert_eq!(table.value("issues", "  "), Ok(None));
    }

    #[test]
    fn a_value_of_another_type_is_refused_with_what_was_expected() {
        let table = table();
        for (name, text, expected) in [
            (
                "issues",
                "1,5",
                "`issues` takes a number such as `3` or `3.5`",
            ),
            (
                "issues",
                "inf",
                "`issues` takes a number such as `3` or `3.5`",
            ),
            (
                "born",
                "10.12.1815",
                "`born` takes a date such as `2026-07-31`",
            ),
            (
                "born",
                "2026-02-30",
                "`born` takes a date such as `2026-07-31`",
            ),
            ("paid", "maybe", "`paid` takes `true` or `false`"),
            (
                "town",
                "x",
                "`town` is not declared; add `[fields.town]` to `fields.toml`",
            ),
        ] {
            let error = table.value(name, text).expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_declaration_is_refused_by_line_and_name() {
        let unknown =
            FieldTable::parse("[fields.a]\ntype = \"text\"\n[fields.b]\ntype = \"colour\"\n");
        assert!(
            matches!(unknown, Err(FieldError::Syntax { line: 4, .. })),
            "{unknown:?}"
        );
        let built_in = FieldTable::parse("[fields.email]\ntype = \"text\"\n");
        assert_eq!(built_in, Err(FieldError::BuiltIn("email".into())));
        let name = FieldTable::parse("[fields.First]\ntype = \"text\"\n");
        assert_eq!(name, Err(FieldError::BadName("First".into())));
        assert_eq!(FieldTable::parse(""), Ok(FieldTable::default()));
    }

    #[test]
    fn newer_values_win_and_others_stay() {
        let mut held = Fields::from_json(r#"{"city":"Bern","issues":3}"#);
        let newer = Fields::from_json(r#"{"city":"Basel"}"#);
        assert!(held.merge(&newer));
        assert!(!held.merge(&newer));
        assert_eq!(held.text("city").as_deref(), Some("Basel"));
        assert_eq!(held.text("issues").as_deref(), Some("3"));
        assert_eq!(Fields::from_json("no json").0.len(), 0);
        assert_eq!(held.0.get("paid"), None::<&Value>);
    }
}
