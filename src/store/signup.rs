//! Signing up: one transaction from a form to a waiting confirm mail, and one from its link to a
//! confirmed subscription.
//!
//! Promises: the same statements and one commit for every address, known or not, so that the time of an
//! answer says nothing; a form works once; nobody suppressed is mailed, and who reads already once in a month at
//! most. Leaves the limits'
//! sizes and the sending to others.

use serde::Serialize;

use crate::clock::{HOUR, Timestamp};
use crate::id::{ListId, SubscriberId, SubscriptionKey};
use crate::store::consents::note_consent;
use crate::store::events::take_event_ids;
use crate::store::leave::hold_address;
use crate::store::pressure::{MONTHLY, confirms_lately, log_confirm, note_signup};
use crate::store::signup::form::{
    READS, ask, ask_together, fill_hour, know, press_brake, use_form,
};
use crate::store::system_mail::{NewSystemMail, enqueue_system_mail};
use crate::store::{Result, Store};
use crate::subscriber::Status;

mod form;

/// Confirm mails wait at most this many hours; beyond, a signup is dropped as the flood it is.
const HOURS_AHEAD: i64 = 24;

/// A form that came back, checked and parsed.
#[derive(Clone, Debug)]
pub struct SignUp<'a> {
    /// The lists that were chosen, each with a random key for a new subscription.
    pub lists: &'a [(ListId, i64)],
    pub address: &'a str,
    pub canonical: &'a str,
    /// Keyed hash of the canonical address: the name under which it may be suppressed.
    pub hash: [u8; 32],
    /// Keyed hash of its mailbox: the name under which each spelling of it may be.
    pub mailbox: [u8; 32],
    /// Keyed hash of the folded address: what the limit counts by.
    pub limit: [u8; 32],
    /// What was typed into the other fields, the values as one JSON object.
    pub name: &'a str,
    pub fields: &'a str,
    /// What was chosen of the tags.
    pub tags: &'a [String],
    /// Random key for a new reader.
    pub subscriber: i64,
    pub nonce: i64,
    /// Nonces used before this are forgotten: their forms are too old by now.
    pub nonces_before: Timestamp,
    /// An address mailed after this is not mailed again.
    pub mailed_after: Timestamp,
    pub per_hour: u32,
    /// Revision of the compiled confirm mail.
    pub revision: &'a str,
    /// The mail to whoever is a reader already, if one is sent.
    pub known: Option<&'a str>,
    /// Keyed hash of the folded address under which such a mail is noted.
    pub reminded: [u8; 32],
    pub at: Timestamp,
}

/// What a signup came to; the answer to the reader is the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedUp {
    /// This form has been used.
    Used,
    /// A confirm mail waits to be sent.
    Mailed,
    /// Known, suppressed, mailed lately, or too many at once: no mail.
    Quiet,
}

/// What a confirm link came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// Just now, by this call.
    Now,
    /// By an earlier one.
    Already,
    /// The subscription is gone, ended since the mail, or its address is suppressed.
    No,
}

/// The confirm button of one mail was pressed.
#[derive(Clone, Debug)]
pub struct Confirm<'a> {
    pub subscription: SubscriptionKey,
    /// When the link was made; a subscription that ended after it stays ended.
    pub issued: Timestamp,
    pub at: Timestamp,
    /// Revision of the compiled welcome mail, if one is sent.
    pub welcome: Option<&'a str>,
    /// Evidence as JSON.
    pub evidence: &'a str,
}

/// The subscription of a link and those asked for with it. A link whose own subscription has ended since confirms
/// none of them.
const CONFIRM: &str = "
    update subscriptions
    set status = 'confirmed', confirmed_at = $2, joined_at = $2, left_at = null, paused_until = null, asked_with = null
    where subscriber_id = (select n.subscriber_id from subscriptions n where n.key = $1)
      and (key = $1 or asked_with = $1)
      and (status = 'pending' or (status = 'unsubscribed' and left_at < $3))
      and exists (
          select 1 from subscriptions n
          where n.key = $1 and (n.status <> 'unsubscribed' or n.left_at < $3)
      )
      and not exists (
          select 1 from suppressions x join subscribers s on s.hash = x.hash
          where s.id = subscriptions.subscriber_id
      )
    returning key, subscriber_id, list_id";

impl Store {
    /// Takes a signup: a new address becomes a pending subscriber with a confirm mail waiting, in one
    /// transaction. A reader who left keeps that status until the link in the mail is used, so that
    /// nobody is brought back by a stranger's form.
    pub async fn sign_up(&self, form: &SignUp<'_>) -> Result<SignedUp> {
        // Two may clear the same old rows away, each in its own order.
        again!(self.try_sign_up(form).await)
    }

    async fn try_sign_up(&self, form: &SignUp<'_>) -> Result<SignedUp> {
        let hour = form.at.0.div_euclid(HOUR);
        let chosen = json(form.lists);
        transact!(self, conn => {
            hold_address!(self, conn, form.hash);
            if !use_form!(conn, form) {
                return Ok(SignedUp::Used);
            }
            let slot = press_brake!(conn, form, hour);
            know!(self, conn, form);
            let waiting = ask!(self, conn, form, &chosen);
            let fresh = note_signup!(
                self, conn, form.lists.iter().map(|(list, _)| list.0), &form.limit, form.at, form.mailed_after
            );
            let leader = waiting.iter().find(|(_, _, list)| fresh.contains(list)).copied();
            sqlx::query("delete from signups where at < $1")
                .bind(form.mailed_after.0)
                .execute(&mut *conn)
                .await?;
            let mailed = confirms_lately!(conn, &form.limit, form.at);
            let wanted = i64::from(leader.is_some() && slot.is_some() && mailed < MONTHLY);
            let (key, subscriber, list) = leader.unwrap_or_default();
            // One mail for all of them: its link confirms what was asked for with it.
            let together: Vec<i64> = match wanted {
                1 => waiting.iter().map(|(key, ..)| *key).collect(),
                _ => Vec::new(),
            };
            ask_together!(self, conn, together, key);
            log_confirm!(conn, &form.limit, form.at, wanted);
            // Who reads already is told so, seldom, with the way to her own page; the same work for nobody.
            let reads: Option<(i64, i64)> = sqlx::query_as(self.sql(READS))
                .bind(&chosen)
                .bind(form.canonical)
                .fetch_optional(&mut *conn)
                .await?;
            let reminded = confirms_lately!(conn, &form.reminded, form.at);
            let known = form.known.filter(|_| wanted == 0 && slot.is_some() && reminded == 0);
            let remind = i64::from(known.is_some() && reads.is_some());
            log_confirm!(conn, &form.reminded, form.at, remind);
            let slot = slot.unwrap_or(hour);
            fill_hour!(conn, slot, wanted + remind);
            let due = if slot == hour { form.at.0 } else { slot * HOUR };
            let mail = system_mail("confirm", form.revision, subscriber, list);
            enqueue_system_mail!(conn, wanted, &mail, due);
            let (reader, list) = reads.unwrap_or_default();
            let mail = system_mail("notice", known.unwrap_or(form.revision), reader, list);
            enqueue_system_mail!(conn, remind, &mail, due);
            if wanted == 1 { SignedUp::Mailed } else { SignedUp::Quiet }
        })
    }

    /// Confirms a pending subscription, or one that had ended before the link was made.
    pub async fn confirm(&self, confirm: &Confirm<'_>) -> Result<Confirmed> {
        again!(self.try_confirm(confirm).await)
    }

    async fn try_confirm(&self, confirm: &Confirm<'_>) -> Result<Confirmed> {
        transact!(self, conn => {
            // First, as everyone does who writes events.
            let id = take_event_ids!(conn, confirm.at, 1);
            let address: Option<Vec<u8>> = sqlx::query_scalar(
                "select s.hash from subscriptions n join subscribers s on s.id = n.subscriber_id
                 where n.key = $1",
            )
            .bind(confirm.subscription.0)
            .fetch_optional(&mut *conn)
            .await?;
            if let Some(address) = address {
                hold_address!(self, conn, address);
            }
            let done: Vec<(i64, i64, i64)> = sqlx::query_as(CONFIRM)
                .bind(confirm.subscription.0)
                .bind(confirm.at.0)
                .bind(confirm.issued.0)
                .fetch_all(&mut *conn)
                .await?;
            // The link's own list, if it is among them, is the one that says welcome.
            let own = done.iter().find(|(key, ..)| *key == confirm.subscription.0);
            let Some(&(_, subscriber, list)) = own.or(done.first()) else {
                let status: Option<Status> =
                    sqlx::query_scalar("select status from subscriptions where key = $1")
                        .bind(confirm.subscription.0)
                        .fetch_optional(&mut *conn)
                        .await?;
                let already = status.is_some_and(Status::is_on);
                return Ok(if already { Confirmed::Already } else { Confirmed::No });
            };
            for &(_, subscriber, list) in &done {
                note_consent!(conn, subscriber, list, "confirm", confirm.at);
            }
            // Whoever confirms an address has it, and not the reader who gave it up.
            sqlx::query(
                "delete from former_addresses
                 where hash = (select s.hash from subscribers s where s.id = $1)",
            )
            .bind(subscriber)
            .execute(&mut *conn)
            .await?;
            sqlx::query("insert into events (id, at, kind, evidence) values ($1, $2, 'confirm', $3)")
                .bind(id)
                .bind(confirm.at.0)
                .bind(confirm.evidence)
                .execute(&mut *conn)
                .await?;
            if let Some(revision) = confirm.welcome {
                let mail = system_mail("welcome", revision, subscriber, list);
                enqueue_system_mail!(conn, 1, &mail, confirm.at.0);
            }
            Confirmed::Now
        })
    }

    /// Those of the lists `slugs` that are there, in the order of `slugs`: id, slug and title.
    pub async fn offered_lists(&self, slugs: &[&str]) -> Result<Vec<(ListId, String, String)>> {
        let mut found: Vec<(i64, String, String)> = read!(self, conn => {
            sqlx::query_as(self.sql(
                "select id, slug, title from lists
                 where slug in (select value->>0 from json_each($1))",
            ))
            .bind(json(&slugs.iter().map(|slug| [slug]).collect::<Vec<_>>()))
            .fetch_all(conn)
            .await?
        });
        found.sort_by_key(|(_, slug, _)| slugs.iter().position(|known| known == slug));
        let list = |(id, slug, title)| (ListId(id), slug, title);
        Ok(found.into_iter().map(list).collect())
    }

    /// The lists that were confirmed together with the subscription of the link, that one first.
    pub async fn confirmed_titles(&self, key: SubscriptionKey) -> Result<Vec<String>> {
        read!(self, conn => {
            let titles = sqlx::query_scalar(
                "select l.title from subscriptions o
                 join subscriptions n on n.subscriber_id = o.subscriber_id
                      and n.confirmed_at = o.confirmed_at and n.status in ('confirmed', 'paused')
                 join lists l on l.id = n.list_id
                 where o.key = $1
                 order by case when n.key = $1 then 0 else 1 end, l.id",
            )
            .bind(key.0)
            .fetch_all(conn)
            .await?;
            Ok(titles)
        })
    }

    /// Titles of the lists that the confirm link of `key` confirms, its own first.
    pub async fn asked_titles(&self, key: SubscriptionKey) -> Result<Vec<String>> {
        read!(self, conn => {
            let titles = sqlx::query_scalar(
                "select l.title from subscriptions n join lists l on l.id = n.list_id
                 where n.subscriber_id = (select subscriber_id from subscriptions where key = $1)
                   and (n.key = $1 or (n.asked_with = $1 and n.status in ('pending', 'unsubscribed')))
                 order by case when n.key = $1 then 0 else 1 end, l.id",
            )
            .bind(key.0)
            .fetch_all(conn)
            .await?;
            Ok(titles)
        })
    }
}

fn json<T: Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).expect("text and numbers are JSON")
}

/// The first hour from `now` on that has room for one more confirm mail.
pub(crate) fn free_hour(taken: &[(i64, i64)], now: i64, per_hour: u32) -> Option<i64> {
    (now..now + HOURS_AHEAD).find(|hour| {
        let mails = taken.iter().find(|(taken, _)| taken == hour);
        mails.map_or(0, |&(_, mails)| mails) < i64::from(per_hour)
    })
}

fn system_mail<'a>(
    kind: &'a str,
    revision: &'a str,
    subscriber: i64,
    list: i64,
) -> NewSystemMail<'a> {
    NewSystemMail {
        kind,
        revision,
        subscriber: SubscriberId(subscriber),
        address: None,
        list: Some(ListId(list)),
        data: "{}",
    }
}

#[cfg(test)]
mod tests {
    use super::free_hour;

    #[test]
    fn a_full_hour_passes_confirm_mails_to_the_next_and_a_full_day_to_nobody() {
        assert_eq!(free_hour(&[], 10, 2), Some(10));
        assert_eq!(free_hour(&[(10, 2), (11, 1)], 10, 2), Some(11));
        let full: Vec<_> = (10..34).map(|hour| (hour, 2)).collect();
        assert_eq!(free_hour(&full, 10, 2), None);
        assert_eq!(free_hour(&[], 10, 0), None);
    }
}
