//! What was done on the author's pages and by commands: one line each, kept for whoever asks later.

use crate::clock::Timestamp;
use crate::store::{Result, Store};

/// One line. It names a run or a reader's key, never an address.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditLine {
    pub at: i64,
    /// Random: tells two lines of one moment apart.
    pub id: i64,
    /// The session it was done in; 0 is a command.
    pub session: i64,
    /// Who gave the command, as the machine calls them; empty for what was done on a page.
    pub who: String,
    pub what: String,
    pub about: String,
}

impl Store {
    /// Adds a line.
    pub async fn note_audit(&self, line: &AuditLine) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(
                "insert into admin_audit (at, id, session, who, what, about)
                 values ($1, $2, $3, $4, $5, $6)",
            )
            .bind(line.at)
            .bind(line.id)
            .bind(line.session)
            .bind(&line.who)
            .bind(&line.what)
            .bind(&line.about)
            .execute(conn)
            .await?;
        })
    }

    /// Up to `limit` lines older than the line `id` of the moment `at`, the newest first.
    pub async fn audit_lines(&self, at: Timestamp, id: i64, limit: u32) -> Result<Vec<AuditLine>> {
        read!(self, conn => {
            let lines = sqlx::query_as(
                "select at, id, session, who, what, about from admin_audit
                 where (at, id) < ($1, $2) order by at desc, id desc limit $3",
            )
            .bind(at.0)
            .bind(id)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            Ok(lines)
        })
    }
}
