//! R4: told to stop, again and again, a sender leaves nothing in doubt; told twice, it ends at once.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::Engine;
use crate::processes::PATIENCE;
use crate::world::World;
use crate::{engine_name, size, tell};

const CONNECTIONS: usize = 10;
const DELAY: Duration = Duration::from_millis(20);

#[test]
fn r4_a_sender_told_to_stop_leaves_nothing_in_doubt() {
    stopped(Engine::Sqlite);
}

#[test]
fn r4_a_sender_told_to_stop_leaves_nothing_in_doubt_on_postgresql() {
    stopped(Engine::Postgres);
}

fn stopped(engine: Engine) {
    let (recipients, stops) = size((900, 6), (10_000, 100));
    let mut world = World::on(engine, recipients, CONNECTIONS, DELAY);
    let sampling = world.sample();
    let mut slowest = Duration::ZERO;
    for stop in 0..stops {
        let mut sender = world.start_any(&[]);
        // Some parts more than stops: a sender that is told must not have come to the end by then.
        let target = (recipients / (stops + 4) * (stop + 1)).max(world.accepted() + 1);
        world.wait_for(target, &mut sender, PATIENCE);
        sender.signal(Signal::TERM);
        let (status, took) = sender.ended(PATIENCE);
        assert_eq!(status.code(), Some(4), "stop {stop}: {}", world.said());
        slowest = slowest.max(took);
        let counts = world.verify();
        assert_eq!((counts.at_dot, counts.uncertain), (0, 0), "stop {stop}");
    }
    world.start_any(&[]).finish(PATIENCE);
    let samples = sampling.stop();
    let judgement = world.judgement();
    judgement.assert_clean();
    assert_eq!(judgement.uncertain, 0);
    tell(
        "R4",
        engine_name(engine),
        &format!(
            "{recipients} readers, {stops} x SIGTERM: lost 0, doubled 0, uncertain 0, slowest end {:.1} s \
             (bar 5 s); identity looked at {samples} times",
            slowest.as_secs_f64()
        ),
    );
}

#[test]
fn r4_a_sender_told_twice_ends_at_once_and_stays_true() {
    let (recipients, stops) = size((200, 2), (2_000, 20));
    let mut world = World::new(recipients, CONNECTIONS, Duration::from_millis(50));
    for stop in 0..stops {
        let mut sender = world.start_any(&[]);
        let target = (recipients / (stops + 1) * (stop + 1)).max(world.accepted() + 1);
        world.wait_for(target, &mut sender, PATIENCE);
        sender.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(5));
        sender.signal(Signal::TERM);
        sender.ended(PATIENCE);
    }
    world.start_any(&[]).finish(PATIENCE);
    let judgement = world.judgement();
    judgement.assert_clean();
    assert!(judgement.uncertain <= stops * CONNECTIONS);
    tell(
        "R4b",
        "sqlite",
        &format!(
            "{recipients} readers, {stops} x two SIGTERMs: lost 0, doubled 0, uncertain {}",
            judgement.uncertain
        ),
    );
}
