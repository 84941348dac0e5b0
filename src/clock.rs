//! Time as an argument: a wall clock that tests can hold still.
//!
//! Promises: every instant that is stored or sent comes from one [`Clock`], in Unix milliseconds; those who share a
//! database mean the same time by it, whatever the clock of one of them shows. Leaves deadlines to `tokio::time`
//! (monotonic) and PostgreSQL lease times to the database clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::lock::lock;

/// A minute in the milliseconds that a [`Timestamp`] counts.
pub const MINUTE: i64 = 60_000;
/// A quarter of an hour in milliseconds: the days of every zone begin with one.
pub const QUARTER: i64 = 15 * MINUTE;
/// An hour in milliseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// A day of UTC in milliseconds: none is longer or shorter, for Unix time has no leap seconds.
pub const DAY: i64 = 24 * HOUR;

/// An instant in Unix milliseconds, as the database stores it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The instant `wait` later; saturates instead of wrapping.
    pub fn after(self, wait: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(wait)))
    }

    /// The instant `wait` earlier; saturates instead of wrapping.
    pub fn before(self, wait: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(wait)))
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole Unix seconds, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The days of UTC since 1970-01-01, rounded down.
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// The same instant for `jiff`, which knows calendars and zones.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// RFC 3339 in UTC to the second: what a person reads in a table.
    pub fn to_rfc3339(self) -> String {
        self.to_jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339 to the millisecond: for files that are read back.
pub mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Timestamp;

    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&at.to_jiff())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let at = jiff::Timestamp::deserialize(from).map_err(D::Error::custom)?;
        Ok(Timestamp(at.as_millisecond()))
    }

    /// The same for an instant that may be none.
    pub mod option {
        use serde::{Deserialize, Deserializer, Serializer};

        use super::Timestamp;

        pub fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => to.collect_str(&at.to_jiff()),
                None => to.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            let at = Option::<jiff::Timestamp>::deserialize(from)?;
            Ok(at.map(|at| Timestamp(at.as_millisecond())))
        }
    }
}

/// How long the machine has run, its sleep counted where the system tells it: what the wall clock is held
/// against, since nobody sets this one.
pub fn uptime() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(clock);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), nanos)
}

/// By so many milliseconds the clocks of two who share a database may differ: closer no network tells.
pub const AGREES: i64 = 5_000;
/// Two that differed agree again once they are as close as this: one that runs along the bound does not leap with each
/// answer.
const AGREES_AGAIN: i64 = 1_000;
/// An answer that took longer says little of the time.
const PROMPT: Duration = Duration::from_secs(2);

/// What the clock of a shared database said last.
#[derive(Debug, Default)]
pub struct Heard(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    /// The time, and when in [`uptime`] it was that.
    last: Option<(Timestamp, Duration)>,
    /// The machine's clock was found to differ from it.
    differs: bool,
}

/// Two clocks at one instant.
struct Both {
    own: Timestamp,
    said: Timestamp,
    differs: bool,
}

/// What the clocks show at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Faces {
    /// The machine's own.
    pub own: Timestamp,
    /// A shared database's, where it was heard.
    pub shared: Option<Timestamp>,
    /// The two differ, and [`Clock::now`] goes by the database's.
    pub by_shared: bool,
}

impl Heard {
    /// The machine's clock, and what that clock says now, by the machine's own count since.
    fn both(&self) -> Option<Both> {
        let mut heard = lock(&self.0);
        let (said, at) = heard.last?;
        let (own, said) = (machine(), said.after(uptime().saturating_sub(at)));
        let bound = if heard.differs { AGREES_AGAIN } else { AGREES };
        heard.differs = own.0.abs_diff(said.0) > bound.unsigned_abs();
        let differs = heard.differs;
        Some(Both { own, said, differs })
    }
}

/// Where the program takes its wall-clock time from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's own clock.
    System,
    /// The machine's own clock, as long as it agrees with the one of the database that is shared with others: a node
    /// whose clock is wrong would make deliveries old, or due, or put off, for all of them.
    Shared(Arc<Heard>),
    /// A clock that moves only when a test moves it.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at` until [`Clock::advance`] is called.
    pub fn fixed(at: Timestamp) -> Clock {
        Clock::Fixed(Arc::new(AtomicI64::new(at.0)))
    }

    /// One that goes by a shared database's as soon as it has [heard](Clock::hear) it.
    pub fn shared() -> Clock {
        Clock::Shared(Arc::default())
    }

    /// The current instant.
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => machine(),
            Clock::Shared(heard) => match heard.both() {
                Some(both) if both.differs => both.said,
                _ => machine(),
            },
            Clock::Fixed(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// What each clock shows now, to be watched for leaps.
    pub fn faces(&self) -> Faces {
        let both = match self {
            Clock::Shared(heard) => heard.both(),
            _ => None,
        };
        match both {
            Some(both) => Faces {
                own: both.own,
                shared: Some(both.said),
                by_shared: both.differs,
            },
            None => Faces {
                own: self.now(),
                shared: None,
                by_shared: false,
            },
        }
    }

    /// The earlier of the machine's clock and the shared database's: an hour that this one has passed has come, whichever
    /// of the two is wrong.
    pub fn sure(&self) -> Timestamp {
        match self {
            Clock::Shared(heard) => heard
                .both()
                .map_or_else(machine, |both| both.own.min(both.said)),
            _ => self.now(),
        }
    }

    /// The database was asked at `asked` of [`uptime`], and has answered by now that its clock says `said`.
    pub fn hear(&self, said: Timestamp, asked: Duration) {
        let Clock::Shared(heard) = self else {
            return;
        };
        let now = uptime();
        let took = now.saturating_sub(asked);
        let mut heard = lock(&heard.0);
        if heard.last.is_none() || took <= PROMPT {
            heard.last = Some((said, asked + took / 2));
        }
    }

    /// By how many milliseconds the machine's clock is ahead of the database's, or behind it; 0 while they agree.
    pub fn ahead(&self) -> i64 {
        let Clock::Shared(heard) = self else {
            return 0;
        };
        match heard.both() {
            Some(both) if both.differs => both.own.0.saturating_sub(both.said.0),
            _ => 0,
        }
    }

    /// Moves a fixed clock on; the system clock is left to the operating system.
    pub fn advance(&self, by: Duration) {
        if let Clock::Fixed(at) = self {
            at.fetch_add(millis(by), Ordering::SeqCst);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the machine"
)]
fn machine() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, millis))
}

#[cfg(test)]
mod tests {
    use super::{AGREES, AGREES_AGAIN, Clock, DAY, Timestamp, uptime};

    #[test]
    fn a_clock_that_is_shared_goes_by_the_databases_where_the_two_differ() {
        let clock = Clock::shared();
        let near = |at: Timestamp| clock.now().0.abs_diff(at.0) < AGREES.unsigned_abs();
        let own = Clock::System.now();
        assert!(near(own) && clock.ahead() == 0, "nothing was heard");
        clock.hear(Timestamp(own.0 + 1_000), uptime());
        assert!(near(own) && clock.ahead() == 0, "a second is none");
        clock.hear(Timestamp(own.0 - 3 * DAY), uptime());
        assert!(near(Timestamp(own.0 - 3 * DAY)));
        assert!(clock.ahead().abs_diff(3 * DAY) < AGREES.unsigned_abs());
        clock.hear(own, uptime());
        assert!(near(own) && clock.ahead() == 0, "it was set right");
    }

    #[test]
    fn a_clock_that_runs_along_the_bound_goes_over_once() {
        let clock = Clock::shared();
        let hear = |ahead: i64| clock.hear(Timestamp(Clock::System.now().0 + ahead), uptime());
        for (ahead, differs) in [
            (AGREES - 100, false),
            (AGREES + 100, true),
            (AGREES - 100, true),
            (AGREES + 100, true),
            (AGREES_AGAIN + 100, true),
            (AGREES_AGAIN - 100, false),
            (AGREES - 100, false),
        ] {
            hear(ahead);
            assert_eq!(clock.ahead() != 0, differs, "{ahead}");
        }
    }

    #[test]
    fn an_hour_has_come_once_both_clocks_have_passed_it() {
        let clock = Clock::shared();
        let own = Clock::System.now();
        for (ahead, earlier) in [(3 * DAY, own), (-3 * DAY, Timestamp(own.0 - 3 * DAY))] {
            clock.hear(Timestamp(own.0 + ahead), uptime());
            assert!(clock.sure().0.abs_diff(earlier.0) < AGREES.unsigned_abs());
            let shared = clock.faces().shared.expect("it was heard");
            assert!(shared.0.abs_diff(own.0 + ahead) < AGREES.unsigned_abs());
        }
    }
}
