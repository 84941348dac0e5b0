//! `pressrun send`: an issue on its way, now or in its time.
//!
//! Promises: nothing is begun before the issue is fit to be sent, every guard is answered, and a person
//! has said yes.

mod approval;
pub(crate) mod ask;
pub(crate) mod foreground;
mod replace;
mod rest;
pub(crate) mod resume;
pub(crate) mod test;

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::app::App;
use crate::cli::send::ask::Deed;
use crate::cli::send::foreground::{note_if_nobody_sends, send_and_follow};
use crate::cli::signal::Stop;
use crate::cli::{Cli, Exit, audit, control, rehearse, signal};
use crate::clock::Timestamp;
use crate::config::parse_duration;
use crate::deliver::{setup, state};
use crate::diagnostic::Diagnostic;
use crate::issue::given::Titles;
use crate::lists;
use crate::preflight;
use crate::publication::{self, Built};
use crate::run::guards::{self, Guard, PROMO_LINT, sender};
use crate::run::plan::{self, Part, Planned, SubjectTest, Wishes};
use crate::run::{self, commands, whom, why};
use crate::schedule::on_the_wall;
use crate::status::RunStatus;
use crate::store::audience::Whom;
use crate::store::runs::{Begun, Run};
use crate::trial::By;

/// Sends an issue to the confirmed readers of a list.
#[derive(Debug, Args)]
pub struct Send {
    /// Slug or folder of the issue.
    issue: String,
    /// Short name of the list; the one of the front matter when not said, else the publication's own.
    #[arg(long)]
    list: Option<String>,
    /// Sends without asking. Guards are still asked: `--accept` answers them.
    #[arg(long)]
    yes: bool,
    /// Begins the run and leaves the sending to `pressrun serve`.
    #[arg(long)]
    detach: bool,
    /// Sends although this issue went to this list before; the same as `--accept same-issue`.
    #[arg(long)]
    again: bool,
    /// The relay that carries this run: one name, several with commas, or `all`; those of `send.relay` when
    /// not said.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    relay: String,
    /// Sends although some readers' copies lack a value, are cut or are too large. What cannot be sent at
    /// all (an address that is none, a value that would break a header) still stops the run.
    #[arg(long)]
    skip_rehearsal: bool,
    /// Answers a guard: `sender`, `same-issue`, `same-subject`, `audience`, `hour` or `promo-date`. May be said
    /// several times.
    #[arg(long, value_name = "GUARD", value_parser = Guard::parse)]
    accept: Vec<Guard>,
    /// Starts then, such as "2026-02-20 07:00 Europe/Berlin", "friday 07:00", "tomorrow 7am" or "07:00"; without
    /// a zone in that of the publication. The content is fixed now, the readers are those of that moment. Needs
    /// `pressrun serve`.
    #[arg(long, value_name = "TIME", help_heading = "When and how fast")]
    at: Option<String>,
    /// Each reader gets it at this hour by their own clock (`send.timezone_field`), on the day of `--at` or
    /// the next time it is that hour here.
    #[arg(long, value_name = "HH:MM", help_heading = "When and how fast")]
    at_local: Option<String>,
    /// Waits so long before anything leaves: Ctrl-C or `pressrun cancel` takes it back meanwhile
    /// [default: `send.undo`].
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "When and how fast")]
    undo: Option<Duration>,
    /// Goes no faster than this: `20/s`, `1000/m`, `5000/h`, `50000/d`.
    #[arg(long, value_name = "RATE", help_heading = "When and how fast")]
    rate: Option<String>,
    /// Spreads the messages evenly over this time, such as `2h`.
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "When and how fast")]
    over: Option<Duration>,
    /// Opens it step by step and holds it when bounces, deferrals or unsubscribes leave what the list is
    /// used to: "seed,1%,10m,10%,20m,rest". `seed` is `send.seed`, shares count from the beginning, and a
    /// wait follows the share that it looks at.
    #[arg(long, value_name = "STAGES", help_heading = "When and how fast")]
    stages: Option<String>,
    /// Tries this subject beside the issue's own on a part of the readers; the better one goes to the rest.
    #[arg(long, value_name = "SUBJECT", help_heading = "Two subjects", conflicts_with_all = ["stages", "at_local", "replace"])]
    subject_b: Option<String>,
    /// How much of the readers the test takes.
    #[arg(
        long = "test",
        value_name = "SHARE",
        default_value = "20%",
        help_heading = "Two subjects",
        requires = "subject_b"
    )]
    share: String,
    /// How long after the test went out it is decided.
    #[arg(
        long,
        value_name = "TIME",
        value_parser = parse_duration,
        default_value = "4h",
        help_heading = "Two subjects",
        requires = "subject_b"
    )]
    after: Duration,
    /// What decides: `clicks` or `opens`, those of machines left out.
    #[arg(
        long,
        value_name = "WHAT",
        value_parser = By::parse,
        default_value = "clicks",
        help_heading = "Two subjects",
        requires = "subject_b"
    )]
    by: By,
    /// To the readers of the list who are in this segment: a name of `segments.toml`, or an expression such
    /// as "tag:paid and not opened:last-3". Who is in it is found when the run starts.
    #[arg(long, value_name = "SEGMENT", conflicts_with_all = ["replace", "go_on", "to_reached", "resend", "to_unopened_of"])]
    to: Option<String>,
    /// The digest of the month: goes also to readers who want nothing else.
    #[arg(long)]
    monthly: bool,
    /// Gives the scheduled run of this issue the content it has now; its hour stays.
    #[arg(
        long,
        help_heading = "After the first time",
        conflicts_with_all = ["at", "at_local", "undo", "rate", "over", "again", "stages"]
    )]
    replace: bool,
    /// Sends the mended issue to those whom its cancelled run did not reach.
    #[arg(
        long = "continue",
        help_heading = "After the first time",
        conflicts_with_all = ["replace", "correction", "resend", "to_unopened_of"]
    )]
    go_on: bool,
    /// With `--to-reached`: sends the mended issue as a second mail.
    #[arg(long, help_heading = "After the first time", requires = "to_reached")]
    correction: bool,
    /// To those who got an earlier content of this issue.
    #[arg(
        long,
        help_heading = "After the first time",
        requires = "correction",
        conflicts_with_all = ["replace", "resend", "to_unopened_of"]
    )]
    to_reached: bool,
    /// To those who got the issue SLUG and neither opened it nor clicked, and are still on the list.
    #[arg(
        long,
        value_name = "SLUG",
        help_heading = "After the first time",
        conflicts_with = "replace"
    )]
    to_unopened_of: Option<String>,
    /// The same as `--to-unopened-of` this issue.
    #[arg(
        long,
        help_heading = "After the first time",
        conflicts_with_all = ["replace", "to_unopened_of"]
    )]
    resend: bool,
}

/// Runs `pressrun send`.
pub(super) async fn run(cli: &Cli, send: &Send) -> anyhow::Result<Exit> {
    send.run(&cli.open().await?).await
}

impl Send {
    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let asked = self.list.as_deref();
        let titles = lists::titles(&app.store).await?;
        let (config, emails) = (&app.config, app.emails());
        let built = publication::compile_for(config, &emails, &self.issue, &titles, asked)?;
        if self.replace {
            return self.replace(app, built).await;
        }
        // Beside PostgreSQL whoever sends may have another one.
        if !self.detach || app.store.is_sqlite() {
            state::prove(app).await?;
        }
        let list = &built.list.clone();
        let other = self.other(app, &titles)?;
        let mut wishes = self.wishes(app, &built, other.as_ref());
        if let Some(said) = &self.to {
            wishes.to = Some(whom::read(app, "`--to`", said)?);
        }
        if let Some(run) = under_way(app, &built, list).await? {
            return self.go_on_with(app, &run, &wishes, signal::stop()).await;
        }
        if let Some(why) = setup::is_outdated(&app.store, config, &self.relay).await? {
            bail!("`{}` was not sent: {why}", built.compiled.slug);
        }
        if let Some(why) = sender::refusal(config, &self.relay)? {
            bail!("`{}` was not sent: {why}", built.compiled.slug);
        }
        let found = lists::find(app, list).await?;
        let (slug, revision) = (built.compiled.slug.clone(), built.compiled.hash());
        let mut planned = plan::plan(app, &wishes, &slug, &revision, found.id).await?;
        let built = self
            .under_the_winner(app, built, &titles, &mut planned)
            .await?;
        self.say_what(app, &built, other.as_ref(), &planned)?;
        let mut promos = self.preflight(app, &built, list, &planned).await?;
        if let Some(other) = &other {
            eprintln!(
                "under \"{}\":",
                other.issue.front.subject.as_deref().unwrap_or_default()
            );
            promos.extend(self.preflight(app, other, list, &planned).await?);
            promos.dedup();
        }
        let mut questions = Vec::from_iter(sender::question(app, &self.relay).await?);
        questions.extend(guards::questions(app, &built, found.id, &planned, &promos).await?);
        if let Some(exit) = self.answer(Deed::SEND, &slug, &questions)? {
            return Ok(exit);
        }
        self.confirm(app, &built, other.as_ref(), &planned)?;
        let mut planned = planned.from(app.clock.now(), &wishes);
        planned.look_again(app, &slug, &revision, found.id).await?;
        planned.plan.relay.clone_from(&self.relay);
        // From here on Ctrl-C takes the run back, where it has time for that.
        let stop = signal::stop();
        // A guard was asked about it, or found nobody who has it.
        let again = self.again || self.accepts(Guard::SameIssue);
        if let Some(other) = &other {
            run::keep_revision(app, &other.compiled, &other.images).await?;
        }
        let started = run::begin_planned(app, built, list, &planned.plan, again).await?;
        match started.begun {
            Begun::New(id) => {
                let run = app.store.run(id).await?.context("the run is gone")?;
                audit::note(app, "began a run", &control::about(&run)).await?;
                self.begun(app, &run, planned.is_scheduled(&wishes), stop)
                    .await
            }
            Begun::UnderWay(id) => {
                let run = app.store.run(id).await?.context("the run is gone")?;
                self.go_on_with(app, &run, &wishes, stop).await
            }
            Begun::Before(id) => bail!(
                "this issue went to `{list}` before (run {id}); `--again` sends it to everyone once more, \
                 `--continue` to those whom a cancelled run did not reach, `--to \"not sent:{slug}\"` to those \
                 who have not got it"
            ),
        }
    }

    /// The issue under its second subject.
    fn other(&self, app: &App, titles: &Titles) -> anyhow::Result<Option<Built>> {
        let Some(subject) = &self.subject_b else {
            return Ok(None);
        };
        let (list, emails, issue) = (self.list.as_deref(), app.emails(), &self.issue);
        let built = publication::compile_under(&app.config, &emails, issue, titles, list, subject);
        built.context("`--subject-b`").map(Some)
    }

    fn wishes(&self, app: &App, built: &Built, other: Option<&Built>) -> Wishes {
        let slug = &built.compiled.slug;
        let test = other.map(|other| SubjectTest {
            a: rest::subject(built),
            b: rest::subject(other),
            revision_b: other.compiled.hash(),
            share: self.share.clone(),
            after: self.after,
            by: self.by,
        });
        let part = if self.go_on {
            Part::Continue
        } else if self.to_reached {
            Part::Reached
        } else if self.resend {
            Part::UnopenedOf(slug.clone())
        } else {
            match &self.to_unopened_of {
                Some(slug) => Part::UnopenedOf(slug.clone()),
                None => Part::All,
            }
        };
        Wishes {
            at: self.at.clone(),
            at_local: self.at_local.clone(),
            undo: self.undo.unwrap_or(app.config.send.undo),
            rate: self.rate.clone(),
            over: self.over,
            stages: self.stages.clone(),
            test,
            part,
            to: None,
            monthly: self.monthly,
        }
    }

    /// What becomes of a run that was begun just now.
    async fn begun(
        &self,
        app: &App,
        run: &Run,
        scheduled: bool,
        stop: Stop,
    ) -> anyhow::Result<Exit> {
        let slug = &run.slug;
        if run.status == RunStatus::Scheduled && scheduled {
            println!("{}", why::why(app, run).await?.sentence);
            return Ok(Exit::Done);
        }
        if self.detach || scheduled {
            println!(
                "run {} of `{slug}` is begun; `pressrun serve` sends it, `pressrun status` shows it",
                run.id
            );
            note_if_nobody_sends(app, Some(run)).await?;
            return Ok(Exit::Done);
        }
        if run.status == RunStatus::Scheduled {
            let wait = Timestamp(run.start_at.unwrap_or(0)).since(app.clock.now());
            eprintln!(
                "it leaves in {}; Ctrl-C, or `pressrun cancel {}`, takes it back",
                crate::schedule::span(wait),
                run::name(app, run).await?
            );
        }
        send_and_follow(app, run.id(), stop).await
    }

    /// What becomes of the run that is under way already.
    async fn go_on_with(
        &self,
        app: &App,
        run: &Run,
        wishes: &Wishes,
        stop: Stop,
    ) -> anyhow::Result<Exit> {
        let Run {
            id, slug, status, ..
        } = run;
        let (name, to) = (
            run::name(app, run).await?,
            commands::to_list(app, run).await?,
        );
        match status {
            RunStatus::Paused | RunStatus::Held => bail!(
                "run {id} of this issue is {status}; go on with `{}`",
                commands::resume(app, run).await?
            ),
            RunStatus::Scheduled if run.is_overdue(app.clock.now()) => bail!(
                "the hour of run {id} of this issue has passed, and nobody was there to send it; go on with `{}`",
                commands::resume(app, run).await?
            ),
            RunStatus::Scheduled => bail!(
                "run {id} of this issue is scheduled; `pressrun send {slug}{to} --replace` gives it the content of now, \
                 `pressrun cancel {name}` takes it back, `pressrun why {name}` says when it starts"
            ),
            _ if self.is_of_its_own(wishes) => bail!(
                "run {id} of this issue is {status} as it was begun, and takes nothing of what is asked now; let it \
                 end, or cancel it first with `pressrun cancel {name}`"
            ),
            _ => eprintln!("run {id} of this issue is under way and goes on as it was begun"),
        }
        if self.detach {
            println!(
                "run {id} of `{slug}` is begun; `pressrun serve` sends it, `pressrun status` shows it"
            );
            note_if_nobody_sends(app, Some(run)).await?;
            return Ok(Exit::Done);
        }
        send_and_follow(app, run.id(), stop).await
    }

    /// Whether it asks for a run that is another than the plain one: to some readers, at its hour, at its pace.
    fn is_of_its_own(&self, wishes: &Wishes) -> bool {
        let said = [
            &self.at,
            &self.at_local,
            &self.rate,
            &self.stages,
            &self.subject_b,
        ];
        wishes.part != Part::All
            || wishes.to.is_some()
            || said.into_iter().any(Option::is_some)
            || self.over.is_some()
            || self.monthly
            || !self.relay.is_empty()
    }

    /// Tells every finding, and refuses what is an error: by the lints for the day of the start, and in any
    /// reader's copy. Gives the offers that will be over by then, which a guard asks about.
    async fn preflight(
        &self,
        app: &App,
        built: &Built,
        list: &str,
        planned: &Planned,
    ) -> anyhow::Result<Vec<Diagnostic>> {
        let promos = findings(app, built, planned.start, &planned.zone).await?;
        let whom = Whom {
            segment: planned.plan.segment.as_ref().map(|sieve| &sieve.filter),
            monthly: planned.plan.monthly,
            parts: &built.compiled.only,
        };
        self.rehearse(app, built, list, whom).await?;
        Ok(promos)
    }

    /// Makes every reader's copy, tells what is wrong with any, and refuses what cannot be sent.
    async fn rehearse(
        &self,
        app: &App,
        built: &Built,
        list: &str,
        whom: Whom<'_>,
    ) -> anyhow::Result<()> {
        let slug = &built.compiled.slug;
        let report = rehearse::with_bar(app, built, list, whom, None).await?;
        if !report.findings.is_empty() {
            eprint!("{}", rehearse::as_text(report.findings.iter()));
            eprintln!("{}", rehearse::who(slug, list));
        }
        let refused: Vec<_> = report.refusals(self.skip_rehearsal).collect();
        if refused.is_empty() {
            return Ok(());
        }
        match refused.iter().all(|group| group.kind.may_be_skipped()) {
            true => bail!(
                "`{slug}` was not sent: see above whose copies are not as they should be; \
                 `--skip-rehearsal` sends it all the same"
            ),
            false => bail!(
                "`{slug}` was not sent: correct or remove the readers above (`pressrun subscribers`), \
                 whose copies cannot be sent; no flag overrides this"
            ),
        }
    }
}

/// The lints for an issue that starts then: told, errors refused, ended offers given back.
async fn findings(
    app: &App,
    built: &Built,
    start: Timestamp,
    zone: &str,
) -> anyhow::Result<Vec<Diagnostic>> {
    let slug = &built.compiled.slug;
    let emails = app.emails();
    let mut facts = preflight::facts(&emails, slug, Some(&app.store), app.clock.now()).await;
    facts.today = Some(on_the_wall(start, zone).date());
    let found = preflight::findings(&app.config, built, &facts);
    let (promos, found): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|finding| finding.code == PROMO_LINT);
    for finding in &found {
        eprintln!("{finding}");
    }
    if found.iter().any(Diagnostic::is_error) {
        bail!(
            "`{slug}` was not sent; mend what is above, or change the level of a lint in `[lint]` of \
             the configuration"
        );
    }
    Ok(promos)
}

/// The run of this issue to this list that is under way, and was looked at when it began.
async fn under_way(app: &App, built: &Built, list: &str) -> anyhow::Result<Option<Run>> {
    let Some(list) = app.store.list(list).await? else {
        return Ok(None);
    };
    let runs = app.store.runs_of(&built.compiled.slug).await?;
    let mut runs = runs.into_iter();
    Ok(runs.find(|run| run.is_open() && run.list_id == Some(list.id.0)))
}
