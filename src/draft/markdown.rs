//! Markdown that was written for another tool.
//!
//! Promises: the text stays the author's, line by line; only what `issue` reads otherwise is changed:
//! front matter, the title, headlines underlined or of the first level, and links without a target.

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag};

use crate::draft::head::says_hello;
use crate::draft::links::TODO;
use crate::draft::outro::{self, Part};
use crate::draft::piece::{Kind, Piece, plain};
use crate::draft::{Found, dates, footer, paywall};

/// Characters of a line above the text that names the newsletter.
const NAME: usize = 60;

/// Whether a text has the marks of Markdown, and more than one of them.
pub(super) fn looks_so(text: &str) -> bool {
    let heading =
        |line: &str| line.starts_with("# ") || line.starts_with("## ") || line.starts_with("### ");
    let headings = text.lines().filter(|line| heading(line)).count();
    let links = text.matches("](").count();
    let strong = text.matches("**").count() / 2;
    headings > 1 || (headings + links + strong >= 3 && headings + links > 0)
}

/// Reads Markdown, with or without front matter.
pub(super) fn read(text: &str) -> Found {
    let mut found = Found::default();
    let body = front(text, &mut found);
    let mut lines = Lines::of(body, found.title.as_deref());
    while let Some(line) = lines.next() {
        lines.take(line, &mut found);
    }
    let Lines {
        mut out,
        left_out,
        wall,
        ..
    } = lines;
    // From where on the text was for payers, counted from its end: a name above it may go.
    let wall = wall.map_or(0, |at| out.len() - at);
    if found.title.is_none() {
        out = title_above(out, &mut found);
    }
    found.notes.extend(footer::note(&left_out));
    let wall = out.len().saturating_sub(wall);
    found.pieces.extend(pieces(&out, wall));
    found
}

/// The lines of a text on their way into a draft.
struct Lines<'a> {
    lines: Vec<&'a str>,
    /// The next one.
    at: usize,
    /// The marks that opened the code in which a line stands.
    fence: Option<String>,
    /// Whether a headline of the first level is none but the title.
    title_taken: bool,
    /// The level of headings that begins an item.
    base: usize,
    /// Where the small print begins.
    print: Option<usize>,
    seen_text: bool,
    /// What is kept.
    out: String,
    left_out: Vec<String>,
    /// From where on in `out` the text was for payers.
    wall: Option<usize>,
}

impl<'a> Lines<'a> {
    fn of(body: &'a str, named: Option<&str>) -> Lines<'a> {
        let lines: Vec<&str> = body.lines().collect();
        let firsts = lines.iter().filter(|line| line.starts_with("# ")).count();
        // One `#` is the title; several are the items.
        let title_taken =
            named.is_some() || firsts > 1 && !lines.iter().any(|line| line.starts_with("## "));
        Lines {
            at: 0,
            fence: None,
            title_taken,
            base: base(body, named, title_taken),
            print: footer::small_print(lines.iter().copied()),
            seen_text: false,
            out: String::new(),
            left_out: Vec::new(),
            wall: None,
            lines,
        }
    }

    fn next(&mut self) -> Option<&'a str> {
        let line = self.lines.get(self.at)?;
        self.at += 1;
        Some(line)
    }

    /// Takes a line into the text, or what it says into what was `found`.
    fn take(&mut self, line: &str, found: &mut Found) {
        let trimmed = line.trim();
        if self.is_code(line) {
            self.keep(line);
            return;
        }
        if self.is_dates(trimmed, found) || self.is_wall(trimmed) || self.is_footer(trimmed) {
            return;
        }
        match self.heading(trimmed) {
            Some((1, words)) if found.title.is_none() && !self.title_taken => {
                found.title = Some(title(&words));
                return;
            }
            // The title again, as many tools print it above the text.
            Some((1, words)) if found.title.as_deref() == Some(title(&words).as_str()) => return,
            Some((level, words)) => {
                let level = (level + 2 - self.base.min(level)).min(4);
                self.keep(&format!("{} {}", "#".repeat(level), links(&words)));
            }
            None => self.keep(&links(line)),
        }
        self.seen_text |= !trimmed.is_empty();
    }

    fn keep(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    /// Whether the line is code, or opens or closes it.
    fn is_code(&mut self, line: &str) -> bool {
        let marks = line.trim().chars().take_while(|c| matches!(c, '`' | '~'));
        let marks: String = marks.collect();
        let is_fence = marks.len() >= 3;
        if is_fence {
            match &self.fence {
                Some(open) if marks.starts_with(open.as_str()) => self.fence = None,
                None => self.fence = Some(marks),
                Some(_) => {}
            }
        }
        self.fence.is_some() || is_fence || line.starts_with("    ")
    }

    /// Whether the line names the days above the text; the first that are named count.
    fn is_dates(&self, trimmed: &str, found: &mut Found) -> bool {
        let dates = dates::line(trimmed.trim_matches(['*', '_']));
        let above = dates.filter(|_| !self.seen_text);
        found.dates = found.dates.or(above);
        above.is_some()
    }

    /// Whether the line is the first that says that the text was for payers from here on.
    fn is_wall(&mut self, trimmed: &str) -> bool {
        let comment = trimmed
            .strip_prefix("<!--")
            .and_then(|rest| rest.strip_suffix("-->"));
        let first = self.wall.is_none() && comment.is_some_and(paywall::is_comment);
        if first {
            self.wall = Some(self.out.len());
        }
        first
    }

    /// Whether the line is a footer's, or stands in the small print.
    fn is_footer(&mut self, trimmed: &str) -> bool {
        let words = plain(trimmed);
        let below = self.print.is_some_and(|print| self.at > print);
        let is_footer = footer::is_footer(&words) || below;
        if is_footer && !words.is_empty() {
            self.left_out.push(words);
        }
        is_footer
    }

    /// Level and words of a heading; one that is underlined takes the next line, too.
    fn heading(&mut self, trimmed: &str) -> Option<(usize, String)> {
        let may_be = !trimmed.is_empty() && !trimmed.starts_with(['#', '-', '>', '|']);
        let next = self.lines.get(self.at).filter(|_| may_be);
        match next.and_then(|next| underline(next.trim())) {
            Some(level) => {
                self.at += 1;
                Some((level, trimmed.to_owned()))
            }
            None => atx(trimmed),
        }
    }
}

/// The level that a line below it gives to a heading.
fn underline(line: &str) -> Option<usize> {
    let all = |mark: char| line.len() >= 2 && line.chars().all(|c| c == mark);
    match (all('='), all('-')) {
        (true, _) => Some(1),
        (_, true) => Some(2),
        _ => None,
    }
}

/// Names a text that has no title by its first line, which goes, or else by its first headline.
fn title_above(out: String, found: &mut Found) -> String {
    if let Some((name, rest)) = named(&out) {
        found.title = Some(title(name));
        found.notes.push("the title is the first line".into());
        return rest.to_owned();
    }
    let mut lines = out.lines();
    found.title = lines.find_map(|line| line.strip_prefix("## ").map(title));
    found.notes.push("the title is the first headline".into());
    out
}

/// The text, divided where what is for payers begins (at `wall`), and before what is no item any more.
fn pieces(text: &str, wall: usize) -> Vec<Piece> {
    let verbatim = |text: &str| Piece::of(Kind::Verbatim(text.to_owned()));
    let cut = |from: usize, to: usize| match (from..to).contains(&wall) {
        true => vec![
            verbatim(&text[from..wall]),
            paywall::piece(),
            verbatim(&text[wall..to]),
        ],
        false => vec![verbatim(&text[from..to])],
    };
    let (parts, places) = parts(text);
    let Some((at, why)) = outro::begin(&parts) else {
        return cut(0, text.len());
    };
    let mut pieces = cut(0, places[at]);
    pieces.push(Piece::guessed(Kind::Rule, why));
    pieces.extend(cut(places[at], text.len()));
    pieces
}

/// The first line, where it is one of few words that stands alone above the text, and what follows it.
fn named(text: &str) -> Option<(&str, &str)> {
    let (line, rest) = text.trim_start_matches('\n').split_once('\n')?;
    let below = rest.lines().next().unwrap_or_default();
    let alone = below.trim().is_empty() || says_hello(below);
    let short = line.chars().count() <= NAME && line.split_whitespace().count() <= 8;
    let words = line.starts_with(char::is_alphanumeric)
        && !line.ends_with(['.', ',', ':', ';', '!', '?', ')'])
        && !line.contains("](")
        && !says_hello(line);
    (alone && short && words).then_some((line, rest))
}

/// The level of headings that begins an item: the highest one below the title.
fn base(text: &str, named: Option<&str>, title_taken: bool) -> usize {
    let (mut levels, mut titled) = (Vec::new(), title_taken);
    for (event, range) in Parser::new(text).into_offset_iter() {
        let Event::Start(Tag::Heading { level, .. }) = event else {
            continue;
        };
        let words = text[range].trim_matches(['#', '=', '-', ' ', '\n']);
        let level = level as usize;
        if level == 1 && (named == Some(title(words).as_str()) || !titled) {
            titled = true;
            continue;
        }
        levels.push(level);
    }
    levels.into_iter().min().unwrap_or(2)
}

/// The outermost blocks, and where each of them begins.
fn parts(text: &str) -> (Vec<Part>, Vec<usize>) {
    let (mut parts, mut places) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    for (event, range) in Parser::new(text).into_offset_iter() {
        let words = &text[range.clone()];
        let part = match &event {
            Event::Start(Tag::Heading {
                level: HeadingLevel::H2,
                ..
            }) => Part::Item,
            Event::Start(Tag::Paragraph) if outro::is_link(words) => Part::Link,
            Event::Start(Tag::Paragraph | Tag::Heading { .. }) => {
                Part::Words(plain(words.trim_start_matches('#').trim()))
            }
            Event::Rule => Part::Rule,
            _ => Part::Other,
        };
        match event {
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Start(_) | Event::Rule if depth == 0 => {
                parts.push(part);
                places.push(range.start);
                depth += usize::from(event != Event::Rule);
            }
            Event::Start(_) => depth += 1,
            _ => {}
        }
    }
    (parts, places)
}

/// The front matter of another tool, each key in lower case with its value, and the text behind it.
pub(super) fn keys(text: &str) -> Option<(Vec<(String, String)>, &str)> {
    let fence = if text.starts_with("+++\n") {
        "+++"
    } else {
        "---"
    };
    let inside = text.strip_prefix(fence)?.strip_prefix('\n')?;
    let (lines, body) = inside.split_once(&format!("\n{fence}"))?;
    let mut keys = Vec::new();
    for line in lines.lines() {
        let pair = line.split_once(':').or_else(|| line.split_once('='));
        let Some((key, value)) = pair.filter(|_| !line.starts_with([' ', '\t', '-'])) else {
            continue;
        };
        let value = value.trim().trim_matches(['"', '\'']);
        if !value.is_empty() {
            keys.push((key.trim().to_ascii_lowercase(), value.to_owned()));
        }
    }
    Some((keys, body.split_once('\n').map_or("", |(_, body)| body)))
}

/// Takes the front matter of another tool: `title`, `description`, `date` and their like.
fn front<'a>(text: &'a str, found: &mut Found) -> &'a str {
    let Some((keys, body)) = keys(text) else {
        return text;
    };
    for (key, value) in keys {
        match key.as_str() {
            "title" => found.title = Some(value),
            "description" | "subtitle" | "teaser" | "excerpt" | "summary" => {
                found.teaser = Some(value)
            }
            "date" | "dates" | "published" | "publish_date" | "pubdate" => {
                found.dates = dates::line(&value)
            }
            other => found
                .notes
                .push(format!("`{other}` of the front matter was left out")),
        }
    }
    body
}

fn atx(line: &str) -> Option<(usize, String)> {
    let level = line.chars().take_while(|c| *c == '#').count();
    let words = line[level..].strip_prefix(' ')?;
    (1..=6)
        .contains(&level)
        .then(|| (level, words.trim().trim_end_matches('#').trim().to_owned()))
}

/// `[text]()`, `[text](#)` and `[text](url)` with a placeholder lack their target.
fn links(line: &str) -> String {
    let mut out = line.to_owned();
    for empty in [
        "]()",
        "](#)",
        "](url)",
        "](link)",
        "](http://)",
        "](https://)",
    ] {
        out = out.replace(empty, &format!("]({TODO})"));
    }
    out
}

/// The words of a headline without Markdown's marks.
fn title(words: &str) -> String {
    words.replace(['*', '`', '\\'], "").trim().to_owned()
}
