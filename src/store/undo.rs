//! Taking a whole import back, page by page.
//!
//! Promises: exactly the subscriptions go that the import brought, that no later one vouched for and that nothing has
//! happened to since, and the readers who then stand on no list.

use crate::clock::Timestamp;
use crate::store::imports::Import;
use crate::store::leave::await_freeze;
use crate::store::{Result, Store};

/// What became of one page of an import's subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UndonePage {
    /// The last reader looked at; none when there was none.
    pub last: Option<i64>,
    pub removed: u64,
    pub stayed: u64,
}

/// The subscriptions of a page that the import brought and not only vouched for, in the order of their readers.
const PAGE: &str = "
    select key, subscriber_id from subscriptions
    where list_id = $1 and subscriber_id > $2 and import_id = $3
      and (confirmed_at is null or confirmed_at >= $5)
    order by subscriber_id limit $4";

/// A freeze that has just read them is waited for, so that the next statement sees the deliveries that it made.
pub(crate) const LOCK: &str = "
    select key from subscriptions where key in (select cast(value as bigint) from json_each($1))
    /* for update */";

/// Whom the import confirmed, and a later one vouched for, too.
const VOUCHED: &str = "
    select count(*) from subscriptions
    where list_id = $1 and confirmed_at = $2 and import_id > $3";

/// Of these subscriptions, those nothing has happened to since the import `$3` at `$2`: they stand as it left them, and
/// no later one says that their readers left.
fn untouched() -> String {
    format!(
        "subscriptions.key in (select cast(value as bigint) from json_each($1)) and import_id = $3
         and {QUIET}
         and (
             (status in ('confirmed', 'paused') and confirmed_at = $2)
             or (status = 'pending' and confirmed_at is null)
             or (status = 'unsubscribed' and confirmed_at is null and left_at <= $2)
         )
         and not exists (
             select 1 from import_moves o
             where o.key = subscriptions.key and o.import_id > $3
         )"
    )
}

/// Of whom a later import said something, too: she came with that one, as it would have brought her.
const HAND_OVER: &str = "
    update subscriptions
    set import_id = o.import_id,
        confirmed_at = case when o.what = 'left' then null else confirmed_at end,
        joined_at = case when o.what = 'left' then null else joined_at end
    from import_moves o
    where subscriptions.key in (select cast(value as bigint) from json_each($1))
      and subscriptions.import_id = $3 and o.key = subscriptions.key
      and o.import_id = (
          select min(n.import_id) from import_moves n where n.key = o.key and n.import_id > $3
      )
      and (
          (o.what = 'left' and subscriptions.status = 'unsubscribed' and subscriptions.left_at = o.left_at)
          or (o.what = 'confirmed' and subscriptions.status = 'confirmed')
      )";

const HANDED_OVER: &str = "
    delete from import_moves
    where key in (select cast(value as bigint) from json_each($1))
      and import_id = (select n.import_id from subscriptions n where n.key = import_moves.key)";

/// Nothing happened to a subscription since `$2`: the list has mailed nothing to its reader, and she has said nothing.
pub(crate) const QUIET: &str = "
    subscriptions.frequency = 'every' and subscriptions.paused_until is null
    and not exists (
        select 1 from deliveries d join runs r on r.id = d.run_id
        where d.subscriber_id = subscriptions.subscriber_id
          and (r.list_id = subscriptions.list_id or (d.run_id = 1 and d.due_at >= $2))
    )
    and not exists (
        select 1 from consents c
        where c.subscriber_id = subscriptions.subscriber_id and c.at >= $2
          and c.list_id in (0, subscriptions.list_id)
    )
    and not exists (select 1 from leave_reasons l where l.subscription = subscriptions.key)
    and not exists (
        select 1 from address_changes a where a.subscriber_id = subscriptions.subscriber_id
    )";

impl Store {
    /// Takes back up to `limit` subscriptions of `import` behind the reader `after`; only counts them when
    /// `dry_run`.
    pub async fn undo_page(
        &self,
        import: &Import,
        after: i64,
        limit: u32,
        dry_run: bool,
    ) -> Result<UndonePage> {
        again!(self.try_undo_page(import, after, limit, dry_run).await)
    }

    async fn try_undo_page(
        &self,
        import: &Import,
        after: i64,
        limit: u32,
        dry_run: bool,
    ) -> Result<UndonePage> {
        // They are looked for where nobody waits to write: a small import may lie far apart in a large list.
        let page: Vec<(i64, i64)> = read!(self, conn => {
            sqlx::query_as(PAGE)
                .bind(import.list_id.0)
                .bind(after)
                .bind(import.id)
                .bind(i64::from(limit))
                .bind(import.begun_at.0)
                .fetch_all(conn)
                .await?
        });
        let keys: Vec<i64> = page.iter().map(|&(key, _)| key).collect();
        let found = page.len() as u64;
        let last = page.last().map(|&(_, reader)| reader);
        if dry_run {
            let count = format!("select count(*) from subscriptions where {}", untouched());
            let removed: i64 = read!(self, conn => {
                sqlx::query_scalar(self.sql(&count))
                    .bind(json(&keys))
                    .bind(import.begun_at.0)
                    .bind(import.id)
                    .fetch_one(conn)
                    .await?
            });
            let removed = u64::try_from(removed).unwrap_or_default();
            let stayed = found.saturating_sub(removed);
            return Ok(UndonePage {
                last,
                removed,
                stayed,
            });
        }
        transact!(self, conn => {
            sqlx::query(self.sql(LOCK)).bind(json(&keys)).execute(&mut *conn).await?;
            // Nobody goes whom a freeze is just giving a delivery.
            await_freeze!(self, conn);
            let delete = format!(
                "delete from subscriptions where {} returning subscriber_id",
                untouched()
            );
            let readers: Vec<i64> = sqlx::query_scalar(self.sql(&delete))
                .bind(json(&keys))
                .bind(import.begun_at.0)
                .bind(import.id)
                .fetch_all(&mut *conn)
                .await?;
            sqlx::query(self.sql(
                "delete from subscribers
                 where id in (select cast(value as bigint) from json_each($1))
                   and not exists (select 1 from subscriptions n where n.subscriber_id = subscribers.id)",
            ))
            .bind(json(&readers))
            .execute(&mut *conn)
            .await?;
            let hand_over = format!("{HAND_OVER} and {QUIET} returning subscriptions.key");
            let handed: Vec<i64> = sqlx::query_scalar(self.sql(&hand_over))
                .bind(json(&keys))
                .bind(import.begun_at.0)
                .bind(import.id)
                .fetch_all(&mut *conn)
                .await?;
            sqlx::query(self.sql(HANDED_OVER)).bind(json(&handed)).execute(&mut *conn).await?;
            let removed = readers.len() as u64;
            UndonePage { last, removed, stayed: found.saturating_sub(removed) }
        })
    }

    /// How many it brought whom a later import with a consent of its own named as well.
    pub async fn vouched_since(&self, import: &Import) -> Result<u64> {
        read!(self, conn => {
            let count: i64 = sqlx::query_scalar(VOUCHED)
                .bind(import.list_id.0)
                .bind(import.begun_at.0)
                .bind(import.id)
                .fetch_one(conn)
                .await?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
    }

    /// Notes that the import was taken back, and how far.
    pub async fn note_undone(
        &self,
        id: i64,
        removed: u64,
        stayed: u64,
        at: Timestamp,
    ) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(
                "update imports
                 set undone_at = $2, removed = removed + $3, stayed = $4,
                     finished_at = coalesce(finished_at, $2)
                 where id = $1",
            )
            .bind(id)
            .bind(at.0)
            .bind(i64::try_from(removed).unwrap_or(i64::MAX))
            .bind(i64::try_from(stayed).unwrap_or(i64::MAX))
            .execute(conn)
            .await?;
        })
    }
}

fn json(numbers: &[i64]) -> String {
    serde_json::to_string(numbers).expect("numbers are JSON")
}
