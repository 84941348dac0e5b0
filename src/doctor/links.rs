//! Links minted now, of each kind that a mail holds, and asked at the public site as a reader would.
//!
//! Promises: they are asked by HEAD, which counts nothing, and nobody is signed off by it; those that are about a reader
//! are about no one, or about the newest copy that was sent. Leaves links as they came back in a message to `message`.

use reqwest::Client;

use super::message::{KINDS, ask};
use super::{Desk, Findings, database, site};
use crate::id::{DeliveryKey, RunId, SubscriptionKey};
use crate::keyring::Keyring;
use crate::message::copy::is_forgotten;
use crate::store::site::Sample;
use crate::token::{Claim, Purpose, sign};

/// The subscription of test copies, whose pages are there and change nothing.
const NOBODY: SubscriptionKey = SubscriptionKey(0);

pub(super) async fn look(desk: &Desk<'_>, client: &Client, out: &mut Findings) {
    let Some(keyring) = &desk.keyring else {
        return out.unknown(
            "site-links",
            "no link can be minted: the keyring (`paths.keyring`) cannot be read",
        );
    };
    // What is wrong with the database is told elsewhere.
    let sample = match database::open(desk).await {
        Ok(Some(store)) => store.sample().await.unwrap_or_default(),
        Ok(None) | Err(_) => Sample::default(),
    };
    let base = &desk.config.publication.url;
    let mut known = Vec::new();
    for (path, name, purpose, expected) in KINDS {
        let Some(token) = mint(desk, keyring, &sample, purpose) else {
            continue;
        };
        let why = match ask(client, &format!("{base}{path}{token}")).await {
            Ok(status) if status == expected => {
                known.push(name);
                continue;
            }
            Ok(status) => format!("answers {}", status.as_u16()),
            Err(error) => format!("does not answer: {}", site::root(&error)),
        };
        out.error(
            "site-links",
            format!("a link minted now ({name}, `{base}{path}...`) {why}"),
            "let the public site use this very keyring and database, restart it after changes, and let the proxy before \
             it pass every path on",
        );
    }
    if !known.is_empty() {
        let kinds = known.join(", ");
        out.ok("site-links", format!("links minted now lead home: {kinds}"));
    }
}

/// A link's last part; none where there is nothing that such a link could be about.
fn mint(
    desk: &Desk<'_>,
    keyring: &Keyring,
    sample: &Sample,
    purpose: Option<Purpose>,
) -> Option<String> {
    let Some(purpose) = purpose else {
        return sample.image.clone();
    };
    let delivery = sample.copy.as_ref().map(|copy| copy.delivery);
    let claim = match purpose {
        Purpose::Unsubscribe => {
            let none = DeliveryKey {
                run: RunId::SYSTEM,
                seq: 0,
            };
            Claim::Unsubscribe(NOBODY, none)
        }
        Purpose::Manage => Claim::Manage(NOBODY),
        Purpose::Open => Claim::Open(delivery?),
        Purpose::Click => {
            let copy = sample.copy.as_ref().filter(|copy| copy.has_link)?;
            Claim::Click(copy.delivery, 0)
        }
        Purpose::View => {
            let copy = sample.copy.as_ref();
            let copy = copy.filter(|copy| !is_forgotten(&copy.record))?;
            Claim::View(copy.delivery)
        }
        Purpose::Confirm => {
            let seconds = desk.clock.now().0 / 1000;
            Claim::Confirm(sample.subscription?, u32::try_from(seconds).ok()?)
        }
        Purpose::Bounce | Purpose::Leave | Purpose::Form => return None,
    };
    Some(sign(keyring, &claim))
}
