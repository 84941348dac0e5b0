//! The fault tests: R1 to R15 of the delivery bars, each but the last in a short form for every run, and a long one by
//! name.
//!
//! The judge is always the sink's own log, written before each of its answers: who was mailed, how often. What
//! the ledger says is only held against it. Beside the sending, the identity is sampled every 100 ms (R14).
//!
//! Long: `PRESSRUN_FAULTS=long cargo test --test faults -- --nocapture r6`; `PRESSRUN_FAULTS_SEED=7` chooses
//! another schedule. Each test prints its line of the table with its seed; with `PRESSRUN_FAULTS_TABLE=FILE`
//! the lines are written there, too. R13 is `tests/suite/smtp/invariant.rs`, by the same environment.

#[path = "../suite/harness.rs"]
#[expect(dead_code, reason = "the suite uses more of it")]
mod harness;
#[path = "../kill/oracle.rs"]
mod oracle;
mod processes;
#[path = "../suite/deliver/rig.rs"]
#[expect(dead_code, reason = "the suite uses more of it")]
mod rig;
mod sample;
mod soak;
#[path = "../kill/world.rs"]
#[expect(dead_code, reason = "the kill test uses more of it")]
mod world;

mod crashes;
mod full;
mod nodes;
mod outages;
mod partition;
mod points;
mod pooler;
mod postfix;
mod power;
mod proxy;
mod relays;
mod stops;
mod stores;
mod times;

use std::fs::File;
use std::io::Write;

/// Whether the long form was asked for.
fn is_long() -> bool {
    std::env::var("PRESSRUN_FAULTS").is_ok_and(|form| form == "long")
}

/// `short`, or `long` where that was asked for.
fn size<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// The seed of every schedule.
fn seed() -> u64 {
    std::env::var("PRESSRUN_FAULTS_SEED").map_or(1, |seed| seed.parse().expect("a number"))
}

/// One line of the table.
fn tell(name: &str, engine: &str, text: &str) {
    let form = size("short", "long");
    let line = format!("{name:<4} {engine:<8} {form:<5} seed {}: {text}\n", seed());
    print!("{line}");
    if let Some(path) = std::env::var_os("PRESSRUN_FAULTS_TABLE") {
        let file = File::options().create(true).append(true).open(path);
        let mut file = file.expect("the table's file");
        file.write_all(line.as_bytes()).expect("the table's line");
    }
}

/// A fault that this machine cannot be given. Loud, because a test that was not run proves nothing.
fn skip(name: &str, why: &str) {
    tell(name, "-", &format!("SKIPPED: {why}"));
}

fn engine_name(engine: harness::Engine) -> &'static str {
    match engine {
        harness::Engine::Sqlite => "sqlite",
        harness::Engine::Postgres => "postgres",
    }
}
