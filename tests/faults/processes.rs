//! What the fault tests do to real processes, beyond the kill test's world: signals, an environment, judging.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::oracle::{Judgement, judge};
use crate::sample::Sampling;
use crate::world::{Sender, World};

/// Long enough for a machine that compiles beside the tests.
pub const PATIENCE: Duration = Duration::from_secs(120);

impl World {
    /// Begins the run, or goes on with it if it was begun.
    pub fn start_any(&self, environment: &[(&str, &str)]) -> Sender {
        let begun = self
            .pressrun(&["status", "kill"])
            .output()
            .expect("the binary");
        let arguments: &[&str] = match begun.status.success() || begun.status.code() == Some(3) {
            true => &["resume", "kill"],
            false => &["send", "kill", "--list", "weekly", "--yes"],
        };
        let mut command = self.pressrun(arguments);
        command.envs(environment.iter().copied());
        self.spawn(command)
    }

    /// Watches the identity from now on.
    pub fn sample(&self) -> Sampling {
        Sampling::start(&self.url(), &self.news())
    }

    /// The books, held against the sink's log once nothing moves any more.
    pub fn judgement(&mut self) -> Judgement {
        self.settled();
        let counts = self.verify();
        assert!(counts.balanced, "the books do not balance: {counts:?}");
        let (sent, uncertain) = (self.deliveries("sent"), self.deliveries("uncertain"));
        judge(
            &self.everyone(),
            &self.accepted_by_sink(),
            &sent,
            &uncertain,
        )
    }

    /// How many times the sink took a message, by reader, with the Message-IDs.
    pub fn copies(&self) -> BTreeMap<String, Vec<String>> {
        let log = std::fs::read_to_string(self.folder.path().join("sink.log")).expect("the log");
        let mut copies: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
            copies
                .entry(text(&line["rcpt"][0]))
                .or_default()
                .push(text(&line["message_id"]));
        }
        copies
    }

    /// What the last sender said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("sender.err")).unwrap_or_default()
    }
}

impl Judgement {
    /// Nobody lost, doubled, or called sent for nothing.
    #[track_caller]
    pub fn assert_clean(&self) {
        let faults = [&self.lost, &self.doubled, &self.false_sent];
        assert!(faults.iter().all(|list| list.is_empty()), "{self:#?}");
    }
}

impl Sender {
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a pid");
        kill_process(pid, signal).expect("a process to tell");
    }

    /// SIGTERM, unless it has ended by itself.
    pub fn signal_or_gone(&mut self) {
        if self.is_running() {
            self.signal(Signal::TERM);
        }
    }

    /// Waits for its end, and says how it ended and how long that took.
    pub fn ended(mut self, patience: Duration) -> (ExitStatus, Duration) {
        let from = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("a child") {
                return (status, from.elapsed());
            }
            assert!(from.elapsed() < patience, "the sender does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
