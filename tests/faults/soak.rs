//! R15: three runs one after the other, while the sender is killed every minute, readers are imported and others
//! leave. Two hours; `PRESSRUN_FAULTS_MINUTES` says how long instead.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::processes::PATIENCE;
use crate::world::{Sender, World};
use crate::{is_long, seed, skip, tell};

const CONNECTIONS: usize = 5;
const DELAY: Duration = Duration::from_millis(50);
const RUNS: usize = 3;
/// A sender lives so long, and is looked at shortly before its end.
const LIFE: Duration = Duration::from_secs(60);
/// Between two leavings, and between two imports.
const LEAVE: Duration = Duration::from_secs(5);
const IMPORT: Duration = Duration::from_secs(20);

fn minutes() -> usize {
    let asked = std::env::var("PRESSRUN_FAULTS_MINUTES");
    asked.map_or(120, |number| number.parse().expect("a number"))
}

/// Open files and resident KiB of a process.
fn weight(sender: &Sender) -> (usize, u64) {
    let folder = format!("/proc/{}", sender.0.id());
    let files = fs::read_dir(format!("{folder}/fd")).map_or(0, Iterator::count);
    let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    (
        files,
        number.and_then(|number| number.parse().ok()).unwrap_or(0),
    )
}

fn serve(world: &World) -> Sender {
    world.spawn(world.pressrun(&["serve", "--role", "sender"]))
}

fn status(world: &World) -> String {
    let output = world.pressrun(&["status", "kill", "--json"]).output();
    let output = output.expect("the binary");
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    json[0]["status"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn r15_three_runs_amid_kills_imports_and_leavings() {
    if !is_long() {
        return skip("R15", "two hours; the long form makes it");
    }
    // A little less than five connections carry in the time.
    let recipients = minutes() * 60 * 60 / RUNS;
    let world = World::new(recipients, CONNECTIONS, DELAY);
    let sampling = world.sample();
    let mut chance = StdRng::seed_from_u64(seed());
    let (mut sent, mut uncertain) = (0, 0);
    let (mut kills, mut left, mut imported) = (0, 0, 0);
    let mut weights = Vec::new();
    let mut sender = serve(&world);
    let (mut born, mut leave, mut import) = (Instant::now(), Instant::now(), Instant::now());
    for run in 0..RUNS {
        let begin = [
            "send", "kill", "--list", "weekly", "--yes", "--detach", "--again",
        ];
        let begun = world.pressrun(&begin).output().expect("the binary");
        assert!(begun.status.success(), "{begun:?}");
        let until = Instant::now() + LIFE * u32::try_from(minutes()).expect("a number") + PATIENCE;
        while status(&world) != "finished" {
            assert!(
                Instant::now() < until,
                "run {run} does not end: {}",
                world.said()
            );
            assert!(
                sender.is_running(),
                "the sender ended by itself: {}",
                world.said()
            );
            if born.elapsed() > LIFE {
                weights.push(weight(&sender));
                sender.kill();
                kills += 1;
                sender = serve(&world);
                born = Instant::now();
            }
            if leave.elapsed() > LEAVE {
                leave = Instant::now();
                let reader = format!("reader{}@example.org", chance.random_range(0..recipients));
                let gone = ["subscribers", "remove", &reader, "--list", "weekly"];
                let gone = world.pressrun(&gone).output().expect("the binary");
                left += usize::from(gone.status.success());
            }
            if import.elapsed() > IMPORT {
                import = Instant::now();
                let file = world.folder.path().join("more.csv");
                let rows = (0..500).map(|row| format!("new{imported}x{row}@example.net\n"));
                fs::write(&file, format!("email\n{}", rows.collect::<String>())).expect("a file");
                let mut command = world.pressrun(&["subscribers", "import"]);
                command
                    .arg(&file)
                    .args(["--list", "weekly", "--consent", "made up"]);
                let done = command.output().expect("the binary");
                assert!(done.status.success(), "{done:?}");
                imported += 1;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        let counts = world.verify();
        assert!(counts.balanced, "run {run}: {counts:?}");
        sent += counts.sent;
        uncertain += counts.uncertain;
    }
    sender.kill();
    let samples = sampling.stop();
    // By Message-ID, which names the run and the delivery: none was taken twice.
    let log = fs::read_to_string(world.folder.path().join("sink.log")).expect("the log");
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        let id = line["message_id"].as_str().expect("an id").to_owned();
        *times.entry(id).or_default() += 1;
    }
    let doubled = times.values().filter(|&&times| times > 1).count();
    assert_eq!(doubled, 0, "doubled");
    let accepted = times.len();
    assert!(
        (sent..=sent + uncertain).contains(&accepted),
        "{accepted} accepted, {sent} sent, {uncertain} uncertain"
    );
    assert!(uncertain <= kills * CONNECTIONS, "{uncertain}");
    let first = weights.first().copied().unwrap_or_default();
    let last = weights.last().copied().unwrap_or_default();
    let most = weights.iter().map(|(files, _)| *files).max().unwrap_or(0);
    assert!(most <= first.0 + 8, "open files grow: {weights:?}");
    tell(
        "R15",
        "sqlite",
        &format!(
            "{} min, {RUNS} runs to {recipients} readers and more, {kills} x SIGKILL, {left} left, {imported} imports \
             of 500: accepted {accepted}, lost 0, doubled 0, uncertain {uncertain}, every run balanced; after a minute of life {} files and {} MiB at first, \
             {} and {} MiB at last; identity looked at {samples} times",
            minutes(),
            first.0,
            first.1 / 1024,
            last.0,
            last.1 / 1024
        ),
    );
}
