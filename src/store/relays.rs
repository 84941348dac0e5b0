//! How each node finds its relays, for whoever asks.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::store::{Result, Store};

/// One relay as one node finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct RelayState {
    pub relay: String,
    /// `works`, `broken` or `full`.
    pub state: String,
    pub since: i64,
    /// Of one that works, for whom it does not.
    pub why: Option<String>,
    /// When it is tried, or goes on.
    pub next_at: Option<i64>,
}

/// What a sender tells of itself.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ToldSender {
    pub node: String,
    /// With what it works, once it does.
    pub setup: Option<String>,
    /// Which runs it looks after; none where it is all.
    pub charge: Option<String>,
    /// Why it can sign nothing now.
    pub unfit: Option<String>,
}

/// [`RelayState`] with who told it, and when.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub struct ToldState {
    pub node: String,
    #[sqlx(flatten)]
    #[serde(flatten)]
    pub state: RelayState,
    pub told_at: i64,
}

impl Store {
    /// Puts what `node` finds in the place of what it told before; nothing when it stops sending.
    pub async fn tell_relays(
        &self,
        node: &str,
        states: &[RelayState],
        at: Timestamp,
    ) -> Result<()> {
        let rows = serde_json::to_string(states).expect("numbers and texts always serialise");
        transact!(self, conn => {
            sqlx::query("delete from relay_states where node = $1")
                .bind(node)
                .execute(&mut *conn)
                .await?;
            sqlx::query(self.sql(
                "insert into relay_states (node, relay, state, since, why, next_at, told_at)
                 select $2, s.value->>'relay', s.value->>'state', cast(s.value->>'since' as bigint),
                     s.value->>'why', cast(s.value->>'next_at' as bigint), $3
                 from json_each($1) as s",
            ))
            .bind(rows)
            .bind(node)
            .bind(at.0)
            .execute(conn)
            .await?;
        })
    }

    /// What the sender `boot` tells of its relays' troubles, in the place of what it told before.
    pub async fn tell_trouble(&self, boot: i64, trouble: Option<&str>) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("update senders set trouble = $2 where boot = $1")
                .bind(boot)
                .bind(trouble)
                .execute(conn)
                .await?;
        })
    }

    /// What each sender whose lease holds told last of its troubles.
    pub async fn told_troubles(&self) -> Result<Vec<Option<String>>> {
        read!(self, conn => {
            let text = self.sql("select trouble from senders where until > db_now() order by node");
            Ok(sqlx::query_scalar(text).fetch_all(conn).await?)
        })
    }

    /// Notes which runs the sender `boot` looks after.
    pub async fn tell_charge(&self, boot: i64, charge: &str) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("update senders set charge = $2 where boot = $1")
                .bind(boot)
                .bind(charge)
                .execute(conn)
                .await?;
        })
    }

    /// Notes with which setup the sender `boot` works.
    pub async fn tell_setup(&self, boot: i64, setup: &str) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("update senders set setup = $2 where boot = $1")
                .bind(boot)
                .bind(setup)
                .execute(conn)
                .await?;
        })
    }

    /// Notes why the sender `boot` can sign nothing now, or that it can.
    pub async fn tell_unfit(&self, boot: i64, why: Option<&str>) -> Result<()> {
        transact!(self, conn => {
            sqlx::query("update senders set unfit = $2 where boot = $1")
                .bind(boot)
                .bind(why)
                .execute(conn)
                .await?;
        })
    }

    /// What each sender whose lease holds tells of itself, by its node.
    pub async fn told_senders(&self) -> Result<Vec<ToldSender>> {
        read!(self, conn => {
            let text = self.sql(
                "select node, setup, charge, unfit from senders where until > db_now() order by node",
            );
            Ok(sqlx::query_as(text).fetch_all(conn).await?)
        })
    }

    /// What every sender whose lease holds told last of its relays.
    pub async fn told_relays(&self) -> Result<Vec<ToldState>> {
        read!(self, conn => {
            let rows = sqlx::query_as::<_, ToldState>(self.sql(
                "select node, relay, state, since, why, next_at, told_at from relay_states
                 where node in (select s.node from senders s where s.until > db_now())
                 order by relay, node",
            ))
            .fetch_all(conn)
            .await?;
            Ok(rows)
        })
    }
}
