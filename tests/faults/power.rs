//! R5: the plug is pulled. What was written and not synced is gone, and the run goes on from what is left.
//!
//! A real power cut needs a machine of its own. This is one by its system calls: the sender runs under `strace`,
//! is killed, and every octet of the write-ahead log that it wrote and did not sync before the kill is taken
//! out of the file. The relay's memory, which is the sink's log, stays: it is another machine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};

use crate::processes::PATIENCE;
use crate::world::World;
use crate::{seed, size, skip, tell};

const CONNECTIONS: usize = 6;

/// Octets of one file that a system call may have written: from, and how many.
type Range = (u64, u64);

/// What was written to each file and not synced.
#[derive(Debug, Default)]
struct Unsynced {
    files: BTreeMap<String, Vec<Range>>,
    /// A call that has begun, by its thread: the file, and how much of it a finished sync covers.
    begun: BTreeMap<String, (String, usize)>,
    syncs: usize,
}

impl Unsynced {
    fn read(trace: &str) -> Unsynced {
        let mut unsynced = Unsynced::default();
        for line in trace.lines() {
            unsynced.line(line);
        }
        unsynced
    }

    /// One line of `strace -f -y -s0`.
    fn line(&mut self, line: &str) {
        let Some((thread, call)) = line.trim_start().split_once(' ') else {
            return;
        };
        let call = call.trim_start();
        if let Some(rest) = call.strip_prefix("pwrite64(") {
            // As soon as it begins it may have changed the file.
            if let Some((file, range)) = written(rest) {
                self.files.entry(file).or_default().push(range);
            }
        } else if call.starts_with("fdatasync(") || call.starts_with("fsync(") {
            let Some(file) = path(call) else { return };
            let covered = self.files.get(&file).map_or(0, Vec::len);
            match call.contains("<unfinished") {
                true => {
                    self.begun.insert(thread.to_owned(), (file, covered));
                }
                false => self.synced(&file, covered, call),
            }
        } else if (call.starts_with("<... fdatasync") || call.starts_with("<... fsync"))
            && let Some((file, covered)) = self.begun.remove(thread)
        {
            self.synced(&file, covered, call);
        }
    }

    fn synced(&mut self, file: &str, covered: usize, call: &str) {
        if !call.trim_end().ends_with("= 0") {
            return;
        }
        self.syncs += 1;
        if let Some(ranges) = self.files.get_mut(file) {
            ranges.drain(..covered.min(ranges.len()));
        }
        for (other, begun) in self.begun.values_mut() {
            if other == file {
                *begun = begun.saturating_sub(covered);
            }
        }
    }
}

/// The file between `<` and `>`.
fn path(call: &str) -> Option<String> {
    let (_, rest) = call.split_once('<')?;
    Some(rest.split_once('>')?.0.to_owned())
}

/// `12</news/pressrun.db-wal>, ""..., 4096, 32) = 4096`.
fn written(rest: &str) -> Option<(String, Range)> {
    let file = path(rest)?;
    let (_, numbers) = rest.split_once(">, ")?;
    let (_, numbers) = numbers.split_once(", ")?;
    let numbers = numbers.split([')', '<']).next()?;
    let (length, offset) = numbers.split_once(", ")?;
    Some((
        file,
        (offset.trim().parse().ok()?, length.trim().parse().ok()?),
    ))
}

#[test]
fn the_trace_is_read_as_the_disk_would_have_seen_it() {
    let trace = "\
7 pwrite64(3</n/p.db-wal>, \"\"..., 24, 0) = 24
7 pwrite64(3</n/p.db-wal>, \"\"..., 4096, 24) = 4096
7 fdatasync(3</n/p.db-wal>) = 0
7 pwrite64(3</n/p.db-wal>, \"\"..., 24, 4120 <unfinished ...>
8 fdatasync(3</n/p.db-wal> <unfinished ...>
7 <... pwrite64 resumed>) = 24
7 pwrite64(3</n/p.db-wal>, \"\"..., 4096, 4144) = 4096
8 <... fdatasync resumed>) = 0
9 fdatasync(3</n/p.db-wal>) = -1 EIO (Input/output error)
9 +++ killed by SIGKILL +++
";
    let unsynced = Unsynced::read(trace);
    // The second sync began before the last write, and the third failed.
    assert_eq!(unsynced.files["/n/p.db-wal"], [(4144, 4096)]);
    assert_eq!(unsynced.syncs, 2);
}

/// The process that `strace` runs.
fn child_of(pid: u32) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}

fn can_trace(folder: &Path) -> bool {
    let trace = Command::new("strace")
        .args(["-f", "-o"])
        .arg(folder.join("try"))
        .arg("true")
        .output();
    trace.is_ok_and(|output| output.status.success())
}

/// Takes what was not synced out of the file: the disk never had it.
fn pull_the_plug(file: &Path, ranges: &[Range], chance: &mut StdRng) -> u64 {
    let mut handle = File::options().write(true).open(file).expect("the log");
    let size = handle.metadata().expect("its size").len();
    let mut taken = 0;
    for &(offset, length) in ranges {
        // Of what was not synced, the disk may have any part.
        if chance.random_bool(0.2) {
            continue;
        }
        let length = length.min(size.saturating_sub(offset));
        handle.seek(SeekFrom::Start(offset)).expect("a place");
        let zeroes = vec![0; usize::try_from(length).expect("a length")];
        handle.write_all(&zeroes).expect("nothing");
        taken += length;
    }
    taken
}

#[test]
fn r5_a_power_cut_takes_back_no_marker_whose_dot_went_out() {
    let (recipients, cuts) = size((450, 4), (5_000, 50));
    let mut world = World::new(recipients, CONNECTIONS, Duration::from_millis(10));
    if !can_trace(world.folder.path()) {
        skip("R5", "strace is missing or may not trace here");
        return;
    }
    let mut chance = StdRng::seed_from_u64(seed());
    // The run begins in peace.
    let mut sender = world.start_any(&[]);
    world.wait_for(1, &mut sender, PATIENCE);
    sender.kill();
    let (mut octets, mut syncs) = (0, 0);
    for cut in 0..cuts {
        let trace = world.folder.path().join(format!("trace{cut}"));
        let resume = world.pressrun(&["resume", "kill"]);
        let mut command = Command::new("strace");
        command
            .args([
                "-f",
                "-y",
                "-s0",
                "--seccomp-bpf",
                "-e",
                "trace=pwrite64,fdatasync,fsync",
                "-o",
            ])
            .arg(&trace)
            .arg(resume.get_program())
            .args(resume.get_args());
        for (name, value) in resume.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(world.folder.path());
        let mut sender = world.spawn(command);
        let before = world.accepted();
        let target = (recipients / (cuts + 4) * (cut + 1)).max(before + 1);
        world.wait_for(target, &mut sender, PATIENCE);
        std::thread::sleep(Duration::from_micros(chance.random_range(0..20_000)));
        let pressrun = child_of(sender.0.id()).expect("the process under strace");
        kill_process(pressrun, Signal::KILL).expect("a process to kill");
        sender.ended(PATIENCE);
        let unsynced = Unsynced::read(&fs::read_to_string(&trace).expect("the trace"));
        assert!(
            unsynced.syncs > 0,
            "the log was never synced, or the trace is not read"
        );
        syncs += unsynced.syncs;
        for (file, ranges) in &unsynced.files {
            let name = Path::new(file).file_name().and_then(|name| name.to_str());
            match name {
                Some("pressrun.db-wal") => {
                    octets += pull_the_plug(Path::new(file), ranges, &mut chance);
                }
                // Nothing is folded back in so short a run; if it is, this test does not say what it should.
                Some("pressrun.db") => assert!(ranges.is_empty(), "a checkpoint: {ranges:?}"),
                _ => {}
            }
        }
        fs::remove_file(world.news().join("pressrun.db-shm")).ok();
        fs::remove_file(&trace).ok();
        let counts = world.verify();
        assert!(counts.balanced, "cut {cut}: {counts:?}");
    }
    world.start_any(&[]).finish(PATIENCE);
    let judgement = world.judgement();
    judgement.assert_clean();
    assert!(
        judgement.uncertain <= (cuts + 1) * CONNECTIONS,
        "{judgement:?}"
    );
    tell(
        "R5",
        "sqlite",
        &format!(
            "{recipients} readers, {cuts} power cuts by system-call trace, {octets} octets never synced taken \
             back, {syncs} syncs seen: lost 0, doubled 0, uncertain {}",
            judgement.uncertain
        ),
    );
}
