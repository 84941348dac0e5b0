//! What a reader has asked the author to change: her address, name, fields and tags, on her page.
//!
//! Promises: the service that the command line calls does it; the audit names the parts and never a value; what is
//! refused stands in its form again. What was left in the form as it stood there is left as it is, whatever it has
//! become since the page was made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::address::EmailAddress;
use crate::amend::{Refusal, Wish, amend};
use crate::hex::hex;
use crate::http::admin::Admin;
use crate::http::admin::refused::Refused;
use crate::http::admin::subscribers::{about, find, path, show};
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail};
use crate::id::SubscriberId;
use crate::store::StoreError;
use crate::store::access::Session;
use crate::store::readers::Kept;
use crate::subscriber::tag::Tag;

/// What stood in the form when the page was made. It goes along with the form, where it need not be secret: a digest of
/// each text, as all of them twice would be more than a form may hold, and the tags.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Stood {
    /// By the names of the form.
    texts: BTreeMap<String, String>,
    /// None in a form of which nothing is known.
    tags: Option<BTreeSet<String>>,
}

impl Stood {
    pub(super) fn of<'a>(
        texts: impl IntoIterator<Item = (String, &'a str)>,
        tags: &[String],
    ) -> Stood {
        let texts = texts.into_iter();
        Stood {
            texts: texts.map(|(name, text)| (name, digest(text))).collect(),
            tags: Some(tags.iter().cloned().collect()),
        }
    }

    /// For the form's hidden field.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and digests have a JSON form")
    }

    fn holds(&self, name: &str, text: &str) -> bool {
        self.texts.get(name).is_some_and(|was| *was == digest(text))
    }
}

/// Of a text as a browser's field of one line holds it.
fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.replace(['\r', '\n'], "").trim())[..8])
}

/// `POST /subscribers/{id}/change`: `address`, `name`, `field-NAME`, `tags` between commas, how it is known that she wants
/// another address, and what [`Stood`] there, as `stood`.
pub(super) async fn change(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let kept = find(&admin, &id).await?;
    let reader = SubscriberId(kept.id);
    let changed = match wish(&admin, &kept, &form).await? {
        Ok(wish) => amend(&admin.app, reader, &wish).await,
        Err(why) => Err(why),
    };
    match changed {
        Ok(changed) => {
            if !changed.parts.is_empty() {
                let what = format!("changed a reader's {}", changed.parts.join(", "));
                admin.note(&session, &what, &about(&kept)).await?;
            }
            let done = match (changed.parts.contains(&"address"), changed.told) {
                (true, true) => "told",
                (true, false) => "untold",
                (false, _) if changed.parts.is_empty() => "same",
                (false, _) => "changed",
            };
            Ok(Redirect::to(&format!("{}?done={done}", path(&kept))).into_response())
        }
        Err(why) => {
            let part = why.downcast_ref::<Refusal>();
            let field = part.map_or("", |refusal| refusal.part.as_str());
            let refused = Refused::of("change", field, &why, &form);
            show(&admin, kept, None, Some(refused)).await
        }
    }
}

/// What the form asks for. The inner error is of what was typed.
async fn wish(admin: &Admin, kept: &Kept, form: &Form) -> Result<anyhow::Result<Wish>, StoreError> {
    let borne = admin.app.store.tags_of(&[SubscriberId(kept.id)]).await?;
    let borne = borne.into_iter().map(|(_, tag)| tag).collect();
    let stood: Stood = serde_json::from_str(form.get("stood")).unwrap_or_default();
    Ok(typed(&stood, borne, form))
}

fn typed(stood: &Stood, borne: BTreeSet<String>, form: &Form) -> anyhow::Result<Wish> {
    let borne = stood.tags.clone().unwrap_or(borne);
    let address = form.get("address").trim();
    let address = match stood.holds("address", address) {
        true => None,
        false => {
            let parsed = EmailAddress::parse(address);
            let refusal = |error| Refusal::of("address", format!("`{address}`: {error}"));
            Some(parsed.map_err(refusal)?)
        }
    };
    let tags = form.get("tags").split(',').map(str::trim);
    let tags: Result<BTreeSet<String>, _> = tags
        .filter(|tag| !tag.is_empty())
        .map(|tag| Tag::parse(tag).map(|_| tag.to_owned()))
        .collect();
    let tags = tags.map_err(|error| Refusal::of("tags", error.to_string()))?;
    let each = |tags: BTreeSet<&String>| tags.into_iter().map(|tag| Tag::parse(tag)).collect();
    let (tag, untag): (Result<Vec<Tag>, _>, Result<Vec<Tag>, _>) = (
        each(tags.difference(&borne).collect()),
        each(borne.difference(&tags).collect()),
    );
    let name = Some(form.get("name")).filter(|name| !stood.holds("name", name));
    let fields = form.named("field-");
    let fields = fields.filter(|(name, text)| !stood.holds(&format!("field-{name}"), text));
    Ok(Wish {
        address,
        name: name.map(str::to_owned),
        fields: fields
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect(),
        tag: tag?,
        untag: untag?,
        said: form.get("said").to_owned(),
    })
}
