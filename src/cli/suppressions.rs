//! `pressrun suppressions`: addresses never to be mailed.
//!
//! They are kept under a keyed hash, so they can be asked for and counted, but not listed.

use anyhow::{bail, ensure};
use clap::Subcommand;
use serde_json::json;

use crate::address::EmailAddress;
use crate::app::App;
use crate::cli::output::{print, print_json, table};
use crate::cli::{Cli, Exit, audit};
use crate::subscriber::clean_name;
use crate::terminal::plain;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Counts suppressed addresses by reason.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Suppresses an address: no list mails it any more.
    Add {
        /// The address.
        address: EmailAddress,
        /// Why, for whoever asks later.
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
    /// Tells whether an address is suppressed, why and since when.
    Check {
        /// The address.
        address: EmailAddress,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Allows mail to an address again, when its owner asks for it.
    Remove {
        /// The address.
        address: EmailAddress,
        /// Allows it indeed: the owner of the address has asked for it.
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(cli: &Cli, command: &Command) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    match command {
        Command::List { json } => list(&app, *json).await?,
        Command::Add { address, reason } => {
            let reason = clean_name(reason);
            ensure!(!reason.is_empty(), "the reason is empty; say in a word why");
            let fresh = app
                .store
                .suppress_mailbox(
                    &address.canonical(),
                    (&hash(&app, address), &mailbox(&app, address)),
                    &reason,
                    app.clock.now(),
                )
                .await?;
            if fresh {
                audit::note(&app, "suppressed an address", "").await?;
            }
            print(match fresh {
                true => "suppressed\n",
                false => "was suppressed before; the first reason stays\n",
            })?;
        }
        Command::Check { address, json } => check(&app, address, *json).await?,
        Command::Remove { address, yes } => {
            if !yes {
                bail!(
                    "mailing a suppressed address harms every reader's mail; say `--yes` if its owner asked for it"
                );
            }
            let hash = hash(&app, address);
            let own = app
                .store
                .allow(&address.canonical(), &hash, app.clock.now())
                .await?;
            let others = app
                .store
                .allow_mailbox(&address.mailbox(), &mailbox(&app, address))
                .await?;
            // Each reader is allowed by her own address, for the days of her lists.
            let refusing = app.store.refusing(&address.mailbox()).await?;
            let others_of_it = refusing.join("`, `");
            if !own && !others {
                ensure!(
                    !refusing.is_empty(),
                    "the address is not suppressed; nothing was changed"
                );
                bail!(
                    "not this address is suppressed, but `{others_of_it}`, a reader's spelling of the same mailbox; \
                     nothing was changed. Name that one to allow both"
                );
            }
            audit::note(&app, "allowed a suppressed address", "").await?;
            print("no longer suppressed; its subscriptions stay as they are\n")?;
            if !refusing.is_empty() {
                print(&format!(
                    "`{others_of_it}`, a reader's spelling of the same mailbox, stays suppressed: name that one, too\n"
                ))?;
            }
        }
    }
    app.store.close().await;
    Ok(Exit::Done)
}

fn hash(app: &App, address: &EmailAddress) -> [u8; 32] {
    app.keyring.address_hash(&address.canonical())
}

fn mailbox(app: &App, address: &EmailAddress) -> [u8; 32] {
    app.keyring.address_hash(&address.mailbox())
}

async fn list(app: &App, json: bool) -> anyhow::Result<()> {
    let counts = app.store.suppression_counts().await?;
    let total: i64 = counts.iter().map(|(_, count)| count).sum();
    if json {
        let reasons: serde_json::Map<_, _> = counts
            .into_iter()
            .map(|(reason, count)| (reason, json!(count)))
            .collect();
        return print_json(&json!({ "total": total, "reasons": reasons }));
    }
    let rows: Vec<Vec<String>> = counts
        .into_iter()
        .map(|(reason, count)| vec![reason, count.to_string()])
        .collect();
    print(&match rows.is_empty() {
        true => "no address is suppressed\n".to_owned(),
        false => table(&["reason", "addresses"], &rows),
    })
}

async fn check(app: &App, address: &EmailAddress, json: bool) -> anyhow::Result<()> {
    let own = app.store.suppression(&hash(app, address)).await?;
    let other = own.is_none();
    let found = match own {
        None => {
            app.store
                .suppression_of_mailbox(&mailbox(app, address))
                .await?
        }
        own => own,
    };
    if json {
        let reason = found.as_ref().map(|(reason, _)| reason);
        let since = found.as_ref().map(|(_, at)| at.to_rfc3339());
        return print_json(&json!({
            "suppressed": found.is_some(),
            "reason": reason,
            "since": since,
        }));
    }
    print(&match found {
        Some((reason, at)) => {
            let refusing = match other {
                true => app.store.refusing(&address.mailbox()).await?,
                false => Vec::new(),
            };
            let of = match (other, refusing.first()) {
                (false, _) => String::new(),
                (true, None) => "another spelling of its mailbox is ".to_owned(),
                (true, Some(reader)) => {
                    format!("another spelling of its mailbox, the reader `{reader}`, is ")
                }
            };
            format!(
                "{of}suppressed since {}: {}\n",
                at.to_rfc3339(),
                plain(&reason)
            )
        }
        None => "not suppressed\n".to_owned(),
    })
}
