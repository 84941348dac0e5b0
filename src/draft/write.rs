//! From pieces to `issue.md`.
//!
//! Promises: what is written is read back by `issue` as it was meant; each guess is a comment at its
//! place, which no reader sees, and a line number for the author.

use std::fmt::Write as _;

use crate::draft::links::TODO;
use crate::draft::piece::{Entry, Kind, Piece};
use crate::draft::{Draft, Format, Found, Guess, pictures, quoted};

/// Writes the whole file.
pub(super) fn draft(format: Format, found: Found) -> Draft {
    let mut notes = found.notes;
    let title = found
        .title
        .as_deref()
        .map(one_line)
        .filter(|title| !title.is_empty());
    if title.is_none() {
        notes.push("no title was found".into());
    }
    notes.extend(pictures::told(found.pieces.iter().filter_map(remote)));
    let title = title.unwrap_or_else(|| TODO.to_owned());
    let teaser = found
        .teaser
        .as_deref()
        .map(one_line)
        .filter(|teaser| !teaser.is_empty());
    let mut out = format!("---\ntitle: {}\n", quoted(&title));
    if let Some(teaser) = &teaser {
        let _ = writeln!(out, "teaser: {}", quoted(teaser));
    }
    if let Some((from, to)) = found.dates {
        let _ = writeln!(out, "dates: {{ from: {from}, to: {to} }}");
    }
    if !found.authors.is_empty() {
        out.push_str("authors:\n");
    }
    for author in &found.authors {
        let _ = writeln!(out, "  - name: {}", quoted(&one_line(author)));
    }
    out.push_str("---\n");
    let mut page = Page {
        guesses: notes
            .into_iter()
            .map(|what| Guess { line: 2, what })
            .collect(),
        lines: out.matches('\n').count(),
        out,
        prefix: String::new(),
    };
    page.pieces(&found.pieces);
    let items = found
        .pieces
        .iter()
        .filter(|piece| matches!(piece.kind, Kind::Item { .. }));
    let items = items.count();
    let verbatim = found.pieces.iter().filter_map(|piece| match &piece.kind {
        Kind::Verbatim(text) => Some(text.lines().filter(|line| line.starts_with("## ")).count()),
        _ => None,
    });
    Draft {
        format,
        items: items + verbatim.sum::<usize>(),
        open_links: page.out.matches(&format!("]({TODO})")).count(),
        title,
        teaser,
        dates: found.dates,
        authors: found.authors,
        markdown: page.out,
        guesses: page.guesses,
    }
}

/// The address of a picture that is none of the author's files.
fn remote(piece: &Piece) -> Option<&str> {
    match &piece.kind {
        Kind::Image { source, .. } => source.contains("://").then_some(source),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

struct Page {
    out: String,
    /// How many lines that are.
    lines: usize,
    /// Before each line, within a quote.
    prefix: String,
    guesses: Vec<Guess>,
}

impl Page {
    fn pieces(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            self.line("");
            if let Some(what) = &piece.guess {
                let comment = format!("<!-- guessed: {what} -->");
                self.guesses.push(Guess {
                    line: self.lines + 1,
                    what: what.clone(),
                });
                self.line(&comment);
                self.line("");
            }
            self.piece(piece);
        }
    }

    fn piece(&mut self, piece: &Piece) {
        match &piece.kind {
            Kind::Item {
                number: Some(number),
                text,
            } => self.line(&format!("## {number}. {text}")),
            Kind::Item { number: None, text } => self.line(&format!("## {text}")),
            Kind::Heading { level, text } => self.line(&format!("{} {text}", "#".repeat(*level))),
            Kind::Paragraph(text) => self.lines(text),
            Kind::List(entries) => self.list(entries),
            Kind::Quote(pieces) => {
                let outer = self.prefix.len();
                self.prefix.push_str("> ");
                for (index, piece) in pieces.iter().enumerate() {
                    if index > 0 {
                        self.line("");
                    }
                    self.piece(piece);
                }
                self.prefix.truncate(outer);
            }
            Kind::Code(text) => {
                let longest = text
                    .split(|c| c != '`')
                    .map(str::len)
                    .max()
                    .unwrap_or_default();
                let fence = "`".repeat(longest.max(2) + 1);
                self.line(&fence);
                self.lines(text);
                self.line(&fence);
            }
            Kind::Image {
                source,
                alt,
                caption,
                href,
            } => {
                let caption = match caption.as_str() {
                    "" => String::new(),
                    caption => format!(
                        " \"{}\"",
                        one_line(caption).replace('\\', "\\\\").replace('"', "\\\"")
                    ),
                };
                let image = format!("![{}]({}{caption})", one_line(alt), target(source));
                match href {
                    Some(href) => self.line(&format!("[{image}]({})", target(href))),
                    None => self.line(&image),
                }
            }
            Kind::Table(rows) => self.table(rows),
            Kind::Rule => self.line("***"),
            Kind::LeftOut(text) => {
                let what = one_line(text).replace("[[", "[ [");
                // Nothing of it may end the comment.
                let what = format!(
                    "left out: {}",
                    what.replace("->", "- >").replace("!>", "! >")
                );
                self.line(&format!("<!-- {what} -->"));
                let line = self.lines;
                self.guesses.push(Guess { line, what });
            }
            Kind::Note { label, text } => {
                let mut paragraphs = text.split("\n\n").map(one_line);
                let first = paragraphs.next().unwrap_or_default();
                self.line(&format!("[^{label}]: {first}"));
                for paragraph in paragraphs.filter(|paragraph| !paragraph.is_empty()) {
                    self.line("");
                    self.line(&format!("    {paragraph}"));
                }
            }
            Kind::Verbatim(text) => self.lines(text.trim_matches('\n')),
        }
    }

    fn list(&mut self, entries: &[Entry]) {
        // The open levels, as deep as they were written, and the columns at which their text begins.
        let mut columns: Vec<(usize, usize)> = Vec::new();
        for entry in entries {
            while columns.pop_if(|(depth, _)| *depth >= entry.depth).is_some() {}
            let indent = columns.last().map_or(0, |(_, column)| *column);
            let marker = match entry.number {
                Some(number) => format!("{number}. "),
                None => "- ".to_owned(),
            };
            let column = indent + marker.len();
            let mut lines = entry.text.lines();
            let first = lines.next().unwrap_or_default();
            self.line(&format!("{}{marker}{first}", " ".repeat(indent)));
            for more in lines {
                self.line(&format!("{}{more}", " ".repeat(column)));
            }
            columns.push((entry.depth, column));
        }
    }

    fn table(&mut self, rows: &[Vec<String>]) {
        let width = rows.iter().map(Vec::len).max().unwrap_or_default();
        for (index, row) in rows.iter().enumerate() {
            let cell = |at: usize| row.get(at).map(|cell| one_line(cell)).unwrap_or_default();
            let cells: Vec<String> = (0..width).map(cell).collect();
            self.line(&format!("| {} |", cells.join(" | ")));
            if index == 0 {
                self.line(&format!("|{}", "---|".repeat(width)));
            }
        }
    }

    fn lines(&mut self, text: &str) {
        for line in text.lines() {
            self.line(line);
        }
    }

    fn line(&mut self, text: &str) {
        let line = format!("{}{text}", self.prefix);
        self.out.push_str(line.trim_end_matches(' '));
        if text.ends_with("  ") {
            // Two blanks are Markdown's line break.
            self.out.push_str("  ");
        }
        self.out.push('\n');
        self.lines += 1 + text.matches('\n').count();
    }
}

/// An address that Markdown reads whole.
pub(super) fn target(url: &str) -> String {
    let url: String = url.chars().filter(|c| !c.is_control()).collect();
    if url.contains([' ', '(', ')', '<', '>']) {
        let url = url
            .replace('<', "%3C")
            .replace('>', "%3E")
            .replace(' ', "%20");
        return format!("<{url}>");
    }
    url
}
