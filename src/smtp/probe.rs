//! A relay asked whether it lets us in: everything up to the first transaction, and no mail.
//!
//! Promises: credentials go the same way as in a run, and under the same conditions.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::config::Relay;
use crate::smtp::connect;
use crate::smtp::error::{ErrorKind, Fault, Phase, SessionError, Terminator};
use crate::smtp::tls::TlsClient;
use crate::smtp::wire::{Wire, deadline};

/// What a relay offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offered {
    /// The protocol version; none in clear.
    pub tls: Option<String>,
    pub pipelining: bool,
    pub chunking: bool,
    /// The largest message it takes; 0 when it tells no limit, none where it does not speak of sizes.
    pub size: Option<u64>,
    pub auth: Vec<&'static str>,
    /// Whether it took our credentials; false where there are none.
    pub authenticated: bool,
    /// The time from the first packet to the answer to AUTH.
    pub opening_ms: u64,
    /// The time of one round trip: NOOP and its answer.
    pub round_trip_ms: u64,
}

/// Connects, encrypts, greets, logs in, says NOOP and QUIT.
pub async fn probe(
    relay: &Relay,
    ehlo_default: &str,
    tls: &TlsClient,
) -> Result<Offered, SessionError> {
    let begun = Instant::now();
    let (mut wire, capabilities) = connect::open(relay, ehlo_default, tls).await?;
    let opening = begun.elapsed();
    let begun = Instant::now();
    say(&mut wire, relay, "NOOP\r\n", 250).await?;
    let round_trip = begun.elapsed();
    // It said what it had to say; how it takes the goodbye is its own matter.
    say(&mut wire, relay, "QUIT\r\n", 221).await.ok();
    wire.shutdown().await;
    let mut auth = Vec::new();
    auth.extend(capabilities.auth_plain.then_some("PLAIN"));
    auth.extend(capabilities.auth_login.then_some("LOGIN"));
    Ok(Offered {
        tls: wire.tls_version(),
        pipelining: capabilities.pipelining,
        chunking: capabilities.chunking,
        size: capabilities.size,
        auth,
        authenticated: relay.username.is_some(),
        opening_ms: millis(opening),
        round_trip_ms: millis(round_trip),
    })
}

async fn say(wire: &mut Wire, relay: &Relay, line: &str, code: u16) -> Result<(), SessionError> {
    let deadline = deadline(relay.command_timeout);
    let answer = async {
        let needed = wire.push(line.as_bytes());
        wire.flush(needed, deadline).await?;
        wire.reply(deadline).await
    };
    let phase = |fault: Fault| fault.at(Phase::Noop, Terminator::NotSent);
    let reply = answer.await.map_err(phase)?;
    if reply.code == code {
        return Ok(());
    }
    let fault = Fault::new(ErrorKind::Protocol, "the relay's answer fits no question");
    Err(phase(fault.with(reply)))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
