//! How a list grew, as the pages show it: by status, by week with the reasons, by month of joining.
//!
//! Promises: no page waits for a large list to be counted: it shows the last count, and what is old by now is
//! counted behind the page, one list at a time.

use std::time::Duration;

use anyhow::Context;
use minijinja::value::Serde;
use minijinja::{Value, context};
use tokio::time::timeout;

use crate::http::admin::Admin;
use crate::http::admin::wording::{grouped, minute, share_of, signed};
use crate::http::chart::bars;
use crate::http::fault::Fault;
use crate::numbers::{self, ListReport};
use crate::stats::growth::{Cohort, SUPPRESSED, Week, words};
use crate::stats::interval::Share;
use crate::subscriber::{List, Status};

/// How long a page waits for a large list to be counted: its last count is shown then.
const LARGE: Duration = Duration::from_millis(25);
/// How long for one that is small.
const SMALL: Duration = Duration::from_secs(2);
/// Weeks one by one; the chart shows more.
const WEEKS: usize = 12;
/// Units across a thin bar.
const WIDTH: i64 = 1_000;

/// The list as it was counted just now, or last; none where it never was and takes longer than a page may.
pub(super) async fn counted(admin: &Admin, list: &List) -> Result<Option<ListReport>, Fault> {
    let kept = numbers::last_counted(&admin.app, list).await?;
    let patience = match numbers::is_large(&admin.app, list).await? {
        true => LARGE,
        false => SMALL,
    };
    // Another list is being counted: a page that waited for it would wait once for each of its own.
    let Ok(one) = admin.counting.clone().try_lock_owned() else {
        return Ok(kept);
    };
    let (app, list) = (admin.app.clone(), list.clone());
    let count = tokio::spawn(async move {
        let report = numbers::list(&app, &list).await;
        drop(one);
        report
    });
    match timeout(patience, count).await {
        Ok(report) => Ok(Some(report.context("counting a list broke")??)),
        Err(_) => Ok(kept),
    }
}

/// What the template `growth_of.html` shows.
pub(super) fn view(report: &ListReport, zone: &str) -> Value {
    let growth = &report.growth;
    let weeks: Vec<([i64; 2], [String; 2])> = growth.weeks.iter().map(week_bar).collect();
    let newest: Vec<Value> = growth
        .weeks
        .iter()
        .rev()
        .take(WEEKS)
        .map(week_row)
        .collect();
    let cohorts: Vec<Value> = growth.cohorts.iter().rev().map(cohort_row).collect();
    let number = |name: &str| growth.statuses.get(name).copied().unwrap_or(0);
    let statuses = Status::ALL
        .iter()
        .map(|status| (label(*status), status.name()));
    let statuses: Vec<(&str, String)> = statuses
        .chain([("Suppressed", SUPPRESSED)])
        .map(|(label, name)| (label, grouped(number(name))))
        .collect();
    context! {
        title => report.title.clone(),
        slug => report.list.clone(),
        at => minute(report.at, zone),
        subscribed => grouped(growth.subscribed),
        // A count of an older program knows none.
        statuses => (!growth.statuses.is_empty()).then_some(Serde(statuses)),
        week => growth.weeks.last().map(week_row),
        chart => Serde(bars(["joined", "left"], &weeks)),
        from => growth.weeks.first().map(|week| week.monday.clone()),
        to => growth.weeks.last().map(|week| week.monday.clone()),
        weeks => newest,
        returned => returned(report),
        imported => growth.weeks.iter().any(|week| week.imported > 0),
        cohorts => cohorts,
        // Of a count from before the publication's zone was changed.
        zone => (growth.zone != zone).then(|| growth.zone.clone()),
        clicks => growth.issues.tell(),
        untold => growth.issues.said(),
    }
}

/// How many of those who joined in the weeks shown had left before, if any.
fn returned(report: &ListReport) -> Option<String> {
    let number: i64 = report.growth.weeks.iter().map(|week| week.returned).sum();
    (number > 0).then(|| grouped(number))
}

/// A status for a person.
fn label(status: Status) -> &'static str {
    match status {
        Status::Pending => "Pending",
        Status::Confirmed => "Confirmed",
        Status::Paused => "Paused",
        Status::Unsubscribed => "Unsubscribed",
    }
}

fn week_bar(week: &Week) -> ([i64; 2], [String; 2]) {
    let title = |what: &str, number| format!("Week of {}: {} {what}", week.monday, grouped(number));
    (
        [week.joined, week.left],
        [title("joined", week.joined), title("left", week.left)],
    )
}

fn week_row(week: &Week) -> Value {
    let why = week.why.iter();
    let why: Vec<String> = why
        .map(|(why, number)| format!("{} {}", grouped(*number), words(why)))
        .collect();
    context! {
        monday => week.monday.clone(),
        joined => grouped(week.joined),
        imported => (week.imported > 0).then(|| grouped(week.imported)),
        left => grouped(week.left),
        net => signed(week.net),
        why => why.join(", "),
    }
}

fn cohort_row(cohort: &Cohort) -> Value {
    let share = |part| Share::of(part, cohort.joined);
    let width = |part: i64| part.saturating_mul(WIDTH) / cohort.joined.max(1);
    context! {
        month => cohort.month.clone(),
        joined => grouped(cohort.joined),
        subscribed => share_of(&share(cohort.subscribed)),
        clicking => cohort.clicking.map_or_else(|| "not told".to_owned(), |part| share_of(&share(part))),
        width => width(cohort.subscribed),
        inner => width(cohort.clicking.unwrap_or(0)),
    }
}
