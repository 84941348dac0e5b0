//! From tokens to a filter: `not` binds closest, then `and`, then `or`.

mod values;

use jiff::civil::Date;

use crate::clock::Timestamp;
use crate::diagnostic::nearest;
use crate::schedule;
use crate::segment::lexer::{self, Kind, Sign, Token, tokens};
use crate::segment::parser::values::{example, iso, issues};
use crate::segment::{
    DEPTH_LIMIT, Filter, Frequency, Given, ISSUES_LIMIT, LENGTH_LIMIT, Order, SegmentError,
    TESTS_LIMIT, Test,
};
use crate::subscriber::field::FieldKind;
use crate::subscriber::tag::Tag;

/// What may stand before a colon, or before a comparison.
pub(super) const KEYS: [&str; 11] = [
    "tag",
    "field",
    "joined",
    "sent",
    "opened",
    "clicked",
    "inactive",
    "source",
    "list",
    "domain",
    "frequency",
];
/// Words that join.
pub(super) const JOINTS: [&str; 3] = ["and", "or", "not"];

/// Reads `text`: an expression, or the name of a declared segment.
pub fn parse(text: &str, given: &Given<'_>) -> Result<Filter, SegmentError> {
    if text.len() > LENGTH_LIMIT {
        let message = format!(
            "the expression has {} octets; at most {LENGTH_LIMIT} are read",
            text.len()
        );
        return Err(lexer::error(text, 0, 1, message));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser {
        text,
        given,
        rest: &tokens,
        tests: 0,
    };
    let filter = parser.any(0)?;
    match parser.rest.first() {
        None => Ok(filter),
        Some(token) => {
            let message = match token.kind {
                Kind::Close => "this `)` closes nothing".to_owned(),
                _ => format!("`{}` follows without a word that joins", token.kind.shown()),
            };
            Err(parser.wrong(token, message, "join two tests with `and` or `or`"))
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    given: &'a Given<'a>,
    rest: &'a [Token],
    /// Tests read so far.
    tests: usize,
}

type Parsed = Result<Filter, SegmentError>;

impl<'a> Parser<'a> {
    fn any(&mut self, depth: usize) -> Parsed {
        let mut parts = vec![self.all(depth)?];
        while self.joined_by("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Filter::Any))
    }

    fn all(&mut self, depth: usize) -> Parsed {
        let mut parts = vec![self.negated(depth)?];
        while self.joined_by("and") {
            parts.push(self.negated(depth)?);
        }
        Ok(one_or(parts, Filter::All))
    }

    fn negated(&mut self, depth: usize) -> Parsed {
        if !self.joined_by("not") {
            return self.single(depth);
        }
        self.deeper(depth)?;
        Ok(Filter::Not(Box::new(self.negated(depth + 1)?)))
    }

    fn single(&mut self, depth: usize) -> Parsed {
        let Some(token) = self.next() else {
            let message = match self.text.trim().is_empty() {
                true => "nothing is said",
                false => "a test is missing at the end",
            };
            let help = "write one such as `tag:paid`, `opened:last-3` or `joined > 2026-01-01`";
            return Err(self.wrong_at(self.text.len(), 1, message, help));
        };
        match &token.kind {
            Kind::Open => {
                self.deeper(depth)?;
                let inner = self.any(depth + 1)?;
                match self.next() {
                    Some(Token {
                        kind: Kind::Close, ..
                    }) => Ok(inner),
                    Some(other) => {
                        let message = format!("`)` is missing before `{}`", other.kind.shown());
                        Err(self.wrong(other, message, "join two tests with `and` or `or`"))
                    }
                    None => Err(self.wrong(token, "this `(` is never closed", "add `)`")),
                }
            }
            Kind::Word(word) => self.word(token, word, depth),
            other => {
                let message = format!("`{}` stands where a test is expected", other.shown());
                let help = "write one such as `tag:paid`, `opened:last-3` or `joined > 2026-01-01`";
                Err(self.wrong(token, message, help))
            }
        }
    }

    fn word(&mut self, token: &'a Token, word: &'a str, depth: usize) -> Parsed {
        let Some((key, value)) = word.split_once(':') else {
            return match word {
                "joined" => self.joined(token),
                _ if JOINTS.contains(&word.to_ascii_lowercase().as_str()) => {
                    let message = format!("`{word}` stands where a test is expected");
                    Err(self.wrong(token, message, "put a test on each side of it"))
                }
                _ => self.named(token, word, depth),
            };
        };
        let at = token.start + key.len() + 1;
        let value = match self.rest.first() {
            // `tag:"a b"`: the text follows without a blank.
            Some(Token {
                kind: Kind::Quoted(text),
                start,
                ..
            }) if value.is_empty() && *start == token.end => {
                self.rest = &self.rest[1..];
                text.as_str()
            }
            _ => value,
        };
        if KEYS.contains(&key) && value.trim().is_empty() {
            let message = format!("`{key}:` says nothing");
            return Err(self.wrong(token, message, example(key)));
        }
        self.count(token, 1)?;
        let test = match key {
            "tag" => match Tag::parse(value) {
                Ok(tag) => Test::Tag(tag.to_string()),
                Err(error) => {
                    let help = Tag::named(value);
                    let help =
                        help.map_or(String::new(), |tag| format!("did you mean `tag:{tag}`?"));
                    return Err(self.wrong_at(at, value.len(), error.to_string(), help));
                }
            },
            "field" => return self.field(token, at, value),
            "joined" => Test::JoinedWithin(self.days(at, value)?),
            "sent" => Test::Sent(self.of(at, value)?),
            "opened" => Test::Opened(self.of(at, value)?),
            "clicked" => Test::Clicked(self.of(at, value)?),
            "inactive" => match issues(value) {
                Some(number) => Test::Inactive(number),
                None => {
                    let message = format!("`{value}` is no number of issues");
                    let help = format!("expected 1 to {ISSUES_LIMIT}, such as `inactive:8`");
                    return Err(self.wrong_at(at, value.len(), message, help));
                }
            },
            "source" => Test::Source(value.to_owned()),
            "list" => Test::List(self.slug(at, value)?),
            "domain" => Test::Domain(self.domain(at, value)?),
            "frequency" => match value {
                "every" => Test::Frequency(Frequency::Every),
                "monthly" => Test::Frequency(Frequency::Monthly),
                _ => {
                    let message = format!("`{value}` is no frequency");
                    return Err(self.wrong_at(
                        at,
                        value.len(),
                        message,
                        "expected `every` or `monthly`",
                    ));
                }
            },
            unknown => {
                let message = format!("there is no test `{unknown}:`");
                let help = match nearest(unknown, KEYS) {
                    Some(meant) => format!("did you mean `{meant}:`?"),
                    None => format!("there are `{}:`", KEYS.join(":`, `")),
                };
                return Err(self.wrong_at(token.start, key.len(), message, help));
            }
        };
        Ok(Filter::Is(test))
    }

    /// A declared segment by its name.
    fn named(&mut self, token: &Token, word: &str, depth: usize) -> Parsed {
        let named = self.given.named;
        if let Some(filter) = named.get(word) {
            self.count(token, filter.tests().len())?;
            if depth + deep(filter) > DEPTH_LIMIT {
                return Err(self.too_deep(token));
            }
            return Ok(filter.clone());
        }
        let message = format!("no segment is named `{word}`");
        let help = if let Some(meant) = nearest(word, named.names()) {
            format!("did you mean `{meant}`?")
        } else if KEYS.contains(&word) {
            example(word)
        } else if self.given.fields.kind(word).is_some() {
            format!("a field is asked for as `field:{word}`")
        } else {
            let declared: Vec<&str> = named.names().collect();
            match declared.as_slice() {
                [] => "`segments.toml` declares them; a test is such as `tag:paid`".to_owned(),
                names => format!("`segments.toml` declares `{}`", names.join("`, `")),
            }
        };
        Err(self.wrong(token, message, help))
    }

    /// `joined > 2026-01-01`, by the days of the publication's zone.
    fn joined(&mut self, token: &Token) -> Parsed {
        let Some(sign) = self.sign() else {
            return Err(self.wrong(
                token,
                "`joined` is compared with nothing",
                example("joined"),
            ));
        };
        self.count(token, 1)?;
        let (place, value) = self.value()?;
        let day: Option<Date> = iso(&value);
        let Some(day) = day else {
            let message = format!("`{value}` is no day");
            let help = "expected one such as `2026-01-31`";
            return Err(self.wrong(place, message, help));
        };
        let begins = self.begins(day);
        let ends = day.tomorrow().ok().map_or(begins, |next| self.begins(next));
        let joined = |from: Option<Timestamp>, before: Option<Timestamp>| {
            Filter::Is(Test::Joined { from, before })
        };
        Ok(match sign {
            Sign::Equal => joined(Some(begins), Some(ends)),
            Sign::Unequal => Filter::Not(Box::new(joined(Some(begins), Some(ends)))),
            Sign::Less => joined(None, Some(begins)),
            Sign::AtMost => joined(None, Some(ends)),
            Sign::More => joined(Some(ends), None),
            Sign::AtLeast => joined(Some(begins), None),
        })
    }

    /// The first instant of a day where the publication is.
    fn begins(&self, day: Date) -> Timestamp {
        let midnight = day.at(0, 0, 0, 0);
        let here = schedule::in_zone(midnight, self.given.zone);
        here.or_else(|| schedule::in_zone(midnight, "UTC"))
            .unwrap_or(Timestamp(0))
    }

    /// `field:NAME`, alone or compared with a value of its type.
    fn field(&mut self, token: &Token, at: usize, name: &str) -> Parsed {
        let fields = self.given.fields;
        let Some(kind) = fields.kind(name) else {
            let message = format!("no field is named `{name}`");
            let known: Vec<&str> = fields.names().collect();
            let help = match (nearest(name, fields.names()), known.as_slice()) {
                (Some(meant), _) => format!("did you mean `{meant}`?"),
                (None, []) => "`fields.toml` declares none".to_owned(),
                (None, names) => format!("`fields.toml` declares `{}`", names.join("`, `")),
            };
            return Err(self.wrong_at(at, name.len(), message, help));
        };
        let name = name.to_owned();
        let signed = self.rest.first();
        let Some(sign) = self.sign() else {
            return Ok(Filter::Is(match kind {
                FieldKind::Bool => Test::Bool(name, true),
                _ => Test::Has(name),
            }));
        };
        let (place, text) = self.value()?;
        let value = fields.value(&name, &text);
        let wanted = || format!("`{name}` takes {kind}");
        let value = match value {
            Ok(Some(value)) => value,
            Ok(None) => {
                let help = format!("`not field:{name}` asks for readers who have none");
                return Err(self.wrong(place, wanted(), help));
            }
            Err(_) => {
                let message = format!("`{text}` is no value of `{name}`");
                return Err(self.wrong(place, message, wanted()));
            }
        };
        let ordered = matches!(kind, FieldKind::Number | FieldKind::Date);
        let (order, not) = match sign {
            Sign::Equal => (Order::Equal, false),
            Sign::Unequal => (Order::Equal, true),
            _ if !ordered => {
                let message = format!("`{}` does not fit {kind}", sign.written());
                let help = format!("`{name}` is compared with `=` and `!=`");
                return Err(self.wrong(signed.unwrap_or(token), message, help));
            }
            Sign::Less => (Order::Less, false),
            Sign::AtMost => (Order::AtMost, false),
            Sign::More => (Order::More, false),
            Sign::AtLeast => (Order::AtLeast, false),
        };
        let test = match (kind, value) {
            (FieldKind::Number, serde_json::Value::Number(number)) => {
                Test::Number(name, order, number)
            }
            (FieldKind::Date, serde_json::Value::String(day)) => Test::Date(name, order, day),
            (FieldKind::Bool, serde_json::Value::Bool(yes)) => Test::Bool(name, yes),
            (_, serde_json::Value::String(text)) => Test::Text(name, text),
            (_, other) => Test::Text(name, other.to_string()),
        };
        Ok(match not {
            true => Filter::Not(Box::new(Filter::Is(test))),
            false => Filter::Is(test),
        })
    }

    /// The value that a comparison is made with.
    fn value(&mut self) -> Result<(&'a Token, String), SegmentError> {
        let help = "a text of several words stands in quotes";
        match self.next() {
            Some(
                token @ Token {
                    kind: Kind::Word(text) | Kind::Quoted(text),
                    ..
                },
            ) => Ok((token, text.clone())),
            Some(other) => {
                let message = format!("`{}` stands where a value is expected", other.kind.shown());
                Err(self.wrong(other, message, help))
            }
            None => Err(self.wrong_at(self.text.len(), 1, "the value is missing", help)),
        }
    }

    fn sign(&mut self) -> Option<Sign> {
        match self.rest.first()?.kind {
            Kind::Sign(sign) => {
                self.rest = &self.rest[1..];
                Some(sign)
            }
            _ => None,
        }
    }

    fn joined_by(&mut self, joint: &str) -> bool {
        let found = matches!(
            self.rest.first(),
            Some(Token { kind: Kind::Word(word), .. }) if word.eq_ignore_ascii_case(joint)
        );
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn count(&mut self, token: &Token, tests: usize) -> Result<(), SegmentError> {
        self.tests += tests;
        if self.tests <= TESTS_LIMIT {
            return Ok(());
        }
        let message = format!("more than {TESTS_LIMIT} tests stand in the expression");
        Err(self.wrong(token, message, "those of named segments count, too"))
    }

    fn deeper(&self, depth: usize) -> Result<(), SegmentError> {
        if depth < DEPTH_LIMIT {
            return Ok(());
        }
        let here = self.rest.first();
        Err(match here {
            Some(token) => self.too_deep(token),
            None => self.wrong_at(self.text.len(), 1, "it is nested too deep", ""),
        })
    }

    fn too_deep(&self, token: &Token) -> SegmentError {
        let help = format!("at most {DEPTH_LIMIT} parentheses and `not` stand within each other");
        self.wrong(token, "it is nested too deep", help)
    }

    fn wrong(
        &self,
        token: &Token,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> SegmentError {
        self.wrong_at(token.start, token.end - token.start, message, help)
    }

    fn wrong_at(
        &self,
        at: usize,
        length: usize,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> SegmentError {
        let help = help.into();
        let mut error = lexer::error(self.text, at, length, message);
        error.help = (!help.is_empty()).then_some(help);
        error
    }
}

/// How deep a filter goes.
fn deep(filter: &Filter) -> usize {
    match filter {
        Filter::All(parts) | Filter::Any(parts) => {
            1 + parts.iter().map(deep).max().unwrap_or_default()
        }
        Filter::Not(inner) => 1 + deep(inner),
        Filter::Is(_) => 0,
    }
}

fn one_or(mut parts: Vec<Filter>, several: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.len() {
        1 => parts.remove(0),
        _ => several(parts),
    }
}

#[cfg(test)]
mod tests;
