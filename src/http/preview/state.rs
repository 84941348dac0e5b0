//! What is shown as JSON, and the stream that tells of a change.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::diagnostic::{Place, Provenance};
use crate::http::preview::finding::opened;
use crate::http::preview::page::findings;
use crate::http::preview::{Desk, Shown};

/// A line now and then keeps the connection from looking dead.
const ALIVE: Duration = Duration::from_secs(20);

/// `GET /state`: the newest compile, its findings, and the place of each marked block.
pub(super) async fn state(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let shown = desk.shown();
    let good = shown.good.as_ref();
    let found = match good {
        Some(good) => Some(findings(&desk, &shown, good).await),
        None => None,
    };
    Json(json!({
        "version": desk.version(&shown),
        "broken": shown.is_broken(),
        "errors": shown.errors,
        "fault": shown.fault,
        "findings": found,
        "places": good.map(|good| places(&desk, &good.marked.places)),
    }))
}

/// Each place, and who draws what stands there, with the addresses that open them, where there is an editor.
fn places(desk: &Desk, places: &[Provenance]) -> Vec<Value> {
    let editor = desk.target.editor.as_deref();
    let one = |place: &Place| {
        let href = editor.and_then(|editor| opened(place, editor));
        json!({ "file": place.file, "line": place.line, "column": place.column, "href": href })
    };
    let written = |Provenance { place, drawn }: &Provenance| {
        let mut written = one(place);
        if let Some(drawn) = drawn {
            written["drawn"] = one(drawn);
        }
        written
    };
    places.iter().map(written).collect()
}

/// `GET /events`: the version now, and each one after it.
pub(super) async fn events(
    State(desk): State<Arc<Desk>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let watching = Watching {
        shown: desk.shown.subscribe(),
        stop: desk.stop.clone(),
        first: true,
        desk,
    };
    let stream = futures::stream::unfold(watching, Watching::next);
    Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE))
}

struct Watching {
    desk: Arc<Desk>,
    shown: watch::Receiver<Arc<Shown>>,
    stop: watch::Receiver<bool>,
    first: bool,
}

impl Watching {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Watching)> {
        if !self.first {
            tokio::select! {
                changed = self.shown.changed() => changed.ok()?,
                _ = self.stop.wait_for(|stop| *stop) => return None,
            }
        }
        self.first = false;
        let shown = self.shown.borrow_and_update().clone();
        let data = json!({ "version": self.desk.version(&shown), "broken": shown.is_broken() });
        let event = Event::default().event("shown").data(data.to_string());
        Some((Ok(event), self))
    }
}
