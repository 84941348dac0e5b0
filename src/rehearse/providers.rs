//! How relays and mailbox providers answer in a rehearsal, as data.
//!
//! The figures are round ones of what senders see in ordinary weeks: the times are medians of a warm sender
//! in the same part of the world, the shares those of a clean list. They are no promise of any provider.

use std::time::Duration;

use crate::config::RelayKind;
use crate::smtp::sink::mailboxes::Provider;

const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// Mailbox providers that are sent to directly; the last one is everyone else.
pub const DIRECT: [Provider; 4] = [
    Provider {
        name: "gmail",
        domains: &["gmail.com", "googlemail.com"],
        round_trip: ms(15),
        accept: ms(250),
        deferred: 0.004,
        per_second: None,
    },
    Provider {
        name: "microsoft",
        domains: &["outlook.com", "hotmail.com", "live.com", "msn.com"],
        round_trip: ms(30),
        accept: ms(400),
        deferred: 0.010,
        per_second: None,
    },
    Provider {
        name: "yahoo",
        domains: &["yahoo.com", "ymail.com", "aol.com"],
        round_trip: ms(60),
        accept: ms(300),
        deferred: 0.015,
        per_second: None,
    },
    Provider {
        name: "other",
        domains: &[],
        round_trip: ms(60),
        accept: ms(200),
        deferred: 0.020,
        per_second: None,
    },
];

/// A relay that takes everything and delivers later: how fast it takes it.
pub fn relay(kind: RelayKind) -> Provider {
    let (name, round_trip, accept) = match kind {
        RelayKind::Ses => ("ses", ms(30), ms(40)),
        RelayKind::Mailgun => ("mailgun", ms(30), ms(30)),
        RelayKind::Postmark => ("postmark", ms(30), ms(30)),
        RelayKind::Sendgrid => ("sendgrid", ms(30), ms(25)),
        _ => ("smtp", ms(20), ms(15)),
    };
    Provider {
        name,
        domains: &[],
        round_trip,
        accept,
        deferred: 0.001,
        per_second: None,
    }
}

/// Where the readers of a list have their mailboxes when nobody knows: shares in percent, in the order of
/// [`DIRECT`].
pub const USUAL: [u64; 4] = [45, 20, 8, 27];
