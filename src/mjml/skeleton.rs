//! MJML to HTML: one function in front of mrml.
//!
//! Promises: no file and no network is read; newlines may be of any kind; a panic in mrml is an error;
//! text inside components comes out byte for byte. mrml's own text parser joins words, changes inline
//! tags and writes attributes with Rust's escapes, so it is given the structure only: the content of
//! text components is set aside before and put back after. The front-end replaces this file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mrml::prelude::parser::ParserOptions;
use mrml::prelude::render::RenderOptions;

/// More is no newsletter, and mrml works in memory.
const SIZE_LIMIT: usize = 2 * 1024 * 1024;
/// mrml descends by recursion; no layout is nested this deep.
const DEPTH_LIMIT: usize = 48;
/// Components whose content is text or HTML, never other components.
const TEXT_COMPONENTS: [&str; 11] = [
    "mj-accordion-text",
    "mj-accordion-title",
    "mj-button",
    "mj-navbar-link",
    "mj-preview",
    "mj-raw",
    "mj-social-element",
    "mj-style",
    "mj-table",
    "mj-text",
    "mj-title",
];

/// Why a text is no MJML that can be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MjmlError {
    pub message: String,
    /// Line in the given text, from 1, where that is known.
    pub line: Option<usize>,
}

/// Renders a whole `<mjml>` document. Icons and fonts of other hosts are never added.
pub fn render(mjml: &str) -> Result<String, MjmlError> {
    let mjml = mjml.replace("\r\n", "\n").replace('\r', "\n");
    if mjml.len() > SIZE_LIMIT {
        return Err(MjmlError {
            message: format!("the MJML is larger than {SIZE_LIMIT} octets; split the issue"),
            line: None,
        });
    }
    let skeleton = Skeleton::of(&mjml)?;
    let rendered = catch_unwind(AssertUnwindSafe(|| by_mrml(&skeleton.text)));
    let html = rendered.unwrap_or_else(|_| Err("mrml stopped in the middle of it".into()));
    let html = html.map_err(|message| MjmlError {
        message: format!("the MJML cannot be rendered: {message}"),
        line: None,
    })?;
    skeleton.restore(&html)
}

/// Tries components alone, as the content of a column. Lines count from the first of `components`.
pub fn check_components(components: &str) -> Result<(), MjmlError> {
    // By themselves first: they must not close the column around them.
    Skeleton::of(components)?;
    let page = format!(
        "<mjml><mj-body><mj-section><mj-column>{components}</mj-column></mj-section></mj-body></mjml>"
    );
    render(&page).map(|_| ())
}

fn by_mrml(skeleton: &str) -> Result<String, String> {
    let parsed = mrml::parse_with_options(skeleton, &ParserOptions::default())
        .map_err(|error| error.to_string())?;
    let options = RenderOptions {
        disable_comments: false,
        social_icon_origin: Some("".into()),
        fonts: Default::default(),
    };
    parsed
        .element
        .render(&options)
        .map_err(|error| error.to_string())
}

/// The components without their texts.
struct Skeleton {
    text: String,
    /// What stands for the texts: this, a number, a full stop that ends it.
    key: String,
    texts: Vec<Aside>,
}

/// A text set aside.
struct Aside {
    content: String,
    component: String,
    line: usize,
}

impl Skeleton {
    fn of(mjml: &str) -> Result<Skeleton, MjmlError> {
        let key = unused_key(mjml, "mjtext");
        let mut walk = Walk {
            mjml,
            at: 0,
            open: Vec::new(),
        };
        let mut skeleton = Skeleton {
            text: String::with_capacity(mjml.len()),
            key,
            texts: Vec::new(),
        };
        while let Some(found) = mjml[walk.at..].find('<') {
            skeleton.text.push_str(&mjml[walk.at..walk.at + found]);
            walk.at += found;
            if mjml[walk.at..].starts_with("<!--") {
                walk.skip_comment()?;
            } else if mjml[walk.at..].starts_with("</") {
                walk.close(&mut skeleton)?;
            } else {
                walk.open(&mut skeleton)?;
            }
        }
        if let Some((name, at)) = walk.open.pop() {
            return Err(error_at(mjml, at, format!("`<{name}>` is never closed")));
        }
        skeleton.text.push_str(&mjml[walk.at..]);
        Ok(skeleton)
    }

    fn set_aside(&mut self, content: &str, component: &str, line: usize) {
        if content.trim().is_empty() {
            return;
        }
        self.text
            .push_str(&format!("{}{}.", self.key, self.texts.len()));
        self.texts.push(Aside {
            content: content.trim().to_owned(),
            component: component.to_owned(),
            line,
        });
    }

    /// Puts the texts back, each wherever its stand-in came out.
    fn restore(&self, html: &str) -> Result<String, MjmlError> {
        let mut seen = vec![false; self.texts.len()];
        let mut out = String::with_capacity(html.len() * 2);
        let mut pieces = html.split(self.key.as_str());
        out.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let numbered = piece
                .split_once('.')
                .and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest)))
                .filter(|(number, _)| *number < self.texts.len());
            let Some((number, rest)) = numbered else {
                return Err(MjmlError {
                    message: "the MJML cannot be rendered: a text was damaged on the way".into(),
                    line: None,
                });
            };
            seen[number] = true;
            out.push_str(&self.texts[number].content);
            out.push_str(rest);
        }
        match seen.iter().position(|seen| !seen) {
            None => Ok(out),
            Some(lost) => Err(MjmlError {
                message: format!(
                    "what stands in `<{}>` does not come out; the component is not allowed there",
                    self.texts[lost].component
                ),
                line: Some(self.texts[lost].line),
            }),
        }
    }
}

/// The walk over the tags of a document.
struct Walk<'a> {
    mjml: &'a str,
    at: usize,
    /// Open components with their offsets.
    open: Vec<(&'a str, usize)>,
}

impl<'a> Walk<'a> {
    fn skip_comment(&mut self) -> Result<(), MjmlError> {
        let end = self.mjml[self.at..].find("-->");
        let end = end.ok_or_else(|| self.error("`<!--` is never closed"))?;
        self.at += end + 3;
        Ok(())
    }

    fn close(&mut self, skeleton: &mut Skeleton) -> Result<(), MjmlError> {
        let rest = &self.mjml[self.at + 2..];
        let end = rest
            .find('>')
            .ok_or_else(|| self.error("a tag is never ended with `>`"))?;
        let name = rest[..end].trim();
        match self.open.pop() {
            Some((open, _)) if open == name => {}
            Some((open, _)) => {
                let message = format!("`</{name}>` stands where `</{open}>` is expected");
                return Err(self.error(message));
            }
            None => return Err(self.error(format!("`</{name}>` closes nothing"))),
        }
        skeleton.text.push_str(&format!("</{name}>"));
        self.at += 2 + end + 1;
        Ok(())
    }

    fn open(&mut self, skeleton: &mut Skeleton) -> Result<(), MjmlError> {
        let start = self.at;
        let rest = &self.mjml[start + 1..];
        let length = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-_:".contains(c)))
            .unwrap_or(rest.len());
        let name = &rest[..length];
        if name.is_empty() {
            return Err(self.error("a `<` that opens no tag; write `&lt;`"));
        }
        if name == "mj-include" {
            return Err(self.error("`<mj-include>` is not read; use the theme's own partials"));
        }
        let (attributes, used, empty) = self.attributes(start + 1 + length)?;
        let end = if empty { "/>" } else { ">" };
        skeleton.text.push_str(&format!("<{name}{attributes}{end}"));
        self.at = used;
        if empty {
            return Ok(());
        }
        if TEXT_COMPONENTS.contains(&name) {
            let closing = format!("</{name}>");
            let content = self.mjml[used..].find(&closing);
            let content = content
                .ok_or_else(|| error_at(self.mjml, start, format!("`<{name}>` is never closed")))?;
            let line = line_of(self.mjml, start);
            skeleton.set_aside(&self.mjml[used..used + content], name, line);
            skeleton.text.push_str(&closing);
            self.at = used + content + closing.len();
            return Ok(());
        }
        self.open.push((name, start));
        if self.open.len() > DEPTH_LIMIT {
            return Err(self.error(format!("nested deeper than {DEPTH_LIMIT} components")));
        }
        Ok(())
    }

    /// The attributes from `at` to the end of the tag, as mrml writes them unharmed; the offset after the
    /// tag; whether it ends in `/>`.
    fn attributes(&self, mut at: usize) -> Result<(String, usize, bool), MjmlError> {
        let unended = || self.error("a tag is never ended with `>`");
        let mut out = String::new();
        loop {
            let rest = self.mjml[at..].trim_start();
            at = self.mjml.len() - rest.len();
            if rest.starts_with("/>") {
                return Ok((out, at + 2, true));
            }
            if rest.starts_with('>') {
                return Ok((out, at + 1, false));
            }
            let name_end = rest
                .find(|c: char| c.is_whitespace() || "=>/\"'<".contains(c))
                .ok_or_else(unended)?;
            if name_end == 0 {
                return Err(error_at(self.mjml, at, "an attribute needs a name".into()));
            }
            out.push_str(&format!(" {}", &rest[..name_end]));
            at += name_end;
            let Some(value) = rest[name_end..].trim_start().strip_prefix('=') else {
                continue;
            };
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let Some(quote) = quote else {
                let message = format!("the value of `{}` needs quotes", &rest[..name_end]);
                return Err(error_at(self.mjml, at, message));
            };
            let end = value[1..].find(quote).ok_or_else(unended)?;
            out.push_str(&format!("=\"{}\"", plain_attribute(&value[1..1 + end])));
            at = self.mjml.len() - value.len() + 1 + end + 1;
        }
    }

    fn error(&self, message: impl Into<String>) -> MjmlError {
        error_at(self.mjml, self.at, message.into())
    }
}

/// mrml writes attributes with `{:?}`: whatever that would change goes in as a character reference.
fn plain_attribute(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' => out.push_str("&quot;"),
            '\\' => out.push_str("&#92;"),
            '\n' | '\t' => out.push(' '),
            ' '..='~' => out.push(c),
            other => out.push_str(&format!("&#x{:x};", u32::from(other))),
        }
    }
    out
}

/// The first of `stem0`, `stem1`, ... that does not stand in `text`.
fn unused_key(text: &str, stem: &str) -> String {
    (0_u32..)
        .map(|number| format!("{stem}{number}n"))
        .find(|key| !text.contains(key.as_str()))
        .expect("a finite text cannot hold every number")
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

fn error_at(text: &str, offset: usize, message: String) -> MjmlError {
    MjmlError {
        message,
        line: Some(line_of(text, offset)),
    }
}

#[cfg(test)]
mod tests {
    use super::{MjmlError, render};

    fn page(column: &str) -> String {
        format!(
            "<mjml lang=\"en\"><mj-head><mj-title>A \u{201d} &gt; B</mj-title></mj-head><mj-body>\
             <mj-section><mj-column>{column}</mj-column></mj-section></mj-body></mjml>"
        )
    }

    fn refusal(column: &str) -> MjmlError {
        render(&page(column)).expect_err("a refusal")
    }

    #[test]
    fn text_comes_out_byte_for_byte() {
        let text =
            "<b>a</b> <i>b</i>\n<a href=\"x\">c</a> A\u{201d} > B &lt;CALL&gt; <br> \u{1f916} \\";
        let html = render(&page(&format!("<mj-text>{text}</mj-text>"))).expect("html");
        assert!(html.contains(text), "{html}");
        assert!(html.contains("<title>A \u{201d} &gt; B</title>"), "{html}");
        assert!(html.starts_with("<!doctype html>"), "{html}");
    }

    #[test]
    fn attributes_survive_quotes_backslashes_and_other_scripts() {
        let html = render(&page(
            "<mj-image src='https://x.example/a.png' alt='say \"h\u{e9}\" \\ \u{1f916}' />",
        ))
        .expect("html");
        assert!(
            html.contains("alt=\"say &quot;h&#xe9;&quot; &#92; &#x1f916;\""),
            "{html}"
        );
    }

    #[test]
    fn every_kind_of_newline_gives_the_same_html() {
        let unix = page("\n<mj-text>\na\nb\n</mj-text>\n");
        let html = render(&unix).expect("html");
        assert_eq!(render(&unix.replace('\n', "\r\n")), Ok(html.clone()));
        assert_eq!(render(&unix.replace('\n', "\r")), Ok(html));
    }

    #[test]
    fn nothing_is_fetched_from_other_hosts() {
        let html = render(&page("<mj-text font-family=\"Roboto\">a</mj-text>")).expect("html");
        assert!(!html.contains("googleapis"), "{html}");
        assert!(
            refusal("<mj-include path=\"/etc/passwd\" />")
                .message
                .contains("mj-include")
        );
    }

    #[test]
    fn broken_structure_is_told_with_its_line() {
        let error = refusal("\n\n<mj-text>a");
        assert_eq!(error.line, Some(3));
        assert!(error.message.contains("`<mj-text>` is never closed"));
        assert!(
            refusal("</mj-text>")
                .message
                .contains("where `</mj-column>`")
        );
        assert!(refusal("a < b").message.contains("`&lt;`"));
        assert!(refusal("<mj-image src=x />").message.contains("quotes"));
        let lost =
            render("<mjml><mj-head><mj-text>a</mj-text></mj-head><mj-body></mj-body></mjml>");
        assert!(lost.is_err());
        assert!(render("no mjml").is_err());
        let deep = "<mj-column>".repeat(100);
        assert!(refusal(&deep).message.contains("nested deeper"));
    }

    #[test]
    fn a_text_that_looks_like_a_stand_in_is_left_alone() {
        let text = "mjtext0n0. mjtext1n0. mjtext";
        let html = render(&page(&format!("<mj-text>{text}</mj-text>"))).expect("html");
        assert!(html.contains(text), "{html}");
    }
}
