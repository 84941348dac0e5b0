//! The numbers of an issue and of a list, with charts, and the issue with what was clicked.
//!
//! Promises: read from counters and tallies; readers are told from machines; every chart is drawn here, without a
//! script, and stands beside its numbers in a table.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use axum::response::{Html, IntoResponse, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use crate::cli::stats::spreadsheet;
use crate::compile::Compiled;
use crate::compile::clickmap::annotated;
use crate::http::admin::refused::{Refused, answered};
use crate::http::admin::run_view::corrected;
use crate::http::admin::wording::{NOT_COUNTED, grouped, parameter, share_of, told};
use crate::http::admin::{Admin, counting, growth, runs};
use crate::http::chart::{Bars, Dots, bars, dots};
use crate::http::fault::Fault;
use crate::http::form::Tail;
use crate::id::RunId;
use crate::numbers::{self, Report};
use crate::stats::LinkNumbers;
use crate::stats::interval::Share;
use crate::stats::judged::{Group, SHOWN};
use crate::stats::usual::{Aged, Standing, Usual};
use crate::store::runs::Run;

/// Units across a thin bar.
const WIDTH: i64 = 1_000;

/// Runs in the table of all.
const RUNS: u32 = 26;

/// A share in words.
#[derive(Debug, Serialize)]
struct Figure {
    label: &'static str,
    /// Under which name who stands behind it is asked for; none where nobody does.
    what: Option<&'static str>,
    number: String,
    share: String,
    range: String,
    usual: String,
}

impl Figure {
    /// Says how the first hours were, where the whole cannot be compared yet.
    fn so_far(mut self, aged: Option<Aged>) -> Figure {
        if let Some(words) = aged.and_then(|aged| aged.words()) {
            self.usual = words;
        }
        self
    }
}

#[derive(Debug, Serialize)]
struct LinkView {
    /// Its index in the link table, and its place from 1.
    link: i64,
    place: i64,
    /// Whether it is known who clicked it.
    known: bool,
    told: bool,
    name: String,
    url: String,
    corrected: Option<String>,
    readers: String,
    share: String,
    clicks: String,
    machines: String,
    width: i64,
}

#[derive(Debug, Serialize)]
struct GroupView {
    name: String,
    /// The subject that the rest got.
    won: bool,
    sent: String,
    bounced: String,
    /// Empty where none is known.
    complained: String,
    clicked: String,
    opened: String,
    /// Where the two shares lie, of the subjects of a test, which is decided by one of them.
    clicked_range: String,
    opened_range: String,
    apple: String,
    width: i64,
}

/// An issue beside others.
#[derive(Debug, Serialize)]
struct Beside {
    /// None for the issue that the page is of.
    run: Option<i64>,
    title: String,
    sent: String,
    clicked: String,
    opened: String,
    departed: String,
}

/// `GET /runs/{id}/numbers`: readers, machines, links, hours, providers, devices, and the issues before it.
pub(super) async fn issue(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
) -> Result<Response, Fault> {
    let run = runs::find(&admin, &id).await?;
    let counting = !counting::counted(&admin, run.id()).await?;
    let report = numbers::issue(&admin.app, run.id()).await?;
    let report = report.ok_or(Fault::NotFound)?;
    let judged = &report.judged;
    let (opened, clicked) = (&report.usual.opened, &report.usual.clicked);
    let values = context! {
        run => context! {
            id => run.id,
            title => report.run.title.clone(),
            slug => report.run.slug.clone(),
            status => report.run.status.name(),
            list => report.run.list.clone(),
            test => report.run.test.as_ref().map(|test| test.sentence()),
        },
        counting,
        figures => Serde(vec![
            figure("Clicked", "clicked", &judged.clicked, clicked)
                .so_far(report.usual.clicked_so_far),
            figure("Opened", "opened", &judged.opened, opened).so_far(report.usual.opened_so_far),
            figure("Unsubscribed", "departed", &judged.departed, &report.usual.departed),
            complaints(&report),
        ]),
        uncounted => judged.said_of_uncounted(&report.run.counts, grouped),
        counted => context! { clicks => judged.clicked.told, opens => judged.opened.told },
        before => report.usual.issues.len(),
        young => opened.standing == Standing::TooEarly || clicked.standing == Standing::TooEarly,
        clicks => Serde(compared(&report, |issue| issue.clicked, &judged.clicked)),
        opens => Serde(compared(&report, |issue| issue.opened, &judged.opened)),
        issues => Serde(beside(&report)),
        machines => Serde(machines(&report)),
        hours => Serde(hours(&report)),
        by_hour => Serde(by_hour(&report)),
        links => Serde(links(&report, admin.zone())),
        providers => Serde(groups(&judged.providers)),
        subjects => Serde(groups(&judged.subjects)),
        devices => Serde(devices(&report)),
        nameless => judged.nameless,
        apple => (judged.openers.apple > 0).then(|| grouped(judged.openers.apple)),
    };
    Ok(admin.page("/numbers", "numbers.html", values))
}

/// `GET /runs/{id}/numbers.csv`: the same for a spreadsheet, once all of it is counted.
pub(super) async fn download(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
) -> Result<Response, Fault> {
    let run = runs::find(&admin, &id).await?;
    if let Some(why) = counting::whole(&admin, run.id()).await? {
        let page = format!("/runs/{}/numbers", run.id);
        return Ok(admin.refused("/numbers", &page, &why));
    }
    let report = numbers::issue(&admin.app, run.id()).await?;
    let report = report.ok_or(Fault::NotFound)?;
    let file = format!("attachment; filename=\"{}-run-{}.csv\"", run.slug, run.id);
    let file = HeaderValue::try_from(file).map_err(|_| Fault::Broken)?;
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    let headers = [(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, file)];
    Ok((headers, spreadsheet::issue(&report)).into_response())
}

/// `GET /runs/{id}/clicks`: the page around the issue with its badges.
pub(super) async fn clicks(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
) -> Result<Response, Fault> {
    let run = runs::find(&admin, &id).await?;
    show_clicks(&admin, &run, None).await
}

/// The same, with the form of a link that was `refused`, if one was.
pub(super) async fn show_clicks(
    admin: &Arc<Admin>,
    run: &Run,
    refused: Option<Refused>,
) -> Result<Response, Fault> {
    let counting = !counting::counted(admin, run.id()).await?;
    let report = numbers::issue(&admin.app, run.id()).await?;
    let report = report.ok_or(Fault::NotFound)?;
    let values = context! {
        run => context! { id => run.id, title => report.run.title.clone() },
        counting,
        links => Serde(links(&report, admin.zone())),
        nameless => report.judged.nameless,
        refused => Serde(refused.as_ref()),
    };
    let page = admin.page("/numbers", "clicks.html", values);
    Ok(match refused {
        Some(_) => answered(page),
        None => page,
    })
}

/// `GET /runs/{id}/clicks/issue`: the issue with a badge on each link, for a frame.
pub(super) async fn clicked_issue(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
) -> Result<Response, Fault> {
    let run = runs::find(&admin, &id).await?;
    let report = numbers::issue(&admin.app, run.id()).await?;
    let report = report.ok_or(Fault::NotFound)?;
    let revision = run.revision.as_deref().ok_or(Fault::NotFound)?;
    let content = admin.app.store.revision(revision).await?;
    let content = content.ok_or(Fault::NotFound)?;
    let compiled: Compiled = serde_json::from_str(&content).map_err(anyhow::Error::from)?;
    let html = annotated(&compiled, |link| {
        let found = report
            .run
            .links
            .iter()
            .find(|row| row.link == i64::from(link));
        found.map(|row| share_of(&row.judged.readers))
    });
    let policy = admin.mail_in_a_frame()?;
    Ok(([(CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response())
}

/// `GET /numbers`: every list, how it grew, and what became of each month's readers.
pub(super) async fn lists(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let before = parameter(query.as_deref(), "before");
    let newest = before.is_empty();
    let before = match newest {
        true => i64::MAX,
        false => before.parse().map_err(|_| Fault::NotFound)?,
    };
    let mut shown = Vec::new();
    // Further back there are the issues alone.
    let counted = match newest {
        true => admin.app.store.lists().await?,
        false => Vec::new(),
    };
    for list in counted {
        let report = growth::counted(&admin, &list).await?;
        shown.extend(
            report
                .as_ref()
                .map(|report| growth::view(report, admin.zone())),
        );
    }
    let runs = admin.app.store.runs_before(RunId(before), RUNS).await?;
    let more = runs.last().filter(|_| runs.len() == RUNS as usize);
    let more = more.map(|last| last.run.0);
    let lines = numbers::lines(&admin.app, runs).await?;
    let runs: Vec<_> = lines
        .iter()
        .map(|line| {
            context! {
                id => line.run.run.0,
                title => line.run.title.clone(),
                slug => line.run.slug.clone(),
                sent => grouped(line.run.counts.sent),
                clicked => share_of(&line.clicked_by_readers),
                opened => share_of(&line.opened_by_readers),
                machines => line.machines.percent(),
            }
        })
        .collect();
    Ok(admin.page(
        "/numbers",
        "growth.html",
        context! { lists => shown, runs, more, newest, counting => !counting::is_whole(&admin).await? },
    ))
}

fn figure(label: &'static str, what: &'static str, share: &Share, usual: &Usual) -> Figure {
    let range = share.interval.map(|found| found.range());
    let usual = match (usual.band, usual.standing) {
        (_, Standing::NotEnoughData | Standing::NotCounted) | (None, Standing::TooEarly) => {
            String::new()
        }
        (_, standing) => standing.words().to_owned(),
    };
    Figure {
        label,
        what: Some(what).filter(|_| share.number() > Some(0)),
        number: match share.number() {
            Some(number) => grouped(number),
            None => "-".to_owned(),
        },
        share: share.percent().unwrap_or_else(|| match share.told {
            true => "not enough data".to_owned(),
            false => NOT_COUNTED.to_owned(),
        }),
        range: range.unwrap_or_default(),
        usual,
    }
}

/// Nothing usual is known of them, and none told is not none.
fn complaints(report: &Report) -> Figure {
    let share = Share::of(report.run.complained, report.run.counts.sent);
    Figure {
        label: "Complained",
        what: Some("complained").filter(|_| share.part > 0),
        number: grouped(share.part),
        share: share.percent().unwrap_or_default(),
        range: "as far as providers tell".to_owned(),
        usual: String::new(),
    }
}

fn compared(report: &Report, of: fn(&numbers::Earlier) -> Share, this: &Share) -> Dots {
    let mut rows = vec![(report.run.title.clone(), "value", *this)];
    let before = report.usual.issues.iter();
    rows.extend(before.map(|issue| (issue.title.clone(), "rest", of(issue))));
    dots(&rows)
}

/// The issue and those it is compared with, in numbers.
fn beside(report: &Report) -> Vec<Beside> {
    let judged = &report.judged;
    let this = Beside {
        run: None,
        title: report.run.title.clone(),
        sent: grouped(report.run.counts.sent),
        clicked: share_of(&judged.clicked),
        opened: share_of(&judged.opened),
        departed: share_of(&judged.departed),
    };
    let before = report.usual.issues.iter().map(|issue| Beside {
        run: Some(issue.run.0),
        title: match issue.title.trim() {
            "" => issue.slug.clone(),
            title => title.to_owned(),
        },
        sent: grouped(issue.sent),
        clicked: share_of(&issue.clicked),
        opened: share_of(&issue.opened),
        departed: share_of(&issue.departed),
    });
    std::iter::once(this).chain(before).collect()
}

/// The hours in which anything happened, counted from 1.
fn by_hour(report: &Report) -> Vec<(i64, String, String)> {
    let hours = report.judged.hours.iter();
    let shown = hours.filter(|hour| usize::try_from(hour.hour).is_ok_and(|hour| hour < SHOWN));
    shown
        .map(|hour| (hour.hour + 1, told(hour.opened), told(hour.clicked)))
        .collect()
}

/// Opens and clicks by who made them, in words.
fn machines(report: &Report) -> Vec<(&'static str, [String; 6])> {
    let judged = &report.judged;
    let views = Share::of(judged.views.machine, judged.views.total());
    let rows = [
        ("Clicks", &judged.clicks, &judged.machine_clicks),
        ("Opens", &judged.opens, &judged.machine_opens),
        ("Views in a browser", &judged.views, &views),
    ];
    // Few look at a copy's own page.
    let rows = rows
        .into_iter()
        .filter(|(name, classes, _)| classes.total() > 0 || !name.starts_with("Views"));
    rows.filter_map(|(name, classes, machines)| {
        let numbers = [
            grouped(classes.human),
            grouped(classes.gmail),
            grouped(classes.apple),
            grouped(classes.unsure),
            grouped(classes.machines()?),
            machines.percent().unwrap_or_default(),
        ];
        Some((name, numbers))
    })
    .collect()
}

fn hours(report: &Report) -> Bars {
    let (opened, clicked) = report.judged.curves();
    let values: Vec<([i64; 2], [String; 2])> = (0..SHOWN)
        .map(|hour| {
            let title =
                |what: &str, number| format!("Hour {}: {} {what}", hour + 1, grouped(number));
            let (opened, clicked) = (opened[hour], clicked[hour]);
            (
                [opened, clicked],
                [title("opened", opened), title("clicked", clicked)],
            )
        })
        .collect();
    bars(["opened", "clicked"], &values)
}

fn links(report: &Report, zone: &str) -> Vec<LinkView> {
    let links = &report.run.links;
    let busiest = links.iter().map(|link| link.judged.readers.part).max();
    let busiest = busiest.unwrap_or(0).max(1);
    let view = |link: &LinkNumbers| LinkView {
        link: link.link,
        known: link.judged.readers.number() > Some(0),
        place: link.link + 1,
        told: link.judged.readers.told,
        name: link.name.clone(),
        url: link.url.clone(),
        corrected: corrected(link, zone),
        readers: told(link.judged.readers.number()),
        share: link.judged.readers.percent().unwrap_or_default(),
        clicks: told(link.judged.clicked()),
        machines: match link.judged.clicks.machines() {
            Some(number) => grouped(number),
            None => "not told".to_owned(),
        },
        width: link.judged.readers.part.saturating_mul(WIDTH) / busiest,
    };
    links.iter().map(view).collect()
}

fn groups(groups: &[Group]) -> Vec<GroupView> {
    let largest = groups
        .iter()
        .map(|group| group.sent)
        .max()
        .unwrap_or(0)
        .max(1);
    let view = |group: &Group| GroupView {
        name: match &group.subject {
            Some(subject) => format!("{}: {subject}", capital(&group.name)),
            None => group.name.clone(),
        },
        won: group.won,
        sent: grouped(group.sent),
        bounced: grouped(group.bounced),
        complained: match group.complained {
            0 => String::new(),
            number => share_of(&Share::of(number, group.sent)),
        },
        clicked: share_of(&group.clicked),
        opened: share_of(&group.opened),
        clicked_range: range(group, &group.clicked),
        opened_range: range(group, &group.opened),
        apple: told(group.opened.told.then_some(group.apple)),
        width: group.sent.saturating_mul(WIDTH) / largest,
    };
    groups.iter().map(view).collect()
}

fn range(group: &Group, share: &Share) -> String {
    match (&group.subject, share.interval) {
        (Some(_), Some(found)) => found.range(),
        _ => String::new(),
    }
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_uppercase());
    first.into_iter().flatten().chain(letters).collect()
}

fn devices(report: &Report) -> Vec<(String, String, String)> {
    let devices = report.judged.devices.iter();
    devices
        .map(|device| {
            (
                device.name.clone(),
                told(device.clicked),
                told(device.opened),
            )
        })
        .collect()
}
