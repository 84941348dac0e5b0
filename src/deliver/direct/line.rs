//! One connection's tie to its site: where it gets its jobs, and whom it tells how it fares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::deliver::blame::Refusal;
use crate::deliver::direct::Direct;
use crate::deliver::direct::pools::{Failure, Place, Pools, Start};
use crate::deliver::queue::Job;
use crate::id::{DeliveryKey, RunId};
use crate::mx::health::Waits;
use crate::mx::pace::Round;
use crate::reply::Reply;
use crate::smtp::error::SessionError;

/// Between two looks of a connection that waits for a provider's rate.
const LOOK: Duration = Duration::from_millis(100);

/// A connection of a direct relay.
pub(crate) struct Line {
    direct: Arc<Direct>,
    place: Place,
    round: Round,
    messages: u32,
    /// Answers about messages or recipients so far.
    answers: AtomicU32,
    /// What ends it is one delivery's own, as far as is known.
    excused: AtomicBool,
}

impl Line {
    pub(super) fn new(direct: Arc<Direct>, start: &Start) -> Line {
        let most = direct.dialler.relay.messages_per_connection;
        Line {
            place: start.place.clone(),
            round: start.round,
            messages: start.messages.min(most),
            answers: AtomicU32::new(0),
            excused: AtomicBool::new(false),
            direct,
        }
    }

    /// Messages over this connection at most.
    pub(crate) fn messages(&self) -> u32 {
        self.messages
    }

    /// The next job of its site, if one waits and may go now.
    pub(crate) fn try_pop(&self) -> Option<Job> {
        let now = self.now();
        let mut state = self.direct.state();
        let was_full = state.jobs() >= self.direct.room.all;
        let job = state.pools.take(&self.place, now);
        drop(state);
        if was_full {
            self.direct.changed.notify_one();
        }
        job
    }

    /// The next job of its site, waiting for one; none once others need the connection more.
    pub(crate) async fn pop(&self) -> Option<Job> {
        loop {
            let filled = self.direct.filled.notified();
            tokio::pin!(filled);
            // Registered before the look, so that a job in between is not missed.
            filled.as_mut().enable();
            if let Some(job) = self.try_pop() {
                return Some(job);
            }
            if self
                .direct
                .state()
                .pools
                .others_wait(&self.place, self.now())
            {
                return None;
            }
            tokio::select! {
                () = filled => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Puts a job back that nothing was decided about.
    pub(crate) fn put_back(&self, job: Job) {
        let now = self.now();
        self.direct.state().pools.put_back(&self.place, job, now);
        self.direct.changed.notify_one();
    }

    /// Puts a job back at whose own commands the connection ended: the others go first.
    pub(crate) fn put_behind(&self, job: Job) {
        let now = self.now();
        self.direct.state().pools.put_behind(&self.place, job, now);
        self.direct.changed.notify_one();
    }

    /// Notes that the connection ended at the commands of this delivery, after so many messages. True if the delivery
    /// is to blame. The hosts have not failed then, nor as long as no second one meets the same while others wait.
    pub(crate) fn ended_by(&self, key: DeliveryKey, after: u32) -> bool {
        let mut state = self.direct.state();
        let (guilty, excused) = state.pools.ended_by(&self.place, key, after);
        drop(state);
        self.excused.store(excused, Ordering::Relaxed);
        guilty
    }

    /// An answer about a recipient or a message: the connection works. `taken` if `run`'s copy was.
    pub(crate) fn answered(&self, run: RunId, taken: bool) {
        let before = self.answers.fetch_add(1, Ordering::Relaxed);
        self.excused.store(false, Ordering::Relaxed);
        let mut state = self.direct.state();
        let now = self.now();
        state.pools.answered(&self.place, self.round, before, now);
        if taken {
            state.pools.accepted(&self.place, run);
        }
    }

    /// Anything but an acceptance was said.
    pub(crate) fn heard(&self, reply: &Reply) {
        let now = self.now();
        let mut state = self.direct.state();
        // The number of connections follows what happens to connections, and not to a recipient.
        let round = (!self.is_excused()).then_some(self.round);
        state.pools.heard(&self.place, round, reply, now);
        drop(state);
        self.direct.changed.notify_one();
    }

    /// The connection, or one that was tried before it, broke with this error.
    pub(crate) fn broke(&self, error: &SessionError) {
        if let Some(reply) = &error.reply {
            self.heard(reply);
        }
    }

    /// The connection was of no use; `sure` where the hosts said so of themselves.
    pub(crate) fn failed(&self, why: &str, sure: bool) {
        if self.is_excused() {
            return;
        }
        let failure = Failure {
            why,
            sure,
            waits: self.direct.waits_of(),
        };
        let now = self.now();
        let mut state = self.direct.state();
        let until = state.pools.failed(&self.place, self.round, &failure, now);
        drop(state);
        if let Some(until) = until {
            let wait = until.since(now);
            tracing::info!(
                pool = self.place.pool,
                ?wait,
                "hosts cannot be delivered to: {why}"
            );
        }
        self.direct.changed.notify_one();
    }

    /// A copy of a run was refused for good, and the recipient is not to blame. Gives the recipients to put
    /// back, and until when, once the provider refuses the run itself.
    pub(crate) fn refused(
        &self,
        refusal: Refusal,
        reply: &Reply,
    ) -> Option<(Vec<DeliveryKey>, Timestamp)> {
        self.told(|pools, limits, now| pools.refused(&self.place, refusal, reply, limits, now))
    }

    /// A recipient was refused for good. Gives the recipients to put back, and until when, once it is the hosts who
    /// know nobody.
    pub(crate) fn unknown(
        &self,
        key: DeliveryKey,
        reply: &Reply,
    ) -> Option<(Vec<DeliveryKey>, Timestamp)> {
        // Anybody can sign up ten addresses that do not exist.
        if key.run == RunId::SYSTEM {
            return None;
        }
        self.told(|pools, limits, now| pools.unknown(&self.place, key, reply, limits, now))
    }

    /// Tells the pools of a refusal, and whoever waits for them of what changed by it.
    fn told<T>(&self, tell: impl FnOnce(&mut Pools, (Waits<'_>, Duration), Timestamp) -> T) -> T {
        let limits = (self.direct.waits_of(), self.direct.app.config.send.give_up);
        let now = self.now();
        let back = tell(&mut self.direct.state().pools, limits, now);
        self.direct.changed.notify_one();
        back
    }

    pub(super) fn closed(&self) {
        let proven = self.answers.load(Ordering::Relaxed) > 0;
        self.direct.state().pools.closed(&self.place, proven);
        self.direct.changed.notify_one();
    }

    fn is_excused(&self) -> bool {
        self.excused.load(Ordering::Relaxed)
    }

    fn now(&self) -> Timestamp {
        self.direct.app.clock.now()
    }
}
