//! Segments: which readers of a list, as an expression such as `tag:paid and not opened:last-3`.
//!
//! Promises: an expression is read into plain data before anything is asked of a database; what cannot be
//! meant is told by column, with what was expected. Size and depth are capped, so that no expression costs
//! more than a known number of looks. Leaves the asking to `store`, which binds every value.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::segment::named::Segments;
use crate::subscriber::field::FieldTable;

mod lexer;
pub mod named;
pub mod parser;

/// Longest expression, in octets.
pub const LENGTH_LIMIT: usize = 2_000;
/// Tests in one expression, those of named segments among them: each is one look for each reader.
pub const TESTS_LIMIT: usize = 48;
/// Parentheses, `not` and named segments within each other.
pub const DEPTH_LIMIT: usize = 16;
/// Issues that `last-` and `inactive:` may look back on.
pub const ISSUES_LIMIT: u32 = 100;

/// What an expression is read with.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    pub fields: &'a FieldTable,
    pub named: &'a Segments,
    /// The zone in which a day begins.
    pub zone: &'a str,
}

/// A segment as it was said, and what it means: what a run freezes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sieve {
    /// A name, or an expression.
    pub said: String,
    pub filter: Filter,
}

/// Which readers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Is(Test),
}

/// One question about one reader of a list. Each is answered yes or no, never with "unknown".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    Tag(String),
    /// The field has a value; a yes-or-no field has `true`.
    Has(String),
    Text(String, String),
    Bool(String, bool),
    Number(String, Order, serde_json::Number),
    /// A day as `2026-07-31`: in this form days are in the order of their letters.
    Date(String, Order, String),
    /// Confirmed on the list from the first instant on and before the second.
    Joined {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Timestamp>,
    },
    /// Confirmed on the list so many days ago at most.
    JoinedWithin(u32),
    Sent(Of),
    /// Opened or clicked by a person: whoever clicked has seen it.
    Opened(Of),
    /// Clicked by a person.
    Clicked(Of),
    /// Of the last so many issues that reached this reader, and of which it is counted who opens and clicks, none was
    /// opened or clicked by a person.
    Inactive(u32),
    /// `import` is every import, `import:FILE` one.
    Source(String),
    /// Confirmed on the list of this short name.
    List(String),
    Domain(String),
    Frequency(Frequency),
}

/// How a value compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = ">")]
    More,
}

/// Which issues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// The newest so many of the list, before the one that is sent.
    Last(u32),
    /// The one of this slug, by whatever list.
    Issue(String),
}

/// How often a reader wants mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Frequency {
    Every,
    Monthly,
}

/// Why an expression cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {}: {message}{}", .before + 1, advice(.help))]
pub struct SegmentError {
    /// Octets from the start of the expression.
    pub at: usize,
    /// Octets at fault, at least one.
    pub length: usize,
    /// Characters before the fault.
    pub before: usize,
    pub message: String,
    pub help: Option<String>,
}

fn advice(help: &Option<String>) -> String {
    match help {
        Some(help) => format!("; {help}"),
        None => String::new(),
    }
}

impl Sieve {
    /// Reads `said`, a name or an expression.
    pub fn parse(said: &str, given: &Given<'_>) -> Result<Sieve, SegmentError> {
        Ok(Sieve {
            said: said.trim().to_owned(),
            filter: parser::parse(said, given)?,
        })
    }

    /// Whoever is in each of these.
    pub fn all(of: &[Sieve]) -> Sieve {
        Sieve::joined(of, " and ", Filter::All)
    }

    /// Whoever is in one of these.
    pub fn any(of: &[Sieve]) -> Sieve {
        Sieve::joined(of, " or ", Filter::Any)
    }

    fn joined(of: &[Sieve], word: &str, filter: fn(Vec<Filter>) -> Filter) -> Sieve {
        if let [one] = of {
            return one.clone();
        }
        let said = of.iter().map(|sieve| format!("({})", sieve.said));
        let filters = of.iter().map(|sieve| sieve.filter.clone());
        Sieve {
            said: said.collect::<Vec<_>>().join(word),
            filter: filter(filters.collect()),
        }
    }

    /// As a run keeps it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers have a JSON form")
    }

    /// Several, as a run keeps them.
    pub fn list_to_json(sieves: &[Sieve]) -> String {
        serde_json::to_string(sieves).expect("texts and numbers have a JSON form")
    }

    /// Several, as a run kept them; of what cannot be read there is none.
    pub fn list(text: &str) -> Vec<Sieve> {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// As a run kept it; none where it cannot be read.
    pub fn from_json(text: &str) -> Option<Sieve> {
        serde_json::from_str(text).ok()
    }
}

impl Filter {
    /// How many looks into a database one reader costs at most.
    pub fn cost(&self) -> i64 {
        let tests = self.tests().into_iter();
        tests
            .map(|test| match test {
                Test::Inactive(issues) => 2 * i64::from(*issues),
                Test::Sent(_) => 2,
                Test::Opened(_) | Test::Clicked(_) => 3,
                _ => 1,
            })
            .sum()
    }

    /// Every test in it, in the order in which they were written.
    pub fn tests(&self) -> Vec<&Test> {
        match self {
            Filter::All(parts) | Filter::Any(parts) => {
                parts.iter().flat_map(Filter::tests).collect()
            }
            Filter::Not(inner) => inner.tests(),
            Filter::Is(test) => vec![test],
        }
    }
}

impl Frequency {
    /// The name in the database and in an expression.
    pub fn name(self) -> &'static str {
        match self {
            Frequency::Every => "every",
            Frequency::Monthly => "monthly",
        }
    }
}
