//! One connection: takes jobs, hands messages to the relay, brings outcomes to the ledger.
//!
//! Invariant: the terminator of a message is written only after its marker has been committed. The
//! marker of message i+1 and the outcome of message i share one commit; the body of message i and the
//! commands of message i+1 share one write. Where the relay takes windows, `window` sends instead.

mod aside;
pub(crate) mod opening;
mod window;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::deliver::Shared;
use crate::deliver::copies::{Fault, Prepared};
use crate::deliver::judge::{Attempt, Concerns, judge, stops_others, unanswered, uncertain};
use crate::deliver::ledger::{Grant, Ledger, Settling};
use crate::deliver::queue::Job;
use crate::deliver::refused::Refused;
use crate::deliver::seat::Seat;
use crate::delivery::{Failure, Outcome, Settled};
use crate::id::RunId;
use crate::reply::reason::Reason;
use crate::reply::{Reply, Stage};
use crate::smtp::error::{SessionError, Terminator};
use crate::smtp::session::{Envelope, Offer, Session};
use crate::store::ledger::Marker;

/// A connection without work is closed after this time; relays close it themselves after minutes.
const IDLE: Duration = Duration::from_secs(3);
/// A relay that slow to answer the next envelope must not delay the outcome of the message before it.
const PROMPT: Duration = Duration::from_millis(100);
/// A marker that took longer to commit finds a relay that may have given up waiting for the message.
const STALE: Duration = Duration::from_secs(30);

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
        false => worker.drive(session, first).await,
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
    /// Sends over one connection until it fails, is used up, or there is nothing to do.
    async fn drive(&self, mut session: Session, first: Job) {
        let mut left = self.seat.messages();
        let mut offered = self.prepare(first).await;
        if let Some(ready) = &offered {
            session.offer(&ready.envelope());
        }
        let mut settling = Vec::with_capacity(2);
        // Whether this connection ever got an answer about a recipient.
        let mut useful = false;
        loop {
            let mut current = match offered.take() {
                Some(ready) => ready,
                None => {
                    // Nothing follows at once: what is known goes down before the wait.
                    self.ledger.settle(std::mem::take(&mut settling)).await;
                    if left == 0 {
                        break;
                    }
                    let Some(ready) = self.wait().await else {
                        break;
                    };
                    session.offer(&ready.envelope());
                    ready
                }
            };
            match self.answer(&mut session, &mut settling).await {
                Ok(Offer::Go) => {}
                Ok(Offer::Refused { stage, reply }) => {
                    let next = self
                        .judge(&session, current, stage, reply, false, &mut settling)
                        .await;
                    self.ledger.settle(std::mem::take(&mut settling)).await;
                    match next {
                        Next::GoOn => useful = true,
                        Next::Close => {
                            self.ended(useful, "the relay ended the connection").await;
                            break;
                        }
                        Next::Leave => break,
                    }
                    continue;
                }
                Err(error) => {
                    let own = self.broke_off(&session, current, &error, &mut settling);
                    self.ledger.settle(std::mem::take(&mut settling)).await;
                    if !own {
                        self.broke(useful, &error).await;
                    }
                    return;
                }
            }
            left = left.saturating_sub(1);
            let asked = Instant::now();
            let marker = vec![current.marker()];
            // While the commit is on its way to the disk, the next copy is made.
            let (granted, upcoming) = tokio::join!(
                self.ledger.mark(std::mem::take(&mut settling), marker),
                self.next(left),
            );
            if granted != [Grant::Given] || asked.elapsed() > STALE {
                // A lone dot after 354 would be mail: the connection goes, nothing was written.
                drop(session);
                self.put_back(upcoming);
                self.not_marked(current, &granted).await;
                // Its run may be paused: what waits of it is not to meet the same.
                self.shared.done.wake.notify_one();
                return;
            }
            current.job.coin.spend();
            session.body(std::mem::take(&mut current.prepared.message));
            if let Some(ready) = &upcoming {
                session.offer(&ready.envelope());
            }
            let verdict = {
                let _watched = self.shared.watch(self.seat.relay);
                session.verdict().await
            };
            match verdict {
                Ok(reply) => {
                    offered = upcoming;
                    let next = self
                        .judge(&session, current, Stage::Dot, reply, true, &mut settling)
                        .await;
                    if next != Next::GoOn {
                        self.put_back(offered);
                        self.ledger.settle(settling).await;
                        if next == Next::Close {
                            self.ended(useful, "the relay ended the connection").await;
                        }
                        break;
                    }
                    useful = true;
                }
                Err(error) => {
                    self.put_back(upcoming);
                    if error.terminator == Terminator::NotSent {
                        let settling = self.cut_short(&session, current, &error);
                        self.ledger.settle(vec![settling]).await;
                    } else {
                        self.unanswered(&session, current, &error).await;
                    }
                    self.broke(useful, &error).await;
                    return;
                }
            }
        }
        session.quit().await;
    }

    /// The answer to the offered envelope. If it is slow, the outcomes at hand are committed meanwhile.
    async fn answer(
        &self,
        session: &mut Session,
        settling: &mut Vec<Settling>,
    ) -> Result<Offer, SessionError> {
        let answer = session.answer();
        tokio::pin!(answer);
        if !settling.is_empty() {
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                () = tokio::time::sleep(PROMPT) => {
                    self.ledger.settle(std::mem::take(settling)).await;
                }
            }
        }
        // Only this is watched: the ledger waits for its database as long as that takes.
        let _watched = self.shared.watch(self.seat.relay);
        answer.await
    }

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

    /// Lets a delivery go of whose terminator no octet was written: a marker that stands or may stand is taken back.
    /// One that was refused was never there; its block may be another node's by now, and with it all that waits.
    async fn not_marked(&self, ready: Ready, grants: &[Grant]) {
        match grants {
            [Grant::Refused] => self.shared.queue.forget(&ready.job),
            _ => self.settle(ready, Outcome::Released, None).await,
        }
    }

    /// The dot went out and no answer came.
    async fn unanswered(&self, session: &Session, ready: Ready, error: &SessionError) {
        let why = error.to_string();
        let said = session.dialogue(&ready.prepared.recipient);
        let failure = unanswered(Stage::Dot, said, &why);
        let outcome = uncertain(
            &self.shared.app.config.send,
            &self.attempt(&ready, true),
            why,
        );
        self.settle(ready, outcome, Some(failure)).await;
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
