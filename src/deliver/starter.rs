//! Runs whose hour has come.
//!
//! Promises: none starts before its hour, whatever is done to the wall clock while this process lives; one
//! that is too late is held and said why. On PostgreSQL the database's clock must agree, so that one node
//! with a wrong clock starts nothing.

use std::time::Duration;

use crate::clock::{Timestamp, uptime};
use crate::deliver::Engine;
use crate::id::ListId;
use crate::run::plan;
use crate::schedule::span;
use crate::store::StoreError;
use crate::store::runs::Run;

/// A wall clock that gained more on the machine's own count between two rounds was set forward.
const JUMP: Duration = Duration::from_secs(5);

/// Both clocks at the last round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    wall: Timestamp,
    up: Duration,
}

impl Clocks {
    /// By how much the wall clock was set forward since `before`.
    fn jump(self, before: Clocks) -> Duration {
        let gained = self.wall.since(before.wall);
        let jump = gained.saturating_sub(self.up.saturating_sub(before.up));
        if jump > JUMP { jump } else { Duration::ZERO }
    }
}

impl Engine {
    /// Starts what is due, and holds what is due by a clock that jumped, or since too long.
    pub(super) async fn start_due(&self, before: &mut Option<Clocks>) -> Result<(), StoreError> {
        let app = &self.shared.app;
        let clocks = Clocks {
            wall: app.clock.now(),
            up: uptime(),
        };
        let jump = before.map_or(Duration::ZERO, |before| clocks.jump(before));
        let now = clocks.wall;
        let due = app.store.runs_to_start(now).await?;
        // Only now: a round that failed before is measured together with the next.
        *before = Some(clocks);
        for run in due.iter().filter(|run| self.charge.starts(run.id())) {
            let start = Timestamp(run.start_at.unwrap_or(now.0));
            let late = now.since(start);
            let why = if !jump.is_zero() && start > now.before(jump) {
                format!(
                    "the clock was set forward by {}, so its hour may not have come; look at the clock, then \
                     let it start",
                    span(jump)
                )
            } else if late > app.config.send.late_start {
                format!(
                    "its start is {} late, more than `send.late_start` ({}): nobody was there to send",
                    span(late),
                    span(app.config.send.late_start)
                )
            } else {
                if app.store.start_run(run.id(), now).await? {
                    tracing::info!(run.id = run.id, "the hour of a run has come");
                }
                continue;
            };
            app.store
                .set_run_status(run.id(), "scheduled", "held", Some(&why), now)
                .await?;
        }
        Ok(())
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

    use super::Clocks;
    use crate::clock::Timestamp;

    #[test]
    fn only_a_clock_set_forward_is_a_jump() {
        let at = |wall: i64, up: u64| Clocks {
            wall: Timestamp(wall * 1000),
            up: Duration::from_secs(up),
        };
        let before = at(1000, 10);
        for (wall, up, expected) in [
            (1001, 11, 0),
            (1003, 11, 0),
            (4601, 11, 3600),
            // A machine that slept: both went on.
            (4600, 3610, 0),
            (-2599, 11, 0),
        ] {
            let jump = at(wall, up).jump(before);
            assert_eq!(jump, Duration::from_secs(expected), "{wall} {up}");
        }
    }
}
