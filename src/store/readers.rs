//! Readers as the author looks them up: by the beginning of an address, by a part of it or of a name, by list, status
//! and tag, and one reader's whole story.
//!
//! Promises: every look is by a key or an index, or reads a bounded number of rows; nothing is counted.

use crate::id::{DeliveryKey, ListId, SubscriberId};
use crate::store::{Result, Store};
use crate::subscriber::Status;

/// A reader in a list of them.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Found {
    pub id: i64,
    pub address: String,
    pub canonical: String,
    pub name: String,
    pub created_at: i64,
}

/// Whom the author looks for; what is empty is not asked.
#[derive(Clone, Debug, Default)]
pub struct Sought<'a> {
    /// Of an address or a name.
    pub part: &'a str,
    pub list: Option<ListId>,
    /// Of a subscription, on the list if one is named; `suppressed` of whoever would read it and is.
    pub status: &'a str,
    pub tag: &'a str,
}

/// A reader as she is kept.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Kept {
    pub id: i64,
    pub address: String,
    pub canonical: String,
    pub name: String,
    /// Declared fields as one JSON object.
    pub fields: String,
    pub created_at: i64,
    pub tracking: String,
}

/// One of her subscriptions.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Joined {
    pub key: i64,
    pub list: String,
    pub title: String,
    pub status: Status,
    pub source: String,
    pub created_at: i64,
    pub confirmed_at: Option<i64>,
    pub left_at: Option<i64>,
    /// `author` where the author took her off.
    pub left_why: Option<String>,
    pub paused_until: Option<i64>,
    pub frequency: String,
    pub reason: Option<String>,
    pub words: Option<String>,
}

/// Why somebody left.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Leaver {
    pub at: i64,
    pub reason: String,
    pub words: String,
    pub id: i64,
    pub address: String,
}

/// What she agreed to or took back.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Consent {
    pub at: i64,
    pub what: String,
    /// None is all lists.
    pub list: Option<String>,
}

/// One of her deliveries.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Got {
    pub run_id: i64,
    pub seq: i64,
    /// Title of the issue; empty for a system mail.
    pub title: String,
    /// Kind of a system mail.
    pub kind: Option<String>,
    pub state: String,
    pub attempts: i64,
    pub due_at: i64,
    pub settled_at: Option<i64>,
    pub opened_at: Option<i64>,
    pub clicked_at: Option<i64>,
    pub departed_at: Option<i64>,
    pub complained_at: Option<i64>,
    /// Who opened it and who clicked, as was judged: the name of a class.
    pub opened: Option<String>,
    pub clicked: Option<String>,
    /// 1 where its reader wants nothing counted any more since she got it; none where nothing of it was judged.
    pub withdrawn: Option<i64>,
}

/// Something that happened with one of her deliveries.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Happened {
    pub at: i64,
    pub kind: String,
    /// Of a click.
    pub link: Option<i64>,
    /// Where the link led, for a click.
    pub url: Option<String>,
    pub evidence: String,
    /// Seconds after the delivery was settled, where the evidence does not say it.
    pub after: Option<i64>,
}

/// Behind every address that begins with what stands before it: the last code point there is.
const LAST: char = '\u{10ffff}';

impl Store {
    /// Up to `limit` readers whose canonical address begins with `start`, behind `after` in its order.
    pub async fn readers_from(&self, start: &str, after: &str, limit: u32) -> Result<Vec<Found>> {
        read!(self, conn => {
            let found = sqlx::query_as(READERS_FROM)
                .bind(start)
                .bind(format!("{start}{LAST}"))
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    /// Up to `limit` of the `looked_at` readers behind the key `after` who are sought, and the key behind which to look
    /// further; none where there are no more.
    pub async fn readers_sought(
        &self,
        sought: &Sought<'_>,
        after: SubscriberId,
        looked_at: u32,
        limit: u32,
    ) -> Result<(Vec<Found>, Option<SubscriberId>)> {
        let part = sought.part;
        let pattern = |part: &str| {
            let part = part
                .replace('!', "!!")
                .replace('%', "!%")
                .replace('_', "!_");
            format!("%{part}%")
        };
        // SQLite, and PostgreSQL in the C locale, fold no letters but ASCII's: others are looked for as they were
        // typed, too, and with capitals in front, as names are written.
        let spellings = [part.to_owned(), capital(part)];
        let [typed, capital] =
            spellings.map(|spelling| (!spelling.is_ascii()).then(|| pattern(&spelling)));
        read!(self, conn => {
            let last: Option<i64> = sqlx::query_scalar(LAST_LOOKED_AT)
                .bind(after.0)
                .bind(i64::from(looked_at) - 1)
                .fetch_optional(&mut *conn)
                .await?;
            let found: Vec<Found> = sqlx::query_as(READERS_SOUGHT)
                .bind(after.0)
                .bind(last.unwrap_or(i64::MAX))
                .bind(pattern(&part.to_lowercase()))
                .bind(i64::from(limit))
                .bind(typed)
                .bind(capital)
                .bind(sought.list.map_or(0, |list| list.0))
                .bind(sought.status)
                .bind(sought.tag)
                .fetch_all(conn)
                .await?;
            let full = u32::try_from(found.len()).is_ok_and(|found| found >= limit);
            let last = match found.last() {
                Some(found) if full => Some(found.id),
                _ => last,
            };
            Ok((found, last.map(SubscriberId)))
        })
    }

    /// These readers, in the order of their keys.
    pub async fn found_readers(&self, ids: &[i64]) -> Result<Vec<Found>> {
        read!(self, conn => {
            let found = sqlx::query_as(self.sql(READERS_OF))
                .bind(serde_json::to_string(ids).expect("numbers are JSON"))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    /// On which lists these readers are, and how: reader, title of the list, status.
    pub async fn standings(&self, ids: &[i64]) -> Result<Vec<(i64, String, Status)>> {
        read!(self, conn => {
            let found = sqlx::query_as(self.sql(STANDINGS))
                .bind(serde_json::to_string(ids).expect("numbers are JSON"))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    /// The reader of this key.
    pub async fn kept_reader(&self, id: SubscriberId) -> Result<Option<Kept>> {
        read!(self, conn => {
            let found = sqlx::query_as(READER).bind(id.0).fetch_optional(conn).await?;
            Ok(found)
        })
    }

    /// Her subscriptions, in the order of the lists, with why she left.
    pub async fn joined(&self, reader: SubscriberId) -> Result<Vec<Joined>> {
        read!(self, conn => {
            let found = sqlx::query_as(JOINED).bind(reader.0).fetch_all(conn).await?;
            Ok(found)
        })
    }

    /// The newest `limit` things she agreed to or took back.
    pub async fn consents_of(&self, reader: SubscriberId, limit: u32) -> Result<Vec<Consent>> {
        read!(self, conn => {
            let found = sqlx::query_as(CONSENTS)
                .bind(reader.0)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    /// Up to `limit` of her deliveries before `before`, the newest first.
    pub async fn deliveries_of(
        &self,
        reader: SubscriberId,
        before: DeliveryKey,
        limit: u32,
    ) -> Result<Vec<Got>> {
        read!(self, conn => {
            let found = sqlx::query_as(DELIVERIES)
                .bind(reader.0)
                .bind(before.run.0)
                .bind(i64::from(before.seq))
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    /// The last `limit` readers who said why they left a list.
    pub async fn leavers(&self, list: ListId, limit: u32) -> Result<Vec<Leaver>> {
        read!(self, conn => {
            let found = sqlx::query_as(LEAVERS)
                .bind(list.0)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    /// Whether so many said why they left, of all lists, that those who left this one earlier are not looked for.
    pub async fn leavers_are_many(&self) -> Result<bool> {
        read!(self, conn => {
            let number: i64 = sqlx::query_scalar(
                "select count(*) from (select at from leave_reasons order by at desc limit 5001) as newest",
            )
            .fetch_one(conn)
            .await?;
            Ok(number > 5_000)
        })
    }

    /// The first `limit` events of one delivery, as they came.
    pub async fn events_of(&self, delivery: DeliveryKey, limit: u32) -> Result<Vec<Happened>> {
        read!(self, conn => {
            let found = sqlx::query_as(EVENTS)
                .bind(delivery.run.0)
                .bind(i64::from(delivery.seq))
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }
}

/// By time: of a list, those who said why they left it, among so many who last said so of any.
pub const LEAVERS: &str = "
    select w.at, w.reason, w.words, u.id, u.address
    from (select subscription, at, reason, words from leave_reasons order by at desc limit 5000) w
        cross join subscriptions n
        cross join subscribers u
    where n.key = w.subscription and u.id = n.subscriber_id and n.list_id = $1 and n.status = 'unsubscribed'
      and w.at >= n.left_at
    order by w.at desc limit $2";

/// The words with a capital in front of each.
fn capital(words: &str) -> String {
    let mut before = ' ';
    let letter = |c: char| {
        let begins = !before.is_alphanumeric();
        before = c;
        match begins {
            true => c.to_uppercase().collect::<String>(),
            false => c.to_lowercase().collect(),
        }
    };
    words.chars().map(letter).collect()
}

/// In the order of addresses.
pub const READERS_FROM: &str = "
    select id, address, canonical, name, created_at from subscribers
    where canonical >= $1 and canonical < $2 and canonical > $3
    order by canonical limit $4";

/// Where a look at so many readers ends.
pub const LAST_LOOKED_AT: &str = "
    select id from subscribers where id > $1 order by id limit 1 offset $2";

/// Between two keys.
pub const READERS_SOUGHT: &str = "
    select s.id, s.address, s.canonical, s.name, s.created_at from subscribers s
    where s.id > $1 and s.id <= $2 and (
        lower(s.name) like $3 escape '!'
        or lower(s.address) like $3 escape '!'
        or s.canonical like $3 escape '!'
        or s.name like cast($5 as text) escape '!'
        or s.name like cast($6 as text) escape '!'
    )
    and (($7 = 0 and $8 = '') or exists (
        select 1 from subscriptions n
        where n.subscriber_id = s.id and ($7 = 0 or n.list_id = $7) and ($8 = '' or $8 = case
            when n.status in ('confirmed', 'paused') and n.confirmed_at is not null
                and exists (select 1 from suppressions x where x.hash = s.hash) then 'suppressed'
            else n.status end)
    ))
    and ($9 = '' or exists (select 1 from tags t where t.subscriber_id = s.id and t.tag = $9))
    order by s.id limit $4";

const READERS_OF: &str = "
    select id, address, canonical, name, created_at from subscribers
    where id in (select cast(value as bigint) from json_each($1)) order by id";

const STANDINGS: &str = "
    select n.subscriber_id, l.title, n.status
    from subscriptions n join lists l on l.id = n.list_id
    where n.subscriber_id in (select cast(value as bigint) from json_each($1))
    order by n.subscriber_id, n.list_id";

/// As long as she is as she was.
pub const AMEND: &str = "
    update subscribers set name = $4, fields = $5 where id = $1 and name = $2 and fields = $3";

/// By key.
pub const READER: &str = "
    select id, address, canonical, name, fields, created_at, tracking
    from subscribers where id = $1";

/// By reader.
pub const JOINED: &str = "
    select n.key, l.slug as list, l.title, n.status, n.source, n.created_at, n.confirmed_at, n.left_at,
        n.left_why, n.paused_until, n.frequency, r.reason, r.words
    from subscriptions n
        join lists l on l.id = n.list_id
        left join leave_reasons r on r.subscription = n.key
    where n.subscriber_id = $1 order by n.list_id";

/// By reader: what she agreed to or took back here, and what was stated of her when she was imported.
pub const CONSENTS: &str = "
    select c.at, c.what, l.slug as list from consents c
        left join lists l on l.id = c.list_id
    where c.subscriber_id = $1
    union all
    select i.begun_at, 'imported from ' || i.file || ': ' || i.consent, l.slug from subscriptions n
        join imports i on i.id = n.import_id
        join lists l on l.id = n.list_id
    where n.subscriber_id = $1 and i.consent <> ''
    order by 1 desc, 2 limit $2";

/// By reader, in the order of runs.
pub const DELIVERIES: &str = "
    select d.run_id, d.seq, r.title, m.kind, d.state, d.attempts, d.due_at, d.settled_at, d.opened_at,
        d.clicked_at, d.departed_at, d.complained_at, j.opened, j.clicked, j.withdrawn
    from deliveries d
        join runs r on r.id = d.run_id
        left join judged j on j.run_id = d.run_id and j.seq = d.seq
        left join system_mails m on m.run_id = d.run_id and m.seq = d.seq
    where d.subscriber_id = $1 and (d.run_id, d.seq) < ($2, $3)
    order by d.run_id desc, d.seq desc limit $4";

/// By delivery.
pub const EVENTS: &str = "
    select e.at, e.kind, e.link, k.url, e.evidence, x.after
    from delivery_events x
        join events e on e.id = x.event_id
        join runs r on r.id = x.run_id
        left join system_mails m on m.run_id = x.run_id and m.seq = x.seq
        left join links k on k.revision = coalesce(m.revision, r.revision) and k.link = e.link
    where x.run_id = $1 and x.seq = $2 order by x.event_id limit $3";
