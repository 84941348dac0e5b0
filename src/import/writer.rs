//! The writing side of an import: batches as they come from the reading thread, each in one short transaction.
//!
//! Promises: a batch is written whole or not at all; a sender beside the import is given way.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tokio::sync::mpsc;

use crate::app::App;
use crate::chance::Chance;
use crate::id::ListId;
use crate::import::columns::Row;
use crate::import::decide::{Tally, Terms, decide};
use crate::import::parse::{Batch, Parsed, Parser};
use crate::import::services::Standing;
use crate::import::{Import, Progress, Summary};
use crate::store::import::{Known, Origin, Step, Wanted};

/// Batches parsed ahead of the writer.
pub(super) const AHEAD: usize = 2;
/// How often a batch is tried when other processes change the same readers.
const TRIES: usize = 5;
/// After a batch that held known readers, so many are looked up before new ones are taken for granted again.
pub(super) const WARY: u32 = 8;

/// Reads all batches in a thread of its own and writes each; `progress` is called after each.
pub(super) async fn write_all(
    app: &App,
    import: &Import,
    origin: &Origin,
    parser: Parser,
    summary: &mut Summary,
    mut progress: impl FnMut(Progress),
) -> anyhow::Result<Parsed> {
    let (sender, mut batches) = mpsc::channel(AHEAD);
    let (name, skip) = (import.file.display().to_string(), summary.resumed);
    let reader = tokio::task::spawn_blocking(move || parser.run(skip, &sender).context(name));
    if !import.dry_run {
        app.store.begin_bulk().await?;
    }
    let mut writer = Writer {
        app,
        origin,
        import,
        // Where readers are known, the file may be of the same.
        wary: match app.store.has_readers().await? {
            true => WARY,
            false => 0,
        },
    };
    let mut taken = Ok(());
    while let (true, Some(batch)) = (taken.is_ok(), batches.recv().await) {
        taken = writer.take(&batch, summary).await;
        progress(batch.progress);
    }
    if !import.dry_run {
        app.store.end_bulk().await?;
    }
    drop(batches);
    taken?;
    let parsed = reader.await.context("the reading thread")?;
    let added = summary.tally.added;
    parsed.with_context(|| {
        format!("broken off; readers added before and kept: {added}; importing again goes on")
    })
}

/// The writing side.
struct Writer<'a> {
    app: &'a App,
    origin: &'a Origin,
    import: &'a Import,
    /// Batches that are still to be looked up before new readers are taken for granted.
    wary: u32,
}

impl Writer<'_> {
    /// Takes one batch, and gives way to a sender as long as that took.
    async fn take(&mut self, batch: &Batch, summary: &mut Summary) -> anyhow::Result<()> {
        let began = Instant::now();
        let stated = !self.import.consent.is_empty();
        let terms = Terms {
            status: self.import.status,
            confirm: self.import.confirm,
            calls_back: false,
            voucher: self.origin.import.filter(|_| stated),
            import: self.origin.import,
            at: self.origin.at,
        };
        let before = summary.tally;
        let rows = (&batch.rows[..], &batch.wanted[..]);
        let tally = match self.origin.import {
            None => look(self.app, self.origin.list, rows, terms).await?,
            Some(import) => {
                let step = |tally: Tally| {
                    let mut sum = before;
                    sum.add(tally);
                    Some(Step {
                        import,
                        done: batch.number - 1,
                        tally: serde_json::to_string(&sum).expect("numbers are JSON"),
                    })
                };
                write(self.app, self.origin, rows, terms, &mut self.wary, step).await?
            }
        };
        summary.tally.add(tally);
        give_way(self.app, began.elapsed()).await
    }
}

/// Writes a batch. Most imports bring new readers only, so nothing is looked up as long as that holds: the
/// schema's own uniqueness says when it does not.
pub(super) async fn write(
    app: &App,
    origin: &Origin,
    (rows, wanted): (&[Row], &[Wanted]),
    terms: Terms,
    wary: &mut u32,
    step: impl Fn(Tally) -> Option<Step>,
) -> anyhow::Result<Tally> {
    // Whoever is to be barred may be a reader here, and so may who is gone under another spelling.
    let plain =
        |row: &Row| row.standing.suppressed().is_none() && row.elsewhere == Standing::Joined;
    let plain = rows.iter().all(plain);
    let mut blind = *wary == 0 && plain;
    for _ in 0..TRIES {
        let mut tally = Ok(Tally::default());
        let mut met = 0;
        let mut keys = Keys::draw(&app.chance, rows.len());
        let decided = |known: Vec<Known>| {
            if known.iter().any(|known| known.foreign) {
                tally = Err(foreign());
                return None;
            }
            met = known.len();
            // The mailbox is known under another spelling: under this one it may be a reader's.
            if blind && met > 0 {
                return None;
            }
            let (mut changes, counted) = decide(rows, wanted, known, terms, || keys.next());
            changes.step = step(counted);
            tally = Ok(counted);
            Some(changes)
        };
        match app.store.import_batch(origin, wanted, blind, decided).await {
            Ok(true) => {
                *wary = match (blind, met) {
                    (true, _) => 0,
                    (false, 0) => wary.saturating_sub(1),
                    (false, _) => WARY,
                };
                return tally;
            }
            Ok(false) => drop(tally?),
            Err(error) => return Err(error.into()),
        }
        if blind {
            (blind, *wary) = (false, WARY);
        }
    }
    bail!("another program changes these readers or does this import; try again later")
}

pub(super) async fn look(
    app: &App,
    list: ListId,
    (rows, wanted): (&[Row], &[Wanted]),
    terms: Terms,
) -> anyhow::Result<Tally> {
    let known = app.store.known_readers(list, wanted).await?;
    if known.iter().any(|known| known.foreign) {
        return Err(foreign());
    }
    Ok(decide(rows, wanted, known, terms, || 0).1)
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
