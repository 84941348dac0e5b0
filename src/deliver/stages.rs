//! Stages of a run: opened one by one while its numbers keep their band, and held when they leave it. A run without
//! stages is held for complaints alone.
//!
//! Promises: the bound rises only after the stage was tried whole and its wait is over; a hold says which
//! number left which band, and a person who lets the run go on has seen it: from there on only what comes of later copies
//! counts, for readers leave by an earlier one for hours. The wait of a stage
//! that was tried whole is over with that, too; of one that was not, nobody has seen all.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::deliver::{Engine, Shared};
use crate::delivery::{Outcome, Settled};
use crate::id::{ListId, RunId};
use crate::lock::lock;
use crate::rollout::{self, Answers, BAND, Base, Limits, Numbers, provider};
use crate::status::RunStatus;
use crate::store::StoreError;
use crate::store::leases::Queued;
use crate::store::runs::Run;
use crate::store::stages::AnswersRow;
use crate::track::fold;
use crate::trial::Trial;

/// Between two looks at the numbers of a run: they are sums over all of its blocks.
const LOOK: Duration = Duration::from_millis(500);
/// Between two writes of what was counted here.
const WRITE: Duration = Duration::from_millis(500);

/// First answers by run and group of domains that are not written down yet.
pub(super) type Counted = BTreeMap<(RunId, &'static str), Answers>;

/// What the dispatcher remembers of stages between two rounds.
#[derive(Default)]
pub(super) struct Watched {
    written: Option<Instant>,
    runs: BTreeMap<RunId, Watch>,
}

#[derive(Default)]
struct Watch {
    looked: Option<Instant>,
    /// Until when the copies of the run are not counted once more: that goes through its rows.
    rests: Option<Instant>,
    /// What this list's earlier runs came to.
    before: Vec<Numbers>,
}

/// What came of a look at the numbers of a run.
enum Judged {
    Inside,
    /// Which number left which band.
    Outside(String),
    /// The sums of all copies left their band, and it is too early to look through the later ones again.
    Unknown,
}

/// What comes next of a stage.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Stays,
    /// It left its band.
    Holds(String),
    /// All of it may have been tried by now.
    IsOut,
    /// All of it was tried, and its wait is over.
    IsOver,
}

/// What comes next, after a look at the numbers, of a stage that was tried whole at `staged_at` and waits for so many
/// milliseconds from then on; one of a step that there is not has no wait.
fn next(judged: Judged, staged_at: Option<i64>, wait: Option<i64>, now: Timestamp) -> Next {
    match (judged, staged_at, wait) {
        (Judged::Outside(why), _, _) => Next::Holds(why),
        // Invariant: the bound does not rise over numbers that nobody could judge.
        (Judged::Unknown, _, _) | (_, _, None) => Next::Stays,
        (Judged::Inside, None, _) => Next::IsOut,
        (Judged::Inside, Some(tried), Some(wait)) if now.0 < tried.saturating_add(wait) => {
            Next::Stays
        }
        (Judged::Inside, Some(_), Some(_)) => Next::IsOver,
    }
}

impl From<Option<String>> for Judged {
    fn from(outside: Option<String>) -> Judged {
        outside.map_or(Judged::Inside, Judged::Outside)
    }
}

impl Shared {
    /// Counts the first answer about a recipient.
    pub(super) fn count_answer(&self, run: &Run, row: &Queued, settled: &Settled) {
        if row.attempts > 0 || run.id() == RunId::SYSTEM {
            return;
        }
        let deferred = match settled.outcome {
            Outcome::Sent(_) | Outcome::Bounced(_) => 0,
            Outcome::Deferred { .. } | Outcome::Expired(_) => 1,
            _ => return,
        };
        let key = (run.id(), provider::of(&row.address));
        let mut counted = lock(&self.counted);
        let answers = counted.entry(key).or_default();
        answers.answered += 1;
        answers.deferred += deferred;
    }
}

impl Engine {
    /// Writes down what was counted here. A crash loses half a second of it, which no band notices.
    pub(super) async fn write_answers(&self) -> Result<(), StoreError> {
        let counted = std::mem::take(&mut *lock(&self.shared.counted));
        if counted.is_empty() {
            return Ok(());
        }
        let row = |(&(run, provider), answers): (&(RunId, &'static str), &Answers)| AnswersRow {
            run: run.0,
            provider,
            answered: answers.answered,
            deferred: answers.deferred,
        };
        let rows: Vec<AnswersRow> = counted.iter().map(row).collect();
        let written = self.shared.app.store.add_answers(&rows).await;
        if written.is_err() {
            let mut now = lock(&self.shared.counted);
            for (key, answers) in counted {
                let sum = now.entry(key).or_default();
                sum.answered += answers.answered;
                sum.deferred += answers.deferred;
            }
        }
        written
    }

    /// Looks after the stages of all that is being sent. Gives the runs that changed by it, which this
    /// round must not feed as it knew them.
    pub(super) async fn mind_stages(
        &self,
        watched: &mut Watched,
        runs: &[&Run],
    ) -> Result<Vec<RunId>, StoreError> {
        if watched.written.is_none_or(|at| at.elapsed() >= WRITE) {
            watched.written = Some(Instant::now());
            self.write_answers().await?;
        }
        let mut changed = Vec::new();
        let mut seen = Vec::new();
        for &run in runs {
            seen.push(run.id());
            if run.status != RunStatus::Sending || run.id() == RunId::SYSTEM {
                continue;
            }
            let moved = match run.stages {
                Some(_) => self.mind(watched, run).await?,
                None => self.mind_complaints(watched, run).await?,
            };
            if moved {
                changed.push(run.id());
            }
        }
        watched.runs.retain(|id, _| seen.contains(id));
        Ok(changed)
    }

    /// Holds a run that goes to all at once when too many of its readers complain. True if it did.
    async fn mind_complaints(&self, watched: &mut Watched, run: &Run) -> Result<bool, StoreError> {
        let watch = watched.runs.entry(run.id());
        let watch = watch.or_default();
        if watch.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return Ok(false);
        }
        watch.looked = Some(Instant::now());
        let store = &self.shared.app.store;
        if store.complaints(run.id()).await? == 0 {
            return Ok(false);
        }
        let numbers = store.run_numbers(run.id()).await?;
        let limits = self.limits();
        let judge = |since: &Numbers| rollout::complained(since, &limits);
        match self.judged(run, &numbers, &mut watch.rests, judge).await? {
            Judged::Outside(why) => self.hold_for(run, &why, &numbers).await,
            Judged::Inside | Judged::Unknown => Ok(false),
        }
    }

    /// What `judge` finds in the numbers of a run. Where a person let it go on, only copies that left since are judged: who
    /// leaves by an earlier one says nothing of these. They are looked through where the sums of all would hold it, and
    /// for a tenth of the time at most.
    async fn judged(
        &self,
        run: &Run,
        numbers: &Numbers,
        rests: &mut Option<Instant>,
        judge: impl Fn(&Numbers) -> Option<String>,
    ) -> Result<Judged, StoreError> {
        let base = base_of(run);
        let since = numbers.since(&base.numbers);
        let found = judge(&since);
        if found.is_none() || base.at == 0 {
            return Ok(found.into());
        }
        let began = Instant::now();
        if rests.is_some_and(|until| began < until) {
            return Ok(Judged::Unknown);
        }
        let store = &self.shared.app.store;
        let later = store.came_of_later(run.id(), Timestamp(base.at)).await?;
        *rests = Some(Instant::now() + began.elapsed() * 10);
        Ok(judge(&since.at_most(&later)).into())
    }

    /// Holds a run by its numbers.
    async fn hold_for(&self, run: &Run, why: &str, numbers: &Numbers) -> Result<bool, StoreError> {
        let app = &self.shared.app;
        let tried = match run.open_to {
            Some(open_to) => app.store.stage_is_tried(run.id(), open_to).await?,
            None => true,
        };
        let now = app.clock.now();
        let held = app.store.hold_stage(run.id(), why, numbers, tried, now);
        if held.await? {
            tracing::warn!(run.id = run.id, "a run left its band and is held: {why}");
        }
        self.shared.retain(|id| id != run.id());
        Ok(true)
    }

    /// Opens the next stage of a run, or holds it. True if it changed.
    async fn mind(&self, watched: &mut Watched, run: &Run) -> Result<bool, StoreError> {
        let app = &self.shared.app;
        let (Some(stages), Some(list)) = (run.stages(), run.list_id) else {
            let why = "its stages cannot be read; was the database edited by hand?";
            self.shared.hold(run.id(), why).await;
            return Ok(true);
        };
        let step = run.step();
        if let Some(open_to) = run.open_to {
            // It has just been frozen: the first stage opens.
            let bound = stages.open_to(step, run.recipients, open_to);
            if bound.is_some_and(|bound| bound > open_to) {
                return self.open(run, step, bound).await;
            }
        }
        let watch = match watched.runs.entry(run.id()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let before = app.store.numbers_before(ListId(list), run.id(), BAND);
                new.insert(Watch {
                    before: before.await?,
                    ..Watch::default()
                })
            }
        };
        if watch.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return Ok(false);
        }
        watch.looked = Some(Instant::now());
        let numbers = app.store.run_numbers(run.id()).await?;
        let now = app.clock.now();
        let (limits, before) = (self.limits(), &watch.before);
        let judge = |since: &Numbers| rollout::outside(since, before, &limits);
        let judged = self.judged(run, &numbers, &mut watch.rests, judge).await?;
        // Where no bound was kept, none rises.
        let open_to = run.open_to.unwrap_or(0);
        let this = stages.steps.get(step).filter(|_| run.open_to.is_some());
        let wait = this.map(|this| this.wait);
        match next(judged, run.staged_at, wait, now) {
            Next::Stays => Ok(false),
            Next::Holds(why) => {
                let why = format!(
                    "stage {} of {} ({}): {why}",
                    step + 1,
                    stages.steps.len(),
                    stages.name(step)
                );
                self.hold_for(run, &why, &numbers).await
            }
            Next::IsOut => {
                let tried = app.store.stage_is_tried(run.id(), open_to).await?;
                if tried {
                    let stage = run.stage.unwrap_or(0);
                    app.store.stage_tried(run.id(), stage, now).await?;
                }
                Ok(tried)
            }
            Next::IsOver => {
                if let Some(trial) = run.trial().filter(|trial| trial.decision.is_none()) {
                    return self.decide(run, trial).await;
                }
                let next = step + 1;
                self.open(run, next, stages.open_to(next, run.recipients, open_to))
                    .await
            }
        }
    }

    /// Decides a subject test whose time has come; the rest opens in the next round.
    async fn decide(&self, run: &Run, mut trial: Trial) -> Result<bool, StoreError> {
        let app = &self.shared.app;
        fold::catch_up(&app.store).await?;
        let (a, b) = app
            .store
            .trial_scores(run.id(), trial.test_to(run.recipients), trial.by)
            .await?;
        trial.decision = Some(trial.decide(a, b, app.clock.now().0));
        let before = run.trial.as_deref().unwrap_or_default();
        if app
            .store
            .decide_trial(run.id(), before, &trial.to_json())
            .await?
        {
            tracing::info!(run.id = run.id, "the subject test is decided");
        }
        Ok(true)
    }

    async fn open(&self, run: &Run, step: usize, open_to: Option<i64>) -> Result<bool, StoreError> {
        let from = run.stage.unwrap_or(0);
        let to = i64::try_from(step).unwrap_or(from);
        let store = &self.shared.app.store;
        let opened = store.open_stage(run.id(), from, to, open_to).await?;
        if opened {
            tracing::info!(run.id = run.id, stage = to + 1, "a stage opens");
            self.shared.done.wake.notify_one();
        }
        Ok(true)
    }

    fn limits(&self) -> Limits {
        let limits = &self.shared.app.config.stages;
        Limits {
            bounces: limits.bounces,
            deferrals: limits.deferrals,
            unsubscribes: limits.unsubscribes,
            complaints: limits.complaints,
        }
    }
}

/// What had come of the run when a person last let it go on.
fn base_of(run: &Run) -> Base {
    let base = run.stage_base.as_deref();
    let base = base.and_then(|text| serde_json::from_str(text).ok());
    base.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Judged, Next, next};
    use crate::clock::Timestamp;

    #[test]
    fn a_stage_opens_after_its_wait_over_numbers_that_were_judged_alone() {
        let now = Timestamp(10_000);
        for (judged, staged_at, wait, expected) in [
            (Judged::Inside, None, Some(1_000), Next::IsOut),
            (Judged::Inside, Some(9_500), Some(1_000), Next::Stays),
            (Judged::Inside, Some(9_000), Some(1_000), Next::IsOver),
            (Judged::Inside, Some(9_000), None, Next::Stays),
            (Judged::Unknown, Some(9_000), Some(1_000), Next::Stays),
            (Judged::Unknown, None, Some(1_000), Next::Stays),
            (
                Judged::Outside("9 % left".into()),
                Some(9_000),
                Some(1_000),
                Next::Holds("9 % left".into()),
            ),
        ] {
            assert_eq!(next(judged, staged_at, wait, now), expected);
        }
    }
}
