//! The opening of a session: TCP, TLS by policy, EHLO, AUTH.
//!
//! Promises: credentials leave only over verified TLS, or to a loopback relay whose policy says `none`;
//! nothing said in clear before TLS counts after it. Leaves transactions to `session`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use crate::config::Relay;
use crate::reply::Reply;
use crate::smtp::capabilities::Capabilities;
use crate::smtp::error::{ErrorKind, Fault, Phase, SessionError, Terminator};
use crate::smtp::stream::Stream;
use crate::smtp::tls::{Demand, TlsClient};
use crate::smtp::wire::{Wire, deadline, unavailable};

/// Of a name with more addresses, this many are tried.
const ADDRESSES: usize = 8;

/// One host that was found by MX, at one of its addresses.
#[derive(Clone, Debug)]
pub struct MxHost {
    pub name: String,
    pub address: SocketAddr,
    /// The address of ours that the connection comes from; the system's choice when none.
    pub source: Option<IpAddr>,
    pub demand: Demand,
}

/// A connection to the relay's own server, ready for its first transaction.
pub async fn open(
    relay: &Relay,
    ehlo_default: &str,
    tls: &TlsClient,
) -> Result<(Wire, Capabilities), SessionError> {
    let endpoint = Endpoint::parse(&relay.url).map_err(phase(Phase::Connect))?;
    let name = ehlo_name(relay, ehlo_default)?;
    let tcp = connect(&endpoint, relay.connect_timeout)
        .await
        .map_err(phase(Phase::Connect))?;
    let demand = Demand::from(relay.tls);
    let opening = Opening::new(relay, tls, &endpoint.host, &demand, &tcp);
    opening.begin(tcp, endpoint.implicit_tls, name).await
}

/// A connection to a host that was found by MX, ready for its first transaction.
pub async fn open_mx(
    relay: &Relay,
    ehlo_default: &str,
    tls: &TlsClient,
    host: &MxHost,
) -> Result<(Wire, Capabilities), SessionError> {
    let name = ehlo_name(relay, ehlo_default)?;
    let tcp = timeout(relay.connect_timeout, dial(host)).await;
    let tcp = match tcp {
        Ok(Ok(tcp)) => Ok(tcp),
        Ok(Err(error)) => {
            let detail = format!(
                "cannot connect to `{}` at {}: {error}",
                host.name, host.address
            );
            Err(Fault::new(ErrorKind::Io, detail))
        }
        Err(_) => {
            let detail = format!(
                "no connection to `{}` at {} in time",
                host.name, host.address
            );
            Err(Fault::new(ErrorKind::Timeout, detail))
        }
    };
    let tcp = tcp.map_err(phase(Phase::Connect))?;
    let mut opening = Opening::new(relay, tls, &host.name, &host.demand, &tcp);
    opening.by_mx = true;
    opening.begin(tcp, false, name).await
}

async fn dial(host: &MxHost) -> std::io::Result<TcpStream> {
    let socket = match host.address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(source) = host.source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(host.address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn ehlo_name<'a>(relay: &'a Relay, ehlo_default: &'a str) -> Result<&'a str, SessionError> {
    let name = relay.ehlo.as_deref().unwrap_or(ehlo_default);
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = format!("`{name}` is no host name for EHLO; set `ehlo` of the relay");
        return Err(Fault::new(ErrorKind::Config, detail)).map_err(phase(Phase::Ehlo));
    }
    Ok(name)
}

fn phase(phase: Phase) -> impl Fn(Fault) -> SessionError {
    move |fault| fault.at(phase, Terminator::NotSent)
}

/// Where a relay listens.
#[derive(Debug, PartialEq, Eq)]
struct Endpoint {
    host: String,
    port: u16,
    implicit_tls: bool,
}

impl Endpoint {
    fn parse(text: &str) -> Result<Endpoint, Fault> {
        let wrong = || {
            let detail =
                format!("`{text}` is no relay; expected `smtp://host:port` or `smtps://host:port`");
            Fault::new(ErrorKind::Config, detail)
        };
        let url = Url::parse(text).map_err(|_| wrong())?;
        let implicit_tls = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            _ => return Err(wrong()),
        };
        // RFC 8314, section 3.3 and RFC 6409, section 3.1.
        let port = url.port().unwrap_or(if implicit_tls { 465 } else { 587 });
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(wrong)?;
        Ok(Endpoint {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            implicit_tls,
        })
    }
}

/// Tries the addresses of the relay in turn, so that a dead one does not use up the time of the others.
async fn connect(endpoint: &Endpoint, limit: Duration) -> Result<TcpStream, Fault> {
    let Endpoint { host, port, .. } = endpoint;
    let deadline = deadline(limit);
    let late = || {
        let detail = format!("no connection to `{host}:{port}` within {limit:?}");
        Fault::new(ErrorKind::Timeout, detail)
    };
    let found = timeout_at(deadline, lookup_host((host.as_str(), *port)))
        .await
        .map_err(|_| late())?
        .map_err(|error| {
            let detail = format!("cannot find the address of `{host}`: {error}");
            Fault::new(ErrorKind::Io, detail)
        })?;
    let addresses: Vec<SocketAddr> = found.take(ADDRESSES).collect();
    let mut last = Fault::new(ErrorKind::Io, format!("`{host}` has no address"));
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(1);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Replies are awaited, so a small write must not wait for company (Nagle).
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => {
                let detail = format!("cannot connect to `{host}:{port}`: {error}");
                last = Fault::new(ErrorKind::Io, detail);
            }
            Err(_) => last = late(),
        }
    }
    Err(last)
}

/// Who is at the other end, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Clear,
    Encrypted,
    Verified,
}

struct Opening<'a> {
    relay: &'a Relay,
    tls: &'a TlsClient,
    host: &'a str,
    demand: &'a Demand,
    by_mx: bool,
    loopback: bool,
    trust: Trust,
}

impl<'a> Opening<'a> {
    fn new(
        relay: &'a Relay,
        tls: &'a TlsClient,
        host: &'a str,
        demand: &'a Demand,
        tcp: &TcpStream,
    ) -> Opening<'a> {
        Opening {
            relay,
            tls,
            host,
            demand,
            by_mx: false,
            loopback: tcp.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()),
            trust: Trust::Clear,
        }
    }

    /// Each step has its deadline, and all together have one: a relay that answers every question at the
    /// last moment must not keep a connection for half an hour.
    async fn begin(
        self,
        tcp: TcpStream,
        implicit_tls: bool,
        name: &str,
    ) -> Result<(Wire, Capabilities), SessionError> {
        let limit = deadline(self.relay.command_timeout.saturating_mul(2));
        match timeout_at(limit, self.steps(tcp, implicit_tls, name)).await {
            Ok(opened) => opened,
            Err(_) => {
                let detail = "the relay took too long over the opening of a session";
                Err(Fault::new(ErrorKind::Timeout, detail)).map_err(phase(Phase::Greeting))
            }
        }
    }

    async fn steps(
        mut self,
        tcp: TcpStream,
        implicit_tls: bool,
        name: &str,
    ) -> Result<(Wire, Capabilities), SessionError> {
        let mut wire = if implicit_tls {
            Wire::new(self.encrypt(tcp).await?)
        } else {
            Wire::new(Stream::Plain(tcp))
        };
        self.greeting(&mut wire)
            .await
            .map_err(phase(Phase::Greeting))?;
        let hello = self.hello(&mut wire, name).await;
        let mut capabilities = hello.map_err(phase(Phase::Ehlo))?;
        if !implicit_tls
            && self
                .wants_tls(&mut wire, &capabilities)
                .await
                .map_err(phase(Phase::StartTls))?
        {
            let (tcp, said) = wire.into_plain().map_err(phase(Phase::StartTls))?;
            wire = Wire::resumed(self.encrypt(tcp).await?, said);
            // RFC 3207, section 4.2: forget what was offered in clear, and ask again.
            let hello = self.hello(&mut wire, name).await;
            capabilities = hello.map_err(phase(Phase::Ehlo))?;
        }
        self.authenticate(&mut wire, &capabilities)
            .await
            .map_err(phase(Phase::Auth))?;
        Ok((wire, capabilities))
    }

    async fn greeting(&self, wire: &mut Wire) -> Result<(), Fault> {
        let reply = wire.reply(self.deadline()).await?;
        match reply.code {
            220 => Ok(()),
            400..=599 => Err(unavailable(reply)),
            _ => Err(surprise(reply)),
        }
    }

    async fn hello(&self, wire: &mut Wire, name: &str) -> Result<Capabilities, Fault> {
        let reply = self.ask(wire, &format!("EHLO {name}\r\n")).await?;
        match reply.code {
            250 => return Ok(Capabilities::parse(wire.lines())),
            400..=499 => return Err(unavailable(reply)),
            500..=599 => {}
            _ => return Err(surprise(reply)),
        }
        // RFC 5321, section 3.2: a relay that does not know EHLO is greeted with HELO, and offers nothing.
        let reply = self.ask(wire, &format!("HELO {name}\r\n")).await?;
        match reply.code {
            250 => Ok(Capabilities::default()),
            400..=599 => Err(unavailable(reply)),
            _ => Err(surprise(reply)),
        }
    }

    /// Whether the connection is to be encrypted now; then the relay has said 220 to STARTTLS.
    async fn wants_tls(&self, wire: &mut Wire, capabilities: &Capabilities) -> Result<bool, Fault> {
        if *self.demand == Demand::Clear {
            return Ok(false);
        }
        let required = !self.demand.allows_clear();
        if !capabilities.starttls {
            if !required {
                return Ok(false);
            }
            let detail = match self.by_mx {
                true => "the host offers no STARTTLS, and nothing may be sent to it in clear",
                false => {
                    "the relay offers no STARTTLS and `tls` is `required`; \
                     use `smtps://` or say `tls = \"none\"`"
                }
            };
            return Err(Fault::new(ErrorKind::Tls, detail));
        }
        let reply = self.ask(wire, "STARTTLS\r\n").await?;
        match reply.code {
            220 => Ok(true),
            400..=599 if !required => Ok(false),
            400..=599 => Err(Fault::new(ErrorKind::Tls, "the relay refused STARTTLS").with(reply)),
            _ => Err(surprise(reply)),
        }
    }

    async fn encrypt(&mut self, tcp: TcpStream) -> Result<Stream, SessionError> {
        let handshake = self.tls.handshake(self.host, self.demand, tcp);
        let fault = match timeout(self.relay.connect_timeout, handshake).await {
            Ok(Ok(stream)) => {
                self.trust = match self.demand {
                    Demand::Offered | Demand::Encrypted => Trust::Encrypted,
                    Demand::Clear | Demand::Verified | Demand::Dane(_) => Trust::Verified,
                };
                return Ok(Stream::Tls(Box::new(stream)));
            }
            Ok(Err(error)) => {
                let detail = format!("no TLS with `{}`: {error}", self.host);
                Fault::new(ErrorKind::Tls, detail)
            }
            Err(_) => Fault::new(ErrorKind::Timeout, "the TLS handshake took too long"),
        };
        Err(fault.at(Phase::Tls, Terminator::NotSent))
    }

    async fn authenticate(
        &self,
        wire: &mut Wire,
        capabilities: &Capabilities,
    ) -> Result<(), Fault> {
        let (user, password) = match (&self.relay.username, &self.relay.password) {
            (None, None) => return Ok(()),
            (Some(user), Some(password)) => (user.as_str(), password.expose_secret()),
            _ => {
                let detail = "the relay has only one of `username` and `password`; set both";
                return Err(Fault::new(ErrorKind::Config, detail));
            }
        };
        // Invariant: credentials never leave in clear, nor to somebody who did not prove who they are.
        let allowed = match self.trust {
            Trust::Verified => true,
            Trust::Encrypted => false,
            Trust::Clear => self.loopback && *self.demand == Demand::Clear,
        };
        if !allowed {
            let detail = "the relay has credentials, and the connection is not verified TLS; \
                set `tls = \"required\"`. The credentials were not sent";
            return Err(Fault::new(ErrorKind::Auth, detail));
        }
        if capabilities.auth_plain {
            // RFC 4616: authorization identity, user, password, each but the first after NUL.
            let line = STANDARD.encode(format!("\0{user}\0{password}"));
            return self.secret(wire, "AUTH PLAIN ", &line, 235).await;
        }
        if !capabilities.auth_login {
            let detail = "the relay offers neither AUTH PLAIN nor AUTH LOGIN on this connection";
            return Err(Fault::new(ErrorKind::Auth, detail));
        }
        self.secret(wire, "AUTH LOGIN", "", 334).await?;
        self.secret(wire, "", &STANDARD.encode(user), 334).await?;
        self.secret(wire, "", &STANDARD.encode(password), 235).await
    }

    /// One step of AUTH. What the relay says is kept only where it does not repeat the secret.
    async fn secret(
        &self,
        wire: &mut Wire,
        verb: &str,
        secret: &str,
        expected: u16,
    ) -> Result<(), Fault> {
        let mut reply = self.ask(wire, &format!("{verb}{secret}\r\n")).await?;
        if reply.code == expected {
            return Ok(());
        }
        let password = self.relay.password.as_ref();
        let password = password.map_or("", |password| password.expose_secret());
        for hidden in [secret, password] {
            if !hidden.is_empty() && reply.text.contains(hidden) {
                reply.text = reply.text.replace(hidden, "[hidden]");
            }
        }
        match reply.code {
            400..=599 => {
                let detail = "the relay does not accept `username` and `password`";
                Err(Fault::new(ErrorKind::Auth, detail).with(reply))
            }
            _ => Err(surprise(reply)),
        }
    }

    async fn ask(&self, wire: &mut Wire, line: &str) -> Result<Reply, Fault> {
        let deadline = self.deadline();
        let needed = wire.push(line.as_bytes());
        wire.flush(needed, deadline).await?;
        let reply = wire.reply(deadline).await?;
        if reply.code == 421 {
            return Err(unavailable(reply));
        }
        Ok(reply)
    }

    fn deadline(&self) -> Instant {
        deadline(self.relay.command_timeout)
    }
}

fn surprise(reply: Reply) -> Fault {
    Fault::new(ErrorKind::Protocol, "the relay's answer fits no question").with(reply)
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn a_relay_is_a_scheme_a_host_and_perhaps_a_port() {
        let table = [
            ("smtp://relay.example", "relay.example", 587, false),
            ("smtps://relay.example", "relay.example", 465, true),
            ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, false),
            ("smtp://[::1]:25", "::1", 25, false),
        ];
        for (text, host, port, implicit_tls) in table {
            let expected = Endpoint {
                host: host.into(),
                port,
                implicit_tls,
            };
            assert_eq!(Endpoint::parse(text).expect("a relay"), expected);
        }
        for text in ["relay.example:25", "http://relay.example", "smtp://", ""] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
