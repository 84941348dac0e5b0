//! Health: is the process there, and does the database take writes, with room for more of them?

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::routing::get;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::app::App;
use crate::http::Public;
use crate::http::admin::Admin;

/// A probe that waits longer than this is a no: with the age of an answer, red within 5 s.
const PATIENCE: Duration = Duration::from_secs(3);
/// An answer holds this long, so that strangers cannot make the database commit by asking.
const HOLDS: Duration = Duration::from_secs(1);

/// The last answer, and how to get the next.
#[derive(Debug)]
pub struct Readiness {
    app: App,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    /// Nothing is known before the first question.
    pub fn new(app: App) -> Readiness {
        Readiness {
            app,
            last: Mutex::new(None),
        }
    }

    async fn answer(&self) -> (StatusCode, &'static str) {
        let mut last = self.last.lock().await;
        let known = last.filter(|(at, _)| at.elapsed() < HOLDS);
        let ready = match known {
            Some((_, ready)) => ready,
            None if self.app.store.full_since().is_some() => false,
            None => {
                // A real commit: a database that only reads cannot take a marker.
                let proof = self.app.store.prove_writable(self.app.clock.now());
                let ready = match timeout(PATIENCE, proof).await {
                    Ok(Ok(())) => true,
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "not ready");
                        false
                    }
                    Err(_) => {
                        tracing::warn!("not ready: the database takes longer than 3 s to commit");
                        false
                    }
                };
                *last = Some((Instant::now(), ready));
                ready
            }
        };
        if ready {
            (StatusCode::OK, "ready\n")
        } else {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database takes no writes\n",
            )
        }
    }
}

/// `GET /healthz`: the process answers.
pub async fn health() -> &'static str {
    "ok\n"
}

/// What a site says while the database is not there yet: the process answers, and nothing else can be had.
pub fn waiting() -> Router {
    Router::new()
        .route("/healthz", get(health))
        .fallback(async || {
            let headers = [(RETRY_AFTER, "30"), (CACHE_CONTROL, "no-store")];
            let why = "not ready: the database is not there yet\n";
            (StatusCode::SERVICE_UNAVAILABLE, headers, why)
        })
}

/// `GET /readyz` on the public site.
pub async fn public(State(site): State<Arc<Public>>) -> (StatusCode, &'static str) {
    site.ready.answer().await
}

/// `GET /readyz` on the admin site.
pub async fn admin(State(admin): State<Arc<Admin>>) -> (StatusCode, &'static str) {
    admin.ready.answer().await
}
