//! When the other side wants to be asked again, in its own words.
//!
//! Promises: pure; only a number with a unit behind a word of waiting counts, so that "100 messages per
//! hour" is no hint; none is longer than a day. Leaves the schedule to `retry`.

use std::time::Duration;

use crate::reply::Reply;

/// No relay means more than a day; a number that large is a mistake or a trap.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// What a rate limit costs that names no time (Gmail's 4.7.28): such limits are kept per ten minutes and up.
const RATE_PAUSE: Duration = Duration::from_secs(10 * 60);

/// How long the text asks us to wait: "try again in 300 seconds", "greylisted for 5 minutes", "come back in
/// 00:04:58".
pub fn wait(reply: &Reply) -> Option<Duration> {
    let text = reply.text.to_ascii_lowercase();
    let words: Vec<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != ':')
        .map(|word| word.trim_matches(':'))
        .filter(|word| !word.is_empty())
        .collect();
    let wait = (0..words.len()).find_map(|at| {
        let wait = length(words[at], words.get(at + 1).copied())?;
        let mut before = words[..at].iter().rev().take(NEAR);
        let asked = before.any(|word| is_waiting(word));
        (asked && !wait.is_zero()).then_some(wait)
    })?;
    Some(wait.min(LONGEST))
}

/// How long the relay, and not one recipient, wants to be left alone, when it says so: 4.7.28 is
/// "an unusual rate of mail" (Gmail), which no single retry cures.
pub fn pause(reply: &Reply) -> Option<Duration> {
    if reply.class() != 4 {
        return None;
    }
    match is_rate(reply) {
        true => Some(wait(reply).unwrap_or(RATE_PAUSE)),
        false => wait(reply),
    }
}

/// Whether it speaks of an unusual rate of mail (4.7.28), and so of all mail.
pub fn is_rate(reply: &Reply) -> bool {
    matches!(reply.status(), Some((_, 7, 28)))
}

/// The words behind which a time is a wait; and "greylisted". "For", "in" and "after" alone are not among them: a
/// mailbox may be full for 24 hours.
const WAITING: [&str; 14] = [
    "again",
    "retry",
    "wait",
    "back",
    "later",
    "delay",
    "delayed",
    "deferred",
    "next",
    "blocked",
    "banned",
    "resets",
    "reset",
    "postponed",
];

fn is_waiting(word: &str) -> bool {
    WAITING.contains(&word) || word.starts_with("greylist") || word.starts_with("graylist")
}

/// So near before it: "please try again in at least".
const NEAR: usize = 4;

fn length(number: &str, unit: Option<&str>) -> Option<Duration> {
    if number.contains(':') {
        return clock(number);
    }
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let (count, glued) = number.split_at(digits);
    let count: u64 = count.parse().ok()?;
    let unit = if glued.is_empty() { unit? } else { glued };
    let seconds = match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600,
        _ => return None,
    };
    Some(Duration::from_secs(count.saturating_mul(seconds)))
}

/// `00:04:58`, as milter-greylist counts down.
fn clock(text: &str) -> Option<Duration> {
    let mut seconds = 0u64;
    let mut parts = text.split(':');
    // Three, and no more are read: a text of strangers may hold any number.
    for _ in 0..3 {
        let number: u64 = parts.next()?.parse().ok().filter(|number| *number < 100)?;
        seconds = seconds * 60 + number;
    }
    parts.next().is_none().then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_assert, proptest};

    use super::{pause, wait};
    use crate::reply::Reply;

    fn reply(code: u16, enhanced: &str, text: &str) -> Reply {
        Reply {
            code,
            enhanced: (!enhanced.is_empty()).then(|| enhanced.to_owned()),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_wait_is_read_as_relays_write_it() {
        let table = [
            ("please try again in 300 seconds", Some(300)),
            ("try again in 1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1", None),
            ("Greylisted for 5 minutes (1)", Some(300)),
            ("Greylisted, try again after 120 sec", Some(120)),
            (
                "Greylisting in action, please come back in 00:04:58",
                Some(298),
            ),
            ("Retry in 5m", Some(300)),
            ("wait at least 1 hour, then retry", Some(3600)),
            (
                "temporarily deferred; wait 2 minutes and 30 seconds",
                Some(120),
            ),
            ("try again in 900 hours", Some(24 * 3600)),
            ("more than 100 messages per 1 hour", None),
            ("max 20 connections", None),
            ("try again later", None),
            ("try again in 0 seconds", None),
            (
                "mailbox over quota, 100 MB used for 24 hours, see our help",
                None,
            ),
            (
                "try again in 300 seconds, then mail is accepted for 36 hours",
                Some(300),
            ),
            (
                "Rate limited, please try again in at least 2 minutes",
                Some(120),
            ),
            ("temporarily blocked for 30 minutes", Some(1800)),
            ("see RFC 5321 for 4 more", None),
            ("in 99999999999999999999 seconds", None),
            ("come back at 12:30", None),
            ("", None),
        ];
        for (text, seconds) in table {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(wait(&reply(450, "4.7.1", text)), expected, "{text}");
        }
    }

    #[test]
    fn a_rate_limit_pauses_the_relay_also_without_a_number() {
        let minutes = |n: u64| Some(Duration::from_secs(n * 60));
        assert_eq!(pause(&reply(421, "4.7.28", "unusual rate")), minutes(10));
        let named = reply(421, "4.7.28", "unusual rate, retry in 30 minutes");
        assert_eq!(pause(&named), minutes(30));
        assert_eq!(
            pause(&reply(452, "4.3.1", "full, wait 2 minutes")),
            minutes(2)
        );
        assert_eq!(pause(&reply(452, "4.3.1", "full")), None);
        assert_eq!(pause(&reply(550, "5.7.28", "wait 2 minutes")), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_wait_for_ever(text in "[ -~]{0,60}") {
            let wait = wait(&reply(450, "", &text));
            prop_assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(24 * 3600)));
        }
    }
}
