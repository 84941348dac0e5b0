//! Budgets: what has been granted of each cap, kept across restarts and shared by all nodes.
//!
//! Promises: a grant is counted before it is used, so that a crash wastes some of a cap and never exceeds
//! it. On PostgreSQL the database's own clock says which window it is.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::rate::cap::{Cap, Count, Grant, Unused, grant};
use crate::store::{Result, Store};

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    span: &'static str,
    began: i64,
    used: i64,
}

/// What stands counted under a name.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Used {
    pub span: String,
    pub began: i64,
    pub used: i64,
}

/// So that the row is there to be locked.
const ENTER: &str = "
    insert into budgets (name, span, began, used)
    select b.value->>'name', b.value->>'span', 0, 0 from json_each($1) as b
    where true
    on conflict (name, span) do nothing";

const COUNTS: &str = "
    select name, span, began, used from budgets
    where (name, span) in (select b.value->>'name', b.value->>'span' from json_each($1) as b)
    order by name, span
    /* for update */";

const MOVE: &str = "
    update budgets set began = cast(b.value->>'began' as bigint),
        used = cast(b.value->>'used' as bigint)
    from json_each($1) as b
    where budgets.name = b.value->>'name' and budgets.span = b.value->>'span'";

impl Store {
    /// Takes up to `wanted` out of all `caps` at once, after giving back what is `unused`. On SQLite `at`
    /// says which windows those are.
    pub async fn take_budget(
        &self,
        caps: &[Cap],
        wanted: u32,
        unused: Option<Unused>,
        at: Timestamp,
    ) -> Result<(Grant, Vec<Count>)> {
        again!(self.try_take_budget(caps, wanted, unused, at).await)
    }

    async fn try_take_budget(
        &self,
        caps: &[Cap],
        wanted: u32,
        unused: Option<Unused>,
        at: Timestamp,
    ) -> Result<(Grant, Vec<Count>)> {
        let sqlite = self.is_sqlite();
        let names = json(caps, &[]);
        transact!(self, conn => {
            sqlx::query(self.sql(ENTER)).bind(names.as_str()).execute(&mut *conn).await?;
            let rows = sqlx::query_as::<_, (String, String, i64, i64)>(self.sql(COUNTS))
                .bind(names.as_str())
                .fetch_all(&mut *conn)
                .await?;
            // After the lock: another node may have gone into the next window before us.
            let now = match sqlite {
                true => at,
                false => Timestamp(sqlx::query_scalar("select db_now()").fetch_one(&mut *conn).await?),
            };
            let found = |cap: &Cap| {
                let mut rows = rows.iter();
                let row = rows.find(|row| row.0 == cap.name && row.1 == cap.span.name());
                row.map_or((0, 0), |row| (row.2, row.3))
            };
            let count = |cap| {
                let (began, used) = found(cap);
                Count {
                    began: Timestamp(began),
                    used: u64::try_from(used).unwrap_or(0),
                }
            };
            let mut counts: Vec<Count> = caps.iter().map(count).collect();
            let granted = grant(caps, &mut counts, wanted, unused, now);
            sqlx::query(self.sql(MOVE))
                .bind(json(caps, &counts))
                .execute(&mut *conn)
                .await?;
            (granted, counts)
        })
    }

    /// What is counted under `name`.
    pub async fn budget(&self, name: &str) -> Result<Vec<Used>> {
        read!(self, conn => {
            let rows = sqlx::query_as::<_, Used>(
                "select span, began, used from budgets where name = $1 order by span",
            )
            .bind(name)
            .fetch_all(conn)
            .await?;
            Ok(rows)
        })
    }
}

fn json(caps: &[Cap], counts: &[Count]) -> String {
    let mut rows = Vec::with_capacity(caps.len());
    for (index, cap) in caps.iter().enumerate() {
        let count = counts.get(index);
        rows.push(Row {
            name: &cap.name,
            span: cap.span.name(),
            began: count.map_or(0, |count| count.began.0),
            used: count.map_or(0, |count| i64::try_from(count.used).unwrap_or(i64::MAX)),
        });
    }
    serde_json::to_string(&rows).expect("numbers and names always serialise")
}
