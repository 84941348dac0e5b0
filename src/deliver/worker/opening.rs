//! How a connection to a relay comes about: the leave to connect, a job for it, the opening.
//!
//! Promises: a relay that takes no more connections beside those that work has not failed, and is asked for one more
//! ever more seldom; one that takes connections and says nothing keeps no job waiting, and has failed after a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::deliver::Shared;
use crate::deliver::ledger::Ledger;
use crate::deliver::queue::Job;
use crate::deliver::relays::LiveRelay;
use crate::deliver::seat::Seat;
use crate::deliver::worker::drive;
use crate::smtp::error::SessionError;
use crate::smtp::session::Session;

/// Works for one connection of `relay` until the queue is closed.
pub(crate) async fn work(shared: Arc<Shared>, relay: Arc<LiveRelay>, ledger: Ledger) {
    // Openings running that were refused beside connections that worked.
    let mut refused = 0;
    loop {
        // The leave comes first: a job must not wait for this relay while another could take it.
        let pass = tokio::select! {
            pass = relay.standing.breaker.enter() => pass,
            () = shared.stopped() => break,
        };
        let Some(job) = shared.queue.pop(relay.index).await else {
            break;
        };
        if !pass.holds() {
            shared.queue.put_back(relay.index, job);
            continue;
        }
        let mut job = Some(job);
        let opened = tokio::select! {
            opened = open(&shared, &relay, &mut job) => opened,
            // The job stays queued in the ledger.
            () = shared.stopped() => break,
        };
        match opened {
            Ok(session) => {
                refused = 0;
                let Some(job) = job.or_else(|| shared.queue.try_pop(relay.index)) else {
                    session.quit().await;
                    continue;
                };
                let seat = Seat {
                    shared: &shared,
                    relay: &relay,
                    line: None,
                };
                let _connected = relay.connected();
                drive(seat, &ledger, session, job).await;
            }
            Err(error) => {
                if let Some(job) = job {
                    shared.queue.put_back(relay.index, job);
                }
                let reply = error.reply.as_ref();
                if !relay.is_full(reply) {
                    refused = 0;
                    let why = error.to_string();
                    shared.relay_refused(&relay, reply, &why).await;
                    continue;
                }
                drop(pass);
                refused += 1;
                let wait = relay.standing.breaker.wait(refused);
                tracing::info!(
                    relay = relay.name,
                    ?wait,
                    "no more connections now: {error}"
                );
                tokio::select! {
                    () = sleep(wait) => {}
                    () = shared.stopped() => break,
                }
            }
        }
    }
}

/// Opens a session. If that takes long, others may have the job, and a relay of which nobody has an answer has failed.
async fn open(
    shared: &Shared,
    relay: &LiveRelay,
    job: &mut Option<Job>,
) -> Result<Session, SessionError> {
    let _watched = shared.watch(relay);
    let opening = relay.connect();
    tokio::pin!(opening);
    let long: Duration = relay.config.connect_timeout;
    tokio::select! {
        biased;
        opened = &mut opening => return opened,
        () = sleep(long) => {}
    }
    if let Some(job) = job.take() {
        shared.queue.put_back(relay.index, job);
    }
    if !relay.is_connected() {
        let why = "smtp, connecting: it says nothing yet";
        shared.relay_failed(relay, why, false).await;
    }
    opening.await
}
