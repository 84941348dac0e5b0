//! The door of the author's site: cookies, who is signed in, and whose form it is.
//!
//! Promises: a request that changes something is taken only from our own pages (RFC 6265bis, SameSite, is one
//! half; Fetch Metadata and Origin are the other); a cookie is no more than its 256 bits, is never read by
//! a script, and over https carries the `__Host-` prefix, so that no neighbouring host can plant one.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderValue, ORIGIN, REFERRER_POLICY, SET_COOKIE,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use url::form_urlencoded::byte_serialize;

use crate::access;
use crate::http::admin::Admin;
use crate::http::fault::Fault;
use crate::http::listener::Encrypted;

/// Our own script, styles, stream and frame; nothing from elsewhere, in nobody's frame.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// A browser that names no origin to anybody names none to us either, and our forms would look foreign.
const REFERRER: &str = "same-origin";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Middleware: lets forms of our own pages through alone, and puts this site's policy on.
pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    let asks = matches!(*request.method(), Method::GET | Method::HEAD);
    if !asks && !is_ours(request.headers()) {
        return Fault::Foreign.into_response();
    }
    let mut response = next.run(request).await;
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (REFERRER_POLICY, REFERRER),
    ] {
        let entry = response.headers_mut().entry(name);
        entry.or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether the browser says that the form came from this very origin. One that says nothing is not believed.
fn is_ours(headers: &HeaderMap) -> bool {
    let only = |name: &str| {
        let mut all = headers.get_all(name).iter();
        let first = all.next().map(|value| value.to_str().unwrap_or("?"));
        match all.next() {
            None => first,
            // Two of them are nobody's.
            Some(_) => Some("?"),
        }
    };
    let site = only(SEC_FETCH_SITE);
    let origin = only(ORIGIN.as_str()).map(|origin| {
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        let host = only(HOST.as_str());
        authority.is_some_and(|from| host.is_some_and(|host| from.eq_ignore_ascii_case(host)))
    });
    match (site, origin) {
        (Some("same-origin"), origin) => origin.unwrap_or(true),
        (Some(_), _) => false,
        (None, origin) => origin.unwrap_or(false),
    }
}

/// Middleware: whoever has a session goes on, with it among the request's extensions; others are led to the
/// login, and back from there to the page they asked for.
pub(super) async fn signed_in(
    State(admin): State<Arc<Admin>>,
    Extension(encrypted): Extension<Encrypted>,
    mut request: Request,
    next: Next,
) -> Response {
    let cookie = cookie_of(request.headers(), encrypted);
    let found = match cookie {
        Some(cookie) => access::look(&admin.app, &cookie).await,
        None => Ok(None),
    };
    match found {
        Ok(Some(session)) => {
            request.extensions_mut().insert(session);
            next.run(request).await
        }
        // A stream and a script cannot follow a way to the login, and would read its page as an answer.
        Ok(None) if asks_for_a_stream(request.headers()) => {
            StatusCode::UNAUTHORIZED.into_response()
        }
        Ok(None) => {
            let uri = request.uri();
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            let to = match *request.method() {
                Method::GET if path != "/" => {
                    let path: String = byte_serialize(path.as_bytes()).collect();
                    format!("/login?to={path}")
                }
                _ => "/login".to_owned(),
            };
            Redirect::to(&to).into_response()
        }
        Err(error) => Fault::from(error).into_response(),
    }
}

fn asks_for_a_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// A path of this site, for the way back after a login; anything else is the overview.
pub(super) fn local(path: &str) -> &str {
    let mut rest = path.chars();
    let rooted = rest.next() == Some('/') && !matches!(rest.next(), Some('/' | '\\'));
    let clean = path.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    match rooted && clean && !path.starts_with("/login") {
        true => path,
        false => "/",
    }
}

/// The cookie's name: the prefix binds it to this host, and browsers take it over https alone.
fn name(encrypted: Encrypted) -> &'static str {
    match encrypted.0 {
        true => "__Host-pressrun",
        false => "pressrun",
    }
}

/// The session's cookie among what the browser sent.
fn cookie_of(headers: &HeaderMap, encrypted: Encrypted) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let found = pairs.find(|(known, _)| *known == name(encrypted));
    found.map(|(_, value)| value.to_owned())
}

/// On to `path` with the session's cookie; an empty one ends it.
pub(super) fn redirect(path: &str, cookie: &str, encrypted: Encrypted) -> Result<Response, Fault> {
    let age = match cookie {
        "" => 0,
        _ => access::WHOLE.as_secs(),
    };
    let secure = match encrypted.0 {
        true => "; Secure",
        false => "",
    };
    let line = format!(
        "{}={cookie}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}",
        name(encrypted)
    );
    let line = HeaderValue::try_from(line).map_err(|_| Fault::Broken)?;
    let mut response = Redirect::to(path).into_response();
    response.headers_mut().insert(SET_COOKIE, line);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::{is_ours, local};

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        headers
    }

    #[test]
    fn a_form_is_ours_when_the_browser_says_so_and_nothing_contradicts() {
        let host = ("host", "127.0.0.1:8081");
        let own = ("origin", "http://127.0.0.1:8081");
        let https = ("origin", "https://127.0.0.1:8081");
        let site = |word| ("sec-fetch-site", word);
        for ours in [
            &[host, own][..],
            &[host, https],
            &[host, site("same-origin")],
            &[host, own, site("same-origin")],
        ] {
            assert!(is_ours(&headers(ours)), "{ours:?}");
        }
        for foreign in [
            &[host][..],
            &[host, ("origin", "null")],
            &[host, ("origin", "null"), site("same-origin")],
            &[host, ("origin", "http://evil.example")],
            &[host, ("origin", "http://127.0.0.1:8082")],
            &[host, ("origin", "http://127.0.0.1:8081.evil.example")],
            &[host, ("origin", "127.0.0.1:8081")],
            &[host, ("origin", "http://evil.example"), site("same-origin")],
            &[host, own, site("same-site")],
            &[host, own, site("cross-site")],
            &[host, own, site("none")],
            &[host, own, own],
            &[host, own, site("same-origin"), site("cross-site")],
            &[own],
            &[],
        ] {
            assert!(!is_ours(&headers(foreign)), "{foreign:?}");
        }
    }

    #[test]
    fn the_way_back_leads_to_this_site_alone() {
        for path in ["/runs/2", "/subscribers?search=a%40b", "/"] {
            assert_eq!(local(path), path);
        }
        for path in [
            "",
            "runs",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/login?to=/",
            "/a\r\nb",
            "/a b",
        ] {
            assert_eq!(local(path), "/", "{path}");
        }
    }
}
