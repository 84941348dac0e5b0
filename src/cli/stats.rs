//! `pressrun stats [ISSUE] [--json]`: what became of a run, and what readers did.
//!
//! Promises: reads counters only, so it is quick for any run; no control character of an issue, a link
//! or a relay's reply reaches the terminal.

mod segment;

use std::fmt::Write;

use anyhow::Context;

use crate::app::App;
use crate::cli::Exit;
use crate::delivery::State;
use crate::run::trial;
use crate::stats::{RunNumbers, percent};

/// Runs in the table without an issue.
const RUNS: u32 = 50;
/// Characters of a link's name or target in the table.
const NAME: usize = 36;
const URL: usize = 60;

/// Shows numbers: of every run, or of one issue.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Slug of the issue, whose newest run is shown; all runs when not said.
    pub issue: Option<String>,
    /// Only among its readers who are in this segment now: a name of `segments.toml`, or an expression.
    #[arg(long, value_name = "SEGMENT", requires = "issue")]
    pub segment: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Prints the numbers; exit code 3 when a ledger does not balance.
pub async fn run(app: &App, args: &Args) -> anyhow::Result<Exit> {
    let Some(issue) = &args.issue else {
        let runs = app.store.runs_in_numbers(RUNS).await?;
        if args.json {
            println!("{}", serde_json::to_string_pretty(&runs)?);
        } else {
            print!("{}", runs_table(&runs));
        }
        return Ok(Exit::Done);
    };
    let run = app.store.newest_run(issue).await?;
    let run = run.with_context(|| {
        format!(
            "no run of `{}`; `pressrun stats` lists the runs",
            printable(issue)
        )
    })?;
    if let Some(said) = &args.segment {
        return segment::run(app, run, said, args.json).await;
    }
    let numbers = app.store.run_in_numbers(run).await?;
    let mut numbers = numbers.context("the run was removed just now; try again")?;
    numbers.test = trial::numbers_of(app, run).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&numbers)?);
    } else {
        print!("{}", run_report(&numbers));
    }
    let whole = numbers.balanced() || numbers.status == "freezing";
    Ok(if whole { Exit::Done } else { Exit::Attention })
}

fn runs_table(runs: &[RunNumbers]) -> String {
    if runs.is_empty() {
        return "no run yet; `pressrun send ISSUE` starts the first\n".to_owned();
    }
    let mut rows = vec![
        [
            "run",
            "issue",
            "status",
            "started",
            "recipients",
            "sent",
            "opened",
            "clicked",
            "unsubscribes",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.extend(runs.iter().map(|run| {
        vec![
            run.run.to_string(),
            cut(&printable(&run.slug), NAME),
            run.status.clone(),
            run.started_at.unwrap_or(run.created_at).to_rfc3339(),
            run.recipients.to_string(),
            run.counts.sent.to_string(),
            share(run.opened, run.rates.opened),
            share(run.clicked, run.rates.clicked),
            share(run.departed, run.rates.departed),
        ]
    }));
    table(&rows, 4)
}

fn run_report(run: &RunNumbers) -> String {
    let mut text = format!(
        "{} (run {}, {})\n",
        printable(&run.title),
        run.run,
        run.status
    );
    if let Some(reason) = &run.reason {
        line(&mut text, &format!("  {}", printable(reason)));
    }
    let mut rows = vec![row("recipients", run.recipients, "")];
    for state in State::ALL {
        let rate = match state {
            State::Bounced => percent(run.rates.bounced),
            _ => String::new(),
        };
        rows.push(row(state.name(), run.counts.get(state), &rate));
    }
    text.push('\n');
    text.push_str(&table(&rows, 1));
    text.push('\n');
    text.push_str(&table(
        &[
            row("opened", run.opened, &percent(run.rates.opened)),
            row("clicked", run.clicked, &percent(run.rates.clicked)),
            row("unsubscribes", run.departed, &percent(run.rates.departed)),
            row("opens in all", run.opens, ""),
            row("clicks in all", run.clicks, ""),
        ],
        1,
    ));
    if let Some(test) = &run.test {
        text.push('\n');
        line(&mut text, &printable(&test.sentence()));
    }
    if !run.links.is_empty() {
        let mut rows = vec![
            ["readers", "clicks", "link", ""]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(run.links.iter().map(|link| {
            vec![
                link.readers.to_string(),
                link.clicks.to_string(),
                cut(&printable(&link.name), NAME),
                cut(&printable(&link.url), URL),
            ]
        }));
        text.push('\n');
        text.push_str(&links_table(&rows));
    }
    if !run.balanced() && run.status != "freezing" {
        let all = run.counts.total();
        text.push('\n');
        line(
            &mut text,
            &format!(
                "the states add up to {all} and the recipients are {}; run `pressrun verify {}`",
                run.recipients,
                printable(&run.slug)
            ),
        );
    }
    text
}

fn row(name: &str, count: i64, rate: &str) -> Vec<String> {
    vec![name.to_owned(), count.to_string(), rate.to_owned()]
}

fn share(count: i64, rate: Option<f64>) -> String {
    match rate {
        Some(rate) => format!("{count} ({})", percent(Some(rate))),
        None => count.to_string(),
    }
}

/// Columns from `numbers` on stand to the right.
fn table(rows: &[Vec<String>], numbers: usize) -> String {
    columns(rows, |place| place >= numbers)
}

fn links_table(rows: &[Vec<String>]) -> String {
    columns(rows, |place| place < 2)
}

fn columns(rows: &[Vec<String>], right: impl Fn(usize) -> bool) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |place: usize| {
        let cells = rows.iter().filter_map(|row| row.get(place));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut out = String::new();
        for (place, cell) in row.iter().enumerate() {
            let width = widths[place];
            let gap = if place == 0 { "" } else { "  " };
            let cell = if right(place) {
                format!("{gap}{cell:>width$}")
            } else {
                format!("{gap}{cell:<width$}")
            };
            out.push_str(&cell);
        }
        line(&mut text, out.trim_end());
    }
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes every line");
}

/// Without control characters: a slug or a link's name must not move the cursor.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::{cut, printable, table};

    #[test]
    fn nothing_moves_the_cursor_and_numbers_stand_to_the_right() {
        assert_eq!(printable("a\x1b[2Jb\r\n\u{9b}c"), "a[2Jbc");
        assert_eq!(cut("abcdef", 4), "abc…");
        let rows = [("sent", "7"), ("at_dot", "120")];
        let rows = rows.map(|(name, count)| vec![name.to_owned(), count.to_owned()]);
        assert_eq!(table(&rows, 1), "sent      7\nat_dot  120\n");
    }
}
