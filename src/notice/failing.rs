//! A webhook that does not take what it is told: since when, what it says, and what becomes of the notices.
//!
//! Promises: its address, whose path is often a secret, is never named. Leaves the asking to `hook`.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::schedule::shown;
use crate::store::notices::Untaken;
use crate::store::{Store, StoreError};
use crate::terminal::counted;

/// What to do about it.
pub const ADVICE: &str = "see that what stands at `notify.webhook` answers with a status of 2xx, without a redirect and \
                          within 10 seconds";

/// What is said of a webhook that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failing {
    pub cause: &'static str,
    /// What is found, and what to do.
    pub sentence: String,
    /// The first half of it.
    #[serde(skip)]
    pub says: String,
    /// Unix milliseconds of the first notice that it did not take.
    pub since: i64,
}

/// The webhook's failing, if one is configured and did not take the last notice that it was asked about.
pub async fn failing(store: &Store, config: &Config) -> Result<Option<Failing>, StoreError> {
    if config.notify.webhook.is_none() {
        return Ok(None);
    }
    let untaken = store.hook_untaken().await?;
    Ok(untaken.map(|untaken| {
        let says = says(&untaken, &config.publication.timezone);
        Failing {
            cause: "webhook",
            sentence: format!("{says}; {ADVICE}"),
            says,
            since: untaken.since,
        }
    }))
}

fn says(untaken: &Untaken, zone: &str) -> String {
    let Untaken {
        since,
        notices,
        given_up,
        answer,
    } = untaken;
    let fate = match (*notices, *given_up) {
        (notices, 0) => format!("{} asked again", waits(notices)),
        (notices, given_up) if notices == given_up => {
            format!("{} given up", waits(given_up))
        }
        (notices, given_up) => format!(
            "{} asked again, and {given_up} given up",
            waits(notices - given_up)
        ),
    };
    format!(
        "the webhook fails since the notice of {}: {answer}; {fate}",
        shown(Timestamp(*since), zone)
    )
}

fn waits(notices: i64) -> String {
    let is = if notices == 1 { "is" } else { "are" };
    format!("{} {is}", counted(notices, "notice"))
}

#[cfg(test)]
mod tests {
    use super::says;
    use crate::store::notices::Untaken;

    #[test]
    fn it_is_told_since_when_what_was_answered_and_what_becomes_of_the_notices() {
        let said = |notices, given_up| {
            let untaken = Untaken {
                since: 1_771_502_400_000,
                notices,
                given_up,
                answer: "it answered 503".into(),
            };
            says(&untaken, "Europe/Berlin")
        };
        assert_eq!(
            said(1, 0),
            "the webhook fails since the notice of Thu 19 Feb 2026 13:00 Europe/Berlin: it answered 503; 1 notice is \
             asked again"
        );
        assert!(said(3, 1).ends_with("; 2 notices are asked again, and 1 given up"));
        assert!(said(2, 2).ends_with("; 2 notices are given up"));
    }
}
