//! A window: several messages in one write, where the relay offers CHUNKING and PIPELINING (RFC 3030).
//!
//! Promises: replies are matched in order, four to a message (RSET, MAIL, RCPT, BDAT) and one to the NOOP
//! behind the last (RFC 2920, section 3.1: the synchronisation point). A refused envelope's BDAT is an
//! error that is its own and nobody else's.
//!
//! Invariant: a 250 to a message counts once the reply behind it has come as well, and no answer counts
//! where any reply was out of step. A relay that answers one command twice shifts all replies behind it
//! by one, and 250 looks like 250; so each is proved by the next.

use std::time::Duration;

use crate::reply::{Reply, Stage};
use crate::smtp::buffer::Buffer;
use crate::smtp::error::{ErrorKind, Fault, Phase, SessionError, Terminator};
use crate::smtp::session::{Envelope, Session, misused, refusal};
use crate::smtp::wire::{deadline, unavailable};

/// Who says 421 hangs up; longer than this nobody needs for it.
const HANG_UP: Duration = Duration::from_secs(5);

/// What the relay said to a message of a window: at which command, and 250 to the last one is `sent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub stage: Stage,
    pub reply: Reply,
}

/// One message of the window.
#[derive(Debug)]
pub(super) enum Transaction {
    /// Refused by ourselves; nothing of it is written.
    Ours(Answer),
    Put {
        /// Where its last octet stands in the unfinished write.
        last: usize,
        /// The write is finished: whether that octet may have left with it.
        left: Option<bool>,
    },
}

/// What was heard of the window's messages, in their order, up to where it ended.
#[derive(Default)]
struct Heard {
    answers: Vec<Answer>,
    /// How many of them are proved by a reply that came after.
    proved: usize,
    /// The refusal of the message whose answers broke off.
    refused: Option<Answer>,
    /// The relay said goodbye in order and hung up: what it had not answered, it has not taken.
    goodbye: bool,
}

impl Session {
    /// Whether messages may be given by [`Session::put`].
    pub fn has_window(&self) -> bool {
        self.capabilities.chunking && self.capabilities.pipelining
    }

    /// Puts one message into the window. No I/O. The message ends with CRLF and is not dot-stuffed.
    pub fn put(&mut self, envelope: &Envelope<'_>, message: Buffer) {
        debug_assert!(message.ends_a_line(), "a message ends with CRLF");
        if self.open || self.offered.is_some() || self.dot.is_some() || !self.has_window() {
            // It gets its answer all the same: that it was never written.
            let left = Some(false);
            self.window.push(Transaction::Put { last: 0, left });
            return self.misuse("a message was put where no window is open");
        }
        if let Some((stage, reply)) = refusal::known(envelope, &self.capabilities) {
            let answer = Answer { stage, reply };
            return self.window.push(Transaction::Ours(answer));
        }
        let Envelope {
            sender, recipient, ..
        } = envelope;
        let size = message.len();
        // RFC 3030, section 4.2: what a failed BDAT leaves behind is forgotten by RSET only.
        let mut head = format!("RSET\r\nMAIL FROM:<{sender}>");
        if self.capabilities.size.is_some() {
            head += &format!(" SIZE={size}");
        }
        head += &format!("\r\nRCPT TO:<{recipient}>\r\nBDAT {size} LAST\r\n");
        if !self.wire.is_dirty() {
            self.needed = RSET_LENGTH;
        }
        self.reset = false;
        self.wire.push(head.as_bytes());
        let last = self.wire.push_message(message) - 1;
        self.window.push(Transaction::Put { last, left: None });
    }

    /// Writes the window and waits for all of its answers: one for each message put, in their order. An
    /// error says of its message whether the end of it may have left; after one the session is over.
    pub async fn settle(&mut self) -> Vec<Result<Answer, SessionError>> {
        let mut heard = Heard::default();
        let result = match self.enter() {
            Ok(()) => self.converse(&mut heard).await,
            Err(error) => Err(error),
        };
        let fates = self.fates(heard, result.as_ref().err());
        self.window.clear();
        // Its value went into the fates.
        self.leave(result).ok();
        fates
    }

    async fn converse(&mut self, heard: &mut Heard) -> Result<(), SessionError> {
        if self.window.is_empty() {
            return Err(misused("no message was put"));
        }
        if self.wire.is_dirty() {
            self.wire.push(NOOP);
            self.until = deadline(self.message_timeout.max(self.dot_timeout));
            let end = self.due(self.dot_timeout);
            let wrote = self.wire.flush(self.needed, end).await;
            let reached = wrote.map_err(|fault| fault.at(Phase::Body, Terminator::NotSent))?;
            for transaction in &mut self.window {
                if let Transaction::Put { last, left } = transaction {
                    *left = Some(*last < reached);
                }
            }
        }
        let mut written = false;
        for number in 0..self.window.len() {
            let answer = match &self.window[number] {
                Transaction::Ours(answer) => answer.clone(),
                Transaction::Put { .. } => {
                    written = true;
                    self.transaction(heard).await?
                }
            };
            heard.answers.push(answer);
        }
        if written {
            self.confirmed(Phase::Noop, heard).await?;
            self.surplus()?;
        }
        Ok(())
    }

    /// The four replies to one message.
    async fn transaction(&mut self, heard: &mut Heard) -> Result<Answer, SessionError> {
        self.confirmed(Phase::Reset, heard).await?;
        for stage in [Stage::Mail, Stage::Rcpt, Stage::Dot] {
            let phase = match stage {
                Stage::Mail => Phase::Mail,
                Stage::Rcpt => Phase::Rcpt,
                Stage::Data | Stage::Dot => Phase::Dot,
            };
            let reply = self.next(phase).await?;
            match (stage, reply.code, &heard.refused) {
                // RFC 5321, section 3.8: whatever was asked, it was not done, and nothing behind it.
                (_, 421, _) => {
                    heard.goodbye = self.hangs_up().await;
                    if stage == Stage::Dot {
                        let reply = reply.clone();
                        heard.refused.get_or_insert(Answer { stage, reply });
                    }
                    return Err(unavailable(reply).at(phase, Terminator::NotSent));
                }
                (Stage::Mail, 250, None) | (Stage::Rcpt, 250..=252, None) => {}
                (Stage::Dot, 250, None) => return Ok(Answer { stage, reply }),
                (_, 400..=599, _) => {
                    heard.refused.get_or_insert(Answer { stage, reply });
                }
                _ => return Err(strange(phase, reply)),
            }
        }
        let refused = heard.refused.take();
        refused.ok_or_else(|| misused("a transaction ended without an answer"))
    }

    /// A reply that can only be 250. It proves that the answers before it were no one else's.
    async fn confirmed(&mut self, phase: Phase, heard: &mut Heard) -> Result<(), SessionError> {
        let reply = self.next(phase).await?;
        match reply.code {
            250 => {
                heard.proved = heard.answers.len();
                Ok(())
            }
            421 => {
                heard.goodbye = self.hangs_up().await;
                Err(unavailable(reply).at(phase, Terminator::NotSent))
            }
            _ => Err(strange(phase, reply)),
        }
    }

    async fn next(&mut self, phase: Phase) -> Result<Reply, SessionError> {
        let reply = self.wire.reply(self.due(self.dot_timeout)).await;
        reply.map_err(|fault| fault.at(phase, Terminator::NotSent))
    }

    /// Whether the relay says no more after its 421, and closes the connection.
    async fn hangs_up(&mut self) -> bool {
        let end = deadline(HANG_UP.min(self.dot_timeout));
        let after = self.wire.reply(end).await;
        after.is_err_and(|fault| fault.kind == ErrorKind::Closed)
    }

    /// More replies than questions: one of them was doubled. A 421 behind the last is a goodbye.
    fn surplus(&mut self) -> Result<(), SessionError> {
        match self.wire.surplus() {
            None => Ok(()),
            Some(fault) if fault.kind == ErrorKind::Unavailable => {
                self.later = Some(fault.at(Phase::Noop, Terminator::NotSent));
                Ok(())
            }
            Some(fault) => Err(fault.at(Phase::Noop, Terminator::NotSent)),
        }
    }

    fn fates(
        &self,
        heard: Heard,
        error: Option<&SessionError>,
    ) -> Vec<Result<Answer, SessionError>> {
        let answered = heard.answers.len();
        let mut answers = heard.answers.into_iter();
        let mut refused = heard.refused;
        let numbered = self.window.iter().enumerate();
        numbered
            .map(|(number, transaction)| {
                let left = match transaction {
                    Transaction::Ours(answer) => {
                        answers.next();
                        return Ok(answer.clone());
                    }
                    Transaction::Put { last, left } => {
                        left.unwrap_or_else(|| self.wire.may_have_left(*last))
                    }
                };
                let answer = match number == answered {
                    true => refused.take(),
                    false => answers.next(),
                };
                let stands = |answer: &Answer| {
                    error.is_none_or(|error| {
                        let at_the_dot = answer.stage == Stage::Dot;
                        let proved = match answer.reply.code {
                            250 if at_the_dot => number < heard.proved,
                            // A doubled answer moves those behind it by one, and a 250 in the place of another tells
                            // nothing: that nothing is left over at the end does.
                            _ => !(at_the_dot && number < answered && is_cut(error)),
                        };
                        proved && error.kind != ErrorKind::Protocol
                    })
                };
                if let Some(answer) = answer.filter(stands) {
                    return Ok(answer);
                }
                let untouched = heard.goodbye && number >= answered;
                Err(SessionError {
                    terminator: match left && !untouched {
                        true => Terminator::MaybeSent,
                        false => Terminator::NotSent,
                    },
                    ..error
                        .cloned()
                        .unwrap_or_else(|| misused("no answer was heard"))
                })
            })
            .collect()
    }
}

const RSET_LENGTH: usize = b"RSET\r\n".len();
const NOOP: &[u8] = b"NOOP\r\n";

/// Whether more may have been said than was heard.
fn is_cut(error: &SessionError) -> bool {
    matches!(
        error.kind,
        ErrorKind::Timeout | ErrorKind::Closed | ErrorKind::Io
    )
}

fn strange(phase: Phase, reply: Reply) -> SessionError {
    let detail = "the relay's answer fits no question";
    let fault = Fault::new(ErrorKind::Protocol, detail).with(reply);
    fault.at(phase, Terminator::NotSent)
}
