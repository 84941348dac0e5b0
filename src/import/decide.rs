//! The rules of an import: what becomes of each reader, and how it is counted.
//!
//! Promises: a reader who left, or whose address is suppressed, is left alone, but for a graver word of her; a confirmed
//! subscription stays, unless the file says that its reader left or must not be mailed; a second import of the same file
//! changes nothing. A mailbox has its left and its suppressed readers under each of its spellings, of whichever file:
//! nobody new gets mail there, nor who waits, and whoever gets mail there already is still taken at the word that she
//! left. Every row is counted once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{SubscriberId, SubscriptionKey};
use crate::import::columns::Row;
use crate::import::services::Standing;
use crate::store::import::{Changes, Held, Known, NewReader, NewSubscription, Wanted};
use crate::subscriber::Status;
use crate::subscriber::field::Fields;

/// What rows came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    pub added: u64,
    /// Of the added: pending.
    pub pending: u64,
    pub confirmed: u64,
    pub updated: u64,
    pub known: u64,
    /// Of the known and updated: pending before and after, though the file says that they joined.
    pub waiting: u64,
    /// Left, as the file says, and so here: nobody whom this list mailed.
    pub left: u64,
    /// Readers of this list whom the file takes off it.
    pub taken_off: u64,
    /// Never to be mailed from now on, as the file says.
    pub barred: u64,
    /// Of `taken_off` and `barred`: readers who get the list's mail, or pause.
    pub ends: u64,
    pub unsubscribed: u64,
    pub suppressed: u64,
}

impl Tally {
    /// Adds what other rows came to.
    pub fn add(&mut self, other: Tally) {
        self.added += other.added;
        self.pending += other.pending;
        self.confirmed += other.confirmed;
        self.updated += other.updated;
        self.known += other.known;
        self.waiting += other.waiting;
        self.left += other.left;
        self.taken_off += other.taken_off;
        self.barred += other.barred;
        self.ends += other.ends;
        self.unsubscribed += other.unsubscribed;
        self.suppressed += other.suppressed;
    }
}

/// On what terms readers are taken.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How the subscriptions of those begin who joined there.
    pub status: Status,
    /// Whether pending subscriptions become confirmed.
    pub confirm: bool,
    /// Whether who left under another spelling of her mailbox may come under this one: the author took her off, and says
    /// that she agreed.
    pub calls_back: bool,
    /// The import that vouches for them, if a consent is stated.
    pub voucher: Option<i64>,
    /// The import itself, with a consent or without.
    pub import: Option<i64>,
    pub at: Timestamp,
}

/// What to change for `batch` (whose addresses are `wanted`), given what is `known` of it. New readers and
/// subscriptions take their keys from `keys`.
pub fn decide(
    batch: &[Row],
    wanted: &[Wanted],
    known: Vec<Known>,
    terms: Terms,
    keys: impl FnMut() -> i64,
) -> (Changes, Tally) {
    let known: BTreeMap<usize, Known> = known.into_iter().map(|k| (k.position, k)).collect();
    let mut decided = Decided {
        changes: Changes::default(),
        tally: Tally::default(),
        terms,
        keys,
    };
    for (position, (row, wanted)) in batch.iter().zip(wanted).enumerate() {
        decided.take(row, wanted, known.get(&position));
    }
    (decided.changes, decided.tally)
}

/// What is decided of the rows so far.
struct Decided<Keys> {
    changes: Changes,
    tally: Tally,
    terms: Terms,
    keys: Keys,
}

impl<Keys: FnMut() -> i64> Decided<Keys> {
    /// Decides on one row: the first rule that speaks of it holds.
    fn take(&mut self, row: &Row, wanted: &Wanted, known: Option<&Known>) {
        if let Some(known) = known.filter(|known| known.suppressed) {
            self.stay_suppressed(row, wanted, known);
            return;
        }
        if let Some(reason) = row.standing.suppressed() {
            self.bar(reason, row, wanted, known);
            return;
        }
        let refused =
            row.elsewhere.suppressed().is_some() || known.is_some_and(|known| known.refused);
        let left = row.elsewhere == Standing::Left || known.is_some_and(|known| known.left);
        let left = left && !self.terms.calls_back;
        let confirms = |held: &Held| self.terms.confirm && waits(held, row);
        match known.and_then(|known| known.subscription.as_ref()) {
            // Whoever is refused under another spelling of her mailbox is not mailed under this one from now on.
            None if refused => {
                self.tally.suppressed += 1;
                return;
            }
            // Who left under another spelling is not called back under this one; that she left under this one, too, is
            // noted.
            None if left && row.standing != Standing::Left => {
                self.tally.unsubscribed += 1;
                return;
            }
            // Nor does she get mail under this one who waits.
            Some(held) if refused && confirms(held) => {
                self.tally.suppressed += 1;
                return;
            }
            Some(held) if left && confirms(held) => {
                self.tally.unsubscribed += 1;
                return;
            }
            _ => {}
        }
        let Some((reader, name, fields)) = known.and_then(|known| known.reader.as_ref()) else {
            self.bring(row, wanted);
            return;
        };
        match known.and_then(|known| known.subscription.as_ref()) {
            Some(held) if held.status == Status::Unsubscribed => self.leave_alone(held, row),
            Some(held) if row.standing == Standing::Left => self.end(held, row),
            held => {
                let updated = self.describe(*reader, name, fields, row);
                match held {
                    None => self.join(*reader, row),
                    Some(held) => self.keep(held, row, updated),
                }
            }
        }
    }

    /// Nothing is mailed to the address as it is. What is graver than a bounce stands when the bounce is forgiven, and that
    /// she left stands when the address is allowed again.
    fn stay_suppressed(&mut self, row: &Row, wanted: &Wanted, known: &Known) {
        self.tally.suppressed += 1;
        match (row.standing, &known.subscription) {
            (Standing::Complained | Standing::Blocked, _) => {
                let mailbox = wanted.mailbox.as_ref().map(|(_, hash)| *hash);
                let reason = row.standing.name();
                self.changes
                    .suppressions
                    .push((wanted.hash, reason, mailbox));
            }
            (Standing::Left, Some(held)) if held.status == Status::Unsubscribed => {
                self.changes.left_again.push(held.key);
            }
            (Standing::Left, Some(held)) if !came_later(held, row.left) => {
                self.changes.leaves.push(held.key);
                // One who gave this address up gets her mail at another.
                self.tally.ends += u64::from(known.former && reads(held));
            }
            _ => {}
        }
    }

    /// An address that must not be mailed from now on, whoever has it.
    fn bar(&mut self, reason: &'static str, row: &Row, wanted: &Wanted, known: Option<&Known>) {
        // A bounce is of the address that bounced.
        let mailbox = wanted
            .mailbox
            .as_ref()
            .filter(|_| row.standing != Standing::Bounced);
        let mailbox = mailbox.map(|(_, hash)| *hash);
        let refused = (wanted.hash, reason, mailbox);
        self.changes.suppressions.push(refused);
        // What is said of an address that she gave up says nothing of her other one.
        let reader = known.filter(|known| !known.former);
        let reader = reader.and_then(|known| known.reader.as_ref());
        let known = known.filter(|_| reader.is_some());
        let held = known.and_then(|known| known.subscription.as_ref());
        self.tally.ends += u64::from(held.is_some_and(reads));
        let barred = reader.map(|(reader, ..)| *reader);
        self.changes.barred.extend(barred);
        self.tally.barred += 1;
    }

    /// Nobody has the address yet.
    fn bring(&mut self, row: &Row, wanted: &Wanted) {
        let reader = SubscriberId((self.keys)());
        let new = new_reader(reader, row, wanted, self.terms.at);
        self.changes.readers.push(new);
        self.tag(reader, row);
        self.join(reader, row);
    }

    /// She left this list.
    fn leave_alone(&mut self, held: &Held, row: &Row) {
        self.tally.unsubscribed += 1;
        // That she left is this import's word, too, when the one that said so first is taken back.
        let again = (row.standing == Standing::Left).then_some(held.key);
        self.changes.left_again.extend(again);
    }

    /// She left there, and is on the list here.
    fn end(&mut self, held: &Held, row: &Row) {
        if came_later(held, row.left) {
            self.tally.known += 1;
            return;
        }
        self.changes.leaves.push(held.key);
        // One whom an earlier row of the file had brought is nobody's reader yet.
        let own = self.terms.import.is_some() && held.import == self.terms.import;
        if own && held.since >= self.terms.at {
            self.tally.left += 1;
        } else {
            self.tally.taken_off += 1;
            self.tally.ends += u64::from(reads(held));
        }
    }

    /// What the file says of a reader who is there. True if her name or a field is new.
    fn describe(&mut self, reader: SubscriberId, name: &str, fields: &Fields, row: &Row) -> bool {
        self.tag(reader, row);
        let mut merged = fields.clone();
        let renamed = !row.name.is_empty() && row.name != name;
        let updated = merged.merge(&row.fields) || renamed;
        if updated {
            let name = if renamed { row.name.as_str() } else { name };
            let update = (reader, name.to_owned(), merged.to_json());
            self.changes.updates.push(update);
        }
        updated
    }

    fn join(&mut self, reader: SubscriberId, row: &Row) {
        let new = new_subscription(SubscriptionKey((self.keys)()), reader, row, self.terms);
        match new.status {
            Status::Unsubscribed => self.tally.left += 1,
            Status::Pending => {
                self.tally.added += 1;
                self.tally.pending += 1;
            }
            Status::Confirmed | Status::Paused => self.tally.added += 1,
        }
        self.changes.subscriptions.push(new);
    }

    /// She is on the list, here and there.
    fn keep(&mut self, held: &Held, row: &Row, updated: bool) {
        let waits = waits(held, row);
        if waits && self.terms.confirm {
            self.changes.confirms.push(held.key);
            let joined = row.joined.filter(|joined| *joined < self.terms.at);
            let joined = joined.map(|at| (held.key, at));
            self.changes.joined.extend(joined);
            self.tally.confirmed += 1;
            return;
        }
        // Taking the import back that brought her must not take what this one states of her.
        if vouches(self.terms, held) {
            self.changes.vouched.push(held.key);
        }
        self.tally.waiting += u64::from(waits);
        match updated {
            true => self.tally.updated += 1,
            false => self.tally.known += 1,
        }
    }

    /// The tags that the file puts on a reader; those that are there stay.
    fn tag(&mut self, reader: SubscriberId, row: &Row) {
        let tags = row.tags.iter().map(|tag| (reader, tag.to_string()));
        self.changes.tags.extend(tags);
    }
}

/// Whether a subscription of another import is this one's from now on. One that waits stays with the import that
/// asked for it.
fn vouches(terms: Terms, held: &Held) -> bool {
    let waits = held.status == Status::Pending;
    !waits && terms.voucher.is_some() && held.import.is_some() && held.import != terms.voucher
}

/// Whether she is pending here, and has joined as the file says.
fn waits(held: &Held, row: &Row) -> bool {
    held.status == Status::Pending && row.standing == Standing::Joined
}

/// Whether the list's mail goes to her, now or after a pause.
fn reads(held: &Held) -> bool {
    matches!(held.status, Status::Confirmed | Status::Paused)
}

/// Whether a reader joined here by her own hand after the file says she left there; a file without times is taken
/// for the older word.
fn came_later(held: &Held, left: Option<Timestamp>) -> bool {
    held.own && left.is_none_or(|left| held.since > left)
}

fn new_subscription(
    key: SubscriptionKey,
    reader: SubscriberId,
    row: &Row,
    terms: Terms,
) -> NewSubscription {
    let status = match (row.standing, terms.status) {
        (Standing::Left, _) => Status::Unsubscribed,
        (Standing::Pending, _) => Status::Pending,
        (Standing::Paused, Status::Confirmed) => Status::Paused,
        (_, status) => status,
    };
    let confirmed = matches!(status, Status::Confirmed | Status::Paused);
    NewSubscription {
        key,
        reader,
        status,
        created_at: row.joined.unwrap_or(terms.at),
        // The time of the import: a run under way asks who was confirmed before it began.
        confirmed_at: confirmed.then_some(terms.at),
        joined_at: row.joined.filter(|joined| confirmed && *joined < terms.at),
        left_at: (status == Status::Unsubscribed).then_some(row.left.unwrap_or(terms.at)),
    }
}

fn new_reader(id: SubscriberId, row: &Row, wanted: &Wanted, at: Timestamp) -> NewReader {
    NewReader {
        id,
        address: row.address.as_str().to_owned(),
        canonical: wanted.canonical.clone(),
        hash: wanted.hash,
        name: row.name.clone(),
        fields: row.fields.to_json(),
        created_at: row.joined.unwrap_or(at),
    }
}
