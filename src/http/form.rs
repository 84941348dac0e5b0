//! What a request carries: the last segment of its path, and form bodies (urlencoded, or multipart as
//! RFC 8058 allows for one-click).
//!
//! Promises: at most [`LIMIT`] octets and [`FIELDS`] fields are read; anything else is a fault, never a
//! panic. A body without a Content-Type is read as urlencoded: some mailbox providers send none.

use std::convert::Infallible;

use anyhow::Context;
use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Multipart, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use crate::address::EmailAddress;
use crate::http::fault::Fault;

/// No form here comes near it.
const LIMIT: usize = 16 * 1024;
/// As many fields as `fields.toml` may declare, and a few of the page's own.
const FIELDS: usize = 96;
/// Addresses of one test copy.
const MOST: usize = 10;

/// The one parameter of a route's path: a token or a hash. One that is no UTF-8, or holds a NUL (which PostgreSQL takes
/// in no text), is empty, so that it fails like every other bad token and not in a way of its own.
#[derive(Clone, Debug)]
pub struct Tail(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Tail {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Tail, Infallible> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let text = path.map_or_else(|_| String::new(), |path| path.0);
        Ok(Tail(if text.contains('\0') {
            String::new()
        } else {
            text
        }))
    }
}

/// The fields of a form, in the order they came, none of them with a NUL: PostgreSQL takes it in no text.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    fn of(fields: Vec<(String, String)>) -> Result<Form, Fault> {
        match fields.iter().any(|(_, value)| value.contains('\0')) {
            true => Err(Fault::Form),
            false => Ok(Form(fields)),
        }
    }

    /// The first value of `name`, or nothing.
    pub fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value)
    }

    /// Every field whose name begins with `prefix`, named without it.
    pub fn named<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let found = self.0.iter();
        found.filter_map(move |(field, value)| Some((field.strip_prefix(prefix)?, value.as_str())))
    }

    /// Every value of `name`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.0.iter().filter(move |(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Form, Fault> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.map_or(Ok(""), |kind| kind.to_str().map_err(|_| Fault::Form))?;
        let kind = kind
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        match kind.as_str() {
            "" | "application/x-www-form-urlencoded" => {
                let body = read(request).await?;
                let fields = form_urlencoded::parse(&body).into_owned();
                Form::of(fields.take(FIELDS).collect())
            }
            "multipart/form-data" => multipart(request, state).await,
            _ => Err(Fault::Form),
        }
    }
}

/// The same fields from a form or from a program: whoever speaks JSON is answered in JSON.
#[derive(Clone, Debug, Default)]
pub struct Spoken {
    pub form: Form,
    pub json: bool,
}

impl<S: Send + Sync> FromRequest<S> for Spoken {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Spoken, Response> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let form = Form::from_request(request, state).await;
            let form = form.map_err(IntoResponse::into_response)?;
            return Ok(Spoken { form, json: false });
        }
        let form = spoken(request).await.map_err(Fault::spoken)?;
        Ok(Spoken { form, json: true })
    }
}

async fn spoken(request: Request) -> Result<Form, Fault> {
    let body = read(request).await?;
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&body).map_err(|_| Fault::Form)?;
    let mut fields = Vec::new();
    for (name, value) in object.into_iter().take(FIELDS) {
        // A list of texts is a field that came several times.
        let values = match value {
            serde_json::Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let serde_json::Value::String(value) = value else {
                return Err(Fault::Form);
            };
            fields.push((name.clone(), value));
        }
    }
    fields.truncate(FIELDS);
    Form::of(fields)
}

/// The first value of `name` in a query; without a NUL, which PostgreSQL takes in no text.
pub(super) fn asked(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let found = pairs.find(|(known, _)| known == name);
    found.map(|(_, value)| value.replace('\0', ""))
}

/// The addresses typed into one field, between commas or blanks.
pub(super) fn addresses(text: &str) -> anyhow::Result<Vec<EmailAddress>> {
    let mut to = Vec::new();
    for part in text.split([',', ' ', ';']).filter(|part| !part.is_empty()) {
        let address = EmailAddress::parse(part);
        to.push(address.with_context(|| format!("`{part}` is no address"))?);
    }
    anyhow::ensure!(!to.is_empty(), "no address was given");
    anyhow::ensure!(to.len() <= MOST, "at most {MOST} addresses at a time");
    Ok(to)
}

async fn read(request: Request) -> Result<Bytes, Fault> {
    let body = request.into_body();
    to_bytes(body, LIMIT).await.map_err(|_| Fault::TooLarge)
}

async fn multipart<S: Send + Sync>(request: Request, state: &S) -> Result<Form, Fault> {
    // Read whole first: the limit then holds for the body and not for each field.
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LIMIT).await.map_err(|_| Fault::TooLarge)?;
    let request = Request::from_parts(parts, body.into());
    let multipart = Multipart::from_request(request, state).await;
    let mut multipart = multipart.map_err(|_| Fault::Form)?;
    let mut fields = Vec::new();
    while let Some(field) = multipart.next_field().await.map_err(|_| Fault::Form)? {
        if fields.len() == FIELDS {
            return Err(Fault::Form);
        }
        let name = field.name().unwrap_or("").to_owned();
        let value = field.bytes().await.map_err(|_| Fault::Form)?;
        fields.push((name, String::from_utf8_lossy(&value).into_owned()));
    }
    Form::of(fields)
}
