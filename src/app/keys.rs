//! What the database knows of the keys behind signed links: their fingerprints, and which of them were revoked.
//!
//! Promises: two keys never go by one number unseen, whether a keyring was restored from a backup and rotated again or
//! two machines rotated each for itself; a key that was revoked on one machine signs on none. No secret stands in the
//! database, and none can be told from what does.

use std::collections::BTreeMap;

use anyhow::ensure;

use crate::keyring::{KeyState, Keyring};
use crate::store::{self, Store};

/// Before the number of a key.
const PREFIX: &str = "key:";
/// Behind a fingerprint: what became of the key.
const REVOKED: &str = " revoked";
const LOST: &str = " lost";

/// A key as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    fingerprint: String,
    /// Revoked, or given up: whoever lacks it misses nothing.
    over: Option<&'static str>,
}

/// Where a keyring and the database do not agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Numbers under which the database knows another key.
    pub other: Vec<u8>,
    /// Keys that the database knows and the keyring lacks.
    pub missing: Vec<u8>,
    /// Keys that were revoked, and not in this keyring.
    pub revived: Vec<u8>,
}

impl Compared {
    /// Each disagreement in words.
    pub fn faults(&self) -> Vec<String> {
        let other = self.other.iter().map(|id| {
            format!(
                "the keyring holds another key under the number {id} than the one that signed links of this database: \
                 it was restored from a backup and rotated again, or rotated on two machines; the links of the right \
                 key {id} are dead"
            )
        });
        let missing = self.missing.iter().map(|id| {
            format!(
                "the keyring is older than the database: key {id} is not in it, and the links it signed are dead"
            )
        });
        let revived = self.revived.iter().map(|id| {
            format!("the keyring is older than the database: key {id} was revoked, and not in it")
        });
        other.chain(missing).chain(revived).collect()
    }
}

/// What helps against each of [`Compared::faults`].
pub const NEWEST: &str = "put the newest keyring in its place, from the machine where it was changed last or from a backup";

/// Holds a keyring against what the database knows.
pub async fn compare(store: &Store, keyring: &Keyring) -> store::Result<Compared> {
    Ok(held_against(&known(store).await?, keyring))
}

fn held_against(known: &BTreeMap<u8, Known>, keyring: &Keyring) -> Compared {
    let here = keyring.fingerprints();
    let mut found = Compared::default();
    for (&id, known) in known {
        match here.get(&id) {
            Some(mark) if *mark != known.fingerprint => found.other.push(id),
            Some(_) if known.over == Some(REVOKED) && keyring.holds(id) => found.revived.push(id),
            None if known.over.is_none() => found.missing.push(id),
            Some(_) | None => {}
        }
    }
    found
}

/// Why `kid` may not sign mail of this database, if it may not.
pub async fn unfit(store: &Store, keyring: &Keyring, kid: u8) -> store::Result<Option<String>> {
    let found = compare(store, keyring).await?;
    let why = if found.other.contains(&kid) {
        format!("the database knows another key under the number {kid}, which signs here")
    } else if found.revived.contains(&kid) {
        format!("key {kid}, which signs here, was revoked on another machine")
    } else {
        return Ok(None);
    };
    Ok(Some(format!("{why}: {NEWEST}")))
}

/// Notes the keys of this keyring that are new to the database, and those revoked since. Fails where the database
/// knows another one by the same number.
pub(super) async fn note(store: &Store, keyring: &Keyring) -> anyhow::Result<()> {
    let known = known(store).await?;
    refuse_others(&held_against(&known, keyring))?;
    for (id, mark) in keyring.fingerprints() {
        let revoked = keyring.state(id) == Some(KeyState::Revoked);
        match known.get(&id) {
            None if !claim(store, id, &mark).await? => {
                return refuse_others(&Compared {
                    other: vec![id],
                    ..Compared::default()
                });
            }
            None if !revoked => {}
            Some(known) if !revoked || known.over == Some(REVOKED) => {}
            _ => {
                store
                    .set_meta(&name(id), &format!("{mark}{REVOKED}"))
                    .await?;
            }
        }
    }
    Ok(())
}

fn refuse_others(found: &Compared) -> anyhow::Result<()> {
    let faults = Compared {
        other: found.other.clone(),
        ..Compared::default()
    }
    .faults();
    ensure!(
        faults.is_empty(),
        "{}; {NEWEST}; where that is lost for ever, `pressrun keys rotate --yes` goes on with this one",
        faults.join("; ")
    );
    Ok(())
}

/// Takes the number `id` for the key of this fingerprint; false where another key has it.
pub async fn claim(store: &Store, id: u8, mark: &str) -> store::Result<bool> {
    let there = store.meta_or_insert(&name(id), mark).await?;
    Ok(parse(&there).fingerprint == mark)
}

/// The highest number of a key that the database knows, 0 where it knows none.
pub async fn highest(store: &Store) -> store::Result<u8> {
    Ok(known(store).await?.keys().next_back().copied().unwrap_or(0))
}

/// Takes this keyring for the right one, because a person says so: what it lacks is lost for ever.
pub async fn trust(store: &Store, keyring: &Keyring) -> store::Result<()> {
    let found = compare(store, keyring).await?;
    let marks = keyring.fingerprints();
    for id in found.other {
        if let Some(mark) = marks.get(&id) {
            store.set_meta(&name(id), mark).await?;
        }
    }
    let known = known(store).await?;
    for id in found.missing {
        if let Some(known) = known.get(&id) {
            let value = format!("{}{LOST}", known.fingerprint);
            store.set_meta(&name(id), &value).await?;
        }
    }
    Ok(())
}

async fn known(store: &Store) -> store::Result<BTreeMap<u8, Known>> {
    let all = store.metas(PREFIX).await?;
    let each = all.iter().filter_map(|(key, value)| {
        let id = key.strip_prefix(PREFIX)?.parse().ok()?;
        Some((id, parse(value)))
    });
    Ok(each.collect())
}

fn parse(value: &str) -> Known {
    for over in [REVOKED, LOST] {
        if let Some(mark) = value.strip_suffix(over) {
            return Known {
                fingerprint: mark.to_owned(),
                over: Some(over),
            };
        }
    }
    Known {
        fingerprint: value.to_owned(),
        over: None,
    }
}

fn name(id: u8) -> String {
    format!("{PREFIX}{id}")
}
