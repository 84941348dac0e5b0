//! The listener: one accept loop under both sites, hardened against slow and many clients.
//!
//! Promises: a connection that sends no whole request head is gone after the header timeout, silent
//! ones too; connections are capped, in all and by client network; a request has a deadline; shutdown
//! lets requests under way finish. `axum::serve` has none of these. Leaves TLS and HTTP/2 to a reverse
//! proxy, whose word on the client's address is believed only if it is configured.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use crate::lock::lock;
use crate::network::{self, Network};

/// A request needs far fewer; more is an attack on the parser.
const HEADERS: usize = 64;
/// Request line and headers together.
const HEAD: usize = 16 * 1024;
/// Pause after the system refused a connection (no descriptors left): it will not help to ask at once.
const REFUSED: Duration = Duration::from_millis(100);

/// How much a listener puts up with.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections at most; more wait in the system's queue.
    pub connections: usize,
    /// Open connections at most from one client network; trusted proxies are exempt.
    pub per_address: usize,
    /// From the first octet, or from the last answer, to a whole request head.
    pub header_timeout: Duration,
    /// From a request's head to its answer, its body included.
    pub request_deadline: Duration,
    /// A connection is closed politely after this time, however busy: this also ends clients that
    /// never read their answer.
    pub lifetime: Duration,
    /// How long requests under way may take when the listener closes.
    pub drain: Duration,
    /// Reverse proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<Network>,
}

impl Limits {
    /// What `config` says, and for the rest what slow phones need and no more.
    pub fn new(config: &crate::config::Http) -> Limits {
        Limits {
            connections: config.connections.max(1),
            per_address: config.connections_per_address.max(1),
            header_timeout: Duration::from_secs(10),
            request_deadline: Duration::from_secs(15),
            lifetime: Duration::from_secs(120),
            drain: Duration::from_secs(10),
            trusted_proxies: config.trusted_proxies.clone(),
        }
    }
}

/// The client's address, in each request's extensions: the peer's, or what a trusted proxy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client(pub IpAddr);

/// Whether the client's own connection is encrypted, in each request's extensions: a trusted proxy says so, as
/// this listener speaks no TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encrypted(pub bool);

/// Serves `router` on `listener` until `shutdown` is done and the requests under way are answered.
pub async fn run(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let door = Arc::new(Door {
        router,
        limits,
        open: Mutex::default(),
        told: AtomicBool::new(false),
    });
    let (stop, stopped) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let next = tokio::select! {
            next = accept(&listener, &slots) => next,
            () = &mut shutdown => break,
        };
        let Some((stream, peer, slot)) = next else {
            sleep(REFUSED).await;
            continue;
        };
        let Some(place) = Place::take(&door, peer.ip()) else {
            continue;
        };
        let door = Arc::clone(&door);
        tokio::spawn(door.serve(stream, peer, stopped.clone(), (slot, place)));
    }
    drop(listener);
    drop(stop);
    let all = u32::try_from(door.limits.connections).unwrap_or(u32::MAX);
    // Every slot is back when every connection is closed.
    timeout(door.limits.drain, slots.acquire_many(all))
        .await
        .ok();
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            None
        }
    }
}

struct Door {
    router: Router,
    limits: Limits,
    open: Mutex<HashMap<IpAddr, usize>>,
    /// Whether it was told that a proxy is not believed.
    told: AtomicBool,
}

impl Door {
    async fn serve(
        self: Arc<Door>,
        stream: TcpStream,
        peer: SocketAddr,
        mut stopped: watch::Receiver<()>,
        _held: (OwnedSemaphorePermit, Option<Place>),
    ) {
        stream.set_nodelay(true).ok();
        let door = Arc::clone(&self);
        let service = service_fn(move |request| {
            let door = Arc::clone(&door);
            async move { door.answer(peer.ip(), request).await }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.limits.header_timeout)
                .max_headers(HEADERS)
                .max_buf_size(HEAD)
                .serve_connection(TokioIo::new(stream), service)
        );
        // What a client did wrong on its own connection is not news.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopped.changed() => {}
            () = sleep(self.limits.lifetime) => {}
        }
        connection.as_mut().graceful_shutdown();
        timeout(self.limits.drain, connection).await.ok();
    }

    async fn answer(
        &self,
        peer: IpAddr,
        mut request: Request<Incoming>,
    ) -> Result<axum::response::Response, Infallible> {
        let client = client(peer, request.headers(), &self.limits.trusted_proxies);
        if is_disbelieved(peer, request.headers(), &self.limits.trusted_proxies)
            && !self.told.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "a proxy beside this listener says who asks, and is not believed: all that come by it are one client \
                 with one client's share of connections and signups; name it in `http.trusted_proxies`"
            );
        }
        let encrypted = is_encrypted(peer, request.headers(), &self.limits.trusted_proxies);
        request.extensions_mut().insert(Client(client));
        request.extensions_mut().insert(Encrypted(encrypted));
        self.router.clone().oneshot(request).await
    }
}

/// One connection of a client network, given back when dropped.
struct Place {
    door: Arc<Door>,
    network: IpAddr,
}

impl Place {
    /// `None` when the network has its share; `Some(None)` for a trusted proxy, which stands for many.
    fn take(door: &Arc<Door>, peer: IpAddr) -> Option<Option<Place>> {
        if trusts(&door.limits.trusted_proxies, peer) {
            return Some(None);
        }
        let network = network::client(peer);
        let mut open = lock(&door.open);
        let count = open.entry(network).or_default();
        if *count >= door.limits.per_address {
            return None;
        }
        *count += 1;
        Some(Some(Place {
            door: Arc::clone(door),
            network,
        }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.door.open);
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

fn trusts(trusted: &[Network], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.holds(address))
}

/// The nearest address that no trusted proxy has: X-Forwarded-For is read from its end, as each proxy
/// appends, and only as far as the ones before it are trusted.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut client = peer.to_canonical();
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|line| line.to_str().unwrap_or("?"))
        .collect();
    let mut said = lines.iter().rev().flat_map(|line| line.rsplit(','));
    while trusts(trusted, client) {
        let Some(Ok(next)) = said.next().map(|text| text.trim().parse::<IpAddr>()) else {
            break;
        };
        client = next.to_canonical();
    }
    client
}

/// Whether a neighbour that is not trusted forwards requests of others. Strangers may write the header too, and are
/// no news.
fn is_disbelieved(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> bool {
    headers.contains_key("x-forwarded-for") && !trusts(trusted, peer) && !network::is_public(peer)
}

/// X-Forwarded-Proto, which the nearest proxy sets; of several words the last is its own.
fn is_encrypted(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> bool {
    let said = headers.get_all("x-forwarded-proto").iter().next_back();
    let said = said.and_then(|line| line.to_str().ok());
    let word = said.and_then(|line| line.rsplit(',').next());
    let https = word.is_some_and(|word| word.trim().eq_ignore_ascii_case("https"));
    https && trusts(trusted, peer)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use axum::http::{HeaderMap, HeaderValue};

    use super::{Network, client, is_disbelieved, is_encrypted};

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn forwarded(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn a_forwarded_address_is_believed_only_from_a_trusted_proxy() {
        let proxy = ip("10.0.0.1");
        let spoofed = forwarded(&["1.2.3.4, 203.0.113.9"]);
        assert_eq!(
            client(ip("198.51.100.7"), &spoofed, &[proxy.into()]),
            ip("198.51.100.7")
        );
        assert_eq!(client(proxy, &spoofed, &[proxy.into()]), ip("203.0.113.9"));
        assert_eq!(client(proxy, &spoofed, &[]), proxy);
        assert_eq!(
            client(ip("::ffff:10.0.0.1"), &spoofed, &[proxy.into()]),
            ip("203.0.113.9")
        );
    }

    #[test]
    fn a_neighbour_that_forwards_without_being_trusted_is_told() {
        let said = forwarded(&["203.0.113.9"]);
        let neighbours = [ip("127.0.0.1"), ip("::ffff:10.0.0.1"), ip("172.18.0.2")];
        for peer in neighbours {
            assert!(is_disbelieved(peer, &said, &[]), "{peer}");
            assert!(!is_disbelieved(peer, &said, &[peer.into()]));
            assert!(!is_disbelieved(peer, &HeaderMap::new(), &[]));
        }
        assert!(!is_disbelieved(ip("198.51.100.7"), &said, &[]));
    }

    #[test]
    fn only_a_trusted_proxy_says_that_a_connection_is_encrypted() {
        let proxy = ip("10.0.0.1");
        let said = |line: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append("x-forwarded-proto", HeaderValue::from_static(line));
            headers
        };
        assert!(is_encrypted(proxy, &said("https"), &[proxy.into()]));
        assert!(is_encrypted(proxy, &said("http, HTTPS"), &[proxy.into()]));
        assert!(!is_encrypted(proxy, &said("https, http"), &[proxy.into()]));
        assert!(!is_encrypted(proxy, &HeaderMap::new(), &[proxy.into()]));
        assert!(!is_encrypted(
            ip("198.51.100.7"),
            &said("https"),
            &[proxy.into()]
        ));
    }

    #[test]
    fn several_proxies_are_walked_back_and_nonsense_stops_the_walk() {
        let (one, two) = (ip("10.0.0.1"), ip("10.0.0.2"));
        let chain = forwarded(&["9.9.9.9", "203.0.113.9", "10.0.0.2"]);
        assert_eq!(
            client(one, &chain, &[one.into(), two.into()]),
            ip("203.0.113.9")
        );
        let network: [Network; 1] = ["10.0.0.0/30".parse().expect("a network")];
        assert_eq!(client(one, &chain, &network), ip("203.0.113.9"));
        let nonsense = forwarded(&["203.0.113.9, unknown"]);
        assert_eq!(client(one, &nonsense, &[one.into(), two.into()]), one);
        assert_eq!(client(one, &HeaderMap::new(), &[one.into()]), one);
    }
}
