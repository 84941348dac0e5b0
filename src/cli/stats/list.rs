//! How a list grew, as text.

use crate::cli::stats::columns::{columns, grouped, line, row, told};
use crate::numbers::ListReport;
use crate::stats::growth::{Growth, words};
use crate::stats::interval::Share;
use crate::stats::spark;
use crate::terminal::plain;

/// Weeks one by one; the line above shows more.
const WEEKS: usize = 12;

/// Growth by week and readers by month of joining.
pub fn text(report: &ListReport) -> String {
    let growth = &report.growth;
    let mut text = String::new();
    line(
        &mut text,
        &format!(
            "{} ({}): {} readers at {}",
            plain(&report.title),
            plain(&report.list),
            grouped(growth.subscribed),
            report.at.to_rfc3339()
        ),
    );
    text.push('\n');
    bars(&mut text, growth);
    text.push('\n');
    weeks(&mut text, growth);
    if !growth.cohorts.is_empty() {
        text.push('\n');
        cohorts(&mut text, growth);
    }
    text
}

/// All weeks as two lines of bars.
fn bars(text: &mut String, growth: &Growth) {
    let joined = growth.weeks.iter().map(|week| week.joined);
    let left = growth.weeks.iter().map(|week| week.left);
    for (name, numbers) in [
        ("joined", joined.collect::<Vec<i64>>()),
        ("left", left.collect()),
    ] {
        let all: i64 = numbers.iter().sum();
        let bars = spark::line(&numbers);
        let weeks = numbers.len();
        line(
            text,
            &format!("{name:<6} {bars}|  {} in {weeks} weeks", grouped(all)),
        );
    }
}

/// The last weeks one by one.
fn weeks(text: &mut String, growth: &Growth) {
    let mut rows = vec![row([
        "week of",
        "joined",
        "imported",
        "left",
        "net",
        "why they left",
    ])];
    let skipped = growth.weeks.len().saturating_sub(WEEKS);
    rows.extend(growth.weeks.iter().skip(skipped).map(|week| {
        let why: Vec<String> = week
            .why
            .iter()
            .map(|(why, number)| format!("{} {}", grouped(*number), plain(words(why))))
            .collect();
        vec![
            week.monday.clone(),
            grouped(week.joined),
            grouped(week.imported),
            grouped(week.left),
            grouped(week.net),
            why.join(", "),
        ]
    }));
    text.push_str(&columns(&rows, |place| (1..5).contains(&place)));
    if growth.weeks.iter().any(|week| week.imported > 0) {
        line(
            text,
            "imported: brought by an import that does not say when they joined",
        );
    }
    let returned: i64 = growth.weeks.iter().map(|week| week.returned).sum();
    if returned > 0 {
        let said = format!("joined: {} of them had left before", grouped(returned));
        line(text, &said);
    }
}

/// The readers by the month in which they joined.
fn cohorts(text: &mut String, growth: &Growth) {
    let mut rows = vec![row([
        "joined in",
        "readers",
        "still there",
        "",
        "clicking",
        "",
    ])];
    rows.extend(growth.cohorts.iter().map(|cohort| {
        let share = |part| Share::of(part, cohort.joined).percent();
        vec![
            cohort.month.clone(),
            grouped(cohort.joined),
            grouped(cohort.subscribed),
            share(cohort.subscribed).unwrap_or_default(),
            told(cohort.clicking),
            cohort.clicking.and_then(share).unwrap_or_default(),
        ]
    }));
    text.push_str(&columns(&rows, |place| place > 0));
    if growth.issues.tell() {
        line(
            text,
            "clicking: clicked in one of the last 8 issues; machines are left out, and who is not counted",
        );
    }
    if let Some(said) = growth.issues.said() {
        line(text, &said);
    }
    line(
        text,
        "of fewer than 30 readers there is not enough data for a share",
    );
}
