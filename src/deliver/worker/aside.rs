//! A delivery at whose own commands the connection ended, or the relay said that it takes no mail at all.
//!
//! Promises: it lets the others of its run go first, and one that does so again and again while they pass is put
//! off by schedule and charged. So one reader's mail stops neither the run nor the relay, and ends like any that is
//! refused for ever.

use std::sync::atomic::Ordering;

use crate::deliver::judge::{Attempt, put_off};
use crate::deliver::ledger::Settling;
use crate::deliver::worker::{Ready, Worker};
use crate::delivery::Outcome;
use crate::id::DeliveryKey;
use crate::reply::{Reply, Stage};
use crate::smtp::error::{Phase, SessionError};
use crate::smtp::session::Session;

impl Worker<'_> {
    /// What is known of the try of `ready` when it is judged.
    pub(super) fn attempt(&self, ready: &Ready, marked: bool) -> Attempt {
        Attempt {
            key: ready.prepared.key,
            attempts: ready.job.row.attempts,
            age: ready.job.row.age(),
            now: self.shared.app.clock.now(),
            marked,
            policy: ready.job.policy(),
            fraction: self.shared.app.chance.fraction(),
            to_blame: false,
            address: None,
        }
    }

    /// The connection ended at the commands of this delivery. True if the delivery is to blame.
    pub(super) fn ended_by(&self, key: DeliveryKey) -> bool {
        self.seat
            .ended_by(key, self.carried.load(Ordering::Relaxed))
    }

    /// The connection broke before the marker of `ready` was asked for: the job goes back, or the delivery is put
    /// off. True if that was its own fault, and says nothing of the relay.
    pub(super) fn broke_off(
        &self,
        session: &Session,
        ready: Ready,
        error: &SessionError,
        settling: &mut Vec<Settling>,
    ) -> bool {
        let Some(stage) = own_stage(error) else {
            self.seat.put_back(ready.job);
            return false;
        };
        let own = self.ended_by(ready.prepared.key);
        match own {
            true => settling.push(self.put_off(session, ready, stage, error, false)),
            false => self.seat.put_behind(ready.job),
        }
        own
    }

    /// The connection broke behind the marker of `ready` and before its terminator: the marker is taken back, or the
    /// delivery is put off.
    pub(super) fn cut_short(
        &self,
        session: &Session,
        ready: Ready,
        error: &SessionError,
    ) -> Settling {
        match own_stage(error) {
            Some(stage) if self.ended_by(ready.prepared.key) => {
                self.put_off(session, ready, stage, error, true)
            }
            _ => self.settling(ready, Outcome::Released, None),
        }
    }

    fn put_off(
        &self,
        session: &Session,
        mut ready: Ready,
        stage: Stage,
        error: &SessionError,
        marked: bool,
    ) -> Settling {
        ready.job.coin.spend();
        let attempt = self.attempt(&ready, marked);
        let reply = error.reply.clone().unwrap_or_else(|| Reply {
            text: error.to_string(),
            ..Reply::default()
        });
        let said = session.dialogue(&ready.prepared.recipient);
        Settling {
            settled: put_off(&self.shared.app.config.send, &attempt, stage, reply, said),
            guard: Some(ready.job.guard),
        }
    }
}

/// At which command for one delivery a connection ended; none where it ended before one was named.
fn own_stage(error: &SessionError) -> Option<Stage> {
    match error.phase {
        Phase::Rcpt => Some(Stage::Rcpt),
        Phase::Data => Some(Stage::Data),
        Phase::Body | Phase::Dot => Some(Stage::Dot),
        _ => None,
    }
}
