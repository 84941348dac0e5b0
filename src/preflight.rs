//! Before anybody gets it: an issue held against the catalogue of lints, with the facts they need.
//!
//! Promises: findings in the order in which an author mends them; a fact that cannot be had (no database
//! yet, no network) is left out and never an error. Leaves the judgement to `lint`.

use std::path::Path;
use std::time::Duration;

use jiff::civil::Date;
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::{Host, Url};

use crate::clock::Timestamp;
use crate::compile::Template;
use crate::config::Config;
use crate::diagnostic::{Diagnostic, sort};
use crate::issue::block::Target;
use crate::issue::given::Titles;
use crate::lint::{self, Earlier, Facts, Inputs};
use crate::lists;
use crate::publication::called::call_from_here;
use crate::publication::{Built, Publication, Rejected};
use crate::store::Store;

pub mod reach;

/// Runs whose subjects are compared: half a year of a weekly.
const RUNS: u32 = 26;
/// A database that is far away must not hold up a check.
const PATIENCE: Duration = Duration::from_secs(3);

/// Everything found in `built`: the compiler's findings and the lints', by file and line.
pub fn findings(config: &Config, built: &Built, facts: &Facts) -> Vec<Diagnostic> {
    let mut found = lint::weighed(&built.diagnostics, &config.lint);
    found.extend(lint::check(&Inputs {
        issue: &built.issue,
        compiled: Some(&built.compiled),
        theme: Some(&built.theme),
        images: &built.images,
        public_url: config.publication.url.trim_end_matches('/'),
        levels: &config.lint,
        facts,
    }));
    call_from_here(&built.emails, &mut found, &mut []);
    sort(&mut found, &built.issue.file);
    found
}

/// Everything found in an issue with errors: these, and what the lints can tell of its words and links, so that one
/// run names as much as it can.
pub fn findings_of(
    config: &Config,
    emails: &Path,
    rejected: &Rejected,
    facts: &Facts,
) -> Vec<Diagnostic> {
    let mut found = lint::weighed(&rejected.found, &config.lint);
    let Some(issue) = &rejected.issue else {
        return found;
    };
    let mut more = lint::check(&Inputs {
        issue,
        compiled: None,
        theme: None,
        images: &[],
        public_url: config.publication.url.trim_end_matches('/'),
        levels: &config.lint,
        facts,
    });
    call_from_here(emails, &mut more, &mut []);
    // What stands at the place of an error comes of it.
    let errors = || found.iter().filter(|known| known.is_error());
    more.retain(|finding| !errors().any(|known| known.touches(finding)));
    found.extend(more);
    sort(&mut found, &issue.file);
    found
}

/// What the author's folder, the database and the calendar know about an issue sent at `now`.
pub async fn facts(emails: &Path, slug: &str, store: Option<&Store>, now: Timestamp) -> Facts {
    let mut earlier = Vec::new();
    if let Some(store) = store {
        earlier.extend(sent(store).await);
    }
    let publication = Publication::load(emails);
    let others = publication.and_then(|publication| publication.subjects(slug));
    // A folder that cannot be read has stopped the compiler before.
    for (slug, subject) in others.unwrap_or_default() {
        earlier.push(Earlier {
            slug,
            subject,
            sent: false,
        });
    }
    Facts {
        today: Some(day(now)),
        earlier,
        unreachable: Vec::new(),
        silent: 0,
    }
}

/// The database that `config` names, if it is there and answers; nothing is made or changed.
pub async fn database(config: &Config, base: &Path) -> Option<Store> {
    let url = config.database.url.expose_secret();
    if let Some(file) = url.strip_prefix("sqlite:")
        && !base.join(file.trim_start_matches("//")).is_file()
    {
        return None;
    }
    let opened = tokio::time::timeout(PATIENCE, Store::connect(url, base, 1)).await;
    opened.ok()?.ok()
}

/// What readers call the lists there are, as far as the database knows.
pub async fn titles(store: Option<&Store>) -> Titles {
    let Some(store) = store else {
        return Titles::default();
    };
    let known = tokio::time::timeout(PATIENCE, lists::titles(store)).await;
    known.ok().and_then(Result::ok).unwrap_or_default()
}

/// The same for whoever needs nothing else of the database.
pub async fn titles_of(config: &Config, base: &Path) -> Titles {
    let store = database(config, base).await;
    let titles = titles(store.as_ref()).await;
    if let Some(store) = store {
        store.close().await;
    }
    titles
}

/// Where links of the issue lead that are the same for every reader, in their order.
pub fn addresses(built: &Built) -> Vec<String> {
    let own = built
        .issue
        .links
        .iter()
        .filter_map(|link| match &link.target {
            Target::Web(url) => Some(url.clone()),
            _ => None,
        });
    let table = built.compiled.links.iter().map(|link| link.url.clone());
    own.chain(table).collect()
}

/// Whether the publication lives on this machine, as in a trial.
pub fn at_home(config: &Config) -> bool {
    Url::parse(&config.publication.url).is_ok_and(|url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    })
}

async fn sent(store: &Store) -> Vec<Earlier> {
    /// What is read of a revision.
    #[derive(Deserialize)]
    struct Head {
        subject: Template,
    }
    let contents = store.contents_sent(RUNS).await.unwrap_or_default();
    let subject = |(slug, content): (String, String)| {
        let head: Head = serde_json::from_str(&content).ok()?;
        Some(Earlier {
            slug,
            subject: head.subject.fill(|_| String::new()),
            sent: true,
        })
    };
    contents.into_iter().filter_map(subject).collect()
}

/// The day in UTC.
fn day(now: Timestamp) -> Date {
    jiff::tz::TimeZone::UTC.to_datetime(now.to_jiff()).date()
}
