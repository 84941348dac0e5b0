//! One client's conversation with a sink (RFC 5321), scripted faults included.
//!
//! Promises: replies to one burst of commands leave in one write; a message is recorded before it is
//! answered. Messages are found by a vectorised search over big buffers, so that a sink in a benchmark
//! costs little more than the copying of the bytes.

mod auth;
mod chunk;
mod transaction;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use memchr::{memchr, memmem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::smtp::sink::conversation::chunk::Chunk;
use crate::smtp::sink::conversation::transaction::{Transaction, Wire};
use crate::smtp::sink::script::{Point, Script};
use crate::smtp::sink::{Shared, SinkTls, count};
use crate::smtp::stream::Stream;

/// A 70 KB message and its commands in one read.
const BUFFER: usize = 128 * 1024;
/// More than any mailbox provider takes.
pub(super) const MESSAGE_LIMIT: usize = 64 * 1024 * 1024;
const LINE_LIMIT: usize = 8 * 1024;
const END: &[u8] = b"\r\n.\r\n";

pub(super) struct Conversation {
    pub(super) shared: Arc<Shared>,
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    out: Vec<u8>,
    mode: Mode,
    pub(super) authenticated: bool,
    /// A round trip's worth of waiting before each burst of replies.
    pub(super) delay: Duration,
    transaction: Option<Transaction>,
    /// Messages taken on this connection.
    messages: u32,
    closing: bool,
}

/// What the next octets are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Command,
    AuthPlain,
    LoginUser,
    LoginPassword(String),
    /// Mail; so many octets of it were searched, and so many given up without being kept.
    Message {
        searched: usize,
        dropped: usize,
    },
    /// A chunk of mail (RFC 3030) of which so many octets are to come.
    Chunk(Chunk),
}

enum End {
    Close,
    Encrypt,
}

impl Conversation {
    /// Speaks with one client until either side has enough.
    pub(super) async fn run(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let stream = match (&shared.options.tls, &shared.tls) {
            (SinkTls::Implicit(_), Some(config)) => {
                let acceptor = TlsAcceptor::from(Arc::clone(config));
                Stream::Tls(Box::new(acceptor.accept(stream).await?.into()))
            }
            _ => Stream::Plain(stream),
        };
        let mut conversation = Conversation::new(shared, stream);
        let script = conversation.shared.script();
        conversation.answer(
            Point::Greeting,
            &script,
            "220 sink.invalid ESMTP pressrun sink",
        );
        loop {
            match conversation.talk().await? {
                End::Close => return conversation.stream.shutdown().await,
                End::Encrypt => conversation = conversation.encrypt().await?,
            }
        }
    }

    fn new(shared: Arc<Shared>, stream: Stream) -> Conversation {
        Conversation {
            delay: shared.options.delay,
            shared,
            stream,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            out: Vec::with_capacity(512),
            mode: Mode::Command,
            authenticated: false,
            transaction: None,
            messages: 0,
            closing: false,
        }
    }

    /// RFC 3207, section 4.2: everything said before is forgotten.
    async fn encrypt(self) -> io::Result<Conversation> {
        let (Stream::Plain(tcp), Some(config)) = (self.stream, &self.shared.tls) else {
            return Err(io::Error::other("STARTTLS where TLS cannot begin"));
        };
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        let stream = acceptor.accept(tcp).await?;
        Ok(Conversation::new(
            Arc::clone(&self.shared),
            Stream::Tls(Box::new(stream.into())),
        ))
    }

    async fn talk(&mut self) -> io::Result<End> {
        loop {
            while !self.closing {
                let understood = match self.mode {
                    Mode::Message { searched, dropped } => self.message(searched, dropped).await?,
                    Mode::Chunk(chunk) => self.chunk(chunk).await?,
                    _ => match self.line() {
                        None => false,
                        Some(line) => {
                            if let Some(end) = self.command(&line) {
                                self.flush().await?;
                                return Ok(end);
                            }
                            true
                        }
                    },
                };
                if !understood {
                    break;
                }
            }
            self.flush().await?;
            if self.closing || !self.fill().await? {
                return Ok(End::Close);
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let waiting = &self.buffer[self.start..self.end];
        let Some(length) = memchr(b'\n', waiting) else {
            if waiting.len() > LINE_LIMIT {
                self.say("500 5.5.2 line too long");
                self.closing = true;
            }
            return None;
        };
        let line = String::from_utf8_lossy(&waiting[..length]);
        let line = line.trim_end_matches('\r').to_owned();
        self.start += length + 1;
        Some(line)
    }

    fn command(&mut self, line: &str) -> Option<End> {
        if self.mode != Mode::Command {
            self.go_on_with_auth(line);
            return None;
        }
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.hello(),
            "HELO" => self.say("250 sink.invalid"),
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest),
            "DATA" => self.data(),
            "BDAT" if self.shared.options.chunking => self.bdat(rest),
            "RSET" => {
                count(&self.shared.counters.resets, 1);
                self.transaction = None;
                self.say("250 2.0.0 forgotten");
            }
            "NOOP" => self.say("250 2.0.0 ok"),
            "AUTH" => self.auth(rest),
            "STARTTLS" => return self.start_tls(),
            "QUIT" => {
                self.say("221 2.0.0 goodbye");
                return Some(End::Close);
            }
            _ => self.say("500 5.5.1 unknown command"),
        }
        None
    }

    fn hello(&mut self) {
        let script = self.shared.script();
        if script.answer(Point::Ehlo).is_some() {
            self.answer(Point::Ehlo, &script, "");
            return;
        }
        let shared = Arc::clone(&self.shared);
        let options = &shared.options;
        let mut offers = vec!["sink.invalid".to_owned(), "ENHANCEDSTATUSCODES".to_owned()];
        if options.pipelining {
            offers.push("PIPELINING".into());
        }
        if options.chunking {
            offers.push("CHUNKING".into());
        }
        if let Some(size) = options.size {
            offers.push(format!("SIZE {size}"));
        }
        let clear = matches!(self.stream, Stream::Plain(_));
        if matches!(options.tls, SinkTls::StartTls(_)) && clear && !script.hide_starttls {
            offers.push("STARTTLS".into());
        }
        if options.auth.is_some() {
            let mechanisms = if script.no_plain {
                "LOGIN"
            } else {
                "PLAIN LOGIN"
            };
            offers.push(format!("AUTH {mechanisms}"));
        }
        let last = offers.len() - 1;
        for (index, offer) in offers.iter().enumerate() {
            let gap = if index == last { ' ' } else { '-' };
            self.say(&format!("250{gap}{offer}"));
        }
    }

    fn start_tls(&mut self) -> Option<End> {
        let offered = matches!(self.shared.options.tls, SinkTls::StartTls(_));
        if !offered || self.stream.is_encrypted() {
            self.say("503 5.5.1 no TLS here");
            return None;
        }
        let script = self.shared.script();
        let code = self.answer(Point::StartTls, &script, "220 2.0.0 go ahead");
        if script.inject {
            self.say("250 2.0.0 said in clear");
        }
        (code == 220).then_some(End::Encrypt)
    }

    /// Looks for the end of the message; false where more octets are needed.
    async fn message(&mut self, searched: usize, dropped: usize) -> io::Result<bool> {
        let waiting = &self.buffer[self.start..self.end];
        let found = if dropped == 0 && searched < 3 && waiting.starts_with(&END[2..]) {
            Some((0, 3))
        } else {
            let from = searched.saturating_sub(END.len() - 1);
            let at = memmem::find(&waiting[from..], END);
            at.map(|at| (from + at + 2, from + at + END.len()))
        };
        if let Some((length, taken)) = found {
            let message = self.start..self.start + length;
            self.start += taken;
            self.mode = Mode::Command;
            let transaction = self.transaction.take().unwrap_or_default();
            let wire = Wire::Lines(message);
            self.end_of_message(transaction, wire, dropped).await?;
            return Ok(true);
        }
        let mut mode = Mode::Message {
            searched: waiting.len(),
            dropped,
        };
        if waiting.len() > END.len() && !self.shared.recorder.is_needed() {
            let given_up = waiting.len() - END.len();
            self.start += given_up;
            mode = Mode::Message {
                searched: 0,
                dropped: dropped + given_up,
            };
        } else if waiting.len() > MESSAGE_LIMIT {
            self.say("552 5.3.4 message too big");
            self.closing = true;
        }
        self.mode = mode;
        Ok(false)
    }

    /// Says what the script has for `point`, else `default`; the code that was said.
    pub(super) fn answer(&mut self, point: Point, script: &Script, default: &str) -> u16 {
        let line = match script.answer(point) {
            None => default.to_owned(),
            Some(answer) => {
                let enhanced = answer.enhanced.as_deref().unwrap_or_default();
                let gap = if enhanced.is_empty() { "" } else { " " };
                let again = script.again.filter(|_| answer.code >= 400);
                let again = again.map(|wait| format!(", try again in {} seconds", wait.as_secs()));
                let again = again.unwrap_or_default();
                format!("{}{gap}{enhanced} as scripted{again}", answer.code)
            }
        };
        self.say(&line);
        if script.is_twice(point) {
            self.say(&line);
        }
        let code = line.get(..3).and_then(|code| code.parse().ok());
        let code = code.unwrap_or_default();
        // Who says 421 hangs up (RFC 5321, section 3.8); so does who refuses to begin.
        self.closing |= code == 421 || (point == Point::Greeting && code != 220);
        code
    }

    pub(super) fn say(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    pub(super) fn expect(&mut self, mode: Mode) {
        self.mode = mode;
    }

    pub(super) fn expected(&mut self) -> Mode {
        std::mem::replace(&mut self.mode, Mode::Command)
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        if !self.delay.is_zero() {
            sleep(self.delay).await;
        }
        count(&self.shared.counters.turns, 1);
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        self.stream.flush().await
    }

    /// Reads what there is; false at the end of the stream.
    async fn fill(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        let read = self.stream.read(&mut self.buffer[self.end..]).await?;
        self.end += read;
        Ok(read > 0)
    }
}
