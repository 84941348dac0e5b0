//! The journal of leavings: what the database does not take in time, in a file beside the keyring until it does.
//!
//! Promises: an entry is on the disk before anybody is told so, and stays there until the database has it; brought in
//! twice, by whoever was killed in between, it takes nobody off who has come back meanwhile. On a full disk it has the
//! reserve beside the database. Whoever begins to send on this machine brings it in before anything is taken up; another
//! machine's sender learns of it from the database. Leaves the work to `store::departures`.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::app::App;
use crate::store::Store;
use crate::store::departures::{Leaving, Left};

/// Leavings of one commit.
const GROUP: usize = 256;

/// The journal of this installation; cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    path: PathBuf,
    /// That the file is there is on the disk: this process has seen to it.
    rooted: Arc<AtomicBool>,
}

/// One reader who leaves, in the journal if the database takes no writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub leaving: Leaving,
    /// The revision of the mail that says goodbye, where she gets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodbye: Option<String>,
}

impl Entry {
    /// Queues the goodbye of a reader who has left by this: once, as nobody leaves twice. She has left, whatever becomes
    /// of it; a process that is killed before it sends none.
    pub(super) async fn say_goodbye(&self, left: Left, store: &Store) {
        let Some(revision) = self.goodbye.as_ref().filter(|_| left.changed) else {
            return;
        };
        let (key, at) = (self.leaving.subscription, self.leaving.at);
        if let Err(error) = store.enqueue_goodbye(key, revision, at).await {
            tracing::error!(%error, "a reader left and gets no goodbye");
        }
    }
}

impl Journal {
    /// The journal in the state folder.
    pub fn of(app: &App) -> Journal {
        Journal::in_folder(&app.path(&app.config.paths.state))
    }

    /// The journal in such a folder, which may not be there yet.
    pub fn in_folder(folder: &Path) -> Journal {
        Journal {
            path: folder.join("leaving.journal"),
            rooted: Arc::default(),
        }
    }

    /// Where the leavings stand that the database refused whenever it was asked: a person takes these readers off.
    pub fn refused(&self) -> PathBuf {
        self.path.with_extension("refused")
    }

    /// How to mend it, where there are any.
    pub fn trouble(&self) -> Option<String> {
        let path = self.refused();
        let found = fs::metadata(&path).is_ok_and(|found| found.len() > 0);
        found.then(|| {
            format!(
                "readers who have left are mailed on, as the database refuses their leaving: they stand in `{}` by the \
                 keys of their subscriptions; `pressrun subscribers show KEY` says whose one is and `remove` takes her \
                 off; delete that file then",
                path.display()
            )
        })
    }

    /// Whether anything waits in it.
    pub fn is_pending(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| found.len() > 0)
    }

    /// Writes an entry down, into the room that `store` keeps in reserve if it must be; it is durable when this returns.
    pub(super) fn note(&self, entry: &Entry, store: &Store) -> io::Result<()> {
        match self.write(entry) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull && store.make_room() => {
                self.write(entry)
            }
            written => written,
        }
    }

    fn write(&self, entry: &Entry) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = open(&self.path)?;
        file.lock()?;
        let length = file.seek(SeekFrom::End(0))?;
        let mut line = serde_json::to_string(entry)?;
        line.push('\n');
        if length > 0 {
            // What a power cut left of a line was promised to nobody, and is not to spoil the next.
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                line.insert(0, '\n');
            }
        }
        file.write_all(line.as_bytes())?;
        file.sync_all()?;
        if length == 0 || !self.rooted.load(Ordering::Relaxed) {
            File::open(folder)?.sync_all()?;
            self.rooted.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Brings everything that waits into the database, and empties the journal. False, and nothing done, while somebody
    /// else is at it: two of them would each empty what the other has not seen.
    ///
    /// # Errors
    /// What was not brought in stays.
    pub async fn bring_in(&self, store: &Store) -> anyhow::Result<bool> {
        if !self.is_pending() {
            return Ok(true);
        }
        let Some(turn) = self.turn().with_context(|| self.unread())? else {
            return Ok(false);
        };
        let turn = Arc::new(turn);
        let mut done = 0;
        while self.is_pending() {
            let path = self.path.clone();
            let text = spawn_blocking(move || fs::read(path)).await?;
            let text = text.with_context(|| self.unread())?;
            let fresh = whole(text.get(done..).unwrap_or_default());
            for group in groups(fresh) {
                self.take(store, &group).await?;
            }
            done += fresh.len();
            // Who is not waited for any more holds it to the end all the same.
            let (journal, turn) = (self.clone(), turn.clone());
            let empty = move || (journal.empty(done), turn).0;
            let emptied = spawn_blocking(empty).await?;
            if emptied.with_context(|| self.unread())? {
                tracing::info!("what readers asked while the database took no writes is in force");
                break;
            }
        }
        Ok(true)
    }

    /// Who brings it in holds this lock from the first look to the end, in whatever process; none while another does.
    fn turn(&self) -> io::Result<Option<File>> {
        let file = open(&self.path.with_extension("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Brings a group in, and says goodbye to whom it took off a list. An entry that the database refuses whenever it is
    /// asked is not to keep the others waiting: it is put aside.
    async fn take(&self, store: &Store, group: &[Entry]) -> anyhow::Result<()> {
        let leavings: Vec<Leaving> = group.iter().map(|entry| entry.leaving.clone()).collect();
        match store.leave_group(&leavings).await {
            Err(error) if error.is_of_values() => {}
            taken => {
                for (entry, left) in group.iter().zip(taken?) {
                    entry.say_goodbye(left, store).await;
                }
                return Ok(());
            }
        }
        for entry in group {
            match store
                .leave_group(std::slice::from_ref(&entry.leaving))
                .await
            {
                Err(error) if error.is_of_values() => {
                    let aside = self.refused();
                    tracing::error!(
                        %error,
                        "a reader's leaving is refused by the database and put aside in `{}`; take her off by hand",
                        aside.display()
                    );
                    let (entry, journal) = (
                        entry.clone(),
                        Journal {
                            path: aside,
                            rooted: Arc::default(),
                        },
                    );
                    spawn_blocking(move || journal.write(&entry)).await??;
                }
                taken => {
                    for left in taken? {
                        entry.say_goodbye(left, store).await;
                    }
                }
            }
        }
        Ok(())
    }

    /// Empties the journal. False where it holds more than the `done` octets that have been brought in. Nobody writes
    /// meanwhile: what stands behind the last whole line is what a power cut or a full disk left of one.
    fn empty(&self, done: usize) -> io::Result<bool> {
        let mut file = open(&self.path)?;
        file.lock()?;
        let mut behind = Vec::new();
        file.seek(SeekFrom::Start(u64::try_from(done).unwrap_or(u64::MAX)))?;
        file.read_to_end(&mut behind)?;
        if !whole(&behind).is_empty() {
            return Ok(false);
        }
        if !behind.is_empty() {
            tracing::warn!(
                "the journal of leavings ended inside a line, of which nobody was told that it is kept"
            );
        }
        file.set_len(0)?;
        file.sync_all()?;
        Ok(true)
    }

    fn unread(&self) -> String {
        format!("the journal of leavings `{}`", self.path.display())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options.open(path)
}

/// What stands of a text in whole lines. Invariant: a line is read once it is there to its end; whoever reads while another
/// process writes sees a part of one.
fn whole(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&octet| octet == b'\n');
    &text[..end.map_or(0, |place| place + 1)]
}

/// The entries of these lines in their order, as `leave_group` takes them: a subscription stands in a group once.
fn groups(lines: &[u8]) -> Vec<Vec<Entry>> {
    let mut groups: Vec<Vec<Entry>> = Vec::new();
    let mut seen = HashSet::new();
    let lines = lines.split(|&octet| octet == b'\n');
    for entry in lines.filter_map(read) {
        let full = groups.last().is_none_or(|group| group.len() >= GROUP);
        if full || !seen.insert(entry.leaving.subscription) {
            seen = HashSet::from([entry.leaving.subscription]);
            groups.push(Vec::new());
        }
        if let Some(group) = groups.last_mut() {
            group.push(entry);
        }
    }
    groups
}

fn read(line: &[u8]) -> Option<Entry> {
    if line.is_empty() {
        return None;
    }
    let entry = serde_json::from_slice(line);
    if let Err(error) = &entry {
        tracing::error!(%error, "a line of the journal of leavings cannot be read and is passed over");
    }
    entry.ok()
}
