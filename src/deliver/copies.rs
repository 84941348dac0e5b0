//! From a queued delivery to the octets of its message.
//!
//! Promises: a template is built once per run and shared by all connections; the same inputs give the
//! same octets, so a copy can be made again from what is kept with its delivery.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use serde::Deserialize;

use crate::address::EmailAddress;
use crate::app::App;
use crate::clock::Timestamp;
use crate::compile::Compiled;
use crate::config::Relay;
use crate::deliver::queue::Job;
use crate::dkim::Signer;
use crate::id::{DeliveryKey, ListId, RunId, SubscriptionKey};
use crate::message::copy::{CopyRecord, Values};
use crate::message::{MessageTemplate, RunHeaders, envelope_sender};
use crate::run;

/// Templates kept at a time: a handful of runs and the system mails of each list.
const TEMPLATES: usize = 64;

/// A message ready for the relay.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub key: DeliveryKey,
    pub sender: String,
    pub recipient: String,
    pub message: Vec<u8>,
    /// What this copy is made of, for the ledger.
    pub copy: String,
}

/// Why there is no copy.
#[derive(Debug)]
pub(crate) struct CopyError {
    pub fault: Fault,
    reason: anyhow::Error,
}

/// Where the fault lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The next try may have a copy.
    Passing,
    /// Nobody of this run can have one.
    Run,
    /// This reader cannot.
    Reader,
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.reason)
    }
}

/// The maker of copies.
#[derive(Debug)]
pub(crate) struct Copies {
    app: App,
    relay: String,
    signer: Option<Signer>,
    /// Header fields that the relay wants besides.
    more: Vec<(&'static str, String)>,
    templates: Mutex<HashMap<TemplateKey, Arc<Made>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TemplateKey {
    run: RunId,
    revision: String,
    list: Option<i64>,
    untracked: bool,
}

#[derive(Debug)]
struct Made {
    template: MessageTemplate,
    bounce_domain: String,
}

impl Copies {
    /// A maker of copies for the relay `name`, that signs with `signer`.
    pub(crate) fn new(app: App, name: &str, relay: &Relay, signer: Option<Signer>) -> Copies {
        Copies {
            app,
            relay: name.to_owned(),
            signer,
            more: relay.fields(),
            templates: Mutex::default(),
        }
    }

    /// Makes the copy of `job` as of `now`.
    pub(crate) async fn prepare(&self, job: &Job, now: Timestamp) -> Result<Prepared, CopyError> {
        let made = self.template(job).await?;
        self.fill(job, &made, now).map_err(|reason| CopyError {
            fault: Fault::Reader,
            reason,
        })
    }

    fn fill(&self, job: &Job, made: &Made, now: Timestamp) -> anyhow::Result<Prepared> {
        let row = &job.row;
        let keyring = &self.app.keyring;
        let to = EmailAddress::parse(&row.address).context("the address is not valid any more")?;
        let mut copy = CopyRecord::new(to, now, keyring.active());
        copy.name.clone_from(&row.name);
        copy.subscription = (row.subscription != 0).then_some(SubscriptionKey(row.subscription));
        copy.relay = Some(self.relay.clone());
        copy.test = row.kind.as_deref() == Some("test");
        copy.untracked = is_untracked(job);
        if let (Some("confirm"), Some(data)) = (row.kind.as_deref(), &row.data)
            && copy.subscription.is_none()
        {
            // The mail to a reader's new address: its link carries the key of the wish.
            let wish: Wish = serde_json::from_str(data).context("the key of the new address")?;
            copy.subscription = wish.subscription;
        }
        copy.fields = fields(&row.fields, made.template.fields())?;
        if let (true, Some(data)) = (copy.test, &row.data) {
            // A test copy belongs to nobody and may show somebody's values.
            let values: Values = serde_json::from_str(data).context("the values of the test")?;
            copy.name = values.name;
            copy.fields = values.fields;
        }
        let key = job.key();
        let mut message = Vec::new();
        made.template.render(keyring, key, &copy, &mut message)?;
        Ok(Prepared {
            key,
            sender: envelope_sender(keyring, key, &made.bounce_domain),
            recipient: row.address.clone(),
            message,
            copy: copy.to_json(),
        })
    }

    async fn template(&self, job: &Job) -> Result<Arc<Made>, CopyError> {
        let revision = job.row.revision.as_ref().or(job.run.revision.as_ref());
        let key = TemplateKey {
            run: job.run.id(),
            revision: revision.cloned().unwrap_or_default(),
            list: job.row.list_id,
            untracked: is_untracked(job),
        };
        if let Some(made) = self.cached(&key) {
            return Ok(made);
        }
        // Reading may fail for a while; what cannot be built from what was read never can.
        let fault = |fault| move |reason| CopyError { fault, reason };
        let content = self.app.store.revision(&key.revision).await;
        let content = content
            .map_err(anyhow::Error::from)
            .map_err(fault(Fault::Passing))?;
        let headers = self.headers(job).await.map_err(fault(Fault::Passing))?;
        let made = self
            .build(content.as_deref(), &headers, key.untracked)
            .map_err(fault(Fault::Run))?;
        let made = Arc::new(made);
        let mut templates = self
            .templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if templates.len() >= TEMPLATES {
            templates.clear();
        }
        templates.insert(key, made.clone());
        Ok(made)
    }

    fn cached(&self, key: &TemplateKey) -> Option<Arc<Made>> {
        let templates = self
            .templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        templates.get(key).cloned()
    }

    async fn headers(&self, job: &Job) -> anyhow::Result<RunHeaders> {
        if job.run.id() != RunId::SYSTEM {
            return serde_json::from_str(&job.run.headers).context("the run's frozen headers");
        }
        let kind = job.row.kind.as_deref().unwrap_or("system");
        // A confirm mail goes to someone who has joined nothing yet.
        let list = job.row.list_id.filter(|_| kind != "confirm").map(ListId);
        run::headers(&self.app, list, kind).await
    }

    fn build(
        &self,
        content: Option<&str>,
        headers: &RunHeaders,
        untracked: bool,
    ) -> anyhow::Result<Made> {
        let content = content.context("the revision is gone from the database")?;
        let mut compiled: Compiled =
            serde_json::from_str(content).context("the frozen revision")?;
        if untracked {
            compiled = compiled.untracked();
        }
        Ok(Made {
            template: MessageTemplate::for_relay(
                &compiled,
                headers,
                self.signer.clone(),
                &self.more,
            )?,
            bounce_domain: headers.bounce_domain.clone(),
        })
    }
}

/// What the mail to a reader's new address carries.
#[derive(Debug, Deserialize)]
struct Wish {
    subscription: Option<SubscriptionKey>,
}

fn is_untracked(job: &Job) -> bool {
    job.row.tracking == "off"
}

/// The values of the fields that the template asks for, as text.
pub(crate) fn fields(json: &str, wanted: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let all: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).context("the subscriber's fields are no JSON object")?;
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    let each = wanted
        .iter()
        .filter_map(|name| all.get(name).map(|value| (name.clone(), text(value))));
    Ok(each.filter(|(_, value)| !value.is_empty()).collect())
}
