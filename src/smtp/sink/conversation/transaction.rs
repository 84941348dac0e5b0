//! A sink's transactions: MAIL, RCPT, DATA, and what becomes of the message.

use std::io;
use std::ops::Range;

use memchr::memchr;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::{Conversation, Mode};
use crate::smtp::sink::count;
use crate::smtp::sink::mailboxes::{Manners, Verdict};
use crate::smtp::sink::record::unstuff;
use crate::smtp::sink::script::{Cut, Manner, Point, Script};

/// Beyond every limit a client may have.
const LONG_LINE: usize = 1024 * 1024;

/// What was said since MAIL.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    sender: String,
    pub(super) recipients: Vec<String>,
    pub(super) script: Script,
    /// The chunks so far, where they are kept.
    pub(super) octets: Vec<u8>,
    /// How many octets of chunks were let go.
    pub(super) dropped: usize,
}

/// How a message came.
pub(super) enum Wire {
    /// Behind DATA, with stuffed dots; where it stands in the buffer.
    Lines(Range<usize>),
    /// By BDAT, as it is.
    Octets(Vec<u8>),
}

impl Conversation {
    pub(super) fn mail(&mut self, rest: &str) {
        if self.shared.options.auth.is_some() && !self.authenticated {
            return self.say("530 5.7.0 authentication required");
        }
        if self.transaction.is_some() {
            return self.say("503 5.5.1 one transaction at a time");
        }
        let Some(sender) = path(rest, "FROM:") else {
            return self.say("501 5.5.4 expected MAIL FROM:<address>");
        };
        let server = self.shared.script();
        if server.after.is_some_and(|limit| self.messages >= limit) {
            self.closing = true;
            return self.say("421 4.7.0 enough on this connection");
        }
        let script = Script::of_address(sender).or(&server);
        let script = match self.next_recipient() {
            Some(recipient) => Script::of_address(&recipient).or(&script),
            None => script,
        };
        if self.answer(Point::Mail, &script, "250 2.1.0 ok") == 250 {
            self.transaction = Some(Transaction {
                sender: sender.to_owned(),
                ..Transaction::default()
            });
        }
    }

    /// The recipient of a pipelined RCPT that waits behind the command being answered.
    fn next_recipient(&self) -> Option<String> {
        let waiting = &self.buffer[self.start..self.end];
        let line = &waiting[..memchr(b'\n', waiting)?];
        let line = std::str::from_utf8(line).ok()?;
        let rest = line.strip_prefix("RCPT ")?;
        path(rest, "TO:").map(str::to_owned)
    }

    pub(super) fn rcpt(&mut self, rest: &str) {
        let Some(mut transaction) = self.transaction.take() else {
            return self.say("503 5.5.1 MAIL comes first");
        };
        if let Some(recipient) = path(rest, "TO:") {
            let mut script = Script::of_address(recipient).or(&self.shared.script());
            let manners = self.manners(recipient);
            if let Some(manners) = manners {
                self.delay = manners.round_trip;
                script.slow = script.slow.max(manners.accept);
            }
            if let Some(refusal) = manners.and_then(refusal) {
                self.say(refusal);
            } else if script.grey > 0 && !self.shared.passes_grey(recipient, script.grey) {
                self.say("450 4.7.1 greylisted, try again later");
            } else if self.answer(Point::Rcpt, &script, "250 2.1.5 ok") / 100 == 2 {
                transaction.recipients.push(recipient.to_owned());
            }
            transaction.script = script;
        } else {
            self.say("501 5.5.4 expected RCPT TO:<address>");
        }
        self.transaction = Some(transaction);
    }

    /// How the recipient's provider answers, where this sink plays any.
    fn manners(&self, recipient: &str) -> Option<Manners> {
        let mailboxes = self.shared.options.mailboxes.as_ref()?;
        mailboxes.answer(recipient, || !self.shared.passes_grey(recipient, 1))
    }

    pub(super) fn data(&mut self) {
        let Some(transaction) = self.transaction.take() else {
            return self.say("503 5.5.1 MAIL comes first");
        };
        let script = transaction.script.clone();
        let default = match transaction.recipients.is_empty() {
            true => "554 5.5.1 no valid recipients",
            false => "354 go ahead",
        };
        self.transaction = Some(transaction);
        if self.answer(Point::Data, &script, default) != 354 {
            return;
        }
        if script.cut == Some(Cut::BeforeDot) {
            self.closing = true;
            return;
        }
        if script.early {
            self.answer(Point::Dot, &script, "250 2.0.0 taken before it was sent");
        }
        self.mode = Mode::Message {
            searched: 0,
            dropped: 0,
        };
    }

    pub(super) async fn end_of_message(
        &mut self,
        transaction: Transaction,
        message: Wire,
        dropped: usize,
    ) -> io::Result<()> {
        let Transaction {
            sender,
            recipients,
            script,
            ..
        } = transaction;
        let counters = &self.shared.counters;
        let octets = dropped
            + match &message {
                Wire::Lines(range) => range.len(),
                Wire::Octets(octets) => octets.len(),
            };
        count(&counters.octets, u64::try_from(octets).unwrap_or(u64::MAX));
        let scripted = script.answer(Point::Dot).map_or(250, |answer| answer.code);
        let mut default = "250 2.0.0 taken";
        // What is said is what is done: a sink must not lie unless that is the point.
        let mut taken = match script.manner {
            Manner::Plain => scripted / 100 == 2,
            Manner::Latin1 | Manner::LongLine | Manner::Multi => true,
            Manner::Garbage => false,
        } && script.cut != Some(Cut::Dropped);
        if recipients.is_empty() {
            (taken, default) = (false, "554 5.5.1 no valid recipients");
        }
        if taken && self.shared.recorder.is_needed() {
            let verdict = match script.cut {
                Some(_) => "cut",
                None => "answered",
            };
            let message = match message {
                Wire::Lines(range) => unstuff(&self.buffer[range]),
                Wire::Octets(octets) => octets,
            };
            let recorder = &self.shared.recorder;
            let recorded = recorder.record(&sender, recipients, message, verdict);
            if let Err(error) = recorded {
                tracing::error!(%error, "the sink cannot record a message");
                (taken, default) = (false, "452 4.3.1 cannot store the message");
            }
        }
        let counters = &self.shared.counters;
        if taken {
            self.messages += 1;
            count(&counters.accepted, 1);
        } else {
            count(&counters.refused, 1);
        }
        let place = count(&counters.ended, 1);
        if script.cut.is_some() {
            self.closing = true;
            return Ok(());
        }
        if place > *self.shared.answered.borrow() {
            self.flush().await?;
            let mut answered = self.shared.answered.subscribe();
            // It is there as long as this conversation.
            answered.wait_for(|&most| place <= most).await.ok();
        }
        if !script.slow.is_zero() || !script.drip.is_zero() {
            self.flush().await?;
            sleep(script.slow).await;
        }
        self.answer_dot(&script, default);
        if !script.drip.is_zero() {
            for octet in std::mem::take(&mut self.out) {
                self.stream.write_all(&[octet]).await?;
                self.stream.flush().await?;
                sleep(script.drip).await;
            }
        }
        Ok(())
    }

    fn answer_dot(&mut self, script: &Script, default: &str) {
        match script.manner {
            Manner::Plain => {
                self.answer(Point::Dot, script, default);
            }
            Manner::Latin1 => self.out.extend_from_slice(b"250 2.0.0 Gr\xfc\xdfe\r\n"),
            Manner::LongLine => {
                self.out.extend_from_slice(b"250 2.0.0 ");
                self.out.resize(self.out.len() + LONG_LINE, b'a');
            }
            Manner::Multi => {
                self.say("250-2.0.0 taken,");
                self.say("250-2.0.0 with pleasure,");
                self.say("250 2.0.0 indeed");
            }
            Manner::Garbage => self.say("how do you do?"),
        }
    }
}

/// What a provider says to a recipient whom it does not take now.
fn refusal(manners: Manners) -> Option<&'static str> {
    match manners.verdict {
        Verdict::Taken => None,
        Verdict::Deferred => Some("450 4.7.1 greylisted, try again later"),
        Verdict::Capped => Some("450 4.7.28 too many messages, try again later"),
    }
}

/// The address in `FROM:<address> PARAMETERS`.
fn path<'a>(rest: &'a str, prefix: &str) -> Option<&'a str> {
    let (found, rest) = rest.split_at_checked(prefix.len())?;
    if !found.eq_ignore_ascii_case(prefix) {
        return None;
    }
    let rest = rest.trim_start().strip_prefix('<')?;
    let end = rest.rfind('>')?;
    Some(&rest[..end])
}
