//! What is longer in a row than what is kept of it.
//!
//! Promises: nothing is cut unseen. Leaves the cutting to `subscriber`.

use crate::import::columns::{Columns, text};
use crate::import::csv::Record;
use crate::subscriber::field::FieldTable;
use crate::subscriber::{NAME_LIMIT, too_long};

/// A cell of which less is kept than it holds, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) struct Cut<'a> {
    pub column: &'a str,
    pub holds: usize,
    pub kept: usize,
}

impl Columns {
    /// The cells of a row that are cut.
    pub(in crate::import) fn cut_cells(&self, record: &Record, table: &FieldTable) -> Vec<Cut<'_>> {
        let fields = self.fields.iter();
        let fields = fields.filter_map(|(column, field)| Some((*column, table.keeps(field)?)));
        let is_field = |column: &usize| self.fields.iter().any(|(own, _)| own == column);
        let parts = self.parts.iter().flatten().filter(|part| !is_field(part));
        let names = self.name.iter().chain(parts);
        let names = names.map(|&column| (column, NAME_LIMIT));
        let cells = names.chain(fields).filter_map(|(column, kept)| {
            // Most cells are short, and are not looked at twice.
            if record.cell(column).len() <= kept {
                return None;
            }
            Some(Cut {
                holds: too_long(text(record, column).ok()?, kept)?,
                column: &self.header[column],
                kept,
            })
        });
        cells.collect()
    }
}
