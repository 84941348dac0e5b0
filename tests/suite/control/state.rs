//! What `send` finds out before anything is begun, and by which exit code it tells what became of a run.

use pressrun::smtp::sink::SinkOptions;

use crate::control::desk::Desk;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    nothing_is_begun_where_the_state_folder_cannot_be_written,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        let state = desk.news().join("state");
        std::fs::remove_dir_all(&state).ok();
        std::fs::write(&state, "a file in its place").expect("a file");
        let app = desk.app().await;
        for arguments in [
            &["send", "bees", "--yes"][..],
            &["test", "bees", "--to", "author@example.org"],
        ] {
            let said = desk.run(arguments).await;
            assert_eq!(said.code, 1, "{said:?}");
            assert!(
                said.error.contains("nothing is begun: the state folder `")
                    && said.error.contains("(`paths.state`) cannot be written"),
                "{said:?}"
            );
        }
        assert_eq!(app.store.run_of("bees").await.expect("a read"), None);
        assert_eq!(
            app.store
                .due(pressrun::id::RunId::SYSTEM, app.clock.now())
                .await
                .expect("a read"),
            0,
            "no test copy waits"
        );
        std::fs::remove_file(&state).expect("a file");
        let said = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(desk.sink.counts().accepted, 3);
        let left = std::fs::read_dir(&state).expect("a folder");
        let left = left.filter_map(|entry| entry.expect("an entry").file_name().into_string().ok());
        let left: Vec<String> = left.filter(|name| name.starts_with("trial")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
);

on_both!(
    a_run_of_which_some_failed_or_that_nobody_got_needs_a_person,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        let said = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        let told = "pressrun deliveries bees --state failed";
        desk.raw(
            "update deliveries set state = 'failed', code = 554 where run_id = 2 and seq = 0;
             update blocks set sent = sent - 1, failed = failed + 1 where run_id = 2",
        )
        .await;
        for arguments in [&["status", "bees"][..], &["resume", "bees"]] {
            let said = desk.run(arguments).await;
            assert_eq!(said.code, 3, "{said:?}");
            assert!(
                said.out.contains(told) && !said.out.contains("nobody got it"),
                "{said:?}"
            );
        }
        // A bounce is an address's own matter, unless nobody is left.
        desk.raw(
            "update deliveries set state = 'bounced', code = 550 where run_id = 2 and seq = 0;
             update blocks set failed = failed - 1, bounced = bounced + 1 where run_id = 2",
        )
        .await;
        let said = desk.run(&["status", "bees"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        desk.raw(
            "update deliveries set state = 'bounced', code = 550 where run_id = 2;
             update blocks set sent = 0, bounced = 3 where run_id = 2",
        )
        .await;
        let said = desk.run(&["status", "bees"]).await;
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.out.contains("nobody got it"), "{said:?}");
        let json = desk.run(&["status", "bees", "--json"]).await;
        assert_eq!(json.code, 3, "{json:?}");
    }
);
