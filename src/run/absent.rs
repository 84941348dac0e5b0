//! Why a run has no copy for a reader.
//!
//! Promises: said from what is kept of her and of the run; where that does not tell, it says so.

use crate::address::EmailAddress;
use crate::app::App;
use crate::clock::Timestamp;
use crate::id::ListId;
use crate::schedule::shown;
use crate::store::readers::Joined;
use crate::store::runs::{Audience, Run, said};
use crate::subscriber::Status;

/// The reason in a sentence without a subject, such as "she is not on `weekly`".
pub async fn why(app: &App, run: &Run, address: &EmailAddress) -> anyhow::Result<String> {
    let store = &app.store;
    let canonical = address.canonical();
    let Some(reader) = store.subscriber(&canonical).await? else {
        return Ok(
            match store
                .suppression(&app.keyring.address_hash(&canonical))
                .await?
            {
                Some((reason, _)) => {
                    format!("no reader has this address, and it is suppressed ({reason})")
                }
                None => "no reader has this address".to_owned(),
            },
        );
    };
    let zone = &app.config.publication.timezone;
    let Some(began) = run.started_at.map(Timestamp) else {
        return Ok(
            "the run has not copied its readers yet; `pressrun why` says what it waits for"
                .to_owned(),
        );
    };
    let list = match run.list_id {
        Some(list) => store.list_by_id(ListId(list)).await?,
        None => None,
    };
    let slug = list.map(|list| list.slug).unwrap_or_default();
    let joined = store.joined(reader.id).await?;
    let held = joined.iter().find(|held| held.list == slug);
    let on = |at: i64| shown(Timestamp(at), zone);
    let of_her = match held {
        None => Some(format!("she is not on `{slug}`")),
        Some(held) => of_subscription(held, run, began, &on),
    };
    if let Some(why) = of_her {
        return Ok(why);
    }
    if let Some(segment) = said(run.segment.as_deref()) {
        return Ok(format!(
            "the run went to the segment `{segment}` alone, and she was not in it when it began"
        ));
    }
    if run.audience != Audience::List.name() {
        return Ok(
            "the run went only to some of those whom an earlier run of this issue was for"
                .to_owned(),
        );
    }
    Ok(format!(
        "the run copied its readers from {} on, and nothing kept of her today says why she was not among them: she may \
         have paused, been suppressed or had another frequency then",
        on(run.cutoff)
    ))
}

fn of_subscription(
    held: &Joined,
    run: &Run,
    began: Timestamp,
    on: &impl Fn(i64) -> String,
) -> Option<String> {
    let list = &held.list;
    let Some(confirmed) = held.confirmed_at else {
        return Some(format!("she has never confirmed `{list}`"));
    };
    if confirmed > run.cutoff {
        return Some(format!(
            "she joined `{list}` on {}, when the run had begun ({})",
            on(confirmed),
            on(run.cutoff)
        ));
    }
    match (held.status, held.left_at) {
        // Who left later has a delivery, or has none for another reason.
        (Status::Unsubscribed, Some(left)) if left <= began.0 => {
            return Some(format!("she left `{list}` on {}", on(left)));
        }
        (Status::Pending, _) => return Some(format!("she has not confirmed `{list}`")),
        (Status::Paused, _) => {
            let until = held.paused_until.map(|at| format!(" until {}", on(at)));
            return Some(format!("she pauses `{list}`{}", until.unwrap_or_default()));
        }
        _ => {}
    }
    let digest = held.frequency == "monthly" && run.monthly == 0;
    let why = "she wants the digest of the month alone, and this run is none (`send --monthly` is)";
    digest.then(|| why.to_owned())
}
