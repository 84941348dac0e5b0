//! What an import did to subscriptions that were there before it, and putting them back.
//!
//! Promises: a subscription is put back only where it still stands as the import left it; a reader's own act, the
//! author's, a suppression and a later import's word stand, and that word holds as if this import had never been.
//! Leaves whom the import itself brought to `undo`.

use crate::id::SubscriptionKey;
use crate::store::imports::Import;
use crate::store::leave::await_freeze;
use crate::store::undo::{LOCK, QUIET};
use crate::store::{Result, Store};

/// What becomes of subscriptions that were there before the import is noted with it; one that it brought itself goes
/// with it anyway.
pub(crate) const NOTE_LEAVES: &str = "
    insert into import_moves (key, import_id, what, was, paused_until, left_at)
    select key, $2, 'left', status, paused_until, $3 from subscriptions
    where status <> 'unsubscribed' and key in (select cast(value as bigint) from json_each($1))
      and not (coalesce(import_id, 0) = $2 and (confirmed_at is null or confirmed_at >= $3))
    on conflict do nothing";

/// That a reader left is worth noting again where nothing but an import says it.
pub(crate) const NOTE_LEFT_AGAIN: &str = "
    insert into import_moves (key, import_id, what, was, paused_until, left_at)
    select n.key, $2, 'left', 'unsubscribed', null, n.left_at from subscriptions n
    where n.status = 'unsubscribed' and n.key in (select cast(value as bigint) from json_each($1))
      and (
          (n.import_id <> $2 and n.confirmed_at is null)
          or exists (select 1 from import_moves m where m.key = n.key and m.import_id <> $2)
      )
    on conflict do nothing";

pub(crate) const NOTE_CONFIRMS: &str = "
    insert into import_moves (key, import_id, what, was)
    select key, $2, 'confirmed', status from subscriptions
    where status = 'pending' and key in (select cast(value as bigint) from json_each($1))
      and coalesce(import_id, 0) <> $2
    on conflict do nothing";

/// Notes what an import is about to change: `note_moves!(self, conn, origin, changes)`. Whoever adds a single reader
/// takes nothing back.
macro_rules! note_moves {
    ($store:expr, $conn:expr, $origin:expr, $changes:expr) => {
        if let Some(import) = $origin.import {
            use $crate::store::import_moves::{NOTE_CONFIRMS, NOTE_LEAVES, NOTE_LEFT_AGAIN};
            for (note, keys, timed) in [
                (NOTE_CONFIRMS, &$changes.confirms, false),
                (NOTE_LEAVES, &$changes.leaves, true),
                (NOTE_LEFT_AGAIN, &$changes.left_again, false),
            ] {
                if keys.is_empty() {
                    continue;
                }
                let note = sqlx::query($store.sql(note)).bind(json(keys)).bind(import);
                let note = match timed {
                    true => note.bind($origin.at.0),
                    false => note,
                };
                note.execute(&mut *$conn).await?;
            }
        }
    };
}
pub(crate) use note_moves;

/// Who leaves by her own act, or the author's, has left, whichever import is taken back: subscriptions by their keys.
pub(crate) const SEAL: &str = "
    update import_moves set was = 'unsubscribed'
    where key in (select cast(value as bigint) from json_each($1))";

/// The same for one alone.
pub(crate) const SEAL_ONE: &str = "update import_moves set was = 'unsubscribed' where key = $1";

const PAGE: &str = "
    select key from import_moves where import_id = $1 and key > $2 order by key limit $3";

/// Of these subscriptions, those that still stand as the import `$3` of `$2` left them, as the last one that moved them.
fn stands() -> String {
    format!(
        "subscriptions.key in (select cast(value as bigint) from json_each($1))
         and m.key = subscriptions.key and m.import_id = $3 and m.was <> 'unsubscribed'
         and not exists (
             select 1 from import_moves o where o.key = m.key and o.import_id > m.import_id
         )
         and not exists (
             select 1 from suppressions x join subscribers s on s.hash = x.hash
             where s.id = subscriptions.subscriber_id
         )
         and (
             (m.what = 'left' and subscriptions.status = 'unsubscribed'
              and subscriptions.left_at = m.left_at)
             or (m.what = 'confirmed' and subscriptions.status = 'confirmed'
                 and subscriptions.confirmed_at = $2 and {QUIET})
         )"
    )
}

/// Where a later import moved the subscription, too, it found it as this one had: without this one, it had found it as
/// this one did.
fn splice() -> String {
    format!(
        "update import_moves set was = m.was, paused_until = m.paused_until
         from import_moves m, subscriptions
         where m.key in (select cast(value as bigint) from json_each($1))
           and m.import_id = $3 and subscriptions.key = m.key and import_moves.key = m.key
           and import_moves.import_id = (
               select min(o.import_id) from import_moves o
               where o.key = m.key and o.import_id > m.import_id
           )
           and (
               (m.what = 'left' and import_moves.was = 'unsubscribed')
               or (m.what = 'confirmed' and import_moves.was = 'confirmed'
                   and subscriptions.confirmed_at = $2 and {QUIET})
           )"
    )
}

impl Store {
    /// Puts up to `limit` subscriptions back that the import found behind the key `after`; only counts them when
    /// `dry_run`. Gives the last key looked at and how many stand as before.
    pub async fn put_back_page(
        &self,
        import: &Import,
        after: i64,
        limit: u32,
        dry_run: bool,
    ) -> Result<(Option<i64>, u64)> {
        again!(self.try_put_back_page(import, after, limit, dry_run).await)
    }

    /// The import by whose word alone the subscription has ended, if it has.
    pub async fn taken_off_by(
        &self,
        key: SubscriptionKey,
    ) -> Result<Option<(SubscriptionKey, i64)>> {
        read!(self, conn => {
            let import: Option<i64> = sqlx::query_scalar(
                "select min(m.import_id) from import_moves m
                 join subscriptions n on n.key = m.key and n.status = 'unsubscribed'
                      and n.left_at = m.left_at
                 where m.key = $1 and m.what = 'left' and m.was <> 'unsubscribed'",
            )
            .bind(key.0)
            .fetch_one(conn)
            .await?;
            Ok(import.map(|import| (key, import)))
        })
    }

    async fn try_put_back_page(
        &self,
        import: &Import,
        after: i64,
        limit: u32,
        dry_run: bool,
    ) -> Result<(Option<i64>, u64)> {
        let keys: Vec<i64> = read!(self, conn => {
            sqlx::query_scalar(PAGE)
                .bind(import.id)
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?
        });
        let last = keys.last().copied();
        let keys = serde_json::to_string(&keys).expect("numbers are JSON");
        if dry_run {
            let count = format!(
                "select count(*) from subscriptions, import_moves m where {}",
                stands()
            );
            let number: i64 = read!(self, conn => {
                sqlx::query_scalar(self.sql(&count))
                    .bind(&keys)
                    .bind(import.begun_at.0)
                    .bind(import.id)
                    .fetch_one(conn)
                    .await?
            });
            return Ok((last, u64::try_from(number).unwrap_or_default()));
        }
        let put_back = format!(
            "update subscriptions
             set status = m.was, paused_until = m.paused_until, left_at = null,
                 confirmed_at = case when m.was = 'pending' then null else confirmed_at end,
                 joined_at = case when m.was = 'pending' then null else joined_at end
             from import_moves m where {}",
            stands()
        );
        transact!(self, conn => {
            sqlx::query(self.sql(LOCK)).bind(&keys).execute(&mut *conn).await?;
            await_freeze!(self, conn);
            let back = sqlx::query(self.sql(&put_back))
                .bind(&keys)
                .bind(import.begun_at.0)
                .bind(import.id)
                .execute(&mut *conn)
                .await?
                .rows_affected();
            sqlx::query(self.sql(&splice()))
                .bind(&keys)
                .bind(import.begun_at.0)
                .bind(import.id)
                .execute(&mut *conn)
                .await?;
            sqlx::query(self.sql(
                "delete from import_moves
                 where import_id = $2 and key in (select cast(value as bigint) from json_each($1))",
            ))
            .bind(&keys)
            .bind(import.id)
            .execute(&mut *conn)
            .await?;
            sqlx::query("update imports set put_back = put_back + $2 where id = $1")
                .bind(import.id)
                .bind(i64::try_from(back).unwrap_or_default())
                .execute(&mut *conn)
                .await?;
            (last, back)
        })
    }
}
