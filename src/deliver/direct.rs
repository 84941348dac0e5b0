//! Delivery straight to the hosts of each recipient's domain: a relay that is everybody's MX.
//!
//! Promises: the domains of one provider share its limits, and nobody else's trouble delays them. What a
//! domain, its DNS or its hosts do wrong charges no recipient: their deliveries wait in the ledger until
//! the domain is tried again. Connections are opened where mail waits, and closed when none does.
//! Leaves the transactions to `worker` and what answers mean to `judge`.

mod dial;
mod domains;
pub mod identity;
pub(crate) mod line;
pub(crate) mod memory;
mod nameserver;
mod policies;
mod pool;
mod pools;
mod probe;
mod reach;
mod refusals;
mod resolve;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::app::App;
use crate::clock::Timestamp;
use crate::config::Relay;
use crate::deliver::direct::dial::Dialler;
use crate::deliver::direct::domains::{Domain, Known, State, Unreached as Domains};
use crate::deliver::direct::line::Line;
use crate::deliver::direct::memory::Written;
use crate::deliver::direct::policies::Policies;
use crate::deliver::direct::pools::{Room, Start};
use crate::deliver::direct::reach::Unreached;
use crate::deliver::direct::resolve::{Resolved, Resolver};
use crate::deliver::ledger::{Ledger, Settling};
use crate::deliver::queue::Job;
use crate::deliver::relays::LiveRelay;
use crate::deliver::seat::Seat;
use crate::deliver::{Shared, node_name, public_host, worker};
use crate::dns::Dns;
use crate::id::RunId;
use crate::lock::lock;
use crate::mx::health::Waits;
use crate::mx::provider::Providers;
use crate::schedule::shown;
use crate::smtp::error::{Phase, SessionError};
use crate::smtp::tls::TlsClient;
use crate::terminal::counted;

/// Domains looked up at a time.
const LOOKUPS: usize = 64;
/// Jobs taken from the queue at a time.
const AT_ONCE: usize = 63;
/// Jobs that wait for each connection, and at least.
const JOBS: usize = 16;
const JOBS_LEAST: usize = 1024;
/// One provider's share of them: the rest is for the others.
const SHARE: usize = 8;
/// Everything is looked at again after this time, whatever happened.
const LOOK: Duration = Duration::from_millis(200);
/// Domains that fail for less are no news beside those that do not.
const LASTING: Duration = Duration::from_secs(60);
/// Between two looks for domains that no mail gets through to, which go through all of them.
const NAMES: Duration = Duration::from_secs(2);

/// One relay of kind `mx`, at work.
pub(crate) struct Direct {
    app: App,
    resolver: Resolver,
    dialler: Dialler,
    connections: usize,
    room: Room,
    state: Mutex<State>,
    /// When this process began.
    begun: Timestamp,
    /// Under which names what is learned is kept.
    node: String,
    relay: String,
    written: Mutex<Written>,
    /// What was last seen of domains that no mail gets through to, and when.
    seen: Mutex<Option<(Instant, Option<Domains>)>>,
    /// The router looks again: a job came or went, a connection ended or failed.
    changed: Notify,
    /// A connection that waits for a job looks again.
    filled: Notify,
}

impl Direct {
    /// Reads what the configuration says of direct delivery.
    pub(crate) fn open(app: &App, name: &str, relay: &Relay) -> anyhow::Result<Direct> {
        let config = &app.config.mx;
        let ca_file = relay.ca_file.as_ref().map(|file| app.path(file));
        let tls = TlsClient::new(ca_file.as_deref())?;
        let dns = Dns::new(&app.config.dns)?;
        let own = config.providers.as_ref().map(|file| {
            let path = app.path(file);
            let shown = path.display().to_string();
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read `{shown}`, which `mx.providers` names"))
        });
        let own = own.transpose()?;
        let providers = Providers::read(own.as_deref()).context("`mx.providers`")?;
        let policies = match config.mta_sts {
            false => None,
            true => Some(Arc::new(Policies::new(
                dns.clone(),
                &tls,
                config.policy_port,
                config.private,
                app.clock.clone(),
                app.store.clone(),
            )?)),
        };
        let all = (relay.connections * JOBS).max(JOBS_LEAST);
        Ok(Direct {
            resolver: Resolver {
                dns: dns.clone(),
                afresh: Dns::afresh(&app.config.dns)?,
                providers,
                policies,
                tls: relay.tls,
                port: config.port,
            },
            dialler: Dialler {
                relay: relay.clone(),
                ehlo: public_host(&app.config.publication.url),
                tls,
                dns,
                port: config.port,
                sources: config.sources.clone(),
                inside: config.private,
                clock: app.clock.clone(),
                chance: app.chance.clone(),
                silent: Mutex::default(),
            },
            connections: relay.connections.max(1),
            room: Room {
                all,
                one: all / SHARE,
            },
            app: app.clone(),
            state: Mutex::default(),
            begun: app.clock.now(),
            node: node_name(app),
            relay: name.to_owned(),
            written: Mutex::default(),
            seen: Mutex::default(),
            changed: Notify::new(),
            filled: Notify::new(),
        })
    }

    /// Routes jobs and opens connections until the queue is closed or the engine is told to stop.
    pub(crate) async fn work(
        self: Arc<Direct>,
        shared: Arc<Shared>,
        relay: Arc<LiveRelay>,
        ledger: Ledger,
    ) {
        let mut lookups = JoinSet::new();
        // Those that wait for one of the others to end.
        let mut unknown = VecDeque::new();
        let mut connections = JoinSet::new();
        let mut looks = JoinSet::new();
        lookups.spawn(self.clone().tell_identity());
        loop {
            self.mind(&shared, &relay, &mut looks);
            let open = relay.standing.breaker.is_open();
            while !open && connections.len() < self.connections {
                let now = self.app.clock.now();
                let Some(start) = self.state().pools.start(now) else {
                    break;
                };
                let opened = connect(
                    self.clone(),
                    shared.clone(),
                    relay.clone(),
                    ledger.clone(),
                    start,
                );
                connections.spawn(opened);
            }
            self.put_off(&ledger).await;
            while lookups.len() < LOOKUPS
                && let Some(domain) = unknown.pop_front()
            {
                lookups.spawn(self.clone().look_up(domain));
            }
            let room = !open && self.has_room() && !self.is_dark();
            tokio::select! {
                job = shared.queue.pop(relay.index), if room => {
                    let Some(job) = job else { break };
                    let more = std::iter::from_fn(|| shared.queue.try_pop(relay.index));
                    let jobs = std::iter::once(job).chain(more.take(AT_ONCE)).collect();
                    unknown.extend(self.route(jobs, &ledger).await);
                }
                Some(found) = lookups.join_next() => {
                    if let Some((domain, resolved)) = or_panic(found).flatten() {
                        self.found(&domain, resolved, &ledger).await;
                    }
                }
                Some(ended) = connections.join_next() => or_panic(ended).unwrap_or_default(),
                () = self.changed.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = shared.stopped() => break,
            }
        }
        // What waits stays queued in the ledger.
        self.retain(&|_| false);
        looks.shutdown().await;
        lookups.shutdown().await;
        while let Some(ended) = connections.join_next().await {
            or_panic(ended);
        }
        // What they put back.
        self.retain(&|_| false);
    }

    /// Drops the waiting jobs of runs that `keep` does not name; they stay queued in the ledger.
    pub(crate) fn retain(&self, keep: &dyn Fn(RunId) -> bool) {
        let mut state = self.state();
        let mut gone = state.pools.retain(keep);
        let mut unasked = 0;
        for domain in state.domains.values_mut() {
            if let Known::Asked(jobs) = &mut domain.known {
                let before = jobs.len();
                gone.extend(jobs.extract_if(.., |job| !keep(job.run.id())));
                unasked += before - jobs.len();
            }
        }
        state.asked -= unasked;
        drop(state);
        // Their guards may wake the dispatcher: not under the lock.
        drop(gone);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        lock(&self.written)
    }

    fn has_room(&self) -> bool {
        self.state().jobs() < self.room.all
    }

    /// Where the nameserver is of no use, or no provider at all can be delivered to: why, since when, and when it is
    /// tried again.
    pub(crate) fn trouble(&self) -> Option<(String, Timestamp, Timestamp)> {
        let now = self.app.clock.now();
        let state = self.state();
        state.nameserver(now).or_else(|| {
            let all = state.pools.trouble(now)?;
            // Where some host once answered, the port is open.
            let port = match state.reach.alive().next() {
                None => " (is port 25 closed to the outside?)",
                Some(_) => "",
            };
            let none = format!("no mail gets through to any domain that it is for{port}");
            Some(self.unreached(&state, now, Some(&none)).unwrap_or(all))
        })
    }

    /// One provider of many that is left alone for what it refused, or domains that no mail gets through to: why, since
    /// when, and when it is tried next.
    pub(crate) fn left_alone(&self) -> Option<(String, Timestamp, Timestamp)> {
        let now = self.app.clock.now();
        let state = self.state();
        let alone = state.pools.left_alone(now);
        alone.or_else(|| {
            let unreached = self.unreached(&state, now, None)?;
            (now.since(unreached.1) >= LASTING).then_some(unreached)
        })
    }

    /// For whom mail waits while direct delivery has failed as a whole.
    pub(crate) fn waited_for(&self) -> Option<String> {
        let unreached = self.domains(&self.state(), self.app.clock.now(), true)?;
        Some(format!("mail waits for {}", self.each(&unreached)))
    }

    /// The domains that no mail gets through to, as of a moment ago: there may be tens of thousands of others. That there
    /// were none is not believed where something is known to be `amiss`.
    fn domains(&self, state: &State, now: Timestamp, amiss: bool) -> Option<Domains> {
        let mut seen = lock(&self.seen);
        if let Some((at, found)) = &*seen
            && at.elapsed() < NAMES
            && (found.is_some() || !amiss)
        {
            return found.clone();
        }
        let found = state.unreached(now);
        *seen = Some((Instant::now(), found.clone()));
        found
    }

    /// `none` is said where no mail at all gets through.
    fn unreached(
        &self,
        state: &State,
        now: Timestamp,
        none: Option<&str>,
    ) -> Option<(String, Timestamp, Timestamp)> {
        let unreached = self.domains(state, now, none.is_some())?;
        let each = self.each(&unreached);
        let why = match none {
            Some(none) => format!("{none}: {each}"),
            None => {
                format!("mail to all other domains goes out, and none gets through to {each}")
            }
        };
        Some((why, unreached.since, unreached.next))
    }

    /// Each domain with why, and until when it is tried.
    fn each(&self, unreached: &Domains) -> String {
        let (send, zone) = (&self.app.config.send, &self.app.config.publication.timezone);
        let each = unreached.named.iter().map(|(name, since, why)| {
            let until = shown(since.after(send.give_up), zone);
            format!("{name} ({why}; tried until {until} at least)")
        });
        let each: Vec<String> = each.collect();
        match unreached.more {
            0 => each.join(", "),
            more => format!("{} and {}", each.join(", "), counted(more, "other domain")),
        }
    }

    /// Brings jobs to their pools. Gives the domains that have to be looked up first.
    async fn route(&self, jobs: Vec<Job>, ledger: &Ledger) -> Vec<String> {
        let now = self.app.clock.now();
        let mut unknown = Vec::new();
        let mut settling = Vec::new();
        {
            let mut state = self.state();
            for job in jobs {
                settling.extend(self.place(&mut state, job, &mut unknown, now));
            }
        }
        self.filled.notify_waiters();
        self.settle(settling, ledger).await;
        unknown
    }

    async fn look_up(self: Arc<Direct>, domain: String) -> Option<(String, Resolved)> {
        let number = self.state().reach.lookups.begin();
        let resolved = self.resolver.resolve(&domain).await;
        if !matches!(resolved, Resolved::Unanswered(_)) {
            self.state().reach.found();
        }
        let resolved = match resolved {
            Resolved::Nowhere(why) => self.denied(&domain, why).await,
            Resolved::Unanswered(why) => self.unanswered(why).await,
            other => other,
        };
        let mut state = self.state();
        let failing = state.domains.get(&domain).and_then(Domain::failing_since);
        if let Resolved::Dark(why) = &resolved
            && self.is_news(&state, failing)
        {
            let now = self.app.clock.now();
            state.reach.lookups.failed(&domain, (), why, now);
        }
        state.reach.lookups.over(number);
        drop(state);
        Some((domain, resolved))
    }

    /// Whether it says anything of this process's own tries that somebody fails since then.
    fn is_news(&self, state: &State, failing: Option<Timestamp>) -> bool {
        state.reach.was_down || failing.is_none_or(|since| since >= self.begun)
    }

    /// Notes how a connection to the site of `start` came out; `unreached` if nothing at all was heard.
    fn note(&self, start: &Start, unreached: Option<&SessionError>) {
        let mut state = self.state();
        let Some(error) = unreached else {
            state.reach.answered(&start.place.pool, &start.hosts);
            return;
        };
        let pool = state.pools.all.get(&start.place.pool);
        let site = pool.and_then(|pool| pool.sites.get(&start.place.site));
        let failing = site.and_then(|site| site.health.failing_since());
        let known = pool.is_some_and(|pool| pool.provider.name == start.place.pool);
        if self.is_news(&state, failing) {
            let unreached = Unreached {
                hosts: start.hosts.clone(),
                known,
            };
            let (why, now) = (error.to_string(), self.app.clock.now());
            let connections = &mut state.reach.connections;
            connections.failed(&start.place.pool, unreached, &why, now);
        }
    }

    /// Gives back to the ledger what waits at hosts that cannot be tried now.
    async fn put_off(&self, ledger: &Ledger) {
        let now = self.app.clock.now();
        let blocked = self.state().pools.take_blocked(now);
        let settling = blocked.into_iter().map(|put_off| self.waits(put_off, now));
        self.settle(settling.collect(), ledger).await;
    }

    async fn settle(&self, settling: Vec<Settling>, ledger: &Ledger) {
        if !settling.is_empty() {
            ledger.settle(settling).await;
        }
    }

    fn waits_of(&self) -> Waits<'_> {
        let send = &self.app.config.send;
        Waits {
            schedule: &send.retry,
            jitter: send.jitter,
            fraction: self.app.chance.fraction(),
        }
    }

    /// Warns where receiving hosts will find that our name and our addresses do not fit each other.
    async fn tell_identity(self: Arc<Direct>) -> Option<(String, Resolved)> {
        let name = self.dialler.relay.ehlo.as_deref();
        let name = name.unwrap_or(&self.dialler.ehlo);
        for &source in &self.dialler.sources {
            match identity::faults(&self.dialler.dns, name, source).await {
                Ok(faults) => faults.iter().for_each(|fault| tracing::warn!("{fault}")),
                Err(error) => tracing::warn!("the names of `{source}` are not known: {error}"),
            }
        }
        None
    }
}

/// One connection from its opening to its end.
async fn connect(
    direct: Arc<Direct>,
    shared: Arc<Shared>,
    relay: Arc<LiveRelay>,
    ledger: Ledger,
    start: Start,
) {
    let line = Line::new(direct.clone(), &start);
    let number = direct.state().reach.connections.begin();
    let dialled = tokio::select! {
        dialled = direct.dialler.dial(&start.hosts) => dialled,
        // The job stays queued in the ledger.
        () = shared.stopped() => return,
    };
    match &dialled {
        Ok(_) => {
            direct.note(&start, None);
            relay.answers();
        }
        Err(failed) if failed.unreached => direct.note(&start, Some(&failed.error)),
        // Who says no, or cannot do TLS, is there.
        Err(failed) if failed.error.phase != Phase::Connect => direct.note(&start, None),
        Err(_) => {}
    }
    direct.state().reach.connections.over(number);
    match dialled {
        Ok(dialled) => {
            if let Some(error) = &dialled.refusal {
                line.broke(error);
            }
            let seat = Seat {
                shared: &shared,
                relay: &relay,
                line: Some(&line),
            };
            worker::drive(seat, &ledger, dialled.session, start.job).await;
        }
        Err(failed) => {
            line.put_back(start.job);
            line.broke(&failed.error);
            line.failed(&failed.error.to_string(), false);
        }
    }
    line.closed();
}

/// A task that panics takes the engine with it.
fn or_panic<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended {
        Ok(value) => Some(value),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}
