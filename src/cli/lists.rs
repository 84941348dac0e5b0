//! `pressrun lists`: adds lists and shows how many readers stand on them.

use anyhow::bail;
use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::cli::output::{print, print_json, table};
use crate::cli::{Cli, Exit, audit};
use crate::id::ListId;
use crate::lists;
use crate::slug::Slug;
use crate::stats::growth::SUPPRESSED;
use crate::subscriber::{List, Status};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Adds a list.
    Add {
        /// Short name, for commands and URLs: lower-case letters, digits and hyphens.
        slug: Slug,
        /// What readers see.
        #[arg(long)]
        title: String,
    },
    /// Shows lists and their readers by status.
    Show {
        /// Only this list.
        slug: Option<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(cli: &Cli, command: &Command) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    match command {
        Command::Add { slug, title } => {
            if !lists::add(&app, slug, title).await? {
                bail!("a list is named `{slug}` already; nothing was changed");
            }
            audit::note(&app, "added a list", &format!("list {slug}")).await?;
            print(&format!("added list `{slug}`\n"))?;
        }
        Command::Show { slug, json } => {
            let shown = match slug {
                Some(slug) => vec![lists::find(&app, slug).await?],
                None => {
                    lists::ensure_default(&app).await?;
                    app.store.lists().await?
                }
            };
            let counts = Counts {
                all: app.store.subscription_counts().await?,
                suppressed: app.store.suppressed_counts().await?,
            };
            match json {
                true => print_json(&as_json(&shown, &counts))?,
                false => print(&as_table(&shown, &counts))?,
            }
        }
    }
    app.store.close().await;
    Ok(Exit::Done)
}

type ByStatus = Vec<(ListId, Status, i64)>;

/// Subscriptions, and those of them that get nothing.
struct Counts {
    all: ByStatus,
    suppressed: ByStatus,
}

impl Counts {
    /// Readers of a list by the name of their status, the suppressed for themselves: nothing is sent to them.
    fn of(&self, list: ListId) -> Vec<(&'static str, i64)> {
        let number = |counts: &ByStatus, status: Status| {
            let found = counts.iter().find(|(l, s, _)| (*l, *s) == (list, status));
            found.map_or(0, |(_, _, count)| *count)
        };
        let mut suppressed = 0;
        let mut found: Vec<_> = Status::ALL
            .into_iter()
            .map(|status| {
                let lost = number(&self.suppressed, status);
                suppressed += lost;
                (status.name(), number(&self.all, status) - lost)
            })
            .collect();
        found.push((SUPPRESSED, suppressed));
        found
    }
}

fn as_table(lists: &[List], counts: &Counts) -> String {
    let mut header = vec!["list", "title"];
    header.extend(Status::ALL.map(Status::name));
    header.push(SUPPRESSED);
    let row = |list: &List| {
        let mut row = vec![list.slug.clone(), list.title.clone()];
        let counts = counts.of(list.id).into_iter();
        row.extend(counts.map(|(_, number)| number.to_string()));
        row
    };
    table(&header, &lists.iter().map(row).collect::<Vec<_>>())
}

fn as_json(lists: &[List], counts: &Counts) -> Value {
    let entry = |list: &List| {
        let statuses = counts.of(list.id).into_iter();
        let statuses: Map<String, Value> = statuses
            .map(|(name, number)| (name.to_owned(), json!(number)))
            .collect();
        json!({
            "slug": list.slug,
            "title": list.title,
            "label": list.label,
            "created_at": list.created_at.to_rfc3339(),
            "subscriptions": statuses,
        })
    };
    lists.iter().map(entry).collect()
}
