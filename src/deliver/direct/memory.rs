//! What a direct relay has learned, kept across restarts: its providers' paces, and since when others fail.
//!
//! Promises: a provider that asked for quiet gets all of it, and one that was found slow is not met at full speed
//! after a restart; what fails is as old as it is. Written now and then and at the end, only what has changed; a
//! crash forgets some seconds of it. Leaves MTA-STS to `policies`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::clock::Timestamp;
use crate::deliver::Shared;
use crate::deliver::direct::Direct;
use crate::deliver::relays::LiveRelay;
use crate::store::Result;
use crate::store::learned::Learned;

/// Between two writes.
const WRITE: Duration = Duration::from_secs(5);
/// The last write waits no longer for the database.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most newsletters go out once a week or once a month.
const PACES: Duration = Duration::from_secs(35 * 86_400);
/// What fails is tried again within hours; of what was not tried longer nothing is known.
const FAILURES: Duration = Duration::from_secs(6 * 3600);

/// What stands in the database, by kind and name.
pub(super) type Written = HashMap<(String, String), Learned>;

impl Direct {
    /// Takes up what was learned before this process began.
    pub(crate) async fn recall(&self) -> Result<()> {
        let now = self.app.clock.now();
        let since = (now.before(PACES), now.before(FAILURES));
        let found = self.app.store.learned(self.name(), since, now).await?;
        let mut state = self.state();
        let mut written = self.written();
        for learned in found {
            state.recall(&learned);
            written.insert(key(&learned), learned);
        }
        Ok(())
    }

    /// Writes down what has changed since it was written last.
    async fn remember(&self) -> Result<()> {
        let now = self.app.clock.now();
        let known: Written = self
            .state()
            .learned(now)
            .into_iter()
            .map(|learned| (key(&learned), learned))
            .collect();
        let (anew, over) = {
            let written = self.written();
            let changed = known
                .iter()
                .filter(|(key, new)| written.get(*key) != Some(*new));
            let anew: Vec<Learned> = changed.map(|(_, new)| new.clone()).collect();
            let gone = written.iter().filter(|(key, _)| !known.contains_key(*key));
            let over: Vec<Learned> = gone.map(|(_, old)| old.clone()).collect();
            (anew, over)
        };
        if anew.is_empty() && over.is_empty() {
            return Ok(());
        }
        self.app.store.learn(self.name(), &anew, &over, now).await?;
        *self.written() = known;
        Ok(())
    }

    fn name(&self) -> (&str, &str) {
        (&self.node, &self.relay)
    }
}

/// Writes down what `relay` learns, until the engine stops.
pub(crate) async fn keep(shared: Arc<Shared>, relay: Arc<LiveRelay>) {
    let Some(direct) = &relay.direct else { return };
    loop {
        tokio::select! {
            () = tokio::time::sleep(WRITE) => {}
            () = shared.stopped() => return,
        }
        tell(direct.remember().await);
    }
}

/// Writes down what is not yet, at the end.
pub(crate) async fn finish(shared: &Shared) {
    for direct in shared
        .relays
        .iter()
        .filter_map(|relay| relay.direct.as_ref())
    {
        if let Ok(written) = timeout(PATIENCE, direct.remember()).await {
            tell(written);
        }
    }
}

fn tell(written: Result<()>) {
    if let Err(error) = written {
        tracing::warn!(%error, "what was learned of providers is written down later");
    }
}

fn key(learned: &Learned) -> (String, String) {
    (learned.kind.clone(), learned.name.clone())
}

/// A row about a provider.
pub(super) fn provider(
    name: &str,
    connections: usize,
    quiet: Option<(Timestamp, &str)>,
) -> Learned {
    Learned {
        kind: "provider".to_owned(),
        name: name.to_owned(),
        connections: i64::try_from(connections).ok(),
        quiet_until: quiet.map(|(until, _)| until.0),
        quiet: quiet.map(|(_, words)| words.to_owned()),
        ..Learned::default()
    }
}

/// A row about hosts or a domain.
pub(super) fn failing(kind: &str, name: &str, since: Timestamp, failures: u32) -> Learned {
    Learned {
        kind: kind.to_owned(),
        name: name.to_owned(),
        since: Some(since.0),
        failures: Some(i64::from(failures)),
        ..Learned::default()
    }
}

/// The name of a row that is about the hosts of everybody.
const ALL: &str = "*";

/// A row that says of direct delivery that it has failed as a whole.
pub(super) fn of_all(since: Timestamp) -> Learned {
    failing("hosts", ALL, since, 1)
}

/// Whether it is that row.
pub(super) fn is_of_all(learned: &Learned) -> bool {
    learned.kind == "hosts" && learned.name == ALL
}
