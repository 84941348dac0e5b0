//! `pressrun serve` before its database is there: a machine may start both in any order.
//!
//! Promises: a PostgreSQL that does not answer yet is waited for, with a line each minute, and both sites say that they
//! are not ready; whatever waiting does not mend (a wrong password, a database that is not there) ends it at once.

use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::App;
use crate::cli::Cli;
use crate::config::Config;
use crate::http::{listener, ready};
use crate::store::StoreError;

/// The wait before the second try, which doubles, and the longest between two.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15);
/// So long it is waited for; longer than that is for a person, whom a supervisor's restarts tell.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two lines.
const LINE: Duration = Duration::from_secs(60);

/// Opens what the configuration names, as soon as the database is there; the sites say so meanwhile where this process
/// serves them.
pub(super) async fn open(cli: &Cli, file: &Path, serves: bool) -> anyhow::Result<App> {
    let begun = Instant::now();
    let mut told: Option<Instant> = None;
    let mut wait = FIRST;
    let mut sites = JoinSet::new();
    loop {
        let error = match cli.open().await {
            Ok(app) => {
                // Their listeners are free again when this returns.
                sites.shutdown().await;
                if told.is_some() {
                    eprintln!("the database is there");
                }
                return Ok(app);
            }
            Err(error) => error,
        };
        let fault = error.downcast_ref::<StoreError>();
        if !fault.is_some_and(StoreError::is_away) {
            return Err(error);
        }
        if begun.elapsed() >= PATIENCE {
            let minutes = PATIENCE.as_secs() / 60;
            return Err(error.context(format!("waited {minutes} minutes for the database")));
        }
        if told.is_none() && serves {
            let config = Config::load(file)?;
            for address in [config.http.public, config.http.admin] {
                let limits = listener::Limits::new(&config.http);
                // Who cannot listen is told so when the database is there.
                if let Ok(listener) = TcpListener::bind(address).await {
                    let never = std::future::pending();
                    sites.spawn(listener::run(listener, ready::waiting(), limits, never));
                }
            }
        }
        if told.is_none_or(|told| told.elapsed() >= LINE) {
            told = Some(Instant::now());
            let minutes = PATIENCE
                .saturating_sub(begun.elapsed())
                .as_secs()
                .div_ceil(60);
            eprintln!(
                "waiting for the database, {minutes} more minutes at most; nothing is sent, and no link in a mail works \
                 before: {error:#}"
            );
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST);
    }
}
