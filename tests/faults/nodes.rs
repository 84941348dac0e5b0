//! R3: three `pressrun serve --role sender` against one PostgreSQL and one relay, killed, stopped and woken.
//!
//! A stopped node is the cruel case: it knows of no time that passed, wakes with a full queue of what the others
//! have sent meanwhile, and may have stopped between a marker and its dot, or in a transaction that locks its rows.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;

use crate::harness::Engine;
use crate::processes::PATIENCE;
use crate::world::{Sender, World};
use crate::{seed, size, skip, tell};

const CONNECTIONS: usize = 5;
const DELAY: Duration = Duration::from_millis(20);

/// What the three have in common.
struct Cluster {
    world: World,
    lease: &'static str,
    nodes: Vec<Sender>,
}

impl Cluster {
    fn new(world: World, lease: &'static str, nodes: usize) -> Cluster {
        let mut cluster = Cluster {
            world,
            lease,
            nodes: Vec::new(),
        };
        cluster.nodes = (0..nodes).map(|number| cluster.start(number)).collect();
        cluster
    }

    /// The node of this number, with a name and a state folder of its own, as on a machine of its own.
    fn start(&self, number: usize) -> Sender {
        let mut command = self.world.pressrun(&["serve", "--role", "sender"]);
        let said = File::options()
            .create(true)
            .append(true)
            .open(self.err(number));
        command
            .env("PRESSRUN_SEND__NODE", format!("node{number}"))
            .env("PRESSRUN_PATHS__STATE", format!("state{number}"))
            .env("PRESSRUN_SEND__LEASE", self.lease)
            .env("PRESSRUN_DATABASE__CONNECTIONS", "4")
            .stdout(Stdio::null())
            .stderr(said.expect("a file"));
        Sender(command.spawn().expect("a node"))
    }

    fn err(&self, number: usize) -> std::path::PathBuf {
        let name = format!("node{number}.err");
        self.world.folder.path().join(name)
    }

    /// Begins the run and leaves it to the nodes.
    fn begin(&self) {
        let arguments = ["send", "kill", "--list", "weekly", "--yes", "--detach"];
        let output = self.world.pressrun(&arguments).output();
        let output = output.expect("the binary");
        assert!(output.status.success(), "{output:?}");
    }

    /// Waits until the sink took `target` messages; every node must live meanwhile.
    fn wait_accepted(&mut self, target: usize) {
        let until = Instant::now() + PATIENCE;
        while self.world.accepted() < target {
            self.assert_alive();
            assert!(
                Instant::now() < until,
                "the nodes came to {} of {target} and hang",
                self.world.accepted()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until no delivery is open any more.
    fn wait_finished(&mut self, recipients: usize) {
        let until = Instant::now() + PATIENCE;
        loop {
            let counts = self.world.verify();
            if counts.at_dot == 0 && counts.sent + counts.uncertain == recipients {
                return;
            }
            self.assert_alive();
            assert!(Instant::now() < until, "the run does not end: {counts:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn assert_alive(&mut self) {
        for number in 0..self.nodes.len() {
            if !self.nodes[number].is_running() {
                let said = std::fs::read_to_string(self.err(number));
                panic!("node {number} ended by itself: {said:?}");
            }
        }
    }

    /// SIGKILL, and the same node again, as its service manager would.
    fn kill(&mut self, number: usize) {
        self.nodes.remove(number).kill();
        let fresh = self.start(number);
        self.nodes.insert(number, fresh);
    }
}

#[test]
fn r3_nodes_that_are_killed_and_stopped_lose_nobody_and_double_nobody() {
    let (recipients, kills, stops) = size((2_000, 3, 1), (20_000, 21, 3));
    let (lease, held) = size(("2s", 4), ("30s", 90));
    let held = Duration::from_secs(held);
    let mut chance = StdRng::seed_from_u64(seed());
    let world = World::on(Engine::Postgres, recipients, CONNECTIONS, DELAY);
    let sampling = world.sample();
    let mut cluster = Cluster::new(world, lease, 3);
    cluster.begin();
    // The stops are spread over the run; the last comes when the others can still finish the stopped one's part.
    let faults = kills + stops;
    let every = faults / stops;
    let mut taken_over = 0;
    let mut killed = 0;
    for fault in 1..=faults {
        let target = (recipients * fault / (faults + 2)).max(cluster.world.accepted() + 1);
        cluster.wait_accepted(target.min(recipients));
        std::thread::sleep(Duration::from_micros(chance.random_range(0..25_000)));
        let number = chance.random_range(0..cluster.nodes.len());
        if fault % every != 0 {
            cluster.kill(number);
            killed += 1;
            continue;
        }
        cluster.nodes[number].signal(Signal::STOP);
        let asleep = Instant::now();
        if fault == faults {
            // Longer than the lease, and until the others have sent all that was left, the sleeper's part, too.
            let doubt = (killed + 1) * CONNECTIONS;
            cluster.wait_accepted(recipients - doubt);
            taken_over = cluster.world.accepted();
        }
        std::thread::sleep(held.saturating_sub(asleep.elapsed()));
        cluster.nodes[number].signal(Signal::CONT);
    }
    cluster.wait_finished(recipients);
    let samples = sampling.stop();
    let judgement = cluster.world.judgement();
    judgement.assert_clean();
    assert!(judgement.uncertain <= killed * CONNECTIONS, "{judgement:?}");
    tell(
        "R3",
        "postgres",
        &format!(
            "{recipients} readers, 3 nodes, {killed} x SIGKILL, {} x SIGSTOP for {} s with a lease of {lease}: \
             lost 0, doubled 0, falsely sent 0, uncertain {} (at most {}); {taken_over} were out before the last \
             sleeper woke; identity looked at {samples} times",
            faults - killed,
            held.as_secs(),
            judgement.uncertain,
            killed * CONNECTIONS
        ),
    );
}

#[test]
fn r3_a_second_node_adds_throughput_against_a_slow_relay() {
    if !crate::is_long() {
        skip("R3b", "a measurement; the long form makes it");
        return;
    }
    let recipients = 6_000;
    let rate = |nodes: usize| {
        let world = World::on(Engine::Postgres, recipients, CONNECTIONS, DELAY);
        let mut cluster = Cluster::new(world, "30s", nodes);
        cluster.begin();
        // Without the start and the end, where not every connection has something to do.
        cluster.wait_accepted(500);
        let (from, first) = (Instant::now(), cluster.world.accepted());
        cluster.wait_accepted(recipients - 1_000);
        (cluster.world.accepted() - first) as f64 / from.elapsed().as_secs_f64()
    };
    let (one, two) = (rate(1), rate(2));
    tell(
        "R3b",
        "postgres",
        &format!(
            "{CONNECTIONS} connections a node, {} ms to each dot: one node {one:.0}/s, two {two:.0}/s",
            DELAY.as_millis()
        ),
    );
    assert!(two > one * 1.5, "one {one:.0}/s, two {two:.0}/s");
}
