//! Proof of a run: what the ledger, the counters, the link table and the keyring say must agree.
//!
//! Promises: reads only, counts row by row past the counters, and says in words what does not hold. A run
//! under way is looked at while it moves; what two moments may explain is not called a fault.

use anyhow::Context;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::compile::Compiled;
use crate::delivery::{Counts, State};
use crate::hex::hex;
use crate::id::RunId;
use crate::status::RunStatus;
use crate::store::repairs::Repair;
use crate::store::runs::Run;

/// A marker this far ahead of the clock was set by a clock that was wrong.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(300);
/// Runs read at a time when all of them are verified.
const RUNS: u32 = u32::MAX;

/// What was found of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    pub issue: String,
    pub run: i64,
    pub status: RunStatus,
    pub recipients: i64,
    #[serde(flatten)]
    pub counts: Counts,
    /// The identity holds, and counters, rows, markers, links and keys agree.
    pub balanced: bool,
    /// What does not hold, in words.
    pub faults: Vec<String>,
    /// Links that lead elsewhere than when they were sent, each change of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<Repair>,
}

/// Every run there is, the system run too, the oldest first.
pub async fn all(app: &App) -> anyhow::Result<Vec<Verified>> {
    let mut found = Vec::new();
    if let Some(system) = app.store.run(RunId::SYSTEM).await? {
        found.push(one(app, &system).await?);
    }
    let mut runs = app.store.runs(RUNS).await?;
    runs.sort_by_key(|run| run.id);
    for run in &runs {
        found.push(one(app, run).await?);
    }
    Ok(found)
}

/// Counts a run row by row and holds it against everything that must agree with it.
pub async fn one(app: &App, run: &Run) -> anyhow::Result<Verified> {
    let store = &app.store;
    let rows = store.count_deliveries(run.id()).await?;
    let counters = store.counts(run.id()).await?;
    let fresh = store.run(run.id()).await?.context("the run is gone")?;
    let mut faults = Vec::new();
    let system = run.id() == RunId::SYSTEM;
    // While a run sends, two reads see two moments.
    let moves = matches!(
        fresh.status,
        RunStatus::Sending | RunStatus::Freezing | RunStatus::Open
    );
    // The open run counts no recipients: whoever is mailed is in it.
    let recipients = if system {
        rows.total()
    } else {
        fresh.recipients
    };
    // What was read in two moments of a freeze is no disagreement.
    let frozen = fresh.status != RunStatus::Freezing && run.recipients == fresh.recipients;
    if !system && rows.total() != recipients && frozen {
        faults.push(format!(
            "{recipients} recipients, {} deliveries",
            rows.total()
        ));
    }
    for state in State::ALL {
        let (row, counter) = (rows.get(state), counters.get(state));
        if row != counter && !moves {
            faults.push(format!(
                "{}: {row} deliveries, the counters say {counter}",
                state.name()
            ));
        }
    }
    if !system && !store.recipients_are_distinct(run.id()).await? {
        faults.push("a reader stands twice in the run, or a number is missing".into());
    }
    faults.extend(markers(app, &fresh).await?);
    faults.extend(links(app, &fresh).await?);
    faults.extend(keys(app, &fresh).await?);
    let corrections = match &fresh.revision {
        Some(revision) => store.repairs_of(revision).await?,
        None => Vec::new(),
    };
    Ok(Verified {
        issue: match system {
            true => "system mails".to_owned(),
            false => fresh.slug,
        },
        run: fresh.id,
        status: fresh.status,
        recipients,
        counts: rows,
        balanced: faults.is_empty(),
        faults,
        corrections,
    })
}

/// Markers and outcomes: each state has what must have come before it, and nothing that cannot have.
async fn markers(app: &App, run: &Run) -> anyhow::Result<Vec<String>> {
    let late = app.clock.now().after(AHEAD);
    let found = app.store.ledger_faults(run.id(), late).await?;
    let told = [
        (found.unmarked, "without a marker, and past it"),
        (found.open, "open in a run that is over"),
        (
            found.unsettled,
            "final, and without the time of their outcome",
        ),
        (found.settled, "queued or at the dot, and with an outcome"),
        (found.ahead, "marked in the future: a clock was wrong"),
        (
            found.unmade,
            "sent, and without what their copy was made of",
        ),
        (
            found.contrary,
            "final, and with the code of another end than theirs",
        ),
        (
            found.system_alone,
            "of the open run, and without the mail they carry",
        ),
    ];
    let faults = told.into_iter().filter(|(number, _)| *number > 0);
    Ok(faults
        .map(|(number, what)| match number {
            1 => format!("1 delivery is {what}"),
            _ => format!("{number} deliveries are {what}"),
        })
        .collect())
}

/// The link table: what a reader's click is looked up in is what the revision was frozen with.
async fn links(app: &App, run: &Run) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut hashes = app.store.revisions_of(run.id()).await?;
    hashes.extend(run.trial().map(|trial| trial.revision_b));
    for hash in hashes {
        let short: String = hash.chars().take(12).collect();
        let Some(content) = app.store.revision(&hash).await? else {
            faults.push(format!("the revision {short} is gone"));
            continue;
        };
        let Ok(compiled) = serde_json::from_str::<Compiled>(&content) else {
            faults.push(format!("the revision {short} cannot be read"));
            continue;
        };
        // The text itself, not what is read from it: a newer program may read more into it.
        if hex(&Sha256::digest(content.as_bytes())) != hash {
            faults.push(format!(
                "the revision {short} was changed: its name is the hash of another text"
            ));
        }
        let table = app.store.links_of(&hash).await?;
        let same = table.len() == compiled.links.len()
            && table.iter().zip(&compiled.links).enumerate().all(
                |(index, ((link, url), frozen))| {
                    usize::try_from(*link) == Ok(index) && *url == frozen.url
                },
            );
        if !same {
            faults.push(format!(
                "the link table of the revision {short} is not the one it was frozen with"
            ));
        }
    }
    let foreign = app.store.clicks_without_link(run.id()).await?;
    if foreign > 0 {
        faults.push(format!(
            "{foreign} clicked links are in no link table of the run"
        ));
    }
    Ok(faults)
}

/// Keys: whatever a kept copy was signed with still opens its links, or was revoked by a person.
async fn keys(app: &App, run: &Run) -> anyhow::Result<Vec<String>> {
    let known: Vec<u8> = app.keyring.list().iter().map(|(id, ..)| *id).collect();
    let mut faults = Vec::new();
    for (kid, copies) in app.store.key_ids_of(run.id()).await? {
        let is_known = u8::try_from(kid).is_ok_and(|kid| known.contains(&kid));
        if !is_known {
            let copies = match copies {
                1 => "1 copy".to_owned(),
                many => format!("{many} copies"),
            };
            faults.push(format!(
                "key {kid} signed the links of {copies} and is not in the keyring: their links are dead"
            ));
        }
    }
    Ok(faults)
}
