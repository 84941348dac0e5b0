//! The seal of a run: what was fixed when its audience was, under a key that the database does not hold.
//!
//! Promises: who changes the sender, the content or the number of recipients of a run that has begun is found out by
//! `verify`. A run that began before there were seals has none and is not asked for it.

use crate::app::App;
use crate::hex::hex;
use crate::status::RunStatus;
use crate::store::runs::Run;

/// Seals a run whose audience is complete, unless it is sealed.
pub(crate) async fn put(app: &App, run: &Run) -> Result<(), crate::store::StoreError> {
    let of_readers = run.status == RunStatus::Sending;
    if of_readers && app.store.meta(&name(run)).await?.is_none() {
        app.store.meta_or_insert(&name(run), &of(app, run)).await?;
    }
    Ok(())
}

/// What does not agree with the seal, if the run has one and this is the keyring it was made with.
pub(crate) async fn fault(app: &App, run: &Run) -> anyhow::Result<Option<String>> {
    let sealed = app.store.meta(&name(run)).await?;
    let broken = sealed.is_some_and(|seal| seal != of(app, run));
    if !broken || !app.store.belongs_to(&app.keyring).await? {
        return Ok(None);
    }
    Ok(Some(
        "its sender, its content or the number of its recipients was changed after it began"
            .to_owned(),
    ))
}

fn name(run: &Run) -> String {
    format!("seal:{}", run.id)
}

fn of(app: &App, run: &Run) -> String {
    let revision = run.revision.as_deref().unwrap_or_default();
    // No address holds a NUL, so no run is ever taken for one.
    let fixed = format!(
        "run\0{}\0{}\0{revision}\0{}\0{}",
        run.id, run.slug, run.headers, run.recipients
    );
    hex(&app.keyring.address_hash(&fixed))
}
