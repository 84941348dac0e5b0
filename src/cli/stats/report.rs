//! One run, and all runs, as text: clicks first, opens second, machines apart.

use crate::cli::stats::columns::{NAME, URL, columns, cut, grouped, line, row, told};
use crate::delivery::State;
use crate::numbers::{Line, Report};
use crate::stats::classes::Classes;
use crate::stats::interval::{Share, percent};
use crate::stats::judged::{Group, Judged};
use crate::stats::spark;
use crate::stats::usual::{Standing, Usual};
use crate::status::RunStatus;
use crate::terminal::plain;

/// All runs in a table.
pub fn runs(runs: &[Line]) -> String {
    if runs.is_empty() {
        return "no run yet; `pressrun send ISSUE` starts the first\n".to_owned();
    }
    let mut rows = vec![row([
        "run",
        "issue",
        "status",
        "started",
        "recipients",
        "sent",
        "clicked",
        "opened",
        "unsubscribes",
        "machines",
    ])];
    rows.extend(runs.iter().map(|found| {
        let run = &found.run;
        vec![
            run.run.to_string(),
            cut(&plain(&run.slug), NAME),
            run.status.to_string(),
            run.started_at.unwrap_or(run.created_at).to_rfc3339(),
            run.recipients.to_string(),
            run.counts.sent.to_string(),
            short(&found.clicked_by_readers),
            short(&found.opened_by_readers),
            short(&Share::of(run.departed, run.counts.sent)),
            found.machines.percent().unwrap_or_else(|| "-".to_owned()),
        ]
    }));
    let mut text = columns(&rows, |place| place >= 4);
    text.push('\n');
    line(
        &mut text,
        "clicked and opened are readers, of the copies that count; machines are their share of all clicks and opens",
    );
    if runs.iter().any(not_told) {
        line(&mut text, "-: not counted, or not told");
    }
    text
}

fn not_told(found: &Line) -> bool {
    !(found.clicked_by_readers.told && found.opened_by_readers.told)
}

/// `12 (3.4 %)`, the number alone, or that it is not told.
fn short(share: &Share) -> String {
    match (share.number(), share.percent()) {
        (Some(number), Some(percent)) => format!("{number} ({percent})"),
        (number, _) => number.map_or_else(|| "-".to_owned(), |number| number.to_string()),
    }
}

/// One run.
pub fn issue(report: &Report) -> String {
    let run = &report.run;
    let mut text = format!("{} (run {}, {})\n", plain(&run.title), run.run, run.status);
    if let Some(reason) = &run.reason {
        line(&mut text, &format!("  {}", plain(reason)));
    }
    text.push('\n');
    text.push_str(&readers(report));
    for said in said_of_uncounted(report) {
        text.push('\n');
        line(&mut text, &said);
    }
    text.push_str(&machines(&report.judged));
    if let Some(test) = &run.test {
        text.push('\n');
        line(&mut text, &plain(&test.sentence()));
    }
    text.push_str(&hours(&report.judged));
    text.push_str(&links(report));
    let nameless = report.judged.nameless;
    text.push_str(&groups(
        "mailbox provider",
        &report.judged.providers,
        nameless,
    ));
    text.push_str(&groups("subject", &report.judged.subjects, nameless));
    text.push_str(&devices(&report.judged));
    text.push_str(&states(report));
    if !run.balanced() && run.status != RunStatus::Freezing {
        let all = run.counts.total();
        text.push('\n');
        line(
            &mut text,
            &format!(
                "the states add up to {all} and the recipients are {}; run `pressrun verify {}`",
                run.recipients,
                plain(&run.slug)
            ),
        );
    }
    text
}

/// What is not counted of it.
fn said_of_uncounted(report: &Report) -> Vec<String> {
    report.judged.said_of_uncounted(&report.run.counts, grouped)
}

fn readers(report: &Report) -> String {
    let judged = &report.judged;
    let before = report.usual.issues.len();
    let usually = format!("last {before} issues");
    let mut rows = vec![row([
        "",
        "readers",
        of_whom(judged),
        "19 times of 20",
        if before > 0 { usually.as_str() } else { "" },
    ])];
    let against = &report.usual;
    for (name, share, usual, so_far) in [
        (
            "clicked",
            &judged.clicked,
            &against.clicked,
            against.clicked_so_far,
        ),
        (
            "opened",
            &judged.opened,
            &against.opened,
            against.opened_so_far,
        ),
        ("unsubscribed", &judged.departed, &against.departed, None),
    ] {
        let (said, range) = match share.interval {
            Some(interval) => (percent(interval.share), interval.range()),
            None if !share.told => ("not counted".to_owned(), String::new()),
            None => ("not enough data".to_owned(), String::new()),
        };
        let so_far = so_far.and_then(|aged| aged.words());
        let usual = if let Some(words) = so_far {
            words
        } else if before > 0 {
            usually_is(usual)
        } else {
            String::new()
        };
        rows.push(vec![
            name.to_owned(),
            told(share.number()),
            said,
            range,
            usual,
        ]);
    }
    // Most providers tell of none: no number of theirs is not nobody.
    if report.run.complained > 0 {
        let share = Share::of(report.run.complained, report.run.counts.sent);
        let said = share.percent().unwrap_or_default();
        let number = grouped(share.part);
        rows.push(row(["complained", number.as_str(), said.as_str(), "", ""]));
    }
    columns(&rows, |place| place == 1 || place == 2)
}

/// What shares are shares of.
fn of_whom(judged: &Judged) -> &'static str {
    match judged.uncounted.is_some() {
        true => "share",
        false => "of sent",
    }
}

fn usually_is(usual: &Usual) -> String {
    match (&usual.band, usual.standing) {
        (Some(band), Standing::NotEnoughData) => format!("{} on average", percent(band.mean)),
        (Some(band), standing) => {
            format!("{} on average: {}", percent(band.mean), standing.words())
        }
        (None, standing) => standing.words().to_owned(),
    }
}

/// What anonymous events cannot say.
const NAMELESS: &str = "\nits events name nobody (`privacy.tracking = \"anonymous\"`): machines that do not \
    say so count with readers, and hours, devices and who\nkeeps the mailboxes of those who clicked and opened are \
    not kept in anonymous mode\n";

fn machines(judged: &Judged) -> String {
    let mut text = String::new();
    if judged.nameless {
        text.push_str(NAMELESS);
    }
    for (name, classes, share) in [
        ("clicks", &judged.clicks, &judged.machine_clicks),
        ("opens", &judged.opens, &judged.machine_opens),
    ] {
        // Clicks without names are not told apart.
        let Some(machines) = classes.machines().filter(|_| classes.total() > 0) else {
            continue;
        };
        if text.is_empty() {
            text.push('\n');
        }
        let machines = share.percent().unwrap_or_else(|| grouped(machines));
        let parts = parts(classes);
        line(
            &mut text,
            &format!(
                "{} {name} in all, {machines} of them by machines{parts}",
                grouped(classes.total())
            ),
        );
    }
    let views = judged.views.readers();
    if views > 0 {
        line(
            &mut text,
            &format!(
                "{} at it in a browser, by its own link; who looked has opened it",
                match views {
                    1 => "1 look".to_owned(),
                    views => format!("{} looks", grouped(views)),
                }
            ),
        );
    }
    let apple = judged.openers.apple;
    if apple > 0 {
        line(
            &mut text,
            &format!(
                "{} counted by Apple's proxy alone, which opens every mail",
                match apple {
                    1 => "1 more reader is".to_owned(),
                    apple => format!("{} more readers are", grouped(apple)),
                }
            ),
        );
    }
    text
}

fn parts(classes: &Classes) -> String {
    let named = [
        (classes.gmail, "through Gmail's proxy"),
        (classes.apple, "through Apple's"),
        (classes.unsure, "nobody knows"),
    ];
    let named = named.iter().filter(|(number, _)| *number > 0);
    named
        .map(|(number, words)| format!(", {} {words}", grouped(*number)))
        .collect()
}

fn hours(judged: &Judged) -> String {
    if judged.hours.is_empty() {
        return String::new();
    }
    let (opened, clicked) = judged.curves();
    let mut text = String::from("\n");
    let shares = [&judged.clicked, &judged.opened];
    for ((name, numbers), share) in [("clicked", clicked), ("opened", opened)]
        .iter()
        .zip(shares)
    {
        if !share.told {
            continue;
        }
        let most = numbers.iter().max().copied().unwrap_or(0);
        let bars = spark::line(numbers);
        line(
            &mut text,
            &format!(
                "{name:<8} by hour, 48 hours  {bars}|  {} at most",
                grouped(most)
            ),
        );
    }
    text
}

fn links(report: &Report) -> String {
    if report.run.links.is_empty() {
        return String::new();
    }
    let mut rows = vec![row([
        "readers",
        of_whom(&report.judged),
        "clicks",
        "machines'",
        "place",
        "link",
        "",
    ])];
    let all = report.run.links.len();
    rows.extend(report.run.links.iter().map(|link| {
        let judged = &link.judged;
        vec![
            told(judged.readers.number()),
            judged.readers.percent().unwrap_or_else(|| "-".to_owned()),
            told(judged.clicked()),
            told(judged.clicks.machines()),
            format!("{} of {all}", link.link + 1),
            cut(&plain(&link.name), NAME),
            match &link.corrected {
                Some(_) => format!("{} (corrected)", cut(&plain(&link.url), URL)),
                None => cut(&plain(&link.url), URL),
            },
        ]
    }));
    format!("\n{}", columns(&rows, |place| place < 5))
}

fn groups(name: &str, groups: &[Group], nameless: bool) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let mut rows = vec![row([
        name,
        "sent",
        "bounced",
        "complained",
        "clicked",
        "opened",
        "Apple's proxy",
    ])];
    // Of whom nothing is kept it is not said that they did nothing.
    let kept = |text: String| if nameless { "-".to_owned() } else { text };
    rows.extend(groups.iter().map(|group| {
        vec![
            cut(&plain(&named(group)), URL),
            grouped(group.sent),
            grouped(group.bounced),
            grouped(group.complained),
            kept(short(&group.clicked)),
            kept(short(&group.opened)),
            kept(told(group.opened.told.then_some(group.apple))),
        ]
    }));
    format!("\n{}", columns(&rows, |place| place > 0))
}

/// A group, with the words of a subject.
fn named(group: &Group) -> String {
    let won = if group.won { ", won" } else { "" };
    match &group.subject {
        Some(subject) => format!("{}{won}: {subject}", group.name),
        None => group.name.clone(),
    }
}

fn devices(judged: &Judged) -> String {
    if judged.devices.is_empty() {
        return String::new();
    }
    let mut rows = vec![row(["device", "clicked", "opened"])];
    rows.extend(judged.devices.iter().map(|device| {
        vec![
            device.name.clone(),
            told(device.clicked),
            told(device.opened),
        ]
    }));
    format!("\n{}", columns(&rows, |place| place > 0))
}

fn states(report: &Report) -> String {
    let run = &report.run;
    let mut rows = vec![vec![
        "recipients".to_owned(),
        grouped(run.recipients),
        String::new(),
    ]];
    for state in State::ALL {
        let rate = match state {
            State::Bounced => Share::of(run.counts.bounced, run.recipients).percent(),
            _ => None,
        };
        rows.push(vec![
            state.name().to_owned(),
            grouped(run.counts.get(state)),
            rate.unwrap_or_default(),
        ]);
    }
    format!("\n{}", columns(&rows, |place| place > 0))
}
