//! Whether direct delivery works at all: what tells a closed port or a dead nameserver from domains that are dead.
//!
//! Promises: no number of dead domains is taken for it while anything that worked before still works, and one domain
//! never is; whatever works ends it at once. What failed before this process began says nothing, unless direct
//! delivery had failed as a whole by then. Plain state: no sockets, no waiting. Leaves the questions to `probe`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::clock::Timestamp;
use crate::deliver::direct::pool::Host;

/// Providers none of whose hosts could be connected to, or domains of which no nameserver knew anything: of fewer it
/// may be their own fault.
pub(super) const MANY: usize = 3;
/// Of the providers of the table, which are not all dead at once, so many are enough.
const LARGE: usize = 2;
/// Hosts of so many providers are asked whether anything can be reached.
pub(super) const ASKED: usize = 3;
/// More need not be known.
const REMEMBERED: usize = 64;

/// What has been reached of late, and what has not.
#[derive(Default)]
pub(super) struct Reach {
    pub lookups: Tries<()>,
    pub connections: Tries<Unreached>,
    /// Whose hosts answered last, the latest first.
    alive: VecDeque<(String, Vec<Host>)>,
    /// Providers and domains that were asked since anything last worked, one after the other.
    asked: BTreeSet<String>,
    pub down: Option<Down>,
    /// It had failed as a whole when an earlier process ended.
    pub was_down: bool,
}

/// One of the two fails for everyone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Down {
    pub way: Way,
    pub since: Timestamp,
    /// Not even the root of the DNS was known.
    pub rootless: bool,
    /// Something has worked meanwhile.
    pub over: bool,
}

/// What mail straight to a domain's hosts needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Lookups,
    Connections,
}

/// Hosts that could not be connected to, and whether the table knows their provider.
#[derive(Clone, Debug)]
pub(super) struct Unreached {
    pub hosts: Vec<Host>,
    pub known: bool,
}

/// Tries of one kind, and who failed since one last worked.
pub(super) struct Tries<T> {
    next: u64,
    under_way: BTreeSet<u64>,
    failed: BTreeMap<String, T>,
    /// The tries that began before the first of them failed.
    before: Option<u64>,
    /// So many have been looked into.
    known: usize,
    /// Since when, and why the last one did.
    since: Timestamp,
    why: String,
}

impl<T> Default for Tries<T> {
    fn default() -> Tries<T> {
        Tries {
            next: 0,
            under_way: BTreeSet::new(),
            failed: BTreeMap::new(),
            before: None,
            known: 0,
            since: Timestamp(0),
            why: String::new(),
        }
    }
}

impl<T> Tries<T> {
    /// One begins; it is told of by this number.
    pub(super) fn begin(&mut self) -> u64 {
        self.next += 1;
        self.under_way.insert(self.next);
        self.next
    }

    /// It is over, one way or the other.
    pub(super) fn over(&mut self, number: u64) {
        self.under_way.remove(&number);
    }

    /// One to `name` failed.
    pub(super) fn failed(&mut self, name: &str, what: T, why: &str, now: Timestamp) {
        if self.before.is_none() {
            (self.before, self.since) = (Some(self.next), now);
        }
        if self.failed.len() < REMEMBERED {
            self.failed.insert(name.to_owned(), what);
        }
        why.clone_into(&mut self.why);
    }

    /// One worked: what failed did so for itself.
    pub(super) fn worked(&mut self) {
        self.failed.clear();
        self.before = None;
        self.known = 0;
    }

    /// What failed so far is no sign, as far as is known.
    pub(super) fn excuse(&mut self) {
        self.known = self.failed.len();
    }

    /// Who failed.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.failed.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.failed.len()
    }

    /// Whether more failed than was looked into, and none that began before may still work.
    fn is_news(&self) -> bool {
        let pending = |before| self.under_way.first().is_some_and(|&first| first <= before);
        self.failed.len() > self.known && !self.before.is_some_and(pending)
    }
}

impl Reach {
    /// Hosts of the provider `pool` answered.
    pub(super) fn answered(&mut self, pool: &str, hosts: &[Host]) {
        self.reached();
        self.alive.retain(|(name, _)| name != pool);
        self.alive.push_front((pool.to_owned(), hosts.to_vec()));
        self.alive.truncate(ASKED);
    }

    /// Hosts answered.
    pub(super) fn reached(&mut self) {
        self.connections.worked();
        self.is_back(Way::Connections);
    }

    /// A nameserver told something of a domain.
    pub(super) fn found(&mut self) {
        self.lookups.worked();
        self.is_back(Way::Lookups);
    }

    /// Whether this provider or domain has not had its turn yet.
    pub(super) fn is_unasked(&self, name: &str) -> bool {
        !self.asked.contains(name)
    }

    /// Notes that these have their turn now. After the last of all, everyone may have another.
    pub(super) fn ask(&mut self, names: Vec<String>) {
        match names.is_empty() {
            true => self.asked.clear(),
            false => self.asked.extend(names),
        }
    }

    fn is_back(&mut self, way: Way) {
        self.asked.clear();
        if let Some(down) = self.down.as_mut().filter(|down| down.way == way) {
            down.over = true;
        }
    }

    /// One of the two fails for everyone; gives why.
    pub(super) fn fails(&mut self, way: Way, rootless: bool) -> String {
        let (since, why) = match way {
            Way::Connections => {
                let tries = &self.connections;
                let why = format!(
                    "no host of {} providers can be connected to (is port 25 closed to the outside?): {}",
                    tries.failed.len(),
                    tries.why
                );
                (tries.since, why)
            }
            Way::Lookups => {
                let tries = &self.lookups;
                let why = format!("no nameserver answers: {}", tries.why);
                (tries.since, why)
            }
        };
        self.down.get_or_insert(Down {
            way,
            since,
            rootless,
            over: false,
        });
        why
    }

    /// Since when it failed, if it has come back from that.
    pub(super) fn take_back(&mut self) -> Option<Timestamp> {
        let since = self.down.filter(|down| down.over)?.since;
        self.down = None;
        self.was_down = false;
        Some(since)
    }

    /// Whether it must be looked into if one of the two fails for everyone.
    pub(super) fn doubt(&self) -> Option<Way> {
        if self.down.is_some() {
            return None;
        }
        let failed = &self.connections.failed;
        let large = failed.values().filter(|unreached| unreached.known).count();
        let many = failed.len() >= MANY || large >= LARGE;
        if many && self.connections.is_news() {
            return Some(Way::Connections);
        }
        self.lookups.is_news().then_some(Way::Lookups)
    }

    /// Hosts that answered when anything last did, by their pools.
    pub(super) fn alive(&self) -> impl Iterator<Item = (&String, &Vec<Host>)> {
        self.alive.iter().map(|(pool, hosts)| (pool, hosts))
    }

    /// Some of those that did not since.
    pub(super) fn unreached(&self) -> impl Iterator<Item = (&String, &Vec<Host>)> {
        let failed = self.connections.failed.iter().take(ASKED);
        failed.map(|(pool, unreached)| (pool, &unreached.hosts))
    }
}

#[cfg(test)]
mod tests {
    use super::{Reach, Unreached, Way};
    use crate::clock::Timestamp;

    fn failed(reach: &mut Reach, name: &str, known: bool) {
        let number = reach.connections.begin();
        let hosts = Vec::new();
        reach
            .connections
            .failed(name, Unreached { hosts, known }, "refused", Timestamp(5));
        reach.connections.over(number);
    }

    #[test]
    fn several_providers_are_needed_and_nothing_that_may_still_work() {
        let mut reach = Reach::default();
        let slow = reach.connections.begin();
        for name in ["one", "two", "two", "two"] {
            failed(&mut reach, name, false);
        }
        assert_eq!(reach.doubt(), None, "two dead providers");
        failed(&mut reach, "three", false);
        assert_eq!(reach.doubt(), None, "one that began before is on its way");
        let later = reach.connections.begin();
        reach.connections.over(slow);
        assert_eq!(reach.doubt(), Some(Way::Connections));
        reach.answered("four", &[]);
        reach.connections.over(later);
        assert_eq!(reach.doubt(), None, "one worked");
        failed(&mut reach, "one", false);
        assert_eq!(reach.doubt(), None);
        // The large ones are not dead together.
        failed(&mut reach, "google", true);
        failed(&mut reach, "yahoo", true);
        assert_eq!(reach.doubt(), Some(Way::Connections));
    }

    #[test]
    fn what_was_looked_into_is_news_again_when_another_fails() {
        let mut reach = Reach::default();
        reach
            .lookups
            .failed("one.example", (), "no answer", Timestamp(5));
        assert_eq!(reach.doubt(), Some(Way::Lookups));
        reach.lookups.excuse();
        reach
            .lookups
            .failed("one.example", (), "no answer", Timestamp(5));
        assert_eq!(reach.doubt(), None);
        reach
            .lookups
            .failed("two.example", (), "no answer", Timestamp(5));
        assert_eq!(reach.doubt(), Some(Way::Lookups));
        assert_eq!(
            reach.fails(Way::Lookups, true),
            "no nameserver answers: no answer"
        );
        assert_eq!(reach.doubt(), None, "it is known");
        reach.answered("one", &[]);
        assert_eq!(
            reach.take_back(),
            None,
            "hosts say nothing of the nameserver"
        );
        reach.found();
        assert_eq!(reach.take_back(), Some(Timestamp(5)));
        assert_eq!(reach.take_back(), None);
    }
}
