//! Runs that keep a pace: `--rate`, `--over`.
//!
//! Promises: no more of a run is given out than its pace allows, by whatever number of machines, and the pace is used
//! up by what was given out alone; a spread keeps its pace over whatever holds it up. Nothing of such a run waits in
//! memory that may not go out at once.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::deliver::Engine;
use crate::deliver::standing::Via;
use crate::pace::{self, Grant};
use crate::store::StoreError;
use crate::store::runs::Run;

/// What may go out of a run in this round.
struct Allowance<'a> {
    run: &'a Run,
    /// None where the time of a spread is over: what is left goes out as fast as it may.
    grant: Option<Grant>,
    /// When the spread ends.
    until: Option<Timestamp>,
    /// The mark as it stands with the run.
    mark: Option<i64>,
    given: usize,
}

impl<'a> Allowance<'a> {
    fn of(run: &'a Run, queued: i64, now: Timestamp) -> Allowance<'a> {
        let mark = Timestamp(run.paced_to.unwrap_or(run.since));
        let kept = |until| pace::kept(queued, run.per_day, Timestamp(until), mark, now);
        let until = run.spread_until.map(kept);
        let spread = until.and_then(|until| pace::spread(queued, until.since(now)));
        let per_day = [run.per_day, spread].into_iter().flatten().min();
        let mark = run.paced_to;
        Allowance {
            run,
            grant: per_day.map(|per_day| pace::grant(per_day, mark.map(Timestamp), now)),
            until,
            mark,
            given: 0,
        }
    }

    /// How many more may go out.
    fn left(&self) -> usize {
        let allowed = self.grant.map_or(usize::MAX, |grant| grant.messages);
        allowed.saturating_sub(self.given)
    }
}

impl Engine {
    /// Gives out what the run's pace allows now: what is due in blocks that are held, and then in others.
    pub(super) async fn feed_paced(
        &self,
        run: &Arc<Run>,
        via: Via,
        wanted: usize,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (store, queue) = (&self.shared.app.store, &self.shared.queue);
        let queued = store.counts(run.id()).await?.queued;
        let mut allowance = Allowance::of(run, queued, now);
        if allowance.left() == 0 || store.due(run.id(), now).await? == 0 {
            return self.finish(run).await;
        }
        let wants =
            |allowance: &Allowance<'_>| allowance.left() > 0 && queue.len(run.id()) < wanted;
        for held in queue.held(run.id()) {
            if !wants(&allowance) {
                return Ok(());
            }
            let rows = store.load_block(run.id(), held.block(), now).await?;
            let mut rows = held.fresh(rows);
            rows.truncate(allowance.left());
            if !self.use_up(&mut allowance, rows.len()).await? {
                return Ok(());
            }
            queue.push_new(run, via, &held, rows);
        }
        while wants(&allowance) {
            let lease = self.shared.app.config.send.lease;
            let blocks = store
                .lease_blocks(run.id(), &self.node, self.boot, lease, 1, now)
                .await?;
            let Some(&block) = blocks.first() else {
                return self.finish(run).await;
            };
            if self.shared.done.is_open(run.id(), block) {
                continue;
            }
            // A block that cannot be read now, or of which nothing may go out, is given back with no job done.
            let rows = store.load_block(run.id(), block, now).await;
            let failed = rows.as_ref().err().map(ToString::to_string);
            let mut rows = rows.unwrap_or_default();
            rows.truncate(allowance.left());
            let taken = self.use_up(&mut allowance, rows.len()).await;
            if !matches!(taken, Ok(true)) {
                rows.clear();
            }
            queue.push_block(run, via, block, rows);
            if let Some(error) = failed {
                tracing::error!(error, run.id = run.id, "a block could not be read");
                return Ok(());
            }
            if !taken? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Uses up the pace by so many more messages. False if another machine was first.
    async fn use_up(
        &self,
        allowance: &mut Allowance<'_>,
        messages: usize,
    ) -> Result<bool, StoreError> {
        let Some(grant) = allowance.grant.filter(|_| messages > 0) else {
            return Ok(true);
        };
        let used = grant.used_by(allowance.given + messages);
        let (id, mark) = (allowance.run.id(), allowance.mark);
        let store = &self.shared.app.store;
        let taken = store.move_pace(id, mark, used, allowance.until).await?;
        if taken {
            allowance.given += messages;
            allowance.mark = Some(used.0);
        }
        Ok(taken)
    }
}
