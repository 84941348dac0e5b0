//! The author's account: password, second factor, links that log in once, sessions, and tries that failed.
//!
//! Promises: a new password ends every session and every link in its own transaction; a link and a code
//! are used up by whoever comes first. Leaves what is long enough, old enough or too often to `access`.

use crate::clock::Timestamp;
use crate::store::{Result, Store};

/// What a login is held against.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Account {
    /// argon2id as a PHC string; none until one is set.
    pub password: Option<String>,
    /// What the keyring makes the second factor's secret of; none while it is off.
    pub totp_salt: Option<String>,
}

/// A browser that is logged in.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Session {
    pub id: i64,
    /// `password` or `link`.
    pub way: String,
    pub begun_at: i64,
    pub seen_at: i64,
    /// The browser as it names itself.
    pub agent: String,
}

/// Tries that failed lately: of one network and of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Tries {
    pub own: i64,
    pub own_last: i64,
    pub all: i64,
    pub all_last: i64,
}

const END_ALL: &str = "delete from admin_sessions where id <> $1";

impl Store {
    /// The account as it stands.
    pub async fn admin_account(&self) -> Result<Account> {
        read!(self, conn => {
            let account = sqlx::query_as("select password, totp_salt from admin_account where id = 1")
                .fetch_one(conn)
                .await?;
            Ok(account)
        })
    }

    /// Puts a password (a PHC string) in place of the one before. Every session and link ends with it, and
    /// tries at the old one are forgotten. Gives how many sessions there were.
    pub async fn set_admin_password(&self, password: &str) -> Result<u64> {
        transact!(self, conn => {
            sqlx::query("update admin_account set password = $1 where id = 1")
                .bind(password)
                .execute(&mut *conn)
                .await?;
            sqlx::query("delete from admin_links").execute(&mut *conn).await?;
            sqlx::query("delete from admin_attempts").execute(&mut *conn).await?;
            sqlx::query(END_ALL).bind(0_i64).execute(&mut *conn).await?.rows_affected()
        })
    }

    /// Turns the second factor on with this salt, the codes up to `step` being used up, or off, and ends every session:
    /// whoever came in before by less than is asked from now on, or by a code that was lost, comes in anew.
    pub async fn set_admin_totp(&self, salt: Option<&str>, step: i64) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("update admin_account set totp_salt = $1, totp_step = $2 where id = 1")
                .bind(salt)
                .bind(step)
                .execute(&mut *conn)
                .await?;
            sqlx::query(END_ALL).bind(0_i64).execute(conn).await?;
        })
    }

    /// Uses up the code of `step`; false when that or a later one was used before.
    pub async fn use_totp_step(&self, step: i64) -> Result<bool> {
        transact!(self, conn => {
            sqlx::query("update admin_account set totp_step = $1 where id = 1 and totp_step < $1")
                .bind(step)
                .execute(conn)
                .await?
                .rows_affected() == 1
        })
    }

    /// Keeps a link that logs in once, until `until`; those that are over at `now` go.
    pub async fn add_login_link(
        &self,
        hash: &[u8],
        until: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("delete from admin_links where until <= $1")
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
            sqlx::query("insert into admin_links (hash, until) values ($1, $2)")
                .bind(hash)
                .bind(until.0)
                .execute(conn)
                .await?;
        })
    }

    /// Uses a link up; false when there is no such link, or it is over at `now`.
    pub async fn use_login_link(&self, hash: &[u8], now: Timestamp) -> Result<bool> {
        transact!(self, conn => {
            let until: Option<i64> =
                sqlx::query_scalar("delete from admin_links where hash = $1 returning until")
                    .bind(hash)
                    .fetch_optional(conn)
                    .await?;
            until.is_some_and(|until| until > now.0)
        })
    }

    /// Begins a session under the hash of its cookie. Those begun or seen before the two bounds are over
    /// and go.
    pub async fn begin_session(
        &self,
        hash: &[u8],
        session: &Session,
        begun_after: Timestamp,
        seen_after: Timestamp,
    ) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("delete from admin_sessions where begun_at <= $1 or seen_at <= $2")
                .bind(begun_after.0)
                .bind(seen_after.0)
                .execute(&mut *conn)
                .await?;
            sqlx::query(
                "insert into admin_sessions (id, hash, way, begun_at, seen_at, agent)
                 values ($1, $2, $3, $4, $5, $6)",
            )
            .bind(session.id)
            .bind(hash)
            .bind(&session.way)
            .bind(session.begun_at)
            .bind(session.seen_at)
            .bind(&session.agent)
            .execute(conn)
            .await?;
        })
    }

    /// The session of this cookie's hash, begun and seen after the two bounds.
    pub async fn session(
        &self,
        hash: &[u8],
        begun_after: Timestamp,
        seen_after: Timestamp,
    ) -> Result<Option<Session>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select id, way, begun_at, seen_at, agent from admin_sessions
                 where hash = $1 and begun_at > $2 and seen_at > $3",
            )
            .bind(hash)
            .bind(begun_after.0)
            .bind(seen_after.0)
            .fetch_optional(conn)
            .await?;
            Ok(found)
        })
    }

    /// Every session begun and seen after the two bounds, the last seen first.
    pub async fn sessions(
        &self,
        begun_after: Timestamp,
        seen_after: Timestamp,
    ) -> Result<Vec<Session>> {
        read!(self, conn => {
            let found = sqlx::query_as(
                "select id, way, begun_at, seen_at, agent from admin_sessions
                 where begun_at > $1 and seen_at > $2 order by seen_at desc, id limit 200",
            )
            .bind(begun_after.0)
            .bind(seen_after.0)
            .fetch_all(conn)
            .await?;
            Ok(found)
        })
    }

    /// Notes that a session was seen at `at`.
    pub async fn touch_session(&self, id: i64, at: Timestamp) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("update admin_sessions set seen_at = $2 where id = $1 and seen_at < $2")
                .bind(id)
                .bind(at.0)
                .execute(conn)
                .await?;
        })
    }

    /// Ends one session; false when there was none.
    pub async fn end_session(&self, id: i64) -> Result<bool> {
        transact!(self, conn => {
            sqlx::query("delete from admin_sessions where id = $1")
                .bind(id)
                .execute(conn)
                .await?
                .rows_affected() == 1
        })
    }

    /// Ends every session but `kept` (0 keeps none); gives how many.
    pub async fn end_sessions(&self, kept: i64) -> Result<u64> {
        transact!(self, conn => {
            sqlx::query(END_ALL).bind(kept).execute(conn).await?.rows_affected()
        })
    }

    /// Notes a try as failed before it is judged, so that no number of tries at one time slips through, and
    /// gives what failed before it since `since`; what is older goes.
    pub async fn note_try(
        &self,
        id: i64,
        network: &[u8],
        since: Timestamp,
        at: Timestamp,
    ) -> Result<Tries> {
        transact!(self, conn => {
            // Written unchanged: whoever tries at the same time waits here, and then sees this one.
            sqlx::query("update admin_account set totp_step = totp_step where id = 1")
                .execute(&mut *conn)
                .await?;
            sqlx::query("delete from admin_attempts where at <= $1")
                .bind(since.0)
                .execute(&mut *conn)
                .await?;
            sqlx::query("insert into admin_attempts (id, at, network) values ($1, $2, $3)")
                .bind(id)
                .bind(at.0)
                .bind(network)
                .execute(&mut *conn)
                .await?;
            sqlx::query_as(
                "select count(case when network = $2 then 1 end) as own,
                     coalesce(max(case when network = $2 then at end), 0) as own_last,
                     count(*) as \"all\", coalesce(max(at), 0) as all_last
                 from admin_attempts where id <> $1",
            )
            .bind(id)
            .bind(network)
            .fetch_one(conn)
            .await?
        })
    }

    /// Takes one try back that was not judged.
    pub async fn forget_try(&self, id: i64) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("delete from admin_attempts where id = $1").bind(id).execute(conn).await?;
        })
    }

    /// Forgets the tries of a network that has got in.
    pub async fn forget_tries(&self, network: &[u8]) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("delete from admin_attempts where network = $1")
                .bind(network)
                .execute(conn)
                .await?;
        })
    }
}
