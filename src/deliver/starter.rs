//! Runs whose hour has come.
//!
//! Promises: none starts before its hour, whatever is done to the wall clock while this process lives; one
//! that is too late is held and said why. On PostgreSQL it must have come by the machine's clock and by the database's, so
//! that neither, where it is wrong, starts anything alone.

use std::time::Duration;

use crate::clock::{MINUTE, Timestamp, uptime};
use crate::deliver::Engine;
use crate::id::ListId;
use crate::run::{doubles, guards, plan};
use crate::schedule::{shown, span};
use crate::segment::Sieve;
use crate::status::RunStatus;
use crate::store::StoreError;
use crate::store::runs::{Audience, Run};

/// A wall clock that gained more on the machine's own count between two rounds was set forward, and one that lost
/// more was set back.
const JUMP: i64 = 5_000;

/// A machine that has just come up may set its clock right: that is no doubt about hours to come.
const COMING_UP: Duration = Duration::from_secs(600);

/// A node whose own clock is behind leaves a run so long to those whose clocks are right.
const LEFT: Duration = Duration::from_millis(MINUTE.unsigned_abs());
/// Who begins a run that waits no longer than this, to be taken back, was told the wait: one clock counts it.
const SHORTLY: Duration = Duration::from_secs(300);

/// The wall clock held against the machine's own count, round after round.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    last: Option<(Timestamp, Duration)>,
    /// By how many milliseconds the wall clock was set forward and not back again, and when by that clock.
    ahead: i64,
    at: Timestamp,
}

impl Clocks {
    /// Takes a round at `wall`, when the machine has been up for so long, into account. Gives by how much the wall
    /// clock was set forward since the last.
    fn tick(&mut self, wall: Timestamp, up: Duration) -> Duration {
        let Some((before, was_up)) = self.last.replace((wall, up)) else {
            return Duration::ZERO;
        };
        let passed = i64::try_from(up.saturating_sub(was_up).as_millis()).unwrap_or(i64::MAX);
        let jump = wall.0.saturating_sub(before.0).saturating_sub(passed);
        if jump.abs() <= JUMP {
            return Duration::ZERO;
        }
        if jump < 0 || up > COMING_UP {
            self.ahead = self.ahead.saturating_add(jump).max(0);
        }
        self.at = wall;
        Duration::from_millis(u64::try_from(jump).unwrap_or(0))
    }

    /// By how much the clock may be ahead for a run that stands where it does `since` then: whoever schedules one or lets
    /// one go on afterwards has that clock before her.
    pub(super) fn ahead(&self, since: i64) -> Duration {
        let ahead = u64::try_from(self.ahead).unwrap_or(0);
        Duration::from_millis(if since < self.at.0 { ahead } else { 0 })
    }
}

impl Engine {
    /// Starts what is due, and holds what is due by a clock that jumped, or since too long.
    pub(super) async fn start_due(&self, clocks: &mut Clocks) -> Result<(), StoreError> {
        let app = &self.shared.app;
        let (now, up) = (app.clock.now(), uptime());
        let due = app.store.runs_to_start(now).await?;
        // Only now: a round that failed before is measured together with the next.
        let jump = clocks.tick(app.clock.watched(), up);
        let sure = app.clock.sure();
        for run in due.iter().filter(|run| self.charge.starts(run.id())) {
            let start = Timestamp(run.start_at.unwrap_or(now.0));
            let late = now.since(start);
            let jump = jump.max(clocks.ahead(run.since));
            let why = if !jump.is_zero() && start > now.before(jump) {
                format!(
                    "the clock was set forward by {}, so its hour may not have come; look at the clock, then \
                     let it start",
                    span(jump)
                )
            } else if start > sure && start.since(Timestamp(run.created_at)) > SHORTLY {
                if late <= LEFT {
                    continue;
                }
                let zone = run.zone.as_deref().unwrap_or("UTC");
                format!(
                    "by the database's clock it is {} and its hour has come, by that of {} it is {} and its hour has \
                     not: set the wrong one right (NTP), then let it go on",
                    shown(now, zone),
                    self.node,
                    shown(sure, zone)
                )
            } else if late > app.config.send.late_start {
                format!(
                    "its start is {} late, more than `send.late_start` ({}): nobody was there to send",
                    span(late),
                    span(app.config.send.late_start)
                )
            } else if self.is_being_copied(run).await? {
                continue;
            } else if let Some(why) = self.found_otherwise(run).await? {
                why
            } else {
                if app.store.start_run(run.id(), now).await? {
                    tracing::info!(run.id = run.id, "the hour of a run has come");
                }
                continue;
            };
            app.store
                .set_run_status(
                    run.id(),
                    RunStatus::Scheduled,
                    RunStatus::Held,
                    Some(&why),
                    now,
                )
                .await?;
        }
        Ok(())
    }

    /// Whether another run of the issue of `run` copies its readers now: who of both is to get it is known after that.
    async fn is_being_copied(&self, run: &Run) -> Result<bool, StoreError> {
        let open = self.shared.app.store.open_runs_of(&run.slug).await?;
        let copied = |other: &Run| {
            other.id != run.id && other.status == RunStatus::Freezing && self.charge.has(other)
        };
        Ok(open.iter().any(copied))
    }

    /// What has become of the readers of `run` since it was planned, where that is far from what the author saw then: too
    /// many or too few of them, nobody at all, or some who have got the issue by another run.
    async fn found_otherwise(&self, run: &Run) -> Result<Option<String>, StoreError> {
        let (store, now) = (&self.shared.app.store, self.shared.app.clock.now());
        let (Some(list), true) = (run.list_id, run.audience == Audience::List.name()) else {
            return Ok(None);
        };
        let (list, monthly) = (ListId(list), run.monthly == 1);
        let sieve = run.segment.as_deref().map(Sieve::from_json);
        let readers = match sieve {
            None => store.confirmed_on(list, monthly).await?.readers,
            Some(Some(sieve)) => {
                store
                    .in_segment(list, &sieve.filter, monthly, now)
                    .await?
                    .readers
            }
            Some(None) => 0,
        };
        if readers == 0 {
            return Ok(Some(match run.said_segment() {
                None => "nobody on its list would get it; look at the list, then let it go on"
                    .to_owned(),
                Some(said) => format!(
                    "nobody on its list is in `{said}`; look at the segment, then let it go on"
                ),
            }));
        }
        let then = run.expected.filter(|&then| guards::is_far(readers, then));
        if let Some(then) = then {
            return Ok(Some(format!(
                "it would go to {readers} readers, and to {then} when it was planned; look at the list, then let it go on"
            )));
        }
        doubles::meanwhile(store, run, now).await
    }

    /// Works out when it is the readers' own hour, before their freeze begins.
    pub(super) async fn find_local_hours(&self, run: &Run) -> Result<(), StoreError> {
        let store = &self.shared.app.store;
        let (Some(local), Some(list), 0) = (&run.local_at, run.list_id, run.recipients) else {
            return Ok(());
        };
        let zones = match &run.zone_field {
            None => Vec::new(),
            // A zone that no reader of the run's segment has costs nothing here.
            Some(field) => {
                store
                    .zones_of(ListId(list), field, None, Timestamp(0))
                    .await?
            }
        };
        let usual = run.zone.as_deref().unwrap_or("UTC");
        let dues = plan::local_dues(local, usual, zones.iter().map(|(zone, _)| zone.as_deref()));
        store.set_dues(run.id(), &dues).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{COMING_UP, Clocks};
    use crate::clock::{Clock, Timestamp, uptime};

    const HOUR: u64 = 3600;

    /// Rounds at so many seconds of the wall clock and of the machine's own; gives the clocks and the last jump.
    fn rounds(rounds: &[(i64, u64)]) -> (Clocks, Duration) {
        let mut clocks = Clocks::default();
        let mut jump = Duration::ZERO;
        for &(wall, up) in rounds {
            jump = clocks.tick(Timestamp(wall * 1000), Duration::from_secs(up));
        }
        (clocks, jump)
    }

    #[test]
    fn only_a_clock_set_forward_is_a_jump() {
        for (wall, up, expected) in [
            (1001, 11, 0),
            (1003, 11, 0),
            (4601, 11, 3600),
            // A machine that slept: both went on.
            (4600, 3610, 0),
            (-2599, 11, 0),
        ] {
            let (_, jump) = rounds(&[(1000, 10), (wall, up)]);
            assert_eq!(jump, Duration::from_secs(expected), "{wall} {up}");
        }
    }

    #[test]
    fn to_go_over_to_the_databases_clock_is_no_jump() {
        let clock = Clock::shared();
        let mut clocks = Clocks::default();
        for lag in [4_900, 5_100, 4_900, 5_100, 900, 5_100] {
            clock.hear(Timestamp(Clock::System.now().0 + lag), uptime());
            let jump = clocks.tick(clock.watched(), uptime().max(COMING_UP + COMING_UP));
            assert_eq!((jump, clocks.ahead(0)), (Duration::ZERO, Duration::ZERO));
        }
    }

    #[test]
    fn a_clock_set_forward_is_doubted_until_it_is_set_back() {
        let hour = Duration::from_secs(HOUR);
        let jumped = [(1000, HOUR), (4601, HOUR + 1), (4602, HOUR + 2)];
        let (clocks, jump) = rounds(&jumped);
        assert_eq!((jump, clocks.ahead(0)), (Duration::ZERO, hour));
        assert_eq!(clocks.ahead(4_601_500), Duration::ZERO, "scheduled since");
        let back = [jumped.as_slice(), &[(1003, HOUR + 3)]].concat();
        assert_eq!(rounds(&back).0.ahead(0), Duration::ZERO);
        let (coming_up, _) = rounds(&[(1000, 20), (4601, 21), (4602, 22)]);
        assert_eq!(
            coming_up.ahead(0),
            Duration::ZERO,
            "a machine without a clock of its own"
        );
    }
}
