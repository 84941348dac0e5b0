//! Why a run stands still of which nothing has begun: its hour is to come, has passed with nobody there, or was put off.

use std::time::Duration;

use crate::clock::{AGREES, Timestamp};
use crate::run::why::{Cause, Facts, LOST, Why};
use crate::schedule::{shown, span};

/// Clocks that are no farther apart agree.
const AGREE: Duration = Duration::from_millis(AGREES.unsigned_abs());

impl Facts<'_> {
    /// Waits for its hour.
    pub(super) fn scheduled(&self, why: &mut Why) -> String {
        if self.run.is_overdue(self.now) {
            return self.overdue(why);
        }
        let start = self.start();
        why.cause = Cause::Scheduled;
        why.next = Some(start.0);
        why.since = None;
        let zone = self.run.zone.as_deref().unwrap_or(self.zone);
        let shown = shown(start, zone);
        let wait = span(start.since(self.now));
        let local = match &self.run.local_at {
            Some(local) => format!(
                ", for each reader at {} by their own clock",
                local.replace('T', " ")
            ),
            None => String::new(),
        };
        let who = match self.sending {
            true => "",
            false => {
                "; no process that would send it is there now: `pressrun serve` must run by then"
            }
        };
        format!(
            "is scheduled and starts {shown} (in {wait}){local}: its content is fixed, its readers are those \
             of that moment, and `pressrun cancel {}` takes it back{who}",
            self.name
        )
    }

    /// Its hour has passed, and it has not begun.
    fn overdue(&self, why: &mut Why) -> String {
        let start = self.start();
        let late = self.now.since(start);
        let hour = format!("its hour was {} ({} ago)", self.at(start.0), span(late));
        why.since = Some(start.0);
        why.cause = Cause::Scheduled;
        let behind = self.now.since(self.sure);
        if !self.run.is_overdue(self.sure) && behind > AGREE {
            let behind = span(behind);
            return format!(
                "did not start: {hour} by one clock, and is still to come by another, {behind} behind it, that of this \
                 machine or of the database: set the wrong one right (NTP)"
            );
        }
        if let Some(other) = self.copied {
            return format!(
                "waits until run {other} has copied its readers, for then it is known who gets `{}` by which of them: \
                 {hour}",
                self.run.slug
            );
        }
        if self.sending {
            return format!("is about to start: {hour}");
        }
        why.cause = Cause::NobodySends;
        why.unaffected = Some(LOST);
        let sure = if late > self.late_start { " --yes" } else { "" };
        why.command = Some(format!("pressrun resume {}{sure}", self.name));
        format!("did not start: {hour}, and no process was there to send it")
    }

    /// What a pause means for its hour.
    pub(super) fn paused_before(&self, why: &mut Why) -> String {
        let since = self.since(why.since);
        let start = self.start();
        if self.run.is_overdue(self.now) {
            if self.now.since(start) > self.late_start {
                why.command = Some(format!("pressrun resume {} --yes", self.name));
            }
            return format!(
                "is paused by hand{since}: its hour, {}, has passed, so it starts at once when it is resumed",
                self.at(start.0)
            );
        }
        format!(
            "is paused by hand{since}: its hour is {}, and it starts then if it is resumed by then",
            self.then(start.0)
        )
    }

    /// What a hold means for its hour.
    pub(super) fn held_before(&self) -> String {
        match self.run.is_overdue(self.now) {
            true => "nothing of it was sent, and it starts at once when a person says so".into(),
            false => format!(
                "nothing of it was sent; its hour is {}, and it starts then if a person has said so",
                self.then(self.start().0)
            ),
        }
    }

    fn start(&self) -> Timestamp {
        Timestamp(self.run.start_at.unwrap_or(self.now.0))
    }
}
