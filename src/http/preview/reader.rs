//! As whom the issue is seen: the emptiest reader, one of the database, or values typed in.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use secrecy::ExposeSecret;
use url::form_urlencoded;

use crate::address::EmailAddress;
use crate::clock::Clock;
use crate::compile::{Compiled, Slot};
use crate::http::preview::look::Look;
use crate::http::preview::{Desk, Shown};
use crate::message::copy::Values;
use crate::run::sample::Reader;
use crate::run::test_copy;
use crate::store::Store;
use crate::subscriber::{Subscriber, clean_name};

/// Addresses that a search gives.
const FOUND: u32 = 8;
/// Characters of a typed value.
const VALUE: usize = 1_000;

/// Who sees the issue, and what the author should know about that.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) reader: Reader,
    /// Why the reader asked for is not the one shown.
    pub(super) note: Option<String>,
}

/// The reader that `look` asks for; always one.
pub(super) async fn seen(desk: &Desk, shown: &Shown, look: &Look) -> Seen {
    let mut seen = match look.reader.as_str() {
        "" => Seen {
            reader: Reader::emptiest(),
            note: None,
        },
        typed => of_address(desk, shown, typed).await,
    };
    let values = &mut seen.reader.values;
    if !look.name.is_empty() {
        values.name = clean_name(&look.name);
    }
    for (name, value) in &look.fields {
        let value: String = value.chars().take(VALUE).collect();
        values.fields.insert(name.clone(), value);
    }
    seen
}

async fn of_address(desk: &Desk, shown: &Shown, typed: &str) -> Seen {
    let address = match EmailAddress::parse(typed) {
        Ok(address) => address,
        Err(error) => {
            return Seen {
                reader: Reader::emptiest(),
                note: Some(format!("`{typed}` is no address: {error}")),
            };
        }
    };
    let found = match store(desk, shown).await {
        Ok(Some(store)) => match store.subscriber(&address.canonical()).await {
            Ok(Some(reader)) => values(&store, shown, &reader).await,
            Ok(None) => Err(format!(
                "there is no reader `{address}`; all values are empty"
            )),
            Err(error) => Err(format!("the readers cannot be read: {error}")),
        },
        Ok(None) => Err("there is no database yet; all values are empty".to_owned()),
        Err(error) => Err(format!("the readers cannot be read: {error:#}")),
    };
    let (values, note) = match found {
        Ok(values) => (values, None),
        Err(note) => (Values::of_nobody(), Some(note)),
    };
    Seen {
        reader: Reader { address, values },
        note,
    }
}

/// The values of a reader, and which parts of the issue the reader gets.
async fn values(store: &Store, shown: &Shown, reader: &Subscriber) -> Result<Values, String> {
    let Some(good) = &shown.good else {
        return Ok(Values::default());
    };
    let values = test_copy::values(store, reader, &good.built, Clock::System.now()).await;
    values.map_err(|error| format!("the readers cannot be read: {error:#}"))
}

/// The database, for reading; opened when it is first asked for.
pub(super) async fn store(desk: &Desk, shown: &Shown) -> anyhow::Result<Option<Store>> {
    let mut store = desk.store.lock().await;
    if store.is_none() {
        let url = shown.config.database.url.expose_secret();
        *store = Store::open_to_read(url, desk.base()).await?;
    }
    Ok(store.clone())
}

/// The fields that the issue asks for, in alphabetical order; `name` among them, `email` not.
pub(super) fn fields_of(compiled: &Compiled) -> BTreeSet<&str> {
    let parts = [&compiled.subject, &compiled.html, &compiled.text];
    let slots = parts.into_iter().flat_map(|part| part.slots());
    let names = slots.filter_map(|slot| match slot {
        Slot::Field { name, .. } => Some(name.as_str()),
        _ => None,
    });
    names.filter(|name| *name != "email").collect()
}

/// `GET /readers?q=`: addresses that begin like this.
pub(super) async fn search(
    State(desk): State<Arc<Desk>>,
    RawQuery(query): RawQuery,
) -> Json<Vec<String>> {
    let query = query.unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let start = pairs.find(|(name, _)| name == "q");
    let start = start.map(|(_, value)| value.trim().to_ascii_lowercase());
    let Some(start) = start.filter(|start| !start.is_empty()) else {
        return Json(Vec::new());
    };
    let found = match store(&desk, &desk.shown()).await {
        Ok(Some(store)) => store
            .readers_from(&start, "", FOUND)
            .await
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    Json(found.into_iter().map(|reader| reader.address).collect())
}
