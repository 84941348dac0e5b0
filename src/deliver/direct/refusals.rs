//! What a provider refuses for good, and when it is left alone instead of being believed.
//!
//! Promises: one that refuses five copies running, and hosts that know none of ten readers running, are tried again by
//! schedule, with another reader each time as long as there are others, and what they refused goes back; after
//! `give_up` of that without a message taken, their word stands. Nobody else's mail waits for it. Plain state: no
//! sockets, no waiting.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::deliver::blame::{Blame, Refusal, UNKNOWN};
use crate::deliver::direct::pools::{Place, Pools, later};
use crate::id::{DeliveryKey, RunId};
use crate::mx::health::Waits;
use crate::reply::Reply;
use crate::retry;

/// Providers that are named of those that are left alone.
const TOLD: usize = 5;

/// Whether hosts, or all of a provider, know anybody.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    runs: HashMap<RunId, Blame>,
    /// Since when they have known nobody and taken nothing.
    since: Option<Timestamp>,
    /// How often running they were left alone for it, and until when.
    times: u32,
    until: Option<Timestamp>,
    why: String,
}

impl Strangers {
    /// A message was taken: somebody is known there.
    pub(super) fn taken(&mut self) {
        if self.runs.is_empty() && self.since.is_none() {
            return;
        }
        *self = Strangers::default();
    }

    /// Forgets the runs that `keep` does not name.
    pub(super) fn retain(&mut self, keep: &dyn Fn(RunId) -> bool) {
        self.runs.retain(|&run, _| keep(run));
    }

    /// Until when they are left alone, and why.
    pub(super) fn until(&self, now: Timestamp) -> Option<(Timestamp, &str)> {
        let until = self.until.filter(|&until| until > now)?;
        Some((until, &self.why))
    }

    /// Since when they have known nobody, while they are left alone for it.
    fn told(&self, now: Timestamp) -> Option<(Timestamp, Timestamp, &str)> {
        let (until, why) = self.until(now)?;
        Some((self.since?, until, why))
    }

    /// Whether nothing is held against them.
    pub(super) fn is_calm(&self) -> bool {
        self.since.is_none()
    }

    /// Who goes back after this refusal, if anybody. That somebody was put back before is no news here: it is this
    /// which did it.
    fn refused(&mut self, key: DeliveryKey) -> Option<Vec<DeliveryKey>> {
        self.runs.entry(key.run).or_default().unknown(key, false)
    }

    /// Leaves them alone by schedule; gives until when, and none once their word stands.
    fn rest(
        &mut self,
        reply: &Reply,
        (waits, give_up): (Waits<'_>, Duration),
        now: Timestamp,
    ) -> Option<Timestamp> {
        let since = *self.since.get_or_insert(now);
        if retry::expired(since, give_up, now) {
            return None;
        }
        // What was under way meanwhile adds nothing.
        if let Some((until, _)) = self.until(now) {
            return Some(until);
        }
        self.times = self.times.saturating_add(1);
        let Waits {
            schedule,
            jitter,
            fraction,
        } = waits;
        let until = retry::due(schedule, self.times, jitter, fraction, now);
        self.until = Some(until);
        self.why = format!(
            "the hosts refused {UNKNOWN} readers running and took nothing in between, so it is they who are \
             doubted: {}",
            reply.masked()
        );
        Some(until)
    }
}

impl Pools {
    /// Who is left alone for what it refused, or because it asked for that: why, since when, and until when the first of
    /// them is. Of several each has its own time in the text.
    pub(super) fn left_alone(&self, now: Timestamp) -> Option<(String, Timestamp, Timestamp)> {
        let each = self.all.iter().filter_map(|(name, pool)| {
            let quiet = pool.pace.quiet_until(now).map(|until| {
                let since = pool.refusing.or(pool.quiet_since);
                (since.unwrap_or(until), until, pool.quiet.as_str())
            });
            let sites = pool.sites.values().map(|site| &site.strangers);
            let strange = sites.chain([&pool.strangers]);
            let strange = strange.filter_map(|strangers| strangers.told(now));
            let all = quiet.into_iter().chain(strange);
            let (since, until, why) = all.min_by_key(|(since, ..)| *since)?;
            Some((since, until, name, why))
        });
        let mut each: Vec<_> = each.collect();
        each.sort_unstable();
        let (since, until) = (each.first()?.0, each.iter().map(|one| one.1).min()?);
        if let [(.., name, why)] = each.as_slice() {
            return Some((format!("{name} is left alone: {why}"), since, until));
        }
        let told = each.iter().take(TOLD).map(|(_, until, name, why)| {
            let until = until.to_jiff().strftime("%H:%M UTC");
            format!("{name} is left alone until {until}: {why}")
        });
        let mut told: Vec<String> = told.collect();
        let more = each.len().saturating_sub(TOLD);
        if more > 0 {
            told.push(format!("and {more} more are left alone"));
        }
        Some((told.join("; "), since, until))
    }

    /// The provider refused a copy of `run` for good. Once it is the run that it refuses, the provider is
    /// left alone for a while; gives the recipients to put back, and until when. After `give_up` of that,
    /// its word stands.
    pub(super) fn refused(
        &mut self,
        place: &Place,
        refusal: Refusal,
        reply: &Reply,
        (waits, give_up): (Waits<'_>, Duration),
        now: Timestamp,
    ) -> Option<(Vec<DeliveryKey>, Timestamp)> {
        let pool = self.all.get_mut(&place.pool)?;
        let blame = pool.blame.entry(refusal.key.run).or_default();
        let back = blame.refused(refusal)?;
        let since = *pool.refusing.get_or_insert(now);
        if retry::expired(since, give_up, now) {
            return None;
        }
        if pool.pace.quiet_until(now).is_none() {
            pool.refusals = pool.refusals.saturating_add(1);
        }
        let Waits {
            schedule,
            jitter,
            fraction,
        } = waits;
        let until = retry::due(schedule, pool.refusals, jitter, fraction, now);
        pool.be_quiet(until.since(now), reply, now);
        pool.tried.extend(&back);
        Some((back, later(until, now)))
    }

    /// Hosts refused a recipient for good. Once they, or the hosts of several domains of one provider, know nobody,
    /// they are left alone for a while; gives the recipients to put back, and until when. After `give_up` of that,
    /// their word stands.
    pub(super) fn unknown(
        &mut self,
        place: &Place,
        key: DeliveryKey,
        reply: &Reply,
        (waits, give_up): (Waits<'_>, Duration),
        now: Timestamp,
    ) -> Option<(Vec<DeliveryKey>, Timestamp)> {
        let pool = self.all.get_mut(&place.pool)?;
        let site = pool.sites.get_mut(&place.site)?;
        let (back, doubted) = match site.strangers.refused(key) {
            Some(back) => {
                // Its other hosts are not to be counted with these.
                pool.strangers.runs.remove(&key.run);
                (back, &mut site.strangers)
            }
            None => (pool.strangers.refused(key)?, &mut pool.strangers),
        };
        let before = doubted.until(now).is_some();
        let until = doubted.rest(reply, (waits, give_up), now)?;
        if !before {
            let (pool, wait) = (&place.pool, until.since(now));
            tracing::warn!(pool, ?wait, "hosts are left alone: {}", doubted.why);
        }
        pool.tried.extend(&back);
        Some((back, later(until, now)))
    }
}
