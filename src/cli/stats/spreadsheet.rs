//! Numbers as rows for a spreadsheet (RFC 4180).
//!
//! Promises: one number a row, so that a pivot table takes it; a cell that a spreadsheet would take for a formula is
//! made text.

use crate::delivery::State;
use crate::import::export::csv_record;
use crate::numbers::{Line, ListReport, Report};
use crate::stats::classes::Classes;
use crate::stats::interval::Share;
use crate::stats::judged::Group;

/// All runs, one a row.
pub fn runs(runs: &[Line]) -> String {
    let mut text = csv_record(&[
        "run",
        "issue",
        "status",
        "started",
        "recipients",
        "sent",
        "bounced",
        "clicked",
        "opened",
        "unsubscribed",
        "machines",
    ]);
    for found in runs {
        let run = &found.run;
        let started = run.started_at.unwrap_or(run.created_at);
        text.push_str(&csv_record(&[
            &run.run.to_string(),
            &run.slug,
            run.status.name(),
            &started.to_rfc3339(),
            &run.recipients.to_string(),
            &run.counts.sent.to_string(),
            &run.counts.bounced.to_string(),
            &cell(found.clicked_by_readers.number()),
            &cell(found.opened_by_readers.number()),
            &run.departed.to_string(),
            &cell(found.machines.number()),
        ]));
    }
    text
}

/// One run: part, name, what is counted, the number and, where there is enough data, its share.
pub fn issue(report: &Report) -> String {
    let mut rows = Rows::new();
    let (run, judged) = (&report.run, &report.judged);
    for state in State::ALL {
        // Not `run`: copies taken back from who left before are no readers who left by it.
        rows.number("state", "", state.name(), run.counts.get(state));
    }
    rows.share("run", "", "clicked", &judged.clicked);
    rows.share("run", "", "opened", &judged.opened);
    rows.share("run", "", "unsubscribed", &judged.departed);
    let complained = Share::of(run.complained, run.counts.sent);
    rows.share("run", "", "complained", &complained);
    let uncounted = [
        ("no-clicks", judged.uncounted.clicks),
        ("no-opens", judged.uncounted.opens),
        ("withdrawn", judged.uncounted.withdrawn),
    ];
    for (what, number) in uncounted {
        rows.number("run", "", what, number);
    }
    rows.classes("clicks", &judged.clicks);
    rows.classes("opens", &judged.opens);
    rows.classes("views", &judged.views);
    for link in &run.links {
        // As it was sent: a link that is corrected is the same row as before.
        let sent = link.corrected.as_ref().map_or(&link.url, |now| &now.sent);
        let name = format!("{} {sent}", link.name);
        rows.share("link", &name, "clicked", &link.judged.readers);
        rows.number("link", &name, "place", link.link + 1);
        let clicks = &link.judged.clicks;
        rows.told("link", &name, "clicks", link.judged.clicked());
        rows.told("link", &name, "clicks:machine", clicks.machines());
    }
    for hour in &judged.hours {
        rows.told("hour", &hour.hour.to_string(), "clicked", hour.clicked);
        rows.told("hour", &hour.hour.to_string(), "opened", hour.opened);
    }
    rows.groups("provider", &judged.providers, judged.nameless);
    rows.groups("subject", &judged.subjects, judged.nameless);
    for device in &judged.devices {
        rows.told("device", &device.name, "clicked", device.clicked);
        rows.told("device", &device.name, "opened", device.opened);
    }
    for issue in &report.usual.issues {
        rows.share("earlier", &issue.slug, "clicked", &issue.clicked);
        rows.share("earlier", &issue.slug, "opened", &issue.opened);
        rows.share("earlier", &issue.slug, "unsubscribed", &issue.departed);
    }
    rows.0
}

/// What a run came to among the readers of a segment, in the rows of [`issue`].
pub fn segment(segment: &str, numbers: &[(&str, i64)], shares: &[(&str, Share)]) -> String {
    let mut rows = Rows::new();
    for (what, number) in numbers {
        rows.number("segment", segment, what, *number);
    }
    for (what, share) in shares {
        rows.share("segment", segment, what, share);
    }
    rows.0
}

/// A list by week and by month of joining; days, weeks and months are those of the zone in the last column.
pub fn list(report: &ListReport) -> String {
    let mut rows = Rows(csv_record(&["part", "name", "what", "number", "zone"]));
    let zone = report.growth.zone.as_str();
    for week in &report.growth.weeks {
        for (what, number) in [
            ("joined", week.joined),
            ("returned", week.returned),
            ("imported", week.imported),
            ("left", week.left),
        ] {
            rows.short("week", &week.monday, what, number, zone);
        }
        for (why, number) in &week.why {
            rows.short("week", &week.monday, &format!("left:{why}"), *number, zone);
        }
    }
    for cohort in &report.growth.cohorts {
        for (what, number) in [("joined", cohort.joined), ("subscribed", cohort.subscribed)] {
            rows.short("month", &cohort.month, what, number, zone);
        }
        if let Some(clicking) = cohort.clicking {
            rows.short("month", &cohort.month, "clicking", clicking, zone);
        }
    }
    rows.0
}

/// Nothing of what is not told.
fn cell(number: Option<i64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

struct Rows(String);

impl Rows {
    fn new() -> Rows {
        Rows(csv_record(&[
            "part", "name", "what", "number", "of", "share", "low", "high",
        ]))
    }

    fn short(&mut self, part: &str, name: &str, what: &str, number: i64, zone: &str) {
        self.0
            .push_str(&csv_record(&[part, name, what, &number.to_string(), zone]));
    }

    /// Nothing of what is not told.
    fn told(&mut self, part: &str, name: &str, what: &str, number: Option<i64>) {
        if let Some(number) = number {
            self.number(part, name, what, number);
        }
    }

    fn number(&mut self, part: &str, name: &str, what: &str, number: i64) {
        let number = number.to_string();
        self.0
            .push_str(&csv_record(&[part, name, what, &number, "", "", "", ""]));
    }

    fn share(&mut self, part: &str, name: &str, what: &str, share: &Share) {
        if !share.told {
            return;
        }
        let interval = share
            .interval
            .map_or([const { String::new() }; 3], |found| {
                [found.share, found.low, found.high].map(|share| format!("{share:.6}"))
            });
        let [middle, low, high] = &interval;
        let (number, whole) = (share.part.to_string(), share.whole.to_string());
        self.0.push_str(&csv_record(&[
            part, name, what, &number, &whole, middle, low, high,
        ]));
    }

    fn classes(&mut self, what: &str, classes: &Classes) {
        let counted = |number| classes.all().map(|_| number);
        for (class, number) in [
            ("human", counted(classes.human)),
            ("gmail", counted(classes.gmail)),
            ("apple", counted(classes.apple)),
            ("unsure", counted(classes.unsure)),
            ("machine", classes.machines()),
        ] {
            self.told("run", class, what, number);
        }
    }

    /// Of events that name nobody, only what was sent is known by group.
    fn groups(&mut self, part: &str, groups: &[Group], nameless: bool) {
        for group in groups {
            self.number(part, &group.name, "sent", group.sent);
            self.number(part, &group.name, "bounced", group.bounced);
            self.number(part, &group.name, "complained", group.complained);
            if nameless {
                continue;
            }
            self.share(part, &group.name, "clicked", &group.clicked);
            self.share(part, &group.name, "opened", &group.opened);
        }
    }
}
