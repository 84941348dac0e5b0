//! Blocks on loan: what this process holds of a run goes back, whatever the database says meanwhile.
//!
//! Promises: no block stays this process's of which it knows nothing, nor one that is done: a lease of a living process
//! ends by nothing else.

use std::collections::HashMap;

use crate::deliver::Engine;
use crate::id::RunId;
use crate::store::StoreError;

impl Engine {
    /// Gives blocks back whose jobs are all settled.
    pub(super) async fn give_back_finished(&self) -> Result<(), StoreError> {
        let (done, store) = (&self.shared.done, &self.shared.app.store);
        let mut released = Ok(());
        for (run, blocks) in by_run(done.take()) {
            let given = match &released {
                Ok(()) => store.release_blocks(run, self.boot, &blocks).await,
                Err(_) => Ok(()),
            };
            if released.is_err() || given.is_err() {
                done.put_back(run, &blocks);
            }
            released = released.and(given);
        }
        released
    }

    /// Gives blocks back that stand as this process's and of which it knows nothing: the answer to a lease was lost on
    /// its way.
    pub(super) async fn give_back_unknown(&self) -> Result<(), StoreError> {
        let (done, store) = (&self.shared.done, &self.shared.app.store);
        let mut leased = store.leased_blocks(self.boot).await?;
        leased.retain(|&(run, block)| !done.has(run, block));
        for (run, blocks) in by_run(leased) {
            tracing::warn!(
                run.id = run.0,
                blocks = blocks.len(),
                "blocks of which nothing was loaded are given back"
            );
            store.release_blocks(run, self.boot, &blocks).await?;
        }
        Ok(())
    }
}

fn by_run(blocks: Vec<(RunId, u32)>) -> HashMap<RunId, Vec<u32>> {
    let mut by_run: HashMap<RunId, Vec<u32>> = HashMap::new();
    for (run, block) in blocks {
        by_run.entry(run).or_default().push(block);
    }
    by_run
}
