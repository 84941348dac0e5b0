//! The changes to a batch, each as one part of its transaction.
//!
//! Promises: a part is nothing where there is nothing to change. Those that give a truth give false where a row was not
//! as the look before had found it, and the whole batch is to be taken back.

use std::collections::BTreeMap;

use crate::hex::hex;
use crate::store::import::{NewReader, NewSubscription, Refused, json};

/// A suppression since the look, or an address that somebody gave up where nobody looked, takes the batch back.
pub(super) const NEW_READERS: &str = "
    insert into subscribers (id, address, canonical, hash, name, fields, created_at)
    select cast(value->>0 as bigint), value->>1, value->>2, unhex(value->>3),
           value->>4, value->>5, cast(value->>6 as bigint)
    from json_each($1)
    where not exists (select 1 from suppressions x where x.hash = unhex(value->>3))
      and not exists (select 1 from former_addresses f where f.hash = unhex(value->>3))";

pub(super) const NEW_SUBSCRIPTIONS: &str = "
    insert into subscriptions (
        key, list_id, subscriber_id, status, source, created_at, confirmed_at, joined_at, left_at, import_id
    )
    select cast(value->>0 as bigint), $2, cast(value->>1 as bigint), value->>2, $3,
           cast(value->>3 as bigint), cast(value->>4 as bigint), cast(value->>5 as bigint),
           cast(value->>6 as bigint), $4
    from json_each($1)
    where true";

/// For rows that may be there already. Where hardly any are, it is left out: on PostgreSQL, being ready for a conflict
/// costs each row a third of its insert.
const PASS_OVER: &str = "on conflict do nothing";

pub(super) const UPDATES: &str = "
    update subscribers set name = b.name, fields = b.fields
    from (
        select cast(value->>0 as bigint) as id, value->>1 as name, value->>2 as fields
        from json_each($1)
    ) b
    where subscribers.id = b.id";

pub(super) const CONFIRMS: &str = "
    update subscriptions set status = 'confirmed', confirmed_at = $2
    where status = 'pending' and key in (select cast(value as bigint) from json_each($1))";

pub(super) const JOINED: &str = "
    update subscriptions set joined_at = b.at
    from (
        select cast(value->>0 as bigint) as key, cast(value->>1 as bigint) as at from json_each($1)
    ) b
    where subscriptions.key = b.key";

pub(super) const VOUCHED: &str = "
    update subscriptions set import_id = $2
    where import_id is not null and key in (select cast(value as bigint) from json_each($1))";

/// One that this very import brought was never confirmed.
pub(super) const LEAVES: &str = "
    update subscriptions
    set status = 'unsubscribed', left_at = $2, left_why = 'import', paused_until = null,
        confirmed_at = case when import_id = $3 and confirmed_at >= $2 then null else confirmed_at end,
        joined_at = case when import_id = $3 and confirmed_at >= $2 then null else joined_at end
    where status <> 'unsubscribed' and key in (select cast(value as bigint) from json_each($1))
    returning subscriber_id";

/// As a single suppression does: whoever has just queued a mail for these readers is waited for.
pub(super) const HOLD_BARRED: &str = "
    update subscribers set hash = hash
    where id in (select cast(value as bigint) from json_each($1))";

pub(super) const TAKE_BARRED: &str = "
    update deliveries set state = 'suppressed', settled_at = $2
    where state = 'queued'
      and subscriber_id in (select cast(value as bigint) from json_each($1))
    returning run_id, seq";

/// Adds the readers who are not there yet: `add_readers!(self, conn, changes, blind)`.
macro_rules! add_readers {
    ($store:expr, $conn:expr, $changes:expr, $blind:expr) => {{
        use $crate::store::import::changing::{NEW_READERS, new_readers, unless_there};
        $changes.readers.is_empty() || {
            let made = sqlx::query($store.sql(&unless_there(NEW_READERS, $blind)))
                .bind(new_readers(&$changes.readers))
                .execute(&mut *$conn)
                .await?;
            made.rows_affected() == $changes.readers.len() as u64
        }
    }};
}
pub(super) use add_readers;

/// Adds the subscriptions that are not there yet: `add_subscriptions!(self, conn, origin, changes, blind)`.
macro_rules! add_subscriptions {
    ($store:expr, $conn:expr, $origin:expr, $changes:expr, $blind:expr) => {{
        use $crate::store::import::changing::{NEW_SUBSCRIPTIONS, new_subscriptions, unless_there};
        $changes.subscriptions.is_empty() || {
            let made = sqlx::query($store.sql(&unless_there(NEW_SUBSCRIPTIONS, $blind)))
                .bind(new_subscriptions(&$changes.subscriptions))
                .bind($origin.list.0)
                .bind(&$origin.source)
                .bind($origin.import)
                .execute(&mut *$conn)
                .await?;
            made.rows_affected() == $changes.subscriptions.len() as u64
        }
    }};
}
pub(super) use add_subscriptions;

/// Writes down what the file says of readers: tags, name and fields, when they joined: `describe!(self, conn, changes)`.
macro_rules! describe {
    ($store:expr, $conn:expr, $changes:expr) => {{
        use $crate::store::import::changing::{JOINED, UPDATES};
        use $crate::store::tags::PUT_TAGS;
        for (statement, rows) in [
            (PUT_TAGS, json(&$changes.tags)),
            (UPDATES, json(&$changes.updates)),
            (JOINED, json(&$changes.joined)),
        ] {
            if rows != "[]" {
                sqlx::query($store.sql(statement))
                    .bind(rows)
                    .execute(&mut *$conn)
                    .await?;
            }
        }
    }};
}
pub(super) use describe;

/// Confirms what waits: `confirm!(self, conn, origin, changes)`.
macro_rules! confirm {
    ($store:expr, $conn:expr, $origin:expr, $changes:expr) => {
        $changes.confirms.is_empty() || {
            let confirmed = sqlx::query($store.sql($crate::store::import::changing::CONFIRMS))
                .bind(json(&$changes.confirms))
                .bind($origin.at.0)
                .execute(&mut *$conn)
                .await?;
            confirmed.rows_affected() == $changes.confirms.len() as u64
        }
    };
}
pub(super) use confirm;

/// Makes the import answer for subscriptions of earlier ones: `vouch!(self, conn, origin, changes)`. An earlier one may
/// have been taken back since the look.
macro_rules! vouch {
    ($store:expr, $conn:expr, $origin:expr, $changes:expr) => {
        $changes.vouched.is_empty() || {
            let vouched = sqlx::query($store.sql($crate::store::import::changing::VOUCHED))
                .bind(json(&$changes.vouched))
                .bind($origin.import)
                .execute(&mut *$conn)
                .await?;
            vouched.rows_affected() == $changes.vouched.len() as u64
        }
    };
}
pub(super) use vouch;

/// Ends the subscriptions of those who have left elsewhere, and takes their queued mail:
/// `end!(self, conn, origin, changes)`.
macro_rules! end {
    ($store:expr, $conn:expr, $origin:expr, $changes:expr) => {
        $changes.leaves.is_empty() || {
            let readers: Vec<i64> =
                sqlx::query_scalar($store.sql($crate::store::import::changing::LEAVES))
                    .bind(json(&$changes.leaves))
                    .bind($origin.at.0)
                    .bind($origin.import)
                    .fetch_all(&mut *$conn)
                    .await?;
            let as_found = readers.len() == $changes.leaves.len();
            if as_found {
                let readers = readers.into_iter().map(|reader| (reader, $origin.list.0));
                let moves = $crate::store::leave::take_queued!($store, $conn, readers, $origin.at);
                $crate::store::blocks::apply_moves!($store, $conn, moves);
            }
            as_found
        }
    };
}
pub(super) use end;

/// Puts down the addresses that are never to be mailed again: `suppress!(self, conn, origin, changes)`.
macro_rules! suppress {
    ($store:expr, $conn:expr, $origin:expr, $changes:expr) => {
        if !$changes.suppressions.is_empty() {
            sqlx::query($store.sql($crate::store::spellings::SUPPRESSIONS))
                .bind($crate::store::import::changing::suppressions(
                    &$changes.suppressions,
                ))
                .bind($origin.at.0)
                .execute(&mut *$conn)
                .await?;
        }
    };
}
pub(super) use suppress;

/// Takes the queued mail of those of them who are readers: `bar!(self, conn, origin, changes)`.
macro_rules! bar {
    ($store:expr, $conn:expr, $origin:expr, $changes:expr) => {
        if !$changes.barred.is_empty() {
            use $crate::store::import::changing::{HOLD_BARRED, TAKE_BARRED};
            let readers = json(&$changes.barred);
            sqlx::query($store.sql(HOLD_BARRED))
                .bind(&readers)
                .execute(&mut *$conn)
                .await?;
            $crate::store::leave::await_freeze!($store, $conn);
            let taken = sqlx::query_as::<_, (i64, i64)>($store.sql(TAKE_BARRED))
                .bind(&readers)
                .bind($origin.at.0)
                .fetch_all(&mut *$conn)
                .await?;
            let moves = $crate::store::leave::moved(&taken, $crate::delivery::State::Suppressed);
            $crate::store::blocks::apply_moves!($store, $conn, moves);
        }
    };
}
pub(super) use bar;

/// Notes how far the import is: `step!(conn, changes)`.
macro_rules! step {
    ($conn:expr, $changes:expr) => {
        match &$changes.step {
            None => true,
            Some(step) => {
                let stepped = sqlx::query(
                    "update imports set done = done + 1, tally = $3
                     where id = $1 and done = $2 and finished_at is null",
                )
                .bind(step.import)
                .bind(i64::try_from(step.done).unwrap_or(i64::MAX))
                .bind(&step.tally)
                .execute(&mut *$conn)
                .await?;
                stepped.rows_affected() == 1
            }
        }
    };
}
pub(super) use step;

/// An insert that passes over what is there, unless `blind` says that all are new.
pub(super) fn unless_there(insert: &str, blind: bool) -> String {
    let or = if blind { "" } else { PASS_OVER };
    format!("{insert} {or}")
}

pub(super) fn new_readers(readers: &[NewReader]) -> String {
    let row = |new: &'_ NewReader| {
        let (id, hash) = (new.id, hex(&new.hash));
        serde_json::to_string(&(
            id,
            &new.address,
            &new.canonical,
            hash,
            &new.name,
            &new.fields,
            new.created_at,
        ))
        .expect("text and numbers are JSON")
    };
    let rows: Vec<String> = readers.iter().map(row).collect();
    format!("[{}]", rows.join(","))
}

pub(super) fn new_subscriptions(subscriptions: &[NewSubscription]) -> String {
    let row = |new: &NewSubscription| {
        (
            new.key,
            new.reader,
            new.status,
            new.created_at,
            new.confirmed_at,
            new.joined_at,
            new.left_at,
        )
    };
    json(&subscriptions.iter().map(row).collect::<Vec<_>>())
}

/// Each address once, which a file may name twice: PostgreSQL changes no row twice in one statement.
pub(super) fn suppressions(suppressions: &[Refused]) -> String {
    let mut rows: BTreeMap<[u8; 32], (&str, Option<[u8; 32]>)> = BTreeMap::new();
    for &(hash, reason, mailbox) in suppressions {
        let said = rows.entry(hash).or_insert((reason, mailbox));
        if said.0 == "bounced" {
            *said = (reason, mailbox);
        }
    }
    let rows = rows.iter();
    let rows =
        rows.map(|(hash, (reason, mailbox))| (hex(hash), reason, mailbox.map(|hash| hex(&hash))));
    json(&rows.collect::<Vec<_>>())
}
