//! Lists and tables of an exported page.
//!
//! Promises: an entry is one line, however it is wrapped; a table has a row for each of its own.

use scraper::{ElementRef, Selector};

use crate::draft::html::{DEPTH_LIMIT, Walk};
use crate::draft::piece::{Entry, Kind, Piece, tame_start};

impl Walk<'_> {
    pub(super) fn list(
        &mut self,
        list: ElementRef<'_>,
        level: usize,
        entries: &mut Vec<Entry>,
        depth: usize,
    ) {
        if depth > DEPTH_LIMIT {
            return;
        }
        let ordered = list.value().name() == "ol";
        let start = list
            .value()
            .attr("start")
            .and_then(|start| start.parse().ok());
        let mut number: usize = start.unwrap_or(1);
        for item in list.children().filter_map(ElementRef::wrap) {
            match item.value().name() {
                "ul" | "ol" => self.list(item, level + 1, entries, depth + 1),
                "li" => {
                    if let Some(label) = self.words.footnote(item) {
                        self.note(label, item);
                        continue;
                    }
                    let text = self.words.children_without(item, &["ul", "ol"], 0);
                    let text = text
                        .split('\n')
                        .map(str::trim)
                        .filter(|line| !line.is_empty());
                    let text: Vec<&str> = text.collect();
                    entries.push(Entry {
                        depth: level,
                        number: ordered.then_some(number),
                        text: tame_start(&text.join(" ")),
                    });
                    number = number.saturating_add(1);
                    self.nested(item, level, entries, depth + 1);
                }
                _ => {}
            }
        }
    }

    /// The lists within an entry, however they are wrapped.
    fn nested(
        &mut self,
        within: ElementRef<'_>,
        level: usize,
        entries: &mut Vec<Entry>,
        depth: usize,
    ) {
        if depth > DEPTH_LIMIT {
            return;
        }
        for child in within.children().filter_map(ElementRef::wrap) {
            match child.value().name() {
                "ul" | "ol" => self.list(child, level + 1, entries, depth + 1),
                _ => self.nested(child, level, entries, depth + 1),
            }
        }
    }

    pub(super) fn table(&mut self, table: ElementRef<'_>) {
        let rows = Selector::parse("tr").expect("our own selectors are well formed");
        let cells = Selector::parse("th, td").expect("our own selectors are well formed");
        let mut lines = Vec::new();
        for row in table.select(&rows) {
            let cells = row
                .select(&cells)
                .map(|cell| self.words.children(cell, 0).replace('\n', " "));
            lines.push(cells.map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
        }
        lines.retain(|row| !row.is_empty());
        if !lines.is_empty() {
            self.pieces.push(Piece::of(Kind::Table(lines)));
        }
    }
}
