//! The mail itself, for the frame, and the images of the issue from memory.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};

use crate::appearance::{self, Client, Images};
use crate::http::fault::Fault;
use crate::http::form::Tail;
use crate::http::preview::look::Look;
use crate::http::preview::reader::seen;
use crate::http::preview::{Desk, Good, Shown};
use crate::run::sample;

/// Nothing runs and nothing is sent in the frame; our page may look into it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox allow-same-origin";
/// The same with images of other hosts.
const OPEN_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data: https: http:; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox allow-same-origin";
/// An image of one clear pixel.
const NOTHING: &str =
    "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
/// How our page marks the block under the pointer, and the one chosen.
const MARKS: &str = ".pr-here{outline:2px dashed #4a86c5!important;outline-offset:-2px!important}\
    .pr-chosen{outline:3px solid #d9a514!important;outline-offset:-3px!important}";

/// `GET /frame`: the newest good render, as the query says.
pub(super) async fn frame(
    State(desk): State<Arc<Desk>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let look = Look::read(&query.unwrap_or_default());
    let shown = desk.shown();
    let good = shown.good.clone().ok_or(Fault::NotFound)?;
    let html = html(&desk, &shown, &good, &look).await?;
    let policy = match look.appearance.images {
        Images::All => OPEN_POLICY,
        Images::Own | Images::Off => POLICY,
    };
    Ok(([(CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response())
}

async fn html(desk: &Desk, shown: &Shown, good: &Good, look: &Look) -> anyhow::Result<String> {
    let seen = seen(desk, shown, look).await;
    let config = &shown.config;
    let public_url = config.publication.url.trim_end_matches('/');
    let html = match look.appearance.client {
        // Where it is cut depends on the length of the real links.
        Client::Clipped => sample::make(config, desk.base(), &good.built, &seen.reader)?.html,
        _ => sample::html(&good.marked.built.compiled, public_url, &seen.reader),
    };
    // Nothing is counted here, and the policy would refuse it with a line in the console.
    let html = html.replace(&format!("{public_url}/o/sample"), NOTHING);
    let html = appearance::images_from(&html, &format!("{public_url}/i/"), "/i/");
    let html = appearance::dress(&html, look.appearance);
    Ok(appearance::with_style(&html, MARKS))
}

/// `GET /i/{hash}`: an image of the issue as it stands beside it now.
pub(super) async fn image(
    State(desk): State<Arc<Desk>>,
    Tail(hash): Tail,
) -> Result<Response, Fault> {
    let shown = desk.shown();
    let good = shown.good.as_ref().ok_or(Fault::NotFound)?;
    let mut images = good.built.images.iter();
    let found = images.find(|(image, _)| image.hash == hash);
    let (image, octets) = found.ok_or(Fault::NotFound)?;
    let headers = [
        (CONTENT_TYPE, image.media_type.clone()),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox".to_owned(),
        ),
    ];
    Ok((headers, Bytes::copy_from_slice(octets)).into_response())
}
