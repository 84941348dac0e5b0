//! `pressrun subscribers tag` and `untag`: a tag on many readers at once. Nobody is mailed.

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::address::EmailAddress;
use crate::app::App;
use crate::cli::output::{print, print_json};
use crate::cli::{Exit, audit};
use crate::id::SubscriberId;
use crate::lists;
use crate::run::whom;
use crate::subscriber::tag::Tag;
use crate::terminal::plain;

/// Readers whose tags are changed in one transaction, well under 50 ms.
const STEP: u32 = 2_000;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The tag: lower-case letters, digits and hyphens.
    tag: Tag,
    /// The readers' addresses.
    #[arg(
        value_name = "ADDRESS",
        required_unless_present = "to",
        conflicts_with = "to"
    )]
    addresses: Vec<EmailAddress>,
    /// The confirmed readers of the list who are in this segment.
    #[arg(long, value_name = "SEGMENT")]
    to: Option<String>,
    /// Short name of the list; the publication's own when not said.
    #[arg(long, requires = "to")]
    list: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Whether the tag is put on or taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    On,
    Off,
}

pub(super) async fn run(app: &App, arguments: &Arguments, change: Change) -> anyhow::Result<Exit> {
    let (mut readers, mut changed) = (0, 0);
    match &arguments.to {
        None => {
            let found = named(app, &arguments.addresses).await?;
            readers += found.len() as u64;
            changed += apply(app, &found, &arguments.tag, change).await?;
        }
        Some(said) => {
            let slug = arguments.list.as_deref();
            let list = lists::find(app, slug.unwrap_or(&app.config.publication.list)).await?;
            let sieve = whom::read(app, "`--to`", said)?;
            let (now, mut after) = (app.clock.now(), SubscriberId(0));
            for note in whom::check(app, &sieve, Some(list.id), now).await? {
                eprintln!("note: {}", plain(&note));
            }
            loop {
                let page = app
                    .store
                    .members(list.id, &sieve.filter, now, after, STEP)
                    .await?;
                let Some(last) = page.last() else { break };
                after = SubscriberId(last.id);
                let found: Vec<SubscriberId> =
                    page.iter().map(|reader| SubscriberId(reader.id)).collect();
                readers += found.len() as u64;
                changed += apply(app, &found, &arguments.tag, change).await?;
            }
        }
    }
    if changed > 0 {
        let what = match change {
            Change::On => format!("tagged {changed} readers"),
            Change::Off => format!("untagged {changed} readers"),
        };
        audit::note(app, &what, &format!("tag {}", arguments.tag)).await?;
    }
    if arguments.json {
        let tag = &arguments.tag;
        print_json(&json!({ "tag": tag, "readers": readers, "changed": changed }))?;
        return Ok(Exit::Done);
    }
    let (done, others) = match change {
        Change::On => ("tagged", "bore it before"),
        Change::Off => ("untagged", "did not bear it"),
    };
    print(&format!(
        "{done} `{}`: {changed} of {readers} readers; the others {others}\n",
        arguments.tag
    ))?;
    Ok(Exit::Done)
}

/// The readers of these addresses; each must be there, and nothing is changed before all are.
async fn named(app: &App, addresses: &[EmailAddress]) -> anyhow::Result<Vec<SubscriberId>> {
    let mut found = Vec::with_capacity(addresses.len());
    for address in addresses {
        let reader = app.store.subscriber(&address.canonical()).await?;
        let reader = reader
            .with_context(|| format!("there is no reader `{address}`; nothing was changed"))?;
        found.push(reader.id);
    }
    Ok(found)
}

async fn apply(
    app: &App,
    readers: &[SubscriberId],
    tag: &Tag,
    change: Change,
) -> anyhow::Result<u64> {
    match change {
        Change::On => Ok(app.store.tag(readers, tag.as_str()).await?),
        Change::Off => Ok(app.store.untag(readers, tag.as_str()).await?),
    }
}
