//! The keyring: the secrets behind signed links and the suppression list, in one file of mode 0600.
//!
//! Promises: a key per purpose by HKDF-SHA-256, rotation that keeps old mail working, refusal of a file
//! that others may read, and no secret in `Debug`. Leaves DKIM keys to files of their own.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

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
use crate::token::Purpose;

/// Octets of a truncated tag: 128 bits (RFC 2104, section 5 asks for half the output or more).
pub const TAG: usize = 16;
const SECRET: usize = 32;

/// What to do where the file is not there.
const LOST: &str = "restore it from a backup, as no other one knows who is suppressed or opens a link already \
     sent; a publication without readers gets one from `pressrun init`";

type HmacSha256 = Hmac<Sha256>;

/// Signing keys by id, and the key under which suppressed addresses are kept.
#[derive(Clone)]
pub struct Keyring {
    file: KeyringFile,
    /// Prepared HMAC states, so that a token costs two compressions and no key schedule.
    keys: BTreeMap<u8, [HmacSha256; 9]>,
    active: u8,
    suppression: HmacSha256,
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
        let ids: Vec<_> = self.keys.keys().collect();
        f.debug_struct("Keyring")
            .field("ids", &ids)
            .finish_non_exhaustive()
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
        Keyring::prepare(file).expect("a keyring made here holds whole keys")
    }

    /// Reads a keyring file; refuses one that group or others may read.
    pub fn load(path: &Path) -> anyhow::Result<Keyring> {
        let text = keyfile::read(path, "keyring", LOST)?;
        Keyring::parse(&text).with_context(|| {
            format!(
                "keyring `{}` is damaged; restore it from a backup",
                path.display()
            )
        })
    }

    /// Parses the text of a keyring file. Errors never quote the text: it is all secrets.
    pub fn parse(text: &str) -> anyhow::Result<Keyring> {
        let file = toml::from_str(text)
            .map_err(|error: toml::de::Error| anyhow::anyhow!("{}", error.message()))?;
        Keyring::prepare(file)
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
        fs::rename(&fresh, path)
            .with_context(|| format!("keyring `{}` cannot be replaced", path.display()))
    }

    /// Adds a fresh active key; the keys before it go on verifying.
    pub fn rotate(&mut self, chance: &Chance, now: Timestamp) -> u8 {
        let id = self.file.key.iter().map(|key| key.id).max().unwrap_or(0) + 1;
        for key in &mut self.file.key {
            if key.state == KeyState::Active {
                key.state = KeyState::Verify;
            }
        }
        self.file.key.push(KeyEntry {
            id,
            state: KeyState::Active,
            created: now.to_rfc3339(),
            secret: fresh_secret(chance),
        });
        *self = Keyring::prepare(self.file.clone()).expect("the other keys were whole before");
        id
    }

    /// Stops a key from opening anything; the active key cannot be revoked before a rotation.
    pub fn revoke(&mut self, id: u8) -> bool {
        let Some(key) = self.file.key.iter_mut().find(|key| key.id == id) else {
            return false;
        };
        if key.state == KeyState::Active {
            return false;
        }
        key.state = KeyState::Revoked;
        self.keys.remove(&id);
        true
    }

    /// Ids, states and dates of creation; no secrets.
    pub fn list(&self) -> Vec<(u8, KeyState, &str)> {
        let line = |key: &'_ KeyEntry| (key.id, key.state);
        self.file
            .key
            .iter()
            .map(|key| {
                let (id, state) = line(key);
                (id, state, key.created.as_str())
            })
            .collect()
    }

    /// The id of the key that signs.
    pub fn active(&self) -> u8 {
        self.active
    }

    /// Whether the key `kid` is here and not revoked.
    pub fn holds(&self, kid: u8) -> bool {
        self.keys.contains_key(&kid)
    }

    /// The tag of `signed` under the key `kid` for `purpose`.
    pub(crate) fn tag(&self, kid: u8, purpose: Purpose, signed: &[u8]) -> [u8; TAG] {
        let key = &self.keys.get(&kid).expect("who signs asks `holds` first")[purpose as usize - 1];
        let full = key.clone().chain_update(signed).finalize().into_bytes();
        *full.first_chunk().expect("SHA-256 gives 32 octets")
    }

    /// Whether `tag` is the tag of `signed`, in constant time. An unknown key costs as much as a known
    /// one, so that an answer's time says nothing about key ids.
    pub(crate) fn check(&self, kid: u8, purpose: Purpose, signed: &[u8], tag: &[u8]) -> bool {
        let known = self.keys.contains_key(&kid);
        let keys = self.keys.get(&kid).or_else(|| self.keys.get(&self.active));
        let key = &keys.expect("the active key is always held")[purpose as usize - 1];
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
        self.suppression
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
        let body = toml::to_string(&self.file)?;
        Ok(format!(
            "# Secrets of this Pressrun. Keep a copy in a safe place: without it no link in any mail\n\
             # already sent can be checked. Never readable by others (chmod 600).\n\n{body}"
        ))
    }

    fn prepare(file: KeyringFile) -> anyhow::Result<Keyring> {
        let mut keys = BTreeMap::new();
        let mut active = None;
        for entry in &file.key {
            let secret =
                decode_secret(&entry.secret).with_context(|| format!("key {}", entry.id))?;
            if entry.state == KeyState::Active && active.replace(entry.id).is_some() {
                bail!("two keys are active; one signs, the others verify");
            }
            if entry.state != KeyState::Revoked {
                keys.insert(
                    entry.id,
                    Purpose::ALL.map(|purpose| derive(&secret, purpose.name())),
                );
            }
        }
        let active = active.context("no key is active")?;
        let suppression = derive(
            &decode_secret(&file.suppression).context("the suppression key")?,
            "suppression",
        );
        Ok(Keyring {
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
