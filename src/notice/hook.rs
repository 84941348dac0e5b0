//! The webhook: each notice as JSON, signed, asked again until it is answered with 2xx.
//!
//! Promises: one address is looked up, judged and then asked, whatever the name says a moment later; no
//! address of this machine or of a private network unless `notify.webhook_private` allows it; no redirect
//! followed, no proxy, every wait bounded, no body read. A crash between the answer and its record asks
//! twice, with the same id. Leaves what is told to `notice`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use secrecy::ExposeSecret;
use sha2::Sha256;
use tokio::sync::watch;

use crate::app::App;
use crate::config::notify::Notify;
use crate::hex::hex;
use crate::network::is_public;
use crate::store::notices::Hooked;

/// Between two looks for notices that wait.
const LOOK: Duration = Duration::from_millis(500);
/// Notices of one round.
const AT_ONCE: u32 = 8;
/// A name is looked up for so long, and then asked for so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// One that is taken is asked within this time, and no other node takes it.
const TAKEN: Duration = Duration::from_secs(60);
/// Where no schedule says when to ask again.
const RETRY: Duration = Duration::from_secs(120);
/// What the hook does not take within this time it is not asked to take any more.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);

/// Brings notices to the webhook until told to stop.
pub async fn work(app: App, mut stop: watch::Receiver<bool>) {
    if app.config.notify.webhook.is_none() {
        return;
    }
    while !*stop.borrow() {
        if let Err(error) = round(&app, &stop).await {
            tracing::error!("the notices for the webhook cannot be read: {error:#}");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            // Whoever could say stop is gone: that is a stop too.
            changed = stop.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

async fn round(app: &App, stop: &watch::Receiver<bool>) -> anyhow::Result<()> {
    for _ in 0..AT_ONCE {
        let now = app.clock.now();
        if *stop.borrow() || !app.store.hooks_due(now).await? {
            return Ok(());
        }
        // One at a time: a hook that hangs holds none of the others for longer than it is taken for.
        let Some(hooked) = app.store.take_hooks(now, TAKEN, 1).await?.pop() else {
            return Ok(());
        };
        let asked = ask(&app.config.notify, &hooked, app.clock.now().seconds()).await;
        let now = app.clock.now();
        let (due, answer) = match asked {
            Ok(()) => (None, None),
            Err(error) => {
                let why = format!("{error:#}");
                tracing::warn!(
                    notice = hooked.id,
                    "the webhook did not take a notice: {why}"
                );
                let waits = &app.config.notify.webhook_retry;
                let last = waits.len().saturating_sub(1);
                let wait = waits.get(usize::try_from(hooked.hook_tries).unwrap_or(last).min(last));
                let due = now.after(wait.copied().unwrap_or(RETRY));
                let late = due.0 - hooked.at > i64::try_from(GIVE_UP.as_millis())?;
                ((!late).then_some(due), Some(why))
            }
        };
        app.store
            .hook_asked(hooked.id, due, answer.as_deref())
            .await?;
    }
    Ok(())
}

async fn ask(notify: &Notify, hooked: &Hooked, second: i64) -> anyhow::Result<()> {
    let (Some(url), Some(secret)) = (&notify.webhook, &notify.webhook_secret) else {
        bail!("no webhook is configured any more");
    };
    // Its path is often a secret, so no error of ours names it.
    let url: Url = url
        .expose_secret()
        .parse()
        .context("`notify.webhook` is no URL")?;
    let address = address(&url, notify.webhook_private).await?;
    let host = url.host_str().context("`notify.webhook` names no host")?;
    // Whoever installed one first had the same; it is the only one compiled in.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let client = Client::builder()
        .user_agent(concat!("pressrun/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        // The address that was judged is the one that is asked.
        .resolve(host, address)
        .no_proxy()
        .https_only(!notify.webhook_private)
        .timeout(PATIENCE)
        .build()?;
    let signature = sign(secret.expose_secret(), second, &hooked.body);
    let answer = client
        .post(url)
        .header("content-type", "application/json")
        .header("pressrun-notice", hooked.id.to_string())
        .header("pressrun-signature", signature)
        .body(hooked.body.clone())
        .send()
        .await;
    let status = answer.map_err(reqwest::Error::without_url)?.status();
    ensure!(status.is_success(), "it answered {}", status.as_u16());
    Ok(())
}

/// The one address that is asked.
async fn address(url: &Url, private: bool) -> anyhow::Result<SocketAddr> {
    let port = url
        .port_or_known_default()
        .context("`notify.webhook` names no port")?;
    let found: Vec<SocketAddr> = match url.host() {
        Some(url::Host::Ipv4(ip)) => vec![(IpAddr::V4(ip), port).into()],
        Some(url::Host::Ipv6(ip)) => vec![(IpAddr::V6(ip), port).into()],
        Some(url::Host::Domain(name)) => {
            let looked = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((name, port)));
            let found = looked.await.ok().and_then(Result::ok);
            found.context("its host is not in the DNS")?.collect()
        }
        None => Vec::new(),
    };
    let public = |address: &&SocketAddr| private || is_public(address.ip());
    let fine = found.iter().find(public).copied();
    fine.with_context(|| match found.is_empty() {
        true => "its host has no address",
        false => {
            "its host has a private address, which is not asked; `notify.webhook_private` would allow it"
        }
    })
}

/// `t=<second>,v1=<hex>`: HMAC-SHA-256 over the second, a dot and the body.
pub fn sign(secret: &str, second: i64, body: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{second}.{body}").as_bytes());
    let tag = mac.finalize().into_bytes();
    format!("t={second},v1={}", hex(&tag))
}

#[cfg(test)]
mod tests {
    use super::{address, sign};

    #[test]
    fn a_signature_can_be_made_by_any_other_program() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        assert_eq!(
            sign("secret", 1_700_000_000, "{\"a\":1}"),
            "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
        );
    }

    #[tokio::test]
    async fn no_address_of_the_inside_is_asked_unless_allowed() {
        for text in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://169.254.169.254/latest",
            "https://[::ffff:127.0.0.1]/",
            "https://[::1]/",
            "https://10.1.2.3/",
        ] {
            let url = text.parse().expect("a URL");
            let refused = address(&url, false).await.expect_err(text);
            assert!(refused.to_string().contains("private"), "{text}: {refused}");
            assert!(address(&url, true).await.is_ok(), "{text}");
        }
    }
}
