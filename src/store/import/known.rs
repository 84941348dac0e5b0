//! What is known of a batch: one statement for all its addresses.

use crate::clock::Timestamp;
use crate::hex::hex;
use crate::id::{SubscriberId, SubscriptionKey};
use crate::store::import::{Held, Known, Wanted, json};
use crate::subscriber::Status;
use crate::subscriber::field::Fields;

/// Position, reader's id, name and fields, whether the reader's hash is another one, subscription's key and status,
/// whether it is her own doing and since when, its import, whether suppressed, and whether it is an address she gave up.
pub(super) type KnownColumns = (
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
    Option<Status>,
    i64,
    Option<i64>,
    Option<i64>,
    i64,
    i64,
);

/// Wanted are the addresses of a batch: position, canonical form and hash.
pub(super) const KNOWN: &str = "
    select cast(b.value->>0 as bigint), s.id, s.name, s.fields,
           cast(case when n.hash <> unhex(b.value->>2) then 1 else 0 end as bigint),
           t.key, t.status,
           cast(case when t.source = 'form' or exists (
               select 1 from consents c where c.subscriber_id = s.id and c.list_id = $2 and c.what not like 'stated: %'
           ) then 1 else 0 end as bigint),
           coalesce(t.confirmed_at, t.created_at), t.import_id,
           cast(case when x.hash is null then 0 else 1 end as bigint),
           cast(case when n.id is null and f.subscriber_id is not null then 1 else 0 end as bigint)
    from json_each($1) b
    left join subscribers n on n.canonical = b.value->>1
    left join former_addresses f on f.hash = unhex(b.value->>2)
    left join subscribers s on s.id = coalesce(n.id, f.subscriber_id)
    left join subscriptions t on t.subscriber_id = s.id and t.list_id = $2
    left join suppressions x on x.hash = unhex(b.value->>2)
    where s.id is not null or x.hash is not null";

/// What is known of a batch under its addresses as they are written: `look_up!(self, conn, list, batch)`.
macro_rules! look_up {
    ($store:expr, $conn:expr, $list:expr, $batch:expr) => {{
        use $crate::store::import::known::{KNOWN, KnownColumns, known, wanted};
        let found: Vec<KnownColumns> = sqlx::query_as($store.sql(KNOWN))
            .bind(wanted($batch))
            .bind($list.0)
            .fetch_all(&mut *$conn)
            .await?;
        found.into_iter().map(known).collect()
    }};
}
pub(super) use look_up;

pub(super) fn known(columns: KnownColumns) -> Known {
    let (position, id, name, fields, foreign, key, status, own, since, import, suppressed, former) =
        columns;
    let reader = id.map(|id| {
        let fields = Fields::from_json(&fields.unwrap_or_default());
        (SubscriberId(id), name.unwrap_or_default(), fields)
    });
    let held = |(key, status): (i64, Status)| Held {
        key: SubscriptionKey(key),
        status,
        own: own != 0,
        since: Timestamp(since.unwrap_or_default()),
        import,
    };
    Known {
        position: usize::try_from(position).expect("the statement gives back what it was given"),
        reader,
        subscription: key.zip(status).map(held),
        suppressed: suppressed != 0,
        refused: false,
        foreign: foreign != 0,
        former: former != 0,
        left: false,
    }
}

pub(super) fn wanted(batch: &[Wanted]) -> String {
    let rows = batch.iter().enumerate();
    let rows = rows.map(|(position, row)| (position, &row.canonical, hex(&row.hash)));
    json(&rows.collect::<Vec<_>>())
}
