//! R6 and R7: a relay that misbehaves in every way at once, and one that fails everybody.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use pressrun::smtp::sink::script::Script;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::harness::Engine;
use crate::processes::PATIENCE;
use crate::rig::{Rig, Wish, faulty, readers, script};
use crate::sample::Sampling;
use crate::world::{World, sink};
use crate::{engine_name, on_both, seed, size, tell};

/// Messages of one window of BDAT at most: so many are in doubt when a connection is cut after a dot.
const WINDOW: usize = 16;

/// What happens to whole connections, for some milliseconds each.
const CHAOS: [&str; 6] = [
    "mail-421",
    "cut-before-dot",
    "rcpt-421",
    "data-421",
    "greeting-421",
    "mail-452-4.3.1",
];

async fn mix(engine: Engine) {
    let count = size(400, 10_000);
    let share = |percent: usize| (count * percent / 100).max(1);
    let words = [
        (share(5), "grey-1"),
        (share(2), "550-5.1.1"),
        (share(1), "dot-554-5.7.1"),
        (share(1), "slow-300ms"),
        (share(1) / 2, "cut-after-dot"),
        (share(1) - share(1) / 2, "drop-after-dot"),
    ];
    let wish = Wish {
        readers: faulty(count, &words),
        connections: 8,
        ..Wish::default()
    };
    let rig = Rig::new(engine, wish).await;
    // The same readers without a fault, as the measure.
    let clean = Rig::new(
        engine,
        Wish {
            readers: readers(count),
            connections: 8,
            ..Wish::default()
        },
    )
    .await;
    let run = clean.begin().await;
    let from = Instant::now();
    clean.finish(run).await;
    let clean = from.elapsed();

    let sampling = Sampling::start(&rig.database.url, rig.database.path());
    let run = rig.begin().await;
    let from = Instant::now();
    let sending = rig.start().await;
    let mut chance = StdRng::seed_from_u64(seed());
    for _ in 0..size(8, 60) {
        let words = CHAOS[chance.random_range(0..CHAOS.len())];
        rig.sink.set_script(script(words));
        tokio::time::sleep(Duration::from_millis(chance.random_range(1..8))).await;
        rig.sink.set_script(Script::default());
        tokio::time::sleep(Duration::from_millis(chance.random_range(20..60))).await;
    }
    rig.wait_status(run, "finished").await;
    let took = from.elapsed();
    sending.stop().await;
    let samples = sampling.stop();
    let counts = rig.balanced(run).await;
    rig.assert_true(run).await;
    // Cuts after the dot, by the sink's own word; and nothing else is in doubt.
    let cuts = share(1);
    let uncertain = usize::try_from(counts.uncertain).expect("a count");
    assert!(
        (cuts..=cuts * WINDOW).contains(&uncertain),
        "{cuts} cuts, {counts:?}"
    );
    assert_eq!(
        (counts.expired, counts.queued, counts.at_dot),
        (0, 0, 0),
        "{counts:?}"
    );
    let refused = (share(2) as i64, share(1) as i64);
    assert_eq!((counts.bounced, counts.failed), refused, "{counts:?}");
    tell(
        "R6",
        engine_name(engine),
        &format!(
            "{count} readers, 5 % 450, 2 % 550, 1 % 554, 1 % slow, {cuts} cuts after the dot, whole \
             connections cut, closed and turned away: lost 0, doubled 0, falsely sent 0, uncertain {uncertain}; \
             {:.1} s, without faults {:.1} s; identity looked at {samples} times",
            took.as_secs_f64(),
            clean.as_secs_f64()
        ),
    );
}

on_both!(r6_a_mix_of_faults_loses_and_doubles_nobody, mix);

on_both!(
    r7_a_relay_that_refuses_everybody_is_no_readers_fault,
    async |engine: Engine| {
        for words in ["mail-452-4.3.1", "mail-535-5.7.8"] {
            let rig = Rig::new(
                engine,
                Wish {
                    readers: readers(60),
                    ..Wish::default()
                },
            )
            .await;
            let sampling = Sampling::start(&rig.database.url, rig.database.path());
            rig.sink.set_script(script(words));
            let run = rig.begin().await;
            let sending = rig.start().await;
            if words.contains("535") {
                let held = rig.wait_status(run, "held").await;
                let reason = held.reason.unwrap_or_default();
                assert!(reason.contains("535"), "{reason}");
            } else {
                rig.wait_trouble().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let connections = rig.sink.counts().connections;
            let rows = rig.rows(run).await;
            assert!(
                rows.iter()
                    .all(|row| row.state == "queued" && row.attempts == 0),
                "{rows:?}"
            );
            rig.sink.set_script(Script::default());
            let found = rig.run(run).await;
            if found.status == "held" {
                pressrun::run::resume(&rig.app, &found, true)
                    .await
                    .expect("a resume");
            }
            rig.wait_status(run, "finished").await;
            sending.stop().await;
            let counts = rig.balanced(run).await;
            assert_eq!(counts.sent, 60, "{counts:?}");
            rig.assert_true(run).await;
            tell(
                "R7",
                engine_name(engine),
                &format!(
                    "{words} for all: nobody charged, {connections} connections until it was over; identity \
                     looked at {} times",
                    sampling.stop()
                ),
            );
        }
    }
);

#[test]
fn r7_a_relay_that_is_down_is_waited_for() {
    let (recipients, down) = size((300, 2), (3_000, 600));
    let mut world = World::new(recipients, 5, Duration::from_millis(10));
    let mut sender = world.start_any(&[]);
    world.wait_for(recipients / 3, &mut sender, PATIENCE);
    world.sink.kill().expect("a sink to kill");
    world.sink.wait().expect("a dead sink");
    std::thread::sleep(Duration::from_secs(down));
    assert!(sender.is_running(), "{}", world.said());
    // Nobody has taken the port meanwhile, or the test says so here.
    drop(TcpListener::bind(("127.0.0.1", world.port)).expect("the sink's port"));
    let log = world.folder.path().join("sink.log");
    world.sink = sink(world.port, &log, Duration::from_millis(10));
    let before = world.accepted();
    let from = Instant::now();
    world.wait_for(before + 1, &mut sender, PATIENCE);
    let resumed = from.elapsed();
    sender.finish(PATIENCE);
    let judgement = world.judgement();
    judgement.assert_clean();
    // The sink died with messages at the dot: those are in doubt, and nobody else.
    assert!(judgement.uncertain <= 5, "{judgement:?}");
    let counts = world.verify();
    assert_eq!(counts.sent + counts.uncertain, recipients);
    tell(
        "R7b",
        "sqlite",
        &format!(
            "relay down for {down} s: collateral 0, uncertain {} (at the dot when it died), sending again \
             after {:.1} s",
            judgement.uncertain,
            resumed.as_secs_f64()
        ),
    );
}
