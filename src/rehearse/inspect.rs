//! What may be wrong with one reader's values in one issue.
//!
//! Promises: pure; looks only at values that this issue uses.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::compile::escape::one_line;
use crate::compile::notation::Notation;
use crate::compile::{Compiled, Context, HTML_LIMIT, Segment, Slot, Template};
use crate::message::copy::CopyRecord;
use crate::rehearse::Kind;
use crate::terminal::plain;

/// Characters of a subject and of a value within it beyond which `message` cuts.
const SUBJECT: usize = 200;
const SUBJECT_VALUE: usize = 100;
/// A name or a text as people have them.
const LONG: usize = 80;

/// The values of one copy by field, `name` and `email` among them.
pub(super) struct Value<'a>(BTreeMap<&'a str, &'a str>);

impl Value<'_> {
    pub(super) fn of(copy: &CopyRecord) -> Value<'_> {
        let mut values: BTreeMap<&str, &str> = copy
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        values.insert("email", copy.to.as_str());
        values.insert("name", &copy.name);
        Value(values)
    }

    /// The value, empty where there is none.
    fn get(&self, name: &str) -> &str {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// A slot of the HTML part.
#[derive(Debug)]
struct Field {
    name: String,
    default: String,
    context: Context,
    notation: Option<Notation>,
}

/// Where an issue uses which fields.
#[derive(Debug)]
pub(super) struct Inspector {
    /// Fields with a slot that has no default.
    bare: Vec<String>,
    /// Fields that land in a header; the name always does.
    header: Vec<String>,
    /// All fields that are used, but for the address.
    used: Vec<String>,
    subject: Template,
    /// The fields of the HTML part, as often as they stand there.
    html: Vec<Field>,
    /// Octets of the HTML without any field.
    html_base: usize,
}

impl Inspector {
    /// `written` is the author's text: a slot with an empty default of its own (`[[name|]]`) is meant to
    /// show nothing, one without any is not.
    pub(super) fn new(compiled: &Compiled, written: &str, public_url: &str) -> Inspector {
        let mut inspector = Inspector {
            bare: Vec::new(),
            header: vec!["name".to_owned()],
            used: vec!["name".to_owned()],
            subject: compiled.subject.clone(),
            html: Vec::new(),
            html_base: 0,
        };
        let add = |to: &mut Vec<String>, name: &String| {
            if !to.contains(name) {
                to.push(name.clone());
            }
        };
        let parts = [&compiled.subject, &compiled.html, &compiled.text];
        for (index, part) in parts.into_iter().enumerate() {
            for slot in part.slots() {
                let Slot::Field {
                    name,
                    default,
                    context,
                    notation,
                } = slot
                else {
                    continue;
                };
                if one_line(default).is_empty() && has_bare_slot(written, name) {
                    add(&mut inspector.bare, name);
                }
                if index == 0 {
                    add(&mut inspector.header, name);
                }
                if index == 1 {
                    inspector.html.push(Field {
                        name: name.clone(),
                        default: default.clone(),
                        context: *context,
                        notation: notation.clone(),
                    });
                }
                if name != "email" {
                    add(&mut inspector.used, name);
                }
            }
        }
        let field = |segment: &Segment| matches!(segment, Segment::Slot(Slot::Field { .. }));
        let mut shared = compiled.clone();
        shared.html.0.retain(|segment| !field(segment));
        inspector.html_base = shared.html_size_estimate(public_url);
        inspector
    }

    /// Tells each finding as kind, field and words.
    pub(super) fn look(&self, values: &Value<'_>, tell: &mut impl FnMut(Kind, &str, String)) {
        for name in &self.header {
            let value = values.get(name);
            if let Some(control) = value.chars().find(|c| c.is_control()) {
                let code = u32::from(control);
                let detail = format!(
                    "the control character U+{code:04X} stands in `{}`",
                    short(value)
                );
                tell(Kind::HeaderInjection, name, detail);
            }
        }
        for name in &self.bare {
            if one_line(values.get(name)).is_empty() {
                let detail = "no value, and the slot has no default".to_owned();
                tell(Kind::MissingValue, name, detail);
            }
        }
        self.subject(values, tell);
        self.size(values, tell);
        // The name, which often is made of another field, comes last and tells nothing twice.
        let last = |name: &&String| name.as_str() == "name";
        let others = self.used.iter().filter(|name| !last(name));
        let mut said: Vec<String> = Vec::new();
        for name in others.chain(self.used.iter().filter(last)) {
            let value = one_line(values.get(name));
            if value.is_empty() {
                continue;
            }
            if name == "name" && said.iter().any(|said| value.contains(said.as_str())) {
                continue;
            }
            if is_leftover(&value) {
                said.push(value.to_string());
                let detail = format!("`{}` is a mark of a template", short(&value));
                tell(Kind::Leftover, name, detail);
            } else if let Some(why) = suspicion(&value).or_else(|| spelling(name, &value)) {
                said.push(value.to_string());
                tell(Kind::Suspicious, name, format!("`{}` {why}", short(&value)));
            }
        }
    }

    fn subject(&self, values: &Value<'_>, tell: &mut impl FnMut(Kind, &str, String)) {
        let mut count = 0;
        let mut longest = ("", 0);
        for segment in &self.subject.0 {
            match segment {
                Segment::Literal(text) => count += text.chars().count(),
                Segment::Slot(Slot::Field {
                    name,
                    default,
                    notation,
                    ..
                }) => {
                    let value = one_line(values.get(name));
                    let shown = match value.is_empty() {
                        true => Cow::Borrowed(default.as_str()),
                        false => written(notation.as_ref(), &value),
                    };
                    let length = shown.chars().count();
                    count += length;
                    if length > longest.1 {
                        longest = (name, length);
                    }
                }
                Segment::Slot(_) | Segment::Only(_) | Segment::End => {}
            }
        }
        if count > SUBJECT || longest.1 > SUBJECT_VALUE {
            let detail = format!(
                "the subject has {count} characters, {} of this value",
                longest.1
            );
            tell(Kind::OverlongSubject, longest.0, detail);
        }
    }

    fn size(&self, values: &Value<'_>, tell: &mut impl FnMut(Kind, &str, String)) {
        let mut size = self.html_base;
        let mut plain = self.html_base;
        let mut longest = ("", 0);
        for field in &self.html {
            let Field { name, context, .. } = field;
            let value = one_line(values.get(name));
            let default = context.escape(&field.default).len();
            let length = match value.is_empty() {
                true => default,
                false => {
                    let written = written(field.notation.as_ref(), &value);
                    context.escape(&written).len()
                }
            };
            size += length;
            plain += default;
            if length > longest.1 {
                longest = (name, length);
            }
        }
        // What is too large for everybody is a lint's.
        if size > HTML_LIMIT && plain <= HTML_LIMIT {
            let detail = format!("the HTML has {size} octets; Gmail cuts it off at {HTML_LIMIT}");
            tell(Kind::Oversize, longest.0, detail);
        }
    }
}

fn written<'a>(notation: Option<&Notation>, value: &'a str) -> Cow<'a, str> {
    notation.map_or(Cow::Borrowed(value), |notation| notation.write(value))
}

/// Whether `[[name]]` stands in a text, without a default.
fn has_bare_slot(text: &str, name: &str) -> bool {
    let mut slots = text.split("[[").skip(1);
    slots.any(|rest| {
        let inner = rest.split_once("]]").map(|(inner, _)| inner);
        inner.is_some_and(|inner| inner.trim() == name)
    })
}

fn is_leftover(value: &str) -> bool {
    let marks = ["[[", "]]", "{{", "}}", "{%", "*|", "|*", "<%", "%%"];
    let inner = value
        .strip_prefix('%')
        .and_then(|rest| rest.strip_suffix('%'));
    let capital = |octet: u8| octet.is_ascii_uppercase() || octet == b'_';
    let names = [
        "fname",
        "lname",
        "firstname",
        "first_name",
        "lastname",
        "last_name",
        "*fname*",
    ];
    names.contains(&value.to_lowercase().as_str())
        || marks.iter().any(|mark| value.contains(mark))
        || inner.is_some_and(|inner| inner.len() > 1 && inner.bytes().all(capital))
}

/// Why a value is hardly what a reader would be called or would have typed.
fn suspicion(value: &str) -> Option<&'static str> {
    let lower = value.to_lowercase();
    if lower.contains("://") || lower.starts_with("www.") {
        return Some("is an address of the web");
    }
    let mail = |word: &str| {
        word.split_once('@')
            .is_some_and(|(_, host)| host.contains('.'))
    };
    if lower.split_whitespace().any(mail) {
        return Some("is a mail address");
    }
    if lower.contains("</") || lower.contains("<script") {
        return Some("holds markup");
    }
    if ["null", "undefined", "none", "n/a", "nan", "test", "-", "."].contains(&lower.as_str()) {
        return Some("stands for nothing");
    }
    if value.chars().count() > LONG {
        return Some("is very long");
    }
    if is_misread(value) {
        return Some("was read in the wrong encoding");
    }
    if holds_entity(value) {
        return Some("holds an entity of HTML, which is shown as it stands");
    }
    None
}

/// Whether UTF-8 was read as Latin-1 or Windows-1252: `Z\u{c3}\u{bc}rich`.
fn is_misread(value: &str) -> bool {
    let mut pairs = value.chars().zip(value.chars().skip(1));
    pairs.any(|(one, two)| match one {
        '\u{c2}' | '\u{c3}' => ('\u{80}'..='\u{bf}').contains(&two),
        '\u{e2}' => matches!(two, '\u{20ac}' | '\u{80}'),
        _ => false,
    })
}

fn holds_entity(value: &str) -> bool {
    value.split('&').skip(1).any(|rest| {
        let name = rest.split_once(';').map_or("", |(name, _)| name);
        let (number, letters) = (name.strip_prefix('#'), (2..=8).contains(&name.len()));
        match number {
            Some(number) => {
                !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_alphanumeric())
            }
            None => letters && name.bytes().all(|octet| octet.is_ascii_alphabetic()),
        }
    })
}

/// Why a name is most likely not written as its owner writes it.
fn spelling(field: &str, value: &str) -> Option<&'static str> {
    if !["name", "first_name", "last_name"].contains(&field) {
        return None;
    }
    let letters = || {
        value
            .chars()
            .filter(|c| c.is_lowercase() || c.is_uppercase())
    };
    if letters().count() < 4 {
        return None;
    }
    if letters().all(char::is_uppercase) {
        return Some("is all in capitals");
    }
    letters()
        .all(char::is_lowercase)
        .then_some("is all in small letters")
}

/// The beginning of a value without control characters.
fn short(value: &str) -> String {
    let start: String = value.chars().take(40).collect();
    let dots = value.chars().nth(40).map_or("", |_| "...");
    plain(&start) + dots
}

#[cfg(test)]
mod tests {
    use super::{is_leftover, spelling, suspicion};

    #[test]
    fn values_that_were_spoilt_on_their_way_are_told() {
        for value in [
            "Z\u{c3}\u{bc}rich",
            "Ann &amp; Bob",
            "O&#39;Neil",
            "O&#x27;Neil",
            "It\u{e2}\u{20ac}\u{2122}s",
        ] {
            assert!(suspicion(value).is_some(), "{value}");
        }
        for value in [
            "S\u{c3}O PAULO",
            "Ann & Bob; Eve",
            "AT&T",
            "Z\u{fc}rich",
            "\u{e2}ge",
        ] {
            assert_eq!(suspicion(value), None, "{value}");
        }
        assert!(is_leftover("FNAME") && is_leftover("first_name") && !is_leftover("Fabian"));
        for (value, told) in [
            ("ADA LOVELACE", true),
            ("grace", true),
            ("Ada", false),
            ("JD", false),
            ("\u{674e}\u{96f7}", false),
        ] {
            assert_eq!(spelling("first_name", value).is_some(), told, "{value}");
        }
        assert_eq!(spelling("city", "ROME"), None);
    }

    #[test]
    fn values_that_people_have_are_not_suspicious() {
        for value in [
            "Ada",
            "Jean-Luc",
            "O'Neil",
            "Anna @ home",
            "100%",
            "\u{674e}\u{96f7}",
            "Null\u{ed}",
        ] {
            assert!(!is_leftover(value) && suspicion(value).is_none(), "{value}");
        }
        for value in ["[[first_name]]", "{{ name }}", "%FNAME%", "*|FNAME|*"] {
            assert!(is_leftover(value), "{value}");
        }
        for value in [
            "https://win.example",
            "a@b.example",
            "null",
            "N/A",
            "<b>x</b>",
        ] {
            assert!(suspicion(value).is_some(), "{value}");
        }
    }
}
