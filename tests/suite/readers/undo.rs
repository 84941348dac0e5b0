//! A whole import is taken back, or goes on where it was broken off.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pressrun::import::Import;
use pressrun::import::undo;
use pressrun::subscriber::Status;
use serde_json::Value;

use super::desk::Desk;
use crate::harness::{Database, Engine, block_on};
use crate::on_both;

on_both!(
    an_undo_takes_those_whom_the_import_brought_and_who_did_nothing_since,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email\nold@x.example\n").await;
        let before = desk.exported().await;
        desk.app.clock.advance(Duration::from_secs(60));
        let mut text = String::from("email,name\nold@x.example,Old\n");
        for who in ["quiet", "mailed", "left", "moved", "paused", "elsewhere"] {
            text.push_str(&format!("{who}@x.example,\n"));
        }
        (0..1_200).for_each(|n| text.push_str(&format!("r{n}@x.example,\n")));
        let summary = desk.import(&text).await;
        let id = summary.import.expect("a number");
        assert_eq!(summary.tally.added, 1_206);
        desk.app.clock.advance(Duration::from_secs(60));
        desk.leave("left@x.example").await;
        let id_of =
            |who: &str| format!("(select id from subscribers where canonical = '{who}@x.example')");
        let key_of = |who: &str| {
            format!(
                "(select key from subscriptions where subscriber_id = {})",
                id_of(who)
            )
        };
        desk.database
            .raw(&format!(
                "insert into lists (id, slug, title, label, created_at) values (7, 'other', 'O', 'o', 0);
                 insert into runs (id, kind, slug, title, list_id, headers, relay, policy, status, cutoff,
                     frozen_to, recipients, created_at)
                 values (2, 'issue', 'w', 'W', 1, '{{}}', 'main', 'hold', 'finished', 0, 0, 1, 0);
                 insert into deliveries (run_id, seq, subscriber_id, state, due_at)
                 values (2, 0, {mailed}, 'sent', 0);
                 insert into address_changes (key, subscriber_id, address, canonical, hash, at)
                 values (5, {moved}, 'n@x.example', 'n@x.example', unhex('00'), 0);
                 update subscriptions set frequency = 'monthly' where key = {paused};
                 insert into subscriptions (key, list_id, subscriber_id, status, source, created_at)
                 values (9, 7, {elsewhere}, 'pending', 'cli', 0)",
                mailed = id_of("mailed"),
                moved = id_of("moved"),
                paused = key_of("paused"),
                elsewhere = id_of("elsewhere"),
            ))
            .await;
        let dry = undo::run(&desk.app, id, true).await.expect("a look");
        assert_eq!((dry.removed, dry.stayed), (1_202, 4));
        let kept = undo::Left {
            updated: 1,
            known: 1,
            ..undo::Left::default()
        };
        assert_eq!(dry.left, kept, "the one who was here before keeps her name");
        let done = undo::run(&desk.app, id, false).await.expect("an undo");
        assert_eq!((done.removed, done.stayed), (1_202, 4));
        assert!(desk.reader("quiet@x.example").await.is_none());
        for who in ["mailed", "left", "moved", "paused"] {
            assert!(
                desk.reader(&format!("{who}@x.example")).await.is_some(),
                "{who}"
            );
        }
        // Who is on another list stays a reader, of that list only.
        let (_, held) = desk.reader("elsewhere@x.example").await.expect("a reader");
        assert_eq!(held.len(), 1);
        let old = before
            .lines()
            .nth(1)
            .expect("a reader")
            .replace("x.example,,", "x.example,Old,");
        assert!(desk.exported().await.contains(&old));
        let again = undo::run(&desk.app, id, false).await.expect_err("twice");
        assert!(
            again.to_string().contains("was taken back before"),
            "{again}"
        );
        let missing = undo::run(&desk.app, 99, true).await.expect_err("none");
        assert!(
            missing.to_string().contains("there is no import 99"),
            "{missing}"
        );
        let imports = desk.app.store.imports().await.expect("a read");
        assert_eq!((imports[1].removed, imports[1].stayed), (1_202, 4));
        desk.app.store.close().await;
    }
);

on_both!(
    whom_a_later_import_vouches_for_outlasts_the_undo_of_the_first,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let first = desk
            .import("email\nboth@x.example\nbare@x.example\nonly@x.example\n")
            .await;
        desk.app.clock.advance(Duration::from_secs(60));
        // Without a consent of its own, a file says nothing for its readers.
        let bare = Import {
            consent: String::new(),
            status: Status::Pending,
            ..desk.job("email\nbare@x.example\n")
        };
        assert_eq!(desk.run(&bare).await.tally.known, 1);
        desk.app.clock.advance(Duration::from_secs(60));
        let second = desk
            .import("email,name\nboth@x.example,Bo\nnew@x.example,N\n")
            .await;
        assert_eq!((second.tally.added, second.tally.updated), (1, 1));
        let id = |summary: &pressrun::import::Summary| summary.import.expect("a number");
        let dry = undo::run(&desk.app, id(&first), true)
            .await
            .expect("a look");
        assert_eq!((dry.removed, dry.stayed), (2, 1));
        let done = undo::run(&desk.app, id(&first), false)
            .await
            .expect("an undo");
        assert_eq!((done.removed, done.stayed), (2, 1));
        assert!(desk.reader("bare@x.example").await.is_none());
        // The second takes only whom it brought.
        let done = undo::run(&desk.app, id(&second), false)
            .await
            .expect("an undo");
        assert_eq!((done.removed, done.stayed), (1, 0));
        assert!(desk.reader("new@x.example").await.is_none());
        assert_eq!(desk.status("both@x.example").await, Some(Status::Confirmed));
        desk.app.store.close().await;
    }
);

on_both!(
    those_who_had_left_there_go_with_the_import_and_the_suppressed_stay,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text =
            "email,status\na@x.example,unsubscribed\nb@x.example,bounced\nc@x.example,pending\n";
        let id = desk.import(text).await.import.expect("a number");
        let done = undo::run(&desk.app, id, false).await.expect("an undo");
        assert_eq!((done.removed, done.stayed), (2, 0));
        assert!(desk.reader("a@x.example").await.is_none());
        let again = desk.import("email\nb@x.example\n").await.tally;
        assert_eq!(again.suppressed, 1);
        desk.app.store.close().await;
    }
);

const ROWS: usize = 40_000;

/// The program on a publication of its own.
struct Program {
    database: Database,
}

impl Program {
    async fn new(engine: Engine) -> Program {
        let program = Program {
            database: Database::new(engine).await,
        };
        let news = program.database.path().join("news");
        let made = program
            .bare()
            .arg("init")
            .arg(&news)
            .output()
            .expect("the binary");
        assert!(made.status.success());
        let mut csv = String::from("email,name\n");
        for number in 0..ROWS {
            // In no order, and with rows that repeat and rows that are refused on both sides of the kill.
            let scattered = number.wrapping_mul(48_271) % ROWS;
            csv.push_str(&format!("reader{scattered}@x.example,Reader {number}\n"));
            if number % 10_000 == 77 {
                csv.push_str("nobody,\nREADER1@x.example,again\n");
            }
        }
        fs::write(news.join("readers.csv"), csv).expect("a file");
        // Two programs that make the tables at once would stand in each other's way.
        let mut make = program.bare();
        make.current_dir(&news)
            .args(["lists", "add", "other", "--title", "Other"]);
        assert!(make.output().expect("the binary").status.success());
        program
    }

    fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pressrun"));
        command.stdin(Stdio::null());
        if !self.database.url.starts_with("sqlite:") {
            command.env("PRESSRUN_DATABASE__URL", &self.database.url);
        }
        command
    }

    fn import(&self) -> Command {
        let mut command = self.bare();
        let news = self.database.path().join("news");
        command.current_dir(&news).args([
            "subscribers",
            "import",
            "readers.csv",
            "--list",
            "weekly",
            "--consent",
            "they asked",
            "--json",
        ]);
        command
    }

    fn json(&self, mut command: Command) -> Value {
        let output = command.output().expect("the binary");
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    fn imports(&self) -> Value {
        let mut command = self.bare();
        command
            .current_dir(self.database.path().join("news"))
            .args(["subscribers", "imports", "--json"]);
        self.json(command)
    }
}

on_both!(
    a_killed_import_goes_on_behind_what_it_took_and_ends_as_if_nothing_had_been,
    async |engine: Engine| {
        let program = Program::new(engine).await;
        let mut child = program
            .import()
            // Held behind its fourth batch, so that the kill finds it at work however fast the machine is.
            .env("PRESSRUN_FAILPOINT", "store::import/after@4=100000ms")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary");
        // Killed as soon as something of it is there.
        let since = Instant::now();
        loop {
            let imports = program.imports();
            if imports[0]["added"].as_u64().is_some_and(|added| added > 0) {
                break;
            }
            assert!(since.elapsed() < Duration::from_secs(120), "{imports}");
            assert!(
                child.try_wait().expect("a look").is_none(),
                "ended before the kill"
            );
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("an end");
        let broken = program.imports();
        let taken = broken[0]["added"].as_u64().expect("a number");
        assert!(broken[0]["finished_at"].is_null(), "{broken}");
        assert!(
            taken < ROWS as u64,
            "the kill came too late to show anything"
        );
        let summary = program.json(program.import());
        let number = |name: &str| summary[name].as_u64().expect(name);
        assert!(number("resumed") > 0, "{summary}");
        assert_eq!(number("added"), ROWS as u64);
        assert_eq!((number("duplicates"), number("rejected")), (4, 4));
        assert_eq!(number("known"), 0);
        let imports = program.imports();
        assert_eq!(imports.as_array().map(Vec::len), Some(1), "{imports}");
        assert!(!imports[0]["finished_at"].is_null());
        // Ended, the same file once more is another import, of which nobody is new.
        let again = program.json(program.import());
        assert_eq!(again["added"], 0);
        assert_eq!(again["known"].as_u64(), Some(ROWS as u64));
    }
);

#[test]
fn other_options_are_another_import() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite).await;
        let job = desk.job("email\na@x.example\n");
        desk.run(&job).await;
        desk.database
            .raw("update imports set finished_at = null, done = 0, tally = ''")
            .await;
        let pending = Import {
            status: Status::Pending,
            ..job.clone()
        };
        assert_eq!(desk.run(&pending).await.import, Some(2));
        assert_eq!(desk.run(&job).await.import, Some(1));
        assert_eq!(desk.run(&job).await.import, Some(3));
        desk.app.store.close().await;
    });
}

/// What was taken is passed over by its number alone, so the batches must be the same.
#[test]
fn an_import_goes_on_only_with_the_same_rows_read_in_the_same_way() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite).await;
        let broken = "update imports set finished_at = null, done = 0, tally = ''";
        let mut text = String::from("email,name,issues\n");
        // The middle is far from both ends.
        (0..10_000).for_each(|n| text.push_str(&format!("r{n:05}@x.example,Reader,{n}\n")));
        let job = desk.job(&text);
        desk.run(&job).await;
        desk.database.raw(broken).await;
        let mended = text.replace("r05000@", "x05000@");
        assert_eq!(desk.import(&mended).await.import, Some(2));
        assert!(desk.reader("x05000@x.example").await.is_some());
        desk.database.raw(broken).await;
        let fields = desk.database.path().join("emails/fields.toml");
        fs::write(fields, "[fields.issues]\ntype = \"text\"\n").expect("a file");
        assert_eq!(desk.import(&text).await.import, Some(3));
        desk.database.raw(broken).await;
        assert_eq!(desk.import(&text).await.import, Some(3));
        desk.app.store.close().await;
    });
}
