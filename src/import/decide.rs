//! The rules of an import: what becomes of each reader, and how it is counted.
//!
//! Promises: a reader who left, or whose address is suppressed, is left alone; a confirmed subscription
//! stays; a second import of the same file changes nothing. Every row is counted once.

use std::collections::BTreeMap;

use crate::id::{SubscriberId, SubscriptionKey};
use crate::import::columns::Row;
use crate::store::import::{Changes, Known, NewReader};
use crate::subscriber::Status;

/// What a batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub added: u64,
    pub confirmed: u64,
    pub updated: u64,
    pub known: u64,
    pub unsubscribed: u64,
    pub suppressed: u64,
}

/// A row with the name its address has among suppressions.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub row: Row,
    pub hash: [u8; 32],
}

/// What to change for `batch`, given what is `known` of it. New readers and subscriptions take their
/// keys from `keys`; pending ones are confirmed only if `confirm` says so.
pub fn decide(
    batch: &[Candidate],
    known: Vec<Known>,
    confirm: bool,
    mut keys: impl FnMut() -> i64,
) -> (Changes, Tally) {
    let known: BTreeMap<usize, Known> = known.into_iter().map(|k| (k.position, k)).collect();
    let mut changes = Changes::default();
    let mut tally = Tally::default();
    for (position, candidate) in batch.iter().enumerate() {
        let held = known.get(&position);
        if held.is_some_and(|known| known.suppressed) {
            tally.suppressed += 1;
            continue;
        }
        let Some((reader, name, fields)) = held.and_then(|known| known.reader.as_ref()) else {
            let id = SubscriberId(keys());
            changes.readers.push(new_reader(id, candidate));
            changes.subscriptions.push((SubscriptionKey(keys()), id));
            tally.added += 1;
            continue;
        };
        let subscription = held.and_then(|known| known.subscription);
        if let Some((_, Status::Unsubscribed)) = subscription {
            tally.unsubscribed += 1;
            continue;
        }
        let row = &candidate.row;
        let mut merged = fields.clone();
        let renamed = !row.name.is_empty() && row.name != *name;
        let updated = merged.merge(&row.fields) || renamed;
        if updated {
            let name = if renamed { &row.name } else { name };
            changes
                .updates
                .push((*reader, name.clone(), merged.to_json()));
        }
        match subscription {
            None => {
                changes
                    .subscriptions
                    .push((SubscriptionKey(keys()), *reader));
                tally.added += 1;
            }
            Some((key, Status::Pending)) if confirm => {
                changes.confirms.push(key);
                tally.confirmed += 1;
            }
            Some(_) if updated => tally.updated += 1,
            Some(_) => tally.known += 1,
        }
    }
    (changes, tally)
}

fn new_reader(id: SubscriberId, candidate: &Candidate) -> NewReader {
    let row = &candidate.row;
    NewReader {
        id,
        address: row.address.as_str().to_owned(),
        canonical: row.address.canonical(),
        hash: candidate.hash,
        name: row.name.clone(),
        fields: row.fields.to_json(),
    }
}
