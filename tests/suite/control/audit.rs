//! What commands change stands in the audit, and what they only look at does not.

use pressrun::clock::Timestamp;
use pressrun::smtp::sink::SinkOptions;

use super::privacy::LINKED;
use crate::control::desk::Desk;
use crate::harness::{Engine, block_on};
use crate::on_both;

/// Every line, the oldest first: what, about what.
async fn lines(desk: &Desk) -> Vec<(String, String)> {
    let app = desk.app().await;
    let end = Timestamp(i64::MAX);
    let mut lines = app
        .store
        .audit_lines(end, i64::MAX, 1_000)
        .await
        .expect("a read");
    app.store.close().await;
    for line in &lines {
        assert_eq!(
            (line.session, line.who.as_str()),
            (0, "command line"),
            "{line:?}"
        );
        assert!(
            !line.what.contains('@') && !line.about.contains('@'),
            "{line:?}"
        );
    }
    lines.reverse();
    lines
        .into_iter()
        .map(|line| (line.what, line.about))
        .collect()
}

on_both!(
    commands_that_change_something_stand_in_the_audit_and_looks_do_not,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        desk.write("bees", LINKED);
        std::fs::write(desk.news().join("more.csv"), "email\nmore@example.org\n").expect("a file");
        let import = [
            "subscribers",
            "import",
            "more.csv",
            "--list",
            "weekly",
            "--consent",
            "asked",
        ];
        let looks: [&[&str]; 8] = [
            &["lists", "show"],
            &["suppressions", "check", "a@example.org"],
            &["subscribers", "show", "reader0@example.org"],
            &["subscribers", "imports"],
            &["subscribers", "undo-import", "1", "--dry-run"],
            &["subscribers", "probe"],
            &["status"],
            &["links", "bees"],
        ];
        let changes: [(&[&str], &str, &str); 10] = [
            (
                &["lists", "add", "monthly", "--title", "M"],
                "added a list",
                "list monthly",
            ),
            (
                &["suppressions", "add", "a@example.org"],
                "suppressed an address",
                "",
            ),
            (
                &["suppressions", "remove", "a@example.org", "--yes"],
                "allowed a suppressed address",
                "",
            ),
            (&import, "imported readers", "import 2 into weekly"),
            (
                &["subscribers", "undo-import", "2"],
                "took an import back",
                "import 2",
            ),
            (
                &["subscribers", "tag", "paid", "reader0@example.org"],
                "tagged 1 readers",
                "tag paid",
            ),
            (
                &["send", "bees", "--yes", "--at", "2037-07-20 07:00"],
                "began a run",
                "run 2 of bees",
            ),
            (&["pause", "bees"], "paused a run", "run 2 of bees"),
            (
                &["resume", "bees", "--detach"],
                "resumed a run",
                "run 2 of bees",
            ),
            (
                &["cancel", "bees", "--yes"],
                "cancelled a run",
                "run 2 of bees",
            ),
        ];
        let mut expected = vec![(
            "imported readers".to_owned(),
            "import 1 into weekly".to_owned(),
        )];
        assert_eq!(lines(&desk).await, expected);
        for (arguments, what, about) in changes {
            let said = desk.run(arguments).await;
            assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
            expected.push((what.to_owned(), about.to_owned()));
            assert_eq!(lines(&desk).await, expected, "{arguments:?}");
        }
        for arguments in looks {
            let said = desk.run(arguments).await;
            assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        }
        // What was refused changed nothing.
        for arguments in [
            &["lists", "add", "monthly", "--title", "M"][..],
            &["pause", "bees"],
            &["subscribers", "undo-import", "9"],
            &["suppressions", "remove", "a@example.org", "--yes"],
        ] {
            assert_eq!(desk.run(arguments).await.code, 1, "{arguments:?}");
        }
        assert_eq!(lines(&desk).await, expected);
        let removed = desk.run(&[
            "subscribers",
            "remove",
            "reader1@example.org",
            "--list",
            "weekly",
        ]);
        assert_eq!(removed.await.code, 0);
        let last = lines(&desk).await.pop().expect("a line");
        assert_eq!(last.0, "took a reader off `weekly`");
        assert!(last.1.starts_with("reader "), "{last:?}");
    }
);

on_both!(
    keys_that_are_rotated_or_revoked_stand_in_the_audit,
    async |engine: Engine| {
        let desk = Desk::new(engine, 1, SinkOptions::default()).await;
        let before = lines(&desk).await.len();
        for (arguments, code) in [
            (&["keys", "revoke", "1", "--yes"][..], 1),
            (&["keys", "rotate"], 0),
            (&["keys", "activate", "2"], 0),
            (&["keys", "revoke", "1"], 1),
            (&["keys", "revoke", "1", "--yes"], 0),
            (&["keys", "revoke", "1", "--yes"], 0),
            (&["keys", "list"], 0),
        ] {
            let said = desk.run(arguments).await;
            assert_eq!(said.code, code, "{arguments:?}: {said:?}");
        }
        let told = lines(&desk).await.split_off(before);
        let mut expected = vec![("rotated the keyring", "key 2"), ("revoked a key", "key 1")];
        // Where several machines may send, a key signs once each of them has it.
        if engine == Engine::Postgres {
            expected.insert(1, ("let a key sign", "key 2"));
        }
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(what, about)| (what.to_owned(), about.to_owned()))
            .collect();
        assert_eq!(told, expected);
    }
);

#[test]
fn a_key_is_revoked_also_while_the_database_is_away_and_the_missing_line_is_told() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite, 1, SinkOptions::default()).await;
        assert_eq!(desk.run(&["keys", "rotate"]).await.code, 0);
        let file = desk.news().join("pressrun.db");
        std::fs::remove_file(&file).expect("a file less");
        std::fs::create_dir(&file).expect("what no database opens");
        let said = desk.run(&["keys", "revoke", "1", "--yes"]).await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.out.contains("key 1 is revoked"), "{said:?}");
        assert!(said.error.contains("audit has no line"), "{said:?}");
        let listed = desk.run(&["keys", "list"]).await;
        assert!(listed.out.contains("revoked"), "{listed:?}");
    });
}
