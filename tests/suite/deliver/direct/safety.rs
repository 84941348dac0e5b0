//! Mail goes only where a domain's own policy lets it go: MTA-STS and DANE, and our own address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pressrun::id::RunId;
use pressrun::smtp::connect::MxHost;
use pressrun::smtp::session::Session;
use pressrun::smtp::sink::certificate::Certificate;
use pressrun::smtp::sink::{Sink, SinkOptions, SinkTls};
use pressrun::smtp::tls::{Demand, TlsClient};
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Hosts, at, nobody_is_charged, sent, wished};
use crate::deliver::rig::{Rig, until};
use crate::dns::Nameserver;
use crate::harness::{Engine, Port, block_on};
use crate::on_both;

/// A policy host on a loopback port.
struct PolicyHost {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for PolicyHost {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn policy_host(certificate: &Certificate, policy: &'static str) -> PolicyHost {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let server = certificate.server().expect("a server's side");
    let acceptor = tokio_rustls::TlsAcceptor::from(server);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let right = request[..read].starts_with(b"GET /.well-known/mta-sts.txt ");
            let answer = match right {
                true => format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{policy}",
                    policy.len()
                ),
                false => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).await.ok();
            stream.shutdown().await.ok();
        }
    });
    PolicyHost { address, task }
}

const ZONE: &str = "strict.example MX 10 mx.strict.example\nmx.strict.example A 127.0.0.2\n\
    _mta-sts.strict.example TXT v=STSv1; id=1;\nmta-sts.strict.example A 127.0.0.1\n";
const RELAY: &str = "kind = \"mx\"\ntls = \"opportunistic\"\nca_file = \"ca.pem\"";

fn tls(certificate: &Certificate) -> SinkOptions {
    SinkOptions {
        tls: SinkTls::StartTls(certificate.clone()),
        ..SinkOptions::default()
    }
}

/// A rig for `strict.example`, whose policy host has `trusted`.
async fn strict(
    engine: Engine,
    hosts: &Hosts,
    dns: &Nameserver,
    trusted: &Certificate,
    policy: &PolicyHost,
) -> Rig {
    let mx = format!("policy_port = {}", policy.address.port());
    let send = "retry = [\"100ms\"]";
    let readers = at("strict.example", 6);
    let rig = wished(engine, hosts, dns, readers, &mx, RELAY, send).await;
    std::fs::write(rig.database.path().join("ca.pem"), trusted.ca_pem()).expect("a file");
    rig
}

/// The run waits, and nobody is charged for it; gives the reason.
pub async fn waits(rig: &Rig, hosts: &Hosts) -> String {
    let run = rig.begin().await;
    let why = refused(rig, run).await;
    assert_eq!(hosts.accepted(0), 0);
    why
}

/// Nothing of `run` goes out, and nobody is charged for it; gives the reason.
pub async fn refused(rig: &Rig, run: RunId) -> String {
    let sending = rig.start().await;
    let told = "select count(*), cast(0 as bigint) from deliveries where state = 'queued' and reply is not null";
    assert!(until(async || rig.pairs(told).await[0].0 == 6).await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    sending.stop().await;
    assert_eq!(rig.balanced(run).await.queued, 6);
    nobody_is_charged(rig, run).await;
    let rows = rig.rows(run).await;
    rows[0].reply.clone().expect("a reason")
}

const ENFORCE: &str = "version: STSv1\nmode: enforce\nmx: mx.strict.example\nmax_age: 86400\n";

on_both!(
    an_enforced_policy_refuses_a_host_without_a_valid_certificate,
    async |engine: Engine| {
        let trusted = Certificate::generate(&["mta-sts.strict.example"], false).expect("one");
        let stranger = Certificate::generate(&["mx.strict.example"], false).expect("one");
        let policy = policy_host(&trusted, ENFORCE).await;
        let hosts = Hosts::listen(vec![tls(&stranger)]).await;
        let dns = Nameserver::start(ZONE).await;
        let rig = strict(engine, &hosts, &dns, &trusted, &policy).await;
        let why = waits(&rig, &hosts).await;
        assert!(why.contains("TLS handshake"), "{why}");
    }
);

on_both!(
    an_enforced_policy_refuses_a_host_that_it_does_not_name,
    async |engine: Engine| {
        const OTHER: &str = "version: STSv1\nmode: enforce\nmx: *.other.example\nmax_age: 86400\n";
        let trusted =
            Certificate::generate(&["mta-sts.strict.example", "mx.strict.example"], false)
                .expect("one");
        let policy = policy_host(&trusted, OTHER).await;
        let hosts = Hosts::listen(vec![tls(&trusted)]).await;
        let dns = Nameserver::start(ZONE).await;
        let rig = strict(engine, &hosts, &dns, &trusted, &policy).await;
        let why = waits(&rig, &hosts).await;
        assert!(why.contains("MTA-STS policy of `strict.example`"), "{why}");
    }
);

on_both!(
    a_host_that_keeps_the_policy_gets_the_mail_and_testing_refuses_nobody,
    async |engine: Engine| {
        const TESTING: &str = "version: STSv1\nmode: testing\nmx: other.example\nmax_age: 86400\n";
        let names = ["mta-sts.strict.example", "mx.strict.example"];
        let trusted = Certificate::generate(&names, false).expect("one");
        let stranger = Certificate::generate(&["elsewhere.example"], true).expect("one");
        for (text, certificate) in [(ENFORCE, &trusted), (TESTING, &stranger)] {
            let policy = policy_host(&trusted, text).await;
            let hosts = Hosts::listen(vec![tls(certificate)]).await;
            let dns = Nameserver::start(ZONE).await;
            let rig = strict(engine, &hosts, &dns, &trusted, &policy).await;
            let run = rig.begin().await;
            assert_eq!(rig.finish(run).await, sent(6), "{text}");
            assert_eq!(hosts.accepted(0), 6);
        }
    }
);

/// The digest of its key, for `TLSA 3 1 1`.
pub fn tlsa(certificate: &Certificate) -> String {
    let parsed = ParsedCertificate::try_from(certificate.leaf()).expect("a certificate");
    let digest = Sha256::digest(parsed.subject_public_key_info());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn bound(engine: Engine, hosts: &Hosts, key: &str, signed: &str) -> (Nameserver, Rig) {
    let port = hosts.port;
    let zone = format!(
        "strict.example MX 10 mx.strict.example\nmx.strict.example A 127.0.0.2\n{signed}\
         _{port}._tcp.mx.strict.example TLSA 3 1 1 {key}\n"
    );
    let dns = Nameserver::start(&zone).await;
    let relay = "kind = \"mx\"\ntls = \"opportunistic\"";
    let send = "retry = [\"100ms\"]";
    let readers = at("strict.example", 6);
    let rig = wished(engine, hosts, &dns, readers, "", relay, send).await;
    (dns, rig)
}

/// The lines by which the nameserver vouches for everything that DANE needs.
fn signed(port: u16) -> String {
    format!(
        "strict.example SIGNED\nmx.strict.example SIGNED\n_{port}._tcp.mx.strict.example SIGNED\n"
    )
}

on_both!(
    a_host_with_a_validated_tlsa_record_is_known_by_its_key_alone,
    async |engine: Engine| {
        // Expired, for another name, by an authority that nobody knows: only the key counts.
        let certificate = Certificate::generate(&["elsewhere.example"], true).expect("one");
        let other = Certificate::generate(&["mx.strict.example"], false).expect("one");
        let hosts = Hosts::listen(vec![tls(&certificate)]).await;
        let signed = signed(hosts.port);
        let (_dns, rig) = bound(engine, &hosts, &tlsa(&other), &signed).await;
        let why = waits(&rig, &hosts).await;
        assert!(why.contains("TLS handshake"), "{why}");
        let (_dns, rig) = bound(engine, &hosts, &tlsa(&certificate), &signed).await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await, sent(6));
        // Records that nobody vouches for are as good as none.
        let (_dns, rig) = bound(engine, &hosts, &tlsa(&other), "").await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await, sent(6));
    }
);

on_both!(
    records_that_bind_nothing_do_not_take_the_place_of_a_policy,
    async |engine: Engine| {
        const OTHER: &str = "version: STSv1\nmode: enforce\nmx: *.other.example\nmax_age: 86400\n";
        let names = ["mta-sts.strict.example", "mx.strict.example"];
        let trusted = Certificate::generate(&names, false).expect("one");
        let policy = policy_host(&trusted, OTHER).await;
        let hosts = Hosts::listen(vec![tls(&trusted)]).await;
        let port = hosts.port;
        let unusable = format!(
            "_{port}._tcp.mx.strict.example TLSA 0 1 1 {}\n",
            tlsa(&trusted)
        );
        let dns = Nameserver::start(&format!("{ZONE}\n{}{unusable}", signed(port))).await;
        let rig = strict(engine, &hosts, &dns, &trusted, &policy).await;
        let why = waits(&rig, &hosts).await;
        assert!(why.contains("MTA-STS policy of `strict.example`"), "{why}");
    }
);

on_both!(
    a_host_of_which_nothing_is_known_closes_a_bound_domain_to_nobody,
    async |engine: Engine| {
        let certificate = Certificate::generate(&["elsewhere.example"], true).expect("one");
        let hosts = Hosts::listen(vec![tls(&certificate)]).await;
        let dark = "strict.example MX 20 mx.dark.example\nmx.dark.example FAIL\n";
        let signed = signed(hosts.port) + dark;
        let (_dns, rig) = bound(engine, &hosts, &tlsa(&certificate), &signed).await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await, sent(6));
    }
);

#[test]
fn mail_leaves_from_the_address_that_was_chosen() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.2:0").await.expect("a listener");
        let host = MxHost {
            name: "mx.example.org".into(),
            address: listener.local_addr().expect("an address"),
            source: Some("127.0.0.7".parse().expect("an address")),
            demand: Demand::Clear,
        };
        let relay = Arc::new(crate::smtp::relay("mx:"));
        let tls = TlsClient::new(None).expect("a TLS client");
        let opening = Session::to_mx(&relay, "sender.example", &tls, &host);
        let seen = async {
            let (_, peer) = listener.accept().await.expect("a connection");
            peer.ip()
        };
        let (session, seen) = tokio::join!(opening, seen);
        assert!(session.is_err(), "nobody greets");
        assert_eq!(seen.to_string(), "127.0.0.7");
    });
}

on_both!(
    a_policy_that_is_known_holds_after_a_restart_though_nobody_publishes_it,
    async |engine: Engine| {
        let trusted =
            Certificate::generate(&["mta-sts.strict.example", "mx.strict.example"], false)
                .expect("one");
        let policy = policy_host(&trusted, ENFORCE).await;
        let mut hosts = Hosts::listen(vec![tls(&trusted)]).await;
        let dns = Nameserver::start(ZONE).await;
        let rig = strict(engine, &hosts, &dns, &trusted, &policy).await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await, sent(6));
        // The policy host is gone, and another than the domain's own host answers in its place.
        drop(policy);
        let stranger = Certificate::generate(&["mx.strict.example"], false).expect("one");
        let port = hosts.port;
        hosts.sinks.remove(0).shutdown().await;
        let listen = SocketAddr::from(([127, 0, 0, 2], port));
        let _kept = Port::at(listen);
        let impostor = SinkOptions {
            listen,
            ..tls(&stranger)
        };
        hosts
            .sinks
            .push(Sink::bind(impostor).await.expect("the same port"));
        let why = waits(&rig, &hosts).await;
        assert!(why.contains("TLS handshake"), "{why}");
    }
);
