//! What the header of a file says, for whoever has to say the rest before anything is read.
//!
//! Promises: nothing is read beyond the headers; what is said here of a column is what an import with the same map
//! reads from it.

use std::path::Path;

use crate::app::App;
use crate::import::columns::Unclear;
use crate::import::field_table;
use crate::import::source::Source;
use crate::subscriber::field::BUILT_IN;

/// A file's columns, and the fields that they may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// The named columns in their order, each name once; of an archive those of all its tables.
    pub columns: Vec<String>,
    /// Address, name and every declared field, with the column that it is read from.
    pub fields: Vec<(String, Option<String>)>,
    /// Why the file cannot be imported before somebody says what a column holds.
    pub unclear: Option<String>,
}

/// The headers of `file`, whose columns hold what `map` says of them; an error where nothing that could be said of
/// columns would help.
pub fn headers(app: &App, file: &Path, map: &[(String, String)]) -> anyhow::Result<Headers> {
    let table = field_table(app)?;
    let mut found = Headers::default();
    let mut note = |names: &[String]| {
        for name in names.iter().filter(|name| !name.is_empty()) {
            if !found.columns.contains(name) {
                found.columns.push(name.clone());
            }
        }
    };
    let source = match Source::open(file, &table, map) {
        Ok(source) => {
            for table in &source.tables {
                note(table.columns.header());
            }
            Some(source)
        }
        Err(why) => {
            let Some(unclear) = why.downcast_ref::<Unclear>() else {
                return Err(why);
            };
            note(&Source::names(file)?);
            found.unclear = Some(unclear.what.clone());
            None
        }
    };
    let held = |field: &str| {
        let mut tables = source.iter().flat_map(|source| &source.tables);
        let column = tables.find_map(|table| table.columns.held(field));
        column.map(str::to_owned)
    };
    let fields = BUILT_IN.into_iter().chain(table.names());
    found.fields = fields
        .map(|field| (field.to_owned(), held(field)))
        .collect();
    Ok(found)
}
