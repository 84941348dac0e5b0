//! How long a login waits after others have failed: by the client's network, and for the whole instance.
//!
//! Promises: nobody waits for the first few; after that the wait doubles up to a quarter of an hour. Who is
//! kept out by a flood of strangers' tries gets in by `pressrun admin login-link`, which no try delays.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::access::Tries;

/// Failed tries are remembered so long.
pub const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// Failed tries of one network that cost nothing, and of all networks together.
const OWN: i64 = 5;
const ALL: i64 = 30;
const FIRST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How long a login has to wait still.
pub(super) fn wait(tries: &Tries, now: Timestamp) -> Duration {
    let own = left(tries.own, OWN, tries.own_last, now);
    own.max(left(tries.all, ALL, tries.all_last, now))
}

fn left(failed: i64, free: i64, last: i64, now: Timestamp) -> Duration {
    if failed < free {
        return Duration::ZERO;
    }
    let doubled = u32::try_from((failed - free).min(16)).unwrap_or(16);
    let whole = FIRST.saturating_mul(1 << doubled).min(LONGEST);
    whole.saturating_sub(now.since(Timestamp(last)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::wait;
    use crate::clock::Timestamp;
    use crate::store::access::Tries;

    #[test]
    fn the_first_few_cost_nothing_and_then_the_wait_doubles_up_to_a_quarter_of_an_hour() {
        let after = |own, all, seconds: i64| {
            let last = 1_000_000;
            let tries = Tries {
                own,
                own_last: last,
                all,
                all_last: last,
            };
            wait(&tries, Timestamp(last + seconds * 1000)).as_secs()
        };
        assert_eq!(after(4, 29, 0), 0);
        assert_eq!(after(5, 5, 0), 15);
        assert_eq!(after(5, 5, 14), 1);
        assert_eq!(after(5, 5, 15), 0);
        assert_eq!(after(7, 7, 0), 60);
        assert_eq!(after(60, 60, 0), 15 * 60);
        assert_eq!(after(0, 31, 0), 30);
        assert_eq!(
            wait(
                &Tries {
                    own: 0,
                    own_last: 0,
                    all: 0,
                    all_last: 0
                },
                Timestamp(0)
            ),
            Duration::ZERO
        );
    }
}
