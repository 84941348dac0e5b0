//! `pressrun subscribers change`: what a reader has asked the author to change.

use anyhow::{Context, bail};
use clap::Args;

use crate::address::EmailAddress;
use crate::amend::{Wish, amend};
use crate::app::App;
use crate::cli::output::print;
use crate::cli::subscribers::pair;
use crate::cli::subscribers::show::{self, Who};
use crate::cli::{Exit, audit};
use crate::subscriber::tag::Tag;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The reader's address, or her key.
    #[arg(value_name = "ADDRESS|KEY", value_parser = show::who)]
    who: Who,
    /// Her new address. The old one is told, if mail may go there, and can take it back for some days.
    #[arg(long, value_name = "ADDRESS", requires = "consent")]
    address: Option<EmailAddress>,
    /// How she asked for it, such as "wrote me on 3 May"; it is kept with her.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    consent: String,
    /// Her name.
    #[arg(long)]
    name: Option<String>,
    /// A declared field, as NAME=VALUE; an empty value takes it away. May be said several times.
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = pair)]
    fields: Vec<(String, String)>,
    /// A tag to put on; may be said several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,
    /// A tag to take off; may be said several times.
    #[arg(long = "untag", value_name = "TAG")]
    untags: Vec<Tag>,
}

pub(super) async fn run(app: &App, arguments: &Arguments) -> anyhow::Result<Exit> {
    let reader = match &arguments.who {
        Who::Address(address) => app.store.subscriber(&address.canonical()).await?,
        Who::Key(key) => app.store.subscriber_by_key(*key).await?,
    };
    let reader = reader.context("there is no such reader; nothing was changed")?;
    let wish = Wish {
        address: arguments.address.clone(),
        name: arguments.name.clone(),
        fields: arguments.fields.clone(),
        tag: arguments.tags.clone(),
        untag: arguments.untags.clone(),
        said: arguments.consent.clone(),
    };
    let asks = wish.address.is_some()
        || wish.name.is_some()
        || [wish.fields.len(), wish.tag.len(), wish.untag.len()] != [0, 0, 0];
    if !asks {
        bail!("say what to change: `--address`, `--name`, `--field`, `--tag` or `--untag`");
    }
    let changed = amend(app, reader.id, &wish).await?;
    if changed.parts.is_empty() {
        print("all of it stood so before; nothing was changed\n")?;
        return Ok(Exit::Done);
    }
    let parts = changed.parts.join(", ");
    let about = format!("reader {}", reader.id.0);
    audit::note(app, &format!("changed a reader's {parts}"), &about).await?;
    print(&format!("changed: {parts}\n"))?;
    if changed.told {
        print("a mail tells the old address, which can take it back for some days\n")?;
    } else if changed.parts.contains(&"address") {
        print("no mail tells the old address: it is suppressed\n")?;
    }
    Ok(Exit::Done)
}
