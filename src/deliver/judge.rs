//! From an answer to a delivery's outcome: scope, schedule, expiry and policy put together.
//!
//! Promises: only recipient-scope answers finalise a recipient; what is not known to be permanent is
//! deferred; faults of the connection or the relay charge nobody, but one delivery that ends connection after
//! connection while others pass is charged with it.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::Send;
use crate::config::uncertain::UncertainPolicy;
use crate::delivery::{Failure, Outcome, Settled};
use crate::id::DeliveryKey;
use crate::reply::reason::{Reason, classify};
use crate::reply::scope::{Verdict, scope};
use crate::reply::{Reply, Stage, hint};
use crate::retry;

/// What is known of one attempt when its answer is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub key: DeliveryKey,
    /// Charged attempts before this one.
    pub attempts: i64,
    /// How long the delivery had waited when this attempt was taken up: it expires by that, whatever the clock did
    /// since.
    pub age: Duration,
    pub now: Timestamp,
    /// Whether its marker was committed.
    pub marked: bool,
    pub policy: UncertainPolicy,
    /// A number in 0.0..1.0 for the jitter of the next wait.
    pub fraction: f64,
    /// Whether it is known that connections end because of this delivery.
    pub to_blame: bool,
    /// The keyed hash of the address that was named; none where it is no reader's, or was not refused for good.
    pub address: Option<[u8; 32]>,
}

/// The outcome, and what else the answer says.
#[derive(Debug)]
pub(crate) struct Judged {
    pub settled: Settled,
    pub concerns: Concerns,
}

/// Whom else an answer concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Concerns {
    /// Nobody: the connection goes on.
    Nobody,
    /// Nobody as yet: it knows no such recipient.
    Recipient(Reply),
    /// The run: refused for content, policy or sender.
    Run(Reply),
    /// The connection: it must be closed.
    Connection,
    /// The relay: stop and probe.
    Relay(Reply),
}

/// Judges the answer to `stage`.
pub(crate) fn judge(config: &Send, attempt: &Attempt, stage: Stage, reply: Reply) -> Judged {
    let verdict = scope(stage, &reply);
    let failure = (verdict != Verdict::Sent).then(|| Failure {
        stage: Some(stage),
        reason: classify(stage, &reply),
        dialogue: String::new(),
    });
    let released = |concerns| (Outcome::Released, false, concerns);
    let (outcome, charged, concerns) = match verdict {
        Verdict::Sent => (Outcome::Sent(reply), true, Concerns::Nobody),
        Verdict::Bounced { .. } if is_unspeakable(&reply) => {
            (Outcome::Bounced(reply), true, Concerns::Nobody)
        }
        Verdict::Bounced { .. } => (
            Outcome::Bounced(reply.clone()),
            true,
            Concerns::Recipient(reply),
        ),
        Verdict::Deferred => (deferred(config, attempt, reply), true, Concerns::Nobody),
        Verdict::Content => (Outcome::Failed(reply.clone()), true, Concerns::Run(reply)),
        // Neither the relay nor the connection has failed for anybody else.
        Verdict::Relay if attempt.to_blame => {
            (deferred(config, attempt, reply), true, Concerns::Nobody)
        }
        Verdict::Connection if attempt.to_blame => {
            (deferred(config, attempt, reply), true, Concerns::Connection)
        }
        Verdict::Connection => released(Concerns::Connection),
        Verdict::Relay => released(Concerns::Relay(reply)),
        Verdict::OutOfStep if stage == Stage::Dot => {
            let said = format!("the relay answered {} to the final dot", reply.code);
            (uncertain(config, attempt, said), true, Concerns::Connection)
        }
        Verdict::OutOfStep => released(Concerns::Connection),
    };
    Judged {
        settled: Settled {
            key: attempt.key,
            outcome,
            marked: attempt.marked,
            at: attempt.now,
            charged,
            suppress: attempt
                .address
                .filter(|_| verdict == Verdict::Bounced { suppress: true }),
            failure,
        },
        concerns,
    }
}

/// Whether the address cannot be said to this relay (5.1.3, and 5.6.7 where it is not ASCII), whoever stands behind it.
fn is_unspeakable(reply: &Reply) -> bool {
    matches!(reply.status(), Some((_, 1, 3) | (_, 6, 7)))
}

/// Whether an answer about one delivery stops more than that delivery's try. That it names a wait excuses nobody: what
/// one reader's own system asks for may stand in it. Nor does MAIL, for each copy has a sender and a size of its own.
pub(crate) fn stops_others(stage: Stage, reply: &Reply) -> bool {
    let wide = || matches!(scope(stage, reply), Verdict::Connection | Verdict::Relay);
    reply.class() == 4 && wide()
}

/// A delivery that has ended one connection after the other at `stage` is put off like one that the relay deferred.
pub(crate) fn put_off(
    config: &Send,
    attempt: &Attempt,
    stage: Stage,
    reply: Reply,
    dialogue: String,
) -> Settled {
    let reason = match reply.code {
        0 => Reason::Protocol,
        _ => classify(stage, &reply),
    };
    // What was said out of step is no word about the delivery.
    let reply = match reply.class() {
        4 | 5 => reply,
        _ => Reply { code: 0, ..reply },
    };
    Settled {
        key: attempt.key,
        outcome: deferred(config, attempt, reply),
        marked: attempt.marked,
        at: attempt.now,
        charged: true,
        suppress: None,
        failure: Some(Failure {
            stage: Some(stage),
            reason,
            dialogue,
        }),
    }
}

/// The failure of a dot that got no answer, or of a copy that was given back before it.
pub(crate) fn unanswered(stage: Stage, dialogue: String, why: &str) -> Failure {
    Failure {
        stage: Some(stage),
        reason: Reason::NoAnswer,
        // The end of a transcript is what was not said.
        dialogue: match dialogue.as_str() {
            "" => String::new(),
            _ => format!("{dialogue}({why})\n"),
        },
    }
}

/// What a delivery of which nobody knows the end becomes, by the run's policy. Sent again it goes out under the same
/// Message-ID, by the schedule, and not for ever: a relay that never answers may have taken each copy.
pub(crate) fn uncertain(config: &Send, attempt: &Attempt, why: String) -> Outcome {
    let said = |text| Reply {
        text,
        ..Reply::default()
    };
    match attempt.policy {
        UncertainPolicy::Hold => Outcome::Uncertain(why),
        UncertainPolicy::AssumeSent => Outcome::Sent(said(format!("assumed sent: {why}"))),
        UncertainPolicy::Resend => match deferred(config, attempt, said(why)) {
            Outcome::Expired(reply) => Outcome::Uncertain(reply.text),
            later => later,
        },
    }
}

/// Tries before which no delivery expires by its age: what held it up in between, a relay that was down or a run that
/// was held, is no fault of its reader's, and a greylist that forgot her takes her at the next.
const TRIES: u32 = 3;

/// A delivery expires by its age, but not before it was tried often enough. System mails and reopened runs have no age to
/// go by, so the waits so far count as well.
fn deferred(config: &Send, attempt: &Attempt, reply: Reply) -> Outcome {
    let before = u32::try_from(attempt.attempts).unwrap_or(u32::MAX);
    let aged = attempt.age >= config.give_up;
    let waited = retry::waited(&config.retry, before);
    if before + 1 >= TRIES && (aged || waited >= config.give_up) {
        return Outcome::Expired(reply);
    }
    let (schedule, now) = (&config.retry, attempt.now);
    let (jitter, fraction) = (config.jitter, attempt.fraction);
    let attempts = before.saturating_add(1);
    let due = match hint::wait(&reply) {
        Some(wait) => retry::due_by_hint(wait, schedule, attempts, jitter, fraction, now),
        None => retry::due(schedule, attempts, jitter, fraction, now),
    };
    Outcome::Deferred { reply, due }
}
