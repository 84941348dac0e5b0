//! What a sender works with, told to other processes: a file that was edited since is not in force with it yet.
//!
//! Promises: no secret is told. Decides nothing about runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::deliver::charge::Charge;
use crate::deliver::is_sent_from;
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
}

/// A sender and what it told.
struct Told {
    node: String,
    setup: Setup,
}

impl Setup {
    pub(super) fn of(config: &Config) -> Setup {
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
    let own = Setup::of(config);
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
    use super::Setup;

    fn setup(domain: &str, relays: &[&str]) -> Setup {
        Setup {
            settings: [("dkim.domain".to_owned(), domain.to_owned())].into(),
            relays: relays.iter().map(|&name| name.to_owned()).collect(),
        }
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
