//! Proof of a run: what the ledger, the counters, the link table and the keyring say must agree.
//!
//! Promises: reads only, counts row by row past the counters, and says in words what does not hold. Rows and counters
//! are of one moment, so that a run under way is held to them too.

pub mod ground;

use std::collections::BTreeMap;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::clock::Timestamp;
use crate::compile::Compiled;
use crate::delivery::{Counts, State};
use crate::hex::hex;
use crate::id::RunId;
use crate::message::copy::is_forgotten;
use crate::reply::scope::{Verdict, scope};
use crate::reply::{Reply, Stage};
use crate::run::seal;
use crate::status::RunStatus;
use crate::store::ledger::REPLY_LIMIT;
use crate::store::proof::Unsuppressed;
use crate::store::repairs::Repair;
use crate::store::runs::Run;
use crate::store::verify::Twice;
use crate::terminal;

/// A marker this far ahead of the clock was set by a clock that was wrong.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(300);
/// Copies read at a time.
const COPIES: u32 = 1_000;
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

/// Every run there is, the system run too, the oldest first; before them what does not hold of the database as a whole.
pub async fn all(app: &App) -> anyhow::Result<Vec<Verified>> {
    let mut found = Vec::new();
    let mut ground = ground::look(app).await?;
    if ground.holds {
        ground.faults.extend(whole(app).await?);
    }
    if !ground.faults.is_empty() {
        found.push(Verified::of_all(ground.faults));
    }
    if !ground.holds {
        return Ok(found);
    }
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

impl Verified {
    /// What does not hold of the database as a whole.
    pub fn of_all(faults: Vec<String>) -> Verified {
        Verified {
            issue: "the database as a whole".to_owned(),
            run: 0,
            status: RunStatus::Open,
            recipients: 0,
            counts: Counts::default(),
            balanced: false,
            faults,
            corrections: Vec::new(),
        }
    }
}

/// What belongs to no run: rows of one that is gone, leavings that do not hold, and what [`ground::whole`] finds.
async fn whole(app: &App) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    let lost = app.store.orphans().await?;
    if lost.deliveries + lost.blocks > 0 {
        let runs = match lost.first == lost.last {
            true => format!("run {}", lost.first),
            false => format!("runs between {} and {}", lost.first, lost.last),
        };
        faults.push(format!(
            "{} deliveries and {} blocks are of {runs}, and that row is gone",
            lost.deliveries, lost.blocks
        ));
    }
    let undone = app.store.leavings_undone_anywhere().await?;
    if undone > 0 {
        faults.push(format!(
            "on a list, though they left it and neither joined nor came back since: {}",
            terminal::counted(undone, "reader")
        ));
    }
    faults.extend(ground::whole(app).await?);
    Ok(faults)
}

/// Whether the end of a run is told by its status as by its time.
fn end(run: &Run) -> Option<String> {
    let finished = run.status == RunStatus::Finished;
    match (finished, run.finished_at) {
        (true, None) => Some("it is finished, and without the time of its end".to_owned()),
        (false, Some(_)) => Some(format!("it is {}, and was finished before", run.status)),
        _ => None,
    }
}

/// Counts a run row by row and holds it against everything that must agree with it.
pub async fn one(app: &App, run: &Run) -> anyhow::Result<Verified> {
    let store = &app.store;
    // Of one moment, so that nothing is excused by a run that is under way.
    let Twice {
        rows,
        counters,
        recipients,
    } = store.count_twice(run.id()).await?;
    let fresh = store.run(run.id()).await?.context("the run is gone")?;
    let mut faults = Vec::new();
    let system = run.id() == RunId::SYSTEM;
    // The open run counts no recipients: whoever is mailed is in it.
    let recipients = if system { rows.total() } else { recipients };
    if rows.total() != recipients {
        faults.push(format!(
            "{recipients} recipients, {} deliveries",
            rows.total()
        ));
    }
    for state in State::ALL {
        let (row, counter) = (rows.get(state), counters.get(state));
        if row != counter {
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
    faults.extend(counted(app, &fresh).await?);
    faults.extend(links(app, &fresh).await?);
    faults.extend(copies(app, &fresh).await?);
    faults.extend(traces(app, &fresh).await?);
    faults.extend(leavings(app, &fresh).await?);
    faults.extend(end(&fresh));
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
    // What a run that is over was marked by a clock ahead, its end was too: doctor does not mind it either.
    let over = Timestamp(run.finished_at.unwrap_or(0));
    let late = app.clock.now().max(over).after(AHEAD);
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
        (
            found.unproven,
            "sent, and by the word of no relay, no person and no reader",
        ),
        (
            found.accepted,
            "open, and were accepted by a relay: sent on, their readers get them twice",
        ),
        (found.untried, "sent, and without an attempt"),
        (found.bootless, "marked, and by no sender"),
        (found.early, "marked before the run began"),
        (
            found.readerless,
            "of a reader who is not there and was not erased",
        ),
        (
            found.unwanted,
            "queued for a reader whose address is suppressed",
        ),
    ];
    let unsuppressed = app.store.unsuppressed(run.id()).await?;
    let unsuppressed = unsuppressed.iter().filter(|bounce| is_hard(bounce)).count();
    let told = told.into_iter().chain([(
        i64::try_from(unsuppressed).unwrap_or(i64::MAX),
        "bounced for good, and nobody suppressed the address: its reader is mailed again",
    )]);
    let faults = told.filter(|(number, _)| *number > 0);
    Ok(faults
        .map(|(number, what)| format!("{} {what}", deliveries(number)))
        .collect())
}

/// Whether an answer ends an address, and not this mail alone.
fn is_hard(bounce: &Unsuppressed) -> bool {
    // A text that was cut may have said more, and says nothing.
    let whole = bounce.reply.clone().filter(|text| text.len() < REPLY_LIMIT);
    let reply = Reply {
        code: bounce
            .code
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or(0),
        enhanced: bounce.enhanced.clone(),
        text: whole.unwrap_or_default(),
    };
    scope(Stage::Rcpt, &reply) == Verdict::Bounced { suppress: true }
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
        for image in &compiled.images {
            let bytes = app.store.image(&image.hash).await?;
            let same =
                bytes.is_some_and(|stored| hex(&Sha256::digest(&stored.bytes)) == image.hash);
            if !same {
                faults.push(format!(
                    "the image `{}` of the revision {short} is gone or was changed",
                    image.source
                ));
            }
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

/// What readers did, by the rows and by the counters; and blocks that nobody would ever take up.
async fn counted(app: &App, run: &Run) -> anyhow::Result<Vec<String>> {
    let found = app.store.responses(run.id()).await?;
    let mut faults = Vec::new();
    for (what, rows, counter) in [
        ("opened", found.opened, found.opened_counted),
        ("clicked", found.clicked, found.clicked_counted),
        ("left by it", found.departed, found.departed_counted),
    ] {
        if rows != counter {
            faults.push(format!(
                "{what}: {rows} deliveries, the counters say {counter}"
            ));
        }
    }
    if !app.store.sums_agree(run.id()).await? {
        faults.push("the sums kept of its blocks are not those of its blocks".to_owned());
    }
    let stuck = app.store.stuck_blocks(run.id()).await?;
    if stuck > 0 {
        faults.push(format!(
            "{stuck} blocks hold queued deliveries and are never due: nobody takes them up"
        ));
    }
    Ok(faults)
}

/// Nothing came back of what never left, nothing failed without a word, and no more clicked than were mailed; and the
/// seals hold.
async fn traces(app: &App, run: &Run) -> anyhow::Result<Vec<String>> {
    let ended = seal::ended(app, run).await?;
    let found = app.store.traces(run.id()).await?;
    let mut faults = Vec::new();
    if found.foretold > 0 {
        faults.push(format!(
            "{} opened, clicked, left by or complained of, and never sent by what this database knows: sent on, their \
             readers get them twice",
            deliveries(found.foretold)
        ));
    }
    if found.wordless > 0 {
        faults.push(format!(
            "{} failed or expired, and by the word of no relay and not by ours",
            deliveries(found.wordless)
        ));
    }
    if found.clicked > found.marked {
        faults.push(format!(
            "{} readers clicked a link by the counters, and {} were mailed",
            found.clicked, found.marked
        ));
    }
    faults.extend(seal::faults(app, run, ended, found.marked).await?);
    Ok(faults)
}

fn deliveries(number: i64) -> String {
    match number {
        1 => "1 delivery is".to_owned(),
        many => format!("{many} deliveries are"),
    }
}

/// Whoever left by a copy of the run is off its list, or has joined or come back since.
async fn leavings(app: &App, run: &Run) -> anyhow::Result<Option<String>> {
    let undone = app.store.leavings_undone(run.id()).await?;
    Ok((undone > 0).then(|| {
        format!(
            "on the list, though they left it by this mail and neither joined nor came back since: {}",
            terminal::counted(undone, "reader")
        )
    }))
}

/// Copies: each can be read and names its own reader; what it was signed with still opens its links, or was revoked by
/// a person.
async fn copies(app: &App, run: &Run) -> anyhow::Result<Vec<String>> {
    let known: Vec<u8> = app.keyring.list().iter().map(|(id, ..)| *id).collect();
    let (mut unreadable, mut foreign) = (0_i64, 0_i64);
    let mut unknown: BTreeMap<i64, i64> = BTreeMap::new();
    let mut after = -1;
    loop {
        let page = app.store.kept_copies(run.id(), after, COPIES).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for kept in page.iter().filter(|kept| !is_forgotten(&kept.copy)) {
            // A newer program may have written more into it.
            let Ok(copy) = serde_json::from_str::<Kept>(&kept.copy) else {
                unreadable += 1;
                continue;
            };
            if !u8::try_from(copy.kid).is_ok_and(|kid| known.contains(&kid)) {
                *unknown.entry(copy.kid).or_default() += 1;
            }
            if kept.address.as_ref().is_some_and(|to| *to != copy.to) {
                foreign += 1;
            }
        }
    }
    let number = |copies| match copies {
        1 => "1 copy".to_owned(),
        many => format!("{many} copies"),
    };
    let mut faults = Vec::new();
    if unreadable > 0 {
        faults.push(format!("{} cannot be read", number(unreadable)));
    }
    if foreign > 0 {
        faults.push(format!(
            "{} went to another address than their readers have, who never changed it",
            number(foreign)
        ));
    }
    faults.extend(unknown.into_iter().map(|(kid, copies)| {
        format!(
            "key {kid} signed the links of {} and is not in the keyring: their links are dead",
            number(copies)
        )
    }));
    Ok(faults)
}

/// What of a copy is looked at.
#[derive(Deserialize)]
struct Kept {
    to: String,
    kid: i64,
}
