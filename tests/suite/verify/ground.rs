//! What the proof stands on, and what has left: a database that is whole, and rows that nobody put back.

use pressrun::run::verify;
use pressrun::run::verify::ground;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::told;
use crate::deliver::rig::{Rig, Wish};
use crate::harness::Engine;
use crate::on_both;

/// Puts back all that was sent, as if it had never left.
const PUT_BACK: &str = "
    create table kept as select * from deliveries where run_id > 1;
    update deliveries set state = 'queued', marked_at = null, settled_at = null, code = null, reply = null,
        enhanced = null, copy = null, boot = null, attempts = 0, due_at = 5 where run_id > 1;
    update blocks set queued = sent, sent = 0, next_due = 5 where run_id > 1;
    update runs set status = 'sending', finished_at = null where id > 1";
const AS_IT_WAS: &str = "
    delete from deliveries where run_id > 1; insert into deliveries select * from kept; drop table kept;
    update blocks set sent = queued, queued = 0, next_due = null where run_id > 1;
    update runs set status = 'finished', finished_at = since where id > 1";

on_both!(
    what_has_left_is_not_put_back_unseen_nor_is_what_came_of_it,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let run = rig.begin().await;
        rig.finish(run).await;
        let seal = format!("seal:{}", run.0);
        let kept = rig
            .app
            .store
            .meta(&seal)
            .await
            .expect("a read")
            .expect("a seal");
        for (harm, heal, fault) in [
            (
                PUT_BACK,
                AS_IT_WAS,
                "40 copies had left when it finished, and 0 deliveries say so",
            ),
            (
                "update deliveries set state = 'cancelled', marked_at = null, opened_at = 5, code = null
                     where run_id > 1 and seq = 3;
                 update blocks set sent = sent - 1, cancelled = 1, opened = 1 where run_id > 1",
                "update deliveries set state = 'sent', marked_at = settled_at, opened_at = null, code = 250
                     where run_id > 1 and seq = 3;
                 update blocks set sent = sent + 1, cancelled = 0, opened = 0 where run_id > 1",
                "1 delivery is opened, clicked, left by or complained of, and never sent",
            ),
            (
                "update deliveries set state = 'failed', code = null where run_id > 1 and seq = 3;
                 update blocks set sent = sent - 1, failed = 1 where run_id > 1",
                "update deliveries set state = 'sent', code = 250 where run_id > 1 and seq = 3;
                 update blocks set sent = sent + 1, failed = 0 where run_id > 1",
                "1 delivery is failed or expired, and by the word of no relay and not by ours",
            ),
            (
                "insert into link_counts (run_id, link, readers, clicks) values (2, 0, 41, 41)",
                "delete from link_counts",
                "41 readers clicked a link by the counters, and 40 were mailed",
            ),
            (
                "update meta set value = '5' || value where key = 'end:2'",
                "update meta set value = substr(value, 2) where key = 'end:2'",
                "the seal of its end was changed",
            ),
        ] {
            told(&rig, run, harm, heal, fault).await;
        }
        rig.database
            .raw("delete from meta where key = 'end:2'")
            .await;
        let verified = verify::one(&rig.app, &rig.run(run).await)
            .await
            .expect("a look");
        assert_eq!(
            verified.faults,
            ["it is finished, and the seal of its end is gone"]
        );
        // A second run, whose seal alone is taken away.
        let other = rig.begin().await;
        rig.finish(other).await;
        rig.balanced(other).await;
        rig.database
            .raw(&format!("delete from meta where key = 'seal:{}'", other.0))
            .await;
        let verified = verify::one(&rig.app, &rig.run(other).await)
            .await
            .expect("a look");
        let gone = "its seal is gone: it, or a run before it, was sealed";
        assert_eq!(verified.faults, [gone], "{kept}");
    }
);

on_both!(
    what_a_proof_stands_on_is_looked_at_before_it,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let run = rig.begin().await;
        rig.finish(run).await;
        let ground = async || ground::look(&rig.app).await.expect("a look");
        assert_eq!(ground().await.faults, Vec::<String>::new());
        let (gone, again) = match engine {
            Engine::Sqlite => (
                "drop trigger journal_of_new",
                "the trigger `journal_of_new` is gone, or another",
            ),
            Engine::Postgres => (
                "drop trigger journal_of_new on subscriptions",
                "the trigger `journal_of_new` is gone, or another",
            ),
        };
        rig.database.raw(gone).await;
        assert_eq!(ground().await.faults, [again]);
        rig.database
            .raw("drop index deliveries_by_subscriber; alter table runs drop column title")
            .await;
        let found = ground().await;
        assert!(!found.holds);
        assert_eq!(
            found.faults,
            [
                "the column `title` of `runs` is gone",
                "the index `deliveries_by_subscriber` is gone",
                again
            ]
        );
        let told = verify::all(&rig.app).await.expect("a look");
        assert_eq!(
            (told.len(), told[0].balanced),
            (1, false),
            "no statement meets what is gone"
        );
        // A machine that has seen more of this database knows that it is an older one.
        let state = rig.app.path(&rig.app.config.paths.state);
        std::fs::write(state.join("generation"), "900\n").expect("a file");
        let older = ground().await.faults.pop().expect("a fault");
        assert!(
            older.contains("older than this machine remembers"),
            "{older}"
        );
    }
);

on_both!(
    a_hash_that_is_another_s_and_a_row_that_hangs_in_the_air_are_told,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let all = async || {
            let found = verify::all(&rig.app).await.expect("a look");
            found
                .into_iter()
                .flat_map(|one| one.faults)
                .collect::<Vec<_>>()
        };
        assert_eq!(all().await, Vec::<String>::new());
        let harm = match engine {
            Engine::Sqlite => {
                "update subscribers set hash = x'00' where id = (select max(id) from subscribers)"
            }
            Engine::Postgres => {
                "update subscribers set hash = '\\x00' where id = (select max(id) from subscribers)"
            }
        };
        rig.database.raw(harm).await;
        let wrong =
            "1 reader has a hash that is not that of the address: no suppression binds them";
        assert!(
            all().await.iter().any(|fault| fault == wrong),
            "{:?}",
            all().await
        );
        if engine == Engine::Sqlite {
            let file = rig.database.path().join("pressrun.db");
            let options = SqliteConnectOptions::new()
                .filename(file)
                .foreign_keys(false);
            let mut conn = options.connect().await.expect("a connection");
            let moved = "update subscriptions set list_id = 9";
            let moved = sqlx::raw_sql(moved).execute(&mut conn).await;
            moved.expect("the test's own SQL");
            let hanging = "rows of `subscriptions` name something that is gone";
            assert!(
                all().await.iter().any(|fault| fault.ends_with(hanging)),
                "{:?}",
                all().await
            );
        }
    }
);
