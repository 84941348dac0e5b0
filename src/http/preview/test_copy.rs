//! The test button: a copy through the real engine, as `pressrun test` sends it.

use std::sync::Arc;

use anyhow::Context;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use tokio::runtime::Handle;

use crate::address::EmailAddress;
use crate::app::App;
use crate::http::fault::Fault;
use crate::http::form::{Form, addresses};
use crate::http::preview::look::Look;
use crate::http::preview::reader::seen;
use crate::http::preview::{Desk, Test};
use crate::lists;
use crate::lock::lock;
use crate::run::test_copy::{self, Tested};

/// `POST /test`: sends, keeps how it went for the page, and goes back to it.
pub(super) async fn send(State(desk): State<Arc<Desk>>, form: Form) -> Result<Response, Fault> {
    let token = desk.token.as_bytes();
    let given = form.get("token").as_bytes();
    aws_lc_rs::constant_time::verify_slices_are_equal(token, given).map_err(|_| Fault::Form)?;
    let look = Look::read(form.get("look"));
    let to = form.get("to").trim().to_owned();
    // A task of its own: a copy under way is followed to its end, whoever closes the page.
    let sent = tokio::spawn(deliver(desk.clone(), look.clone(), to.clone()));
    let end = match sent.await {
        Ok(end) => end.map_err(|error| format!("{error:#}")),
        Err(error) => Err(format!("the test copy broke: {error}")),
    };
    *lock(&desk.test) = Some(Test { to, end });
    Ok(Redirect::to(&look.address("/")).into_response())
}

async fn deliver(desk: Arc<Desk>, look: Look, to: String) -> anyhow::Result<Vec<Tested>> {
    let to = addresses(&to)?;
    let _one = desk
        .testing
        .try_lock()
        .context("another test copy is under way")?;
    let seen = seen(&desk, &desk.shown(), &look).await;
    let file = desk.file.clone();
    // Opening migrates, and the migrations' future cannot go from thread to thread.
    let opened = move || Handle::current().block_on(App::from_file(&file, true));
    let app = tokio::task::spawn_blocking(opened).await??;
    remember(&desk, &to);
    let sent = async {
        // As it is now, whatever the page shows.
        let titles = lists::titles(&app.store).await?;
        let built = desk.target.sent(&app.config, &app.emails(), &titles)?;
        test_copy::send(&app, built, &to, &seen.reader.values, desk.stop.clone()).await
    };
    let report = sent.await;
    app.store.close().await;
    Ok(report?.tested)
}

/// Keeps the addresses for the next start. A convenience: where that fails they are typed again.
fn remember(desk: &Desk, to: &[EmailAddress]) {
    let path = desk.remembered();
    let list: Vec<&str> = to.iter().map(EmailAddress::as_str).collect();
    let folder = path.parent().map(std::fs::create_dir_all);
    if let Some(Ok(())) = folder {
        std::fs::write(&path, list.join(", ")).ok();
    }
}
