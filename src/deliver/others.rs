//! Runs that other machines can send and this one cannot: through a relay that is not described here, or while this one
//! can sign nothing.
//!
//! Promises: such a run is left to those who can, and held once nobody can.

use crate::deliver::{Engine, setup};
use crate::status::RunStatus;
use crate::store::StoreError;
use crate::store::relays::ToldSender;
use crate::store::runs::Run;

impl Engine {
    /// A run through a relay that is not described here is sent by those who know it; where nobody does, it is held.
    pub(super) async fn leave_to_others(&self, run: &Run) -> Result<(), StoreError> {
        let app = &self.shared.app;
        // One that knows it and can sign nothing holds the run itself, and says why.
        let knowing = setup::who_knows(&app.store, run).await?;
        if knowing.iter().all(|sender| sender.node == self.node) {
            let why = format!(
                "`{}` names a relay that the configuration of {} does not describe; describe it and restart the \
                 sender there, or cancel the run and give the others theirs with `--continue --relay NAME`",
                run.relay, self.node
            );
            self.shared.hold(run.id(), &why).await;
        }
        Ok(())
    }

    /// A run that this machine cannot sign, for `why`, is sent by those who can; where nobody can, it is held.
    pub(super) async fn leave_to_signers(&self, run: &Run, why: &str) -> Result<(), StoreError> {
        let app = &self.shared.app;
        let knowing = setup::who_knows(&app.store, run).await?;
        let can = |sender: &ToldSender| sender.node != self.node && sender.unfit.is_none();
        if !knowing.iter().any(can) {
            let (held, now) = (RunStatus::Held, app.clock.now());
            app.store
                .set_run_status(run.id(), run.status, held, Some(why), now)
                .await?;
        }
        Ok(())
    }
}
