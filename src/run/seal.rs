//! The seal of a run: what was fixed when its audience was, under a key that the database does not hold.
//!
//! Promises: who changes the sender, the content, the list, the relay, the beginning or the number of recipients of a
//! run that has begun is found out by `verify`. A run that began before there were seals has none and is not asked for
//! it; one sealed before the list and what follows it were part of the seal is held to the rest.

use crate::app::App;
use crate::hex::hex;
use crate::status::RunStatus;
use crate::store::runs::Run;

/// Before a seal that holds the list, the relay and the beginning too.
const WHOLE: &str = "2:";

/// Seals a run whose audience is complete, unless it is sealed.
pub(crate) async fn put(app: &App, run: &Run) -> Result<(), crate::store::StoreError> {
    let of_readers = run.status == RunStatus::Sending;
    if of_readers && app.store.meta(&name(run)).await?.is_none() {
        app.store
            .meta_or_insert(&name(run), &format!("{WHOLE}{}", whole(app, run)))
            .await?;
    }
    Ok(())
}

/// What does not agree with the seal, if the run has one and this is the keyring it was made with.
pub(crate) async fn fault(app: &App, run: &Run) -> anyhow::Result<Option<String>> {
    let Some(sealed) = app.store.meta(&name(run)).await? else {
        return Ok(None);
    };
    let (broken, what) = match sealed.strip_prefix(WHOLE) {
        Some(seal) => (
            seal != whole(app, run),
            "its sender, its content, its list, its relay, its beginning or the number of its recipients",
        ),
        None => (
            sealed != of(app, run),
            "its sender, its content or the number of its recipients",
        ),
    };
    if !broken || !app.store.belongs_to(&app.keyring).await? {
        return Ok(None);
    }
    Ok(Some(format!("{what} was changed after it began")))
}

fn name(run: &Run) -> String {
    format!("seal:{}", run.id)
}

fn fixed(run: &Run) -> String {
    let revision = run.revision.as_deref().unwrap_or_default();
    // No address holds a NUL, so no run is ever taken for one.
    format!(
        "run\0{}\0{}\0{revision}\0{}\0{}",
        run.id, run.slug, run.headers, run.recipients
    )
}

fn of(app: &App, run: &Run) -> String {
    hex(&app.keyring.address_hash(&fixed(run)))
}

fn whole(app: &App, run: &Run) -> String {
    let (list, began) = (run.list_id.unwrap_or(0), run.started_at.unwrap_or(0));
    let fixed = format!("{}\0{list}\0{}\0{began}", fixed(run), run.relay);
    hex(&app.keyring.address_hash(&fixed))
}
