//! A keyring that follows its file: what `keys rotate` and `keys revoke` write is in force in every process.
//!
//! Promises: the file is read once for each change of it, and a stranger's tokens make nobody look at it more than so
//! often. What may not be taken over (an older keyring, another key under a number, a file that cannot be read) leaves
//! the keys as they are, so that links go on opening, and is told to whoever signs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::{Held, Keyring};
use crate::lock::lock;

/// Within this time who signs and who checks look at the file once.
const LOOK: Duration = Duration::from_millis(100);
/// Within the same time, looks because of a token under a key that is not here: a mail may be faster than [`LOOK`].
const STRANGERS: u32 = 16;

/// The file that a keyring was read from.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// The file as it was when it was last read; none before it could be.
    stamp: Option<Stamp>,
    looked: Instant,
    strangers: u32,
    doubt: Option<Doubt>,
}

/// What changes with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    length: u64,
    changed: [(i64, i64); 2],
}

/// Why nothing may be signed now: the file is not what this process holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub why: String,
    /// Whoever writes the file may be at it.
    pub passing: bool,
}

impl Source {
    /// Of a file that is read after this.
    pub(super) fn of(path: &Path) -> Source {
        Source {
            path: path.to_owned(),
            seen: Mutex::new(Seen {
                stamp: stamp(path).ok(),
                looked: Instant::now(),
                strangers: 0,
                doubt: None,
            }),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }
}

impl Keyring {
    /// Reads the file again if it was changed: for who begins to sign for many.
    pub fn look_now(&self) {
        if let Some(source) = &self.source {
            self.follow(source, &mut source.seen());
        }
    }

    /// The same, where nobody has looked for a moment.
    pub(super) fn look(&self) {
        if let Some(source) = &self.source {
            let mut seen = source.seen();
            if seen.looked.elapsed() > LOOK {
                self.follow(source, &mut seen);
            }
        }
    }

    /// The same because of a token under a key that is not here: true where it was looked.
    pub(super) fn look_for_a_stranger(&self) -> bool {
        let Some(source) = &self.source else {
            return false;
        };
        let mut seen = source.seen();
        if seen.strangers >= STRANGERS {
            return false;
        }
        let (looked, strangers) = (seen.looked, seen.strangers + 1);
        self.follow(source, &mut seen);
        (seen.looked, seen.strangers) = (looked, strangers);
        true
    }

    /// What of the file may not be taken over.
    pub(super) fn doubt(&self) -> Option<Doubt> {
        let source = self.source.as_ref()?;
        source.seen().doubt.clone()
    }

    fn follow(&self, source: &Source, seen: &mut Seen) {
        (seen.looked, seen.strangers) = (Instant::now(), 0);
        // Before it is read: what is written meanwhile is seen by the next look.
        let now = stamp(&source.path);
        if let Ok(now) = now
            && seen.stamp == Some(now)
        {
            return;
        }
        let doubt = match Held::load(&source.path) {
            Ok(fresh) => match self.refuses(&fresh) {
                None => {
                    tracing::info!("the keyring was changed, and is read again");
                    self.put(fresh);
                    None
                }
                Some(what) => Some(Doubt {
                    why: format!("the keyring `{}` {what}", source.path.display()),
                    passing: false,
                }),
            },
            Err(error) => Some(Doubt {
                why: format!("{error:#}"),
                passing: true,
            }),
        };
        if let Some(doubt) = &doubt
            && seen.doubt.as_ref() != Some(doubt)
        {
            tracing::error!(
                "{}; links go on opening with the keys that were there before",
                doubt.why
            );
        }
        // What could not be read may be at the next look, without a change of what is looked at.
        seen.stamp = now
            .ok()
            .filter(|_| doubt.as_ref().is_none_or(|doubt| !doubt.passing));
        seen.doubt = doubt;
    }

    /// Why `fresh` may not take the place of what is held.
    fn refuses(&self, fresh: &Held) -> Option<String> {
        let held = self.held();
        if held.file.suppression != fresh.file.suppression {
            return Some("is another database's; put back the one that was there".to_owned());
        }
        for key in &held.file.key {
            let Some(same) = fresh.file.key.iter().find(|other| other.id == key.id) else {
                return Some(format!(
                    "lacks key {}, which is in use: it is older than that; put the newest one in its place",
                    key.id
                ));
            };
            if same.secret != key.secret {
                return Some(format!(
                    "holds another key under the number {} than the one in use; put the newest one in its place",
                    key.id
                ));
            }
        }
        None
    }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let found = fs::metadata(path)?;
    Ok(Stamp {
        inode: (found.dev(), found.ino()),
        length: found.len(),
        changed: [
            (found.mtime(), found.mtime_nsec()),
            (found.ctime(), found.ctime_nsec()),
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use crate::chance::Chance;
    use crate::clock::Timestamp;
    use crate::id::{DeliveryKey, RunId};
    use crate::keyring::Keyring;
    use crate::token::{Claim, Purpose, sign, verify};

    const CLAIM: Claim = Claim::Open(DeliveryKey {
        run: RunId(3),
        seq: 1,
    });

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("keyring.toml");
        let keyring = Keyring::generate(&Chance::seeded(1), Timestamp(0));
        keyring.create(&path).expect("a new file");
        (folder, path)
    }

    fn changed(path: &Path, change: impl FnOnce(&mut Keyring)) -> Keyring {
        let mut keyring = Keyring::load(path).expect("a keyring");
        change(&mut keyring);
        keyring.replace(path).expect("written");
        keyring
    }

    #[test]
    fn a_key_that_another_process_made_opens_links_and_signs_at_once() {
        let (_folder, path) = file();
        let (web, sender) = (
            Keyring::load(&path).expect("a keyring"),
            Keyring::load(&path).expect("a keyring"),
        );
        let rotated = changed(&path, |keyring| {
            keyring.rotate(&Chance::seeded(2), Timestamp(1));
        });
        let text = sign(&rotated, &CLAIM);
        assert_eq!(verify(&web, Purpose::Open, &text), Some(CLAIM));
        sender.look_now();
        assert_eq!(sender.signing(), Ok(2));
        changed(&path, |keyring| assert!(keyring.revoke(1)));
        web.look_now();
        assert!(!web.holds(1) && web.holds(2));
    }

    #[test]
    fn a_strangers_tokens_make_nobody_read_the_file() {
        let (_folder, path) = file();
        let web = Keyring::load(&path).expect("a keyring");
        let mut other = Keyring::generate(&Chance::seeded(8), Timestamp(0));
        other.rotate(&Chance::seeded(9), Timestamp(0));
        let forged = sign(&other, &CLAIM);
        let before = web.held();
        for _ in 0..10_000 {
            assert_eq!(verify(&web, Purpose::Open, &forged), None);
        }
        assert!(std::sync::Arc::ptr_eq(&before, &web.held()));
        let source = web.source.as_ref().expect("a file");
        assert!(source.seen().strangers <= super::STRANGERS);
    }

    #[test]
    fn an_older_keyring_is_not_taken_over_and_nothing_is_signed_beside_it() {
        let (_folder, path) = file();
        let old = fs::read(&path).expect("the file");
        changed(&path, |keyring| {
            keyring.rotate(&Chance::seeded(2), Timestamp(1));
        });
        let running = Keyring::load(&path).expect("a keyring");
        let text = sign(&running, &CLAIM);
        fs::write(&path, &old).expect("written");
        running.look_now();
        let doubt = running.signing().expect_err("key 2 is not in the file");
        assert!(
            doubt.why.contains("lacks key 2") && !doubt.passing,
            "{doubt:?}"
        );
        assert_eq!(verify(&running, Purpose::Open, &text), Some(CLAIM));
        // The same number once more, and another secret.
        let twin = changed(&path, |keyring| {
            keyring.rotate(&Chance::seeded(3), Timestamp(2));
        });
        running.look_now();
        let doubt = running.signing().expect_err("another key");
        assert!(
            doubt.why.contains("another key under the number 2"),
            "{doubt:?}"
        );
        assert_eq!(verify(&running, Purpose::Open, &sign(&twin, &CLAIM)), None);
        // A foreign one, one that others may read, none at all.
        let foreign = Keyring::generate(&Chance::seeded(7), Timestamp(0));
        foreign.replace(&path).expect("written");
        running.look_now();
        let doubt = running.signing().expect_err("a foreign one");
        assert!(doubt.why.contains("another database's"), "{doubt:?}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        running.look_now();
        let doubt = running.signing().expect_err("others may read it");
        assert!(
            doubt.passing && doubt.why.contains("chmod 600"),
            "{doubt:?}"
        );
        fs::remove_file(&path).expect("one less");
        running.look_now();
        assert!(running.signing().expect_err("it is gone").passing);
        assert_eq!(verify(&running, Purpose::Open, &text), Some(CLAIM));
    }
}
