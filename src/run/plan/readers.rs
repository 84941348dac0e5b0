//! Which readers of a list a run would go to, and who of them gets nothing.
//!
//! Promises: a run that would reach nobody is none, unless it waits for an hour at which there may be somebody.

use anyhow::{Context, bail, ensure};

use crate::app::App;
use crate::id::ListId;
use crate::run::plan::{Planned, Wishes};
use crate::run::whom;
use crate::segment::Sieve;
use crate::store::lists::Confirmed;

impl Planned {
    /// Refuses a list on which nobody would get it, and says who is on it.
    pub(super) async fn somebody(
        &mut self,
        app: &App,
        wishes: &Wishes,
        list: ListId,
    ) -> anyhow::Result<()> {
        if self.readers > 0 {
            return Ok(());
        }
        let found = app.store.list_by_id(list).await?;
        let name = found.context("the list is gone")?.slug;
        if wishes.at.is_some() || wishes.at_local.is_some() {
            self.notes.push(format!(
                "nobody on `{name}` would get it now; it is held at its hour unless there is somebody then"
            ));
            return Ok(());
        }
        let counts = app.store.subscription_counts().await?;
        let there = counts.into_iter().filter(|(of, ..)| *of == list);
        let there: Vec<String> = there
            .map(|(_, status, number)| format!("{}: {number}", status.name()))
            .collect();
        let who = match there.as_slice() {
            [] => "no reader at all".to_owned(),
            there => there.join(", "),
        };
        let why = match app.store.confirmed_on(list, true).await? {
            Confirmed { readers: 1.., .. } => {
                "they want the digest of the month alone, to which `--monthly` makes it"
            }
            Confirmed {
                suppressed: 1.., ..
            } => {
                "the addresses of all who are confirmed are suppressed (`pressrun suppressions list`)"
            }
            _ => {
                "only those who are confirmed get an issue (`pressrun subscribers import --help` and `add --help` say \
                 how they come to be)"
            }
        };
        bail!("nobody on `{name}` would get it ({who}): {why}")
    }

    /// Whoever wants the digest alone gets nothing as long as no run is one: the author is to know of them.
    pub(super) async fn digest(
        &mut self,
        app: &App,
        wishes: &Wishes,
        list: ListId,
    ) -> anyhow::Result<()> {
        if wishes.monthly {
            return Ok(());
        }
        let left_out = app.store.confirmed_on(list, true).await?.readers - self.readers;
        if left_out > 0 {
            self.notes.push(format!(
                "readers who want the digest of the month alone, and are left out: {left_out}; a run with `--monthly` \
                 goes to them, too"
            ));
        }
        Ok(())
    }

    /// The ledger will name those who get nothing.
    pub(super) fn suppressed(&mut self, found: Confirmed) {
        if found.suppressed > 0 {
            self.notes.push(format!(
                "readers whose addresses are suppressed, and who get nothing: {}",
                found.suppressed
            ));
        }
    }

    /// All of the list that is in a segment.
    pub(super) async fn segment(
        &mut self,
        app: &App,
        sieve: &Sieve,
        wishes: &Wishes,
        list: ListId,
    ) -> anyhow::Result<()> {
        let store = &app.store;
        let now = app.clock.now();
        let notes = whom::check(app, sieve, Some(list), now).await?;
        self.notes.extend(notes);
        let all = store.confirmed_on(list, wishes.monthly).await?.readers;
        let filter = &sieve.filter;
        let found = store.in_segment(list, filter, wishes.monthly, now).await?;
        self.readers = found.readers;
        let waits = wishes.at.is_some() || wishes.at_local.is_some();
        ensure!(
            self.readers > 0 || waits,
            "no reader of the list is in `{}`; `pressrun segments test` shows who would be",
            sieve.said
        );
        let then = match waits {
            true => " now; who is in it is found when it starts",
            false => "",
        };
        self.notes.push(format!(
            "it goes to `{}`: {} of {all} readers{then}",
            sieve.said, self.readers
        ));
        self.suppressed(found);
        self.plan.segment = Some(sieve.clone());
        Ok(())
    }
}
