//! What one reader's mail may take from the others: not their connections, not their time, and no part of a cap.

use pressrun::deliver::report::report;
use pressrun::id::RunId;

use super::{Hosts, are_left_alone, at, wished, zone};
use crate::deliver::rig::{Rig, Wish, until};
use crate::deliver::system::enqueue;
use crate::dns::Nameserver;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    one_reader_whose_mail_ends_connections_closes_a_domain_to_nobody_else,
    async |engine: Engine| {
        for words in [
            "451-4.3.0",
            "452",
            "421",
            "data-421",
            "cut-before-dot",
            "451-4.3.2+again-10m",
        ] {
            let hosts = Hosts::plain(1).await;
            let dns = Nameserver::start(&zone(&["busy.example"])).await;
            let mut readers = at("busy.example", 30);
            for place in [1, 15] {
                readers[place] = format!("reader{place}+{words}@busy.example");
            }
            let send = "retry = [\"1h\"]";
            let rig = wished(engine, &hosts, &dns, readers, "", "", send).await;
            let run = rig.begin().await;
            let sending = rig.start().await;
            let done = until(async || hosts.accepted(0) == 28).await;
            assert!(done, "{words}: {:?}", hosts.sinks[0].counts());
            rig.two_are_put_off(run, words).await;
            sending.stop().await;
            rig.balanced(run).await;
        }
    }
);

on_both!(
    hosts_that_take_nobody_at_rcpt_are_left_alone_and_nobody_is_to_blame,
    async |engine: Engine| are_left_alone(engine, "452-4.3.1", 10).await
);

on_both!(
    mail_that_never_leaves_uses_up_no_cap,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let more = "dead.example MX 10 mx.dead.example\nmx.dead.example A 127.0.0.9\n\
                    dark.example FAIL\n";
        let dns = Nameserver::start(&(zone(&["fine.example"]) + more)).await;
        let readers = [
            at("dark.example", 60),
            at("dead.example", 60),
            at("fine.example", 30),
        ]
        .concat();
        let relay = "kind = \"mx\"\ntls = \"opportunistic\"\nper_day = 40";
        let send = "retry = [\"1h\"]";
        let rig = wished(engine, &hosts, &dns, readers, "", relay, send).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let done = until(async || hosts.accepted(0) == 30).await;
        assert!(
            done,
            "{:?}, {}",
            hosts.sinks[0].counts(),
            rig.trouble().await
        );
        let waiting = async || {
            let rows = rig.rows(run).await;
            rows.iter()
                .filter(|row| row.state == "queued" && row.reply.is_some())
                .count()
        };
        assert!(until(async || waiting().await == 120).await);
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 30);
        let reports = report(&rig.app).await.expect("a report");
        let main = reports.into_iter().find(|report| report.name == "main");
        let main = main.expect("the relay");
        assert_eq!((main.caps[0].used, main.caps[0].most), (30, 40));
    }
);

on_both!(
    those_whom_a_provider_refuses_do_not_keep_the_others_from_it,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let dns = Nameserver::start(&zone(&["strict.example"])).await;
        let refused = (0..8).map(|n| format!("reader{n}+dot-554-5.7.1@strict.example"));
        let readers = refused.chain(at("strict.example", 7)).collect();
        let send = "retry = [\"200ms\"]";
        let rig = wished(engine, &hosts, &dns, readers, "", "", send).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        // The first five make it an objection to the run; the next look is by one who did not hear it.
        let done = until(async || hosts.accepted(0) == 7).await;
        assert!(done, "{:?}", hosts.sinks[0].counts());
        sending.stop().await;
        rig.balanced(run).await;
    }
);

on_both!(
    domains_whose_nameservers_are_silent_keep_no_known_domain_waiting,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let silent = |n: usize| format!("s{n}.example SILENT\n");
        let zone = zone(&["fine.example"]) + &(0..80).map(silent).collect::<String>();
        let dns = Nameserver::start(&zone).await;
        let first = ["first@fine.example".to_owned()].into_iter();
        let dead = (0..80).map(|n| format!("reader@s{n}.example"));
        let readers = first.chain(dead).chain(at("fine.example", 19)).collect();
        // Nobody hears that there is no answer before the test is over.
        let wish = Wish {
            readers,
            url: Some("mx:".into()),
            relay: "kind = \"mx\"\ntls = \"opportunistic\"",
            sections: format!(
                "[dns]\nnameserver = \"{}\"\ntimeout = \"2m\"\n[mx]\nport = {}\nprivate = true\n",
                dns.address, hosts.port
            ),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let done = until(async || hosts.accepted(0) == 20).await;
        assert!(done, "{:?}", hosts.sinks[0].counts());
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.queued, 80);
    }
);

on_both!(
    a_system_mail_to_dead_hosts_expires_like_any_other,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let dead = "dead.example MX 10 mx.dead.example\nmx.dead.example A 127.0.0.9\n";
        let dns = Nameserver::start(dead).await;
        let send = "retry = [\"50ms\"]\ngive_up = \"400ms\"";
        let rig = wished(engine, &hosts, &dns, at("dead.example", 1), "", "", send).await;
        let run = rig.begin().await;
        enqueue(&rig, "asked@dead.example").await;
        assert_eq!(rig.finish(run).await.expired, 1);
        let sending = rig.start().await;
        let expired = async || {
            let counts = rig.app.store.counts(RunId::SYSTEM).await;
            counts.expect("counters").expired == 1
        };
        assert!(until(expired).await);
        sending.stop().await;
        rig.balanced(RunId::SYSTEM).await;
    }
);
