//! Revisions: compiled issues by content, with their link tables and images.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::store::{Result, Store};

/// A compiled issue on its way into the store.
#[derive(Clone, Debug)]
pub struct NewRevision<'a> {
    /// Content address of `content`.
    pub hash: &'a str,
    pub slug: &'a str,
    /// The compiled issue as JSON.
    pub content: &'a str,
    /// Click targets in the order of their index: URL and the author's name for it.
    pub links: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize)]
struct LinkRow<'a> {
    link: usize,
    url: &'a str,
    name: &'a str,
}

impl Store {
    /// Keeps a revision; one that is already there stays as it is.
    pub async fn ensure_revision(&self, revision: &NewRevision<'_>, at: Timestamp) -> Result<()> {
        let rows = revision.links.iter().enumerate();
        let links: Vec<_> = rows
            .map(|(link, &(url, name))| LinkRow { link, url, name })
            .collect();
        let links = serde_json::to_string(&links).expect("strings always serialise");
        transact!(self, conn => {
            sqlx::query(
                "insert into revisions (hash, slug, content, created_at) values ($1, $2, $3, $4)
                 on conflict (hash) do nothing",
            )
            .bind(revision.hash)
            .bind(revision.slug)
            .bind(revision.content)
            .bind(at.0)
            .execute(&mut *conn)
            .await?;
            sqlx::query(self.sql(
                "insert into links (revision, link, url, name)
                 select $2, cast(l.value->>'link' as bigint), l.value->>'url', l.value->>'name'
                 from json_each($1) as l
                 where true
                 on conflict (revision, link) do nothing",
            ))
            .bind(links)
            .bind(revision.hash)
            .execute(&mut *conn)
            .await?;
        })
    }

    /// The compiled issue under `hash`, as JSON.
    pub async fn revision(&self, hash: &str) -> Result<Option<String>> {
        read!(self, conn => {
            let found = sqlx::query_scalar("select content from revisions where hash = $1")
                .bind(hash)
                .fetch_optional(conn)
                .await?;
            Ok(found)
        })
    }

    /// Slug and compiled issue, as JSON, of the newest `limit` runs of issues.
    pub async fn contents_sent(&self, limit: u32) -> Result<Vec<(String, String)>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select r.slug, v.content
                 from runs r join revisions v on v.hash = r.revision
                 where r.kind = 'issue' and r.status <> 'cancelled'
                 order by r.id desc limit $1",
            )
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            Ok(found)
        })
    }

    /// Keeps an image for the public site.
    pub async fn ensure_image(
        &self,
        hash: &str,
        media_type: &str,
        bytes: &[u8],
        at: Timestamp,
    ) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(
                "insert into images (hash, media_type, bytes, created_at) values ($1, $2, $3, $4)
                 on conflict (hash) do nothing",
            )
            .bind(hash)
            .bind(media_type)
            .bind(bytes)
            .bind(at.0)
            .execute(conn)
            .await?;
        })
    }
}
