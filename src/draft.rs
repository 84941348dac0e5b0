//! A draft: `issue.md` made from a newsletter that was written elsewhere.
//!
//! Promises: plain text, Markdown and HTML (as Substack, Medium, beehiiv and Google Docs export it) come
//! out as Markdown that `issue` reads; no word of the author's is lost without a note; nothing that was for
//! payers, or that is the author's own in a link, goes to all unseen; whatever was not
//! certain is a [`Guess`]. A link without a target is written `(TODO)`, which `check` refuses by line.
//! Leaves the choice of folder and slug to `publication`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use pulldown_cmark::{Event, Parser, Tag};

use crate::draft::piece::Piece;

mod dates;
mod footer;
mod head;
mod html;
mod line;
mod links;
mod mailbox;
mod markdown;
mod outro;
mod paywall;
mod pictures;
mod piece;
mod text;
mod tracking;
mod write;

/// A longer newsletter is a book, and the heuristics read it more than once.
pub const SIZE_LIMIT: usize = 2 * 1024 * 1024;

/// The parser's work grows with the square of the depth.
const NESTING_LIMIT: usize = 1_000;

/// What an import found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub format: Format,
    pub title: String,
    pub teaser: Option<String>,
    /// First and last day covered, both included.
    pub dates: Option<(Date, Date)>,
    /// Who wrote it, where that stands above the text.
    pub authors: Vec<String>,
    /// The whole of `issue.md`.
    pub markdown: String,
    /// Links that still lack their target.
    pub open_links: usize,
    pub items: usize,
    pub guesses: Vec<Guess>,
}

/// What kind of text it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    PlainText,
    Markdown,
    Html,
    Substack,
    Medium,
    Beehiiv,
    GoogleDocs,
}

impl Format {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Format::PlainText => "plain text",
            Format::Markdown => "Markdown",
            Format::Html => "HTML",
            Format::Substack => "HTML from Substack",
            Format::Medium => "HTML from Medium",
            Format::Beehiiv => "HTML from beehiiv",
            Format::GoogleDocs => "HTML from Google Docs",
        }
    }
}

/// Something that the author should look at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Guess {
    /// Line of `issue.md`, from 1.
    pub line: usize,
    pub what: String,
}

/// What the readers of the three kinds of text hand to the writer.
#[derive(Debug, Default)]
struct Found {
    title: Option<String>,
    teaser: Option<String>,
    dates: Option<(Date, Date)>,
    authors: Vec<String>,
    pieces: Vec<Piece>,
    /// What was guessed of the head, or left out, which has no place in the text.
    notes: Vec<String>,
}

/// Reads a newsletter of any kind. The error is a sentence: there is nothing to make an issue of.
pub fn read(octets: &[u8]) -> Result<Draft, String> {
    read_of("", octets)
}

/// As [`read`], of a publication whose name may stand above the title.
pub fn read_of(publication: &str, octets: &[u8]) -> Result<Draft, String> {
    if octets.len() > SIZE_LIMIT {
        return Err(format!(
            "the text is larger than {} MiB; import one issue at a time",
            SIZE_LIMIT / 1024 / 1024
        ));
    }
    let text = decode(octets)?;
    if text.trim().is_empty() {
        return Err("the text is empty".into());
    }
    if is_raw_mail(&text) {
        return Err(
            "it is a mail as it travels, with its parts encoded; open it in a mail program and save it as \
             HTML, or copy its text"
                .into(),
        );
    }
    let format = format_of(&text);
    if !matches!(format, Format::PlainText | Format::Markdown) && nesting(&text) > NESTING_LIMIT {
        return Err(format!(
            "the HTML is nested deeper than {NESTING_LIMIT} elements; is it an export of a newsletter?"
        ));
    }
    let mut found = match format {
        Format::PlainText => text::read(&text, publication),
        Format::Markdown => markdown::read(&text),
        _ => html::read(&text, format),
    };
    if found.pieces.is_empty() && found.title.is_none() {
        return Err("no text could be found in it".into());
    }
    outro::settle(&mut found.pieces);
    paywall::settle(&mut found.pieces);
    tracking::settle(&mut found);
    Ok(write::draft(format, found))
}

/// Whether a part of a text was for those who paid.
pub fn holds_paywall(octets: &[u8]) -> bool {
    decode(octets).is_ok_and(|text| paywall::stands_in(&text))
}

/// The front matter of Markdown that was written for another tool: each key in lower case with its value.
pub fn front_matter(octets: &[u8]) -> Vec<(String, String)> {
    let text = decode(octets).unwrap_or_default();
    markdown::keys(&text).map_or_else(Vec::new, |(keys, _)| keys)
}

impl Draft {
    /// Whether the text says how it is called.
    pub fn is_titled(&self) -> bool {
        self.title != links::TODO
    }

    /// The pictures that are files: paths as the text names them, from where it lies.
    pub fn pictures(&self) -> BTreeSet<String> {
        let images = Parser::new(&self.markdown).filter_map(|event| match event {
            Event::Start(Tag::Image { dest_url, .. }) => Some(dest_url.into_string()),
            _ => None,
        });
        images.filter(|source| !source.contains(':')).collect()
    }

    /// The pictures that stay on another host.
    pub fn remote_pictures(&self) -> BTreeSet<String> {
        pictures::remote(&self.markdown)
    }

    /// The same with files beside the text in place of addresses.
    #[must_use]
    pub fn with_files(mut self, files: &BTreeMap<String, String>) -> Draft {
        self.markdown = pictures::with_files(&self.markdown, files);
        let left = pictures::remote(&self.markdown);
        let told = pictures::told(left.iter().map(String::as_str));
        self.guesses.retain_mut(|guess| {
            if !guess.what.starts_with(pictures::TOLD) {
                return true;
            }
            match &told {
                Some(what) => guess.what.clone_from(what),
                None => return false,
            }
            true
        });
        self
    }

    /// The text below the front matter, without the marks that ask an author to look: links that lack their
    /// target are words.
    pub fn finished_text(&self) -> String {
        let body = self.markdown.strip_prefix("---\n");
        let body = body.and_then(|rest| rest.split_once("\n---\n"));
        let mut text = body
            .map_or(self.markdown.as_str(), |(_, body)| body)
            .to_owned();
        // The archive shows a post that was paid for to nobody.
        let walls: Vec<&str> = text.split('\n').collect();
        if walls.contains(&paywall::OPEN) {
            let marks = [paywall::OPEN, paywall::CLOSE];
            let kept = walls.into_iter().filter(|line| !marks.contains(line));
            text = kept.collect::<Vec<_>>().join("\n");
        }
        let open = format!("]({})", links::TODO);
        while let Some(end) = text.find(&open) {
            text.replace_range(end..end + open.len(), "");
            if let Some(start) = opening(&text[..end]) {
                text.replace_range(start..=start, "");
            }
        }
        text
    }
}

/// Where the bracket stands that is still open at the end of `text`.
fn opening(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut brackets = text
        .char_indices()
        .rev()
        .filter(|(at, c)| matches!(c, '[' | ']') && !text[..*at].ends_with('\\'));
    brackets.find_map(|(at, c)| match c {
        ']' => {
            depth += 1;
            None
        }
        _ if depth > 0 => {
            depth -= 1;
            None
        }
        _ => Some(at),
    })
}

/// UTF-8 with or without a byte order mark, UTF-16 with one; `\n` only, no other control characters.
fn decode(octets: &[u8]) -> Result<String, String> {
    let units = |rest: &[u8], of: fn([u8; 2]) -> u16| -> Vec<u16> {
        let pairs = rest.chunks_exact(2);
        pairs.map(|pair| of([pair[0], pair[1]])).collect()
    };
    let not_text =
        || "the file is neither UTF-8 nor UTF-16 text; save it as one of them".to_owned();
    let text = match octets {
        [0xff, 0xfe, rest @ ..] => String::from_utf16(&units(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => String::from_utf16(&units(rest, u16::from_be_bytes)),
        _ => Ok(std::str::from_utf8(octets)
            .map_err(|_| not_text())?
            .to_owned()),
    };
    let text = text.map_err(|_| not_text())?;
    let text = text.trim_start_matches('\u{feff}');
    let text = text
        .replace("\r\n", "\n")
        .replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let odd = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{feff}';
    let calm = text.chars().filter(|c| !odd(*c));
    // No-break and other odd blanks would hide a list or a headline from every rule.
    Ok(calm.map(|c| if is_blank(c) { ' ' } else { c }).collect())
}

/// Whether a text is a whole message with MIME parts (RFC 2045, section 4), such as a `.eml` file.
fn is_raw_mail(text: &str) -> bool {
    let head = text.trim_start().split("\n\n").next().unwrap_or_default();
    let fields = ["mime-version:", "content-transfer-encoding:"];
    let mut lines = head.lines().map(str::to_ascii_lowercase);
    lines.any(|line| fields.iter().any(|field| line.starts_with(field)))
}

/// How deep elements stand that only a closing tag ends, about.
fn nesting(html: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for tag in html.split('<').skip(1) {
        let closes = tag.starts_with('/');
        let name = tag
            .trim_start_matches('/')
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next();
        let name = name.unwrap_or_default().to_ascii_lowercase();
        // Void elements, and those that the next one of their kind ends.
        let brief = [
            "", "p", "li", "br", "img", "hr", "meta", "link", "input", "source", "td", "th", "tr",
            "dd", "dt", "col", "wbr", "area", "base", "embed", "track", "option", "tbody", "thead",
        ];
        if brief.contains(&name.as_str()) {
            continue;
        }
        depth = if closes {
            depth.saturating_sub(1)
        } else {
            depth + 1
        };
        deepest = deepest.max(depth);
    }
    deepest
}

fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// Whether it is read as HTML, and not as Markdown with tags in it or as plain words.
pub fn is_html(text: &str) -> bool {
    !matches!(format_of(text), Format::PlainText | Format::Markdown)
}

fn format_of(text: &str) -> Format {
    let lower = text.to_ascii_lowercase();
    let tags = [
        "<html", "<body", "<p>", "<p ", "<div", "<h1", "<h2", "<article", "<table", "<ul>",
    ];
    let tags = tags.iter().filter(|tag| lower.contains(**tag)).count();
    let opens = lower.trim_start().starts_with('<');
    let markdown = text.starts_with("---\n") || markdown::looks_so(text);
    if tags == 0 || (!opens && markdown) {
        return if markdown {
            Format::Markdown
        } else {
            Format::PlainText
        };
    }
    let has = |marks: &[&str]| marks.iter().any(|mark| lower.contains(mark));
    // By what a tool alone writes, never by where a link leads.
    if has(&[
        "lst-kix",
        "docs-internal-guid",
        "doc-content",
        "google.com/url?q=",
    ]) {
        Format::GoogleDocs
    } else if has(&[
        "captioned-image-container",
        "subscription-widget",
        "button-wrapper",
        "available-content",
        "data-attrs=",
        "src=\"https://substackcdn.com/",
    ]) {
        Format::Substack
    } else if has(&["class=\"graf ", "graf--", "section-inner", "\"e-content"]) {
        Format::Medium
    } else if has(&[
        "media.beehiiv.com",
        "beehiiv.com/open/",
        "powered by beehiiv",
    ]) {
        Format::Beehiiv
    } else {
        Format::Html
    }
}

/// A text as one YAML line. JSON's strings are YAML's.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text always has a JSON form")
}

#[cfg(test)]
mod tests;
