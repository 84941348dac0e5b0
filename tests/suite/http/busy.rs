//! Readers who leave while the database takes no writes: the answer is kept, and comes into force.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use pressrun::store::Store;
use pressrun::token::Claim;
use pressrun::track::journal::Journal;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use crate::deliver::rig::until;
use crate::harness::{Engine, block_on};
use crate::http::site::{TestSite, unsubscribe};
use crate::on_both;

#[test]
fn who_leaves_while_the_database_is_locked_has_left() {
    block_on(async {
        let site = TestSite::new(Engine::Sqlite).await;
        site.seed_run(4).await;
        let file = site.app.base.join("pressrun.db");
        let options = SqliteConnectOptions::new().filename(file);
        // She gets nothing else, so that a goodbye is her last mail.
        site.db
            .exec("delete from subscriptions where key = 101001")
            .await;
        let mut other = options.connect().await.expect("a connection");
        other.execute("begin exclusive").await.expect("the lock");
        let links: Vec<String> = (0..3)
            .map(|seq| format!("/u/{}", site.token(unsubscribe(seq))))
            .collect();
        let one_click = "List-Unsubscribe=One-Click";
        let (first, second, third) = tokio::join!(
            site.post(&links[0], one_click),
            site.post(&links[1], "answer=leave&reason=too-much&words=Every+day"),
            site.post(&links[2], "answer=leave-all"),
        );
        for answer in [&first, &second, &third] {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let journal = site.app.path(&site.app.config.paths.state);
        let journal = journal.join("leaving.journal");
        let kept = std::fs::read_to_string(&journal).expect("a journal");
        assert_eq!(kept.lines().count(), 3, "{kept}");
        assert_eq!(site.status(1000).await, "confirmed", "as long as the lock");
        other.execute("rollback").await.expect("the lock's end");
        let left = until(async || {
            let mut left = 0;
            for key in [1000, 1001, 1002] {
                left += usize::from(site.status(key).await == "unsubscribed");
            }
            left == 3
        });
        assert!(left.await);
        assert_eq!(site.status(1003).await, "confirmed");
        let why = "select reason || ': ' || words from leave_reasons where subscription = 1001";
        assert_eq!(
            site.db.text(why).await.as_deref(),
            Some("too-much: Every day")
        );
        let all = "select count(*) from subscriptions where status = 'unsubscribed'";
        assert_eq!(site.db.number(all).await, 4, "the third left two lists");
        let emptied = until(async || std::fs::read(&journal).is_ok_and(|found| found.is_empty()));
        assert!(emptied.await);
        // Once each, whichever of queue and journal came first; who clicked in her mail program gets none.
        let goodbyes = "select count(*) from system_mails m join deliveries d
                            on d.run_id = m.run_id and d.seq = m.seq
                        where m.kind = 'goodbye' and d.subscriber_id in (1001, 1002)";
        assert_eq!(site.db.number(goodbyes).await, 2);
        let all = "select count(*) from system_mails where kind = 'goodbye'";
        assert_eq!(site.db.number(all).await, 2);
        site.stop().await;
    });
}

async fn bring_in(journal: Journal, store: Store) {
    while !journal.bring_in(&store).await.expect("a try") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn the_journal_is_brought_in_by_one_at_a_time() {
    block_on(async {
        let site = TestSite::new(Engine::Sqlite).await;
        site.seed_run(2).await;
        let folder = site.app.path(&site.app.config.paths.state);
        std::fs::create_dir_all(&folder).expect("a folder");
        let journal = Journal::of(&site.app);
        let file = site.app.base.join("pressrun.db");
        let mut other = SqliteConnectOptions::new()
            .filename(file)
            .connect()
            .await
            .expect("a connection");
        other.execute("begin exclusive").await.expect("the lock");
        let Claim::Unsubscribe(subscription, delivery) = unsubscribe(0) else {
            unreachable!("it is one");
        };
        let line = serde_json::json!({ "leaving": {
            "id": 5, "subscription": subscription, "delivery": delivery,
            "at": site.app.clock.now(), "evidence": {},
        }});
        std::fs::write(folder.join("leaving.journal"), format!("{line}\n")).expect("a file");
        let first = tokio::spawn(bring_in(journal.clone(), site.app.store.clone()));
        // Whoever is at it waits for the database, and the next one does not wait for him.
        let store = &site.app.store;
        let refused = async || {
            let asked = tokio::time::timeout(Duration::from_millis(200), journal.bring_in(store));
            matches!(asked.await, Ok(Ok(false)))
        };
        assert!(until(refused).await);
        other.execute("rollback").await.expect("the lock's end");
        first.await.expect("no panic");
        assert!(!journal.is_pending());
        assert_eq!(site.status(1000).await, "unsubscribed");
        site.stop().await;
    });
}

on_both!(
    a_leaving_that_is_being_written_down_while_the_journal_is_brought_in_is_kept,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let folder = site.app.path(&site.app.config.paths.state);
        std::fs::create_dir_all(&folder).expect("a folder");
        let line = |seq: u32| {
            let Claim::Unsubscribe(subscription, delivery) = unsubscribe(seq) else {
                unreachable!("it is one");
            };
            let line = serde_json::json!({ "leaving": {
                "id": seq + 1, "subscription": subscription, "delivery": delivery,
                "at": site.app.clock.now(), "evidence": {},
            }});
            format!("{line}\n")
        };
        let journal = Journal::of(&site.app);
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .create(true)
            .open(folder.join("leaving.journal"));
        let mut file = file.expect("a file");
        let second = line(1);
        let (begun, rest) = second.split_at(second.len() / 2);
        // As whoever writes a line holds the file, of which the disk shows a part before all of it is there.
        file.lock().expect("a lock");
        let text = format!("{}{begun}", line(0));
        file.write_all(text.as_bytes()).expect("a disk");
        let bringing = tokio::spawn(bring_in(journal.clone(), site.app.store.clone()));
        assert!(until(async || site.status(1000).await == "unsubscribed").await);
        file.write_all(rest.as_bytes()).expect("a disk");
        file.unlock().expect("a lock");
        bringing.await.expect("no panic");
        assert_eq!(site.status(1001).await, "unsubscribed");
        assert!(!journal.is_pending());
        site.stop().await;
    }
);

#[test]
fn a_journal_that_a_killed_process_left_is_in_force_before_anything_is_sent() {
    block_on(async {
        let site = TestSite::new(Engine::Sqlite).await;
        site.seed_run(3).await;
        site.db
            .exec("delete from subscriptions where key = 101001")
            .await;
        let folder = site.app.path(&site.app.config.paths.state);
        std::fs::create_dir_all(&folder).expect("a folder");
        let line = |seq: u32| {
            let Claim::Unsubscribe(subscription, delivery) = unsubscribe(seq) else {
                unreachable!("it is one");
            };
            serde_json::json!({
                "leaving": {
                    "subscription": subscription, "delivery": delivery, "left": false,
                    "at": site.app.clock.now(), "evidence": {},
                },
                "everywhere": false,
                "goodbye": (seq == 1).then_some("goodbye"),
            })
        };
        // The last was cut by the power: nobody was told that it is kept.
        let text = format!(
            "{}\nnot one of ours\n{}\n{{\"leaving\": {{\"sub",
            line(0),
            line(1)
        );
        std::fs::write(folder.join("leaving.journal"), text).expect("a file");
        let (_say, stop) = tokio::sync::watch::channel(false);
        let taken = pressrun::deliver::Engine::take(site.app.clone(), stop).await;
        taken.expect("an engine");
        assert_eq!(site.status(1000).await, "unsubscribed");
        assert_eq!(site.status(1001).await, "unsubscribed");
        assert_eq!(site.status(1002).await, "confirmed");
        let goodbyes = "select d.subscriber_id from system_mails m join deliveries d
                            on d.run_id = m.run_id and d.seq = m.seq
                        where m.kind = 'goodbye' and d.state = 'queued'";
        assert_eq!(site.db.number(goodbyes).await, 1001);
        site.stop().await;
    });
}

on_both!(
    a_leaving_that_is_brought_in_twice_takes_nobody_off_who_has_come_back,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let folder = site.app.path(&site.app.config.paths.state);
        std::fs::create_dir_all(&folder).expect("a folder");
        let Claim::Unsubscribe(subscription, delivery) = unsubscribe(0) else {
            unreachable!("it is one");
        };
        let leaving = |id: i64, at| {
            let line = serde_json::json!({ "leaving": {
                "id": id, "subscription": subscription, "delivery": delivery, "everywhere": true,
                "at": at, "evidence": {}, "reason": ["too-much", "Every day"],
            }});
            std::fs::write(folder.join("leaving.journal"), format!("{line}\n")).expect("a file");
        };
        let brought_in = async || {
            let (_say, stop) = tokio::sync::watch::channel(false);
            let taken = pressrun::deliver::Engine::take(site.app.clone(), stop).await;
            drop(taken.expect("an engine"));
        };
        let asked = site.app.clock.now();
        leaving(77, asked);
        brought_in().await;
        assert_eq!(site.status(1000).await, "unsubscribed");
        assert_eq!(site.status(101_000).await, "unsubscribed");
        assert_eq!(site.counter("departed").await, 1);
        let path = format!("/u/{}", site.token(unsubscribe(0)));
        assert_eq!(site.post(&path, "answer=return").await.status, 200);
        assert_eq!(site.status(1000).await, "confirmed");
        // Its process was killed before it emptied the journal. No clock says which of the two came first.
        leaving(77, asked.after(Duration::from_secs(7_200)));
        brought_in().await;
        assert_eq!(site.status(1000).await, "confirmed");
        assert_eq!(site.status(101_000).await, "confirmed");
        let why = "select count(*) from leave_reasons";
        assert_eq!(site.db.number(why).await, 0);
        // Another wish of hers is one.
        leaving(78, asked.after(Duration::from_secs(7_200)));
        brought_in().await;
        assert_eq!(site.status(1000).await, "unsubscribed");
        assert_eq!(site.db.number(why).await, 1);
        site.stop().await;
    }
);
