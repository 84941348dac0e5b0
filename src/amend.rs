//! What the author changes of a reader who wrote to her: address, name, fields, tags.
//!
//! Promises: another address is hers as if she had moved by her own page: the old one is told and may take it back for
//! some days, its links open her page no more, and nobody's address is taken. Nothing is changed where any of it cannot
//! be. Leaves the audit to the edges.

use anyhow::{Context, ensure};

use crate::address::EmailAddress;
use crate::app::App;
use crate::id::{ListId, SubscriberId};
use crate::import::field_table;
use crate::publication;
use crate::run;
use crate::store::former::Told;
use crate::store::moves::Placed;
use crate::store::readers::Kept;
use crate::subscriber::clean_name;
use crate::subscriber::field::Fields;
use crate::subscriber::tag::Tag;

/// What is to be changed; the rest stays.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub address: Option<EmailAddress>,
    pub name: Option<String>,
    /// Declared fields with their values as they are typed; an empty one goes.
    pub fields: Vec<(String, String)>,
    pub tag: Vec<Tag>,
    pub untag: Vec<Tag>,
    /// How it is known that she wants this, such as "wrote me on 3 May"; another address needs it.
    pub said: String,
}

/// Why a reader was not changed, where one part of the wish alone is it.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Refusal {
    /// `address`, `said`, or the name of a field of hers behind `field-`.
    pub part: String,
    pub why: String,
}

impl Refusal {
    pub fn of(part: impl Into<String>, why: impl Into<String>) -> anyhow::Error {
        let (part, why) = (part.into(), why.into());
        anyhow::Error::new(Refusal { part, why })
    }
}

/// Changes a reader. Gives what was changed, by name; nothing where all of it stood so before. The error is a
/// [`Refusal`] where one part of the wish is to be another.
pub async fn amend(
    app: &App,
    reader: SubscriberId,
    wish: &Wish,
) -> anyhow::Result<Vec<&'static str>> {
    let kept = app.store.kept_reader(reader).await?;
    let kept = kept.context("the reader is gone; nothing was changed")?;
    let (name, fields) = amended(app, &kept, wish)?;
    let mut changed = Vec::new();
    let moves = wish.address.as_ref();
    let moves = moves.filter(|address| address.canonical() != kept.canonical);
    if let Some(address) = moves {
        move_to(app, reader, address, &wish.said).await?;
        changed.push("address");
    }
    let parts = [
        ("name", name != kept.name),
        ("fields", fields.0 != Fields::from_json(&kept.fields).0),
    ];
    let parts: Vec<&str> = parts
        .into_iter()
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect();
    if !parts.is_empty() {
        let fields = fields.to_json();
        let done = app.store.amend_reader(&kept, &name, &fields).await?;
        ensure!(
            done,
            "somebody else has changed her just now; look at her again"
        );
        changed.extend(parts);
    }
    let mut tags = 0;
    for tag in &wish.tag {
        tags += app.store.tag(&[reader], tag.as_str()).await?;
    }
    for tag in &wish.untag {
        tags += app.store.untag(&[reader], tag.as_str()).await?;
    }
    if tags > 0 {
        changed.push("tags");
    }
    Ok(changed)
}

/// Her name and fields as they are to be.
fn amended(app: &App, kept: &Kept, wish: &Wish) -> anyhow::Result<(String, Fields)> {
    let table = field_table(app)?;
    let mut fields = Fields::from_json(&kept.fields);
    for (name, text) in &wish.fields {
        let part = || format!("field-{name}");
        let value = table.value(name, text);
        match value.map_err(|error| Refusal::of(part(), error.to_string()))? {
            Some(value) => {
                fields.0.insert(name.clone(), value);
            }
            None => {
                if table.required(name) {
                    let why = format!("no reader may lack the field `{name}`");
                    return Err(Refusal::of(part(), why));
                }
                fields.0.remove(name);
            }
        }
    }
    let name = wish.name.as_deref().map(clean_name);
    Ok((name.unwrap_or_else(|| kept.name.clone()), fields))
}

async fn move_to(
    app: &App,
    reader: SubscriberId,
    address: &EmailAddress,
    said: &str,
) -> anyhow::Result<()> {
    let said = clean_name(said);
    if said.is_empty() {
        return Err(Refusal::of(
            "said",
            "say how it is known that she wants her mail at another address; nothing was changed",
        ));
    }
    let mail = publication::compile_system(&app.config, &app.emails(), "moved")
        .context("the system mail `moved`")?;
    let revision = run::keep_revision(app, &mail, &[]).await?;
    let now = app.clock.now();
    let canonical = address.canonical();
    let hash = app.keyring.address_hash(&canonical);
    let placed = Placed {
        reader,
        key: app.chance.key(),
        address: address.as_str(),
        canonical: &canonical,
        hash,
        at: now,
    };
    app.store.place_move(&placed).await?;
    let told = Told {
        key: app.chance.key(),
        revision: &revision,
    };
    if !app.store.finish_move(placed.key, &told, now).await? {
        app.store.drop_move(placed.key).await?;
        let why = match app.store.suppression(&hash).await? {
            Some((reason, _)) => format!(
                "the new address is suppressed ({reason}), and nothing is mailed there; nothing was changed"
            ),
            None => {
                "another reader has this address, or hers is suppressed; nothing was changed".into()
            }
        };
        return Err(Refusal::of("address", why));
    }
    app.store
        .state_consent(reader, ListId(0), &format!("another address: {said}"), now)
        .await?;
    Ok(())
}
