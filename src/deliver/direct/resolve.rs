//! From a recipient's domain to the hosts that take its mail, and what is asked of a connection to each.
//!
//! Promises: a domain that says it takes no mail, and one that does not exist, are told apart from one
//! of which nothing is known now. DANE outranks MTA-STS where the nameserver vouches for it (RFC 8461,
//! section 2), and neither is ever weakened to get a message out.

use std::sync::Arc;
use std::time::Duration;

use crate::config::TlsPolicy;
use crate::deliver::direct::policies::Policies;
use crate::deliver::direct::pool::Host;
use crate::deliver::direct::pools::Place;
use crate::dns::{Answer, Dns, LookupError};
use crate::mx::dane::{self, Bond, Tlsa};
use crate::mx::provider::{Provider, Providers, TlsRule};
use crate::mx::route::{self, Exchange, Route};
use crate::mx::sts::{Mode, Policy};
use crate::smtp::tls::Demand;

/// What was found is kept for at least and at most so long.
const SHORT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);

/// What became of a domain.
#[derive(Clone, Debug)]
pub(super) enum Resolved {
    Site {
        place: Place,
        provider: Provider,
        hosts: Vec<Host>,
        ttl: Duration,
    },
    /// RFC 7505: it takes no mail, and says so.
    Refused,
    /// There is no such domain, or no host in it.
    Nowhere(String),
    /// Not now.
    Unknown(String),
    /// The nameserver gave no answer about it, ...
    Unanswered(String),
    /// ... nor about anything else.
    Dark(String),
}

/// Who is asked.
pub(super) struct Resolver {
    pub dns: Dns,
    /// The same without a memory.
    pub afresh: Dns,
    pub providers: Providers,
    /// None where MTA-STS is off.
    pub policies: Option<Arc<Policies>>,
    pub tls: TlsPolicy,
    pub port: u16,
}

impl Resolver {
    /// Finds out where the mail of `domain` goes.
    pub(super) async fn resolve(&self, domain: &str) -> Resolved {
        match self.try_resolve(domain).await {
            Ok(resolved) => resolved,
            Err(error) => Resolved::Unanswered(error.to_string()),
        }
    }

    /// Whether the nameserver says now, and not from memory, that mail for `domain` could go somewhere.
    pub(super) async fn is_there(&self, domain: &str) -> Result<bool, LookupError> {
        let answer = self.afresh.mx(domain).await?;
        if !answer.records.is_empty() || !answer.exists {
            return Ok(answer.exists);
        }
        Ok(!self.afresh.addresses(domain).await?.records.is_empty())
    }

    async fn try_resolve(&self, domain: &str) -> Result<Resolved, LookupError> {
        let answer = self.dns.mx(domain).await?;
        if !answer.exists {
            return Ok(Resolved::Nowhere(format!("there is no domain `{domain}`")));
        }
        let records: Vec<Exchange> = answer
            .records
            .iter()
            .map(|mx| Exchange {
                preference: mx.preference,
                host: mx.host.clone(),
            })
            .collect();
        let hosts = match Route::of(domain, &records) {
            Route::Refused => return Ok(Resolved::Refused),
            Route::Unusable => {
                let why = format!("no MX record of `{domain}` names a host");
                return Ok(Resolved::Unknown(why));
            }
            Route::Hosts(hosts) => hosts,
        };
        if records.is_empty() && self.dns.addresses(domain).await?.records.is_empty() {
            let why = format!("`{domain}` has neither an MX record nor an address");
            return Ok(Resolved::Nowhere(why));
        }
        let policy = match &self.policies {
            Some(policies) => policies.of(&self.dns, domain).await,
            None => None,
        };
        let policy = policy.filter(|policy| policy.mode == Mode::Enforce);
        let known = self
            .providers
            .of_all(hosts.iter().map(|host| host.host.as_str()));
        let provider = known.unwrap_or_else(|| self.providers.any()).clone();
        // RFC 7672, section 2.2.1: without a validated MX there is no DANE, whatever the hosts say.
        let proof = match self.tls != TlsPolicy::None && self.dns.can_vouch() {
            true => Some(self.dns.mx_proof(domain).await?).filter(|proof| proof.is_validated),
            false => None,
        };
        let bound = proof.as_ref().map(|proof| [domain, &proof.canonical]);
        let (site, longest) = self
            .site(&hosts, &provider, policy.as_ref(), bound.as_ref())
            .await?;
        if site.is_empty() {
            let why = format!(
                "the MTA-STS policy of `{domain}` names none of its {} MX hosts",
                hosts.len()
            );
            return Ok(Resolved::Unknown(why));
        }
        let pool = match known {
            Some(provider) => provider.name.clone(),
            None => route::key(&hosts),
        };
        Ok(Resolved::Site {
            place: Place {
                pool,
                site: format!("{site:?}"),
            },
            provider,
            hosts: site,
            ttl: answer.ttl.min(longest).max(SHORT),
        })
    }

    /// Those of the hosts to which mail may go, and how long at most that is known. None is left only where a policy names
    /// none of them.
    async fn site(
        &self,
        hosts: &[Exchange],
        provider: &Provider,
        policy: Option<&Policy>,
        bound: Option<&[&str; 2]>,
    ) -> Result<(Vec<Host>, Duration), LookupError> {
        let mut site = Vec::with_capacity(hosts.len());
        let mut dark = None;
        let mut longest = LONG;
        for host in hosts {
            match self.demand(host, provider, policy, bound).await {
                Ok(Some((demand, ttl))) => {
                    longest = longest.min(ttl);
                    site.push(Host {
                        preference: host.preference,
                        name: host.host.clone(),
                        demand,
                    });
                }
                Ok(None) => {}
                // RFC 7672, section 2.1.2: of which nothing is known cannot be reached, and the others can.
                Err(error) => (dark, longest) = (Some(error), SHORT),
            }
        }
        match dark {
            Some(error) if site.is_empty() => Err(error),
            _ => Ok((site, longest)),
        }
    }

    /// What is asked of a connection to `host`, and for how long at most; none where no mail may go there. `bound` are
    /// the names of the domain, where the nameserver vouches for it that the host is its own.
    async fn demand(
        &self,
        host: &Exchange,
        provider: &Provider,
        policy: Option<&Policy>,
        bound: Option<&[&str; 2]>,
    ) -> Result<Option<(Demand, Duration)>, LookupError> {
        if self.tls == TlsPolicy::None {
            return Ok(Some((Demand::Clear, LONG)));
        }
        let mut encrypted = None;
        if let Some(domains) = bound
            && let Some((base, answer)) = self.tlsa_of(&host.host).await?
        {
            let records = answer.records;
            let usable = dane::usable(&records);
            if !usable.is_empty() {
                let bond = Bond::new(usable, &base, domains);
                return Ok(Some((Demand::Dane(bond), answer.ttl)));
            }
            // RFC 7672, section 2.2: none is usable, so TLS is mandatory and nobody need prove anything, unless a
            // policy asks for it.
            encrypted = (!records.is_empty()).then_some(answer.ttl);
        }
        if let Some(policy) = policy {
            let named = policy.names(&host.host);
            return Ok(named.then_some((Demand::Verified, encrypted.unwrap_or(LONG))));
        }
        if let Some(ttl) = encrypted {
            return Ok(Some((Demand::Encrypted, ttl)));
        }
        let demand = match (self.tls, provider.tls) {
            (TlsPolicy::Required, _) | (_, TlsRule::Encrypted) => Demand::Encrypted,
            _ => Demand::Offered,
        };
        Ok(Some((demand, LONG)))
    }

    /// The TLSA records of `host`, and under which of its names they were found; none where the nameserver does not
    /// vouch for the way there. RFC 7672, section 2.2.2: under the name behind all aliases first, then under its own.
    async fn tlsa_of(&self, host: &str) -> Result<Option<(String, Answer<Tlsa>)>, LookupError> {
        let proof = self.dns.host_proof(host).await?;
        if proof.is_validated && proof.canonical != host {
            let answer = self.dns.tlsa(&proof.canonical, self.port).await?;
            if !answer.records.is_empty() {
                return Ok(Some((proof.canonical, answer)));
            }
        }
        // An alias of a signed zone may lead into one that is not.
        let alias = proof.canonical != host && self.dns.is_alias_validated(host).await?;
        if !proof.is_validated && !alias {
            return Ok(None);
        }
        let answer = self.dns.tlsa(host, self.port).await?;
        Ok(Some((host.to_owned(), answer)))
    }
}
