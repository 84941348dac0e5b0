//! The rules of an import: what becomes of each reader, and how it is counted.
//!
//! Promises: a reader who left, or whose address is suppressed, is left alone; a confirmed subscription
//! stays; a second import of the same file changes nothing. Every row is counted once.

use std::collections::BTreeMap;

use crate::id::{SubscriberId, SubscriptionKey};
use crate::import::columns::Row;
use crate::store::import::{Changes, Known, NewReader, Wanted};
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

/// What to change for `batch` (whose addresses are `wanted`), given what is `known` of it. New readers and subscriptions take their
/// keys from `keys`; pending ones are confirmed only if `confirm` says so.
pub fn decide(
    batch: &[Row],
    wanted: &[Wanted],
    known: Vec<Known>,
    confirm: bool,
    mut keys: impl FnMut() -> i64,
) -> (Changes, Tally) {
    let known: BTreeMap<usize, Known> = known.into_iter().map(|k| (k.position, k)).collect();
    let mut changes = Changes::default();
    let mut tally = Tally::default();
    for (position, (row, wanted)) in batch.iter().zip(wanted).enumerate() {
        let held = known.get(&position);
        if held.is_some_and(|known| known.suppressed) {
            tally.suppressed += 1;
            continue;
        }
        let Some((reader, name, fields)) = held.and_then(|known| known.reader.as_ref()) else {
            let id = SubscriberId(keys());
            changes.readers.push(new_reader(id, row, wanted));
            changes.subscriptions.push((SubscriptionKey(keys()), id));
            tally.added += 1;
            continue;
        };
        let subscription = held.and_then(|known| known.subscription);
        if let Some((_, Status::Unsubscribed)) = subscription {
            tally.unsubscribed += 1;
            continue;
        }
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

fn new_reader(id: SubscriberId, row: &Row, wanted: &Wanted) -> NewReader {
    NewReader {
        id,
        address: row.address.as_str().to_owned(),
        canonical: wanted.canonical.clone(),
        hash: wanted.hash,
        name: row.name.clone(),
        fields: row.fields.to_json(),
    }
}
