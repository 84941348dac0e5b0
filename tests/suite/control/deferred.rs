//! What `deliveries` says of one that waits for its next try.

use pressrun::smtp::sink::SinkOptions;

use crate::control::desk::Desk;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    a_deferred_delivery_is_called_so_and_its_issue_is_named_on_either_side,
    async |engine: Engine| {
        let desk = Desk::new(engine, 2, SinkOptions::default()).await;
        assert_eq!(desk.run(&["send", "bees", "--yes"]).await.code, 0);
        let over = desk.run(&["cancel", "bees"]).await;
        assert!(
            over.error
                .contains("is finished; there is nothing to cancel"),
            "{over:?}"
        );
        desk.raw(
            "update deliveries set state = 'queued', attempts = 1, code = 450, enhanced = '4.2.0',
                 reply = 'later', settled_at = null
             where run_id = 2 and seq = 1",
        )
        .await;
        let deferred = desk
            .run(&["deliveries", "bees", "--state", "deferred"])
            .await;
        assert_eq!(deferred.out.lines().count(), 1, "{deferred:?}");
        assert!(
            deferred.out.contains("  deferred ") && deferred.out.ends_with(" 450 4.2.0 later\n"),
            "{deferred:?}"
        );
        let all = desk.run(&["deliveries", "bees", "--json"]).await;
        let all: serde_json::Value = serde_json::from_str(&all.out).expect("JSON");
        assert_eq!(
            (&all[0]["deferred"], &all[1]["deferred"]),
            (&false.into(), &true.into())
        );
        let wrong = desk.run(&["deliveries", "bees", "--state", "late"]).await;
        assert!(wrong.error.contains("cancelled, deferred"), "{wrong:?}");
        let behind = desk.run(&["deliveries", "show", "bees", "1"]).await;
        let before = desk.run(&["deliveries", "bees", "show", "1"]).await;
        assert!(
            behind.out.contains("deferred, tried again at"),
            "{behind:?}"
        );
        assert!(behind.out.contains("why it waits"), "{behind:?}");
        let json = desk
            .run(&["deliveries", "show", "bees", "1", "--json"])
            .await;
        let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
        assert!(json["why"].is_string(), "{json}");
        assert_eq!(behind.out.lines().count(), before.out.lines().count());
        for (words, why) in [
            (&["deliveries", "show", "bees"][..], "name the issue, too"),
            (&["deliveries", "bees", "show", "bees", "1"], "named twice"),
        ] {
            let said = desk.run(words).await;
            assert_eq!(said.code, 1, "{said:?}");
            assert!(said.error.contains(why), "{said:?}");
        }
        for words in [
            ["deliveries", "bees", "resolve", "--as", "sent"],
            ["deliveries", "resolve", "bees", "--as", "sent"],
        ] {
            let said = desk.run(&words).await;
            assert_eq!(
                (said.code, said.out.as_str()),
                (0, "0 uncertain deliveries are sent now\n")
            );
        }
    }
);
