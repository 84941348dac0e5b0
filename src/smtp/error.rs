//! Why a session ended, as values by which the caller decides.

use std::fmt;

use crate::reply::Reply;

/// Where in the conversation it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Connect,
    Greeting,
    Ehlo,
    StartTls,
    Tls,
    Auth,
    Noop,
    Reset,
    Mail,
    Rcpt,
    Data,
    /// While the message was being written.
    Body,
    /// While the answer to the final dot, or to the last BDAT, was awaited.
    Dot,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The operating system reported a failure.
    Io,
    /// A deadline passed.
    Timeout,
    /// The relay sent what nobody may send here; the two ends are out of step.
    Protocol,
    /// No trustworthy encryption.
    Tls,
    /// The relay does not take our credentials, or they must not be sent.
    Auth,
    /// The relay closed the connection.
    Closed,
    /// The relay said 421, or refused the connection before any transaction.
    Unavailable,
    /// The relay's configuration cannot work.
    Config,
    /// The future of an earlier call was dropped midway.
    Cancelled,
    /// A call out of order: a defect of the caller.
    Misuse,
}

/// Whether the relay may have the end of the message in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Terminator {
    /// Definite: no octet of the final dot was handed to the operating system.
    NotSent,
    /// Nobody knows: without an answer the delivery is uncertain.
    MaybeSent,
}

/// A session that is over. Relay or connection scope: no recipient is to blame.
#[derive(Clone, Debug, thiserror::Error)]
pub struct SessionError {
    pub phase: Phase,
    pub kind: ErrorKind,
    /// What the relay said, when it said something; its text may hold an address, this error's does not.
    pub reply: Option<Reply>,
    pub terminator: Terminator,
    /// One sentence without secrets or addresses of readers.
    pub detail: String,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "smtp, {}: {}", self.phase.name(), self.detail)?;
        match &self.reply {
            Some(reply) => write!(f, ": `{}`", reply.masked()),
            None => Ok(()),
        }
    }
}

impl Phase {
    /// The name in messages and logs.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Connect => "connecting",
            Phase::Greeting => "greeting",
            Phase::Ehlo => "EHLO",
            Phase::StartTls => "STARTTLS",
            Phase::Tls => "TLS handshake",
            Phase::Auth => "AUTH",
            Phase::Reset => "RSET",
            Phase::Mail => "MAIL",
            Phase::Rcpt => "RCPT",
            Phase::Data => "DATA",
            Phase::Body => "sending the message",
            Phase::Dot => "the final dot",
            Phase::Noop => "NOOP",
        }
    }
}

/// A failure below the session, which does not know the phase yet.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: ErrorKind,
    pub detail: String,
    pub reply: Option<Reply>,
}

impl Fault {
    /// A failure of this kind.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Fault {
        Fault {
            kind,
            detail: detail.into(),
            reply: None,
        }
    }

    /// The same failure with what the relay said.
    pub fn with(mut self, reply: Reply) -> Fault {
        self.reply = Some(reply);
        self
    }

    /// The failure as the caller of a session sees it.
    pub fn at(self, phase: Phase, terminator: Terminator) -> SessionError {
        SessionError {
            phase,
            kind: self.kind,
            reply: self.reply,
            terminator,
            detail: self.detail,
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Fault {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::ConnectionReset | Io::BrokenPipe | Io::ConnectionAborted | Io::UnexpectedEof => {
                ErrorKind::Closed
            }
            _ => ErrorKind::Io,
        };
        Fault::new(kind, error.to_string())
    }
}
