//! The archive: which issues have a page, what anyone may read there, and the addresses that lead to it.
//!
//! Promises: an issue has a page once a run of it sends to everybody it is for, and none while that run is
//! cancelled, or where it is for nobody; the newest such run is the one that is shown, unless it went to another list or a segment,
//! which publishes nothing by itself. What the author said since goes before what was frozen with the run.
//! Leaves what a page looks like to `archive`.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::config::archive::Visibility;
use crate::id::RunId;
use crate::store::{Result, Store};

/// What is frozen of an issue for its page.
#[derive(Clone, Debug)]
pub struct NewPage<'a> {
    pub title: &'a str,
    pub teaser: &'a str,
    /// BCP 47.
    pub language: &'a str,
    /// Hash of the first image of our own.
    pub picture: Option<&'a str>,
    pub visibility: Visibility,
    pub embargo: Option<Timestamp>,
    /// For the address of an unlisted page; taken only where the issue has none yet.
    pub key: &'a str,
}

/// An issue that came out elsewhere, before this publication was here.
#[derive(Clone, Debug)]
pub struct BackIssue<'a> {
    pub slug: &'a str,
    pub page: NewPage<'a>,
    pub revision: &'a str,
    pub dated_at: Timestamp,
    /// Which file of which export it is.
    pub source: &'a str,
    /// Path of its old address, if that is known.
    pub moved_from: Option<&'a str>,
}

/// What became of a back issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shelved {
    New,
    Changed,
    Known,
}

/// The page of an issue, as the archive has it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Page {
    pub slug: String,
    pub key: String,
    /// 0 for a back issue.
    pub run_id: i64,
    pub revision: String,
    pub title: String,
    pub teaser: String,
    pub language: String,
    pub picture: Option<String>,
    pub visibility: String,
    /// 0 where nothing holds it back.
    pub embargo_until: i64,
    /// When the issue came out, and when what is shown of it was sent.
    pub published_at: i64,
    pub sent_at: i64,
    /// When the author said something of the page, and when a link of it was last corrected.
    pub changed_at: i64,
    pub repaired_at: i64,
    /// Number of the newest correction; 0 where there is none.
    pub repair: i64,
    pub source: Option<String>,
}

/// The newest issue that everyone may read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct PublicIssue {
    pub slug: String,
    pub title: String,
    pub teaser: String,
    pub published_at: i64,
}

/// A page of the index, newest first.
#[derive(Clone, Debug)]
pub struct Shelf {
    pub pages: Vec<Page>,
    /// Public pages in all.
    pub total: i64,
    /// When the archive last changed by hand.
    pub changed_at: i64,
}

/// The run whose page is shown of the issue `a`: one shows once it sends to all whom it is for, or when the author
/// publishes it by hand although it is cancelled. What has no page because it went to another list or to a segment
/// takes no other run's page away.
macro_rules! shown {
    () => {
        "select max(q.run_id) from archive_pages q left join runs s on s.id = q.run_id
        where q.slug = a.slug and (
            q.run_id = 0
            or (s.started_at is not null and s.recipients > 0
                and ((s.status <> 'cancelled' and s.open_to is null) or a.visibility = 'public'))
        )
        and (q.visibility <> 'never' or not exists (
            select 1 from archive_pages n left join runs t on t.id = n.run_id
            where n.slug = q.slug and n.visibility <> 'never'
              and (n.run_id = 0
                   or (t.recipients > 0 and t.started_at is not null and t.status <> 'cancelled'
                       and t.open_to is null))
              and (n.run_id = 0 or s.segment is not null or t.list_id <> s.list_id)
        ))"
    };
}

/// Every issue with the page that is shown of it. `r` is the run of that page.
const PAGES: &str = concat!(
    "
    select a.slug, a.key, p.run_id, coalesce(r.revision, p.revision) as revision, p.title, p.teaser,
        p.language, p.picture, coalesce(a.visibility, p.visibility) as visibility,
        coalesce(a.embargo_until, p.embargo_until, 0) as embargo_until,
        coalesce(p.dated_at, (
            select min(o.started_at) from runs o
            where o.slug = a.slug and o.kind = 'issue' and o.status <> 'cancelled' and o.recipients > 0
        ), r.started_at, p.made_at) as published_at,
        coalesce(p.dated_at, r.started_at, p.made_at) as sent_at, a.changed_at,
        coalesce((
            select max(x.at) from link_repairs x where x.revision = coalesce(r.revision, p.revision)
        ), 0) as repaired_at,
        coalesce((
            select max(x.id) from link_repairs x where x.revision = coalesce(r.revision, p.revision)
        ), 0) as repair,
        p.source
    from archive a
    join archive_pages p on p.slug = a.slug and p.run_id = (",
    shown!(),
    ")
    left join runs r on r.id = p.run_id"
);

/// What everyone may see now; `$1` is the time.
const PUBLIC: &str = "visibility = 'public' and embargo_until <= $1";

/// Inserts the page of a run (0: of a back issue) within a transaction; gives how many rows that were.
macro_rules! put_page {
    ($conn:ident, $slug:expr, $run:expr, $page:expr, $at:expr) => {{
        let page: &$crate::store::archive::NewPage<'_> = $page;
        sqlx::query(
            "insert into archive (slug, key, changed_at) values ($1, $2, $3)
             on conflict (slug) do nothing",
        )
        .bind($slug)
        .bind(page.key)
        .bind($at.0)
        .execute(&mut *$conn)
        .await?;
        sqlx::query(
            "insert into archive_pages (slug, run_id, title, teaser, language, picture, visibility,
                 embargo_until, made_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (slug, run_id) do nothing",
        )
        .bind($slug)
        .bind($run)
        .bind(page.title)
        .bind(page.teaser)
        .bind(page.language)
        .bind(page.picture)
        .bind(page.visibility.name())
        .bind(page.embargo.map(|until| until.0))
        .bind($at.0)
        .execute(&mut *$conn)
        .await?
        .rows_affected()
    }};
}
pub(crate) use put_page;

impl Store {
    /// `limit` public pages behind the first `skip`, newest first.
    pub async fn public_pages(&self, now: Timestamp, skip: i64, limit: i64) -> Result<Shelf> {
        read!(self, conn => {
            let (total, changed_at): (i64, i64) = sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "select (select count(*) from ({PAGES}) as pages where {PUBLIC}),
                     coalesce((select max(changed_at) from archive), 0)"
            )))
            .bind(now.0)
            .fetch_one(&mut *conn)
            .await?;
            let pages = sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "select * from ({PAGES}) as pages where {PUBLIC}
                 order by published_at desc, slug desc limit $2 offset $3"
            )))
            .bind(now.0)
            .bind(limit)
            .bind(skip)
            .fetch_all(&mut *conn)
            .await?;
            Ok(Shelf { pages, total, changed_at })
        })
    }

    /// Every page there is or could be, newest first: for the author.
    pub async fn pages(&self) -> Result<Vec<Page>> {
        read!(self, conn => {
            let pages = sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "select * from ({PAGES}) as pages order by published_at desc, slug desc"
            )))
            .fetch_all(conn)
            .await?;
            Ok(pages)
        })
    }

    /// The page whose issue or whose key is `name`.
    pub async fn page_of(&self, name: &str) -> Result<Option<Page>> {
        read!(self, conn => {
            let page = sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "select * from ({PAGES} where a.slug = $1 or a.key = $1) as pages"
            )))
            .bind(name)
            .fetch_optional(conn)
            .await?;
            Ok(page)
        })
    }

    /// The newest issue that everyone may read. Looks at the newest pages only and stops at the first: the
    /// subscribe page asks at each request.
    pub async fn newest_public_issue(&self, now: Timestamp) -> Result<Option<PublicIssue>> {
        read!(self, conn => {
            let of_run = sqlx::query_as(concat!(
                "select a.slug, p.title, p.teaser, r.started_at as published_at
                 from archive_pages p
                 join archive a on a.slug = p.slug
                 join runs r on r.id = p.run_id
                 where p.run_id > 0 and r.started_at is not null and r.recipients > 0 and r.open_to is null
                   and r.status <> 'cancelled'
                   and coalesce(a.visibility, p.visibility) = 'public'
                   and coalesce(a.embargo_until, p.embargo_until, 0) <= $1
                   and p.run_id = (",
                shown!(),
                ")
                 order by p.run_id desc limit 1",
            ))
            .bind(now.0)
            .fetch_optional(&mut *conn)
            .await?;
            if of_run.is_some() {
                return Ok(of_run);
            }
            let back = sqlx::query_as(
                "select a.slug, p.title, p.teaser, p.dated_at as published_at
                 from archive_pages p
                 join archive a on a.slug = p.slug
                 where p.run_id = 0
                   and coalesce(a.visibility, p.visibility) = 'public'
                   and coalesce(a.embargo_until, p.embargo_until, 0) <= $1
                 order by p.dated_at desc limit 1",
            )
            .bind(now.0)
            .fetch_optional(&mut *conn)
            .await?;
            Ok(back)
        })
    }

    /// The issue to whose page the old address `path` leads.
    pub async fn moved_page(&self, path: &str) -> Result<Option<String>> {
        read!(self, conn => {
            let slug = sqlx::query_scalar("select slug from archive_moves where path = $1")
                .bind(path)
                .fetch_optional(conn)
                .await?;
            Ok(slug)
        })
    }

    /// Every old address of a back issue, its slug, and whether everyone may read it.
    pub async fn moved_pages(&self) -> Result<Vec<(String, String, bool)>> {
        read!(self, conn => {
            let found: Vec<(String, String, String)> = sqlx::query_as(
                "select m.path, m.slug, coalesce(a.visibility, p.visibility)
                 from archive_moves m
                     join archive a on a.slug = m.slug
                     join archive_pages p on p.slug = m.slug and p.run_id = 0
                 order by m.path",
            )
            .fetch_all(conn)
            .await?;
            let public = |(path, slug, who): (String, String, String)| {
                (path, slug, who == Visibility::Public.name())
            };
            Ok(found.into_iter().map(public).collect())
        })
    }

    /// Gives the issue of a run a page that was begun without one. False if it has one.
    pub async fn add_page(
        &self,
        slug: &str,
        run: RunId,
        page: &NewPage<'_>,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => put_page!(conn, slug, run.0, page, at) > 0)
    }

    /// Says who may read an issue, or until when it is held back (0 lifts that); what is not said stays.
    /// False if the archive does not know the issue.
    pub async fn set_page(
        &self,
        slug: &str,
        visibility: Option<Visibility>,
        embargo: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<bool> {
        transact!(self, conn => {
            let changed = sqlx::query(
                "update archive set visibility = coalesce($2, visibility),
                     embargo_until = coalesce(cast($3 as bigint), embargo_until), changed_at = $4
                 where slug = $1",
            )
            .bind(slug)
            .bind(visibility.map(Visibility::name))
            .bind(embargo.map(|until| until.0))
            .bind(at.0)
            .execute(conn)
            .await?;
            changed.rows_affected() > 0
        })
    }

    /// Puts a back issue on the shelf, or a newer reading of it in its place.
    pub async fn shelve(&self, issue: &BackIssue<'_>, at: Timestamp) -> Result<Shelved> {
        transact!(self, conn => {
            let new = put_page!(conn, issue.slug, 0, &issue.page, at) > 0;
            let page = &issue.page;
            let changed = sqlx::query(
                "update archive_pages set revision = $2, title = $3, teaser = $4, language = $5,
                     picture = $6, dated_at = $7, source = $8, made_at = $9
                 where slug = $1 and run_id = 0 and (
                     revision is null or revision <> $2 or title <> $3 or teaser <> $4 or dated_at <> $7
                 )",
            )
            .bind(issue.slug)
            .bind(issue.revision)
            .bind(page.title)
            .bind(page.teaser)
            .bind(page.language)
            .bind(page.picture)
            .bind(issue.dated_at.0)
            .bind(issue.source)
            .bind(at.0)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if let Some(path) = issue.moved_from {
                sqlx::query(
                    "insert into archive_moves (path, slug) values ($1, $2)
                     on conflict (path) do update set slug = excluded.slug",
                )
                .bind(path)
                .bind(issue.slug)
                .execute(&mut *conn)
                .await?;
            }
            match (new, changed) {
                (true, _) => Shelved::New,
                (false, 0) => Shelved::Known,
                (false, _) => Shelved::Changed,
            }
        })
    }

    /// The slug and the revision under which the back issue `source` is shelved.
    pub async fn back_issue(&self, source: &str) -> Result<Option<(String, String)>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select slug, coalesce(revision, '') from archive_pages
                 where run_id = 0 and source = $1",
            )
            .bind(source)
            .fetch_optional(conn)
            .await?;
            Ok(found)
        })
    }

    /// Whether another issue has this slug: one that was sent, or one on the shelf.
    pub async fn is_taken(&self, slug: &str) -> Result<bool> {
        read!(self, conn => {
            let found: i64 = sqlx::query_scalar(
                "select count(*) from (
                     select slug from archive where slug = $1
                     union
                     select slug from runs where slug = $1 and kind = 'issue'
                 ) as taken",
            )
            .bind(slug)
            .fetch_one(conn)
            .await?;
            Ok(found > 0)
        })
    }
}
