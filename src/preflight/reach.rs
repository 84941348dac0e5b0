//! Whether links answer: each is asked once, a few at a time.
//!
//! Promises: only http and https; never an address of this machine or of a private network, whatever a
//! name or a redirect says, unless the publication itself lives on this machine; no cookie, no body read,
//! every wait bounded. Leaves the weight of an answer to `lint`.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};

use crate::lint::{Facts, Unreachable};
use crate::network;

/// Links asked at the same time: enough to be done in a minute, few enough to disturb nobody.
const AT_ONCE: usize = 6;
/// An issue with more links has other problems.
const LINKS: usize = 400;
const REDIRECTS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(8);

/// What came of asking one link.
enum Answer {
    Fine,
    Dead(String),
    /// Nobody answered; so it is with every link where there is no network.
    Silent(String),
    Doubtful(String),
}

/// Asks each of `urls`, which are in their normal form, and notes those that did not answer well, in
/// their order. `at_home` allows addresses of this machine.
pub async fn ask(urls: &[String], at_home: bool, facts: &mut Facts) -> anyhow::Result<()> {
    let mut wanted: Vec<&String> = Vec::new();
    for url in urls {
        if wanted.len() < LINKS && !wanted.contains(&url) {
            wanted.push(url);
        }
    }
    let client = client(at_home)?;
    let answers: Vec<(&String, Answer)> = stream::iter(wanted)
        .map(|url| {
            let client = &client;
            async move { (url, one(client, url, at_home).await) }
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let silent = |(_, answer): &(&String, Answer)| matches!(answer, Answer::Silent(_));
    // One host may be gone; all of them at once are not.
    if answers.len() > 1 && answers.iter().all(silent) {
        facts.silent = answers.len();
        return Ok(());
    }
    let bad = |(url, answer): (&String, Answer)| {
        let (dead, why) = match answer {
            Answer::Fine => return None,
            Answer::Dead(why) | Answer::Silent(why) => (true, why),
            Answer::Doubtful(why) => (false, why),
        };
        Some(Unreachable {
            url: url.clone(),
            dead,
            why,
        })
    };
    facts.unreachable = answers.into_iter().filter_map(bad).collect();
    Ok(())
}

fn client(at_home: bool) -> anyhow::Result<Client> {
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
    Ok(Client::builder()
        .user_agent(concat!(
            "pressrun/",
            env!("CARGO_PKG_VERSION"),
            " (link check)"
        ))
        .redirect(policy)
        .dns_resolver(Arc::new(Public { at_home }))
        // A proxy of the environment would resolve names itself.
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(PATIENCE)
        .build()?)
}

async fn one(client: &Client, url: &str, at_home: bool) -> Answer {
    let Ok(url) = Url::parse(url) else {
        return Answer::Dead("is no address".into());
    };
    if !may_ask(&url, at_home) {
        return Answer::Dead("leads to a private address, which was not asked".into());
    }
    match send(client, Method::HEAD, &url).await {
        Ok(status) if status.is_success() => Answer::Fine,
        // Many hosts answer a HEAD wrongly or not at all; what counts is what readers do.
        Ok(_) => judged(send(client, Method::GET, &url).await),
        Err(error) if error.is_connect() => failed(&error),
        Err(_) => judged(send(client, Method::GET, &url).await),
    }
}

async fn send(client: &Client, method: Method, url: &Url) -> reqwest::Result<StatusCode> {
    let request = client.request(method, url.clone());
    let answer = request
        .header("accept", "text/html,*/*;q=0.8")
        .send()
        .await?;
    Ok(answer.status())
}

fn judged(answer: reqwest::Result<StatusCode>) -> Answer {
    let status = match answer {
        Ok(status) => status,
        Err(error) => return failed(&error),
    };
    match status.as_u16() {
        200..=299 => Answer::Fine,
        404 => Answer::Dead("is not there (404)".into()),
        410 => Answer::Dead("is gone for good (410)".into()),
        code @ (401 | 403 | 429 | 999) => {
            Answer::Doubtful(format!("turned the question away ({code})"))
        }
        code @ 500..=599 => Answer::Doubtful(format!("has trouble at its end ({code})")),
        code => Answer::Doubtful(format!("answered {code}")),
    }
}

fn failed(error: &reqwest::Error) -> Answer {
    let mut causes = Vec::new();
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    let whole = causes.join(": ").to_lowercase();
    if whole.contains(PRIVATE) {
        return Answer::Dead(format!("leads to {PRIVATE}, which was not asked"));
    }
    if error.is_redirect() {
        let last = causes
            .last()
            .map_or("it redirects in a circle", String::as_str);
        return Answer::Dead(format!("cannot be followed: {last}"));
    }
    if error.is_timeout() {
        return Answer::Doubtful(format!(
            "did not answer within {} seconds",
            PATIENCE.as_secs()
        ));
    }
    if whole.contains("certificate") || whole.contains("tls") {
        return Answer::Doubtful("has a TLS certificate that cannot be checked".into());
    }
    if whole.contains("dns error") || whole.contains("lookup") {
        return Answer::Silent("has a host that is not in the DNS".into());
    }
    if error.is_connect() {
        return Answer::Silent("takes no connection".into());
    }
    Answer::Doubtful("broke off its answer".into())
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

fn may_ask(url: &Url, at_home: bool) -> bool {
    let ip = match url.host() {
        Some(url::Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(url::Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        Some(url::Host::Domain(_)) => None,
        None => return false,
    };
    matches!(url.scheme(), "http" | "https") && ip.is_none_or(|ip| is_public(ip, at_home))
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
