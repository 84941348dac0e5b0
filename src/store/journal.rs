//! A list's journal as a whole: out of one database and into another.
//!
//! Promises: it is put in only where the list has none of its own. Leaves what writes it to the schema, and what it
//! says to `stats`.

use serde::{Deserialize, Serialize};

use crate::id::ListId;
use crate::store::{Result, Store};

/// Readers who joined or left a list in one quarter of an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeQuarter {
    /// Slug of the list.
    pub list: String,
    pub what: String,
    /// Quarter hours since 1970.
    #[serde(default)]
    pub quarter: i64,
    /// Instead of it, in a file of an older program: days of UTC.
    #[serde(default, skip_serializing)]
    pub day: Option<i64>,
    pub why: String,
    pub number: i64,
}

/// Half past ten: on the same day from Honolulu to Auckland.
const MIDDLE: i64 = 42;

const PUT_JOURNAL: &str = "
    insert into journal (list_id, what, quarter, why, part, number)
    select l.id, b.value->>1, cast(b.value->>2 as bigint), b.value->>3, 0, cast(b.value->>4 as bigint)
    from json_each($1) b join lists l on l.slug = b.value->>0
    where true
    on conflict (list_id, what, quarter, why, part) do update set number = excluded.number";

impl Store {
    /// The journals of all lists, or of one.
    pub async fn whole_journal(&self, list: Option<ListId>) -> Result<Vec<WholeQuarter>> {
        read!(self, conn => {
            let found: Vec<(String, String, i64, String, i64)> = sqlx::query_as(
                "select l.slug, j.what, j.quarter, j.why, cast(sum(j.number) as bigint)
                 from journal j join lists l on l.id = j.list_id
                 where $1 = 0 or j.list_id = $1
                 group by l.id, l.slug, j.what, j.quarter, j.why
                 having sum(j.number) <> 0
                 order by l.id, j.quarter, j.what, j.why",
            )
            .bind(list.map_or(0, |list| list.0))
            .fetch_all(conn)
            .await?;
            let quarter = |(list, what, quarter, why, number)| WholeQuarter {
                list,
                what,
                quarter,
                day: None,
                why,
                number,
            };
            Ok(found.into_iter().map(quarter).collect())
        })
    }

    /// Whether nobody is on the list, and nobody ever was.
    pub async fn is_untouched(&self, slug: &str) -> Result<bool> {
        read!(self, conn => {
            let touched: i64 = sqlx::query_scalar(
                "select count(*) from lists l
                 where l.slug = $1 and (
                     exists (select 1 from subscriptions n where n.list_id = l.id)
                     or exists (select 1 from journal j where j.list_id = l.id)
                 )",
            )
            .bind(slug)
            .fetch_one(conn)
            .await?;
            Ok(touched == 0)
        })
    }

    /// Puts the journal of a list in instead of what its readers left in it as they were put in.
    pub async fn put_journal(&self, slug: &str, quarters: &[WholeQuarter]) -> Result<()> {
        let rows = quarters.iter().map(|q| {
            let quarter = q.day.map_or(q.quarter, |day| day * 96 + MIDDLE);
            (&q.list, &q.what, quarter, &q.why, q.number)
        });
        let rows = serde_json::to_string(&rows.collect::<Vec<_>>()).expect("texts are JSON");
        transact!(self, conn => {
            sqlx::query(
                "delete from journal where list_id = (select id from lists where slug = $1)",
            )
            .bind(slug)
            .execute(&mut *conn)
            .await?;
            sqlx::query(self.sql(PUT_JOURNAL)).bind(rows).execute(conn).await?;
        })
    }
}
