//! Asking hosts of the web on an author's behalf.
//!
//! Promises: only http and https; never an address of this machine or of a private network, whatever a
//! name or a redirect says, unless the caller is at home; no cookie, no proxy of the environment, every wait
//! bounded. Leaves it to the caller what is asked and what becomes of the answer.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use crate::network;

const REDIRECTS: usize = 8;
const CONNECT: Duration = Duration::from_secs(8);

/// Why no answer came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It, or what it redirects to, was not asked.
    Private,
    /// It cannot be followed.
    Redirect(String),
    Slow,
    Certificate,
    NoHost,
    NoConnection,
    BrokenOff,
}

/// A client that waits no longer than `patience` for a whole answer; `purpose` is told to who is asked. `at_home`
/// allows addresses of this machine.
pub(crate) fn client(at_home: bool, purpose: &str, patience: Duration) -> anyhow::Result<Client> {
    // Whoever installed one first had the same; it is the only one compiled in.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let policy = Policy::custom(move |attempt| {
        if attempt.previous().len() > REDIRECTS {
            attempt.error("it redirects in a circle")
        } else if !may_ask(attempt.url(), at_home) {
            attempt.error("it redirects to a private address")
        } else {
            attempt.follow()
        }
    });
    let agent = format!("pressrun/{} ({purpose})", env!("CARGO_PKG_VERSION"));
    Ok(Client::builder()
        .user_agent(agent)
        .redirect(policy)
        .dns_resolver(Arc::new(Public { at_home }))
        // A proxy of the environment would resolve names itself.
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(patience)
        .build()?)
}

/// Whether an address may be asked, as far as it says itself where it leads.
pub(crate) fn may_ask(url: &Url, at_home: bool) -> bool {
    let ip = match url.host() {
        Some(url::Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(url::Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        Some(url::Host::Domain(_)) => None,
        None => return false,
    };
    matches!(url.scheme(), "http" | "https") && ip.is_none_or(|ip| is_public(ip, at_home))
}

impl Trouble {
    pub(crate) fn of(error: &reqwest::Error) -> Trouble {
        let mut causes = Vec::new();
        let mut cause: Option<&dyn Error> = error.source();
        while let Some(inner) = cause {
            causes.push(inner.to_string());
            cause = inner.source();
        }
        let whole = causes.join(": ").to_lowercase();
        if whole.contains(PRIVATE) {
            Trouble::Private
        } else if error.is_redirect() {
            let last = causes.pop();
            Trouble::Redirect(last.unwrap_or_else(|| "it redirects in a circle".into()))
        } else if error.is_timeout() {
            Trouble::Slow
        } else if whole.contains("certificate") || whole.contains("tls") {
            Trouble::Certificate
        } else if whole.contains("dns error") || whole.contains("lookup") {
            Trouble::NoHost
        } else if error.is_connect() {
            Trouble::NoConnection
        } else {
            Trouble::BrokenOff
        }
    }

    /// For people, behind the name of what was asked; `patience` is how long it was waited for.
    pub(crate) fn sentence(&self, patience: Duration) -> String {
        match self {
            Trouble::Private => format!("leads to {PRIVATE}, which was not asked"),
            Trouble::Redirect(why) => format!("cannot be followed: {why}"),
            Trouble::Slow => format!("did not answer within {} seconds", patience.as_secs()),
            Trouble::Certificate => "has a TLS certificate that cannot be checked".into(),
            Trouble::NoHost => "has a host that is not in the DNS".into(),
            Trouble::NoConnection => "takes no connection".into(),
            Trouble::BrokenOff => "broke off its answer".into(),
        }
    }
}

/// What the resolver says when a name leads inside.
const PRIVATE: &str = "a private address";

/// The system's resolver without addresses that are not public.
struct Public {
    at_home: bool,
}

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        let at_home = self.at_home;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let all: Vec<SocketAddr> = found.collect();
            let some = !all.is_empty();
            let fine: Vec<SocketAddr> = all
                .into_iter()
                .filter(|address| is_public(address.ip(), at_home))
                .collect();
            if fine.is_empty() && some {
                return Err(PRIVATE.into());
            }
            Ok(Box::new(fine.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public network (or, `at_home`, to this machine).
fn is_public(ip: IpAddr, at_home: bool) -> bool {
    match ip.to_canonical().is_loopback() {
        true => at_home,
        false => network::is_public(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_public, may_ask};

    #[test]
    fn no_address_of_the_inside_is_asked() {
        for text in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::",
            "64:ff9b::a00:1",
        ] {
            let ip = text.parse().expect("an address");
            assert!(!is_public(ip, false), "{text}");
        }
        for text in ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"] {
            assert!(
                is_public(text.parse().expect("an address"), false),
                "{text}"
            );
        }
        let url = |text: &str| reqwest::Url::parse(text).expect("a URL");
        assert!(!may_ask(&url("http://127.0.0.1:1/"), false));
        assert!(may_ask(&url("http://127.0.0.1:1/"), true));
        assert!(!may_ask(&url("http://10.0.0.1/"), true));
        assert!(!may_ask(&url("file:///etc/passwd"), true));
    }
}
