//! A sink's side of BDAT (RFC 3030): chunks by their length, and what becomes of those nobody wants.

use std::io;

use super::transaction::Wire;
use super::{Conversation, MESSAGE_LIMIT, Mode};
use crate::smtp::sink::script::{Cut, Point};

/// A chunk on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::smtp::sink) struct Chunk {
    left: usize,
    last: bool,
    /// Nobody to keep it for: it is read, and then refused.
    unwanted: bool,
}

impl Conversation {
    /// `BDAT 1000` or `BDAT 1000 LAST`: the octets follow at once.
    pub(super) fn bdat(&mut self, rest: &str) {
        let mut words = rest.split_ascii_whitespace();
        let length = words.next().and_then(|word| word.parse().ok());
        let last = words.next();
        let known = last.is_none_or(|word| word.eq_ignore_ascii_case("LAST"));
        let Some(left) = length.filter(|_| known && words.next().is_none()) else {
            // Where the chunk ends, nobody knows now.
            self.closing = true;
            return self.say("501 5.5.4 expected BDAT length [LAST]");
        };
        let mut unwanted = true;
        if let Some(transaction) = &self.transaction {
            unwanted = transaction.recipients.is_empty();
            let script = transaction.script.clone();
            if script.cut == Some(Cut::BeforeDot) && !unwanted {
                self.closing = true;
                return;
            }
            if script.early {
                self.answer(Point::Dot, &script, "250 2.0.0 taken before it was sent");
            }
        }
        self.mode = Mode::Chunk(Chunk {
            left,
            last: last.is_some(),
            unwanted,
        });
    }

    /// Takes what there is of a chunk; false where more octets are needed.
    pub(super) async fn chunk(&mut self, mut chunk: Chunk) -> io::Result<bool> {
        let here = chunk.left.min(self.end - self.start);
        let octets = &self.buffer[self.start..self.start + here];
        if let Some(transaction) = self.transaction.as_mut().filter(|_| !chunk.unwanted) {
            if self.shared.recorder.is_needed() {
                transaction.octets.extend_from_slice(octets);
            } else {
                transaction.dropped += here;
            }
            if transaction.octets.len() > MESSAGE_LIMIT {
                self.say("552 5.3.4 message too big");
                self.closing = true;
            }
        }
        self.start += here;
        chunk.left -= here;
        if chunk.left > 0 {
            self.mode = Mode::Chunk(chunk);
            return Ok(false);
        }
        self.mode = Mode::Command;
        self.end_of_chunk(chunk).await?;
        Ok(true)
    }

    async fn end_of_chunk(&mut self, chunk: Chunk) -> io::Result<()> {
        // RFC 3030, section 4.2: a refused chunk has been read nonetheless.
        let Some(mut transaction) = self.transaction.take() else {
            self.say("503 5.5.1 MAIL comes first");
            return Ok(());
        };
        let script = transaction.script.clone();
        if chunk.unwanted {
            self.say("554 5.5.1 no valid recipients");
            self.transaction = Some(transaction);
            return Ok(());
        }
        // Where there is no DATA, its words are heard here; but a 2xx would say that the message was taken, and
        // a sink does not lie.
        let refused = script.answer(Point::Data);
        if refused.is_some_and(|answer| answer.code / 100 != 2) {
            self.answer(Point::Data, &script, "");
            transaction.recipients.clear();
            self.transaction = Some(transaction);
            return Ok(());
        }
        if script.is_twice(Point::Data) {
            self.say("250 2.0.0 octets");
        }
        if !chunk.last {
            self.say("250 2.0.0 octets");
            self.transaction = Some(transaction);
            return Ok(());
        }
        let octets = std::mem::take(&mut transaction.octets);
        let dropped = transaction.dropped;
        let message = Wire::Octets(octets);
        self.end_of_message(transaction, message, dropped).await
    }
}
