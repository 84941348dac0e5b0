//! Whether receivers take mail from this sender at all: asked before Send, of the configuration and of the DNS.
//!
//! Promises: where the DNS gives no answer nothing is said; of a relay on this machine, behind which nobody sees where
//! mail leaves, the DNS is not asked. Leaves what to do to `doctor`, which looks at the same.

use std::time::Duration;

use anyhow::anyhow;
use tokio::time::timeout;
use url::Url;

use crate::app::App;
use crate::config::sender::{is_free_mail, is_mixed, unset};
use crate::config::{Config, Relay, RelayKind, TlsPolicy};
use crate::doctor;
use crate::run::guards::{Guard, Question};

/// Nobody waits longer before Send for a nameserver.
const PATIENCE: Duration = Duration::from_secs(15);

/// `pressrun sink`'s own port, and that of the sinks of other programs.
const SINKS: [u16; 2] = [2525, 1025];

/// Why nothing is sent through the relays that `named` says, whatever a person answers.
pub fn refusal(config: &Config, named: &str) -> anyhow::Result<Option<String>> {
    let relays = relays(config, named)?;
    if relays.iter().all(|relay| is_sink(relay)) {
        return Ok(None);
    }
    let left = unset(config);
    if !left.is_empty() {
        let say = if left.len() == 1 { "says" } else { "say" };
        let left: Vec<String> = left.iter().map(|key| format!("`{key}`")).collect();
        return Ok(Some(format!(
            "{} in the configuration still {say} what stands in examples, and readers would be told it",
            left.join(" and ")
        )));
    }
    // STANDARDS P5: nobody takes such mail from anyone but the provider itself.
    let domain = config.from.address.domain();
    let direct = relays.iter().any(|relay| relay.kind == RelayKind::Mx);
    Ok((direct && is_free_mail(domain)).then(|| {
        format!(
            "it would come from `{domain}`, whose owner has receivers refuse mail from others; send from an address in \
             a domain of your own"
        )
    }))
}

/// What has to be asked about the sender before anything goes through the relays that `named` says.
pub async fn question(app: &App, named: &str) -> anyhow::Result<Option<Question>> {
    let config = &app.config;
    let domain = config.from.address.domain();
    let mut found = Vec::new();
    if is_free_mail(domain) {
        found.push(format!(
            "mail comes from `{domain}`, whose owner has receivers refuse mail from others"
        ));
    }
    if is_mixed(domain) {
        found.push(format!(
            "`{domain}` mixes letters of two alphabets, which receivers take for fraud"
        ));
    }
    let relays = relays(config, named)?;
    if found.is_empty() && !relays.iter().all(|relay| relay.is_here()) {
        let looked = timeout(PATIENCE, doctor::of_sender(config, &app.base)).await;
        found.extend(looked.unwrap_or_default());
    }
    Ok((!found.is_empty()).then(|| Question {
        guard: Guard::Sender,
        sentence: format!(
            "receivers will refuse or distrust it: {} (`pressrun doctor --only dns,configuration` tells what to do)",
            found.join("; ")
        ),
    }))
}

/// Whether a relay leads to a sink and to no reader: it is on this machine, without TLS and without a password, at a port
/// of sinks. Behind any other port a tunnel or a mail server may listen.
fn is_sink(relay: &Relay) -> bool {
    let port = Url::parse(&relay.url).ok().and_then(|url| url.port());
    let of_sinks = port.is_some_and(|port| SINKS.contains(&port));
    relay.is_here() && relay.tls == TlsPolicy::None && relay.username.is_none() && of_sinks
}

fn relays<'a>(config: &'a Config, named: &str) -> anyhow::Result<Vec<&'a Relay>> {
    let names = config
        .relays_of(named)
        .map_err(|name| anyhow!("there is no [relay.{name}]"))?;
    Ok(names
        .into_iter()
        .filter_map(|name| config.relay.get(name))
        .collect())
}
