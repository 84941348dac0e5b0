//! The settings as a tree that serde reads the typed configuration from.
//!
//! Promises: an error knows the key it arose at, so that a person is sent to the right line.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::SeqDeserializer;
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::schema::nearest;

/// A section or a value.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Section(BTreeMap<String, Node<'a>>),
    Value(&'a toml::Value),
}

/// What serde did not accept, and under which key.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) path: Vec<String>,
    pub(super) message: String,
}

impl<'a> Node<'a> {
    /// Puts an empty section under `name`.
    pub(super) fn insert_section(&mut self, name: &str) {
        if let Node::Section(children) = self {
            children.insert(name.to_owned(), Node::Section(BTreeMap::new()));
        }
    }

    /// Puts `value` under the dotted `path`.
    pub(super) fn insert(&mut self, path: &str, value: &'a toml::Value) {
        if let Node::Section(children) = self {
            match path.split_once('.') {
                None => {
                    children.insert(path.to_owned(), Node::Value(value));
                }
                Some((section, rest)) => children
                    .entry(section.to_owned())
                    .or_insert_with(|| Node::Section(BTreeMap::new()))
                    .insert(rest, value),
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path.join("."), self.message)
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault {
            path: Vec::new(),
            message: message.to_string(),
        }
    }
}

impl<'de, 'a: 'de> Deserializer<'de> for &'a Node<'a> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Node::Section(children) => visitor.visit_map(Children {
                rest: children.iter(),
                held: None,
            }),
            Node::Value(toml::Value::String(text)) => visitor.visit_str(text),
            Node::Value(toml::Value::Integer(number)) => visitor.visit_i64(*number),
            Node::Value(toml::Value::Float(number)) => visitor.visit_f64(*number),
            Node::Value(toml::Value::Boolean(yes)) => visitor.visit_bool(*yes),
            Node::Value(toml::Value::Array(items)) => {
                let texts = items.iter().filter_map(toml::Value::as_str);
                visitor.visit_seq(SeqDeserializer::new(texts))
            }
            Node::Value(toml::Value::Datetime(_) | toml::Value::Table(_)) => {
                Err(Fault::custom("no key holds a date or a table"))
            }
        }
    }

    /// An empty text is "not set" for a key that may be absent.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Node::Value(toml::Value::String(text)) if text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self {
            Node::Value(toml::Value::String(text)) if !variants.contains(&text.as_str()) => {
                Err(Fault::custom(none_of(text, variants)))
            }
            Node::Value(toml::Value::String(text)) => {
                let text: serde::de::value::StrDeserializer<'_, Fault> =
                    text.as_str().into_deserializer();
                text.deserialize_enum(name, variants, visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// What is said of a word that is none of those a key takes.
fn none_of(text: &str, variants: &[&str]) -> String {
    let near = match nearest(text, variants.iter().copied()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    };
    format!("`{text}` is none of `{}`{near}", variants.join("`, `"))
}

impl<'de, 'a: 'de> IntoDeserializer<'de, Fault> for &'a Node<'a> {
    type Deserializer = &'a Node<'a>;

    fn into_deserializer(self) -> &'a Node<'a> {
        self
    }
}

struct Children<'a> {
    rest: std::collections::btree_map::Iter<'a, String, Node<'a>>,
    held: Option<(&'a String, &'a Node<'a>)>,
}

impl<'de, 'a: 'de> MapAccess<'de> for Children<'a> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.held = self.rest.next();
        let key = self.held.map(|(key, _)| {
            let text: serde::de::value::StrDeserializer<'_, Fault> =
                key.as_str().into_deserializer();
            seed.deserialize(text)
        });
        key.transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let (key, node) = self
            .held
            .take()
            .expect("serde asks for a key before its value");
        seed.deserialize(node).map_err(|mut fault| {
            fault.path.insert(0, key.clone());
            fault
        })
    }
}
