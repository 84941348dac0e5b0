//! Delivery: takes what the ledger holds as due through the relay, and what came of it back.
//!
//! Promises: one marker before each terminator, outcomes durable before a job counts as done, a drain
//! that leaves nothing uncertain while the relay answers. Leaves the runs' beginning and end of life to
//! `run`, and the words of SMTP to `smtp`.

mod blame;
mod breaker;
pub mod charge;
pub(crate) mod copies;
mod culprits;
pub mod direct;
mod dispatch;
pub(crate) mod guard;
mod judge;
mod keys;
mod ledger;
mod lent;
mod others;
mod paced;
mod purse;
mod queue;
mod refused;
mod relays;
pub mod report;
mod seat;
pub mod setup;
pub mod signing;
mod stages;
mod standing;
mod starter;
pub mod state;
mod teller;
pub mod trouble;
mod watchdog;
mod worker;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::address::EmailAddress;
use crate::app::App;
use crate::clock::Timestamp;
use crate::config::uncertain::UncertainPolicy;
use crate::deliver::charge::Charge;
use crate::deliver::direct::memory;
use crate::deliver::guard::{Generation, SendingLock};
use crate::deliver::ledger::Ledger;
use crate::deliver::queue::{Done, Job, Queue};
use crate::deliver::relays::LiveRelay;
use crate::deliver::watchdog::Watchdog;
use crate::deliver::worker::opening;
use crate::id::{DeliveryKey, RunId};
use crate::keyring::Keyring;
use crate::notice;
use crate::reply::Reply;
use crate::status::RunStatus;
use crate::store::runs::Run;
use crate::store::{Store, StoreError};
use crate::track::journal::Journal;

/// After a lost connection, listening begins anew this much later.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);
/// A webhook that does not answer keeps the process from ending for so long.
const HOOK: Duration = Duration::from_secs(1);
/// Before a store that was away at the beginning is asked once more.
const AGAIN: Duration = Duration::from_secs(1);
/// A look at the sending lock is over within this time.
const LOOKED: Duration = Duration::from_millis(20);

/// The sending engine of one process.
pub struct Engine {
    shared: Arc<Shared>,
    generation: Generation,
    journal: Journal,
    boot: i64,
    node: String,
    charge: Charge,
    _lock: SendingLock,
}

/// Taking the engine may find another process at work.
pub enum Taken {
    Engine(Box<Engine>),
    /// Another process sends from this SQLite database, or as this node from this PostgreSQL.
    Busy,
}

/// What all tasks of the engine see.
pub(crate) struct Shared {
    pub app: App,
    pub relays: Vec<Arc<LiveRelay>>,
    pub queue: Queue,
    /// First answers that are not written down yet.
    counted: Mutex<stages::Counted>,
    done: Arc<Done>,
    watchdog: Watchdog,
    stop: watch::Receiver<bool>,
    begun: Timestamp,
}

impl Engine {
    /// Takes the right to send: the lock of the database or of this node, and the sender's row. What older
    /// processes of this node left at the dot becomes uncertain, by each run's policy.
    pub async fn take(app: App, stop: watch::Receiver<bool>) -> anyhow::Result<Taken> {
        let Some(engine) = Engine::enter(app, stop).await? else {
            return Ok(Taken::Busy);
        };
        engine.hold_if_doubtful().await?;
        Ok(Taken::Engine(Box::new(engine)))
    }

    async fn enter(app: App, stop: watch::Receiver<bool>) -> anyhow::Result<Option<Engine>> {
        let boot = app.chance.key();
        let node = node_name(&app);
        let path = SendingLock::path(&app, &node)?;
        let mut lock = SendingLock::try_take(&path, boot)?;
        if lock.is_none() {
            // Somebody may only have looked whether it is held.
            tokio::time::sleep(LOOKED).await;
            lock = SendingLock::try_take(&path, boot)?;
        }
        let Some(lock) = lock else {
            return Ok(None);
        };
        let shared = Arc::new(Shared::new(&app, stop)?);
        let now = app.clock.now();
        app.store.keep_reserve();
        app.store
            .enter_sender(&node, boot, app.config.send.lease, now)
            .await?;
        let engine = Engine {
            journal: Journal::of(&app),
            generation: Generation::of(&app),
            shared,
            boot,
            node,
            charge: Charge::All,
            _lock: lock,
        };
        // Who left while the database took no writes is mailed no more.
        while !engine.journal.bring_in(&engine.shared.app.store).await? {
            tokio::time::sleep(LOOKED).await;
        }
        engine.reap().await?;
        Ok(Some(engine))
    }

    /// Sends system mails and no run.
    #[must_use]
    pub fn for_mails(mut self) -> Engine {
        self.charge = Charge::Mails;
        self
    }

    /// Sends `run`, and what is begun or goes on from now on; not what was interrupted before, nor what waits for its
    /// hour. Gives the former too.
    pub async fn for_run(mut self, run: RunId) -> anyhow::Result<(Engine, Vec<Run>)> {
        let mut others = self.shared.app.store.active_runs().await?;
        others.retain(|other| other.id() != run && other.id() != RunId::SYSTEM);
        self.charge = Charge::One {
            run: run.0,
            but: others.iter().map(|run| (run.id, run.since)).collect(),
        };
        Ok((self, others))
    }

    /// Sends until told to stop, then drains: takes nothing new, waits for the answers to final dots.
    pub async fn run(self) -> anyhow::Result<()> {
        let shared = self.shared.clone();
        while let Err(error) = self.introduce().await {
            if !error.is_passing() || shared.is_stopped() {
                return Err(error.into());
            }
            tracing::error!(%error, "the store cannot be used; nothing is taken up until it can");
            tokio::time::sleep(AGAIN).await;
        }
        let (ledger, mut committing) =
            Ledger::start(shared.app.clone(), self.boot, shared.connections());
        let mut workers = JoinSet::new();
        let mut purses = JoinSet::new();
        for relay in &shared.relays {
            purses.spawn(purse::keep(shared.clone(), relay.clone()));
            if let Some(direct) = relay.direct.clone() {
                if let Err(error) = direct.recall().await {
                    tracing::warn!(%error, "what was learned of providers is not known now");
                }
                purses.spawn(memory::keep(shared.clone(), relay.clone()));
                workers.spawn(direct.work(shared.clone(), relay.clone(), ledger.clone()));
                continue;
            }
            for _ in 0..relay.config.connections.max(1) {
                workers.spawn(opening::work(shared.clone(), relay.clone(), ledger.clone()));
            }
        }
        let mut listening = JoinSet::new();
        listening.spawn(listen(shared.clone()));
        let mut hook = tokio::spawn(notice::hook::work(shared.app.clone(), shared.stop.clone()));
        // A task that panics takes the engine with it: a half-dead sender helps nobody.
        let dispatched = tokio::select! {
            dispatched = self.dispatch() => dispatched,
            fault = panicked(&mut workers) => Err(fault.context("a connection's task panicked")),
            fault = panicked(&mut purses) => Err(fault.context("a budget's task panicked")),
            relay = shared.watchdog.bark() => {
                shared.give_up(relay, &mut workers).await
            }
            ended = &mut committing => {
                return Err(anyhow::anyhow!("the ledger's task ended early: {ended:?}"));
            }
        };
        listening.shutdown().await;
        // Kept until here: workers that wait for a relay end before the dispatcher does.
        drop(ledger);
        shared.queue.close();
        let drain = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(shared.app.config.send.drain, drain)
            .await
            .is_err()
        {
            tracing::warn!("a relay did not answer every final dot in time; those are uncertain");
            workers.shutdown().await;
        }
        committing.await.context("the ledger's task ended early")?;
        purses.shutdown().await;
        purse::empty(&shared).await;
        memory::finish(&shared).await;
        self.give_back_finished().await?;
        self.write_answers().await?;
        self.shared.app.store.leave_sender(self.boot).await?;
        // A notice that is not heard is told again by the next sender.
        match tokio::time::timeout(HOOK, &mut hook).await {
            Ok(ended) => ended.context("the webhook's task ended early")?,
            Err(_) => hook.abort(),
        }
        dispatched
    }

    /// Tells the others with what it sends, and what, and heeds what they have told.
    async fn introduce(&self) -> Result<(), StoreError> {
        self.tell_setup().await?;
        self.mind_others(&mut 0).await?;
        if self.charge != Charge::All {
            let charge = self.charge.to_json();
            self.shared
                .app
                .store
                .tell_charge(self.boot, &charge)
                .await?;
        }
        Ok(())
    }

    async fn reap(&self) -> anyhow::Result<()> {
        let app = &self.shared.app;
        let grace = self.shared.dot_timeout();
        let found = app.store.reap(self.boot, grace, app.clock.now()).await?;
        let mut runs: Vec<RunId> = found.iter().map(|key| key.run).collect();
        runs.dedup();
        for id in runs {
            let Some(run) = app.store.run(id).await? else {
                continue;
            };
            tracing::warn!(
                run.id = run.id,
                "a sender died at the final dot of some deliveries"
            );
            crate::run::apply_policy(app, &run).await?;
        }
        Ok(())
    }

    /// Holds runs under way when this database may be an old copy of itself.
    async fn hold_if_doubtful(&self) -> anyhow::Result<()> {
        let app = &self.shared.app;
        let runs = app.store.active_runs().await?;
        let under_way: Vec<_> = runs
            .iter()
            .filter(|run| run.id() != RunId::SYSTEM)
            .collect();
        if under_way.is_empty() {
            return self.generation.rest(app).await;
        }
        let older = self.generation.older(&app.store).await?;
        for run in under_way {
            let why = match &older {
                Some(why) => Some(why.clone()),
                None => slept(app, run).await?,
            };
            if why.is_some() {
                let why = why.as_deref();
                app.store
                    .set_run_status(run.id(), run.status, RunStatus::Held, why, app.clock.now())
                    .await?;
            }
        }
        Ok(())
    }
}

/// Whether any process sends from this database now.
pub async fn is_sending(app: &App) -> anyhow::Result<bool> {
    is_sent_from(&app.store).await
}

/// The same of a database that was only opened for a look.
pub(crate) async fn is_sent_from(store: &Store) -> anyhow::Result<bool> {
    match store.sqlite_path() {
        Some(path) => SendingLock::is_held(&SendingLock::beside(path)),
        None => Ok(store.senders_alive().await?),
    }
}

/// Settles what a sender that died left at the dot, where no living one will: its deliveries become uncertain.
pub async fn settle(app: &App) -> anyhow::Result<()> {
    let (_say, stop) = watch::channel(false);
    if let Some(engine) = Engine::enter(app.clone(), stop).await? {
        app.store.leave_sender(engine.boot).await?;
    }
    Ok(())
}

/// Why a sender that begins now holds `run`, if it was under way while nothing was sent for too long.
pub async fn slept(app: &App, run: &Run) -> anyhow::Result<Option<String>> {
    let slept = Generation::of(app).slept(app).await?;
    Ok(slept.and_then(|(until, why)| (run.since <= until.0).then_some(why)))
}

/// Notes that a person knows for how long nothing was sent.
pub async fn forget_sleep(app: &App) -> anyhow::Result<()> {
    Generation::of(app).rest(app).await
}

/// Why nothing may be sent from this database before a person says so: it is older than this machine remembers.
pub async fn older(app: &App) -> anyhow::Result<Option<String>> {
    Generation::of(app).older(&app.store).await
}

/// The same of a database that was only opened for a look, beside the state folder `state`.
pub async fn is_older(store: &Store, state: &Path) -> anyhow::Result<Option<String>> {
    Generation::within(state).older(store).await
}

/// Notes that a person wants to go on with this database as it is: the guard starts anew from here.
pub async fn trust_database(app: &App) -> anyhow::Result<()> {
    Generation::of(app).beat(app).await
}

impl Shared {
    fn new(app: &App, stop: watch::Receiver<bool>) -> anyhow::Result<Shared> {
        let relays = relays::open(app)?;
        let connections: usize = relays.iter().map(|relay| relay.config.connections).sum();
        let standings = relays.iter().map(|relay| relay.standing.clone()).collect();
        let done = Arc::new(Done::default());
        Ok(Shared {
            app: app.clone(),
            relays,
            queue: Queue::new(done.clone(), standings, connections * 8),
            counted: Mutex::default(),
            done,
            watchdog: Watchdog::default(),
            stop,
            begun: app.clock.now(),
        })
    }

    /// Ends the process because of a connection that hangs. The others may finish what they are at.
    async fn give_up(&self, relay: usize, workers: &mut JoinSet<()>) -> ! {
        let name = &self.relays[relay].name;
        tracing::error!(
            relay = name,
            "a connection hangs beyond all of its deadlines; the sender ends, and begins anew when it is started \
             again: what stands at the dot then becomes uncertain"
        );
        self.queue.close();
        let others = async { while workers.join_next().await.is_some() {} };
        tokio::time::timeout(self.app.config.send.drain, others)
            .await
            .ok();
        #[expect(
            clippy::disallowed_methods,
            reason = "a thread that hangs keeps the process from ending in any other way"
        )]
        std::process::exit(1);
    }

    /// Connections at most, over all relays.
    pub(crate) fn connections(&self) -> usize {
        self.relays
            .iter()
            .map(|relay| relay.config.connections)
            .sum()
    }

    /// The longest wait for the answer to a final dot.
    fn dot_timeout(&self) -> Duration {
        let waits = self.relays.iter().map(|relay| relay.config.dot_timeout);
        waits.max().unwrap_or_default()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Resolves once the engine is told to stop.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // An error means that whoever could say stop is gone: that is a stop too.
        stop.wait_for(|stopped| *stopped).await.ok();
    }

    /// Forgets the waiting jobs of runs that `keep` does not name; they stay queued in the ledger.
    pub(crate) fn retain(&self, keep: impl Fn(RunId) -> bool) {
        self.queue.retain(&keep);
        for direct in self.relays.iter().filter_map(|relay| relay.direct.as_ref()) {
            direct.retain(&keep);
        }
    }

    /// Holds a run and forgets its jobs, which stay queued in the ledger.
    pub(crate) async fn hold(&self, run: RunId, why: &str) {
        let held = self.app.store.set_run_status(
            run,
            RunStatus::Sending,
            RunStatus::Held,
            Some(why),
            self.app.clock.now(),
        );
        if let Err(error) = held.await {
            tracing::error!(%error, run.id = run.0, "the run could not be held");
        }
        self.retain(|id| id != run);
    }
}

impl Job {
    /// The delivery's key.
    pub(crate) fn key(&self) -> DeliveryKey {
        DeliveryKey {
            run: self.run.id(),
            seq: u32::try_from(self.row.seq).expect("a seq is written from a u32"),
        }
    }

    /// The keyed hash of the reader's address that this job goes to, where `reply` refuses it for good.
    pub(crate) fn refused_address(&self, keyring: &Keyring, reply: &Reply) -> Option<[u8; 32]> {
        if reply.class() != 5 || self.row.subscriber_id <= 0 {
            return None;
        }
        let address = EmailAddress::parse(&self.row.address).ok()?;
        Some(keyring.address_hash(&address.canonical()))
    }

    /// What becomes of this delivery when nobody knows whether it was sent.
    pub(crate) fn policy(&self) -> UncertainPolicy {
        self.run.policy
    }
}

/// Wakes the dispatcher at what other processes do. Where that is not told, its own looks see it a little later.
async fn listen(shared: Arc<Shared>) {
    loop {
        let told = shared.app.store.listen(|| shared.done.wake.notify_one());
        if let Err(error) = told.await {
            tracing::warn!(%error, "what other processes do is seen later: the database does not tell");
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

/// The first panic of a worker; while none panics, never.
async fn panicked(workers: &mut JoinSet<()>) -> anyhow::Error {
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended {
            return error.into();
        }
    }
    std::future::pending().await
}

fn node_name(app: &App) -> String {
    let configured = app.config.send.node.clone();
    configured.unwrap_or_else(|| {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    })
}

fn public_host(url: &str) -> String {
    let parsed = url::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(url::Url::host_str);
    host.unwrap_or("localhost").to_owned()
}
