//! The author's numbers: one issue against those before it, all runs, one list.
//!
//! Promises: whatever stands in the event log is counted before it is read; a run costs its blocks and some hundred
//! tallies. A large list is counted once an hour, and what was found is kept. Leaves the words to the edges.

use std::time::Duration;

use serde::Serialize;

use crate::app::App;
use crate::clock::{HOUR, Timestamp};
use crate::event::score::Witness;
use crate::event::{EventKind, Evidence};
use crate::id::RunId;
use crate::run::trial;
use crate::stats::RunNumbers;
use crate::stats::growth::{Growth, growth};
use crate::stats::interval::Share;
use crate::stats::judged::{Judged, Nameless};
use crate::stats::tally::{Class, Part, Tally, What};
use crate::stats::usual::{Aged, SETTLED, Standing, Usual, usual};
use crate::store::StoreError;
use crate::store::runs::{Audience, Run};
use crate::subscriber::List;
use crate::track::{fold, parts};

pub mod log;
pub mod story;

/// Readers up to which a list is counted whenever it is asked for.
pub const SMALL: i64 = 50_000;
/// How old the count of a larger one may be.
const OLD: Duration = Duration::from_secs(3600);

/// Hours of a young issue that are compared: those that are shown one by one.
const MOST: i64 = 48;

/// One issue in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub run: RunNumbers,
    pub judged: Judged,
    /// Against the last issues of its list.
    pub usual: Against,
}

/// One issue against those before it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Against {
    pub clicked: Usual,
    pub opened: Usual,
    pub departed: Usual,
    /// While it is too early to compare the whole: what the first hours came to, against the first hours of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clicked_so_far: Option<Aged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_so_far: Option<Aged>,
    /// Those before it, the newest first.
    pub issues: Vec<Earlier>,
}

/// An earlier issue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Earlier {
    pub run: RunId,
    pub slug: String,
    pub title: String,
    pub sent: i64,
    pub clicked: Share,
    pub opened: Share,
    pub departed: Share,
}

/// A run as it stands in a list of runs, or alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    #[serde(flatten)]
    pub run: RunNumbers,
    pub clicked_by_readers: Share,
    pub opened_by_readers: Share,
    /// How much of all opens and clicks machines made.
    pub machines: Share,
}

/// A list in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListReport {
    pub list: String,
    pub title: String,
    /// When it was counted.
    pub at: Timestamp,
    #[serde(flatten)]
    pub growth: Growth,
}

/// Counts what waits in the log, and the blocks of `run` that have moved, and of those it is compared with.
pub async fn catch_up(app: &App, run: RunId) -> Result<(), StoreError> {
    fold::catch_up(&app.store).await?;
    count_blocks(app, run).await
}

/// The blocks alone: whoever keeps the log counted beside, as `serve` does, need not wait for it. Nothing is left to do
/// of a run that was counted since its last delivery was settled.
pub async fn count_blocks(app: &App, run: RunId) -> Result<(), StoreError> {
    let now = app.clock.now();
    parts::catch_up(&app.store, Some(run), now).await?;
    for earlier in app.store.issues_before(run, now.before(SETTLED)).await? {
        parts::catch_up(&app.store, Some(RunId(earlier.id)), now).await?;
    }
    Ok(())
}

/// Whether nothing is left to do for it.
pub async fn is_counted(app: &App, run: RunId) -> Result<bool, StoreError> {
    let now = app.clock.now();
    let earlier = app.store.issues_before(run, now.before(SETTLED)).await?;
    let earlier = earlier.into_iter().map(|earlier| RunId(earlier.id));
    for run in std::iter::once(run).chain(earlier) {
        let stale = app.store.stale_blocks(Some(run), Timestamp(0), 1).await?;
        if !stale.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The same of all runs under way or lately over.
pub async fn catch_up_lately(app: &App) -> Result<(), StoreError> {
    fold::catch_up(&app.store).await?;
    parts::catch_up(&app.store, None, app.clock.now()).await
}

/// One run as it stands; none where there is no such run of an issue.
pub async fn issue(app: &App, run: RunId) -> Result<Option<Report>, StoreError> {
    let Some(mut numbers) = app.store.run_in_numbers(run).await? else {
        return Ok(None);
    };
    let tally = app.store.tallies(run).await?;
    let nameless = app.store.nameless_of(&[run]).await?.contains(&run);
    judge_links(app, &mut numbers, &tally, nameless).await?;
    let mut judged = judged(&tally, &numbers, nameless);
    numbers.leave_out(&judged.uncounted, nameless);
    let usual = against(app, run, &judged).await?;
    numbers.test = trial::numbers_of(app, run).await?;
    if let Some(test) = &numbers.test {
        judged.name_subjects(test);
    }
    Ok(Some(Report {
        run: numbers,
        judged,
        usual,
    }))
}

async fn judge_links(
    app: &App,
    run: &mut RunNumbers,
    tally: &Tally,
    nameless: bool,
) -> Result<(), StoreError> {
    let issue = parts::issue_in_parts(&app.store, run.run).await?;
    let some = issue
        .map(|issue| issue.links_for_some())
        .unwrap_or_default();
    for link in &mut run.links {
        let some = u32::try_from(link.link).is_ok_and(|link| some.contains(&link));
        link.judged = Judged::link(tally, link.link, run.counts.sent, some);
        if nameless {
            link.judged = Judged::nameless_link(link.judged, link.readers, link.clicks);
        }
    }
    Ok(())
}

/// The judged numbers of a run; what is counted of it, where its events name nobody.
fn judged(tally: &Tally, run: &RunNumbers, nameless: bool) -> Judged {
    let judged = Judged::read(tally, run.counts.sent, run.departed);
    let counted = Nameless {
        opened: run.opened,
        clicked: run.clicked,
        opens: run.opens,
        clicks: run.clicks,
    };
    match nameless {
        true => judged.nameless(&counted),
        false => judged,
    }
}

async fn against(app: &App, run: RunId, judged: &Judged) -> Result<Against, StoreError> {
    let settled = app.clock.now().before(SETTLED);
    let before = app.store.issues_before(run, settled).await?;
    let found = app.store.run(run).await?;
    let unsaid = found.as_ref().and_then(|run| unsaid(run, settled));
    let ids: Vec<RunId> = before.iter().map(|run| RunId(run.id)).collect();
    let mut tallies = app.store.tallies_of(&ids, Some(Part::Run)).await?;
    let nameless = app.store.nameless_of(&ids).await?;
    let issues: Vec<Earlier> = before
        .into_iter()
        .map(|run| {
            let tally = tallies.remove(&RunId(run.id)).unwrap_or_default();
            let mut judged = Judged::read(&tally, run.sent, run.departed);
            if nameless.contains(&RunId(run.id)) {
                judged = judged.nameless(&Nameless {
                    opened: run.opened,
                    clicked: run.clicked,
                    ..Nameless::default()
                });
            }
            Earlier {
                run: RunId(run.id),
                slug: run.slug,
                title: run.title,
                sent: run.sent,
                clicked: judged.clicked,
                opened: judged.opened,
                departed: judged.departed,
            }
        })
        .collect();
    let held = |this: &Share, of: fn(&Earlier) -> Share| {
        let found = usual(this, &issues.iter().map(of).collect::<Vec<_>>());
        unsaid.map_or(found, |why| found.unsaid(why))
    };
    let hours = found
        .as_ref()
        .map_or(0, |run| hours_old(run, app.clock.now()));
    let young = unsaid == Some(Standing::TooEarly) && hours > 0 && !judged.nameless;
    let [clicked_so_far, opened_so_far] = match young {
        true => so_far(app, run, hours, judged, &issues).await?,
        false => [None, None],
    };
    Ok(Against {
        clicked_so_far,
        opened_so_far,
        clicked: held(&judged.clicked, |issue| issue.clicked),
        opened: held(&judged.opened, |issue| issue.opened),
        departed: held(&judged.departed, |issue| issue.departed),
        issues,
    })
}

/// Whole hours since the last copy of a run left; 0 while it is being sent.
fn hours_old(run: &Run, now: Timestamp) -> i64 {
    let ended = run.finished_at.filter(|_| run.status.is_over());
    ended.map_or(0, |at| (now.0 - at) / HOUR).min(MOST)
}

/// Clicks and opens of the first hours of a run, against those of the issues before it.
async fn so_far(
    app: &App,
    run: RunId,
    hours: i64,
    judged: &Judged,
    issues: &[Earlier],
) -> Result<[Option<Aged>; 2], StoreError> {
    let ids: Vec<RunId> = std::iter::once(run)
        .chain(issues.iter().map(|issue| issue.run))
        .collect();
    let tallies = app.store.tallies_of(&ids, Some(Part::Hour)).await?;
    let share = |id: RunId, what: What, whole: &Share| {
        let within = |tally: &Tally| -> i64 {
            let buckets = (0..hours).map(|hour| format!("{hour:03}"));
            buckets.map(|hour| tally.get(Part::Hour, &hour, what)).sum()
        };
        match whole.told {
            true => Share::of(tallies.get(&id).map_or(0, within), whole.whole),
            false => Share::default(),
        }
    };
    let aged = |what, this: &Share, of: fn(&Earlier) -> Share| {
        let earlier = issues.iter();
        let earlier: Vec<Share> = earlier
            .map(|issue| share(issue.run, what, &of(issue)))
            .collect();
        let share = share(run, what, this);
        Aged {
            hours,
            share,
            usual: usual(&share, &earlier),
        }
    };
    Ok([
        Some(aged(
            What::Clicked(Class::Human),
            &judged.clicked,
            |issue| issue.clicked,
        )),
        Some(aged(What::Opened(Class::Human), &judged.opened, |issue| {
            issue.opened
        })),
    ])
}

/// Why a run is not compared with those before it.
fn unsaid(run: &Run, settled: Timestamp) -> Option<Standing> {
    let whole = run.segment.is_none() && run.audience == Audience::List.name();
    let ended = run.status.is_over();
    let last = run.finished_at.or(run.started_at);
    match (whole, ended && last.is_some_and(|last| last <= settled.0)) {
        (false, _) => Some(Standing::OnlyPart),
        (_, false) => Some(Standing::TooEarly),
        _ => None,
    }
}

/// The newest `limit` runs of issues, the newest first.
pub async fn runs(app: &App, limit: u32) -> Result<Vec<Line>, StoreError> {
    lines(app, app.store.runs_in_numbers(limit).await?).await
}

/// One run in the same words; none where there is no such run of an issue.
pub async fn line(app: &App, run: RunId) -> Result<Option<Line>, StoreError> {
    let Some(mut numbers) = app.store.run_in_numbers(run).await? else {
        return Ok(None);
    };
    let tally = app.store.tallies(run).await?;
    let nameless = app.store.nameless_of(&[run]).await?.contains(&run);
    judge_links(app, &mut numbers, &tally, nameless).await?;
    Ok(Some(line_of(numbers, &tally, nameless)))
}

/// These runs with what readers did, told from machines.
pub async fn lines(app: &App, runs: Vec<RunNumbers>) -> Result<Vec<Line>, StoreError> {
    let ids: Vec<RunId> = runs.iter().map(|run| run.run).collect();
    let mut tallies = app.store.tallies_of(&ids, Some(Part::Run)).await?;
    let nameless = app.store.nameless_of(&ids).await?;
    let lines = runs.into_iter().map(|run| {
        let tally: Tally = tallies.remove(&run.run).unwrap_or_default();
        let nameless = nameless.contains(&run.run);
        line_of(run, &tally, nameless)
    });
    Ok(lines.collect())
}

fn line_of(mut run: RunNumbers, tally: &Tally, nameless: bool) -> Line {
    let judged = judged(tally, &run, nameless);
    run.leave_out(&judged.uncounted, nameless);
    let machines = judged.clicks.machine + judged.opens.machine;
    let all = judged.clicks.total() + judged.opens.total();
    let untold = judged.nameless || !(judged.clicked.told || judged.opened.told);
    Line {
        clicked_by_readers: judged.clicked,
        opened_by_readers: judged.opened,
        machines: match untold {
            true => Share::default(),
            false => Share::of(machines, all),
        },
        run,
    }
}

/// How a list grew, by weeks and months of the publication's time zone: counted now, or, where it is large, within the
/// last hour.
pub async fn list(app: &App, list: &List) -> anyhow::Result<ListReport> {
    let now = app.clock.now();
    let zone = app.config.publication.timezone.as_str();
    let fresh = |kept: &ListReport| {
        let large = kept.growth.subscribed > SMALL && kept.growth.zone == zone;
        large && now.since(kept.at) < OLD && kept.at <= now
    };
    if let Some(kept) = last_counted(app, list).await?.filter(fresh) {
        return Ok(kept);
    }
    let counted = app.store.count_list(list.id).await?;
    let found = growth(&counted, now, zone);
    let text = serde_json::to_string(&found)?;
    app.store.keep_list_numbers(list.id, now, &text).await?;
    Ok(report(list, now, found))
}

/// The same as it was counted last, however long ago; none where it never was.
pub async fn last_counted(app: &App, list: &List) -> Result<Option<ListReport>, StoreError> {
    let kept = app.store.list_numbers(list.id).await?;
    Ok(kept.and_then(|(at, text)| Some(report(list, at, serde_json::from_str(&text).ok()?))))
}

/// Whether the list is so large that nobody waits for it to be counted.
pub async fn is_large(app: &App, list: &List) -> Result<bool, StoreError> {
    app.store.is_longer(list.id, SMALL).await
}

fn report(list: &List, at: Timestamp, growth: Growth) -> ListReport {
    ListReport {
        list: list.slug.clone(),
        title: list.title.clone(),
        at,
        growth,
    }
}

/// An event for the judge; its own word of when it came goes behind what the fold found out.
fn witness(
    kind: EventKind,
    link: Option<u32>,
    at: Timestamp,
    after: Option<i64>,
    evidence: &Evidence,
) -> Witness<'_> {
    Witness {
        kind,
        link,
        at,
        after: after.or(evidence.after),
        evidence,
    }
}
