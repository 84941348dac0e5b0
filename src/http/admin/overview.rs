//! The overview: what is being sent, what waits, what needs a person, and the newest numbers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use crate::deliver::trouble::Trouble;
use crate::delivery::State as DeliveryState;
use crate::http::admin::run_view::RunView;
use crate::http::admin::wording::{grouped, minute, signed};
use crate::http::admin::{Admin, counting, growth};
use crate::http::fault::Fault;
use crate::numbers::{self, ListReport};
use crate::run::why;
use crate::signup::guard;
use crate::stats::RunNumbers;
use crate::status::RunStatus;
use crate::subscriber::List;
use crate::track::journal::Journal;

/// The newest runs, of which the numbers are shown.
const NEWEST: u32 = 3;

/// How a list grew this week, which began on Monday.
#[derive(Serialize)]
struct Growing {
    id: i64,
    list: String,
    subscribed: String,
    joined: String,
    /// Brought by an import, if anybody.
    imported: Option<String>,
    left: String,
    net: String,
    /// When it was counted, and the zone of its Monday, where it is no longer the publication's.
    at: String,
    zone: Option<String>,
}

/// Something that stands still until somebody acts.
#[derive(Serialize)]
struct Need {
    says: String,
    link: Option<String>,
    name: String,
}

/// A run that is not over.
#[derive(Serialize)]
struct Open {
    run: i64,
    issue: String,
    status: RunStatus,
    says: String,
}

/// `GET /`.
pub(super) async fn page(State(admin): State<Arc<Admin>>) -> Result<Response, Fault> {
    let app = &admin.app;
    let newest = numbers::runs(app, NEWEST).await?;
    let mut needs = Vec::new();
    if let Some(notice) = guard::look(app).await?.notice() {
        needs.push(plain(notice.to_owned()));
    }
    if let Some(trouble) = Trouble::told(app).await? {
        needs.push(plain(trouble.sentence()));
    }
    needs.extend(Journal::of(app).trouble().map(plain));
    let mut open = Vec::new();
    for why in why::all(app).await? {
        if why.status.is_stopped() {
            needs.push(Need {
                says: why.sentence,
                link: Some(format!("/runs/{}", why.run)),
                name: why.issue,
            });
        } else {
            open.push(Open {
                run: why.run,
                issue: why.issue,
                status: why.status,
                says: why.sentence,
            });
        }
    }
    needs.extend(newest.iter().filter_map(|line| need(&line.run)));
    let runs: Vec<RunView> = newest
        .iter()
        .map(|line| RunView::new(line, admin.zone()))
        .collect();
    let values = context! {
        needs => Serde(needs),
        open => Serde(open),
        runs => Serde(runs),
        growing => Serde(growing(&admin).await?),
        counting => !counting::is_whole(&admin).await?,
    };
    Ok(admin.page("/", "overview.html", values))
}

/// Every list as it was last counted.
async fn growing(admin: &Admin) -> Result<Vec<Growing>, Fault> {
    let mut all = Vec::new();
    for list in admin.app.store.lists().await? {
        let counted = growth::counted(admin, &list).await?;
        all.extend(counted.map(|report| grown(&list, &report, admin.zone())));
    }
    Ok(all)
}

fn grown(list: &List, report: &ListReport, zone: &str) -> Growing {
    let week = report.growth.weeks.last().cloned().unwrap_or_default();
    Growing {
        id: list.id.0,
        list: list.title.clone(),
        subscribed: grouped(report.growth.subscribed),
        joined: grouped(week.joined),
        imported: (week.imported > 0).then(|| grouped(week.imported)),
        left: grouped(week.left),
        net: signed(week.net),
        at: minute(report.at, zone),
        zone: (report.growth.zone != zone).then(|| report.growth.zone.clone()),
    }
}

fn plain(says: String) -> Need {
    Need {
        says,
        link: None,
        name: String::new(),
    }
}

/// What a run's numbers ask a person for.
fn need(run: &RunNumbers) -> Option<Need> {
    let uncertain = run.counts.get(DeliveryState::Uncertain);
    let says = if !run.balanced() && run.status != RunStatus::Freezing {
        "its states do not add up to its recipients".to_owned()
    } else if uncertain > 0 {
        let number = grouped(uncertain);
        format!("nobody knows whether {number} of its deliveries were taken")
    } else {
        return None;
    };
    Some(Need {
        says,
        link: Some(format!("/runs/{}", run.run)),
        name: run.slug.clone(),
    })
}
