//! What was said on one connection, for the person who asks why a delivery failed.
//!
//! Promises: no secret (what belongs to AUTH is hidden), no message (its octets are counted), bounded memory,
//! one transcript per transaction however they are pipelined. Reads the octets as they are given to be
//! written and the replies as they come; decides nothing.

use std::collections::VecDeque;

use crate::reply::Reply;
use crate::stats::grouped;

/// Transactions kept of a connection: more than a window of BDAT has.
const TALKS: usize = 32;
/// Octets kept of the opening, and of each transaction: together below 4 KiB.
const OPENING: usize = 1024;
const TALK: usize = 2900;

/// The transcript of one connection.
#[derive(Debug)]
pub struct Dialogue {
    opening: Talk,
    talks: VecDeque<Talk>,
    /// The number of the first of `talks`; the opening is number 0.
    first: u64,
    /// For each reply that is still to come, the transaction it belongs to.
    awaited: VecDeque<u64>,
    mode: Mode,
    /// Whether a conversation about a password is under way.
    hidden: bool,
}

/// The transcript of one transaction, or of the opening.
#[derive(Debug, Default)]
struct Talk {
    text: String,
    full: bool,
    /// Octets of the message given and not noted yet.
    octets: usize,
}

/// What the next octets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Commands,
    /// Mail, up to a dot that is given alone.
    Message,
    /// So many octets of a chunk are left.
    Chunk(usize),
}

impl Dialogue {
    /// A connection on which the greeting is awaited.
    pub fn new() -> Dialogue {
        Dialogue {
            opening: Talk::default(),
            talks: VecDeque::new(),
            first: 1,
            awaited: VecDeque::from([0]),
            mode: Mode::Commands,
            hidden: false,
        }
    }

    /// The same connection behind a TLS handshake: nobody greets again.
    pub fn encrypted(mut self) -> Dialogue {
        self.opening.line("", "(TLS)", OPENING);
        self.awaited.clear();
        self
    }

    /// Notes octets that are about to be written.
    pub fn said(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.mode {
                Mode::Message if bytes == b".\r\n" => {
                    self.mode = Mode::Commands;
                    self.last().body_ended();
                    self.command(b".");
                    return;
                }
                Mode::Message => return self.said_message(bytes.len()),
                Mode::Chunk(left) => {
                    let taken = left.min(bytes.len());
                    self.said_message(taken);
                    bytes = &bytes[taken..];
                }
                Mode::Commands => {
                    let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
                    let (line, rest) = bytes.split_at(end);
                    self.command(line.trim_ascii_end());
                    bytes = rest;
                }
            }
        }
    }

    /// Notes so many octets of a message that are about to be written: what they are is not kept.
    pub fn said_message(&mut self, octets: usize) {
        match self.mode {
            Mode::Commands => {}
            Mode::Message => self.last().octets += octets,
            Mode::Chunk(left) => {
                let taken = left.min(octets);
                self.last().octets += taken;
                self.mode = Mode::Chunk(left - taken);
                if taken == left {
                    self.last().body_ended();
                    self.mode = Mode::Commands;
                }
            }
        }
    }

    /// Notes the reply to the oldest command that has none.
    pub fn heard(&mut self, reply: &Reply) {
        let number = self.awaited.pop_front().unwrap_or(0);
        let hidden = self.hidden;
        // RFC 4954, section 4: 334 goes on with the conversation about the password.
        self.hidden &= reply.code == 334;
        if reply.code == 354 {
            self.mode = Mode::Message;
        }
        let (talk, limit) = match number.checked_sub(self.first) {
            _ if number == 0 => (&mut self.opening, OPENING),
            Some(index) => match usize::try_from(index)
                .ok()
                .and_then(|i| self.talks.get_mut(i))
            {
                Some(talk) => (talk, TALK),
                None => return,
            },
            // Its transcript is given up already.
            None => return,
        };
        if hidden {
            // A server may repeat what it was told.
            talk.line("S: ", &format!("{} [hidden]", reply.code), limit);
        } else {
            talk.line("S: ", &reply.to_string(), limit);
        }
    }

    /// The opening and the last transaction for `recipient`; empty if there was none.
    pub fn about(&self, recipient: &str) -> String {
        let wanted = format!("C: RCPT TO:<{recipient}>");
        let mut talks = self.talks.iter().rev();
        match talks.find(|talk| talk.text.contains(&wanted)) {
            Some(talk) => format!("{}{}", self.opening.text, talk.text),
            None => String::new(),
        }
    }

    fn command(&mut self, line: &[u8]) {
        let verb = line.split(|&byte| byte == b' ').next().unwrap_or_default();
        let hidden = self.hidden;
        self.hidden |= verb == b"AUTH";
        match verb {
            // Pipelined, RSET stands before the MAIL whose transaction it makes room for.
            b"RSET" => self.begin(),
            b"MAIL" if !self.is_begun() => self.begin(),
            b"BDAT" => {
                let size = line.split(|&byte| byte == b' ').nth(1);
                let size = size.and_then(|size| std::str::from_utf8(size).ok()?.parse().ok());
                self.mode = match size {
                    Some(size) if size > 0 => Mode::Chunk(size),
                    _ => Mode::Commands,
                };
            }
            _ => {}
        }
        let number = match self.talks.len() {
            0 => 0,
            talks => self.first + talks as u64 - 1,
        };
        self.awaited.push_back(number);
        let limit = if number == 0 { OPENING } else { TALK };
        let talk = self.last();
        if hidden {
            talk.line("C: ", "[hidden]", limit);
        } else if verb == b"AUTH" {
            let mechanism = line.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
            let mechanism = printable(mechanism);
            talk.line("C: ", &format!("AUTH {mechanism} [hidden]"), limit);
        } else {
            talk.line("C: ", &printable(line), limit);
        }
    }

    /// Whether the last transaction has no MAIL yet.
    fn is_begun(&self) -> bool {
        self.talks
            .back()
            .is_some_and(|talk| !talk.text.contains("C: MAIL"))
    }

    fn begin(&mut self) {
        let mut talk = Talk::default();
        if self.talks.len() == TALKS
            && let Some(oldest) = self.talks.pop_front()
        {
            self.first += 1;
            // Its memory serves the newest.
            talk.text = oldest.text;
            talk.text.clear();
        }
        self.talks.push_back(talk);
    }

    fn last(&mut self) -> &mut Talk {
        self.talks.back_mut().unwrap_or(&mut self.opening)
    }
}

impl Default for Dialogue {
    fn default() -> Dialogue {
        Dialogue::new()
    }
}

impl Talk {
    fn line(&mut self, who: &str, what: &str, limit: usize) {
        if self.full {
            return;
        }
        if self.text.len() + who.len() + what.len() >= limit {
            self.full = true;
            self.text.push_str("...\n");
            return;
        }
        self.text.push_str(who);
        self.text.push_str(what);
        self.text.push('\n');
    }

    fn body_ended(&mut self) {
        let octets = std::mem::take(&mut self.octets);
        if octets > 0 {
            self.line(
                "C: ",
                &format!(
                    "[{} octets]",
                    grouped(i64::try_from(octets).unwrap_or(i64::MAX), ',')
                ),
                TALK,
            );
        }
    }
}

/// Our own commands are ASCII; what a mistake would put there must not reach a terminal raw.
fn printable(line: &[u8]) -> String {
    let shown = |&byte: &u8| match byte {
        b' '..=b'~' => char::from(byte),
        _ => '?',
    };
    line.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::{Dialogue, OPENING, TALK, TALKS};
    use crate::reply::Reply;

    fn heard(dialogue: &mut Dialogue, code: u16, text: &str) {
        dialogue.heard(&Reply {
            code,
            enhanced: None,
            text: text.into(),
        });
    }

    fn opened() -> Dialogue {
        let mut dialogue = Dialogue::new();
        heard(&mut dialogue, 220, "relay");
        dialogue.said(b"EHLO news.example\r\n");
        heard(&mut dialogue, 250, "relay PIPELINING");
        dialogue
    }

    #[test]
    fn pipelined_transactions_have_a_transcript_each() {
        let mut dialogue = opened();
        dialogue.said(b"MAIL FROM:<b@x>\r\n");
        dialogue.said(b"RCPT TO:<ann@y>\r\n");
        dialogue.said(b"DATA\r\n");
        heard(&mut dialogue, 250, "ok");
        heard(&mut dialogue, 250, "ok");
        heard(&mut dialogue, 354, "go ahead");
        dialogue.said(&[b'a'; 70_123]);
        dialogue.said(b".\r\n");
        dialogue.said(b"MAIL FROM:<b@x>\r\n");
        dialogue.said(b"RCPT TO:<bob@y>\r\n");
        dialogue.said(b"DATA\r\n");
        heard(&mut dialogue, 554, "no");
        heard(&mut dialogue, 250, "ok");
        heard(&mut dialogue, 550, "nobody");
        heard(&mut dialogue, 503, "no recipient");
        dialogue.said(b"RSET\r\nMAIL FROM:<b@x>\r\n");
        let opening = "S: 220 relay\nC: EHLO news.example\nS: 250 relay PIPELINING\n";
        assert_eq!(
            dialogue.about("ann@y"),
            format!(
                "{opening}C: MAIL FROM:<b@x>\nC: RCPT TO:<ann@y>\nC: DATA\nS: 250 ok\nS: 250 ok\n\
                 S: 354 go ahead\nC: [70,123 octets]\nC: .\nS: 554 no\n"
            )
        );
        assert_eq!(
            dialogue.about("bob@y"),
            format!(
                "{opening}C: MAIL FROM:<b@x>\nC: RCPT TO:<bob@y>\nC: DATA\nS: 250 ok\nS: 550 nobody\n\
                 S: 503 no recipient\n"
            )
        );
        assert_eq!(dialogue.about("cyd@y"), "");
    }

    #[test]
    fn chunks_are_counted_and_not_kept() {
        let mut dialogue = opened();
        dialogue.said(b"MAIL FROM:<b@x>\r\nRCPT TO:<ann@y>\r\n");
        dialogue.said(b"BDAT 10 LAST\r\nMAIL ");
        dialogue.said(b"12345RSET\r\nMAIL FROM:<b@x>\r\nRCPT TO:<bob@y>\r\n");
        for _ in 0..4 {
            heard(&mut dialogue, 250, "ok");
        }
        let ann = dialogue.about("ann@y");
        assert!(
            ann.ends_with("C: BDAT 10 LAST\nC: [10 octets]\nS: 250 ok\nS: 250 ok\nS: 250 ok\n")
        );
        let bob = dialogue.about("bob@y");
        assert!(bob.ends_with("C: RSET\nC: MAIL FROM:<b@x>\nC: RCPT TO:<bob@y>\nS: 250 ok\n"));
    }

    #[test]
    fn no_secret_is_kept_whoever_says_it() {
        let mut dialogue = opened();
        dialogue.said(b"AUTH PLAIN AGFubgBzZWNyZXQ=\r\n");
        heard(&mut dialogue, 535, "AGFubgBzZWNyZXQ= is wrong");
        dialogue.said(b"AUTH LOGIN\r\n");
        heard(&mut dialogue, 334, "VXNlcm5hbWU6");
        dialogue.said(b"YW5u\r\n");
        heard(&mut dialogue, 334, "UGFzc3dvcmQ6");
        dialogue.said(b"c2VjcmV0\r\n");
        heard(&mut dialogue, 235, "welcome c2VjcmV0");
        dialogue.said(b"MAIL FROM:<b@x>\r\nRCPT TO:<ann@y>\r\n");
        let text = dialogue.about("ann@y");
        for secret in ["AGFubgBzZWNyZXQ", "YW5u", "c2VjcmV0"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(
            text.contains("C: AUTH PLAIN [hidden]\nS: 535 [hidden]\n"),
            "{text}"
        );
        assert!(text.ends_with("S: 235 [hidden]\nC: MAIL FROM:<b@x>\nC: RCPT TO:<ann@y>\n"));
    }

    #[test]
    fn a_talkative_relay_fills_no_memory() {
        let mut dialogue = opened();
        for number in 0..1000 {
            dialogue
                .said(format!("MAIL FROM:<b@x>\r\nRCPT TO:<r{number}@y>\r\nRSET\r\n").as_bytes());
            for _ in 0..3 {
                heard(&mut dialogue, 250, &"x".repeat(2000));
            }
        }
        assert_eq!(dialogue.talks.len(), TALKS);
        assert!(dialogue.about("r999@y").len() <= OPENING + TALK + 100);
        assert_eq!(dialogue.about("r1@y"), "");
        heard(&mut dialogue, 421, "said unasked");
    }
}
