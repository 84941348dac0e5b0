//! Who may send at all: the lock on a SQLite database or of a node, and the guard against a restored backup.
//!
//! Promises: two processes never send from one SQLite file, nor as one node of a PostgreSQL; a database older
//! than what this machine knows of it, or a run that slept for more than an hour, is held until a person says
//! otherwise. Of the former no system mail leaves either.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;

use crate::app::App;
use crate::clock::Timestamp;
use crate::failpoint::{self, When};
use crate::store::Store;

/// A sender that was away for longer may be a machine restored from an image.
const GAP: Duration = Duration::from_secs(3600);

/// The right to send from a SQLite database, or as a node: an operating-system lock, so it ends with the
/// process.
#[derive(Debug)]
pub(crate) struct SendingLock {
    _file: File,
}

impl SendingLock {
    /// Where the lock lies: beside a SQLite database, from which one process alone may send; else in the
    /// folder of this node, because a second process of its name would fence the first, and only other
    /// machines may send, too.
    pub(crate) fn path(app: &App, node: &str) -> anyhow::Result<PathBuf> {
        if let Some(database) = app.store.sqlite_path() {
            return Ok(SendingLock::beside(database));
        }
        let folder = app.path(&app.config.paths.state);
        fs::create_dir_all(&folder)
            .with_context(|| format!("the state folder `{}` cannot be made", folder.display()))?;
        let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
        let node: String = node.chars().map(plain).collect();
        Ok(folder.join(format!("{node}.sending")))
    }

    /// Where the lock on a SQLite database lies: beside the file itself, by whatever name it is called.
    pub(crate) fn beside(database: &Path) -> PathBuf {
        let file = fs::canonicalize(database);
        file.as_deref()
            .unwrap_or(database)
            .with_extension("sending")
    }

    /// Takes the lock at `path`; none if another process holds it.
    pub(crate) fn try_take(path: &Path, boot: i64) -> anyhow::Result<Option<SendingLock>> {
        let name = path.display();
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .with_context(|| format!("the sending lock `{name}` cannot be opened"))?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                writeln!(file, "pid {} boot {boot}", std::process::id())?;
                Ok(Some(SendingLock { _file: file }))
            }
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("the sending lock `{name}` cannot be taken"))
            }
        }
    }
}

impl SendingLock {
    /// Whether any process holds the lock at `path`. Whoever tries to take it at this very moment may find
    /// it taken, and has to try again.
    pub(crate) fn is_held(path: &Path) -> anyhow::Result<bool> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("the sending lock `{}`", path.display()));
            }
        };
        Ok(matches!(
            file.try_lock_shared(),
            Err(fs::TryLockError::WouldBlock)
        ))
    }
}

/// The generation of the database, counted up in it and in a file beside the keyring.
#[derive(Debug)]
pub(crate) struct Generation {
    path: PathBuf,
}

/// What the file beside the keyring says.
enum Outside {
    Counted(i64),
    Missing,
    /// A disk that was full or failed, or another hand.
    Unreadable,
}

const GENERATION: &str = "generation";
const HEARTBEAT: &str = "heartbeat";

impl Generation {
    /// The guard of this installation.
    pub(crate) fn of(app: &App) -> Generation {
        Generation::within(&app.path(&app.config.paths.state))
    }

    /// The same by its state folder.
    pub(crate) fn within(folder: &Path) -> Generation {
        Generation {
            path: folder.join("generation"),
        }
    }

    /// Why runs under way must be held, if nothing was sent for too long; of a run that is under way since
    /// later than the given instant nobody missed anything.
    pub(crate) async fn slept(&self, app: &App) -> anyhow::Result<Option<(Timestamp, String)>> {
        let beat = Timestamp(number(app.store.meta(HEARTBEAT).await?));
        let why = (beat.0 > 0).then(|| slept(app.clock.now(), beat)).flatten();
        Ok(why.map(|why| (beat.after(GAP), why)))
    }

    /// Why this database must not be sent from, if it is older than this machine remembers.
    pub(crate) async fn older(&self, store: &Store) -> anyhow::Result<Option<String>> {
        let inside = number(store.meta(GENERATION).await?);
        let outside = match self.read()? {
            Outside::Counted(outside) => outside,
            Outside::Missing if inside == 0 || !store.is_sqlite() => 0,
            Outside::Missing => {
                return Ok(Some(format!(
                    "runs were sent from this database (generation {inside}), and `{}` is not there: it \
                     looks restored from a backup or moved here, and where it is not the newest, sending on \
                     could mail readers twice, and those who left since",
                    self.path.display()
                )));
            }
            Outside::Unreadable => {
                return Ok(Some(format!(
                    "`{}` holds no number, so nobody knows whether the database (generation {inside}) is the \
                     newest; where it is restored from a backup, sending on could mail readers twice, and \
                     those who left since",
                    self.path.display()
                )));
            }
        };
        Ok(behind(inside, outside))
    }

    /// Why this database is not the newest that this machine has seen; it need not have seen any.
    pub(crate) async fn behind(&self, store: &Store) -> anyhow::Result<Option<String>> {
        let inside = number(store.meta(GENERATION).await?);
        Ok(self.seen()?.and_then(|seen| behind(inside, seen)))
    }

    /// The newest generation that this machine has seen; none where it has seen none, or that cannot be read.
    pub(crate) fn seen(&self) -> anyhow::Result<Option<i64>> {
        Ok(match self.read()? {
            Outside::Counted(seen) => Some(seen),
            Outside::Missing | Outside::Unreadable => None,
        })
    }

    /// Counts up: first in the database, then, fsynced, outside it. A crash in between leaves the
    /// database ahead, which is harmless.
    pub(crate) async fn beat(&self, app: &App) -> anyhow::Result<()> {
        let inside = number(app.store.meta(GENERATION).await?);
        let outside = match self.read()? {
            Outside::Counted(outside) => outside,
            // A database that counts is one that this machine knows, whenever the power goes.
            Outside::Missing if inside == 0 => {
                self.write(0).with_context(|| self.unwritten())?;
                0
            }
            Outside::Missing | Outside::Unreadable => 0,
        };
        let next = inside.max(outside) + 1;
        // Another machine may have counted further meanwhile.
        app.store.raise_meta(GENERATION, next).await?;
        app.store
            .set_meta(HEARTBEAT, &app.clock.now().0.to_string())
            .await?;
        self.write(next).with_context(|| self.unwritten())
    }

    fn unwritten(&self) -> String {
        format!("`{}` cannot be written", self.path.display())
    }

    /// Forgets the last heartbeat: no run is under way, so a pause means nothing.
    pub(crate) async fn rest(&self, app: &App) -> anyhow::Result<()> {
        Ok(app.store.set_meta(HEARTBEAT, "0").await?)
    }

    fn read(&self) -> anyhow::Result<Outside> {
        match fs::read(&self.path) {
            Ok(octets) => {
                let text = std::str::from_utf8(&octets).ok();
                let counted = text.and_then(|text| text.trim().parse().ok());
                Ok(counted.map_or(Outside::Unreadable, Outside::Counted))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Outside::Missing),
            Err(error) => Err(error).with_context(|| format!("`{}`", self.path.display())),
        }
    }

    fn write(&self, generation: i64) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        failpoint::pass(module_path!(), When::Before)?;
        // A sender's beat and a command's may meet: each has a file of its own until the rename.
        static BEATS: AtomicU64 = AtomicU64::new(0);
        let beat = BEATS.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let fresh = self.path.with_extension(format!("{process}-{beat}.new"));
        let mut file = File::create(&fresh)?;
        writeln!(file, "{generation}")?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        // The rename itself must survive a power cut.
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        failpoint::pass(module_path!(), When::After)
    }
}

fn behind(inside: i64, outside: i64) -> Option<String> {
    (inside < outside).then(|| {
        format!(
            "the database is older than this machine remembers (generation {inside}, seen {outside}): it looks \
             restored from a backup, and sending on could mail readers twice, and those who left since"
        )
    })
}

/// Why a run must be held whose last sign of life was at `beat`, if that is too long ago.
pub(crate) fn slept(now: Timestamp, beat: Timestamp) -> Option<String> {
    let away = now.since(beat);
    (away > GAP).then(|| {
        format!(
            "nothing was sent for {} minutes with a run under way: the machine slept, was down, or was \
             restored from an image",
            away.as_secs() / 60
        )
    })
}

/// The same of a sender that lived all the while, and by the machine's own clock was away for `passed`: a
/// wall clock that gained much more was set.
pub(super) fn gone(now: Timestamp, beat: Timestamp, passed: Duration) -> Option<String> {
    let slept = slept(now, beat)?;
    let gained = now.since(beat).saturating_sub(passed);
    if gained <= GAP / 2 {
        return Some(slept);
    }
    Some(format!(
        "the clock was set forward by {} minutes with a run under way, by hand, by NTP, or because the \
         machine was restored from an image; look at the clock",
        gained.as_secs() / 60
    ))
}

fn number(text: Option<String>) -> i64 {
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::gone;
    use crate::clock::Timestamp;

    #[test]
    fn a_clock_that_was_set_is_told_from_a_machine_that_slept() {
        let (beat, hour) = (Timestamp(1_800_000_000_000), Duration::from_secs(3_600));
        let now = beat.after(hour * 2);
        let told = |passed| gone(now, beat, passed).expect("it is told");
        assert!(told(hour * 2).contains("the machine slept"));
        assert!(told(Duration::from_secs(1)).contains("the clock was set forward by 119 minutes"));
        assert_eq!(gone(beat.after(hour), beat, Duration::ZERO), None);
    }
}
