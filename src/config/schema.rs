//! Which keys there are: read from `deploy/pressrun.toml`, which is documentation and defaults in one.
//!
//! Promises: a key is known exactly when that file shows it; its kind is the kind of the value shown
//! there. Leaves meaning (is this port free?) to whoever uses the value.

use std::fmt;
use std::sync::OnceLock;

use toml::de::{DeTable, DeValue};

/// Every key with its default and a sentence.
pub(super) const REFERENCE: &str = include_str!("../../deploy/pressrun.toml");

/// Keys whose values are never shown, and which may come from a file of their own.
const SECRETS: [&str; 4] = [
    "database.url",
    "relay.*.password",
    "notify.webhook",
    "notify.webhook_secret",
];

/// The known keys, in the order of the reference file.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) keys: Vec<Key>,
}

/// One key of the reference file.
#[derive(Debug)]
pub(super) struct Key {
    /// Section and key, such as `http.public`; any relay is `relay.*`.
    pub(super) pattern: String,
    pub(super) default: Option<toml::Value>,
    /// The value shown in the reference file.
    pub(super) example: toml::Value,
    pub(super) required: bool,
    pub(super) secret: bool,
}

impl Schema {
    /// The schema of this build.
    pub(super) fn get() -> &'static Schema {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| {
            Schema::read(REFERENCE).expect("a test parses the reference file of this build")
        })
    }

    fn read(reference: &str) -> Result<Schema, toml::de::Error> {
        let mut shown = String::new();
        let mut required = Vec::new();
        for line in reference.lines() {
            let key = line.strip_prefix('#').filter(|rest| is_assignment(rest));
            if key.is_some() && line.ends_with("# required") {
                required.push(shown.len());
            }
            shown.push_str(key.unwrap_or(line));
            shown.push('\n');
        }
        let mut keys = Vec::new();
        for leaf in leaves(DeTable::parse(&shown)?.get_ref()) {
            keys.push(Key {
                secret: SECRETS.contains(&leaf.pattern.as_str()),
                required: required.contains(&leaf.start),
                default: None,
                pattern: leaf.pattern,
                example: leaf.value,
            });
        }
        for leaf in leaves(DeTable::parse(reference)?.get_ref()) {
            let key = keys.iter_mut().find(|key| key.pattern == leaf.pattern);
            key.expect("the reference file with more lines still holds the others")
                .default = Some(leaf.value);
        }
        Ok(Schema { keys })
    }

    /// The key that `path` is an instance of.
    pub(super) fn key(&self, path: &str) -> Option<&Key> {
        let pattern = pattern_of(path);
        self.keys.iter().find(|key| key.pattern == pattern)
    }

    /// Whether `path` names a section (and the empty path the whole file).
    pub(super) fn is_section(&self, path: &str) -> bool {
        path.is_empty() || self.children(path).next().is_some()
    }

    /// The names that may stand directly in the section `path`.
    pub(super) fn children(&self, path: &str) -> impl Iterator<Item = &str> {
        let prefix = match path {
            "" => String::new(),
            _ => format!("{}.", pattern_of(path)),
        };
        self.keys.iter().filter_map(move |key| {
            let rest = key.pattern.strip_prefix(prefix.as_str())?;
            rest.split('.').next()
        })
    }

    /// The known name nearest to `name` in the section `path`, if one is near.
    pub(super) fn nearest(&self, path: &str, name: &str) -> Option<&str> {
        nearest(name, self.children(path).filter(|known| *known != "*"))
    }
}

/// The known word nearest to `name`, if one is near.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |known: &str| strsim::damerau_levenshtein(known, name);
    let nearest = known.min_by_key(|known| distance(known))?;
    // A third of the letters may be wrong: more is another word.
    (distance(nearest) * 3 <= nearest.len().max(3)).then_some(nearest)
}

/// What a value is, in the reader's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Whole,
    Number,
    Switch,
    List,
    Other,
}

impl Kind {
    pub(super) fn of(value: &toml::Value) -> Kind {
        match value {
            toml::Value::String(_) => Kind::Text,
            toml::Value::Integer(_) => Kind::Whole,
            toml::Value::Float(_) => Kind::Number,
            toml::Value::Boolean(_) => Kind::Switch,
            toml::Value::Array(_) => Kind::List,
            toml::Value::Datetime(_) | toml::Value::Table(_) => Kind::Other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Text => "a text",
            Kind::Whole => "a whole number",
            Kind::Number => "a number",
            Kind::Switch => "`true` or `false`",
            Kind::List => "a list of texts",
            Kind::Other => "a date or a table",
        })
    }
}

/// `relay.main.url` as `relay.*.url`.
pub(super) fn pattern_of(path: &str) -> String {
    let mut parts: Vec<&str> = path.split('.').collect();
    if parts[0] == "relay" && parts.len() > 1 {
        parts[1] = "*";
    }
    parts.join(".")
}

struct Leaf {
    pattern: String,
    value: toml::Value,
    start: usize,
}

/// All keys of a document in the order of the text.
fn leaves(table: &DeTable<'_>) -> Vec<Leaf> {
    let mut found = Vec::new();
    walk(table, "", &mut found);
    found.sort_by_key(|leaf| leaf.start);
    found
}

fn walk(table: &DeTable<'_>, prefix: &str, found: &mut Vec<Leaf>) {
    for (key, value) in table {
        let path = join(prefix, key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => walk(inner, &path, found),
            leaf => found.push(Leaf {
                pattern: pattern_of(&path),
                value: plain(leaf),
                start: key.span().start,
            }),
        }
    }
}

/// `section.key`.
pub(super) fn join(prefix: &str, key: &str) -> String {
    match prefix {
        "" => key.to_owned(),
        _ => format!("{prefix}.{key}"),
    }
}

/// The value without its place in the text. A number that does not fit becomes a text, which no
/// numeric key accepts.
pub(super) fn plain(value: &DeValue<'_>) -> toml::Value {
    match value {
        DeValue::String(text) => toml::Value::String(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(
                |_| toml::Value::String(number.to_string()),
                toml::Value::Integer,
            ),
        DeValue::Float(number) => number.as_str().parse().map_or_else(
            |_| toml::Value::String(number.to_string()),
            toml::Value::Float,
        ),
        DeValue::Boolean(yes) => toml::Value::Boolean(*yes),
        DeValue::Datetime(when) => toml::Value::Datetime(*when),
        DeValue::Array(items) => {
            toml::Value::Array(items.iter().map(|item| plain(item.get_ref())).collect())
        }
        DeValue::Table(table) => {
            let pairs = table.iter();
            let pairs =
                pairs.map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref())));
            toml::Value::Table(pairs.collect())
        }
    }
}

/// Whether a comment is a key set aside (`#url = "..."`) and no sentence.
fn is_assignment(text: &str) -> bool {
    text.split_once(" = ").is_some_and(|(key, _)| {
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    })
}
