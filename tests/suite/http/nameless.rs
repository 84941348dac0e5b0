//! What an event that names nobody says of when it was: too little to find whose it is.

use std::time::Duration;

use pressrun::event::{Event, EventKind, Evidence};
use pressrun::token::Claim;

use super::counted::json;
use super::numbers::{reader, seen};
use super::privacy::{config, named_by_nobody};
use super::site::{NOON, TestSite, delivery, unsubscribe};
use crate::harness::Engine;
use crate::on_both;

on_both!(
    nameless_events_tell_no_more_of_their_time_than_the_hour_nor_what_came_first,
    async |engine: Engine| {
        let site = TestSite::with(engine, &config("tracking = \"anonymous\""), |_| {}).await;
        site.seed_run(20).await;
        named_by_nobody(&site).await;
        let agent = |seq: u8| format!("Reader-{}/133.0", char::from(b'A' + seq));
        for seq in 0..20 {
            site.app.clock.advance(Duration::from_millis(61_001));
            let open = format!("/o/{}", site.token(Claim::Open(delivery(u32::from(seq)))));
            site.send("GET", &open, &[("User-Agent", &agent(seq))], "")
                .await;
        }
        // She leaves a moment after she has read, and that is noted by name.
        let leave = format!("/u/{}", site.token(unsubscribe(19)));
        let headers = [
            ("User-Agent", agent(19)),
            (
                "Content-Type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
        ];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        site.send("POST", &leave, &headers, "List-Unsubscribe=One-Click")
            .await;
        let hour = NOON.0;
        let first = hour * 2_097_152;
        for (what, number) in [
            ("pseudonym is not null".to_owned(), 20),
            (format!("pseudonym is not null and at = {hour}"), 20),
            // An id is made of a time, too.
            (format!("pseudonym is not null and id >= {first}"), 0),
            ("kind = 'unsubscribe' and seq = 19".to_owned(), 1),
            (
                "evidence like '%network%' or evidence like '%133%'".to_owned(),
                0,
            ),
        ] {
            let events = format!("select count(*) from events where {what}");
            assert_eq!(site.db.number(&events).await, number, "{what}");
        }
        // The letters are in the order of time.
        let pairs = "select count(*) from events a join events b on a.evidence < b.evidence
            where a.pseudonym is not null and b.pseudonym is not null";
        assert_eq!(site.db.number(pairs).await, 190);
        let turned = site.db.number(&format!("{pairs} and a.id > b.id")).await;
        assert!((20..170).contains(&turned), "{turned} of 190");
        // They are counted all the same, and what comes by name behind them is, too.
        assert_eq!(site.counter("opens").await, 20);
        assert_eq!(site.counter("departed").await, 1);
        site.stop().await;
    }
);

on_both!(
    who_reads_her_copy_in_a_browser_is_an_opener_without_a_name_too,
    async |engine: Engine| {
        let site = TestSite::with(engine, &config("tracking = \"anonymous\""), |_| {}).await;
        site.seed_run(20).await;
        named_by_nobody(&site).await;
        let curl = Evidence {
            agent: "curl/8.5".into(),
            ..Evidence::default()
        };
        let open = |seq| seen(seq, None, 900, &reader());
        let view = |seq, evidence: &Evidence| Event {
            kind: EventKind::View,
            ..seen(seq, None, 900, evidence)
        };
        // Once is enough, whichever way; a machine that looks has not opened it.
        for events in [
            vec![view(0, &reader()), view(1, &reader())],
            vec![open(1), open(2), view(3, &curl)],
        ] {
            site.app
                .store
                .record_anonymously(&events, true, &site.app.chance, &mut None)
                .await
                .expect("a write");
        }
        let found = json(&site, &["stats", "week-1", "--json"]);
        assert_eq!(found["judged"]["opened"]["part"], 3, "{found:#}");
        assert_eq!(site.counter("opens").await, 2);
        site.stop().await;
    }
);
