//! What the sending process tells the author: how runs go, and which relays fail.
//!
//! Promises: what is to be told is read from the database and noted there, so that no crash loses it; a
//! fault in telling holds up no mail.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::notify::NoticeKind;
use crate::deliver::Engine;
use crate::deliver::trouble::{Ail, RelayTrouble, Trouble};
use crate::id::RunId;
use crate::notice;
use crate::stats::interval::ratio;
use crate::status::RunStatus;
use crate::store::runs::Run;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// A share of fewer messages, or fewer bounces or complaints than these, says nothing.
const MESSAGES: i64 = 20;
const BOUNCES: i64 = 3;
const COMPLAINTS: i64 = 3;
/// Complaints come hours and days later, and of an older run nothing can be learned any more.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// What the dispatcher remembers of its notices between two rounds.
#[derive(Default)]
pub(super) struct Telling {
    looked: Option<Instant>,
    /// Relays whose failing was told; none before the first look.
    down: Option<BTreeSet<String>>,
    /// Runs whose bounces were told.
    bouncing: BTreeSet<RunId>,
}

impl Engine {
    /// Tells what has changed; `now` does not wait for the next look.
    pub(super) async fn tell_author(
        &self,
        telling: &mut Telling,
        runs: &[&Run],
        trouble: Option<&Trouble>,
        now: bool,
    ) {
        if !now && telling.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return;
        }
        telling.looked = Some(Instant::now());
        let told = async {
            // A small run may be over before anybody looked at it.
            let untold = self.shared.app.store.untold_runs().await?;
            let mut all = runs.to_vec();
            all.extend(&untold);
            self.tell_bounces(telling, &all).await?;
            self.tell_complaints().await?;
            self.tell_relays(telling, trouble).await?;
            self.tell_statuses(&untold).await
        };
        if let Err(error) = told.await {
            tracing::error!("the author could not be told: {error:#}");
        }
    }

    async fn tell_statuses(&self, untold: &[Run]) -> anyhow::Result<()> {
        for run in untold {
            notice::tell_status(&self.shared.app, run).await?;
        }
        Ok(())
    }

    async fn tell_relays(
        &self,
        telling: &mut Telling,
        trouble: Option<&Trouble>,
    ) -> anyhow::Result<()> {
        let app = &self.shared.app;
        if !notice::wanted(app, NoticeKind::RelayDown) {
            return Ok(());
        }
        if telling.down.is_none() {
            telling.down = Some(app.store.relays_told_down().await?.into_iter().collect());
        }
        let down = telling.down.get_or_insert_default();
        // One whose cap is used up rests as it was told to.
        let all = trouble.map(|trouble| trouble.relays.as_slice());
        let broken = |relay: &&RelayTrouble| relay.ail == Ail::Broken;
        let failing: Vec<&RelayTrouble> = all.unwrap_or_default().iter().filter(broken).collect();
        let now = app.clock.now();
        for &relay in &failing {
            let long = now.since(relay.since) >= app.config.notify.relay_after;
            if long && !down.contains(&relay.relay) {
                notice::tell_relay_down(app, relay).await?;
                down.insert(relay.relay.clone());
            }
        }
        let fails = |name: &str| failing.iter().any(|relay| relay.relay == name);
        let back: Vec<String> = down
            .iter()
            .filter(|name| !fails(name) && self.shared.has_answered(name))
            .cloned()
            .collect();
        for name in back {
            notice::tell_relay_up(app, &name).await?;
            down.remove(&name);
        }
        Ok(())
    }

    async fn tell_bounces(&self, telling: &mut Telling, runs: &[&Run]) -> anyhow::Result<()> {
        let app = &self.shared.app;
        if !notice::wanted(app, NoticeKind::Bounces) {
            return Ok(());
        }
        for &run in runs {
            let goes = matches!(run.status, RunStatus::Sending | RunStatus::Finished);
            if !goes || telling.bouncing.contains(&run.id()) {
                continue;
            }
            let counts = app.store.counts(run.id()).await?;
            let (bounced, of) = (counts.bounced, counts.sent + counts.bounced);
            let share = ratio(bounced, of.max(1));
            if of >= MESSAGES && bounced >= BOUNCES && share > app.config.notify.bounce_rate {
                notice::tell_bounces(app, run, bounced, of).await?;
                telling.bouncing.insert(run.id());
            }
        }
        Ok(())
    }

    async fn tell_complaints(&self) -> anyhow::Result<()> {
        let app = &self.shared.app;
        if !notice::wanted(app, NoticeKind::Complaints) {
            return Ok(());
        }
        let since = app.clock.now().before(MONTH);
        for run in app.store.complained_runs(since).await? {
            let complained = app.store.complaints(run.id()).await?;
            if complained < COMPLAINTS {
                continue;
            }
            let of = app.store.counts(run.id()).await?.sent;
            let share = ratio(complained, of.max(1));
            if of >= MESSAGES && share > app.config.notify.complaint_rate {
                notice::tell_complaints(app, &run, complained, of).await?;
            }
        }
        Ok(())
    }
}
