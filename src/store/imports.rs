//! Imports as a whole: what was stated, and how far each came.
//!
//! Promises: an import that was broken off is found again by its file and its options. Leaves the batches to
//! `import`, and taking one back to `undo`.

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, exact};
use crate::hex::hex;
use crate::id::ListId;
use crate::store::{Result, Store};
use crate::subscriber::Status;

/// An import as it begins.
#[derive(Clone, Debug)]
pub struct NewImport<'a> {
    pub list: ListId,
    pub file: &'a str,
    pub service: &'a str,
    pub fingerprint: &'a [u8],
    pub status: Status,
    pub consent: &'a str,
    pub at: Timestamp,
}

/// An import under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    pub id: i64,
    /// When it began first.
    pub at: Timestamp,
    /// Batches taken before, and what they came to, as JSON.
    pub done: u64,
    pub tally: String,
}

/// An import as a person sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Import {
    pub id: i64,
    /// Slug of the list.
    pub list: String,
    pub file: String,
    pub service: String,
    pub status: Status,
    pub consent: String,
    #[serde(skip)]
    pub list_id: ListId,
    #[serde(skip)]
    pub begun_at: Timestamp,
    #[serde(skip)]
    pub finished_at: Option<Timestamp>,
    #[serde(skip)]
    pub undone_at: Option<Timestamp>,
    /// What it came to, as JSON.
    #[serde(skip)]
    pub tally: String,
    pub removed: i64,
    pub stayed: i64,
    /// Readers of before whom taking it back put back.
    pub put_back: i64,
}

/// An import, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeImport {
    pub id: i64,
    /// Slug of the list.
    pub list: String,
    pub file: String,
    pub service: String,
    /// In hex.
    pub fingerprint: String,
    pub status: Status,
    pub consent: String,
    #[serde(with = "exact")]
    pub begun_at: Timestamp,
    #[serde(with = "exact::option")]
    pub finished_at: Option<Timestamp>,
    pub done: i64,
    pub tally: String,
    #[serde(with = "exact::option")]
    pub undone_at: Option<Timestamp>,
    pub removed: i64,
    pub stayed: i64,
    #[serde(default)]
    pub put_back: i64,
}

type Columns = (
    i64,
    String,
    String,
    String,
    Status,
    String,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    String,
    i64,
    i64,
    i64,
);

type WholeColumns = (
    i64,
    String,
    String,
    String,
    Vec<u8>,
    Status,
    String,
    i64,
    Option<i64>,
    i64,
    String,
    Option<i64>,
    i64,
    i64,
    i64,
);

const IMPORTS: &str = "
    select i.id, l.slug, i.file, i.service, i.status, i.consent, i.list_id, i.begun_at, i.finished_at,
           i.undone_at, i.tally, i.removed, i.stayed, i.put_back
    from imports i join lists l on l.id = i.list_id";

const WHOLE: &str = "
    select i.id, l.slug, i.file, i.service, i.fingerprint, i.status, i.consent, i.begun_at,
           i.finished_at, i.done, i.tally, i.undone_at, i.removed, i.stayed, i.put_back
    from imports i join lists l on l.id = i.list_id order by i.id";

impl Store {
    /// Goes on with the import of this file and these options that was broken off, or begins a new one.
    pub async fn begin_import(&self, new: &NewImport<'_>) -> Result<Begun> {
        transact!(self, conn => {
            let before: Option<(i64, i64, i64, String)> = sqlx::query_as(
                "select id, begun_at, done, tally from imports
                 where list_id = $1 and fingerprint = $2 and finished_at is null and undone_at is null
                 order by id desc limit 1",
            )
            .bind(new.list.0)
            .bind(new.fingerprint)
            .fetch_optional(&mut *conn)
            .await?;
            if let Some((id, at, done, tally)) = before {
                let done = u64::try_from(done).unwrap_or_default();
                return Ok(Begun { id, at: Timestamp(at), done, tally });
            }
            let id: i64 = sqlx::query_scalar(
                "insert into imports (
                     id, list_id, file, service, fingerprint, status, consent, begun_at, done, tally
                 )
                 select coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5, $6, $7, 0, '' from imports
                 returning id",
            )
            .bind(new.list.0)
            .bind(new.file)
            .bind(new.service)
            .bind(new.fingerprint)
            .bind(new.status.name())
            .bind(new.consent)
            .bind(new.at.0)
            .fetch_one(&mut *conn)
            .await?;
            Begun { id, at: new.at, done: 0, tally: String::new() }
        })
    }

    /// Notes that the import came to its end, and what it came to.
    pub async fn finish_import(&self, id: i64, tally: &str, at: Timestamp) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("update imports set finished_at = $2, tally = $3 where id = $1")
                .bind(id)
                .bind(at.0)
                .bind(tally)
                .execute(conn)
                .await?;
        })
    }

    /// Every import in the order of their beginning.
    pub async fn imports(&self) -> Result<Vec<Import>> {
        let text = format!("{IMPORTS} order by i.id");
        read!(self, conn => {
            let found: Vec<Columns> = sqlx::query_as(self.sql(&text)).fetch_all(conn).await?;
            Ok(found.into_iter().map(import).collect())
        })
    }

    /// Up to `limit` imports with numbers below `before`, into `list` or into any, the newest first.
    pub async fn imports_before(
        &self,
        before: i64,
        list: Option<ListId>,
        limit: u32,
    ) -> Result<Vec<Import>> {
        let text = format!(
            "{IMPORTS} where i.id < $1 and ($2 = 0 or i.list_id = $2) order by i.id desc limit $3"
        );
        read!(self, conn => {
            let found: Vec<Columns> = sqlx::query_as(self.sql(&text))
                .bind(before)
                .bind(list.map_or(0, |list| list.0))
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(found.into_iter().map(import).collect())
        })
    }

    /// The import numbered `id`.
    pub async fn import(&self, id: i64) -> Result<Option<Import>> {
        let text = format!("{IMPORTS} where i.id = $1");
        read!(self, conn => {
            let found: Option<Columns> =
                sqlx::query_as(self.sql(&text)).bind(id).fetch_optional(conn).await?;
            Ok(found.map(import))
        })
    }

    /// Every import in the order of their numbers.
    pub async fn whole_imports(&self) -> Result<Vec<WholeImport>> {
        read!(self, conn => {
            let found: Vec<WholeColumns> = sqlx::query_as(WHOLE).fetch_all(conn).await?;
            Ok(found.into_iter().map(whole).collect())
        })
    }

    /// Puts an import in under the next number, which is given; one that is there keeps its own.
    pub async fn put_import(&self, import: &WholeImport) -> Result<i64> {
        transact!(self, conn => {
            let known: Option<i64> = sqlx::query_scalar(
                "select i.id from imports i join lists l on l.id = i.list_id
                 where l.slug = $1 and i.fingerprint = unhex($2) and i.begun_at = $3",
            )
            .bind(&import.list)
            .bind(&import.fingerprint)
            .bind(import.begun_at.0)
            .fetch_optional(&mut *conn)
            .await?;
            if let Some(id) = known {
                return Ok(id);
            }
            let id: i64 = sqlx::query_scalar(
                "insert into imports (
                     id, list_id, file, service, fingerprint, status, consent, begun_at, finished_at,
                     done, tally, undone_at, removed, stayed, put_back
                 )
                 select (select coalesce(max(id), 0) + 1 from imports), l.id, $2, $3, unhex($4), $5, $6, $7,
                        $8, $9, $10, $11, $12, $13, $14
                 from lists l where l.slug = $1
                 returning id",
            )
            .bind(&import.list)
            .bind(&import.file)
            .bind(&import.service)
            .bind(&import.fingerprint)
            .bind(import.status.name())
            .bind(&import.consent)
            .bind(import.begun_at.0)
            .bind(import.finished_at.map(|at| at.0))
            .bind(import.done)
            .bind(&import.tally)
            .bind(import.undone_at.map(|at| at.0))
            .bind(import.removed)
            .bind(import.stayed)
            .bind(import.put_back)
            .fetch_one(conn)
            .await?;
            id
        })
    }
}

fn import(columns: Columns) -> Import {
    let (
        id,
        list,
        file,
        service,
        status,
        consent,
        list_id,
        begun,
        finished,
        undone,
        tally,
        removed,
        stayed,
        put_back,
    ) = columns;
    Import {
        id,
        list,
        file,
        service,
        status,
        consent,
        list_id: ListId(list_id),
        begun_at: Timestamp(begun),
        finished_at: finished.map(Timestamp),
        undone_at: undone.map(Timestamp),
        tally,
        removed,
        stayed,
        put_back,
    }
}

fn whole(columns: WholeColumns) -> WholeImport {
    let (
        id,
        list,
        file,
        service,
        fingerprint,
        status,
        consent,
        begun,
        finished,
        done,
        tally,
        undone,
        removed,
        stayed,
        put_back,
    ) = columns;
    WholeImport {
        id,
        list,
        file,
        service,
        fingerprint: hex(&fingerprint),
        status,
        consent,
        begun_at: Timestamp(begun),
        finished_at: finished.map(Timestamp),
        done,
        tally,
        undone_at: undone.map(Timestamp),
        removed,
        stayed,
        put_back,
    }
}
