//! Other spellings of one mailbox: whether who has it left, or is not to be mailed, under another than the one at hand.
//!
//! Promises: what is told is of the mailbox that [`EmailAddress::mailbox`](crate::address::EmailAddress::mailbox) names;
//! readers stay who they are, each under her own address. A bounce is of the address that bounced.

use crate::clock::Timestamp;
use crate::hex::hex;
use crate::id::ListId;
use crate::store::import::{Known, Wanted};
use crate::store::{Result, Store};

/// The mailbox of the reader `o`, as the index on it has it.
macro_rules! mailbox {
    () => {
        "(case when substr(o.canonical, instr(o.canonical, '@')) in ('@gmail.com', '@googlemail.com')
        then replace(substr(o.canonical, 1,
            case when instr(o.canonical, '+') between 2 and instr(o.canonical, '@') then instr(o.canonical, '+')
                else instr(o.canonical, '@') end - 1), '.', '') || '@gmail.com'
        else substr(o.canonical, 1,
            case when instr(o.canonical, '+') between 2 and instr(o.canonical, '@') then instr(o.canonical, '+')
                else instr(o.canonical, '@') end - 1) || substr(o.canonical, instr(o.canonical, '@'))
    end)"
    };
}

/// Whether any address stands in the database that is not the plainest spelling of its mailbox. The first in an order
/// that only the indexes have: PostgreSQL takes any row for one that fits, and would go through all when none does.
pub const ANY_SPELLED: &str = concat!(
    "select cast(case when (
             select 1 from suppressions where mailbox is not null order by mailbox limit 1
         ) is not null or (
             select 1 from subscribers o where ",
    mailbox!(),
    " <> o.canonical order by ",
    mailbox!(),
    " limit 1
         ) is not null then 1 else 0 end as bigint)"
);

/// Of addresses (position, mailbox and its hash): whether the mailbox is refused, and whether its reader left the list.
pub const SPELLED: &str = concat!(
    "select cast(b.value->>0 as bigint),
         cast(case when exists (
             select 1 from suppressions x where x.hash = unhex(b.value->>2) and x.reason <> 'bounced'
         ) or exists (
             select 1 from suppressions x where x.mailbox = unhex(b.value->>2) and x.reason <> 'bounced'
         ) then 1 else 0 end as bigint),
         cast(case when exists (
             select 1 from subscribers o join subscriptions t on t.subscriber_id = o.id and t.list_id = $2
             where o.canonical = b.value->>1 and t.status = 'unsubscribed'
         ) or exists (
             select 1 from subscribers o join subscriptions t on t.subscriber_id = o.id and t.list_id = $2
             where ",
    mailbox!(),
    " <> o.canonical and ",
    mailbox!(),
    " = b.value->>1 and t.status = 'unsubscribed'
         ) then 1 else 0 end as bigint)
     from json_each($1) b"
);

/// Whose mailbox it is and left the list, under whichever spelling.
pub const LEFT: &str = concat!(
    "select o.address, o.canonical, t.left_why
     from subscribers o join subscriptions t on t.subscriber_id = o.id and t.list_id = $2
     where o.canonical = $1 and t.status = 'unsubscribed'
     union all
     select o.address, o.canonical, t.left_why
     from subscribers o join subscriptions t on t.subscriber_id = o.id and t.list_id = $2
     where ",
    mailbox!(),
    " <> o.canonical and ",
    mailbox!(),
    " = $1 and t.status = 'unsubscribed'"
);

/// The addresses of readers that refuse their mailbox under every spelling.
pub const REFUSING: &str = concat!(
    "select o.address from subscribers o join suppressions x on x.hash = o.hash
     where o.canonical = $1 and x.reason <> 'bounced'
     union all
     select o.address from subscribers o join suppressions x on x.hash = o.hash
     where ",
    mailbox!(),
    " <> o.canonical and ",
    mailbox!(),
    " = $1 and x.mailbox is not null and x.reason <> 'bounced'"
);

/// A reader who left a list, under one spelling of her mailbox.
#[derive(Clone, Debug)]
pub struct Left {
    pub address: String,
    pub canonical: String,
    /// Taken off by the author's hand, and not by her own act.
    pub by_author: bool,
}

/// Puts down addresses of an import: hash, reason, and the hash of the mailbox where it is another one. What is said of a
/// person goes over a bounce, which is of the address alone.
pub(super) const SUPPRESSIONS: &str = "
    insert into suppressions (hash, reason, created_at, mailbox)
    select unhex(value->>0), value->>1, $2, unhex(value->>2) from json_each($1)
    where true
    on conflict (hash) do update set reason = excluded.reason, mailbox = excluded.mailbox
    where suppressions.reason = 'bounced' and excluded.reason <> 'bounced'";

/// Allows a mailbox (its hash, and itself) again, but for the addresses of readers who are here: each of them is allowed
/// by itself, for the days of her lists.
const ALLOW: &str = concat!(
    "delete from suppressions
     where (hash = $1 or mailbox = $1) and reason <> 'bounced' and hash not in (
         select o.hash from subscribers o where o.canonical = $2
         union all
         select o.hash from subscribers o where ",
    mailbox!(),
    " <> o.canonical and ",
    mailbox!(),
    " = $2
     )"
);

/// Adds to what is known of a batch what is known of its mailboxes under other spellings.
macro_rules! add_spelled {
    ($store:expr, $conn:expr, $list:expr, $batch:expr, $known:expr) => {{
        let any: i64 = sqlx::query_scalar($store.sql($crate::store::spellings::ANY_SPELLED))
            .fetch_one(&mut *$conn)
            .await?;
        if let Some(asked) = $crate::store::spellings::asked($batch, any != 0) {
            let found: Vec<(i64, i64, i64)> =
                sqlx::query_as($store.sql($crate::store::spellings::SPELLED))
                    .bind(asked)
                    .bind($list.0)
                    .fetch_all(&mut *$conn)
                    .await?;
            $crate::store::spellings::add(&mut $known, found);
        }
    }};
}
pub(crate) use add_spelled;

/// The addresses of `batch` whose mailbox may have another spelling here, as [`SPELLED`] takes them: all, if `any` other
/// spelling is here; none for nobody.
pub(crate) fn asked(batch: &[Wanted], any: bool) -> Option<String> {
    let rows = batch.iter().enumerate();
    let rows = rows.filter_map(|(position, wanted)| {
        let (mailbox, hash) = match &wanted.mailbox {
            Some((mailbox, hash)) => (mailbox, hash),
            None if any => (&wanted.canonical, &wanted.hash),
            None => return None,
        };
        Some((position, mailbox, hex(hash)))
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty()).then(|| serde_json::to_string(&rows).expect("text and numbers are JSON"))
}

pub(crate) fn add(known: &mut Vec<Known>, found: Vec<(i64, i64, i64)>) {
    for (position, refused, left) in found {
        if refused == 0 && left == 0 {
            continue;
        }
        let position =
            usize::try_from(position).expect("the statement gives back what it was given");
        let place = known.iter().position(|known| known.position == position);
        let place = place.unwrap_or_else(|| {
            known.push(Known::nobody(position));
            known.len() - 1
        });
        known[place].refused |= refused != 0;
        known[place].left |= left != 0;
    }
}

impl Store {
    /// Why and since when a spelling of this mailbox is refused.
    pub async fn suppression_of_mailbox(
        &self,
        mailbox: &[u8; 32],
    ) -> Result<Option<(String, Timestamp)>> {
        read!(self, conn => {
            let found: Option<(String, i64)> = sqlx::query_as(
                "select reason, created_at from suppressions
                 where (hash = $1 or mailbox = $1) and reason <> 'bounced'
                 order by created_at limit 1",
            )
            .bind(&mailbox[..])
            .fetch_optional(conn)
            .await?;
            Ok(found.map(|(reason, at)| (reason, Timestamp(at))))
        })
    }

    /// The readers who have this mailbox and left the list.
    pub async fn left(&self, list: ListId, mailbox: &str) -> Result<Vec<Left>> {
        read!(self, conn => {
            let found: Vec<(String, String, Option<String>)> = sqlx::query_as(self.sql(LEFT))
                .bind(mailbox)
                .bind(list.0)
                .fetch_all(conn)
                .await?;
            let left = |(address, canonical, why): (String, String, Option<String>)| Left {
                address,
                canonical,
                by_author: why.as_deref() == Some("author"),
            };
            Ok(found.into_iter().map(left).collect())
        })
    }

    /// The addresses of readers by which this mailbox is refused under every spelling.
    pub async fn refusing(&self, mailbox: &str) -> Result<Vec<String>> {
        read!(self, conn => {
            let found = sqlx::query_scalar(self.sql(REFUSING))
                .bind(mailbox)
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    /// Allows mail to a mailbox again whose spellings are nobody's here; false when none of them was refused.
    pub async fn allow_mailbox(&self, mailbox: &str, hash: &[u8; 32]) -> Result<bool> {
        transact!(self, conn => {
            let gone = sqlx::query(self.sql(ALLOW))
            .bind(&hash[..])
            .bind(mailbox)
            .execute(conn)
            .await?;
            gone.rows_affected() > 0
        })
    }
}
