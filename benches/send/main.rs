//! Sending: the ledger's whole path beside the same loop without a ledger, and beside lettre's pool.
//!
//! The relay is our sink in discard mode, in a process of its own that also holds the stop-watch: the
//! rate is that of the sink's accepted messages, from the first to the last. The loop is what any sender
//! must do (render, sign, one session per connection, pipelined), with nothing written down. The ledger
//! is the real command on a real database, every marker durable before its terminator.
//! PostgreSQL takes part when PRESSRUN_TEST_POSTGRES names a server.

#[path = "../letter.rs"]
mod letter;
#[path = "../measure.rs"]
mod measure;
mod meter;
mod pool;
mod press;
#[path = "../process.rs"]
mod process;
mod sessions;

use std::time::Duration;

use measure::{Reference, Row, median, number};
use meter::Meter;
use press::{Database, Press};

const REPEATS: usize = 3;
const ROUND_TRIP: Duration = Duration::from_millis(20);
/// Recipients of a measurement: a few seconds' worth each.
const MANY: usize = 60_000;
const SIGNED: usize = 20_000;
const FEW: usize = 4_000;
const SLOW: usize = 2_000;
const SLOW_FEW: usize = 400;

/// One way to send, measured.
#[derive(Clone, Copy)]
struct Sample {
    /// Messages per second.
    rate: f64,
    /// Milliseconds of processor time per 1,000 messages, the sink's not among them.
    cpu: f64,
    peak_mib: f64,
}

fn main() {
    if meter::is_child() {
        return meter::serve();
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut press = Press::new(folder.path(), &[MANY, SIGNED, SLOW]);
    let octets = press.message_octets();
    at_full_speed(&mut press, octets);
    at_a_distance(&mut press, octets);
    measure::print_disk(folder.path());
}

/// 50 connections to a sink that answers at once.
fn at_full_speed(press: &mut Press, octets: usize) {
    let (mut meter, connections) = (Meter::start(Duration::ZERO), 50);
    let lettre = middle(|| pool::run(press, &mut meter, connections, FEW));
    let mut rows = vec![row("lettre's pool, unsigned", lettre)];
    for (signed, count, goal) in [(false, MANY, 0.5), (true, SIGNED, 0.85)] {
        let how = if signed { "signed" } else { "unsigned" };
        let bare = middle(|| sessions::run(press, &mut meter, connections, count, signed));
        rows.push(row(&format!("loop without ledger, {how}"), bare));
        for database in Database::all() {
            let sample = middle(|| press.send(&mut meter, connections, count, signed, database));
            let work = format!("ledger on {}, {how}", database.name());
            let mut line = against(&work, sample, bare, goal);
            if !signed {
                line.note += &format!("; {}", times(sample, lettre, 5.0));
            }
            rows.push(line);
        }
    }
    let title = format!(
        "send: {} octets a message, {connections} connections, median of {REPEATS}",
        number(octets as f64)
    );
    measure::print(&title, "messages/s", &rows);
}

/// 10 connections to a sink that is 20 ms away; signed, as mail is.
fn at_a_distance(press: &mut Press, octets: usize) {
    let (mut meter, connections) = (Meter::start(ROUND_TRIP), 10);
    let lettre = middle(|| pool::run(press, &mut meter, connections, SLOW_FEW));
    let bare = middle(|| sessions::run(press, &mut meter, connections, SLOW, true));
    let mut rows = vec![
        row("lettre's pool, unsigned", lettre),
        row("loop without ledger, signed", bare),
    ];
    for database in Database::all() {
        let sample = middle(|| press.send(&mut meter, connections, SLOW, true, database));
        let work = format!("ledger on {}, signed", database.name());
        let mut line = against(&work, sample, bare, 0.85);
        line.note += &format!("; {}", times(sample, lettre, 4.5));
        rows.push(line);
    }
    let title = format!(
        "send: {} octets a message, {connections} connections, {} ms a round trip, median of {REPEATS}",
        number(octets as f64),
        ROUND_TRIP.as_millis()
    );
    measure::print(&title, "messages/s", &rows);
}

/// The median of each number over the repetitions.
fn middle(mut run: impl FnMut() -> Sample) -> Sample {
    let samples: Vec<Sample> = (0..REPEATS).map(|_| run()).collect();
    let of = |get: fn(&Sample) -> f64| median(&mut samples.iter().map(get).collect::<Vec<_>>());
    Sample {
        rate: of(|sample| sample.rate),
        cpu: of(|sample| sample.cpu),
        peak_mib: of(|sample| sample.peak_mib),
    }
}

fn note(sample: Sample) -> String {
    format!(
        "{:.0} ms CPU per 1,000; {:.0} MiB",
        sample.cpu, sample.peak_mib
    )
}

fn row(work: &str, sample: Sample) -> Row {
    Row::plain(work, sample.rate).with(note(sample))
}

fn against(work: &str, sample: Sample, bare: Sample, goal: f64) -> Row {
    let reference = Reference {
        name: "the loop",
        value: bare.rate,
        goal,
    };
    Row::against(work, sample.rate, reference).with(note(sample))
}

fn times(sample: Sample, lettre: Sample, goal: f64) -> String {
    let ratio = sample.rate / lettre.rate;
    let met = if ratio >= goal { "met" } else { "MISSED" };
    format!("{ratio:.1}x lettre's pool, goal >= {goal} {met}")
}
