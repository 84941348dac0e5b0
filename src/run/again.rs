//! A copy made again, octet for octet, from what is kept with its delivery.
//!
//! Promises: the same octets that stood on the wire, as long as the revision, the keyring's key, the relay's
//! settings and the DKIM keys of then are still there; what is missing is an error or is told, never guessed. A
//! system mail's own header comes from the configuration of today.

pub mod signed;

use anyhow::Context;

use crate::app::App;
use crate::compile::Compiled;
use crate::deliver::signing;
use crate::id::{DeliveryKey, ListId, RunId};
use crate::message::copy::{CopyRecord, is_forgotten};
use crate::message::{self, MessageTemplate, RunHeaders, envelope_sender};
use crate::run::{headers, trial};
use crate::store::verify::CopyRow;
use crate::trial::Variant;

/// What a copy is made of.
struct Frozen {
    compiled: Compiled,
    copy: CopyRecord,
    headers: String,
}

/// A message as it was handed to the relay.
pub struct Again {
    pub message: Vec<u8>,
    /// Whom its envelope names as the sender.
    pub sender: String,
    /// Why the octets may not be those that went out.
    pub doubt: Option<String>,
}

/// The copy of one delivery as HTML; none where no copy was made, it is forgotten, or its key is gone.
pub async fn html(app: &App, key: DeliveryKey) -> anyhow::Result<Option<String>> {
    let Some(frozen) = frozen(app, key).await? else {
        return Ok(None);
    };
    let public_url = app.public_url("");
    Ok(message::html(
        &frozen.compiled,
        &public_url,
        &app.keyring,
        key,
        &frozen.copy,
    ))
}

/// The whole message of one delivery; none where no copy was made, or it is forgotten.
pub async fn message(app: &App, key: DeliveryKey) -> anyhow::Result<Option<Again>> {
    let Some(frozen) = frozen(app, key).await? else {
        return Ok(None);
    };
    let headers = headers_of(app, key, &frozen.headers).await?;
    let name = frozen.copy.relay.clone().unwrap_or_default();
    let relay = app.config.relay.get(&name);
    let signers = relay.map(|relay| signing::signers(&app.config, &app.base, relay));
    let (signers, more, doubt) = match (relay, signers.transpose()) {
        (Some(relay), Ok(signers)) => (signers.unwrap_or_default(), relay.fields(), None),
        (Some(relay), Err(error)) => {
            let why = format!("its DKIM signature is left out: {error:#}");
            (Vec::new(), relay.fields(), Some(why))
        }
        (None, _) => {
            let why =
                format!("the relay `{name}` is no longer described, so what it added is not here");
            (Vec::new(), Vec::new(), Some(why))
        }
    };
    let signers = signing::speaking_for(&app.config, signers, &headers.from_address);
    let template = MessageTemplate::for_relay(&frozen.compiled, &headers, signers, &more)?;
    let (template, doubt) = match signed::differs(&template, &frozen.copy) {
        None => (template, doubt),
        Some(then) => {
            let (signers, other) = signed::then(app, then).await?;
            let again = MessageTemplate::for_relay(&frozen.compiled, &headers, signers, &more)?;
            (again, doubt.filter(|_| relay.is_none()).or(other))
        }
    };
    let mut message = Vec::new();
    template.render(&app.keyring, key, &frozen.copy, &mut message)?;
    Ok(Some(Again {
        message,
        sender: envelope_sender(&app.keyring, key, &headers.bounce_domain),
        doubt,
    }))
}

async fn frozen(app: &App, key: DeliveryKey) -> anyhow::Result<Option<Frozen>> {
    let row = app.store.copy_of(key).await?;
    let Some(CopyRow {
        revision: Some(revision),
        copy: Some(copy),
        headers,
    }) = row
    else {
        return Ok(None);
    };
    if is_forgotten(&copy) {
        return Ok(None);
    }
    let copy = CopyRecord::from_json(&copy)?;
    let revision = match copy.variant {
        Some(Variant::B) => trial::revision_b(app, key.run).await?,
        _ => revision,
    };
    let content = app.store.revision(&revision).await?;
    let content = content.context("the revision is gone")?;
    let mut compiled: Compiled = serde_json::from_str(&content).context("the frozen revision")?;
    if copy.untracked {
        compiled = compiled.untracked();
    }
    Ok(Some(Frozen {
        compiled,
        copy,
        headers,
    }))
}

/// The header that a delivery's run has, or its system mail is given.
async fn headers_of(app: &App, key: DeliveryKey, frozen: &str) -> anyhow::Result<RunHeaders> {
    if key.run != RunId::SYSTEM {
        return serde_json::from_str(frozen).context("the run's frozen headers");
    }
    let mail = app.store.system_mail(key.seq).await?;
    let mail = mail.context("the mail is gone from the database")?;
    // A confirm mail goes to someone who has joined nothing yet.
    let list = mail.list_id.filter(|_| mail.kind != "confirm");
    headers(app, list.map(ListId), &mail.kind).await
}
