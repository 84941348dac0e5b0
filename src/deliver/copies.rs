//! From a queued delivery to the octets of its message.
//!
//! Promises: a template is built once per run and shared by all connections; the same inputs give the
//! same octets, so a copy can be made again from what is kept with its delivery.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use serde::Deserialize;

use crate::address::EmailAddress;
use crate::app::App;
use crate::clock::Timestamp;
use crate::compile::Compiled;
use crate::compile::only::NOBODY;
use crate::config::Relay;
use crate::config::privacy::Tracking;
use crate::deliver::queue::Job;
use crate::deliver::signing;
use crate::dkim::Signer;
use crate::id::{DeliveryKey, ListId, RunId, SubscriptionKey};
use crate::lock::lock;
use crate::message::copy::{CopyRecord, Values};
use crate::message::{MessageTemplate, RenderError, RunHeaders, envelope_sender};
use crate::run;
use crate::run::again::signed;
use crate::smtp::buffer::{Buffer, Buffers};
use crate::trial::Variant;

/// Templates kept at a time: a handful of runs and the system mails of each list.
const TEMPLATES: usize = 64;

/// A message ready for the relay.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub key: DeliveryKey,
    pub sender: String,
    pub recipient: String,
    pub message: Buffer,
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
    signers: Vec<Signer>,
    /// Header fields that the relay wants besides.
    more: Vec<(&'static str, String)>,
    templates: Mutex<HashMap<TemplateKey, Arc<Made>>>,
    buffers: Arc<Buffers>,
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
    /// A maker of copies for the relay `name`, that signs with each of `signers`.
    pub(crate) fn new(app: App, name: &str, relay: &Relay, signers: Vec<Signer>) -> Copies {
        Copies {
            app,
            relay: name.to_owned(),
            signers,
            more: relay.fields(),
            templates: Mutex::default(),
            buffers: Arc::default(),
        }
    }

    /// Makes the copy of `job` as of `now`.
    pub(crate) async fn prepare(&self, job: &Job, now: Timestamp) -> Result<Prepared, CopyError> {
        let (variant, revision) = of_test(job)?;
        let made = self.template(job, revision).await?;
        // Who signs is asked for each copy: a key that was revoked meanwhile signs none.
        let kid = self.app.keyring.signing().map_err(|doubt| CopyError {
            fault: Fault::Passing,
            reason: anyhow::anyhow!(doubt.why),
        })?;
        self.fill(job, &made, variant, (kid, now))
            .map_err(|reason| CopyError {
                fault: match reason.downcast_ref() {
                    Some(RenderError::NoKey(_)) => Fault::Passing,
                    _ => Fault::Reader,
                },
                reason,
            })
    }

    fn fill(
        &self,
        job: &Job,
        made: &Made,
        variant: Option<Variant>,
        (kid, now): (u8, Timestamp),
    ) -> anyhow::Result<Prepared> {
        let row = &job.row;
        let keyring = &self.app.keyring;
        let to = EmailAddress::parse(&row.address).context("the address is not valid any more")?;
        let mut copy = CopyRecord::new(to, now, kid);
        copy.name.clone_from(&row.name);
        copy.subscription = (row.subscription != 0).then_some(SubscriptionKey(row.subscription));
        copy.manage = row.manage_key.map(SubscriptionKey);
        copy.relay = Some(self.relay.clone());
        copy.signed = Some(made.template.signed_by().mark.clone());
        copy.test = row.kind.as_deref() == Some("test");
        copy.variant = variant;
        copy.untracked = self.is_untracked(job);
        // A revision names too few segments for more bits than these.
        copy.segments = u32::try_from(row.parts).unwrap_or(NOBODY);
        if let (Some("confirm"), Some(data)) = (row.kind.as_deref(), &row.data)
            && copy.subscription.is_none()
        {
            // The mail to a reader's new address: its link carries the key of the wish.
            let wish: Wish = serde_json::from_str(data).context("the key of the new address")?;
            copy.subscription = wish.subscription;
        }
        copy.fields = fields(&row.fields, made.template.fields())?;
        if row.kind.as_deref() == Some("confirm") {
            // A stranger may have typed them: a mail that nobody has asked for yet says nothing of anybody's.
            copy.name.clear();
            copy.fields.clear();
        }
        if let (true, Some(data)) = (copy.test, &row.data) {
            // A test copy belongs to nobody and may show somebody's values.
            let values: Values = serde_json::from_str(data).context("the values of the test")?;
            copy.name = values.name;
            copy.fields = values.fields;
            copy.segments = values.segments;
        }
        let key = job.key();
        let mut message = self.buffers.take();
        made.template
            .compose(keyring, key, &copy, message.octets())?;
        Ok(Prepared {
            key,
            sender: envelope_sender(keyring, key, &made.bounce_domain),
            recipient: row.address.clone(),
            message,
            copy: copy.to_json(),
        })
    }

    async fn template(&self, job: &Job, revision: Option<String>) -> Result<Arc<Made>, CopyError> {
        let own = || {
            job.row
                .revision
                .as_ref()
                .or(job.run.revision.as_ref())
                .cloned()
        };
        let key = TemplateKey {
            run: job.run.id(),
            revision: revision.or_else(own).unwrap_or_default(),
            list: job.row.list_id,
            untracked: self.is_untracked(job),
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
        // By which keys it was signed is told of each copy, also when they are others.
        let signed = made.template.signed_by();
        let noted = signed::note(&self.app, signed).await;
        noted.map_err(fault(Fault::Passing))?;
        let made = Arc::new(made);
        let mut templates = lock(&self.templates);
        if templates.len() >= TEMPLATES {
            templates.clear();
        }
        templates.insert(key, made.clone());
        Ok(made)
    }

    /// Whether the copy counts nothing: no pixel, and links that lead straight to their targets.
    fn is_untracked(&self, job: &Job) -> bool {
        let privacy = &self.app.config.privacy;
        match job.row.tracking.as_str() {
            _ if privacy.tracking == Tracking::Off => true,
            "off" => true,
            "on" => false,
            _ => !privacy.unasked,
        }
    }

    fn cached(&self, key: &TemplateKey) -> Option<Arc<Made>> {
        lock(&self.templates).get(key).cloned()
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
        let signers = self.signers.iter().cloned();
        let signers = signing::speaking_for(&self.app.config, signers, &headers.from_address);
        Ok(Made {
            template: MessageTemplate::for_relay(&compiled, headers, signers, &self.more)?,
            bounce_domain: headers.bounce_domain.clone(),
        })
    }
}

/// Which subject of its run's test a job has, and the revision where that is not the run's own.
fn of_test(job: &Job) -> Result<(Option<Variant>, Option<String>), CopyError> {
    if job.run.trial.is_none() {
        return Ok((None, None));
    }
    let fault = |fault, what: &'static str| CopyError {
        fault,
        reason: anyhow::anyhow!(what),
    };
    let trial = job.run.trial();
    let trial = trial.ok_or_else(|| fault(Fault::Run, "its subject test cannot be read"))?;
    match trial.variant(job.row.seq, job.run.recipients) {
        Some(Variant::A) => Ok((Some(Variant::A), None)),
        Some(Variant::B) => Ok((Some(Variant::B), Some(trial.revision_b))),
        // The bound of the run's first stage stands before it; were it not so, it would wait.
        None => Err(fault(Fault::Passing, "its subject is not decided yet")),
    }
}

/// What the mail to a reader's new address carries.
#[derive(Debug, Deserialize)]
struct Wish {
    subscription: Option<SubscriptionKey>,
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
