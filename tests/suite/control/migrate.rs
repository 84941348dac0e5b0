//! From SQLite to PostgreSQL, with all that was ever sent.

use pressrun::smtp::sink::SinkOptions;

use crate::control::desk::Desk;
use crate::harness::{Database, Engine, block_on};

/// Without the time at which the question was asked.
fn timeless(said: &str) -> Vec<&str> {
    let lines = said.lines();
    lines
        .filter(|line| !line.starts_with("  \"at\": "))
        .collect()
}

#[test]
fn a_publication_moves_to_postgresql_and_knows_all_that_it_knew() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite, 5, SinkOptions::default()).await;
        let target = Database::new(Engine::Postgres).await;
        let sent = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let barred = ["suppressions", "add", "reader3@example.org"];
        assert_eq!(desk.run(&barred).await.code, 0);
        let asked = [
            &["stats", "bees", "--json"][..],
            &["stats", "--list", "weekly", "--json"],
            &["subscribers", "show", "reader3@example.org", "--json"],
            &["deliveries", "bees", "--json"],
            &["archive", "list", "--json"],
        ];
        let mut before = Vec::new();
        for arguments in asked {
            let said = desk.run(arguments).await;
            assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
            before.push(said.out);
        }
        let moved = desk.run(&["migrate", "--to", &target.url]).await;
        assert_eq!(moved.code, 0, "{moved:?}");
        assert!(moved.error.contains("deliveries: 5\n"), "{moved:?}");
        let again = desk.run(&["migrate", "--to", &target.url]).await;
        assert_eq!(again.code, 1);
        assert!(again.error.contains("comes into an empty one"), "{again:?}");
        desk.configure("database.url", &format!("{:?}", target.url));
        let verified = desk.run(&["verify"]).await;
        assert_eq!(verified.code, 0, "{verified:?}");
        for (arguments, before) in asked.into_iter().zip(before) {
            let said = desk.run(arguments).await;
            assert_eq!(
                timeless(&said.out),
                timeless(&before),
                "{arguments:?}: {said:?}"
            );
        }
        let twice = desk.run(&["send", "bees", "--yes"]).await;
        assert_ne!(twice.code, 0, "{twice:?}");
        desk.write(
            "wasps",
            &crate::control::desk::ISSUE.replace("Bees", "Wasps"),
        );
        let more = desk.run(&["send", "wasps", "--yes"]).await;
        assert_eq!(more.code, 0, "{more:?}");
        assert_eq!(desk.sink.counts().accepted, 9);
    });
}
