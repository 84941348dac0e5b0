//! Copies that count nothing: they stand in no share, and what was not counted is never nobody.

use std::fmt::Write;

use pressrun::id::RunId;
use pressrun::numbers;
use pressrun::reply::Reply;
use pressrun::stats::usual::Standing;
use pressrun::store::returned::Bounce;
use pressrun::track::fold;
use serde_json::Value;

use super::numbers::{monday, reader, seen};
use super::privacy::named_by_nobody;
use super::site::{NOON, RUN, TestSite, delivery};
use crate::harness::Engine;
use crate::on_both;

/// The copies of these deliveries have no pixel, and their links lead straight to their targets.
async fn untracked(site: &TestSite, seqs: &str) {
    let untracked = "update deliveries set copy = '{\"untracked\":true}' where run_id = 2 and seq";
    site.db.exec(&format!("{untracked} {seqs}")).await;
}

/// Readers of the first copies open it, and the first of these click, too.
pub async fn played(site: &TestSite, opened: u32, clicked: u32) {
    let me = reader();
    let mut events = Vec::new();
    for seq in 0..opened {
        events.push(seen(seq, None, 900 + i64::from(seq), &me));
        if seq < clicked {
            events.push(seen(seq, Some(0), 2_900 + i64::from(seq), &me));
        }
    }
    let stored = site.app.store.record_events(&events, true).await;
    stored.expect("a write");
}

pub fn json(site: &TestSite, command: &[&str]) -> Value {
    let (code, text, error) = site.command(command);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{command:?}");
    serde_json::from_str(&text).expect("JSON")
}

pub fn said(site: &TestSite, command: &[&str]) -> String {
    let (code, text, error) = site.command(command);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{command:?}");
    text
}

/// Asserts that a text has these words, however its columns stand.
#[track_caller]
pub fn has(text: &str, wanted: &[&str]) {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in wanted {
        assert!(text.contains(words), "{words}: {text}");
    }
}

pub async fn page(site: &TestSite, path: &str) -> String {
    let page = site.ask_admin(path, "localhost").await;
    assert_eq!(page.status, 200, "{path}");
    page.text()
}

/// An issue whose copies have counted links and no pixel.
const WITHOUT_PIXEL: &str = r#"{"slug":"week-1","title":"Week 1","subject":[],"preheader":[],
    "html":[{"literal":"<a href='"},{"slot":{"click":0}},{"literal":"'>x</a>"}],"text":[],
    "links":[{"url":"https://one.example/","name":"1"}],"images":[]}"#;

on_both!(
    who_is_not_counted_stands_in_no_share,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(80).await;
        untracked(&site, ">= 40").await;
        played(&site, 32, 20).await;
        let text = said(&site, &["stats", "week-1"]);
        has(
            &text,
            &[
                "clicked 20 50.0 % 35.2 to 64.8 %",
                "opened 32 80.0 % 65.2 to 89.5 %",
                "40 of the 80 copies count nothing",
                "shares of the other 40",
                "other domains 80 0 0 20 (50.0 %) 32 (80.0 %)",
            ],
        );
        let found = json(&site, &["stats", "week-1", "--json"]);
        assert_eq!(found["judged"]["uncounted"]["clicks"], 40);
        assert_eq!(found["judged"]["opened"]["whole"], 40);
        assert_eq!(found["links"][0]["judged"]["readers"]["whole"], 40);
        assert_eq!(found["judged"]["departed"]["whole"], 80);
        assert_eq!(found["rates"]["raw_opened"], 0.8);
        let csv = said(&site, &["stats", "week-1", "--csv"]);
        for row in [
            "run,,clicked,20,40,0.5",
            "run,,no-clicks,40,",
            "provider,other domains,opened,32,40,0.8",
        ] {
            assert!(csv.contains(&format!("\n{row}")), "{row}: {csv}");
        }
        let numbers = page(&site, "/runs/2/numbers").await;
        assert!(numbers.contains("65.2 to 89.5 %"), "{numbers}");
        assert!(
            numbers.contains("40 of the 80 copies count nothing"),
            "{numbers}"
        );
        let runs = said(&site, &["stats"]);
        assert!(runs.contains("20 (50.0 %)  32 (80.0 %)"), "{runs}");
        // What is counted may be too little to say anything.
        untracked(&site, ">= 20").await;
        site.db.exec("update blocks set counted_sent = -1").await;
        let text = said(&site, &["stats", "week-1"]);
        has(&text, &["32 not enough data"]);
        // Who is erased was not counted before either.
        let key = pressrun::id::SubscriberId(1_079);
        let erased = site.app.store.erase(key, &[], NOON).await;
        assert!(erased.expect("a write"));
        site.db.exec("update blocks set counted_sent = -1").await;
        let found = json(&site, &["stats", "week-1", "--json"]);
        assert_eq!(found["judged"]["uncounted"]["opens"], 60);
        site.stop().await;
    }
);

on_both!(
    where_nothing_is_counted_nothing_is_said_of_readers,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(40).await;
        untracked(&site, ">= 0").await;
        let text = said(&site, &["stats", "week-1"]);
        has(
            &text,
            &[
                "clicked - not counted",
                "opened - not counted",
                "opens and clicks of it were not counted: `privacy.tracking` was \"off\"",
                "- - - - 1 of 3",
            ],
        );
        assert_eq!(
            text.matches("0.0 to 8.8 %").count(),
            1,
            "of leavings: {text}"
        );
        let found = json(&site, &["stats", "week-1", "--json"]);
        let judged = &found["judged"];
        for name in ["clicked", "opened"] {
            for key in ["part", "whole", "share", "low"] {
                assert!(judged[name][key].is_null(), "{name} {key}: {judged}");
            }
            assert_eq!(found["usual"][name]["standing"], "not-counted");
        }
        assert!(judged["opens"]["human"].is_null() && judged["clicks"]["machine"].is_null());
        assert!(found["links"][0]["judged"]["readers"]["part"].is_null());
        assert!(found["rates"]["raw_opened"].is_null());
        assert_eq!(judged["departed"]["whole"], 40);
        let csv = said(&site, &["stats", "week-1", "--csv"]);
        let rows = csv
            .lines()
            .filter(|row| row.contains("clicked") || row.contains("opened"));
        assert_eq!(rows.count(), 0, "{csv}");
        let all = json(&site, &["stats", "--json"]);
        assert!(all[0]["clicked_by_readers"]["part"].is_null());
        let runs = said(&site, &["stats"]);
        assert!(runs.contains("-: not counted, or not told\n"), "{runs}");
        let watched = said(&site, &["stats", "week-1", "--watch", "--until-finished"]);
        assert_eq!(
            watched,
            "finished: 40 of 40 sent; clicks are not counted, opens are not counted, 0 left\n"
        );
        let links = json(&site, &["links", "week-1", "--json"]);
        assert!(links["links"][0]["readers"].is_null() && links["links"][0]["clicks"].is_null());
        for path in ["/runs/2/numbers", "/runs/2", "/numbers", "/"] {
            let page = page(&site, path).await;
            assert!(
                page.to_lowercase().contains("not counted"),
                "{path}: {page}"
            );
            assert!(page.matches("0.0 to 8.8 %").count() < 2, "{path}: {page}");
        }
        site.stop().await;
    }
);

on_both!(
    where_no_copy_has_a_pixel_who_clicked_is_not_all_who_opened,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(40).await;
        let content = WITHOUT_PIXEL.replace('\'', "''");
        site.db
            .exec(&format!(
                "update revisions set content = '{content}' where hash = 'rev'"
            ))
            .await;
        let me = reader();
        let clicks: Vec<_> = (0..12).map(|seq| seen(seq, Some(0), 900, &me)).collect();
        let stored = site.app.store.record_events(&clicks, true).await;
        stored.expect("a write");
        let text = said(&site, &["stats", "week-1"]);
        has(&text, &["clicked 12 30.0 %"]);
        has(&text, &["opened - not counted"]);
        has(&text, &["it has no pixel (`tracking.opens`)"]);
        let found = json(&site, &["stats", "week-1", "--json"]);
        assert_eq!(found["judged"]["clicked"]["part"], 12);
        assert!(found["judged"]["opened"]["part"].is_null());
        assert!(found["judged"]["hours"][0]["opened"].is_null());
        assert!(found["judged"]["devices"][0]["opened"].is_null());
        let csv = said(&site, &["stats", "week-1", "--csv"]);
        assert!(!csv.contains(",opened,"), "{csv}");
        let page = page(&site, "/runs/2/numbers").await;
        assert!(page.contains("it has no pixel"), "{page}");
        site.stop().await;
    }
);

on_both!(
    an_issue_that_was_not_counted_is_no_measure_and_not_measured,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        fold::catch_up(&site.app.store).await.expect("a fold");
        for run in 3..9 {
            let counted = match run {
                7 => "('no-clicks', 80), ('no-opens', 80)",
                _ => "('opened:human', 32), ('clicked:human', 8)",
            };
            site.db
                .exec(&format!(
                    "insert into runs (id, kind, slug, title, list_id, revision, headers, relay, policy,
                         status, cutoff, frozen_to, recipients, created_at, started_at, finished_at)
                     values ({run}, 'issue', 'issue-{run}', 'Issue {run}', 1, 'rev', '{{}}', 'main', 'hold',
                         'finished', 0, 0, 80, {run}, {run}, {run});
                     insert into blocks (run_id, block, sent, counted_sent) values ({run}, 0, 80, 80);
                     insert into tallies (run_id, part, bucket, what, number)
                     select {run}, 'run', '', column1, column2 from (values {counted}) as v"
                ))
                .await;
        }
        let report = async |run: i64| {
            let report = numbers::issue(&site.app, RunId(run)).await;
            report.expect("a read").expect("a run").usual
        };
        let off = report(7).await;
        assert_eq!(off.opened.standing, Standing::NotCounted);
        assert_eq!(
            (off.clicked.standing, off.clicked.band),
            (Standing::NotCounted, None)
        );
        let text = said(&site, &["stats", "issue-7"]);
        has(&text, &["not compared: it was not counted"]);
        assert!(!text.contains("less than usual"), "{text}");
        // The first run is too small to say anything, and the seventh was not counted.
        let after = report(8).await;
        assert_eq!(
            (after.opened.standing, after.opened.issues),
            (Standing::AsUsual, 4)
        );
        let mean = after.opened.band.expect("a band").mean;
        assert!((mean - 0.4).abs() < 1e-9, "{mean}");
        site.stop().await;
    }
);

on_both!(
    who_read_a_copy_that_came_back_is_no_reader_of_those_who_got_it,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(40).await;
        played(&site, 30, 10).await;
        let text = said(&site, &["stats", "week-1"]);
        has(&text, &["opened 30 75.0 %"]);
        let reply = Reply::ours("5.1.1", "no such user");
        let bounce = Bounce {
            key: delivery(3),
            reply: &reply,
            at: NOON,
        };
        assert!(site.app.store.note_bounce(&bounce).await.expect("a write"));
        let came = |found: &Value| {
            let judged = &found["judged"];
            ["clicked", "opened"].map(|name| {
                let share = &judged[name];
                (share["part"].as_i64(), share["whole"].as_i64())
            })
        };
        let expected = [(Some(9), Some(39)), (Some(29), Some(39))];
        let found = json(&site, &["stats", "week-1", "--json"]);
        assert_eq!(came(&found), expected);
        assert_eq!(found["links"][0]["judged"]["readers"]["part"], 9);
        assert_eq!(found["judged"]["providers"][0]["opened"]["part"], 29);
        // Judged again from the log it is the same.
        said(&site, &["events", "rescore"]);
        assert_eq!(came(&json(&site, &["stats", "week-1", "--json"])), expected);
        // Of a segment, too: who opened this issue is nobody whom it did not reach.
        let opened = ["stats", "week-1", "--segment", "opened:week-1"];
        let text = said(&site, &opened);
        has(
            &text,
            &["recipients 29", "sent 29", "opened 29 not enough data"],
        );
        site.stop().await;
    }
);

on_both!(
    a_segment_is_told_in_shares_of_the_copies_that_count_with_their_intervals,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(80).await;
        untracked(&site, ">= 70").await;
        played(&site, 35, 14).await;
        let asked = ["stats", "week-1", "--segment", "domain:example.org"];
        let text = said(&site, &asked);
        has(
            &text,
            &[
                "clicked 14 20.0 % 12.3 to 30.8 %",
                "opened 35 50.0 % 38.6 to 61.4 %",
                "10 of the copies count nothing",
            ],
        );
        let found = json(&site, &[&asked[..], &["--json"]].concat());
        let numbers = &found["numbers"];
        assert_eq!(
            (&numbers["sent"], &numbers["uncounted"]),
            (&80.into(), &10.into())
        );
        assert_eq!(numbers["opened"]["whole"], 70);
        assert_eq!(numbers["opened"]["share"], 0.5);
        let csv = said(&site, &[&asked[..], &["--csv"]].concat());
        assert!(
            csv.contains("\nsegment,domain:example.org,opened,35,70,0.500000,"),
            "{csv}"
        );
        named_by_nobody(&site).await;
        let found = json(&site, &[&asked[..], &["--json"]].concat());
        assert!(found["numbers"]["opened"]["part"].is_null());
        assert_eq!(found["numbers"]["departed"]["part"], 0);
        site.stop().await;
    }
);

on_both!(
    who_clicks_is_not_told_where_clicks_name_nobody,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        monday(&site).await;
        fold::catch_up(&site.app.store).await.expect("a fold");
        let weekly = ["stats", "--list", "weekly"];
        let found = json(&site, &[&weekly[..], &["--json"]].concat());
        assert_eq!(found["cohorts"][0]["clicking"], 5);
        // As if the run had been counted without names, and as if nothing of it had been counted.
        let mut ways = vec!["delete from pseudonym_keys;
            insert into tallies (run_id, part, bucket, what, number) values (2, 'run', '', 'no-clicks', 40)"];
        named_by_nobody(&site).await;
        loop {
            let found = json(&site, &[&weekly[..], &["--json"]].concat());
            assert!(found["cohorts"][0]["clicking"].is_null(), "{found}");
            assert_eq!(found["issues"]["untold"], 1);
            let text = said(&site, &weekly);
            assert!(
                text.contains("clicking: not told, as clicks of the last issue name nobody"),
                "{text}"
            );
            assert!(!text.contains("clicked in one of the last 8"), "{text}");
            let csv = said(&site, &[&weekly[..], &["--csv"]].concat());
            assert!(!csv.contains("clicking"), "{csv}");
            let page = page(&site, "/numbers").await;
            assert!(page.contains(">not told<"), "{page}");
            let Some(way) = ways.pop() else { break };
            site.db.exec(way).await;
        }
        site.stop().await;
    }
);

on_both!(
    machines_of_a_run_without_names_are_told_alike_wherever_they_stand,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(40).await;
        named_by_nobody(&site).await;
        let mut curl = reader();
        curl.agent = "curl/8.5".into();
        let me = reader();
        let events = [
            seen(0, None, 900, &me),
            seen(1, None, 900, &curl),
            seen(0, Some(0), 950, &me),
            seen(1, Some(0), 950, &curl),
        ];
        let stored = site
            .app
            .store
            .record_anonymously(&events, true, &site.app.chance, &mut None)
            .await;
        stored.expect("a write");
        let text = said(&site, &["stats", "week-1"]);
        has(&text, &["2 opens in all, 1 of them by machines"]);
        assert!(!text.contains("clicks in all"), "{text}");
        let found = json(&site, &["stats", "week-1", "--json"]);
        let judged = &found["judged"];
        assert_eq!(judged["opens"]["machine"], 1);
        assert!(judged["clicks"]["machine"].is_null() && judged["clickers"]["machine"].is_null());
        assert!(found["links"][0]["judged"]["clicks"]["machine"].is_null());
        assert!(judged["machine_clicks"]["part"].is_null());
        let csv = said(&site, &["stats", "week-1", "--csv"]);
        assert!(csv.contains("\nrun,machine,opens,1,"), "{csv}");
        assert!(
            !csv.contains("run,machine,clicks") && !csv.contains("clicks:machine"),
            "{csv}"
        );
        let mut shown = String::new();
        for path in ["/runs/2/numbers", "/numbers"] {
            write!(shown, "{}", page(&site, path).await).expect("a string takes all");
        }
        assert!(shown.contains("not told"), "{shown}");
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        site.stop().await;
    }
);

on_both!(
    a_group_whose_commit_was_not_heard_of_is_stored_once,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        let (store, me) = (&site.app.store, reader());
        let events = [seen(0, None, 900, &me), seen(1, Some(0), 901, &me)];
        let mut tried = None;
        for _ in 0..2 {
            let stored = store.record_events_once(&events, true, &mut tried).await;
            stored.expect("a write");
        }
        let all = "select count(*) from events where run_id = 2";
        assert_eq!(site.db.number(all).await, 2);
        store.record_events(&events, true).await.expect("a write");
        assert_eq!(
            site.db.number(all).await,
            4,
            "another group of the same kind is another"
        );
        site.stop().await;
    }
);
