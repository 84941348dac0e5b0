//! A nameserver that says "there is no such domain" of everyone is wrong, and nobody bounces by it.

use pressrun::clock::{Clock, Timestamp};
use pressrun::status::RunStatus;
use std::time::Duration;

use super::{Hosts, at, nobody_is_charged, sent, wished, zone};
use crate::deliver::rig::until;
use crate::dns::Nameserver;
use crate::harness::Engine;
use crate::on_both;

const SUPPRESSED: &str = "select count(*), cast(0 as bigint) from suppressions";

/// A zone in which all of these lead to the first sink.
fn at_one_host(domains: &[String]) -> String {
    let lines = domains
        .iter()
        .map(|domain| format!("{domain} MX 10 mx.{domain}\nmx.{domain} A 127.0.0.2\n"));
    lines.collect()
}

on_both!(
    a_nameserver_that_denies_every_domain_bounces_nobody_and_is_told,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let domains: Vec<String> = (0..12).map(|n| format!("d{n}.example")).collect();
        let readers = domains.iter().flat_map(|domain| at(domain, 2)).collect();
        let dns = Nameserver::start("").await;
        let send = "retry = [\"100ms\"]";
        let rig = wished(engine, &hosts, &dns, readers, "", "", send).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let trouble = rig.wait_trouble().await;
        assert!(trouble.contains(" domains and knows 0"), "{trouble}");
        // Many more looks than two change nothing.
        tokio::time::sleep(Duration::from_millis(500)).await;
        nobody_is_charged(&rig, run).await;
        assert_eq!(rig.balanced(run).await.queued, 24);
        assert_eq!(rig.pairs(SUPPRESSED).await, [(0, 0)]);
        dns.set(&at_one_host(&domains));
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await, sent(24));
    }
);

on_both!(
    a_nameserver_that_forgets_what_it_knew_is_not_believed_about_others,
    async |engine: Engine| {
        let hosts = Hosts::plain(2).await;
        let dns = Nameserver::start(&zone(&["fine.example"])).await;
        let readers = [at("fine.example", 5), at("late.example", 5)].concat();
        let send = "retry = [\"1s\"]";
        let mut rig = wished(engine, &hosts, &dns, readers, "", "", send).await;
        // The second look at the domain comes when it has forgotten, and no sooner.
        rig.app.clock = Clock::fixed(Timestamp(1_800_000_000_000));
        let later = || rig.app.clock.advance(Duration::from_millis(20));
        let run = rig.begin().await;
        let sending = rig.start().await;
        assert!(until(async || hosts.accepted(0) == 5).await);
        let asked = || {
            dns.asked()
                .iter()
                .filter(|one| one.starts_with("late."))
                .count()
        };
        assert!(until(async || asked() >= 1).await);
        dns.set("");
        let told = until(async || {
            later();
            !rig.trouble().await.is_empty()
        });
        assert!(told.await);
        let trouble = rig.trouble().await;
        assert!(
            trouble.contains("it denies `fine.example` too"),
            "{trouble}"
        );
        dns.set(&zone(&["fine.example", "late.example"]));
        let over = until(async || {
            later();
            rig.run(run).await.status == RunStatus::Finished
        });
        assert!(over.await, "{:?}", rig.run(run).await);
        sending.stop().await;
        assert_eq!(rig.balanced(run).await, sent(10));
        assert_eq!(rig.pairs(SUPPRESSED).await, [(0, 0)]);
    }
);

on_both!(
    a_nameserver_that_was_away_costs_no_domain_its_next_try,
    async |engine: Engine| {
        let hosts = Hosts::plain(1).await;
        let domains: Vec<String> = (0..5).map(|n| format!("d{n}.example")).collect();
        let dark: String = domains
            .iter()
            .map(|name| format!("{name} FAIL\n"))
            .collect();
        let dns = Nameserver::start(&dark).await;
        let readers = domains.iter().flat_map(|domain| at(domain, 3)).collect();
        let send = "retry = [\"1h\"]";
        let rig = wished(engine, &hosts, &dns, readers, "", "", send).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let trouble = rig.wait_trouble().await;
        assert!(trouble.contains("the DNS gives no answer"), "{trouble}");
        // Many looks; none is the domain's own.
        tokio::time::sleep(Duration::from_millis(300)).await;
        nobody_is_charged(&rig, run).await;
        dns.set(&at_one_host(&domains));
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await, sent(15));
        assert_eq!(rig.trouble().await, "");
    }
);
