//! The public site, asked as a reader would: is it there, is it ours, what time has it, does it know our links?

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::tls::TlsInfo;
use reqwest::{Client, Response, StatusCode, header};

use super::{Desk, Findings, database, links, relay};

const CONNECT: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks without following anything.
pub(super) fn client() -> anyhow::Result<Client> {
    // Whoever installed one first had the same; it is the only one compiled in.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let agent = concat!("pressrun/", env!("CARGO_PKG_VERSION"), " (doctor)");
    Ok(Client::builder()
        .user_agent(agent)
        .redirect(Policy::none())
        .tls_info(true)
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(PATIENCE)
        .build()?)
}

pub(super) async fn look(desk: &Desk<'_>, out: &mut Findings) {
    let url = format!("{}/healthz", desk.config.publication.url);
    let client = match client() {
        Ok(client) => client,
        Err(error) => return out.unknown("site", format!("no question can be asked: {error:#}")),
    };
    let answer = match client.get(&url).send().await {
        Ok(answer) => answer,
        Err(error) => {
            return out.error(
                "site",
                format!("`{url}` does not answer: {}", root(&error)),
                "start `pressrun serve`, and let DNS and proxy lead to it; without it no reader can leave",
            );
        }
    };
    certificate(desk, &answer, out);
    date(desk, &answer, out);
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    if status == StatusCode::OK && text.trim() == "ok" {
        out.ok("site", format!("`{url}` answers"));
        links::look(desk, &client, out).await;
    } else if status == StatusCode::OK {
        out.error(
            "site",
            format!("`{url}` answers, and is not this program"),
            "let `publication.url` lead to `http.public`, paths unchanged",
        );
    } else {
        out.error(
            "site",
            format!("`{url}` answers {status}"),
            "let `publication.url` lead to `http.public`, paths unchanged",
        );
    }
}

fn certificate(desk: &Desk<'_>, answer: &Response, out: &mut Findings) {
    let info = answer.extensions().get::<TlsInfo>();
    if let Some(der) = info.and_then(TlsInfo::peer_certificate) {
        relay::expiry(
            "site-certificate",
            "the public site",
            der,
            desk.clock.now(),
            out,
        );
    }
}

/// Another machine's idea of the time, which a proxy may have written.
fn date(desk: &Desk<'_>, answer: &Response, out: &mut Findings) {
    let date = answer.headers().get(header::DATE);
    let date = date.and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    if let Some(date) = date {
        let ahead = date.timestamp().as_millisecond() - desk.clock.now().0;
        // The header knows seconds only.
        database::differ("site-clock", "the public site's clock", ahead, out);
    }
}

/// The innermost reason, which is the one that tells something.
pub(super) fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
