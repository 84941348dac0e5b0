//! A run while it sends: the same fragment that its page holds, made anew each second and streamed.
//!
//! Promises: the page says all of it without the stream, at the next load; a stream ends with its run, its
//! session and the site. A look costs one sum over the run's blocks; why it stands where it stands is asked
//! less often, because that answer proves that the database takes a write.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::access;
use crate::clock::{HOUR, Timestamp};
use crate::http::admin::run_view::RunView;
use crate::http::admin::wording::grouped;
use crate::http::admin::{Admin, runs};
use crate::http::conditional;
use crate::http::fault::Fault;
use crate::http::form::Tail;
use crate::id::RunId;
use crate::numbers::{self, Line};
use crate::run::why::{self, Cause, Why};
use crate::schedule::span;
use crate::stats::RunNumbers;
use crate::status::RunStatus;
use crate::store::access::Session;
use crate::track::fold;

const SCRIPT: &str = include_str!("../pages/live.js");
/// Between two looks at a run that moves, and at one that waits for an hour or a person.
const LOOK: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(10);
/// Looks between two answers to why.
const WHY: u32 = 5;
/// The rate is that of so many looks.
const WINDOW: usize = 10;
/// A line now and then keeps the connection from looking dead.
const ALIVE: Duration = Duration::from_secs(20);

/// How far a run is, in words.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Progress {
    done: String,
    recipients: String,
    percent: i64,
    rate: Option<String>,
    /// How long it still takes at that rate.
    left: Option<String>,
    /// The same in a sentence.
    says: String,
}

impl Progress {
    /// By the mean since the run began.
    pub(super) fn whole(run: &RunNumbers, now: Timestamp) -> Progress {
        let begun = run.started_at.unwrap_or(now);
        Progress::at(run, done(run), now.since(begun))
    }

    /// Without a rate where none of the rest is going out: what waits for a next try takes as long as it waits.
    pub(super) fn of(self, cause: Cause) -> Progress {
        match cause {
            Cause::Sending | Cause::Pace => self,
            _ => Progress {
                rate: None,
                left: None,
                ..self
            },
        }
    }

    /// Who follows it by ear is told when this changes.
    pub(super) fn step(&self) -> i64 {
        self.percent / 10
    }

    /// `moved` deliveries were done in `time`.
    fn at(run: &RunNumbers, moved: i64, time: Duration) -> Progress {
        let done = done(run);
        let mut progress = Progress {
            done: grouped(done),
            recipients: grouped(run.recipients),
            percent: done.saturating_mul(100) / run.recipients.max(1),
            rate: None,
            left: None,
            says: String::new(),
        };
        progress.says = format!(
            "{} of {} done ({} %)",
            progress.done, progress.recipients, progress.percent
        );
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        if run.status != RunStatus::Sending || moved <= 0 || millis == 0 {
            return progress;
        }
        let hourly = moved.saturating_mul(HOUR) / millis;
        progress.rate = Some(match hourly {
            slow if slow < 3_600 => format!("{} an hour", grouped(slow)),
            fast => format!("{} a second", grouped(fast / 3_600)),
        });
        let open = run.recipients - done;
        let left = open.saturating_mul(millis) / moved;
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        progress.left = (open > 0).then(|| span(left));
        progress
    }
}

fn done(run: &RunNumbers) -> i64 {
    run.counts.total() - run.counts.queued - run.counts.at_dot
}

/// The fragment of a run's page that changes while it sends.
pub(super) fn fragment(
    admin: &Admin,
    line: &Line,
    progress: &Progress,
    why: Option<&Why>,
    counting: bool,
) -> Option<String> {
    let values = context! {
        counting,
        run => Serde(RunView::new(line, admin.zone())),
        progress => Serde(progress),
        why => why.map(|why| said(why, &line.run)),
    };
    admin.pages.text("run_live.html", values)
}

/// Why it stands where it stands, with the count of now, as that was asked some looks ago. Where it just goes on, the
/// line of its progress says all.
fn said(why: &Why, run: &RunNumbers) -> String {
    if why.cause == Cause::Sending {
        return String::new();
    }
    let behind = format!(" of {} are done", run.recipients);
    let Some((before, after)) = why.sentence.split_once(&behind) else {
        return why.sentence.clone();
    };
    let before = before.trim_end_matches(|c: char| c.is_ascii_digit());
    format!("{before}{}{behind}{after}", done(run))
}

/// `GET /live.js`.
pub(super) async fn script(headers: HeaderMap) -> Response {
    conditional::asset(&headers, "text/javascript; charset=utf-8", SCRIPT)
}

/// `GET /runs/{id}/live`: the fragment now, and each second until the run is over.
pub(super) async fn stream(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
) -> Result<impl IntoResponse, Fault> {
    let run = runs::find(&admin, &id).await?.id();
    let watching = Watching {
        closing: admin.closing.clone(),
        admin,
        session,
        run,
        seen: VecDeque::new(),
        why: None,
        looks: 0,
        moves: true,
        over: false,
    };
    let stream = futures::stream::unfold(watching, Watching::next);
    let stream = Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE));
    // nginx would hold it back until there is a page of it.
    Ok(([("x-accel-buffering", "no")], stream))
}

struct Watching {
    admin: Arc<Admin>,
    session: Session,
    run: RunId,
    closing: watch::Receiver<()>,
    /// When how many were done.
    seen: VecDeque<(Instant, i64)>,
    why: Option<Why>,
    looks: u32,
    moves: bool,
    over: bool,
}

impl Watching {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Watching)> {
        if self.over {
            return None;
        }
        if self.looks > 0 {
            let pause = if self.moves { LOOK } else { IDLE };
            tokio::select! {
                () = sleep(pause) => {}
                _ = self.closing.changed() => return None,
            }
        }
        let event = match self.look().await {
            Ok(event) => event?,
            Err(error) => {
                // The browser asks again by itself.
                tracing::warn!(error = format!("{error:#}"), "a run could not be followed");
                return None;
            }
        };
        self.looks += 1;
        Some((Ok(event), self))
    }

    /// None when there is nothing to show any more, or nobody to show it to.
    async fn look(&mut self) -> anyhow::Result<Option<Event>> {
        let app = &self.admin.app;
        let sessions = access::sessions(app).await?;
        if !sessions.iter().any(|one| one.id == self.session.id) {
            return Ok(None);
        }
        let Some(line) = numbers::line(app, self.run).await? else {
            return Ok(None);
        };
        let numbers = &line.run;
        self.over = numbers.status.is_over();
        self.moves = matches!(numbers.status, RunStatus::Sending | RunStatus::Freezing);
        if self.over || !self.moves || self.looks.is_multiple_of(WHY) {
            let run = app.store.run(self.run).await?;
            if let Some(run) = run {
                self.why = Some(why::why(app, &run).await?);
            }
        }
        let now = (Instant::now(), done(numbers));
        self.seen.push_back(now);
        if self.seen.len() > WINDOW {
            self.seen.pop_front();
        }
        let progress = match self.seen.front() {
            Some(first) if self.seen.len() > 1 => {
                Progress::at(numbers, now.1 - first.1, now.0.duration_since(first.0))
            }
            _ => Progress::whole(numbers, app.clock.now()),
        };
        let cause = self.why.as_ref().map_or(Cause::Finished, |why| why.cause);
        let progress = progress.of(cause);
        let counting = !fold::is_whole(&app.store, app.clock.now()).await?;
        let html = fragment(&self.admin, &line, &progress, self.why.as_ref(), counting);
        let Some(html) = html else {
            return Ok(None);
        };
        let data = json!({
            "status": numbers.status, "over": self.over, "html": html,
            "step": progress.step(), "says": progress.says,
        });
        Ok(Some(Event::default().event("run").data(data.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Progress, said};
    use crate::clock::Timestamp;
    use crate::delivery::Counts;
    use crate::id::RunId;
    use crate::run::why::{Cause, Why};
    use crate::stats::{Rates, RunNumbers};
    use crate::status::RunStatus;

    fn run(sent: i64, queued: i64) -> RunNumbers {
        RunNumbers {
            run: RunId(2),
            slug: String::new(),
            title: String::new(),
            list: None,
            status: RunStatus::Sending,
            reason: None,
            created_at: Timestamp(0),
            started_at: Some(Timestamp(0)),
            finished_at: None,
            recipients: sent + queued,
            counts: Counts {
                sent,
                queued,
                ..Counts::default()
            },
            opened: 0,
            clicked: 0,
            departed: 0,
            complained: 0,
            opens: 0,
            clicks: 0,
            rates: Rates::default(),
            test: None,
            links: Vec::new(),
        }
    }

    #[test]
    fn a_page_says_one_count_however_old_its_sentence_is() {
        let why = |cause, sentence: &str| Why {
            issue: "bees".into(),
            run: 2,
            status: RunStatus::Sending,
            cause,
            sentence: sentence.into(),
            since: None,
            next: None,
            unaffected: None,
            command: None,
        };
        let now = run(170, 232);
        let old = why(Cause::Pace, "`bees` is spread out: 110 of 402 are done");
        assert_eq!(
            said(&old, &now),
            "`bees` is spread out: 170 of 402 are done"
        );
        let goes = why(
            Cause::Sending,
            "is being sent (5 s ago): 110 of 402 are done",
        );
        assert_eq!(said(&goes, &now), "");
        let other = why(Cause::Waiting, "waits for its hour");
        assert_eq!(said(&other, &now), "waits for its hour");
        let progress = Progress::whole(&now, Timestamp(60_000));
        assert_eq!(
            (progress.says.as_str(), progress.step()),
            ("170 of 402 done (42 %)", 4)
        );
    }

    #[test]
    fn a_rate_says_how_long_the_rest_takes_and_none_says_nothing() {
        let progress = Progress::whole(&run(600, 1_200), Timestamp(60_000));
        assert_eq!(progress.percent, 33);
        assert_eq!(progress.rate.as_deref(), Some("10 a second"));
        assert_eq!(progress.left.as_deref(), Some("2 min"));
        let waits = progress.clone().of(Cause::Waiting);
        assert_eq!((waits.rate, waits.left, waits.percent), (None, None, 33));
        let goes = progress.clone().of(Cause::Pace);
        assert_eq!(goes.rate, progress.rate);
        let slow = Progress::at(&run(1, 9), 1, Duration::from_secs(3_600));
        assert_eq!(slow.rate.as_deref(), Some("1 an hour"));
        assert_eq!(slow.left.as_deref(), Some("9 h"));
        let still = Progress::at(&run(0, 5), 0, Duration::from_secs(9));
        assert_eq!((still.rate, still.left), (None, None));
        let none = Progress::at(&run(0, 0), 0, Duration::ZERO);
        assert_eq!((none.percent, none.left), (0, None));
    }
}
