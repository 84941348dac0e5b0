//! Directives: `:::name {key="value"}` on a line of its own, its content, and `:::` to end it.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Source};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Promo,
    Button,
    Mjml,
}

/// One directive; offsets count from the start of the body.
#[derive(Debug)]
pub(crate) struct Directive {
    pub(crate) kind: Kind,
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
    let mut open: Option<Directive> = None;
    let mut fence: Option<(char, usize)> = None;
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = line.trim_end_matches('\n');
        let here = start..start + line.len();
        let raw = open
            .as_ref()
            .is_some_and(|directive| directive.kind == Kind::Mjml);
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
            match open.take() {
                Some(directive) => directives.push(Directive {
                    close: here,
                    ..directive
                }),
                None => found.push(source.error(offset, "directive", "`:::` closes nothing")),
            }
        } else if let Some(unclosed) = &open {
            let message = "a directive cannot stand inside another";
            let line = source.place(base + unclosed.open.start).0;
            found.push(
                source
                    .error(offset, "directive", message)
                    .help(format!("close the one of line {line} with `:::` first")),
            );
        } else {
            match parse(&source, rest, base, start + line.len() - rest.len()) {
                Ok((kind, attributes)) => {
                    let close = here.clone();
                    open = Some(Directive {
                        kind,
                        attributes,
                        open: here,
                        close,
                    });
                }
                Err(error) => found.push(error),
            }
        }
    }
    if let Some(unclosed) = open {
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

fn parse(
    source: &Source<'_>,
    rest: &str,
    base: usize,
    start: usize,
) -> Result<(Kind, Vec<Attribute>), Diagnostic> {
    let lead = rest.len() - rest.trim_start().len();
    let name_start = start + lead;
    let rest = rest.trim();
    let length = rest
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(rest.len());
    let (name, tail) = rest.split_at(length);
    let error = |message: String| source.error(base + name_start, "directive", message);
    let kind = match name {
        "promo" => Kind::Promo,
        "button" => Kind::Button,
        "mjml" => Kind::Mjml,
        "only" => {
            return Err(error("`:::only` is not built yet".into())
                .help("readers of a segment only cannot be addressed in this version"));
        }
        _ => {
            let known = ["promo", "button", "mjml"];
            let near = known
                .iter()
                .find(|known| strsim::levenshtein(known, name) <= 2);
            let error = error(format!("there is no directive `:::{name}`"));
            return Err(match near {
                Some(near) => error.help(format!("did you mean `:::{near}`?")),
                None => error.help("there are `:::promo`, `:::button` and `:::mjml`"),
            });
        }
    };
    let known: &[&str] = match kind {
        Kind::Promo => &["code", "until", "url", "label"],
        Kind::Button => &["url"],
        Kind::Mjml => &[],
    };
    let attributes = attributes(source, tail, base, name_start + length)?;
    for attribute in &attributes {
        if !known.contains(&attribute.key.as_str()) {
            let message = format!("`:::{name}` has no attribute `{}`", attribute.key);
            let error = source.error(base + attribute.offset, "directive", message);
            return Err(error.help(format!("it has: {}", known.join(", "))));
        }
    }
    Ok((kind, attributes))
}

/// `{key="value" key=value}`, or nothing.
fn attributes(
    source: &Source<'_>,
    text: &str,
    base: usize,
    start: usize,
) -> Result<Vec<Attribute>, Diagnostic> {
    let malformed = || {
        source
            .error(
                base + start,
                "directive",
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
                ":::only gold\n",
                "a.md:1:4: error[directive]: `:::only` is not built yet",
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
