//! What is said of a database that is locked, fails, or looks restored.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use pressrun::smtp::sink::SinkOptions;
use rustix::process::Signal;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use crate::control::desk::Desk;
use crate::control::signals::{ended, signal};
use crate::deliver::rig::until;
use crate::harness::{Engine, block_on};
use crate::on_both;

on_both!(
    a_run_is_proven_where_a_trigger_is_missing_too,
    async |engine: Engine| {
        let desk = Desk::new(engine, 2, SinkOptions::default()).await;
        assert_eq!(desk.run(&["send", "bees", "--yes"]).await.code, 0);
        desk.raw(match engine {
            Engine::Sqlite => "drop trigger journal_of_new",
            Engine::Postgres => "drop trigger journal_of_new on subscriptions",
        })
        .await;
        let told = desk.run(&["verify", "bees"]).await;
        for words in ["the trigger `journal_of_new` is gone", "  balanced\n"] {
            assert!(told.code == 3 && told.out.contains(words), "{told:?}");
        }
        let none = desk.run(&["verify", "wasps"]).await;
        assert!(
            none.code == 1 && none.error.contains("no run of `wasps`"),
            "{none:?}"
        );
    }
);

#[test]
fn the_line_of_progress_names_the_lock_and_since_when() {
    block_on(async {
        let options = SinkOptions {
            delay: Duration::from_millis(20),
            ..SinkOptions::default()
        };
        let desk = Desk::new(Engine::Sqlite, 300, options).await;
        let mut command = desk.command(&["send", "bees", "--yes"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut sending = command.spawn().expect("the program runs");
        let mut lines = BufReader::new(sending.stderr.take().expect("a pipe")).lines();
        assert!(until(async || desk.sink.counts().accepted >= 12).await);
        let file = desk.news().join("pressrun.db");
        let options = SqliteConnectOptions::new()
            .filename(file)
            .busy_timeout(Duration::from_secs(30));
        let mut other = options.connect().await.expect("a connection");
        other.execute("begin exclusive").await.expect("the lock");
        let told = tokio::task::spawn_blocking(move || {
            let line = lines.find_map(|line| {
                let line = line.expect("a line");
                line.contains("takes no writes").then_some(line)
            });
            (line.expect("it ended without a word of it"), lines)
        });
        let (line, mut lines) = told.await.expect("no panic");
        assert!(
            line.contains("the database takes no writes since 20")
                && line.contains("another program has locked it"),
            "{line}"
        );
        other.execute("rollback").await.expect("the lock's end");
        let rest = tokio::task::spawn_blocking(move || lines.by_ref().last());
        assert_eq!(ended(sending).await, 0);
        rest.await.expect("no panic");
        assert_eq!(desk.sink.counts().accepted, 300);
    });
}

on_both!(
    a_fault_of_the_store_is_told_once_and_its_end_too,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        let told = desk.news().join("serve.err");
        let mut command = desk.command(&["serve", "--role", "sender"]);
        let file = std::fs::File::create(&told).expect("a file");
        command.stdout(Stdio::null()).stderr(file);
        let serve = command.spawn().expect("the program runs");
        let app = desk.app().await;
        let at_work = until(async || pressrun::deliver::is_sending(&app).await.expect("a look"));
        assert!(at_work.await);
        // It has gone through all that comes before the first round.
        let sent = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let said = || std::fs::read_to_string(&told).expect("a file");
        let lines = |words: &str| said().lines().filter(|line| line.contains(words)).count();
        desk.raw("alter table runs rename to runs_away").await;
        let failing = "the store cannot be used";
        assert!(until(async || lines(failing) > 0).await, "{}", said());
        // It is tried five times a second.
        tokio::time::sleep(Duration::from_secs(2)).await;
        desk.raw("alter table runs_away rename to runs").await;
        let back = "the store can be used again";
        assert!(until(async || lines(back) > 0).await, "{}", said());
        signal(&serve, Signal::TERM);
        assert_eq!(ended(serve).await, 0);
        assert_eq!((lines(failing), lines(back)), (1, 1), "{}", said());
    }
);

#[test]
fn a_database_that_looks_restored_is_told_in_json_and_mails_no_test_copy() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite, 3, SinkOptions::default()).await;
        let said = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        let said = desk.run(&["why", "--json"]).await;
        assert_eq!(said.out.trim(), "[]", "{said:?}");
        std::fs::remove_file(desk.news().join("state/generation")).expect("a file");
        let said = desk.run(&["why", "--json"]).await;
        let told: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(told[0]["cause"], "restored", "{told}");
        assert_eq!(told[0]["command"], "pressrun resume --yes", "{told}");
        let sentence = told[0]["sentence"].as_str().expect("a text");
        assert!(sentence.contains("looks restored from a backup"), "{told}");
        let said = desk.run(&["why"]).await;
        assert_eq!(said.out.trim_end(), sentence, "the same in both");
        let test = ["test", "bees", "--to", "author@example.org"];
        let refused = desk.run(&test).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.error.contains(sentence), "{refused:?}");
        assert_eq!(desk.sink.counts().accepted, 3, "no test copy");
        let said = desk.run(&["resume", "--yes"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        // None waited for that moment, either.
        let tested = desk.run(&test).await;
        assert_eq!(tested.code, 0, "{tested:?}");
        assert_eq!(desk.sink.counts().accepted, 4);
    });
}
