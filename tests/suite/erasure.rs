//! What is left of a reader who was erased: also when her mail was under way, and when a test copy showed her.

use std::time::Duration;

use pressrun::delivery::{Failure, Outcome};
use pressrun::id::{RunId, SubscriberId};
use pressrun::reply::{Reply, Stage, reason::Reason};
use pressrun::store::system_mail::NewSystemMail;

use crate::harness::{Engine, block_on};
use crate::ledger::{BOOT, LEASE, NOW, counts, frozen, marker, seeded, settled};
use crate::on_both;

on_both!(
    what_a_relay_says_of_an_erased_reader_under_way_is_not_kept,
    async |engine: Engine| {
        let (database, store) = seeded(engine, 4).await;
        let run = frozen(&store).await;
        store
            .lease_blocks(run, "here", BOOT, LEASE, 1, NOW)
            .await
            .expect("leases");
        let wishes: Vec<_> = (0..4).map(|seq| marker(run, seq)).collect();
        let marked = store.commit_ledger(BOOT, &[], &wishes, NOW).await;
        assert_eq!(marked.expect("markers").granted.len(), 4);
        for reader in 1..=3 {
            let erased = store.erase(SubscriberId(reader), &[], NOW).await;
            assert!(erased.expect("an erasure"));
        }
        let says = |code: u16, reader: u32| Reply {
            code,
            enhanced: None,
            text: format!("<r{reader}@x.example>"),
        };
        let failure = |reader: u32| {
            Some(Failure {
                stage: Some(Stage::Rcpt),
                reason: Reason::UnknownAddress,
                dialogue: format!("RCPT TO:<r{reader}@x.example>"),
            })
        };
        let mut outcomes = [
            settled(run, 0, true, Outcome::Sent(says(250, 1))),
            settled(run, 1, true, Outcome::Bounced(says(550, 2))),
            settled(run, 2, true, Outcome::Uncertain("r3@x.example: cut".into())),
            settled(run, 3, true, Outcome::Bounced(says(550, 4))),
        ];
        outcomes[1].failure = failure(2);
        outcomes[3].failure = failure(4);
        store
            .commit_ledger(BOOT, &outcomes, &[], NOW)
            .await
            .expect("outcomes");
        let after = counts(&store, run).await;
        assert_eq!((after.sent, after.bounced, after.uncertain), (1, 2, 1));
        for (seq, reply, dialogue) in [
            (0, None, None),
            (1, None, Some("")),
            (2, None, None),
            (3, Some("<r4@x.example>"), Some("RCPT TO:<r4@x.example>")),
        ] {
            let found = store.delivery(run, seq).await.expect("a read");
            let found = found.expect("a delivery");
            assert_eq!(found.reply.as_deref(), reply, "{seq}");
            assert_eq!(found.dialogue.as_deref(), dialogue, "{seq}");
        }
        store.close().await;
        drop(database);
    }
);

on_both!(
    a_test_copy_shows_a_reader_for_a_week_and_no_erased_one,
    async |engine: Engine| {
        let (database, store) = seeded(engine, 2).await;
        let begin = async || {
            let mail = NewSystemMail {
                kind: "test",
                revision: "rev",
                subscriber: SubscriberId(0),
                address: Some("author@example.com"),
                list: None,
                data: "{\"name\":\"Ada\"}",
            };
            let key = store.enqueue_system_mail(&mail, NOW).await.expect("a mail");
            let settle = format!(
                "update deliveries set state = 'sent', marked_at = 1, settled_at = 1, copy = '{{\"name\":\"Ada\"}}'
                 where run_id = 1 and seq = {}",
                key.seq
            );
            database.raw(&settle).await;
            key
        };
        let shows = async |key| {
            let copy = store.copy_of(key).await.expect("a read").expect("a copy");
            let mail = store.system_mail(key.seq).await.expect("a read");
            let data = mail.expect("a mail").data;
            assert_eq!(copy.copy.is_some(), data.contains("Ada"), "{data}");
            copy.copy.is_some()
        };
        let old = begin().await;
        let week = Duration::from_secs(7 * 86_400);
        store.forget_tests(NOW.before(week)).await.expect("a look");
        assert!(shows(old).await);
        store.forget_tests(NOW).await.expect("a look");
        assert!(!shows(old).await);
        let (young, other) = (begin().await, begin().await);
        assert!(shows(young).await);
        let erased = store.erase(SubscriberId(1), &[], NOW).await;
        assert!(erased.expect("an erasure"));
        assert!(!shows(young).await && !shows(other).await);
        // What was taken out on purpose is no fault of the ledger.
        let faults = store.ledger_faults(RunId::SYSTEM, NOW).await;
        assert_eq!(faults.expect("a count").unmade, 0);
        store.close().await;
    }
);

/// Of a database file that is copied or stolen, neither the file nor its log gives an erased reader back.
#[test]
fn nothing_of_an_erased_reader_stays_in_the_file() {
    block_on(async {
        let (database, store) = seeded(Engine::Sqlite, 3_000).await;
        let reader = store.subscriber("r1500@x.example").await.expect("a read");
        let reader = reader.expect("a reader").id;
        let holds = || {
            let files = std::fs::read_dir(database.path()).expect("a folder");
            let files = files.map(|entry| entry.expect("an entry").path());
            let octets = files
                .filter(|path| path.is_file())
                .map(|path| std::fs::read(path).expect("a file"));
            octets
                .map(|octets| {
                    octets
                        .windows(15)
                        .filter(|w| w == b"r1500@x.example")
                        .count()
                })
                .sum::<usize>()
        };
        assert!(holds() > 0, "she is there");
        assert!(store.erase(reader, &[], NOW).await.expect("an erasure"));
        assert_eq!(holds(), 0, "while it is open");
        store.close().await;
        assert_eq!(holds(), 0, "and closed");
    });
}
