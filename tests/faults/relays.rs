//! R6 and R7: a relay that misbehaves in every way at once, and one that fails everybody.

use std::time::{Duration, Instant};

use pressrun::smtp::sink::certificate::Certificate;
use pressrun::smtp::sink::script::Script;
use pressrun::smtp::sink::{Keep, SinkOptions, SinkTls};
use pressrun::status::RunStatus;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::harness::Engine;
use crate::processes::PATIENCE;
use crate::proxy::{Plan, Proxy};
use crate::rig::{Rig, Wish, faulty, readers, script};
use crate::sample::Sampling;
use crate::world::{World, sink};
use crate::{engine_name, on_both, seed, size, tell};

const CONNECTIONS: usize = 10;
/// What holds for every connection.
const ALWAYS: &str = "after-50";
/// What happens to all connections, for some milliseconds each.
const CHAOS: [&str; 6] = [
    "mail-421",
    "cut-before-dot",
    "rcpt-421",
    "data-421",
    "greeting-421",
    "mail-452-4.3.1",
];

/// A rig behind TLS and a wire that fails by `plan`; a clean one behind the same wire without faults.
async fn behind(engine: Engine, readers: Vec<String>, delay: Duration, plan: Plan) -> (Rig, Proxy) {
    let certificate = Certificate::generate(&["localhost"], false).expect("a certificate");
    let proxy = Proxy::start(plan).await;
    let wish = Wish {
        readers,
        connections: CONNECTIONS,
        sink: SinkOptions {
            delay,
            keep: Keep::Records,
            tls: SinkTls::StartTls(certificate.clone()),
            ..SinkOptions::default()
        },
        relay: "tls = \"required\"\nca_file = \"ca.pem\"\nmessages_per_connection = 200",
        url: Some(format!("smtp://localhost:{}", proxy.address.port())),
        ..Wish::default()
    };
    let rig = Rig::new(engine, wish).await;
    proxy.leads_to(rig.sink.address());
    let file = rig.database.path().join("ca.pem");
    std::fs::write(file, certificate.ca_pem()).expect("a file");
    (rig, proxy)
}

/// The mix of the table. Shares are of the messages, where an answer is meant, and of the connections, where the
/// wire is: a connection carries some 40 messages until something ends it.
async fn mix(engine: Engine) {
    let (count, delay) = size((400, 0), (30_000, 10));
    let delay = Duration::from_millis(delay);
    let share = |percent: usize| (count * percent / 100).max(1);
    let words = [
        (share(5), "grey-1"),
        (share(2), "550-5.1.1"),
        (share(1), "dot-554-5.7.1"),
        (share(1) / 2, "cut-after-dot"),
        (share(1) - share(1) / 2, "drop-after-dot"),
    ];
    let well = Plan {
        seed: seed(),
        early: 0.0,
        late: 0.0,
        stalls: 0.0,
        stall: Duration::from_millis(size(300, 20_000)),
    };
    let plan = Plan {
        early: 2.0,
        late: 2.0,
        stalls: 1.0,
        ..well
    };
    // The same readers without a fault, as the measure.
    let (clean, _wire) = behind(engine, readers(count), delay, well).await;
    let run = clean.begin().await;
    let from = Instant::now();
    clean.finish(run).await;
    let clean = from.elapsed();

    let (rig, wire) = behind(engine, faulty(count, &words), delay, plan).await;
    let sampling = Sampling::start(&rig.database.url, rig.database.path());
    let run = rig.begin().await;
    let from = Instant::now();
    let sending = rig.start().await;
    let mut chance = StdRng::seed_from_u64(seed());
    // 421 to one of fifty messages of a connection; now and then the whole relay is odd for a moment.
    rig.sink.set_script(script(ALWAYS));
    while rig.run(run).await.status != RunStatus::Finished {
        let words = CHAOS[chance.random_range(0..CHAOS.len())];
        rig.sink.set_script(script(&format!("{words}+{ALWAYS}")));
        tokio::time::sleep(Duration::from_millis(chance.random_range(1..8))).await;
        rig.sink.set_script(script(ALWAYS));
        let pause = size(20..60, 300..900);
        tokio::time::sleep(Duration::from_millis(chance.random_range(pause))).await;
        assert!(
            from.elapsed() < PATIENCE * size(1, 30),
            "the run does not end"
        );
    }
    let took = from.elapsed();
    sending.stop().await;
    let samples = sampling.stop();
    let counts = rig.balanced(run).await;
    rig.assert_true(run).await;
    // Cuts after the dot, by the sink's own word, and resets of the wire; nothing else is in doubt.
    let cuts = share(1);
    let (resets, stalls, connections) = wire.done();
    let uncertain = usize::try_from(counts.uncertain).expect("a count");
    assert!(
        (cuts..=cuts + resets).contains(&uncertain),
        "{cuts} cuts, {resets} resets, {counts:?}"
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
            "{count} readers by TLS, 5 % 450, 2 % 550, 1 % 554, 2 % 421, {cuts} cuts after the dot; of \
             {connections} connections {resets} reset, {stalls} stalled for {} s; moments of 421 and 452 for all: \
             lost 0, doubled 0, falsely sent 0, uncertain {uncertain}; {:.1} s, without faults {:.1} s: {:.0} % of \
             the clean rate (goal 60 %); identity looked at {samples} times",
            well.stall.as_secs_f64(),
            took.as_secs_f64(),
            clean.as_secs_f64(),
            100.0 * clean.as_secs_f64() / took.as_secs_f64()
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
                let held = rig.wait_status(run, RunStatus::Held).await;
                let reason = held.reason.unwrap_or_default();
                assert!(reason.contains("535"), "{reason}");
            } else {
                rig.wait_trouble().await;
                tokio::time::sleep(Duration::from_millis(size(300, 120_000))).await;
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
            if found.status == RunStatus::Held {
                pressrun::run::resume(&rig.app, &found, true)
                    .await
                    .expect("a resume");
            }
            rig.wait_status(run, RunStatus::Finished).await;
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
    down(Engine::Sqlite);
}

#[test]
fn r7_a_relay_that_is_down_is_waited_for_on_postgresql() {
    down(Engine::Postgres);
}

fn down(engine: Engine) {
    let (recipients, down) = size((300, 2), (3_000, 600));
    let mut world = World::on(engine, recipients, 5, Duration::from_millis(10));
    let mut sender = world.start_any(&[]);
    world.wait_for(recipients / 3, &mut sender, PATIENCE);
    world.sink.kill().expect("a sink to kill");
    world.sink.wait().expect("a dead sink");
    std::thread::sleep(Duration::from_secs(down));
    assert!(sender.is_running(), "{}", world.said());
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
        engine_name(engine),
        &format!(
            "relay down for {down} s: collateral 0, uncertain {} (at the dot when it died), sending again \
             after {:.1} s",
            judgement.uncertain,
            resumed.as_secs_f64()
        ),
    );
}
