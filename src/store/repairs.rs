//! Targets corrected after sending.
//!
//! Promises: the frozen link table is never written again; a correction is a row of its own, with who made
//! it, when, and what stood there before; the newest of a link is where it leads.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::id::RunId;
use crate::store::{Result, Store};

/// One link of a run: as it was frozen, and where it leads now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct LinkRow {
    pub link: i64,
    /// The author's name for it.
    pub name: String,
    pub url: String,
    /// Where it leads since it was corrected.
    pub corrected: Option<String>,
}

/// One correction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Repair {
    pub link: i64,
    pub old_url: String,
    pub new_url: String,
    pub at: i64,
    pub who: String,
}

impl Store {
    /// The links of a run in the order of their index.
    pub async fn link_table(&self, run: RunId) -> Result<Vec<LinkRow>> {
        read!(self, conn => {
            let rows = sqlx::query_as(
                "select l.link, l.name, l.url,
                     (select x.new_url from link_repairs x
                      where x.revision = l.revision and x.link = l.link
                      order by x.id desc limit 1) as corrected
                 from runs r
                 join links l on l.revision = r.revision
                 where r.id = $1
                 order by l.link",
            )
            .bind(run.0)
            .fetch_all(conn)
            .await?;
            Ok(rows)
        })
    }

    /// Every correction of the links of `revision`, the first one first.
    pub async fn repairs_of(&self, revision: &str) -> Result<Vec<Repair>> {
        read!(self, conn => {
            let rows = sqlx::query_as(
                "select link, old_url, new_url, at, who from link_repairs
                 where revision = $1 order by id",
            )
            .bind(revision)
            .fetch_all(conn)
            .await?;
            Ok(rows)
        })
    }

    /// Leads `link` of `revision` to `url` from now on. `old` is where the caller saw it lead: false, and
    /// nothing is changed, when it leads elsewhere by now.
    pub async fn repair_link(
        &self,
        revision: &str,
        link: i64,
        old: &str,
        url: &str,
        who: &str,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            if !self.is_sqlite() {
                sqlx::query("lock table link_repairs in share row exclusive mode")
                    .execute(&mut *conn)
                    .await?;
            }
            let added = sqlx::query(
                "insert into link_repairs (id, revision, link, old_url, new_url, at, who)
                 select (select coalesce(max(id), 0) + 1 from link_repairs), l.revision, l.link, $3, $4, $5,
                     $6
                 from links l
                 where l.revision = $1 and l.link = $2 and $3 = coalesce((
                     select x.new_url from link_repairs x
                     where x.revision = l.revision and x.link = l.link
                     order by x.id desc limit 1
                 ), l.url)",
            )
            .bind(revision)
            .bind(link)
            .bind(old)
            .bind(url)
            .bind(at.0)
            .bind(who)
            .execute(conn)
            .await?;
            added.rows_affected() == 1
        })
    }

    /// The number of the newest correction; 0 before the first.
    pub async fn last_repair(&self) -> Result<i64> {
        read!(self, conn => {
            let last = sqlx::query_scalar("select coalesce(max(id), 0) from link_repairs")
                .fetch_one(conn)
                .await?;
            Ok(last)
        })
    }
}
