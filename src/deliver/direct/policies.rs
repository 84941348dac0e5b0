//! MTA-STS policies, fetched and kept (RFC 8461, sections 3 and 5).
//!
//! Promises: https with a valid certificate, no redirect followed, one minute and 64 KB at most. A policy
//! that is known holds until its `max_age`, whatever the network says meanwhile, and whoever is started anew: it is
//! kept in the database, for all nodes. It is fetched anew long before, and one that could not be fetched not again at
//! once: a host that says nothing keeps its domain waiting once, and not at each look.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy as Redirects;
use reqwest::{Client, StatusCode};

use crate::clock::{Clock, Timestamp};
use crate::dns::Dns;
use crate::lock::lock;
use crate::mx::sts::{self, Policy, SIZE};
use crate::network;
use crate::smtp::tls::TlsClient;
use crate::store::Store;
use crate::store::learned::KeptPolicy;

/// RFC 8461, section 3.3, suggests one minute.
const PATIENCE: Duration = Duration::from_secs(60);
/// One that is older, or of which half is over, is fetched anew (RFC 8461, section 3.3, suggests daily).
const FRESH: Duration = Duration::from_hours(24);
/// What could not be fetched is not tried again for so long; RFC 8461, section 3.3, asks for five minutes.
const LEFT: Duration = Duration::from_secs(600);
/// Domains whose policies are kept.
const KEPT: usize = 10_000;

/// The policies of all domains that have one.
pub(super) struct Policies {
    client: Client,
    port: u16,
    clock: Clock,
    store: Store,
    kept: Mutex<HashMap<String, Kept>>,
    left: Left,
}

/// Domains whose policies could not be fetched, and until when that is not tried again.
#[derive(Default)]
struct Left(Mutex<HashMap<String, Timestamp>>);

#[derive(Clone)]
struct Kept {
    id: String,
    policy: Policy,
    until: Timestamp,
}

impl Left {
    fn holds(&self, domain: &str, now: Timestamp) -> bool {
        lock(&self.0).get(domain).is_some_and(|until| *until > now)
    }

    fn note(&self, domain: &str, now: Timestamp) {
        let mut left = lock(&self.0);
        if left.len() >= KEPT {
            left.retain(|_, until| *until > now);
        }
        if left.len() < KEPT {
            left.insert(domain.to_owned(), now.after(LEFT));
        }
    }
}

impl Kept {
    fn is_fresh(&self, now: Timestamp) -> bool {
        let age = self.policy.max_age;
        self.until.since(now) > age - FRESH.min(age / 2)
    }
}

impl Policies {
    /// Fetches from `port`, which is 443 on the public network; `inside` allows addresses that are not
    /// public.
    pub(super) fn new(
        dns: Dns,
        tls: &TlsClient,
        port: u16,
        inside: bool,
        clock: Clock,
        store: Store,
    ) -> anyhow::Result<Policies> {
        let client = Client::builder()
            .user_agent(concat!(
                "pressrun/",
                env!("CARGO_PKG_VERSION"),
                " (MTA-STS)"
            ))
            .tls_backend_preconfigured(tls.verifying())
            .https_only(true)
            // RFC 8461, section 3.3: redirects are not followed.
            .redirect(Redirects::none())
            .dns_resolver(std::sync::Arc::new(Names { dns, inside }))
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .context("the client for MTA-STS cannot be set up")?;
        Ok(Policies {
            client,
            port,
            clock,
            store,
            kept: Mutex::default(),
            left: Left::default(),
        })
    }

    /// The policy that holds for `domain` now.
    pub(super) async fn of(&self, dns: &Dns, domain: &str) -> Option<Policy> {
        let now = self.clock.now();
        let known = match self.known(domain, now) {
            Some(known) => Some(known),
            None => self.recall(domain, now).await,
        };
        let announced = match dns.txt(&format!("_mta-sts.{domain}")).await {
            Ok(answer) => sts::announced(&answer.records),
            Err(_) => Ok(None),
        };
        let id = match announced {
            Ok(Some(id)) => id,
            Ok(None) => return known.map(|kept| kept.policy),
            Err(error) => {
                tracing::info!(domain, "{error}");
                return known.map(|kept| kept.policy);
            }
        };
        let holds = |kept: &&Kept| kept.id == id && kept.is_fresh(now);
        if let Some(kept) = known.as_ref().filter(holds) {
            return Some(kept.policy.clone());
        }
        if self.left.holds(domain, now) {
            return known.map(|kept| kept.policy);
        }
        match self.fetch(domain).await {
            Ok((policy, text)) => {
                let until = now.after(policy.max_age);
                let kept = KeptPolicy {
                    id: id.clone(),
                    policy: text,
                    until: until.0,
                };
                if let Err(error) = self.store.keep_sts_policy(domain, &kept).await {
                    tracing::warn!(domain, %error, "the MTA-STS policy is known to this process alone");
                }
                let kept = Kept { id, policy, until };
                self.keep(domain, kept.clone(), now);
                Some(kept.policy)
            }
            // RFC 8461, section 5.1: a policy that cannot be fetched is none, unless an older one holds.
            Err(error) => {
                tracing::warn!(domain, "the MTA-STS policy cannot be fetched: {error:#}");
                self.left.note(domain, self.clock.now());
                known.map(|kept| kept.policy)
            }
        }
    }

    /// The policy as it stands in the database, if one holds.
    async fn recall(&self, domain: &str, now: Timestamp) -> Option<Kept> {
        let found = self.store.sts_policy(domain, now).await;
        let found = found.inspect_err(|error| {
            tracing::warn!(domain, %error, "whether there is an MTA-STS policy is not known here");
        });
        let found = found.ok().flatten()?;
        let kept = Kept {
            policy: Policy::parse(&found.policy).ok()?,
            id: found.id,
            until: Timestamp(found.until),
        };
        self.keep(domain, kept.clone(), now);
        Some(kept)
    }

    /// The policy, and as it was written.
    async fn fetch(&self, domain: &str) -> anyhow::Result<(Policy, String)> {
        let port = match self.port {
            443 => String::new(),
            port => format!(":{port}"),
        };
        let url = format!("https://mta-sts.{domain}{port}/.well-known/mta-sts.txt");
        let mut answer = self.client.get(url).send().await?;
        ensure!(
            answer.status() == StatusCode::OK,
            "the answer is {}",
            answer.status()
        );
        let kind = answer.headers().get("content-type");
        let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or("");
        // RFC 8461, section 3.2: the media type keeps pages of uploaded content from being policies.
        let kind = kind.to_ascii_lowercase();
        ensure!(kind.starts_with("text/plain"), "it is no text/plain");
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            ensure!(
                body.len() + chunk.len() <= SIZE,
                "it has more than {SIZE} octets"
            );
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(body)?;
        Ok((Policy::parse(&text)?, text))
    }

    fn known(&self, domain: &str, now: Timestamp) -> Option<Kept> {
        let kept = lock(&self.kept);
        kept.get(domain).filter(|kept| kept.until > now).cloned()
    }

    fn keep(&self, domain: &str, new: Kept, now: Timestamp) {
        let mut kept = lock(&self.kept);
        if kept.len() >= KEPT {
            kept.retain(|_, kept| kept.until > now);
        }
        if kept.len() < KEPT {
            kept.insert(domain.to_owned(), new);
        }
    }
}

/// The same nameservers as for everything else.
struct Names {
    dns: Dns,
    inside: bool,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let (dns, inside) = (self.dns.clone(), self.inside);
        Box::pin(async move {
            let found = dns.addresses(name.as_str()).await?;
            let public = move |ip: &std::net::IpAddr| inside || network::is_public(*ip);
            let all = found.records.into_iter().filter(public);
            Ok(Box::new(all.map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Kept, Left, Policy};
    use crate::clock::Timestamp;

    #[test]
    fn what_was_not_fetched_is_left_for_a_while_and_what_was_is_fetched_anew_in_time() {
        let (left, now) = (Left::default(), Timestamp(1_000_000));
        left.note("a.example", now);
        assert!(left.holds("a.example", now.after(Duration::from_secs(599))));
        assert!(!left.holds("a.example", now.after(Duration::from_secs(600))));
        assert!(!left.holds("b.example", now));
        let day = Duration::from_hours(24);
        for (age, fresh) in [(day * 14, day), (day, day / 2)] {
            let text = format!(
                "version: STSv1\r\nmode: enforce\r\nmx: mx.a.example\r\nmax_age: {}\r\n",
                age.as_secs()
            );
            let kept = Kept {
                id: "1".to_owned(),
                policy: Policy::parse(&text).expect("a policy"),
                until: now.after(age),
            };
            assert!(kept.is_fresh(now.after(fresh - Duration::from_secs(1))));
            assert!(!kept.is_fresh(now.after(fresh)));
        }
    }
}
