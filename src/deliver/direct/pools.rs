//! What waits for whom: all providers, and the jobs of each.
//!
//! Promises: a provider's limits hold over all its sites; a job goes only over a connection to hosts of its
//! own domain, at least as safe as its domain asks for. What cannot be tried now is given back with the
//! time at which it can, so that nobody's silence fills the memory. Plain state: no sockets, no waiting.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::deliver::direct::memory;
use crate::deliver::direct::pool::{Host, Pool, Site, Waiting};
use crate::deliver::queue::Job;
use crate::id::{DeliveryKey, RunId};
use crate::mx::health::Waits;
use crate::mx::pace::Round;
use crate::mx::provider::Provider;
use crate::reply::Reply;
use crate::store::learned::Learned;

/// Answers after which a connection that goes on working counts again for the pace.
const EVERY: u32 = 10;
/// A job that waits longer for a slow provider goes back to the ledger: it keeps its block from being read
/// again, and others of that block may be due.
const LONG: Duration = Duration::from_secs(30);

/// A place of a site in a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub pool: String,
    pub site: String,
}

/// A connection that is to be opened.
pub(super) struct Start {
    pub place: Place,
    pub hosts: Vec<Host>,
    pub job: Job,
    pub round: Round,
    pub messages: u32,
}

/// A job that cannot be tried before `until`.
pub(super) struct PutOff {
    pub job: Job,
    pub until: Timestamp,
    pub why: String,
    /// Since when its hosts have failed; none where it only waits for its turn.
    pub failing: Option<Timestamp>,
}

/// All pools of a relay.
#[derive(Default)]
pub(super) struct Pools {
    pub(super) all: HashMap<String, Pool>,
    waiting: usize,
    /// Those in which jobs wait, and perhaps some in which none waits any more.
    busy: BTreeSet<String>,
    /// What an earlier process learned of providers and hosts that no mail has gone to since, by their names.
    before: HashMap<String, Learned>,
}

/// Jobs that may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub all: usize,
    pub one: usize,
}

impl Pools {
    /// Makes sure that there is this place.
    pub(super) fn add(&mut self, place: &Place, provider: &Provider, hosts: &[Host]) {
        let before = &mut self.before;
        let pool = self.all.entry(place.pool.clone());
        let pool = pool.or_insert_with(|| {
            let mut pool = Pool::new(provider);
            if let Some(learned) = before.remove(&place.pool) {
                pool.resume(learned);
            }
            pool
        });
        if !pool.sites.contains_key(&place.site) {
            let mut site = Site::new(hosts);
            if let Some(learned) = before.remove(&place.site) {
                site.resume(&learned);
            }
            pool.turns.push_back(place.site.clone());
            pool.sites.insert(place.site.clone(), site);
        }
    }

    /// Takes up what an earlier process learned.
    pub(super) fn recall(&mut self, learned: &Learned) {
        self.before.insert(learned.name.clone(), learned.clone());
    }

    /// What is to be known after a restart.
    pub(super) fn learned(&self, now: Timestamp) -> Vec<Learned> {
        let mut all: Vec<Learned> = self.before.values().cloned().collect();
        for (name, pool) in &self.all {
            if !pool.pace.is_new() {
                let quiet = pool.pace.quiet_until(now);
                let quiet = quiet.map(|until| (until, pool.quiet.as_str()));
                let mut learned = memory::provider(name, pool.pace.allowed(), quiet);
                let since = pool.quiet_since.filter(|_| quiet.is_some());
                learned.since = since.map(|since| since.0);
                all.push(learned);
            }
            for (name, site) in &pool.sites {
                if let Some(since) = site.health.failing_since() {
                    let failures = site.health.failures();
                    all.push(memory::failing("hosts", name, since, failures));
                }
            }
        }
        all
    }

    /// Whether there is this place.
    pub(super) fn has(&self, place: &Place) -> bool {
        let pool = self.all.get(&place.pool);
        pool.is_some_and(|pool| pool.sites.contains_key(&place.site))
    }

    /// Jobs that wait in all pools.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Puts a job into its place; or gives it back where it cannot be tried soon.
    pub(super) fn push(
        &mut self,
        place: &Place,
        job: Job,
        room: Room,
        now: Timestamp,
    ) -> Result<(), Box<PutOff>> {
        let full = self.waiting >= room.all;
        let Some(pool) = self.all.get_mut(&place.pool) else {
            return Ok(());
        };
        let crowded = pool.waiting >= room.one;
        if let Some((until, why, failing)) = pool.blocked(&place.site, now) {
            return Err(Box::new(PutOff {
                until: match pool.tried.contains(&job.key()) {
                    true => later(until, now),
                    false => until,
                },
                job,
                why,
                failing,
            }));
        }
        if (full || crowded) && job.run.id() != RunId::SYSTEM {
            return Err(Box::new(PutOff {
                job,
                until: pool.backlog.turn(now),
                why: turn_at(&place.pool),
                failing: None,
            }));
        }
        if let Some(site) = pool.sites.get_mut(&place.site) {
            // Somebody waits for a system mail.
            let system = job.run.id() == RunId::SYSTEM;
            let waiting = Waiting { job, since: now };
            match system {
                true => site.waiting.push_front(waiting),
                false => site.waiting.push_back(waiting),
            }
            pool.waiting += 1;
            self.waiting += 1;
            self.busy.insert(place.pool.clone());
        }
        Ok(())
    }

    /// Puts a job back that nothing was decided about.
    pub(super) fn put_back(&mut self, place: &Place, job: Job, now: Timestamp) {
        self.put(place, job, now, VecDeque::push_front);
    }

    /// The same behind the others of its site.
    pub(super) fn put_behind(&mut self, place: &Place, job: Job, now: Timestamp) {
        self.put(place, job, now, VecDeque::push_back);
    }

    fn put(
        &mut self,
        place: &Place,
        job: Job,
        now: Timestamp,
        end: fn(&mut VecDeque<Waiting>, Waiting),
    ) {
        if let Some(pool) = self.all.get_mut(&place.pool)
            && let Some(site) = pool.sites.get_mut(&place.site)
        {
            end(&mut site.waiting, Waiting { job, since: now });
            pool.waiting += 1;
            self.waiting += 1;
            self.busy.insert(place.pool.clone());
        }
    }

    /// The next job for a connection that is open.
    pub(super) fn take(&mut self, place: &Place, now: Timestamp) -> Option<Job> {
        let pool = self.all.get_mut(&place.pool)?;
        if pool.blocked(&place.site, now).is_some() || !pool.may_send(now) {
            return None;
        }
        let waiting = pool.sites.get_mut(&place.site)?.waiting.pop_front()?;
        pool.count(now);
        pool.waiting -= 1;
        self.waiting -= 1;
        Some(waiting.job)
    }

    /// Whether somebody else waits for a connection that could be opened if this one ended.
    pub(super) fn others_wait(&self, place: &Place, now: Timestamp) -> bool {
        let mut busy = self.busy.iter();
        busy.any(|name| {
            let Some(pool) = self.all.get(name) else {
                return false;
            };
            let mut sites = pool.sites.iter();
            sites.any(|(site, state)| {
                (*name != place.pool || *site != place.site)
                    && !state.waiting.is_empty()
                    && pool.may_try(state, now)
                    && pool.pace.quiet_until(now).is_none()
            })
        })
    }

    /// The next connection to open: of the pool that has the fewest.
    pub(super) fn start(&mut self, now: Timestamp) -> Option<Start> {
        let all = &self.all;
        let waits = |name: &String| all.get(name).is_some_and(|pool| pool.waiting > 0);
        self.busy.retain(waits);
        let pools = self
            .busy
            .iter()
            .filter_map(|name| Some((name, all.get(name)?)));
        let ready = pools.filter(|(_, pool)| pool.ready(now).is_some());
        let (name, _) = ready.min_by_key(|(_, pool)| pool.open)?;
        let name = name.clone();
        let pool = self.all.get_mut(&name)?;
        let index = pool.ready(now)?;
        // The next turn is another site's.
        let site = pool.turns.remove(index)?;
        pool.turns.push_back(site.clone());
        let round = pool.pace.opened();
        pool.open += 1;
        pool.count(now);
        let messages = pool.provider.messages_per_connection;
        let state = pool.sites.get_mut(&site)?;
        state.health.opened();
        let job = state.waiting.pop_front()?.job;
        pool.waiting -= 1;
        self.waiting -= 1;
        Some(Start {
            hosts: state.hosts.clone(),
            place: Place { pool: name, site },
            job,
            round,
            messages,
        })
    }

    /// A connection got an answer about a message or a recipient: it works. `before` is the number of
    /// answers it got before.
    pub(super) fn answered(&mut self, place: &Place, round: Round, before: u32, now: Timestamp) {
        let Some(pool) = self.all.get_mut(&place.pool) else {
            return;
        };
        pool.backlog.answered(now);
        if before.is_multiple_of(EVERY) {
            pool.pace.worked(round);
        }
        if let Some(site) = pool.sites.get_mut(&place.site) {
            site.health.worked(before == 0);
        }
    }

    /// A connection ended at the commands of one delivery: whether that is its own fault, and whether the hosts may
    /// still be thought well, because others wait that have not met the same.
    pub(super) fn ended_by(&mut self, place: &Place, key: DeliveryKey, after: u32) -> (bool, bool) {
        let pool = self.all.get_mut(&place.pool);
        let Some(site) = pool.and_then(|pool| pool.sites.get_mut(&place.site)) else {
            return (false, false);
        };
        let guilty = site.culprits.ended_beside_others(key, after);
        let others = !site.waiting.is_empty() && !site.culprits.several();
        (guilty, guilty || others)
    }

    /// The provider said this, which was no acceptance: it may ask for quiet, or for fewer connections than `round`
    /// had, if that is about connections.
    pub(super) fn heard(
        &mut self,
        place: &Place,
        round: Option<Round>,
        reply: &Reply,
        now: Timestamp,
    ) {
        let Some(pool) = self.all.get_mut(&place.pool) else {
            return;
        };
        if let Some(wait) = pool.provider.pause(reply) {
            pool.be_quiet(wait, reply, now);
        } else if let Some(round) = round.filter(|_| reply.code == 421) {
            pool.pace.turned_away(round);
        }
    }

    /// A connection failed. `sure` where the hosts said so themselves, whatever other connections do.
    pub(super) fn failed(
        &mut self,
        place: &Place,
        round: Round,
        failure: &Failure<'_>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let pool = self.all.get_mut(&place.pool)?;
        // One dead customer of a provider says nothing about the provider; what it answers, `heard` hears.
        if pool.sites.len() == 1 {
            pool.pace.turned_away(round);
        }
        let site = pool.sites.get_mut(&place.site)?;
        let until = site.health.failed(failure.waits, failure.sure, now)?;
        failure.why.clone_into(&mut site.why);
        Some(until)
    }

    /// A connection is gone.
    pub(super) fn closed(&mut self, place: &Place, proven: bool) {
        if let Some(pool) = self.all.get_mut(&place.pool) {
            pool.open = pool.open.saturating_sub(1);
            pool.pace.closed();
            if let Some(site) = pool.sites.get_mut(&place.site) {
                site.health.closed(proven);
            }
        }
    }

    /// The provider took a copy of `run`.
    pub(super) fn accepted(&mut self, place: &Place, run: RunId) {
        if let Some(pool) = self.all.get_mut(&place.pool) {
            let blame = pool.blame.entry(run).or_default();
            blame.accepted();
            blame.forgive();
            pool.refusals = 0;
            pool.refusing = None;
            pool.strangers.taken();
            pool.tried.clear();
            if let Some(site) = pool.sites.get_mut(&place.site) {
                site.culprits.served();
                site.strangers.taken();
            }
        }
    }

    /// Takes out what waits at hosts that cannot be tried now, and what has waited long for its turn.
    pub(super) fn take_blocked(&mut self, now: Timestamp) -> Vec<PutOff> {
        let mut found = Vec::new();
        for name in &self.busy {
            let Some(pool) = self.all.get_mut(name) else {
                continue;
            };
            let before = found.len();
            let names: Vec<String> = pool.turns.iter().cloned().collect();
            for site in names {
                let blocked = pool.blocked(&site, now);
                let Some(state) = pool.sites.get_mut(&site) else {
                    continue;
                };
                if let Some((until, why, failing)) = blocked {
                    let culprits = &state.culprits;
                    let behind = |key| culprits.suspects(key) || pool.tried.contains(&key);
                    found.extend(state.waiting.drain(..).map(|waiting| PutOff {
                        until: match behind(waiting.job.key()) {
                            true => later(until, now),
                            false => until,
                        },
                        job: waiting.job,
                        why: why.clone(),
                        failing,
                    }));
                    continue;
                }
                let late = state.split(|waiting| now.since(waiting.since) >= LONG);
                found.extend(late.into_iter().map(|waiting| PutOff {
                    job: waiting.job,
                    until: pool.backlog.turn(now),
                    why: turn_at(name),
                    failing: None,
                }));
            }
            pool.waiting -= found.len() - before;
        }
        self.waiting -= found.len();
        found
    }

    /// Drops the jobs of runs that `keep` does not name, and gives what was dropped.
    pub(super) fn retain(&mut self, keep: &dyn Fn(RunId) -> bool) -> Vec<Job> {
        let mut gone = Vec::new();
        for pool in self.all.values_mut() {
            pool.blame.retain(|&run, _| keep(run));
            pool.strangers.retain(keep);
            pool.tried.retain(|key| keep(key.run));
            let before = gone.len();
            for site in pool.sites.values_mut() {
                site.strangers.retain(keep);
                let gone_now = site
                    .split(|waiting| !keep(waiting.job.run.id()))
                    .into_iter();
                gone.extend(gone_now.map(|waiting| waiting.job));
            }
            pool.waiting -= gone.len() - before;
        }
        self.waiting -= gone.len();
        gone
    }

    /// Where no provider at all can be delivered to: why, since when, and when the first is tried again.
    pub(super) fn trouble(&self, now: Timestamp) -> Option<(String, Timestamp, Timestamp)> {
        let mut worst: Option<(String, Timestamp, Timestamp)> = None;
        for site in self.all.values().flat_map(|pool| pool.sites.values()) {
            let since = site.health.failing_since()?;
            let next = site.health.blocked(now).unwrap_or(now);
            worst = Some(match worst {
                None => (site.why.clone(), since, next),
                Some((why, first, soonest)) => (why, first.min(since), soonest.min(next)),
            });
        }
        worst
    }

    /// Since when the hosts of a place fail, if they do, when they are tried next, and why.
    pub(super) fn failing(&self, place: &Place) -> Option<(Timestamp, Timestamp, &String)> {
        let site = self.all.get(&place.pool)?.sites.get(&place.site)?;
        let (since, next) = site.health.failing()?;
        Some((since, next, &site.why))
    }

    /// Forgets pools that nobody needs now: what was learned of them is soon learned again.
    pub(super) fn tidy(&mut self, most: usize, now: Timestamp) {
        if self.all.len() > most {
            self.all.retain(|_, pool| !pool.is_idle(now));
        }
    }
}

/// Why a connection failed, and how its hosts are waited for.
pub(super) struct Failure<'a> {
    pub why: &'a str,
    pub sure: bool,
    pub waits: Waits<'a>,
}

/// When one comes back at whom connections ended or who was refused before: behind those that wait until `until`.
pub(super) fn later(until: Timestamp, now: Timestamp) -> Timestamp {
    until.after(until.since(now))
}

fn turn_at(pool: &str) -> String {
    format!("waits for its turn at {pool}")
}
