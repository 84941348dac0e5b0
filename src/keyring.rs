//! The keyring: the secrets behind signed links and the suppression list, in one file of mode 0600.
//!
//! Promises: a key per purpose by HKDF-SHA-256, rotation that keeps old mail working, refusal of a file
//! that others may read, and no secret in `Debug`. A process that read it from its file follows the file:
//! who rotates or revokes restarts nobody. Leaves DKIM keys to files of their own.

pub mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::chance::Chance;
use crate::clock::Timestamp;
use crate::keyfile;
use crate::keyring::watch::{Doubt, Source};
use crate::token::Purpose;

/// Octets of a truncated tag: 128 bits (RFC 2104, section 5 asks for half the output or more).
pub const TAG: usize = 16;
const SECRET: usize = 32;

/// What to do where the file is not there.
const LOST: &str = "restore it from a backup, as no other one knows who is suppressed or opens a link already \
     sent; a publication without readers gets one from `pressrun init`";

type HmacSha256 = Hmac<Sha256>;

/// Signing keys by id, and the key under which suppressed addresses are kept.
pub struct Keyring {
    held: RwLock<Arc<Held>>,
    /// The file that is followed; none for keys that were made or parsed here.
    source: Option<Source>,
}

/// What a keyring file says.
struct Held {
    file: KeyringFile,
    keys: BTreeMap<u8, Prepared>,
    active: u8,
    suppression: HmacSha256,
}

/// HMAC states, so that a token costs two compressions and no key schedule.
struct Prepared {
    state: KeyState,
    purposes: [HmacSha256; 9],
}

/// May a key sign, only verify, or neither?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    Active,
    Verify,
    Revoked,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyringFile {
    /// Never rotated: a suppressed address must be recognised for ever.
    suppression: String,
    key: Vec<KeyEntry>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    id: u8,
    state: KeyState,
    created: String,
    secret: String,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held();
        let open = held.keys.iter().filter(|(_, key)| key.opens());
        let ids: Vec<_> = open.map(|(id, _)| id).collect();
        f.debug_struct("Keyring")
            .field("ids", &ids)
            .finish_non_exhaustive()
    }
}

/// The same keys, and no file that is followed.
impl Clone for Keyring {
    fn clone(&self) -> Keyring {
        Keyring {
            held: RwLock::new(self.held()),
            source: None,
        }
    }
}

impl Prepared {
    fn opens(&self) -> bool {
        self.state != KeyState::Revoked
    }
}

impl Keyring {
    /// A fresh keyring with one active key.
    pub fn generate(chance: &Chance, now: Timestamp) -> Keyring {
        let file = KeyringFile {
            suppression: fresh_secret(chance),
            key: vec![KeyEntry {
                id: 1,
                state: KeyState::Active,
                created: now.to_rfc3339(),
                secret: fresh_secret(chance),
            }],
        };
        Keyring::of(Held::prepare(file).expect("a keyring made here holds whole keys"))
    }

    /// Reads a keyring file, which is followed from then on; refuses one that group or others may read.
    pub fn load(path: &Path) -> anyhow::Result<Keyring> {
        let source = Source::of(path);
        Ok(Keyring {
            held: RwLock::new(Arc::new(Held::load(path)?)),
            source: Some(source),
        })
    }

    /// Parses the text of a keyring file. Errors never quote the text: it is all secrets.
    pub fn parse(text: &str) -> anyhow::Result<Keyring> {
        Ok(Keyring::of(Held::parse(text)?))
    }

    /// Writes the keyring to a new file of mode 0600; an existing file is never overwritten.
    pub fn create(&self, path: &Path) -> anyhow::Result<()> {
        keyfile::create(path, "keyring", &self.to_toml()?)
    }

    /// Replaces the keyring file in one step: a new file beside it, fsynced, renamed over it.
    pub fn replace(&self, path: &Path) -> anyhow::Result<()> {
        let fresh = path.with_extension("new");
        if fresh.exists() {
            fs::remove_file(&fresh)?;
        }
        self.create(&fresh)?;
        let replaced = fs::rename(&fresh, path).and_then(|()| folder_of(path)?.sync_all());
        replaced.with_context(|| format!("keyring `{}` cannot be replaced", path.display()))
    }

    /// Keeps everybody else from changing the keyring file until this is dropped: who comes second reads what the first
    /// has written.
    pub fn hold(path: &Path) -> anyhow::Result<fs::File> {
        let folder = folder_of(path).and_then(|folder| folder.lock().map(|()| folder));
        folder.with_context(|| format!("keyring `{}` cannot be changed", path.display()))
    }

    /// Adds a fresh active key; the keys before it go on verifying.
    pub fn rotate(&mut self, chance: &Chance, now: Timestamp) -> u8 {
        let id = self.highest() + 1;
        self.add(id, chance, now);
        self.activate(id);
        id
    }

    /// Adds a fresh key under a number that no key has; it opens links and signs none before it is made active.
    pub fn add(&mut self, id: u8, chance: &Chance, now: Timestamp) {
        self.change(|file| {
            file.key.push(KeyEntry {
                id,
                state: KeyState::Verify,
                created: now.to_rfc3339(),
                secret: fresh_secret(chance),
            });
        });
    }

    /// Lets a key sign, and the one before it verify; false where it is not there, is revoked, or signs.
    pub fn activate(&mut self, id: u8) -> bool {
        if self.state(id) != Some(KeyState::Verify) {
            return false;
        }
        self.change(|file| {
            for key in &mut file.key {
                if key.id == id {
                    key.state = KeyState::Active;
                } else if key.state == KeyState::Active {
                    key.state = KeyState::Verify;
                }
            }
        });
        true
    }

    /// Stops a key from opening anything; the active key cannot be revoked before a rotation.
    pub fn revoke(&mut self, id: u8) -> bool {
        if matches!(self.state(id), None | Some(KeyState::Active)) {
            return false;
        }
        self.change(|file| {
            let revoked = file.key.iter_mut().filter(|key| key.id == id);
            revoked.for_each(|key| key.state = KeyState::Revoked);
        });
        true
    }

    fn change(&mut self, change: impl FnOnce(&mut KeyringFile)) {
        let mut file = self.held().file.clone();
        change(&mut file);
        let held = Held::prepare(file).expect("the keys were whole, and one of them is active");
        self.put(held);
    }

    /// Ids, states and dates of creation; no secrets.
    pub fn list(&self) -> Vec<(u8, KeyState, String)> {
        let held = self.held();
        let keys = held.file.key.iter();
        keys.map(|key| (key.id, key.state, key.created.clone()))
            .collect()
    }

    /// The highest number of a key.
    pub fn highest(&self) -> u8 {
        self.held().keys.keys().next_back().copied().unwrap_or(0)
    }

    /// Whether the key `id` signs, opens or neither; none where it is not here.
    pub fn state(&self, id: u8) -> Option<KeyState> {
        self.held().keys.get(&id).map(|key| key.state)
    }

    /// What each key is known by, also a revoked one: two keys under one number are told apart, and nothing is
    /// learned of a secret.
    pub fn fingerprints(&self) -> BTreeMap<u8, String> {
        let held = self.held();
        let named = |key: &KeyEntry| {
            // No address holds a NUL, so no key is ever taken for one.
            let whole = self.address_hash(&format!("key\0{}\0{}", key.id, key.secret));
            let tag: &[u8; TAG] = whole.first_chunk().expect("SHA-256 gives 32 octets");
            (key.id, STANDARD.encode(tag))
        };
        held.file.key.iter().map(named).collect()
    }

    /// The id of the key that signs.
    pub fn active(&self) -> u8 {
        self.look();
        self.held().active
    }

    /// The same for who mails many: an error where the file says anything that this process may not take over.
    pub fn signing(&self) -> Result<u8, Doubt> {
        self.look();
        match self.doubt() {
            Some(doubt) => Err(doubt),
            None => Ok(self.held().active),
        }
    }

    /// Whether the key `kid` is here and not revoked.
    pub fn holds(&self, kid: u8) -> bool {
        self.held().keys.get(&kid).is_some_and(Prepared::opens)
    }

    /// The tag of `signed` under the key `kid` for `purpose`.
    pub(crate) fn tag(&self, kid: u8, purpose: Purpose, signed: &[u8]) -> [u8; TAG] {
        // Sixty times a message: the keys are looked at where they lie.
        let held = self.held.read();
        let held = held.unwrap_or_else(PoisonError::into_inner);
        // A key that was revoked meanwhile is still there, and no file that lacks one is taken over.
        let key = held.keys.get(&kid).expect("who signs asks `holds` first");
        let key = key.purposes[purpose as usize - 1].clone();
        let full = key.chain_update(signed).finalize().into_bytes();
        *full.first_chunk().expect("SHA-256 gives 32 octets")
    }

    /// Whether `tag` is the tag of `signed`, in constant time. An unknown key costs as much as a known
    /// one, so that an answer's time says nothing about key ids.
    pub(crate) fn check(&self, kid: u8, purpose: Purpose, signed: &[u8], tag: &[u8]) -> bool {
        self.look();
        let mut held = self.held();
        if !held.keys.contains_key(&kid) && self.look_for_a_stranger() {
            held = self.held();
        }
        let known = held.keys.get(&kid).is_some_and(Prepared::opens);
        let keys = held.keys.get(&kid).or_else(|| held.keys.get(&held.active));
        let key = &keys.expect("the active key is always held").purposes[purpose as usize - 1];
        let matches = key
            .clone()
            .chain_update(signed)
            .verify_truncated_left(tag)
            .is_ok();
        known & matches & (tag.len() == TAG)
    }

    /// The name under which a canonical address is suppressed: it outlives the reader's erasure and
    /// cannot be turned back into the address without this file.
    pub fn address_hash(&self, canonical: &str) -> [u8; 32] {
        self.held()
            .suppression
            .clone()
            .chain_update(canonical.as_bytes())
            .finalize()
            .into_bytes()
            .into()
    }

    /// What a database is marked with, so that it is told when another keyring stands beside it.
    pub fn mark(&self) -> String {
        // No address holds a NUL, so no address is ever taken for it.
        let whole = self.address_hash("keyring\0");
        let tag: &[u8; TAG] = whole.first_chunk().expect("SHA-256 gives 32 octets");
        STANDARD.encode(tag)
    }

    /// The name of a client's network on one day (days since 1970): the same within the day, so that
    /// one network's clicks are seen to be one's, and nothing to follow anyone by afterwards.
    pub fn network_hash(&self, day: i64, network: std::net::IpAddr) -> [u8; 32] {
        // No address holds a NUL, so no network is ever taken for one.
        self.address_hash(&format!("network\0{day}\0{network}"))
    }

    /// The secret of the author's second factor for this salt, 160 bits (RFC 4226, section 4): so that the
    /// database holds the salt alone, and every machine with this file knows the secret.
    pub fn totp_secret(&self, salt: &str) -> [u8; 20] {
        let whole = self.address_hash(&format!("totp\0{salt}"));
        *whole.first_chunk().expect("SHA-256 gives 32 octets")
    }

    fn to_toml(&self) -> anyhow::Result<String> {
        let body = toml::to_string(&self.held().file)?;
        Ok(format!(
            "# Secrets of this Pressrun. Keep a copy in a safe place: without it no link in any mail\n\
             # already sent can be checked. Never readable by others (chmod 600).\n\n{body}"
        ))
    }

    fn of(held: Held) -> Keyring {
        Keyring {
            held: RwLock::new(Arc::new(held)),
            source: None,
        }
    }

    fn held(&self) -> Arc<Held> {
        let held = self.held.read();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, held: Held) {
        let place = self.held.write();
        *place.unwrap_or_else(PoisonError::into_inner) = Arc::new(held);
    }
}

impl Held {
    fn load(path: &Path) -> anyhow::Result<Held> {
        let text = keyfile::read(path, "keyring", LOST)?;
        Held::parse(&text).with_context(|| {
            format!(
                "keyring `{}` is damaged; restore it from a backup",
                path.display()
            )
        })
    }

    fn parse(text: &str) -> anyhow::Result<Held> {
        let file = toml::from_str(text)
            .map_err(|error: toml::de::Error| anyhow::anyhow!("{}", error.message()))?;
        Held::prepare(file)
    }

    fn prepare(file: KeyringFile) -> anyhow::Result<Held> {
        let mut keys = BTreeMap::new();
        let mut active = None;
        for entry in &file.key {
            let secret =
                decode_secret(&entry.secret).with_context(|| format!("key {}", entry.id))?;
            if entry.state == KeyState::Active && active.replace(entry.id).is_some() {
                bail!("two keys are active; one signs, the others verify");
            }
            let prepared = Prepared {
                state: entry.state,
                purposes: Purpose::ALL.map(|purpose| derive(&secret, purpose.name())),
            };
            if keys.insert(entry.id, prepared).is_some() {
                bail!("two keys have the number {}", entry.id);
            }
        }
        let active = active.context("no key is active")?;
        let suppression = derive(
            &decode_secret(&file.suppression).context("the suppression key")?,
            "suppression",
        );
        Ok(Held {
            file,
            keys,
            active,
            suppression,
        })
    }
}

fn derive(secret: &[u8], purpose: &str) -> HmacSha256 {
    let mut key = [0; SECRET];
    Hkdf::<Sha256>::new(None, secret)
        .expand_multi_info(&[b"pressrun/v1/", purpose.as_bytes()], &mut key)
        .expect("32 octets are less than HKDF's limit");
    HmacSha256::new_from_slice(&key).expect("HMAC takes keys of any length")
}

fn decode_secret(text: &str) -> anyhow::Result<Vec<u8>> {
    let secret = STANDARD.decode(text).ok().filter(|s| s.len() == SECRET);
    secret.context("expected 32 octets in base64")
}

fn fresh_secret(chance: &Chance) -> String {
    let mut secret = [0; SECRET];
    chance.fill(&mut secret);
    STANDARD.encode(secret)
}

/// The folder in which a file stands: what a power cut leaves of a rename, and what is locked while the file is replaced.
fn folder_of(path: &Path) -> std::io::Result<fs::File> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::Keyring;
    use crate::chance::Chance;
    use crate::clock::Timestamp;

    #[test]
    fn a_file_that_others_may_read_is_refused_and_none_is_overwritten() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("keyring.toml");
        let keyring = Keyring::generate(&Chance::seeded(1), Timestamp(0));
        keyring.create(&path).expect("a new file");
        assert!(keyring.create(&path).is_err());
        let read = Keyring::load(&path).expect("mode 0600");
        assert_eq!(
            read.address_hash("a@x.example"),
            keyring.address_hash("a@x.example")
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        let error = Keyring::load(&path)
            .expect_err("others may read it")
            .to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn debug_shows_ids_and_no_secret() {
        let keyring = Keyring::generate(&Chance::seeded(1), Timestamp(0));
        assert_eq!(format!("{keyring:?}"), "Keyring { ids: [1], .. }");
    }
}
