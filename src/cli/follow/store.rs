//! What the line of progress says of a database that takes no writes, or does not answer.
//!
//! Promises: nothing is asked of it while the run gets on, or while something else explains that it does not.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::clock::Timestamp;
use crate::delivery::Counts;
use crate::store::StoreError;

/// A run that does not get on for so long may have lost its database.
const QUIET: Duration = Duration::from_secs(5);
/// A write that takes longer is none.
const WRITE: Duration = Duration::from_secs(3);

/// What is known of the database by one who follows a run.
pub(super) struct Watch {
    counts: Counts,
    /// When it last took a write, as far as this process saw.
    took: Timestamp,
    /// When to look next.
    look: Instant,
    /// Why it takes none.
    why: Option<String>,
}

impl Watch {
    pub(super) fn start(now: Timestamp) -> Watch {
        Watch {
            counts: Counts::default(),
            took: now,
            look: Instant::now() + QUIET,
            why: None,
        }
    }

    /// What is wrong with the database, and since when, after the run was seen with these counters; `due` if some of its
    /// deliveries should be on their way.
    pub(super) async fn told(&mut self, app: &App, counts: &Counts, due: bool) -> Option<String> {
        if let (Some(why), Some(since)) = (app.store.lacks_room(), app.store.full_since()) {
            return Some(format!("{why} (since {})", since.to_rfc3339()));
        }
        if self.counts != *counts || !due {
            self.counts = *counts;
            self.takes_writes(app.clock.now());
            return None;
        }
        if self.look <= Instant::now() {
            let now = app.clock.now();
            match timeout(WRITE, app.store.take_a_write(now)).await {
                Ok(Ok(())) => self.takes_writes(now),
                Ok(Err(error)) => self.fails(error.to_string()),
                Err(_) if app.store.is_sqlite() => {
                    self.fails("another program has locked it, or its disk hangs".to_owned());
                }
                Err(_) => self.fails("it does not answer in time".to_owned()),
            }
        }
        let since = self.took.to_rfc3339();
        let why = self.why.as_ref()?;
        Some(format!(
            "the database takes no writes since {since} ({why}): nothing is sent, what was sent is not lost, and it is \
             tried on"
        ))
    }

    /// The same of one that could not be read.
    pub(super) fn silent(&self, why: &str) -> String {
        let since = self.took.to_rfc3339();
        format!("the database gives no answer since {since} ({why}); it is asked on")
    }

    fn takes_writes(&mut self, now: Timestamp) {
        self.took = now;
        self.why = None;
        self.look = Instant::now() + QUIET;
    }

    fn fails(&mut self, why: String) {
        self.why = Some(why);
        self.look = Instant::now() + WRITE;
    }
}

/// Whether a database that gave this may give more later.
pub(crate) fn is_passing(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<StoreError>();
    error.is_some_and(StoreError::is_passing)
}
