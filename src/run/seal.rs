//! The seal of a run: what was fixed when its audience was, and how much of it had left when it finished, under a key
//! that the database does not hold.
//!
//! Promises: who changes the sender, the content, the list, the relay, the beginning, the policy or the number of
//! recipients of a run that has begun is found out by `verify`, as is who puts back what was sent. A run that began
//! before there were seals has none and is not asked for it; one sealed before the list, the policy and what follows
//! them were part of the seal is held to the rest.

use crate::app::App;
use crate::hex::hex;
use crate::status::RunStatus;
use crate::store::StoreError;
use crate::store::runs::Run;

/// Before a seal that holds the policy, too; such a run has a second one from its end on.
const WHOLE: &str = "3:";
/// Before one that holds the list, the relay and the beginning.
const LISTED: &str = "2:";

/// Before the number of a run: its seal, and that of its end.
const SEAL: &str = "seal:";
const END: &str = "end:";

/// Seals a run whose audience is complete, unless it is sealed.
pub(crate) async fn put(app: &App, run: &Run) -> Result<(), StoreError> {
    let of_readers = run.status == RunStatus::Sending;
    let name = name(SEAL, run);
    if of_readers && app.store.meta(&name).await?.is_none() {
        let seal = format!("{WHOLE}{}", mark(app, &whole(run)));
        app.store.meta_or_insert(&name, &seal).await?;
    }
    Ok(())
}

/// Notes of a run that is about to finish that `gone` of its copies stand behind their markers, unless more did before.
pub(crate) async fn end(app: &App, run: &Run, gone: i64) -> Result<(), StoreError> {
    let name = name(END, run);
    let before = app.store.meta(&name).await?;
    let before = before.and_then(|seal| split(&seal).map(|(gone, _)| gone));
    match before.is_none_or(|before| before < gone) {
        true => app.store.set_meta(&name, &ending(app, run, gone)).await,
        false => Ok(()),
    }
}

/// The seal of a run's end. Markers only grow: what it says has left is to be counted after it was read.
pub(crate) async fn ended(app: &App, run: &Run) -> Result<Option<String>, StoreError> {
    app.store.meta(&name(END, run)).await
}

/// What does not agree with the seals of a run, the one of its end among them, of which `marked` deliveries stand behind
/// their markers; nothing where this is not the keyring they were made with.
pub(crate) async fn faults(
    app: &App,
    run: &Run,
    ended: Option<String>,
    marked: i64,
) -> anyhow::Result<Vec<String>> {
    if !app.store.belongs_to(&app.keyring).await? {
        return Ok(Vec::new());
    }
    let Some(sealed) = app.store.meta(&name(SEAL, run)).await? else {
        let ended = ended.is_some();
        let follows = first(app).await?.is_some_and(|first| run.id > first);
        return Ok(Vec::from_iter((marked > 0 && (ended || follows)).then(
            || "its seal is gone: it, or a run before it, was sealed".to_owned(),
        )));
    };
    let (holds, what) = match sealed.split_at_checked(WHOLE.len()) {
        Some((WHOLE, seal)) => (
            seal == mark(app, &whole(run)),
            "its sender, its content, its list, its relay, its beginning, its policy for uncertain mail or the number of \
             its recipients",
        ),
        Some((LISTED, seal)) => (
            seal == mark(app, &listed(run)),
            "its sender, its content, its list, its relay, its beginning or the number of its recipients",
        ),
        _ => (
            sealed == mark(app, &fixed(run)),
            "its sender, its content or the number of its recipients",
        ),
    };
    let mut faults = Vec::new();
    if !holds {
        faults.push(format!("{what} was changed after it began"));
    }
    let gone = ended.as_deref().and_then(split).map(|(gone, _)| gone);
    match (&ended, gone) {
        (Some(seal), Some(gone)) if *seal == ending(app, run, gone) => {
            if marked < gone {
                faults.push(format!(
                    "{gone} copies had left when it finished, and {marked} deliveries say so: sent on, their readers \
                     get them twice"
                ));
            }
        }
        (Some(_), _) => faults.push("the seal of its end was changed".to_owned()),
        (None, _) if run.status == RunStatus::Finished && sealed.starts_with(WHOLE) => {
            faults.push("it is finished, and the seal of its end is gone".to_owned());
        }
        (None, _) => {}
    }
    Ok(faults)
}

/// The runs that were sealed.
pub(crate) async fn sealed(app: &App) -> Result<Vec<i64>, StoreError> {
    let seals = app.store.metas(SEAL).await?;
    let numbers = seals.iter().filter_map(|(name, _)| name.strip_prefix(SEAL));
    Ok(numbers.filter_map(|number| number.parse().ok()).collect())
}

async fn first(app: &App) -> Result<Option<i64>, StoreError> {
    Ok(sealed(app).await?.into_iter().min())
}

fn name(before: &str, run: &Run) -> String {
    format!("{before}{}", run.id)
}

/// The seal of a run's end: how many copies had left, and the mark of that.
fn ending(app: &App, run: &Run, gone: i64) -> String {
    format!("{gone}:{}", mark(app, &format!("end\0{}\0{gone}", run.id)))
}

fn split(seal: &str) -> Option<(i64, &str)> {
    let (gone, mark) = seal.split_once(':')?;
    Some((gone.parse().ok()?, mark))
}

// No address holds a NUL, so no run is ever taken for one.
fn mark(app: &App, text: &str) -> String {
    hex(&app.keyring.address_hash(text))
}

fn fixed(run: &Run) -> String {
    let revision = run.revision.as_deref().unwrap_or_default();
    format!(
        "run\0{}\0{}\0{revision}\0{}\0{}",
        run.id, run.slug, run.headers, run.recipients
    )
}

fn listed(run: &Run) -> String {
    let (list, began) = (run.list_id.unwrap_or(0), run.started_at.unwrap_or(0));
    format!("{}\0{list}\0{}\0{began}", fixed(run), run.relay)
}

fn whole(run: &Run) -> String {
    format!("{}\0{}", listed(run), run.policy.name())
}
