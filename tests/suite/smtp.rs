//! The SMTP session against a scripted sink on a real socket.

mod chunking;
mod exchange;
mod faults;
mod invariant;
mod sink;
mod tls;

use std::time::Duration;

use pressrun::config::kind::WhenFull;
use pressrun::config::{Relay, RelayKind, TlsPolicy};
use pressrun::reply::{Reply, Stage};
use pressrun::smtp::error::{SessionError, Terminator};
use pressrun::smtp::session::{Envelope, Offer, Session};
use pressrun::smtp::sink::script::Script;
use pressrun::smtp::sink::{Sink, SinkOptions};
use pressrun::smtp::tls::TlsClient;

const NOT_SENT: Terminator = Terminator::NotSent;
const SENDER: &str = "bounce@news.example";

/// A relay in clear with deadlines for a machine that is busy, so that a test that hangs ends.
pub fn relay(url: &str) -> Relay {
    Relay {
        kind: RelayKind::Smtp,
        url: url.to_owned(),
        tls: TlsPolicy::None,
        connections: 1,
        priority: 1,
        weight: 0,
        username: None,
        password: None,
        dkim: None,
        stream: None,
        ca_file: None,
        ehlo: None,
        messages_per_connection: 100,
        window: 4,
        per_second: 0,
        per_minute: 0,
        per_hour: 0,
        per_day: 0,
        when_full: WhenFull::Next,
        warmup: None,
        connect_timeout: Duration::from_secs(60),
        command_timeout: Duration::from_secs(60),
        message_timeout: Duration::from_secs(60),
        dot_timeout: Duration::from_secs(60),
    }
}

async fn sink(options: SinkOptions) -> Sink {
    Sink::bind(options).await.expect("a sink")
}

fn script(words: &str) -> Script {
    Script::parse(words).expect("a script")
}

async fn open(relay: &Relay) -> Result<Session, SessionError> {
    let tls = TlsClient::new(relay.ca_file.as_deref()).expect("a TLS client");
    Session::connect(relay, "sender.example", &tls).await
}

/// A session with a sink that speaks in clear.
async fn session(sink: &Sink) -> Session {
    open(&relay(&sink.url())).await.expect("a session")
}

/// A message that names its recipient, so that a mix-up is seen.
fn message(recipient: &str) -> Vec<u8> {
    format!(
        "From: <author@news.example>\r\nTo: <{recipient}>\r\n\
         Message-ID: <{recipient}>\r\n\r\nHello, {recipient}.\r\n"
    )
    .into_bytes()
}

fn offer(session: &mut Session, recipient: &str) {
    let size = message(recipient).len();
    session.offer(&Envelope {
        sender: SENDER,
        recipient,
        size,
    });
}

/// What became of one message.
#[derive(Debug)]
enum Fate {
    Answered(Reply),
    Refused(Stage, Reply),
    Broken(SessionError),
}

impl Fate {
    fn code(&self) -> u16 {
        match self {
            Fate::Answered(reply) | Fate::Refused(_, reply) => reply.code,
            Fate::Broken(error) => panic!("the session broke: {error}"),
        }
    }

    fn error(self) -> SessionError {
        match self {
            Fate::Broken(error) => error,
            fate => panic!("the session went on: {fate:?}"),
        }
    }
}

/// Sends one message to each recipient in turn, the way `deliver` does: the next one is offered before the
/// answer to the last one is awaited. Ends where the session does.
async fn send(session: &mut Session, recipients: &[&str]) -> Vec<Fate> {
    let mut fates = Vec::new();
    let mut waiting = recipients.iter().copied().peekable();
    let Some(first) = waiting.peek() else {
        return fates;
    };
    offer(session, first);
    while let Some(recipient) = waiting.next() {
        match session.answer().await {
            Ok(Offer::Go) => {
                session.body(message(recipient).into());
                if let Some(next) = waiting.peek() {
                    offer(session, next);
                }
                match session.verdict().await {
                    Ok(reply) => fates.push(Fate::Answered(reply)),
                    Err(error) => {
                        fates.push(Fate::Broken(error));
                        break;
                    }
                }
            }
            Ok(Offer::Refused { stage, reply }) => {
                fates.push(Fate::Refused(stage, reply));
                if let Some(next) = waiting.peek() {
                    offer(session, next);
                }
            }
            Err(error) => {
                fates.push(Fate::Broken(error));
                break;
            }
        }
    }
    fates
}

/// The recipients whose messages the sink took, in order, each with exactly its own message.
fn taken(sink: &Sink) -> Vec<String> {
    let accepted = sink.accepted();
    for record in &accepted {
        assert_eq!(record.rcpt.len(), 1);
        assert_eq!(record.message, message(&record.rcpt[0]));
        assert_eq!(record.message_id, record.rcpt[0]);
    }
    let recipients = accepted.into_iter().flat_map(|record| record.rcpt);
    recipients.collect()
}
