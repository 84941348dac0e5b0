//! Writing a list's readers as CSV or as JSON lines, page by page.
//!
//! Promises: bounded memory for any list; no cell that a spreadsheet would take for a formula.

use std::io::Write;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::id::{ListId, SubscriberId};
use crate::import::columns::neutralised;
use crate::subscriber::field::FieldTable;
use crate::subscriber::{Status, Subscriber, Subscription};

/// Readers in one page.
const PAGE: u32 = 2_000;

/// How the readers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    /// One object a line.
    Json,
}

/// Writes the readers of `list`, only those of `status` when one is given, and gives their number.
pub async fn run(
    app: &App,
    list: ListId,
    status: Option<Status>,
    format: Format,
    mut out: impl Write,
) -> anyhow::Result<u64> {
    let table = super::field_table(app)?;
    if format == Format::Csv {
        let header = ["email", "name", "status", "source", "created", "confirmed"];
        write_csv(&mut out, header.into_iter().chain(table.names()))?;
    }
    let mut after = SubscriberId(0);
    let mut count = 0;
    loop {
        let page = app.store.readers_of(list, status, after, PAGE).await?;
        let Some((last, _)) = page.last() else {
            out.flush().context("the export cannot be written")?;
            return Ok(count);
        };
        after = last.id;
        count += page.len() as u64;
        for (reader, subscription) in &page {
            match format {
                Format::Csv => write_reader(&mut out, reader, subscription, &table)?,
                Format::Json => {
                    let line = as_json(reader, subscription);
                    writeln!(out, "{line}").context("the export cannot be written")?;
                }
            }
        }
    }
}

fn write_reader(
    out: &mut impl Write,
    reader: &Subscriber,
    subscription: &Subscription,
    table: &FieldTable,
) -> anyhow::Result<()> {
    let confirmed = subscription.confirmed_at.map(|at| at.to_rfc3339());
    let fields: Vec<String> = table
        .names()
        .map(|field| reader.fields.text(field).unwrap_or_default())
        .collect();
    let created = subscription.created_at.to_rfc3339();
    let cells = [
        reader.address.as_str(),
        &reader.name,
        subscription.status.name(),
        &subscription.source,
        &created,
        confirmed.as_deref().unwrap_or_default(),
    ];
    write_csv(
        out,
        cells.into_iter().chain(fields.iter().map(String::as_str)),
    )
}

fn as_json(reader: &Subscriber, subscription: &Subscription) -> Value {
    let mut object = Map::new();
    object.insert("email".into(), json!(reader.address));
    object.insert("name".into(), json!(reader.name));
    object.insert("status".into(), json!(subscription.status));
    object.insert("source".into(), json!(subscription.source));
    object.insert(
        "created_at".into(),
        json!(subscription.created_at.to_rfc3339()),
    );
    let confirmed = subscription.confirmed_at.map(|at| at.to_rfc3339());
    object.insert("confirmed_at".into(), json!(confirmed));
    object.insert("fields".into(), json!(reader.fields));
    Value::Object(object)
}

/// Writes one record.
fn write_csv<'a>(out: &mut impl Write, cells: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let line = csv_record(&cells.collect::<Vec<_>>());
    out.write_all(line.as_bytes())
        .context("the export cannot be written")
}

/// One record (RFC 4180, section 2), with cells neutralised; a line ends in LF.
pub fn csv_record(cells: &[&str]) -> String {
    let mut line = String::new();
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        let cell = neutralised(cell);
        if cell.contains(['"', ',', ';', '\t', '\n', '\r']) {
            line.push('"');
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(&cell);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::write_csv;

    #[test]
    fn a_hostile_cell_is_text_in_a_spreadsheet() {
        let mut out = Vec::new();
        let cells = [
            "=HYPERLINK(\"http://x.example\")",
            "+1",
            "-x@x.example",
            "@a",
            "plain",
            "a,b",
        ];
        write_csv(&mut out, cells.into_iter()).expect("memory takes it");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "\"'=HYPERLINK(\"\"http://x.example\"\")\",'+1,'-x@x.example,'@a,plain,\"a,b\"\n"
        );
    }
}
