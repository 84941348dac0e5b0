//! The relays: each is greeted, encrypted and logged in to, as before a run, and asked for the
//! envelope. No mail is offered.

use super::envelope::{self, Newest};
use super::{Desk, Findings};
use crate::certificate;
use crate::clock::Timestamp;
use crate::config::{Relay, RelayKind, TlsPolicy};
use crate::smtp::error::Phase;
use crate::smtp::session::Session;
use crate::smtp::tls::TlsClient;

/// A certificate that ends sooner than this should have been renewed by now.
const SOON: std::time::Duration = std::time::Duration::from_secs(14 * 86_400);

pub(super) async fn look(desk: &Desk<'_>, out: &mut Findings) {
    let newest = envelope::newest(desk.config, desk.base);
    for (name, relay) in &desk.config.relay {
        // Every domain's own hosts are this relay's doors; which they are, the recipients say.
        if relay.kind != RelayKind::Mx {
            one(desk, name, relay, newest.as_ref(), out).await;
        }
    }
}

async fn one(
    desk: &Desk<'_>,
    name: &str,
    relay: &Relay,
    newest: Option<&Newest>,
    out: &mut Findings,
) {
    let ca_file = relay.ca_file.as_ref().map(|file| desk.base.join(file));
    let tls = match TlsClient::new(ca_file.as_deref()) {
        Ok(tls) => tls,
        Err(error) => {
            let advice = format!("correct `relay.{name}.ca_file`");
            return out.error("relay-login", format!("relay `{name}`: {error:#}"), advice);
        }
    };
    let mut session = match Session::connect(relay, &desk.public_host(), &tls).await {
        Ok(session) => session,
        Err(error) => {
            let advice = match error.phase {
                Phase::Connect => {
                    format!("correct `relay.{name}.url`, or open the firewall for it")
                }
                Phase::Tls | Phase::StartTls => {
                    format!(
                        "a private authority goes into `relay.{name}.ca_file`; the host must be the one of the certificate"
                    )
                }
                Phase::Auth => format!("correct `username` and `password` of `[relay.{name}]`"),
                _ => "ask whoever runs the relay".to_owned(),
            };
            return out.error("relay-login", format!("relay `{name}`: {error}"), advice);
        }
    };
    let login = match relay.username {
        Some(_) => "is logged in to",
        None => "answers, and asks for no password",
    };
    out.ok("relay-login", format!("relay `{name}` {login}"));
    match session.certificate() {
        Some(der) => expiry(
            "relay-certificate",
            &format!("relay `{name}`"),
            der,
            desk.clock.now(),
            out,
        ),
        None if relay.tls == TlsPolicy::None && relay.is_here() => out.ok(
            "relay-certificate",
            format!("relay `{name}` is spoken to in clear, and is on this machine"),
        ),
        None if relay.tls == TlsPolicy::None => out.warn(
            "relay-certificate",
            format!("relay `{name}` is spoken to in clear: anyone on the way reads every mail"),
            format!("set `relay.{name}.tls` to \"required\""),
        ),
        None => out.warn(
            "relay-certificate",
            format!("relay `{name}` offers no TLS now, and `tls` is \"opportunistic\""),
            format!("set `relay.{name}.tls` to \"required\", or ask for TLS there"),
        ),
    }
    let offers = session.capabilities();
    if offers.pipelining || offers.chunking {
        out.ok(
            "relay-speed",
            format!("relay `{name}` takes commands without waiting in between"),
        );
    } else {
        out.warn(
            "relay-speed",
            format!("relay `{name}` offers neither PIPELINING nor CHUNKING: a mail takes five round trips"),
            format!("raise `relay.{name}.connections` if its owner allows it"),
        );
    }
    envelope::look(desk, name, &mut session, newest, out).await;
    session.quit().await;
}

/// Tells until when a certificate is valid.
pub(super) fn expiry(
    check: &'static str,
    whose: &str,
    der: &[u8],
    now: Timestamp,
    out: &mut Findings,
) {
    let Some(end) = certificate::not_after(der) else {
        return out.unknown(
            check,
            format!("the certificate of {whose} does not say until when it is valid"),
        );
    };
    let says = format!(
        "the certificate of {whose} is valid until {}",
        end.to_rfc3339()
    );
    if end < now {
        out.error(check, says, "renew it; mail programs and relays refuse it");
    } else if end < now.after(SOON) {
        out.warn(check, says, "see why it was not renewed yet");
    } else {
        out.ok(check, says);
    }
}
