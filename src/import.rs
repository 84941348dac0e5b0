//! Importing readers from CSV: streaming, in bounded memory, and never against a reader's will.
//!
//! Promises: a bad row goes to the rejects file and the rest is imported; what was imported stays when
//! the import is broken off, and importing again goes on from there; nobody is mailed. One thread reads
//! and parses, the caller's task writes batches of [`BATCH`] rows, each in one short transaction.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::app::App;
use crate::chance::Chance;
use crate::id::ListId;
use crate::import::columns::Row;
use crate::import::decide::{Tally, decide};
use crate::import::parse::{Batch, Parsed, Parser, wanted};
use crate::lists;
use crate::store::import::{Beginning, Known, Wanted};
use crate::subscriber::Status;
use crate::subscriber::field::FieldTable;

pub mod columns;
pub mod csv;
pub mod decide;
pub mod export;
mod parse;
mod seen;

/// Rows in one transaction: a sender beside the import waits for the writer no longer than this takes.
pub const BATCH: usize = 2_000;
/// Batches parsed ahead of the writer.
const AHEAD: usize = 2;
/// How often a batch is tried when other processes change the same readers.
const TRIES: usize = 5;

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
    /// What columns mean, where their header does not say it.
    pub map: Vec<(String, String)>,
    /// Count only, write nothing.
    pub dry_run: bool,
}

/// What came of it. Every row is counted once: `rows` is the sum of the eight counters behind it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    pub file: String,
    pub list: String,
    pub status: &'static str,
    pub dry_run: bool,
    pub rows: u64,
    /// New on the list.
    pub added: u64,
    /// Pending before, confirmed now.
    pub confirmed: u64,
    /// On the list before, with another name or other fields.
    pub updated: u64,
    /// On the list before, unchanged.
    pub known: u64,
    /// Left the list before, and left alone.
    pub unsubscribed: u64,
    /// Never to be mailed, and left alone.
    pub suppressed: u64,
    /// Named before in the same file.
    pub duplicates: u64,
    pub rejected: u64,
    /// Where the rejected rows are.
    pub rejects_file: Option<String>,
    /// The first rejected rows: line and reason.
    pub rejects: Vec<Reject>,
    /// Headers that mean nothing here.
    pub ignored_columns: Vec<String>,
}

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reject {
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
    mut progress: impl FnMut(Progress),
) -> anyhow::Result<Summary> {
    let list = match import.dry_run {
        // A list that does not exist yet has no readers, and a dry run does not make it.
        true if import.list == app.config.publication.list => {
            let list = app.store.list(&import.list).await?;
            list.map_or(ListId(0), |list| list.id)
        }
        _ => lists::find(app, &import.list).await?.id,
    };
    let name = file_name(&import.file);
    let beginning = Beginning {
        list,
        status: import.status,
        source: format!("import:{name}"),
        at: app.clock.now(),
    };
    let (mut summary, mut batches, reader) = open(app, import)?;
    app.store.begin_bulk().await?;
    let mut taken = Ok(());
    while let (true, Some(batch)) = (taken.is_ok(), batches.recv().await) {
        taken = take(app, &beginning, import, &batch, &mut summary).await;
        progress(batch.progress);
    }
    app.store.end_bulk().await?;
    drop(batches);
    taken?;
    let parsed = reader.await.context("the reading thread")?;
    let added = summary.added;
    let parsed =
        parsed.with_context(|| format!("broken off; readers added before and kept: {added}"))?;
    summary.rows = parsed.rows;
    summary.duplicates = parsed.duplicates;
    summary.rejected = parsed.rejected;
    summary.rejects = parsed.rejects;
    summary.rejects_file = parsed.rejects_file.map(|path| path.display().to_string());
    Ok(summary)
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
pub async fn add_one(
    app: &App,
    beginning: &Beginning,
    row: Row,
    confirm: bool,
) -> anyhow::Result<Tally> {
    let wanted = wanted(&app.keyring, &row);
    write(app, beginning, &[row], &[wanted], confirm).await
}

impl Summary {
    fn count(&mut self, tally: Tally) {
        self.added += tally.added;
        self.confirmed += tally.confirmed;
        self.updated += tally.updated;
        self.known += tally.known;
        self.unsubscribed += tally.unsubscribed;
        self.suppressed += tally.suppressed;
    }
}

type Reading = tokio::task::JoinHandle<anyhow::Result<Parsed>>;

/// Reads the header and starts the thread that reads the rows.
fn open(app: &App, import: &Import) -> anyhow::Result<(Summary, mpsc::Receiver<Batch>, Reading)> {
    let name = import.file.display().to_string();
    let parser = Parser::open(import, field_table(app)?, app.keyring.clone())?;
    let summary = Summary {
        file: file_name(&import.file),
        list: import.list.clone(),
        status: import.status.name(),
        dry_run: import.dry_run,
        ignored_columns: parser.ignored_columns().to_vec(),
        ..Summary::default()
    };
    let (sender, receiver) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || parser.run(&sender).context(name));
    Ok((summary, receiver, reading))
}

/// Takes one batch, and gives way to a sender as long as that took.
async fn take(
    app: &App,
    beginning: &Beginning,
    import: &Import,
    batch: &Batch,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let Batch { rows, wanted, .. } = batch;
    let tally = match import.dry_run {
        true => look(app, beginning.list, rows, wanted, import.confirm).await?,
        false => write(app, beginning, rows, wanted, import.confirm).await?,
    };
    summary.count(tally);
    give_way(app, began.elapsed()).await
}

async fn write(
    app: &App,
    beginning: &Beginning,
    rows: &[Row],
    wanted: &[Wanted],
    confirm: bool,
) -> anyhow::Result<Tally> {
    for _ in 0..TRIES {
        let mut tally = Ok(Tally::default());
        let mut keys = Keys::draw(&app.chance, rows.len());
        let decided = |known: Vec<Known>| {
            if known.iter().any(|known| known.foreign) {
                tally = Err(foreign());
                return None;
            }
            let (changes, counted) = decide(rows, wanted, known, confirm, || keys.next());
            tally = Ok(counted);
            Some(changes)
        };
        match app.store.import_batch(beginning, wanted, decided).await {
            Ok(true) => return tally,
            Ok(false) => drop(tally?),
            Err(error) if error.is_duplicate() => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("another program changes these readers all the time; try again later")
}

async fn look(
    app: &App,
    list: ListId,
    rows: &[Row],
    wanted: &[Wanted],
    confirm: bool,
) -> anyhow::Result<Tally> {
    let known = app.store.known_readers(list, wanted).await?;
    if known.iter().any(|known| known.foreign) {
        return Err(foreign());
    }
    Ok(decide(rows, wanted, known, confirm, || 0).1)
}

/// With another keyring, a suppressed address would not be recognised.
fn foreign() -> anyhow::Error {
    anyhow!(
        "readers stand in the database under other hashes: the keyring (`paths.keyring`) does not \
         belong to it"
    )
}

/// Keys for one batch: a random start, and a random step from each to the next. They are as little to be
/// guessed or counted as single random ones, but they lie beside each other in the database, where each
/// key for itself would touch a page of its own.
struct Keys {
    steps: Vec<u8>,
    last: i64,
}

impl Keys {
    /// Keys for `rows` rows: two each.
    fn draw(chance: &Chance, rows: usize) -> Keys {
        let mut steps = vec![0; rows * 2 * 4];
        chance.fill(&mut steps);
        // Half of the range, so that no step leads out of it.
        let last = chance.key() >> 1;
        Keys { steps, last }
    }

    fn next(&mut self) -> i64 {
        let rest = self.steps.len() - 4;
        let step = self.steps[rest..]
            .first_chunk()
            .expect("two keys are drawn for each row");
        self.last += 1 + i64::from(u32::from_be_bytes(*step));
        self.steps.truncate(rest);
        self.last
    }
}

/// While a run is on its way, an import takes half the writer's time: another process waits for it by
/// trying again, and would never find it free.
async fn give_way(app: &App, took: Duration) -> anyhow::Result<()> {
    if app.store.is_busy().await? {
        tokio::time::sleep(took.max(Duration::from_millis(30))).await;
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    crate::subscriber::clean_name(&name.to_string_lossy())
}
