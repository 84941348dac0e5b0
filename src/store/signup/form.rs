//! A form that came back, in the parts of its transaction.
//!
//! Promises: each part does the same work for an address of which nothing is known, or which is suppressed, as for a
//! reader's.

/// Hours that are remembered: the present one is held against the mean of a week.
pub(super) const HOURS_KEPT: i64 = 170;

/// Nobody suppressed becomes a reader: id, address, canonical form, hash, time, and the hash of the mailbox.
pub(super) const BECOME: &str = "
    insert into subscribers (id, address, canonical, hash, name, fields, created_at)
    select $1, $2, $3, $4, '', '{}', $5
    where not exists (select 1 from suppressions where hash = $4)
      and not exists (select 1 from suppressions where hash = $6 and reason <> 'bounced')
      and not exists (select 1 from suppressions where mailbox = $6 and reason <> 'bounced')
    on conflict do nothing";

/// What was typed belongs to a reader only as long as nobody but this form knows her: a stranger changes nothing of
/// a reader's.
pub(super) const FILL_IN: &str = "
    update subscribers
    set name = case when $2 = '' then name else $2 end,
        fields = case when $3 = '{}' then fields else $3 end
    where canonical = $1 and not exists (
        select 1 from subscriptions n
        where n.subscriber_id = subscribers.id and (n.source <> 'form' or n.confirmed_at is not null)
    )
    returning id";

/// The last word counts, of tags as of fields.
pub(super) const DROP_TAGS: &str = "delete from tags where subscriber_id = $1";

pub(super) const ASK: &str = "
    insert into subscriptions (key, list_id, subscriber_id, status, source, created_at)
    select cast(b.value->>1 as bigint), cast(b.value->>0 as bigint), s.id, 'pending', 'form', $2
    from json_each($1) b join subscribers s on s.canonical = $3
    where not exists (select 1 from suppressions x where x.hash = s.hash)
    on conflict do nothing";

/// Key, reader and list of what waits to be confirmed, in the order of the lists.
pub(super) const WAITING: &str = "
    select n.key, n.subscriber_id, n.list_id from subscribers s
    join subscriptions n on n.subscriber_id = s.id
    where s.canonical = $2 and n.status in ('pending', 'unsubscribed')
      and n.list_id in (select cast(value->>0 as bigint) from json_each($1))
      and not exists (select 1 from suppressions x where x.hash = s.hash)
    order by n.list_id";

/// A reader of one of the lists, and of which.
pub(super) const READS: &str = "
    select n.subscriber_id, n.list_id from subscribers s
    join subscriptions n on n.subscriber_id = s.id
    where s.canonical = $2 and n.status in ('confirmed', 'paused')
      and n.list_id in (select cast(value->>0 as bigint) from json_each($1))
      and not exists (select 1 from suppressions x where x.hash = s.hash)
    order by n.list_id limit 1";

/// Uses a form, which works once: `use_form!(conn, form)` is false where it was used before.
macro_rules! use_form {
    ($conn:expr, $form:expr) => {{
        let fresh = sqlx::query(
            "insert into form_nonces (nonce, used_at) values ($1, $2)
             on conflict (nonce) do nothing",
        )
        .bind($form.nonce)
        .bind($form.at.0)
        .execute(&mut *$conn)
        .await?
        .rows_affected();
        if fresh > 0 {
            sqlx::query("delete from form_nonces where used_at < $1")
                .bind($form.nonces_before.0)
                .execute(&mut *$conn)
                .await?;
        }
        fresh > 0
    }};
}
pub(super) use use_form;

/// Counts a form of `hour`, and gives the first hour from it on that has room for a confirm mail, if any has:
/// `press_brake!(conn, form, hour)`.
macro_rules! press_brake {
    ($conn:expr, $form:expr, $hour:expr) => {{
        sqlx::query("delete from confirm_hours where hour < $1")
            .bind($hour - $crate::store::signup::form::HOURS_KEPT)
            .execute(&mut *$conn)
            .await?;
        // Invariant: every form presses the brake, whoever's address it holds. The row is locked by that, so that
        // signups on several nodes are counted one after the other.
        sqlx::query(
            "insert into confirm_hours (hour, mails, forms) values ($1, 0, 1)
             on conflict (hour) do update set forms = confirm_hours.forms + 1",
        )
        .bind($hour)
        .execute(&mut *$conn)
        .await?;
        let hours: Vec<(i64, i64)> =
            sqlx::query_as("select hour, mails from confirm_hours where hour >= $1")
                .bind($hour)
                .fetch_all(&mut *$conn)
                .await?;
        $crate::store::signup::free_hour(&hours, $hour, $form.per_hour)
    }};
}
pub(super) use press_brake;

/// Makes a reader of whoever is none yet, and notes what was typed if nobody but the form knows her:
/// `know!(self, conn, form)`.
macro_rules! know {
    ($store:expr, $conn:expr, $form:expr) => {{
        use $crate::store::signup::form::{BECOME, DROP_TAGS, FILL_IN};
        sqlx::query(BECOME)
            .bind($form.subscriber)
            .bind($form.address)
            .bind($form.canonical)
            .bind(&$form.hash[..])
            .bind($form.at.0)
            .bind(&$form.mailbox[..])
            .execute(&mut *$conn)
            .await?;
        let typed_for: Option<i64> = sqlx::query_scalar(FILL_IN)
            .bind($form.canonical)
            .bind($form.name)
            .bind($form.fields)
            .fetch_optional(&mut *$conn)
            .await?;
        // The same work for nobody.
        let typed_for = typed_for.unwrap_or_default();
        sqlx::query(DROP_TAGS)
            .bind(typed_for)
            .execute(&mut *$conn)
            .await?;
        let tags = $form.tags.iter().filter(|_| typed_for != 0);
        let tags: Vec<(i64, &String)> = tags.map(|tag| (typed_for, tag)).collect();
        sqlx::query($store.sql($crate::store::tags::PUT_TAGS))
            .bind(json(&tags))
            .execute(&mut *$conn)
            .await?;
    }};
}
pub(super) use know;

/// Asks for the `chosen` lists, and gives key, reader and list of what waits to be confirmed:
/// `ask!(self, conn, form, chosen)`.
macro_rules! ask {
    ($store:expr, $conn:expr, $form:expr, $chosen:expr) => {{
        use $crate::store::signup::form::{ASK, WAITING};
        sqlx::query($store.sql(ASK))
            .bind($chosen)
            .bind($form.at.0)
            .bind($form.canonical)
            .execute(&mut *$conn)
            .await?;
        let waiting: Vec<(i64, i64, i64)> = sqlx::query_as($store.sql(WAITING))
            .bind($chosen)
            .bind($form.canonical)
            .fetch_all(&mut *$conn)
            .await?;
        waiting
    }};
}
pub(super) use ask;

/// The link of `key` confirms the subscriptions `together`, too: `ask_together!(self, conn, together, key)`.
macro_rules! ask_together {
    ($store:expr, $conn:expr, $together:expr, $key:expr) => {
        sqlx::query($store.sql(
            "update subscriptions set asked_with = case when key = $2 then null else $2 end
             where key in (select cast(value as bigint) from json_each($1))",
        ))
        .bind(json(&$together))
        .bind($key)
        .execute(&mut *$conn)
        .await?
    };
}
pub(super) use ask_together;

/// Counts mails that are sent in an hour: `fill_hour!(conn, hour, mails)`.
macro_rules! fill_hour {
    ($conn:expr, $hour:expr, $mails:expr) => {
        sqlx::query(
            "insert into confirm_hours (hour, mails) values ($1, $2)
             on conflict (hour) do update set mails = confirm_hours.mails + excluded.mails",
        )
        .bind($hour)
        .bind($mails)
        .execute(&mut *$conn)
        .await?
    };
}
pub(super) use fill_hour;
