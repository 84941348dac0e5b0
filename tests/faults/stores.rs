//! R8: a database that is locked, and a disk that is full.

use pressrun::status::RunStatus;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use crate::harness::{Engine, block_on};
use crate::processes::PATIENCE;
use crate::rig::{Rig, Wish, readers};
use crate::sample::Sampling;
use crate::world::World;
use crate::{size, skip, tell};

#[test]
fn r8_a_locked_database_stops_the_markers_and_loses_nothing() {
    block_on(async {
        let (count, seconds) = size((400, 2), (4_000, 60));
        let wish = Wish {
            readers: readers(count),
            ..Wish::default()
        };
        let rig = Rig::new(Engine::Sqlite, wish).await;
        let sampling = Sampling::start(&rig.database.url, rig.database.path());
        let run = rig.begin().await;
        rig.sink.hold_after(count as u64 / 4);
        let sending = rig.start().await;
        // And one more on each connection.
        rig.wait_accepted(count / 4 + 4).await;
        let file = rig.database.path().join("pressrun.db");
        let options = SqliteConnectOptions::new()
            .filename(file)
            .busy_timeout(Duration::from_secs(30));
        let mut other = options.connect().await.expect("a connection");
        other.execute("begin exclusive").await.expect("the lock");
        // Whoever has a marker is at the dot; behind it nothing may go out.
        rig.sink.release();
        let taken = rig.sink.counts().accepted;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        assert_eq!(rig.sink.counts().accepted, taken, "a dot without a marker");
        assert!(taken < count as u64, "nothing was left to stop");
        other.execute("rollback").await.expect("the lock's end");
        let from = Instant::now();
        rig.wait_accepted(usize::try_from(taken).expect("a count") + 1)
            .await;
        let resumed = from.elapsed();
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let counts = rig.balanced(run).await;
        assert_eq!((counts.sent, counts.uncertain), (count as i64, 0));
        rig.assert_true(run).await;
        tell(
            "R8",
            "sqlite",
            &format!(
                "database locked for {seconds} s: sent meanwhile 0, lost 0, doubled 0, uncertain 0, sending \
                 again after {:.1} s; identity looked at {} times",
                resumed.as_secs_f64(),
                sampling.stop()
            ),
        );
    });
}

/// A small file system, taken away with the test.
pub struct Small<'a>(&'a Path);

impl Small<'_> {
    /// None where this process may not mount.
    pub fn mount(folder: &Path, megabytes: u32) -> Option<Small<'_>> {
        fs::create_dir_all(folder).expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(folder)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Small(folder))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // Lazily: a process that the test has just killed may still be there.
        Command::new("umount").arg("-l").arg(self.0).output().ok();
    }
}

#[test]
fn r8_a_full_disk_stops_the_markers_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let news = folder.path().join("news");
    // The database's log alone grows to 32 MiB before it is folded back, and a long run fills it.
    let room = size(24, 64);
    let Some(_mounted) = Small::mount(&news, room) else {
        skip("R8b", "a tmpfs cannot be mounted here; run as root");
        return;
    };
    let (recipients, pause) = size((600, 2), (5_000, 20));
    let mut world = World::within(folder, recipients, 4, Duration::from_millis(10));
    let mut sender = world.start_any(&[]);
    world.wait_for(recipients / 4, &mut sender, PATIENCE);
    let ballast = news.join("ballast");
    let mut stops = Vec::new();
    for _ in 0..size(1, 5) {
        fill(&ballast);
        // What is on its way ends, or does not: the log of the database has some room of its own.
        let mut taken = world.settled();
        let until = Instant::now() + PATIENCE;
        while taken < recipients && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(500));
            let now = world.settled();
            if now == taken {
                break;
            }
            taken = now;
            fill(&ballast);
        }
        std::thread::sleep(Duration::from_secs(pause));
        assert!(
            sender.is_running(),
            "a full disk ends no sender: {}",
            world.said()
        );
        let after = world.settled();
        assert_eq!(after, taken, "mail went out without a marker");
        stops.push(taken);
        fs::remove_file(&ballast).expect("the ballast");
        let from = Instant::now();
        world.wait_for((after + 1).min(recipients), &mut sender, PATIENCE);
        assert!(from.elapsed() < PATIENCE);
    }
    sender.finish(PATIENCE);
    let judgement = world.judgement();
    judgement.assert_clean();
    assert!(
        stops.iter().any(|&taken| taken < recipients),
        "nothing was left to stop: {stops:?}"
    );
    tell(
        "R8b",
        "sqlite",
        &format!(
            "tmpfs of {room} MiB full at {stops:?} of {recipients}: lost 0, doubled 0, uncertain {}, went on by \
             itself",
            judgement.uncertain
        ),
    );
}

/// Takes the last octet of the file system.
pub fn fill(ballast: &Path) {
    use std::io::Write;
    let mut file = fs::File::options()
        .create(true)
        .append(true)
        .open(ballast)
        .expect("a file");
    for piece in [1 << 20, 1 << 16, 1 << 12] {
        while file.write_all(&vec![0; piece]).is_ok() {}
    }
}
