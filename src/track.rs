//! The one writer of opens and clicks: requests hand their events over, one task commits them in groups.
//!
//! Promises: [`Tracker::record`] answers after the event is durable, or says that it is not; the queue,
//! a group and the waiting are bounded; a database that is down costs events, which are counted, and
//! never an answer; so does a copy whose links are asked more often than anybody reads. Leaves counting to `fold`, which
//! comes a fraction of a second later, and the link tables to `targets`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::app::App;
use crate::chance::Chance;
use crate::clock::{Clock, Timestamp};
use crate::config::privacy::Tracking;
use crate::event::{Event, EventKind};
use crate::id::{DeliveryKey, RunId};
use crate::store::events::Drawn;
use crate::store::{Result, Store};
use crate::track::share::{Shares, Stored};

mod flood;
pub mod fold;
pub mod journal;
pub mod leavers;
pub mod parts;
mod share;
pub mod targets;

/// Events of one commit: at this size, the commit itself is a small part of the cost.
const GROUP: usize = 2_000;
/// Events that may wait; a request that finds the queue full is answered without its event.
const QUEUE: usize = 16_384;
/// How long a request waits for its event's commit: a pixel must not hang on a busy database.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the end waits for the last events to be counted.
const COUNTING: Duration = Duration::from_secs(10);
/// How often it is noted how many were dropped, and of which runs: a flood is not to be answered by one of writes.
const NOTE: Duration = Duration::from_secs(1);
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
    queue: mpsc::Sender<Asked>,
    lost: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
    /// A group is being tried again: nobody need wait for the database to come back.
    behind: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Asked {
    Event(Event, oneshot::Sender<bool>),
    /// Everything before this is to be written first.
    Stop(oneshot::Sender<()>),
}

impl Tracker {
    /// Starts the writer; it ends when every clone is dropped or at [`Tracker::close`].
    pub fn start(store: Store, clock: Clock) -> Tracker {
        Tracker::begin(store, clock, Chance::System, true, false)
    }

    /// [`Tracker::start`] as the configuration wants it: with readers' names in the events, or without, and with those
    /// who were never asked or without them.
    pub fn of(app: &App) -> Tracker {
        let anonymous = app.config.privacy.tracking == Tracking::Anonymous;
        let unasked = app.config.privacy.unasked;
        let (store, clock) = (app.store.clone(), app.clock.clone());
        Tracker::begin(store, clock, app.chance.clone(), unasked, anonymous)
    }

    fn begin(
        store: Store,
        clock: Clock,
        chance: Chance,
        unasked: bool,
        anonymous: bool,
    ) -> Tracker {
        let (queue, asked) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let dropped = Arc::new(AtomicU64::new(0));
        let behind = Arc::new(AtomicBool::new(false));
        // One call waits at most: it will see all that came before it was heard.
        let (wake, woken) = mpsc::channel(1);
        // What another process left behind.
        wake.try_send(()).ok();
        let stored = Arc::new(AtomicU64::new(0));
        let now = clock.now();
        let folding = fold::keep(store.clone(), clock, woken, Arc::clone(&stored));
        let folding = tokio::spawn(folding);
        let writer = Writer {
            store,
            chance,
            unasked,
            anonymous,
            wake,
            folding,
            stored,
            shares: Shares::new(now),
            unnoted: BTreeMap::new(),
            noted: None,
            dropped: Arc::clone(&dropped),
            lost: Arc::clone(&lost),
            behind: Arc::clone(&behind),
        };
        tokio::spawn(writer.run(asked));
        Tracker {
            queue,
            lost,
            dropped,
            behind,
        }
    }

    /// Hands `event` over and waits for its commit. False when it is not known to be durable: the
    /// database is down or behind. Events of the system run (tests, confirms) are not kept, and those beyond the
    /// share of their copy are not either: true.
    pub async fn record(&self, event: Event) -> bool {
        if event.delivery.run == RunId::SYSTEM {
            return true;
        }
        let (done, committed) = oneshot::channel();
        if self.queue.try_send(Asked::Event(event, done)).is_err() {
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

    /// Events beyond the shares of their copies since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Resolves once the writer has ended; before [`Tracker::close`] that is by a fault.
    pub async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Writes and counts what waits, then ends the writer.
    pub async fn close(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Asked::Stop(done)).await.is_ok() {
            written.await.ok();
        }
    }
}

struct Writer {
    store: Store,
    chance: Chance,
    /// Whether readers are counted who never said anything of it.
    unasked: bool,
    /// Whether events name nobody; those of a run that was begun so never do.
    anonymous: bool,
    wake: mpsc::Sender<()>,
    folding: JoinHandle<()>,
    /// How many are stored since the start: the fold makes room when it rises fast.
    stored: Arc<AtomicU64>,
    shares: Shares,
    /// Dropped by run, and not yet written down; and when that was done last.
    unnoted: BTreeMap<RunId, u64>,
    noted: Option<Instant>,
    dropped: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    behind: Arc<AtomicBool>,
}

impl Writer {
    async fn run(mut self, mut asked: mpsc::Receiver<Asked>) {
        let mut batch = Vec::with_capacity(GROUP);
        loop {
            // What was dropped is written down also where nobody asks any more.
            let more = asked.recv_many(&mut batch, GROUP);
            let more = match self.unnoted.is_empty() {
                true => Ok(more.await),
                false => timeout(NOTE, more).await,
            };
            match more {
                Ok(0) => return,
                Ok(_) => {}
                Err(_) => {
                    self.note_dropped(true).await;
                    continue;
                }
            }
            // Nothing that is written from here on would be counted.
            if self.folding.is_finished() {
                return;
            }
            let mut events = Vec::with_capacity(batch.len());
            let mut waiting = Vec::with_capacity(batch.len());
            let mut stop = None;
            for one in batch.drain(..) {
                if let Asked::Event(event, _) = &one
                    && let Some(hours) = self.shares.asks(event)
                {
                    self.look_up(event.delivery, hours).await;
                }
                match one {
                    Asked::Event(event, done) if self.shares.take(&event) => {
                        events.push(event);
                        waiting.push(done);
                    }
                    Asked::Event(event, done) => {
                        self.drop_one(event.delivery);
                        done.send(true).ok();
                    }
                    Asked::Stop(done) => stop = Some(done),
                }
            }
            let committed = self.commit(&events).await;
            if committed && !events.is_empty() {
                self.stored
                    .fetch_add(events.len() as u64, Ordering::Relaxed);
                self.wake.try_send(()).ok();
            }
            for done in waiting {
                // Whoever asked may have gone; the event stays.
                done.send(committed).ok();
            }
            self.note_dropped(stop.is_some()).await;
            if let Some(done) = stop {
                drop(self.wake);
                // What is not counted by then is counted at the next start.
                timeout(COUNTING, self.folding).await.ok();
                done.send(()).ok();
                return;
            }
        }
    }

    /// Reads what a copy has stored in hours of which this process knows nothing.
    async fn look_up(&mut self, delivery: DeliveryKey, hours: (Timestamp, Timestamp)) {
        let counts = self.store.events_in(delivery, hours).await;
        let counts = counts.unwrap_or_else(|error| {
            tracing::debug!(%error, "a copy's share begins anew");
            Vec::new()
        });
        let of = |kind| {
            let number = counts.iter().find(|(found, _)| *found == kind);
            number.map_or(0, |(_, number)| u16::try_from(*number).unwrap_or(u16::MAX))
        };
        let stored = Stored::new(
            of(EventKind::Open),
            of(EventKind::View),
            of(EventKind::Click),
        );
        self.shares.tell(delivery, stored);
    }

    fn drop_one(&mut self, delivery: DeliveryKey) {
        *self.unnoted.entry(delivery.run).or_default() += 1;
        let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        if dropped.is_power_of_two() {
            let (run, seq) = (delivery.run.0, delivery.seq);
            tracing::warn!(
                run.id = run,
                delivery.seq = seq,
                dropped,
                "the links of one copy are asked more often than anybody reads: they lead on, and are not counted"
            );
        }
    }

    /// Writes down how many were dropped since the last time; `all` of them at the end.
    async fn note_dropped(&mut self, all: bool) {
        let lately = self.noted.is_some_and(|noted| noted.elapsed() < NOTE);
        if self.unnoted.is_empty() || (lately && !all) {
            return;
        }
        self.noted = Some(Instant::now());
        match self.store.note_dropped(&self.unnoted).await {
            Ok(()) => self.unnoted.clear(),
            Err(error) => {
                tracing::warn!(%error, "how many events were dropped waits for the database")
            }
        }
    }

    async fn commit(&mut self, events: &[Event]) -> bool {
        if events.is_empty() {
            return true;
        }
        let mut rest = Cow::Borrowed(events);
        let mut tried = None;
        for (tries, wait) in RETRIES.iter().map(Some).chain([None]).enumerate() {
            let error = match self.store(&mut rest, &mut tried).await {
                Ok(()) => {
                    self.behind.store(false, Ordering::Relaxed);
                    return true;
                }
                Err(error) => error,
            };
            // Once is bad luck (a deadlock broken); more is a database in trouble.
            self.behind.store(tries > 0, Ordering::Relaxed);
            match wait {
                Some(wait) => {
                    tracing::warn!(%error, events = rest.len(), "events wait for the database");
                    sleep(*wait).await;
                }
                None => tracing::error!(%error, events = rest.len(), "events given up"),
            }
        }
        lose(&self.lost, rest.len() as u64);
        false
    }

    /// Stores `rest`, with names and without; what is stored is taken out of it.
    /// What a try left in `tried` tells the next whether it was stored all the same.
    async fn store(&self, rest: &mut Cow<'_, [Event]>, tried: &mut Option<Drawn>) -> Result<()> {
        if !self.anonymous {
            let runs: BTreeSet<RunId> = rest.iter().map(|event| event.delivery.run).collect();
            let runs: Vec<RunId> = runs.into_iter().collect();
            let nameless = self.store.nameless_of(&runs).await?;
            if nameless.is_empty() {
                let stored = self.store.record_events_once(rest, self.unasked, tried);
                return stored.await;
            }
            let (without, with): (Vec<Event>, Vec<Event>) = rest
                .iter()
                .cloned()
                .partition(|event| nameless.contains(&event.delivery.run));
            // Tried again, a group may hold none of them any more: what was tried last is then one without names.
            if !with.is_empty() {
                self.store
                    .record_events_once(&with, self.unasked, tried)
                    .await?;
                *tried = None;
            }
            *rest = Cow::Owned(without);
        }
        let chance = &self.chance;
        self.store
            .record_anonymously(rest, self.unasked, chance, tried)
            .await
    }
}

fn lose(lost: &AtomicU64, events: u64) {
    let before = lost.fetch_add(events, Ordering::Relaxed);
    // Said at the first and then ever more rarely: a flood must not fill the log as well.
    if before == 0 || before.ilog2() != (before + events).ilog2() {
        tracing::error!(lost = before + events, "events were lost");
    }
}
