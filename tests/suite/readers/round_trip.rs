//! All that is kept of readers, out as JSON lines and in again.

use std::time::Duration;

use pressrun::app::App;
use pressrun::chance::Chance;
use pressrun::hex::hex;
use pressrun::import::{restore, undo};
use pressrun::keyring::Keyring;
use pressrun::store::Store;
use pressrun::subscriber::Status;

use super::desk::{Desk, NOON};
use super::joined::growth;
use crate::harness::{Database, Engine};
use crate::on_both;

/// A desk with a reader of each kind.
async fn furnished(engine: Engine) -> Desk {
    let desk = Desk::new(engine).await;
    let text = "email,name,city,issues,status,joined\n\
                Ada@X.example,\"Ada \"\"the first\"\" Lovelace\",Zürich,7.5,,2019-05-06T07:08:09.123Z\n\
                left@x.example,,,,unsubscribed,\n\
                wait@x.example,,,,pending,\n\
                paused@x.example,,,,paused,\n\
                dead@x.example,,,,bounced,\n";
    desk.import(text).await;
    desk.import("email\nsecond@x.example\nsaid@x.example\noff@x.example\nback@x.example\n")
        .await;
    let off = "email,status\noff@x.example,unsubscribed\n";
    desk.app.clock.advance(Duration::from_secs(86_400));
    desk.import(off).await;
    let (_, back) = desk.reader("back@x.example").await.expect("a reader");
    let (key, store) = (back[0].key, &desk.app.store);
    store
        .leave(key, desk.app.clock.now())
        .await
        .expect("a write");
    desk.app.clock.advance(Duration::from_secs(86_400));
    let returned = store
        .come_back(key, NOON, false, desk.app.clock.now())
        .await;
    assert!(returned.expect("a write"));
    let hash = hex(&desk.app.keyring.address_hash("ada@old.example"));
    let hash = match engine {
        Engine::Sqlite => format!("x'{hash}'"),
        Engine::Postgres => format!("'\\x{hash}'::bytea"),
    };
    desk.database
        .raw(&format!(
            "insert into former_addresses (hash, subscriber_id, at, key, address)
             select {hash}, id, 1004, 4242, 'Ada@old.example' from subscribers where canonical = 'ada@x.example'"
        ))
        .await;
    desk.leave("said@x.example").await;
    desk.suppress("Never@x.example").await;
    desk.database
        .raw(
            "insert into lists (id, slug, title, label, created_at)
             values (2, 'monthly', 'The month in brief', 'feed', 17);
             insert into subscriptions (key, list_id, subscriber_id, status, source, created_at)
             select 99, 2, id, 'pending', 'form', 5 from subscribers where canonical = 'ada@x.example';
             update subscriptions set frequency = 'monthly', paused_until = 1785484800123
             where subscriber_id = (select id from subscribers where canonical = 'paused@x.example');
             update subscribers set tracking = 'off' where canonical = 'ada@x.example';
             update subscriptions set manage_key = 4611686018427387905
             where list_id = 1
                 and subscriber_id = (select id from subscribers where canonical = 'ada@x.example');
             insert into tags select id, 'early-bird' from subscribers where canonical = 'ada@x.example';
             insert into tags select id, 'vip' from subscribers where canonical = 'ada@x.example';
             insert into consents (subscriber_id, at, what, list_id)
             select id, 1001, 'confirm', 1 from subscribers where canonical = 'ada@x.example';
             insert into consents (subscriber_id, at, what, list_id)
             select id, 1002, 'tracking-off', 0 from subscribers where canonical = 'ada@x.example';
             insert into leave_reasons (subscription, at, reason, words)
             select key, 1003, 'other', 'too =much' from subscriptions
             where subscriber_id = (select id from subscribers where canonical = 'said@x.example')",
        )
        .await;
    desk
}

/// The same publication on a fresh database.
async fn elsewhere(desk: &Desk, engine: Engine) -> (App, Database) {
    let database = Database::new(engine).await;
    let store: Store = database.store().await;
    let app = App {
        store,
        ..desk.app.clone()
    };
    (app, database)
}

async fn lines(app: &App) -> String {
    let mut out = Vec::new();
    let count = pressrun::import::export::lines(app, None, None, &mut out).await;
    count.expect("an export");
    String::from_utf8(out).expect("text")
}

on_both!(
    an_export_read_into_an_empty_database_comes_out_octet_for_octet_the_same,
    async |engine: Engine| {
        let desk = furnished(engine).await;
        let file = desk.database.path().join("all.jsonl");
        let exported = desk.lines().await;
        for expected in [
            r#"{"pressrun":{"version":1,"#,
            r#"{"list":{"slug":"monthly","title":"The month in brief","label":"feed""#,
            r#""consent":"they asked""#,
            r#""reason":"complained""#,
            r#""name":"Ada \"the first\" Lovelace","fields":{"city":"Zürich","issues":7.5}"#,
            r#""created_at":"2019-05-06T07:08:09.123Z""#,
            r#""joined_at":"2019-05-06T07:08:09.123Z""#,
            r#""manage_key":"4611686018427387905","list":"weekly""#,
            r#""paused_until":"2026-07-31T08:00:00.123Z","frequency":"monthly""#,
            r#""parting":{"at":"1970-01-01T00:00:01.003Z","reason":"other","words":"too =much"}"#,
            r#""tags":["early-bird","vip"]"#,
            r#""consents":[{"at":"1970-01-01T00:00:01.001Z","what":"confirm","list":"weekly"}"#,
            r#""at":"1970-01-01T00:00:01.004Z","key":"4242","address":"Ada@old.example"}]"#,
            r#""first_joined_at":"2026-07-31T08:00:00Z","returned_at":"2026-08-02T08:00:00Z""#,
            r#""moves":[{"import":3,"what":"left","was":"confirmed","left_at":"2026-08-01T08:00:00Z"}]"#,
            r#""left_why":"import""#,
            r#"{"journal":{"list":"weekly","what":"joined","quarter":1730140,"why":"","number":1}}"#,
        ] {
            assert!(exported.contains(expected), "{expected}\n{exported}");
        }
        assert!(!exported.contains("dead@x.example") && !exported.contains("ever@x.example"));
        std::fs::write(&file, &exported).expect("a file");
        let other = match engine {
            Engine::Sqlite => Engine::Sqlite,
            // From one database into the other kind.
            Engine::Postgres => Engine::Sqlite,
        };
        for engine in [engine, other] {
            let (app, _database) = elsewhere(&desk, engine).await;
            let dry = restore::run(&app, &file, true, |_| {})
                .await
                .expect("a look");
            assert_eq!((dry.added, dry.known), (8, 0));
            assert_eq!(lines(&app).await.lines().count(), 1);
            let done = restore::run(&app, &file, false, |_| {})
                .await
                .expect("a restore");
            assert_eq!((done.added, done.known), (8, 0));
            assert_eq!((done.lists, done.imports, done.suppressions), (2, 3, 2));
            assert_eq!(lines(&app).await, exported);
            // A second time, everything is known, and nothing changes.
            let again = restore::run(&app, &file, false, |_| {})
                .await
                .expect("a restore");
            assert_eq!((again.added, again.known), (0, 8));
            assert_eq!(lines(&app).await, exported);
            app.store.close().await;
        }
        desk.app.store.close().await;
    }
);

on_both!(
    a_list_that_moved_house_knows_whose_an_address_was_and_takes_its_imports_back,
    async |engine: Engine| {
        let desk = furnished(engine).await;
        let file = desk.database.path().join("all.jsonl");
        std::fs::write(&file, desk.lines().await).expect("a file");
        let before = growth(&desk.app).await.growth;
        let (mut app, database) = elsewhere(&desk, engine).await;
        let done = restore::run(&app, &file, false, |_| {}).await;
        done.expect("a restore");
        // Past weeks are what they were, and so are the months in which readers first joined.
        assert_eq!(growth(&app).await.growth, before);
        let there = Desk {
            app: app.clone(),
            database,
        };
        let ada = there.reader("ada@x.example").await.expect("a reader").0.id;
        let old = there.import("email\nada@old.example\n").await.tally;
        assert_eq!((old.added, old.known), (0, 1), "that is Ada");
        assert!(there.reader("ada@old.example").await.is_none());
        let given_up = app.store.given_up(4242).await.expect("a read");
        let given_up = given_up.expect("the link of the old address");
        assert_eq!(given_up, ("Ada@old.example".to_owned(), false));
        let (_, held) = there.reader("off@x.example").await.expect("a reader");
        let by = app.store.taken_off_by(held[0].key).await.expect("a read");
        assert_eq!(by, Some((held[0].key, 3)));
        let undone = undo::run(&app, 3, false).await.expect("an undo");
        assert_eq!(undone.put_back, 1);
        assert_eq!(there.status("off@x.example").await, Some(Status::Confirmed));
        // A copy from before she moved brings back nobody whom her own word moved since.
        let lines = std::fs::read_to_string(&file).expect("a file");
        let mine = format!("\"id\":\"{}\"", ada.0);
        let old = |line: &str| match line.contains(&mine) {
            true => line
                .replace(&mine, "\"id\":\"7\"")
                .replace("Ada@X.example", "Ada@old.example"),
            false => line.to_owned(),
        };
        let lines: Vec<String> = lines.lines().map(old).collect();
        std::fs::write(&file, lines.join("\n")).expect("a file");
        app.chance = Chance::seeded(9);
        let done = restore::run(&app, &file, false, |_| {}).await;
        assert_eq!(done.expect("a restore").added, 0);
        assert!(there.reader("ada@old.example").await.is_none());
        app.store.close().await;
        desk.app.store.close().await;
    }
);

on_both!(
    a_table_of_a_list_keeps_the_suppressed_from_mail_wherever_it_is_imported,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import(
            "email\na@x.example\nbounced@x.example\ncomplained@x.example\nbarred@x.example\n",
        )
        .await;
        for reason in ["bounced", "complained", "barred"] {
            let canonical = format!("{reason}@x.example");
            let hash = desk.app.keyring.address_hash(&canonical);
            let store = &desk.app.store;
            let put = store.suppress(&canonical, &hash, reason, NOON).await;
            assert!(put.expect("a write"));
        }
        let exported = desk.exported().await;
        let job = desk.job(&exported);
        // A suppressed address is known there by another hash.
        let (mut app, database) = elsewhere(&desk, engine).await;
        app.keyring = std::sync::Arc::new(Keyring::generate(&Chance::seeded(8), NOON));
        let summary = pressrun::import::run(&app, &job, |_| {}).await;
        let tally = summary.expect("an import").tally;
        assert_eq!((tally.added, tally.barred), (1, 3), "{exported}");
        for (address, reason) in [
            ("bounced@x.example", "bounced"),
            ("complained@x.example", "complained"),
            ("barred@x.example", "blocked"),
        ] {
            let hash = app.keyring.address_hash(address);
            let found = app.store.suppression(&hash).await.expect("a read");
            assert_eq!(found.map(|(why, _)| why).as_deref(), Some(reason));
        }
        app.store.close().await;
        drop(database);
        desk.app.store.close().await;
    }
);

on_both!(
    who_is_here_already_stays_as_she_is_and_the_erased_stay_away,
    async |engine: Engine| {
        let desk = furnished(engine).await;
        let file = desk.database.path().join("all.jsonl");
        std::fs::write(&file, desk.lines().await).expect("a file");
        desk.leave("second@x.example").await;
        let (ada, _) = desk.reader("ada@x.example").await.expect("a reader");
        // Her mail came back before: the erasure still counts.
        desk.suppress("ada@x.example").await;
        let erased = desk.app.store.erase(ada.id, &[], NOON).await;
        assert!(erased.expect("a write"));
        let done = restore::run(&desk.app, &file, false, |_| {}).await;
        let done = done.expect("a restore");
        assert_eq!((done.added, done.known, done.suppressed), (0, 8, 0));
        assert!(desk.reader("ada@x.example").await.is_none());
        assert_eq!(
            desk.status("second@x.example").await,
            Some(Status::Unsubscribed)
        );
        desk.app.store.close().await;
    }
);

on_both!(
    lines_that_are_not_ours_or_of_another_keyring_are_refused,
    async |engine: Engine| {
        let mut desk = furnished(engine).await;
        let file = desk.database.path().join("all.jsonl");
        let exported = desk.lines().await;
        let said = async |desk: &Desk, text: &str| {
            std::fs::write(&file, text).expect("a file");
            let error = restore::run(&desk.app, &file, false, |_| {}).await;
            format!("{:#}", error.expect_err("a refusal"))
        };
        let odd = said(&desk, "{\"reader\":{}}\n").await;
        assert!(odd.contains("line 1 is no line of an export"), "{odd}");
        let (_, rest) = exported.split_once('\n').expect("lines");
        let odd = said(&desk, rest).await;
        assert!(
            odd.contains("the first line says nothing of Pressrun"),
            "{odd}"
        );
        let odd = said(&desk, &exported.replace("\"version\":1", "\"version\":2")).await;
        assert!(odd.contains("of version 2"), "{odd}");
        let odd = said(&desk, &exported.replace("\"tracking\"", "\"tracked\"")).await;
        assert!(odd.contains("is no line of an export"), "{odd}");
        desk.app.keyring = std::sync::Arc::new(Keyring::generate(&Chance::seeded(8), NOON));
        let odd = said(&desk, &exported).await;
        assert!(odd.contains("hashes of another keyring"), "{odd}");
        desk.app.store.close().await;
    }
);

on_both!(
    lines_of_a_reader_who_gave_up_an_address_that_is_mailed_here_are_refused,
    async |engine: Engine| {
        let desk = furnished(engine).await;
        let file = desk.database.path().join("all.jsonl");
        std::fs::write(&file, desk.lines().await).expect("a file");
        let (app, database) = elsewhere(&desk, engine).await;
        let there = Desk { app, database };
        there
            .import("email\nada@old.example\nzoe@x.example\n")
            .await;
        for dry_run in [true, false] {
            let refused = restore::run(&there.app, &file, dry_run, |_| {}).await;
            let said = format!("{:#}", refused.expect_err("a refusal"));
            assert!(said.contains("`ada@old.example` gets mail here"), "{said}");
        }
        assert!(there.reader("second@x.example").await.is_none());
        // Once she gets none there, nobody is mailed at an address that she gave up.
        there.leave("ada@old.example").await;
        let done = restore::run(&there.app, &file, false, |_| {}).await;
        assert_eq!(done.expect("a restore").added, 8);
        let again = restore::run(&there.app, &file, false, |_| {}).await;
        assert_eq!(again.expect("a restore").known, 8);
        there.app.store.close().await;
        desk.app.store.close().await;
    }
);

on_both!(
    a_restore_is_done_again_where_a_move_was_taken_back_or_another_reader_came_to_the_address,
    async |engine: Engine| {
        let desk = furnished(engine).await;
        // One has the address that she gave up again, until the link of that move is too old; another one has what Ada
        // gave up.
        desk.database
            .raw(
                "insert into former_addresses (hash, subscriber_id, at, key, address)
                 select hash, id, 1004, 4243, address from subscribers where canonical = 'second@x.example';
                 update subscribers set address = 'ada@old.example', canonical = 'ada@old.example',
                     hash = (select f.hash from former_addresses f where f.key = 4242)
                 where canonical = 'back@x.example'",
            )
            .await;
        let file = desk.database.path().join("all.jsonl");
        let lines = desk.lines().await;
        let (app, database) = elsewhere(&desk, engine).await;
        let there = Desk { app, database };
        // Broken off behind the readers.
        let half: Vec<&str> = lines.lines().collect();
        std::fs::write(&file, half[..half.len() - 1].join("\n") + "\n").expect("a file");
        let done = restore::run(&there.app, &file, false, |_| {}).await;
        assert!(done.expect("a restore").added > 0);
        std::fs::write(&file, &lines).expect("a file");
        for _ in 0..2 {
            let again = restore::run(&there.app, &file, false, |_| {}).await;
            let again = again.expect("a restore");
            assert_eq!(again.added + again.known, 8);
        }
        for address in ["second@x.example", "ada@old.example"] {
            assert_eq!(there.status(address).await, Some(Status::Confirmed));
        }
        there.app.store.close().await;
        desk.app.store.close().await;
    }
);
