//! What is done about direct delivery that fails as a whole: it stands aside for other relays, and is tried again.
//!
//! Promises: before it is taken to have failed, who answered last is asked once more, and where nobody has yet, others
//! for whom mail waits: those that were tried first may all be dead. While it has, nothing is tried but by one round of
//! questions at a time, after waits as for any relay, to others in each, and without a reader's mail. Leaves the evidence
//! to `reach`.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock::Timestamp;
use crate::deliver::Shared;
use crate::deliver::direct::domains::{Known, State};
use crate::deliver::direct::nameserver::Census;
use crate::deliver::direct::pool::Host;
use crate::deliver::direct::reach::{ASKED, Down, MANY, Reach, Way};
use crate::deliver::direct::resolve::Resolved;
use crate::deliver::direct::{Direct, or_panic};
use crate::deliver::relays::LiveRelay;

/// One look takes no longer.
const LOOK: Duration = Duration::from_secs(60);
/// So many that have not been asked yet are asked at each look.
const OTHERS: usize = 16;

impl Direct {
    /// Looks into what fails for everyone, one thing at a time; gives back to the queue what waits meanwhile, and opens
    /// the doors again when something works.
    pub(super) fn mind(
        self: &Arc<Direct>,
        shared: &Arc<Shared>,
        relay: &Arc<LiveRelay>,
        looks: &mut JoinSet<()>,
    ) {
        while let Some(ended) = looks.try_join_next() {
            or_panic(ended);
        }
        let (since, down) = {
            let reach = &mut self.state().reach;
            (reach.take_back(), reach.down.is_some())
        };
        if let Some(since) = since {
            self.state().lift(since);
        }
        // Something may have worked while the last look told that nothing does.
        if since.is_some() || (!down && looks.is_empty()) {
            shared.works_again(relay);
        }
        if relay.standing.breaker.is_open() {
            // Another relay may carry it; where none may, it waits there.
            let jobs = self.state().pools.retain(&|_| false);
            for job in jobs.into_iter().rev() {
                shared.queue.put_back(relay.index, job);
            }
        }
        let state = self.state();
        let wanted = state.reach.down.is_some() || state.reach.doubt().is_some();
        drop(state);
        if wanted && looks.is_empty() {
            looks.spawn(self.clone().look_into(shared.clone(), relay.clone()));
        }
    }

    /// One look: at the time of the breaker's probe, once it is open.
    async fn look_into(self: Arc<Direct>, shared: Arc<Shared>, relay: Arc<LiveRelay>) {
        let down = self.state().reach.down;
        let pass = match down {
            Some(_) => Some(relay.standing.breaker.enter().await),
            None => None,
        };
        let way = {
            let reach = &self.state().reach;
            match (down, reach.down) {
                (Some(_), Some(down)) if !down.over => Some(down.way),
                (None, None) => reach.doubt(),
                _ => None,
            }
        };
        let Some(way) = way else { return };
        let looked = async {
            match way {
                Way::Connections => (self.knock(&shared, down.is_some()).await, false),
                Way::Lookups => self.ask(&shared, down).await,
            }
        };
        // Who gives no answer in time gives none.
        let (works, rootless) = timeout(LOOK, looked).await.unwrap_or((false, true));
        if !works {
            let why = self.state().reach.fails(way, rootless);
            shared.relay_failed(&relay, &why, false).await;
        }
        drop(pass);
        self.changed.notify_one();
    }

    /// Whether any host answers: of those that did last, and once it has failed of those that did not, too, and of
    /// others for whom mail waits.
    async fn knock(self: &Arc<Direct>, shared: &Shared, all: bool) -> bool {
        let (hosts, domains) = {
            let now = self.app.clock.now();
            let mut state = self.state();
            let State { pools, reach, .. } = &mut *state;
            // Who asked to be left alone is not asked, either.
            let rests = |pool: &String| {
                let pool = pools.all.get(pool);
                pool.is_some_and(|pool| pool.pace.quiet_until(now).is_some())
            };
            let unreached = reach.unreached().filter(|_| all);
            let known = reach.alive().chain(unreached);
            let mut hosts: Vec<(String, Vec<Host>)> = known
                .filter(|(pool, _)| !rests(pool))
                .map(|(pool, hosts)| (pool.clone(), hosts.clone()))
                .collect();
            if hosts.is_empty() && !all && reach.alive().next().is_some() {
                // They said so a moment ago: they are there.
                reach.connections.excuse();
                return true;
            }
            let mut domains = Vec::new();
            if all || hosts.is_empty() {
                let others = pools.all.iter().filter(|(pool, _)| !rests(pool));
                let others = others.filter(|(pool, _)| reach.is_unasked(pool));
                let others = others.filter_map(|(pool, state)| {
                    let site = state.sites.values().next()?;
                    Some((pool.clone(), site.hosts.clone()))
                });
                let others: Vec<_> = others.take(OTHERS).collect();
                domains = unasked(shared, reach, OTHERS - others.len());
                let names = others.iter().map(|(pool, _)| pool).chain(&domains);
                reach.ask(names.cloned().collect());
                hosts.extend(others);
            }
            (hosts, domains)
        };
        let mut dials = JoinSet::new();
        for (pool, hosts) in hosts {
            let direct = self.clone();
            dials.spawn(async move {
                let there = direct.dialler.is_there(&hosts).await;
                there.then_some((pool, hosts))
            });
        }
        for domain in domains {
            let direct = self.clone();
            dials.spawn(async move {
                let resolved = direct.resolver.resolve(&domain).await;
                let Resolved::Site { place, hosts, .. } = resolved else {
                    return None;
                };
                let there = direct.dialler.is_there(&hosts).await;
                there.then_some((place.pool, hosts))
            });
        }
        while let Some(ended) = dials.join_next().await {
            if let Some((pool, hosts)) = or_panic(ended).flatten() {
                self.state().reach.answered(&pool, &hosts);
                return true;
            }
        }
        false
    }

    /// Whether the nameserver tells anything: of the domains that it knew, of the root, and once it has failed of those
    /// of which it told nothing, and of others for which mail waits. With it, whether it knows nothing of the root.
    async fn ask(self: &Arc<Direct>, shared: &Shared, down: Option<Down>) -> (bool, bool) {
        let (names, unanswered) = {
            let mut state = self.state();
            let mut names = Census::of(&state).witnesses;
            let reach = &mut state.reach;
            let unanswered = names.len() + reach.lookups.len();
            if down.is_some() || names.is_empty() {
                let others = unasked(shared, reach, OTHERS);
                reach.ask(others.clone());
                names.extend(others);
            }
            if down.is_some() {
                names.extend(reach.lookups.names().take(ASKED).cloned());
            }
            (names, unanswered)
        };
        let mut questions = JoinSet::new();
        for name in names {
            let direct = self.clone();
            questions.spawn(async move { direct.resolver.is_there(&name).await.is_ok() });
        }
        while let Some(ended) = questions.join_next().await {
            if or_panic(ended) == Some(true) {
                let mut state = self.state();
                state.nameserver.answered();
                state.reach.found();
                return (true, false);
            }
        }
        let rooted = self.resolver.afresh.knows_the_root().await;
        let mut state = self.state();
        match down {
            Some(down) if down.rootless && rooted => {
                state.nameserver.answered();
                state.reach.found();
                (true, false)
            }
            // It is there, and of a few domains nobody may know.
            None if rooted && unanswered < MANY => {
                state.reach.lookups.excuse();
                (true, false)
            }
            _ => (false, !rooted),
        }
    }
}

/// Domains for which mail waits, and which have not been asked of yet.
fn unasked(shared: &Shared, reach: &Reach, most: usize) -> Vec<String> {
    let wanted = |domain: &str| reach.is_unasked(domain);
    shared.queue.domains(wanted, most)
}

impl State {
    /// What failed since then did so for no fault of its own, and is tried anew at once.
    fn lift(&mut self, since: Timestamp) {
        let late = |failing: Option<Timestamp>| failing.is_some_and(|failing| failing >= since);
        for site in self
            .pools
            .all
            .values_mut()
            .flat_map(|pool| pool.sites.values_mut())
        {
            if late(site.health.failing_since()) {
                site.health.lift();
            }
        }
        for domain in self.domains.values_mut() {
            if matches!(domain.known, Known::Unknown(..)) && late(domain.failing_since()) {
                domain.lift();
            }
        }
    }
}
