//! The kill test: a sender is killed again and again in the middle of a run, and nobody is lost or doubled.
//!
//! Black box: the real binary, a real database of either kind, and a sink in a process of its own that is never
//! killed. The judge is the sink's log, written before each of its answers; what the ledger says is
//! only ever held against it. `PRESSRUN_KILL_SEEDS` asks for more schedules than three.

#[path = "../suite/harness.rs"]
#[expect(dead_code, reason = "the suite uses more of it")]
mod harness;
mod oracle;
#[expect(dead_code, reason = "tests/faults uses the rest of it")]
mod world;

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use harness::Engine;
use oracle::{Judgement, judge};
use world::World;

const RECIPIENTS: usize = 2_000;
const CONNECTIONS: usize = 10;
/// The default of `window`.
const WINDOW: usize = 4;
const KILLS: usize = 10;
const DELAY: Duration = Duration::from_millis(20);
/// Ten connections at 20 ms make 500 messages a second at best; a busy machine may take ten times that.
const PATIENCE: Duration = Duration::from_secs(180);

/// How the sender hands its messages over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Data,
    /// By BDAT, in windows.
    Windows,
}

impl Mode {
    /// Deliveries that one kill may leave in doubt.
    fn most(self) -> usize {
        match self {
            Mode::Data => CONNECTIONS,
            Mode::Windows => CONNECTIONS * WINDOW,
        }
    }
}

/// One seed's run: when the kills landed, and what it all came to.
struct Report {
    mode: Mode,
    seed: u64,
    /// What the sink had accepted at each kill.
    landed: Vec<usize>,
    /// The most deliveries that one kill left in doubt.
    doubt: usize,
    judgement: Judgement,
    took: Duration,
}

#[test]
fn a_sender_killed_in_the_middle_loses_nobody_and_doubles_nobody() {
    kill_by_many_schedules(Engine::Sqlite, "SQLite", 3);
}

#[test]
fn a_sender_killed_in_the_middle_loses_nobody_and_doubles_nobody_on_postgresql() {
    kill_by_many_schedules(Engine::Postgres, "PostgreSQL", 1);
}

/// So many schedules as the environment asks for, or else `usual`.
fn kill_by_many_schedules(engine: Engine, name: &str, usual: u64) {
    let seeds: u64 = std::env::var("PRESSRUN_KILL_SEEDS")
        .ok()
        .map_or(usual, |text| {
            text.parse().expect("PRESSRUN_KILL_SEEDS is a number")
        });
    let modes = [Mode::Data, Mode::Windows];
    let each = (1..=seeds).flat_map(|seed| modes.map(|mode| run(engine, seed, mode)));
    let reports: Vec<Report> = each.collect();
    let table = table(name, &reports);
    println!("{table}");
    if let Some(file) = std::env::var_os("PRESSRUN_KILL_TABLE") {
        let file = File::options().create(true).append(true).open(file);
        let mut file = file.expect("the table's file");
        file.write_all(table.as_bytes()).expect("the table");
    }
    for report in &reports {
        let Judgement {
            lost,
            doubled,
            false_sent,
            ..
        } = &report.judgement;
        let faults = [lost, doubled, false_sent];
        assert!(
            faults.iter().all(|list| list.is_empty()),
            "{table}\n{:#?}",
            report.judgement
        );
    }
}

/// Sends to everyone while being killed; panics when a kill missed the run or left too much in doubt.
fn run(engine: Engine, seed: u64, mode: Mode) -> Report {
    let started = Instant::now();
    let mut chance = StdRng::seed_from_u64(seed);
    let mut world = World::on(engine, RECIPIENTS, CONNECTIONS, DELAY);
    world.window = match mode {
        Mode::Data => 0,
        Mode::Windows => WINDOW,
    };
    let mut landed = Vec::new();
    let mut doubt = 0;
    let mut known_doubt = 0;
    let mut sender = world.start_send();
    for kill in 0..KILLS {
        // A few more parts than kills, so that the run is not over before the last one lands.
        let share = RECIPIENTS / (KILLS + 4);
        let target = share * (kill + 1) + chance.random_range(0..share / 2) - share / 4;
        // Somewhere within the time one message takes, so that every step of it is hit some day.
        let moment = Duration::from_micros(chance.random_range(0..25_000));
        // At least one more than before, so that every sender got to send.
        let target = target.max(world.accepted() + 1);
        world.wait_for(target, &mut sender, PATIENCE);
        std::thread::sleep(moment);
        assert!(
            sender.is_running(),
            "seed {seed}: the run ended before kill {kill}"
        );
        sender.kill();
        let accepted = world.settled();
        assert!(
            (1..RECIPIENTS).contains(&accepted),
            "seed {seed}: kill {kill} landed at {accepted} of {RECIPIENTS}: not mid-run"
        );
        landed.push(accepted);
        let counts = world.verify();
        let now = counts.at_dot + counts.uncertain;
        assert!(
            now <= known_doubt + mode.most(),
            "seed {seed}: kill {kill} left {} in doubt",
            now - known_doubt
        );
        doubt = doubt.max(now - known_doubt);
        known_doubt = now;
        sender = world.start_resume();
    }
    sender.finish(PATIENCE);
    world.settled();

    let counts = world.verify();
    assert!(
        counts.balanced,
        "seed {seed}: the books do not balance: {counts:?}"
    );
    assert_eq!(counts.recipients, RECIPIENTS, "seed {seed}");
    assert_eq!(
        counts.sent + counts.uncertain,
        RECIPIENTS,
        "seed {seed}: {counts:?}"
    );
    let sent = world.deliveries("sent");
    let uncertain = world.deliveries("uncertain");
    assert_eq!(
        sent.len(),
        counts.sent,
        "seed {seed}: the list of sent ones"
    );
    assert_eq!(
        uncertain.len(),
        counts.uncertain,
        "seed {seed}: the list of uncertain ones"
    );
    Report {
        mode,
        seed,
        landed,
        doubt,
        judgement: judge(
            &world.everyone(),
            &world.accepted_by_sink(),
            &sent,
            &uncertain,
        ),
        took: started.elapsed(),
    }
}

fn table(engine: &str, reports: &[Report]) -> String {
    let mut text = format!(
        "kill test on {engine}: {RECIPIENTS} recipients, {CONNECTIONS} connections, {} ms to each dot, {KILLS} x SIGKILL\n",
        DELAY.as_millis()
    );
    text += "by       seed  accepted  lost  doubled  false-sent  uncertain (of them accepted)  most per kill      s  killed at\n";
    for report in reports {
        let judgement = &report.judgement;
        let landed: Vec<String> = report.landed.iter().map(usize::to_string).collect();
        writeln!(
            text,
            "{:<7}  {:>4}  {:>8}  {:>4}  {:>7}  {:>10}  {:>9} {:>18}  {:>13}  {:>5.1}  {}",
            format!("{:?}", report.mode).to_lowercase(),
            report.seed,
            judgement.accepted,
            judgement.lost.len(),
            judgement.doubled.len(),
            judgement.false_sent.len(),
            judgement.uncertain,
            format!("({})", judgement.uncertain_accepted),
            report.doubt,
            report.took.as_secs_f64(),
            landed.join(" "),
        )
        .expect("a string takes what is written");
    }
    text
}
