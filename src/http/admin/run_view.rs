//! A run as the author's pages show it: its numbers, the bar of its states, its links.
//!
//! Promises: everything comes from counters; who clicked and opened is what the page of numbers says; every
//! text from outside (titles, link names, a relay's words) is escaped by the templates.

use serde::Serialize;

use crate::delivery::State as DeliveryState;
use crate::http::admin::wording::{grouped, label, minute, told};
use crate::id::RunId;
use crate::numbers::Line;
use crate::stats::interval::Share;
use crate::stats::interval::percent;
use crate::stats::{LinkNumbers, RunNumbers, TestNumbers};
use crate::status::RunStatus;

/// Units across a bar.
const WIDTH: i64 = 1_000;

/// A run as the templates show it.
#[derive(Debug, Serialize)]
pub(super) struct RunView {
    pub(super) id: RunId,
    slug: String,
    pub(super) title: String,
    list: Option<String>,
    pub(super) status: RunStatus,
    reason: Option<String>,
    test: Option<String>,
    created: String,
    finished: Option<String>,
    recipients: String,
    /// The bar in words, for who does not see it.
    summary: String,
    balanced: bool,
    /// In all; none is not counted.
    opens: Option<String>,
    clicks: Option<String>,
    segments: Vec<Segment>,
    figures: Vec<Figure>,
    states: Vec<StateView>,
    links: Vec<LinkView>,
}

#[derive(Debug, Serialize)]
struct Segment {
    name: &'static str,
    x: i64,
    width: i64,
    title: String,
}

#[derive(Debug, Serialize)]
struct Figure {
    label: &'static str,
    /// Under which name who stands behind it is asked for; none where nobody does.
    what: Option<&'static str>,
    value: String,
    rate: Option<String>,
}

#[derive(Debug, Serialize)]
struct StateView {
    name: &'static str,
    label: &'static str,
    count: String,
}

#[derive(Debug, Serialize)]
struct LinkView {
    /// Its index in the link table.
    link: i64,
    /// Whether it is known who clicked it.
    known: bool,
    name: String,
    url: String,
    corrected: Option<String>,
    readers: String,
    share: Option<String>,
    clicks: String,
    width: i64,
}

impl RunView {
    pub(super) fn new(line: &Line, zone: &str) -> RunView {
        let run = &line.run;
        let states = DeliveryState::ALL.map(|state| StateView {
            name: state.name(),
            label: label(state),
            count: grouped(run.counts.get(state)),
        });
        let busiest = run.links.iter().map(|link| link.judged.readers.part).max();
        let busiest = busiest.unwrap_or(0);
        RunView {
            id: run.run,
            slug: run.slug.clone(),
            // An issue may have no title; there must be something to press on.
            title: [run.title.as_str(), run.slug.as_str(), "Untitled"]
                .into_iter()
                .find(|text| !text.trim().is_empty())
                .unwrap_or_default()
                .to_owned(),
            list: run.list.clone(),
            status: run.status,
            reason: run.reason.clone(),
            test: run.test.as_ref().map(TestNumbers::sentence),
            created: minute(run.started_at.unwrap_or(run.created_at), zone),
            finished: run.finished_at.map(|at| minute(at, zone)),
            recipients: grouped(run.recipients),
            summary: summary(run),
            // While a run is frozen its recipients are still being written down.
            balanced: run.balanced() || run.status == RunStatus::Freezing,
            opens: line.opened_by_readers.told.then(|| grouped(run.opens)),
            clicks: line.clicked_by_readers.told.then(|| grouped(run.clicks)),
            segments: segments(run),
            figures: figures(line),
            states: states.into(),
            links: run
                .links
                .iter()
                .map(|link| link_view(link, busiest, zone))
                .collect(),
        }
    }
}

fn figures(line: &Line) -> Vec<Figure> {
    let run = &line.run;
    let figure = |label, what, value: i64, rate: Option<f64>| Figure {
        label,
        what: Some(what).filter(|_| value > 0),
        value: grouped(value),
        rate: rate.map(percent),
    };
    let readers = |label, what, share: &Share| Figure {
        label,
        what: Some(what).filter(|_| share.number() > Some(0)),
        value: told(share.number()),
        rate: share.percent(),
    };
    let counts = &run.counts;
    vec![
        Figure {
            label: "Recipients",
            what: None,
            value: grouped(run.recipients),
            rate: None,
        },
        figure("Sent", "sent", counts.sent, None),
        readers("Clicked", "clicked", &line.clicked_by_readers),
        readers("Opened", "opened", &line.opened_by_readers),
        figure("Unsubscribes", "departed", run.departed, run.rates.departed),
        figure(
            "Complaints",
            "complained",
            run.complained,
            run.rates.complained,
        ),
        figure("Bounced", "bounced", counts.bounced, run.rates.bounced),
    ]
}

/// One stretch of the bar for each state that holds anyone; a single reader is still one unit wide.
fn segments(run: &RunNumbers) -> Vec<Segment> {
    let order = [
        DeliveryState::Sent,
        DeliveryState::AtDot,
        DeliveryState::Uncertain,
    ];
    let rest = DeliveryState::ALL
        .into_iter()
        .filter(|state| !order.contains(state) && *state != DeliveryState::Queued);
    let order = order.into_iter().chain(rest).chain([DeliveryState::Queued]);
    let whole = run.recipients.max(run.counts.total()).max(1);
    let mut segments = Vec::new();
    let (mut x, mut before) = (0, 0);
    for state in order {
        let count = run.counts.get(state);
        if count <= 0 || x >= WIDTH {
            continue;
        }
        before += count;
        let end = (before.saturating_mul(WIDTH) / whole).clamp(x + 1, WIDTH);
        segments.push(Segment {
            name: state.name(),
            x,
            width: end - x,
            title: format!("{}: {}", label(state), grouped(count)),
        });
        x = end;
    }
    segments
}

fn summary(run: &RunNumbers) -> String {
    let held = DeliveryState::ALL
        .into_iter()
        .filter(|&state| run.counts.get(state) > 0);
    let words: Vec<String> = held
        .map(|state| {
            format!(
                "{} {}",
                grouped(run.counts.get(state)),
                state.name().replace('_', " ")
            )
        })
        .collect();
    let words = if words.is_empty() {
        "none yet".to_owned()
    } else {
        words.join(", ")
    };
    format!("{} recipients: {words}", grouped(run.recipients))
}

/// That a link leads elsewhere than it was sent.
pub(super) fn corrected(link: &LinkNumbers, zone: &str) -> Option<String> {
    let corrected = link.corrected.as_ref()?;
    let at = minute(corrected.at, zone);
    Some(format!("corrected on {at}; was sent as {}", corrected.sent))
}

fn link_view(link: &LinkNumbers, busiest: i64, zone: &str) -> LinkView {
    LinkView {
        link: link.link,
        known: link.judged.readers.number() > Some(0),
        name: link.name.clone(),
        url: link.url.clone(),
        corrected: corrected(link, zone),
        readers: told(link.judged.readers.number()),
        share: link.judged.readers.percent(),
        clicks: told(link.judged.clicked()),
        width: link.judged.readers.part.saturating_mul(WIDTH) / busiest.max(1),
    }
}
