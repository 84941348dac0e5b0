//! Which part of a run leaves first: stages, and the test of two subjects.

use std::time::Duration;

use anyhow::{anyhow, bail, ensure};

use crate::address::EmailAddress;
use crate::app::App;
use crate::config::privacy::Tracking;
use crate::id::ListId;
use crate::rollout::{self, Share, Stages};
use crate::run::plan::{Part, Planned, Wishes};
use crate::schedule::span;
use crate::store::runs::Audience;
use crate::trial::{By, READERS, Trial};

impl Planned {
    /// In which stages it opens, and to how many.
    pub(super) async fn stages(
        &mut self,
        app: &App,
        wishes: &Wishes,
        list: ListId,
    ) -> anyhow::Result<()> {
        let Some(said) = &wishes.stages else {
            return Ok(());
        };
        let mut stages = Stages::parse(said).map_err(|what| anyhow!("`--stages`: {what}"))?;
        ensure!(
            wishes.at_local.is_none(),
            "`--stages` and `--at-local` do not go together: a stage is looked at as a whole"
        );
        if stages.has_seed() {
            stages.seeds = self.seeds(app, wishes, list).await?;
        }
        let mut open = i64::try_from(stages.seeds.len()).unwrap_or(0);
        let mut said = Vec::new();
        for (step, this) in stages.steps.iter().enumerate() {
            let wait = match Duration::from_millis(u64::try_from(this.wait).unwrap_or(0)) {
                Duration::ZERO => String::new(),
                wait => format!(", then {} to look at it", span(wait)),
            };
            match stages.open_to(step, self.readers, open) {
                Some(to) => {
                    open = to;
                    said.push(format!("{} ({to} readers{wait})", stages.name(step)));
                }
                None => said.push(stages.name(step)),
            }
        }
        self.notes.push(format!(
            "it opens in stages, each counted from the beginning: {}; it is held when its numbers leave what \
             this list is used to",
            said.join(", ")
        ));
        if self.plan.audience == Audience::List {
            self.plan.pivot = Some(app.chance.key());
        }
        self.plan.stages = Some(stages);
        Ok(())
    }

    /// Which part gets which subject, and when it is decided.
    pub(super) fn test(
        &mut self,
        app: &App,
        wishes: &Wishes,
        revision: &str,
    ) -> anyhow::Result<()> {
        let Some(test) = &wishes.test else {
            return Ok(());
        };
        ensure!(
            self.plan.stages.is_none() && wishes.at_local.is_none(),
            "`--subject-b` goes neither with `--stages` nor with `--at-local`"
        );
        ensure!(
            test.revision_b != revision,
            "`--subject-b` is the subject of the issue"
        );
        let Share::Part(share @ ..1_000_000) =
            rollout::part(&test.share).map_err(|what| anyhow!("`--test`: {what}"))?
        else {
            bail!("`--test` leaves nobody for the better subject; say less than 100%");
        };
        let (counted, key) = match test.by {
            By::Clicks => (app.config.tracking.clicks, "clicks"),
            By::Opens => (app.config.tracking.opens, "opens"),
        };
        ensure!(
            counted,
            "`tracking.{key}` is off, so nothing would decide; try `--by` the other"
        );
        ensure!(
            app.config.privacy.tracking == Tracking::Individual,
            "`privacy.tracking` is not \"individual\", so nobody knows which subject was opened or clicked"
        );
        let readers = rollout::part_of(self.readers, share);
        let wait = span(test.after);
        self.notes.push(format!(
            "{readers} readers get it first, half under \"{}\", half under \"{}\"; {wait} later the subject with \
             more {key} goes to the other {}",
            test.a,
            test.b,
            self.readers - readers
        ));
        if readers < 2 * READERS {
            self.notes.push(format!(
                "{readers} readers are too few to judge by: {} are needed, and else A is taken",
                2 * READERS
            ));
        }
        let trial = Trial {
            a: test.a.clone(),
            b: test.b.clone(),
            revision_b: test.revision_b.clone(),
            share,
            after: i64::try_from(test.after.as_millis()).unwrap_or(i64::MAX),
            by: test.by,
            decision: None,
        };
        self.plan.trial = Some(trial.to_json());
        self.plan.stages = Some(Stages::of_test(share, test.after));
        if self.plan.audience == Audience::List {
            self.plan.pivot = Some(app.chance.key());
        }
        Ok(())
    }

    /// The keys of the author's own readers.
    async fn seeds(
        &mut self,
        app: &App,
        wishes: &Wishes,
        list: ListId,
    ) -> anyhow::Result<Vec<i64>> {
        ensure!(
            wishes.part == Part::All,
            "a run to a part of the list has no `seed` stage; begin with a share such as `1%`"
        );
        let seed = &app.config.send.seed;
        ensure!(
            !seed.is_empty(),
            "`send.seed` names no address; name your own there, or begin with a share such as `1%`"
        );
        let canonical: Vec<String> = seed.iter().map(EmailAddress::canonical).collect();
        let found = app.store.confirmed_among(list, &canonical).await?;
        let missing = canonical.iter().zip(seed);
        let missing =
            missing.filter(|(canonical, _)| !found.iter().any(|(has, _)| has == *canonical));
        let missing: Vec<String> = missing.map(|(_, seed)| seed.to_string()).collect();
        ensure!(
            !found.is_empty(),
            "no address of `send.seed` is a confirmed reader of this list: {}; `pressrun subscribers add` \
             makes them readers",
            missing.join(", ")
        );
        if !missing.is_empty() {
            self.notes.push(format!(
                "of `send.seed`, {} is no confirmed reader of this list and gets nothing",
                missing.join(", ")
            ));
        }
        Ok(found.into_iter().map(|(_, key)| key).collect())
    }
}
