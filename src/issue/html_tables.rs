//! Tables in HTML: rows and cells become the table that Markdown has.
//!
//! Promises: a row of headings alone is the head; the side of a column is that of its first cell that names
//! one. Leaves what stands in a cell to `html_words`.

use crate::issue::block::{Align, Block, Inline};
use crate::issue::html::{Shape, Tag};
use crate::issue::markdown::{IN_TABLES, Reader};

impl Reader<'_> {
    /// The table of `tag`; nothing where it has no cells.
    pub(super) fn html_table(&mut self, tag: &Tag) -> Vec<Block> {
        let mut rows = Vec::new();
        self.children(tag, |reader, shape, child| match shape {
            Shape::Row => {
                rows.push(reader.html_row(child));
                true
            }
            Shape::TablePart => {
                reader.children(child, |reader, shape, row| {
                    if shape == Shape::Row {
                        rows.push(reader.html_row(row));
                    }
                    shape == Shape::Row
                });
                true
            }
            _ => false,
        });
        let columns = rows
            .iter()
            .map(|(_, cells)| cells.len())
            .max()
            .unwrap_or_default();
        if columns == 0 {
            return Vec::new();
        }
        let side = |column: usize| {
            let mut cells = rows.iter().filter_map(|(_, cells)| cells.get(column));
            cells.find(|(side, _)| *side != Align::Left)
        };
        let align = (0..columns).map(|column| side(column).map_or(Align::Left, |(side, _)| *side));
        let align = align.collect();
        let words =
            |cells: Vec<(Align, Vec<Inline>)>| cells.into_iter().map(|(_, words)| words).collect();
        let headed = rows.first().is_some_and(|(head, _)| *head);
        let mut rows = rows.into_iter().map(|(_, cells)| words(cells));
        let head = if headed { rows.next() } else { None };
        vec![Block::Table {
            align,
            head: head.unwrap_or_default(),
            rows: rows.collect(),
        }]
    }

    /// The cells of a row, and whether all of them are headings.
    fn html_row(&mut self, tag: &Tag) -> (bool, Vec<(Align, Vec<Inline>)>) {
        let mut cells = Vec::new();
        let mut heads = true;
        self.children(tag, |reader, shape, child| {
            let Shape::Cell { head } = shape else {
                return false;
            };
            heads &= head;
            let side = reader.side(child).unwrap_or(Align::Left);
            let words = reader.words_within(child);
            let words = reader.squeezed(words);
            cells.push((side, reader.without_images(words, IN_TABLES)));
            true
        });
        (heads && !cells.is_empty(), cells)
    }
}
