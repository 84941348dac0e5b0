//! Sending: the ledger's whole path beside the same loop without a ledger, and beside what else there is.
//!
//! The relay is our sink that stores nothing, in a process of its own that also holds the stop-watch: the
//! rate is that of the sink's accepted messages, from the first to the last. The loop is what any sender
//! must do (render, sign, one session per connection, in the same way), with nothing written down. The
//! ledger is the real command on a real database, every marker durable before its terminator; its
//! processor time is its process's own.
//!
//! `cargo bench --bench send` measures all but `million`; `cargo bench --bench send -- data tls` only
//! what is named: `data`, `windows`, `lockstep`, `tls`, `distance`, `freeze`, `million`.
//! PostgreSQL takes part when PRESSRUN_TEST_POSTGRES names a server, `smtp-source` where Postfix is.

mod freeze;
#[path = "../letter.rs"]
mod letter;
#[path = "../measure.rs"]
mod measure;
mod meter;
mod pool;
mod postfix;
#[path = "../postgres.rs"]
mod postgres;
mod press;
#[path = "../process.rs"]
mod process;
mod sessions;

use std::time::Duration;

use measure::{Reference, Row, median, number};
use meter::{Meter, Offers};
use press::{Database, Press, Way};

const REPEATS: usize = 3;
const ROUND_TRIP: Duration = Duration::from_millis(20);
/// Recipients of a measurement: a few seconds' worth each.
const MANY: usize = 60_000;
const SIGNED: usize = 20_000;
const FEW: usize = 4_000;
const SLOW: usize = 4_000;
const SLOW_FEW: usize = 400;
const FROZEN: usize = 1_000_000;
/// A core's milliseconds for 1,000 signed messages, ledger included.
const PROCESSOR: f64 = 350.0;
/// MiB while a million is sent.
const MEMORY: f64 = 64.0;

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
    // Cargo passes `--bench` along.
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let wants = |section: &str| match named.is_empty() {
        true => section != "million",
        false => named.iter().any(|name| name == section),
    };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut sizes = vec![MANY, SIGNED, SLOW];
    if wants("freeze") || wants("million") {
        sizes.push(FROZEN);
    }
    let mut press = Press::new(folder.path(), &sizes);
    let octets = press.message_octets();
    for (section, way) in [("data", Way::Data), ("windows", Way::Windows)] {
        if wants(section) {
            at_full_speed(&mut press, octets, way);
        }
    }
    if wants("lockstep") {
        signed_only(&mut press, "in lockstep", Way::Data, &Offers::default());
    }
    if wants("tls") {
        let offers = Offers {
            pipelining: true,
            tls: Some(folder.path().join("ca.pem")),
            ..Offers::default()
        };
        signed_only(&mut press, "over TLS, by windows", Way::Windows, &offers);
    }
    if wants("distance") {
        at_a_distance(&mut press, octets);
    }
    if wants("freeze") {
        freeze::run(&mut press);
    }
    if wants("million") {
        a_million(&mut press);
    }
    measure::print_disk(folder.path());
}

fn prompt() -> Offers {
    Offers {
        pipelining: true,
        ..Offers::default()
    }
}

/// 50 connections to a sink that answers at once.
fn at_full_speed(press: &mut Press, octets: usize, way: Way) {
    let (mut meter, connections) = (Meter::start(&prompt()), 50);
    let lettre = middle(|| pool::run(press, &mut meter, connections, FEW));
    let mut rows = vec![row("lettre's pool, unsigned", lettre)];
    if let Some(source) = postfix::run(&mut meter, connections, FEW, octets) {
        rows.push(Row::plain("Postfix smtp-source, one body for all", source));
    }
    for (signed, count, goal) in [(false, MANY, 0.5), (true, SIGNED, 0.85)] {
        let how = if signed { "signed" } else { "unsigned" };
        let bare = middle(|| sessions::run(press, &mut meter, connections, count, signed, way));
        rows.push(row(&format!("loop without ledger, {how}"), bare));
        for database in Database::all() {
            let sample =
                middle(|| press.send(&mut meter, connections, count, signed, database, way));
            let work = format!("ledger on {}, {how}", database.name());
            let goal = match (signed, database) {
                (true, Database::Postgres) => 0.7,
                _ => goal,
            };
            let mut line = against(&work, sample, bare, goal);
            line.note += &match signed {
                true => processor(sample),
                false => format!("; {}", times(sample, lettre, 5.0)),
            };
            rows.push(line);
        }
    }
    let title = format!(
        "send by {}: {} octets a message, {connections} connections, median of {REPEATS}",
        way.name(),
        number(octets as f64)
    );
    measure::print(&title, "messages/s", &rows);
}

/// The same, signed and on SQLite, in another manner.
fn signed_only(press: &mut Press, manner: &str, way: Way, offers: &Offers) {
    let (mut meter, connections) = (Meter::start(offers), 50);
    let bare = middle(|| sessions::run(press, &mut meter, connections, SIGNED, true, way));
    let sample =
        middle(|| press.send(&mut meter, connections, SIGNED, true, Database::Sqlite, way));
    let mut line = against("ledger on SQLite, signed", sample, bare, 0.85);
    line.note += &processor(sample);
    let rows = [row("loop without ledger, signed", bare), line];
    let title = format!("send {manner}: {connections} connections, median of {REPEATS}");
    measure::print(&title, "messages/s", &rows);
}

/// 10 connections to a sink that is 20 ms away; signed, as mail is.
fn at_a_distance(press: &mut Press, octets: usize) {
    let offers = Offers {
        delay: ROUND_TRIP,
        ..prompt()
    };
    let (mut meter, connections) = (Meter::start(&offers), 10);
    let lettre = middle(|| pool::run(press, &mut meter, connections, SLOW_FEW));
    let mut rows = vec![row("lettre's pool, unsigned", lettre)];
    for way in [Way::Data, Way::Windows] {
        let bare = middle(|| sessions::run(press, &mut meter, connections, SLOW, true, way));
        let name = way.name();
        rows.push(row(&format!("loop without ledger, {name}"), bare));
        for database in Database::all() {
            let sample = middle(|| press.send(&mut meter, connections, SLOW, true, database, way));
            let work = format!("ledger on {}, {name}", database.name());
            let mut line = against(&work, sample, bare, 0.85);
            line.note += &format!("; {}", times(sample, lettre, 4.5));
            rows.push(line);
        }
    }
    let title = format!(
        "send: {} octets a message, signed, {connections} connections, {} ms a round trip, median of {REPEATS}",
        number(octets as f64),
        ROUND_TRIP.as_millis()
    );
    measure::print(&title, "messages/s", &rows);
}

/// A run of a million: what it takes of memory.
fn a_million(press: &mut Press) {
    let (mut meter, connections) = (Meter::start(&prompt()), 50);
    let mut rows = Vec::new();
    for database in Database::all() {
        let sample = press.send(
            &mut meter,
            connections,
            FROZEN,
            true,
            database,
            Way::Windows,
        );
        let work = format!("ledger on {}, signed", database.name());
        let verdict = met(sample.peak_mib <= MEMORY);
        let note = format!("{}; goal <= {MEMORY} MiB {verdict}", note(sample));
        rows.push(Row::plain(work, sample.rate).with(note));
    }
    let title = format!("send a million by windows: {connections} connections, once");
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

fn processor(sample: Sample) -> String {
    format!(
        "; goal <= {PROCESSOR:.0} ms {}",
        met(sample.cpu <= PROCESSOR)
    )
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
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
    format!(
        "{ratio:.1}x lettre's pool, goal >= {goal} {}",
        met(ratio >= goal)
    )
}
