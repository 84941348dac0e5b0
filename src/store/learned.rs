//! What direct delivery has learned of providers, hosts and domains, and their MTA-STS policies, across restarts.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::store::{Result, Store};

/// What is known of a provider, of hosts, or of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Learned {
    /// `provider`, `hosts` or `domain`.
    pub kind: String,
    pub name: String,
    /// Of a provider.
    pub connections: Option<i64>,
    pub quiet_until: Option<i64>,
    pub quiet: Option<String>,
    /// Of hosts and domains that fail.
    pub since: Option<i64>,
    pub failures: Option<i64>,
}

/// A policy as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct KeptPolicy {
    pub id: String,
    pub policy: String,
    pub until: i64,
}

const LEARN: &str = "
    insert into learned (node, relay, kind, name, connections, quiet_until, quiet, since, failures, told_at)
    select $2, $3, value->>'kind', value->>'name', cast(value->>'connections' as bigint),
        cast(value->>'quiet_until' as bigint), value->>'quiet', cast(value->>'since' as bigint),
        cast(value->>'failures' as bigint), $4
    from json_each($1) where true
    on conflict (node, relay, kind, name) do update set
        connections = excluded.connections, quiet_until = excluded.quiet_until, quiet = excluded.quiet,
        since = excluded.since, failures = excluded.failures, told_at = excluded.told_at";

const UNLEARN: &str = "
    delete from learned
    where node = $2 and relay = $3 and (kind, name) in (
        select value->>'kind', value->>'name' from json_each($1)
    )";

impl Store {
    /// Keeps what `node` has learned of `relay` anew, and forgets what is `over`.
    pub async fn learn(
        &self,
        (node, relay): (&str, &str),
        anew: &[Learned],
        over: &[Learned],
        at: Timestamp,
    ) -> Result<()> {
        let json = |rows: &[Learned]| {
            serde_json::to_string(rows).expect("numbers and texts always serialise")
        };
        transact!(self, conn => {
            if !anew.is_empty() {
                sqlx::query(self.sql(LEARN))
                    .bind(json(anew))
                    .bind(node)
                    .bind(relay)
                    .bind(at.0)
                    .execute(&mut *conn)
                    .await?;
            }
            if !over.is_empty() {
                sqlx::query(self.sql(UNLEARN))
                    .bind(json(over))
                    .bind(node)
                    .bind(relay)
                    .execute(&mut *conn)
                    .await?;
            }
        })
    }

    /// What `node` has learned of `relay`: of providers since `paces`, of failures since `failures`. The older is
    /// forgotten, and so are policies that hold no more at `now`.
    pub async fn learned(
        &self,
        (node, relay): (&str, &str),
        (paces, failures): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<Vec<Learned>> {
        transact!(self, conn => {
            sqlx::query("delete from sts_policies where until <= $1")
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
            sqlx::query(
                "delete from learned
                 where node = $1 and relay = $2
                   and told_at < case when kind = 'provider' then $3 else $4 end",
            )
            .bind(node)
            .bind(relay)
            .bind(paces.0)
            .bind(failures.0)
            .execute(&mut *conn)
            .await?;
            sqlx::query_as::<_, Learned>(
                "select kind, name, connections, quiet_until, quiet, since, failures from learned
                 where node = $1 and relay = $2",
            )
            .bind(node)
            .bind(relay)
            .fetch_all(conn)
            .await?
        })
    }

    /// The policy of `domain` that holds at `now`.
    pub async fn sts_policy(&self, domain: &str, now: Timestamp) -> Result<Option<KeptPolicy>> {
        read!(self, conn => {
            let found = sqlx::query_as::<_, KeptPolicy>(
                "select id, policy, until from sts_policies where domain = $1 and until > $2",
            )
            .bind(domain)
            .bind(now.0)
            .fetch_optional(conn)
            .await?;
            Ok(found)
        })
    }

    /// Keeps the policy of `domain` in the place of an older one.
    pub async fn keep_sts_policy(&self, domain: &str, policy: &KeptPolicy) -> Result<()> {
        transact!(self, conn => {
            sqlx::query(
                "insert into sts_policies (domain, id, policy, until) values ($1, $2, $3, $4)
                 on conflict (domain) do update
                 set id = excluded.id, policy = excluded.policy, until = excluded.until",
            )
            .bind(domain)
            .bind(policy.id.as_str())
            .bind(policy.policy.as_str())
            .bind(policy.until)
            .execute(conn)
            .await?;
        })
    }
}
