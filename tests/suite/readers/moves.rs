//! What an import did to readers of before is put back with it, and what came later stands.

use std::time::Duration;

use pressrun::import::{Import, Summary, undo};
use pressrun::subscriber::Status;

use super::desk::Desk;
use crate::harness::{Engine, block_on};
use crate::on_both;

fn number(summary: &Summary) -> i64 {
    summary.import.expect("a number")
}

async fn later(desk: &Desk, text: &str) -> Summary {
    desk.app.clock.advance(Duration::from_secs(60));
    desk.import(text).await
}

on_both!(
    readers_whom_an_import_took_off_are_back_when_it_is_taken_back,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let mut text = String::from("email\nrests@x.example\nacts@x.example\nbad@x.example\n");
        (0..600).for_each(|n| text.push_str(&format!("r{n}@x.example\n")));
        desk.import(&text).await;
        desk.database
            .raw(
                "update subscriptions set status = 'paused', paused_until = 1900000000000
                 where subscriber_id = (select id from subscribers where canonical = 'rests@x.example')",
            )
            .await;
        let before = desk.exported().await;
        let off = text
            .replace("email\n", "email,active\n")
            .replace("example\n", "example,no\n");
        let off = format!("{off}stranger@x.example,no\n");
        let dry = Import {
            dry_run: true,
            ..desk.job(&off)
        };
        let said = desk.run(&dry).await.tally;
        assert_eq!(
            (said.taken_off, said.left),
            (603, 1),
            "named before it is done"
        );
        let wrong = later(&desk, &off).await;
        assert_eq!((wrong.tally.taken_off, wrong.tally.left), (603, 1));
        assert_eq!(
            desk.status("rests@x.example").await,
            Some(Status::Unsubscribed)
        );
        let (_, rests) = desk.reader("rests@x.example").await.expect("a reader");
        let ended = desk
            .app
            .store
            .taken_off_by(rests[0].key)
            .await
            .expect("a read");
        assert_eq!(ended, Some((rests[0].key, number(&wrong))));
        // Her own word on the link of an old mail, and a complaint: these stand.
        let (_, held) = desk.reader("acts@x.example").await.expect("a reader");
        assert!(
            !desk
                .app
                .store
                .leave(held[0].key, desk.app.clock.now())
                .await
                .expect("a write")
        );
        desk.suppress("bad@x.example").await;
        let look = undo::run(&desk.app, number(&wrong), true)
            .await
            .expect("a look");
        assert_eq!((look.removed, look.put_back, look.left.moved), (1, 601, 2));
        let done = undo::run(&desk.app, number(&wrong), false)
            .await
            .expect("an undo");
        assert_eq!((done.removed, done.put_back, done.left.moved), (1, 601, 2));
        let stays = |line: &&str| !line.starts_with("acts@") && !line.starts_with("bad@");
        let after = desk.exported().await;
        let lines = |text: &str| {
            text.lines()
                .filter(stays)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lines(&after),
            lines(&before),
            "exactly where the import found them"
        );
        assert_eq!(
            desk.status("acts@x.example").await,
            Some(Status::Unsubscribed)
        );
        assert_eq!(
            desk.status("bad@x.example").await,
            Some(Status::Unsubscribed)
        );
        let imports = desk.app.store.imports().await.expect("a read");
        assert_eq!(imports[1].put_back, 601);
        desk.app.store.close().await;
    }
);

on_both!(
    readers_whom_an_import_confirmed_wait_again_when_it_is_taken_back,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "email\na@x.example\nmailed@x.example\n";
        let pending = Import {
            status: Status::Pending,
            ..desk.job(text)
        };
        desk.run(&pending).await;
        desk.app.clock.advance(Duration::from_secs(60));
        let said = Import {
            confirm: true,
            ..desk.job(text)
        };
        let confirming = desk.run(&said).await;
        assert_eq!(confirming.tally.confirmed, 2);
        desk.database
            .raw(
                "insert into runs (id, kind, slug, title, list_id, headers, relay, policy, status, cutoff,
                     frozen_to, recipients, created_at)
                 values (2, 'issue', 'w', 'W', 1, '{}', 'main', 'hold', 'finished', 0, 0, 1, 0);
                 insert into deliveries (run_id, seq, subscriber_id, state, due_at)
                 select 2, 0, id, 'sent', 0 from subscribers where canonical = 'mailed@x.example'",
            )
            .await;
        let done = undo::run(&desk.app, number(&confirming), false)
            .await
            .expect("an undo");
        assert_eq!((done.put_back, done.left.moved), (1, 1));
        let (_, held) = desk.reader("a@x.example").await.expect("a reader");
        assert_eq!(
            (held[0].status, held[0].confirmed_at),
            (Status::Pending, None)
        );
        assert_eq!(
            desk.status("mailed@x.example").await,
            Some(Status::Confirmed)
        );
        desk.app.store.close().await;
    }
);

on_both!(
    that_a_reader_left_by_the_word_of_a_later_import_outlasts_the_undo_of_the_first,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "email,status\nleft@x.example,unsubscribed\nreads@x.example,active\n";
        let first = desk.import(text).await;
        let second = later(&desk, text).await;
        assert_eq!(second.tally.unsubscribed, 1);
        let done = undo::run(&desk.app, number(&first), false)
            .await
            .expect("an undo");
        assert_eq!((done.removed, done.stayed), (0, 2));
        // A plain list does not bring back who left by a word that stands.
        let third = later(&desk, "email\nleft@x.example\n").await;
        assert_eq!((third.tally.added, third.tally.unsubscribed), (0, 1));
        assert_eq!(
            desk.status("left@x.example").await,
            Some(Status::Unsubscribed)
        );
        // With the second, too, nobody says so any more.
        undo::run(&desk.app, number(&second), false)
            .await
            .expect("an undo");
        assert!(desk.reader("left@x.example").await.is_none());
        desk.app.store.close().await;
    }
);

/// Two imports take one reader off: whichever is taken back first, she is back with the second.
#[test]
fn who_was_taken_off_twice_is_back_once_both_are_taken_back() {
    block_on(async {
        for first_first in [true, false] {
            let desk = Desk::new(Engine::Sqlite).await;
            desk.import("email\na@x.example\n").await;
            let off = "email,status\na@x.example,unsubscribed\n";
            let one = number(&later(&desk, off).await);
            let two = number(&later(&desk, off).await);
            let (first, second) = if first_first { (one, two) } else { (two, one) };
            let done = undo::run(&desk.app, first, false).await.expect("an undo");
            assert_eq!(done.put_back, 0);
            assert_eq!(desk.status("a@x.example").await, Some(Status::Unsubscribed));
            let done = undo::run(&desk.app, second, false).await.expect("an undo");
            assert_eq!(done.put_back, 1);
            assert_eq!(desk.status("a@x.example").await, Some(Status::Confirmed));
            desk.app.store.close().await;
        }
    });
}

/// The import that brought her is taken back before the one that took her off: nobody has her then.
#[test]
fn who_was_brought_by_one_and_taken_off_by_another_goes_with_both() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite).await;
        let brought = number(&desk.import("email\na@x.example\n").await);
        let off = number(&later(&desk, "email,status\na@x.example,unsubscribed\n").await);
        let done = undo::run(&desk.app, brought, false).await.expect("an undo");
        assert_eq!((done.removed, done.stayed), (0, 1));
        assert_eq!(desk.status("a@x.example").await, Some(Status::Unsubscribed));
        let done = undo::run(&desk.app, off, false).await.expect("an undo");
        assert_eq!((done.removed, done.put_back), (1, 0));
        assert!(desk.reader("a@x.example").await.is_none());
        desk.app.store.close().await;
    });
}
