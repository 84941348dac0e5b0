//! The bytes of one session: what comes in, what goes out, deadlines, and the count of what has left us.
//!
//! Promises: knows for every octet whether the operating system may have it; never takes a reply that came
//! before its command was written. Leaves the meaning of replies to `session`.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::failpoint::{self, When};
use crate::reply::Reply;
use crate::reply::parser::ReplyParser;
use crate::smtp::buffer::Buffer;
use crate::smtp::dialogue::Dialogue;
use crate::smtp::error::{ErrorKind, Fault};
use crate::smtp::outgoing::{Outgoing, SLICES};
use crate::smtp::stream::Stream;

/// Replies are far smaller. Those to a window may come while it is still being written, and must not fill
/// this, or both ends would wait for each other.
const INCOMING: usize = 32 * 1024;
/// What rustls buffers by default: of a longer write we would not know what has left.
const TLS_CHUNK: usize = 64 * 1024;

/// No wait of SMTP is longer; and an absurd one in the configuration must not overflow the clock.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The moment `limit` from now.
pub fn deadline(limit: Duration) -> Instant {
    Instant::now() + limit.min(LONGEST)
}

/// One connection's buffers.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    incoming: Box<[u8]>,
    start: usize,
    end: usize,
    /// Whether the relay has closed its direction.
    ended: bool,
    parser: ReplyParser,
    outgoing: Outgoing,
    /// Octets of `outgoing` that may have left: more than are written where TLS keeps a record half sent.
    handed: usize,
    dialogue: Dialogue,
}

impl Wire {
    /// Wraps a connection on which nothing was read or written yet.
    pub fn new(stream: Stream) -> Wire {
        Wire {
            stream,
            incoming: vec![0; INCOMING].into_boxed_slice(),
            start: 0,
            end: 0,
            ended: false,
            parser: ReplyParser::default(),
            outgoing: Outgoing::default(),
            handed: 0,
            dialogue: Dialogue::new(),
        }
    }

    /// Wraps the encrypted form of a connection on which `dialogue` was said in clear.
    pub fn resumed(stream: Stream, dialogue: Dialogue) -> Wire {
        Wire {
            dialogue: dialogue.encrypted(),
            ..Wire::new(stream)
        }
    }

    /// What was said so far.
    pub fn dialogue(&self) -> &Dialogue {
        &self.dialogue
    }

    /// Puts bytes behind what is to be written; where they end, counted from the start of this write.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        self.dialogue.said(bytes);
        self.outgoing.push(bytes)
    }

    /// As [`Wire::push`], a message, which is let go once it is written.
    pub fn push_message(&mut self, message: Buffer) -> usize {
        self.dialogue.said_message(message.len());
        self.outgoing.push_message(message)
    }

    /// The connection itself.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Whether the octet at `offset` of the unfinished write may have left us.
    pub fn may_have_left(&self, offset: usize) -> bool {
        self.handed > offset
    }

    /// Whether anything of the unfinished write may have left us, or is still to be written.
    pub fn is_dirty(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether the relay has said more than it was asked.
    pub fn has_surplus(&self) -> bool {
        self.start < self.end || self.parser.is_midway()
    }

    /// What it means that the relay has said more than it was asked, if it has.
    pub fn surplus(&mut self) -> Option<Fault> {
        self.has_surplus().then(|| self.untimely())
    }

    /// The lines of the last reply.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.parser.lines()
    }

    /// Writes everything. The first `needed` octets are what the first awaited reply answers: if the relay
    /// speaks before they are written, it is out of turn; if the connection breaks after them, that is no
    /// error yet, because the reply may already have arrived. Gives how many octets may have left.
    pub async fn flush(&mut self, needed: usize, deadline: Instant) -> Result<usize, Fault> {
        if self.outgoing.is_empty() {
            return Ok(0);
        }
        failpoint::pass(module_path!(), When::Before)?;
        match timeout_at(deadline, poll_fn(|cx| self.poll_flush(cx, needed))).await {
            Ok(done) => done?,
            Err(_) => return Err(late("the relay did not take our bytes in time")),
        }
        failpoint::pass(module_path!(), When::After)?;
        let reached = self.handed;
        self.outgoing.clear();
        self.handed = 0;
        Ok(reached)
    }

    /// The next reply.
    pub async fn reply(&mut self, deadline: Instant) -> Result<Reply, Fault> {
        loop {
            if let Some(reply) = self.buffered_reply()? {
                self.dialogue.heard(&reply);
                return Ok(reply);
            }
            if self.ended {
                return Err(closed());
            }
            failpoint::pass(module_path!(), When::BeforeRead)?;
            match timeout_at(deadline, poll_fn(|cx| self.poll_fill(cx))).await {
                Ok(filled) => filled?,
                Err(_) => return Err(late("the relay did not answer in time")),
            }
            failpoint::pass(module_path!(), When::AfterRead)?;
        }
    }

    /// The TCP connection, to be encrypted, and what was said on it. RFC 3207, section 4.2, and the injection of CVE-2011-0411:
    /// what the relay said in clear after its go-ahead must never be read as if it came encrypted.
    pub fn into_plain(self) -> Result<(TcpStream, Dialogue), Fault> {
        if self.has_surplus() {
            return Err(Fault::new(
                ErrorKind::Protocol,
                "the relay sent clear text behind its answer to STARTTLS",
            ));
        }
        match self.stream {
            Stream::Plain(stream) => Ok((stream, self.dialogue)),
            Stream::Tls(_) => Err(Fault::new(
                ErrorKind::Misuse,
                "the connection is encrypted already",
            )),
        }
    }

    /// The version of TLS that is spoken; none in clear.
    pub fn tls_version(&self) -> Option<String> {
        self.stream.tls_version()
    }

    /// Closes our direction, and tells TLS so.
    pub async fn shutdown(&mut self) {
        // The connection is over either way.
        self.stream.shutdown().await.ok();
    }

    fn buffered_reply(&mut self) -> Result<Option<Reply>, Fault> {
        if self.start == self.end {
            return Ok(None);
        }
        let fed = self.parser.feed(&self.incoming[self.start..self.end]);
        let (used, reply) =
            fed.map_err(|error| Fault::new(ErrorKind::Protocol, error.to_string()))?;
        self.start += used;
        Ok(reply)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, needed: usize) -> Poll<Result<(), Fault>> {
        if self.handed == 0 {
            self.check_silence(cx)?;
        }
        while !self.outgoing.is_written() {
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) if self.outgoing.written() >= needed => {
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                // While the relay does not read, it may have something to say.
                Poll::Pending => {
                    if self.end == self.incoming.len() {
                        return Poll::Pending;
                    }
                    let filled = ready!(self.poll_fill(cx));
                    if self.outgoing.written() < needed {
                        return Poll::Ready(Err(filled.err().unwrap_or_else(|| self.untimely())));
                    }
                    if filled.is_err() || self.ended {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
        match ready!(Pin::new(&mut self.stream).poll_flush(cx)) {
            Err(error) if self.outgoing.written() < needed => Poll::Ready(Err(error.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let encrypted = self.stream.is_encrypted();
        let limit = if encrypted { TLS_CHUNK } else { usize::MAX };
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (count, octets) = self.outgoing.next(limit, &mut slices);
        if encrypted {
            self.handed = self.handed.max(self.outgoing.written() + octets);
        }
        let stream = Pin::new(&mut self.stream);
        let written = ready!(stream.poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(closed()));
        }
        self.outgoing.advance(written);
        self.handed = self.handed.max(self.outgoing.written());
        Poll::Ready(Ok(()))
    }

    /// Before a write nothing is awaited, so whatever the relay says or does now is its last word: a good
    /// moment to notice, since nothing has left us yet.
    fn check_silence(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        if self.has_surplus() {
            return Err(self.untimely());
        }
        match self.poll_fill(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(fault)) => Err(fault),
            Poll::Ready(Ok(())) => Err(self.untimely()),
        }
    }

    /// What it means that the relay spoke, or closed, before it was asked.
    fn untimely(&mut self) -> Fault {
        match self.buffered_reply() {
            Ok(Some(reply)) if reply.code == 421 => unavailable(reply),
            Ok(Some(reply)) => {
                Fault::new(ErrorKind::Protocol, "the relay spoke out of turn").with(reply)
            }
            Ok(None) if self.ended => closed(),
            Ok(None) => Fault::new(ErrorKind::Protocol, "the relay spoke out of turn"),
            Err(fault) => fault,
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        let mut buffer = ReadBuf::new(&mut self.incoming[self.end..]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let read = buffer.filled().len();
        self.end += read;
        self.ended |= read == 0;
        Poll::Ready(Ok(()))
    }
}

/// The relay says that it ends the connection, or that it does not begin one.
pub fn unavailable(reply: Reply) -> Fault {
    Fault::new(ErrorKind::Unavailable, "the relay ends the connection").with(reply)
}

fn closed() -> Fault {
    Fault::new(ErrorKind::Closed, "the relay closed the connection")
}

fn late(detail: &str) -> Fault {
    Fault::new(ErrorKind::Timeout, detail)
}
