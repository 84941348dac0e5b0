//! A provider's own pace: a rate is kept, and who has more mail than room gets it in turns.

use std::time::{Duration, Instant};

use pressrun::smtp::sink::SinkOptions;

use super::{Hosts, at, rig, sent, zone};
use crate::dns::Nameserver;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    a_rate_of_ones_own_is_kept_and_the_others_do_not_wait,
    async |engine: Engine| {
        let hosts = Hosts::plain(2).await;
        let dns = Nameserver::start(&zone(&["slow.example", "fine.example"])).await;
        let readers = [at("slow.example", 5), at("fine.example", 15)].concat();
        let rig = rig(engine, &hosts, &dns, readers, "providers = \"slow.toml\"").await;
        let table =
            "[[provider]]\nname = \"slow\"\nmx = [\"slow.example\"]\nmessages_per_minute = 60\n";
        std::fs::write(rig.database.path().join("slow.toml"), table).expect("a file");
        let run = rig.begin().await;
        let begun = Instant::now();
        assert_eq!(rig.finish(run).await, sent(20));
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_secs(4),
            "five at one a second: {took:?}"
        );
        let times = hosts.sinks[0].accepted();
        let times: Vec<i64> = times.iter().map(|message| message.time.0).collect();
        let last = hosts.sinks[1].accepted();
        let last = last.iter().map(|message| message.time.0).max();
        let last = last.expect("fifteen messages");
        assert!(
            last < times[4],
            "the others were done before: {last} {times:?}"
        );
    }
);

on_both!(
    a_provider_with_more_mail_than_room_gets_it_in_turns_and_nobody_is_charged,
    async |engine: Engine| {
        let slow = SinkOptions {
            delay: Duration::from_millis(20),
            ..SinkOptions::default()
        };
        let hosts = Hosts::listen(vec![slow, SinkOptions::default()]).await;
        let dns = Nameserver::start(&zone(&["big.example", "fine.example"])).await;
        // Twice as many as one provider may keep waiting, and behind them the others.
        let readers = [at("big.example", 260), at("fine.example", 20)].concat();
        let rig = rig(engine, &hosts, &dns, readers, "").await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await, sent(280));
        let rows = rig.rows(run).await;
        assert!(rows.iter().all(|row| row.attempts == 1));
        let first = hosts.sinks[1].accepted();
        let first = first.iter().map(|message| message.time.0).max();
        let last = hosts.sinks[0].accepted();
        let last = last.iter().map(|message| message.time.0).max();
        assert!(first < last, "the others did not wait for all of them");
    }
);
