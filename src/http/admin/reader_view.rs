//! One reader's story as her page shows it: subscriptions, consents, mails, and what happened with them.

use serde::Serialize;

use crate::app::App;
use crate::clock::Timestamp;
use crate::delivery::State as DeliveryState;
use crate::event::Evidence;
use crate::http::admin::wording::{label, minute};
use crate::id::{DeliveryKey, RunId, SubscriberId};
use crate::store::readers::{Consent, Got, Happened, Joined, Kept};
use crate::subscriber::Status;
use crate::subscriber::field::Fields;

/// Mails of a page: half a year of weekly issues.
const MAILS: u32 = 26;
/// Consents shown: the newest.
const CONSENTS: u32 = 100;
/// Events of one mail: the newest.
pub(super) const EVENTS: u32 = 20;

/// All of it. Every text is the reader's own, a relay's or a browser's: the template escapes it.
#[derive(Serialize)]
pub(super) struct ReaderView {
    id: String,
    address: String,
    name: String,
    since: String,
    tracking: String,
    fields: Vec<(String, String)>,
    tags: Vec<String>,
    suppressed: Option<String>,
    subscriptions: Vec<SubscriptionView>,
    consents: Vec<(String, String, String)>,
    mails: Vec<MailView>,
    /// The last mail shown, where there may be more.
    more: Option<String>,
}

#[derive(Serialize)]
struct SubscriptionView {
    key: String,
    title: String,
    list: String,
    status: Status,
    lines: Vec<String>,
}

#[derive(Serialize)]
struct MailView {
    key: String,
    title: String,
    state: String,
    label: String,
    lines: Vec<String>,
    events: Vec<EventView>,
}

/// Something that happened with a mail.
#[derive(Serialize)]
pub(super) struct EventView {
    at: String,
    kind: String,
    url: Option<String>,
    agent: String,
    after: Option<i64>,
}

impl ReaderView {
    /// Reads the story with the mails before `before`.
    pub(super) async fn read(
        app: &App,
        kept: Kept,
        before: DeliveryKey,
    ) -> anyhow::Result<ReaderView> {
        let id = SubscriberId(kept.id);
        let store = &app.store;
        let zone = app.config.publication.timezone.as_str();
        let hash = app.keyring.address_hash(&kept.canonical);
        let suppressed = store.suppression(&hash).await?;
        let tags = store.tags_of(&[id]).await?;
        let joined = store.joined(id).await?;
        let consents = store.consents_of(id, CONSENTS).await?;
        let got = store.deliveries_of(id, before, MAILS).await?;
        let more = match got.last() {
            Some(last) if got.len() == MAILS as usize => Some(name(last)),
            _ => None,
        };
        let mut mails = Vec::with_capacity(got.len());
        for one in got {
            let events = events(app, delivery(&one)).await?;
            mails.push(mail(one, events, zone));
        }
        let fields = Fields::from_json(&kept.fields);
        let text = |name: &String| (name.clone(), fields.text(name).unwrap_or_default());
        Ok(ReaderView {
            id: kept.id.to_string(),
            address: kept.address,
            name: kept.name,
            since: minute(Timestamp(kept.created_at), zone),
            tracking: kept.tracking,
            fields: fields.0.keys().map(text).collect(),
            tags: tags.into_iter().map(|(_, tag)| tag).collect(),
            suppressed: suppressed
                .map(|(reason, at)| format!("{reason}, since {}", minute(at, zone))),
            subscriptions: joined
                .into_iter()
                .map(|joined| subscription(joined, zone))
                .collect(),
            consents: consents.into_iter().map(|one| consent(one, zone)).collect(),
            mails,
            more,
        })
    }
}

/// The newest events of one delivery.
pub(super) async fn events(app: &App, key: DeliveryKey) -> anyhow::Result<Vec<EventView>> {
    let zone = app.config.publication.timezone.as_str();
    let events = app.store.events_of(key, EVENTS).await?;
    Ok(events.into_iter().map(|one| event(one, zone)).collect())
}

/// The delivery that `2-17` names.
pub(super) fn key(text: &str) -> Option<DeliveryKey> {
    let (run, seq) = text.split_once('-')?;
    Some(DeliveryKey {
        run: RunId(run.parse().ok()?),
        seq: seq.parse().ok()?,
    })
}

fn delivery(got: &Got) -> DeliveryKey {
    DeliveryKey {
        run: RunId(got.run_id),
        seq: u32::try_from(got.seq).unwrap_or(u32::MAX),
    }
}

fn name(got: &Got) -> String {
    delivery(got).to_string()
}

fn subscription(joined: Joined, zone: &str) -> SubscriptionView {
    let mut lines = vec![format!(
        "asked for on {}, by {}",
        minute(Timestamp(joined.created_at), zone),
        joined.source
    )];
    let paused = joined.status == Status::Paused;
    let times = [
        ("confirmed on", joined.confirmed_at),
        ("left on", joined.left_at),
        ("pauses until", joined.paused_until.filter(|_| paused)),
    ];
    let known = times.into_iter().filter_map(|(what, at)| Some((what, at?)));
    lines.extend(known.map(|(what, at)| format!("{what} {}", minute(Timestamp(at), zone))));
    if joined.frequency != "every" {
        lines.push(format!("gets it {}", joined.frequency));
    }
    // Who came back has not left.
    let left = joined.status == Status::Unsubscribed;
    if let Some(reason) = joined.reason.filter(|_| left) {
        let words = joined.words.filter(|words| !words.is_empty());
        let words = words.map_or(String::new(), |words| format!(": {words}"));
        lines.push(format!("left because: {reason}{words}"));
    }
    SubscriptionView {
        key: joined.key.to_string(),
        title: joined.title,
        list: joined.list,
        status: joined.status,
        lines,
    }
}

fn consent(consent: Consent, zone: &str) -> (String, String, String) {
    let list = consent.list.unwrap_or_else(|| "all lists".to_owned());
    (minute(Timestamp(consent.at), zone), consent.what, list)
}

fn mail(got: Got, events: Vec<EventView>, zone: &str) -> MailView {
    let state = DeliveryState::parse(&got.state);
    let mut lines = Vec::new();
    let settled = got.settled_at.map(|at| minute(Timestamp(at), zone));
    match (state, settled) {
        (Some(DeliveryState::Queued), _) if got.due_at > 0 => {
            lines.push(format!("due {}", minute(Timestamp(got.due_at), zone)));
        }
        (_, Some(at)) => lines.push(at),
        _ => {}
    }
    if got.attempts > 1 {
        lines.push(format!("{} attempts", got.attempts));
    }
    let marks = [
        ("first opened", got.opened_at),
        ("first clicked", got.clicked_at),
        ("left by it", got.departed_at),
        ("complained", got.complained_at),
    ];
    let known = marks.into_iter().filter_map(|(what, at)| Some((what, at?)));
    lines.extend(known.map(|(what, at)| format!("{what} {}", minute(Timestamp(at), zone))));
    let title = match &got.kind {
        Some(kind) => format!("System mail: {kind}"),
        None => got.title.clone(),
    };
    MailView {
        key: name(&got),
        title: match title.trim() {
            "" => "Untitled".to_owned(),
            _ => title,
        },
        label: state.map_or(got.state.clone(), |state| label(state).to_owned()),
        state: got.state,
        lines,
        events,
    }
}

fn event(happened: Happened, zone: &str) -> EventView {
    let evidence: Evidence = serde_json::from_str(&happened.evidence).unwrap_or_default();
    EventView {
        at: minute(Timestamp(happened.at), zone),
        kind: happened.kind,
        url: happened.url,
        agent: evidence.agent,
        after: evidence.after.or(happened.after),
    }
}
