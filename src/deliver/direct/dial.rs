//! Opening a connection to a site: its hosts by preference, the addresses of each, until one answers.
//!
//! Promises: IPv6 and IPv4 alike, an address that did not answer lately comes last, and all tries together
//! have an end. A connection in clear is made only where the demand allows it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::timeout;

use crate::chance::Chance;
use crate::clock::{Clock, Timestamp};
use crate::config::Relay;
use crate::deliver::direct::pool::Host;
use crate::dns::Dns;
use crate::lock::lock;
use crate::mx::route::{self, Exchange};
use crate::network;
use crate::smtp::connect::MxHost;
use crate::smtp::error::{ErrorKind, Phase, SessionError, Terminator};
use crate::smtp::session::Session;
use crate::smtp::tls::{Demand, TlsClient};

/// Addresses tried for one connection.
const TRIES: usize = 6;
/// All of them together.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// An address that did not answer comes last for so long.
const MEMORY: Duration = Duration::from_secs(10 * 60);
const REMEMBERED: usize = 10_000;

/// Who opens connections.
pub(super) struct Dialler {
    pub relay: Relay,
    pub ehlo: String,
    pub tls: TlsClient,
    pub dns: Dns,
    pub port: u16,
    pub sources: Vec<IpAddr>,
    /// Whether addresses that are not public may be connected to.
    pub inside: bool,
    pub clock: Clock,
    pub chance: Chance,
    pub silent: Mutex<HashMap<SocketAddr, Timestamp>>,
}

/// An open session, and what a host before it said on being asked.
pub(super) struct Dialled {
    pub session: Session,
    pub refusal: Option<SessionError>,
}

/// No host gave a session.
pub(super) struct Failed {
    pub error: SessionError,
    /// Whether any was tried, and none of them as much as answered.
    pub unreached: bool,
}

impl Dialler {
    /// The first session that one of `hosts` gives.
    pub(super) async fn dial(&self, hosts: &[Host]) -> Result<Dialled, Failed> {
        match timeout(PATIENCE, self.try_all(hosts)).await {
            Ok(result) => result,
            // Hosts that hold on to connections for so long are there.
            Err(_) => Err(Failed {
                error: connecting(ErrorKind::Timeout, "no host answered in time"),
                unreached: false,
            }),
        }
    }

    /// Whether one of `hosts` answers.
    pub(super) async fn is_there(&self, hosts: &[Host]) -> bool {
        match self.dial(hosts).await {
            Ok(dialled) => {
                dialled.session.quit().await;
                true
            }
            Err(failed) => failed.error.phase != Phase::Connect && !failed.unreached,
        }
    }

    async fn try_all(&self, hosts: &[Host]) -> Result<Dialled, Failed> {
        let mut refusal = None;
        let mut failed = Failed {
            error: connecting(ErrorKind::Io, "no host has an address that can be reached"),
            unreached: false,
        };
        let targets = self.targets(hosts).await;
        let targets = targets.map_err(|error| Failed {
            error,
            unreached: false,
        })?;
        for (index, target) in targets.iter().enumerate() {
            match self.open(target).await {
                Ok(session) => return Ok(Dialled { session, refusal }),
                Err(error) => {
                    tracing::debug!("{error}");
                    failed.unreached = (index == 0 || failed.unreached) && is_unreached(&error);
                    if error.reply.is_some() {
                        refusal = Some(error.clone());
                    } else {
                        self.remember(target.address);
                    }
                    failed.error = error;
                }
            }
        }
        Err(failed)
    }

    async fn open(&self, target: &MxHost) -> Result<Session, SessionError> {
        let opened = Session::to_mx(&self.relay, &self.ehlo, &self.tls, target).await;
        match opened {
            // What is offered and does not work is as good as not offered, where nobody asked for it.
            Err(error) if error.phase == Phase::Tls && target.demand == Demand::Offered => {
                let clear = MxHost {
                    demand: Demand::Clear,
                    ..target.clone()
                };
                Session::to_mx(&self.relay, &self.ehlo, &self.tls, &clear).await
            }
            other => other,
        }
    }

    /// What is to be tried, in its order.
    async fn targets(&self, hosts: &[Host]) -> Result<Vec<MxHost>, SessionError> {
        let exchanges: Vec<Exchange> = hosts
            .iter()
            .map(|host| Exchange {
                preference: host.preference,
                host: host.name.clone(),
            })
            .collect();
        let mut targets = Vec::new();
        let mut unanswered = None;
        for name in route::order(&exchanges, || self.chance.fraction()) {
            let Some(host) = hosts.iter().find(|host| host.name == name) else {
                continue;
            };
            match self.dns.addresses(&name).await {
                Ok(found) => targets.extend(found.records.into_iter().filter_map(|ip| {
                    let reachable = self.inside || network::is_public(ip);
                    Some(MxHost {
                        name: name.clone(),
                        address: SocketAddr::new(ip, self.port),
                        source: self.source(ip)?,
                        demand: host.demand.clone(),
                    })
                    .filter(|_| reachable)
                })),
                Err(error) => unanswered = Some(error),
            }
            if targets.len() >= TRIES {
                break;
            }
        }
        if let (true, Some(error)) = (targets.is_empty(), unanswered) {
            return Err(connecting(ErrorKind::Io, error.to_string()));
        }
        targets.sort_by_key(|target| self.is_silent(target.address));
        targets.truncate(TRIES);
        Ok(targets)
    }

    /// One of our addresses for a connection to `ip`, none for the system's choice; nothing where we are
    /// told to use only addresses of the other family.
    fn source(&self, ip: IpAddr) -> Option<Option<IpAddr>> {
        if self.sources.is_empty() {
            return Some(None);
        }
        let same = |source: &&IpAddr| source.is_ipv4() == ip.is_ipv4();
        let fitting: Vec<&IpAddr> = self.sources.iter().filter(same).collect();
        // Truncation is meant: a fraction of a length is an index.
        let index = (self.chance.fraction() * fitting.len() as f64) as usize;
        fitting.get(index).map(|source| Some(**source))
    }

    fn is_silent(&self, address: SocketAddr) -> bool {
        let silent = lock(&self.silent);
        let now = self.clock.now();
        silent.get(&address).is_some_and(|&until| until > now)
    }

    fn remember(&self, address: SocketAddr) {
        let mut silent = lock(&self.silent);
        let now = self.clock.now();
        if silent.len() >= REMEMBERED {
            silent.retain(|_, until| *until > now);
        }
        if silent.len() < REMEMBERED {
            silent.insert(address, now.after(MEMORY));
        }
    }
}

/// Whether nothing at all was heard: no connection, or one that somebody on the way cut at once.
fn is_unreached(error: &SessionError) -> bool {
    let cut =
        error.phase == Phase::Greeting && matches!(error.kind, ErrorKind::Io | ErrorKind::Closed);
    error.reply.is_none() && (error.phase == Phase::Connect || cut)
}

fn connecting(kind: ErrorKind, detail: impl Into<String>) -> SessionError {
    SessionError {
        phase: Phase::Connect,
        kind,
        reply: None,
        terminator: Terminator::NotSent,
        detail: detail.into(),
    }
}
