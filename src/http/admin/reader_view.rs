//! One reader's story as her page shows it: subscriptions, consents, mails, and what happened with them.

use std::time::Duration;

use serde::Serialize;

use crate::app::App;
use crate::clock::Timestamp;
use crate::delivery::State as DeliveryState;
use crate::event::EventKind;
use crate::http::admin::change::Stood;
use crate::http::admin::wording::{ago, label, minute};
use crate::id::{DeliveryKey, RunId, SubscriberId};
use crate::import::field_table;
use crate::numbers::story::{Marks, Memory, Reading, Story, Told, story};
use crate::store::readers::{Consent, Got, Joined, Kept};
use crate::subscriber::Status;
use crate::subscriber::field::Fields;

/// Mails of a page: half a year of weekly issues.
const MAILS: u32 = 26;
/// Consents shown: the newest.
const CONSENTS: u32 = 100;
/// Events of one mail: the newest.
const EVENTS: usize = 20;

/// All of it. Every text is the reader's own, a relay's or a browser's: the template escapes it.
#[derive(Serialize)]
pub(super) struct ReaderView {
    id: String,
    address: String,
    name: String,
    since: String,
    tracking: String,
    fields: Vec<(String, String)>,
    /// Every declared field with her value, for the form.
    declared: Vec<(String, String)>,
    tags: Vec<String>,
    /// What stands in the form.
    stood: String,
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
    /// The author took her off a moment ago, and may put her back.
    back: bool,
}

/// For how long the author may take it back that a reader was taken off a list: a slip is seen the same day, and later
/// she would be asked whether she still wants it.
pub(super) const SLIP: Duration = Duration::from_secs(86_400);

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
    /// How long after the relay took the copy.
    after: Option<String>,
    /// Man or machine, and the rule that said so; empty for what is not judged.
    verdict: String,
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
        let mut memory = Memory::of(app).await?;
        let mut mails = Vec::with_capacity(got.len());
        for one in got {
            let story = story(app, delivery(&one), &Marks::from(&one), &mut memory).await?;
            mails.push(mail(one, &story, zone));
        }
        let fields = Fields::from_json(&kept.fields);
        let text = |name: &String| (name.clone(), fields.text(name).unwrap_or_default());
        // A faulty table is told where it is edited; here it declares nothing.
        let table = field_table(app);
        let declared = table.as_ref().map_or(Vec::new(), |table| {
            let names = table.names().map(str::to_owned);
            names.map(|name| text(&name)).collect()
        });
        let tags: Vec<String> = tags.into_iter().map(|(_, tag)| tag).collect();
        let own = [("address", &kept.address), ("name", &kept.name)];
        let own = own.map(|(name, text)| (name.to_owned(), text.as_str()));
        let texts = declared.iter();
        let texts = texts.map(|(name, text)| (format!("field-{name}"), text.as_str()));
        let stood = Stood::of(own.into_iter().chain(texts), &tags).to_json();
        Ok(ReaderView {
            id: kept.id.to_string(),
            address: kept.address,
            name: kept.name,
            since: minute(Timestamp(kept.created_at), zone),
            tracking: kept.tracking,
            fields: fields.0.keys().map(text).collect(),
            declared,
            tags,
            stood,
            suppressed: suppressed
                .map(|(reason, at)| format!("{reason}, since {}", minute(at, zone))),
            subscriptions: joined
                .into_iter()
                .map(|joined| subscription(joined, app.clock.now(), zone))
                .collect(),
            consents: consents.into_iter().map(|one| consent(one, zone)).collect(),
            mails,
            more,
        })
    }
}

/// The newest events of one delivery, the newest first.
pub(super) fn events(story: &Story, zone: &str) -> Vec<EventView> {
    let newest = story.events.iter().rev().take(EVENTS);
    newest.map(|one| event(one, zone)).collect()
}

/// Whether a reader opened it and clicked in it, by name and in words.
pub(super) fn readings(story: &Story, zone: &str) -> Vec<(&'static str, String)> {
    let told = |name, reading: Reading| Some((name, reading.words(|at| minute(at, zone))?));
    let both = [told("Opened", story.opened), told("Clicked", story.clicked)];
    both.into_iter().flatten().collect()
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

fn subscription(joined: Joined, now: Timestamp, zone: &str) -> SubscriptionView {
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
    let by_author = joined.left_why.as_deref() == Some("author");
    if left && by_author {
        lines.push("taken off by the author".to_owned());
    }
    let lately = joined.left_at.is_some_and(|at| at >= now.before(SLIP).0);
    SubscriptionView {
        back: left && by_author && lately && joined.confirmed_at.is_some(),
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

fn mail(got: Got, story: &Story, zone: &str) -> MailView {
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
    let readings = readings(story, zone);
    lines.extend(
        readings
            .iter()
            .map(|(what, words)| format!("{}: {words}", what.to_lowercase())),
    );
    let marks = [
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
        events: events(story, zone),
    }
}

fn event(told: &Told, zone: &str) -> EventView {
    let verdict = told.verdict();
    EventView {
        at: minute(told.at, zone),
        kind: match told.kind {
            EventKind::View => "view in a browser".to_owned(),
            kind => kind.name().to_owned(),
        },
        url: told.url.clone(),
        agent: told.evidence.agent.clone(),
        after: told.after.map(ago),
        verdict: verdict.map_or(String::new(), |verdict| {
            format!("{}: {}", verdict.name(), told.rule.name())
        }),
    }
}
