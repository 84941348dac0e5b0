//! Room beside a SQLite database that is given up when its disk is full: for what was sent, and for who leaves.
//!
//! Promises: it takes no more than a small part of the disk, and is taken again only once there is room for twice as
//! much. Differs by necessity: PostgreSQL's disk is the business of who runs it. Leaves to `deliver` that no marker is
//! taken meanwhile: the room is for the outcomes of those that were.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use crate::clock::Timestamp;
use crate::store::Store;

/// The outcomes of some hundred connections, and some thousand leavings.
const SIZE: u64 = 16 << 20;
/// Written at a time where it has to be.
const CHUNK: usize = 1 << 16;
/// The part of a disk that it takes at most.
const PART: u64 = 16;

/// The reserve of one database. Its file is empty while it is given up.
#[derive(Clone, Debug)]
pub struct Reserve {
    path: PathBuf,
}

/// How much the reserve takes on its disk, and how much is free there.
struct Room {
    size: u64,
    free: u64,
}

impl Store {
    /// The reserve of a SQLite database.
    pub fn reserve(&self) -> Option<Reserve> {
        let path = self.sqlite_path()?.with_extension("reserve");
        Some(Reserve { path })
    }

    /// Since when the disk with the database is full, as far as is known: its reserve is given up.
    pub fn full_since(&self) -> Option<Timestamp> {
        self.reserve()?.spent_since()
    }

    /// Gives the reserve up; true if there is more room by that.
    pub fn make_room(&self) -> bool {
        self.reserve().is_some_and(|reserve| reserve.give_up())
    }

    /// Takes the reserve, unless it is there. False where there is no room for it.
    pub fn keep_reserve(&self) -> bool {
        let Some(reserve) = self.reserve() else {
            return true;
        };
        reserve.keep().unwrap_or_else(|error| {
            tracing::debug!(%error, "the disk gives no room to keep in reserve");
            false
        })
    }

    /// Says that nothing is sent while the disk is full, and until when; none while it is not.
    pub fn lacks_room(&self) -> Option<String> {
        let reserve = self.reserve()?;
        reserve.spent_since()?;
        Some(match reserve.room() {
            Ok(room) => format!(
                "the disk with the database is full; make room: it goes on by itself once {} MiB are free, {} are now",
                (room.size * 2).div_ceil(1 << 20),
                room.free >> 20
            ),
            Err(_) => "the disk with the database is full; make room".to_owned(),
        })
    }
}

impl Reserve {
    fn spent_since(&self) -> Option<Timestamp> {
        let found = fs::metadata(&self.path).ok()?;
        let since = (found.len() == 0).then(|| found.modified().ok())??;
        let since = since.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Timestamp(i64::try_from(since.as_millis()).ok()?))
    }

    fn room(&self) -> io::Result<Room> {
        let disk = statvfs(self.path.parent().unwrap_or(Path::new(".")))?;
        let unit = disk.f_frsize;
        Ok(Room {
            size: SIZE.min(disk.f_blocks.saturating_mul(unit) / PART),
            free: disk.f_bavail.saturating_mul(unit),
        })
    }

    fn keep(&self) -> io::Result<bool> {
        self.keep_by(|file, size| fallocate(file, FallocateFlags::empty(), 0, size))
    }

    /// The same by how a file system gives room to a file; where it does not know how, the room is written.
    fn keep_by(&self, allocate: impl Fn(&File, u64) -> Result<(), Errno>) -> io::Result<bool> {
        if self.is_kept() {
            return Ok(true);
        }
        let room = self.room()?;
        if room.free < room.size.saturating_mul(2) {
            return Ok(false);
        }
        let spent = self.path.exists();
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&self.path)?;
        let taken = match allocate(&file, room.size) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(&file, room.size),
            taken => taken.map_err(io::Error::from),
        };
        if let Err(error) = taken {
            // It stays given up; one that never was is not.
            match spent {
                true => file.set_len(0)?,
                false => fs::remove_file(&self.path)?,
            }
            return Err(error);
        }
        Ok(true)
    }

    fn is_kept(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| found.len() > 0)
    }

    fn empty(&self) -> io::Result<()> {
        let file = File::options().write(true).open(&self.path)?;
        file.set_len(0)?;
        file.sync_all()
    }

    fn give_up(&self) -> bool {
        // A disk that fails in another way gets nothing by it, and what would be taken again at once is no help.
        let scarce = |room: Room| room.free < room.size.saturating_mul(2);
        if !self.is_kept() || !self.room().is_ok_and(scarce) {
            return false;
        }
        match self.empty() {
            Ok(()) => {
                tracing::error!(
                    "the disk with the database is full: nothing is sent until there is room, and what was sent is \
                     written into the room kept in reserve"
                );
                true
            }
            Err(error) => {
                tracing::error!(%error, "the room kept in reserve cannot be given up");
                false
            }
        }
    }
}

/// Writes `size` octets, which take their room when this returns: not zeros, of which some file systems keep nothing.
fn fill(mut file: &File, size: u64) -> io::Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut left = size;
    while left > 0 {
        let mut chunk = Vec::with_capacity(CHUNK);
        while chunk.len() < CHUNK {
            // Xorshift (G. Marsaglia, 2003): no compression finds anything in it.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.extend(state.to_le_bytes());
        }
        let part = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        file.write_all(&chunk[..part])?;
        left -= part as u64;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use rustix::io::Errno;

    use super::Reserve;

    #[test]
    fn where_no_room_can_be_given_to_a_file_it_is_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let reserve = Reserve {
            path: folder.path().join("news.reserve"),
        };
        for known in [Errno::OPNOTSUPP, Errno::NOSYS] {
            if !reserve.keep_by(|_, _| Err(known)).expect("it is written") {
                // This disk is nearly full.
                return;
            }
            let size = reserve.room().expect("a disk").size;
            let found = std::fs::metadata(&reserve.path).expect("a file");
            assert_eq!(found.len(), size);
            assert!(found.blocks() * 512 >= size, "it takes its room");
            reserve.empty().expect("given up");
        }
        let refused = reserve.keep_by(|_, _| Err(Errno::NOSPC));
        assert!(refused.is_err() && reserve.spent_since().is_some());
    }

    #[test]
    fn what_was_given_up_is_taken_again_where_there_is_room() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let reserve = Reserve {
            path: folder.path().join("news.reserve"),
        };
        assert!(
            !reserve.is_kept() && !reserve.give_up(),
            "there is none yet"
        );
        assert_eq!(reserve.spent_since(), None);
        if !reserve.keep().is_ok_and(|kept| kept) {
            // This disk is full, or cannot keep room.
            return;
        }
        reserve.empty().expect("a file");
        assert!(reserve.spent_since().is_some());
        assert!(!reserve.give_up(), "once");
        assert!(reserve.keep().expect("there is room"));
        assert_eq!(reserve.spent_since(), None);
    }
}
