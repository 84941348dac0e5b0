//! Answers that a reader may keep and ask about again: ETag, Last-Modified, and 304.
//!
//! Promises: the tag is that of the octets, so no change is ever missed; a request that names one is answered
//! by it alone, and only else by its date (RFC 9110, section 13.2.2).

use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;
use crate::hex::hex;

/// Whoever keeps it asks again after so long: what is hidden is gone from caches in a minute.
const KEPT: &str = "public, max-age=60";

/// `body` as an answer to a request with these headers; 304 when the reader has it.
pub fn answer(
    request: &HeaderMap,
    kind: &'static str,
    changed: Timestamp,
    body: impl Into<axum::body::Body> + AsRef<[u8]>,
) -> Response {
    let hash = Sha256::digest(body.as_ref());
    let tag = format!("\"{}\"", hex(&hash[..12]));
    let date = DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&changed.to_jiff())
        .unwrap_or_default();
    let fresh = match request.get(IF_NONE_MATCH) {
        Some(known) => names(known, &tag),
        None => request
            .get(IF_MODIFIED_SINCE)
            .is_some_and(|since| is_since(since, changed)),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in [(ETAG, tag), (LAST_MODIFIED, date)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(KEPT));
    if fresh {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    (headers, body.into()).into_response()
}

/// What belongs to the program itself: kept, and asked about again each time, so that a page never runs with the script
/// or the styles of an older program.
pub fn asset(request: &HeaderMap, kind: &'static str, body: &'static str) -> Response {
    let hash = Sha256::digest(body.as_bytes());
    let tag = format!("\"{}\"", hex(&hash[..12]));
    let fresh = request
        .get(IF_NONE_MATCH)
        .is_some_and(|known| names(known, &tag));
    let mut headers = HeaderMap::new();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if fresh {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    (headers, body).into_response()
}

/// Weak comparison (RFC 9110, section 13.1.2).
fn names(known: &HeaderValue, tag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known.split(',').map(str::trim).any(|known| {
        let known = known.strip_prefix("W/").unwrap_or(known);
        known == "*" || known == tag
    })
}

/// Whether nothing changed after the second that `since` names; what is no date says nothing.
fn is_since(since: &HeaderValue, changed: Timestamp) -> bool {
    let since = since.to_str().ok();
    let since = since.and_then(|text| DateTimeParser::new().parse_timestamp(text).ok());
    since.is_some_and(|since| since.as_second() >= changed.seconds())
}

#[cfg(test)]
mod tests {
    use axum::http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::answer;
    use crate::clock::Timestamp;

    fn ask(name: HeaderName, value: &str) -> u16 {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::try_from(value).expect("a header"));
        let changed = Timestamp(1_793_534_400_500);
        answer(&headers, "text/plain", changed, "abc")
            .status()
            .as_u16()
    }

    #[test]
    fn a_reader_who_has_it_gets_304() {
        let first = answer(
            &HeaderMap::new(),
            "text/plain",
            Timestamp(1_793_534_400_500),
            "abc",
        );
        let header = |name: HeaderName| first.headers()[name].to_str().expect("ASCII").to_owned();
        let (tag, date) = (header(ETAG), header(LAST_MODIFIED));
        assert_eq!(date, "Sun, 01 Nov 2026 12:00:00 GMT");
        for (name, value, status) in [
            (IF_NONE_MATCH, tag.clone(), 304),
            (IF_NONE_MATCH, format!("\"x\", W/{tag}"), 304),
            (IF_NONE_MATCH, "*".into(), 304),
            (IF_NONE_MATCH, "\"x\"".into(), 200),
            (IF_MODIFIED_SINCE, date, 304),
            (
                IF_MODIFIED_SINCE,
                "Sun, 01 Nov 2026 11:59:59 GMT".into(),
                200,
            ),
            (IF_MODIFIED_SINCE, "yesterday".into(), 200),
        ] {
            assert_eq!(ask(name.clone(), &value), status, "{name}: {value}");
        }
    }
}
