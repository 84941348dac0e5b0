//! One connection: takes jobs, hands messages to the relay, brings outcomes to the ledger.
//!
//! Invariant: the terminator of a message is written only after its marker has been committed. Leaves the order of
//! both to `single`, and to `window` where the relay takes windows.

mod aside;
pub(crate) mod opening;
mod single;
mod window;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::deliver::Shared;
use crate::deliver::copies::{Fault, Prepared};
use crate::deliver::judge::{Attempt, Concerns, judge, stops_others, unanswered, uncertain};
use crate::deliver::ledger::{Ledger, Settling};
use crate::deliver::queue::Job;
use crate::deliver::refused::Refused;
use crate::deliver::seat::Seat;
use crate::delivery::{Failure, Outcome, Settled};
use crate::id::RunId;
use crate::reply::reason::Reason;
use crate::reply::{Reply, Stage};
use crate::smtp::error::SessionError;
use crate::smtp::session::{Envelope, Session};
use crate::store::ledger::Marker;

/// A connection without work is closed after this time; relays close it themselves after minutes.
const IDLE: Duration = Duration::from_secs(3);

/// A job with its message made.
struct Ready {
    job: Job,
    prepared: Prepared,
}

impl Ready {
    fn envelope(&self) -> Envelope<'_> {
        Envelope {
            sender: &self.prepared.sender,
            recipient: &self.prepared.recipient,
            size: self.prepared.message.len(),
        }
    }

    /// Its marker, to be asked for once.
    fn marker(&mut self) -> Marker {
        Marker {
            key: self.prepared.key,
            copy: std::mem::take(&mut self.prepared.copy),
        }
    }
}

/// Sends over one connection until it fails, is used up, or there is nothing to do.
pub(crate) async fn drive(seat: Seat<'_>, ledger: &Ledger, session: Session, first: Job) {
    let worker = Worker {
        shared: seat.shared,
        seat,
        ledger,
        carried: AtomicU32::new(0),
    };
    // At a site of its own a connection carries few messages, and doubt would cost more than turns.
    let window = worker.seat.line.is_none() && worker.seat.relay.config.window > 0;
    match window && session.has_window() {
        true => worker.drive_windows(session, first).await,
        false => worker.drive_single(session, first).await,
    }
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    /// It is at its end.
    Close,
    /// The relay has failed, and has been told of.
    Leave,
}

struct Worker<'a> {
    shared: &'a Shared,
    seat: Seat<'a>,
    ledger: &'a Ledger,
    /// Messages that this connection has carried.
    carried: AtomicU32,
}

impl Worker<'_> {
    /// The next job that waits, made ready; none if none waits or the connection is used up.
    async fn next(&self, left: u32) -> Option<Ready> {
        if left == 0 || self.shared.is_stopped() {
            return None;
        }
        while let Some(job) = self.seat.try_pop() {
            let ready = self.prepare(job).await;
            if ready.is_some() {
                return ready;
            }
        }
        None
    }

    /// Waits a little for a job.
    async fn wait(&self) -> Option<Ready> {
        loop {
            let job = tokio::time::timeout(IDLE, self.seat.pop()).await.ok()??;
            let ready = self.prepare(job).await;
            if ready.is_some() {
                return ready;
            }
        }
    }

    /// Makes the copy. One that cannot be made is `failed`, with the reason; the others go on.
    async fn prepare(&self, job: Job) -> Option<Ready> {
        match self
            .seat
            .relay
            .copies
            .prepare(&job, self.shared.app.clock.now())
            .await
        {
            Ok(prepared) => Some(Ready { job, prepared }),
            Err(error) if error.fault == Fault::Passing => {
                tracing::error!(run.id = job.run.id, %error, "a copy could not be made now");
                None
            }
            Err(error) if error.fault == Fault::Run && job.run.id() != RunId::SYSTEM => {
                let why = format!("no copy of this run can be made: {error}");
                self.shared.hold(job.run.id(), &why).await;
                None
            }
            Err(error) => {
                let settled = Settled {
                    key: job.key(),
                    outcome: Outcome::Failed(Reply {
                        text: format!("render: {error}"),
                        ..Reply::default()
                    }),
                    marked: false,
                    at: self.shared.app.clock.now(),
                    charged: true,
                    suppress: None,
                    failure: Some(Failure {
                        stage: None,
                        reason: Reason::Unrenderable,
                        dialogue: String::new(),
                    }),
                };
                let guard = Some(job.guard);
                self.ledger.settle(vec![Settling { settled, guard }]).await;
                None
            }
        }
    }

    /// Judges an answer, and says what becomes of the connection.
    async fn judge(
        &self,
        session: &Session,
        mut ready: Ready,
        stage: Stage,
        reply: Reply,
        marked: bool,
        settling: &mut Vec<Settling>,
    ) -> Next {
        let shared = self.shared;
        let own = stops_others(stage, &reply);
        let attempt = Attempt {
            to_blame: own && self.ended_by(ready.prepared.key),
            address: ready.job.refused_address(&shared.app.keyring, &reply),
            ..self.attempt(&ready, marked)
        };
        if reply.class() >= 4 && !attempt.to_blame {
            self.seat.heard(&reply);
        }
        let mut judged = judge(&shared.app.config.send, &attempt, stage, reply);
        if let Some(failure) = &mut judged.settled.failure {
            failure.dialogue = session.dialogue(&ready.prepared.recipient);
        }
        let run = ready.job.run.clone();
        shared.count_answer(&run, &ready.job.row, &judged.settled);
        let concerns = judged.concerns;
        let sent = matches!(judged.settled.outcome, Outcome::Sent(_));
        self.carried.fetch_add(u32::from(sent), Ordering::Relaxed);
        let released = judged.settled.outcome == Outcome::Released;
        let again = ready.job.row.has_bounced();
        let refused_before = ready.job.row.was_refused();
        if released && !marked {
            // Nothing was decided and nothing written: the row is queued as it was.
            match own {
                true => self.seat.put_behind(ready.job),
                false => self.seat.put_back(ready.job),
            }
        } else {
            ready.job.coin.spend();
            settling.push(Settling {
                settled: judged.settled,
                guard: Some(ready.job.guard),
            });
        }
        match concerns {
            Concerns::Nobody => {
                self.seat.answered(&run, sent);
                Next::GoOn
            }
            Concerns::Recipient(reply) => {
                self.seat.answered(&run, false);
                if let Some(doubt) = self.seat.unknown(&run, attempt.key, again, &reply) {
                    self.ledger.settle(std::mem::take(settling)).await;
                    self.seat.doubted(&run, &doubt, &reply).await;
                    // What was made ready meanwhile is not to meet the same.
                    if doubt.until.is_some() {
                        return Next::Leave;
                    }
                }
                Next::GoOn
            }
            Concerns::Run(reply) => {
                // The outcome must stand before a hold may put it back.
                self.ledger.settle(std::mem::take(settling)).await;
                let refused = Refused {
                    key: attempt.key,
                    stage,
                    attempts: attempt.attempts,
                    again: refused_before,
                };
                match self.seat.run_refused(&run, refused, &reply).await {
                    true => Next::Leave,
                    false => Next::GoOn,
                }
            }
            Concerns::Connection => Next::Close,
            Concerns::Relay(reply) => {
                self.seat.relay_refused(&reply, own).await;
                Next::Leave
            }
        }
    }

    fn put_back(&self, ready: Option<Ready>) {
        if let Some(ready) = ready {
            self.seat.put_back(ready.job);
        }
    }

    async fn settle(&self, ready: Ready, outcome: Outcome, failure: Option<Failure>) {
        let settling = self.settling(ready, outcome, failure);
        self.ledger.settle(vec![settling]).await;
    }

    /// An outcome that no answer gave; charged only where something failed.
    fn settling(&self, ready: Ready, outcome: Outcome, failure: Option<Failure>) -> Settling {
        let settled = Settled {
            key: ready.prepared.key,
            outcome,
            marked: true,
            at: self.shared.app.clock.now(),
            charged: failure.is_some(),
            suppress: None,
            failure,
        };
        Settling {
            settled,
            guard: Some(ready.job.guard),
        }
    }

    /// What becomes of a message whose terminator may be written and whose answer never came.
    fn in_doubt(
        &self,
        session: &Session,
        ready: &Ready,
        error: &SessionError,
    ) -> (Outcome, Failure) {
        let why = error.to_string();
        let said = session.dialogue(&ready.prepared.recipient);
        let failure = unanswered(Stage::Dot, said, &why);
        let config = &self.shared.app.config.send;
        let outcome = uncertain(config, &self.attempt(ready, true), why);
        (outcome, failure)
    }

    async fn broke(&self, useful: bool, error: &SessionError) {
        if !self.seat.broke(error) {
            self.ended(useful, &error.to_string()).await;
        }
    }

    /// A connection ended early. One that was of no use at all is the relay's failure, so that a relay that
    /// drops everyone at once is probed and not hammered.
    async fn ended(&self, useful: bool, why: &str) {
        tracing::info!("a connection to the relay ended: {why}");
        if !useful {
            self.seat.useless(why).await;
        }
    }
}
