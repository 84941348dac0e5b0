//! One connection that sends one message behind the other.
//!
//! Invariant: the terminator of a message is written only after its marker has been committed. The
//! marker of message i+1 and the outcome of message i share one commit; the body of message i and the
//! commands of message i+1 share one write.

use std::time::Duration;

use tokio::time::Instant;

use crate::deliver::ledger::{Grant, Settling};
use crate::deliver::queue::Job;
use crate::deliver::worker::{Next, Ready, Worker};
use crate::delivery::Outcome;
use crate::reply::{Reply, Stage};
use crate::smtp::error::{SessionError, Terminator};
use crate::smtp::session::{Offer, Session};

/// A relay that slow to answer the next envelope must not delay the outcome of the message before it.
const PROMPT: Duration = Duration::from_millis(100);
/// A marker that took longer to commit finds a relay that may have given up waiting for the message.
const STALE: Duration = Duration::from_secs(30);

/// How far a connection is that sends one message behind the other.
struct Course {
    /// Messages that it may still carry.
    left: u32,
    /// The message whose envelope is offered.
    offered: Option<Ready>,
    /// What goes down with the next commit.
    settling: Vec<Settling>,
    /// Whether it ever got an answer about a recipient.
    useful: bool,
}

impl Worker<'_> {
    /// Sends over one connection until it fails, is used up, or there is nothing to do.
    pub(super) async fn drive_single(&self, mut session: Session, first: Job) {
        let mut course = Course {
            left: self.seat.messages(),
            offered: self.prepare(first).await,
            settling: Vec::with_capacity(2),
            useful: false,
        };
        if let Some(ready) = &course.offered {
            session.offer(&ready.envelope());
        }
        while let Some(mut current) = self.offered(&mut session, &mut course).await {
            match self.answer(&mut session, &mut course.settling).await {
                Ok(Offer::Go) => {}
                Ok(Offer::Refused { stage, reply }) => {
                    let refused = (stage, reply);
                    if self.refused(&session, &mut course, current, refused).await {
                        continue;
                    }
                    break;
                }
                Err(error) => {
                    return self.lost_before(session, course, current, &error).await;
                }
            }
            course.left = course.left.saturating_sub(1);
            let asked = Instant::now();
            let marker = vec![current.marker()];
            // While the commit is on its way to the disk, the next copy is made.
            let (granted, upcoming) = tokio::join!(
                self.ledger
                    .mark(std::mem::take(&mut course.settling), marker),
                self.next(course.left),
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
            course.offered = upcoming;
            let verdict = {
                let _watched = self.shared.watch(self.seat.relay);
                session.verdict().await
            };
            match verdict {
                Ok(reply) => {
                    if !self.judged(&session, &mut course, current, reply).await {
                        break;
                    }
                }
                Err(error) => {
                    return self.lost_behind(session, course, current, &error).await;
                }
            }
        }
        session.quit().await;
    }

    /// The message whose envelope is offered, or the next for which the connection waits; none at its end.
    async fn offered(&self, session: &mut Session, course: &mut Course) -> Option<Ready> {
        if let Some(ready) = course.offered.take() {
            return Some(ready);
        }
        // Nothing follows at once: what is known goes down before the wait.
        self.ledger
            .settle(std::mem::take(&mut course.settling))
            .await;
        if course.left == 0 {
            return None;
        }
        let ready = self.wait().await?;
        session.offer(&ready.envelope());
        Some(ready)
    }

    /// The relay did not take the offered envelope. True if the connection goes on.
    async fn refused(
        &self,
        session: &Session,
        course: &mut Course,
        current: Ready,
        (stage, reply): (Stage, Reply),
    ) -> bool {
        let settling = &mut course.settling;
        let next = self
            .judge(session, current, stage, reply, false, settling)
            .await;
        self.ledger.settle(std::mem::take(settling)).await;
        self.goes_on(course, next).await
    }

    /// The relay answered the terminator. True if the connection goes on.
    async fn judged(
        &self,
        session: &Session,
        course: &mut Course,
        current: Ready,
        reply: Reply,
    ) -> bool {
        let settling = &mut course.settling;
        let next = self
            .judge(session, current, Stage::Dot, reply, true, settling)
            .await;
        if next != Next::GoOn {
            self.put_back(course.offered.take());
            self.ledger.settle(std::mem::take(settling)).await;
        }
        self.goes_on(course, next).await
    }

    async fn goes_on(&self, course: &mut Course, next: Next) -> bool {
        match next {
            Next::GoOn => course.useful = true,
            Next::Close => {
                let why = "the relay ended the connection";
                self.ended(course.useful, why).await;
            }
            Next::Leave => {}
        }
        next == Next::GoOn
    }

    /// The connection broke before the marker of `current` was asked for.
    async fn lost_before(
        &self,
        session: Session,
        mut course: Course,
        current: Ready,
        error: &SessionError,
    ) {
        let own = self.broke_off(&session, current, error, &mut course.settling);
        self.ledger.settle(course.settling).await;
        if !own {
            self.broke(course.useful, error).await;
        }
    }

    /// The connection broke behind the marker of `current`.
    async fn lost_behind(
        &self,
        session: Session,
        course: Course,
        current: Ready,
        error: &SessionError,
    ) {
        self.put_back(course.offered);
        if error.terminator == Terminator::NotSent {
            let settling = self.cut_short(&session, current, error);
            self.ledger.settle(vec![settling]).await;
        } else {
            self.unanswered(&session, current, error).await;
        }
        self.broke(course.useful, error).await;
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
        let (outcome, failure) = self.in_doubt(session, &ready, error);
        self.settle(ready, outcome, Some(failure)).await;
    }
}
