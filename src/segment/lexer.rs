//! An expression cut into words, quoted texts, comparisons and parentheses, each with its place.

use crate::segment::SegmentError;

/// One token, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// `tag:paid`, `and`, `2026-01-01`: whatever no other sign ends.
    Word(String),
    Quoted(String),
    Sign(Sign),
    Open,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Sign {
    pub(super) fn written(self) -> &'static str {
        match self {
            Sign::Equal => "=",
            Sign::Unequal => "!=",
            Sign::Less => "<",
            Sign::AtMost => "<=",
            Sign::More => ">",
            Sign::AtLeast => ">=",
        }
    }
}

impl Kind {
    /// For messages: the token as it was written.
    pub(super) fn shown(&self) -> String {
        match self {
            Kind::Word(word) => word.clone(),
            Kind::Quoted(text) => format!("\"{text}\""),
            Kind::Sign(sign) => sign.written().to_owned(),
            Kind::Open => "(".into(),
            Kind::Close => ")".into(),
        }
    }
}

/// The tokens of `text`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SegmentError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        let (kind, length) = match first {
            c if c.is_whitespace() => {
                rest = &rest[c.len_utf8()..];
                continue;
            }
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            '"' => quoted(text, rest, start)?,
            '=' | '<' | '>' | '!' => sign(text, rest, start)?,
            _ => {
                let length = rest.find(ends_word).unwrap_or(rest.len());
                (Kind::Word(rest[..length].to_owned()), length)
            }
        };
        tokens.push(Token {
            kind,
            start,
            end: start + length,
        });
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || "()\"=<>!".contains(c)
}

/// A text in quotes; `\"` and `\\` stand for themselves.
fn quoted(text: &str, rest: &str, start: usize) -> Result<(Kind, usize), SegmentError> {
    let mut value = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((Kind::Quoted(value), at + 1)),
            '\\' => match letters.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => {
                    let message = "`\\` stands before `\"` or `\\` only";
                    return Err(error(text, start + at, 1, message));
                }
            },
            letter if letter.is_control() => {
                let message = "a control character cannot stand in a text";
                return Err(error(text, start + at, letter.len_utf8(), message));
            }
            letter => value.push(letter),
        }
    }
    let message = "this text is never closed with `\"`";
    Err(error(text, start, rest.len(), message))
}

fn sign(text: &str, rest: &str, start: usize) -> Result<(Kind, usize), SegmentError> {
    let signs = [
        ("!=", Sign::Unequal),
        ("<=", Sign::AtMost),
        (">=", Sign::AtLeast),
        ("==", Sign::Equal),
        ("<>", Sign::Unequal),
        ("=", Sign::Equal),
        ("<", Sign::Less),
        (">", Sign::More),
    ];
    let found = signs.iter().find(|(sign, _)| rest.starts_with(sign));
    match found {
        Some((written, sign)) => Ok((Kind::Sign(*sign), written.len())),
        None => {
            let help = "write `not` before what must not hold, or `!=` between a field and a value";
            let mut error = error(text, start, 1, "`!` says nothing by itself");
            error.help = Some(help.into());
            Err(error)
        }
    }
}

/// An error about `length` octets from `at` on.
pub(super) fn error(
    text: &str,
    at: usize,
    length: usize,
    message: impl Into<String>,
) -> SegmentError {
    SegmentError {
        at,
        length: length.max(1),
        before: text.get(..at).map_or(0, |before| before.chars().count()),
        message: message.into(),
        help: None,
    }
}
