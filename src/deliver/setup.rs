//! What a sender works with, told to other processes: a file that was edited since is not in force with it yet.
//!
//! Promises: no secret is told. Decides nothing about runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{AGREES, Timestamp};
use crate::config::{Config, Relay};
use crate::deliver::charge::Charge;
use crate::deliver::{Engine, is_sent_from};
use crate::schedule::span;
use crate::store::relays::ToldSender;
use crate::store::runs::Run;
use crate::store::{Store, StoreError};

/// The settings that make a copy what it is, and the relays that are described.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Setup {
    /// By their keys in the configuration.
    settings: BTreeMap<String, String>,
    relays: Vec<String>,
    /// By relay.
    #[serde(default)]
    caps: BTreeMap<String, Caps>,
    /// By how many milliseconds its clock is ahead of the database's.
    #[serde(default)]
    ahead: i64,
}

/// What may go through a relay at most; 0 is no cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Caps {
    pub per_second: u32,
    pub per_minute: u32,
    pub per_hour: u32,
    pub per_day: u32,
    /// The day on which its warm-up began.
    pub warm_up: Option<Timestamp>,
}

impl Caps {
    pub(crate) fn of(relay: &Relay) -> Caps {
        Caps {
            per_second: relay.per_second,
            per_minute: relay.per_minute,
            per_hour: relay.per_hour,
            per_day: relay.per_day,
            warm_up: relay.warm_up_began(),
        }
    }

    /// The lower of each; the later a warm-up began, the less it allows.
    pub(crate) fn lowest(self, other: Caps) -> Caps {
        let lower = |one: u32, other: u32| match (one, other) {
            (0, cap) | (cap, 0) => cap,
            (one, other) => one.min(other),
        };
        Caps {
            per_second: lower(self.per_second, other.per_second),
            per_minute: lower(self.per_minute, other.per_minute),
            per_hour: lower(self.per_hour, other.per_hour),
            per_day: lower(self.per_day, other.per_day),
            warm_up: self.warm_up.max(other.warm_up),
        }
    }

    /// `40 a minute, 5000 a day`.
    fn said(self) -> String {
        let each = [
            (self.per_second, "second"),
            (self.per_minute, "minute"),
            (self.per_hour, "hour"),
            (self.per_day, "day"),
        ];
        let each = each.iter().filter(|(most, _)| *most > 0);
        let mut said: Vec<String> = each
            .map(|(most, span)| format!("{most} a {span}"))
            .collect();
        let day = |at: Timestamp| at.to_jiff().strftime("warm-up since %Y-%m-%d").to_string();
        said.extend(self.warm_up.map(day));
        match said.is_empty() {
            true => "none".to_owned(),
            false => said.join(", "),
        }
    }
}

/// A sender and what it told.
struct Told {
    node: String,
    setup: Setup,
}

impl Setup {
    /// Of a process whose clock is `ahead` of the database's by so many milliseconds.
    pub(super) fn of(config: &Config, ahead: i64) -> Setup {
        let (dkim, privacy) = (&config.dkim, &config.privacy);
        // Where it lies is each machine's own; the selector says which it is.
        let set = |path: &Option<PathBuf>| path.is_some().to_string();
        let settings = [
            ("publication.url", config.publication.url.clone()),
            ("from.address", config.from.address.to_string()),
            ("dkim.domain", dkim.domain.clone().unwrap_or_default()),
            ("dkim.selector", dkim.selector.clone()),
            ("dkim.key", set(&dkim.key)),
            ("dkim.ed25519_selector", dkim.ed25519_selector.clone()),
            ("dkim.ed25519_key", set(&dkim.ed25519_key)),
            ("privacy.tracking", format!("{:?}", privacy.tracking)),
            ("privacy.unasked", privacy.unasked.to_string()),
        ];
        Setup {
            settings: settings.map(|(key, value)| (key.to_owned(), value)).into(),
            relays: config.relay.keys().cloned().collect(),
            caps: config
                .relay
                .iter()
                .map(|(name, relay)| (name.clone(), Caps::of(relay)))
                .collect(),
            ahead,
        }
    }

    /// As it stands with the sender.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts have a JSON form")
    }

    /// Senders of before told none, and one that has just begun has not yet.
    fn read(text: Option<&str>) -> Option<Setup> {
        serde_json::from_str(text?).ok()
    }

    /// The keys whose values are others there.
    fn differences(&self, other: &Setup) -> Vec<&str> {
        let differs = |(key, value): &(&String, &String)| other.settings.get(*key) != Some(value);
        let keys = self.settings.iter().filter(differs);
        keys.map(|(key, _)| key.as_str()).collect()
    }

    /// Whether every relay that a run names is described; of none named, the first of all is.
    fn has_relays(&self, named: &str) -> bool {
        let mut names = named.split(',').map(str::trim);
        named.is_empty()
            || named == "all"
            || names.all(|name| self.relays.iter().any(|own| own == name))
    }
}

/// Why a run through the relays `named` would not go out as this process would have it, where a sender runs that knows
/// an older configuration.
pub async fn is_outdated(
    store: &Store,
    config: &Config,
    named: &str,
) -> anyhow::Result<Option<String>> {
    if !is_sent_from(store).await? {
        return Ok(None);
    }
    let own = Setup::of(config, 0);
    let told: Vec<Told> = read(store.told_senders().await?).collect();
    for sender in &told {
        let keys = own.differences(&sender.setup);
        if !keys.is_empty() {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            return Ok(Some(format!(
                "the sender on {} began with another configuration ({}); restart it, for example \
                 `systemctl restart pressrun`",
                sender.node,
                keys.join(", ")
            )));
        }
    }
    let known = told.is_empty() || told.iter().any(|sender| sender.setup.has_relays(named));
    Ok((!known).then(|| {
        format!(
            "the sender on {} began before `{named}` was described; restart it, for example `systemctl restart \
             pressrun`",
            told[0].node
        )
    }))
}

/// What is wrong with a clock that is `ahead` of the database's by so many milliseconds, or behind it; nothing where it
/// is neither.
pub(super) fn off(ahead: i64) -> Option<String> {
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let by = span(Duration::from_millis(ahead.unsigned_abs()));
    (ahead != 0).then(|| {
        format!("is {by} {way} the database's, by which all senders go; set it right (NTP)")
    })
}

/// What is amiss with the senders that are at work, each in one sentence: a clock that is wrong, and caps that are not
/// those of `config`.
pub async fn amiss(store: &Store, config: &Config) -> Result<Vec<String>, StoreError> {
    let mut amiss = Vec::new();
    for Told { node, setup } in read(store.told_senders().await?) {
        amiss
            .extend(off(setup.ahead).map(|off| format!("the clock of the sender on {node} {off}")));
        for (name, relay) in &config.relay {
            let own = Caps::of(relay);
            let theirs = setup.caps.get(name).filter(|theirs| **theirs != own);
            amiss.extend(theirs.map(|theirs| {
                format!(
                    "the sender on {node} has other caps for relay `{name}` ({}) than this configuration ({}): the lowest \
                     of each holds for all that send; make them alike and restart it",
                    theirs.said(),
                    own.said()
                )
            }));
        }
    }
    Ok(amiss)
}

/// The lowest caps of the relay `name` that any sender at work has, `own` among them.
pub(super) async fn lowest(store: &Store, name: &str, own: Caps) -> Result<Caps, StoreError> {
    let told = read(store.told_senders().await?);
    let theirs = told.filter_map(|sender| sender.setup.caps.get(name).copied());
    Ok(theirs.fold(own, Caps::lowest))
}

impl Engine {
    /// Goes by the clock and by the lowest caps of all who send, and tells them its own; says where this machine's clock
    /// is wrong. `told` is by how much it was told to be ahead of the database's.
    pub(super) async fn mind_others(&self, told: &mut i64) -> Result<(), StoreError> {
        let app = &self.shared.app;
        app.store.hear_clock(&app.clock).await?;
        let ahead = app.clock.ahead();
        if (ahead - *told).abs() > AGREES {
            match off(ahead) {
                Some(off) => tracing::warn!("the clock of this machine {off}"),
                None => {
                    tracing::info!("the clock of this machine agrees with the database's again")
                }
            }
            self.tell_setup().await?;
            *told = ahead;
        }
        if app.store.is_sqlite() {
            return Ok(());
        }
        let senders: Vec<Told> = read(app.store.told_senders().await?).collect();
        for relay in &self.shared.relays {
            let others = senders.iter().filter(|sender| sender.node != self.node);
            let theirs = others.filter_map(|sender| sender.setup.caps.get(&relay.name));
            let lowest = theirs.copied().fold(Caps::of(&relay.config), Caps::lowest);
            if relay.standing.purse.heed(lowest) {
                tracing::info!(
                    relay = relay.name,
                    "the lowest caps of all who send hold: {}",
                    lowest.said()
                );
                self.shared.queue.look_again();
            }
        }
        Ok(())
    }

    /// Tells with what this process sends.
    pub(super) async fn tell_setup(&self) -> Result<(), StoreError> {
        let app = &self.shared.app;
        let setup = Setup::of(&app.config, app.clock.ahead()).to_json();
        app.store.tell_setup(self.boot, &setup).await
    }
}

/// The senders that look after `run` and know every relay that it names, whether they can sign or not.
pub(super) async fn who_knows(store: &Store, run: &Run) -> Result<Vec<ToldSender>, StoreError> {
    let mut told = store.told_senders().await?;
    told.retain(|sender| {
        let setup = Setup::read(sender.setup.as_deref());
        setup.is_some_and(|setup| setup.has_relays(&run.relay))
            && Charge::read(sender.charge.as_deref()).has(run)
    });
    Ok(told)
}

fn read(told: Vec<ToldSender>) -> impl Iterator<Item = Told> {
    told.into_iter().filter_map(|sender| {
        let setup = Setup::read(sender.setup.as_deref())?;
        let node = sender.node;
        Some(Told { node, setup })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Caps, Setup, off};
    use crate::clock::{DAY, Timestamp};

    fn setup(domain: &str, relays: &[&str]) -> Setup {
        Setup {
            settings: [("dkim.domain".to_owned(), domain.to_owned())].into(),
            relays: relays.iter().map(|&name| name.to_owned()).collect(),
            caps: BTreeMap::new(),
            ahead: 0,
        }
    }

    #[test]
    fn the_lower_of_each_cap_holds_and_none_is_no_cap() {
        let own = Caps {
            per_minute: 40,
            per_day: 9,
            warm_up: Some(Timestamp(5 * DAY)),
            ..Caps::default()
        };
        let other = Caps {
            per_second: 7,
            per_minute: 4000,
            warm_up: Some(Timestamp(DAY)),
            ..Caps::default()
        };
        let both = own.lowest(other);
        assert_eq!(both, other.lowest(own));
        assert_eq!(
            both.said(),
            "7 a second, 40 a minute, 9 a day, warm-up since 1970-01-06"
        );
        assert_eq!(own.lowest(Caps::default()), own);
        assert_eq!(Caps::default().said(), "none");
    }

    #[test]
    fn a_clock_is_said_to_be_off_either_way() {
        assert_eq!(off(0), None);
        let said = |ahead| off(ahead).unwrap_or_default();
        assert!(said(3 * DAY).starts_with("is 3 days ahead of the database's"));
        assert!(said(-90_000).starts_with("is 90 s behind the database's"));
    }

    #[test]
    fn what_differs_is_named_and_relays_are_asked_one_by_one() {
        let (own, other) = (setup("a.example", &["main"]), setup("b.example", &["main"]));
        assert_eq!(own.differences(&other), ["dkim.domain"]);
        assert!(own.differences(&own).is_empty());
        assert!(own.has_relays("") && own.has_relays("all") && own.has_relays("main"));
        assert!(!own.has_relays("main, second"));
        let back: Setup = serde_json::from_str(&own.to_json()).expect("its own form");
        assert_eq!(back, own);
    }
}
