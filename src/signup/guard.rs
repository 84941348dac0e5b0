//! How the front door stands: open, asking for a proof of work, or shut.
//!
//! Promises: decided by what the whole instance was asked and what came back, the same for every address;
//! a proof is bound to one form, and a form works once. Leaves the counting to `store`.

use std::sync::Mutex;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::app::App;
use crate::clock::Timestamp;
use crate::lock::lock;
use crate::store::pressure::Pressure;

/// Hours of the mean against which an hour is held.
const WEEK: i64 = 168;
/// Confirm mails of which the bounces are counted, and how many in a hundred shut the door.
pub const LAST: i64 = 50;
const SHUT_PERCENT: i64 = 20;
/// Characters of a proof; a number of 64 bits has at most so many.
const PROOF_LENGTH: usize = 20;

/// How the door stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// As usual.
    Calm,
    /// Far more sign up than usually: every form costs some work.
    Proof,
    /// Too many confirm mails came back: no form is taken.
    Shut,
}

impl Guard {
    /// How the door must stand under this pressure. `brake` is how far above the mean of the week an hour
    /// may be.
    pub fn under(pressure: &Pressure, brake: u32) -> Guard {
        let bounces =
            pressure.settled >= LAST && pressure.bounced * 100 > pressure.settled * SHUT_PERCENT;
        if bounces {
            return Guard::Shut;
        }
        // In whole forms, times the hours of the week: no rounding.
        let above = pressure.hour * WEEK - pressure.week;
        match above > i64::from(brake) * WEEK {
            true => Guard::Proof,
            false => Guard::Calm,
        }
    }

    /// The name in a notice.
    pub fn name(self) -> &'static str {
        match self {
            Guard::Calm => "calm",
            Guard::Proof => "proof",
            Guard::Shut => "shut",
        }
    }

    /// What the author should know, if anything.
    pub fn notice(self) -> Option<&'static str> {
        match self {
            Guard::Calm => None,
            Guard::Proof => Some(
                "Far more people sign up than usually. The form asks every browser for a proof of work \
                 until it is calm again; `pressrun subscribers undo-signups` takes a flood back.",
            ),
            Guard::Shut => Some(
                "More than a fifth of the last 50 confirm mails came back: somebody types addresses that \
                 are none. The form is shut until the bounces are a day old; \
                 `pressrun subscribers undo-signups` takes a flood back.",
            ),
        }
    }
}

/// How the door stands now.
pub async fn look(app: &App) -> anyhow::Result<Guard> {
    let now = app.clock.now();
    let pressure = app.store.signup_pressure(now, LAST).await?;
    Ok(Guard::under(&pressure, app.config.signup.brake))
}

/// Whether `proof` is the work that the form `token` asks for: SHA-256 of `token.proof` begins with so many
/// zero bits.
pub fn is_proven(token: &str, proof: &str, bits: u32) -> bool {
    if proof.is_empty() || proof.len() > PROOF_LENGTH {
        return false;
    }
    let hash = Sha256::digest(format!("{token}.{proof}"));
    let head = hash
        .first_chunk()
        .map_or(0, |head| u64::from_be_bytes(*head));
    head.leading_zeros() >= bits
}

/// Whether the form that was served at `served` is young enough for its proof.
pub fn is_fresh(served: Timestamp, now: Timestamp) -> bool {
    /// Long enough for the slowest phone, too short to save proofs up for.
    const PROOF_AGE: std::time::Duration = std::time::Duration::from_secs(600);
    now.since(served) <= PROOF_AGE
}

/// Signups past their network's share are told once in this time.
const LOST: Duration = Duration::from_secs(60);

/// What is told of signups past a network's share: they are answered like any other, so the log alone knows.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// When they were told last, and how many came since.
    last: Mutex<(Option<Timestamp>, u32)>,
}

impl Lost {
    /// Counts one, and tells of all since the last time once that is long enough ago.
    pub(super) fn tell(&self, now: Timestamp) {
        let mut last = lock(&self.last);
        last.1 += 1;
        if last.0.is_some_and(|at| now.since(at) < LOST && at <= now) {
            return;
        }
        tracing::warn!(
            signups = last.1,
            "signups were dropped: their networks had their share (`signup.per_network_per_minute`, `_per_hour`); \
             a proxy before the site must stand in `http.trusted_proxies`"
        );
        *last = (Some(now), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Guard, is_proven};
    use crate::store::pressure::Pressure;

    fn pressure(hour: i64, week: i64, settled: i64, bounced: i64) -> Pressure {
        Pressure {
            hour,
            week,
            settled,
            bounced,
        }
    }

    #[test]
    fn an_hour_far_above_the_week_asks_for_work_and_many_bounces_shut_the_door() {
        for (seen, guard) in [
            (pressure(0, 0, 0, 0), Guard::Calm),
            (pressure(60, 0, 0, 0), Guard::Calm),
            (pressure(61, 0, 0, 0), Guard::Proof),
            (pressure(160, 168 * 100, 0, 0), Guard::Calm),
            (pressure(161, 168 * 100, 0, 0), Guard::Proof),
            (pressure(0, 0, 49, 49), Guard::Calm),
            (pressure(0, 0, 50, 10), Guard::Calm),
            (pressure(99, 0, 50, 11), Guard::Shut),
        ] {
            assert_eq!(Guard::under(&seen, 60), guard, "{seen:?}");
        }
    }

    #[test]
    fn a_proof_holds_for_its_own_form_only() {
        let proof = (0_u64..).map(|n| n.to_string());
        let proof = { proof }
            .find(|proof| is_proven("form", proof, 10))
            .expect("one in a thousand");
        assert!(!is_proven("other", &proof, 10) || !is_proven("third", &proof, 10));
        assert!(!is_proven("form", "", 0));
        assert!(!is_proven("form", &"0".repeat(21), 0));
    }
}
