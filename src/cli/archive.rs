//! `pressrun archive`: what anyone may read of the issues sent, looked at and changed.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::app::App;
use crate::archive;
use crate::archive::export::Origin;
use crate::archive::import::{Report, import};
use crate::cli::output::{print, print_json, table};
use crate::cli::{Cli, Exit, audit};
use crate::clock::Timestamp;
use crate::config::archive::Visibility;
use crate::schedule;
use crate::store::archive::{Page, Shelved};
use crate::terminal::plain;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows the issues that have a page, newest first.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lets everyone read issues, also those that were sent before there was an archive.
    Publish {
        /// Slugs of the issues.
        #[arg(required = true)]
        issues: Vec<String>,
    },
    /// Takes issues out of the archive.
    Hide {
        /// Slugs of the issues.
        #[arg(required = true)]
        issues: Vec<String>,
        /// Out of the index, the feeds and the site map only: whoever knows the new address may read on.
        #[arg(long)]
        unlisted: bool,
    },
    /// Holds an issue back until a day begins; `none` lets it go.
    Embargo {
        /// Slug of the issue.
        issue: String,
        /// The day, such as `2026-06-07`, or `none`.
        until: String,
    },
    /// Takes back issues from an export of another tool into the archive; nobody is mailed.
    ///
    /// They keep their days, and their old addresses lead to their new ones. A second import of the same
    /// changes nothing. What only paying readers had is imported hidden.
    Import {
        /// The export of Substack, the JSON file of Ghost, or a folder of Markdown or HTML files; packed or not.
        export: PathBuf,
        /// Whose export it is; recognised when not said.
        #[arg(long, value_enum)]
        from: Option<Tool>,
        /// Where it stood, such as `name.substack.com`: links to that lead to our pages. Found out from the links
        /// between its issues when not said.
        #[arg(long)]
        host: Option<String>,
        /// Says what would happen and changes nothing.
        #[arg(long)]
        dry_run: bool,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Images, and links, told one by one; JSON has them all.
const TOLD: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    Substack,
    Ghost,
    Folder,
}

pub(super) async fn run(cli: &Cli, command: &Command) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    let mut exit = Exit::Done;
    match command {
        Command::List { json } => {
            let pages = app.store.pages().await?;
            match json {
                true => print_json(&as_json(&app, &pages))?,
                false => print(&as_table(&app, &pages))?,
            }
        }
        Command::Publish { issues } => {
            for issue in issues {
                set(&app, issue, Some(Visibility::Public), None).await?;
            }
        }
        Command::Hide { issues, unlisted } => {
            let visibility = match unlisted {
                true => Visibility::Unlisted,
                false => Visibility::Never,
            };
            for issue in issues {
                set(&app, issue, Some(visibility), None).await?;
            }
        }
        Command::Embargo { issue, until } => {
            let until = archive::embargo(&app, until)?;
            set(&app, issue, None, Some(until)).await?;
        }
        Command::Import {
            export,
            from,
            host,
            dry_run,
            json,
        } => {
            let origin = from.map(|from| match from {
                Tool::Substack => Origin::Substack,
                Tool::Ghost => Origin::Ghost,
                Tool::Folder => Origin::Folder,
            });
            if !dry_run {
                audit::note(&app, "imported back issues", "").await?;
            }
            let report = import(&app, export, origin, host.as_deref(), *dry_run).await?;
            match json {
                true => print_json(&report)?,
                false => print(&imported(&report, *dry_run))?,
            }
            if !report.rejected.is_empty() {
                exit = Exit::Attention;
            }
        }
    }
    app.store.close().await;
    Ok(exit)
}

/// Sets it and says what holds now, in a sentence.
async fn set(
    app: &App,
    issue: &str,
    visibility: Option<Visibility>,
    embargo: Option<Timestamp>,
) -> anyhow::Result<()> {
    let set = archive::set(app, issue, visibility, embargo).await?;
    audit::note(
        app,
        "changed who may read an issue",
        &format!("issue {issue}"),
    )
    .await?;
    let Some(page) = set else {
        return print(&format!(
            "`{issue}` is kept so; its page comes when its run sends to all\n"
        ));
    };
    let who = match Visibility::named(&page.visibility) {
        Some(Visibility::Public) => "everyone may read it",
        Some(Visibility::Unlisted) => "whoever knows its address may read it",
        Some(Visibility::Never) | None => {
            return print(&format!("`{}` is in no archive\n", page.slug));
        }
    };
    let held = held(app, &page).map_or(String::new(), |until| format!(" from {until} on"));
    let address = archive::address(app, &page);
    print(&format!("`{}`: {who}{held}: {address}\n", page.slug))
}

/// Until when a page is held back, if it is still.
fn held(app: &App, page: &Page) -> Option<String> {
    let until = Timestamp(page.embargo_until);
    (until > app.clock.now()).then(|| schedule::shown(until, &app.config.publication.timezone))
}

fn imported(report: &Report, dry: bool) -> String {
    let mut text = format!(
        "{}{} new, {} changed, {} known, {} left out, {} rejected\n",
        if dry { "would be: " } else { "" },
        report.count(Shelved::New),
        report.count(Shelved::Changed),
        report.count(Shelved::Known),
        report.skipped.len(),
        report.rejected.len()
    );
    for done in report
        .shelved
        .iter()
        .filter(|done| done.fate != Shelved::Known)
    {
        let from = done.moved_from.as_ref();
        let from = from.map_or(String::new(), |path| format!(", from {}", plain(path)));
        let hidden = match done.hidden {
            true => format!(
                "; not everyone had it: `pressrun archive publish {}` shows it",
                done.slug
            ),
            false => String::new(),
        };
        text.push_str(&format!(
            "  {}: {}{from}{hidden}\n",
            done.slug,
            plain(&done.title)
        ));
    }
    text.push_str(&pictures_and_links(report));
    for (what, told) in [
        ("left out", &report.skipped),
        ("rejected", &report.rejected),
    ] {
        for told in told {
            text.push_str(&format!(
                "  {what}: {}: {}\n",
                plain(&told.name),
                plain(&told.why)
            ));
        }
    }
    text
}

/// What became of images and of links between the issues.
fn pictures_and_links(report: &Report) -> String {
    let mut text = String::new();
    let images: usize = report.shelved.iter().map(|done| done.images).sum();
    let links: u64 = report.shelved.iter().map(|done| done.links).sum();
    if images > 0 {
        text.push_str(&format!("  images that are kept here now: {images}\n"));
    }
    if links > 0 {
        let hosts: Vec<String> = report.hosts.iter().map(|host| plain(host)).collect();
        let from = match hosts.is_empty() {
            true => String::new(),
            false => format!(", and not to {}", hosts.join(", ")),
        };
        text.push_str(&format!(
            "  links between issues that lead here now{from}: {links}\n"
        ));
    }
    let lost = report.shelved.iter();
    let lost = lost.flat_map(|done| done.lost.iter().map(move |there| (&done.slug, there)));
    let lost: Vec<_> = lost.collect();
    if !lost.is_empty() {
        let count = lost.len();
        text.push_str(&format!(
            "  links to files that have no page here, of which the words are left: {count}\n"
        ));
    }
    for (slug, there) in lost.iter().take(TOLD) {
        text.push_str(&format!("    {slug}: {}\n", plain(there)));
    }
    if lost.len() > TOLD {
        text.push_str(&format!(
            "    and {} more, which `--json` names\n",
            lost.len() - TOLD
        ));
    }
    let remote = report.shelved.iter();
    let remote =
        remote.flat_map(|done| done.remote.iter().map(move |address| (&done.slug, address)));
    let remote: Vec<_> = remote.collect();
    if !remote.is_empty() {
        let count = remote.len();
        text.push_str(&format!(
            "  images that are not in the export and stay on hosts that see who reads: {count}\n"
        ));
    }
    for (slug, address) in remote.iter().take(TOLD) {
        text.push_str(&format!("    {slug}: {}\n", plain(address)));
    }
    if remote.len() > TOLD {
        text.push_str(&format!(
            "    and {} more, which `--json` names\n",
            remote.len() - TOLD
        ));
    }
    text
}

fn as_table(app: &App, pages: &[Page]) -> String {
    let zone = &app.config.publication.timezone;
    let row = |page: &Page| {
        let published = schedule::on_the_wall(Timestamp(page.published_at), zone);
        let open = page.visibility != Visibility::Never.name();
        let address = if open {
            archive::address(app, page)
        } else {
            String::new()
        };
        vec![
            page.slug.clone(),
            published.date().to_string(),
            page.visibility.clone(),
            held(app, page).unwrap_or_default(),
            address,
            plain(&page.title),
        ]
    };
    let header = ["issue", "date", "archive", "held until", "address", "title"];
    table(&header, &pages.iter().map(row).collect::<Vec<_>>())
}

fn as_json(app: &App, pages: &[Page]) -> Value {
    let time = |at: i64| Timestamp(at).to_rfc3339();
    let entry = |page: &Page| {
        let embargo = (page.embargo_until > 0).then(|| time(page.embargo_until));
        let open = page.visibility != Visibility::Never.name();
        json!({
            "slug": page.slug,
            "title": page.title,
            "teaser": page.teaser,
            "visibility": page.visibility,
            "embargo_until": embargo,
            "address": open.then(|| archive::address(app, page)),
            "published_at": time(page.published_at),
            "updated_at": archive::updated(page).to_rfc3339(),
            "run": (page.run_id > 0).then_some(page.run_id),
            "source": page.source,
        })
    };
    pages.iter().map(entry).collect()
}
