//! `pressrun subscribers show`: everything known of one reader, by address or key.

use std::collections::BTreeMap;

use anyhow::bail;
use serde_json::{Value, json};

use crate::address::EmailAddress;
use crate::app::App;
use crate::cli::Exit;
use crate::cli::output::{pairs, print, print_json};
use crate::clock::Timestamp;
use crate::id::{ListId, SubscriberId, SubscriptionKey};
use crate::store::preferences::StandingOn;
use crate::store::readers::Consent;
use crate::subscriber::{Status, Subscriber, Subscription};
use crate::terminal::plain;

/// Consents shown: the newest.
const CONSENTS: u32 = 100;

/// What is known of an address.
struct Dossier {
    reader: Option<Subscriber>,
    subscriptions: Vec<Subscription>,
    /// How long they rest, and how often they are written to.
    standings: Vec<StandingOn>,
    /// Those that an import ended, with its number.
    taken_off: Vec<(SubscriptionKey, i64)>,
    tags: Vec<String>,
    /// What she agreed to or took back, and what was stated of her when she was imported.
    consents: Vec<Consent>,
    lists: BTreeMap<ListId, String>,
    suppression: Option<(String, Timestamp)>,
}

/// How a reader is named.
#[derive(Clone, Debug)]
pub enum Who {
    Address(EmailAddress),
    Key(SubscriberId),
}

/// Digits alone are a key, hers or that of a subscription of hers.
pub(super) fn who(said: &str) -> Result<Who, String> {
    if let Ok(key) = said.parse() {
        return Ok(Who::Key(SubscriberId(key)));
    }
    let address = EmailAddress::parse(said).map_err(|error| error.to_string())?;
    Ok(Who::Address(address))
}

pub(super) async fn run(app: &App, who: &Who, json: bool) -> anyhow::Result<Exit> {
    let reader = match who {
        Who::Address(address) => app.store.subscriber(&address.canonical()).await?,
        Who::Key(key) => match app.store.subscriber_by_key(*key).await? {
            // Leavings that the database refused name a subscription by its key.
            None => match app.store.reader_of(key.0).await? {
                Some(reader) => app.store.subscriber_by_key(reader).await?,
                None => None,
            },
            found => found,
        },
    };
    let address = match (who, &reader) {
        (Who::Address(address), _) => address,
        (Who::Key(_), Some(reader)) => &reader.address.clone(),
        (Who::Key(key), None) => bail!("no reader has the key {key}, nor has a subscription"),
    };
    let canonical = address.canonical();
    let subscriptions = match &reader {
        Some(reader) => app.store.subscriptions(reader.id).await?,
        None => Vec::new(),
    };
    let standings = match subscriptions.first() {
        Some(first) => app.store.reader(first.key).await?,
        None => None,
    };
    let mut taken_off = Vec::new();
    for subscription in &subscriptions {
        taken_off.extend(app.store.taken_off_by(subscription.key).await?);
    }
    let known: Vec<SubscriberId> = reader.iter().map(|reader| reader.id).collect();
    let tags = app.store.tags_of(&known).await?;
    let consents = match &reader {
        Some(reader) => app.store.consents_of(reader.id, CONSENTS).await?,
        None => Vec::new(),
    };
    let lists = app.store.lists().await?.into_iter();
    let dossier = Dossier {
        reader,
        subscriptions,
        standings: standings.map_or_else(Vec::new, |reader| reader.standings),
        taken_off,
        tags: tags.into_iter().map(|(_, tag)| tag).collect(),
        consents,
        lists: lists.map(|list| (list.id, list.slug)).collect(),
        suppression: app
            .store
            .suppression(&app.keyring.address_hash(&canonical))
            .await?,
    };
    if dossier.reader.is_none() && dossier.suppression.is_none() {
        bail!("no reader has this address, and it is not suppressed");
    }
    match json {
        true => print_json(&dossier.as_json(address))?,
        false => print(&dossier.as_text(address, app.clock.now()))?,
    }
    Ok(Exit::Done)
}

impl Dossier {
    fn list(&self, id: ListId) -> &str {
        self.lists.get(&id).map_or("", String::as_str)
    }

    /// How often it is written to, and which import ended it.
    fn particulars(&self, held: &Subscription) -> String {
        let mut said = String::new();
        let on = self.standings.iter().find(|on| on.list_id == held.list.0);
        if on.is_some_and(|on| on.frequency == "monthly") {
            said.push_str(", once a month");
        }
        for (_, import) in self.taken_off.iter().filter(|(key, _)| *key == held.key) {
            said.push_str(&format!(", taken off by import {import}"));
        }
        said
    }

    /// The status, and how long a pause goes on: since when it does is not kept. One that is over is none, though
    /// nobody has looked since.
    fn status(&self, held: &Subscription, now: Timestamp) -> String {
        let on = self.standings.iter().find(|on| on.list_id == held.list.0);
        match (held.status, on.and_then(|on| on.paused_until)) {
            (Status::Paused, Some(until)) if until <= now.0 => Status::Confirmed.name().to_owned(),
            (Status::Paused, Some(until)) => {
                format!("paused until {}, confirmed", Timestamp(until).to_rfc3339())
            }
            (Status::Paused, None) => "paused until she ends it, confirmed".to_owned(),
            (status, _) => status.name().to_owned(),
        }
    }

    fn as_text(&self, address: &EmailAddress, now: Timestamp) -> String {
        let mut rows: Vec<(&str, String)> = Vec::new();
        if let Some(reader) = &self.reader {
            rows.push(("name", reader.name.clone()));
            rows.push(("reader since", reader.created_at.to_rfc3339()));
            for name in reader.fields.0.keys() {
                rows.push((name, reader.fields.text(name).unwrap_or_default()));
            }
        }
        if !self.tags.is_empty() {
            rows.push(("tags", self.tags.join(", ")));
        }
        if let Some((reason, at)) = &self.suppression {
            rows.push(("suppressed", format!("{reason}, since {}", at.to_rfc3339())));
        }
        for subscription in &self.subscriptions {
            let since = subscription.left_at.or(subscription.confirmed_at);
            let since = since.unwrap_or(subscription.created_at).to_rfc3339();
            let status = self.status(subscription, now);
            let mut line = format!("{status} since {since}, came by {}", subscription.source);
            line.push_str(&self.particulars(subscription));
            rows.push((self.list(subscription.list), line));
        }
        for consent in &self.consents {
            let at = Timestamp(consent.at).to_rfc3339();
            let list = consent.list.as_deref().unwrap_or("all lists");
            rows.push(("consent", format!("{at}, {list}: {}", plain(&consent.what))));
        }
        let shown = self
            .reader
            .as_ref()
            .map_or(address, |reader| &reader.address);
        format!("{shown}\n{}", pairs(&rows))
    }

    fn as_json(&self, address: &EmailAddress) -> Value {
        let time = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
        let subscription = |held: &Subscription| {
            let on = self.standings.iter().find(|on| on.list_id == held.list.0);
            let ended = self.taken_off.iter().filter(|(key, _)| *key == held.key);
            json!({
                "list": self.list(held.list),
                "status": held.status,
                "source": held.source,
                "created_at": held.created_at.to_rfc3339(),
                "confirmed_at": time(held.confirmed_at),
                "left_at": time(held.left_at),
                "paused_until": time(on.and_then(|on| on.paused_until).map(Timestamp)),
                "frequency": on.map(|on| &on.frequency),
                "taken_off_by": ended.map(|(_, import)| *import).collect::<Vec<i64>>(),
            })
        };
        let consent = |consent: &Consent| {
            json!({
                "at": Timestamp(consent.at).to_rfc3339(),
                "what": consent.what,
                "list": consent.list,
            })
        };
        let reader = self.reader.as_ref();
        let suppression = self.suppression.as_ref();
        json!({
            "address": reader.map_or(address, |reader| &reader.address),
            // As text: a script would round a number of 63 bits.
            "id": reader.map(|reader| reader.id.to_string()),
            "name": reader.map(|reader| &reader.name),
            "fields": reader.map(|reader| &reader.fields),
            "tags": self.tags,
            "created_at": reader.map(|reader| reader.created_at.to_rfc3339()),
            "subscriptions": self.subscriptions.iter().map(subscription).collect::<Vec<_>>(),
            "consents": self.consents.iter().map(consent).collect::<Vec<_>>(),
            "suppressed": suppression.map(|(reason, at)| {
                json!({ "reason": reason, "since": at.to_rfc3339() })
            }),
        })
    }
}
