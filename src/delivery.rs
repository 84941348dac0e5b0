//! A delivery's life: its states, the moves between them, and what each move is made of.
//!
//! Promises: the names are those of the database, of JSON and of the command line. Leaves the
//! compare-and-set to `store` and the decisions to `reply` and `retry`.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::DeliveryKey;
use crate::reply::reason::Reason;
use crate::reply::{Reply, Stage};

/// Where a delivery stands. `queued` and `at_dot` are open; all else is final until someone resolves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Queued,
    AtDot,
    Sent,
    Bounced,
    Failed,
    Expired,
    Suppressed,
    Unsubscribed,
    Uncertain,
    Cancelled,
}

impl State {
    /// Every state, in the order of the identity.
    pub const ALL: [State; 10] = [
        State::Queued,
        State::AtDot,
        State::Sent,
        State::Bounced,
        State::Failed,
        State::Expired,
        State::Suppressed,
        State::Unsubscribed,
        State::Uncertain,
        State::Cancelled,
    ];

    /// The name in the database, in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::AtDot => "at_dot",
            State::Sent => "sent",
            State::Bounced => "bounced",
            State::Failed => "failed",
            State::Expired => "expired",
            State::Suppressed => "suppressed",
            State::Unsubscribed => "unsubscribed",
            State::Uncertain => "uncertain",
            State::Cancelled => "cancelled",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Deliveries by state: of one block, or of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub queued: i64,
    pub at_dot: i64,
    pub sent: i64,
    pub bounced: i64,
    pub failed: i64,
    pub expired: i64,
    pub suppressed: i64,
    pub unsubscribed: i64,
    pub uncertain: i64,
    pub cancelled: i64,
}

impl Counts {
    /// The counter of `state`.
    pub fn get_mut(&mut self, state: State) -> &mut i64 {
        match state {
            State::Queued => &mut self.queued,
            State::AtDot => &mut self.at_dot,
            State::Sent => &mut self.sent,
            State::Bounced => &mut self.bounced,
            State::Failed => &mut self.failed,
            State::Expired => &mut self.expired,
            State::Suppressed => &mut self.suppressed,
            State::Unsubscribed => &mut self.unsubscribed,
            State::Uncertain => &mut self.uncertain,
            State::Cancelled => &mut self.cancelled,
        }
    }

    /// The counter of `state`.
    pub fn get(&self, state: State) -> i64 {
        *self.clone().get_mut(state)
    }

    /// The sum over all states: the right side of the identity.
    pub fn total(&self) -> i64 {
        State::ALL.iter().map(|&state| self.get(state)).sum()
    }

    /// Nothing is queued and nothing stands at the dot.
    pub fn finished(&self) -> bool {
        self.queued == 0 && self.at_dot == 0
    }
}

/// What one attempt came to: the value that moves a delivery on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 250 to the final dot.
    Sent(Reply),
    /// The recipient is refused for good.
    Bounced(Reply),
    /// Not now; due again at this time.
    Deferred { reply: Reply, due: Timestamp },
    /// Deferred for too long.
    Expired(Reply),
    /// This copy cannot be made or is refused for good, and the recipient is not to blame.
    Failed(Reply),
    /// The dot went out and no answer came.
    Uncertain(String),
    /// Nothing was decided about the recipient (relay fault, our own fault before the dot): back to the
    /// queue, no attempt charged.
    Released,
}

/// Why an attempt did not end in `sent`, for whoever asks later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The command that was refused or not answered; none where nothing was said.
    pub stage: Option<Stage>,
    pub reason: Reason,
    /// What both ends said, without secrets and bodies; empty where nothing was said.
    pub dialogue: String,
}

/// A delivery's outcome on its way into the ledger.
#[derive(Clone, Debug)]
pub struct Settled {
    pub key: DeliveryKey,
    pub outcome: Outcome,
    /// Whether the marker was taken: the row then stands in `at_dot`, else in `queued`.
    pub marked: bool,
    pub at: Timestamp,
    /// Whether the attempt counts against this recipient's tries.
    pub charged: bool,
    /// The keyed hash of the address that bounced, where that is to be suppressed: its reader may have another by now.
    pub suppress: Option<[u8; 32]>,
    /// Kept as the delivery's last failure, unless it is none.
    pub failure: Option<Failure>,
}

impl Outcome {
    /// The state a delivery goes to.
    pub fn state(&self) -> State {
        match self {
            Outcome::Sent(_) => State::Sent,
            Outcome::Bounced(_) => State::Bounced,
            Outcome::Deferred { .. } | Outcome::Released => State::Queued,
            Outcome::Expired(_) => State::Expired,
            Outcome::Failed(_) => State::Failed,
            Outcome::Uncertain(_) => State::Uncertain,
        }
    }

    /// What the relay said, where it said something.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Outcome::Sent(reply)
            | Outcome::Bounced(reply)
            | Outcome::Deferred { reply, .. }
            | Outcome::Expired(reply)
            | Outcome::Failed(reply) => Some(reply),
            Outcome::Uncertain(_) | Outcome::Released => None,
        }
    }
}
