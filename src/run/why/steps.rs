//! Why a run goes no faster: it opens in stages, or keeps the pace that it was given.

use std::time::Duration;

use crate::clock::{DAY, Timestamp};
use crate::pace;
use crate::run::why::{Cause, Facts, Why};

impl Facts<'_> {
    /// Which stage a run is in that does not go to all yet.
    pub(super) fn stage(&self, why: &mut Why) -> Option<String> {
        let (stages, open_to) = (self.run.stages()?, self.run.open_to?);
        let step = self.run.step();
        let this = stages.steps.get(step)?;
        // Between the freeze and its first stage nothing is open yet.
        let open_to = stages.open_to(step, self.run.recipients, open_to)?;
        why.cause = Cause::Stage;
        why.unaffected = self.others();
        let said = format!(
            "opens in stages: {} of {} ({}, {open_to} readers)",
            step + 1,
            stages.steps.len(),
            stages.name(step)
        );
        let next = stages.name(step + 1);
        let Some(tried) = self.run.staged_at else {
            return Some(format!("{said} is on its way; {}", self.progress()));
        };
        // A person let it go on: the next opens at once.
        why.since = Some(tried).filter(|&tried| tried > 0);
        let opens = tried.saturating_add(this.wait);
        why.next = Some(opens.max(self.now.0));
        Some(format!(
            "{said} is out{}; {next} follows {} unless its numbers leave their band; {}",
            self.since(why.since),
            self.then(opens.max(self.now.0)),
            self.progress()
        ))
    }

    pub(super) fn paced(&self, why: &mut Why, due: i64) -> String {
        why.cause = Cause::Pace;
        why.unaffected = self.others();
        let left = self
            .run
            .spread_until
            .map(|until| Timestamp(until).since(self.now));
        let spread = left.and_then(|left| pace::spread(due, left));
        let Some(per_day) = [self.run.per_day, spread].into_iter().flatten().min() else {
            return format!(
                "is being sent; the time of its spread is over, so the rest goes as fast as it can: {}",
                self.progress()
            );
        };
        let takes = i128::from(due.max(0)) * i128::from(DAY) / i128::from(per_day.max(1));
        let takes = Duration::from_millis(u64::try_from(takes).unwrap_or(u64::MAX));
        why.next = Some(self.now.after(takes).0);
        format!(
            "keeps its pace of {}: {}, the rest by {}",
            pace::shown(per_day),
            self.progress(),
            self.then(self.now.after(takes).0)
        )
    }
}
