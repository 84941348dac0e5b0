//! What the author changes of a reader who wrote to her: address, name, fields, tags.
//!
//! Promises: another address is hers as if she had moved by her own page: the old one is told and may take it back for
//! some days, its links open her page no more, and nobody's address is taken, nor one that is refused under any spelling.
//! Nothing is changed where any of it cannot be. Leaves the audit to the edges.

use anyhow::{Context, bail};

use crate::address::EmailAddress;
use crate::app::App;
use crate::id::SubscriberId;
use crate::import::field_table;
use crate::publication;
use crate::run;
use crate::store::amend::{Amended, Amending, Placed};
use crate::store::former::Told;
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
    /// `address`, `said`, `tags`, or the name of a field of hers behind `field-`.
    pub part: String,
    pub why: String,
}

impl Refusal {
    pub fn of(part: impl Into<String>, why: impl Into<String>) -> anyhow::Error {
        let (part, why) = (part.into(), why.into());
        anyhow::Error::new(Refusal { part, why })
    }
}

/// What was changed, by name; nothing where all of it stood so before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub parts: Vec<&'static str>,
    /// A mail tells the address that she had; none goes where nothing is to be mailed.
    pub told: bool,
}

/// Changes a reader.
///
/// # Errors
/// Nothing was changed. It is a [`Refusal`] where one part of the wish is to be another.
pub async fn amend(app: &App, reader: SubscriberId, wish: &Wish) -> anyhow::Result<Changes> {
    let kept = app.store.kept_reader(reader).await?;
    let kept = kept.context("the reader is gone; nothing was changed")?;
    let (name, fields) = amended(app, &kept, wish)?;
    let moves = wish.address.as_ref();
    let moves = moves.filter(|address| address.canonical() != kept.canonical);
    let said = clean_name(&wish.said);
    let revision = match moves {
        Some(_) => told_by(app, &said).await?,
        None => String::new(),
    };
    let canonical = moves.map(EmailAddress::canonical).unwrap_or_default();
    let placed = moves.map(|address| Placed {
        key: app.chance.key(),
        address: address.as_str(),
        canonical: &canonical,
        hash: app.keyring.address_hash(&canonical),
        mailbox: app.keyring.address_hash(&address.mailbox()),
        said: &said,
        told: Told {
            key: app.chance.key(),
            revision: &revision,
        },
    });
    let names = |tags: &[Tag]| tags.iter().map(|tag| tag.as_str().to_owned()).collect();
    let (tag, untag): (Vec<String>, Vec<String>) = (names(&wish.tag), names(&wish.untag));
    let amending = Amending {
        kept: &kept,
        name: &name,
        fields: &fields.to_json(),
        tag: &tag,
        untag: &untag,
        placed,
        at: app.clock.now(),
    };
    match app.store.amend(&amending).await? {
        Amended::Done { tags, told } => {
            let parts = [
                ("address", placed.is_some()),
                ("name", name != kept.name),
                ("fields", fields.0 != Fields::from_json(&kept.fields).0),
                ("tags", tags > 0),
            ];
            let parts = parts.into_iter();
            Ok(Changes {
                parts: parts.filter_map(|(part, is)| is.then_some(part)).collect(),
                told,
            })
        }
        Amended::Stale => {
            bail!("she is not as she was a moment ago; nothing was changed, look at her again")
        }
        Amended::Refused => Err(refused(app, placed.as_ref()).await?),
    }
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

/// The revision of the mail that tells the address before.
async fn told_by(app: &App, said: &str) -> anyhow::Result<String> {
    if said.is_empty() {
        return Err(Refusal::of(
            "said",
            "say how it is known that she wants her mail at another address; nothing was changed",
        ));
    }
    let mail = publication::compile_system(&app.config, &app.emails(), "moved")
        .context("the system mail `moved`")?;
    run::keep_revision(app, &mail, &[]).await
}

/// Why she cannot have this address.
async fn refused(app: &App, placed: Option<&Placed<'_>>) -> anyhow::Result<anyhow::Error> {
    let refusal = |why: String| Refusal::of("address", why);
    if let Some(placed) = placed {
        if let Some((reason, _)) = app.store.suppression(&placed.hash).await? {
            return Ok(refusal(format!(
                "the new address is suppressed ({reason}), and nothing is mailed there; nothing was changed"
            )));
        }
        let mailbox = app.store.suppression_of_mailbox(&placed.mailbox).await?;
        if let Some((reason, _)) = mailbox {
            return Ok(refusal(format!(
                "another spelling of the new address is suppressed ({reason}), and nothing is mailed to that mailbox; \
                 nothing was changed"
            )));
        }
    }
    Ok(refusal(
        "another reader has this address, or hers is suppressed; nothing was changed".to_owned(),
    ))
}
