//! Delivery: takes what the ledger holds as due through the relay, and what came of it back.
//!
//! Promises: one marker before each terminator, outcomes durable before a job counts as done, a drain
//! that leaves nothing uncertain while the relay answers. Leaves the runs' beginning and end of life to
//! `run`, and the words of SMTP to `smtp`.

mod blame;
mod breaker;
pub(crate) mod copies;
mod dispatch;
mod guard;
mod judge;
mod ledger;
mod queue;
mod worker;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::App;
use crate::config::{Config, Relay, RelayKind, UncertainPolicy};
use crate::deliver::blame::Blame;
use crate::deliver::breaker::Breaker;
use crate::deliver::copies::Copies;
use crate::deliver::guard::{Generation, SendingLock};
use crate::deliver::ledger::Ledger;
use crate::deliver::queue::{Done, Job, Queue};
use crate::dkim::Signer;
use crate::id::{DeliveryKey, RunId};
use crate::keyfile;
use crate::reply::Reply;
use crate::retry;
use crate::smtp::error::SessionError;
use crate::smtp::session::Session;
use crate::smtp::tls::TlsClient;
use crate::store::runs::Run;

/// The meta key under which other processes read why nothing moves.
pub const TROUBLE: &str = "trouble";

/// Permanent refusals of the relay in a row (login, sender) after which its runs are held.
const REFUSALS: u32 = 5;

/// The sending engine of one process.
pub struct Engine {
    shared: Arc<Shared>,
    generation: Generation,
    boot: i64,
    node: String,
    _lock: Option<SendingLock>,
}

/// Taking the engine may find another process at work.
pub enum Taken {
    Engine(Box<Engine>),
    /// Another process sends from this SQLite database.
    Busy,
}

/// What all tasks of the engine see.
pub(crate) struct Shared {
    pub app: App,
    pub relay: Relay,
    pub queue: Queue,
    pub breaker: Breaker,
    pub copies: Copies,
    done: Arc<Done>,
    tls: TlsClient,
    ehlo: String,
    stop: watch::Receiver<bool>,
    blame: Mutex<HashMap<RunId, Blame>>,
    /// Permanent refusals in a row, over all connections.
    refusals: Mutex<u32>,
    trouble: Mutex<Option<String>>,
}

impl Engine {
    /// Takes the right to send: the lock on a SQLite database, the sender's row on both. What older
    /// processes of this node left at the dot becomes uncertain, by each run's policy.
    pub async fn take(app: App, stop: watch::Receiver<bool>) -> anyhow::Result<Taken> {
        let boot = app.chance.key();
        let mut lock = None;
        if let Some(database) = app.store.sqlite_path() {
            let path = database.with_extension("sending");
            lock = SendingLock::try_take(&path, boot)?;
            if lock.is_none() {
                return Ok(Taken::Busy);
            }
        }
        let shared = Arc::new(Shared::new(&app, stop)?);
        let node = node_name(&app);
        let now = app.clock.now();
        app.store
            .enter_sender(&node, boot, app.config.send.lease, now)
            .await?;
        let engine = Engine {
            generation: Generation::of(&app),
            shared,
            boot,
            node,
            _lock: lock,
        };
        engine.reap().await?;
        engine.hold_if_doubtful().await?;
        // What an older process told of its trouble is over with it.
        engine.shared.app.store.set_meta(TROUBLE, "").await?;
        Ok(Taken::Engine(Box::new(engine)))
    }

    /// Sends until told to stop, then drains: takes nothing new, waits for the answers to final dots.
    pub async fn run(self) -> anyhow::Result<()> {
        let shared = self.shared.clone();
        let (ledger, mut committing) =
            Ledger::start(shared.app.clone(), self.boot, shared.relay.connections);
        let mut workers = JoinSet::new();
        for _ in 0..shared.relay.connections.max(1) {
            workers.spawn(worker::work(shared.clone(), ledger.clone()));
        }
        // A task that panics takes the engine with it: a half-dead sender helps nobody.
        let dispatched = tokio::select! {
            dispatched = self.dispatch() => dispatched,
            fault = panicked(&mut workers) => Err(fault.context("a connection's task panicked")),
            ended = &mut committing => {
                return Err(anyhow::anyhow!("the ledger's task ended early: {ended:?}"));
            }
        };
        // Kept until here: workers that wait for a relay end before the dispatcher does.
        drop(ledger);
        shared.queue.close();
        let drain = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(shared.app.config.send.drain, drain)
            .await
            .is_err()
        {
            tracing::warn!("the relay did not answer every final dot in time; those are uncertain");
            workers.shutdown().await;
        }
        committing.await.context("the ledger's task ended early")?;
        self.give_back_finished().await?;
        dispatched
    }

    async fn reap(&self) -> anyhow::Result<()> {
        let app = &self.shared.app;
        let grace = self.shared.relay.dot_timeout;
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
        if let Some(why) = self.generation.objection(app).await? {
            for run in under_way {
                app.store
                    .set_run_status(run.id(), &run.status, "held", Some(&why))
                    .await?;
            }
        }
        Ok(())
    }
}

/// Notes that a person wants to go on with this database as it is: the guard starts anew from here.
pub async fn trust_database(app: &App) -> anyhow::Result<()> {
    Generation::of(app).beat(app).await
}

impl Shared {
    fn new(app: &App, stop: watch::Receiver<bool>) -> anyhow::Result<Shared> {
        let config = &app.config;
        let name = &config.send.relay;
        let Some(relay) = config.relay.get(name) else {
            bail!("`send.relay` names `{name}`, and there is no [relay.{name}]");
        };
        let ca_file = relay.ca_file.as_ref().map(|file| app.path(file));
        let tls = TlsClient::new(ca_file.as_deref())?;
        let done = Arc::new(Done::default());
        let low = relay.connections * 8;
        Ok(Shared {
            app: app.clone(),
            relay: relay.clone(),
            queue: Queue::new(done.clone(), low),
            breaker: Breaker::new(config.send.probe),
            copies: Copies::new(app.clone(), signer(&app.config, &app.base, relay)?),
            done,
            tls,
            ehlo: public_host(&config.publication.url),
            stop,
            blame: Mutex::default(),
            refusals: Mutex::default(),
            trouble: Mutex::default(),
        })
    }

    pub(crate) async fn connect(&self) -> Result<Session, SessionError> {
        Session::connect(&self.relay, &self.ehlo, &self.tls).await
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

    /// The relay answered as a relay does; `sent` if it took the message.
    pub(crate) fn relay_answered(&self, run: &Run, sent: bool) {
        self.breaker.succeeded();
        *lock(&self.refusals) = 0;
        lock(&self.trouble).take();
        if sent {
            let mut blame = lock(&self.blame);
            let blame = blame.entry(run.id()).or_default();
            blame.accepted();
            if run.id() == RunId::SYSTEM {
                blame.forgive();
            }
        }
    }

    /// The relay refused this run's copy for good; enough of that holds the run.
    pub(crate) async fn run_refused(&self, run: &Run, key: DeliveryKey, reply: &Reply) {
        self.breaker.succeeded();
        let back = {
            let mut blame = lock(&self.blame);
            blame
                .entry(run.id())
                .or_default()
                .refused(key, reply.fingerprint())
        };
        let Some(back) = back else { return };
        let why = format!("the relay refuses this run: {}", reply.masked());
        let now = self.app.clock.now();
        // The open run cannot be held: its mails wait like greylisted ones.
        let due = match run.id() {
            RunId::SYSTEM => retry::due(&self.app.config.send.retry, 1, 0.0, 0.0, now),
            _ => now,
        };
        let held = self.app.store.hold_refused(run.id(), &back, &why, due);
        if let Err(error) = held.await {
            tracing::error!(%error, run.id = run.id, "the run could not be held");
        }
        if run.id() != RunId::SYSTEM {
            self.queue.retain(|id| id != run.id());
        }
    }

    /// A run that has become active is judged anew.
    pub(crate) fn forgive(&self, run: RunId) {
        lock(&self.blame).remove(&run);
    }

    /// Holds a run and forgets its jobs, which stay queued in the ledger.
    pub(crate) async fn hold(&self, run: RunId, why: &str) {
        let held = self
            .app
            .store
            .set_run_status(run, "sending", "held", Some(why));
        if let Err(error) = held.await {
            tracing::error!(%error, run.id = run.0, "the run could not be held");
        }
        self.queue.retain(|id| id != run);
    }

    /// The relay could not be reached or refused everyone; `permanent` when it meant it.
    pub(crate) async fn relay_failed(&self, why: &str, permanent: bool) {
        let wait = self.breaker.failed();
        tracing::warn!(wait = ?wait, "the relay failed: {why}");
        let text = format!("relay {}: {why}", self.app.config.send.relay);
        *lock(&self.trouble) = Some(text.clone());
        let refusals = {
            let mut refusals = lock(&self.refusals);
            *refusals = if permanent { *refusals + 1 } else { 0 };
            *refusals
        };
        if refusals >= REFUSALS {
            *lock(&self.refusals) = 0;
            self.hold_all(&text).await;
        }
    }

    async fn hold_all(&self, why: &str) {
        let store = &self.app.store;
        let runs = store.active_runs().await.unwrap_or_default();
        for run in runs.iter().filter(|run| run.status == "sending") {
            self.hold(run.id(), why).await;
        }
    }

    /// Why nothing moves, with the time of the next try.
    fn trouble(&self) -> Option<String> {
        let text = lock(&self.trouble).clone()?;
        Some(match self.breaker.next_probe() {
            Some(wait) => format!("{text}; next try in {} s", wait.as_secs()),
            None => text,
        })
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

    /// What becomes of this delivery when nobody knows whether it was sent.
    pub(crate) fn policy(&self) -> UncertainPolicy {
        crate::run::policy(&self.run.policy)
    }
}

/// The signer for `relay`, unless the relay signs itself or no key is configured.
/// The key's path starts at `base`, the folder of the configuration file.
pub fn signer(config: &Config, base: &Path, relay: &Relay) -> anyhow::Result<Option<Signer>> {
    let dkim = &config.dkim;
    let wanted = relay.dkim.unwrap_or(relay.kind != RelayKind::Ses);
    let Some(file) = dkim.key.as_ref().filter(|_| wanted) else {
        return Ok(None);
    };
    let pem = keyfile::read(&base.join(file), "DKIM key", "pressrun keys dkim")?;
    let domain = dkim
        .domain
        .as_deref()
        .unwrap_or(config.from.address.domain());
    Ok(Some(Signer::from_pem(domain, &dkim.selector, &pem)?))
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
