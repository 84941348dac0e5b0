//! Which relay may take a job: by priority, by weight, and by how the relays stand.
//!
//! Promises: a relay of a later priority gets nothing while one of an earlier priority works and may carry
//! more; among relays of one priority that have weights, each gets its share, give or take [`AHEAD`]. Whoever
//! is broken takes no part, and neither who stands still nor who has used up a cap is waited for, unless the
//! configuration says to wait for its cap.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Relay;
use crate::config::kind::WhenFull;
use crate::deliver::breaker::Breaker;
use crate::deliver::purse::Purse;
use crate::id::RunId;
use crate::lock::lock;

/// Messages by which a relay may run ahead of its share: some for each connection, so that none waits for
/// another's answer.
const AHEAD: u64 = 16;
/// A relay that has taken nothing for so long while others wait for it to catch up is left out until it
/// does. A tarpit must not slow the others down.
const STILL: Duration = Duration::from_millis(250);
/// Between two looks of a relay that is ahead of its share.
const PAUSE: Duration = Duration::from_millis(10);

/// A set of relays, by their place among all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Via(u64);

impl Via {
    /// More relays than this cannot be told apart.
    pub(crate) const MOST: usize = 64;

    /// This set and `relay`.
    pub(crate) fn with(self, relay: usize) -> Via {
        Via(self.0 | 1 << relay)
    }

    /// Whether `relay` is in it.
    pub(crate) fn has(self, relay: usize) -> bool {
        self.0 & 1 << relay != 0
    }

    fn without(self, others: Via) -> Via {
        Via(self.0 & !others.0)
    }

    /// Its members in their order.
    pub(crate) fn members(self) -> impl Iterator<Item = usize> {
        (0..Via::MOST).filter(move |&relay| self.has(relay))
    }
}

/// How long a relay waits for its next job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wait {
    /// So long at most.
    For(Duration),
    /// Until something changes.
    Change,
}

/// How one relay stands.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Lower ones come first.
    pub priority: u32,
    /// Its share beside others; 0 takes what it can carry.
    pub weight: u32,
    pub breaker: Breaker,
    pub purse: Purse,
    /// Whether others may have what its caps do not allow now.
    pub yields: bool,
    /// Runs that it refuses whole.
    refused: Mutex<HashSet<RunId>>,
}

impl Standing {
    /// A relay that works so far.
    pub(crate) fn new(relay: &Relay, breaker: Breaker, purse: Purse) -> Standing {
        Standing {
            priority: relay.priority,
            weight: relay.weight,
            breaker,
            purse,
            yields: relay.when_full == WhenFull::Next,
            refused: Mutex::default(),
        }
    }

    /// It takes no copy of `run`, whoever gets it.
    pub(crate) fn refuse(&self, run: RunId) {
        self.refused().insert(run);
    }

    /// It may be offered `run` again.
    pub(crate) fn forgive(&self, run: RunId) {
        self.refused().remove(&run);
    }

    /// Whether it refuses `run`.
    pub(crate) fn refuses(&self, run: RunId) -> bool {
        self.refused().contains(&run)
    }

    fn works(&self, run: RunId) -> bool {
        !self.breaker.is_open() && !self.refuses(run)
    }

    /// Whether others need not wait for its turn.
    fn passes(&self, now: Instant) -> bool {
        self.yields && self.purse.is_used_up(now)
    }

    fn refused(&self) -> MutexGuard<'_, HashSet<RunId>> {
        lock(&self.refused)
    }
}

/// One message's part of a relay's purse: it goes back where it is dropped and not spent.
#[derive(Debug, Default)]
pub(crate) struct Coin(Option<(Arc<Standing>, u64)>);

impl Coin {
    /// The message goes out, or was refused on its way.
    pub(crate) fn spend(&mut self) {
        self.0 = None;
    }
}

impl Drop for Coin {
    fn drop(&mut self) {
        if let Some((standing, term)) = self.0.take() {
            standing.purse.give_back(term);
        }
    }
}

/// Whose turn it is: the messages that each relay has taken since the present field began.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    field: Via,
    seats: Vec<Seat>,
    /// Not waited for.
    absent: Via,
    /// Since when somebody waits for the others to catch up.
    blocked: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seat {
    taken: u64,
    last: Option<Instant>,
}

impl Turns {
    /// Takes a turn for `relay`, with a job of `run` that may go through `via`; or says how long to wait.
    /// A broken relay may take one: it is the job of its probe.
    pub(crate) fn take(
        &mut self,
        relays: &[Arc<Standing>],
        relay: usize,
        run: RunId,
        via: Via,
        now: Instant,
    ) -> Result<Coin, Wait> {
        let own = &relays[relay];
        if !via.has(relay) || own.refuses(run) {
            return Err(Wait::Change);
        }
        let working = || {
            let members = via.members().filter(|&other| other < relays.len());
            members.filter(|&other| relays[other].works(run))
        };
        let mut spread = false;
        for earlier in working().map(|other| &relays[other]) {
            if earlier.priority >= own.priority {
                continue;
            }
            if !earlier.passes(now) {
                // A moment later it may have sent what this second allows.
                return Err(match earlier.yields && earlier.purse.is_spread() {
                    true => Wait::For(PAUSE),
                    false => Wait::Change,
                });
            }
            spread |= earlier.purse.is_spread();
        }
        let term = own.purse.take(run == RunId::SYSTEM, now)?;
        let coin = Coin(term.map(|term| (own.clone(), term)));
        if spread {
            let earlier = working().map(|other| &relays[other]);
            let earlier = earlier.filter(|other| other.priority < own.priority);
            earlier.for_each(|other| other.purse.spill(now));
        }
        // Who has used up a cap is not waited for.
        let peers = working().filter(|&other| {
            let other = &relays[other];
            other.priority == own.priority && other.weight > 0 && !other.purse.is_full()
        });
        let peers = peers.fold(Via::default(), Via::with);
        if peers.has(relay) && peers != Via::default().with(relay) {
            self.share(relays, relay, peers, now)?;
        }
        Ok(coin)
    }

    /// Takes back a turn that came to nothing.
    pub(crate) fn give_back(&mut self, relay: usize) {
        if let Some(seat) = self.seats.get_mut(relay).filter(|_| self.field.has(relay)) {
            seat.taken = seat.taken.saturating_sub(1);
        }
    }

    fn share(
        &mut self,
        relays: &[Arc<Standing>],
        relay: usize,
        peers: Via,
        now: Instant,
    ) -> Result<(), Wait> {
        self.absent = self.absent.without(Via::default().with(relay));
        let field = peers.without(self.absent);
        if field != self.field {
            // Others than before: what was between those is settled.
            self.field = field;
            self.seats = vec![Seat::default(); relays.len()];
            self.blocked = None;
        }
        let weight = |relay: usize| u64::from(relays[relay].weight);
        let weights: u64 = field.members().map(weight).sum();
        let taken: u64 = field.members().map(|relay| self.seats[relay].taken).sum();
        let seat = &mut self.seats[relay];
        if (seat.taken + 1) * weights <= weight(relay) * (taken + 1) + AHEAD * weights {
            seat.taken += 1;
            seat.last = Some(now);
            self.blocked = None;
            return Ok(());
        }
        // Nor are those that wait for what this second still allows.
        let others = || field.members().filter(|&other| other != relay);
        if others().all(|other| relays[other].passes(now)) {
            others().for_each(|other| relays[other].purse.spill(now));
            return Ok(());
        }
        let since = *self.blocked.get_or_insert(now);
        if now.duration_since(since) >= STILL {
            let still = |other: &usize| {
                *other != relay && self.seats[*other].last.is_none_or(|last| last < since)
            };
            let still: Vec<usize> = field.members().filter(still).collect();
            self.absent = still.into_iter().fold(self.absent, Via::with);
            self.blocked = None;
        }
        Err(Wait::For(PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{AHEAD, PAUSE, STILL, Standing, Turns, Via, Wait};
    use crate::clock::Timestamp;
    use crate::config::Config;
    use crate::config::kind::WhenFull;
    use crate::deliver::breaker::Breaker;
    use crate::deliver::purse::Purse;
    use crate::id::RunId;
    use crate::rate::cap::Grant;

    const RUN: RunId = RunId(2);

    fn relays(of: &[(u32, u32)]) -> (Vec<Arc<Standing>>, Via) {
        spread(of, 0, WhenFull::Next)
    }

    /// The first of them with so many messages a second.
    fn spread(of: &[(u32, u32)], mut per_second: u32, when: WhenFull) -> (Vec<Arc<Standing>>, Via) {
        let text = "[publication]\nname = \"N\"\nurl = \"https://n.example\"\npostal_address = \"A\"\n\
                    [from]\naddress = \"a@n.example\"\n[relay.main]\nurl = \"smtp://r.example\"\n";
        let mut config = Config::from_text(text).expect("a configuration");
        let mut relay = config.relay.remove("main").expect("a relay");
        let mut all = Vec::new();
        for &(priority, weight) in of {
            relay.priority = priority;
            relay.weight = weight;
            relay.per_second = std::mem::take(&mut per_second);
            relay.when_full = when;
            let breaker = Breaker::new(Duration::from_secs(1), 4);
            let purse = Purse::new("main", &relay, "n.example");
            all.push(Arc::new(Standing::new(&relay, breaker, purse)));
        }
        let via = (0..all.len()).fold(Via::default(), Via::with);
        (all, via)
    }

    #[tokio::test(start_paused = true)]
    async fn each_gets_its_share_however_often_it_asks() {
        let (relays, via) = relays(&[(1, 3), (1, 1), (1, 1)]);
        let mut turns = Turns::default();
        let mut taken = [0_u64; 3];
        // The last asks ten times as often as the first.
        for round in 0..10_000 {
            let asks = [round % 10 == 0, round % 2 == 0, true];
            for relay in (0..3).filter(|&relay| asks[relay]) {
                let turn = turns.take(&relays, relay, RUN, via, Instant::now());
                taken[relay] += u64::from(turn.is_ok());
            }
        }
        assert_eq!(taken[0], 1000, "never held back");
        for other in [taken[1], taken[2]] {
            assert!(other.abs_diff(1000 / 3) <= 2 * AHEAD, "{taken:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_stands_still_is_not_waited_for_and_comes_back() {
        let (relays, via) = relays(&[(1, 1), (1, 1)]);
        let mut turns = Turns::default();
        let mut ask = |relay| {
            let coin = turns.take(&relays, relay, RUN, via, Instant::now());
            coin.map(|mut coin| coin.spend())
        };
        while ask(0).is_ok() {}
        assert_eq!(ask(0), Err(Wait::For(PAUSE)));
        advance(STILL).await;
        assert_eq!(ask(0), Err(Wait::For(PAUSE)), "this look finds it out");
        assert!((0..1000).all(|_| ask(0).is_ok()), "the other is left out");
        assert!(ask(1).is_ok());
        let ahead = (0..1000).take_while(|_| ask(0).is_ok()).count();
        assert!(
            ahead as u64 <= 2 * AHEAD + 2,
            "{ahead} ahead of one that is back"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_priority_takes_only_while_every_earlier_one_is_broken() {
        let (relays, via) = relays(&[(1, 0), (1, 0), (2, 0)]);
        let mut turns = Turns::default();
        let mut ask = |relay| turns.take(&relays, relay, RUN, via, Instant::now()).is_ok();
        assert_eq!([ask(0), ask(1), ask(2)], [true, true, false]);
        relays[0].breaker.failed();
        assert!(!ask(2));
        relays[1].breaker.failed();
        assert!(ask(2));
        assert!(ask(0), "its probe needs a job");
        relays[0].breaker.succeeded();
        assert!(!ask(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_second_does_not_allow_goes_to_the_next_unless_it_is_to_wait() {
        for when in [WhenFull::Next, WhenFull::Wait] {
            for of in [[(1, 0), (2, 0)], [(1, 1), (1, 1)]] {
                let (relays, via) = spread(&of, 8, when);
                let grant = Grant {
                    number: 1000,
                    now: Timestamp(0),
                    until: Timestamp(3_600_000),
                    full: None,
                };
                relays[0].purse.fill(&grant, &[], Timestamp(0));
                let mut turns = Turns::default();
                let mut ask = |relay| {
                    let coin = turns.take(&relays, relay, RUN, via, Instant::now());
                    coin.map(|mut coin| coin.spend()).is_ok()
                };
                let ahead = (0..1000).take_while(|_| ask(1)).count();
                assert!(
                    ahead as u64 <= 2 * AHEAD,
                    "{ahead} while the first may have them"
                );
                while ask(0) {}
                let beyond = (0..1000).take_while(|_| ask(1)).count();
                assert_eq!(
                    beyond == 1000,
                    when == WhenFull::Next,
                    "{beyond} {when:?} {of:?}"
                );
                let told = relays[0].purse.spills(Timestamp(5));
                let said = "is at its 8 messages a second".to_owned();
                let expected = (when == WhenFull::Next).then_some((Timestamp(5), said));
                assert_eq!(told, expected);
                advance(Duration::from_secs(3)).await;
                assert_eq!(relays[0].purse.spills(Timestamp(9)), None);
                assert!(ask(0), "it takes its part again");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_relay_gets_neither_what_it_refuses_nor_what_is_meant_for_others() {
        let (relays, via) = relays(&[(1, 1), (2, 1)]);
        let mut turns = Turns::default();
        let now = Instant::now();
        let only_first = Via::default().with(0);
        assert!(turns.take(&relays, 1, RUN, only_first, now).is_err());
        relays[0].refuse(RUN);
        assert!(turns.take(&relays, 0, RUN, via, now).is_err());
        assert!(turns.take(&relays, 1, RUN, via, now).is_ok());
        assert!(turns.take(&relays, 0, RunId(3), via, now).is_ok());
        relays[0].forgive(RUN);
        assert!(turns.take(&relays, 0, RUN, via, now).is_ok());
    }
}
