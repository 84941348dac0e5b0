//! `pressrun subscribers import`: the import with a progress bar and a summary.

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::access::Doer;
use crate::app::App;
use crate::cli::output::{print, print_json};
use crate::cli::{Exit, audit};
use crate::import::outcome::Outcome;
use crate::import::{Import as Job, Progress, Summary, restore};
use crate::subscriber::{Status, clean_name};
use crate::terminal::plain;

/// Rejected rows that are told one by one; JSON has a thousand of them, and the file all.
const TOLD: usize = 5;
/// How often a line is printed where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub struct Import {
    /// A CSV file in UTF-8 with a header line, or the export of Substack, Mailchimp, Kit, Ghost, Buttondown,
    /// beehiiv or listmonk as it comes, zip or CSV; one column holds the address. Or the JSON lines of
    /// `subscribers export`, which come back as they were.
    file: PathBuf,
    /// Short name of the list; JSON lines name their own.
    #[arg(long)]
    list: Option<String>,
    /// How these readers agreed to get the newsletter, such as "double opt-in at Mailchimp, 2021 to 2026"; it
    /// is kept. Without it, they come as pending and get no mail before they confirm.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    consent: String,
    /// How new subscriptions begin: confirmed with a consent and pending without, when not said. When said,
    /// `confirmed` also confirms readers who were pending.
    #[arg(long, value_parser = super::beginning())]
    status: Option<Status>,
    /// What a column holds, where its header does not say it: `email`, `name` or a declared field; `standing`, if it
    /// says who has left or is not to be mailed; `-`, if it means something else.
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = super::pair)]
    map: Vec<(String, String)>,
    /// Answers what an import asks: `taken-off`, where the file takes more than 5 % of the list off it, and more than five
    /// readers or half of them.
    #[arg(long, value_name = "GUARD", value_parser = ["taken-off"])]
    accept: Vec<String>,
    /// Counts what would happen and writes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(app: &App, import: &Import) -> anyhow::Result<Exit> {
    if restore::is_lines(&import.file) {
        return restored(app, import).await;
    }
    let Some(list) = &import.list else {
        bail!("say which list these readers are for: `--list NAME`");
    };
    let consent = clean_name(&import.consent);
    if import.status == Some(Status::Confirmed) && consent.is_empty() {
        bail!(
            "nobody is confirmed without a stated consent; say how these readers agreed: `--consent \"...\"`"
        );
    }
    let begin = match consent.is_empty() {
        true => Status::Pending,
        false => Status::Confirmed,
    };
    let job = Job {
        file: import.file.clone(),
        list: list.clone(),
        status: import.status.unwrap_or(begin),
        confirm: import.status == Some(Status::Confirmed),
        consent,
        map: import.map.clone(),
        accept_taken_off: !import.accept.is_empty(),
        by: Some(Doer::command(audit::whoever())),
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

/// JSON lines of our own come back as they were.
async fn restored(app: &App, import: &Import) -> anyhow::Result<Exit> {
    let said = import.list.is_some() || import.status.is_some() || !import.map.is_empty();
    if said || !import.consent.is_empty() || !import.accept.is_empty() {
        bail!(
            "JSON lines say themselves on which lists their readers are, and how; name no more than the file"
        );
    }
    if !import.dry_run {
        audit::note(app, "read back exported readers", "").await?;
    }
    let mut meter = Meter::new();
    let show = |progress| meter.show(progress);
    let summary = restore::run(app, &import.file, import.dry_run, show).await;
    meter.end();
    let summary = summary?;
    if import.json {
        print_json(&summary)?;
        return Ok(Exit::Done);
    }
    let done = match summary.dry_run {
        true => "a dry run: nothing was written of",
        false => "read back",
    };
    let mut text = format!("{done} `{}`\n+{} readers", summary.file, summary.added);
    for (count, what) in [
        (summary.known, "known, and left as they are"),
        (summary.lists, "lists"),
        (summary.imports, "imports"),
        (summary.suppressions, "suppressed addresses"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text.push('\n');
    print(&text)?;
    Ok(Exit::Done)
}

fn as_text(summary: &Summary) -> String {
    let mut text = first_line(summary);
    text.push_str(&format!("{}\n", diff(summary)));
    for note in Outcome::from(summary).notes() {
        text.push_str(&format!("note: {}\n", plain(&note)));
    }
    taken_off(&mut text, summary);
    pending(&mut text, summary);
    unread(&mut text, summary);
    rejected(&mut text, summary);
    if let Some(id) = summary.import {
        if summary.resumed > 0 {
            text.push_str("an import that was broken off went on\n");
        }
        text.push_str(&format!(
            "`pressrun subscribers undo-import {id}` takes it back\n"
        ));
    }
    text
}

fn first_line(summary: &Summary) -> String {
    let Summary { file, list, .. } = summary;
    let whose = match summary.service.as_str() {
        "" => String::new(),
        service => format!(", an export of {service},"),
    };
    match summary.dry_run {
        true => format!("a dry run: nothing of `{file}`{whose} was written to `{list}`\n"),
        false if summary.tally.added == 0 => format!("imported `{file}`{whose} into `{list}`\n"),
        false => format!(
            "imported `{file}`{whose} into `{list}` as {}\n",
            summary.status
        ),
    }
}

/// Readers of the list who get no mail any more.
fn taken_off(text: &mut String, summary: &Summary) {
    let toll = summary.toll();
    if summary.dry_run && toll.is_heavy() {
        let words = toll.words(&summary.list);
        text.push_str(&format!(
            "note: {words}; is that what the file means? The import asks for `--accept taken-off`\n"
        ));
    } else if summary.tally.taken_off > 0 {
        text.push_str(match summary.dry_run {
            true => "note: readers of this list would get no mail any more; is that what the file means?\n",
            false => "note: readers of this list get no mail any more; taking the import back puts them back\n",
        });
    }
}

/// Readers who have not confirmed yet, and what becomes of them.
fn pending(text: &mut String, summary: &Summary) {
    let (pending, waiting) = (summary.tally.pending, summary.tally.waiting);
    if pending > 0 {
        text.push_str(&format!(
            "pending, and mailed nothing before they confirm: {pending}"
        ));
        text.push_str(match summary.consent.is_empty() {
            true => "; `--status confirmed --consent \"how they agreed\"` confirms them\n",
            false => "\n",
        });
    }
    if waiting > 0 {
        text.push_str(&format!(
            "pending before this, and left so: {waiting}; `--status confirmed` beside `--consent` confirms them\n"
        ));
    }
    if waiting + pending > 0 {
        text.push_str(&format!(
            "`pressrun subscribers ask --list {}` mails those who are pending, once, whether they want it\n",
            summary.list
        ));
    }
}

/// Which tables of the file were read, and which columns were not.
fn unread(text: &mut String, summary: &Summary) {
    if !summary.tables.is_empty() {
        let names = plain(&summary.tables.join("`, `"));
        text.push_str(&format!("tables in the archive: `{names}`\n"));
    }
    if !summary.passed_over.is_empty() {
        text.push_str(&format!(
            "tables of other things were passed over: {}\n",
            summary.passed_over.len()
        ));
    }
    if !summary.ignored_columns.is_empty() {
        let names = plain(&summary.ignored_columns.join("`, `"));
        text.push_str(&format!(
            "columns without a field were ignored: `{names}`\n"
        ));
    }
}

/// The first rejected rows, and where all of them are.
fn rejected(text: &mut String, summary: &Summary) {
    let told = summary.rejects.len().min(TOLD);
    for reject in &summary.rejects[..told] {
        let place = match &reject.table {
            Some(table) => format!("`{}`, line {}", plain(table), reject.line),
            None => format!("line {}", reject.line),
        };
        text.push_str(&format!("rejected: {place}: {}\n", plain(&reject.reason)));
    }
    let more = summary.rejected.saturating_sub(told as u64);
    if more > 0 {
        text.push_str(&format!("rejected: {more} more\n"));
    }
    for column in &summary.doubted {
        let column = plain(column);
        text.push_str(&format!(
            "if `{column}` says something else than how readers stand: `--map \"{column}=-\"` reads the file without it\n"
        ));
    }
    for path in &summary.rejects_files {
        text.push_str(&format!(
            "rejected rows are in `{path}`; mend them and import that file\n"
        ));
    }
}

/// What changes, in one line: `+412 new, 88 known, 19 stay unsubscribed, 6 rejected`.
fn diff(summary: &Summary) -> String {
    let mut parts = vec![format!("+{} new", summary.tally.added)];
    let others = Outcome::from(summary).parts().into_iter();
    parts.extend(others.map(|(count, what)| format!("{count} {what}")));
    parts.join(", ")
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
