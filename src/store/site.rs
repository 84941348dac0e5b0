//! What the public site looks up: link tables, images, the subscription behind a link.

use crate::address::EmailAddress;
use crate::clock::Timestamp;
use crate::id::{DeliveryKey, RunId, SubscriptionKey};
use crate::store::{Result, Store};
use crate::subscriber::Status;

/// A subscription as a page may show it.
#[derive(Clone, Debug)]
pub struct SubscriptionView {
    pub list_title: String,
    pub status: Status,
    pub left_at: Option<Timestamp>,
    /// Whether the subscription was ever confirmed.
    pub confirmed: bool,
    /// Other lists on which the reader has not ended the subscription.
    pub others: i64,
    /// Whether the reader has confirmed any of those.
    pub reads: bool,
    /// `m***@example.org`: enough for its owner to know it, too little for anyone else. Empty where she has moved: the
    /// link may be one from the mailbox that she gave up.
    pub address: String,
    /// The whole address in canonical form, never for a page, and the name under which it may be suppressed.
    pub canonical: String,
    pub hash: [u8; 32],
}

/// An image as it was compiled into an issue.
#[derive(Clone, Debug)]
pub struct StoredImage {
    pub media_type: String,
    pub bytes: Vec<u8>,
}

/// What links may be about: of everything the newest that was sent.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub copy: Option<SentCopy>,
    pub subscription: Option<SubscriptionKey>,
    /// The hash of an image.
    pub image: Option<String>,
}

/// A copy of an issue that was sent.
#[derive(Clone, Debug)]
pub struct SentCopy {
    pub delivery: DeliveryKey,
    /// What it was made of.
    pub record: String,
    /// Whether its issue has a link to follow.
    pub has_link: bool,
}

const NEWEST: &str = "
    select r.id from runs r
    where r.kind = 'issue' and exists (select 1 from blocks b where b.run_id = r.id and b.sent > 0)
    order by r.id desc limit 1";

const FIRST_COPY: &str = "
    select d.seq, d.copy, exists (
        select 1 from links l where l.revision = r.revision and l.link = 0
    )
    from deliveries d join runs r on r.id = d.run_id
    where d.run_id = $1 and d.state = 'sent' and d.copy is not null
    order by d.seq limit 1";

impl Store {
    /// Something of each kind that a link may be about, as far as there is any.
    pub async fn sample(&self) -> Result<Sample> {
        read!(self, conn => {
            let run: Option<i64> = sqlx::query_scalar(NEWEST).fetch_optional(&mut *conn).await?;
            let copy: Option<(i64, String, bool)> = sqlx::query_as(FIRST_COPY)
                .bind(run.unwrap_or(0))
                .fetch_optional(&mut *conn)
                .await?;
            let copy = run.zip(copy).and_then(|(run, (seq, record, has_link))| {
                let delivery = DeliveryKey {
                    run: RunId(run),
                    seq: u32::try_from(seq).ok()?,
                };
                Some(SentCopy { delivery, record, has_link })
            });
            let subscription: Option<i64> = sqlx::query_scalar("select min(key) from subscriptions")
                .fetch_one(&mut *conn)
                .await?;
            let image = sqlx::query_scalar("select hash from images order by hash limit 1")
                .fetch_optional(conn)
                .await?;
            Ok(Sample { copy, subscription: subscription.map(SubscriptionKey), image })
        })
    }

    /// Where the links of a run lead, by index; `None` when the run is unknown or not yet frozen.
    pub async fn run_links(&self, run: RunId) -> Result<Option<Vec<(u32, String)>>> {
        read!(self, conn => {
            let revision: Option<Option<String>> =
                sqlx::query_scalar("select revision from runs where id = $1")
                    .bind(run.0)
                    .fetch_optional(&mut *conn)
                    .await?;
            let Some(revision) = revision.flatten() else {
                return Ok(None);
            };
            let links: Vec<(i64, String)> =
                // A corrected target goes before the frozen one.
                sqlx::query_as(
                    "select l.link, coalesce((
                         select x.new_url from link_repairs x
                         where x.revision = l.revision and x.link = l.link
                         order by x.id desc limit 1
                     ), l.url)
                     from links l where l.revision = $1 order by l.link",
                )
                    .bind(revision)
                    .fetch_all(&mut *conn)
                    .await?;
            Ok(Some(links.into_iter().filter_map(indexed).collect()))
        })
    }

    /// The target of one link of a system mail; each of those has a revision of its own.
    pub async fn system_link(&self, delivery: DeliveryKey, link: u32) -> Result<Option<String>> {
        read!(self, conn => {
            let url = sqlx::query_scalar(
                "select l.url from system_mails m
                 join links l on l.revision = m.revision and l.link = $3
                 where m.run_id = $1 and m.seq = $2",
            )
            .bind(delivery.run.0)
            .bind(i64::from(delivery.seq))
            .bind(i64::from(link))
            .fetch_optional(conn)
            .await?;
            Ok(url)
        })
    }

    /// The image of this hash (lower-case hex).
    pub async fn image(&self, hash: &str) -> Result<Option<StoredImage>> {
        read!(self, conn => {
            let found: Option<(String, Vec<u8>)> =
                sqlx::query_as("select media_type, bytes from images where hash = $1")
                    .bind(hash)
                    .fetch_optional(conn)
                    .await?;
            Ok(found.map(|(media_type, bytes)| StoredImage { media_type, bytes }))
        })
    }

    /// The subscription under `key`, for its own page.
    pub async fn subscription_view(
        &self,
        key: SubscriptionKey,
    ) -> Result<Option<SubscriptionView>> {
        read!(self, conn => {
            let found: Option<ViewColumns> = sqlx::query_as(
                "select l.title, n.status, n.left_at, n.confirmed_at is not null,
                        (select count(*) from subscriptions o
                         where o.subscriber_id = n.subscriber_id and o.key <> n.key
                             and o.status <> 'unsubscribed'),
                        exists (select 1 from subscriptions o
                         where o.subscriber_id = n.subscriber_id and o.key <> n.key
                             and o.status in ('confirmed', 'paused')),
                        case when n.manage_key is null then s.address else '' end, s.canonical, s.hash
                 from subscriptions n
                 join lists l on l.id = n.list_id
                 join subscribers s on s.id = n.subscriber_id
                 where n.key = $1",
            )
            .bind(key.0)
            .fetch_optional(conn)
            .await?;
            Ok(found.and_then(view))
        })
    }

    /// Titles of the other lists that the reader of this subscription gets, or rests on.
    pub async fn other_titles(&self, key: SubscriptionKey) -> Result<Vec<String>> {
        read!(self, conn => {
            let titles = sqlx::query_scalar(
                "select l.title from subscriptions o join lists l on l.id = o.list_id
                 where o.subscriber_id = (select n.subscriber_id from subscriptions n where n.key = $1)
                   and o.key <> $1 and o.status in ('confirmed', 'paused')
                 order by l.id",
            )
            .bind(key.0)
            .fetch_all(conn)
            .await?;
            Ok(titles)
        })
    }

    /// Titles of the lists that [`Store::come_back`] would bring back, that of the subscription itself first.
    pub async fn ended_titles(
        &self,
        key: SubscriptionKey,
        since: Timestamp,
        all: bool,
    ) -> Result<Vec<String>> {
        read!(self, conn => {
            let titles = sqlx::query_scalar(
                "select l.title from subscriptions n
                     join subscriptions o on o.subscriber_id = n.subscriber_id
                     join lists l on l.id = o.list_id
                 where n.key = $1 and o.status = 'unsubscribed' and o.confirmed_at is not null
                   and o.left_at >= $2 and (
                       o.left_at = n.left_at
                       or (cast($3 as bigint) = 1 and o.left_why is null and o.left_at > n.left_at)
                   )
                 order by case when o.key = $1 then 0 else 1 end, l.id",
            )
            .bind(key.0)
            .bind(since.0)
            .bind(i64::from(all))
            .fetch_all(conn)
            .await?;
            Ok(titles)
        })
    }

    /// Titles of the lists that came back together at a time, or when this subscription did; its own first.
    pub async fn returned_titles(
        &self,
        key: SubscriptionKey,
        at: Option<Timestamp>,
    ) -> Result<Vec<String>> {
        read!(self, conn => {
            let titles = sqlx::query_scalar(
                "select l.title from subscriptions n
                     join subscriptions o on o.subscriber_id = n.subscriber_id
                         and o.returned_at = coalesce(cast($2 as bigint), n.returned_at)
                     join lists l on l.id = o.list_id
                 where n.key = $1 and o.status in ('confirmed', 'paused')
                 order by case when o.key = $1 then 0 else 1 end, l.id",
            )
            .bind(key.0)
            .bind(at.map(|at| at.0))
            .fetch_all(conn)
            .await?;
            Ok(titles)
        })
    }

    /// Commits something small: the database takes writes.
    pub async fn prove_writable(&self, at: Timestamp) -> Result<()> {
        self.set_meta("ready", &at.0.to_string()).await
    }
}

fn indexed((link, url): (i64, String)) -> Option<(u32, String)> {
    Some((u32::try_from(link).ok()?, url))
}

/// The list's title, status, when left, whether confirmed, other lists and whether any is; address, canonical form,
/// hash.
type ViewColumns = (
    String,
    Status,
    Option<i64>,
    bool,
    i64,
    bool,
    String,
    String,
    Vec<u8>,
);

fn view(columns: ViewColumns) -> Option<SubscriptionView> {
    let (list_title, status, left_at, confirmed, others, reads, address, canonical, hash) = columns;
    Some(SubscriptionView {
        list_title,
        status,
        left_at: left_at.map(Timestamp),
        confirmed,
        others,
        reads,
        address: EmailAddress::parse(&address)
            .map_or_else(|_| String::new(), |known| known.masked()),
        canonical,
        hash: hash.try_into().ok()?,
    })
}
