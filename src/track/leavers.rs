//! The one writer of leavings: what readers ask within the same moments is one commit.
//!
//! Promises: [`Leavers::leave`] answers after the leaving is durable, or says that it is not. Where the database does not
//! take it in time it is durable in the journal, and comes into force with the next write. Whoever gets a goodbye gets it
//! then. Leaves the work to `store::departures`.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::store::Store;
use crate::store::departures::{Leaving, Left};
use crate::track::journal::{Entry, Journal};

/// Leavings of one commit.
const GROUP: usize = 256;
/// Leavings that may wait; more go to the journal.
const QUEUE: usize = 4_096;
/// How long the database is waited for before a leaving goes to the journal: a mailbox provider does not wait for ever,
/// and does not ask twice.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often the journal is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The leaving could not be made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leaving is not known to be durable")]
pub struct NotDurable;

type Job = (Entry, oneshot::Sender<Result<Left, NotDurable>>);

/// What became of a leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parted {
    /// It is in force.
    Now(Left),
    /// It is written down, and in force as soon as the database takes writes again.
    Kept,
}

/// The way into the writer; cheap to clone.
#[derive(Clone, Debug)]
pub struct Leavers {
    queue: mpsc::Sender<Job>,
    store: Store,
    journal: Journal,
}

impl Leavers {
    /// Starts the writer; it ends when every clone is dropped.
    pub fn start(store: Store, journal: Journal) -> Leavers {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(write(store.clone(), journal.clone(), jobs));
        Leavers {
            queue,
            store,
            journal,
        }
    }

    /// Resolves once the writer has ended, which it does by a fault alone while a clone is there.
    pub async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Ends a subscription, or all of this reader's, and counts it for the copy whose link was used. Whom this takes off
    /// the list gets the mail of the revision `goodbye`, if one is named.
    pub async fn leave(
        &self,
        leaving: Leaving,
        goodbye: Option<String>,
    ) -> Result<Parted, NotDurable> {
        let entry = Entry { leaving, goodbye };
        let (done, durable) = oneshot::channel();
        // More than can wait for a database that stands still are no reason to refuse any.
        if self.queue.try_send((entry.clone(), done)).is_err() {
            return self.keep(entry).await;
        }
        match timeout(PATIENCE, durable).await {
            Ok(Ok(Ok(left))) => Ok(Parted::Now(left)),
            // It may still reach the database, too: under its id it is taken once.
            _ => self.keep(entry).await,
        }
    }

    async fn keep(&self, entry: Entry) -> Result<Parted, NotDurable> {
        let journal = self.journal.clone();
        let store = self.store.clone();
        let noted = tokio::task::spawn_blocking(move || journal.note(&entry, &store));
        match noted.await {
            Ok(Ok(())) => {
                tracing::warn!(
                    "the database takes no writes: a reader's leaving is in the journal"
                );
                Ok(Parted::Kept)
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the journal of leavings cannot be written");
                Err(NotDurable)
            }
            Err(_) => Err(NotDurable),
        }
    }
}

async fn write(store: Store, journal: Journal, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(GROUP);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            more = jobs.recv_many(&mut batch, GROUP) => if more == 0 { return },
            _ = look.tick() => {
                // Where nobody sends from here, nobody else looks whether the disk has room again.
                if store.full_since().is_some() {
                    store.keep_reserve();
                }
                if journal.is_pending() && let Err(error) = journal.bring_in(&store).await {
                    tracing::error!("readers who left wait in the journal: {error:#}");
                }
            }
        }
        while !batch.is_empty() {
            // A subscription stands in a group once: what is asked of it twice is asked one after the other.
            let mut seen = HashSet::new();
            let first = |job: &mut Job| seen.insert(job.0.leaving.subscription);
            let (entries, waiting): (Vec<Entry>, Vec<_>) = batch.extract_if(.., first).unzip();
            let group: Vec<Leaving> = entries.iter().map(|entry| entry.leaving.clone()).collect();
            let outcome = store.leave_group(&group).await;
            if let Err(error) = &outcome {
                tracing::error!(%error, leavings = group.len(), "readers could not leave");
            }
            let outcomes: Vec<Result<Left, NotDurable>> = match outcome {
                Ok(left) => left.into_iter().map(Ok).collect(),
                Err(_) => vec![Err(NotDurable); group.len()],
            };
            for ((entry, done), outcome) in entries.iter().zip(waiting).zip(outcomes) {
                if let Ok(left) = outcome {
                    entry.say_goodbye(left, &store).await;
                }
                // Whoever asked may have gone; the leaving stays.
                done.send(outcome).ok();
            }
        }
    }
}
