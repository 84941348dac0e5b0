//! `pressrun subscribers probe`: whose mail comes back is asked by one short mail before the address is suppressed.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::app::App;
use crate::cli::output::{print, print_json};
use crate::cli::{Exit, audit};
use crate::config::hygiene::MOST_ISSUES;
use crate::config::parse_duration;
use crate::hygiene::{self, Wish};
use crate::lists;
use crate::schedule::span;

#[derive(Debug, Args)]
pub struct Arguments {
    /// How many issues running came back from the reader's address, or were put off until they expired;
    /// `hygiene.probe_after` when not said.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_ISSUES)))]
    issues: Option<u32>,
    /// Short name of the list; the publication's own when not said.
    #[arg(long)]
    list: Option<String>,
    /// How long a probe must have been taken before its reader counts as reached: some servers return later what
    /// they took; `hygiene.probe_wait` when not said.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    wait: Option<Duration>,
    /// Does it: mails the probes, suppresses the addresses whose probes came back; without, it is only told.
    #[arg(long)]
    yes: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(app: &App, arguments: &Arguments) -> anyhow::Result<Exit> {
    let slug = arguments.list.as_deref();
    let list = lists::find(app, slug.unwrap_or(&app.config.publication.list)).await?;
    let usual = &app.config.hygiene;
    let issues = arguments.issues.unwrap_or(usual.probe_after);
    let wait = arguments.wait.unwrap_or(usual.probe_wait);
    let wish = Wish {
        copies: issues,
        wait,
        act: arguments.yes,
    };
    if arguments.yes {
        audit::note(app, "probed addresses", &format!("list {}", list.slug)).await?;
    }
    let found = hygiene::probe(app, &list, wish).await?;
    if arguments.json {
        print_json(&json!({
            "list": list.slug,
            "issues": issues,
            "done": arguments.yes,
            "failing": found.failing,
            "under_way": found.under_way,
            "kept": found.kept,
            "suppressed": found.suppressed,
            "shown": found.shown,
        }))?;
        return Ok(Exit::Done);
    }
    let wait = span(wait);
    let mut text = match issues {
        1 => format!(
            "{} readers of `{}`: the last issue came back",
            found.failing, list.slug
        ),
        _ => format!(
            "{} readers of `{}`: the last {issues} issues came back",
            found.failing, list.slug
        ),
    };
    text.push_str(if arguments.yes {
        "; each is mailed a probe\n"
    } else {
        "\n"
    });
    for address in &found.shown {
        text.push_str(&format!("  {address}\n"));
    }
    if found.failing > found.shown.len() as u64 {
        text.push_str("  ...\n");
    }
    if found.under_way > 0 {
        text.push_str(&format!(
            "probes on their way, or taken less than {wait} ago: {}\n",
            found.under_way
        ));
    }
    if found.kept > 0 {
        text.push_str(&format!(
            "probes that arrived, so that the reader stays: {}\n",
            found.kept
        ));
    }
    if found.suppressed > 0 {
        let back = match arguments.yes {
            true => "probes that came back; the addresses are suppressed",
            false => "probes that came back",
        };
        text.push_str(&format!("{back}: {}\n", found.suppressed));
    }
    if !arguments.yes && found.failing + found.suppressed > 0 {
        text.push_str(
            "`--yes` mails the probes, and suppresses the addresses whose probes came back\n",
        );
    }
    print(&text)?;
    Ok(Exit::Done)
}
