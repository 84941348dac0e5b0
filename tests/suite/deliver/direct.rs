//! Mail straight to the hosts of each domain: a nameserver and sinks on loopback addresses of the test's own.

mod dane;
mod failover;
mod memory;
mod nameserver;
mod others;
mod safety;
mod strangers;
mod turns;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use pressrun::deliver::direct::identity;
use pressrun::delivery::Counts;
use pressrun::run;
use pressrun::run::verify;
use pressrun::smtp::sink::script::Script;
use pressrun::smtp::sink::{Sink, SinkOptions};
use pressrun::status::RunStatus;

use crate::deliver::rig::{Rig, Wish, script, until};
use crate::dns::Nameserver;
use crate::harness::{Engine, block_on};
use crate::on_both;

/// Sinks at 127.0.0.2, 127.0.0.3 and so on, all at one port, as MX hosts are.
struct Hosts {
    sinks: Vec<Sink>,
    port: u16,
}

impl Hosts {
    async fn listen(options: Vec<SinkOptions>) -> Hosts {
        let mut wishes: Vec<_> = options
            .iter()
            .map(|options| (options.tls.clone(), options.delay, options.script.clone()))
            .collect();
        'port: for _ in 0..50 {
            let mut sinks: Vec<Sink> = Vec::new();
            let mut port = 0;
            for (index, (tls, delay, script)) in wishes.iter_mut().enumerate() {
                let last = u8::try_from(index + 2).expect("a few sinks");
                let listen = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
                let bound = Sink::bind(SinkOptions {
                    listen,
                    tls: tls.clone(),
                    delay: *delay,
                    script: script.clone(),
                    ..SinkOptions::default()
                });
                // Another test has this port at this address.
                let Ok(sink) = bound.await else {
                    continue 'port;
                };
                port = sink.address().port();
                sinks.push(sink);
            }
            return Hosts { sinks, port };
        }
        panic!("no port is free at all addresses");
    }

    async fn plain(count: usize) -> Hosts {
        let options = (0..count).map(|_| SinkOptions::default());
        Hosts::listen(options.collect()).await
    }

    fn accepted(&self, index: usize) -> u64 {
        self.sinks[index].counts().accepted
    }
}

/// Domains with a host of their own each: that of the first is the first sink, and so on.
fn zone(domains: &[&str]) -> String {
    let line = |(place, domain): (usize, &&str)| {
        format!(
            "{domain} MX 10 mx.{domain}\nmx.{domain} A 127.0.0.{}\n",
            place + 2
        )
    };
    domains.iter().enumerate().map(line).collect()
}

/// `count` readers at `domain`.
fn at(domain: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("reader{number}@{domain}"))
        .collect()
}

/// A rig whose relay is everybody's MX, with extra lines for `[mx]`.
async fn rig(
    engine: Engine,
    hosts: &Hosts,
    dns: &Nameserver,
    readers: Vec<String>,
    mx: &str,
) -> Rig {
    wished(engine, hosts, dns, readers, mx, "", "").await
}

async fn wished(
    engine: Engine,
    hosts: &Hosts,
    dns: &Nameserver,
    readers: Vec<String>,
    mx: &str,
    relay: &'static str,
    send: &'static str,
) -> Rig {
    let wish = Wish {
        readers,
        connections: 16,
        url: Some("mx:".into()),
        relay: match relay {
            "" => "kind = \"mx\"\ntls = \"opportunistic\"",
            other => other,
        },
        send,
        sections: format!(
            "[dns]\nnameserver = \"{}\"\ntimeout = \"1m\"\n[mx]\nport = {}\nprivate = true\n{mx}\n",
            dns.address, hosts.port
        ),
        ..Wish::default()
    };
    Rig::new(engine, wish).await
}

fn sent(number: i64) -> Counts {
    Counts {
        sent: number,
        ..Counts::default()
    }
}

async fn nobody_is_charged(rig: &Rig, run: pressrun::id::RunId) {
    let rows = rig.rows(run).await;
    let charged: Vec<_> = rows.iter().filter(|row| row.attempts != 0).collect();
    assert!(charged.is_empty(), "{charged:?}");
}

on_both!(
    each_domain_gets_its_mail_at_its_own_hosts,
    async |engine: Engine| {
        let hosts = Hosts::plain(3).await;
        let dns = Nameserver::start(
            "one.example MX 10 mx.one.example\nmx.one.example A 127.0.0.2\n\
             two.example MX 10 dead.two.example\ntwo.example MX 20 mx.two.example\n\
             dead.two.example A 127.0.0.9\nmx.two.example A 127.0.0.3\n\
             three.example A 127.0.0.4\n",
        )
        .await;
        let readers = [
            at("one.example", 10),
            at("two.example", 10),
            at("three.example", 10),
        ]
        .concat();
        let rig = rig(engine, &hosts, &dns, readers, "").await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await, sent(30));
        for index in 0..3 {
            assert_eq!(hosts.accepted(index), 10, "sink {index}");
            let domain = ["@one.example", "@two.example", "@three.example"][index];
            let accepted = hosts.sinks[index].accepted();
            assert!(
                accepted
                    .iter()
                    .all(|message| message.rcpt[0].ends_with(domain))
            );
        }
        assert!(rig.rows(run).await.iter().all(|row| row.attempts == 1));
    }
);

on_both!(
    a_domain_that_takes_no_mail_bounces_at_once_and_one_that_is_not_there_at_the_second_look,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let dns = Nameserver::start(
            "null.example MX 0 .\nfine.example MX 10 mx.fine.example\nmx.fine.example A 127.0.0.2\n",
        )
        .await;
        let readers = [
            at("null.example", 2),
            at("gone.example", 2),
            at("fine.example", 5),
        ]
        .concat();
        let rig = rig(engine, &hosts, &dns, readers, "").await;
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.bounced), (5, 4));
        for row in rig.rows(run).await {
            let address = row.address.clone().expect("an address");
            let expected = match address.rsplit_once('@').expect("a domain").1 {
                "null.example" => (Some("5.1.10"), 1),
                // That it was not found at the first look is no attempt.
                "gone.example" => (Some("5.4.4"), 1),
                _ => continue,
            };
            assert_eq!(
                (row.enhanced.as_deref(), row.attempts),
                expected,
                "{address}"
            );
        }
        // Who takes no mail says so; a domain that is not there today may be there again tomorrow.
        let again = rig.begin().await;
        let counts = rig.finish(again).await;
        assert_eq!((counts.suppressed, counts.bounced), (2, 2));
        for run in [run, again] {
            let run = rig
                .app
                .store
                .run(run)
                .await
                .expect("runs")
                .expect("the run");
            let verified = verify::one(&rig.app, &run).await.expect("a proof");
            assert!(verified.balanced, "{:?}", verified.faults);
        }
    }
);

on_both!(
    domains_with_the_same_hosts_share_one_queue_and_its_limits,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let dns = Nameserver::start(
            "a.example MX 10 mx.club.example\nb.example MX 10 mx.club.example\n\
             c.example MX 5 mx.club.example\nmx.club.example A 127.0.0.2\n",
        )
        .await;
        let readers = [
            at("a.example", 10),
            at("b.example", 10),
            at("c.example", 10),
        ]
        .concat();
        let rig = rig(engine, &hosts, &dns, readers, "providers = \"club.toml\"").await;
        let table = "[[provider]]\nname = \"club\"\nmx = [\"club.example\"]\nconnections = 1\n";
        std::fs::write(rig.database.path().join("club.toml"), table).expect("a file");
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await, sent(30));
        // `c` has another preference, so another site: the one connection is given up for it.
        let connections = hosts.sinks[0].counts().connections;
        assert!((1..=4).contains(&connections), "{connections} connections");
    }
);

on_both!(
    a_tarpit_and_a_dead_domain_delay_nobody_else,
    async |engine: Engine| {
        let slow = SinkOptions {
            delay: Duration::from_secs(20),
            ..SinkOptions::default()
        };
        let hosts = Hosts::listen(vec![slow, SinkOptions::default()]).await;
        let more =
            "dead.example MX 10 mx.dead.example\nmx.dead.example A 127.0.0.9\ndark.example FAIL\n";
        let zone = zone(&["slow.example", "fine.example"]) + more;
        let dns = Nameserver::start(&zone).await;
        let readers = [
            at("slow.example", 60),
            at("dead.example", 60),
            at("dark.example", 60),
            at("fine.example", 60),
        ]
        .concat();
        let send = "retry = [\"1h\"]\ndrain = \"100ms\"";
        let rig = wished(engine, &hosts, &dns, readers, "", "", send).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let done = until(async || hosts.accepted(1) == 60).await;
        assert!(done, "{:?}", hosts.sinks[1].counts());
        assert_eq!(
            hosts.accepted(0),
            0,
            "the tarpit has not taken anything yet"
        );
        let put_off = "select count(*), count(*) from deliveries \
                       where state = 'queued' and reply is not null";
        let told = until(async || rig.pairs(put_off).await[0].0 >= 120).await;
        assert!(told, "{:?}", rig.pairs(put_off).await);
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!((counts.sent, counts.bounced, counts.failed), (60, 0, 0));
        let rows = rig.rows(run).await;
        let charged = rows
            .iter()
            .filter(|row| row.state == "queued" && row.attempts > 0);
        assert_eq!(charged.count(), 0);
        // Each of them was tried once, and then the whole domain waits.
        let questions = dns.asked();
        let dark = questions
            .iter()
            .filter(|question| question.contains("dark.example"));
        assert!(dark.count() <= 8, "{questions:?}");
    }
);

on_both!(
    a_greylisting_domain_gets_its_mail_at_the_second_try,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let dns = Nameserver::start(&zone(&["grey.example"])).await;
        let readers = (0..12).map(|number| format!("reader{number}+grey-1@grey.example"));
        let rig = rig(engine, &hosts, &dns, readers.collect(), "").await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await, sent(12));
        assert!(rig.rows(run).await.iter().all(|row| row.attempts == 2));
        let connections = hosts.sinks[0].counts().connections;
        assert!(connections <= 6, "nobody was turned away: {connections}");
    }
);

on_both!(
    a_provider_that_asks_for_quiet_is_left_alone_and_the_others_are_not,
    async |engine: Engine| {
        let hosts = Hosts::plain(2).await;
        let dns = Nameserver::start(&zone(&["big.example", "fine.example"])).await;
        hosts.sinks[0].set_script(script("data-421-4.7.28"));
        let readers = [at("big.example", 30), at("fine.example", 30)].concat();
        let rig = rig(engine, &hosts, &dns, readers, "").await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let now = rig.app.clock.now();
        let waiting = "select coalesce(min(due_at), 0), count(*) from deliveries \
                       where state = 'queued' and reply is not null";
        let quiet = until(async || rig.pairs(waiting).await[0].1 == 30).await;
        assert!(quiet, "{:?}", rig.pairs(waiting).await);
        assert!(until(async || hosts.accepted(1) == 30).await);
        let due = rig.pairs(waiting).await[0].0;
        assert!(due - now.0 >= 590_000, "ten minutes: {}", due - now.0);
        let connections = hosts.sinks[0].counts().connections;
        assert!(connections <= 2, "{connections} connections");
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!((counts.sent, counts.queued), (30, 30));
        let rows = rig.rows(run).await;
        let charged = rows
            .iter()
            .filter(|row| row.state == "queued" && row.attempts > 0);
        assert_eq!(charged.count(), 0);
    }
);

on_both!(
    hosts_that_turn_connections_away_are_tried_by_one_and_then_by_more,
    async |engine: Engine| are_left_alone(engine, "greeting-421-4.3.2", 8).await
);

/// Hosts that turn everyone away by these words see so many connections in half a second and one in each of the waits
/// after it, at most, and take all once they are well.
async fn are_left_alone(engine: Engine, words: &str, most: u64) {
    let hosts = Hosts::plain(1).await;
    let dns = Nameserver::start(&zone(&["busy.example"])).await;
    hosts.sinks[0].set_script(script(words));
    let send = "retry = [\"100ms\", \"400ms\"]";
    let rig = wished(engine, &hosts, &dns, at("busy.example", 40), "", "", send).await;
    let run = rig.begin().await;
    let begun = Instant::now();
    let sending = rig.start().await;
    assert!(until(async || hosts.sinks[0].counts().connections >= 3).await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let connections = hosts.sinks[0].counts().connections;
    let later = begun.elapsed().saturating_sub(Duration::from_millis(500));
    let most = most + u64::try_from(later.as_millis()).expect("a short time") / 400;
    assert!(
        connections <= most,
        "{connections}: a few, then one at a time"
    );
    nobody_is_charged(&rig, run).await;
    assert_eq!(rig.balanced(run).await.queued, 40);
    hosts.sinks[0].set_script(Script::default());
    rig.wait_status(run, RunStatus::Finished).await;
    sending.stop().await;
    assert_eq!(rig.balanced(run).await, sent(40));
}

on_both!(
    what_one_provider_refuses_whole_holds_no_run,
    async |engine: Engine| {
        let hosts = Hosts::plain(2).await;
        let dns = Nameserver::start(&zone(&["strict.example", "fine.example"])).await;
        hosts.sinks[0].set_script(script("dot-554-5.7.1"));
        let readers = [at("strict.example", 30), at("fine.example", 30)].concat();
        let send = "retry = [\"1s\"]";
        let rig = wished(engine, &hosts, &dns, readers, "", "", send).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        assert!(until(async || hosts.accepted(1) == 30).await);
        assert!(until(async || hosts.sinks[0].counts().refused >= 5).await);
        let counts = async || rig.app.store.counts(run).await.expect("counters");
        assert!(until(async || counts().await.queued == 30).await);
        assert_eq!(rig.run(run).await.status, RunStatus::Sending);
        let trouble = rig.wait_trouble().await;
        assert!(trouble.contains(" is left alone: 554 5.7.1 "), "{trouble}");
        assert!(trouble.ends_with("mail goes out through main"), "{trouble}");
        hosts.sinks[0].set_script(Script::default());
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await, sent(60));
    }
);

on_both!(
    a_domain_that_stays_dead_expires_and_suppresses_nobody,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let dead = "dead.example MX 10 mx.dead.example\nmx.dead.example A 127.0.0.9\n";
        let dns = Nameserver::start(&(zone(&["fine.example"]) + dead)).await;
        let readers = [at("dead.example", 5), at("fine.example", 5)].concat();
        let send = "retry = [\"50ms\"]\ngive_up = \"400ms\"";
        let rig = wished(engine, &hosts, &dns, readers, "", "", send).await;
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.expired), (5, 5));
        let rows = rig.rows(run).await;
        let expired = rows.iter().find(|row| row.state == "expired").expect("one");
        let reply = expired.reply.as_deref().expect("a reason");
        assert!(reply.contains("mx.dead.example"), "{reply}");
        let again = rig.begin().await;
        assert_eq!(rig.finish(again).await.suppressed, 0);
    }
);

on_both!(
    a_paused_run_leaves_what_waits_for_a_slow_domain_in_the_ledger,
    async |engine: Engine| {
        let slow = SinkOptions {
            delay: Duration::from_millis(300),
            ..SinkOptions::default()
        };
        let hosts = Hosts::listen(vec![slow]).await;
        let dns =
            Nameserver::start("slow.example MX 10 mx.slow.example\nmx.slow.example A 127.0.0.2\n")
                .await;
        let rig = rig(engine, &hosts, &dns, at("slow.example", 60), "").await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        assert!(until(async || hosts.accepted(0) >= 1).await);
        let found = rig.run(run).await;
        run::pause(&rig.app, &found).await.expect("a pause");
        rig.at_rest(run).await;
        let taken = hosts.accepted(0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(hosts.accepted(0), taken, "nothing more goes out");
        assert!(taken < 60);
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, taken as i64);
    }
);

#[test]
fn a_sending_address_whose_names_do_not_fit_is_told() {
    block_on(async {
        let dns = Nameserver::start(
            "192.0.2.1 PTR mail.example.org\nmail.example.org A 192.0.2.1\n\
             192.0.2.2 PTR other.example.org\nother.example.org A 192.0.2.9\n",
        )
        .await;
        let resolver = dns.resolver();
        let faults = async |ehlo: &str, source: &str| {
            let source = source.parse().expect("an address");
            let faults = identity::faults(&resolver, ehlo, source).await;
            faults.expect("answers").join("\n")
        };
        assert_eq!(faults("mail.example.org", "192.0.2.1").await, "");
        let stranger = faults("mail.example.org", "192.0.2.2").await;
        assert!(stranger.contains("does not lead back"), "{stranger}");
        assert!(stranger.contains("not a name of `192.0.2.2`"), "{stranger}");
        let nameless = faults("localhost", "192.0.2.3").await;
        assert!(nameless.contains("has no name (PTR)"), "{nameless}");
        assert!(nameless.contains("no full host name"), "{nameless}");
    });
}
