//! A run's subject test in numbers: decided and frozen, or as it stands so far.

use anyhow::Context;

use crate::app::App;
use crate::id::RunId;
use crate::stats::TestNumbers;
use crate::status::RunStatus;
use crate::store::StoreError;
use crate::store::runs::{Audience, Run};
use crate::track::fold;
use crate::trial::Trial;

/// The subject test of run `id`, where it has one.
pub async fn numbers_of(app: &App, id: RunId) -> Result<Option<TestNumbers>, StoreError> {
    match app.store.run(id).await? {
        Some(run) => numbers(app, &run).await,
        None => Ok(None),
    }
}

/// Has counted what an undecided test is told by. A page shows what is counted so far instead, as that may take long.
pub async fn catch_up(app: &App, run: &Run) -> Result<(), StoreError> {
    match run.trial() {
        Some(Trial { decision: None, .. }) => fold::catch_up(&app.store).await,
        _ => Ok(()),
    }
}

/// The subject test of `run`, where it has one: decided, or by what is counted so far.
pub async fn numbers(app: &App, run: &Run) -> Result<Option<TestNumbers>, StoreError> {
    let Some(trial) = run.trial() else {
        return Ok(None);
    };
    let (decided, decision) = match &trial.decision {
        Some(decision) => (true, decision.clone()),
        None => {
            let to = trial.test_to(run.recipients);
            let (a, b) = app.store.trial_scores(run.id(), to, trial.by).await?;
            (false, trial.decide(a, b, app.clock.now().0))
        }
    };
    Ok(Some(TestNumbers {
        a: trial.a,
        b: trial.b,
        decided,
        decision,
        rest: match run.status {
            RunStatus::Finished => "got",
            RunStatus::Cancelled => "was to get",
            _ => "gets",
        },
    }))
}

/// The same in one sentence.
pub async fn sentence(app: &App, run: &Run) -> Result<Option<String>, StoreError> {
    let numbers = numbers(app, run).await?;
    Ok(numbers.map(|numbers| numbers.sentence()))
}

/// The subject test that a run to the rest of `run` continues, and the run that had it.
pub async fn continued(app: &App, run: &Run) -> anyhow::Result<Option<(RunId, Trial)>> {
    let mut run = run.clone();
    // One may have been continued before. An origin is older than what it gives the audience of.
    loop {
        if let Some(trial) = run.trial() {
            return Ok(Some((run.id(), trial)));
        }
        let origin = run.origin.filter(|&origin| origin < run.id);
        let origin = origin.filter(|_| run.audience == Audience::Continue.name());
        let Some(origin) = origin else {
            return Ok(None);
        };
        run = app
            .store
            .run(RunId(origin))
            .await?
            .context("the run is gone")?;
    }
}

/// The revision under the second subject of run `id`.
pub(super) async fn revision_b(app: &App, id: RunId) -> anyhow::Result<String> {
    let run = app.store.run(id).await?.context("the run is gone")?;
    let trial = run
        .trial()
        .context("the run's subject test cannot be read")?;
    Ok(trial.revision_b)
}
