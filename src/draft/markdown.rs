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
    let lines: Vec<&str> = body.lines().collect();
    let firsts = lines.iter().filter(|line| line.starts_with("# ")).count();
    let titled = found.title.is_some();
    // One `#` is the title; several are the items.
    let title_taken = titled || firsts > 1 && !lines.iter().any(|line| line.starts_with("## "));
    let base = base(body, found.title.as_deref(), title_taken);
    let print = footer::small_print(lines.iter().copied());
    let mut out = String::new();
    let mut left_out = Vec::new();
    // From where on the text was for payers, counted from its end.
    let mut wall = None;
    let mut fence: Option<String> = None;
    let (mut at, mut seen_text) = (0, false);
    while let Some(line) = lines.get(at) {
        at += 1;
        let trimmed = line.trim();
        let ticks = trimmed
            .chars()
            .take_while(|c| matches!(c, '`' | '~'))
            .collect::<String>();
        if ticks.len() >= 3 {
            match &fence {
                Some(open) if ticks.starts_with(open.as_str()) => fence = None,
                None => fence = Some(ticks.clone()),
                Some(_) => {}
            }
        }
        if fence.is_some() || ticks.len() >= 3 || line.starts_with("    ") {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        if !seen_text && dates::line(trimmed.trim_matches(['*', '_'])).is_some() {
            found.dates = found
                .dates
                .or_else(|| dates::line(trimmed.trim_matches(['*', '_'])));
            continue;
        }
        let comment = trimmed
            .strip_prefix("<!--")
            .and_then(|rest| rest.strip_suffix("-->"));
        if wall.is_none() && comment.is_some_and(paywall::is_comment) {
            wall = Some(out.len());
            continue;
        }
        let words = plain(trimmed);
        if footer::is_footer(&words) || print.is_some_and(|print| at > print) {
            left_out.extend((!words.is_empty()).then_some(words));
            continue;
        }
        let underline = lines
            .get(at)
            .map(|next| next.trim())
            .filter(|next| next.len() >= 2);
        let underlined = underline.and_then(|next| {
            let all = |mark: char| next.chars().all(|c| c == mark);
            let level = if all('=') {
                1
            } else if all('-') {
                2
            } else {
                return None;
            };
            (!trimmed.is_empty() && !trimmed.starts_with(['#', '-', '>', '|'])).then_some(level)
        });
        let heading = match underlined {
            Some(level) => {
                at += 1;
                Some((level, trimmed.to_owned()))
            }
            None => atx(trimmed),
        };
        match heading {
            Some((1, words)) if found.title.is_none() && !title_taken => {
                found.title = Some(title(&words));
                continue;
            }
            // The title again, as many tools print it above the text.
            Some((1, words)) if found.title.as_deref() == Some(title(&words).as_str()) => continue,
            Some((level, words)) => {
                let level = (level + 2 - base.min(level)).min(4);
                out.push_str(&format!("{} {}\n", "#".repeat(level), links(&words)));
            }
            None => {
                out.push_str(&links(line));
                out.push('\n');
            }
        }
        seen_text |= !trimmed.is_empty();
    }
    let wall = wall.map(|at| out.len() - at);
    if found.title.is_none() {
        if let Some((name, rest)) = named(&out) {
            found.title = Some(title(name));
            found.notes.push("the title is the first line".into());
            out = rest.to_owned();
        } else {
            let mut lines = out.lines();
            found.title = lines.find_map(|line| line.strip_prefix("## ").map(title));
            found.notes.push("the title is the first headline".into());
        }
    }
    found.notes.extend(footer::note(&left_out));
    let (parts, places) = parts(&out);
    let wall = wall.map_or(out.len(), |left| out.len().saturating_sub(left));
    let verbatim = |text: &str| Piece::of(Kind::Verbatim(text.to_owned()));
    let cut = |from: usize, to: usize| match (from..to).contains(&wall) {
        true => vec![
            verbatim(&out[from..wall]),
            paywall::piece(),
            verbatim(&out[wall..to]),
        ],
        false => vec![verbatim(&out[from..to])],
    };
    match outro::begin(&parts) {
        Some((at, why)) => {
            found.pieces.extend(cut(0, places[at]));
            found.pieces.push(Piece::guessed(Kind::Rule, why));
            found.pieces.extend(cut(places[at], out.len()));
        }
        None => found.pieces.extend(cut(0, out.len())),
    }
    found
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
