//! A list's journal: who joined and who left stays as it was, however a reader moves, and agrees with how she stands.

use std::time::Duration;

use pressrun::address::EmailAddress;
use pressrun::clock::Timestamp;
use pressrun::event::Evidence;
use pressrun::id::{ListId, SubscriptionKey};
use pressrun::import::{Import, undo};
use pressrun::numbers::ListReport;
use pressrun::store::departures::Leaving;
use pressrun::store::signup::{Confirm, Confirmed};
use pressrun::store::sunset::End;
use pressrun::subscriber::Status;
use pressrun::{erasure, lists, numbers};

use super::desk::Desk;
use super::joined::{cohorts, growth, line, of};
use crate::harness::Engine;
use crate::on_both;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

impl Desk {
    async fn key(&self, name: &str) -> SubscriptionKey {
        let found = self.reader(&format!("{name}@x.example")).await;
        found.expect("a reader").1[0].key
    }

    /// The growth of the list, whose weeks must come to those who are on it.
    async fn balanced(&self) -> ListReport {
        let found = growth(&self.app).await;
        let net: i64 = found.growth.weeks.iter().map(|week| week.net).sum();
        assert_eq!(net, found.growth.subscribed, "{:?}", found.growth.weeks);
        for week in &found.growth.weeks {
            assert_eq!(week.why.values().sum::<i64>(), week.left, "{week:?}");
        }
        found
    }

    async fn one_click(&self, name: &str) {
        self.click(name, false).await;
    }

    async fn click(&self, name: &str, everywhere: bool) {
        let leaving = Leaving {
            subscription: self.key(name).await,
            delivery: None,
            id: 0,
            everywhere,
            reason: None,
            at: self.app.clock.now(),
            evidence: Evidence::default(),
        };
        let left = self.app.store.leave_group(&[leaving]).await;
        assert!(left.expect("a write")[0].changed, "{name}");
    }

    async fn confirm(&self, name: &str) {
        let at = self.app.clock.now();
        let confirm = Confirm {
            subscription: self.key(name).await,
            issued: at,
            at,
            welcome: None,
            evidence: "{}",
        };
        let done = self.app.store.confirm(&confirm).await.expect("a write");
        assert_eq!(done, Confirmed::Now, "{name}");
    }
}

on_both!(
    whoever_comes_back_leaves_the_weeks_before_as_they_were,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let (store, clock) = (&desk.app.store, &desk.app.clock);
        let names = ["form", "page", "undone", "stopped", "gone", "stays"];
        let rows: String = names
            .map(|name| format!("{name}@x.example,2026-07-14\n"))
            .concat();
        desk.import(&format!("email,joined\n{rows}")).await;
        for name in ["form", "page", "undone", "gone"] {
            desk.one_click(name).await;
        }
        let key = desk.key("form").await;
        desk.says(key, "too-often", "").await;
        desk.says(key, "too-much", "").await;
        let stopped = EmailAddress::parse("stopped@x.example").expect("an address");
        let stopped = stopped.canonical();
        let hash = desk.app.keyring.address_hash(&stopped);
        let stop = store.suppress(&stopped, &hash, "bounced", clock.now());
        assert!(stop.await.expect("a write"));
        let before = desk.balanced().await;
        assert_eq!(line(of(&before, "2026-07-13")), [6, 0, 0, 6]);
        let left = of(&before, "2026-07-27");
        assert_eq!(line(left), [0, 0, 5, -5]);
        let why: Vec<_> = left.why.iter().map(|(why, n)| (why.as_str(), *n)).collect();
        assert_eq!(why, [("bounced", 1), ("too-much", 1), ("unsaid", 3)]);

        clock.advance(WEEK);
        desk.confirm("form").await;
        let key = desk.key("page").await;
        let joined = store.join(key, ListId(1), 77, clock.now()).await;
        assert!(joined.expect("a write"));
        let key = desk.key("undone").await;
        let since = pressrun::clock::Timestamp(0);
        let back = store.come_back(key, since, false, clock.now()).await;
        assert!(back.expect("a write"));
        let allowed = store.allow(&stopped, &hash, clock.now()).await;
        assert!(allowed.expect("a write"));
        let again = store.allow(&stopped, &hash, clock.now()).await;
        assert!(!again.expect("a write"));
        let after = desk.balanced().await;
        for monday in ["2026-07-13", "2026-07-27"] {
            assert_eq!(of(&after, monday), of(&before, monday));
        }
        let now = of(&after, "2026-08-03");
        assert_eq!((line(now), now.returned), ([4, 0, 0, 4], 4));
        // They are readers of the month in which they first joined.
        assert_eq!(cohorts(&after), [("2026-07", 6, 5)]);

        clock.advance(WEEK);
        desk.one_click("form").await;
        let (gone, _) = desk.reader("gone@x.example").await.expect("a reader");
        let (page, _) = desk.reader("page@x.example").await.expect("a reader");
        for reader in [gone.id, page.id] {
            let erased = erasure::erase(&desk.app, reader).await;
            assert!(erased.expect("an erasure"));
        }
        let last = desk.balanced().await;
        for monday in ["2026-07-13", "2026-07-27", "2026-08-03"] {
            assert_eq!(of(&last, monday), of(&after, monday));
        }
        assert_eq!(line(of(&last, "2026-08-10")), [0, 0, 2, -2]);
        assert_eq!(cohorts(&last), [("2026-07", 6, 3)]);
        desk.app.store.close().await;
    }
);

on_both!(
    the_weeks_agree_with_the_list_whichever_way_readers_go,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let (store, clock) = (&desk.app.store, &desk.app.clock);
        let rows: String = (0..40).map(|n| format!("r{n}@x.example\n")).collect();
        let waits = Import {
            status: Status::Pending,
            ..desk.job("email\nwaits@x.example\nnever@x.example\n")
        };
        desk.run(&waits).await;
        assert_eq!(desk.balanced().await.growth.subscribed, 0);
        desk.confirm("waits").await;
        assert_eq!(desk.balanced().await.growth.subscribed, 1);
        let import = desk.import(&format!("email\n{rows}")).await;
        assert_eq!(desk.balanced().await.growth.subscribed, 41);
        // Nobody who has not confirmed leaves.
        desk.one_click("never").await;
        let paused = store.pause(desk.key("r0").await, clock.now(), clock.now());
        paused.await.expect("a write");
        assert_eq!(desk.balanced().await.growth.subscribed, 41);
        store.wake_paused(clock.now()).await.expect("a write");
        desk.click("r0", true).await;
        let (one, other) = (desk.key("r1").await, desk.key("r2").await);
        for (key, end) in [(one, End::Paused), (other, End::Unsubscribed)] {
            let ended = store.sunset(&[key.0], end, clock.now()).await;
            assert_eq!(ended.expect("a write"), 1);
        }
        assert_eq!(desk.balanced().await.growth.subscribed, 39);
        desk.import("email,status\nr3@x.example,unsubscribed\nr4@x.example,unsubscribed\n")
            .await;
        assert_eq!(desk.balanced().await.growth.subscribed, 37);
        // Who leaves when she is suppressed already left by that, and once.
        desk.suppress("r6@x.example").await;
        assert_eq!(desk.balanced().await.growth.subscribed, 36);
        desk.one_click("r6").await;
        let found = desk.balanced().await;
        assert_eq!(found.growth.subscribed, 36);
        assert_eq!(of(&found, "2026-07-27").why["complained"], 1);
        let import = import.import.expect("a number");
        let undone = undo::run(&desk.app, import, false).await.expect("an undo");
        assert!(undone.removed > 20, "{undone:?}");
        desk.balanced().await;
        desk.app.store.close().await;
    }
);

on_both!(
    whoever_leaves_has_left_for_some_reason,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let (store, clock) = (&desk.app.store, &desk.app.clock);
        let rows: String = (0..9).map(|n| format!("r{n}@x.example\n")).collect();
        desk.import(&format!("email\n{rows}")).await;
        clock.advance(Duration::from_secs(60));
        let why = async |desk: &Desk| {
            let found = desk.balanced().await;
            let why = of(&found, "2026-07-27").why.clone().into_iter();
            why.map(|(why, number)| format!("{number} {why}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let off = desk
            .import("email,status\nr0@x.example,unsubscribed\nr1@x.example,unsubscribed\n")
            .await;
        let quiet = desk.key("r2").await;
        let ended = store
            .sunset(&[quiet.0], End::Unsubscribed, clock.now())
            .await;
        assert_eq!(ended.expect("a write"), 1);
        let gone = store.take_off(desk.key("r3").await, clock.now()).await;
        assert!(gone.expect("a write"));
        desk.one_click("r4").await;
        assert_eq!(why(&desk).await, "1 author, 2 import, 1 sunset, 1 unsaid");
        // What she says herself goes before what ended it for her.
        desk.says(quiet, "other", "I was away").await;
        assert_eq!(why(&desk).await, "1 author, 2 import, 1 other, 1 unsaid");
        // She comes back and leaves again: by her own hand this time.
        clock.advance(Duration::from_secs(60));
        desk.confirm("r3").await;
        clock.advance(Duration::from_secs(60));
        desk.one_click("r3").await;
        assert_eq!(why(&desk).await, "1 author, 2 import, 1 other, 2 unsaid");
        let undone = undo::run(&desk.app, off.import.expect("a number"), false).await;
        assert_eq!(undone.expect("an undo").put_back, 2);
        assert_eq!(why(&desk).await, "1 author, 1 other, 2 unsaid");
        desk.one_click("r0").await;
        assert_eq!(why(&desk).await, "1 author, 1 other, 3 unsaid");
        // Who leaves by her own hand after the author took her off has left herself, whichever way she does it.
        for name in ["r5", "r6"] {
            let gone = store.take_off(desk.key(name).await, clock.now()).await;
            assert!(gone.expect("a write"));
        }
        assert_eq!(why(&desk).await, "3 author, 1 other, 3 unsaid");
        clock.advance(Duration::from_secs(60));
        let by_mail = desk.key("r5").await;
        let changed = store.leave(by_mail, clock.now()).await;
        assert!(!changed.expect("a write"), "she had been taken off");
        let by_link = Leaving {
            subscription: desk.key("r6").await,
            delivery: None,
            id: 0,
            everywhere: true,
            reason: Some(("too-often".into(), String::new())),
            at: clock.now(),
            evidence: Evidence::default(),
        };
        store.leave_group(&[by_link]).await.expect("a write");
        assert_eq!(why(&desk).await, "1 author, 1 other, 1 too-often, 4 unsaid");
        for name in ["r5", "r6"] {
            let key = desk.key(name).await;
            let back = store.put_back(key, Timestamp(0), clock.now()).await;
            assert!(!back.expect("a write"), "{name} left herself");
        }
        desk.app.store.close().await;
    }
);

on_both!(
    the_journal_of_the_time_before_the_upgrade_is_what_was_counted_then,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email,joined\na@x.example,2026-07-14\nb@x.example,2026-07-15\nc@x.example,\n")
            .await;
        desk.one_click("a").await;
        let key = desk.key("a").await;
        desk.says(key, "too-often", "").await;
        let (b, _) = desk.reader("b@x.example").await.expect("a reader");
        let erased = erasure::erase(&desk.app, b.id).await;
        assert!(erased.expect("an erasure"));
        let before = desk.balanced().await;
        let all = include_str!("../../../migrations/postgres/0032_journal.sql");
        let (_, fill) = all
            .split_once("add column returned_at bigint;")
            .expect("columns");
        let (fill, _) = fill
            .split_once("drop table erasures;")
            .expect("the old table");
        // By days, and then by quarter hours.
        let all = include_str!("../../../migrations/postgres/0044_quarter_hours.sql");
        let (_, then) = all.split_once("primary key").expect("a table");
        let (_, then) = then.split_once(";\n\n").expect("its end");
        let (then, _) = then.split_once("drop table").expect("the old table");
        for step in [
            "alter table journal rename to journal_by_quarters",
            "create table journal (
                list_id bigint not null, what text not null, day bigint not null, why text not null,
                part bigint not null, number bigint not null
            )",
            "create table erasures (
                list_id bigint not null, what text not null, day bigint not null, why text not null,
                number bigint not null
            )",
            "insert into erasures values
                (1, 'joined', (select min(quarter) / 96 + 1 from journal_by_quarters), '', 1),
                (1, 'left', (select min(quarter) / 96 from journal_by_quarters where what = 'left'), 'erased', 1)",
            "delete from journal_by_quarters",
            fill.trim().trim_end_matches(';'),
            then.trim().trim_end_matches(';'),
            "drop table erasures",
            "drop table journal",
            "alter table journal_by_quarters rename to journal",
        ] {
            desk.database.raw(step).await;
        }
        let list = lists::find(&desk.app, "weekly").await.expect("the list");
        let after = numbers::list(&desk.app, &list).await.expect("numbers");
        assert_eq!(after.growth, before.growth);
        desk.app.store.close().await;
    }
);

on_both!(
    weeks_and_months_are_those_of_the_publications_zone_whichever_it_becomes,
    async |engine: Engine| {
        let mut desk = Desk::new(engine).await;
        // A Sunday evening in New York, a Monday in Berlin; and the end of May in both but not in Auckland.
        desk.import(
            "email,joined\na@x.example,2026-07-12T22:30:00Z\nb@x.example,2026-05-31T16:00:00Z\n",
        )
        .await;
        let dead = EmailAddress::parse("a@x.example").expect("an address");
        let dead = dead.canonical();
        let hash = desk.app.keyring.address_hash(&dead);
        // Half past ten on a Sunday evening in UTC.
        desk.app
            .clock
            .advance(Duration::from_secs(62 * 3_600 + 1_800));
        let at = desk.app.clock.now();
        let stop = desk.app.store.suppress(&dead, &hash, "bounced", at);
        assert!(stop.await.expect("a write"));
        for (zone, joined, lost, month) in [
            ("UTC", "2026-07-06", "2026-07-27", "2026-05"),
            ("Europe/Berlin", "2026-07-13", "2026-08-03", "2026-05"),
            ("America/New_York", "2026-07-06", "2026-07-27", "2026-05"),
            ("Pacific/Auckland", "2026-07-13", "2026-08-03", "2026-06"),
        ] {
            let mut config = (*desk.app.config).clone();
            config.publication.timezone = zone.into();
            desk.app.config = std::sync::Arc::new(config);
            let found = desk.balanced().await;
            assert_eq!(found.growth.zone, zone);
            assert_eq!(line(of(&found, joined)), [1, 0, 0, 1], "{zone}");
            assert_eq!(line(of(&found, lost)), [0, 0, 1, -1], "{zone}");
            assert_eq!(
                cohorts(&found),
                [(month, 1, 1), ("2026-07", 1, 0)],
                "{zone}"
            );
        }
        desk.app.store.close().await;
    }
);
