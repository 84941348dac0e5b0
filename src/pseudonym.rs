//! Pseudonyms: a reader's number in one run, made unknowable, and evidence without what would name anyone.
//!
//! Promises: under one key a reader has one pseudonym, under another one another; without the key none leads
//! back to a delivery. What stays of the evidence says what kind of program asked, no more; what stays of the time is the
//! hour, for a reader who leaves is named, and does so seconds after she has read.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock::Timestamp;
use crate::event::Evidence;

/// Milliseconds of an hour.
pub const HOUR: i64 = 3_600_000;

/// Octets of a run's key.
pub const KEY: usize = 32;

/// The pseudonym of delivery `seq` under a run's key; positive, as a database holds it.
pub fn pseudonym(key: &[u8; KEY], seq: u32) -> i64 {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is taken");
    mac.update(&seq.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let first = tag.first_chunk().expect("SHA-256 gives 32 octets");
    i64::from_be_bytes(*first) & i64::MAX
}

/// The evidence of one request as far as it names nobody.
pub fn impersonal(evidence: &Evidence) -> Evidence {
    Evidence {
        // With the time of the event it would tell when the mail was sent, and so whose it is.
        after: None,
        agent: coarse_agent(&evidence.agent),
        // The same network on the same day would join the pseudonyms of two runs.
        network: String::new(),
        ..evidence.clone()
    }
}

/// The beginning of the hour in which something happened.
pub fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(HOUR) * HOUR)
}

/// A program's name without its versions, which tell one from many. What calls itself nothing else is kept.
fn coarse_agent(agent: &str) -> String {
    if agent == "Mozilla/5.0" {
        return agent.to_owned();
    }
    let number = |c: char| c.is_ascii_digit();
    let mut out = String::with_capacity(agent.len());
    let mut within = false;
    for c in agent.chars() {
        within = number(c) || (within && matches!(c, '.' | '_'));
        if !within {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{impersonal, pseudonym};
    use crate::event::Evidence;

    #[test]
    fn a_reader_is_one_within_a_run_and_another_in_the_next() {
        let (one, other) = ([1; 32], [2; 32]);
        assert_eq!(pseudonym(&one, 7), pseudonym(&one, 7));
        assert_ne!(pseudonym(&one, 7), pseudonym(&one, 8));
        assert_ne!(pseudonym(&one, 7), pseudonym(&other, 7));
        assert!((0..1000).all(|seq| pseudonym(&one, seq) >= 0));
    }

    #[test]
    fn what_would_name_a_reader_is_left_out() {
        let evidence = Evidence {
            agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) Mobile/15E148".into(),
            network: "0123456789abcdef".into(),
            language: true,
            after: Some(3_725),
            ..Evidence::default()
        };
        let left = impersonal(&evidence);
        assert_eq!(
            left.agent,
            "Mozilla/ (iPhone; CPU iPhone OS  like Mac OS X) Mobile/E"
        );
        assert_eq!((left.after, left.network.as_str()), (None, ""));
        assert!(left.language);
        let proxy = Evidence {
            agent: "Mozilla/5.0".into(),
            ..Evidence::default()
        };
        assert_eq!(impersonal(&proxy).agent, "Mozilla/5.0");
    }
}
