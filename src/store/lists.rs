//! Lists, and how many readers stand on them.

use crate::clock::Timestamp;
use crate::id::ListId;
use crate::store::{Result, Store};
use crate::subscriber::{List, Status};

/// Confirmed readers, as a run would find them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// Who would get it.
    pub readers: i64,
    /// Beside them those whose addresses are suppressed: nothing is sent to them.
    pub suppressed: i64,
}

/// Suppressed readers of a list. They are found from all readers, and not from the list: the row of each is read in
/// the order in which it stands, and hardly any is looked up elsewhere.
const SUPPRESSED_ON: &str = "
    select count(*) from subscribers u cross join suppressions x cross join subscriptions s
    where x.hash = u.hash and s.list_id = $1 and s.subscriber_id = u.id
      and s.status = 'confirmed' and (s.frequency = 'every' or $2 = 1)
      and exists (select 1 from suppressions)";

/// The same by list and status.
const SUPPRESSED: &str = "
    select s.list_id, s.status, count(*)
    from subscribers u cross join suppressions x cross join subscriptions s
    where x.hash = u.hash and s.subscriber_id = u.id and s.status in ('confirmed', 'paused')
      and exists (select 1 from suppressions)
    group by s.list_id, s.status";

type Columns = (i64, String, String, String, i64);

impl Store {
    /// Makes a list; false when one of this slug is there already.
    pub async fn add_list(
        &self,
        slug: &str,
        title: &str,
        label: &str,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            let made = sqlx::query(
                "insert into lists (id, slug, title, label, created_at)
                 select coalesce(max(id), 0) + 1, $1, $2, $3, $4 from lists
                 where true
                 on conflict do nothing",
            )
            .bind(slug)
            .bind(title)
            .bind(label)
            .bind(at.0)
            .execute(conn)
            .await?;
            made.rows_affected() == 1
        })
    }

    /// The list of this slug.
    pub async fn list(&self, slug: &str) -> Result<Option<List>> {
        read!(self, conn => {
            let found: Option<Columns> = sqlx::query_as(
                "select id, slug, title, label, created_at from lists where slug = $1",
            )
            .bind(slug)
            .fetch_optional(conn)
            .await?;
            Ok(found.map(list))
        })
    }

    /// Whether the list has more than `number` subscriptions of whatever status.
    pub async fn is_longer(&self, list: ListId, number: i64) -> Result<bool> {
        read!(self, conn => {
            let one: Option<i64> = sqlx::query_scalar(
                "select subscriber_id from subscriptions where list_id = $1
                 order by subscriber_id limit 1 offset $2",
            )
            .bind(list.0)
            .bind(number)
            .fetch_optional(conn)
            .await?;
            Ok(one.is_some())
        })
    }

    /// Readers of the list, those who pause among them, without those whose addresses are suppressed.
    pub async fn readers_on(&self, list: ListId) -> Result<u64> {
        read!(self, conn => {
            let count: i64 = sqlx::query_scalar(
                "select count(*) from subscriptions s join subscribers u on u.id = s.subscriber_id
                 where s.list_id = $1 and s.status in ('confirmed', 'paused')
                   and not exists (select 1 from suppressions x where x.hash = u.hash)",
            )
            .bind(list.0)
            .fetch_one(conn)
            .await?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
    }

    /// Every list in the order of creation.
    pub async fn lists(&self) -> Result<Vec<List>> {
        read!(self, conn => {
            let found: Vec<Columns> = sqlx::query_as(
                "select id, slug, title, label, created_at from lists order by id",
            )
            .fetch_all(conn)
            .await?;
            Ok(found.into_iter().map(list).collect())
        })
    }

    /// Subscriptions by list and status; a status that nobody has is not named.
    pub async fn subscription_counts(&self) -> Result<Vec<(ListId, Status, i64)>> {
        self.counted("select list_id, status, count(*) from subscriptions group by list_id, status")
            .await
    }

    /// Those of them, confirmed or paused, whose readers' addresses are suppressed.
    pub async fn suppressed_counts(&self) -> Result<Vec<(ListId, Status, i64)>> {
        self.counted(SUPPRESSED).await
    }

    async fn counted(&self, statement: &'static str) -> Result<Vec<(ListId, Status, i64)>> {
        read!(self, conn => {
            let found: Vec<(i64, Status, i64)> =
                sqlx::query_as(statement).fetch_all(conn).await?;
            let counted = |(list, status, count)| (ListId(list), status, count);
            Ok(found.into_iter().map(counted).collect())
        })
    }
}

fn list((id, slug, title, label, created_at): Columns) -> List {
    List {
        id: ListId(id),
        slug,
        title,
        label,
        created_at: Timestamp(created_at),
    }
}

impl Store {
    /// The list numbered `id`.
    pub async fn list_by_id(&self, id: ListId) -> Result<Option<List>> {
        read!(self, conn => {
            let found: Option<Columns> = sqlx::query_as(
                "select id, slug, title, label, created_at from lists where id = $1",
            )
            .bind(id.0)
            .fetch_optional(conn)
            .await?;
            Ok(found.map(list))
        })
    }

    /// How many readers a run to this list would find now; `monthly` runs find those of the digest too.
    pub async fn confirmed_on(&self, id: ListId, monthly: bool) -> Result<Confirmed> {
        read!(self, conn => {
            let all: i64 = sqlx::query_scalar(
                "select count(*) from subscriptions
                 where list_id = $1 and status = 'confirmed' and (frequency = 'every' or $2 = 1)",
            )
            .bind(id.0)
            .bind(i64::from(monthly))
            .fetch_one(&mut *conn)
            .await?;
            let suppressed: i64 = sqlx::query_scalar(SUPPRESSED_ON)
                .bind(id.0)
                .bind(i64::from(monthly))
                .fetch_one(conn)
                .await?;
            Ok(Confirmed { readers: all - suppressed, suppressed })
        })
    }
}
