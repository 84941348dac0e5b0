//! A folder with a publication, a sink beside it, and the processes that the test starts and kills.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::harness::{Database, Engine, Port, block_on};

const SLUG: &str = "kill";
const LIST: &str = "weekly";

const ISSUE: &str = "---\ntitle: An issue for the kill test\n---\n\n## One item\n\n\
    Hello [[email]], [a link](https://example.com/one) and some words.\n";

/// What `pressrun verify --json` prints.
#[derive(Debug, Deserialize)]
pub struct Counts {
    pub recipients: usize,
    pub at_dot: usize,
    pub sent: usize,
    pub uncertain: usize,
    pub balanced: bool,
    /// Why it is not, in words: an assertion prints them.
    #[expect(dead_code, reason = "only printed")]
    faults: Vec<String>,
}

pub struct World {
    pub(super) folder: tempfile::TempDir,
    /// The sink's, and nobody else's while there is none.
    pub(super) port: u16,
    _held: Port,
    pub(super) sink: Child,
    log: SinkLog,
    /// The test's own on PostgreSQL; on SQLite it is the file that `init` names.
    database: Option<Database>,
    /// Another way to the same database, once everything is prepared; or a database that the test has made.
    pub(super) through: Option<String>,
    recipients: usize,
    connections: usize,
    /// Messages in one write, by BDAT; 0 is DATA.
    pub window: usize,
}

/// A sender that may be killed; it is when the test fails.
pub struct Sender(pub(super) Child);

impl World {
    /// A publication with `recipients` confirmed readers, and a sink that thinks `delay` over each dot.
    pub fn new(recipients: usize, connections: usize, delay: Duration) -> World {
        World::on(Engine::Sqlite, recipients, connections, delay)
    }

    /// [`World::new`] on either database.
    pub fn on(engine: Engine, recipients: usize, connections: usize, delay: Duration) -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = (engine == Engine::Postgres).then(|| {
            let mut made = None;
            block_on(async { made = Some(Database::new(engine).await) });
            made.expect("a database")
        });
        World::made(folder, database, None, recipients, connections, delay)
    }

    /// [`World::new`] on a database that the test has made.
    pub(super) fn at(url: String, recipients: usize, connections: usize, delay: Duration) -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        World::made(folder, None, Some(url), recipients, connections, delay)
    }

    /// [`World::new`] in a folder that was prepared.
    pub(super) fn within(
        folder: tempfile::TempDir,
        recipients: usize,
        connections: usize,
        delay: Duration,
    ) -> World {
        World::made(folder, None, None, recipients, connections, delay)
    }

    fn made(
        folder: tempfile::TempDir,
        database: Option<Database>,
        through: Option<String>,
        recipients: usize,
        connections: usize,
        delay: Duration,
    ) -> World {
        let held = Port::free();
        let port = held.number;
        let log = folder.path().join("sink.log");
        let world = World {
            sink: sink(port, &log, delay),
            log: SinkLog::new(log),
            folder,
            port,
            _held: held,
            database,
            through,
            recipients,
            connections,
            window: 0,
        };
        let news = world.news();
        let relay = format!("smtp://127.0.0.1:{}", world.port);
        let init = [
            "--name",
            "Kill test",
            "--url",
            "http://127.0.0.1:8080",
            "--from",
            "news@example.com",
            "--postal-address",
            "1 Test Street, Testville",
            "--list",
            LIST,
            "--relay",
            &relay,
        ];
        let mut command = world.bare();
        command.arg("init").arg(&news).args(init);
        done(command);
        let issue = news.join("emails/issues").join(SLUG);
        fs::create_dir_all(&issue).expect("the issue's folder");
        fs::write(issue.join("issue.md"), ISSUE).expect("the issue");
        let mut csv = String::from("email\n");
        csv.extend(world.everyone().iter().map(|reader| format!("{reader}\n")));
        let file = world.folder.path().join("readers.csv");
        fs::write(&file, csv).expect("the readers");
        let mut command = world.pressrun(&["subscribers", "import"]);
        command
            .arg(&file)
            .args(["--list", LIST, "--consent", "made up for a test"]);
        done(command);
        world
    }

    pub(super) fn news(&self) -> PathBuf {
        self.folder.path().join("news")
    }

    /// The binary, out of reach of the environment it was started in.
    fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pressrun"));
        command.stdin(Stdio::null()).current_dir(self.folder.path());
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("PRESSRUN_")) {
            command.env_remove(name);
        }
        command
            .env("PRESSRUN_RELAY__MAIN__TLS", "none")
            .env(
                "PRESSRUN_RELAY__MAIN__CONNECTIONS",
                self.connections.to_string(),
            )
            .env("PRESSRUN_RELAY__MAIN__WINDOW", self.window.to_string());
        if self.database.is_some() || self.through.is_some() {
            command.env("PRESSRUN_DATABASE__URL", self.url());
        }
        command
    }

    /// Where everything is kept, and the folder to which a file's name is relative.
    pub(super) fn url(&self) -> String {
        let own = self.database.as_ref().map(|database| database.url.clone());
        let own = self.through.clone().or(own);
        own.unwrap_or_else(|| "sqlite:pressrun.db".into())
    }

    pub(super) fn pressrun(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare();
        command
            .arg("--config")
            .arg(self.news().join("pressrun.toml"))
            .args(arguments);
        command
    }

    pub fn start_send(&self) -> Sender {
        self.start(&["send", SLUG, "--list", LIST, "--yes"])
    }

    pub fn start_resume(&self) -> Sender {
        self.start(&["resume", SLUG])
    }

    fn start(&self, arguments: &[&str]) -> Sender {
        self.spawn(self.pressrun(arguments))
    }

    /// Starts a sender; what it says is kept for the case that it fails.
    pub(super) fn spawn(&self, mut command: Command) -> Sender {
        let stderr = File::create(self.folder.path().join("sender.err")).expect("a file");
        command.stdout(Stdio::null()).stderr(stderr);
        Sender(command.spawn().expect("a sender"))
    }

    /// Everyone on the list.
    pub fn everyone(&self) -> BTreeSet<String> {
        (0..self.recipients)
            .map(|number| format!("reader{number}@example.org"))
            .collect()
    }

    /// Messages that the sink has accepted by now.
    pub fn accepted(&mut self) -> usize {
        self.log.read();
        self.log.accepted.len()
    }

    /// Waits until the sink has accepted `target` messages.
    pub fn wait_for(&mut self, target: usize, sender: &mut Sender, patience: Duration) {
        let until = Instant::now() + patience;
        while self.accepted() < target {
            if !sender.is_running() || Instant::now() > until {
                let stderr = fs::read_to_string(self.folder.path().join("sender.err"));
                panic!(
                    "the sender came to {} of {target} and {}; it said: {}",
                    self.accepted(),
                    if sender.is_running() {
                        "hangs"
                    } else {
                        "ended"
                    },
                    stderr.unwrap_or_default()
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the sink has dealt with all it holds, and counts what it accepted.
    pub fn settled(&mut self) -> usize {
        let mut before = usize::MAX;
        while before != self.accepted() {
            before = self.accepted();
            std::thread::sleep(Duration::from_millis(150));
        }
        before
    }

    /// Recipients of accepted messages, one entry each, in the sink's order.
    pub fn accepted_by_sink(&mut self) -> Vec<String> {
        self.log.read();
        self.log.accepted.clone()
    }

    pub fn verify(&self) -> Counts {
        let text = read(self.pressrun(&["verify", SLUG, "--json"]));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("verify: {error} in {text}"))
    }

    /// Addresses of the deliveries in `state`.
    pub fn deliveries(&self, state: &str) -> BTreeSet<String> {
        let text = read(self.pressrun(&["deliveries", SLUG, "--state", state, "--json"]));
        let json: Value = serde_json::from_str(&text).expect("JSON of deliveries");
        let mut found = BTreeSet::new();
        addresses(&json, &mut found);
        found
    }
}

/// A sink in a process of its own, which listens when this returns.
pub(super) fn sink(port: u16, log: &Path, delay: Duration) -> Child {
    let sink = Command::new(env!("CARGO_BIN_EXE_pressrun"))
        .args(["sink", "--chunking", "--listen"])
        .arg(format!("127.0.0.1:{port}"))
        .arg("--log")
        .arg(log)
        .arg("--delay")
        .arg(format!("{}ms", delay.as_millis()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("a sink");
    wait_until("the sink listens", Duration::from_secs(120), || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    sink
}

impl Drop for World {
    fn drop(&mut self) {
        self.sink.kill().ok();
        self.sink.wait().ok();
    }
}

impl Sender {
    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("a child").is_none()
    }

    /// SIGKILL: no destructor, no flush.
    pub fn kill(mut self) {
        self.0.kill().expect("a child to kill");
        self.0.wait().expect("a dead child");
    }

    /// Waits for its own end: done, or done with deliveries in doubt.
    pub fn finish(mut self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.is_running() {
            assert!(Instant::now() < until, "the last sender does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let code = self.0.wait().expect("an ended child").code();
        assert!(
            matches!(code, Some(0 | 3)),
            "the last sender ended with {code:?}"
        );
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The sink's log, read as it grows.
struct SinkLog {
    path: PathBuf,
    at: u64,
    rest: String,
    accepted: Vec<String>,
}

impl SinkLog {
    fn new(path: PathBuf) -> SinkLog {
        SinkLog {
            path,
            at: 0,
            rest: String::new(),
            accepted: Vec::new(),
        }
    }

    fn read(&mut self) {
        let Ok(mut file) = File::open(&self.path) else {
            return;
        };
        file.seek(SeekFrom::Start(self.at)).expect("a seek");
        self.at += file.read_to_string(&mut self.rest).expect("text") as u64;
        while let Some(end) = self.rest.find('\n') {
            let line: String = self.rest.drain(..=end).collect();
            let line: Value = serde_json::from_str(&line).expect("a line of JSON");
            // Every line is a message that was accepted, whether or not the sender still heard of it.
            let mut found = BTreeSet::new();
            addresses(&line["rcpt"], &mut found);
            assert_eq!(found.len(), 1, "one recipient in {line}");
            self.accepted.extend(found);
        }
    }
}

/// Every reader's address in `json`, wherever it stands.
fn addresses(json: &Value, found: &mut BTreeSet<String>) {
    match json {
        Value::String(text) if text.ends_with("@example.org") => {
            found.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| addresses(item, found)),
        Value::Object(map) => map.values().for_each(|item| addresses(item, found)),
        _ => {}
    }
}

fn wait_until(what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + patience;
    while !done() {
        assert!(
            Instant::now() < until,
            "waited {patience:?} and still not: {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a command that must succeed.
fn done(mut command: Command) {
    let output = command.output().expect("the binary");
    assert!(
        output.status.success(),
        "{command:?} ended with {:?}: {}",
        output.status.code(),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs a command that prints something; its exit code may ask for attention.
fn read(mut command: Command) -> String {
    let output = command.output().expect("the binary");
    assert!(
        matches!(output.status.code(), Some(0 | 3)),
        "{command:?} ended with {:?}: {}",
        output.status.code(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}
