//! What one reader's mail may take from the others: not their connections, not their time, and no part of a cap.

use pressrun::deliver::report::report;

use super::{Hosts, are_left_alone, at, wished, zone};
use crate::deliver::rig::until;
use crate::dns::Nameserver;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    one_reader_whose_mail_ends_connections_closes_a_domain_to_nobody_else,
    async |engine: Engine| {
        for words in ["451-4.3.0", "452", "421", "data-421", "cut-before-dot"] {
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
