//! Where a click goes: the frozen link tables, kept in memory once read.
//!
//! Promises: a target comes from a run's link table by index and from nowhere else, is http or https,
//! and fits a header; once a run's table has been read, clicks are answered without the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use url::Url;

use crate::id::{DeliveryKey, RunId};
use crate::store::{Result, Store};

/// Runs whose tables are kept: old issues are clicked for years, but rarely many at once.
const RUNS: usize = 256;

type Table = HashMap<u32, String>;

/// Link tables by run; cheap to clone.
#[derive(Clone, Debug)]
pub struct Targets {
    store: Store,
    runs: Arc<Mutex<HashMap<RunId, Arc<Table>>>>,
}

impl Targets {
    /// Nothing is read before the first click.
    pub fn new(store: Store) -> Targets {
        Targets {
            store,
            runs: Arc::default(),
        }
    }

    /// The target of `link` in the mail of `delivery`, in ASCII; `None` when there is no such link.
    pub async fn url(&self, delivery: DeliveryKey, link: u32) -> Result<Option<String>> {
        if delivery.run == RunId::SYSTEM {
            let url = self.store.system_link(delivery, link).await?;
            return Ok(url.as_deref().and_then(safe_target));
        }
        if let Some(table) = self.kept(delivery.run) {
            return Ok(table.get(&link).cloned());
        }
        let Some(links) = self.store.run_links(delivery.run).await? else {
            return Ok(None);
        };
        let safe = |(link, url): (u32, String)| Some((link, safe_target(&url)?));
        let table: Arc<Table> = Arc::new(links.into_iter().filter_map(safe).collect());
        let url = table.get(&link).cloned();
        self.keep(delivery.run, table);
        Ok(url)
    }

    fn kept(&self, run: RunId) -> Option<Arc<Table>> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(&run).cloned()
    }

    fn keep(&self, run: RunId, table: Arc<Table>) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
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
    let fine = matches!(parsed.scheme(), "http" | "https") && parsed.has_host();
    let text = String::from(parsed);
    (fine && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::safe_target;

    #[test]
    fn only_web_addresses_that_fit_a_header_are_targets() {
        assert_eq!(
            safe_target("https://b\u{fc}cher.example/\u{e4}?q=1#a").as_deref(),
            Some("https://xn--bcher-kva.example/%C3%A4?q=1#a")
        );
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "mailto:a@b.example",
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
