//! `pressrun subscribers import`: the import with a progress bar and a summary.

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::App;
use crate::cli::Exit;
use crate::cli::output::{pairs, print, print_json};
use crate::import::{Import as Job, Progress, Summary};
use crate::subscriber::Status;

/// How often a line is printed where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub struct Import {
    /// A CSV file in UTF-8 with a header line; one column holds the address.
    file: PathBuf,
    /// Short name of the list.
    #[arg(long)]
    list: String,
    /// How new subscriptions begin: confirmed when not said. When said, `confirmed` also confirms
    /// readers who were pending.
    #[arg(long, value_parser = super::beginning())]
    status: Option<Status>,
    /// What a column holds, where its header does not say it: `email`, `name` or a declared field.
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = super::pair)]
    map: Vec<(String, String)>,
    /// Counts what would happen and writes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(app: &App, import: &Import) -> anyhow::Result<Exit> {
    let job = Job {
        file: import.file.clone(),
        list: import.list.clone(),
        status: import.status.unwrap_or(Status::Confirmed),
        confirm: import.status == Some(Status::Confirmed),
        map: import.map.clone(),
        dry_run: import.dry_run,
    };
    let mut meter = Meter::new();
    let summary = crate::import::run(app, &job, |progress| meter.show(progress)).await;
    meter.end();
    let summary = summary?;
    match import.json {
        true => print_json(&summary)?,
        false => print(&as_text(&summary))?,
    }
    // The rest was imported; the rejected rows want a person.
    Ok(match summary.rejected {
        0 => Exit::Done,
        _ => Exit::Attention,
    })
}

fn as_text(summary: &Summary) -> String {
    let Summary { file, list, .. } = summary;
    let mut text = match summary.dry_run {
        true => format!("a dry run: nothing of `{file}` was written to `{list}`\n"),
        false => format!("imported `{file}` into `{list}` as {}\n", summary.status),
    };
    let counts = [
        ("rows", summary.rows),
        ("added", summary.added),
        ("confirmed", summary.confirmed),
        ("updated", summary.updated),
        ("known", summary.known),
        ("unsubscribed", summary.unsubscribed),
        ("suppressed", summary.suppressed),
        ("duplicates", summary.duplicates),
        ("rejected", summary.rejected),
    ];
    // What did not happen is not worth a line, except that nothing was added.
    let told = counts
        .iter()
        .filter(|(name, count)| *count > 0 || matches!(*name, "rows" | "added"));
    let told: Vec<(&str, String)> = told
        .map(|(name, count)| (*name, count.to_string()))
        .collect();
    text.push_str(&pairs(&told));
    if summary.unsubscribed + summary.suppressed > 0 {
        text.push_str("who left or is suppressed was left alone\n");
    }
    if !summary.ignored_columns.is_empty() {
        let names = summary.ignored_columns.join("`, `");
        text.push_str(&format!(
            "columns without a field were ignored: `{names}`\n"
        ));
    }
    for reject in &summary.rejects {
        text.push_str(&format!(
            "rejected: line {}: {}\n",
            reject.line, reject.reason
        ));
    }
    let more = summary
        .rejected
        .saturating_sub(summary.rejects.len() as u64);
    if more > 0 {
        text.push_str(&format!("rejected: {more} more\n"));
    }
    if let Some(path) = &summary.rejects_file {
        text.push_str(&format!(
            "rejected rows are in `{path}`; mend them and import that file\n"
        ));
    }
    text
}

/// A bar on a terminal; elsewhere a line now and then.
struct Meter {
    bar: Option<ProgressBar>,
    began: Instant,
    told: Instant,
}

impl Meter {
    fn new() -> Meter {
        let now = Instant::now();
        Meter {
            bar: None,
            began: now,
            told: now,
        }
    }

    fn show(&mut self, progress: Progress) {
        let rate = self.rate(progress.rows);
        if stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| {
                let style = ProgressStyle::with_template(
                    "{bar:30} {percent:>3} %  {msg}  {elapsed} gone, {eta} to go",
                );
                let style = style.expect("the template is written out here");
                ProgressBar::new(progress.size).with_style(style)
            });
            bar.set_position(progress.bytes);
            bar.set_message(format!("{} rows, {} a second", progress.rows, rate));
        } else if self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let percent = progress.bytes * 100 / progress.size.max(1);
            eprintln!("{percent} %: {} rows, {} a second", progress.rows, rate);
        }
    }

    fn rate(&self, rows: u64) -> u64 {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        rows * 1_000 / millis.max(1)
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
