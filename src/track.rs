//! The one writer of opens and clicks: requests hand their events over, one task commits them in groups.
//!
//! Promises: [`Tracker::record`] answers after the event is durable, or says that it is not; the queue,
//! a group and the waiting are bounded; a database that is down costs events, which are counted, and
//! never an answer. Leaves what a group moves to `event::tally` and the link tables to `targets`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::chance::Chance;
use crate::clock::Timestamp;
use crate::config::privacy::Tracking;
use crate::event::Event;
use crate::id::RunId;
use crate::store::{Result, Store};

pub mod targets;

/// Events of one commit: at this size, the commit itself is a small part of the cost.
const GROUP: usize = 2_000;
/// Events that may wait; a request that finds the queue full is answered without its event.
const QUEUE: usize = 16_384;
/// How long a request waits for its event's commit: a pixel must not hang on a busy database.
const PATIENCE: Duration = Duration::from_secs(2);
/// Waits between tries of one group; after the last it is given up, because the queue behind it fills.
const RETRIES: [Duration; 5] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// The way into the writer; cheap to clone.
#[derive(Clone, Debug)]
pub struct Tracker {
    queue: mpsc::Sender<Job>,
    lost: Arc<AtomicU64>,
    /// A group is being tried again: nobody need wait for the database to come back.
    behind: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Job {
    Event(Event, oneshot::Sender<bool>),
    /// Everything before this is to be written first.
    Stop(oneshot::Sender<()>),
}

impl Tracker {
    /// Starts the writer; it ends when every clone is dropped or at [`Tracker::close`].
    pub fn start(store: Store, chance: Chance) -> Tracker {
        Tracker::begin(store, chance, false)
    }

    /// [`Tracker::start`] as the configuration wants it: with readers' names in the events, or without.
    pub fn of(app: &App) -> Tracker {
        let anonymous = app.config.privacy.tracking == Tracking::Anonymous;
        Tracker::begin(app.store.clone(), app.chance.clone(), anonymous)
    }

    fn begin(store: Store, chance: Chance, anonymous: bool) -> Tracker {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let behind = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            store,
            anonymous: anonymous.then(|| chance.clone()),
            ids: EventIds::new(chance),
            lost: Arc::clone(&lost),
            behind: Arc::clone(&behind),
        };
        tokio::spawn(writer.run(jobs));
        Tracker {
            queue,
            lost,
            behind,
        }
    }

    /// Hands `event` over and waits for its commit. False when it is not known to be durable: the
    /// database is down or behind. Events of the system run (tests, confirms) are not kept: true.
    pub async fn record(&self, event: Event) -> bool {
        if event.delivery.run == RunId::SYSTEM {
            return true;
        }
        let (done, committed) = oneshot::channel();
        if self.queue.try_send(Job::Event(event, done)).is_err() {
            lose(&self.lost, 1);
            return false;
        }
        if self.behind.load(Ordering::Relaxed) {
            return false;
        }
        // An event that takes longer is still written, only not waited for.
        matches!(timeout(PATIENCE, committed).await, Ok(Ok(true)))
    }

    /// Events given up since the start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes what waits, then ends the writer.
    pub async fn close(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Job::Stop(done)).await.is_ok() {
            written.await.ok();
        }
    }
}

struct Writer {
    store: Store,
    /// Where the keys of pseudonyms come from, when events name nobody.
    anonymous: Option<Chance>,
    ids: EventIds,
    lost: Arc<AtomicU64>,
    behind: Arc<AtomicBool>,
}

impl Writer {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch = Vec::with_capacity(GROUP);
        while jobs.recv_many(&mut batch, GROUP).await > 0 {
            let mut events = Vec::with_capacity(batch.len());
            let mut waiting = Vec::with_capacity(batch.len());
            let mut stop = None;
            for job in batch.drain(..) {
                match job {
                    Job::Event(event, done) => {
                        events.push(event);
                        waiting.push(done);
                    }
                    Job::Stop(done) => stop = Some(done),
                }
            }
            let committed = self.commit(&mut events).await;
            for done in waiting {
                // Whoever asked may have gone; the event stays.
                done.send(committed).ok();
            }
            if let Some(done) = stop {
                done.send(()).ok();
                return;
            }
        }
    }

    async fn commit(&mut self, events: &mut [Event]) -> bool {
        if events.is_empty() {
            return true;
        }
        for (tries, wait) in RETRIES.iter().map(Some).chain([None]).enumerate() {
            let error = match self.try_commit(events).await {
                Ok(()) => {
                    self.behind.store(false, Ordering::Relaxed);
                    return true;
                }
                Err(error) => error,
            };
            // Once is bad luck (ids drawn twice, a deadlock broken); more is a database in trouble.
            self.behind.store(tries > 0, Ordering::Relaxed);
            if error.is_duplicate() {
                // Another node drew the same ids.
                self.ids.redraw();
            }
            match wait {
                Some(wait) => {
                    tracing::warn!(%error, events = events.len(), "events wait for the database");
                    sleep(*wait).await;
                }
                None => tracing::error!(%error, events = events.len(), "events given up"),
            }
        }
        lose(&self.lost, events.len() as u64);
        false
    }

    async fn try_commit(&mut self, events: &mut [Event]) -> Result<()> {
        let ids: Vec<i64> = events.iter().map(|event| self.ids.next(event.at)).collect();
        match &self.anonymous {
            Some(chance) => self.store.record_anonymously(&ids, events, chance).await,
            None => self.store.record_events(&ids, events).await,
        }
    }
}

fn lose(lost: &AtomicU64, events: u64) {
    let before = lost.fetch_add(events, Ordering::Relaxed);
    // Said at the first and then ever more rarely: a flood must not fill the log as well.
    if before == 0 || before.ilog2() != (before + events).ilog2() {
        tracing::error!(lost = before + events, "events were lost");
    }
}

/// Ids in the order of time, so that the newest stand together on disk: 42 bits of milliseconds, 10
/// bits drawn for this writer, 11 bits counted. Two writers that drew the same find out by a duplicate.
#[derive(Debug)]
pub struct EventIds {
    chance: Chance,
    writer: i64,
    last: i64,
}

impl EventIds {
    const WRITER_BITS: u32 = 10;
    const COUNT_BITS: u32 = 11;

    /// A sequence with a writer number of its own.
    pub fn new(chance: Chance) -> EventIds {
        let mut ids = EventIds {
            chance,
            writer: 0,
            last: 0,
        };
        ids.redraw();
        ids
    }

    /// Draws another writer number.
    pub fn redraw(&mut self) {
        self.writer = self.chance.key() & ((1 << Self::WRITER_BITS) - 1);
        self.last = 0;
    }

    /// The next id, for something that happened at `at`.
    pub fn next(&mut self, at: Timestamp) -> i64 {
        let millis = at.0.clamp(0, (1 << 42) - 1);
        let first =
            millis << (Self::WRITER_BITS + Self::COUNT_BITS) | self.writer << Self::COUNT_BITS;
        self.last = first.max(self.last + 1);
        self.last
    }
}

/// A single id among those of [`EventIds`], for an event that is not written by a group. It may be
/// taken: the insert then says so, and another is drawn.
pub fn event_id(chance: &Chance, at: Timestamp) -> i64 {
    let mut ids = EventIds::new(chance.clone());
    let count = chance.key() & ((1 << EventIds::COUNT_BITS) - 1);
    ids.next(at) | count
}

#[cfg(test)]
mod tests {
    use super::EventIds;
    use crate::chance::Chance;
    use crate::clock::Timestamp;

    #[test]
    fn ids_rise_with_time_and_never_repeat() {
        let mut ids = EventIds::new(Chance::seeded(3));
        let mut last = 0;
        for at in [1_000, 1_000, 999, 1_000, 1_001, i64::MAX, i64::MAX] {
            let id = ids.next(Timestamp(at));
            assert!(id > last);
            last = id;
        }
        ids.redraw();
        let other = EventIds::new(Chance::seeded(4)).next(Timestamp(5));
        assert_ne!(ids.next(Timestamp(5)), other);
    }
}
