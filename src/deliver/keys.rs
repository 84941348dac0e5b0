//! Whether this process may sign: by the keyring's file as it is now, and by what the database knows of its keys.
//!
//! Promises: no copy is signed with a key that the file no longer calls active or that was revoked on another machine;
//! a run is left to the machines that can sign, and held rather than sent with links that are dead where none can.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::keys;
use crate::deliver::Engine;
use crate::deliver::dispatch::Memory;
use crate::id::RunId;
use crate::store::StoreError;
use crate::store::runs::Run;

/// Between two looks into the database while no run begins: another machine may have revoked a key.
const ASK: Duration = Duration::from_secs(5);
/// A file that cannot be read for so long is not being written.
const WRITTEN: Duration = Duration::from_secs(10);

/// What is known of the key that signs.
#[derive(Default)]
pub(super) struct Signing {
    /// The key that may, and when the database was asked.
    fit: Option<(u8, Instant)>,
    /// The runs that were under way then.
    runs: HashSet<RunId>,
    /// Since when the file cannot be read.
    unread: Option<Instant>,
    /// Why nothing can be signed, as it was told to the others and to the log.
    told: Option<String>,
}

impl Engine {
    /// Whether nothing may be signed now; what is under way is left to others then, or held.
    pub(super) async fn may_not_sign(&self, memory: &mut Memory) -> Result<bool, StoreError> {
        let (signing, runs) = (&mut memory.signing, &memory.runs);
        let keyring = &self.shared.app.keyring;
        keyring.look_now();
        let why = match keyring.signing() {
            Ok(kid) => {
                signing.unread = None;
                self.is_unfit(signing, runs, kid).await?
            }
            Err(doubt) => {
                let since = *signing.unread.get_or_insert_with(Instant::now);
                if doubt.passing && since.elapsed() < WRITTEN {
                    return Ok(true);
                }
                Some(doubt.why)
            }
        };
        let why = why.map(|why| format!("no link can be signed on {}: {why}", self.node));
        self.tell_unfit(signing, why.as_deref()).await?;
        let Some(why) = why else {
            return Ok(false);
        };
        signing.fit = None;
        for run in runs.values().filter(|run| run.id() != RunId::SYSTEM) {
            self.leave_to_signers(run, &why).await?;
        }
        self.shared.retain(|_| false);
        Ok(true)
    }

    /// Tells the others and the log why nothing can be signed here, or that it can again: each once.
    async fn tell_unfit(&self, signing: &mut Signing, why: Option<&str>) -> Result<(), StoreError> {
        if signing.told.as_deref() == why {
            return Ok(());
        }
        let store = &self.shared.app.store;
        store.tell_unfit(self.boot, why).await?;
        match why {
            Some(why) => tracing::error!("nothing is sent by this process: {why}"),
            None => tracing::info!("links can be signed again"),
        }
        signing.told = why.map(str::to_owned);
        Ok(())
    }

    /// Why `kid` may not sign, as the database knows; it is asked when a run begins, another key signs, or after a while.
    async fn is_unfit(
        &self,
        signing: &mut Signing,
        runs: &HashMap<RunId, Arc<Run>>,
        kid: u8,
    ) -> Result<Option<String>, StoreError> {
        let asked = signing.fit.filter(|(fit, _)| *fit == kid);
        let begins = runs.keys().any(|run| !signing.runs.contains(run));
        if asked.is_some_and(|(_, at)| at.elapsed() < ASK) && !begins {
            return Ok(None);
        }
        let app = &self.shared.app;
        let why = keys::unfit(&app.store, &app.keyring, kid).await?;
        signing.fit = why.is_none().then(|| (kid, Instant::now()));
        signing.runs = runs.keys().copied().collect();
        Ok(why)
    }
}
