//! What the author is told: readers and machines told apart, counted as it was played, whatever is killed.

use std::time::Duration;

use insta::assert_snapshot;
use pressrun::clock::Timestamp;
use pressrun::event::{Event, EventKind, Evidence};
use pressrun::id::{DeliveryKey, RunId};
use pressrun::numbers::{self, log};
use pressrun::stats::usual::Standing;
use pressrun::token::Claim;
use pressrun::track::fold;

use super::site::{NOON, RUN, TestSite, delivery, unsubscribe};
use crate::harness::Engine;
use crate::on_both;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15";
const GMAIL: &str =
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";

pub fn reader() -> Evidence {
    Evidence {
        agent: FIREFOX.into(),
        network: "9b1c2d3e4f506172".into(),
        language: true,
        ..Evidence::default()
    }
}

pub fn seen(seq: u32, link: Option<u32>, second: i64, evidence: &Evidence) -> Event {
    Event {
        kind: match link {
            Some(_) => EventKind::Click,
            None => EventKind::Open,
        },
        delivery: delivery(seq),
        link,
        // The copies were settled five seconds before noon.
        at: Timestamp(NOON.0 - 5_000 + second * 1_000),
        evidence: evidence.clone(),
    }
}

/// Forty readers: half of them at Gmail, some who read, some machines.
pub async fn monday(site: &TestSite) {
    site.seed_run(40).await;
    site.db
        .exec(
            "update subscribers set canonical = 'r' || id || '@gmail.com' where id % 2 = 0;
             update links set name = 'b\u{1b}[2Jx' where link = 2",
        )
        .await;
    let (me, gmail, phone, apple, curl) = (
        reader(),
        Evidence {
            agent: GMAIL.into(),
            ..Evidence::default()
        },
        Evidence {
            agent: IPHONE.into(),
            ..reader()
        },
        Evidence {
            agent: "Mozilla/5.0".into(),
            ..Evidence::default()
        },
        Evidence {
            agent: "curl/8.5\u{1b}[31m".into(),
            ..Evidence::default()
        },
    );
    let mut events = Vec::new();
    for seq in (0..20).step_by(2) {
        events.push(seen(seq, None, 900 + i64::from(seq) * 600, &gmail));
    }
    for seq in (1..9).step_by(2) {
        events.push(seen(seq, None, 3_700, &phone));
        events.push(seen(seq, Some(0), 3_760, &phone));
        events.push(seen(seq, Some(1), 4_000, &phone));
    }
    events.push(seen(11, Some(0), 7_300, &me));
    events.push(seen(11, Some(0), 9_000, &me));
    for seq in 21..26 {
        events.push(seen(seq, None, 2, &apple));
    }
    // A gateway follows all of them at once; a script asks for one.
    for seq in [30, 32] {
        for link in 0..3 {
            events.push(seen(seq, Some(link), 60 + i64::from(link), &me));
        }
    }
    events.push(seen(33, Some(2), 600, &curl));
    let stored = site.app.store.record_events(&events, true).await;
    stored.expect("a write");
}

on_both!(
    monday_morning_is_told_in_readers_with_machines_apart,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let none = "no run yet; `pressrun send ISSUE` starts the first\n".to_owned();
        assert_eq!(site.command(&["stats"]), (Some(0), none, String::new()));
        monday(&site).await;
        let leave = format!("/u/{}", site.token(unsubscribe(39)));
        assert_eq!(
            site.post(&leave, "List-Unsubscribe=One-Click").await.status,
            200
        );
        let (code, text, error) = site.command(&["stats", "week-1"]);
        assert_eq!((code, error.as_str()), (Some(0), ""));
        assert_snapshot!("stats_issue", text);
        let (code, text, _) = site.command(&["stats"]);
        assert_eq!(code, Some(0));
        assert_snapshot!("stats_runs", text);
        let (code, text, _) = site.command(&["stats", "week-1", "--csv"]);
        assert_eq!(code, Some(0));
        assert_snapshot!("stats_csv", text);
        let (code, text, _) = site.command(&["stats", "week-1", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(code, Some(0));
        assert_eq!(
            (&json["raw_opened"], &json["raw_opens"]),
            (&19.into(), &19.into())
        );
        let judged = &json["judged"];
        // One of them clicked and loaded no picture.
        assert_eq!(judged["opened"]["part"], 15);
        assert_eq!(judged["openers"]["gmail"], 10);
        assert_eq!(judged["openers"]["apple"], 5);
        assert_eq!(judged["clicked"]["part"], 5);
        assert_eq!(judged["clickers"]["machine"], 3);
        assert_eq!(json["links"][0]["judged"]["readers"]["part"], 5);
        assert_eq!(json["links"][0]["judged"]["clicks"]["machine"], 2);
        let (code, text, _) = site.command(&["links", "week-1", "--json"]);
        let links: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(code, Some(0));
        let read = |link: usize| {
            (
                &links["links"][link]["readers"],
                &links["links"][link]["clicks"],
            )
        };
        assert_eq!(read(0), (&5.into(), &6.into()));
        assert_eq!(read(2), (&0.into(), &0.into()));
        assert_eq!(json["usual"]["clicked"]["standing"], "not-enough-data");
        let (code, text, error) = site.command(&["stats", "week-\u{1b}2"]);
        let said =
            "error: no run of `week-\u{fffd}2` was ever begun; `pressrun status` lists the runs\n";
        assert_eq!((code, text.as_str(), error.as_str()), (Some(1), "", said));
        site.db
            .exec("update blocks set sent = 39 where run_id = 2")
            .await;
        let (code, text, _) = site.command(&["stats", "week-1"]);
        assert_eq!(code, Some(3));
        let said =
            "the states add up to 39 and the recipients are 40; run `pressrun verify week-1`\n";
        assert!(text.ends_with(said), "{text}");
        site.stop().await;
    }
);

on_both!(
    every_event_is_shown_with_its_rule_and_nothing_of_it_moves_the_terminal,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        monday(&site).await;
        let (code, text, error) = site.command(&["events", "week-1"]);
        assert_eq!((code, error.as_str()), (Some(0), ""));
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert_snapshot!("events", text);
        let (_, text, _) = site.command(&["events", "week-1", "--json"]);
        let json: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json.len(), 36);
        let curl = json.iter().find(|event| event["delivery"] == 33);
        let curl = curl.expect("an event");
        assert_eq!(
            (&curl["verdict"], &curl["rule"]),
            (&"machine".into(), &"known-agent".into())
        );
        assert_eq!(curl["after"], 600);
        site.stop().await;
    }
);

on_both!(
    numbers_judged_again_from_the_log_are_the_same_and_those_of_older_rules_are_thrown_away,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        monday(&site).await;
        let tallies = "select count(*) * 1000000 + cast(sum(number) as bigint) from tallies where number <> 0";
        let judged =
            "select count(*) from judged where clicked = 'human' or opened in ('human', 'gmail')";
        fold::catch_up(&site.app.store).await.expect("a fold");
        let before = (site.db.number(tallies).await, site.db.number(judged).await);
        assert_eq!(before.1, 15);
        // As an older program left it: other verdicts, under other rules.
        site.db
            .exec(
                "update tallies set number = number + 7;
                 update judged set clicked = 'machine', opened = 'machine';
                 update event_fold set rules = 0",
            )
            .await;
        let (code, _, _) = site.command(&["stats", "week-1"]);
        assert_eq!(code, Some(0));
        let parts = "delete from tallies where what in ('sent', 'bounced')";
        site.db.exec(parts).await;
        assert_eq!(
            (site.db.number(tallies).await, site.db.number(judged).await),
            before
        );
        site.db.exec("update judged set clicked = null").await;
        let (code, text, _) = site.command(&["events", "rescore"]);
        assert_eq!(
            (code, text.starts_with("every event was judged by rules")),
            (Some(0), true)
        );
        assert_eq!(
            (site.db.number(tallies).await, site.db.number(judged).await),
            before
        );
        assert_eq!(
            site.counter("opens").await,
            19,
            "counters are not counted twice"
        );
        site.stop().await;
    }
);

on_both!(
    an_issue_is_held_against_the_last_eight_of_its_list,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(40).await;
        // The first fold of a database forgets what is in the tallies.
        fold::catch_up(&site.app.store).await.expect("a fold");
        for run in 3..14 {
            let clicked = match run {
                // Too long ago; a system's run; and another list's.
                3 | 4 => 1_000,
                13 => 150,
                _ => 90 + run % 3,
            };
            site.db
                .exec(&format!(
                    "insert into runs (id, kind, slug, title, list_id, revision, headers, relay, policy,
                         status, cutoff, frozen_to, recipients, created_at, started_at)
                     values ({run}, 'issue', 'issue-{run}', 'Issue {run}', 1, 'rev', '{{}}', 'main', 'hold',
                         'finished', 0, 0, 1000, {run}, {run});
                     insert into blocks (run_id, block, sent, departed) values ({run}, 0, 1000, 2);
                     insert into tallies (run_id, part, bucket, what, number)
                     values ({run}, 'run', '', 'clicked:human', {clicked})"
                ))
                .await;
        }
        site.db
            .exec("update runs set list_id = 2 where id = 12")
            .await;
        let report = numbers::issue(&site.app, RunId(13)).await;
        let report = report.expect("a read").expect("a run");
        let runs: Vec<i64> = report
            .usual
            .issues
            .iter()
            .map(|issue| issue.run.0)
            .collect();
        assert_eq!(runs, [11, 10, 9, 8, 7, 6, 5, 4]);
        site.db
            .exec("update blocks set sent = 0 where run_id = 4")
            .await;
        let report = numbers::issue(&site.app, RunId(13)).await;
        let report = report.expect("a read").expect("a run");
        assert_eq!(
            report.usual.issues.len(),
            8,
            "who reached nobody is not compared with"
        );
        let text = site.command(&["stats", "issue-13"]).1;
        assert!(text.contains("last 8 issues"), "{text}");
        site.db
            .exec("update blocks set sent = 0 where run_id in (2, 3)")
            .await;
        let report = numbers::issue(&site.app, RunId(13)).await;
        let report = report.expect("a read").expect("a run");
        assert_eq!(report.usual.clicked.standing, Standing::More);
        assert_eq!(report.usual.departed.standing, Standing::AsUsual);
        site.stop().await;
    }
);

on_both!(
    a_list_is_told_by_week_and_by_the_month_in_which_its_readers_joined,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        monday(&site).await;
        fold::catch_up(&site.app.store).await.expect("a fold");
        let at = NOON.0;
        site.db
            .exec(&format!(
                "update subscriptions set confirmed_at = {at} - 86400000 * (key - 1000) where list_id = 1;
                 update subscriptions set status = 'unsubscribed', left_at = {at} - 86400000
                 where key in (1003, 1035);
                 insert into leave_reasons (subscription, at, reason, words)
                 values (1003, {at} - 86400000, 'too-often', '=1+1');
                 insert into suppressions (hash, reason, created_at)
                 select u.hash, 'bounced', {at} - 2 * 86400000
                 from subscribers u join subscriptions s on s.subscriber_id = u.id where s.key = 1005"
            ))
            .await;
        let list = site
            .app
            .store
            .list("weekly")
            .await
            .expect("a read")
            .expect("a list");
        let found = numbers::list(&site.app, &list).await.expect("numbers");
        let week = found.growth.weeks.last().expect("a week");
        assert_eq!(
            (week.monday.as_str(), week.left, week.why["too-often"]),
            ("2026-10-26", 3, 1)
        );
        assert_eq!(week.why["bounced"], 1);
        assert_eq!(found.growth.statuses["suppressed"], 1);
        let cohorts: Vec<_> = found
            .growth
            .cohorts
            .iter()
            .map(|cohort| {
                (
                    cohort.month.as_str(),
                    cohort.joined,
                    cohort.subscribed,
                    cohort.clicking,
                )
            })
            .collect();
        assert_eq!(
            cohorts,
            [
                ("2026-09", 8, 7, Some(0)),
                ("2026-10", 31, 29, Some(3)),
                ("2026-11", 1, 1, Some(0))
            ]
        );
        assert_eq!(found.growth.subscribed, 37);
        let (code, text, _) = site.command(&["stats", "--list", "weekly"]);
        assert_eq!(code, Some(0));
        assert!(
            text.contains("The Weekly (weekly): 37 readers at "),
            "{text}"
        );
        let (_, text, _) = site.command(&["stats", "--list", "weekly", "--csv"]);
        assert!(text.contains("month,2026-10,clicking,3,UTC\n"), "{text}");
        let (_, text, _) = site.command(&["stats", "--list", "weekly", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["subscribed"], 37);
        // Weeks and months are those of the publication's zone.
        assert_eq!(json["zone"], "UTC");
        let (_, text, _) = site.command(&["stats", "--list", "weekly"]);
        assert!(text.contains("\nweek of  "), "{text}");
        assert!(text.contains("\njoined in  "), "{text}");
        for path in ["/numbers", "/lists/1"] {
            let page = site.ask_admin(path, "localhost").await.text();
            assert!(page.contains(">Week of</th>"), "{page}");
            assert!(page.contains(">Month</th>"), "{page}");
        }
        site.stop().await;
    }
);

on_both!(
    watching_ends_with_the_run_and_says_a_line_where_there_is_no_terminal,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        monday(&site).await;
        let (code, text, error) = site.command(&["stats", "week-1", "--watch", "--until-finished"]);
        assert_eq!((code, error.as_str()), (Some(0), ""));
        let said = "finished: 40 of 40 sent; 5 readers clicked, 15 opened, 0 left\n";
        assert_eq!(text, said);
        site.stop().await;
    }
);

on_both!(
    opens_over_http_are_told_apart_by_who_asks,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        site.app.clock.advance(Duration::from_secs(3_600));
        let open = |seq| format!("/o/{}", site.token(Claim::Open(delivery(seq))));
        site.send("GET", &open(0), &[("User-Agent", FIREFOX)], "")
            .await;
        site.send("GET", &open(1), &[("User-Agent", "Mozilla/5.0")], "")
            .await;
        // Trusted to say for whom it asks: a scanner's network, of which only the name is kept.
        let scanner = [("User-Agent", FIREFOX), ("X-Forwarded-For", "64.235.150.9")];
        site.send("GET", &open(2), &scanner, "").await;
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        let report = numbers::issue(&site.app, RUN)
            .await
            .expect("a read")
            .expect("a run");
        let openers = report.judged.openers;
        assert_eq!((openers.human, openers.apple, openers.machine), (1, 1, 1));
        let kept = site
            .db
            .text("select evidence from events where seq = 2")
            .await;
        let kept = kept.expect("an event");
        assert!(
            kept.contains("barracuda") && !kept.contains("64.235"),
            "{kept}"
        );
        let key = DeliveryKey { run: RUN, seq: 0 };
        let events = log::events(&site.app, RUN, -1, 10).await;
        let events = events.expect("a read").events;
        assert_eq!((events.len(), events[0].delivery), (3, key.seq));
        site.stop().await;
    }
);
