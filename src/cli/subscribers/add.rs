//! `pressrun subscribers add`: one reader on a list, on the author's word.
//!
//! Promises: whoever left by her own act stays so, under each spelling of her mailbox; whom the author took off comes back
//! where it is said that she agreed. Nobody is mailed.

use anyhow::bail;
use clap::Args;

use crate::address::EmailAddress;
use crate::app::App;
use crate::cli::output::print;
use crate::cli::{Exit, audit};
use crate::clock::Timestamp;
use crate::id::{SubscriberId, SubscriptionKey};
use crate::import::columns::Row;
use crate::import::decide::Terms;
use crate::import::{add_one, field_table};
use crate::lists;
use crate::store::import::Origin;
use crate::store::spellings::Left;
use crate::subscriber::field::Fields;
use crate::subscriber::tag::Tag;
use crate::subscriber::{Status, clean_name};

#[derive(Debug, Args)]
pub struct Add {
    /// The reader's address.
    address: EmailAddress,
    /// Short name of the list.
    #[arg(long)]
    list: String,
    /// The reader's name.
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// A declared field, as NAME=VALUE; may be said several times.
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = super::pair)]
    fields: Vec<(String, String)>,
    /// A tag; may be said several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,
    /// How she agreed to get the newsletter, such as "asked me at the fair, 3 May"; it is kept with her. Without it
    /// she is added on your word alone.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    consent: String,
    /// How the subscription begins: confirmed when not said.
    #[arg(long, value_parser = super::beginning())]
    status: Option<Status>,
}

pub(super) async fn run(app: &App, add: &Add) -> anyhow::Result<Exit> {
    let table = field_table(app)?;
    let mut fields = Fields::default();
    for (name, text) in &add.fields {
        if let Some(value) = table.value(name, text)? {
            fields.0.insert(name.clone(), value);
        }
    }
    let list = lists::find(app, &add.list).await?;
    let origin = Origin {
        list: list.id,
        source: "cli".to_owned(),
        import: None,
        at: app.clock.now(),
    };
    let row = Row {
        name: clean_name(&add.name),
        fields,
        ..Row::new(add.address.clone())
    };
    let canonical = row.address.canonical();
    let status = add.status.unwrap_or(Status::Confirmed);
    let terms = Terms {
        status,
        confirm: add.status == Some(Status::Confirmed),
        calls_back: false,
        voucher: None,
        import: None,
        at: origin.at,
    };
    let mut tally = add_one(app, &origin, row.clone(), terms).await?;
    let slug = &add.list;
    let mut back = false;
    if tally.unsubscribed > 0 {
        let left = app.store.left(list.id, &add.address.mailbox()).await?;
        let (own, others): (Vec<Left>, Vec<Left>) = left
            .into_iter()
            .partition(|left| left.canonical == canonical);
        // She agreed, and it was the author who took her off: nobody who left by her own act.
        let may = status == Status::Confirmed && !clean_name(&add.consent).is_empty();
        match own.is_empty() {
            _ if !may || others.iter().any(|left| !left.by_author) => {}
            true => {
                let terms = Terms {
                    calls_back: true,
                    ..terms
                };
                tally = add_one(app, &origin, row, terms).await?;
            }
            false => back = put_back(app, &canonical, slug).await?,
        }
        if tally.unsubscribed > 0 && !back {
            bail!(stays(slug, &own, &others, may));
        }
    }
    if tally.suppressed > 0 {
        bail!(
            "the address is suppressed and was not added; `pressrun suppressions check` tells why"
        );
    }
    let reader = app.store.subscriber(&canonical).await?;
    let reader = reader.map(|reader| reader.id);
    for tag in &add.tags {
        app.store.tag(reader.as_slice(), tag.as_str()).await?;
    }
    let consent = clean_name(&add.consent);
    if let Some(reader) = reader.filter(|_| !consent.is_empty()) {
        let at = app.clock.now();
        app.store
            .state_consent(reader, list.id, &consent, at)
            .await?;
    }
    if tally.added + tally.confirmed + tally.updated > 0 || back {
        let key = reader.map_or(0, |SubscriberId(key)| key);
        audit::note(
            app,
            &format!("added a reader to `{slug}`"),
            &format!("reader {key}"),
        )
        .await?;
    }
    print(&match (tally.added, tally.confirmed, tally.updated) {
        _ if back => format!("put back on `{slug}`: {}\n", means(status, &consent)),
        (1, _, _) => format!(
            "added to `{slug}` as {}: {}\n",
            status.name(),
            means(status, &consent)
        ),
        (_, 1, _) => format!("confirmed on `{slug}`: {}\n", means(status, &consent)),
        (_, _, 1) => format!("was on `{slug}` before; name or fields were updated\n"),
        _ => format!("was on `{slug}` before; nothing was changed\n"),
    })?;
    Ok(Exit::Done)
}

/// Puts a reader back whom the author took off. False where she left herself, or never confirmed.
async fn put_back(app: &App, canonical: &str, slug: &str) -> anyhow::Result<bool> {
    let Some(reader) = app.store.subscriber(canonical).await? else {
        return Ok(false);
    };
    let joined = app.store.joined(reader.id).await?;
    let Some(held) = joined.iter().find(|held| held.list == slug) else {
        return Ok(false);
    };
    let (key, now) = (SubscriptionKey(held.key), app.clock.now());
    Ok(app.store.put_back(key, Timestamp(0), now).await?)
}

/// Why nobody was added: who left `slug` under this spelling, or under which other one, and who can undo it. `may` says
/// whether it was said that she agreed, and to be confirmed.
fn stays(slug: &str, own: &[Left], others: &[Left], may: bool) -> String {
    let own_act = others.iter().find(|left| !left.by_author);
    let (who, by_author) = match (own.first(), own_act.or(others.first())) {
        (own, Some(other)) if own.is_none_or(|own| own.by_author && !other.by_author) => {
            let address = &other.address;
            let who = format!("`{address}`, another spelling of this mailbox,");
            (who, other.by_author)
        }
        (own, _) => (
            "the reader".to_owned(),
            own.is_some_and(|own| own.by_author),
        ),
    };
    match by_author && !may {
        true => format!(
            "{who} was taken off `{slug}` by hand, and nobody was added; `--consent \"how she agreed\"`, without \
             `--status pending`, says that she wants it again"
        ),
        false => format!(
            "{who} left `{slug}` and was not added; only the reader can come back, by the subscribe page"
        ),
    }
}

/// What it means to stand on a list like this.
fn means(status: Status, consent: &str) -> String {
    match (status, consent) {
        (Status::Confirmed, "") => "she gets the next issue on your word alone, for it is kept nowhere that she agreed \
                                    (`--consent \"how she agreed\"` keeps it, `--status pending` waits for her)"
            .to_owned(),
        (Status::Confirmed, consent) => {
            format!("she gets the next issue, and it is kept how she agreed: {consent}")
        }
        _ => "nothing is sent to her before she confirms by the subscribe page, and no mail asks her to".to_owned(),
    }
}
