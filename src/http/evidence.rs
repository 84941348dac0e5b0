//! What a request says about who asked, cut down to what may be kept.

use axum::http::{HeaderMap, HeaderName};

use crate::app::App;
use crate::clock::Timestamp;
use crate::config::privacy::Tracking;
use crate::event::{Evidence, clean_header, known};
use crate::hex::hex;
use crate::http::listener::Client;
use crate::keyring::Keyring;
use crate::network;
use crate::pseudonym::impersonal;

/// Octets of a network's hash: enough to tell networks apart within a day.
const NETWORK: usize = 8;

/// The evidence in `headers`, asked from `client` at `at`. The address itself is not in it.
pub fn gather(keyring: &Keyring, client: Client, headers: &HeaderMap, at: Timestamp) -> Evidence {
    let text = |name: &'static str| {
        let value = headers.get(HeaderName::from_static(name))?;
        Some(clean_header(value.as_bytes()))
    };
    let day = at.day();
    let hash = keyring.network_hash(day, network::wide(client.0));
    Evidence {
        after: None,
        agent: text("user-agent").unwrap_or_default(),
        network: hex(&hash[..NETWORK]),
        purpose: text("sec-purpose")
            .or_else(|| text("purpose"))
            .or_else(|| text("x-purpose")),
        language: headers.contains_key("accept-language"),
        head: false,
        known: known::network(client.0).map(str::to_owned),
        one_click: false,
    }
}

/// The same of a reader who is named, as she is who leaves. Where opens and clicks name nobody it says no more than
/// theirs: else the network or the program's version would tell which of them were hers.
pub fn gather_by_name(app: &App, client: Client, headers: &HeaderMap, at: Timestamp) -> Evidence {
    let evidence = gather(&app.keyring, client, headers, at);
    match app.config.privacy.tracking {
        Tracking::Individual => evidence,
        Tracking::Anonymous | Tracking::Off => impersonal(&evidence),
    }
}
