//! Group commit: the markers and outcomes of all connections in one transaction at a time.
//!
//! Promises: a caller hears of its commit only once it is durable. While the store is down outcomes are
//! kept and tried again without limit; markers are refused, so that no terminator goes out unmarked. On a full disk the
//! outcomes have what was kept in reserve, and no marker gets any of it.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::deliver::queue::Guard;
use crate::delivery::Settled;
use crate::store::ledger::Marker;
use crate::track::journal::Journal;

/// Connections never have more than one entry each under way; this only bounds mistakes.
const ENTRIES: usize = 4096;
/// Entries committed together at least, where there are as many.
const GROUP: usize = 8;
const RETRY: Duration = Duration::from_millis(200);

/// An outcome with the guard of its job, which is dropped once the outcome is durable.
pub(crate) struct Settling {
    pub settled: Settled,
    pub guard: Option<Guard>,
}

/// What became of the wish for a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// It stands: the terminator may be written.
    Given,
    /// It does not stand; whatever the row is, it is not this wish that made it so.
    Refused,
    /// Its commit failed and may have reached the disk all the same: it is to be taken back.
    InDoubt,
}

struct Entry {
    settling: Vec<Settling>,
    markers: Vec<Marker>,
    done: oneshot::Sender<Vec<Grant>>,
}

/// The way into the ledger; cheap to clone. The task behind it ends when all are dropped.
#[derive(Clone)]
pub(crate) struct Ledger {
    entries: mpsc::Sender<Entry>,
}

impl Ledger {
    /// Starts the one committing task for `boot`.
    pub(crate) fn start(
        app: App,
        boot: i64,
        connections: usize,
    ) -> (Ledger, tokio::task::JoinHandle<()>) {
        let (entries, incoming) = mpsc::channel(ENTRIES);
        // Half of the connections at a time: while one half's commit is on its way to the disk, the other
        // half is on the wire. All together they would march in step, and wire and disk wait in turn.
        let most = (connections / 2).max(GROUP).min(connections.max(1));
        let task = tokio::spawn(commit_groups(app, boot, most, incoming));
        (Ledger { entries }, task)
    }

    /// Commits outcomes; when this returns, they are durable.
    pub(crate) async fn settle(&self, settling: Vec<Settling>) {
        self.mark(settling, Vec::new()).await;
    }

    /// Commits outcomes, and the wishes for markers with them. Gives what became of the wishes, in their
    /// order; when this returns, the outcomes are durable.
    pub(crate) async fn mark(&self, settling: Vec<Settling>, markers: Vec<Marker>) -> Vec<Grant> {
        let wishes = markers.len();
        if settling.is_empty() && markers.is_empty() {
            return Vec::new();
        }
        let (done, answer) = oneshot::channel();
        let entry = Entry {
            settling,
            markers,
            done,
        };
        if self.entries.send(entry).await.is_err() {
            return vec![Grant::Refused; wishes];
        }
        answer
            .await
            .unwrap_or_else(|_| vec![Grant::InDoubt; wishes])
    }
}

async fn commit_groups(app: App, boot: i64, most: usize, mut incoming: mpsc::Receiver<Entry>) {
    let linger = app.config.send.linger;
    let mut group = Vec::with_capacity(most);
    while incoming.recv_many(&mut group, most).await > 0 {
        // No longer than until it is whole.
        let until = Instant::now() + linger;
        while !linger.is_zero() && group.len() < most {
            let room = most - group.len();
            let more = incoming.recv_many(&mut group, room);
            if !matches!(timeout_at(until, more).await, Ok(1..)) {
                break;
            }
        }
        commit(&app, boot, &mut group).await;
    }
}

/// Commits outcomes one by one: what the database refuses whenever it is asked holds up none of the others, and its
/// delivery stays at the dot until a sender reaps it. Gives those that are to be tried again.
async fn commit_each(app: &App, boot: i64, settled: Vec<Settled>) -> Vec<Settled> {
    let mut left = Vec::new();
    for one in settled {
        let (key, now) = (one.key, app.clock.now());
        let alone = std::slice::from_ref(&one);
        match app.store.commit_ledger(boot, alone, &[], now).await {
            Ok(_) => {}
            Err(error) if error.is_of_values() => {
                tracing::error!(
                    %error,
                    run.id = key.run.0,
                    delivery.seq = key.seq,
                    "the database refuses what became of a delivery, and it is given up"
                );
            }
            Err(_) => left.push(one),
        }
    }
    left
}

async fn commit(app: &App, boot: i64, group: &mut Vec<Entry>) {
    let mut settled = Vec::new();
    let mut guards = Vec::new();
    let mut markers = Vec::new();
    let mut answers = Vec::new();
    for mut entry in group.drain(..) {
        for settling in entry.settling.drain(..) {
            settled.push(settling.settled);
            guards.extend(settling.guard);
        }
        let wishes: Vec<_> = entry.markers.iter().map(|marker| marker.key).collect();
        answers.push((entry.done, wishes));
        markers.append(&mut entry.markers);
    }
    let mut troubled = false;
    let full = app.store.full_since().is_some();
    if full {
        markers.clear();
    }
    let wished = !markers.is_empty();
    let committed = loop {
        if settled.is_empty() && markers.is_empty() {
            break Default::default();
        }
        let now = app.clock.now();
        match app.store.commit_ledger(boot, &settled, &markers, now).await {
            Ok(committed) => break committed,
            Err(error) => {
                if !troubled {
                    tracing::error!(%error, outcomes = settled.len(), "the ledger cannot be written; trying on");
                    troubled = true;
                }
                // A marker whose commit is in doubt is not asked for again.
                markers.clear();
                if error.is_of_values() {
                    settled = commit_each(app, boot, settled).await;
                }
                let outcomes = !settled.is_empty();
                if outcomes && !(error.is_full() && app.store.make_room()) {
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    };
    if troubled {
        tracing::info!("the ledger can be written again");
    }
    drop(guards);
    // Who left while this waited for the database is in the journal: no dot is written before that is in force.
    let doubtful = wished && (markers.is_empty() || Journal::of(app).is_pending());
    let mut given = committed.granted;
    for (done, wishes) in answers {
        let grant = |key| match doubtful {
            true => Grant::InDoubt,
            // Once: two wishes for one row are never both granted.
            false if given.remove(key) => Grant::Given,
            false => Grant::Refused,
        };
        // A caller that went away had no terminator to write.
        done.send(wishes.iter().map(grant).collect()).ok();
    }
}
