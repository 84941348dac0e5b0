//! What was learned of providers and dead domains outlives the process.

use std::time::Duration;

use pressrun::deliver::report::report;
use pressrun::run::why;
use pressrun::smtp::sink::script::Script;

use super::{Hosts, at, rig, zone};
use crate::deliver::rig::{script, until};
use crate::dns::Nameserver;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    a_provider_that_asked_for_quiet_gets_it_after_a_restart_too,
    async |engine: Engine| {
        let hosts = Hosts::plain(2).await;
        let dns = Nameserver::start(
            "big.example MX 10 mx.big.example\nmx.big.example A 127.0.0.2\n\
             fine.example MX 10 mx.fine.example\nmx.fine.example A 127.0.0.3\n\
             dead.example MX 10 mx.dead.example\nmx.dead.example A 127.0.0.9\n",
        )
        .await;
        hosts.sinks[0].set_script(script("data-421-4.7.28"));
        let readers = [
            at("big.example", 10),
            at("fine.example", 10),
            at("dead.example", 3),
        ]
        .concat();
        let rig = rig(engine, &hosts, &dns, readers, "").await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let waiting = "select count(*), cast(0 as bigint) from deliveries \
                       where state = 'queued' and reply is not null";
        let quiet = until(async || rig.pairs(waiting).await[0].0 >= 13).await;
        assert!(quiet, "{:?}", rig.pairs(waiting).await);
        assert!(until(async || hosts.accepted(1) == 10).await);
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 10);
        let failing = "select since, failures from learned \
                       where kind = 'hosts' and name like '%mx.dead.example%'";
        let first = rig.pairs(failing).await;
        assert_eq!(first.len(), 1, "{first:?}");
        // It would take mail now; but it said ten minutes, and who was told is not who asks.
        hosts.sinks[0].set_script(Script::default());
        let before = hosts.sinks[0].counts();
        // Another issue, since the first is still on its way.
        let renamed = "update runs set slug = 'other' where id = 2";
        rig.database.raw(renamed).await;
        let again = rig.begin().await;
        let sending = rig.start().await;
        assert!(
            until(async || hosts.accepted(1) == 20).await,
            "others are served"
        );
        tokio::time::sleep(Duration::from_millis(600)).await;
        sending.stop().await;
        assert_eq!(hosts.sinks[0].counts(), before, "it was to be left alone");
        let counts = rig.balanced(again).await;
        assert_eq!((counts.sent, counts.queued), (10, 13));
        let then = rig.pairs(failing).await;
        assert_eq!(then.len(), 1, "{then:?}");
        assert_eq!(then[0].0, first[0].0, "as old as it is");
        assert!(then[0].1 >= first[0].1, "{first:?} {then:?}");
    }
);

on_both!(
    each_provider_that_asked_for_quiet_is_named_with_its_own_time,
    async |engine: Engine| {
        let hosts = Hosts::plain(3).await;
        let domains = ["one.example", "two.example", "fine.example"];
        let dns = Nameserver::start(&zone(&domains)).await;
        for sink in &hosts.sinks[..2] {
            sink.set_script(script("data-421-4.7.28"));
        }
        let readers = domains.map(|domain| at(domain, 5)).concat();
        let rig = rig(engine, &hosts, &dns, readers, "").await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let said = async || {
            let said = why::why(&rig.app, &rig.run(run).await).await;
            said.expect("an answer").sentence
        };
        let named = async || {
            let said = said().await;
            said.matches(" is left alone until ").count() == 2 && said.contains("10 were deferred")
        };
        assert!(until(named).await, "{}", said().await);
        let reports = report(&rig.app).await.expect("a report");
        assert_eq!(reports[0].state(), "works");
        let why = reports[0].nodes[0].state.why.clone().unwrap_or_default();
        assert!(why.contains("4.7.28"), "{why}");
        sending.stop().await;
    }
);
