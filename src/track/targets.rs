//! Where a click goes: the frozen link tables, kept in memory once read.
//!
//! Promises: a target comes from a run's link table by index and from nowhere else, is http, https or, once
//! corrected, mailto, and fits a header; once a run's table has been read, clicks are answered whether the
//! database does or not; a corrected target is followed within seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use url::Url;

use crate::id::{DeliveryKey, RunId};
use crate::lock::lock;
use crate::store::{Result, Store};

/// Runs whose tables are kept: old issues are clicked for years, but rarely many at once.
const RUNS: usize = 256;

/// How old the knowledge may be that no link was corrected.
const FRESH: Duration = Duration::from_secs(2);
/// How long a click waits for that; a database that is slower, or down, is asked again later.
const PATIENCE: Duration = Duration::from_millis(250);

type Table = HashMap<u32, String>;

/// Link tables by run; cheap to clone.
#[derive(Clone, Debug)]
pub struct Targets {
    store: Store,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    runs: HashMap<RunId, Arc<Table>>,
    /// The newest correction when it was last asked for, and when that was.
    repair: i64,
    asked: Option<Instant>,
}

impl Targets {
    /// Nothing is read before the first click.
    pub fn new(store: Store) -> Targets {
        Targets {
            store,
            kept: Arc::default(),
        }
    }

    /// The target of `link` in the mail of `delivery`, in ASCII; `None` when there is no such link.
    pub async fn url(&self, delivery: DeliveryKey, link: u32) -> Result<Option<String>> {
        if delivery.run == RunId::SYSTEM {
            let url = self.store.system_link(delivery, link).await?;
            return Ok(url.as_deref().and_then(safe_target));
        }
        self.look_for_repairs().await;
        if let Some(table) = self.kept(delivery.run) {
            return Ok(table.get(&link).cloned());
        }
        let seen = self.lock().repair;
        let Some(links) = self.store.run_links(delivery.run).await? else {
            return Ok(None);
        };
        let safe = |(link, url): (u32, String)| Some((link, safe_target(&url)?));
        let table: Arc<Table> = Arc::new(links.into_iter().filter_map(safe).collect());
        let url = table.get(&link).cloned();
        self.keep(delivery.run, table, seen);
        Ok(url)
    }

    /// Forgets all tables when a link was corrected since they were read.
    async fn look_for_repairs(&self) {
        {
            let mut kept = self.lock();
            if kept.asked.is_some_and(|asked| asked.elapsed() < FRESH) {
                return;
            }
            // Whoever comes meanwhile need not ask as well.
            kept.asked = Some(Instant::now());
        }
        if let Ok(Ok(repair)) = timeout(PATIENCE, self.store.last_repair()).await {
            let mut kept = self.lock();
            if kept.repair != repair {
                kept.repair = repair;
                kept.runs.clear();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }

    fn kept(&self, run: RunId) -> Option<Arc<Table>> {
        self.lock().runs.get(&run).cloned()
    }

    /// Keeps a table that was read after the correction `seen`.
    fn keep(&self, run: RunId, table: Arc<Table>, seen: i64) {
        let mut kept = self.lock();
        if kept.repair != seen {
            return;
        }
        let runs = &mut kept.runs;
        if runs.len() >= RUNS {
            // The oldest run is the one least clicked.
            let oldest = runs.keys().min().copied();
            oldest.and_then(|oldest| runs.remove(&oldest));
        }
        runs.insert(run, table);
    }
}

/// The URL as it may stand in a Location header, if it is one to send people to. The compiler lets only
/// such links into a table; this is the second lock on the door.
fn safe_target(url: &str) -> Option<String> {
    let parsed = Url::parse(url).ok()?;
    let fine = match parsed.scheme() {
        "http" | "https" => parsed.has_host(),
        // Only a person's correction brings one here.
        "mailto" => parsed.path().contains('@'),
        _ => false,
    };
    let text = String::from(parsed);
    (fine && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::safe_target;

    #[test]
    fn only_addresses_that_fit_a_header_are_targets() {
        assert_eq!(
            safe_target("https://b\u{fc}cher.example/\u{e4}?q=1#a").as_deref(),
            Some("https://xn--bcher-kva.example/%C3%A4?q=1#a")
        );
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "mailto:nobody",
            "/c/x",
            "https://",
            "",
        ] {
            assert_eq!(safe_target(bad), None, "{bad}");
        }
        // The parser drops line ends; nothing is left that could start a header.
        let folded = safe_target("https://a.example/\r\nSet-Cookie: x=1").expect("a URL");
        assert!(!folded.contains(['\r', '\n', ' ']), "{folded}");
    }
}
