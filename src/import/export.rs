//! Writing readers out: a list as CSV, or all that is kept of them as JSON lines.
//!
//! Promises: bounded memory for any list; no CSV cell that a spreadsheet would take for a formula, and nobody in it
//! without the word that keeps a suppressed address from mail elsewhere; the JSON lines of a database, read into an
//! empty one, come out of it octet for octet the same.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::clock::{Timestamp, exact};
use crate::hex::hex;
use crate::id::{ListId, SubscriberId};
use crate::import::formula::neutralised;
use crate::import::services::Standing;
use crate::store::imports::WholeImport;
use crate::store::journal::WholeQuarter;
use crate::store::subscribers::Listed;
use crate::store::whole::{WholeReader, WholeSuppression};
use crate::subscriber::field::FieldTable;
use crate::subscriber::{List, Status};
use crate::track::fold;

/// Readers in one page.
const PAGE: u32 = 2_000;
/// What the lines are, for whoever reads them later.
pub(super) const VERSION: u32 = 1;

/// One line: what kind of thing it is, and the thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    /// The first one: the version of the lines, and a mark of the keyring that hashed the suppressed addresses.
    Pressrun {
        version: u32,
        keyring: String,
    },
    List {
        slug: String,
        title: String,
        label: String,
        #[serde(with = "exact")]
        created_at: Timestamp,
    },
    Import(WholeImport),
    /// Who joined a list and who left it in one quarter of an hour; in whole exports only.
    Journal(WholeQuarter),
    Suppression(WholeSuppression),
    Reader(WholeReader),
}

/// Writes the readers of `list` as CSV, only those of `status` when one is given, and gives their number.
pub async fn csv(
    app: &App,
    list: ListId,
    status: Option<Status>,
    mut out: impl Write,
) -> anyhow::Result<u64> {
    let table = super::field_table(app)?;
    let header = [
        "email",
        "name",
        "status",
        "source",
        "created",
        "confirmed",
        "tags",
    ];
    write_csv(&mut out, header.into_iter().chain(table.names()))?;
    let mut after = SubscriberId(0);
    let mut count = 0;
    loop {
        let page = app.store.readers_of(list, status, after, PAGE).await?;
        let Some(last) = page.last() else {
            out.flush().context("the export cannot be written")?;
            return Ok(count);
        };
        after = last.reader.id;
        count += page.len() as u64;
        let keys: Vec<SubscriberId> = page.iter().map(|listed| listed.reader.id).collect();
        let mut tags: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (reader, tag) in app.store.tags_of(&keys).await? {
            tags.entry(reader).or_default().push(tag);
        }
        for listed in &page {
            let tags = tags.remove(&listed.reader.id.0).unwrap_or_default();
            write_reader(&mut out, listed, &tags, &table)?;
        }
    }
}

/// Writes all that is kept of readers as JSON lines, and gives their number: everything, or what concerns one list
/// (and there the readers of one status).
pub async fn lines(
    app: &App,
    list: Option<&List>,
    status: Option<Status>,
    mut out: impl Write,
) -> anyhow::Result<u64> {
    let store = &app.store;
    write_line(
        &mut out,
        &Line::Pressrun {
            version: VERSION,
            keyring: mark(app),
        },
    )?;
    let concerns = |slug: &str| list.is_none_or(|list| list.slug == slug);
    for one in store.lists().await? {
        if concerns(&one.slug) {
            write_line(
                &mut out,
                &Line::List {
                    slug: one.slug,
                    title: one.title,
                    label: one.label,
                    created_at: one.created_at,
                },
            )?;
        }
    }
    for import in store.whole_imports().await? {
        if concerns(&import.list) {
            write_line(&mut out, &Line::Import(import))?;
        }
    }
    if status.is_none() {
        for moved in store.whole_journal(list.map(|list| list.id)).await? {
            write_line(&mut out, &Line::Journal(moved))?;
        }
    }
    let mut after = Vec::new();
    while let Some((last, page)) = some(store.whole_suppressions(&after, PAGE).await?) {
        after = last.0.clone();
        for (_, suppression) in page.into_iter().chain([last]) {
            write_line(&mut out, &Line::Suppression(suppression))?;
        }
    }
    let list = list.map(|list| list.id);
    let (mut after, mut count) = (0, 0);
    while let Some((last, page)) = some(store.whole_readers(list, status, after, PAGE).await?) {
        after = last.id;
        for reader in page.into_iter().chain([last]) {
            write_line(&mut out, &Line::Reader(reader))?;
            count += 1;
        }
    }
    out.flush().context("the export cannot be written")?;
    Ok(count)
}

/// All that is kept of one reader, as she gets it: JSON; none where there is no such reader.
pub async fn reader(app: &App, reader: SubscriberId) -> anyhow::Result<Option<String>> {
    // What she did a moment ago is found by her deliveries once it is counted.
    fold::catch_up(&app.store).await?;
    let Some(export) = app.store.export_reader(reader).await? else {
        return Ok(None);
    };
    let mut text = serde_json::to_string_pretty(&export)?;
    text.push('\n');
    Ok(Some(text))
}

/// What the keyring is known by: with another one, a suppressed address would not be recognised.
pub(super) fn mark(app: &App) -> String {
    // No address holds a NUL.
    let hash = app.keyring.address_hash("mark\0");
    hex(&hash[..8])
}

/// The last of a page, and those before it.
fn some<T>(mut page: Vec<T>) -> Option<(T, Vec<T>)> {
    let last = page.pop()?;
    Some((last, page))
}

fn write_line(out: &mut impl Write, line: &Line) -> anyhow::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    out.write_all(text.as_bytes())
        .context("the export cannot be written")
}

fn write_reader(
    out: &mut impl Write,
    listed: &Listed,
    tags: &[String],
    table: &FieldTable,
) -> anyhow::Result<()> {
    let Listed {
        reader,
        subscription,
        suppressed,
    } = listed;
    let confirmed = subscription.confirmed_at.map(|at| at.to_rfc3339());
    let fields: Vec<String> = table
        .names()
        .map(|field| reader.fields.text(field).unwrap_or_default())
        .collect();
    let created = subscription.created_at.to_rfc3339();
    let tags = tags.join(", ");
    let cells = [
        reader.address.as_str(),
        &reader.name,
        status(subscription.status, suppressed.as_deref()),
        &subscription.source,
        &created,
        confirmed.as_deref().unwrap_or_default(),
        &tags,
    ];
    write_csv(
        out,
        cells.into_iter().chain(fields.iter().map(String::as_str)),
    )
}

/// The word for how a reader stands: one that no import takes for a reader where the address is suppressed.
fn status(status: Status, suppressed: Option<&str>) -> &'static str {
    let ends = match suppressed {
        None => return status.name(),
        Some("bounced") => Standing::Bounced,
        Some("complained") => Standing::Complained,
        Some(_) => Standing::Blocked,
    };
    ends.name()
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
            "\tx",
            "\rx",
            "plain",
            "a,b",
        ];
        write_csv(&mut out, cells.into_iter()).expect("memory takes it");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "\"'=HYPERLINK(\"\"http://x.example\"\")\",'+1,'-x@x.example,'@a,\"'\tx\",\"'\rx\",plain,\"a,b\"\n"
        );
    }
}
