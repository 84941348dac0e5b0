//! R3 with the network cut: one node of three stands in a network namespace of its own, and its cables are pulled.
//!
//! There is one cable to the database and one to the relay. A node that reaches neither, or the relay alone, or the
//! database alone, knows nothing of what the others do meanwhile, and finds its connections as they were when the
//! cable is back. Needs root and `ip netns`; nothing of the machine's own network is touched.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::harness::Engine;
use crate::processes::PATIENCE;
use crate::world::{Sender, World};
use crate::{seed, size, skip, tell};

const CONNECTIONS: usize = 5;

/// Which cables are pulled.
const CUTS: [(&str, &[Cable]); 3] = [
    ("both", &[Cable::Database, Cable::Relay]),
    ("database", &[Cable::Database]),
    ("relay", &[Cable::Relay]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cable {
    Database,
    Relay,
}

/// A namespace with two cables; both are taken away with it.
struct Net {
    name: String,
    number: u32,
}

impl Net {
    /// None where this machine does not allow it, with the reason.
    fn new() -> Result<Net, String> {
        let number = std::process::id() % 60_000;
        let net = Net {
            name: format!("pressrun{number}"),
            number,
        };
        ip(&["netns", "add", &net.name])?;
        for cable in [Cable::Database, Cable::Relay] {
            let (ours, theirs) = (net.link(cable, 'a'), net.link(cable, 'b'));
            ip(&[
                "link", "add", &ours, "type", "veth", "peer", "name", &theirs,
            ])?;
            ip(&["link", "set", &theirs, "netns", &net.name])?;
            ip(&[
                "addr",
                "add",
                &format!("{}/30", net.address(cable, 1)),
                "dev",
                &ours,
            ])?;
            ip(&["link", "set", &ours, "up"])?;
            let inside = format!("{}/30", net.address(cable, 2));
            net.inside(&["addr", "add", &inside, "dev", &theirs])?;
            net.inside(&["link", "set", &theirs, "up"])?;
        }
        net.inside(&["link", "set", "lo", "up"])?;
        Ok(net)
    }

    fn link(&self, cable: Cable, end: char) -> String {
        let kind = if cable == Cable::Database { 'd' } else { 'r' };
        format!("pr{}{kind}{end}", self.number)
    }

    /// A /30 of its own for each cable, in a range for such tests (RFC 2544).
    fn address(&self, cable: Cable, host: u32) -> String {
        let part = (self.number % 4_000) * 8 + if cable == Cable::Database { 0 } else { 4 } + host;
        format!("198.18.{}.{}", part / 256, part % 256)
    }

    fn inside(&self, arguments: &[&str]) -> Result<(), String> {
        ip(&[&["-n", self.name.as_str()], arguments].concat())
    }

    /// Pulls a cable, or plugs it in.
    fn set(&self, cable: Cable, state: &str) {
        let link = self.link(cable, 'a');
        ip(&["link", "set", &link, state]).expect("a cable that was there");
    }

    /// Carries what comes over the cable to `port` of this machine, which listens on loopback only.
    fn forward(&self, cable: Cable, port: u16) -> u16 {
        let listener = TcpListener::bind((self.address(cable, 1), 0)).expect("an address");
        let own = listener.local_addr().expect("an address").port();
        // Threads of the test's process: they end with it.
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let ends = (near.try_clone(), far.try_clone());
                if let (Ok(near_too), Ok(far_too)) = ends {
                    std::thread::spawn(move || carry(near_too, far_too));
                    std::thread::spawn(move || carry(far, near));
                }
            }
        });
        own
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // The cables go with their ends.
        ip(&["netns", "del", &self.name]).ok();
        for cable in [Cable::Database, Cable::Relay] {
            ip(&["link", "del", &self.link(cable, 'a')]).ok();
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    std::io::copy(&mut from, &mut to).ok();
    to.shutdown(std::net::Shutdown::Write).ok();
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| format!("`ip` cannot be run: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "`ip {}` is refused: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// A node; the third stands in `net`.
fn start(world: &World, number: usize, lease: &str, net: Option<(&Net, u16, u16)>) -> Sender {
    let serve = world.pressrun(&["serve", "--role", "sender"]);
    let said = world.folder.path().join(format!("node{number}.err"));
    let said = File::options().create(true).append(true).open(said);
    let mut command = match net {
        None => serve,
        Some((net, database, relay)) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &net.name]);
            command.arg(serve.get_program()).args(serve.get_args());
            for (name, value) in serve.get_envs() {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            command
                .current_dir(world.folder.path())
                .stdin(Stdio::null());
            let mut url = url::Url::parse(&world.url()).expect("a URL");
            let host = net.address(Cable::Database, 1);
            url.set_host(Some(&host)).expect("a host");
            url.set_port(Some(database)).expect("a port");
            let host = net.address(Cable::Relay, 1);
            command.env("PRESSRUN_DATABASE__URL", url.as_str()).env(
                "PRESSRUN_RELAY__MAIN__URL",
                format!("smtp://{host}:{relay}"),
            );
            command
        }
    };
    command
        .env("PRESSRUN_SEND__NODE", format!("node{number}"))
        .env("PRESSRUN_PATHS__STATE", format!("state{number}"))
        .env("PRESSRUN_SEND__LEASE", lease)
        .env("PRESSRUN_DATABASE__CONNECTIONS", "4")
        .stdout(Stdio::null())
        .stderr(said.expect("a file"));
    Sender(command.spawn().expect("a node"))
}

#[test]
fn r3_a_node_whose_cables_are_pulled_loses_nobody_and_doubles_nobody() {
    let net = match Net::new() {
        Ok(net) => net,
        Err(why) => return skip("R3c", &why),
    };
    let (recipients, cuts, millis) = size((1_800, 3, 60), (24_000, 3, 100));
    let (lease, held) = size(("2s", 5), ("30s", 90));
    let held = Duration::from_secs(held);
    let delay = Duration::from_millis(millis);
    let mut chance = StdRng::seed_from_u64(seed());
    let mut world = World::on(Engine::Postgres, recipients, CONNECTIONS, delay);
    let server = url::Url::parse(&world.url()).expect("a URL");
    let database = net.forward(Cable::Database, server.port().unwrap_or(5432));
    let relay = net.forward(Cable::Relay, world.port);
    let sampling = world.sample();
    let arguments = ["send", "kill", "--list", "weekly", "--yes", "--detach"];
    let begun = world.pressrun(&arguments).output().expect("the binary");
    assert!(begun.status.success(), "{begun:?}");
    let mut nodes = [
        start(&world, 0, lease, None),
        start(&world, 1, lease, None),
        start(&world, 2, lease, Some((&net, database, relay))),
    ];
    let mut taken = Vec::new();
    for cut in 0..cuts {
        let target = recipients * (2 * cut + 1) / (2 * cuts + 1);
        world.wait_for(target.max(1), &mut nodes[2], PATIENCE);
        std::thread::sleep(Duration::from_micros(chance.random_range(0..60_000)));
        let (name, cables) = CUTS[cut % CUTS.len()];
        cables.iter().for_each(|&cable| net.set(cable, "down"));
        let before = world.accepted();
        std::thread::sleep(held);
        taken.push(format!(
            "{name} at {before}, {} by the others",
            world.accepted() - before
        ));
        cables.iter().for_each(|&cable| net.set(cable, "up"));
    }
    let until = Instant::now() + PATIENCE * 2;
    loop {
        let counts = world.verify();
        if counts.at_dot == 0 && counts.sent + counts.uncertain == recipients {
            break;
        }
        for (number, node) in nodes.iter_mut().enumerate() {
            assert!(node.is_running(), "node {number} ended by itself");
        }
        assert!(Instant::now() < until, "the run does not end: {counts:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let samples = sampling.stop();
    let judgement = world.judgement();
    judgement.assert_clean();
    assert!(judgement.uncertain <= cuts * CONNECTIONS, "{judgement:?}");
    tell(
        "R3c",
        "postgres",
        &format!(
            "{recipients} readers, 3 nodes, one cut off for {} s each ({}): lost 0, doubled 0, falsely sent 0, \
             uncertain {} (at most {}); identity looked at {samples} times",
            held.as_secs(),
            taken.join("; "),
            judgement.uncertain,
            cuts * CONNECTIONS
        ),
    );
}
