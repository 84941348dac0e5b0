//! One round of the dispatcher: what came from outside first, then the runs, then what is told of it.
//!
//! Promises: nothing is taken up while the disk is full, while a reader's leaving waits in the journal, or while it is
//! doubtful whether anything may be sent.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::deliver::Engine;
use crate::deliver::charge::Charge;
use crate::deliver::dispatch::Memory;
use crate::run::{self, seal};
use crate::status::RunStatus;
use crate::store::StoreError;
use crate::store::runs::Run;

/// Between two looks for runs that somebody cancelled in part.
const SWEEP: Duration = Duration::from_secs(5);
/// Between two looks at the database's clock, and at what other senders have told.
const OTHERS: Duration = Duration::from_secs(1);

impl Engine {
    pub(super) async fn round(&self, memory: &mut Memory) -> Result<(), StoreError> {
        let shared = &self.shared;
        if memory.heard.is_none_or(|heard| heard.elapsed() >= OTHERS) {
            self.mind_others(&mut memory.ahead).await?;
            memory.heard = Some(Instant::now());
        }
        self.give_back_finished().await?;
        if !self.is_journal_empty().await || self.is_full(memory) {
            return Ok(());
        }
        if self.charge != Charge::Mails {
            self.start_due(&mut memory.clocks).await?;
            self.finish_cancelled(memory).await?;
        }
        self.look_up_runs(memory).await?;
        // The time that the guard looked at is the time by which jobs are taken up: a clock that jumps meanwhile makes
        // none due and none old.
        let now = shared.app.clock.now();
        if self.is_doubtful(memory, now).await || self.may_not_sign(memory).await? {
            return Ok(());
        }
        self.beat(memory).await;
        let mut order: Vec<_> = memory.runs.values().cloned().collect();
        order.sort_by_key(|run| run.id);
        self.go_on(&order, memory, now).await?;
        let known: Vec<&Run> = order.iter().map(Arc::as_ref).collect();
        let trouble = shared.trouble();
        self.tell_author(&mut memory.telling, &known, trouble.as_ref(), false)
            .await;
        self.tell(memory, trouble).await;
        Ok(())
    }

    /// Brings the leavings of the journal in. False as long as any may be left in it.
    async fn is_journal_empty(&self) -> bool {
        match self.journal.bring_in(&self.shared.app.store).await {
            // Another is at it, and soon done, where this is false.
            Ok(done) => done,
            Err(error) => {
                tracing::error!(
                    "readers who left wait in the journal, and nothing is taken up: {error:#}"
                );
                false
            }
        }
    }

    /// Looks the runs up that are under way, and minds what changed about them since the last round.
    async fn look_up_runs(&self, memory: &mut Memory) -> Result<(), StoreError> {
        let shared = &self.shared;
        let mut runs = shared.app.store.active_runs().await?;
        runs.retain(|run| self.charge.has(run));
        let before = std::mem::take(&mut memory.runs);
        memory.runs = runs
            .into_iter()
            .map(|run| (run.id(), Arc::new(run)))
            .collect();
        // Held and let go on between two looks, it goes on since another time.
        let anew = |id, run: &Run| {
            before
                .get(id)
                .is_none_or(|known: &Arc<Run>| known.since != run.since)
        };
        for (id, run) in &memory.runs {
            if anew(id, run) {
                shared.forgive(run);
            } else if let Some(left) = shared.believed_no_more(run) {
                shared.app.store.set_doubted(*id, &left).await?;
            }
        }
        let froze = |id, run: &Run| {
            before
                .get(id)
                .is_some_and(|known| known.status != run.status)
        };
        for (id, run) in &memory.runs {
            if anew(id, run) || froze(id, run) {
                seal::put(&shared.app, run).await?;
            }
        }
        let active = &memory.runs;
        shared.retain(|id| active.contains_key(&id));
        Ok(())
    }

    /// Freezes and feeds the runs, in their order.
    async fn go_on(
        &self,
        order: &[Arc<Run>],
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sending = order
            .iter()
            .filter(|run| run.status == RunStatus::Sending)
            .count();
        let known: Vec<&Run> = order.iter().map(Arc::as_ref).collect();
        let changed = self.mind_stages(&mut memory.watched, &known).await?;
        for run in order.iter().filter(|run| !changed.contains(&run.id())) {
            match run.status {
                RunStatus::Freezing => self.freeze(run).await?,
                RunStatus::Sending if run.local_at.is_some() => {
                    // Nobody's own hour has come by a clock that was set forward meanwhile, or by one of two alone.
                    let now = now.before(memory.clocks.ahead(run.since));
                    let now = now.min(self.shared.app.clock.sure());
                    self.feed(run, sending, now).await?;
                }
                RunStatus::Sending | RunStatus::Open => self.feed(run, sending, now).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the disk with the database is full: nothing is taken up then, and what waits is forgotten, until there is
    /// room in reserve again.
    fn is_full(&self, memory: &mut Memory) -> bool {
        let store = &self.shared.app.store;
        if store.full_since().is_none() || store.keep_reserve() {
            if std::mem::take(&mut memory.full) {
                tracing::info!("the disk with the database has room again");
            }
            return false;
        }
        memory.full = true;
        self.shared.retain(|_| false);
        true
    }

    /// Takes out what a cancel that was killed left in the queue.
    async fn finish_cancelled(&self, memory: &mut Memory) -> Result<(), StoreError> {
        if memory.swept.is_some_and(|swept| swept.elapsed() < SWEEP) {
            return Ok(());
        }
        let app = &self.shared.app;
        let mut left = 0;
        for run in app.store.half_cancelled().await? {
            let now = app.clock.now();
            left += app.store.cancel_some(run, run::CANCEL_STEP, now).await?;
        }
        // What is left is for the next rounds, so that a stop is heard in between.
        memory.swept = (left == 0).then(Instant::now);
        Ok(())
    }
}
