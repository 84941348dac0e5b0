//! `pressrun verify`: the proof of one run or of all.

use anyhow::ensure;
use clap::Args;

use crate::app::App;
use crate::cli::output::{print, print_json};
use crate::cli::{Cli, Exit, links};
use crate::delivery::State;
use crate::run;
use crate::run::verify::{self, Verified, ground};
use crate::store::Store;
use crate::terminal::plain;

/// Proves runs: rows against counters, markers against outcomes, links and keys. Fails where they differ.
#[derive(Debug, Args)]
pub struct Verify {
    /// Slug or folder of the issue, and `:RUN` behind it for another run than its newest; all runs and the system
    /// mails when not said.
    issue: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `pressrun verify`.
pub(super) async fn run(cli: &Cli, verify: &Verify) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    if let Some(exit) = none_or_another(&app, verify.json).await? {
        return Ok(exit);
    }
    let balanced = match &verify.issue {
        Some(issue) => one(&app, issue, verify.json).await?,
        None => all(&app, verify.json).await?,
    };
    Ok(match balanced {
        true => Exit::Done,
        false => Exit::Attention,
    })
}

/// What is said of a database that holds no tables, or those of another pressrun; none where it can be looked at.
async fn none_or_another(app: &App, json: bool) -> anyhow::Result<Option<Exit>> {
    let newest = Store::newest_migration();
    match app.store.migration().await? {
        Some(here) => {
            ensure!(
                here >= newest,
                "the database is of an older pressrun (migration {here} of {newest}), and `verify` changes nothing: \
                 any other command brings it up to date, `pressrun status` for example"
            );
            ensure!(
                here == newest,
                "a newer pressrun has used this database (its migration {here}); use that version, for this one does \
                 not know what it reads"
            );
            Ok(None)
        }
        None => {
            let state = app.path(&app.config.paths.state);
            let Some(fault) = ground::of_nothing(&state)? else {
                match json {
                    true => print_json(&Vec::<Verified>::new())?,
                    false => print("the database is empty: nothing was ever sent from it\n")?,
                }
                return Ok(Some(Exit::Done));
            };
            tell(&[Verified::of_all(vec![fault])], json)?;
            Ok(Some(Exit::Attention))
        }
    }
}

async fn one(app: &App, issue: &str, json: bool) -> anyhow::Result<bool> {
    let ground = ground::look(app).await?;
    let (sound, holds) = (ground.faults.is_empty(), ground.holds);
    let ground = Verified::of_all(ground.faults);
    if !holds {
        tell(&[ground], json)?;
        return Ok(false);
    }
    let found = run::find(app, issue).await?;
    let verified = verify::one(app, &found).await?;
    let balanced = sound && verified.balanced;
    if json && sound {
        print_json(&verified)?;
        return Ok(balanced);
    } else if json {
        print_json(&[ground, verified])?;
        return Ok(balanced);
    } else if !sound {
        tell(&[ground], json)?;
    }
    let mut text = head(&verified);
    text += &format!("  recipients    {:>9}\n", verified.recipients);
    for state in State::ALL {
        text += &format!("  {:<13} {:>9}\n", state.name(), verified.counts.get(state));
    }
    text += match verified.balanced {
        true => "  balanced\n",
        false => "  does not balance:\n",
    };
    print(&format!("{text}{}", remarks(&verified)))?;
    Ok(balanced)
}

async fn all(app: &App, json: bool) -> anyhow::Result<bool> {
    let found = verify::all(app).await?;
    tell(&found, json)?;
    Ok(found.iter().all(|run| run.balanced))
}

fn tell(found: &[Verified], json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(found);
    }
    let mut text = String::new();
    for run in found {
        // Not of a run.
        if run.run == 0 {
            text += &format!("{}: does not agree:\n{}", run.issue, remarks(run));
            continue;
        }
        text += &head(run);
        let states = State::ALL
            .into_iter()
            .map(|state| (state, run.counts.get(state)));
        let states = states.filter(|(_, count)| *count > 0);
        let states: Vec<String> = states
            .map(|(state, count)| format!("{count} {}", state.name()))
            .collect();
        let sum = match states.is_empty() {
            true => String::new(),
            false => format!(" = {}", states.join(" + ")),
        };
        let end = match run.balanced {
            true => ", balanced",
            false => ", does not balance:",
        };
        text += &format!(
            "  {} recipients{sum}{end}\n{}",
            run.recipients,
            remarks(run)
        );
    }
    print(&text)
}

fn head(run: &Verified) -> String {
    format!("{} (run {}): {}\n", run.issue, run.run, run.status)
}

/// What does not hold, and which links were corrected since.
fn remarks(run: &Verified) -> String {
    let line = |fault: &String| format!("  - {}\n", plain(fault));
    let corrected = |repair| format!("  corrected {}\n", links::sentence(repair));
    let faults = run.faults.iter().map(line);
    faults
        .chain(run.corrections.iter().map(corrected))
        .collect()
}
