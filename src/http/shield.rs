//! What stands around every request: the deadline, the host check, and the headers of the answer.
//!
//! Promises: every answer, faults included, carries the security headers; a handler may name stricter or
//! other ones and is not overruled.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use minijinja::context;
use tokio::time::timeout;
use url::Url;

use crate::config::{Config, Http};
use crate::http::fault::Fault;
use crate::http::pages::Pages;

/// Nothing but our own stylesheet and images; no script at all; in nobody's frame.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The policy of a page that is a mail: it is styled inline and shows pictures; it runs nothing, sends nothing
/// and is of no origin. Its links open, as mails have them open, in a new tab. None where `site` is no URL.
pub(super) fn mail_policy(site: &str) -> Option<HeaderValue> {
    let origin = Url::parse(site).ok()?.origin().ascii_serialization();
    let policy = format!(
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
         img-src {origin} https: data:; style-src 'unsafe-inline'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).ok()
}

/// Headers of every answer, unless the handler named its own.
const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, PAGE_POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Links are secrets of their readers: no other site is told where anyone came from.
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), interest-cohort=()",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Middleware that ends a request at its deadline, wherever it stands.
pub fn deadline(
    limit: Duration,
) -> impl Fn(Request, Next) -> Pin<Box<dyn Future<Output = Response> + Send>> + Clone {
    move |request, next| {
        Box::pin(async move {
            let answer = timeout(limit, next.run(request)).await;
            answer.unwrap_or_else(|_| Fault::Late.into_response())
        })
    }
}

/// What the author asks for and is not there.
const NOT_HERE: (&str, &str) = (
    "Not here",
    "There is nothing of this name or number: it may have been erased or taken away since the page that led here was made.",
);

/// What [`finish`] needs to know.
#[derive(Clone)]
pub struct Finish {
    pages: Pages,
    https: bool,
    /// The template of a fault, and whether it is the author's.
    author: bool,
}

impl Finish {
    /// Pages for faults, and whether the site is https.
    pub fn new(pages: Pages, config: &Config) -> Finish {
        Finish {
            pages,
            https: config.publication.url.starts_with("https:"),
            author: false,
        }
    }

    /// The same for the author's site.
    pub fn of_the_author(self) -> Finish {
        Finish {
            author: true,
            ..self
        }
    }
}

/// Turns faults into pages and puts the security headers on.
pub async fn finish(State(finish): State<Finish>, request: Request, next: Next) -> Response {
    let head = request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    if let Some(&fault) = response.extensions().get::<Fault>() {
        let (title, text) = match (finish.author, fault) {
            (true, Fault::NotFound) => NOT_HERE,
            _ => fault.words(),
        };
        // Under a name that is not ours nothing is said of what there is.
        let template = match finish.author && fault != Fault::Misdirected {
            true => "fault_author.html",
            false => "fault.html",
        };
        let page = finish
            .pages
            .render(template, context! { title, text, navigation => false });
        let mut shown = page.into_response();
        if head {
            *shown.body_mut() = axum::body::Body::empty();
        }
        *shown.status_mut() = fault.status();
        if fault == Fault::Method
            && let Some(allow) = response.headers().get("allow")
        {
            shown.headers_mut().insert("allow", allow.clone());
        }
        response = shown;
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        put(headers, name, value);
    }
    put(headers, RESOURCE_POLICY, "same-origin");
    if finish.https {
        put(headers, STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers
        .entry(name)
        .or_insert(HeaderValue::from_static(value));
}

/// Names under which the author's site may be asked. A page elsewhere whose name was bent to point at
/// this machine (DNS rebinding) asks under its own name and gets nothing.
#[derive(Clone, Debug)]
pub struct Hosts {
    names: Arc<Vec<String>>,
    bound: IpAddr,
}

impl Hosts {
    /// Loopback names, the address listened on, and `http.admin_hosts`.
    pub fn new(config: &Http) -> Hosts {
        let lower = |name: &String| name.to_ascii_lowercase();
        Hosts {
            names: Arc::new(config.admin_hosts.iter().map(lower).collect()),
            bound: config.admin.ip(),
        }
    }

    /// Loopback names alone.
    pub fn loopback() -> Hosts {
        Hosts {
            names: Arc::default(),
            bound: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        }
    }

    fn allow(&self, host: &str) -> bool {
        let name = host_name(host).to_ascii_lowercase();
        if let Ok(address) = name.parse::<IpAddr>() {
            let named = self
                .names
                .iter()
                .any(|known| known.parse::<IpAddr>() == Ok(address));
            return address.is_loopback()
                || named
                || (address == self.bound && !address.is_unspecified());
        }
        name == "localhost" || self.names.contains(&name)
    }
}

/// The host of `host[:port]` or `[v6][:port]`.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or("", |(name, _)| name);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Lets only requests under a known name through; exactly one Host header (RFC 9112, section 3.2).
pub async fn check_host(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let mut named = request.headers().get_all(HOST).iter();
    let host = named.next().and_then(|host| host.to_str().ok());
    let known = host.is_some_and(|host| hosts.allow(host));
    // A target in absolute form names the host as well, and wins over the header.
    let target = request.uri().host().is_none_or(|host| hosts.allow(host));
    if known && target && named.next().is_none() {
        return next.run(request).await;
    }
    Fault::Misdirected.into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Hosts;

    #[test]
    fn only_loopback_and_configured_names_are_ours() {
        let hosts = Hosts {
            names: Arc::new(vec!["press.example".into(), "192.0.2.9".into()]),
            bound: "192.0.2.4".parse().expect("an address"),
        };
        for ours in [
            "localhost",
            "LOCALHOST:8081",
            "127.0.0.1:1",
            "[::1]:8081",
            "192.0.2.4:80",
            "192.0.2.9:8081",
            "Press.Example:8081",
        ] {
            assert!(hosts.allow(ours), "{ours}");
        }
        for foreign in [
            "",
            "evil.example",
            "localhost.evil.example",
            "192.0.2.5",
            "0.0.0.0:8081",
            "[::]:8081",
            "[::1",
            "press.example.evil.example",
        ] {
            assert!(!hosts.allow(foreign), "{foreign}");
        }
    }
}
