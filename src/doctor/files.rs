//! Files and the disk under them: who may read them, how much room is left, what a durable write costs.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;

use super::{Desk, Findings};
use crate::deliver::signing;
use crate::keyring::Keyring;
use crate::terminal::counted;
use crate::track::journal::Journal;

const MIB: u64 = 1024 * 1024;
/// Less room than this and a run may fill the disk; less than the other and it will.
const LITTLE: u64 = 1024 * MIB;
const NONE: u64 = 100 * MIB;
/// Durable writes measured.
const WRITES: usize = 20;
/// A commit takes as long as one durable write; a run makes some hundred of them in a second at best.
const SLOW: Duration = Duration::from_millis(20);
/// File systems on which locks and durable writes are not what SQLite needs.
const REMOTE: [(u64, &str); 4] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
];

/// Secrets and readers' addresses are for their owner alone.
pub(super) fn modes(desk: &Desk<'_>, path: &Path, out: &mut Findings) {
    match Keyring::load(&desk.base.join(&desk.config.paths.keyring)) {
        Ok(keyring) => {
            let keys = keyring.list().len();
            out.ok(
                "keyring",
                format!("the keyring holds {}", counted(keys, "key")),
            );
        }
        Err(error) => out.error(
            "keyring",
            format!("{error:#}"),
            "without it no link works and nobody can be sent to; a backup must hold it too",
        ),
    }
    if let Some((_, relay)) = desk.config.first_relay() {
        match signing::signers(desk.config, desk.base, relay) {
            Ok(signers) => {
                for signer in signers {
                    out.ok(
                        "dkim-key",
                        format!("the key for `{}` is readable", signer.record_name()),
                    );
                }
            }
            Err(error) => out.error(
                "dkim-key",
                format!("{error:#}"),
                "nothing can be sent before",
            ),
        }
    }
    let secret = desk
        .config
        .relay
        .values()
        .any(|relay| relay.password.is_some())
        || desk.config.database.url.expose_secret().contains('@');
    if secret {
        file(
            path,
            "configuration-file",
            "the configuration, which may hold a password,",
            out,
        );
    }
    if let Some(database) = sqlite(desk) {
        file(
            &database,
            "database-file",
            "the database, which holds all addresses,",
            out,
        );
    }
}

fn file(path: &Path, check: &'static str, what: &str, out: &mut Findings) {
    let Ok(metadata) = fs::metadata(path) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    if mode & 0o007 != 0 {
        return out.warn(
            check,
            format!("{what} may be read by anyone on this machine (mode {mode:04o})"),
            format!("run `chmod 600 {name}`"),
        );
    }
    out.ok(
        check,
        format!("`{name}` is not for everyone on this machine"),
    );
}

fn sqlite(desk: &Desk<'_>) -> Option<PathBuf> {
    let url = desk.config.database.url.expose_secret();
    let file = url.strip_prefix("sqlite:")?;
    Some(desk.base.join(file.trim_start_matches("//")))
}

/// Whether any leaving was refused by the database.
pub(super) fn leavings(desk: &Desk<'_>, out: &mut Findings) {
    let state = desk.base.join(&desk.config.paths.state);
    if let Some(trouble) = Journal::in_folder(&state).trouble() {
        out.error(
            "leavings",
            trouble,
            "`pressrun subscribers show KEY` says whose it is; `remove` takes her off by her address",
        );
    }
}

/// The folders that are written to, each file system once.
pub(super) fn disk(desk: &Desk<'_>, out: &mut Findings) {
    let database = sqlite(desk).and_then(|file| file.parent().map(Path::to_owned));
    let state = desk.base.join(&desk.config.paths.state);
    let mut seen: Vec<u64> = Vec::new();
    writes(&state, out);
    for folder in [database, Some(state)].into_iter().flatten() {
        // `state` is made when it is first needed.
        let folder = if folder.is_dir() {
            folder
        } else {
            desk.base.to_owned()
        };
        let device = fs::metadata(&folder).map(|data| std::os::unix::fs::MetadataExt::dev(&data));
        let Ok(device) = device else {
            out.error(
                "room",
                format!("the folder `{}` cannot be looked at", folder.display()),
                "make it, and let the program's user write there",
            );
            continue;
        };
        if !seen.contains(&device) {
            seen.push(device);
            room(&folder, out);
            kind(&folder, out);
            durable(&folder, out);
        }
    }
}

/// A run needs its state folder before its first message; doctor makes none.
fn writes(state: &Path, out: &mut Findings) {
    let held = match state.exists() {
        true => state,
        false => state.parent().unwrap_or(state),
    };
    let trial = held.join(format!(".pressrun-doctor-{}", std::process::id()));
    let written = File::create(&trial).and_then(|mut file| file.write_all(b"doctor"));
    fs::remove_file(&trial).ok();
    let name = state.display();
    match written {
        Ok(()) => out.ok("state", format!("`{name}` can be written")),
        Err(error) => out.error(
            "state",
            format!("`{name}` (`paths.state`) cannot be written: {error}"),
            "make it a folder in which the program's user may write: without it nothing is sent",
        ),
    }
}

fn room(folder: &Path, out: &mut Findings) {
    let Ok(found) = rustix::fs::statvfs(folder) else {
        return out.unknown("room", "the file system does not say how much room is left");
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let says = format!(
        "{} MiB are free where `{}` lies",
        free / MIB,
        folder.display()
    );
    let advice =
        "a delivery takes some 500 octets, an event some 300; make room, or move the database";
    if free < NONE {
        out.error("room", says, advice);
    } else if free < LITTLE {
        out.warn("room", says, advice);
    } else {
        out.ok("room", says);
    }
}

fn kind(folder: &Path, out: &mut Findings) {
    let Ok(found) = rustix::fs::statfs(folder) else {
        return;
    };
    // The kernel's numbers are of 32 bits, whatever the field is.
    let number = u64::try_from(found.f_type).unwrap_or_default() & 0xffff_ffff;
    match REMOTE.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => out.error(
            "file-system",
            format!(
                "`{}` lies on {name}, where locks and durable writes are not reliable",
                folder.display()
            ),
            "move the database to a disk of this machine, or use PostgreSQL",
        ),
        None => out.ok("file-system", "the disk is one of this machine"),
    }
}

/// Writes and makes durable a small file, as a commit does.
fn durable(folder: &Path, out: &mut Findings) {
    let path = folder.join(format!(".pressrun-doctor-{}", std::process::id()));
    let measured = measure(&path);
    // Whatever became of it, it goes.
    fs::remove_file(&path).ok();
    match measured {
        Ok(wait) => {
            let says = format!(
                "a durable write takes {:.1} ms",
                wait.as_secs_f64() * 1000.0
            );
            if wait > SLOW {
                out.warn(
                    "durable-write",
                    says,
                    "each commit waits for one; a faster disk sends faster",
                );
            } else {
                out.ok("durable-write", says);
            }
        }
        Err(error) => out.error(
            "durable-write",
            format!("`{}` cannot be written to: {error}", folder.display()),
            "let the program's user write there, and look at the disk",
        ),
    }
}

/// The median wait of a write that must reach the disk.
pub fn measure(path: &Path) -> std::io::Result<Duration> {
    let mut file = File::create(path)?;
    let mut waits = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        file.write_all(&[0x55; 4096])?;
        let begun = Instant::now();
        file.sync_data()?;
        waits.push(begun.elapsed());
    }
    waits.sort();
    Ok(waits[WRITES / 2])
}
