//! What the author changes of a reader who asked her to: address, name, fields, tags.
//!
//! Promises: all of it or nothing; another address becomes hers as by her own wish, but that no mail asks for it. Leaves
//! what may be changed to the service.

use crate::clock::Timestamp;
use crate::store::consents::{STATED, note_consent};
use crate::store::events::json;
use crate::store::former::Told;
use crate::store::moves::{Moved, finish_move};
use crate::store::readers::{AMEND, Kept};
use crate::store::tags::{DROP_TAGS, PUT_TAGS};
use crate::store::{Result, Store};

/// A reader as she is to be.
#[derive(Clone, Copy, Debug)]
pub struct Amending<'a> {
    /// As she was when the author looked.
    pub kept: &'a Kept,
    pub name: &'a str,
    /// Declared fields as one JSON object.
    pub fields: &'a str,
    /// Tags that go on, and those that come off.
    pub tag: &'a [String],
    pub untag: &'a [String],
    pub placed: Option<Placed<'a>>,
    pub at: Timestamp,
}

/// Another address that the author gives a reader.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// Random.
    pub key: i64,
    pub address: &'a str,
    pub canonical: &'a str,
    pub hash: [u8; 32],
    /// Keyed hash of its mailbox.
    pub mailbox: [u8; 32],
    /// How it is known that she wants it.
    pub said: &'a str,
    /// The mail to the one before.
    pub told: Told<'a>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amended {
    Done {
        /// Tags that were put on or taken off.
        tags: u64,
        /// A mail tells the address before.
        told: bool,
    },
    /// She is not as she was kept; nothing was changed.
    Stale,
    /// Somebody has the new address, or it is suppressed, or hers is; nothing was changed.
    Refused,
}

impl Store {
    /// Changes a reader, and mails nobody but the address that she gives up. What she wished for herself is forgotten
    /// where she gets another address.
    pub async fn amend(&self, amending: &Amending<'_>) -> Result<Amended> {
        let done = again!(self.try_amend(amending).await);
        match done {
            // Somebody else has this address.
            Err(error) if error.is_duplicate() => Ok(Amended::Refused),
            done => done,
        }
    }

    async fn try_amend(&self, amending: &Amending<'_>) -> Result<Amended> {
        let (kept, at) = (amending.kept, amending.at);
        transact!(self, conn => {
            let same = sqlx::query(AMEND)
                .bind(kept.id)
                .bind(&kept.name)
                .bind(&kept.fields)
                .bind(amending.name)
                .bind(amending.fields)
                .execute(&mut *conn)
                .await?;
            if same.rows_affected() == 0 {
                return Ok(Amended::Stale);
            }
            let mut tags = sqlx::query(self.sql(PUT_TAGS))
                .bind(json(amending.tag.iter().map(|tag| (kept.id, tag))))
                .execute(&mut *conn)
                .await?
                .rows_affected();
            tags += sqlx::query(self.sql(DROP_TAGS))
                .bind(kept.id)
                .bind(json(amending.untag.iter().map(|tag| [tag])))
                .execute(&mut *conn)
                .await?
                .rows_affected();
            let mut told = false;
            if let Some(placed) = &amending.placed {
                sqlx::query(
                    "insert into address_changes (key, subscriber_id, address, canonical, hash, at)
                     values ($1, $2, $3, $4, $5, $6)
                     on conflict (subscriber_id) do update
                     set key = excluded.key, address = excluded.address, canonical = excluded.canonical,
                         hash = excluded.hash, at = excluded.at",
                )
                .bind(placed.key)
                .bind(kept.id)
                .bind(placed.address)
                .bind(placed.canonical)
                .bind(&placed.hash[..])
                .bind(at.0)
                .execute(&mut *conn)
                .await?;
                match finish_move!(self, conn, placed.key, placed.mailbox, placed.told, at) {
                    Moved::Hers { told: mailed } => told = mailed,
                    Moved::Refused => return Ok(Amended::Refused),
                }
                let said = format!("{STATED}another address: {}", placed.said);
                note_consent!(conn, kept.id, 0_i64, &said, at);
            }
            Amended::Done { tags, told }
        })
    }
}
