//! One provider with its sites: what waits at each, and what was learned of them.
//!
//! Plain state: no sockets, no waiting. Leaves the choice between providers to `pools`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::deliver::blame::Blame;
use crate::deliver::culprits::Culprits;
use crate::deliver::direct::refusals::Strangers;
use crate::deliver::queue::Job;
use crate::id::{DeliveryKey, RunId};
use crate::mx::backlog::Backlog;
use crate::mx::health::Health;
use crate::mx::pace::Pace;
use crate::mx::provider::Provider;
use crate::reply::Reply;
use crate::smtp::tls::Demand;
use crate::store::learned::Learned;

/// A host of a site, and what is asked of a connection to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub preference: u16,
    pub name: String,
    pub demand: Demand,
}

/// Where the mail of one or more domains goes: the same hosts, with the same demands.
#[derive(Debug)]
pub(super) struct Site {
    pub hosts: Vec<Host>,
    pub waiting: VecDeque<Waiting>,
    pub health: Health,
    /// At whose commands its connections end.
    pub culprits: Culprits,
    /// Whom it knows.
    pub strangers: Strangers,
    /// Why it failed last.
    pub why: String,
}

/// A job, and when it came.
#[derive(Debug)]
pub(super) struct Waiting {
    pub job: Job,
    pub since: Timestamp,
}

/// One provider, or one set of hosts that belongs to none.
pub(super) struct Pool {
    pub provider: Provider,
    pub pace: Pace,
    pub open: usize,
    /// Jobs that wait.
    pub waiting: usize,
    pub sites: HashMap<String, Site>,
    /// Whose turn it is stands first.
    pub turns: VecDeque<String>,
    pub backlog: Backlog,
    /// When the provider's rate allows the next message.
    pub next: Timestamp,
    pub blame: HashMap<RunId, Blame>,
    /// How often running it has refused a run.
    pub refusals: u32,
    /// Since when it has refused a run without taking a copy of any.
    pub refusing: Option<Timestamp>,
    /// Whom all of its hosts know.
    pub strangers: Strangers,
    /// Who were refused and put back, since a copy was taken: others are tried before them.
    pub tried: HashSet<DeliveryKey>,
    /// Why it is left alone, and since when.
    pub quiet: String,
    pub quiet_since: Option<Timestamp>,
}

impl Site {
    pub(super) fn new(hosts: &[Host]) -> Site {
        Site {
            hosts: hosts.to_vec(),
            waiting: VecDeque::new(),
            health: Health::default(),
            culprits: Culprits::default(),
            strangers: Strangers::default(),
            why: String::new(),
        }
    }

    /// They failed before this process began.
    pub(super) fn resume(&mut self, learned: &Learned) {
        if let Some(since) = learned.since {
            let failures = learned
                .failures
                .and_then(|number| u32::try_from(number).ok());
            self.health = Health::resumed(Timestamp(since), failures.unwrap_or(1));
        }
    }

    /// Takes out what is `wanted`, in its order.
    pub(super) fn split(&mut self, wanted: impl Fn(&Waiting) -> bool) -> VecDeque<Waiting> {
        if !self.waiting.iter().any(&wanted) {
            return VecDeque::new();
        }
        let all = std::mem::take(&mut self.waiting).into_iter();
        let (out, stay) = all.partition(wanted);
        self.waiting = stay;
        out
    }
}

impl Pool {
    pub(super) fn new(provider: &Provider) -> Pool {
        Pool {
            pace: Pace::new(provider.connections),
            provider: provider.clone(),
            open: 0,
            waiting: 0,
            sites: HashMap::new(),
            turns: VecDeque::new(),
            backlog: Backlog::default(),
            next: Timestamp(0),
            blame: HashMap::new(),
            refusals: 0,
            refusing: None,
            strangers: Strangers::default(),
            tried: HashSet::new(),
            quiet: String::new(),
            quiet_since: None,
        }
    }

    /// It had this pace before this process began.
    pub(super) fn resume(&mut self, learned: Learned) {
        let connections = learned
            .connections
            .and_then(|number| usize::try_from(number).ok());
        let quiet = learned.quiet_until.map(Timestamp);
        let cap = self.provider.connections;
        self.pace = Pace::resumed(cap, connections.unwrap_or(1), quiet);
        self.quiet = learned.quiet.unwrap_or_default();
        self.quiet_since = quiet.and(learned.since).map(Timestamp);
    }

    /// The place among the turns of a site for which a connection may be opened now.
    pub(super) fn ready(&self, now: Timestamp) -> Option<usize> {
        if !self.pace.may_open(now) || !self.may_send(now) {
            return None;
        }
        self.turns.iter().position(|name| {
            let site = self.sites.get(name);
            site.is_some_and(|site| !site.waiting.is_empty() && self.may_try(site, now))
        })
    }

    /// Whether the hosts of a site may be connected to once more.
    pub(super) fn may_try(&self, site: &Site, now: Timestamp) -> bool {
        site.health.may_open(now) && self.knows_nobody(site, now).is_none()
    }

    /// Until when a site is left alone because nobody is known there, and why.
    fn knows_nobody<'a>(&'a self, site: &'a Site, now: Timestamp) -> Option<(Timestamp, &'a str)> {
        site.strangers.until(now).max(self.strangers.until(now))
    }

    /// Until when a site cannot be tried, why, and since when its hosts have failed.
    pub(super) fn blocked(
        &self,
        site: &str,
        now: Timestamp,
    ) -> Option<(Timestamp, String, Option<Timestamp>)> {
        let site = self.sites.get(site)?;
        let down = site.health.blocked(now);
        let down = down.map(|until| (until, site.why.clone(), site.health.failing_since()));
        let quiet = self.pace.quiet_until(now);
        let quiet = quiet.map(|until| (until, self.quiet.clone(), None));
        let nobody = self.knows_nobody(site, now);
        let nobody = nobody.map(|(until, why)| (until, why.to_owned(), None));
        // Of those that last equally long, what is down says since when.
        let all = [quiet, nobody, down].into_iter().flatten();
        all.max_by_key(|(until, ..)| *until)
    }

    pub(super) fn be_quiet(&mut self, wait: Duration, reply: &Reply, now: Timestamp) {
        if self.pace.quiet_until(now).is_none() {
            self.quiet_since = Some(now);
        }
        self.pace.asked_for_quiet(wait, now);
        self.quiet = reply.masked();
        tracing::warn!(
            provider = self.provider.name,
            ?wait,
            "a provider is left alone: {}",
            self.quiet
        );
    }

    /// Whether the provider's rate allows a message now.
    pub(super) fn may_send(&self, now: Timestamp) -> bool {
        // Further ahead than one step nobody wrote it, but a clock that has been set back since.
        let step = self.provider.messages_per_minute.map(step);
        self.next <= now || step.is_none_or(|step| self.next > now.after(step))
    }

    /// Counts one message for the provider's rate.
    pub(super) fn count(&mut self, now: Timestamp) {
        if let Some(rate) = self.provider.messages_per_minute {
            self.next = match self.may_send(now) {
                true => now.after(step(rate)),
                false => self.next.after(step(rate)),
            };
        }
    }

    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        let calm = |site: &Site| {
            site.waiting.is_empty()
                && site.health.failing_since().is_none()
                && site.strangers.is_calm()
        };
        self.open == 0
            && self.pace.quiet_until(now).is_none()
            && self.strangers.is_calm()
            && self.sites.values().all(calm)
    }
}

/// The time that a message takes of a rate per minute.
fn step(rate: u32) -> Duration {
    Duration::from_secs(60) / rate
}
