//! Test copies: an issue through the real engine to the author's own addresses.
//!
//! Promises: a test copy belongs to the open run and to no reader, so that its links end nothing and
//! nothing of it is counted, also when it shows a reader's values; those go after a week, or when any reader
//! is erased. Whoever sends already does it for us; else the engine runs here for as long as it takes.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::address::EmailAddress;
use crate::app::App;
use crate::clock::Timestamp;
use crate::compile::only::NOBODY;
use crate::deliver::trouble::Trouble;
use crate::deliver::{Engine, Taken};
use crate::delivery::State;
use crate::id::{DeliveryKey, ListId, SubscriberId};
use crate::message::copy::Values;
use crate::publication::Built;
use crate::run::{self, keep_revision};
use crate::store::Store;
use crate::store::system_mail::NewSystemMail;
use crate::subscriber::Subscriber;

/// Between two looks at a copy under way.
const LOOK: Duration = Duration::from_millis(50);

/// Test copies put into the queue, and what the compiler said of their issue.
pub struct Begun {
    pub keys: Vec<DeliveryKey>,
    pub built: Built,
}

/// What became of one test copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tested {
    pub to: String,
    /// `sent`, `deferred` or another state's name.
    pub outcome: &'static str,
    /// What the relay said, or why it was not asked.
    pub reply: String,
}

impl Tested {
    /// Whether the relay took it.
    pub fn is_sent(&self) -> bool {
        self.outcome == State::Sent.name()
    }
}

/// What the copies to all addresses came to, and what the compiler said of their issue.
pub struct Report {
    pub tested: Vec<Tested>,
    pub built: Built,
}

/// The values of the reader with this address for a test copy of `built`.
pub async fn values_of(app: &App, reader: &EmailAddress, built: &Built) -> anyhow::Result<Values> {
    let found = app.store.subscriber(&reader.canonical()).await?;
    let found = found.with_context(|| {
        format!("there is no reader `{reader}`; look with `pressrun subscribers show`")
    })?;
    values(&app.store, &found, built, app.clock.now()).await
}

/// The values that the copy of `built` for a reader is filled with at `now`, and which parts it has.
pub async fn values(
    store: &Store,
    reader: &Subscriber,
    built: &Built,
    now: Timestamp,
) -> anyhow::Result<Values> {
    let text = |name: &String| Some((name.clone(), reader.fields.text(name)?));
    let mut values = Values {
        name: reader.name.clone(),
        fields: reader.fields.0.keys().filter_map(text).collect(),
        segments: NOBODY,
    };
    let only = &built.compiled.only;
    if !only.is_empty() {
        // Whoever is on no list, or not on this one, is still in segments of tags and fields.
        let list = store.list(&built.list).await?;
        let list = list.map_or(ListId(0), |list| list.id);
        let segments = store.segments_of(reader.id, list, only, now).await?;
        values.segments = u32::try_from(segments).unwrap_or(NOBODY);
    }
    Ok(values)
}

/// Puts one test copy of `built` with `values` into the open run for each address.
pub async fn begin(
    app: &App,
    built: Built,
    to: &[EmailAddress],
    values: &Values,
) -> anyhow::Result<Begun> {
    let revision = keep_revision(app, &built.compiled, &built.images).await?;
    let list = app.store.list(&built.list).await?;
    let data = serde_json::to_string(values)?;
    let mut keys = Vec::with_capacity(to.len());
    for address in to {
        let mail = NewSystemMail {
            kind: "test",
            revision: &revision,
            subscriber: SubscriberId(0),
            address: Some(address.as_str()),
            list: list.as_ref().map(|list| list.id),
            data: &data,
        };
        let now = app.clock.now();
        keys.push(app.store.enqueue_system_mail(&mail, now).await?);
    }
    Ok(Begun { keys, built })
}

/// Sends a test copy to each address and waits until each is settled or deferred, or until `stop`.
pub async fn send(
    app: &App,
    built: Built,
    to: &[EmailAddress],
    values: &Values,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<Report> {
    if let Some(doubt) = run::doubt(app).await? {
        bail!("{doubt}");
    }
    let begun = begin(app, built, to, values).await?;
    let (say, heard) = watch::channel(false);
    let mut engine = match Engine::take(app.clone(), heard).await? {
        // A run that was interrupted is not to go on because of it.
        Taken::Engine(engine) => Some(tokio::spawn(engine.for_mails().run())),
        // Another process sends from this database; the copies are in its queue.
        Taken::Busy => None,
    };
    let mut tested = Vec::with_capacity(to.len());
    let mut fault = None;
    for (key, to) in begun.keys.iter().zip(to) {
        let settled = tokio::select! {
            settled = settled(app, *key, &mut stop) => settled,
            // Nobody else would settle it.
            ended = ended(engine.as_mut()) => {
                engine = None;
                fault = Some(ended.err().unwrap_or_else(|| anyhow!("the engine stopped by itself")));
                break;
            }
        };
        match settled {
            Ok((state, reply)) => tested.push(Tested {
                to: to.to_string(),
                outcome: match state {
                    State::Queued | State::AtDot => "deferred",
                    other => other.name(),
                },
                reply,
            }),
            Err(error) => fault = Some(error),
        }
    }
    say.send_replace(true);
    if let Some(engine) = engine {
        engine.await??;
    }
    match fault {
        None => Ok(Report {
            tested,
            built: begun.built,
        }),
        Some(error) => Err(error),
    }
}

/// The engine's own end, which comes before a stop only by a fault.
async fn ended(engine: Option<&mut JoinHandle<anyhow::Result<()>>>) -> anyhow::Result<()> {
    match engine {
        Some(task) => task.await?,
        None => std::future::pending().await,
    }
}

/// Waits until a delivery is settled or deferred; gives the relay's words, or why none is reached.
async fn settled(
    app: &App,
    key: DeliveryKey,
    stop: &mut watch::Receiver<bool>,
) -> anyhow::Result<(State, String)> {
    loop {
        let after = i64::from(key.seq) - 1;
        let rows = app.store.deliveries(key.run, None, after, 1).await?;
        let row = rows
            .into_iter()
            .next()
            .context("the test delivery is gone")?;
        let state = State::parse(&row.state).context("a delivery in no known state")?;
        let open = matches!(state, State::Queued | State::AtDot) && row.attempts == 0;
        let trouble = Trouble::told(app).await?;
        let stuck = trouble.filter(Trouble::is_standstill);
        if !open || *stop.borrow() || stuck.is_some() {
            let why = || stuck.map(|trouble| trouble.sentence()).unwrap_or_default();
            return Ok((state, row.reply.unwrap_or_else(why)));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            // The sender is gone with whoever would say stop; time alone goes on.
            changed = stop.changed() => if changed.is_err() { tokio::time::sleep(LOOK).await },
        }
    }
}
