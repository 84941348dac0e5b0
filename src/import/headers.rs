//! What the header of a file says, for whoever has to say the rest before anything is read.
//!
//! Promises: nothing is read beyond the headers; what is said here of a column is what an import with the same map
//! reads from it.

use std::path::Path;

use crate::app::App;
use crate::import::columns::Unclear;
use crate::import::field_table;
use crate::import::services::{Service, folded};
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
    let mut unread = Vec::new();
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
            unread = Source::names(file)?;
            note(&unread);
            found.unclear = Some(unclear.what.clone());
            None
        }
    };
    let held = |field: &str| {
        let mut tables = source.iter().flat_map(|source| &source.tables);
        let column = tables.find_map(|table| table.columns.held(field));
        column
            .map(str::to_owned)
            .or_else(|| likely(&unread, field, map))
    };
    let fields = BUILT_IN.into_iter().chain(table.names());
    found.fields = fields
        .map(|field| (field.to_owned(), held(field)))
        .collect();
    Ok(found)
}

/// The one column that is taken for `field` by its own name, as far as that can be told of a file that says too little
/// to be read.
fn likely(names: &[String], field: &str, map: &[(String, String)]) -> Option<String> {
    let spelled = |name: &str| match field {
        "email" => false,
        "name" => Service::any().name_of.contains(&folded(name)),
        declared => folded(name) == folded(declared),
    };
    let said = |name: &str| map.iter().any(|(column, _)| column == name);
    let mut found = names.iter().filter(|name| spelled(name) && !said(name));
    let column = found.next()?;
    found.next().is_none().then(|| column.clone())
}
