//! The relays at work: each with connections, breaker, TLS, signature and blame of its own.
//!
//! Promises: what a relay says of itself or of a run concerns that relay alone, while another may carry the
//! run; a run is held only when every relay that may carry it has refused for good.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::app::App;
use crate::clock::Timestamp;
use crate::config::{Relay, RelayKind};
use crate::deliver::blame::Blame;
use crate::deliver::breaker::Breaker;
use crate::deliver::copies::Copies;
use crate::deliver::culprits::Culprits;
use crate::deliver::direct::Direct;
use crate::deliver::purse::Purse;
use crate::deliver::signing::signers;
use crate::deliver::standing::{Standing, Via};
use crate::deliver::trouble::{Ail, RelayTrouble, Trouble};
use crate::deliver::watchdog::Watched;
use crate::deliver::{Shared, public_host};
use crate::id::{DeliveryKey, RunId};
use crate::lock::lock;
use crate::rate::Span;
use crate::reply::{Reply, hint};
use crate::smtp::error::SessionError;
use crate::smtp::session::Session;
use crate::smtp::tls::TlsClient;
use crate::status::RunStatus;
use crate::store::relays::RelayState;
use crate::store::runs::Run;

/// Permanent refusals of a relay in a row (login, sender) after which it is taken at its word.
const REFUSALS: u32 = 5;

/// One relay of the configuration, at work.
pub(crate) struct LiveRelay {
    /// Its place among all, by which the queue knows it.
    pub index: usize,
    pub name: String,
    pub config: Relay,
    pub standing: Arc<Standing>,
    pub copies: Copies,
    /// Where the relay is no server, but every domain's own hosts.
    pub direct: Option<Arc<Direct>>,
    /// Whether no other relay takes over from it.
    alone: bool,
    tls: TlsClient,
    ehlo: String,
    pub(super) blame: Mutex<HashMap<RunId, Blame>>,
    /// At whose commands its connections end.
    pub culprits: Mutex<Culprits>,
    /// Permanent refusals in a row, over all connections.
    refusals: Mutex<u32>,
    /// Whether it has answered as a relay does since this process began.
    answered: AtomicBool,
    /// Sessions that are open.
    open: AtomicUsize,
    /// While the breaker is open.
    failure: Mutex<Option<Failure>>,
}

/// An open session of a relay, until this is dropped.
pub(crate) struct Connected<'a>(&'a AtomicUsize);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug)]
struct Failure {
    since: Timestamp,
    /// The last reason.
    why: String,
    /// When it is probed next.
    next: Timestamp,
}

/// All relays that the configuration describes, whether a run uses them now or not.
pub(crate) fn open(app: &App) -> anyhow::Result<Vec<Arc<LiveRelay>>> {
    let described = &app.config.relay;
    ensure!(
        described.len() <= Via::MOST,
        "{} relays are described; {} can work at a time",
        described.len(),
        Via::MOST
    );
    let mut relays = Vec::with_capacity(described.len());
    for (index, (name, config)) in described.iter().enumerate() {
        let relay = LiveRelay::open(app, index, name, config);
        relays.push(Arc::new(relay.with_context(|| format!("relay {name}"))?));
    }
    Ok(relays)
}

impl LiveRelay {
    fn open(app: &App, index: usize, name: &str, config: &Relay) -> anyhow::Result<LiveRelay> {
        let ca_file = config.ca_file.as_ref().map(|file| app.path(file));
        let breaker = Breaker::new(app.config.send.probe, config.connections);
        let purse = Purse::new(name, config, app.config.from.address.domain());
        Ok(LiveRelay {
            index,
            name: name.to_owned(),
            config: config.clone(),
            standing: Arc::new(Standing::new(config, breaker, purse)),
            copies: Copies::new(
                app.clone(),
                name,
                config,
                signers(&app.config, &app.base, config)?,
            ),
            direct: match config.kind {
                RelayKind::Mx => Some(Arc::new(Direct::open(app, name, config)?)),
                _ => None,
            },
            alone: !app
                .config
                .relays_of("")
                .is_ok_and(|used| used.iter().any(|other| other != &name)),
            tls: TlsClient::new(ca_file.as_deref())?,
            ehlo: public_host(&app.config.publication.url),
            blame: Mutex::default(),
            culprits: Mutex::default(),
            refusals: Mutex::default(),
            answered: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            failure: Mutex::default(),
        })
    }

    pub(crate) async fn connect(&self) -> Result<Session, SessionError> {
        Session::connect(&self.config, &self.ehlo, &self.tls).await
    }

    /// One more session is open.
    pub(crate) fn connected(&self) -> Connected<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Connected(&self.open)
    }

    /// It has answered as a relay does.
    pub(crate) fn answers(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Whether any session is open.
    pub(crate) fn is_connected(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// Whether a connection that came to nothing, with this reply, was only one too many: others work, and it was not
    /// refused for good nor asked to pause.
    pub(crate) fn is_full(&self, reply: Option<&Reply>) -> bool {
        let meant = |reply: &Reply| reply.class() == 5 || hint::pause(reply).is_some();
        self.is_connected() && !reply.is_some_and(meant)
    }

    /// Notes that the recipient of `run`'s copy is refused: see [`Blame::unknown`]. A system mail has no run to hold.
    pub(crate) fn unknown(
        &self,
        run: &Run,
        key: DeliveryKey,
        again: bool,
    ) -> Option<Vec<DeliveryKey>> {
        if run.id() == RunId::SYSTEM {
            return None;
        }
        let mut blame = lock(&self.blame);
        blame.entry(run.id()).or_default().unknown(key, again)
    }

    /// Whether its word is no for good: to everyone, or to `run`.
    pub(super) fn has_refused(&self, run: RunId) -> bool {
        *lock(&self.refusals) >= REFUSALS || self.standing.refuses(run)
    }

    fn trouble(&self, now: Timestamp) -> Option<RelayTrouble> {
        let told = |ail, why, since, next| RelayTrouble {
            relay: self.name.clone(),
            ail,
            why,
            since,
            next,
        };
        let failure = lock(&self.failure).clone();
        if let Some(failure) = failure.filter(|_| self.standing.breaker.is_open()) {
            let Failure { since, why, next } = failure;
            let waited_for = self.direct.as_ref().and_then(|direct| direct.waited_for());
            let why = match waited_for {
                Some(domains) => format!("{why}; {domains}"),
                None => why,
            };
            return Some(told(Ail::Broken, why, since, next));
        }
        if let Some((why, since, next)) = self.direct.as_ref().and_then(|direct| direct.trouble()) {
            // Until it has failed as a whole, no other relay gets what waits for it.
            let ail = if self.alone { Ail::Broken } else { Ail::Partly };
            return Some(told(ail, why, since, next));
        }
        if let Some((full, why)) = self.standing.purse.trouble() {
            return Some(told(Ail::Full, why, full.since, full.until));
        }
        if let Some((since, why)) = self.standing.purse.spills(now) {
            return Some(told(Ail::Spread, why, since, Timestamp(0)));
        }
        let (why, since, next) = self.direct.as_ref()?.left_alone()?;
        Some(told(Ail::Partly, why, since, next))
    }
}

impl Shared {
    /// The relays that `run` may go through; none when it names one that nobody describes (any more).
    pub(crate) fn via(&self, run: &Run) -> Option<Via> {
        let names = self.app.config.relays_of(&run.relay).ok()?;
        let place = |name| self.relays.iter().position(|relay| relay.name == name);
        let places = names.into_iter().filter_map(place);
        Some(places.fold(Via::default(), Via::with))
    }

    pub(super) fn members(&self, via: Via) -> impl Iterator<Item = &Arc<LiveRelay>> {
        via.members().filter_map(|index| self.relays.get(index))
    }

    /// A step with `relay` begins; it is watched until this is dropped.
    pub(crate) fn watch(&self, relay: &LiveRelay) -> Watched<'_> {
        self.watchdog.watch(relay.index, relay.config.patience())
    }

    /// Whether none of `via` will be tried for a while.
    pub(crate) fn stands_still(&self, via: Via) -> bool {
        let waits = |relay: &Arc<LiveRelay>| {
            let wait = relay.standing.breaker.next_probe();
            wait.is_some_and(|wait| !wait.is_zero())
        };
        self.members(via).all(waits)
    }

    /// `relay` answered as a relay does; `sent` if it took the message.
    pub(crate) fn relay_answered(&self, relay: &LiveRelay, run: &Run, sent: bool) {
        *lock(&relay.refusals) = 0;
        self.works(relay);
        if sent {
            lock(&relay.culprits).served();
            let mut blame = lock(&relay.blame);
            let blame = blame.entry(run.id()).or_default();
            blame.accepted();
            if run.id() == RunId::SYSTEM {
                blame.forgive();
            }
        }
    }

    /// `relay` is there, if it was not.
    pub(crate) fn works_again(&self, relay: &LiveRelay) {
        if relay.standing.breaker.is_open() {
            self.works(relay);
        }
    }

    pub(super) fn works(&self, relay: &LiveRelay) {
        relay.answers();
        if relay.standing.breaker.succeeded() {
            tracing::info!(relay = relay.name, "the relay works again");
            self.queue.look_again();
        }
        // A pause that it asked for goes on.
        if !relay.standing.breaker.is_open() {
            lock(&relay.failure).take();
        }
    }

    /// A run that has become active is judged anew.
    pub(crate) fn forgive(&self, run: &Run) {
        for relay in &self.relays {
            relay.judge_anew(run);
            relay.standing.forgive(run.id());
        }
    }

    /// `relay` could not be reached or refused everyone; `permanent` when it meant it.
    pub(crate) async fn relay_failed(&self, relay: &LiveRelay, why: &str, permanent: bool) {
        let wait = relay.standing.breaker.failed();
        tracing::warn!(relay = relay.name, wait = ?wait, "the relay failed: {why}");
        self.note_failure(relay, why, wait);
        let refusals = {
            let mut refusals = lock(&relay.refusals);
            *refusals = if permanent { *refusals + 1 } else { 0 };
            *refusals
        };
        if refusals >= REFUSALS {
            self.hold_refused(&format!("relay {}: {why}", relay.name))
                .await;
        }
    }

    /// `relay` took no connection, or refused everyone with `reply`: it has failed, or asks for a pause.
    pub(crate) async fn relay_refused(&self, relay: &LiveRelay, reply: Option<&Reply>, why: &str) {
        match reply.and_then(hint::pause) {
            Some(wait) => self.relay_paused(relay, why, wait),
            None => {
                let permanent = reply.is_some_and(|reply| reply.class() == 5);
                self.relay_failed(relay, why, permanent).await;
            }
        }
    }

    /// `relay` asked to be left alone for a while.
    pub(crate) fn relay_paused(&self, relay: &LiveRelay, why: &str, wait: Duration) {
        relay.standing.breaker.pause(wait);
        tracing::warn!(relay = relay.name, wait = ?wait, "the relay asks for a pause: {why}");
        self.note_failure(relay, &format!("asks for a pause: {why}"), wait);
        *lock(&relay.refusals) = 0;
    }

    fn note_failure(&self, relay: &LiveRelay, why: &str, wait: Duration) {
        let mut failure = lock(&relay.failure);
        let now = self.app.clock.now();
        *failure = Some(Failure {
            since: failure.as_ref().map_or(now, |failure| failure.since),
            why: why.to_owned(),
            next: now.after(wait),
        });
        drop(failure);
        // Others may have to take over.
        self.queue.look_again();
    }

    /// Holds the runs that every relay of theirs has refused.
    async fn hold_refused(&self, why: &str) {
        let runs = self.app.store.active_runs().await.unwrap_or_default();
        let mut held = Via::default();
        for run in runs.iter().filter(|run| run.status == RunStatus::Sending) {
            let Some(via) = self.via(run) else { continue };
            if self.members(via).all(|relay| relay.has_refused(run.id())) {
                self.hold(run.id(), why).await;
                held = via.members().fold(held, Via::with);
            }
        }
        for relay in self.members(held) {
            *lock(&relay.refusals) = 0;
        }
    }

    /// How each relay stands, for `relay list`.
    pub(crate) fn relay_states(&self) -> Vec<RelayState> {
        let now = self.app.clock.now();
        let ailing = |relay: &Arc<LiveRelay>| {
            let trouble = relay.trouble(now);
            // One that carries all it may works.
            trouble.filter(|trouble| trouble.ail != Ail::Spread)
        };
        let state = |relay: &Arc<LiveRelay>| match ailing(relay) {
            None => RelayState {
                relay: relay.name.clone(),
                state: "works".to_owned(),
                since: self.begun.0,
                why: None,
                next_at: None,
            },
            Some(trouble) => RelayState {
                relay: relay.name.clone(),
                state: match trouble.ail.rests() {
                    true => trouble.ail.name().to_owned(),
                    // It goes on for all the others.
                    false => "works".to_owned(),
                },
                since: trouble.since.0,
                why: Some(trouble.why),
                next_at: Some(trouble.next.0),
            },
        };
        self.relays.iter().map(state).collect()
    }

    /// Whether the relay of this name has answered as a relay does since this process began.
    pub(crate) fn has_answered(&self, name: &str) -> bool {
        let mut relays = self.relays.iter();
        relays.any(|relay| relay.name == name && relay.answered.load(Ordering::Relaxed))
    }

    /// Which relays do not take mail now, and which do.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        let now = self.app.clock.now();
        let ailing = self.relays.iter();
        let ailing = ailing.filter_map(|relay| Some((relay, relay.trouble(now)?)));
        let ailing: Vec<_> = ailing.collect();
        let config = &self.app.config;
        let used = config.relays_of(&config.send.relay).unwrap_or_default();
        let waits = ailing.iter().filter(|(relay, trouble)| {
            trouble.ail == Ail::Full && !relay.standing.yields && used.contains(&&*relay.name)
        });
        // Behind one that is waited for, none gets anything.
        let last = waits.map(|(relay, _)| relay.config.priority).min();
        let works = |name: &&str| {
            let relay = self.relays.iter().find(|relay| relay.name == **name);
            let behind = relay
                .zip(last)
                .is_some_and(|(relay, last)| relay.config.priority > last);
            let rests = |trouble: &RelayTrouble| trouble.relay == **name && trouble.ail.rests();
            !behind && !ailing.iter().any(|(_, trouble)| rests(trouble))
        };
        let working: Vec<String> = used
            .iter()
            .filter(|name| works(name))
            .map(|&name| name.to_owned())
            .collect();
        // Where all wait for a cap that lasts a second, it is over before anybody has read of it.
        let brief = |relay: &LiveRelay| {
            let full = relay.standing.purse.trouble();
            full.is_some_and(|(full, _)| full.cap.span < Span::Minute)
        };
        let told = ailing.into_iter().filter(|(relay, trouble)| {
            !working.is_empty() || trouble.ail != Ail::Full || !brief(relay)
        });
        let relays: Vec<_> = told.map(|(_, trouble)| trouble).collect();
        (!relays.is_empty()).then_some(Trouble { relays, working })
    }
}
