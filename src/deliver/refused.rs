//! Copies that were refused for good, their recipients not being to blame: who is put back, and whether the run goes on.
//!
//! Promises: at MAIL nobody is finished, for nobody has been named; a run of which the last copies meet one refusal is
//! held and not finished. Leaves the counting to `blame`.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::deliver::Shared;
use crate::deliver::blame::{Blame, PROVEN, Refusal, UNKNOWN};
use crate::deliver::relays::LiveRelay;
use crate::delivery::State;
use crate::id::{DeliveryKey, RunId};
use crate::lock::lock;
use crate::reply::reason::{Reason, classify};
use crate::reply::{Reply, Stage};
use crate::retry;
use crate::store::comeback::Hold;
use crate::store::runs::Run;

/// A copy that was refused for good, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub key: DeliveryKey,
    pub stage: Stage,
    /// Charged attempts before this one.
    pub attempts: i64,
    /// It was refused before, and put back.
    pub again: bool,
}

impl Refused {
    /// What is counted of it.
    pub(crate) fn to_blame(self, reply: &Reply) -> Refusal {
        Refusal {
            key: self.key,
            text: reply.fingerprint(),
            said: reply.masked(),
            again: self.again,
        }
    }

    /// Whether this answer spoke of nobody yet: at MAIL no recipient has been named, and only its size is the copy's own.
    fn named_nobody(self, reply: &Reply) -> bool {
        self.stage == Stage::Mail && classify(self.stage, reply) != Reason::TooBig
    }
}

/// The servers that `run` was held for because they refused reader after reader, by the name of their relay.
fn doubted(run: &Run) -> BTreeMap<String, String> {
    let read = run.doubted.as_deref().map(serde_json::from_str);
    read.and_then(Result::ok).unwrap_or_default()
}

fn to_json(doubted: &BTreeMap<String, String>) -> String {
    serde_json::to_string(doubted).expect("texts have a JSON form")
}

impl LiveRelay {
    /// A run that has become active is judged anew. Where a person let it go on though this server had refused reader
    /// after reader, the server is believed.
    pub(super) fn judge_anew(&self, run: &Run) {
        let mut blames = lock(&self.blame);
        match doubted(run).get(&self.name) {
            Some(url) if *url == self.config.url => {
                blames.insert(run.id(), Blame::believing());
            }
            _ => {
                blames.remove(&run.id());
            }
        }
    }
}

fn refuses(relay: &LiveRelay, said: &str) -> String {
    format!("relay {} refuses this run: {said}", relay.name)
}

impl Shared {
    /// `relay` refused this run's copy for good. Enough of that, and the run goes through the others; where
    /// there is none that takes it, it is held.
    pub(crate) async fn run_refused(
        &self,
        relay: &LiveRelay,
        run: &Run,
        refused: Refused,
        reply: &Reply,
    ) {
        self.works(relay);
        let back = {
            let mut blame = lock(&relay.blame);
            let blame = blame.entry(run.id()).or_default();
            blame.refused(refused.to_blame(reply))
        };
        if let Some(back) = back {
            let why = refuses(relay, &reply.masked());
            self.give_up_on(relay, run, State::Failed, &back, &why)
                .await;
        } else if let Some(until) = self.waits(run, refused, reply) {
            let (store, back) = (&self.app.store, [refused.key]);
            let done = store.requeue_refused(run.id(), State::Failed, &back, until);
            if let Err(error) = done.await {
                tracing::error!(%error, run.id = run.id, "a refused delivery could not be put back");
            }
        }
    }

    /// Until when a copy waits that was refused for good and for which nobody is finished: where nobody had been named,
    /// and a system mail, beside which there are no others to show whose fault it is.
    pub(crate) fn waits(&self, run: &Run, refused: Refused, reply: &Reply) -> Option<Timestamp> {
        let waits = refused.named_nobody(reply) || run.id() == RunId::SYSTEM;
        let tries = u32::try_from(refused.attempts + 1).unwrap_or(u32::MAX);
        let (schedule, now) = (&self.app.config.send.retry, self.app.clock.now());
        waits.then(|| retry::due(schedule, tries, 0.0, 0.0, now))
    }

    /// Nothing of `run` is open any more. True if its last copies were refused by a relay that speaks of the run: they
    /// are put back then.
    pub(crate) async fn is_refused_at_the_end(&self, run: &Run) -> bool {
        for relay in &self.relays {
            let back = lock(&relay.blame)
                .get_mut(&run.id())
                .and_then(Blame::at_the_end);
            if let Some((back, said)) = back {
                let why = refuses(relay, &said);
                self.give_up_on(relay, run, State::Failed, &back, &why)
                    .await;
                return true;
            }
        }
        false
    }

    /// `relay` refused the recipients `back` of `run`, one after the other, and took nothing in between.
    pub(crate) async fn readers_refused(
        &self,
        relay: &LiveRelay,
        run: &Run,
        back: &[DeliveryKey],
        reply: &Reply,
    ) {
        let why = format!(
            "relay {} refused {UNKNOWN} readers running and took nothing in between, so it is the relay that is \
             doubted: {}; they are queued again and not suppressed; `resume --yes` believes it, until it has taken \
             {PROVEN} running",
            relay.name,
            reply.masked()
        );
        self.give_up_on(relay, run, State::Bounced, back, &why)
            .await;
    }

    /// The servers that `run` was held for because they refused its readers, of which one may be believed no more: gives
    /// them without it then.
    pub(crate) fn believed_no_more(&self, run: &Run) -> Option<String> {
        let mut doubted = doubted(run);
        let all = doubted.len();
        if all == 0 {
            return None;
        }
        for relay in &self.relays {
            let blames = lock(&relay.blame);
            let believed = blames.get(&run.id()).is_none_or(Blame::believes);
            if !believed {
                doubted.remove(&relay.name);
            }
        }
        (doubted.len() < all).then(|| to_json(&doubted))
    }

    /// Puts deliveries back that `relay` refused for good. The run goes on through the other relays, or is held.
    async fn give_up_on(
        &self,
        relay: &LiveRelay,
        run: &Run,
        from: State,
        back: &[DeliveryKey],
        why: &str,
    ) {
        let now = self.app.clock.now();
        let system = run.id() == RunId::SYSTEM;
        // The open run cannot be held: its mails wait like greylisted ones.
        let due = match system {
            true => retry::due(&self.app.config.send.retry, 1, 0.0, 0.0, now),
            false => now,
        };
        if !system {
            relay.standing.refuse(run.id());
        }
        let others = self.via(run).is_some_and(|via| {
            let mut members = self.members(via);
            members.any(|other| !other.has_refused(run.id()))
        });
        let store = &self.app.store;
        let done = match others {
            true => store.requeue_refused(run.id(), from, back, due).await,
            false => {
                let mut servers = doubted(run);
                if from == State::Bounced {
                    servers.insert(relay.name.clone(), relay.config.url.clone());
                }
                let servers = (!servers.is_empty()).then(|| to_json(&servers));
                let hold = Hold {
                    why,
                    doubted: servers.as_deref(),
                };
                store.hold_refused(run.id(), from, back, hold, due).await
            }
        };
        if let Err(error) = done {
            tracing::error!(%error, run.id = run.id, "the run could not be held");
        }
        if others {
            tracing::warn!(run.id = run.id, "{why}; it goes on through the others");
            self.queue.look_again();
        } else if !system {
            self.retain(|id| id != run.id());
        }
    }
}
