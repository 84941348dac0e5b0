//! What a mail asks for by itself or at a tap: the pixel, the redirect, the copy in the browser.
//!
//! Promises: the pixel is the same 43 octets for every token; a redirect goes where the frozen link
//! table says and nowhere else; both answer while the database is down; HEAD is kept as evidence
//! and counts nothing.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, PRAGMA,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{Html, IntoResponse, Response};

use crate::config::privacy::Tracking;
use crate::event::{Event, EventKind, Evidence};
use crate::http::Public;
use crate::http::evidence::gather;
use crate::http::fault::Fault;
use crate::http::form::Tail;
use crate::http::listener::Client;
use crate::http::shield::mail_policy;
use crate::id::DeliveryKey;
use crate::token::{Claim, Purpose, verify};

/// One transparent point: GIF89a, 1 by 1, 43 octets.
const PIXEL: [u8; 43] = [
    b'G', b'I', b'F', b'8', b'9', b'a', 1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, b'!', 0xf9, 4, 1,
    0, 0, 0, 0, b',', 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, b'D', 1, 0, b';',
];
/// What proxies of mailbox providers are asked not to do with a pixel.
const NOT_KEPT: &str = "no-store, no-cache, must-revalidate, private, max-age=0";
const CROSS_ORIGIN: (HeaderName, &str) = (
    HeaderName::from_static("cross-origin-resource-policy"),
    "cross-origin",
);

/// `GET /o/{token}`: the open pixel. Always the same answer, so that it tells nothing about tokens.
pub async fn open(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    method: Method,
    headers: HeaderMap,
    Tail(token): Tail,
) -> impl IntoResponse {
    let claim = verify(&site.app.keyring, Purpose::Open, &token);
    if let Some(Claim::Open(delivery)) = claim {
        let open = (EventKind::Open, delivery, None);
        record(&site, client, &headers, &method, open).await;
    }
    let headers = [
        (CONTENT_TYPE, "image/gif"),
        (CACHE_CONTROL, NOT_KEPT),
        (PRAGMA, "no-cache"),
        // Webmail shows it on a page of its own origin.
        CROSS_ORIGIN,
    ];
    (headers, PIXEL)
}

/// `GET /c/{token}`: on to the link's target.
pub async fn click(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    method: Method,
    headers: HeaderMap,
    Tail(token): Tail,
) -> Result<Response, Fault> {
    let claim = verify(&site.app.keyring, Purpose::Click, &token);
    let Some(Claim::Click(delivery, link)) = claim else {
        return Err(Fault::NotFound);
    };
    let target = site
        .targets
        .url(delivery, link)
        .await?
        .ok_or(Fault::NotFound)?;
    let click = (EventKind::Click, delivery, Some(link));
    record(&site, client, &headers, &method, click).await;
    let target = HeaderValue::try_from(target).map_err(|_| Fault::NotFound)?;
    Ok((StatusCode::FOUND, [(LOCATION, target)]).into_response())
}

/// `GET /view/{token}`: the copy as the reader got it, in a sandbox.
pub async fn view(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    method: Method,
    headers: HeaderMap,
    Tail(token): Tail,
) -> Result<Response, Fault> {
    let claim = verify(&site.app.keyring, Purpose::View, &token);
    let Some(Claim::View(delivery)) = claim else {
        return Err(Fault::NotFound);
    };
    let page = (site.site.view)(delivery).await?.ok_or(Fault::NotFound)?;
    let look = (EventKind::View, delivery, None);
    record(&site, client, &headers, &method, look).await;
    let policy = mail_policy(&site.app.config.publication.url).ok_or(Fault::Broken)?;
    Ok(([(CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response())
}

/// Waits for the commit, but not for ever: an answer that cannot be counted is still given.
async fn record(
    site: &Public,
    client: Client,
    headers: &HeaderMap,
    method: &Method,
    (kind, delivery, link): (EventKind, DeliveryKey, Option<u32>),
) {
    if site.app.config.privacy.tracking == Tracking::Off {
        return;
    }
    let at = site.app.clock.now();
    let event = Event {
        kind,
        delivery,
        link,
        at,
        evidence: Evidence {
            head: *method == Method::HEAD,
            ..gather(&site.app.keyring, client, headers, at)
        },
    };
    site.site.tracker.record(event).await;
}

#[cfg(test)]
mod tests {
    use super::PIXEL;

    #[test]
    fn the_pixel_is_a_gif_of_one_point() {
        assert!(PIXEL.starts_with(b"GIF89a\x01\x00\x01\x00"));
        assert!(PIXEL.ends_with(b";"));
    }
}
