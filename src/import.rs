//! Importing readers: streaming, in bounded memory, and never against a reader's will.
//!
//! Promises: a bad row goes to the rejects file and the rest is imported; what was imported stays when
//! the import is broken off, and importing again goes on from there; nobody is mailed, and nobody is confirmed
//! without a stated consent. One thread reads and parses, the caller's task writes batches of [`BATCH`] rows, each
//! in one short transaction.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::access::Doer;
use crate::app::App;
use crate::id::ListId;
use crate::import::columns::{Columns, Row};
use crate::import::decide::{Tally, Terms};
use crate::import::parse::{Parsed, Parser, wanted};
use crate::import::when::Here;
use crate::import::writer::{WARY, write, write_all};
use crate::lists;
use crate::store::import::Origin;
use crate::store::imports::NewImport;
use crate::subscriber::Status;
use crate::subscriber::field::FieldTable;

pub mod columns;
pub mod csv;
pub mod decide;
pub mod doubt;
pub mod export;
pub mod formula;
mod gone;
pub mod guard;
pub mod headers;
pub mod outcome;
mod parse;
mod rejects;
pub mod restore;
mod seen;
pub mod services;
mod signs;
mod source;
pub mod undo;
mod when;
mod writer;

/// Rows in one transaction: a sender beside the import waits for the writer no longer than this takes.
pub const BATCH: usize = 2_000;

/// What to import, and how.
#[derive(Clone, Debug)]
pub struct Import {
    pub file: PathBuf,
    /// Slug of the list.
    pub list: String,
    /// How new subscriptions begin: pending or confirmed.
    pub status: Status,
    /// Whether pending subscriptions of this list become confirmed.
    pub confirm: bool,
    /// How these readers agreed, in the author's words; empty confirms nobody.
    pub consent: String,
    /// What columns mean, where their header does not say it.
    pub map: Vec<(String, String)>,
    /// Whether the file may take more than a twentieth off the list.
    pub accept_taken_off: bool,
    /// Who imports, for the audit; nobody where there is none.
    pub by: Option<Doer>,
    /// Count only, write nothing.
    pub dry_run: bool,
}

/// What came of it. Every row is counted once: `rows` is the sum of the tally's counters (but `pending`, which is a
/// part of `added`), of `duplicates` and of `rejected`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Its number, by which it is taken back; none for a dry run.
    pub import: Option<i64>,
    pub file: String,
    /// The service whose export it is; empty for any table.
    pub service: String,
    /// Tables of an archive that were imported, and that were not.
    pub tables: Vec<String>,
    pub passed_over: Vec<String>,
    pub list: String,
    pub status: &'static str,
    pub consent: String,
    pub dry_run: bool,
    /// Batches that an earlier, broken try had taken.
    pub resumed: u64,
    pub rows: u64,
    #[serde(flatten)]
    pub tally: Tally,
    /// Readers of the list, counted by a dry run that would take any of them off.
    pub readers: u64,
    /// Named before in the same file.
    pub duplicates: u64,
    pub rejected: u64,
    /// Rows taken whose time of joining is not understood, and what the first says.
    pub undated: u64,
    pub undated_as: String,
    /// Cells of which less is kept than they hold, and the first of them.
    pub cut: u64,
    pub cut_as: String,
    /// Cells that are no value of their field and are left out, and the first of them.
    pub unfit: u64,
    pub unfit_as: String,
    /// Where the rejected rows are.
    pub rejects_files: Vec<String>,
    /// The first rejected rows: line and reason.
    pub rejects: Vec<Reject>,
    /// The columns by whose unknown words rows are rejected.
    #[serde(skip)]
    pub doubted: Vec<String>,
    /// Headers that mean nothing here.
    pub ignored_columns: Vec<String>,
    /// What whoever imports such a file must know; mostly nothing.
    pub note: String,
}

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Of which table of an archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    pub line: u64,
    pub reason: String,
}

/// How far an import is, for a progress bar.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    pub rows: u64,
    /// Octets of the file read, and there are.
    pub bytes: u64,
    pub size: u64,
}

/// Imports a file; `progress` is called after each batch.
pub async fn run(
    app: &App,
    import: &Import,
    progress: impl FnMut(Progress),
) -> anyhow::Result<Summary> {
    ensure!(
        import.status == Status::Pending || !import.consent.is_empty(),
        "nobody is confirmed without a consent; say how these readers agreed"
    );
    let list = match import.dry_run {
        // A list that does not exist yet has no readers, and a dry run does not make it.
        true if import.list == app.config.publication.list => {
            let list = app.store.list(&import.list).await?;
            list.map_or(ListId(0), |list| list.id)
        }
        _ => lists::find(app, &import.list).await?.id,
    };
    let now = app.clock.now();
    let here = Here::of(app, now);
    let parser = Parser::open(import, field_table(app)?, app.keyring.clone(), here)?;
    let parser = gone::look(doubt::ask(parser).await?).await?;
    let mut summary = summary(import, &parser);
    let mut origin = Origin {
        list,
        source: format!("import:{}", summary.file),
        import: None,
        at: now,
    };
    if !import.dry_run {
        guard::ask(app, import, list, now).await?;
        begin(app, import, &parser, &mut summary, &mut origin).await?;
    }
    let parsed = write_all(app, import, &origin, parser, &mut summary, progress).await?;
    summary.take(parsed);
    if import.dry_run && summary.tally.ends > 0 {
        summary.readers = app.store.readers_on(list).await?;
    }
    if let Some(id) = origin.import {
        let tally = serde_json::to_string(&summary)?;
        app.store.finish_import(id, &tally, app.clock.now()).await?;
    }
    Ok(summary)
}

/// Begins the import, or goes on with the same one that was broken off.
async fn begin(
    app: &App,
    import: &Import,
    parser: &Parser,
    summary: &mut Summary,
    origin: &mut Origin,
) -> anyhow::Result<()> {
    let path = import.file.clone();
    let content = tokio::task::spawn_blocking(move || source::fingerprint(&path));
    let content = content.await.context("the reading thread")??;
    let new = NewImport {
        list: origin.list,
        file: &summary.file,
        service: &summary.service,
        fingerprint: &known_again(import, parser, &content),
        status: import.status,
        consent: &import.consent,
        at: origin.at,
    };
    let begun = app.store.begin_import(&new).await?;
    (origin.import, origin.at) = (Some(begun.id), begun.at);
    summary.import = Some(begun.id);
    if let Some(by) = &import.by {
        let about = format!("import {} into {}", begun.id, import.list);
        by.note(app, "imported readers", &about).await?;
    }
    summary.resumed = begun.done;
    if begun.done > 0 {
        summary.tally = serde_json::from_str(&begun.tally).context("the import's tally")?;
    }
    Ok(())
}

/// The fields declared in the author's folder; none when there is no `fields.toml`.
pub fn field_table(app: &App) -> anyhow::Result<FieldTable> {
    let path = app.emails().join("fields.toml");
    let name = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => FieldTable::parse(&text).with_context(|| format!("`{name}`")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(FieldTable::default()),
        Err(error) => Err(error).with_context(|| format!("`{name}`")),
    }
}

/// One reader, as `subscribers add` gives it, by the rules of an import.
pub async fn add_one(app: &App, origin: &Origin, row: Row, terms: Terms) -> anyhow::Result<Tally> {
    let wanted = wanted(&app.keyring, &row);
    let mut wary = WARY;
    write(app, origin, (&[row], &[wanted]), terms, &mut wary, |_| None).await
}

fn summary(import: &Import, parser: &Parser) -> Summary {
    let tables = &parser.source.tables;
    let mut ignored: Vec<String> = Vec::new();
    for name in tables.iter().flat_map(|table| &table.columns.ignored) {
        if !ignored.contains(name) {
            ignored.push(name.clone());
        }
    }
    let service = tables
        .first()
        .map(|table| table.columns.service.name.clone());
    let names = tables.iter().map(|table| table.name.clone());
    let columns = tables.iter().map(|table| &table.columns);
    let note = columns.map(Columns::note).find(|note| !note.is_empty());
    Summary {
        file: file_name(&import.file),
        service: service.unwrap_or_default(),
        tables: names.filter(|name| !name.is_empty()).collect(),
        passed_over: parser.source.passed_over.clone(),
        list: import.list.clone(),
        status: import.status.name(),
        consent: import.consent.clone(),
        dry_run: import.dry_run,
        ignored_columns: ignored,
        note: note.unwrap_or_default().to_owned(),
        ..Summary::default()
    }
}

impl Summary {
    /// What a dry run found that the import would take from the list.
    pub fn toll(&self) -> guard::Toll {
        guard::Toll {
            ends: self.tally.ends,
            readers: self.readers,
        }
    }

    fn take(&mut self, parsed: Parsed) {
        self.rows = parsed.rows;
        self.duplicates = parsed.duplicates;
        self.rejected = parsed.rejected;
        self.undated = parsed.undated;
        self.undated_as = parsed.undated_as;
        self.cut = parsed.cut;
        self.cut_as = parsed.cut_as;
        self.unfit = parsed.unfit;
        self.unfit_as = parsed.unfit_as;
        self.rejects = parsed.rejects;
        self.doubted = parsed.doubted;
        self.rejects_files = parsed.rejects_files;
    }
}

/// What an import that was broken off is known by: its file, all that decides which rows stand in which batch, and
/// all that decides what becomes of a row. Batches that were taken are passed over by their number alone.
fn known_again(import: &Import, parser: &Parser, content: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(content);
    let options = (import.status, import.confirm, &import.consent, &import.map);
    hash.update(serde_json::to_string(&options).expect("texts are JSON"));
    parser.mark(&mut hash);
    hash.finalize().into()
}

pub(crate) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    crate::subscriber::clean_name(&name.to_string_lossy())
}
