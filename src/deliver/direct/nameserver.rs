//! Whether the nameserver is there, and whether it is believed when it says that a domain does not exist.
//!
//! Promises: nobody bounces by one answer, nor by the answers of a nameserver that denies more domains than it knows,
//! or those that it knew before: a container in another network, a filter, a wrong `dns.nameserver` say "no such
//! name" of everyone. A domain is denied at two looks with a wait between them, the second one not from memory. One
//! that answers nobody is asked again within half a minute, and no domain is thought to fail by that.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::deliver::direct::Direct;
use crate::deliver::direct::domains::{Domain, State};
use crate::deliver::direct::resolve::Resolved;
use crate::retry;

/// Domains found lately that have to be there still.
const WITNESSES: usize = 3;
/// A doubt that is not renewed by the next look is over.
const GRACE: Duration = Duration::from_secs(60);
/// One that is back is noticed within this time.
const LONGEST: Duration = Duration::from_secs(30);

/// What is wrong with the nameserver.
#[derive(Default)]
pub(super) struct Nameserver {
    /// It is not believed.
    doubt: Option<Trouble>,
    /// It gives no answers; so often running it was asked since.
    silence: Option<Trouble>,
    tries: u32,
}

/// Why, since when, and when it is asked again.
#[derive(Clone)]
struct Trouble {
    why: String,
    since: Timestamp,
    next: Timestamp,
}

/// What the nameserver has said of all domains.
pub(super) struct Census {
    missing: usize,
    there: usize,
    /// Those that were found last.
    pub(super) witnesses: Vec<String>,
}

impl Direct {
    /// The nameserver said that `domain` does not exist, or has no host: what is made of it.
    pub(super) async fn denied(&self, domain: &str, why: String) -> Resolved {
        let now = self.app.clock.now();
        let census = {
            let mut state = self.state();
            let entry = state.domains.entry(domain.to_owned()).or_default();
            if entry.missing.is_none() {
                entry.missing = Some(now);
                return Resolved::Unknown(format!("{why}; it is looked for once more"));
            }
            Census::of(&state)
        };
        let Err(doubt) = self.doubt(domain, &census).await else {
            return Resolved::Nowhere(why);
        };
        let why = format!("{why}, says the nameserver, and is doubted: {doubt}");
        tracing::warn!(domain, "the nameserver is not believed: {why}");
        let next = self.next_look(domain, now);
        self.state().nameserver.is_doubted(&why, next, now);
        Resolved::Unknown(why)
    }

    /// The nameserver gave no answer about a domain: what is made of it. That of another, which it knew, tells whose
    /// fault it is.
    pub(super) async fn unanswered(&self, why: String) -> Resolved {
        let witness = Census::of(&self.state()).witnesses.into_iter().next();
        if let Some(witness) = witness
            && self.resolver.is_there(&witness).await.is_ok()
        {
            let mut state = self.state();
            state.nameserver.answered();
            state.reach.found();
            return Resolved::Unknown(why);
        }
        Resolved::Dark(why)
    }

    /// Whether no nameserver answers, and it is not the time to ask again.
    pub(super) fn is_dark(&self) -> bool {
        let now = self.app.clock.now();
        let state = self.state();
        let silence = state.nameserver.silence.as_ref();
        silence.is_some_and(|silence| silence.next > now)
    }

    /// Why the nameserver is not believed about `domain`.
    async fn doubt(&self, domain: &str, census: &Census) -> Result<(), String> {
        let Census {
            missing,
            there,
            witnesses,
        } = census;
        if missing > there {
            return Err(format!("it denies {missing} domains and knows {there}"));
        }
        let resolver = &self.resolver;
        match resolver.is_there(domain).await {
            Ok(false) => {}
            Ok(true) => return Err("asked again, it knows it".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        for witness in witnesses {
            match resolver.is_there(witness).await {
                Ok(true) => {}
                Ok(false) => return Err(format!("it denies `{witness}` too, which was there")),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    fn next_look(&self, domain: &str, now: Timestamp) -> Timestamp {
        let state = self.state();
        let tries = state.domains.get(domain).map_or(1, Domain::next_try);
        let send = &self.app.config.send;
        retry::due(&send.retry, tries, send.jitter, 1.0, now)
    }
}

impl Nameserver {
    /// It told something of a domain.
    pub(super) fn answered(&mut self) {
        self.silence = None;
        self.tries = 0;
    }

    /// It knows a domain that it denied.
    pub(super) fn remembered(&mut self) {
        self.doubt = None;
    }

    /// It answers nobody; gives when it is asked again. The first wait is `probe`, and each is twice the one before.
    pub(super) fn is_silent(&mut self, why: &str, probe: Duration, now: Timestamp) -> Timestamp {
        if let Some(silence) = self.silence.as_ref().filter(|silence| silence.next > now) {
            return silence.next;
        }
        let wait = probe.saturating_mul(2_u32.saturating_pow(self.tries));
        let next = now.after(wait.min(LONGEST));
        self.tries = self.tries.saturating_add(1);
        self.silence = Some(Trouble {
            why: why.to_owned(),
            since: self.silence.as_ref().map_or(now, |silence| silence.since),
            next,
        });
        next
    }

    fn is_doubted(&mut self, why: &str, next: Timestamp, now: Timestamp) {
        let since = self.doubt_at(now).map_or(now, |doubt| doubt.since);
        let why = why.to_owned();
        self.doubt = Some(Trouble { why, since, next });
    }

    fn doubt_at(&self, now: Timestamp) -> Option<&Trouble> {
        let doubt = self.doubt.as_ref();
        doubt.filter(|doubt| doubt.next.after(GRACE) > now)
    }
}

impl State {
    /// While the nameserver is of no use: why, since when, and when it is asked again.
    pub(super) fn nameserver(&self, now: Timestamp) -> Option<(String, Timestamp, Timestamp)> {
        let silence = self.nameserver.silence.as_ref();
        let trouble = silence.or_else(|| self.nameserver.doubt_at(now))?;
        Some((trouble.why.clone(), trouble.since, trouble.next))
    }
}

impl Census {
    pub(super) fn of(state: &State) -> Census {
        let (mut missing, mut there) = (0, 0);
        // Once through all of them, of which there may be many: the newest few are kept in their order.
        let mut newest: Vec<(Timestamp, &String)> = Vec::with_capacity(WITNESSES + 1);
        for (name, domain) in &state.domains {
            let Some(found) = domain.there.filter(|_| domain.missing.is_none()) else {
                missing += usize::from(domain.missing.is_some());
                continue;
            };
            there += 1;
            let place = newest.partition_point(|known| *known > (found, name));
            if place < WITNESSES {
                newest.insert(place, (found, name));
                newest.truncate(WITNESSES);
            }
        }
        Census {
            missing,
            there,
            witnesses: newest.iter().map(|(_, name)| (*name).clone()).collect(),
        }
    }
}
