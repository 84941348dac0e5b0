//! Runs whose hour has come.
//!
//! Promises: none starts before its hour, whatever is done to the wall clock while this process lives; one
//! that is too late is held and said why. On PostgreSQL it must have come by the machine's clock and by the database's, so
//! that neither, where it is wrong, starts anything alone.

use std::time::Duration;

use crate::clock::{Faces, MINUTE, Timestamp, uptime};
use crate::deliver::Engine;
use crate::deliver::charge;
use crate::id::ListId;
use crate::run::{hour, plan};
use crate::schedule::{shown, span};
use crate::status::RunStatus;
use crate::store::StoreError;
use crate::store::runs::Run;

/// A wall clock that gained more on the machine's own count between two rounds was set forward, and one that lost
/// more was set back.
const JUMP: i64 = 5_000;

/// A machine that has just come up may set its clock right: that is no doubt about hours to come.
const COMING_UP: Duration = Duration::from_secs(600);

/// A node whose own clock is behind leaves a run so long to those whose clocks are right.
const LEFT: Duration = Duration::from_millis(MINUTE.unsigned_abs());
/// Who begins a run that waits no longer than this, to be taken back, was told the wait: one clock counts it.
const SHORTLY: Duration = Duration::from_secs(300);

/// The wall clocks held against the machine's own count, round after round: the machine's, and a shared database's.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    own: Watched,
    shared: Option<Watched>,
    /// By which of them it is now.
    by_shared: bool,
}

/// One of them.
#[derive(Debug, Default)]
struct Watched {
    last: Option<(Timestamp, Duration)>,
    /// By how much it was set forward since the round before.
    jump: Duration,
    /// By how many milliseconds it was set forward and not back again, and when by that clock.
    ahead: i64,
    at: Timestamp,
}

impl Clocks {
    /// Takes a round at which the clocks show this, when the machine has been up for so long, into account.
    fn tick(&mut self, faces: &Faces, up: Duration) {
        self.own.tick(faces.own, up);
        if let Some(shared) = faces.shared {
            self.shared.get_or_insert_default().tick(shared, up);
        }
        self.by_shared = faces.by_shared;
    }

    /// By how much the clocks may be ahead for a run that stands where it does `since` then: whoever schedules one or lets
    /// one go on afterwards has those clocks before her. An hour must have come by all of them, so the leap of one alone
    /// is no doubt.
    pub(super) fn ahead(&self, since: i64) -> Duration {
        self.least(|watched| watched.ahead(since))
    }

    /// The same with the leap of this round, for a run that starts by all clocks, or by the one by which it is now.
    fn leapt(&self, since: i64, by_one: bool) -> Duration {
        let leapt = |watched: &Watched| watched.jump.max(watched.ahead(since));
        match (&self.shared, by_one) {
            (Some(shared), true) if self.by_shared => leapt(shared),
            (_, true) => leapt(&self.own),
            (_, false) => self.least(leapt),
        }
    }

    fn least(&self, of: impl Fn(&Watched) -> Duration) -> Duration {
        let own = of(&self.own);
        self.shared
            .as_ref()
            .map_or(own, |shared| own.min(of(shared)))
    }
}

impl Watched {
    fn tick(&mut self, wall: Timestamp, up: Duration) {
        self.jump = Duration::ZERO;
        let Some((before, was_up)) = self.last.replace((wall, up)) else {
            return;
        };
        let passed = i64::try_from(up.saturating_sub(was_up).as_millis()).unwrap_or(i64::MAX);
        let jump = wall.0.saturating_sub(before.0).saturating_sub(passed);
        if jump.abs() <= JUMP {
            return;
        }
        if jump < 0 || up > COMING_UP {
            self.ahead = self.ahead.saturating_add(jump).max(0);
        }
        self.at = wall;
        self.jump = Duration::from_millis(u64::try_from(jump).unwrap_or(0));
    }

    fn ahead(&self, since: i64) -> Duration {
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
        clocks.tick(&app.clock.faces(), up);
        let sure = app.clock.sure();
        for run in due.iter().filter(|run| self.charge.starts(run.id())) {
            let start = Timestamp(run.start_at.unwrap_or(now.0));
            let late = now.since(start);
            let shortly = start.since(Timestamp(run.created_at)) <= SHORTLY;
            let jump = clocks.leapt(run.since, shortly);
            let why = if !jump.is_zero() && start > now.before(jump) {
                format!(
                    "the clock was set forward by {}, so its hour may not have come; look at the clock, then \
                     let it start",
                    span(jump)
                )
            } else if start > sure && !shortly {
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
            } else if self.is_being_copied(run).await? {
                continue;
            } else if let Some(why) = hour::too_late(app, run) {
                why
            } else if let Some(why) = hour::found_otherwise(&app.store, run, now).await? {
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
        let store = &self.shared.app.store;
        let mut copied = store.open_runs_of(&run.slug).await?;
        copied.retain(|other| other.id != run.id && other.status == RunStatus::Freezing);
        if copied.is_empty() {
            return Ok(false);
        }
        // Another node may be the one that copies.
        let mut charges = charge::told(store).await?;
        charges.push(self.charge.clone());
        Ok(copied
            .iter()
            .any(|other| charges.iter().any(|charge| charge.has(other))))
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
    use crate::clock::{Clock, Faces, Timestamp, uptime};

    const HOUR: u64 = 3600;

    /// Rounds at so many seconds of the wall clock and of the machine's own; gives the clocks and the last jump.
    fn rounds(rounds: &[(i64, u64)]) -> (Clocks, Duration) {
        let rounds: Vec<_> = rounds.iter().map(|&(wall, up)| (wall, None, up)).collect();
        beside_a_database(&rounds)
    }

    /// The same, with the seconds that a shared database's clock shows.
    fn beside_a_database(rounds: &[(i64, Option<i64>, u64)]) -> (Clocks, Duration) {
        let mut clocks = Clocks::default();
        for &(wall, shared, up) in rounds {
            let faces = Faces {
                own: Timestamp(wall * 1000),
                shared: shared.map(|shared| Timestamp(shared * 1000)),
                by_shared: shared.is_some_and(|shared| shared.abs_diff(wall) > 5),
            };
            clocks.tick(&faces, Duration::from_secs(up));
        }
        let jump = clocks.least(|watched| watched.jump);
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
            clocks.tick(&clock.faces(), uptime().max(COMING_UP + COMING_UP));
            for by_one in [false, true] {
                assert_eq!(clocks.leapt(0, by_one), Duration::ZERO);
            }
        }
    }

    #[test]
    fn one_of_two_clocks_that_is_set_forward_is_doubted_by_what_goes_by_it_alone() {
        let (hour, zero) = (Duration::from_secs(HOUR), Duration::ZERO);
        let at = |own: i64, shared: i64, up: u64| (1000 + own, Some(1000 + shared), HOUR + up);
        for (rounds, doubted, by_one) in [
            // The database's, while both agree: set back by three seconds, and right again by six.
            ([at(0, 0, 0), at(1, -5, 1), at(2, 2, 2)], zero, zero),
            ([at(0, 0, 0), at(1, 1, 1), at(2, 3602, 2)], zero, hour),
            // The machine's: it is not gone by.
            ([at(0, 0, 0), at(1, 1, 1), at(3602, 2, 2)], zero, zero),
            // Both, one after the other.
            ([at(0, 0, 0), at(3601, 1, 1), at(3602, 3602, 2)], hour, hour),
        ] {
            let (clocks, _) = beside_a_database(&rounds);
            let found = (clocks.leapt(0, false), clocks.leapt(0, true));
            assert_eq!(found, (doubted, by_one), "{rounds:?}");
            assert_eq!(clocks.ahead(0), doubted, "{rounds:?}");
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
