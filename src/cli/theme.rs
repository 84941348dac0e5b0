//! `pressrun theme`: lists, copies, checks and shows themes.
//!
//! Promises: a copy overwrites nothing; `check` fails exactly when a finding is an error; nothing is sent,
//! and neither database nor keys are opened.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Exit;
use crate::cli::build::publish;
use crate::cli::check::{configuration, findings};
use crate::cli::output::{print, print_json, table};
use crate::cli::preview::{Page, serve};
use crate::compile::theme::inspect::shown;
use crate::diagnostic::Diagnostic;
use crate::http::preview::Target;
use crate::lint::contrast::TEXT;
use crate::publication::themes::{Inspection, check_theme, new_theme, specimen, themes};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Shows the themes there are.
    List(List),
    /// Writes a copy of a theme into the author's folder, to be changed there.
    New(New),
    /// Measures the contrast of a theme's colours and says what is wrong with its files.
    Check(Check),
    /// Shows a theme's specimen issue, in which every block stands, in the browser, anew at each save.
    Preview(Preview),
}

#[derive(Debug, Args)]
pub struct List {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct New {
    /// Name of the new theme: lower-case letters, digits and `-`.
    name: String,
    /// The theme that is copied.
    #[arg(long, default_value = "digest", value_name = "THEME")]
    from: String,
}

#[derive(Debug, Args)]
pub struct Check {
    /// The theme; all of them when not said.
    name: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Preview {
    /// The theme; the publication's when not said.
    name: Option<String>,
    /// Writes index.html, text.txt and message.eml into this folder instead; made if it is not there.
    #[arg(short, long, value_name = "DIR", conflicts_with_all = ["port", "open", "editor"])]
    out: Option<PathBuf>,
    #[command(flatten)]
    page: Page,
}

pub(super) async fn run(config: &Path, command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::List(list) => show(config, list),
        Command::New(new) => copy(config, new),
        Command::Check(check) => inspect(config, check),
        Command::Preview(Preview { name, out, page }) => match out {
            Some(out) => build(config, name.as_deref(), out),
            None => serve(config, Target::theme(name.as_deref()), page).await,
        },
    }
}

fn show(config: &Path, list: &List) -> anyhow::Result<Exit> {
    let (config, emails) = configuration(config)?;
    let themes = themes(&emails)?;
    if list.json {
        print_json(&themes)?;
        return Ok(Exit::Done);
    }
    let row = |theme: &crate::publication::themes::Listed| {
        let place = if theme.own { "yours" } else { "built in" };
        let used = if theme.name == config.publication.theme {
            "the publication's"
        } else {
            ""
        };
        vec![theme.name.clone(), place.to_owned(), used.to_owned()]
    };
    let rows: Vec<Vec<String>> = themes.iter().map(row).collect();
    print(&table(&["theme", "place", ""], &rows))?;
    Ok(Exit::Done)
}

fn copy(config: &Path, new: &New) -> anyhow::Result<Exit> {
    let path = std::path::absolute(config)?;
    let (_, emails) = configuration(config)?;
    let base = path.parent().unwrap_or(&emails).to_owned();
    let mut text = String::new();
    for file in new_theme(&emails, &new.name, &new.from)? {
        let shown = file.strip_prefix(&base).unwrap_or(&file);
        text.push_str(&format!("{}\n", shown.display()));
    }
    text.push_str(&format!(
        "colours, type and spaces stand in theme.toml; `pressrun theme check {name}` looks it over,\n\
         `theme: {name}` above an issue uses it\n",
        name = new.name
    ));
    print(&text)?;
    Ok(Exit::Done)
}

fn inspect(config: &Path, check: &Check) -> anyhow::Result<Exit> {
    let (config, emails) = configuration(config)?;
    let names = match &check.name {
        Some(name) => vec![name.clone()],
        None => themes(&emails)?
            .into_iter()
            .map(|theme| theme.name)
            .collect(),
    };
    let mut inspections = Vec::new();
    for name in names {
        inspections.push(check_theme(&config, &emails, &name)?);
    }
    let mut found = inspections.iter().flat_map(|one| &one.diagnostics);
    let failed = found.any(Diagnostic::is_error);
    if check.json {
        print_json(&inspections)?;
    } else {
        for inspection in &inspections {
            print(&report(inspection)?)?;
        }
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn report(inspection: &Inspection) -> anyhow::Result<String> {
    let mut text = match inspection.html_octets {
        Some(octets) => format!(
            "{}: its specimen makes {} KiB of HTML\n",
            inspection.theme,
            octets.div_ceil(1024)
        ),
        None => format!("{}\n", inspection.theme),
    };
    let ratio = |ratio: f64| match ratio >= TEXT {
        true => shown(ratio),
        false => format!("{} (too low)", shown(ratio)),
    };
    let rows = inspection.contrasts.iter().map(|pair| {
        vec![
            format!("{} on {}", pair.words, pair.ground),
            ratio(pair.light),
            ratio(pair.dark),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if !rows.is_empty() {
        text.push_str(&table(&["contrast", "light", "dark"], &rows));
    }
    text.push_str(&findings(&inspection.diagnostics));
    Ok(text)
}

fn build(config: &Path, name: Option<&str>, out: &Path) -> anyhow::Result<Exit> {
    let (loaded, emails) = configuration(config)?;
    let name = name.unwrap_or(&loaded.publication.theme);
    publish(config, &loaded, specimen(&loaded, &emails, name), out)
}
