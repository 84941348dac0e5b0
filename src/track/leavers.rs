//! The one writer of leavings: what readers ask within the same moments is one commit.
//!
//! Promises: [`Leavers::leave`] answers after the leaving is durable and in force, or says that it is not. Nothing is
//! tried again here: the reader, or the mailbox provider, asks again. Leaves the work to `store::departures`.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::store::Store;
use crate::store::departures::{Leaving, Left};

/// Leavings of one commit.
const GROUP: usize = 256;
/// Leavings that may wait; more are told to come again.
const QUEUE: usize = 4_096;
/// How long a leaving is waited for. It may still come into force later; it is said to have failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The leaving could not be made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leaving is not known to be durable")]
pub struct NotDurable;

type Job = (Leaving, oneshot::Sender<Result<Left, NotDurable>>);

/// The way into the writer; cheap to clone.
#[derive(Clone, Debug)]
pub struct Leavers {
    queue: mpsc::Sender<Job>,
}

impl Leavers {
    /// Starts the writer; it ends when every clone is dropped.
    pub fn start(store: Store) -> Leavers {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(write(store, jobs));
        Leavers { queue }
    }

    /// Ends a subscription, and counts it for the copy whose link was used.
    pub async fn leave(&self, leaving: Leaving) -> Result<Left, NotDurable> {
        let (done, durable) = oneshot::channel();
        self.queue
            .try_send((leaving, done))
            .map_err(|_| NotDurable)?;
        match timeout(PATIENCE, durable).await {
            Ok(Ok(left)) => left,
            _ => Err(NotDurable),
        }
    }
}

async fn write(store: Store, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(GROUP);
    while jobs.recv_many(&mut batch, GROUP).await > 0 {
        while !batch.is_empty() {
            // A subscription stands in a group once: what is asked of it twice is asked one after the other.
            let mut seen = HashSet::new();
            let first = |job: &mut Job| seen.insert(job.0.subscription);
            let (group, waiting): (Vec<Leaving>, Vec<_>) = batch.extract_if(.., first).unzip();
            let outcome = store.leave_group(&group).await;
            if let Err(error) = &outcome {
                tracing::error!(%error, leavings = group.len(), "readers could not leave");
            }
            let outcomes: Vec<Result<Left, NotDurable>> = match outcome {
                Ok(left) => left.into_iter().map(Ok).collect(),
                Err(_) => vec![Err(NotDurable); group.len()],
            };
            for (done, outcome) in waiting.into_iter().zip(outcomes) {
                // Whoever asked may have gone; the leaving stays.
                done.send(outcome).ok();
            }
        }
    }
}
