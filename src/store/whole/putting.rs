//! Readers as a whole, put in: the writing half of `whole`, and whom it would go on mailing.
//!
//! Promises: a reader who is here already, under this address or one that she gave up for it, and one who was erased
//! here, is left alone, with all that hangs on her.

use crate::hex::hex;
use crate::id::SubscriberId;
use crate::store::tags::PUT_TAGS;
use crate::store::whole::{
    Restored, WholeConsent, WholeFormer, WholeMove, WholeReader, WholeSubscription,
    WholeSuppression, json,
};
use crate::store::{Result, Store};

const PUT_READERS: &str = "
    insert into subscribers (id, address, canonical, hash, name, fields, created_at, tracking)
    select cast(value->>0 as bigint), value->>1, value->>2, unhex(value->>3), value->>4, value->>5,
           cast(value->>6 as bigint), value->>7
    from json_each($1)
    where not exists (
        select 1 from suppressions x where x.hash = unhex(value->>3) and x.reason = 'erased'
    ) and not exists (select 1 from former_addresses f where f.hash = unhex(value->>3))
    on conflict do nothing
    returning id";

const PUT_SUBSCRIPTIONS: &str = "
    insert into subscriptions (
        key, list_id, subscriber_id, status, source, created_at, confirmed_at, left_at, paused_until,
        frequency, import_id, joined_at, first_joined_at, returned_at, left_why, manage_key
    )
    select cast(value->>0 as bigint), l.id, cast(value->>2 as bigint), value->>3, value->>4,
           cast(value->>5 as bigint), cast(value->>6 as bigint), cast(value->>7 as bigint),
           cast(value->>8 as bigint), value->>9, cast(value->>10 as bigint),
           cast(value->>11 as bigint), cast(value->>12 as bigint), cast(value->>13 as bigint), value->>14,
           cast(value->>15 as bigint)
    from json_each($1) b join lists l on l.slug = b.value->>1
    where true
    on conflict do nothing";

const PUT_PARTINGS: &str = "
    insert into leave_reasons (subscription, at, reason, words)
    select cast(value->>0 as bigint), cast(value->>1 as bigint), value->>2, value->>3
    from json_each($1)
    where exists (select 1 from subscriptions n where n.key = cast(value->>0 as bigint))
    on conflict do nothing";

const PUT_CONSENTS: &str = "
    insert into consents (subscriber_id, at, what, list_id)
    select cast(b.value->>0 as bigint), cast(b.value->>1 as bigint), b.value->>2, coalesce(l.id, 0)
    from json_each($1) b left join lists l on l.slug = b.value->>3
    where true
    on conflict do nothing";

const PUT_FORMER: &str = "
    insert into former_addresses (hash, subscriber_id, at, key, address)
    select unhex(value->>1), cast(value->>0 as bigint), cast(value->>2 as bigint), cast(value->>3 as bigint),
           value->>4
    from json_each($1)
    where true
    on conflict do nothing";

const PUT_MOVES: &str = "
    insert into import_moves (key, import_id, what, was, paused_until, left_at)
    select cast(value->>0 as bigint), cast(value->>1 as bigint), value->>2, value->>3,
           cast(value->>4 as bigint), cast(value->>5 as bigint)
    from json_each($1)
    where exists (select 1 from subscriptions n where n.key = cast(value->>0 as bigint))
    on conflict do nothing";

impl Store {
    /// The next readers behind `after` who get mail, or would once they confirm: key, hash and address.
    pub async fn mailed_after(
        &self,
        after: SubscriberId,
        limit: u32,
    ) -> Result<Vec<(SubscriberId, Vec<u8>, String)>> {
        read!(self, conn => {
            let found: Vec<(i64, Vec<u8>, String)> = sqlx::query_as(
                "select s.id, s.hash, s.address from subscribers s
                 where s.id > $1 and exists (
                     select 1 from subscriptions n where n.subscriber_id = s.id and n.status <> 'unsubscribed'
                 ) and not exists (select 1 from suppressions x where x.hash = s.hash)
                 order by s.id limit $2",
            )
            .bind(after.0)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
            Ok(found.into_iter().map(|(id, hash, address)| (SubscriberId(id), hash, address)).collect())
        })
    }

    /// Puts suppressions in; gives how many were not there. An erasure counts whatever was known before.
    pub async fn put_suppressions(&self, batch: &[WholeSuppression]) -> Result<u64> {
        let rows: Vec<_> = batch.iter().map(|s| (&s.hash, &s.reason, s.at)).collect();
        transact!(self, conn => {
            let made = sqlx::query(self.sql(
                "insert into suppressions (hash, reason, created_at)
                 select unhex(value->>0), value->>1, cast(value->>2 as bigint) from json_each($1)
                 where true
                 on conflict (hash) do update
                 set reason = excluded.reason, created_at = excluded.created_at
                 where excluded.reason = 'erased' and suppressions.reason <> 'erased'",
            ))
            .bind(json(&rows))
            .execute(conn)
            .await?;
            made.rows_affected()
        })
    }

    /// Puts readers in who are not there and were not erased; gives how many those were.
    pub async fn put_readers(&self, batch: &[Restored]) -> Result<u64> {
        let readers: Vec<_> = batch
            .iter()
            .map(
                |Restored {
                     reader: r,
                     canonical,
                     hash,
                 }| {
                    let (hash, fields) = (hex(hash), r.fields.to_json());
                    (
                        r.id,
                        &r.address,
                        canonical,
                        hash,
                        &r.name,
                        fields,
                        r.created_at,
                        &r.tracking,
                    )
                },
            )
            .collect();
        let readers = json(&readers);
        transact!(self, conn => {
            let made: Vec<i64> = sqlx::query_scalar(self.sql(PUT_READERS))
                .bind(readers)
                .fetch_all(&mut *conn)
                .await?;
            let made: std::collections::BTreeSet<i64> = made.into_iter().collect();
            let new = batch.iter().map(|restored| &restored.reader);
            let new: Vec<&WholeReader> = new.filter(|reader| made.contains(&reader.id)).collect();
            for (statement, rows) in [
                (PUT_SUBSCRIPTIONS, subscriptions_of(&new)),
                (PUT_PARTINGS, partings_of(&new)),
                (PUT_CONSENTS, consents_of(&new)),
                (PUT_TAGS, tags_of(&new)),
                (PUT_FORMER, former_of(&new)),
                (PUT_MOVES, moves_of(&new)),
            ] {
                sqlx::query(self.sql(statement)).bind(rows).execute(&mut *conn).await?;
            }
            made.len() as u64
        })
    }
}

fn subscriptions_of(readers: &[&WholeReader]) -> String {
    let rows = readers.iter().flat_map(|reader| {
        let row = |t: &WholeSubscription| {
            serde_json::json!([
                t.key,
                t.list,
                reader.id,
                t.status,
                t.source,
                t.created_at,
                t.confirmed_at,
                t.left_at,
                t.paused_until,
                t.frequency,
                t.import,
                t.joined_at,
                t.first_joined_at,
                t.returned_at,
                t.left_why,
                t.manage_key
            ])
        };
        reader.subscriptions.iter().map(row)
    });
    json(&rows.collect::<Vec<_>>())
}

fn partings_of(readers: &[&WholeReader]) -> String {
    let all = readers.iter().flat_map(|reader| &reader.subscriptions);
    let rows = all.filter_map(|t| {
        let parting = t.parting.as_ref()?;
        Some((t.key, parting.at, &parting.reason, &parting.words))
    });
    json(&rows.collect::<Vec<_>>())
}

fn consents_of(readers: &[&WholeReader]) -> String {
    let rows = readers.iter().flat_map(|reader| {
        let row = |c: &'_ WholeConsent| (reader.id, c.at, c.what.clone(), c.list.clone());
        reader.consents.iter().map(row)
    });
    json(&rows.collect::<Vec<_>>())
}

fn tags_of(readers: &[&WholeReader]) -> String {
    let rows = readers.iter().flat_map(|reader| {
        let row = |tag: &'_ String| (reader.id, tag.clone());
        reader.tags.iter().map(row)
    });
    json(&rows.collect::<Vec<_>>())
}

fn former_of(readers: &[&WholeReader]) -> String {
    let rows = readers.iter().flat_map(|reader| {
        let row = |f: &'_ WholeFormer| (reader.id, f.hash.clone(), f.at, f.key, f.address.clone());
        reader.former.iter().map(row)
    });
    json(&rows.collect::<Vec<_>>())
}

fn moves_of(readers: &[&WholeReader]) -> String {
    let all = readers.iter().flat_map(|reader| &reader.subscriptions);
    let rows = all.flat_map(|t| {
        let row = |m: &'_ WholeMove| {
            let (what, was) = (m.what.clone(), m.was.clone());
            (t.key, m.import, what, was, m.paused_until, m.left_at)
        };
        t.moves.iter().map(row)
    });
    json(&rows.collect::<Vec<_>>())
}
