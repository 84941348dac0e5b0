//! `pressrun verify`: a ledger that was tampered with is found out, on both databases.

use pressrun::run::verify;

use crate::deliver::rig::{Rig, Wish, faulty};
use crate::harness::Engine;
use crate::on_both;

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
        ] {
            rig.database.raw(&harm).await;
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
    }
);

on_both!(
    a_system_mail_without_its_content_is_found_in_the_open_run,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        rig.database
            .raw(
                "insert into blocks (run_id, block, queued) values (1, 0, 1);
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
