//! `cargo fuzz run smtp_reply` (CONTRIBUTING.md says how): whatever a relay says, reading it neither panics nor grows, is the same
//! however the octets are cut, and has a verdict, a reason and perhaps a wait. The session's own state machine
//! is tried by `PRESSRUN_REPLY_SCRIPTS=100000 cargo test --test suite r13_`.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use pressrun::reply::parser::{ReplyError, ReplyParser};
use pressrun::reply::reason::classify;
use pressrun::reply::scope::{Verdict, scope};
use pressrun::reply::{Reply, Stage, hint};

/// The kept text, and the dots behind what was cut off.
const TEXT: usize = 503;

fn read(bytes: &[u8], piece: usize) -> Result<Vec<Reply>, ReplyError> {
    let mut parser = ReplyParser::default();
    let mut replies = Vec::new();
    for piece in bytes.chunks(piece) {
        let mut at = 0;
        while at < piece.len() {
            let (used, reply) = parser.feed(&piece[at..])?;
            assert!(used > 0, "no octet is read twice");
            at += used;
            replies.extend(reply);
        }
    }
    Ok(replies)
}

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes, usize::MAX);
    for piece in [1, 7] {
        let pieces = read(bytes, piece);
        // Where it fails, the same replies need not come before; that it fails is the same.
        assert_eq!(pieces.is_ok(), whole.is_ok());
        if let (Ok(pieces), Ok(whole)) = (&pieces, &whole) {
            assert_eq!(pieces, whole);
        }
    }
    for reply in whole.unwrap_or_default() {
        assert!(reply.text.len() <= TEXT);
        assert!(reply.text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        for stage in [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot] {
            let verdict = scope(stage, &reply);
            // Invariant: sent means 250 to the final dot.
            assert_eq!(verdict == Verdict::Sent, stage == Stage::Dot && reply.code == 250);
            classify(stage, &reply);
        }
        let longest = Duration::from_secs(24 * 3600);
        assert!(hint::wait(&reply).is_none_or(|wait| wait <= longest));
        assert!(hint::pause(&reply).is_none_or(|wait| wait <= longest));
    }
});
