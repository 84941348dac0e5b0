//! Sending through pgbouncer in transaction mode, where two connections to the server serve all of ours.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pressrun::store::Store;

use crate::harness::{Database, Engine, Port, block_on};
use crate::processes::PATIENCE;
use crate::world::World;
use crate::{size, skip, tell};

/// A pgbouncer before the test server.
struct Bouncer {
    process: Child,
    port: Port,
    _folder: tempfile::TempDir,
}

impl Bouncer {
    /// None where it is not installed.
    fn start() -> Option<Bouncer> {
        let found = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
        let program = found
            .iter()
            .find(|path| fs::exists(path).unwrap_or(false))?;
        let server = std::env::var("PRESSRUN_TEST_POSTGRES").expect("a server");
        let server = url::Url::parse(&server).expect("a URL");
        let held = Port::free();
        let port = held.number;
        let folder = tempfile::tempdir().expect("a folder");
        // It refuses to be root, and has to read its configuration all the same.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let file = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port={} user={} password={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n",
            server.host_str().expect("a host"),
            server.port().unwrap_or(5432),
            server.username(),
            server.password().unwrap_or("none"),
        );
        fs::write(&file, text).expect("the configuration");
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        command.arg("-q").arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let process = command.stderr(Stdio::null()).spawn().expect("pgbouncer");
        let bouncer = Bouncer {
            process,
            port: held,
            _folder: folder,
        };
        let until = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "pgbouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(bouncer)
    }

    /// The way through it to the database that `url` names.
    fn url(&self, url: &str) -> String {
        let (_, name) = url.rsplit_once('/').expect("a database's name");
        format!(
            "postgres://anybody@127.0.0.1:{}/{name}?sslmode=disable&pooler=transaction",
            self.port.number
        )
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn a_run_killed_once_is_sent_whole_through_pgbouncer_in_transaction_mode() {
    let Some(bouncer) = Bouncer::start() else {
        skip("PGB", "pgbouncer is not installed");
        return;
    };
    let recipients = size(300, 5_000);
    let mut world = World::on(Engine::Postgres, recipients, 5, Duration::from_millis(10));
    world.through = Some(bouncer.url(&world.url()));
    let mut sender = world.start_any(&[]);
    world.wait_for(recipients / 3, &mut sender, PATIENCE);
    sender.kill();
    world.start_any(&[]).finish(PATIENCE);
    let judgement = world.judgement();
    judgement.assert_clean();
    assert!(judgement.uncertain <= 5, "{judgement:?}");
    tell(
        "PGB",
        "postgres",
        &format!(
            "{recipients} readers through pgbouncer in transaction mode, 2 connections behind it, 1 x SIGKILL: \
             lost 0, doubled 0, uncertain {}",
            judgement.uncertain
        ),
    );
}

#[test]
fn a_new_database_is_migrated_through_pgbouncer_in_transaction_mode() {
    let Some(bouncer) = Bouncer::start() else {
        skip("PGB", "pgbouncer is not installed");
        return;
    };
    block_on(async move {
        let database = Database::new(Engine::Postgres).await;
        let url = bouncer.url(&database.url);
        let open = async || Store::open(&url, database.path(), 4).await;
        // Two at once, as two machines that are set up: one waits for the other.
        let (one, two) = tokio::join!(open(), open());
        for store in [one.expect("a store"), two.expect("a store")] {
            assert_eq!(store.runs(10).await.expect("an answer").len(), 0);
            store.close().await;
        }
    });
}
