//! One connection to a relay that takes windows: several messages in one write (RFC 3030).
//!
//! Invariant: a window is written only after the markers of all its messages have been committed together.
//! The outcomes of the window before share that commit. So a kill leaves at most one window per connection
//! in doubt.

use crate::deliver::ledger::{Grant, Settling};
use crate::deliver::queue::Job;
use crate::deliver::worker::{Next, Ready, Worker};
use crate::delivery::Outcome;
use crate::smtp::error::{SessionError, Terminator};
use crate::smtp::session::window::Answer;
use crate::smtp::session::{Envelope, Session};

impl Worker<'_> {
    /// Sends windows over one connection until it fails, is used up, or there is nothing to do.
    pub(super) async fn drive_windows(&self, mut session: Session, first: Job) {
        let mut left = self.seat.messages();
        let mut settling = Vec::new();
        // Whether this connection ever got an answer about a recipient.
        let mut useful = false;
        let first = self.prepare(first).await;
        let mut window = self.fill(first.into_iter().collect(), left).await;
        loop {
            if window.is_empty() {
                // Nothing follows at once: what is known goes down before the wait.
                self.ledger.settle(std::mem::take(&mut settling)).await;
                if left == 0 {
                    break;
                }
                let Some(ready) = self.wait().await else {
                    break;
                };
                window = self.fill(vec![ready], left).await;
            }
            left = left.saturating_sub(u32::try_from(window.len()).unwrap_or(u32::MAX));
            let mut marked = self.mark(window, &mut settling).await;
            for ready in &mut marked {
                ready.job.coin.spend();
                let message = std::mem::take(&mut ready.prepared.message);
                let size = message.len();
                let envelope = ready.envelope();
                session.put(&Envelope { size, ..envelope }, message);
            }
            if marked.is_empty() {
                window = self.fill(Vec::new(), left).await;
                continue;
            }
            // While the window is on its way, the copies of the next are made.
            let settled = async {
                let _watched = self.shared.watch(self.seat.relay);
                session.settle().await
            };
            let (answers, upcoming) = tokio::join!(settled, self.fill(Vec::new(), left));
            let mut end = None;
            for (ready, answer) in marked.into_iter().zip(answers) {
                match answer {
                    Ok(Answer { stage, reply }) => {
                        match self
                            .judge(&session, ready, stage, reply, true, &mut settling)
                            .await
                        {
                            Next::GoOn => useful = true,
                            Next::Close => {
                                end.get_or_insert(Some(
                                    "the relay ended the connection".to_owned(),
                                ));
                            }
                            Next::Leave => end = Some(None),
                        }
                    }
                    Err(error) => {
                        // It ended at the first that has no answer; those behind it shared its fate.
                        let at_it = end.is_none();
                        settling.push(self.broken_off(&session, ready, &error, at_it));
                        match self.seat.broke(&error) {
                            true => end = Some(None),
                            false => _ = end.get_or_insert(Some(error.to_string())),
                        }
                    }
                }
            }
            if let Some(why) = end {
                upcoming
                    .into_iter()
                    .for_each(|ready| self.put_back(Some(ready)));
                self.ledger.settle(settling).await;
                if let Some(why) = why {
                    self.ended(useful, &why).await;
                }
                return;
            }
            window = upcoming;
        }
        session.quit().await;
    }

    /// Adds messages that wait to `window`, up to its size and to what is `left` of the connection.
    async fn fill(&self, mut window: Vec<Ready>, left: u32) -> Vec<Ready> {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let size = self.seat.relay.config.window.min(left);
        while window.len() < size {
            let Some(ready) = self.next(1).await else {
                break;
            };
            window.push(ready);
        }
        window
    }

    /// Commits the markers of a window with the outcomes of the last one; gives the messages that got
    /// theirs. The others stay as they are in the ledger, and what else waits of a block of theirs is left
    /// alone: it may be another node's by now.
    async fn mark(&self, mut window: Vec<Ready>, settling: &mut Vec<Settling>) -> Vec<Ready> {
        let markers = window.iter_mut().map(Ready::marker).collect();
        let granted = self.ledger.mark(std::mem::take(settling), markers).await;
        let all = window.len();
        let mut marked = Vec::with_capacity(all);
        let mut doubtful = Vec::new();
        for (ready, granted) in window.into_iter().zip(granted) {
            match granted {
                Grant::Given => marked.push(ready),
                Grant::Refused => self.shared.queue.forget(&ready.job),
                // The marker may stand: it is taken back.
                Grant::InDoubt => doubtful.push(self.settling(ready, Outcome::Released, None)),
            }
        }
        if marked.len() < all {
            // Its run may be paused: what waits of it is not to meet the same.
            self.shared.done.wake.notify_one();
        }
        self.ledger.settle(doubtful).await;
        marked
    }

    /// The outcome of a message whose answer never came.
    fn broken_off(
        &self,
        session: &Session,
        ready: Ready,
        error: &SessionError,
        at_it: bool,
    ) -> Settling {
        match error.terminator {
            Terminator::NotSent if at_it => return self.cut_short(session, ready, error),
            Terminator::NotSent => return self.settling(ready, Outcome::Released, None),
            Terminator::MaybeSent => {}
        }
        let (outcome, failure) = self.in_doubt(session, &ready, error);
        self.settling(ready, outcome, Some(failure))
    }
}
