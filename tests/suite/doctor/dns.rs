//! SPF, DKIM, DMARC and MX against a zone in which one thing is wrong.

use insta::assert_snapshot;

use super::{Clinic, Wish, dkim_record, level};
use crate::dns::Nameserver;
use crate::harness::block_on;

/// A zone in which all is well.
fn zone() -> String {
    format!(
        "bounce.bees.house TXT v=spf1 include:_spf.bees.house -all
         _spf.bees.house TXT v=spf1 a:relay.bees.house ip6:2001:db8::/32 ~all
         relay.bees.house A 192.0.2.7
         relay.bees.house AAAA 2001:db8::7
         s1._domainkey.bees.house TXT {}
         _dmarc.bees.house TXT v=DMARC1; p=reject; rua=mailto:dmarc@bees.house
         bees.house MX 10 mx.bees.house
         bounce.bees.house MX 10 mx.bees.house
         mx.bees.house A 192.0.2.8
         ",
        dkim_record()
    )
}

async fn clinic(zone: &str, relay: &str) -> (Nameserver, Clinic) {
    let server = Nameserver::start(zone).await;
    let clinic = Clinic::new(&Wish {
        nameserver: server.address.to_string(),
        relay: relay.to_owned(),
        ..Wish::default()
    });
    (server, clinic)
}

const RELAY: &str = "url = \"smtp://relay.bees.house\"";

#[test]
fn a_domain_in_order_is_called_so() {
    block_on(async {
        let (_server, clinic) = clinic(&zone(), RELAY).await;
        let (code, out, error) = clinic.run(&["doctor", "--only", "dns"]).await;
        assert_eq!((code, error.as_str()), (0, ""), "{out}");
        assert_snapshot!(out);
    });
}

#[test]
fn a_domain_in_disorder_is_told_what_to_do() {
    block_on(async {
        let zone = "bounce.bees.house TXT v=spf1 ip4:198.51.100.1 -all
            relay.bees.house A 192.0.2.7
            s1._domainkey.bees.house TXT v=DKIM1; k=rsa; p=AAAA
            _dmarc.house TXT v=DMARC1; p=none; pct=20
            bees.house MX 0 .";
        let (_server, clinic) = clinic(zone, RELAY).await;
        let (code, out, error) = clinic.run(&["doctor", "--only", "dns"]).await;
        assert_eq!((code, error.as_str()), (1, ""), "{out}");
        assert_snapshot!(out);
    });
}

#[test]
fn each_record_that_is_wrong_alone_is_told() {
    block_on(async {
        let good = zone();
        let server = Nameserver::start(&good).await;
        let many: String = (0..11).map(|n| format!(" a:h{n}.bees.house")).collect();
        let many = format!("_spf.bees.house TXT v=spf1{many} -all");
        for (from, to, check, expected, says) in [
            (
                "bounce.bees.house TXT v=spf1",
                "bounce.bees.house TXT v=spf2",
                "spf",
                "error",
                "has no SPF record",
            ),
            (
                "include:_spf.bees.house",
                "include:gone.bees.house",
                "spf",
                "error",
                "`gone.bees.house` is included and has no SPF record",
            ),
            (
                "include:_spf.bees.house",
                "include:bounce.bees.house",
                "spf",
                "error",
                "in a circle",
            ),
            (
                "include:_spf.bees.house",
                "inclde:x",
                "spf",
                "error",
                "`inclde:x` is no term of SPF",
            ),
            (
                "_spf.bees.house TXT v=spf1 a:relay.bees.house ip6:2001:db8::/32 ~all",
                &many,
                "spf-lookups",
                "error",
                "asks the DNS 12 times",
            ),
            (
                "s1._domainkey",
                "s2._domainkey",
                "dkim",
                "error",
                "no DKIM key stands at",
            ),
            (
                "p=MII",
                "p=MIJ",
                "dkim",
                "error",
                "another than the one that signs",
            ),
            (
                "v=DKIM1; k=rsa;",
                "v=DKIM1; h=sha1; k=rsa;",
                "dkim",
                "error",
                "does not allow sha256",
            ),
            (
                "v=DKIM1; k=rsa;",
                "v=DKIM1; s=tlsrpt; k=rsa;",
                "dkim",
                "error",
                "is not for mail",
            ),
            (
                "v=DKIM1; k=rsa;",
                "v=DKIM1; k=ed25519;",
                "dkim",
                "error",
                "is for another algorithm",
            ),
            (
                "v=DKIM1; k=rsa;",
                "k=rsa; v=DKIM1;",
                "dkim",
                "error",
                "does not stand first",
            ),
            (
                "v=DKIM1; k=rsa;",
                "v=DKIM1; t=y; k=rsa;",
                "dkim",
                "warning",
                "only tried out",
            ),
            (
                "include:_spf.bees.house -all",
                "include:_spf.bees.house +all",
                "spf-all",
                "warning",
                "lets anybody send",
            ),
            (
                "include:_spf.bees.house -all",
                "include:_spf.bees.house ?all",
                "spf-all",
                "warning",
                "says nothing of those",
            ),
            (
                "include:_spf.bees.house -all",
                "include:_spf.bees.house ptr -all",
                "spf-ptr",
                "warning",
                "sender's own name",
            ),
            (
                "include:_spf.bees.house -all",
                "a:q1.test a:q2.test a:q3.test include:_spf.bees.house -all",
                "spf",
                "error",
                "more than 2 names that are not there",
            ),
            (
                "include:_spf.bees.house -all",
                "include:_spf.bees.house a:q1.test a:q2.test a:q3.test -all",
                "spf-void",
                "warning",
                "names 3 hosts that are not there",
            ),
            (
                "bees.house MX 10 mx.bees.house\n         bounce",
                "bees.house NO-ZONE\n         bees.house MX 10 mx.bees.house\n         bounce",
                "zone",
                "error",
                "there is no zone for `bees.house`",
            ),
            (
                "_dmarc.bees.house",
                "_dmrc.bees.house",
                "dmarc",
                "error",
                "has no DMARC record",
            ),
            (
                "p=reject",
                "p=none",
                "dmarc",
                "warning",
                "others may mail in its name",
            ),
            (
                "p=reject",
                "p=reject; t=y",
                "dmarc",
                "warning",
                "one level less",
            ),
            (
                "; rua=mailto:dmarc@bees.house",
                "",
                "dmarc-reports",
                "warning",
                "nobody gets the reports",
            ),
            (
                "p=reject",
                "p=reject; aspf=s",
                "alignment",
                "warning",
                "does not",
            ),
            (
                "bees.house MX 10 mx.bees.house",
                "bees.house MX 0 .",
                "mx-replies",
                "error",
                "null MX",
            ),
            (
                "mx.bees.house A 192.0.2.8",
                "my.bees.house A 192.0.2.8",
                "mx-bounces",
                "error",
                "has an address",
            ),
            (
                "_dmarc.bees.house TXT",
                "_dmarc.bees.house SILENT TXT",
                "dmarc",
                "unknown",
                "gives no answer",
            ),
            (
                "s1._domainkey.bees.house TXT",
                "s1._domainkey.bees.house FAIL TXT",
                "dkim",
                "unknown",
                "gives no answer",
            ),
        ] {
            let zone = good.replacen(from, to, 1);
            assert_ne!(zone, good, "{from}");
            server.set(&zone);
            let clinic = Clinic::new(&Wish {
                nameserver: server.address.to_string(),
                relay: RELAY.to_owned(),
                ..Wish::default()
            });
            let (code, told) = clinic.doctor(&["--only", "dns"]).await;
            let expected_code = if expected == "error" { 1 } else { 3 };
            let found = told
                .iter()
                .find(|one| one.check == check && one.level == expected);
            let found = found.unwrap_or_else(|| panic!("{to}: no {check} {expected} in {told:?}"));
            assert!(found.says.contains(says), "{to}: {}", found.says);
            assert_eq!(code, expected_code, "{to}: {told:?}");
        }
    });
}

#[test]
fn a_name_that_is_not_there_belongs_to_no_zone_and_an_alias_begins_none() {
    block_on(async {
        let there = zone();
        let of_bounces = |line: &&str| !line.trim_start().starts_with("bounce.");
        let rest: Vec<&str> = there.lines().filter(of_bounces).collect();
        let (server, clinic) = clinic(&rest.join("\n"), RELAY).await;
        let zones = async || {
            let (_, told) = clinic.doctor(&["--only", "dns"]).await;
            let zones = told.into_iter().filter(|one| one.check == "zone");
            zones.map(|one| (one.level, one.says)).collect::<Vec<_>>()
        };
        let found = zones().await;
        assert_eq!(found[0].0, "ok", "{found:?}");
        let words = "`bounce.bees.house` is no name in the DNS";
        assert!(
            found[1].0 == "error" && found[1].1.contains(words),
            "{found:?}"
        );
        // Its target is a zone, and it is none.
        server.set(&format!(
            "{}\nbounce.bees.house CNAME hives.example\nhives.example SOA -",
            rest.join("\n")
        ));
        let words = "`bounce.bees.house` belongs to the zone `bees.house`".to_owned();
        assert_eq!(zones().await[1], ("ok".to_owned(), words));
    });
}

#[test]
fn a_provider_is_allowed_by_its_include() {
    block_on(async {
        let relay = "kind = \"mailgun\"\nurl = \"smtp://relay.bees.house\"";
        let (server, clinic) = clinic(&zone(), relay).await;
        let (_, told) = clinic.doctor(&["--only", "dns"]).await;
        assert_eq!(level(&told, "spf"), "error");
        server.set(&format!(
            "{}\nmailgun.org TXT v=spf1 ip4:192.0.2.0/24 ~all",
            zone().replace("include:_spf.bees.house", "include:mailgun.org")
        ));
        let (code, told) = clinic.doctor(&["--only", "dns"]).await;
        assert_eq!((level(&told, "spf"), code), ("ok", 0), "{told:?}");
    });
}

#[test]
fn the_key_of_a_second_signature_is_looked_for_too() {
    block_on(async {
        let (server, clinic) = clinic(&zone(), RELAY).await;
        let made = [
            "keys",
            "dkim",
            "--selector",
            "e1",
            "--ed25519",
            "--out",
            "ed.pem",
        ];
        let (code, said, error) = clinic.run(&made).await;
        assert_eq!(code, 0, "{error}");
        let path = clinic.folder.join("pressrun.toml");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        let keys = "[dkim]\ned25519_key = \"ed.pem\"\ned25519_selector = \"e1\"";
        std::fs::write(&path, text.replace("[dkim]", keys)).expect("a file");
        let (code, told) = clinic.doctor(&["--only", "dns"]).await;
        let second = told
            .iter()
            .find(|one| one.check == "dkim" && one.says.contains("e1._domainkey"));
        assert_eq!(
            second.map(|one| one.level.as_str()),
            Some("error"),
            "{told:?}"
        );
        assert_eq!(code, 1);
        let record = said.lines().find(|line| line.starts_with("v=DKIM1"));
        let record = record.expect("a record");
        server.set(&format!(
            "{}\ne1._domainkey.bees.house TXT {record}",
            zone()
        ));
        let (code, told) = clinic.doctor(&["--only", "dns"]).await;
        let keys = told.iter().filter(|one| one.check == "dkim");
        assert!(
            keys.clone().count() == 2 && keys.clone().all(|one| one.level == "ok"),
            "{told:?}"
        );
        assert_eq!(code, 0, "{told:?}");
    });
}

#[test]
fn the_walk_finds_the_record_of_a_parent_and_a_foreign_signature_is_not_aligned() {
    block_on(async {
        let server = Nameserver::start(&format!(
            "{}\ns1._domainkey.other.house TXT {}",
            zone(),
            dkim_record()
        ))
        .await;
        let clinic = Clinic::new(&Wish {
            nameserver: server.address.to_string(),
            ..Wish::default()
        });
        let path = clinic.folder.join("pressrun.toml");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        let below = text.replace("ada@bees.house", "ada@a.b.bees.house");
        std::fs::write(&path, &below).expect("a file");
        let (_, told) = clinic.doctor(&["--only", "dns"]).await;
        assert_eq!(level(&told, "dmarc"), "ok", "{told:?}");
        let asked = server.asked();
        let names = [
            "_dmarc.a.b.bees.house TXT",
            "_dmarc.b.bees.house TXT",
            "_dmarc.bees.house TXT",
            "_dmarc.house TXT",
        ];
        assert!(
            names.iter().all(|name| asked.iter().any(|one| one == name)),
            "{asked:?}"
        );
        let foreign = text
            .replace("[dkim]", "[dkim]\ndomain = \"other.house\"")
            .replace("bounce.bees.house", "bounce.other.house");
        std::fs::write(&path, foreign).expect("a file");
        let (_, told) = clinic.doctor(&["--only", "dns"]).await;
        assert_eq!(level(&told, "alignment"), "error", "{told:?}");
        assert_eq!(level(&told, "dkim"), "ok", "{told:?}");
    });
}

#[test]
fn who_sends_straight_to_the_hosts_has_a_name_that_leads_there_and_back() {
    block_on(async {
        let good = format!(
            "{}\nout.bees.house A 192.0.2.9\n192.0.2.9 PTR out.bees.house",
            zone().replace("a:relay.bees.house", "ip4:192.0.2.9")
        );
        let server = Nameserver::start(&good).await;
        for (from, to, check, expected, says) in [
            (
                "",
                "",
                "ptr",
                "ok",
                "192.0.2.9 is `out.bees.house`, there and back",
            ),
            (
                "192.0.2.9 PTR",
                "192.0.2.10 PTR",
                "ptr",
                "error",
                "has no name (PTR)",
            ),
            ("PTR out.", "PTR mx.", "ptr", "error", "does not lead back"),
            (
                "192.0.2.9 PTR out",
                "alt.bees.house A 192.0.2.9\n192.0.2.9 PTR alt",
                "ptr",
                "warning",
                "EHLO says `out.bees.house`",
            ),
            (
                "out.bees.house A",
                "oud.bees.house A",
                "ehlo",
                "error",
                "has no address",
            ),
            (
                "ip4:192.0.2.9",
                "ip4:192.0.2.7",
                "spf",
                "warning",
                "says fail of relay `main`",
            ),
        ] {
            server.set(&good.replacen(from, to, 1));
            let clinic = Clinic::new(&Wish {
                nameserver: server.address.to_string(),
                relay: "kind = \"mx\"\nurl = \"mx:\"\nehlo = \"out.bees.house\"".into(),
                more: "[mx]\nsources = [\"192.0.2.9\"]",
                ..Wish::default()
            });
            let (code, told) = clinic.doctor(&["--only", "dns,relay"]).await;
            let found = told
                .iter()
                .find(|one| one.check == check && one.level == expected);
            let found = found.unwrap_or_else(|| panic!("{to}: no {check} {expected} in {told:?}"));
            assert!(found.says.contains(says), "{to}: {}", found.says);
            assert_eq!(code == 0, expected == "ok", "{to}: {told:?}");
        }
    });
}
