//! Readers who leave while the database takes no writes: the answer is kept, and comes into force.

use pressrun::token::Claim;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use crate::deliver::rig::until;
use crate::harness::{Engine, block_on};
use crate::http::site::{TestSite, unsubscribe};

#[test]
fn who_leaves_while_the_database_is_locked_has_left() {
    block_on(async {
        let site = TestSite::new(Engine::Sqlite).await;
        site.seed_run(4).await;
        let file = site.app.base.join("pressrun.db");
        let options = SqliteConnectOptions::new().filename(file);
        let mut other = options.connect().await.expect("a connection");
        other.execute("begin exclusive").await.expect("the lock");
        let links: Vec<String> = (0..3)
            .map(|seq| format!("/u/{}", site.token(unsubscribe(seq))))
            .collect();
        let one_click = "List-Unsubscribe=One-Click";
        let (first, second, third) = tokio::join!(
            site.post(&links[0], one_click),
            site.post(&links[1], "answer=leave&reason=often"),
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
        let emptied = until(async || std::fs::read(&journal).is_ok_and(|found| found.is_empty()));
        assert!(emptied.await);
        site.stop().await;
    });
}

#[test]
fn a_journal_that_a_killed_process_left_is_in_force_before_anything_is_sent() {
    block_on(async {
        let site = TestSite::new(Engine::Sqlite).await;
        site.seed_run(3).await;
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
        site.stop().await;
    });
}
