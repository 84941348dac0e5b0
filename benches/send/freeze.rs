//! The freeze of a million readers: how long it takes, how soon the first message leaves after it, and
//! whether the command that waits for it still hears Ctrl-C.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::FROZEN;
use crate::measure::{self, Row};
use crate::meter::{Meter, Offers, unix_millis};
use crate::press::{Database, Press, Way};

/// Seconds; a first dot within two is soon enough.
const FIRST_DOT: f64 = 2.0;
const PATIENCE: Duration = Duration::from_secs(120);

pub fn run(press: &mut Press) {
    let offers = Offers {
        pipelining: true,
        ..Offers::default()
    };
    let mut meter = Meter::start(&offers);
    let mut rows = Vec::new();
    for database in Database::all() {
        let goal = match database {
            Database::Sqlite => 3.0,
            Database::Postgres => 8.0,
        };
        let (frozen, dot) = freeze_and_first_dot(press, &mut meter, database);
        let name = database.name();
        rows.push(row(format!("freeze of a million on {name}"), frozen, goal));
        rows.push(row(format!("first dot after it on {name}"), dot, FIRST_DOT));
        let stopped = interrupted(press, &mut meter, database);
        rows.push(row(format!("Ctrl-C during it on {name}"), stopped, 1.0));
    }
    measure::print("freeze: 1,000,000 readers, once", "s", &rows);
}

fn row(work: String, seconds: f64, goal: f64) -> Row {
    let verdict = crate::met(seconds <= goal);
    Row::plain(work, seconds).with(format!("goal <= {goal} s {verdict}"))
}

/// Starts a run, and ends it once some messages are out.
fn freeze_and_first_dot(press: &mut Press, meter: &mut Meter, database: Database) -> (f64, f64) {
    let slug = press.new_issue();
    let mut command = press.sending(meter, 50, true, database, Way::Windows);
    command
        .arg(&slug)
        .arg("--list")
        .arg(crate::press::list(FROZEN));
    meter.begin();
    let mut child = command.spawn().expect("the binary");
    let until = Instant::now() + PATIENCE;
    while meter.seen().accepted == 0 {
        assert!(Instant::now() < until, "no message within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    let first = meter.seen().first;
    interrupt(child.id());
    child.wait().expect("a child");
    let run = press.status(database, &slug);
    let time = |name: &str| run[name].as_f64().expect("a time");
    let (created, started) = (time("created_at"), time("started_at"));
    press.cancel(database, &slug);
    (
        (started - created) / 1e3,
        ((first - started) / 1e3).max(0.0),
    )
}

/// How long the command takes to end when it is interrupted in the middle of the freeze.
fn interrupted(press: &mut Press, meter: &mut Meter, database: Database) -> f64 {
    let slug = press.new_issue();
    let mut command = press.sending(meter, 50, true, database, Way::Windows);
    command
        .arg(&slug)
        .arg("--list")
        .arg(crate::press::list(FROZEN));
    let mut child = command.spawn().expect("the binary");
    let until = Instant::now() + PATIENCE;
    loop {
        let run = press.status(database, &slug);
        if run["recipients"].as_i64().is_some_and(|frozen| frozen > 0) {
            break;
        }
        assert!(Instant::now() < until, "no freeze within {PATIENCE:?}");
    }
    let from = unix_millis();
    interrupt(child.id());
    child.wait().expect("a child");
    let took = (unix_millis() - from) / 1e3;
    press.cancel(database, &slug);
    took
}

fn interrupt(id: u32) {
    let sent = Command::new("kill")
        .args(["-INT", &id.to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "a signal");
}
