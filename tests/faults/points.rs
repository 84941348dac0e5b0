//! Failpoints: a sender that aborts before and after each commit, write and read, or sees an error there.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::processes::PATIENCE;
use crate::world::World;
use crate::{seed, size, skip, tell};

const CONNECTIONS: usize = 4;

/// Every point, and how many times it is passed at least while some dozens of messages are sent.
const POINTS: [(&str, u64); 16] = [
    ("store::begin/before", 1),
    ("store::begin/after", 1),
    ("store::freeze/before", 1),
    ("store::freeze/after", 1),
    ("store::leases/before", 2),
    ("store::leases/after", 2),
    ("store::meta/before", 2),
    ("store::meta/after", 2),
    ("deliver::guard/before", 1),
    ("deliver::guard/after", 1),
    ("store::ledger/before", 6),
    ("store::ledger/after", 6),
    ("smtp::wire/before", 20),
    ("smtp::wire/after", 20),
    ("smtp::wire/before-read", 20),
    ("smtp::wire/after-read", 20),
];

/// Whether the program under test can be told to fail at a point: one that is optimised is built for use, and cannot.
fn has_points() -> bool {
    let has = cfg!(debug_assertions);
    if !has {
        skip(
            "points",
            "an optimised program has none; without --release it has",
        );
    }
    has
}

#[test]
fn a_sender_that_aborts_at_any_point_goes_on_without_loss_or_double() {
    if !has_points() {
        return;
    }
    let rounds = size(1, 20);
    let recipients = POINTS.len() * rounds * 40;
    let mut world = World::new(recipients, CONNECTIONS, Duration::from_millis(5));
    let sampling = world.sample();
    let mut chance = StdRng::seed_from_u64(seed());
    for _ in 0..rounds {
        for (point, most) in POINTS {
            let at = chance.random_range(1..=most);
            let fail = format!("{point}@{at}=abort");
            let sender = world.start_any(&[("PRESSRUN_FAILPOINT", &fail)]);
            let (status, _) = sender.ended(PATIENCE);
            // SIGABRT, and no other end: a point that is never passed proves nothing.
            assert_eq!(
                status.code(),
                None,
                "{fail} was not passed: {}",
                world.said()
            );
            assert!(
                world.said().contains("failpoint: Abort"),
                "{}",
                world.said()
            );
        }
    }
    world.start_any(&[]).finish(PATIENCE);
    let samples = sampling.stop();
    let judgement = world.judgement();
    judgement.assert_clean();
    let aborts = POINTS.len() * rounds;
    assert!(judgement.uncertain <= aborts * CONNECTIONS, "{judgement:?}");
    tell(
        "FP",
        "sqlite",
        &format!(
            "{recipients} readers, {aborts} aborts at {} points before and after commits, writes and reads: \
             lost 0, doubled 0, uncertain {}; identity looked at {samples} times",
            POINTS.len(),
            judgement.uncertain
        ),
    );
}

#[test]
fn a_sender_that_sees_an_error_or_waits_at_any_point_stays_true() {
    if !has_points() {
        return;
    }
    let rounds = size(1, 10);
    let actions = ["error", "30ms"];
    let recipients = POINTS.len() * rounds * 25;
    let mut world = World::new(recipients, CONNECTIONS, Duration::from_millis(5));
    let mut chance = StdRng::seed_from_u64(seed() + 1);
    let mut passed = 0;
    for _ in 0..rounds {
        for (index, (point, most)) in POINTS.iter().enumerate() {
            let at = chance.random_range(1..=*most);
            let action = actions[(index + usize::from(chance.random_bool(0.2))) % 2];
            let fail = format!("{point}@{at}={action}");
            let mut sender = world.start_any(&[("PRESSRUN_FAILPOINT", &fail)]);
            // It goes on, or ends with an error of its own; then the next one goes on.
            let target = (world.accepted() + 20).min(recipients);
            let until = std::time::Instant::now() + PATIENCE;
            while sender.is_running() && world.accepted() < target {
                assert!(
                    std::time::Instant::now() < until,
                    "{fail}: {}",
                    world.said()
                );
                std::thread::sleep(Duration::from_millis(5));
            }
            sender.signal_or_gone();
            sender.ended(PATIENCE);
            passed += usize::from(world.said().contains("failpoint:"));
        }
    }
    world.start_any(&[]).finish(PATIENCE);
    let judgement = world.judgement();
    judgement.assert_clean();
    assert!(
        passed * 2 > POINTS.len() * rounds,
        "only {passed} points were passed"
    );
    tell(
        "FPb",
        "sqlite",
        &format!(
            "{recipients} readers, {passed} errors and waits at those points: lost 0, doubled 0, uncertain {}",
            judgement.uncertain
        ),
    );
}

/// A thread that hangs in the middle of a connection, which no deadline of ours can end.
#[test]
fn a_sender_whose_connection_hangs_beyond_all_deadlines_ends_and_goes_on_anew() {
    if !has_points() {
        return;
    }
    let recipients = 120;
    let mut world = World::new(recipients, CONNECTIONS, Duration::from_millis(5));
    let impatient = [
        ("PRESSRUN_FAILPOINT", "smtp::wire/before-read@60=600000ms"),
        ("PRESSRUN_RELAY__MAIN__CONNECT_TIMEOUT", "1s"),
        ("PRESSRUN_RELAY__MAIN__COMMAND_TIMEOUT", "1s"),
        ("PRESSRUN_RELAY__MAIN__MESSAGE_TIMEOUT", "1s"),
        ("PRESSRUN_RELAY__MAIN__DOT_TIMEOUT", "1s"),
        ("PRESSRUN_SEND__DRAIN", "1s"),
    ];
    let (status, took) = world.start_any(&impatient).ended(PATIENCE);
    assert_eq!(status.code(), Some(1), "{}", world.said());
    assert!(
        world.said().contains("hangs beyond all of its deadlines"),
        "{}",
        world.said()
    );
    world.start_any(&[]).finish(PATIENCE);
    let judgement = world.judgement();
    judgement.assert_clean();
    assert!(judgement.uncertain <= CONNECTIONS, "{judgement:?}");
    tell(
        "WD",
        "sqlite",
        &format!(
            "a connection's thread hangs: the sender ended itself after {:.1} s; {recipients} readers, lost 0, \
             doubled 0, uncertain {}",
            took.as_secs_f64(),
            judgement.uncertain
        ),
    );
}
