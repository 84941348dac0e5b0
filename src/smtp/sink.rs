//! The sink: an SMTP server that delivers nothing, for tests, `demo`, rehearsals and benchmarks.
//!
//! Promises: a message is recorded (stored, logged, counted) before it is answered, so its own log is what
//! a sender's ledger can be measured against. Misbehaves exactly as told, by [`script::Script`].
//! Leaves every judgement of mail to others: it takes any address and any text.

pub mod certificate;
mod conversation;
pub mod mailboxes;
pub mod record;
pub mod script;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::lock::lock;
use crate::smtp::sink::certificate::Certificate;
use crate::smtp::sink::conversation::Conversation;
use crate::smtp::sink::mailboxes::Mailboxes;
use crate::smtp::sink::record::{Accepted, Recorder};
use crate::smtp::sink::script::Script;

/// Connections at once; a sender under test opens a few dozen.
const CONNECTIONS: usize = 4096;

/// What a sink is to be.
#[derive(Debug)]
pub struct SinkOptions {
    pub listen: SocketAddr,
    /// Folder for one `.eml` per message, exactly as sent.
    pub store: Option<PathBuf>,
    /// File for one line of JSON per accepted message.
    pub log: Option<PathBuf>,
    /// What is kept for [`Sink::accepted`].
    pub keep: Keep,
    pub tls: SinkTls,
    /// User and password without which no mail is taken.
    pub auth: Option<(String, String)>,
    /// A round trip's worth of waiting before each burst of replies.
    pub delay: Duration,
    pub pipelining: bool,
    /// Whether BDAT is offered and understood.
    pub chunking: bool,
    /// What is told as SIZE; 0 tells no limit, nothing hides the extension.
    pub size: Option<u64>,
    /// Faults for every message; those a recipient asks for come first.
    pub script: Script,
    /// How the recipients' providers answer, where the script says nothing.
    pub mailboxes: Option<Arc<Mailboxes>>,
    pub clock: Clock,
}

impl Default for SinkOptions {
    fn default() -> SinkOptions {
        SinkOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            store: None,
            log: None,
            keep: Keep::Messages,
            tls: SinkTls::None,
            auth: None,
            delay: Duration::ZERO,
            pipelining: true,
            chunking: false,
            size: Some(0),
            script: Script::default(),
            mailboxes: None,
            clock: Clock::System,
        }
    }
}

/// What a sink remembers of accepted messages, besides its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Only counts. Without files and log a message is not even looked at: for benchmarks.
    Nothing,
    /// Who got what, with its hash.
    Records,
    /// The messages too.
    Messages,
}

/// How a sink encrypts.
#[derive(Clone, Debug)]
pub enum SinkTls {
    None,
    /// Clear text first, STARTTLS offered.
    StartTls(Certificate),
    /// TLS from the first octet.
    Implicit(Certificate),
}

/// What a sink has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkCounts {
    pub connections: u64,
    /// Messages taken, answered or not.
    pub accepted: u64,
    /// Messages that were sent whole and not taken.
    pub refused: u64,
    /// Octets of all messages.
    pub octets: u64,
    /// Bursts of replies: what a sender had to wait for.
    pub turns: u64,
    /// RSET commands.
    pub resets: u64,
}

/// A running sink; dropping it closes it.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What all connections of a sink have in common.
#[derive(Debug)]
struct Shared {
    options: SinkOptions,
    script: Mutex<Arc<Script>>,
    counters: Counters,
    recorder: Recorder,
    /// How often each greylisted recipient was turned away.
    grey: Mutex<HashMap<String, u32>>,
    /// How many messages are answered; those that come behind them wait.
    answered: watch::Sender<u64>,
    /// The server's side of TLS, where there is any.
    tls: Option<Arc<ServerConfig>>,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    /// Both of these.
    ended: AtomicU64,
    octets: AtomicU64,
    turns: AtomicU64,
    resets: AtomicU64,
}

impl Sink {
    /// Listens, and answers from then on.
    pub async fn bind(options: SinkOptions) -> anyhow::Result<Sink> {
        let tls = match &options.tls {
            SinkTls::None => None,
            SinkTls::StartTls(certificate) | SinkTls::Implicit(certificate) => {
                Some(certificate.server()?)
            }
        };
        let listen = options.listen;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on `{listen}`; choose another `--listen`"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(options.script.clone())),
            counters: Counters::default(),
            recorder: Recorder::new(&options)?,
            grey: Mutex::default(),
            answered: watch::Sender::new(u64::MAX),
            tls,
            options,
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Sink {
            address,
            shared,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as `url` of a relay. A certificate made for `localhost` also names 127.0.0.1.
    pub fn url(&self) -> String {
        let scheme = match self.shared.options.tls {
            SinkTls::Implicit(_) => "smtps",
            SinkTls::None | SinkTls::StartTls(_) => "smtp",
        };
        format!("{scheme}://{}", self.address)
    }

    /// What it has seen so far.
    pub fn counts(&self) -> SinkCounts {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        SinkCounts {
            connections: read(&counters.connections),
            accepted: read(&counters.accepted),
            refused: read(&counters.refused),
            octets: read(&counters.octets),
            turns: read(&counters.turns),
            resets: read(&counters.resets),
        }
    }

    /// The messages taken so far, in their order; empty where nothing is kept.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.shared.recorder.accepted()
    }

    /// Changes the faults for every message that comes from now on.
    pub fn set_script(&self, script: Script) {
        *lock(&self.shared.script) = Arc::new(script);
    }

    /// Answers `more` messages, and leaves those behind them at their final dots until [`Sink::release`]: so a
    /// sender is met in the middle, however slow either side is.
    pub fn hold_after(&self, more: u64) {
        let ended = self.shared.counters.ended.load(Ordering::SeqCst);
        self.shared.answered.send_replace(ended + more);
    }

    /// Answers all that wait since [`Sink::hold_after`], and holds none from now on.
    pub fn release(&self) {
        self.shared.answered.send_replace(u64::MAX);
    }

    /// Closes the listener and all connections.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // The task ends by being aborted: that is its only end.
        (&mut self.task).await.ok();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn script(&self) -> Arc<Script> {
        Arc::clone(&lock(&self.script))
    }

    /// Whether a recipient that is turned away `times` times gets through now.
    fn passes_grey(&self, recipient: &str, times: u32) -> bool {
        let mut seen = lock(&self.grey);
        let seen = seen.entry(recipient.to_owned()).or_default();
        *seen += 1;
        *seen > times
    }
}

fn count(counter: &AtomicU64, by: u64) -> u64 {
    counter.fetch_add(by, Ordering::SeqCst) + by
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and all conversations with it.
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        if open.len() >= CONNECTIONS {
            open.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                count(&shared.counters.connections, 1);
                open.spawn(converse(stream, Arc::clone(&shared)));
            }
            Err(error) => {
                // Out of file descriptors, most likely: closing connections will help.
                tracing::warn!(%error, "the sink cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    if let Err(error) = Conversation::run(stream, shared).await {
        tracing::debug!(%error, "a conversation of the sink broke off");
    }
}
