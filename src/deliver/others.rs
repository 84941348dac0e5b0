//! Runs that other machines can send and this one cannot.

use crate::deliver::{Engine, setup};
use crate::store::StoreError;
use crate::store::runs::Run;

impl Engine {
    /// A run through a relay that is not described here is sent by those who know it; where nobody does, it is held.
    pub(super) async fn leave_to_others(&self, run: &Run) -> Result<(), StoreError> {
        let app = &self.shared.app;
        if setup::who_knows(&app.store, &run.relay, &self.node)
            .await?
            .is_empty()
        {
            let why = format!(
                "`{}` names a relay that the configuration of {} does not describe; describe it and restart the \
                 sender there, or cancel the run and give the others theirs with `--continue --relay NAME`",
                run.relay, self.node
            );
            self.shared.hold(run.id(), &why).await;
        }
        Ok(())
    }
}
