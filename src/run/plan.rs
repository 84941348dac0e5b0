//! From an author's wishes to the plan of a run: when, how fast, to whom.
//!
//! Promises: what the plan means for readers is told in sentences before anyone is asked; a wish that
//! cannot be met is an error and no guess.

use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use jiff::civil::DateTime;
use serde_json::json;

use crate::app::App;
use crate::clock::{DAY, Timestamp};
use crate::config::privacy::Tracking;
use crate::deliver;
use crate::id::ListId;
use crate::pace;
use crate::publication::Publication;
use crate::run::doubles::Doubles;
use crate::schedule::{self, shown, span};
use crate::segment::Sieve;
use crate::store::runs::{Audience, Plan, Run};
use crate::track;
use crate::trial::By;

mod readers;
mod stages;

/// Cancelled runs of one issue that are looked at.
const CANCELLED: u32 = 20;

/// What an author may wish for a run.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// `2026-02-20 07:00 Europe/Berlin`, or a day alone beside `at_local`.
    pub at: Option<String>,
    /// `07:00`, in each reader's own zone.
    pub at_local: Option<String>,
    /// Time in which the run can be taken back.
    pub undo: Duration,
    /// `20/s`.
    pub rate: Option<String>,
    /// Time over which the messages are spread.
    pub over: Option<Duration>,
    /// `seed,1%,10m,10%,20m,rest`.
    pub stages: Option<String>,
    pub test: Option<SubjectTest>,
    pub part: Part,
    /// To whom of the list; all of it when none.
    pub to: Option<Sieve>,
    /// Also to readers who want the digest of the month alone.
    pub monthly: bool,
}

/// Two subjects to be tried on a part of the readers.
#[derive(Clone, Debug)]
pub struct SubjectTest {
    /// Both as they were written.
    pub a: String,
    pub b: String,
    /// The same issue under the second.
    pub revision_b: String,
    /// How much of the run, such as `20%`.
    pub share: String,
    pub after: Duration,
    pub by: By,
}

/// To whom of the list a run goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Part {
    #[default]
    All,
    /// Those whom the cancelled run did not reach.
    Continue,
    /// Those whom an earlier revision of the issue reached.
    Reached,
    /// Those who, as people, neither opened nor clicked any copy of this issue.
    UnopenedOf(String),
}

/// A plan, and what to tell the author of it.
#[derive(Clone, Debug)]
pub struct Planned {
    pub plan: Plan,
    /// When the first message may leave.
    pub start: Timestamp,
    /// The zone in which the start is told.
    pub zone: String,
    /// What the plan means, in sentences.
    pub notes: Vec<String>,
    /// How many readers it would go to now.
    pub readers: i64,
    /// The run that gives the audience.
    pub origin: Option<Run>,
    /// Who would get the issue twice.
    pub doubles: Doubles,
}

/// Makes the plan for a run of the issue `slug`, compiled to `revision`, to the list `list`.
pub async fn plan(
    app: &App,
    wishes: &Wishes,
    slug: &str,
    revision: &str,
    list: ListId,
) -> anyhow::Result<Planned> {
    let now = app.clock.now();
    let usual = &app.config.publication.timezone;
    let mut planned = Planned {
        plan: Plan::default(),
        start: now,
        zone: usual.clone(),
        notes: Vec::new(),
        readers: 0,
        origin: None,
        doubles: Doubles::default(),
    };
    planned.plan.monthly = wishes.monthly;
    planned.audience(app, wishes, slug, revision, list).await?;
    planned.find_doubles(app, slug, revision, list).await?;
    let place = planned.notes.len();
    if let Some(hour) = &wishes.at_local {
        planned.local(app, hour, wishes, list, now).await?;
    } else if let Some(at) = &wishes.at {
        let start = schedule::start(at, usual, now).map_err(|what| anyhow!(what))?;
        planned.notes.extend(start.note);
        planned.plan.start = Some(start.at);
        planned.start = start.at;
        planned.zone = start.zone;
    }
    let asked = planned.plan.start.filter(|_| wishes.at_local.is_none());
    let first = wishes.at_local.as_ref().and(planned.plan.start);
    planned.undo(wishes, now);
    if let Some(asked) = asked {
        let note = planned.starts(asked, now);
        planned.notes.insert(place, note);
    } else if let Some(first) = first.filter(|&first| planned.start > first) {
        planned.notes.push(format!(
            "and the first {}: the time to take it back is longer",
            shown(planned.start.max(first), usual)
        ));
    }
    planned.pace(wishes)?;
    planned.stages(app, wishes, list).await?;
    planned.test(app, wishes, revision)?;
    let whole = wishes.part == Part::All && wishes.to.is_none();
    let waits = planned.plan.start.is_some();
    planned.plan.expected = (whole && waits).then_some(planned.readers);
    planned.plan.zone = planned.plan.start.map(|_| planned.zone.clone());
    Ok(planned)
}

impl Planned {
    /// Whether the run waits for an hour of its own, and not only to be taken back.
    pub fn is_scheduled(&self, wishes: &Wishes) -> bool {
        self.plan.start.is_some() && (wishes.at.is_some() || wishes.at_local.is_some())
    }

    /// The same plan when it is only begun at `now`: the time to take it back counts from here.
    pub fn from(mut self, now: Timestamp, wishes: &Wishes) -> Planned {
        self.undo(wishes, now);
        self
    }

    async fn audience(
        &mut self,
        app: &App,
        wishes: &Wishes,
        slug: &str,
        revision: &str,
        list: ListId,
    ) -> anyhow::Result<()> {
        let store = &app.store;
        let (audience, origin) = match &wishes.part {
            Part::All => {
                return match &wishes.to {
                    Some(sieve) => self.segment(app, sieve, wishes, list).await,
                    None => {
                        let found = store.confirmed_on(list, wishes.monthly).await?;
                        self.readers = found.readers;
                        self.suppressed(found);
                        self.somebody(app, wishes, list).await?;
                        self.digest(app, wishes, list).await
                    }
                };
            }
            Part::Continue => {
                let run = to_continue(app, slug, revision, list, self.plan.monthly).await?;
                (Audience::Continue, run)
            }
            Part::Reached => {
                let run = store.last_reached(slug, list, revision).await?;
                let run = run.with_context(|| {
                    format!("nobody has got another content of `{slug}` than the one it has now")
                })?;
                (Audience::Reached, run)
            }
            Part::UnopenedOf(earlier) => {
                ensure!(
                    app.config.tracking.opens || app.config.tracking.clicks,
                    "`[tracking]` counts neither opens nor clicks, so nobody knows who did not open"
                );
                ensure!(
                    app.config.privacy.tracking == Tracking::Individual,
                    "`privacy.tracking` is not \"individual\", so nobody knows who did not open"
                );
                let run = store.last_started(earlier, list).await?;
                let run =
                    run.with_context(|| format!("`{earlier}` was never sent to this list"))?;
                ensure!(
                    store.nameless_of(&[run.id()]).await?.is_empty(),
                    "run {} of `{earlier}` was counted without names (`privacy.tracking`), so nobody knows who did \
                     not open",
                    run.id
                );
                // What stands in the log is to be counted by now.
                track::fold::catch_up(store).await?;
                (Audience::Unopened, run)
            }
        };
        // What is sent anew of a digest goes to whom the digest is for.
        self.plan.monthly |= origin.monthly == 1 && origin.slug == slug;
        let monthly = self.plan.monthly;
        self.readers = store
            .part_of(list, audience, origin.id(), (slug, revision), monthly)
            .await?;
        ensure!(
            self.readers > 0,
            "nobody is left to send to: no reader of `{}` belongs to that part and is still on the list",
            origin.slug
        );
        self.plan.audience = audience;
        self.plan.origin = Some(origin.id());
        self.origin = Some(origin);
        Ok(())
    }

    async fn local(
        &mut self,
        app: &App,
        hour: &str,
        wishes: &Wishes,
        list: ListId,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let usual = &app.config.publication.timezone;
        let local = schedule::local(hour, wishes.at.as_deref(), usual, now);
        let local = local.map_err(|what| anyhow!(what))?;
        let said = local.strftime("%H:%M on %a %-d %b %Y").to_string();
        let field = &app.config.send.timezone_field;
        let zones = match field {
            None => vec![(None, self.readers)],
            Some(field) => {
                let fields = Publication::load(&app.emails())?.fields;
                ensure!(
                    fields.kind(field).is_some(),
                    "`send.timezone_field` names `{field}`, which `fields.toml` does not declare"
                );
                {
                    let segment = self.plan.segment.as_ref().map(|sieve| &sieve.filter);
                    app.store.zones_of(list, field, segment, now).await?
                }
            }
        };
        let usual_due =
            schedule::in_zone(local, usual).context("the publication's zone is known")?;
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        let (mut passed, mut unknown, mut own) = (0, 0, 0);
        for (zone, readers) in &zones {
            let found = zone
                .as_deref()
                .and_then(|zone| schedule::in_zone(local, zone));
            match found {
                Some(_) => own += readers,
                None => unknown += readers,
            }
            let due = found.unwrap_or(usual_due);
            if due <= now {
                passed += readers;
            }
            (first, last) = (first.min(due.0), last.max(due.0));
        }
        ensure!(
            last > now.0,
            "it was {said} everywhere already; name another day with `--at`"
        );
        self.notes.push(format!(
            "each reader gets it at {said} by their own clock: the first {}, the last {}",
            shown(Timestamp(first.max(now.0)), usual),
            shown(Timestamp(last), usual)
        ));
        if field.is_none() {
            self.notes.push(format!(
                "`send.timezone_field` names no field, so every reader's clock is that of {usual}"
            ));
        } else if unknown > 0 {
            self.notes.push(format!(
                "{own} readers name their zone; {unknown} name none or an unknown one, and theirs is {usual}"
            ));
        }
        if passed > 0 {
            self.notes.push(format!(
                "for {passed} of them that hour has passed where they are: they get it at once"
            ));
        }
        self.plan.local_at = Some(local.to_string());
        self.plan.zone_field = field.clone();
        self.zone = usual.clone();
        self.start = Timestamp(first.max(now.0));
        // The zone is kept also where it starts at once: it is the one of readers without their own.
        self.plan.start = Some(self.start);
        Ok(())
    }

    /// Tells when it starts, and why that is not the hour that was `asked` for.
    fn starts(&self, asked: Timestamp, now: Timestamp) -> String {
        let start = shown(self.start, &self.zone);
        let wait = span(self.start.since(now));
        let later = match self.start > asked {
            true => format!(
                ", and not {}: the time to take it back is longer",
                shown(asked, &self.zone)
            ),
            false => String::new(),
        };
        format!("it starts {start}, in {wait}{later}")
    }

    fn undo(&mut self, wishes: &Wishes, now: Timestamp) {
        let earliest = now.after(wishes.undo);
        if wishes.undo.is_zero() || self.start >= earliest {
            return;
        }
        let note = format!("it can be taken back for {}", span(wishes.undo));
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        self.start = earliest;
        self.plan.start = Some(earliest);
    }

    fn pace(&mut self, wishes: &Wishes) -> anyhow::Result<()> {
        if let Some(rate) = &wishes.rate {
            let per_day = pace::parse(rate).map_err(|what| anyhow!(what))?;
            let takes = i128::from(self.readers) * i128::from(DAY) / i128::from(per_day);
            let takes = Duration::from_millis(u64::try_from(takes).unwrap_or(u64::MAX));
            self.plan.per_day = Some(per_day);
            self.notes.push(format!(
                "at {} at most it takes {} at least",
                pace::shown(per_day),
                span(takes)
            ));
        }
        if let Some(over) = wishes.over {
            ensure!(
                over >= Duration::from_secs(1),
                "`--over` is a second at least"
            );
            ensure!(
                wishes.at_local.is_none(),
                "`--over` spreads a run that begins at one hour, and with `--at-local` each zone has its own; say \
                 `--rate` to go no faster than so many an hour, or leave one of the two out"
            );
            let per_day = pace::spread(self.readers, over).unwrap_or(1);
            self.plan.spread = Some(over);
            self.notes.push(format!(
                "it is spread over {}: {}",
                span(over),
                pace::shown(per_day)
            ));
        }
        Ok(())
    }
}

/// The cancelled run whose rest a run of the mended issue goes to: the newest that left anyone out whom none of the issue
/// reached since.
async fn to_continue(
    app: &App,
    slug: &str,
    revision: &str,
    list: ListId,
    monthly: bool,
) -> anyhow::Result<Run> {
    let store = &app.store;
    let cancelled = store.cancelled_runs(slug, list, CANCELLED).await?;
    for run in cancelled {
        super::drop_queued(app, run.id()).await?;
        let mut counts = store.counts(run.id()).await?;
        if counts.at_dot > 0 {
            deliver::settle(app).await?;
            counts = store.counts(run.id()).await?;
        }
        ensure!(
            counts.finished(),
            "{} deliveries of run {} still wait for the relay's answer; ask again in a moment (those of a machine that \
             died become uncertain once its lease has run out)",
            counts.at_dot + counts.queued,
            run.id
        );
        let monthly = monthly || run.monthly == 1;
        let left = store.part_of(
            list,
            Audience::Continue,
            run.id(),
            (slug, revision),
            monthly,
        );
        if left.await? > 0 {
            return Ok(run);
        }
    }
    let run = store.last_started(slug, list).await?;
    let run = run.with_context(|| {
        format!("no run of `{slug}` to this list ever began; `pressrun send {slug}` begins one")
    })?;
    bail!(
        "run {} of `{slug}` is {}, and no cancelled one left anybody out whom the issue has not reached since: there is \
         nothing to continue",
        run.id,
        run.status
    )
}

/// When it is `local` in each zone, as the store keeps it: first for readers of none, then by name.
pub fn local_dues<'a>(
    local: &str,
    usual: &str,
    zones: impl Iterator<Item = Option<&'a str>>,
) -> String {
    let Ok(local) = local.parse::<DateTime>() else {
        // Written by us; were it not readable, everyone would get it now.
        return "[]".into();
    };
    let due = |zone: &str| schedule::in_zone(local, zone).map(|at| at.0);
    let mut dues = vec![json!({ "zone": "", "due": due(usual).unwrap_or(0) })];
    for zone in zones.flatten() {
        if let Some(due) = due(zone) {
            dues.push(json!({ "zone": zone, "due": due }));
        }
    }
    serde_json::Value::from(dues).to_string()
}
