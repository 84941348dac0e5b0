//! Counting behind the log: what is counted is what was played, wherever it is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use pressrun::chance::Chance;
use pressrun::event::Event;
use pressrun::numbers;
use pressrun::store::folds;
use pressrun::track::fold;
use sqlx::{AssertSqlSafe, Row};

use super::db::Db;
use super::numbers::{reader, seen};
use super::site::{RUN, TestSite};
use crate::harness::Engine;
use crate::on_both;

/// What was played, counted apart from the program.
#[derive(Debug, Default, PartialEq, Eq)]
struct Played {
    opens: i64,
    clicks: i64,
    opened: i64,
    clicked: i64,
    links: BTreeMap<u32, (i64, i64)>,
}

fn played(events: &[Event]) -> Played {
    let mut all = Played::default();
    let (mut opened, mut clicked) = (BTreeSet::new(), BTreeSet::new());
    let mut readers = BTreeSet::new();
    for event in events {
        match event.link {
            None => {
                all.opens += 1;
                all.opened += i64::from(opened.insert(event.delivery));
            }
            Some(link) => {
                all.clicks += 1;
                all.clicked += i64::from(clicked.insert(event.delivery));
                let counts = all.links.entry(link).or_default();
                counts.0 += i64::from(readers.insert((event.delivery, link)));
                counts.1 += 1;
            }
        }
    }
    all
}

async fn counted(site: &TestSite) -> Played {
    let mut all = Played {
        opens: site.counter("opens").await,
        clicks: site.counter("clicks").await,
        opened: site.counter("opened").await,
        clicked: site.counter("clicked").await,
        links: BTreeMap::new(),
    };
    for link in 0..3 {
        let one = |column: &str| {
            format!(
                "select coalesce(max({column}), 0) from link_counts where run_id = 2 and link = {link}"
            )
        };
        let readers = site.db.number(&one("readers")).await;
        let clicks = site.db.number(&one("clicks")).await;
        if clicks > 0 {
            all.links.insert(link, (readers, clicks));
        }
    }
    all
}

on_both!(
    what_is_counted_is_what_was_played_wherever_the_counting_is_killed,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        // Whoever is killed shall have something to count: the site itself counts nothing here.
        site.tracker.close().await;
        site.seed_run(300).await;
        let chance = Chance::seeded(7);
        let evidence = reader();
        let random = |below: i64| u32::try_from(chance.key() % below).expect("small");
        let mut events: Vec<Event> = (0..1_200)
            .map(|_| {
                let link = (random(3) == 0).then(|| random(3));
                seen(random(300), link, i64::from(random(90_000)), &evidence)
            })
            .collect();
        for group in events.chunks(100) {
            site.app
                .store
                .record_events(group, true)
                .await
                .expect("a write");
        }
        for point in [
            "before@1", "before@2", "after@1", "after@1", "before@3", "after@2",
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_pressrun"))
                .arg("--config")
                .arg(site.app.base.join("pressrun.toml"))
                .args(["stats", "week-1"])
                .env("PRESSRUN_FAILPOINT", format!("store::folds/{point}=abort"))
                .output()
                .expect("the program runs");
            assert_eq!(output.status.code(), None, "killed at {point}");
            // Others come meanwhile, at any time.
            let late = seen(random(300), None, 90_000, &evidence);
            let stored = site
                .app
                .store
                .record_events(std::slice::from_ref(&late), true)
                .await;
            stored.expect("a write");
            events.push(late);
        }
        assert_eq!(counted(&site).await, played(&events));
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        let report = numbers::issue(&site.app, RUN)
            .await
            .expect("a read")
            .expect("a run");
        let judged = report.judged;
        assert_eq!(
            (judged.opens.total(), judged.clicks.total()),
            (report.run.opens, report.run.clicks)
        );
        // Who clicked has opened, too.
        let openers = "select count(*) from deliveries d where d.run_id = 2 and (
            d.opened_at is not null or exists (
                select 1 from judged j where j.run_id = d.run_id and j.seq = d.seq and j.clicked = 'human'))";
        assert_eq!(judged.openers.total(), site.db.number(openers).await);
        assert!(judged.openers.total() > report.run.opened);
        // Two at once count nothing twice either.
        site.db.exec("update event_fold set rules = 0").await;
        let (one, two) = tokio::join!(
            fold::catch_up(&site.app.store),
            fold::catch_up(&site.app.store)
        );
        one.and(two).expect("folds");
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        let again = numbers::issue(&site.app, RUN)
            .await
            .expect("a read")
            .expect("a run");
        assert_eq!(again.judged, judged);
        site.stop().await;
    }
);

#[test]
fn a_fold_finds_each_row_by_its_key() {
    crate::harness::block_on(async {
        let site = TestSite::new(Engine::Sqlite).await;
        let Db::Sqlite(pool) = &site.db else {
            panic!("SQLite was asked for");
        };
        let plan = async |statement: &str| -> Vec<String> {
            let text = AssertSqlSafe(format!("explain query plan {statement}"));
            let rows = sqlx::query(text).fetch_all(pool).await.expect("a plan");
            rows.iter().map(|row| row.get(3)).collect()
        };
        for (statement, key) in [
            (
                folds::FIRSTS,
                "SEARCH deliveries USING PRIMARY KEY (run_id=? AND seq=?)",
            ),
            (
                folds::GAINS,
                "SEARCH blocks USING PRIMARY KEY (run_id=? AND block=?)",
            ),
        ] {
            let steps = plan(statement).await;
            assert!(steps.iter().any(|step| step == key), "{steps:?}");
        }
        site.stop().await;
    });
}
