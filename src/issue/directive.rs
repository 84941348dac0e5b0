//! Directives: `:::name {key="value"}` on a line of its own, its content, and `:::` to end it.
//!
//! Promises: every directive that is given is closed, known, and has known attributes, each once; the rest
//! is told at its place. Leaves it to `issue` what may stand inside.

use std::ops::Range;

use crate::compile::press::Mail;
use crate::diagnostic::{Diagnostic, Severity, Source, nearest};
use crate::issue::given::Given;
use crate::segment::{self, Sieve};

/// Directives within directives; `:::only` is the one that takes others.
const DEPTH_LIMIT: usize = 4;
const NAMES: [&str; 4] = ["promo", "button", "only", "mjml"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Promo,
    Button,
    Only,
    Mjml,
}

impl Kind {
    fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "promo" => Kind::Promo,
            "button" => Kind::Button,
            "only" => Kind::Only,
            "mjml" => Kind::Mjml,
            _ => return None,
        })
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Kind::Promo => &["code", "until", "url", "label"],
            Kind::Button => &["url"],
            Kind::Only | Kind::Mjml => &[],
        }
    }
}

/// One directive; offsets count from the start of the body.
#[derive(Debug)]
pub(crate) struct Directive {
    pub(crate) kind: Kind,
    /// What follows the name of `:::only`; `key` is empty.
    pub(crate) segment: Option<Attribute>,
    pub(crate) attributes: Vec<Attribute>,
    /// The line that opens it, without its newline.
    pub(crate) open: Range<usize>,
    /// The line that closes it, without its newline.
    pub(crate) close: Range<usize>,
}

#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) key: String,
    pub(crate) value: String,
    /// Offset of the value in the body.
    pub(crate) offset: usize,
}

impl Directive {
    /// The attribute `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.key == key)
    }

    /// Whom `:::only` is for and where that is named in the file, if it means something.
    pub(crate) fn sieve(
        &self,
        source: &Source<'_>,
        base: usize,
        given: &Given<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Option<(Sieve, usize)> {
        let said = self.segment.as_ref()?;
        let offset = base + said.offset;
        if given.mail != Mail::Issue {
            let message = "`:::only` stands in issues only: a mail like this has one reader";
            found.push(source.error(offset, "segment", message));
            return None;
        }
        let given = segment::Given {
            fields: given.fields,
            named: given.segments,
            zone: given.zone,
        };
        match Sieve::parse(&said.value, &given) {
            Ok(segment) => Some((segment, offset)),
            Err(error) => {
                let (at, severity) = (offset + error.at, Severity::Error);
                let told = source.at(severity, at, error.length, "segment", error.message);
                found.push(match error.help {
                    Some(help) => told.help(help),
                    None => told,
                });
                None
            }
        }
    }

    /// What stands between the two lines.
    pub(crate) fn content(&self) -> Range<usize> {
        (self.open.end + 1).min(self.close.start)..self.close.start
    }

    /// Makes thematic breaks of the two lines: they end any paragraph or list above, and no other mark
    /// of Markdown does that in three octets. MJML content becomes blank.
    pub(crate) fn hide(&self, text: &mut String) {
        for line in [&self.open, &self.close] {
            let blank = " ".repeat(line.len() - 3);
            text.replace_range(line.clone(), &format!("***{blank}"));
        }
        if self.kind == Kind::Mjml {
            let blank = |c: char| {
                if c == '\n' {
                    "\n".into()
                } else {
                    " ".repeat(c.len_utf8())
                }
            };
            let content: String = text[self.content()].chars().map(blank).collect();
            text.replace_range(self.content(), &content);
        }
    }
}

/// Finds the directives of the body that begins at `base`; lines in fenced code are not looked at.
pub(crate) fn find(source: Source<'_>, base: usize, found: &mut Vec<Diagnostic>) -> Vec<Directive> {
    let body = &source.text[base..];
    let mut directives = Vec::new();
    // None stands for one that was told and is none: its end is its own.
    let mut open: Vec<Option<Directive>> = Vec::new();
    let mut fence: Option<(char, usize)> = None;
    // Where directives open of which it was told that another stands in them.
    let mut told = Vec::new();
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = line.trim_end_matches('\n');
        let here = start..start + line.len();
        let raw = matches!(open.last(), Some(Some(directive)) if directive.kind == Kind::Mjml);
        let text = line.trim_start_matches(' ');
        if line.len() - text.len() > 3 {
            continue;
        }
        if !raw && toggles_fence(text, &mut fence) || fence.is_some() {
            continue;
        }
        let Some(rest) = text.strip_prefix(":::") else {
            continue;
        };
        let offset = base + start;
        if rest.trim().is_empty() {
            match open.pop() {
                Some(directive) => directives.extend(directive.map(|directive| Directive {
                    close: here,
                    ..directive
                })),
                None => found.push(source.error(offset, "directive", "`:::` closes nothing")),
            }
            continue;
        }
        match open.last() {
            Some(Some(around)) if around.kind != Kind::Only || open.len() >= DEPTH_LIMIT => {
                let begun = around.open.start;
                if told.contains(&begun) {
                    open.push(None);
                    continue;
                }
                let message = match around.kind {
                    Kind::Only => "directives are nested too deep",
                    _ => "a directive cannot stand inside another than `:::only`",
                };
                let line = source.place(base + begun).0;
                let error = source.error(offset, "directive", message);
                found.push(error.help(format!("close the one of line {line} with `:::` first")));
                told.push(begun);
                open.push(None);
            }
            _ => match parse(
                &source,
                rest,
                base,
                start + line.len() - rest.len(),
                here,
                found,
            ) {
                Ok(directive) => open.push(Some(directive)),
                Err(error) => {
                    found.push(error);
                    open.push(None);
                }
            },
        }
    }
    let unclosed = open.into_iter().flatten();
    for unclosed in unclosed.filter(|unclosed| !told.contains(&unclosed.open.start)) {
        let message = "this directive is never closed with `:::`";
        found.push(source.error(base + unclosed.open.start, "directive", message));
    }
    directives
}

/// Whether `text` opens or closes fenced code (CommonMark, section 4.5).
fn toggles_fence(text: &str, fence: &mut Option<(char, usize)>) -> bool {
    let Some(mark) = text.chars().next().filter(|c| matches!(c, '`' | '~')) else {
        return false;
    };
    let length = text.chars().take_while(|c| *c == mark).count();
    let rest = &text[length..];
    match fence {
        None if length >= 3 && !(mark == '`' && rest.contains('`')) => {
            *fence = Some((mark, length))
        }
        Some((open, least)) if *open == mark && length >= *least && rest.trim().is_empty() => {
            *fence = None;
        }
        _ => return false,
    }
    true
}

/// Reads what follows `:::`, which begins at `start` of the body on the line `open`.
pub(crate) fn parse(
    source: &Source<'_>,
    rest: &str,
    base: usize,
    start: usize,
    open: Range<usize>,
    found: &mut Vec<Diagnostic>,
) -> Result<Directive, Diagnostic> {
    let lead = rest.len() - rest.trim_start().len();
    let name_start = start + lead;
    let rest = rest.trim();
    let length = rest
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(rest.len());
    let (name, tail) = rest.split_at(length);
    let error = |offset: usize, length: usize, message: String| {
        source.at(Severity::Error, base + offset, length, "directive", message)
    };
    let Some(kind) = Kind::named(name) else {
        let error = error(
            name_start,
            length,
            format!("there is no directive `:::{name}`"),
        );
        return Err(match nearest(name, NAMES) {
            Some(near) => error.help(format!("did you mean `:::{near}`?")),
            None => error.help("there are `:::promo`, `:::button`, `:::only` and `:::mjml`"),
        });
    };
    let tail_start = name_start + length;
    if kind == Kind::Only {
        let value = tail.trim().to_owned();
        if value.is_empty() {
            let error = error(name_start, length, "`:::only` names no segment".into());
            return Err(error.help("write `:::only` and the name of a segment"));
        }
        let offset = tail_start + (tail.len() - tail.trim_start().len());
        let key = String::new();
        return Ok(Directive {
            kind,
            segment: Some(Attribute { key, value, offset }),
            attributes: Vec::new(),
            open: open.clone(),
            close: open,
        });
    }
    let attributes = attributes(source, tail, base, tail_start, "directive")?;
    let known = kind.keys();
    for (index, attribute) in attributes.iter().enumerate() {
        let Attribute { key, offset, value } = attribute;
        let twice = attributes[..index].iter().any(|other| other.key == *key);
        if twice {
            found.push(error(
                *offset,
                value.len(),
                format!("`{key}` is given twice"),
            ));
        } else if !known.contains(&key.as_str()) {
            let message = format!("`:::{name}` has no attribute `{key}`");
            let error = error(*offset, value.len(), message);
            found.push(match nearest(key, known.iter().copied()) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None if known.is_empty() => error.help("it has none"),
                None => error.help(format!("it has: {}", known.join(", "))),
            });
        }
    }
    Ok(Directive {
        kind,
        segment: None,
        attributes,
        open: open.clone(),
        close: open,
    })
}

/// `{key="value" key=value}`, or nothing; `start` is where `text` begins in the body.
pub(crate) fn attributes(
    source: &Source<'_>,
    text: &str,
    base: usize,
    start: usize,
    code: &'static str,
) -> Result<Vec<Attribute>, Diagnostic> {
    let malformed = || {
        source
            .error(
                base + start,
                code,
                format!("`{}` cannot be read", text.trim()),
            )
            .help("write `{key=\"value\" key=\"value\"}`")
    };
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Vec::new());
    }
    let inside = trimmed
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(malformed)?;
    let inside_start = start + (text.len() - text.trim_start().len()) + 1;
    let mut out = Vec::new();
    let mut rest = inside.trim_start();
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=').ok_or_else(malformed)?;
        if value.starts_with([
            '\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}', '\u{ab}',
        ]) {
            let message = format!(
                "the quotes around the value of `{}` are not straight",
                key.trim()
            );
            let at = base + inside_start + inside.len() - value.len();
            let error = source.error(at, code, message);
            return Err(error
                .help("write `key=\"value\"`; an editor's own quotes are letters like any other"));
        }
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(malformed)?,
            None => value.split_at(value.find(' ').unwrap_or(value.len())),
        };
        let behind = after.len() + usize::from(rest[key.len() + 1..].starts_with('"'));
        out.push(Attribute {
            key: key.trim().to_owned(),
            value: value.to_owned(),
            offset: inside_start + inside.len() - behind - value.len(),
        });
        rest = after.trim_start();
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{Directive, Kind, find};
    use crate::diagnostic::Source;

    fn read(text: &str) -> (Vec<Directive>, Vec<String>) {
        let mut found = Vec::new();
        let directives = find(Source { file: "a.md", text }, 0, &mut found);
        (directives, found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_directive_has_attributes_and_content() {
        let text = "a\n:::promo {code=\"READ 20\" url=https://a.example/?b=c}\n*x*\n:::\n";
        let (directives, found) = read(text);
        assert!(found.is_empty(), "{found:?}");
        let promo = &directives[0];
        assert_eq!(promo.kind, Kind::Promo);
        assert_eq!(&text[promo.content()], "*x*\n");
        for (key, value) in [("code", "READ 20"), ("url", "https://a.example/?b=c")] {
            let attribute = promo.get(key).expect("an attribute");
            assert_eq!(attribute.value, value);
            assert!(text[attribute.offset..].starts_with(value), "{key}");
        }
    }

    #[test]
    fn what_is_for_a_segment_only_may_hold_other_directives() {
        let text = ":::only gold and new\n:::button {url=x}\ny\n:::\nz\n:::\n";
        let (directives, found) = read(text);
        assert!(found.is_empty(), "{found:?}");
        let only = &directives[1];
        let segment = only.segment.as_ref().expect("a segment");
        assert_eq!(segment.value, "gold and new");
        assert!(text[segment.offset..].starts_with("gold"));
        assert!(text[only.content()].contains("button"));
    }

    #[test]
    fn fenced_code_holds_no_directives_and_mjml_holds_no_fences() {
        assert!(read("```\n:::promo\n```\n").0.is_empty());
        let (directives, found) = read(":::mjml\n```\n:::\n\n:::button {url=x}\ny\n:::");
        assert_eq!(directives.len(), 2, "{found:?}");
    }

    #[test]
    fn every_slip_is_told_at_its_line() {
        for (text, expected) in [
            (
                ":::promo\nx\n",
                "a.md:1:1: error[directive]: this directive is never closed",
            ),
            (
                "x\n:::\n",
                "a.md:2:1: error[directive]: `:::` closes nothing",
            ),
            (":::prom\n", "did you mean `:::promo`?"),
            (":::aside\n", "there are `:::promo`"),
            (
                ":::only\n:::\n",
                "a.md:1:4: error[directive]: `:::only` names no segment",
            ),
            (":::promo {lable=x}\n:::\n", "did you mean `label`?"),
            (
                ":::promo {url=a url=b}\n:::\n",
                "a.md:1:21: error[directive]: `url` is given twice",
            ),
            (
                ":::only a\n:::only b\n:::only c\n:::only d\n:::only e\n:::\n:::\n:::\n:::\n",
                "a.md:5:1: error[directive]: directives are nested too deep",
            ),
            (
                ":::promo\n:::button {url=x}\n:::\n",
                "close the one of line 1",
            ),
            (
                ":::promo {colour=red}\n:::\n",
                "a.md:1:18: error[directive]: `:::promo` has no attribute",
            ),
            (":::promo {code}\n:::\n", "cannot be read"),
            (
                ":::promo {code=\u{201c}READ 20\u{201d} until=\u{201c}Sunday\u{201d}}\n:::\n",
                "a.md:1:16: error[directive]: the quotes around the value of `code` are not straight",
            ),
            (":::promo code=x\n:::\n", "cannot be read"),
        ] {
            let (_, found) = read(text);
            assert!(
                found.iter().any(|f| f.contains(expected)),
                "{text}: {found:?}"
            );
        }
    }
}
