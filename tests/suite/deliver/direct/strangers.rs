//! Hosts that for a while know nobody are doubted and not their readers; those that never know anybody are believed.

use super::{Hosts, at, sent, wished, zone};
use crate::deliver::rig::{Rig, script, until};
use crate::dns::Nameserver;
use crate::harness::Engine;
use crate::on_both;
use pressrun::smtp::sink::script::Script;
use pressrun::status::RunStatus;

const SUPPRESSED: &str = "select count(*), cast(0 as bigint) from suppressions";

/// The first sink knows nobody for a while; its readers and those of the second get everything in the end.
async fn come_to_their_senses(rig: &Rig, hosts: &Hosts, strange: usize, fine: usize) {
    hosts.sinks[0].set_script(script("550-5.1.1"));
    let run = rig.begin().await;
    let sending = rig.start().await;
    assert!(until(async || hosts.accepted(1) == fine as u64).await);
    let told = async || {
        let rows = rig.rows(run).await;
        let waits = |reply: &String| reply.contains("refused 10 readers running");
        rows.iter().any(|row| row.reply.as_ref().is_some_and(waits))
    };
    assert!(until(told).await, "{:?}", rig.rows(run).await);
    let rest = async || {
        let counts = rig.app.store.counts(run).await.expect("counters");
        counts.queued == strange as i64 && rig.pairs(SUPPRESSED).await == [(0, 0)]
    };
    assert!(until(rest).await, "{:?}", rig.rows(run).await);
    assert_eq!(
        rig.run(run).await.status,
        RunStatus::Sending,
        "the others go on"
    );
    hosts.sinks[0].set_script(Script::default());
    rig.wait_status(run, RunStatus::Finished).await;
    sending.stop().await;
    assert_eq!(rig.balanced(run).await, sent((strange + fine) as i64));
    assert_eq!(rig.pairs(SUPPRESSED).await, [(0, 0)]);
}

on_both!(
    hosts_that_for_a_while_know_nobody_are_left_alone_and_suppress_nobody,
    async |engine: Engine| {
        let hosts = Hosts::plain(2).await;
        let dns = Nameserver::start(&zone(&["big.example", "fine.example"])).await;
        let readers = [at("big.example", 60), at("fine.example", 20)].concat();
        let send = "retry = [\"300ms\"]";
        let rig = wished(engine, &hosts, &dns, readers, "", "", send).await;
        come_to_their_senses(&rig, &hosts, 60, 20).await;
    }
);

on_both!(
    a_provider_whose_many_hosts_know_nobody_is_left_alone_too,
    async |engine: Engine| {
        let hosts = Hosts::plain(2).await;
        let club = |n: usize| {
            format!("c{n}.example MX 10 mx.c{n}.club.example\nmx.c{n}.club.example A 127.0.0.2\n")
        };
        let fine = "fine.example MX 10 mx.fine.example\nmx.fine.example A 127.0.0.3\n";
        let dns = Nameserver::start(&((0..15).map(club).collect::<String>() + fine)).await;
        let members = (0..15).flat_map(|n| at(&format!("c{n}.example"), 2));
        let readers = members.chain(at("fine.example", 20)).collect();
        let (mx, send) = ("providers = \"club.toml\"", "retry = [\"300ms\"]");
        let rig = wished(engine, &hosts, &dns, readers, mx, "", send).await;
        let table = "[[provider]]\nname = \"club\"\nmx = [\"club.example\"]\n";
        std::fs::write(rig.database.path().join("club.toml"), table).expect("a file");
        come_to_their_senses(&rig, &hosts, 30, 20).await;
    }
);

on_both!(
    hosts_that_never_know_anybody_are_believed_in_the_end_and_few_readers_at_once,
    async |engine: Engine| {
        let hosts = Hosts::plain(3).await;
        let zone = zone(&["dead.example", "small.example", "fine.example"]);
        let dns = Nameserver::start(&zone).await;
        for sink in &hosts.sinks[..2] {
            sink.set_script(script("550-5.1.1"));
        }
        let readers = [
            at("dead.example", 14),
            at("small.example", 9),
            at("fine.example", 5),
        ]
        .concat();
        let send = "retry = [\"100ms\"]\ngive_up = \"1500ms\"";
        let rig = wished(engine, &hosts, &dns, readers, "", "", send).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!((counts.sent, counts.bounced, counts.expired), (5, 23, 0));
        assert_eq!(rig.pairs(SUPPRESSED).await, [(23, 0)]);
        let small = rig.rows(run).await.into_iter().filter(|row| {
            let address = row.address.as_deref();
            address.is_some_and(|address| address.ends_with("@small.example"))
        });
        assert!(small.into_iter().all(|row| row.attempts == 1), "at once");
    }
);
