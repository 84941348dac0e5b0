//! `pressrun why`: in one sentence, why a run stands where it stands.

use clap::Args;
use serde_json::json;

use crate::cli::output::{print, print_json};
use crate::cli::{Cli, Exit};
use crate::deliver::setup;
use crate::notice::failing::failing;
use crate::run::{self, trial, why};
use crate::terminal::plain;

/// Says why a run stands where it stands: the cause, since when, what goes on, when it is next tried.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Slug or folder of the issue, and `:RUN` behind it for another run than its newest; every run that is not over
    /// when not said.
    issue: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `pressrun why`.
pub(super) async fn run(cli: &Cli, arguments: &Arguments) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    let found = match &arguments.issue {
        Some(issue) => {
            let run = run::find(&app, issue).await?;
            trial::catch_up(&app, &run).await?;
            vec![why::why(&app, &run).await?]
        }
        None => {
            for run in app.store.open_runs().await? {
                trial::catch_up(&app, &run).await?;
            }
            why::all(&app).await?
        }
    };
    let doubt = match arguments.issue {
        Some(_) => None,
        None => why::doubt(&app).await?,
    };
    let amiss = match arguments.issue {
        Some(_) => Vec::new(),
        None => setup::amiss(&app.store, &app.config).await?,
    };
    let failing = match arguments.issue {
        Some(_) => None,
        None => failing(&app.store, &app.config).await?,
    };
    if arguments.json {
        let doubt = doubt.iter().map(serde_json::to_value);
        let each = doubt.chain(found.iter().map(serde_json::to_value));
        let senders = |sentence| Ok(json!({ "cause": "senders", "sentence": sentence }));
        let each = each.chain(amiss.iter().map(senders));
        let each = each.chain(failing.iter().map(serde_json::to_value));
        print_json(&each.collect::<Result<Vec<_>, _>>()?)?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    if let Some(doubt) = &doubt {
        text = format!("{}\n", plain(&doubt.sentence));
    } else if found.is_empty() {
        text.push_str("no run is under way; nothing waits\n");
    }
    for one in &found {
        text.push_str(&plain(&one.sentence));
        text.push('\n');
    }
    for one in &amiss {
        text.push_str(&plain(one));
        text.push('\n');
    }
    if let Some(failing) = &failing {
        text.push_str(&plain(&failing.sentence));
        text.push('\n');
    }
    print(&text)?;
    Ok(Exit::Done)
}
