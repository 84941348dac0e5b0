//! How the author's pages say what they say: numbers, times, the names of states; and what a query says.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::delivery::State as DeliveryState;
use crate::http::form::asked;
use crate::schedule::{on_the_wall, span};
use crate::stats;
use crate::stats::interval::Share;

/// A state's name for a person.
pub(super) fn label(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Queued => "Queued",
        DeliveryState::AtDot => "At the dot",
        DeliveryState::Sent => "Sent",
        DeliveryState::Bounced => "Bounced",
        DeliveryState::Failed => "Failed",
        DeliveryState::Expired => "Expired",
        DeliveryState::Suppressed => "Suppressed",
        DeliveryState::Unsubscribed => "Unsubscribed before it was sent",
        DeliveryState::Uncertain => "Uncertain",
        DeliveryState::Cancelled => "Cancelled",
    }
}

/// `5 March 2026, 07:00 UTC`: the time on the wall in the publication's `zone`.
pub(super) fn minute(at: Timestamp, zone: &str) -> String {
    let local = on_the_wall(at, zone).strftime("%-d %B %Y, %H:%M");
    format!("{local} {zone}")
}

/// `12 345`: thousands apart, by a space that does not break.
pub(super) fn grouped(number: i64) -> String {
    stats::grouped(number, '\u{202f}')
}

/// `12 days after`, or `4 s before` what is named next.
pub(super) fn ago(seconds: i64) -> String {
    let length = span(Duration::from_secs(seconds.unsigned_abs()));
    match seconds {
        ..0 => format!("{length} before"),
        _ => format!("{length} after"),
    }
}

/// A change: `+12`, `-3`, `0`.
pub(super) fn signed(number: i64) -> String {
    match number {
        more if more > 0 => format!("+{}", grouped(more)),
        other => grouped(other),
    }
}

/// What stands in the place of a number that nobody knows.
pub(super) const NOT_COUNTED: &str = "not counted";

/// `12 345`, or that it was not counted.
pub(super) fn told(number: Option<i64>) -> String {
    number.map_or_else(|| NOT_COUNTED.to_owned(), grouped)
}

/// A number with its share where there is enough data to name one: `12 (3.4 %)`.
pub(super) fn share_of(share: &Share) -> String {
    let number = told(share.number());
    share
        .percent()
        .map_or(number.clone(), |percent| format!("{number} ({percent})"))
}

/// The first value of `name` in a query, or nothing.
pub(super) fn parameter(query: Option<&str>, name: &str) -> String {
    asked(query, name).unwrap_or_default()
}
