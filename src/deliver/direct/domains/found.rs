//! What a lookup found, and what becomes by it of the jobs that wait for the domain.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::deliver::direct::Direct;
use crate::deliver::direct::domains::{Domain, Known, State, nowhere, refusal};
use crate::deliver::direct::pools::PutOff;
use crate::deliver::direct::resolve::Resolved;
use crate::deliver::ledger::{Ledger, Settling};
use crate::deliver::queue::Job;
use crate::mx::health::Waits;
use crate::retry;

/// Pools that are remembered.
const POOLS: usize = 10_000;
/// What is known of a domain that takes no mail, or is not there, is believed so long.
const BELIEVED: Duration = Duration::from_secs(60);

impl Direct {
    /// A domain was looked up: its jobs go on.
    pub(in crate::deliver::direct) async fn found(
        &self,
        domain: &str,
        resolved: Resolved,
        ledger: &Ledger,
    ) {
        let now = self.app.clock.now();
        let settling = {
            let mut state = self.state();
            let jobs = state.answered(domain, &resolved, now);
            self.go_on(&mut state, domain, jobs, resolved, now)
        };
        self.settle(settling, ledger).await;
        self.filled.notify_waiters();
    }

    /// Brings the jobs of a domain to its pool, or settles those for which there is none.
    fn go_on(
        &self,
        state: &mut State,
        domain: &str,
        jobs: Vec<Job>,
        resolved: Resolved,
        now: Timestamp,
    ) -> Vec<Settling> {
        let State {
            pools,
            domains,
            nameserver,
            ..
        } = state;
        let entry = domains.entry(domain.to_owned()).or_default();
        let jobs = jobs.into_iter();
        let is_dark = matches!(resolved, Resolved::Dark(_));
        match resolved {
            Resolved::Site {
                place,
                provider,
                hosts,
                ttl,
            } => {
                pools.tidy(POOLS, now);
                pools.add(&place, &provider, &hosts);
                let put_off = jobs.filter_map(|job| pools.push(&place, job, self.room, now).err());
                let settling = put_off.map(|put_off| self.waits(*put_off, now)).collect();
                entry.known = Known::At(place, now.after(ttl));
                settling
            }
            Resolved::Refused => {
                entry.known = Known::Refused(now.after(BELIEVED));
                jobs.map(|job| self.judged(job, refusal(domain))).collect()
            }
            Resolved::Nowhere(why) => {
                let gone = |job| self.judged(job, nowhere(&why));
                let settling = jobs.map(gone).collect();
                entry.known = Known::Nowhere(why, now.after(BELIEVED));
                settling
            }
            Resolved::Unknown(why) | Resolved::Unanswered(why) | Resolved::Dark(why) => {
                tracing::info!(domain, "a domain cannot be delivered to now: {why}");
                let failing = Some(*entry.since.get_or_insert(now));
                let until = match is_dark {
                    true => nameserver.is_silent(&why, self.app.config.send.probe, now),
                    false => self.next_lookup(entry, now),
                };
                let put_off = jobs.map(|job| PutOff {
                    job,
                    until,
                    why: why.clone(),
                    failing,
                });
                let settling = put_off.map(|put_off| self.waits(put_off, now)).collect();
                entry.known = Known::Unknown(why, until);
                settling
            }
        }
    }

    /// When a domain of which a lookup came to nothing is looked up again.
    fn next_lookup(&self, entry: &mut Domain, now: Timestamp) -> Timestamp {
        entry.failures = entry.failures.saturating_add(1);
        let Waits {
            schedule,
            jitter,
            fraction,
        } = self.waits_of();
        retry::due(schedule, entry.failures, jitter, fraction, now)
    }
}

impl State {
    /// Notes what an answer says of the domain and of the nameserver, and gives the jobs that waited for it.
    fn answered(&mut self, domain: &str, resolved: &Resolved, now: Timestamp) -> Vec<Job> {
        let entry = self.domains.entry(domain.to_owned()).or_default();
        let jobs = match std::mem::take(&mut entry.known) {
            Known::Asked(jobs) => jobs,
            _ => Vec::new(),
        };
        self.asked -= jobs.len();
        let is_there = matches!(resolved, Resolved::Site { .. } | Resolved::Refused);
        if is_there || matches!(resolved, Resolved::Nowhere(_)) {
            entry.failures = 0;
            entry.since = None;
            self.nameserver.answered();
        }
        if is_there {
            entry.there = Some(now);
            if entry.missing.take().is_some() {
                self.nameserver.remembered();
            }
        }
        jobs
    }
}
