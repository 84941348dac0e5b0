//! Direct delivery that fails as a whole stands aside for another relay, and comes back; a dead domain is no reason.

use std::time::Duration;

use pressrun::clock::{Clock, Timestamp};
use pressrun::id::RunId;
use pressrun::run::why;
use pressrun::smtp::sink::{Sink, SinkOptions};
use pressrun::status::RunStatus;
use pressrun::store::verify::DeliveryRow;

use super::{Hosts, at, nobody_is_charged, wished, zone};
use crate::deliver::rig::{Rig, Wish, until};
use crate::dns::Nameserver;
use crate::harness::{Engine, Port};
use crate::on_both;

const DOMAINS: [&str; 4] = [
    "one.example",
    "two.example",
    "three.example",
    "four.example",
];

/// Hosts of the same zone, of which nobody listens at any.
fn closed(domains: &[&str]) -> String {
    zone(domains).replace("127.0.0.", "127.0.1.")
}

/// A rig whose relay `main` is everybody's MX, with a spare one behind it.
async fn backed(
    engine: Engine,
    hosts: &Hosts,
    dns: &Nameserver,
    readers: Vec<String>,
    retry: &'static str,
) -> (Rig, Sink) {
    let mut rig = wished(engine, hosts, dns, readers, "", "", retry).await;
    let spare = Sink::bind(SinkOptions::default()).await.expect("a sink");
    let relay = format!(
        "[relay.spare]\ntls = \"none\"\nconnections = 2\npriority = 2\nurl = \"{}\"\n",
        spare.url()
    );
    rig.more_relays(&relay, "relay = \"all\"").await;
    (rig, spare)
}

fn readers(of: usize) -> Vec<String> {
    let each = DOMAINS.iter().map(|domain| at(domain, of));
    each.collect::<Vec<_>>().concat()
}

async fn said(rig: &Rig, run: RunId) -> String {
    let run = rig.run(run).await;
    let said = why::why(&rig.app, &run).await.expect("an answer");
    said.sentence
}

on_both!(
    a_port_that_is_closed_everywhere_sends_a_run_through_the_spare,
    async |engine: Engine| {
        let hosts = Hosts::plain(4).await;
        let dns = Nameserver::start(&closed(&DOMAINS)).await;
        let send = "retry = [\"200ms\"]\nprobe = \"50ms\"";
        let (rig, spare) = backed(engine, &hosts, &dns, readers(10), send).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Finished).await;
        assert_eq!(spare.counts().accepted, 40);
        assert_eq!(rig.balanced(run).await.sent, 40);
        let rows = rig.rows(run).await;
        assert!(
            rows.iter().all(|row| row.attempts == 1),
            "nobody is charged"
        );
        let trouble = rig.wait_trouble().await;
        assert!(trouble.starts_with("relay main: no host of "), "{trouble}");
        assert!(
            trouble.ends_with("mail goes out through spare"),
            "{trouble}"
        );
        sending.stop().await;
    }
);

on_both!(
    a_port_that_closes_in_the_middle_of_a_run_and_opens_again,
    async |engine: Engine| {
        let mut hosts = Hosts::plain(4).await;
        let dns = Nameserver::start(&zone(&DOMAINS)).await;
        let send = "retry = [\"200ms\"]\nprobe = \"50ms\"";
        let (rig, spare) = backed(engine, &hosts, &dns, readers(5), send).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Finished).await;
        assert_eq!(spare.counts().accepted, 0);
        let addresses: Vec<_> = hosts.sinks.iter().map(Sink::address).collect();
        for sink in hosts.sinks.drain(..) {
            sink.shutdown().await;
        }
        let _kept: Vec<_> = addresses.iter().copied().map(Port::at).collect();
        rig.database.raw("update runs set slug = 'first'").await;
        let second = rig.begin().await;
        rig.wait_status(second, RunStatus::Finished).await;
        assert_eq!(spare.counts().accepted, 20);
        let trouble = rig.wait_trouble().await;
        assert!(
            trouble.ends_with("mail goes out through spare"),
            "{trouble}"
        );
        let states = rig.app.store.told_relays().await.expect("a read");
        let main = states.iter().find(|told| told.state.relay == "main");
        assert_eq!(main.map(|told| told.state.state.as_str()), Some("broken"));
        for listen in addresses {
            let options = SinkOptions {
                listen,
                ..SinkOptions::default()
            };
            hosts
                .sinks
                .push(Sink::bind(options).await.expect("the same port"));
        }
        // Nobody's mail is needed to find out that they are back.
        let well = until(async || rig.trouble().await.is_empty()).await;
        assert!(well, "{}", rig.trouble().await);
        rig.database
            .raw("update runs set slug = 'second' where slug = 'small'")
            .await;
        let third = rig.begin().await;
        rig.wait_status(third, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(spare.counts().accepted, 20, "all goes straight again");
        assert_eq!((0..4).map(|index| hosts.accepted(index)).sum::<u64>(), 20);
    }
);

on_both!(
    a_nameserver_that_is_dead_sends_a_run_through_the_spare,
    async |engine: Engine| {
        let hosts = Hosts::plain(4).await;
        let dark: String = DOMAINS
            .iter()
            .map(|name| format!("{name} FAIL\n"))
            .collect();
        let dns = Nameserver::start(&dark).await;
        let send = "retry = [\"200ms\"]\nprobe = \"50ms\"";
        let (rig, spare) = backed(engine, &hosts, &dns, readers(10), send).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Finished).await;
        assert_eq!(spare.counts().accepted, 40);
        let trouble = rig.wait_trouble().await;
        assert!(
            trouble.starts_with("relay main: no nameserver answers: the DNS gives no answer"),
            "{trouble}"
        );
        assert!(
            trouble.ends_with("mail goes out through spare"),
            "{trouble}"
        );
        dns.set(&zone(&DOMAINS));
        assert!(until(async || rig.trouble().await.is_empty()).await);
        rig.database.raw("update runs set slug = 'first'").await;
        let second = rig.begin().await;
        rig.wait_status(second, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(spare.counts().accepted, 40, "all goes straight again");
    }
);

on_both!(
    dead_domains_send_nothing_through_the_spare_while_others_are_reached,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let dead = [
            "two.example",
            "three.example",
            "four.example",
            "five.example",
        ];
        let zone = zone(&["one.example"]) + &closed(&dead) + "six.example FAIL\n";
        let dns = Nameserver::start(&zone).await;
        let mut readers = at("one.example", 30);
        for domain in dead.iter().chain(&["six.example"]) {
            readers.extend(at(domain, 3));
        }
        let send = "retry = [\"100ms\"]\nprobe = \"20ms\"";
        let (rig, spare) = backed(engine, &hosts, &dns, readers, send).await;
        // Of whoever reaches nobody at first, nobody knows whether it is the others who are dead.
        rig.database
            .raw("update subscriptions set status = 'paused' where subscriber_id > 30")
            .await;
        let first = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(first, RunStatus::Finished).await;
        rig.database
            .raw("update subscriptions set status = 'confirmed'; update runs set slug = 'first'")
            .await;
        let run = rig.begin().await;
        assert!(until(async || hosts.accepted(0) == 60).await);
        // Now only the dead ones are tried, many times.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let told = rig.trouble().await;
        let said = said(&rig, run).await;
        sending.stop().await;
        assert_eq!(spare.counts().accepted, 0, "{told}");
        let counts = rig.balanced(run).await;
        assert_eq!((counts.sent, counts.queued), (30, 15));
        assert!(!told.ends_with("through spare"), "{told}");
        assert!(
            !said.contains("spare") && said.contains("30 of 45"),
            "{said}"
        );
        let rows = rig.rows(run).await;
        let charged = rows
            .iter()
            .filter(|row| row.state == "queued" && row.attempts > 0);
        assert_eq!(charged.count(), 0);
    }
);

on_both!(
    dead_domains_that_are_tried_first_keep_nobody_else_waiting,
    async |engine: Engine| {
        for dark in [false, true] {
            let hosts = Hosts::plain(1).await;
            let fine = "z.example MX 10 mx.z.example\nmx.z.example A 127.0.0.2\n";
            // More than are looked up at a time.
            let dead = (0..100).map(|number| format!("dead{number}.example"));
            let dead: Vec<String> = dead.collect();
            let line = |domain: &String| match dark {
                true => format!("{domain} FAIL\n"),
                false => format!("{domain} MX 10 mx.{domain}\nmx.{domain} A 127.0.1.9\n"),
            };
            let zone: String = dead.iter().map(line).collect();
            let dns = Nameserver::start(&(zone + fine)).await;
            let each = dead.iter().map(|domain| at(domain, 1));
            let readers = each.chain([at("z.example", 10)]).collect::<Vec<_>>();
            let wish = Wish {
                readers: readers.concat(),
                connections: 2,
                url: Some("mx:".into()),
                relay: "kind = \"mx\"\ntls = \"opportunistic\"",
                send: "retry = [\"1h\"]\nprobe = \"20ms\"",
                sections: format!(
                    "[dns]\nnameserver = \"{}\"\ntimeout = \"20s\"\n[mx]\nport = {}\nprivate = true\n",
                    dns.address, hosts.port
                ),
                ..Wish::default()
            };
            let rig = Rig::new(engine, wish).await;
            let run = rig.begin().await;
            let sending = rig.start().await;
            let all = until(async || hosts.accepted(0) == 10).await;
            assert!(all, "{} of 10; {}", hosts.accepted(0), rig.trouble().await);
            // The dead ones wait for their own next try, and the relay is well.
            let waiting = async || {
                let rows = rig.rows(run).await;
                let waits = |row: &&DeliveryRow| row.state == "queued" && row.reply.is_some();
                rows.iter().filter(waits).count() == 100
            };
            assert!(until(waiting).await, "{}", rig.trouble().await);
            let told = rig.trouble().await;
            assert!(!told.contains("can be connected to"), "{told}");
            sending.stop().await;
            nobody_is_charged_but_the_sent(&rig, run).await;
        }
    }
);

async fn nobody_is_charged_but_the_sent(rig: &Rig, run: RunId) {
    let rows = rig.rows(run).await;
    let charged = rows
        .iter()
        .filter(|row| row.state != "sent" && row.attempts != 0);
    assert_eq!(charged.count(), 0);
    assert_eq!(rig.balanced(run).await.sent, 10);
}

on_both!(
    one_dead_domain_alone_is_the_domain_s_own_trouble,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let dns = Nameserver::start(&closed(&["one.example"])).await;
        let send = "retry = [\"50ms\"]\nprobe = \"20ms\"";
        let (rig, spare) = backed(engine, &hosts, &dns, at("one.example", 5), send).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let trouble = rig.wait_trouble().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let said = said(&rig, run).await;
        sending.stop().await;
        // It is nothing that the spare would get.
        for told in [&trouble, &said] {
            assert!(
                told.contains(
                    "no mail gets through to any domain that it is for (is port 25 closed to the outside?): \
                     one.example ("
                ) && told.contains("; tried until "),
                "{told}"
            );
        }
        assert!(
            trouble.ends_with("mail goes out through main, spare"),
            "{trouble}"
        );
        assert_eq!(spare.counts().accepted, 0);
        nobody_is_charged(&rig, run).await;
    }
);

on_both!(
    domains_that_no_mail_gets_through_to_are_named_and_the_others_go_on,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let gone = "gone.example MX 10 mx.gone.example\nmx.gone.example A 127.0.0.9\n";
        let dns = Nameserver::start(&(zone(&["fine.example"]) + gone)).await;
        let readers = [at("fine.example", 5), at("gone.example", 3)].concat();
        let mut rig = wished(engine, &hosts, &dns, readers, "", "", "retry = [\"1h\"]").await;
        rig.app.clock = Clock::fixed(Timestamp(1_800_000_000_000));
        let run = rig.begin().await;
        let sending = rig.start().await;
        assert!(until(async || hosts.accepted(0) == 5).await);
        let waiting = async || {
            let rows = rig.rows(run).await;
            let waits = |row: &&DeliveryRow| row.state == "queued" && row.reply.is_some();
            rows.iter().filter(waits).count() == 3
        };
        assert!(until(waiting).await);
        rig.app.clock.advance(Duration::from_secs(120));
        let told = "mail to all other domains goes out, and none gets through to gone.example (";
        assert!(
            until(async || said(&rig, run).await.contains(told)).await,
            "{}",
            said(&rig, run).await
        );
        let sentence = said(&rig, run).await;
        sending.stop().await;
        assert!(
            sentence.contains("waits: 3 were deferred") && sentence.contains("; tried until "),
            "{sentence}"
        );
    }
);
