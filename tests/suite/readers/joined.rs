//! When readers joined, and that they left, as segments and the growth of a list count it.

use std::time::Duration;

use pressrun::address::EmailAddress;
use pressrun::app::App;
use pressrun::id::{ListId, SubscriberId};
use pressrun::import::{Import, undo};
use pressrun::numbers::ListReport;
use pressrun::run::whom;
use pressrun::stats::growth::Week;
use pressrun::subscriber::Status;
use pressrun::{erasure, lists, numbers};

use super::desk::{Desk, NOON};
use crate::harness::Engine;
use crate::on_both;

/// Of one who joined in 2019, one on Tuesday, 14 July 2026, and one of whom nothing is said.
const MOVED: &str =
    "email,joined\nold@x.example,2019-05-06\nyoung@x.example,2026-07-14\nbare@x.example,\n";

pub async fn growth(app: &App) -> ListReport {
    let list = lists::find(app, "weekly").await.expect("the list");
    numbers::list(app, &list).await.expect("numbers")
}

/// Joined, imported, left and net.
pub fn line(week: &Week) -> [i64; 4] {
    [week.joined, week.imported, week.left, week.net]
}

pub fn of<'a>(report: &'a ListReport, monday: &str) -> &'a Week {
    let weeks = &report.growth.weeks;
    let found = weeks.iter().find(|week| week.monday == monday);
    found.unwrap_or_else(|| panic!("no week {monday}"))
}

pub fn cohorts(report: &ListReport) -> Vec<(&str, i64, i64)> {
    let each = report.growth.cohorts.iter();
    each.map(|cohort| (cohort.month.as_str(), cohort.joined, cohort.subscribed))
        .collect()
}

async fn in_segment(app: &App, said: &str) -> i64 {
    let sieve = whom::read(app, "the segment", said).expect("a segment");
    let at = app.clock.now();
    let count = app
        .store
        .in_segment(ListId(1), &sieve.filter, true, at)
        .await;
    count.expect("a count").readers
}

async fn id(desk: &Desk, address: &str) -> SubscriberId {
    desk.reader(address).await.expect("a reader").0.id
}

on_both!(
    readers_joined_when_their_file_says_so_and_were_imported_where_it_does_not,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let app = &desk.app;
        let first = desk.import(MOVED).await.import.expect("a number");
        let as_moved = async || {
            let found = growth(app).await;
            assert_eq!(line(of(&found, "2026-07-13")), [1, 0, 0, 1]);
            assert_eq!(line(of(&found, "2026-07-27")), [0, 1, 0, 1]);
            assert_eq!(cohorts(&found), [("2019-05", 1, 1), ("2026-07", 2, 2)]);
            assert_eq!(in_segment(app, "joined < 2026-01-01").await, 1);
            assert_eq!(in_segment(app, "joined = 2026-07-14").await, 1);
            assert_eq!(in_segment(app, "joined:1d").await, 1);
            let (_, held) = desk.reader("old@x.example").await.expect("a reader");
            assert_eq!(
                held[0].confirmed_at,
                Some(app.clock.now()),
                "a freeze goes by this"
            );
        };
        as_moved().await;
        let known = desk.import(MOVED).await.tally;
        assert_eq!((known.known, known.added), (3, 0));
        as_moved().await;
        // Whom both imports vouch for stays with the second.
        let undone = undo::run(app, first, false).await.expect("an undo");
        assert_eq!((undone.removed, undone.stayed), (0, 3));
        as_moved().await;
        app.store.close().await;
    }
);

on_both!(
    an_import_that_was_taken_back_leaves_nothing_in_the_weeks_and_comes_again_as_it_was,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        for _ in 0..2 {
            let import = desk.import(MOVED).await.import.expect("a number");
            assert_eq!(cohorts(&growth(&desk.app).await).len(), 2);
            let undone = undo::run(&desk.app, import, false).await.expect("an undo");
            assert_eq!((undone.removed, undone.stayed), (3, 0));
            let found = growth(&desk.app).await;
            assert!(cohorts(&found).is_empty());
            assert!(found.growth.weeks.iter().all(|week| line(week) == [0; 4]));
        }
        desk.app.store.close().await;
    }
);

on_both!(
    who_waited_is_confirmed_as_the_reader_of_her_file_and_who_comes_back_joins_now,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let app = &desk.app;
        let pending = Import {
            status: Status::Pending,
            ..desk.job("email\nold@x.example\nbare@x.example\n")
        };
        desk.run(&pending).await;
        assert!(
            cohorts(&growth(app).await).is_empty(),
            "who waits has not joined"
        );
        let confirmed = Import {
            confirm: true,
            ..desk.job(MOVED)
        };
        assert_eq!(desk.run(&confirmed).await.tally.confirmed, 2);
        let found = growth(app).await;
        assert_eq!(cohorts(&found), [("2019-05", 1, 1), ("2026-07", 2, 2)]);
        desk.leave("old@x.example").await;
        app.clock.advance(Duration::from_secs(7 * 86_400));
        let (_, other) = desk.reader("old@x.example").await.expect("a reader");
        let back = app
            .store
            .join(other[0].key, ListId(1), 77, app.clock.now())
            .await;
        assert!(back.expect("a write"));
        let found = growth(app).await;
        assert_eq!(line(of(&found, "2026-07-27")), [0, 1, 1, 0]);
        assert_eq!(line(of(&found, "2026-08-03")), [1, 0, 0, 1]);
        assert_eq!(of(&found, "2026-08-03").returned, 1);
        assert_eq!(cohorts(&found), [("2019-05", 1, 1), ("2026-07", 2, 2)]);
        app.store.close().await;
    }
);

on_both!(
    readers_who_were_imported_before_the_upgrade_joined_when_their_file_said_so,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import(MOVED).await;
        let (_, held) = desk.reader("young@x.example").await.expect("a reader");
        let later = NOON.0 + 60_000;
        desk.database
            .raw(&format!(
                "update subscriptions set joined_at = null;
                 update subscriptions set confirmed_at = {later} where key = {}",
                held[0].key
            ))
            .await;
        let all = include_str!("../../../migrations/postgres/0027_joined.sql");
        let (_, update) = all
            .split_once("add column joined_at bigint;")
            .expect("a column");
        desk.database.raw(update.trim().trim_end_matches(';')).await;
        let found = growth(&desk.app).await;
        assert_eq!(cohorts(&found), [("2019-05", 1, 1), ("2026-07", 2, 2)]);
        // Who confirmed once more has joined then, by her own hand.
        assert_eq!(line(of(&found, "2026-07-13")), [0, 0, 0, 0]);
        assert_eq!(line(of(&found, "2026-07-27")), [1, 1, 0, 2]);
        desk.app.store.close().await;
    }
);

on_both!(
    an_erased_reader_stays_in_the_weeks_as_one_who_joined_and_left_and_as_nobody,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let app = &desk.app;
        desk.import(&format!(
            "{MOVED}gone@x.example,2026-07-14\nbounced@x.example,2026-07-15\nstays@x.example,2026-07-16\n"
        ))
        .await;
        desk.import("email,status\nwaits@x.example,pending\n").await;
        desk.leave("gone@x.example").await;
        let (_, gone) = desk.reader("gone@x.example").await.expect("a reader");
        let store = &app.store;
        desk.says(gone[0].key, "too-much", "she wrote this").await;
        let address = EmailAddress::parse("bounced@x.example").expect("an address");
        let canonical = address.canonical();
        let hash = app.keyring.address_hash(&canonical);
        let bounced = store.suppress(&canonical, &hash, "bounced", NOON);
        assert!(bounced.await.expect("a write"));
        let before = growth(app).await;
        assert_eq!(line(of(&before, "2026-07-13")), [4, 0, 0, 4]);
        assert_eq!(line(of(&before, "2026-07-27")), [0, 1, 2, -1]);
        app.clock.advance(Duration::from_secs(7 * 86_400));
        for who in ["gone", "bounced", "young", "bare", "waits"] {
            let reader = id(&desk, &format!("{who}@x.example")).await;
            assert!(
                erasure::erase(app, reader).await.expect("an erasure"),
                "{who}"
            );
        }
        let after = growth(app).await;
        // The weeks that were stay as they were.
        assert_eq!(of(&after, "2026-07-13"), of(&before, "2026-07-13"));
        assert_eq!(of(&after, "2026-07-27"), of(&before, "2026-07-27"));
        let now = of(&after, "2026-08-03");
        assert_eq!((line(now), now.why["erased"]), ([0, 0, 2, -2], 2));
        assert_eq!(after.growth.subscribed, 2);
        assert_eq!(cohorts(&after), [("2019-05", 1, 1), ("2026-07", 5, 1)]);
        let kept = desk.lines().await;
        for who in ["gone@", "bounced@", "young@", "she wrote this"] {
            assert!(!kept.contains(who), "{who}");
        }
        app.store.close().await;
    }
);
