//! `pressrun verify`: a ledger that was tampered with is found out, on both databases.

use std::sync::Arc;

use pressrun::address::EmailAddress;
use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::delivery::State;
use pressrun::id::{RunId, SubscriberId};
use pressrun::keyring::Keyring;
use pressrun::run::verify;
use pressrun::status::RunStatus;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::deliver::fate::three_uncertain;
use crate::deliver::rig::{Rig, Wish, faulty, until};
use crate::harness::Engine;
use crate::on_both;

mod ground;
mod leavings;

on_both!(
    whatever_does_not_agree_is_told_in_words,
    async |engine: Engine| {
        let wish = Wish {
            readers: faulty(30, &[(2, "550-5.1.1")]),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        rig.finish(run).await;
        let found = verify::all(&rig.app).await.expect("a look");
        let names: Vec<&str> = found.iter().map(|run| run.issue.as_str()).collect();
        assert_eq!(names, ["system mails", "small"]);
        assert!(found.iter().all(|run| run.balanced), "{found:?}");
        let id = run.0;
        for (harm, heal, fault) in [
            (
                "update runs set recipients = 31 where kind = 'issue'".to_owned(),
                "update runs set recipients = 30 where kind = 'issue'",
                "31 recipients, 30 deliveries",
            ),
            (
                format!(
                    "update blocks set sent = sent - 1, bounced = bounced + 1 where run_id = {id}"
                ),
                "update blocks set sent = sent + 1, bounced = bounced - 1 where sent > 0",
                "bounced: 2 deliveries, the counters say 3",
            ),
            (
                format!(
                    "update deliveries set code = marked_at where run_id = {id} and seq = 0;
                     update deliveries set marked_at = null where run_id = {id} and seq = 0"
                ),
                "update deliveries set marked_at = code, code = 250 where marked_at is null and state = 'sent'",
                "1 delivery is without a marker, and past it",
            ),
            (
                format!("update deliveries set settled_at = null where run_id = {id} and seq = 1"),
                "update deliveries set settled_at = marked_at where settled_at is null",
                "1 delivery is final, and without the time of their outcome",
            ),
            (
                "update deliveries set marked_at = marked_at + 9000000 where seq = 1".to_owned(),
                "update deliveries set marked_at = marked_at - 9000000 where seq = 1",
                "1 delivery is marked in the future: a clock was wrong",
            ),
            (
                format!("update deliveries set code = 550 where run_id = {id} and seq = 2"),
                "update deliveries set code = 250 where seq = 2",
                "1 delivery is final, and with the code of another end than theirs",
            ),
            (
                format!(
                    "update deliveries set code = 250 where run_id = {id} and state = 'bounced'"
                ),
                "update deliveries set code = 550 where state = 'bounced'",
                "2 deliveries are final, and with the code of another end than theirs",
            ),
            (
                "update links set url = 'https://elsewhere.example/'".to_owned(),
                "update links set url = 'https://example.org/'",
                "is not the one it was frozen with",
            ),
            (
                format!("insert into link_counts values ({id}, 7, 1, 1)"),
                "delete from link_counts",
                "1 clicked links are in no link table of the run",
            ),
            (
                format!(
                    "update deliveries set copy = replace(copy, '\"kid\":1', '\"kid\":9') where run_id = {id} and seq < 2"
                ),
                "update deliveries set copy = replace(copy, '\"kid\":9', '\"kid\":1')",
                "key 9 signed the links of 2 copies and is not in the keyring",
            ),
            (
                "update revisions set content = replace(content, 'Little', 'Lidtle')".to_owned(),
                "update revisions set content = replace(content, 'Lidtle', 'Little')",
                "was changed: its name is the hash of another text",
            ),
            (
                "delete from suppressions".to_owned(),
                "insert into suppressions (hash, reason, created_at)
                 select u.hash, 'bounced', 0 from subscribers u
                     join deliveries d on d.subscriber_id = u.id
                 where d.state = 'bounced'",
                "2 deliveries are bounced for good, and nobody suppressed the address",
            ),
        ] {
            told(&rig, run, &harm, heal, fault).await;
        }
        // What a person allows again is no fault, nor is who has moved since.
        let rows = rig.rows(run).await;
        let mut bounced = rows.iter().filter(|row| row.state == "bounced");
        let (one, other) = (bounced.next().expect("one"), bounced.next().expect("two"));
        let address = one.address.as_deref().expect("an address");
        let canonical = EmailAddress::parse(address).expect("one").canonical();
        let (store, now) = (&rig.app.store, Timestamp(i64::MAX / 2));
        let hash = rig.app.keyring.address_hash(&canonical);
        assert!(store.allow(&canonical, &hash, now).await.expect("a write"));
        rig.balanced(run).await;
        let moved = format!(
            "insert into consents (subscriber_id, at, what, list_id) values ({}, 0, 'address', 0);
             delete from suppressions",
            other.subscriber_id
        );
        rig.database.raw(&moved).await;
        let found = rig.run(run).await;
        let verified = verify::one(&rig.app, &found).await.expect("a look");
        assert!(verified.balanced, "{:?}", verified.faults);
    }
);

/// Harms the database, has it told, and heals it.
async fn told(rig: &Rig, run: RunId, harm: &str, heal: &str, fault: &str) {
    rig.database.raw(harm).await;
    let found = rig.run(run).await;
    let verified = verify::one(&rig.app, &found).await.expect("a look");
    assert!(!verified.balanced, "{harm}");
    assert!(
        verified.faults.iter().any(|told| told.contains(fault)),
        "{harm}: {:?}",
        verified.faults
    );
    rig.database.raw(heal).await;
    rig.balanced(run).await;
}

on_both!(
    a_row_that_was_forged_is_told_even_where_the_counters_agree,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let run = rig.begin().await;
        rig.finish(run).await;
        for (harm, heal, fault) in [
            (
                "update deliveries set code = null where run_id > 1 and seq = 0",
                "update deliveries set code = 250 where run_id > 1 and code is null",
                "1 delivery is sent, and by the word of no relay, no person and no reader",
            ),
            (
                "update deliveries set attempts = 0 where run_id > 1 and seq = 0",
                "update deliveries set attempts = 1 where run_id > 1 and attempts = 0",
                "1 delivery is sent, and without an attempt",
            ),
            (
                "update deliveries set boot = null where run_id > 1 and seq = 0",
                "update deliveries set boot = (select max(boot) from deliveries) where boot is null",
                "1 delivery is marked, and by no sender",
            ),
            (
                "update deliveries set marked_at = 1000 where run_id > 1 and seq = 1",
                "update deliveries set marked_at = settled_at where marked_at = 1000",
                "1 delivery is marked before the run began",
            ),
            (
                "update deliveries set subscriber_id = subscriber_id + 42000 where run_id > 1 and seq = 3",
                "update deliveries set subscriber_id = subscriber_id - 42000 where subscriber_id > 42000",
                "1 delivery is of a reader who is not there and was not erased",
            ),
            (
                "update deliveries set copy = replace(copy, '@example.org', '@evil.test') where seq = 4",
                "update deliveries set copy = replace(copy, '@evil.test', '@example.org')",
                "1 copy went to another address than their readers have",
            ),
            (
                "update deliveries set copy = '{' || copy where run_id > 1 and seq = 5",
                "update deliveries set copy = substr(copy, 2) where copy like '{{%'",
                "1 copy cannot be read",
            ),
            (
                "update runs set headers = headers || ' ' where kind = 'issue'",
                "update runs set headers = rtrim(headers)",
                "its list, its relay, its beginning, its policy for uncertain mail or the number of its recipients was changed after it began",
            ),
            (
                "create table kept as select * from deliveries where run_id > 1 and seq = 39;
                 delete from deliveries where run_id > 1 and seq = 39;
                 update blocks set sent = sent - 1 where run_id > 1;
                 update runs set recipients = 39 where kind = 'issue'",
                "insert into deliveries select * from kept; drop table kept;
                 update blocks set sent = sent + 1 where run_id > 1;
                 update runs set recipients = 40 where kind = 'issue'",
                "its list, its relay, its beginning, its policy for uncertain mail or the number of its recipients was changed after it began",
            ),
            (
                "update deliveries set opened_at = settled_at where run_id > 1 and seq = 6",
                "update deliveries set opened_at = null",
                "opened: 1 deliveries, the counters say 0",
            ),
            (
                "update blocks set clicked = 30 where run_id > 1",
                "update blocks set clicked = 0",
                "clicked: 0 deliveries, the counters say 30",
            ),
            (
                "update deliveries set state = 'bounced' where run_id > 1 and seq = 7;
                 update blocks set sent = sent - 1, bounced = bounced + 1 where run_id > 1",
                "update deliveries set state = 'sent' where state = 'bounced';
                 update blocks set sent = sent + 1, bounced = bounced - 1 where run_id > 1",
                "final, and with the code of another end than theirs",
            ),
        ] {
            told(&rig, run, harm, heal, fault).await;
        }
        if matches!(engine, Engine::Sqlite) {
            let by = |number: i64| {
                format!("update run_sums set clicks = clicks + {number} where run_id > 1")
            };
            told(&rig, run, &by(3), &by(-3), "the sums kept of its blocks").await;
            let away = "create table kept_sums as select * from run_sums; delete from run_sums";
            let back = "insert into run_sums select * from kept_sums; drop table kept_sums";
            told(&rig, run, away, back, "the sums kept of its blocks").await;
        }
    }
);

on_both!(
    a_run_under_way_is_held_to_its_counters_and_what_would_be_sent_twice_is_told,
    async |engine: Engine| {
        let wish = Wish {
            readers: faulty(20, &[(1, "450")]),
            send: "retry = [\"1h\"]",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(19).await;
        let settled = async || {
            let rows = rig.rows(run).await;
            rows.iter().filter(|row| row.state == "sent").count() == 19
                && rows.iter().all(|row| row.attempts == 1)
        };
        assert!(until(settled).await);
        sending.stop().await;
        assert_eq!(rig.run(run).await.status, RunStatus::Sending);
        rig.balanced(run).await;
        let back = "update blocks set sent = sent - 1, queued = queued + 1 where run_id > 1";
        let there = "update blocks set sent = sent + 1, queued = queued - 1 where run_id > 1";
        for (harm, heal, fault) in [
            (
                back.to_owned(),
                there.to_owned(),
                "sent: 19 deliveries, the counters say 18",
            ),
            (
                format!(
                    "update deliveries set state = 'queued', settled_at = null where run_id > 1 and seq = (
                         select min(seq) from deliveries where run_id > 1 and state = 'sent'); {back}"
                ),
                format!(
                    "update deliveries set state = 'sent', settled_at = marked_at where run_id > 1 and state = 'queued' and code = 250; {there}"
                ),
                "1 delivery is open, and were accepted by a relay",
            ),
            (
                "update blocks set next_due = null where run_id > 1".to_owned(),
                "update blocks set next_due = 5 where run_id > 1".to_owned(),
                "1 blocks hold queued deliveries and are never due",
            ),
            (
                "insert into suppressions (hash, reason, created_at) select hash, 'bounced', 1 from subscribers where id in (
                     select subscriber_id from deliveries where state = 'queued')"
                    .to_owned(),
                "delete from suppressions".to_owned(),
                "1 delivery is queued for a reader whose address is suppressed",
            ),
        ] {
            told(&rig, run, &harm, &heal, fault).await;
        }
    }
);

on_both!(
    what_a_person_has_resolved_and_who_was_erased_is_no_fault,
    async |engine: Engine| {
        let (rig, run) = three_uncertain(engine).await;
        let doubtful = rig.rows(run).await;
        let doubtful: Vec<_> = doubtful
            .iter()
            .filter(|row| row.state == "uncertain")
            .collect();
        let forged = "update deliveries set state = 'sent' where state = 'uncertain';
             update blocks set sent = sent + 3, uncertain = 0 where run_id > 1";
        rig.database.raw(forged).await;
        let verified = verify::one(&rig.app, &rig.run(run).await).await;
        let expected =
            "3 deliveries are sent, and by the word of no relay, no person and no reader";
        assert_eq!(verified.expect("a look").faults, [expected]);
        rig.database
            .raw(
                "update deliveries set state = 'uncertain' where run_id > 1 and code is null;
                 update blocks set sent = sent - 3, uncertain = 3 where run_id > 1",
            )
            .await;
        let store = &rig.app.store;
        // By a clock that was set back since.
        let resolved = store
            .resolve_uncertain(run, None, State::Sent, Timestamp(9))
            .await;
        assert_eq!(resolved.expect("a write"), 3);
        rig.balanced(run).await;
        let reader = SubscriberId(doubtful[0].subscriber_id);
        store
            .erase(reader, &[], rig.app.clock.now())
            .await
            .expect("an erasure");
        rig.balanced(run).await;
    }
);

on_both!(
    a_system_mail_without_its_content_is_found_in_the_open_run,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        rig.database
            .raw(
                "insert into blocks (run_id, block, queued, next_due) values (1, 0, 1, 5);
                 insert into deliveries (run_id, seq, subscriber_id, state, due_at)
                 values (1, 0, 0, 'queued', 5)",
            )
            .await;
        let found = verify::all(&rig.app).await.expect("a look");
        let expected = "1 delivery is of the open run, and without the mail they carry";
        assert_eq!(found[0].faults, [expected]);
        assert_eq!((found[0].recipients, found[0].balanced), (1, false));
    }
);

on_both!(
    what_was_fixed_of_a_run_when_it_began_and_its_end_are_told_when_changed,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        rig.database
            .raw("insert into lists values (2, 'other', 'The Other', 'l2', 0)")
            .await;
        let run = rig.begin().await;
        rig.finish(run).await;
        let sealed = "its policy for uncertain mail or the number of its recipients was changed";
        for (harm, heal, fault) in [
            (
                "update runs set list_id = 2 where id > 1",
                "update runs set list_id = 1 where id > 1",
                sealed,
            ),
            (
                "update runs set relay = 'nope' where id > 1",
                "update runs set relay = '' where id > 1",
                sealed,
            ),
            (
                "update runs set policy = 'resend' where id > 1",
                "update runs set policy = 'hold' where id > 1",
                sealed,
            ),
            (
                "update runs set started_at = started_at + 5 where id > 1",
                "update runs set started_at = started_at - 5 where id > 1",
                sealed,
            ),
            (
                "update runs set started_at = started_at + 90000000 where id > 1",
                "update runs set started_at = started_at - 90000000 where id > 1",
                "40 deliveries are marked before the run began",
            ),
            (
                "update runs set status = 'cancelled' where id > 1",
                "update runs set status = 'finished' where id > 1",
                "it is cancelled, and was finished before",
            ),
            (
                "update runs set finished_at = null where id > 1",
                "update runs set finished_at = since where id > 1",
                "it is finished, and without the time of its end",
            ),
        ] {
            told(&rig, run, harm, heal, fault).await;
        }
    }
);

/// Takes a run's row out of the database, whatever refers to it.
async fn delete_run(rig: &Rig, engine: Engine, run: RunId) {
    let delete = format!("delete from runs where id = {}", run.0);
    match engine {
        Engine::Sqlite => {
            let file = rig.database.path().join("pressrun.db");
            let options = SqliteConnectOptions::new()
                .filename(file)
                .foreign_keys(false);
            let mut conn = options.connect().await.expect("a connection");
            let deleted = sqlx::raw_sql(sqlx::AssertSqlSafe(delete)).execute(&mut conn);
            deleted.await.expect("the test's own SQL");
        }
        Engine::Postgres => {
            let delete = format!("set session_replication_role = replica; {delete}");
            rig.database.raw(&delete).await;
        }
    }
}

on_both!(
    a_run_whose_row_is_gone_is_told_and_its_number_goes_to_no_other,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let run = rig.begin().await;
        rig.finish(run).await;
        delete_run(&rig, engine, run).await;
        let found = verify::all(&rig.app).await.expect("a look");
        for expected in [
            "40 deliveries and 1 blocks are of run 2, and that row is gone",
            "run 2 was begun and sealed, and its row is gone",
        ] {
            let told = found[0].faults.iter().any(|fault| fault == expected);
            assert!(told, "{expected}: {:?}", found[0].faults);
        }
        assert!(!found[0].balanced);
        let next = rig.begin().await;
        assert_eq!(next, RunId(3));
        rig.finish(next).await;
        assert_eq!(rig.accepted().values().sum::<usize>(), 80);
    }
);

on_both!(
    a_keyring_that_is_not_the_databases_is_told,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        rig.app.claim().await.expect("its own database");
        let run = rig.begin().await;
        rig.finish(run).await;
        let mut app = rig.app.clone();
        app.keyring = Arc::new(Keyring::generate(&Chance::seeded(77), Timestamp(0)));
        let found = verify::all(&app).await.expect("a look");
        let fault = &found[0].faults[0];
        assert!(
            fault.contains("does not belong to this database"),
            "{fault}"
        );
        let found = verify::all(&rig.app).await.expect("a look");
        assert!(found.iter().all(|run| run.balanced), "{found:?}");
    }
);
