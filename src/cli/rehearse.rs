//! `pressrun rehearse`: every reader's message made in memory, and what is wrong with whose.

mod speed;

use std::fmt::Write;
use std::io::{BufWriter, IsTerminal, Write as _, stderr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::App;
use crate::cli::output::{print, print_json, private_file};
use crate::cli::{Cli, Exit, check};
use crate::config::parse_duration;
use crate::import::export::csv_record;
use crate::lists;
use crate::publication::{Built, Rejected, compile_for};
use crate::rehearse::speed::Wish;
use crate::rehearse::{self, Group, Hearing, Named, Report};
use crate::run::whom;
use crate::store::audience::Whom;
use crate::terminal::plain;

/// How often a line is printed where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Makes every reader's message in memory and reports what is wrong with whose; nothing is sent.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// Slug or folder of the issue.
    issue: String,
    /// Short name of the list; the one of the front matter when not said, else the publication's own.
    #[arg(long)]
    list: Option<String>,
    /// Only the readers who are in this segment: a name of `segments.toml`, or an expression.
    #[arg(long, value_name = "SEGMENT", conflicts_with = "speed")]
    to: Option<String>,
    /// Sends to as many made-up readers through the real engine into a sink on this machine, and tells when
    /// the run would end, and what holds it up.
    #[arg(long)]
    speed: bool,
    /// Rehearses the speed for this many readers instead of the list's own number.
    #[arg(long, requires = "speed", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    recipients: Option<u64>,
    /// Rehearses the speed as if each mailbox provider was sent to directly.
    #[arg(long, requires = "speed")]
    direct: bool,
    /// Breaks the rehearsal of the speed off after this time, and reckons the rest from its rate.
    #[arg(long, requires = "speed", default_value = "10m", value_name = "TIME", value_parser = parse_duration)]
    at_most: Duration,
    /// Writes every finding with its reader's key and address to this new file, as CSV; without, the first few of
    /// each kind are shown.
    #[arg(long, value_name = "FILE", conflicts_with = "speed")]
    out: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `pressrun rehearse`. Fails when a finding would stop `pressrun send`.
pub(super) async fn run(cli: &Cli, arguments: &Rehearse) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    let asked = arguments.list.as_deref();
    let titles = lists::titles(&app.store).await?;
    let built = match compile_for(&app.config, &app.emails(), &arguments.issue, &titles, asked) {
        Ok(built) => built,
        Err(error) => {
            let rejected = error.downcast::<Rejected>()?;
            eprint!("{}", check::findings(&rejected.found));
            return Ok(Exit::Failed);
        }
    };
    if arguments.speed {
        let wish = Wish {
            recipients: arguments.recipients,
            direct: arguments.direct,
            at_most: arguments.at_most,
        };
        let list = built.list.clone();
        return speed::run(&app, built, &list, &wish, arguments.json).await;
    }
    let list = &built.list;
    let started = Instant::now();
    let segment = match &arguments.to {
        Some(said) => {
            let sieve = whom::read(&app, "`--to`", said)?;
            let known = app.store.list(list).await?.map(|list| list.id);
            for note in whom::check(&app, &sieve, known, app.clock.now()).await? {
                eprintln!("note: {}", plain(&note));
            }
            Some(sieve)
        }
        None => None,
    };
    let whom = Whom {
        segment: segment.as_ref().map(|sieve| &sieve.filter),
        monthly: false,
        parts: &built.compiled.only,
    };
    let report = match &arguments.out {
        None => with_bar(&app, &built, list, whom, None).await?,
        Some(path) => {
            let file = path.display();
            let broken = || format!("`{file}` cannot be written");
            let mut out = BufWriter::new(private_file(path)?);
            let head = csv_record(&["subscriber", "email", "finding", "field", "detail"]);
            out.write_all(head.as_bytes()).with_context(broken)?;
            let mut each = |found: Named| {
                let (key, kind) = (found.subscriber.to_string(), found.kind.name());
                let cells = [&key, &found.address, kind, &found.field, &found.detail];
                let line = csv_record(&cells);
                out.write_all(line.as_bytes()).with_context(broken)
            };
            let report = with_bar(&app, &built, list, whom, Some(&mut each)).await?;
            out.flush().with_context(broken)?;
            eprintln!("every finding with its reader: `{file}`");
            report
        }
    };
    match arguments.json {
        true => print_json(&report)?,
        false => {
            let took = started.elapsed().as_secs_f64();
            let slug = &built.compiled.slug;
            let head = format!(
                "`{slug}` for {} readers of `{list}`, made in {took:.1} s\n",
                report.readers
            );
            print(&format!("{head}{}", as_text(report.findings.iter())))?;
            if arguments.out.is_none() && !report.findings.is_empty() {
                print(&format!("{}\n", who(slug, list)))?;
            }
        }
    }
    Ok(match report.refusals(false).next() {
        Some(_) => Exit::Failed,
        None => Exit::Done,
    })
}

/// Rehearses with a bar on a terminal, and plain lines elsewhere.
pub(super) async fn with_bar(
    app: &App,
    built: &Built,
    list: &str,
    whom: Whom<'_>,
    each: Option<Hearing<'_>>,
) -> anyhow::Result<Report> {
    let bar = stderr().is_terminal().then(|| {
        let style =
            ProgressStyle::with_template("{bar:30} {pos}/{len} readers rehearsed, {eta} left")
                .expect("the template names only what indicatif knows");
        ProgressBar::new(0).with_style(style)
    });
    let mut told = Instant::now();
    let report = rehearse::run(app, built, list, whom, each, |done, total| match &bar {
        Some(bar) => {
            bar.set_length(total);
            bar.set_position(done);
        }
        None if told.elapsed() >= LINE_EVERY => {
            told = Instant::now();
            eprintln!("{done} of {total} readers rehearsed");
        }
        None => {}
    })
    .await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    report
}

/// How the readers of findings are found.
pub(super) fn who(slug: &str, list: &str) -> String {
    format!(
        "who they are: `pressrun subscribers show KEY`; all of them: `pressrun rehearse {slug} --list {list} \
         --out findings.csv`"
    )
}

/// Findings by kind and field, with the first readers of each.
pub(super) fn as_text<'a>(groups: impl Iterator<Item = &'a Group>) -> String {
    let mut out = String::new();
    for group in groups {
        let weight = if group.kind.is_error() {
            "error"
        } else {
            "warning"
        };
        let field = match group.field.as_str() {
            "" => String::new(),
            field => format!(" in `{field}`"),
        };
        let readers = match group.readers {
            1 => "1 reader".to_owned(),
            many => format!("{many} readers"),
        };
        let kind = group.kind.name();
        // Writing into a text does not fail.
        writeln!(out, "{weight}[{kind}]{field}: {readers}").ok();
        for example in &group.examples {
            let (address, detail) = (plain(&example.address), plain(&example.detail));
            writeln!(out, "  {}  {address}  {detail}", example.subscriber).ok();
        }
        if group.readers > group.examples.len() as u64 {
            writeln!(out, "  ...").ok();
        }
    }
    if out.is_empty() {
        out.push_str("nothing is wrong with any of them\n");
    }
    out
}
