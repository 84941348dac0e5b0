//! Where a connection gets its jobs, and whom it tells how it fares: its relay, or one site of a direct one.
//!
//! Promises: a connection behaves alike whoever it is connected to; only the scope of what it finds out
//! differs. Leaves what is done about it to `relays` and `direct`.

use crate::clock::Timestamp;
use crate::deliver::Shared;
use crate::deliver::direct::line::Line;
use crate::deliver::queue::Job;
use crate::deliver::refused::Refused;
use crate::deliver::relays::LiveRelay;
use crate::delivery::State;
use crate::id::DeliveryKey;
use crate::lock::lock;
use crate::reply::scope::{Verdict, scope};
use crate::reply::{Reply, Stage, hint};
use crate::smtp::error::SessionError;
use crate::store::runs::Run;

/// One connection's place.
#[derive(Clone, Copy)]
pub(crate) struct Seat<'a> {
    pub shared: &'a Shared,
    pub relay: &'a LiveRelay,
    /// Its site, where the relay is a direct one.
    pub line: Option<&'a Line>,
}

impl Seat<'_> {
    /// Messages over this connection at most.
    pub(crate) fn messages(&self) -> u32 {
        let most = self.relay.config.messages_per_connection;
        self.line.map_or(most, Line::messages).max(1)
    }

    /// The next job, if one waits.
    pub(crate) fn try_pop(&self) -> Option<Job> {
        match self.line {
            Some(line) => line.try_pop(),
            // It wants quiet on all connections, not only on the one that heard it.
            None if self.relay.standing.breaker.rests() => None,
            None => self.shared.queue.try_pop(self.relay.index),
        }
    }

    /// The next job, waiting for one; none when the connection is not needed any more.
    pub(crate) async fn pop(&self) -> Option<Job> {
        match self.line {
            Some(line) => line.pop().await,
            None => {
                let job = self.shared.queue.pop(self.relay.index).await?;
                if self.relay.standing.breaker.rests() {
                    self.put_back(job);
                    return None;
                }
                Some(job)
            }
        }
    }

    /// Puts a job back that nothing was decided about.
    pub(crate) fn put_back(&self, job: Job) {
        match self.line {
            Some(line) => line.put_back(job),
            None => self.shared.queue.put_back(self.relay.index, job),
        }
    }

    /// Puts a job back at whose own commands the connection ended: the others go first.
    pub(crate) fn put_behind(&self, job: Job) {
        match self.line {
            Some(line) => line.put_behind(job),
            None => self.shared.queue.put_behind(self.relay.index, job),
        }
    }

    /// Notes that the connection ended at the commands of this delivery, after it had carried so many messages. True if
    /// the delivery is to blame.
    pub(crate) fn ended_by(&self, key: DeliveryKey, after: u32) -> bool {
        match self.line {
            Some(line) => line.ended_by(key, after),
            None => lock(&self.relay.culprits).ended(key, after),
        }
    }

    /// An answer came as one should; `sent` if it took the message.
    pub(crate) fn answered(&self, run: &Run, sent: bool) {
        match self.line {
            Some(line) => line.answered(run.id(), sent),
            None => self.shared.relay_answered(self.relay, run, sent),
        }
    }

    /// The recipient of `run`'s copy was refused; `again` if it had bounced and was put back. Gives what is to be done
    /// once that is the fault of the other end.
    pub(crate) fn unknown(
        &self,
        run: &Run,
        key: DeliveryKey,
        again: bool,
        reply: &Reply,
    ) -> Option<Doubt> {
        match self.line {
            Some(line) => {
                let (back, until) = line.unknown(key, reply)?;
                let until = Some(until);
                Some(Doubt { back, until })
            }
            None => {
                let back = self.relay.unknown(run, key, again)?;
                Some(Doubt { back, until: None })
            }
        }
    }

    /// The other end is wrong about recipients of `run`; `reply` was said to the last of them.
    pub(crate) async fn doubted(&self, run: &Run, doubt: &Doubt, reply: &Reply) {
        let back = &doubt.back;
        match doubt.until {
            Some(until) => self.requeue(run, State::Bounced, back, until).await,
            None => {
                self.shared
                    .readers_refused(self.relay, run, back, reply)
                    .await;
            }
        }
    }

    /// A copy of `run` was refused for good, and the recipient is not to blame. True if the other end is left alone
    /// now.
    pub(crate) async fn run_refused(&self, run: &Run, refused: Refused, reply: &Reply) -> bool {
        let Some(line) = self.line else {
            let relay = self.relay;
            self.shared.run_refused(relay, run, refused, reply).await;
            return false;
        };
        let whole = line.refused(refused.to_blame(reply), reply);
        let left_alone = whole.is_some();
        let alone = || Some((vec![refused.key], self.shared.waits(run, refused, reply)?));
        if let Some((back, until)) = whole.or_else(alone) {
            self.requeue(run, State::Failed, &back, until).await;
        }
        left_alone
    }

    async fn requeue(&self, run: &Run, from: State, back: &[DeliveryKey], until: Timestamp) {
        let store = &self.shared.app.store;
        if let Err(error) = store.requeue_refused(run.id(), from, back, until).await {
            tracing::error!(%error, run.id = run.id, "refused deliveries could not be put back");
        }
    }

    /// An answer was a refusal of any kind.
    pub(crate) fn heard(&self, reply: &Reply) {
        if let Some(line) = self.line {
            line.heard(reply);
        }
    }

    /// The connection broke. True if all is said with it: the relay asked for a pause.
    pub(crate) fn broke(&self, error: &SessionError) -> bool {
        if let Some(line) = self.line {
            line.broke(error);
            return false;
        }
        // RFC 5321, section 3.8: a 421 may answer any command, also one that names the rate (4.7.28).
        let refusal = error.reply.as_ref();
        let refusal = refusal.filter(|reply| scope(Stage::Mail, reply) == Verdict::Relay);
        let Some(wait) = refusal.and_then(hint::pause) else {
            return false;
        };
        self.shared
            .relay_paused(self.relay, &error.to_string(), wait);
        true
    }

    /// The connection ended, and was of no use.
    pub(crate) async fn useless(&self, why: &str) {
        match self.line {
            Some(line) => line.failed(why, false),
            None => self.shared.relay_failed(self.relay, why, false).await,
        }
    }

    /// The other end says that it takes no mail now; `own` where it was said at one delivery's own commands.
    pub(crate) async fn relay_refused(&self, reply: &Reply, own: bool) {
        let text = reply.masked();
        match self.line {
            // A rate that was too high is the pace's matter (`heard`), and not the hosts' failure.
            Some(_) if reply.code == 421 => {}
            Some(line) => line.failed(&text, true),
            // Said to one behind others who were served: it is asked again soon, with another delivery, and only the
            // next who hears it stops all mail for as long as it wants.
            None if own && !hint::is_rate(reply) && lock(&self.relay.culprits).is_first() => {
                self.shared.relay_failed(self.relay, &text, false).await;
            }
            None => {
                let relay = self.relay;
                self.shared.relay_refused(relay, Some(reply), &text).await;
            }
        }
    }
}

/// Recipients who were refused wrongly, as far as is known.
pub(crate) struct Doubt {
    pub back: Vec<DeliveryKey>,
    /// When they are tried again; none where it is the relay that is doubted.
    pub until: Option<Timestamp>,
}
