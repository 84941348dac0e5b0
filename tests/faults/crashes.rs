//! R1 and R2: kill -9 at random moments, where what is in doubt is held, and where it is sent again.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::harness::Engine;
use crate::processes::PATIENCE;
use crate::world::World;
use crate::{engine_name, seed, size, tell};

const CONNECTIONS: usize = 10;
const DELAY: Duration = Duration::from_millis(10);

/// Kills a sender again and again; gives how long at most it took from a start to the next message.
fn kill_often(
    world: &mut World,
    recipients: usize,
    kills: usize,
    policy: &[(&str, &str)],
) -> Duration {
    let mut slowest = Duration::ZERO;
    let mut chance = StdRng::seed_from_u64(seed());
    for kill in 0..kills {
        let before = world.accepted();
        let from = Instant::now();
        let mut sender = world.start_any(policy);
        if kill > 0 {
            world.wait_for(before + 1, &mut sender, PATIENCE);
            slowest = slowest.max(from.elapsed());
        }
        // Some parts more than kills: the run must not be over before the last.
        let share = recipients / (kills + 4);
        let target = (share * (kill + 1))
            .max(world.accepted() + 1)
            .min(recipients);
        world.wait_for(target, &mut sender, PATIENCE);
        std::thread::sleep(Duration::from_micros(chance.random_range(0..15_000)));
        sender.kill();
    }
    world.start_any(policy).finish(PATIENCE);
    slowest
}

#[test]
fn r1_a_killed_sender_loses_nobody_doubles_nobody_and_doubts_few() {
    killed(Engine::Sqlite);
}

#[test]
fn r1_a_killed_sender_loses_nobody_doubles_nobody_and_doubts_few_on_postgresql() {
    killed(Engine::Postgres);
}

#[test]
fn r2_who_wants_it_sent_again_gets_doubles_under_one_message_id() {
    sent_again(Engine::Sqlite);
}

#[test]
fn r2_who_wants_it_sent_again_gets_doubles_under_one_message_id_on_postgresql() {
    sent_again(Engine::Postgres);
}

fn killed(engine: Engine) {
    let (recipients, kills) = size((600, 4), (10_000, 30));
    let mut world = World::on(engine, recipients, CONNECTIONS, DELAY);
    let sampling = world.sample();
    let slowest = kill_often(&mut world, recipients, kills, &[]);
    let samples = sampling.stop();
    let judgement = world.judgement();
    judgement.assert_clean();
    assert!(judgement.uncertain <= kills * CONNECTIONS, "{judgement:?}");
    tell(
        "R1",
        engine_name(engine),
        &format!(
            "{recipients} readers, {kills} x SIGKILL: lost 0, doubled 0, falsely sent 0, uncertain {} \
             (at most {}), mail again after {:.1} s at most, two commands' starts included (goal 1 s); identity \
             looked at {samples} times",
            judgement.uncertain,
            kills * CONNECTIONS,
            slowest.as_secs_f64()
        ),
    );
}

fn sent_again(engine: Engine) {
    let (recipients, kills) = size((500, 3), (10_000, 30));
    let mut world = World::on(engine, recipients, CONNECTIONS, DELAY);
    let resend = [("PRESSRUN_SEND__UNCERTAIN", "resend")];
    kill_often(&mut world, recipients, kills, &resend);
    let judgement = world.judgement();
    assert!(judgement.lost.is_empty(), "{judgement:#?}");
    assert!(judgement.false_sent.is_empty(), "{judgement:#?}");
    assert_eq!(judgement.uncertain, 0);
    assert!(
        judgement.doubled.len() <= kills * CONNECTIONS,
        "{judgement:#?}"
    );
    for (reader, ids) in world.copies() {
        assert!(ids.iter().all(|id| *id == ids[0]), "{reader}: {ids:?}");
    }
    tell(
        "R2",
        engine_name(engine),
        &format!(
            "{recipients} readers, {kills} x SIGKILL, `resend`: lost 0, doubled {} (at most {}), one \
             Message-ID each",
            judgement.doubled.len(),
            kills * CONNECTIONS
        ),
    );
}
