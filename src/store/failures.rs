//! Why deliveries failed: the newest failure of each, and everything known of one delivery.
//!
//! Promises: a failure is kept in the transaction of the outcome it explains.

use std::collections::HashMap;

use serde::Serialize;

use crate::delivery::Settled;
use crate::id::{DeliveryKey, RunId};
use crate::reply::Stage;
use crate::store::{Result, Store};

/// Octets of a transcript that are kept.
const DIALOGUE: usize = 4096;

/// What both ends said of an erased reader names her (her deliveries belong to numbers below 0); its class may stay.
pub(crate) const KEEP: &str = "
    insert into failures (run_id, seq, at, stage, reason, dialogue)
    select cast(f.value->>'run' as bigint), cast(f.value->>'seq' as bigint),
        cast(f.value->>'at' as bigint), f.value->>'stage', f.value->>'reason',
        case when d.subscriber_id < 0 then '' else f.value->>'dialogue' end
    from json_each($1) as f
        join deliveries d on d.run_id = cast(f.value->>'run' as bigint)
            and d.seq = cast(f.value->>'seq' as bigint)
    where true
    on conflict (run_id, seq) do update
    set at = excluded.at, stage = excluded.stage, reason = excluded.reason,
        dialogue = excluded.dialogue";

#[derive(Serialize)]
struct FailureRow<'a> {
    run: i64,
    seq: u32,
    at: i64,
    stage: Option<&'static str>,
    reason: &'static str,
    dialogue: &'a str,
}

/// The failures of a batch for [`KEEP`], one for each delivery; none when nothing failed.
pub(crate) fn batch(settled: &[Settled]) -> Option<String> {
    let mut newest: HashMap<DeliveryKey, FailureRow<'_>> = HashMap::new();
    for one in settled {
        let Some(failure) = &one.failure else {
            continue;
        };
        let end = failure.dialogue.floor_char_boundary(DIALOGUE);
        let row = FailureRow {
            run: one.key.run.0,
            seq: one.key.seq,
            at: one.at.0,
            stage: failure.stage.map(Stage::word),
            reason: failure.reason.name(),
            dialogue: &failure.dialogue[..end],
        };
        newest.insert(one.key, row);
    }
    let rows: Vec<_> = newest.into_values().collect();
    let text = || serde_json::to_string(&rows).expect("numbers and strings always serialise");
    (!rows.is_empty()).then(text)
}

/// Everything the store knows of one delivery.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Dossier {
    pub seq: i64,
    pub subscriber_id: i64,
    pub address: Option<String>,
    pub state: String,
    pub attempts: i64,
    pub due_at: i64,
    pub marked_at: Option<i64>,
    pub settled_at: Option<i64>,
    pub code: Option<i64>,
    pub enhanced: Option<String>,
    pub reply: Option<String>,
    pub opened_at: Option<i64>,
    pub clicked_at: Option<i64>,
    pub departed_at: Option<i64>,
    pub complained_at: Option<i64>,
    /// Who opened it and who clicked, as was judged: the name of a class.
    pub opened: Option<String>,
    pub clicked: Option<String>,
    /// 1 where its reader wants nothing counted any more since she got it; none where nothing of it was judged.
    pub withdrawn: Option<i64>,
    pub failed_at: Option<i64>,
    pub stage: Option<String>,
    pub reason: Option<String>,
    pub dialogue: Option<String>,
}

const DOSSIER: &str = "
    select d.seq, d.subscriber_id, coalesce(m.address, u.address) as address, d.state, d.attempts,
        d.due_at, d.marked_at, d.settled_at, d.code, d.enhanced, d.reply, d.opened_at, d.clicked_at,
        d.departed_at, d.complained_at, j.opened, j.clicked, j.withdrawn, f.at as failed_at, f.stage, f.reason,
        f.dialogue
    from deliveries d
        left join subscribers u on u.id = d.subscriber_id
        left join system_mails m on m.run_id = d.run_id and m.seq = d.seq
        left join judged j on j.run_id = d.run_id and j.seq = d.seq
        left join failures f on f.run_id = d.run_id and f.seq = d.seq";

impl Store {
    /// The delivery number `seq` of `run`.
    pub async fn delivery(&self, run: RunId, seq: u32) -> Result<Option<Dossier>> {
        let text = format!("{DOSSIER} where d.run_id = $1 and d.seq = $2");
        read!(self, conn => {
            let found = sqlx::query_as::<_, Dossier>(sqlx::AssertSqlSafe(text))
                .bind(run.0)
                .bind(i64::from(seq))
                .fetch_optional(conn)
                .await?;
            Ok(found)
        })
    }

    /// The delivery of `run` to the reader whose address has this canonical form.
    pub async fn delivery_to(&self, run: RunId, canonical: &str) -> Result<Option<Dossier>> {
        let text = format!(
            "{DOSSIER} where d.run_id = $1
                 and d.subscriber_id = (select id from subscribers where canonical = $2)"
        );
        read!(self, conn => {
            let found = sqlx::query_as::<_, Dossier>(sqlx::AssertSqlSafe(text))
                .bind(run.0)
                .bind(canonical)
                .fetch_optional(conn)
                .await?;
            Ok(found)
        })
    }
}
