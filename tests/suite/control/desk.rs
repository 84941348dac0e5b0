//! An author's folder with a sink beside it, and the program run in it as a person runs it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pressrun::app::App;
use pressrun::smtp::sink::script::Script;
use pressrun::smtp::sink::{Sink, SinkOptions};
use rustix::process::Signal;

use crate::control::signals::{ended, signal};
use crate::deliver::rig::{script, until};
use crate::harness::{Database, Engine};

pub const ISSUE: &str = "---\ntitle: \"Bees, and where they live\"\npreheader: \"Six hives on six roofs, and what \
     the neighbours say.\"\n---\nHello [[first_name|there]], these are the bees.\n";

pub struct Desk {
    pub sink: Sink,
    database: Database,
    postgres: bool,
}

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub error: String,
}

impl Desk {
    /// A publication with `readers` confirmed readers and the issue `bees`.
    pub async fn new(engine: Engine, readers: usize, options: SinkOptions) -> Desk {
        let database = Database::new(engine).await;
        let sink = Sink::bind(options).await.expect("a sink");
        let desk = Desk {
            sink,
            database,
            postgres: engine == Engine::Postgres,
        };
        let relay = desk.sink.url();
        desk.done(&[
            "init",
            "news",
            "--name",
            "The Weekly",
            "--url",
            "http://127.0.0.1:8080",
            "--from",
            "news@example.com",
            "--postal-address",
            "1 Press Lane",
            "--list",
            "weekly",
            "--relay",
            &relay,
        ]);
        desk.write("bees", ISSUE);
        let mut csv = String::from("email\n");
        csv.extend((0..readers).map(|number| format!("reader{number}@example.org\n")));
        let file = desk.news().join("readers.csv");
        std::fs::write(&file, csv).expect("the readers");
        let file = file.to_str().expect("a path");
        desk.done(&[
            "subscribers",
            "import",
            file,
            "--list",
            "weekly",
            "--consent",
            "made up for a test",
        ]);
        desk
    }

    pub fn news(&self) -> PathBuf {
        self.database.path().join("news")
    }

    pub fn write(&self, slug: &str, text: &str) {
        let folder = self.news().join("emails/issues").join(slug);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("issue.md"), text).expect("a file");
    }

    /// Sets one key of the configuration file to a value as it stands in TOML.
    pub fn configure(&self, key: &str, value: &str) {
        let file = self.news().join("pressrun.toml");
        let mut text = std::fs::read_to_string(&file).expect("a file");
        let (section, key) = key.split_once('.').expect("a section");
        let heading = format!("[{section}]\n");
        if !text.contains(&heading) {
            text.push_str(&format!("\n{heading}"));
        }
        let (before, rest) = text.split_once(&heading).expect("the section");
        let (section, after) = rest.split_at(rest.find("\n[").unwrap_or(rest.len()));
        let own = format!("{key} = ");
        let others = section.split_inclusive('\n');
        let others: String = others.filter(|line| !line.starts_with(&own)).collect();
        let text = format!("{before}{heading}{own}{value}\n{others}{after}");
        std::fs::write(&file, text).expect("a file");
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pressrun"));
        command
            .args(arguments)
            .env_clear()
            .env("PRESSRUN_RELAY__MAIN__TLS", "none")
            .env("PRESSRUN_RELAY__MAIN__CONNECTIONS", "4")
            .stdin(Stdio::null());
        if self.postgres {
            command.env("PRESSRUN_DATABASE__URL", &self.database.url);
        }
        let inside = arguments.first() != Some(&"init");
        let news = self.news();
        command.current_dir(if inside { &news } else { self.database.path() });
        command
    }

    /// Schedules the issue to the publication's list, and a day later to another one, `friends`.
    pub async fn schedule_for_two_lists(&self) {
        for arguments in [
            &["lists", "add", "friends", "--title", "Friends"][..],
            &[
                "subscribers",
                "add",
                "friend@example.org",
                "--list",
                "friends",
                "--status",
                "confirmed",
            ],
            &["send", "bees", "--yes", "--at", "2037-07-20 07:00"],
            &[
                "send",
                "bees",
                "--yes",
                "--at",
                "2037-07-21 07:00",
                "--list",
                "friends",
            ],
        ] {
            let said = self.run(arguments).await;
            assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        }
    }

    /// Runs the program to its end, beside whatever else is going on here.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        let ended = tokio::task::spawn_blocking(move || command.output());
        let output = ended.await.expect("no panic").expect("the program runs");
        said(&output)
    }

    /// Starts the program, and waits until the sink has taken `number` messages and answers no more.
    pub async fn start_held(&self, arguments: &[&str], number: u64) -> Child {
        let before = self.sink.counts().accepted;
        self.sink.hold_after(number);
        let plain = self.command(arguments);
        // Whoever runs the tests may ignore hangups, as `nohup` does, and that is inherited.
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal=HUP").arg(plain.get_program());
        command.args(plain.get_args()).env_clear();
        let set = plain.get_envs();
        command.envs(set.filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.news()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("the program runs");
        assert!(until(async || self.sink.counts().accepted >= before + number).await);
        child
    }

    /// Says this to a program whose messages the sink holds, and gives its exit code. It is in the middle of its run
    /// when it hears it: the sink takes its time over what comes until then.
    pub async fn end_held(&self, child: Child, how: Signal) -> i32 {
        signal(&child, how);
        self.sink.set_script(script("slow-300ms"));
        self.sink.release();
        let code = ended(child).await;
        self.sink.set_script(Script::default());
        code
    }

    fn done(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().expect("the program runs");
        assert!(output.status.success(), "{:?}", said(&output));
    }

    /// Starts the program and leaves it running.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the program runs")
    }

    /// The same publication, opened as another process would.
    pub async fn app(&self) -> App {
        let text = std::fs::read_to_string(self.news().join("pressrun.toml")).expect("a file");
        let url = format!("PRESSRUN_DATABASE__URL={}", self.database.url);
        let environment = self.postgres.then_some(url);
        let pairs = environment.iter().filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let pairs = pairs.chain([("PRESSRUN_RELAY__MAIN__TLS".into(), "none".into())]);
        let config = pressrun::config::Config::parse(&text, "pressrun.toml", pairs);
        let (config, _) = config.expect("a configuration");
        App::open(config, &self.news()).await.expect("an app")
    }

    /// Runs SQL of the test's own.
    pub async fn raw(&self, statements: &str) {
        if self.postgres {
            return self.database.raw(statements).await;
        }
        raw_sqlite(&self.news().join("pressrun.db"), statements).await;
    }
}

async fn raw_sqlite(file: &Path, statements: &str) {
    use sqlx::ConnectOptions;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut conn = options.connect().await.expect("a connection");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned()))
        .execute(&mut conn)
        .await
        .expect("the test's own SQL");
}

pub fn said(output: &std::process::Output) -> Said {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        error: text(&output.stderr),
    }
}
