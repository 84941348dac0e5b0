//! What a reader has asked the author to change: her address, name, fields and tags, on her page.
//!
//! Promises: the service that the command line calls does it; the audit names the parts and never a value; what is
//! refused stands in its form again.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};

use crate::address::EmailAddress;
use crate::amend::{Refusal, Wish, amend};
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

/// `POST /subscribers/{id}/change`: `address`, `name`, `field-NAME`, `tags` between commas, and how it is known that she
/// wants another address.
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
    Ok(typed(&borne, form))
}

fn typed(borne: &BTreeSet<String>, form: &Form) -> anyhow::Result<Wish> {
    let address = form.get("address").trim();
    let address = EmailAddress::parse(address)
        .map_err(|error| Refusal::of("address", format!("`{address}`: {error}")))?;
    let tags = form.get("tags").split(',').map(str::trim);
    let tags: Result<BTreeSet<String>, _> = tags
        .filter(|tag| !tag.is_empty())
        .map(|tag| Tag::parse(tag).map(|_| tag.to_owned()))
        .collect();
    let tags = tags.map_err(|error| Refusal::of("tags", error.to_string()))?;
    let each = |tags: BTreeSet<&String>| tags.into_iter().map(|tag| Tag::parse(tag)).collect();
    let (tag, untag): (Result<Vec<Tag>, _>, Result<Vec<Tag>, _>) = (
        each(tags.difference(borne).collect()),
        each(borne.difference(&tags).collect()),
    );
    let fields = form.named("field-");
    Ok(Wish {
        address: Some(address),
        name: Some(form.get("name").to_owned()),
        fields: fields
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect(),
        tag: tag?,
        untag: untag?,
        said: form.get("said").to_owned(),
    })
}
