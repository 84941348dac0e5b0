//! DANE where the names are not the plain ones: an authority's word (RFC 7672, section 3.2.2), and hosts that are
//! aliases (section 2.2.2).

use pressrun::smtp::sink::certificate::Certificate;
use pressrun::smtp::sink::{SinkOptions, SinkTls};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

use super::safety::{refused, tlsa, waits};
use super::{Hosts, at, sent, wished};
use crate::deliver::rig::Rig;
use crate::dns::Nameserver;
use crate::harness::Engine;
use crate::on_both;

/// The digest of the authority's certificate, for `TLSA 2 0 1`.
fn authority(certificate: &Certificate) -> String {
    let ca = CertificateDer::from_pem_slice(certificate.ca_pem().as_bytes()).expect("PEM");
    let digest = Sha256::digest(&ca);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn listen(certificate: &Certificate) -> Hosts {
    let certificate = certificate.clone().with_authority().expect("a chain");
    let options = SinkOptions {
        tls: SinkTls::StartTls(certificate),
        ..SinkOptions::default()
    };
    Hosts::listen(vec![options]).await
}

/// A rig for `strict.example`, with a nameserver that vouches for the first word of each line.
async fn rig(engine: Engine, hosts: &Hosts, zone: &str) -> (Nameserver, Rig) {
    let zone = zone.replace("PORT", &hosts.port.to_string());
    let signed = zone.lines().filter_map(|line| line.split(' ').next());
    let signed: String = signed.map(|name| format!("{name} SIGNED\n")).collect();
    let dns = Nameserver::start(&(zone + &signed)).await;
    let relay = "kind = \"mx\"\ntls = \"opportunistic\"";
    let send = "retry = [\"100ms\"]";
    let readers = at("strict.example", 6);
    let rig = wished(engine, hosts, &dns, readers, "", relay, send).await;
    (dns, rig)
}

on_both!(
    an_authority_may_vouch_for_the_recipient_s_domain_or_the_host,
    async |engine: Engine| {
        for (name, right) in [
            ("strict.example", true),
            ("mx.host.example", true),
            ("other.example", false),
        ] {
            let certificate = Certificate::generate(&[name], false).expect("one");
            let hosts = listen(&certificate).await;
            let zone = format!(
                "strict.example MX 10 mx.host.example\nmx.host.example A 127.0.0.2\n\
                 _PORT._tcp.mx.host.example TLSA 2 0 1 {}\n",
                authority(&certificate)
            );
            let (_dns, rig) = rig(engine, &hosts, &zone).await;
            if !right {
                let why = waits(&rig, &hosts).await;
                assert!(why.contains("TLS handshake"), "{name}: {why}");
                continue;
            }
            let run = rig.begin().await;
            assert_eq!(rig.finish(run).await, sent(6), "{name}");
        }
    }
);

on_both!(
    records_of_an_alias_are_found_under_the_name_behind_it_and_under_its_own,
    async |engine: Engine| {
        let certificate = Certificate::generate(&["real.host.example"], false).expect("one");
        let other = Certificate::generate(&["real.host.example"], false).expect("one");
        let hosts = listen(&certificate).await;
        let alias = "strict.example MX 10 mx.strict.example\nmx.strict.example CNAME real.host.example\n\
                     real.host.example A 127.0.0.2\n";
        let behind =
            |record: String| format!("{alias}_PORT._tcp.real.host.example TLSA {record}\n");
        let own = |record: String| format!("{alias}_PORT._tcp.mx.strict.example TLSA {record}\n");
        for (zone, right) in [
            (behind(format!("3 1 1 {}", tlsa(&certificate))), true),
            (behind(format!("2 0 1 {}", authority(&certificate))), true),
            (behind(format!("3 1 1 {}", tlsa(&other))), false),
            (own(format!("3 1 1 {}", tlsa(&certificate))), true),
            (own(format!("3 1 1 {}", tlsa(&other))), false),
        ] {
            let (_dns, rig) = rig(engine, &hosts, &zone).await;
            let before = hosts.accepted(0);
            if !right {
                let run = rig.begin().await;
                let why = refused(&rig, run).await;
                assert!(why.contains("TLS handshake"), "{zone}: {why}");
                assert_eq!(hosts.accepted(0), before);
                continue;
            }
            let run = rig.begin().await;
            assert_eq!(rig.finish(run).await, sent(6), "{zone}");
        }
    }
);

on_both!(
    an_alias_of_a_signed_zone_into_another_is_bound_by_its_own_records,
    async |engine: Engine| {
        let certificate = Certificate::generate(&["real.host.example"], false).expect("one");
        let other = Certificate::generate(&["real.host.example"], false).expect("one");
        for (key, right) in [(tlsa(&certificate), true), (tlsa(&other), false)] {
            let hosts = listen(&certificate).await;
            let port = hosts.port;
            // The nameserver vouches for the alias and not for what it leads to.
            let dns = Nameserver::start(&format!(
                "strict.example MX 10 mx.strict.example\nstrict.example SIGNED\n\
                 mx.strict.example CNAME real.host.example\nmx.strict.example SIGNED-ALIAS\n\
                 real.host.example A 127.0.0.2\n_{port}._tcp.mx.strict.example TLSA 3 1 1 {key}\n\
                 _{port}._tcp.mx.strict.example SIGNED\n"
            ))
            .await;
            let relay = "kind = \"mx\"\ntls = \"opportunistic\"";
            let send = "retry = [\"100ms\"]";
            let readers = at("strict.example", 6);
            let rig = wished(engine, &hosts, &dns, readers, "", relay, send).await;
            if right {
                let run = rig.begin().await;
                assert_eq!(rig.finish(run).await, sent(6));
            } else {
                let why = waits(&rig, &hosts).await;
                assert!(why.contains("TLS handshake"), "{why}");
            }
        }
    }
);
