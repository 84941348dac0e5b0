//! Domains on their way to pools: what is known of each, and what becomes of a job by it.
//!
//! Promises: a domain is looked up once for all jobs that wait for it. Only a null MX and a name that is
//! not there bounce a recipient, and the second suppresses nobody: a domain that lapsed, or whose zone was spoiled for
//! an hour, comes back, and `hygiene` finds those that do not. Whatever else is wrong with a domain makes its
//! deliveries wait. Leaves to `nameserver` whether a name is not there.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::deliver::direct::Direct;
use crate::deliver::direct::memory;
use crate::deliver::direct::nameserver::Nameserver;
use crate::deliver::direct::pools::{Place, Pools, PutOff};
use crate::deliver::direct::reach::Reach;
use crate::deliver::judge::{Attempt, judge};
use crate::deliver::ledger::Settling;
use crate::deliver::queue::Job;
use crate::delivery::{Failure, Outcome, Settled};
use crate::id::RunId;
use crate::reply::reason::classify;
use crate::reply::{Reply, Stage};
use crate::retry;
use crate::store::learned::Learned;

mod found;

/// Domains that are remembered.
const DOMAINS: usize = 50_000;
/// Between two looks for domains that need not be remembered: each goes through all of them.
const TIDY: Duration = Duration::from_secs(60);
/// A job whose domain cannot be looked up soon, because half of all jobs wait for that, comes back after this time.
const CROWDED: Duration = Duration::from_secs(10);
/// Whom no mail gets through to, and who was not tried for so long, is not of now.
const NEWS: Duration = Duration::from_secs(120);
/// Domains that are named of those that no mail gets through to.
const NAMED: usize = 3;

#[derive(Default)]
pub(super) struct State {
    pub pools: Pools,
    pub domains: HashMap<String, Domain>,
    /// Jobs whose domains are being looked up.
    pub asked: usize,
    /// When it was looked last for domains that need not be remembered.
    pub tidied: Timestamp,
    /// What is wrong with the nameserver.
    pub nameserver: Nameserver,
    pub reach: Reach,
}

/// What is known of a domain.
#[derive(Default)]
pub(super) struct Domain {
    pub known: Known,
    /// When it was found last.
    pub there: Option<Timestamp>,
    /// Since when the nameserver says that it does not exist.
    pub missing: Option<Timestamp>,
    /// Lookups running that came to nothing, and since when.
    failures: u32,
    since: Option<Timestamp>,
}

/// Domains that no mail gets through to.
#[derive(Clone)]
pub(super) struct Unreached {
    /// Some of them, each with since when and why.
    pub named: Vec<(String, Timestamp, String)>,
    /// How many there are besides.
    pub more: usize,
    pub since: Timestamp,
    /// When one of them is tried next.
    pub next: Timestamp,
}

#[derive(Default)]
pub(super) enum Known {
    #[default]
    Nothing,
    Asked(Vec<Job>),
    At(Place, Timestamp),
    Refused(Timestamp),
    Nowhere(String, Timestamp),
    Unknown(String, Timestamp),
}

impl Direct {
    /// Brings one job to its pool, or settles it where that cannot be; a domain that has to be looked up is
    /// added to `unknown`.
    pub(super) fn place(
        &self,
        state: &mut State,
        job: Job,
        unknown: &mut Vec<String>,
        now: Timestamp,
    ) -> Option<Settling> {
        let address = job.row.address.rsplit_once('@');
        let Some(domain) = address.map(|(_, domain)| domain.to_ascii_lowercase()) else {
            let reply = Reply::ours("5.1.3", "the address has no domain");
            return Some(self.judged(job, reply));
        };
        let State {
            pools,
            domains,
            asked,
            tidied,
            ..
        } = state;
        if domains.len() > DOMAINS && now.since(*tidied) >= TIDY {
            *tidied = now;
            tidy(domains, DOMAINS, |domain| domain.holds(pools, now));
        }
        let entry = domains.entry(domain.clone()).or_default();
        let asking = matches!(entry.known, Known::Asked(_)) || !entry.holds(pools, now);
        if asking && *asked >= self.room.all / 2 && job.run.id() != RunId::SYSTEM {
            let put_off = PutOff {
                job,
                until: now.after(CROWDED),
                why: "waits until its domain can be looked up".to_owned(),
                failing: None,
            };
            return Some(self.waits(put_off, now));
        }
        if !entry.holds(pools, now) {
            entry.known = Known::Asked(vec![job]);
            *asked += 1;
            unknown.push(domain);
            return None;
        }
        match &mut entry.known {
            Known::Asked(jobs) => {
                jobs.push(job);
                *asked += 1;
                None
            }
            Known::At(place, _) => {
                let put_off = pools.push(place, job, self.room, now).err()?;
                Some(self.waits(*put_off, now))
            }
            Known::Nothing => None,
            Known::Refused(_) => Some(self.judged(job, refusal(&domain))),
            Known::Nowhere(why, _) => Some(self.judged(job, nowhere(why))),
            Known::Unknown(why, until) => {
                let put_off = PutOff {
                    job,
                    until: *until,
                    why: why.clone(),
                    failing: entry.since,
                };
                Some(self.waits(put_off, now))
            }
        }
    }

    /// A delivery waits for its domain. It expires only after the domain has failed for as long as a
    /// delivery may be deferred, and is not blamed then either. A mail of the open run, whose age begins anew with each
    /// try, expires by its tries.
    pub(super) fn waits(&self, put_off: PutOff, now: Timestamp) -> Settling {
        let PutOff {
            job,
            until,
            why,
            failing,
        } = put_off;
        let send = &self.app.config.send;
        let give_up = send.give_up;
        let reply = Reply::ours(if failing.is_some() { "4.4.1" } else { "4.4.5" }, why);
        let charged = failing.is_some() && job.run.id() == RunId::SYSTEM;
        let tries = u32::try_from(job.row.attempts).unwrap_or(u32::MAX);
        let waited = match charged {
            true => retry::waited(&send.retry, tries),
            false => job.row.age(),
        };
        let over =
            failing.is_some_and(|since| retry::expired(since, give_up, now)) && waited >= give_up;
        // A pause that somebody asked for is no failure.
        let failure = failing.map(|_| Failure {
            stage: None,
            reason: classify(Stage::Rcpt, &reply),
            dialogue: String::new(),
        });
        let outcome = match over {
            true => Outcome::Expired(reply),
            false => Outcome::Deferred { reply, due: until },
        };
        let settled = Settled {
            key: job.key(),
            outcome,
            marked: false,
            at: now,
            charged,
            suppress: None,
            failure,
        };
        Settling {
            settled,
            guard: Some(job.guard),
        }
    }

    /// A definite answer of our own about one recipient.
    fn judged(&self, job: Job, reply: Reply) -> Settling {
        let attempt = Attempt {
            key: job.key(),
            attempts: job.row.attempts,
            age: job.row.age(),
            now: self.app.clock.now(),
            marked: false,
            policy: job.policy(),
            fraction: self.app.chance.fraction(),
            to_blame: false,
            address: job.refused_address(&self.app.keyring, &reply),
        };
        let mut settled = judge(&self.app.config.send, &attempt, Stage::Rcpt, reply).settled;
        // Nobody was asked: it failed before any command.
        if let Some(failure) = &mut settled.failure {
            failure.stage = None;
        }
        Settling {
            settled,
            guard: Some(job.guard),
        }
    }
}

impl State {
    /// Takes up what an earlier process learned.
    pub(super) fn recall(&mut self, learned: &Learned) {
        if memory::is_of_all(learned) {
            self.reach.was_down = true;
            return;
        }
        if learned.kind != "domain" {
            return self.pools.recall(learned);
        }
        let failures = learned
            .failures
            .and_then(|number| u32::try_from(number).ok());
        let domain = Domain {
            failures: failures.unwrap_or(1),
            since: learned.since.map(Timestamp),
            ..Domain::default()
        };
        self.domains.insert(learned.name.clone(), domain);
    }

    /// What is to be known after a restart.
    pub(super) fn learned(&self, now: Timestamp) -> Vec<Learned> {
        let failing = self.domains.iter();
        let failing = failing.filter_map(|(name, domain)| {
            Some(memory::failing(
                "domain",
                name,
                domain.since?,
                domain.failures,
            ))
        });
        let mut all = self.pools.learned(now);
        all.extend(failing);
        all.extend(self.reach.down.map(|down| memory::of_all(down.since)));
        all
    }

    /// The domains that no mail gets through to now, though they may be there.
    pub(super) fn unreached(&self, now: Timestamp) -> Option<Unreached> {
        let failing = self.domains.iter().filter_map(|(name, domain)| {
            let (since, next, why) = match &domain.known {
                Known::At(place, _) => self.pools.failing(place)?,
                Known::Unknown(why, until) => (domain.since?, *until, why),
                _ => return None,
            };
            let is_news = next > now.before(NEWS);
            is_news.then_some((name, since, next, why))
        });
        let mut all: Vec<_> = failing.collect();
        all.sort_unstable();
        let first = all.first()?;
        let named = all.iter().take(NAMED);
        let named = named.map(|(name, since, _, why)| ((*name).clone(), *since, (*why).clone()));
        Some(Unreached {
            since: all.iter().map(|one| one.1).fold(first.1, Ord::min),
            next: all.iter().map(|one| one.2).fold(first.2, Ord::min),
            more: all.len().saturating_sub(NAMED),
            named: named.collect(),
        })
    }

    /// Jobs in memory that no connection has.
    pub(super) fn jobs(&self) -> usize {
        self.asked + self.pools.waiting()
    }
}

impl Domain {
    /// The number of the lookup that comes next, of those that came to nothing.
    pub(super) fn next_try(&self) -> u32 {
        self.failures.saturating_add(1)
    }

    /// Whether something is known of it that no lookup tells: since when it fails, or was said to be missing.
    fn has_past(&self) -> bool {
        self.since.is_some() || self.missing.is_some() || matches!(self.known, Known::Asked(_))
    }

    /// Since when lookups come to nothing.
    pub(super) fn failing_since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Those were not its fault.
    pub(super) fn lift(&mut self) {
        self.known = Known::Nothing;
        self.failures = 0;
        self.since = None;
    }

    /// Whether what is known of it can be relied on.
    fn holds(&self, pools: &Pools, now: Timestamp) -> bool {
        match &self.known {
            Known::Nothing => false,
            Known::Asked(_) => true,
            Known::At(place, until) => *until > now && pools.has(place),
            Known::Refused(until) | Known::Nowhere(_, until) | Known::Unknown(_, until) => {
                *until > now
            }
        }
    }
}

/// RFC 3463, section 3.5: X.4.4, no way to the domain is known.
fn nowhere(why: &str) -> Reply {
    Reply::ours("5.4.4", why)
}

/// Forgets domains of which a lookup tells all there is to know: those that do not hold any more, and where there are
/// more than `most` still, those that were found longest ago.
fn tidy(domains: &mut HashMap<String, Domain>, most: usize, holds: impl Fn(&Domain) -> bool) {
    domains.retain(|_, domain| domain.has_past() || holds(domain));
    let more = domains.len().saturating_sub(most);
    if more == 0 {
        return;
    }
    let plain = domains.iter().filter(|(_, domain)| !domain.has_past());
    let mut plain: Vec<_> = plain
        .map(|(name, domain)| (domain.there, name.clone()))
        .collect();
    plain.sort_unstable();
    for (_, name) in plain.into_iter().take(more) {
        domains.remove(&name);
    }
}

/// RFC 7505, section 4.1: 5.1.10.
fn refusal(domain: &str) -> Reply {
    Reply::ours("5.1.10", format!("`{domain}` takes no mail (null MX)"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Domain, Known, tidy};
    use crate::clock::Timestamp;

    #[test]
    fn a_domain_that_fails_is_not_forgotten_among_many() {
        let refused = |there| Domain {
            known: Known::Refused(Timestamp(9)),
            there: Some(Timestamp(there)),
            ..Domain::default()
        };
        let failing = Domain {
            since: Some(Timestamp(1)),
            ..Domain::default()
        };
        let missing = Domain {
            missing: Some(Timestamp(1)),
            ..Domain::default()
        };
        let mut domains: HashMap<String, Domain> = [
            ("failing", failing),
            ("missing", missing),
            ("old", refused(1)),
            ("new", refused(2)),
            ("over", Domain::default()),
        ]
        .map(|(name, domain)| (name.to_owned(), domain))
        .into();
        tidy(&mut domains, 3, |domain| {
            !matches!(domain.known, Known::Nothing)
        });
        let mut left: Vec<&str> = domains.keys().map(String::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["failing", "missing", "new"]);
    }
}
