//! What a row says of its reader besides how she stands: name, fields and tags.
//!
//! Promises: a cell that is no value of its field keeps nobody out, unless no reader may lack the field; what programs
//! write for nothing is nothing in a number, a date and a yes or no. Leaves what a value is to `subscriber::field`.

use crate::import::columns::{Columns, text};
use crate::import::csv::Record;
use crate::import::services::folded;
use crate::import::signs::is_nothing;
use crate::subscriber::clean_name;
use crate::subscriber::field::{FieldKind, FieldTable, Fields};
use crate::subscriber::tag::{TAGS_LIMIT, Tag};

/// What is read of a row so.
#[derive(Default)]
pub(super) struct Particulars {
    pub(super) name: String,
    pub(super) fields: Fields,
    pub(super) tags: Vec<Tag>,
    /// What fields take whose cells are no value of theirs.
    pub(super) unfit: Vec<String>,
}

impl Columns {
    pub(super) fn particulars(
        &self,
        record: &Record,
        table: &FieldTable,
    ) -> Result<Particulars, String> {
        let width = self.header.len();
        if record.width() > width && (width..record.width()).any(|c| !record.cell(c).is_empty()) {
            return Err(format!(
                "the row has {} cells and the header {width}",
                record.width()
            ));
        }
        let name = match (self.name, self.parts) {
            (Some(column), _) => clean_name(text(record, column)?),
            (None, [None, None]) => String::new(),
            (None, parts) => {
                let mut whole = String::new();
                for column in parts.into_iter().flatten() {
                    whole.push_str(text(record, column)?);
                    whole.push(' ');
                }
                clean_name(&whole)
            }
        };
        let mut found = Particulars {
            name,
            tags: self.tags_in(record)?,
            ..Particulars::default()
        };
        for (column, field) in &self.fields {
            found.fill(table, field, text(record, *column)?)?;
        }
        self.inner_fields(record, table, &mut found)?;
        Ok(found)
    }

    fn tags_in(&self, record: &Record) -> Result<Vec<Tag>, String> {
        let Some(column) = self.tags else {
            return Ok(Vec::new());
        };
        let mut tags = Vec::new();
        for tag in listed(text(record, column)?) {
            // Whatever stands around a name in other exports is no part of it.
            let tag = Tag::named(tag).filter(|tag| !tags.contains(tag));
            tags.extend(tag.filter(|_| tags.len() < TAGS_LIMIT));
        }
        Ok(tags)
    }

    /// Declared fields that have no column but stand in the object of further fields.
    fn inner_fields(
        &self,
        record: &Record,
        table: &FieldTable,
        found: &mut Particulars,
    ) -> Result<(), String> {
        let Some(column) = self.json.filter(|_| !self.inner.is_empty()) else {
            return Ok(());
        };
        let object = text(record, column)?.trim();
        if object.is_empty() {
            return Ok(());
        }
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(object)
            .map_err(|_| format!("`{}` holds no JSON object", self.header[column]))?;
        for field in &self.inner {
            let held = object.iter().find(|(key, _)| folded(key) == folded(field));
            let value = match held.map(|(_, value)| value) {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => {
                    value.to_string()
                }
                _ => continue,
            };
            found.fill(table, field, &value)?;
        }
        Ok(())
    }
}

impl Particulars {
    /// Takes `cell` for `field`.
    fn fill(&mut self, table: &FieldTable, field: &str, cell: &str) -> Result<(), String> {
        let kind = table.kind(field);
        let cell = match kind {
            Some(FieldKind::Date) => day(cell),
            _ => cell,
        };
        if kind != Some(FieldKind::Text) && is_nothing(cell) {
            return Ok(());
        }
        match table.value(field, cell) {
            Ok(Some(value)) => {
                self.fields.0.insert(field.to_owned(), value);
            }
            Ok(None) => {}
            Err(why) if table.required(field) => return Err(why.to_string()),
            Err(why) => self.unfit.push(why.to_string()),
        }
        Ok(())
    }
}

/// The day of `1990-02-03T00:00:00Z`; anything else as it is.
fn day(cell: &str) -> &str {
    let cell = cell.trim();
    let Some((day, time)) = cell.split_at_checked(10) else {
        return cell;
    };
    let is_time =
        time.starts_with(['T', ' ']) && time[1..].starts_with(|c: char| c.is_ascii_digit());
    match is_time && time.contains(':') {
        true => day,
        false => cell,
    }
}

/// The names in a list with commas between them; a comma within quotes is part of a name.
fn listed(cell: &str) -> Vec<&str> {
    let whole = cell.matches('"').count().is_multiple_of(2);
    let mut quoted = false;
    let names = cell.split(|c: char| {
        quoted ^= c == '"' && whole;
        c == ',' && !quoted
    });
    names.collect()
}
