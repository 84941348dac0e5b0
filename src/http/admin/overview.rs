//! The overview: what is being sent, what waits, what needs a person, and the newest numbers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use tokio::time::timeout;

use crate::clock::Timestamp;
use crate::deliver::trouble::Trouble;
use crate::delivery::State as DeliveryState;
use crate::http::admin::Admin;
use crate::http::admin::run_view::RunView;
use crate::http::admin::wording::{grouped, minute};
use crate::http::fault::Fault;
use crate::numbers;
use crate::run::why;
use crate::signup::guard;
use crate::stats::RunNumbers;
use crate::stats::growth::Growth;

/// The newest runs, of which the numbers are shown.
const NEWEST: u32 = 3;
/// The newest runs, among which those that are not over are looked for.
const LOOKED_AT: u32 = 50;

/// How long the page waits for a list to be counted; a large one takes longer, and its last count is shown.
const COUNTING: Duration = Duration::from_millis(25);

/// How a list grew this week, which began on Monday.
#[derive(Serialize)]
struct Growing {
    list: String,
    subscribed: String,
    joined: String,
    left: String,
    net: String,
    /// When it was counted.
    at: String,
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
    status: String,
    says: String,
}

/// `GET /`.
pub(super) async fn page(State(admin): State<Arc<Admin>>) -> Result<Response, Fault> {
    let app = &admin.app;
    let newest = app.store.runs_in_numbers(NEWEST).await?;
    let mut needs = Vec::new();
    if let Some(notice) = guard::look(app).await?.notice() {
        needs.push(plain(notice.to_owned()));
    }
    if let Some(trouble) = Trouble::told(app).await? {
        needs.push(plain(trouble.sentence()));
    }
    let mut open = Vec::new();
    for why in why::all(app, LOOKED_AT).await? {
        if matches!(why.status.as_str(), "held" | "paused") {
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
    needs.extend(newest.iter().filter_map(need));
    let runs: Vec<RunView> = newest.iter().map(RunView::new).collect();
    let values = context! {
        needs => Serde(needs),
        open => Serde(open),
        runs => Serde(runs),
        growing => Serde(growing(&admin).await?),
    };
    Ok(admin.page("/", "overview.html", values))
}

/// Every list as it was last counted. What is old by now is counted behind the page.
async fn growing(admin: &Admin) -> Result<Vec<Growing>, Fault> {
    let mut all = Vec::new();
    for list in admin.app.store.lists().await? {
        let counted = match admin.counting.clone().try_lock_owned() {
            Ok(one) => {
                let (app, list) = (admin.app.clone(), list.clone());
                let count = tokio::spawn(async move {
                    let _one = one;
                    numbers::list(&app, &list).await
                });
                timeout(COUNTING, count).await.ok()
            }
            // It is being counted already.
            Err(_) => None,
        };
        let counted = match counted {
            Some(report) => {
                let report = report.context("counting a list broke")??;
                Some((report.at, report.growth))
            }
            None => {
                let kept = admin.app.store.list_numbers(list.id).await?;
                kept.and_then(|(at, text)| Some((at, serde_json::from_str(&text).ok()?)))
            }
        };
        all.extend(counted.map(|(at, growth)| grown(list.title, at, &growth)));
    }
    Ok(all)
}

fn grown(list: String, at: Timestamp, growth: &Growth) -> Growing {
    let week = growth.weeks.last().cloned().unwrap_or_default();
    Growing {
        list,
        subscribed: grouped(growth.subscribed),
        joined: grouped(week.joined),
        left: grouped(week.left),
        net: match week.net {
            more if more > 0 => format!("+{}", grouped(more)),
            other => grouped(other),
        },
        at: minute(at),
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
    let says = if !run.balanced() && run.status != "freezing" {
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
