//! R8 on PostgreSQL: a server of the test's own, stopped at once (`pg_ctl stop -m immediate`) again and again.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::Port;
use crate::processes::PATIENCE;
use crate::world::{Sender, World};
use crate::{size, skip, tell};

const CONNECTIONS: usize = 5;
/// How soon the ready probe should be red, and the mail go on, by the table of faults; here they are told beside the
/// figures, since a busy machine fails nothing.
const RED: Duration = Duration::from_secs(5);
const RESUMED: Duration = Duration::from_secs(10);

/// A PostgreSQL server; it ends with the test.
struct Server {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: Port,
}

impl Server {
    /// None where PostgreSQL's own programs are not found.
    fn start() -> Option<Server> {
        let bin = programs()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("a mode");
        let server = Server {
            port: Port::free(),
            folder,
            bin,
        };
        let made = server.command(
            "initdb",
            &["-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"],
        );
        assert!(made, "PostgreSQL makes no cluster");
        server.run();
        Some(server)
    }

    /// PostgreSQL refuses to run as root, which borrows the package's own user.
    fn command(&self, program: &str, arguments: &[&str]) -> bool {
        let program = self.bin.join(program);
        let mut command = match rustix::process::geteuid().is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command
            .current_dir(self.folder.path())
            .arg("-D")
            .arg("data")
            .args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    fn run(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off",
            self.port.number
        );
        let up = self.command(
            "pg_ctl",
            &["-w", "-t", "60", "-l", "log", "-o", &options, "start"],
        );
        assert!(up, "PostgreSQL does not start");
    }

    fn stop(&self) -> bool {
        self.command("pg_ctl", &["-m", "immediate", "-w", "stop"])
    }

    fn url(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable",
            self.port.number
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where `initdb` and `pg_ctl` are.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let whole = |place: &PathBuf| place.join("initdb").exists() && place.join("pg_ctl").exists();
    places.into_iter().find(whole)
}

/// What the ready probe of the site on `port` says; nothing where nobody answers.
fn probe(port: u16) -> Option<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.starts_with("HTTP/1.1 200"))
}

/// Waits until the probe is green, or red; gives how long that took.
pub fn wait_probe(port: u16, green: bool) -> Duration {
    let from = Instant::now();
    while probe(port) != Some(green) {
        assert!(
            from.elapsed() < PATIENCE,
            "the probe does not become {green}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    from.elapsed()
}

/// Both sites and the sender, beside the run that is begun.
pub fn serve(world: &World, public: &Port, admin: &Port) -> Sender {
    let mut command = world.pressrun(&["serve"]);
    command
        .env(
            "PRESSRUN_HTTP__PUBLIC",
            format!("127.0.0.1:{}", public.number),
        )
        .env(
            "PRESSRUN_HTTP__ADMIN",
            format!("127.0.0.1:{}", admin.number),
        );
    world.spawn(command)
}

#[test]
fn r8_a_server_that_stops_at_once_again_and_again_loses_nothing() {
    let Some(server) = Server::start() else {
        skip("R8c", "PostgreSQL's initdb and pg_ctl are not installed");
        return;
    };
    let (recipients, stops) = size((900, 2), (10_000, 20));
    let mut world = World::at(
        server.url(),
        recipients,
        CONNECTIONS,
        Duration::from_millis(20),
    );
    let (public, admin) = (Port::free(), Port::free());
    let site = public.number;
    let arguments = ["send", "kill", "--list", "weekly", "--yes", "--detach"];
    let begun = world.pressrun(&arguments).output().expect("the binary");
    assert!(begun.status.success(), "{begun:?}");
    let mut sender = serve(&world, &public, &admin);
    wait_probe(site, true);
    let (mut red, mut resumed) = (Duration::ZERO, Duration::ZERO);
    for stop in 1..=stops {
        world.wait_for(recipients * stop / (stops + 3), &mut sender, PATIENCE);
        wait_probe(site, true);
        assert!(server.stop(), "PostgreSQL does not stop");
        red = red.max(wait_probe(site, false));
        let taken = world.settled();
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(world.settled(), taken, "a dot without a marker");
        assert!(taken < recipients, "nothing was left to stop");
        server.run();
        let from = Instant::now();
        world.wait_for(taken + 1, &mut sender, PATIENCE);
        resumed = resumed.max(from.elapsed());
    }
    let until = Instant::now() + PATIENCE;
    loop {
        let counts = world.verify();
        if counts.at_dot == 0 && counts.sent + counts.uncertain == recipients {
            break;
        }
        assert!(
            Instant::now() < until,
            "the run does not end: {counts:?}; {}",
            world.said()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let judgement = world.judgement();
    judgement.assert_clean();
    assert_eq!(judgement.uncertain, 0, "{judgement:?}");
    tell(
        "R8c",
        "postgres",
        &format!(
            "{stops} x immediate stop, {recipients} readers: sent meanwhile 0, lost 0, doubled 0, uncertain 0; \
             /readyz red after {:.1} s (goal {} s), sending again after {:.1} s (goal {} s)",
            red.as_secs_f64(),
            RED.as_secs(),
            resumed.as_secs_f64(),
            RESUMED.as_secs()
        ),
    );
}

#[test]
fn r8_serve_waits_for_a_server_that_is_not_there_yet() {
    let Some(server) = Server::start() else {
        skip("R8e", "PostgreSQL's initdb and pg_ctl are not installed");
        return;
    };
    let world = World::at(server.url(), 3, CONNECTIONS, Duration::ZERO);
    assert!(server.stop(), "PostgreSQL does not stop");
    let (public, admin) = (Port::free(), Port::free());
    let site = public.number;
    let mut sender = serve(&world, &public, &admin);
    // It answers that it is there, and not ready.
    wait_probe(site, false);
    let waits = "waiting for the database, 10 more minutes at most";
    let until = Instant::now() + PATIENCE;
    while !world.said().contains(waits) {
        assert!(
            sender.is_running() && Instant::now() < until,
            "{}",
            world.said()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    server.run();
    let up = wait_probe(site, true);
    assert!(sender.is_running(), "{}", world.said());
    sender.signal(rustix::process::Signal::TERM);
    let (status, _) = sender.ended(PATIENCE);
    assert!(status.success(), "{status}: {}", world.said());
    // What waiting does not mend is told at once.
    let nowhere = server.url().replace("/postgres?", "/nowhere?");
    let mut command = world.pressrun(&["serve"]);
    command.env("PRESSRUN_DATABASE__URL", nowhere);
    let (status, _) = world.spawn(command).ended(PATIENCE);
    assert_eq!(status.code(), Some(1), "{}", world.said());
    assert!(world.said().contains("does not exist"), "{}", world.said());
    let text = format!(
        "serve waits for its server, not ready meanwhile, and is ready {:.1} s after it",
        up.as_secs_f64()
    );
    tell("R8e", "postgres", &text);
}
