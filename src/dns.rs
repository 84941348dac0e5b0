//! The DNS as this house asks it: TXT, MX, addresses, names of addresses, TLSA.
//!
//! Promises: a name without records is an answer, and only a server that does not answer is an error, so
//! that nobody takes silence for "no". Answers are kept as long as they say. Asks the machine's own
//! nameservers, or the one that `dns.nameserver` names.
//! Leaves what records mean to whoever asked.

mod validated;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Context;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use crate::config;
use crate::mx::dane::Tlsa;

/// Answers kept at a time.
const CACHE: u64 = 4096;
/// How long "no such name" is believed when the zone does not say.
const SILENCE: Duration = Duration::from_secs(60);
/// Repeats after the first question.
const ATTEMPTS: usize = 2;

/// A resolver; cheap to clone, and one cache for all clones.
#[derive(Clone, Debug)]
pub struct Dns {
    resolver: TokioResolver,
    servers: Vec<SocketAddr>,
    timeout: Duration,
}

/// What stands in the DNS under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// Empty where there is none of this type.
    pub records: Vec<T>,
    /// False when the name itself does not exist (NXDOMAIN).
    pub exists: bool,
    /// How long it may be kept.
    pub ttl: Duration,
}

/// What DNSSEC proves of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// All of the answer, the aliases on the way to it too.
    pub is_validated: bool,
    /// The name behind all aliases; the name itself where it is none.
    pub canonical: String,
}

/// No answer: nothing is known about the name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the DNS gives no answer about `{name}` ({why}); try again later")]
pub struct LookupError {
    pub name: String,
    pub why: String,
}

/// A mail exchanger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    pub preference: u16,
    /// In lower case and without the final dot; empty for "takes no mail" (RFC 7505).
    pub host: String,
}

impl Dns {
    /// A resolver as the section `[dns]` says.
    pub fn new(config: &config::Dns) -> anyhow::Result<Dns> {
        Dns::keeping(config, CACHE)
    }

    /// One that asks each time and keeps nothing.
    pub fn afresh(config: &config::Dns) -> anyhow::Result<Dns> {
        Dns::keeping(config, 0)
    }

    fn keeping(config: &config::Dns, answers: u64) -> anyhow::Result<Dns> {
        let (mut servers, mut options) = match config.nameserver {
            Some(_) => (ResolverConfig::default(), ResolverOpts::default()),
            None => read_system_conf().context(
                "the machine's nameservers in `/etc/resolv.conf` cannot be read; set `dns.nameserver`",
            )?,
        };
        if let Some(address) = config.nameserver {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            servers = ResolverConfig::from_name_servers(vec![server]);
        }
        options.timeout = config.timeout;
        options.attempts = ATTEMPTS;
        options.cache_size = answers;
        let addresses = servers.name_servers().iter().filter_map(|server| {
            let port = server.connections.first()?.port;
            Some(SocketAddr::new(server.ip, port))
        });
        let addresses = addresses.collect();
        let provider = TokioRuntimeProvider::default();
        let resolver = TokioResolver::builder_with_config(servers, provider).with_options(options);
        Ok(Dns {
            resolver: resolver.build().context("the resolver cannot be set up")?,
            servers: addresses,
            timeout: config.timeout,
        })
    }

    /// The texts under `name`, the strings of each joined (RFC 7208, section 3.3).
    pub async fn txt(&self, name: &str) -> Result<Answer<String>, LookupError> {
        let read = |data: &RData| match data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        };
        self.ask(name, absolute(name)?, RecordType::TXT, read).await
    }

    /// The mail exchangers of `domain`, the preferred ones first.
    pub async fn mx(&self, domain: &str) -> Result<Answer<Mx>, LookupError> {
        let read = |data: &RData| match data {
            RData::MX(mx) => Some(Mx {
                preference: mx.preference,
                host: host(&mx.exchange),
            }),
            _ => None,
        };
        let mut answer = self
            .ask(domain, absolute(domain)?, RecordType::MX, read)
            .await?;
        answer.records.sort();
        Ok(answer)
    }

    /// The IPv4 addresses of `host`.
    pub async fn ipv4(&self, host: &str) -> Result<Answer<IpAddr>, LookupError> {
        let read = |data: &RData| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        };
        self.ask(host, absolute(host)?, RecordType::A, read).await
    }

    /// The IPv6 addresses of `host`.
    pub async fn ipv6(&self, host: &str) -> Result<Answer<IpAddr>, LookupError> {
        let read = |data: &RData| match data {
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        };
        self.ask(host, absolute(host)?, RecordType::AAAA, read)
            .await
    }

    /// All addresses of `host`, IPv6 first. An error only when neither family is answered.
    pub async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, LookupError> {
        let (six, four) = tokio::join!(self.ipv6(host), self.ipv4(host));
        match (six, four) {
            (Ok(mut six), Ok(four)) => {
                six.records.extend(four.records);
                six.exists |= four.exists;
                six.ttl = six.ttl.min(four.ttl);
                Ok(six)
            }
            (Ok(one), Err(error)) | (Err(error), Ok(one)) => match one.records.is_empty() {
                true => Err(error),
                false => Ok(one),
            },
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// The SOA record of `name` itself, with which a zone begins; one behind an alias is another name's.
    pub async fn soa(&self, name: &str) -> Result<Answer<()>, LookupError> {
        let read = |data: &RData| match data {
            RData::SOA(_) => Some(true),
            RData::CNAME(_) => Some(false),
            _ => None,
        };
        let found = self
            .ask(name, absolute(name)?, RecordType::SOA, read)
            .await?;
        let own = found.records.iter().all(|&own| own);
        let records = found.records.iter().filter(|_| own).map(|_| ());
        Ok(Answer {
            records: records.collect(),
            exists: found.exists,
            ttl: found.ttl,
        })
    }

    /// The names of an address (PTR), in lower case.
    pub async fn ptr(&self, address: IpAddr) -> Result<Answer<String>, LookupError> {
        let read = |data: &RData| match data {
            RData::PTR(name) => Some(host(&name.0)),
            _ => None,
        };
        let text = address.to_string();
        self.ask(&text, Name::from(address), RecordType::PTR, read)
            .await
    }

    /// The TLSA records of `host` at `port`, only where the nameserver vouches for them by DNSSEC
    /// ([`Dns::is_validated`]); others are as good as none (RFC 7672, section 2.2).
    pub async fn tlsa(&self, host: &str, port: u16) -> Result<Answer<Tlsa>, LookupError> {
        let name = format!("_{port}._tcp.{host}");
        let found = self.validated(&name, RecordType::TLSA).await?;
        let records = match found.is_validated {
            true => found.records.iter().filter_map(tlsa).collect(),
            false => Vec::new(),
        };
        Ok(Answer {
            records,
            exists: found.exists,
            ttl: found.ttl,
        })
    }

    /// Whether the nameserver vouches by DNSSEC for what it says about the mail exchangers of `domain`.
    /// Never so unless every nameserver is on this machine: the way to it must be safe too.
    pub async fn mx_proof(&self, domain: &str) -> Result<Proof, LookupError> {
        let found = self.validated(domain, RecordType::MX).await?;
        Ok(Proof {
            is_validated: found.is_validated,
            canonical: canonical(domain, &found.records),
        })
    }

    /// As [`Dns::mx_proof`], for the addresses of `host`.
    pub async fn host_proof(&self, host: &str) -> Result<Proof, LookupError> {
        let mut four = self.validated(host, RecordType::A).await?;
        let six = self.validated(host, RecordType::AAAA).await?;
        four.records.extend(six.records);
        Ok(Proof {
            is_validated: four.is_validated && six.is_validated,
            canonical: canonical(host, &four.records),
        })
    }

    /// Whether the nameserver vouches for it that `host` is an alias, whatever becomes of the name behind it.
    pub async fn is_alias_validated(&self, host: &str) -> Result<bool, LookupError> {
        let found = self.validated(host, RecordType::CNAME).await?;
        Ok(found.is_validated && !found.records.is_empty())
    }

    /// Whether the nameserver answers when it is asked about the root, which each knows that answers at all.
    pub async fn knows_the_root(&self) -> bool {
        let asked = self.ask(".", Name::root(), RecordType::NS, |_| Some(()));
        asked.await.is_ok()
    }

    /// Whether any answer can be vouched for: every nameserver is on this machine.
    pub fn can_vouch(&self) -> bool {
        self.servers.iter().all(|server| server.ip().is_loopback())
    }

    async fn ask<T>(
        &self,
        shown: &str,
        name: Name,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, LookupError> {
        match self.resolver.lookup(name, kind).await {
            Ok(found) => Ok(Answer {
                records: found
                    .answers()
                    .iter()
                    .filter_map(|r| read(&r.data))
                    .collect(),
                exists: true,
                ttl: found
                    .valid_until()
                    .saturating_duration_since(Instant::now()),
            }),
            Err(error) if error.is_no_records_found() => Ok(Answer {
                records: Vec::new(),
                exists: !error.is_nx_domain(),
                ttl: SILENCE,
            }),
            Err(error) => Err(LookupError {
                name: shown.to_owned(),
                why: error.to_string(),
            }),
        }
    }
}

/// A name from the root, so that the machine's search list is never put behind it.
fn absolute(name: &str) -> Result<Name, LookupError> {
    let parsed = Name::from_ascii(name.trim_end_matches('.'));
    let mut parsed = parsed.map_err(|error| LookupError {
        name: name.to_owned(),
        why: error.to_string(),
    })?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

fn host(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.trim_end_matches('.').to_owned()
}

/// The name to which the aliases among `records` lead from `name`.
fn canonical(name: &str, records: &[Record]) -> String {
    let mut name = name.trim_end_matches('.').to_ascii_lowercase();
    // Each alias is followed once, so that a ring has an end.
    for _ in records {
        let next = records.iter().find_map(|record| match &record.data {
            RData::CNAME(to) if host(&record.name) == name => Some(host(&to.0)),
            _ => None,
        });
        match next {
            Some(next) => name = next,
            None => break,
        }
    }
    name
}

fn tlsa(record: &Record) -> Option<Tlsa> {
    match &record.data {
        RData::TLSA(found) => Some(Tlsa {
            usage: found.cert_usage.into(),
            selector: found.selector.into(),
            matching: found.matching.into(),
            data: found.cert_data.clone(),
        }),
        _ => None,
    }
}
