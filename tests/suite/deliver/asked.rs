//! What a person who asks about one delivery is told: its class, the relay's words, what was said.

use std::time::Duration;

use pressrun::store::failures::Dossier;

use crate::deliver::rig::{Rig, Wish, readers, until};
use crate::harness::Engine;
use crate::on_both;

async fn dossier(rig: &Rig, run: pressrun::id::RunId, start: &str) -> Dossier {
    let rows = rig.rows(run).await;
    let row = rows
        .iter()
        .find(|row| {
            row.address
                .as_deref()
                .is_some_and(|address| address.starts_with(start))
        })
        .expect("the row");
    let seq = u32::try_from(row.seq).expect("a number");
    let found = rig.app.store.delivery(run, seq).await.expect("a read");
    found.expect("the delivery")
}

on_both!(
    a_failed_delivery_keeps_its_reason_and_what_was_said,
    async |engine: Engine| {
        let mut all = readers(12);
        all[3] = "full+552-5.2.2@example.org".into();
        all[5] = "gone+550-5.1.1@example.org".into();
        all[7] = "spam+dot-554-5.7.1@example.org".into();
        all[9] = "cut+cut-after-dot@example.org".into();
        let wish = Wish {
            readers: all,
            connections: 2,
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        rig.finish(run).await;
        rig.assert_true(run).await;
        let expected = [
            ("full", "rcpt", "mailbox_full", "S: 552 5.2.2 as scripted"),
            (
                "gone",
                "rcpt",
                "unknown_address",
                "S: 550 5.1.1 as scripted",
            ),
            ("spam", "dot", "policy", "S: 554 5.7.1 as scripted"),
            ("cut", "dot", "no_answer", "(smtp, the final dot:"),
        ];
        for (start, stage, reason, said) in expected {
            let dossier = dossier(&rig, run, start).await;
            assert_eq!(dossier.stage.as_deref(), Some(stage), "{dossier:?}");
            assert_eq!(dossier.reason.as_deref(), Some(reason), "{dossier:?}");
            let dialogue = dossier.dialogue.unwrap_or_default();
            assert!(dialogue.contains(said), "{dialogue}");
            assert!(dialogue.starts_with("S: 220 "), "{dialogue}");
            let told = dialogue.matches("C: RCPT").count();
            assert_eq!(told, 1, "nobody else's envelope stands in it: {dialogue}");
            assert!(!dialogue.contains("Dear"), "no message: {dialogue}");
        }
        let sent = dossier(&rig, run, "reader0").await;
        assert_eq!((sent.state.as_str(), sent.reason), ("sent", None));
        let canonical = "gone+550-5.1.1@example.org";
        let found = rig.app.store.delivery_to(run, canonical).await;
        let found = found.expect("a read").expect("the delivery");
        assert_eq!(found.state, "bounced");
    }
);

on_both!(
    a_deferred_delivery_tells_when_it_is_tried_again,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(2),
            connections: 1,
            send: "retry = [\"5m\"]",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.sink
            .set_script(crate::deliver::rig::script("451-4.7.1"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        let deferred = until(async || {
            let rows = rig.rows(run).await;
            rows.len() == 2 && rows.iter().all(|row| row.attempts == 1)
        });
        assert!(deferred.await);
        sending.stop().await;
        let dossier = dossier(&rig, run, "reader1").await;
        let wait =
            Duration::from_millis((dossier.due_at - dossier.failed_at.expect("a time")) as u64);
        assert_eq!(
            wait,
            Duration::from_secs(300),
            "the schedule, where nothing is named"
        );
    }
);
