//! One connection to a relay: transactions offered, judged and sent, one round trip per message.
//!
//! Promises: replies are matched to commands in order, and anything else ends the session; an error says
//! whether the final dot may have left. A future dropped midway poisons the session, which is never reused.
//! Leaves markers and outcomes to `deliver`, and what a refusal means to `reply::scope`.
//!
//! One message after the other: `offer(1)`, `answer()` is [`Offer::Go`], the caller commits its marker,
//! `body(1)`, `offer(2)`, `verdict()` of 1, `answer()` for 2, and so on. Where the relay offers PIPELINING,
//! what is offered before `verdict` travels with the body; elsewhere `answer` sends one command at a time.
//! Where it offers CHUNKING as well, several messages go in one write: see `window`.

mod refusal;
mod sender;
pub mod window;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::config::Relay;
use crate::reply::{Reply, Stage};
use crate::smtp::buffer::Buffer;
use crate::smtp::capabilities::Capabilities;
use crate::smtp::connect::{self, MxHost};
use crate::smtp::error::{ErrorKind, Fault, Phase, SessionError, Terminator};
use crate::smtp::session::window::Transaction;
use crate::smtp::tls::TlsClient;
use crate::smtp::wire::{Wire, deadline, unavailable};

/// A polite end is worth a second, not more.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// What RFC 5321 calls the envelope, and the octets of the message.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Empty for the null reverse-path.
    pub sender: &'a str,
    pub recipient: &'a str,
    pub size: usize,
}

/// The relay's answer to an offered transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// 354: the relay waits for the message, and whatever is written next is mail.
    Go,
    /// Definite: nothing of the message was sent. The session goes on with the next offer.
    Refused { stage: Stage, reply: Reply },
}

/// A connection with its queue of outstanding commands.
#[derive(Debug)]
pub struct Session {
    wire: Wire,
    capabilities: Capabilities,
    command_timeout: Duration,
    message_timeout: Duration,
    dot_timeout: Duration,
    /// When the message under way has taken too long; its dot has a deadline of its own.
    until: Instant,
    /// Commands given to the wire whose replies are to come, in order.
    expected: VecDeque<Step>,
    /// Octets of the wire's buffer that the first awaited reply answers.
    needed: usize,
    offered: Option<Offered>,
    /// Whether 354 was given and the message was not: the next octets are mail.
    open: bool,
    /// The dot of the message that was given and not answered.
    dot: Option<Dot>,
    /// The messages put into the window and not answered.
    window: Vec<Transaction>,
    /// Whether the last transaction was refused midway, and has to be forgotten with RSET.
    reset: bool,
    broken: Option<SessionError>,
    /// An end of the connection that came with a usable answer: told at the next call.
    later: Option<SessionError>,
}

/// A command whose reply is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Reset,
    Ask(Stage),
    /// The dot that ends a DATA without a recipient; a 250 to it accepts nothing.
    LoneDot,
}

#[derive(Debug)]
enum Offered {
    /// Refused by ourselves.
    Refused { stage: Stage, reply: Reply },
    /// Its commands are on the wire's buffer.
    Buffered { reset: bool },
    /// Its commands are sent one by one.
    Lockstep {
        reset: bool,
        mail: String,
        rcpt: String,
    },
}

/// Where the terminator stands in the unfinished write.
#[derive(Clone, Copy, Debug)]
struct Dot {
    at: usize,
    /// The write is finished, and the offset means nothing any more.
    gone: bool,
}

impl Session {
    /// TCP, TLS by policy, EHLO, AUTH. Errors are relay scope and say at which step and why.
    pub async fn connect(
        relay: &Relay,
        ehlo_default: &str,
        tls: &TlsClient,
    ) -> Result<Session, SessionError> {
        let (wire, capabilities) = connect::open(relay, ehlo_default, tls).await?;
        Ok(Session::over(relay, wire, capabilities))
    }

    /// As [`Session::connect`], to one host that was found by MX. Errors are the host's.
    pub async fn to_mx(
        relay: &Relay,
        ehlo_default: &str,
        tls: &TlsClient,
        host: &MxHost,
    ) -> Result<Session, SessionError> {
        let (wire, capabilities) = connect::open_mx(relay, ehlo_default, tls, host).await?;
        Ok(Session::over(relay, wire, capabilities))
    }

    fn over(relay: &Relay, wire: Wire, capabilities: Capabilities) -> Session {
        Session {
            wire,
            capabilities,
            command_timeout: relay.command_timeout,
            message_timeout: relay.message_timeout,
            until: deadline(relay.message_timeout),
            dot_timeout: relay.dot_timeout,
            expected: VecDeque::with_capacity(8),
            needed: 0,
            offered: None,
            open: false,
            dot: None,
            window: Vec::new(),
            reset: false,
            broken: None,
            later: None,
        }
    }

    /// What the relay said it can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The certificate that the relay showed (DER); none in clear.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.wire.stream().certificate()
    }

    /// Whether the dot of the message given last may have left without an answer: for a caller that gives
    /// up waiting.
    pub fn terminator(&self) -> Terminator {
        match self.dot {
            Some(dot) if dot.gone || self.wire.may_have_left(dot.at) => Terminator::MaybeSent,
            _ => Terminator::NotSent,
        }
    }

    /// What both ends said in the last transaction for `recipient`, with the opening before it; without
    /// secrets and messages.
    pub fn dialogue(&self, recipient: &str) -> String {
        self.wire.dialogue().about(recipient)
    }

    /// Queues one transaction behind what is outstanding. No I/O. Its answer comes by [`Session::answer`].
    pub fn offer(&mut self, envelope: &Envelope<'_>) {
        if self.open || self.offered.is_some() || !self.window.is_empty() {
            return self.misuse("a transaction was offered before the last one was decided");
        }
        if let Some((stage, reply)) = refusal::known(envelope, &self.capabilities) {
            self.offered = Some(Offered::Refused { stage, reply });
            return;
        }
        let Envelope {
            sender,
            recipient,
            size,
        } = envelope;
        let mail = match self.capabilities.size {
            // RFC 1870, section 3: the parameter only where it was offered.
            Some(_) => format!("MAIL FROM:<{sender}> SIZE={size}\r\n"),
            None => format!("MAIL FROM:<{sender}>\r\n"),
        };
        let rcpt = format!("RCPT TO:<{recipient}>\r\n");
        let reset = std::mem::take(&mut self.reset);
        if !self.capabilities.pipelining {
            self.offered = Some(Offered::Lockstep { reset, mail, rcpt });
            return;
        }
        // RFC 2920, section 3.1: DATA is the last of a group.
        if reset {
            self.queue(Step::Reset, RSET);
        }
        self.queue(Step::Ask(Stage::Mail), mail.as_bytes());
        self.queue(Step::Ask(Stage::Rcpt), rcpt.as_bytes());
        self.queue(Step::Ask(Stage::Data), DATA);
        self.offered = Some(Offered::Buffered { reset });
    }

    /// Drives the offered transaction up to the answer to DATA. Errors never concern a final dot.
    pub async fn answer(&mut self) -> Result<Offer, SessionError> {
        let unsent = |error| SessionError {
            terminator: Terminator::NotSent,
            ..error
        };
        self.enter().map_err(unsent)?;
        let result = self.decide().await.map_err(unsent);
        self.leave(result)
    }

    /// Puts the message and its terminator into the next write; legal only after [`Offer::Go`]. No I/O.
    /// The message ends with CRLF and has no line that begins with a dot.
    pub fn body(&mut self, message: Buffer) {
        let ends = message.ends_a_line();
        debug_assert!(ends, "a message ends with CRLF");
        debug_assert!(
            refusal::is_unstuffed(&message.to_vec()),
            "no line begins with a dot"
        );
        if !self.open {
            return self.misuse("a message was given that nobody waits for");
        }
        self.open = false;
        let mut at = self.wire.push_message(message);
        if !ends {
            // Without a line end before it the dot would be text, and both ends would wait for ever.
            at = self.wire.push(b"\r\n");
        }
        self.needed = self.wire.push(DOT);
        self.dot = Some(Dot { at, gone: false });
        self.expected.push_back(Step::Ask(Stage::Dot));
    }

    /// Writes everything buffered and waits for the answer to the dot of the message given: 250, or a 4xx
    /// or 5xx. A 421 is such an answer too, and the last one. An error says whether the dot may have left.
    pub async fn verdict(&mut self) -> Result<Reply, SessionError> {
        self.enter()?;
        let result = self.judge().await;
        self.leave(result)
    }

    /// Ends the session politely, if nothing is outstanding; else the connection is just dropped.
    pub async fn quit(mut self) {
        let idle = self.expected.is_empty() && self.window.is_empty() && !self.wire.is_dirty();
        if self.broken.is_some() || self.open || !idle {
            return;
        }
        let goodbye = async {
            let end = deadline(QUIT_TIMEOUT);
            let needed = self.wire.push(b"QUIT\r\n");
            if self.wire.flush(needed, end).await.is_ok() {
                // 221 or nothing: the session is over.
                self.wire.reply(end).await.ok();
            }
            self.wire.shutdown().await;
        };
        timeout(QUIT_TIMEOUT, goodbye).await.ok();
    }

    async fn decide(&mut self) -> Result<Offer, SessionError> {
        self.until = deadline(self.message_timeout);
        let (reset, lockstep) = match self.offered.take() {
            None => return Err(misused("no transaction was offered")),
            Some(Offered::Refused { stage, reply }) => return Ok(Offer::Refused { stage, reply }),
            Some(Offered::Buffered { reset }) => (reset, None),
            Some(Offered::Lockstep { reset, mail, rcpt }) => (reset, Some((mail, rcpt))),
        };
        if reset {
            if lockstep.is_some() {
                self.queue(Step::Reset, RSET);
            }
            let reply = self.exchange(Step::Reset).await?;
            if reply.code != 250 {
                return Err(self.out_of_step(Step::Reset, reply));
            }
        }
        let mut refusal = None;
        for stage in [Stage::Mail, Stage::Rcpt, Stage::Data] {
            let step = Step::Ask(stage);
            if let Some((mail, rcpt)) = &lockstep {
                if refusal.is_some() {
                    break;
                }
                match stage {
                    Stage::Mail => self.queue(step, mail.as_bytes()),
                    Stage::Rcpt => self.queue(step, rcpt.as_bytes()),
                    Stage::Data | Stage::Dot => self.queue(step, DATA),
                }
            }
            let reply = match self.exchange(step).await {
                Ok(reply) => reply,
                Err(error) => return self.end_with(refusal, error),
            };
            // Exactly the codes of RFC 5321, section 4.3.2: any other means that the ends disagree.
            match (stage, reply.code) {
                (Stage::Mail, 250) | (Stage::Rcpt, 250..=252) => {}
                (Stage::Data, 354) => return self.opened(refusal).await,
                (_, 400..=599) => {
                    refusal.get_or_insert((stage, reply));
                }
                _ => return Err(self.out_of_step(step, reply)),
            }
        }
        let Some((stage, reply)) = refusal else {
            return Err(misused("a transaction ended without an answer"));
        };
        if self.wire.has_surplus() {
            return Err(self.out_of_step(Step::Ask(Stage::Data), reply));
        }
        // After MAIL alone was refused there is no transaction to forget.
        self.reset = lockstep.is_none() || stage != Stage::Mail;
        Ok(Offer::Refused { stage, reply })
    }

    /// 354 came. If the recipient was refused before, there is nobody to send to: the dot alone ends it.
    async fn opened(&mut self, refusal: Option<(Stage, Reply)>) -> Result<Offer, SessionError> {
        if self.wire.has_surplus() {
            let detail = "the relay answered a message that was not sent yet";
            let fault = Fault::new(ErrorKind::Protocol, detail);
            return Err(fault.at(Phase::Data, Terminator::NotSent));
        }
        let Some((stage, reply)) = refusal else {
            self.open = true;
            return Ok(Offer::Go);
        };
        self.queue(Step::LoneDot, DOT);
        // Whatever is said to a message without recipients: it is not a delivery.
        match self.exchange(Step::LoneDot).await {
            Ok(_) => self.reset = true,
            Err(error) => return self.end_with(Some((stage, reply)), error),
        }
        Ok(Offer::Refused { stage, reply })
    }

    /// The connection ended in the middle of a transaction. A refusal heard before that stands: relays often
    /// say 550, then 421.
    fn end_with(
        &mut self,
        refusal: Option<(Stage, Reply)>,
        error: SessionError,
    ) -> Result<Offer, SessionError> {
        match refusal {
            Some((stage, reply)) if error.kind != ErrorKind::Protocol => {
                self.later = Some(error);
                Ok(Offer::Refused { stage, reply })
            }
            _ => Err(error),
        }
    }

    async fn judge(&mut self) -> Result<Reply, SessionError> {
        if self.dot.is_none() {
            return Err(misused("no message was given"));
        }
        let reply = match self.exchange(Step::Ask(Stage::Dot)).await {
            Ok(reply) => reply,
            // RFC 5321, section 3.8: a 421 here says that the message was not taken.
            Err(SessionError {
                kind: ErrorKind::Unavailable,
                reply: Some(reply),
                terminator: Terminator::MaybeSent,
                ..
            }) => reply,
            Err(error) => return Err(error),
        };
        match reply.code {
            421 => {
                let fault = unavailable(reply.clone());
                self.later = Some(fault.at(Phase::Dot, Terminator::NotSent));
            }
            250 | 400..=599 => {}
            _ => return Err(self.out_of_step(Step::Ask(Stage::Dot), reply)),
        }
        self.dot = None;
        Ok(reply)
    }

    fn queue(&mut self, step: Step, line: &[u8]) {
        let first = !self.wire.is_dirty();
        let end = self.wire.push(line);
        if first {
            self.needed = end;
        }
        self.expected.push_back(step);
    }

    /// Writes what is buffered, and reads the reply to `step`, which has to be the next one due.
    async fn exchange(&mut self, step: Step) -> Result<Reply, SessionError> {
        if self.expected.front() != Some(&step) {
            return Err(misused("an answer was asked for out of order"));
        }
        let limit = match self.dot {
            Some(_) => self.dot_timeout,
            None => self.command_timeout,
        };
        let wrote = self.wire.flush(self.needed, self.due(limit)).await;
        wrote.map_err(|fault| {
            let phase = match self.dot {
                Some(_) => Phase::Body,
                None => step.phase(),
            };
            fault.at(phase, self.terminator())
        })?;
        if let Some(dot) = &mut self.dot {
            dot.gone = true;
        }
        let due = match self.dot {
            // Too short a wait makes doubt: it gets all of its time.
            Some(_) => deadline(limit),
            None => self.due(limit),
        };
        let reply = self.wire.reply(due).await;
        let reply = reply.map_err(|fault| fault.at(step.phase(), self.terminator()))?;
        self.expected.pop_front();
        if reply.code == 421 {
            return Err(unavailable(reply).at(step.phase(), self.terminator()));
        }
        Ok(reply)
    }

    /// The moment `limit` from now, or the end of the message's own time.
    fn due(&self, limit: Duration) -> Instant {
        deadline(limit).min(self.until)
    }

    fn out_of_step(&self, step: Step, reply: Reply) -> SessionError {
        let detail = "the relay's answer fits no question";
        let fault = Fault::new(ErrorKind::Protocol, detail).with(reply);
        fault.at(step.phase(), self.terminator())
    }

    /// Invariant: while a call is under way the session counts as broken, so a dropped future leaves it so.
    fn enter(&mut self) -> Result<(), SessionError> {
        if let Some(error) = &self.broken {
            return Err(SessionError {
                terminator: self.terminator(),
                ..error.clone()
            });
        }
        let fault = Fault::new(
            ErrorKind::Cancelled,
            "the call before this one was given up",
        );
        self.broken = Some(fault.at(Phase::Dot, Terminator::NotSent));
        Ok(())
    }

    fn leave<T>(&mut self, result: Result<T, SessionError>) -> Result<T, SessionError> {
        self.broken = match &result {
            Ok(_) => self.later.take(),
            Err(error) => Some(error.clone()),
        };
        result
    }

    fn misuse(&mut self, detail: &str) {
        self.broken.get_or_insert_with(|| misused(detail));
    }
}

const RSET: &[u8] = b"RSET\r\n";
const DATA: &[u8] = b"DATA\r\n";
/// The message ends with CRLF already. RFC 5321, section 4.1.1.4.
const DOT: &[u8] = b".\r\n";

impl Step {
    fn phase(self) -> Phase {
        match self {
            Step::Reset => Phase::Reset,
            Step::Ask(Stage::Mail) => Phase::Mail,
            Step::Ask(Stage::Rcpt) => Phase::Rcpt,
            Step::Ask(Stage::Data) | Step::LoneDot => Phase::Data,
            Step::Ask(Stage::Dot) => Phase::Dot,
        }
    }
}

fn misused(detail: &str) -> SessionError {
    Fault::new(ErrorKind::Misuse, detail).at(Phase::Data, Terminator::NotSent)
}
