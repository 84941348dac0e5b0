//! Relays as a person asks for them: as described, as each sending node finds them, and what they carried.

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::app::App;
use crate::clock::Timestamp;
use crate::config::{Relay, RelayKind};
use crate::deliver::public_host;
use crate::deliver::purse::{Purse, warm_up_name};
use crate::deliver::setup::{self, Caps};
use crate::delivery::State;
use crate::message::copy::CopyRecord;
use crate::rate::cap::Cap;
use crate::smtp::probe::{Offered, probe};
use crate::smtp::tls::TlsClient;
use crate::store::relays::ToldState;
use crate::store::verify::DeliveryRow;

/// One relay.
#[derive(Clone, Debug, Serialize)]
pub struct RelayReport {
    pub name: String,
    pub kind: &'static str,
    pub url: String,
    /// Whether `send.relay` names it.
    pub in_use: bool,
    pub priority: u32,
    pub weight: u32,
    pub connections: usize,
    /// Whether Pressrun signs what goes through it.
    pub signed: bool,
    /// Whether it writes its own Date and Message-ID.
    pub rewrites: bool,
    pub caps: Vec<CapReport>,
    /// As each sending node finds it; empty while nobody sends.
    pub nodes: Vec<ToldState>,
    /// In which a sending node differs from this configuration, each in a sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amiss: Vec<String>,
}

/// A cap, and how much of it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CapReport {
    /// `second`, `minute`, `hour` or `day`.
    pub span: &'static str,
    pub most: u64,
    /// What was granted to the nodes in the present window.
    pub used: u64,
    /// When the next window begins.
    pub until: Timestamp,
    pub warm_up: bool,
}

impl RelayReport {
    /// `works`, `broken` or `full`, by the worst of the nodes; `idle` while nobody sends.
    pub fn state(&self) -> &str {
        let rank = |state: &str| ["works", "full", "broken"].iter().position(|s| *s == state);
        let states = self.nodes.iter().map(|told| told.state.state.as_str());
        states.max_by_key(|state| rank(state)).unwrap_or("idle")
    }
}

/// The caps of the relay `name` as of `at`, those of a warm-up of `domain` too.
pub(crate) fn caps_of(name: &str, relay: &Relay, domain: &str, at: Timestamp) -> Vec<Cap> {
    Purse::new(name, relay, domain).caps(at)
}

/// Every relay that is described, in the order of their names.
pub async fn report(app: &App) -> anyhow::Result<Vec<RelayReport>> {
    let config = &app.config;
    let now = app.clock.now();
    let told = app.store.told_relays().await?;
    let amiss = setup::amiss(&app.store, config).await?;
    let used = config.relays_of("").unwrap_or_default();
    let domain = config.from.address.domain();
    let mut reports = Vec::with_capacity(config.relay.len());
    for (name, relay) in &config.relay {
        let mut caps = Vec::new();
        let purse = Purse::new(name, relay, domain);
        purse.heed(setup::lowest(&app.store, name, Caps::of(relay)).await?);
        for cap in purse.caps(now) {
            let begin = cap.span.begin(now);
            let counted = app.store.budget(&cap.name).await?;
            let counted = counted.iter().find(|used| used.span == cap.span.name());
            let counted = counted.filter(|used| used.began >= begin.0);
            caps.push(CapReport {
                span: cap.span.name(),
                most: cap.most,
                used: counted.map_or(0, |used| u64::try_from(used.used).unwrap_or(0)),
                until: Timestamp(begin.0 + cap.span.millis()),
                warm_up: cap.name == warm_up_name(domain),
            });
        }
        let of_it = format!("relay `{name}`");
        let nodes = told.iter().filter(|told| told.state.relay == *name);
        reports.push(RelayReport {
            name: name.clone(),
            kind: relay.kind.name(),
            url: relay.url.clone(),
            in_use: used.contains(&name.as_str()),
            priority: relay.priority,
            weight: relay.weight,
            connections: relay.connections,
            signed: relay.is_signed() && config.dkim.key.is_some(),
            rewrites: relay.kind.traits().rewrites,
            caps,
            nodes: nodes.cloned().collect(),
            amiss: amiss
                .iter()
                .filter(|one| one.contains(&of_it))
                .cloned()
                .collect(),
        });
    }
    Ok(reports)
}

/// Which relay got a delivery, and what it calls it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Carried {
    pub relay: Option<String>,
    /// The relay's own id, where its 250 tells one.
    pub relay_id: Option<String>,
}

/// Reads from a delivery which relay got it last.
pub fn carried(app: &App, row: &DeliveryRow) -> Carried {
    let copy = row.copy.as_deref();
    let copy = copy.and_then(|copy| CopyRecord::from_json(copy).ok());
    let Some(name) = copy.and_then(|copy| copy.relay) else {
        return Carried::default();
    };
    let relay = app.config.relay.get(&name);
    let reply = row
        .reply
        .as_deref()
        .filter(|_| row.state == State::Sent.name());
    let id = relay.zip(reply);
    let id = id.and_then(|(relay, reply)| relay.kind.traits().id_in(reply));
    Carried {
        relay_id: id.map(str::to_owned),
        relay: Some(name),
    }
}

/// Logs in at the relay `name` and says what it offers.
pub async fn test(app: &App, name: &str) -> anyhow::Result<Offered> {
    let relay = app.config.relay.get(name);
    let relay = relay.with_context(|| {
        let known: Vec<_> = app.config.relay.keys().map(String::as_str).collect();
        format!(
            "there is no [relay.{name}]; there are `{}`",
            known.join("`, `")
        )
    })?;
    ensure!(
        relay.kind != RelayKind::Mx,
        "it delivers straight to every domain's own hosts; there is nobody to log in at"
    );
    let ca_file = relay.ca_file.as_ref().map(|file| app.path(file));
    let tls = TlsClient::new(ca_file.as_deref())?;
    let ehlo = public_host(&app.config.publication.url);
    Ok(probe(relay, &ehlo, &tls).await?)
}
