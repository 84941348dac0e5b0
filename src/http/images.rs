//! `GET /i/{hash}`: images of issues, as they were compiled in.
//!
//! Promises: only pictures that no browser runs; kept by whoever fetched them, for the name is the
//! content's; the ones asked for most are answered from memory, within a limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::http::Public;
use crate::http::fault::Fault;
use crate::http::form::Tail;
use crate::lock::lock;

/// Media types that are shown; SVG is not among them, for it can carry a script.
const SHOWN: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/// Octets of images kept in memory.
const SHELF: usize = 16 * 1024 * 1024;

/// Images in memory. When it is full it is emptied: the next issue's images fill it again.
#[derive(Debug, Default)]
pub struct ImageShelf(Mutex<(usize, HashMap<String, Picture>)>);

#[derive(Clone, Debug)]
struct Picture {
    media_type: &'static str,
    bytes: Bytes,
}

impl ImageShelf {
    fn get(&self, hash: &str) -> Option<Picture> {
        let shelf = lock(&self.0);
        shelf.1.get(hash).cloned()
    }

    fn put(&self, hash: &str, picture: &Picture) {
        let size = picture.bytes.len();
        if size > SHELF / 4 {
            return;
        }
        let mut shelf = lock(&self.0);
        if shelf.0 + size > SHELF {
            *shelf = (0, HashMap::new());
        }
        if shelf.1.insert(hash.to_owned(), picture.clone()).is_none() {
            shelf.0 += size;
        }
    }
}

/// The image of this hash, to be kept for a year.
pub async fn image(State(site): State<Arc<Public>>, Tail(hash): Tail) -> Result<Response, Fault> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hash.len() != 64 || !hash.bytes().all(hex) {
        return Err(Fault::NotFound);
    }
    let picture = match site.images.get(&hash) {
        Some(picture) => picture,
        None => {
            let stored = site.app.store.image(&hash).await?.ok_or(Fault::NotFound)?;
            let media_type = SHOWN.into_iter().find(|shown| *shown == stored.media_type);
            let picture = Picture {
                media_type: media_type.ok_or(Fault::NotFound)?,
                bytes: stored.bytes.into(),
            };
            site.images.put(&hash, &picture);
            picture
        }
    };
    let headers = [
        (CONTENT_TYPE, picture.media_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        ),
    ];
    Ok((headers, picture.bytes).into_response())
}
