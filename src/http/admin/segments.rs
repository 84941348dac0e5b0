//! Segments: the named ones, and a form that tries an expression on a list.
//!
//! Promises: nothing is counted before it is asked for, and no page waits for a large list to be counted: that goes on
//! behind it, one count at a time; a faulty expression is told by column as on the command line. Addresses stand in
//! full, as they do on the other pages of the author, each leading to its reader.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, bail};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use tokio::time::timeout;

use crate::app::App;
use crate::clock::Timestamp;
use crate::http::admin::Admin;
use crate::http::admin::wording::parameter;
use crate::http::fault::Fault;
use crate::id::{ListId, SubscriberId};
use crate::lists;
use crate::lock::lock;
use crate::numbers;
use crate::publication::Publication;
use crate::run::whom;
use crate::segment::Sieve;

/// Readers shown of a segment.
const SHOWN: u32 = 10;
/// How long a page waits for a large list to be counted, and for one that is small.
const LARGE: Duration = Duration::from_millis(20);
const SMALL: Duration = Duration::from_secs(2);
/// Counts that are kept for whoever looks again.
const KEPT: usize = 4;
/// How long they are.
const FRESH: Duration = Duration::from_secs(60);
/// A count that takes longer has broken.
const LONGEST: Duration = Duration::from_secs(600);

/// What is being counted, or was a moment ago.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<VecDeque<Count>>);

/// One of them; without a result it goes on.
#[derive(Debug)]
struct Count {
    list: ListId,
    asked: String,
    at: Timestamp,
    came: Option<Result<Found, String>>,
}

impl Counts {
    fn locked(&self) -> MutexGuard<'_, VecDeque<Count>> {
        lock(&self.0)
    }

    /// What a count came to that outlived its page; `Ok(None)` where it goes on, or others do and there is no room.
    fn known(
        &self,
        list: ListId,
        asked: &str,
        now: Timestamp,
    ) -> Result<Option<Found>, Option<String>> {
        let mut counts = self.locked();
        counts.retain(|count| {
            let kept = if count.came.is_none() { LONGEST } else { FRESH };
            now.since(count.at) < kept
        });
        let place = counts
            .iter()
            .position(|count| count.list == list && count.asked == asked);
        match place {
            Some(place) if counts[place].came.is_none() => Ok(None),
            Some(place) => match counts.remove(place).and_then(|count| count.came) {
                Some(Ok(found)) => Ok(Some(found)),
                Some(Err(why)) => Err(Some(why)),
                None => Ok(None),
            },
            None if counts.iter().filter(|count| count.came.is_none()).count() >= KEPT => Ok(None),
            None => {
                while counts.len() >= 2 * KEPT {
                    counts.pop_front();
                }
                counts.push_back(Count {
                    list,
                    asked: asked.to_owned(),
                    at: now,
                    came: None,
                });
                Err(None)
            }
        }
    }

    /// Keeps what the count came to.
    fn came(&self, list: ListId, asked: &str, now: Timestamp, came: Result<Found, String>) {
        let mut counts = self.locked();
        let mut found = counts.iter_mut();
        if let Some(count) = found.find(|count| count.list == list && count.asked == asked) {
            (count.at, count.came) = (now, Some(came));
        }
    }
}

#[derive(Serialize)]
struct Named {
    name: String,
    means: String,
}

/// What an expression came to.
#[derive(Debug, Serialize)]
struct Found {
    readers: i64,
    of: i64,
    /// In it, too, and nothing is sent to them.
    suppressed: i64,
    /// The first of them: key and address.
    shown: Vec<(String, String)>,
    notes: Vec<String>,
}

/// `GET /segments`: those of `segments.toml`, and who is in `q` on `list`.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let query = query.as_deref();
    let (asked, list) = (parameter(query, "q"), parameter(query, "list"));
    let app = &admin.app;
    let list = match list.is_empty() {
        true => app.config.publication.list.clone(),
        false => list,
    };
    let (mut found, mut wrong, mut counting) = (None, None, false);
    if !asked.trim().is_empty() {
        match search(&admin, &asked, &list).await {
            Ok(result) => (counting, found) = (result.is_none(), result),
            Err(error) => wrong = Some(format!("{error:#}")),
        }
    }
    let named = match named(&admin) {
        Ok(named) => named,
        Err(error) => {
            wrong.get_or_insert_with(|| format!("{error:#}"));
            Vec::new()
        }
    };
    let lists = app.store.lists().await?;
    let lists: Vec<(String, String)> = lists.into_iter().map(|l| (l.slug, l.title)).collect();
    let values = context! {
        asked, list, lists, wrong, counting,
        named => Serde(named),
        found => found.map(Serde),
    };
    Ok(admin.page("/segments", "segments.html", values))
}

fn named(admin: &Admin) -> anyhow::Result<Vec<Named>> {
    let publication = Publication::load(&admin.app.emails())?;
    let segments = publication.segments(&admin.app.config.publication.timezone)?;
    let each = segments.names().map(|name| Named {
        name: name.to_owned(),
        means: segments.written(name).unwrap_or_default().to_owned(),
    });
    Ok(each.collect())
}

/// Who is in it; none while that is being counted.
async fn search(admin: &Arc<Admin>, asked: &str, list: &str) -> anyhow::Result<Option<Found>> {
    let app = &admin.app;
    let list = lists::named(app, list).await?;
    let sieve = whom::read(app, "the segment", asked)?;
    let now = app.clock.now();
    let patience = match numbers::is_large(app, &list).await? {
        true => LARGE,
        false => SMALL,
    };
    match admin.counts.known(list.id, asked, now) {
        Ok(known) => return Ok(known),
        Err(Some(why)) => bail!(why),
        Err(None) => {}
    }
    let (behind, id, said) = (admin.clone(), list.id, asked.to_owned());
    let count = tokio::spawn(async move {
        let one = behind.counting.lock().await;
        let came = count(&behind.app, id, &sieve, now).await;
        drop(one);
        let came = came.map_err(|why| format!("{why:#}"));
        behind.counts.came(id, &said, behind.app.clock.now(), came);
    });
    match timeout(patience, count).await {
        Err(_) => Ok(None),
        Ok(ended) => {
            ended.context("counting a segment broke")?;
            match admin.counts.known(list.id, asked, app.clock.now()) {
                Ok(found) => Ok(found),
                Err(why) => bail!(why.unwrap_or_default()),
            }
        }
    }
}

async fn count(app: &App, list: ListId, sieve: &Sieve, now: Timestamp) -> anyhow::Result<Found> {
    let filter = &sieve.filter;
    let notes = whom::check(app, sieve, Some(list), now).await?;
    let found = app.store.in_segment(list, filter, true, now).await?;
    let of = app.store.confirmed_on(list, true).await?;
    let first = SubscriberId(0);
    let members = app.store.members(list, filter, now, first, SHOWN).await?;
    Ok(Found {
        readers: found.readers,
        of: of.readers,
        suppressed: found.suppressed,
        shown: members
            .into_iter()
            .map(|one| (one.id.to_string(), one.address))
            .collect(),
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::{Counts, FRESH, Found, KEPT, LONGEST};
    use crate::clock::Timestamp;
    use crate::id::ListId;

    #[test]
    fn a_count_that_outlives_its_page_is_told_to_whoever_looks_again() {
        let (counts, list, now) = (Counts::default(), ListId(1), Timestamp(1_000_000_000));
        let found = |readers: i64| Found {
            readers,
            of: 10,
            suppressed: 0,
            shown: Vec::new(),
            notes: Vec::new(),
        };
        let known = |asked: &str, at: Timestamp| {
            let known = counts.known(list, asked, at);
            known.map(|found| found.map(|found| found.readers))
        };
        assert_eq!(known("a", now), Err(None), "it begins");
        assert_eq!(known("a", now), Ok(None), "it goes on");
        counts.came(list, "a", now, Ok(found(3)));
        assert_eq!(known("a", now), Ok(Some(3)));
        assert_eq!(known("a", now), Err(None), "told once, and counted anew");
        counts.came(list, "a", now, Err("broken".into()));
        assert_eq!(
            known("a", now.after(FRESH)),
            Err(None),
            "too old to be told"
        );
        counts.came(list, "a", now, Err("broken".into()));
        assert_eq!(known("a", now), Err(Some("broken".into())));
        for number in 0..KEPT {
            assert_eq!(known(&number.to_string(), now), Err(None));
        }
        assert_eq!(known("one too many", now), Ok(None));
        // What never came to an end is in nobody's way for ever.
        assert_eq!(known("one too many", now.after(LONGEST)), Err(None));
    }
}
