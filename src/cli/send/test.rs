//! `pressrun test`: an issue to the author's own addresses.

use clap::Args;
use serde_json::json;

use crate::address::EmailAddress;
use crate::app::App;
use crate::cli::output::print_json;
use crate::cli::{Cli, Exit, signal};
use crate::deliver::state;
use crate::lists;
use crate::message::copy::Values;
use crate::publication;
use crate::run::test_copy::{self, Tested};
use crate::terminal::plain;

/// Sends a test copy of an issue: real engine, `[TEST]` in the subject, links that change nothing.
#[derive(Debug, Args)]
pub struct Test {
    /// Slug or folder of the issue.
    issue: String,
    /// Who gets it; need not be a subscriber. May be said several times.
    #[arg(long, required = true, value_name = "ADDRESS")]
    to: Vec<EmailAddress>,
    /// Fills the copy with the values of this reader; without it slots show their defaults, and every
    /// `:::only` is there.
    #[arg(long = "as", value_name = "SUBSCRIBER")]
    reader: Option<EmailAddress>,
    /// Short name of the list that the copy speaks of; the one of the front matter when not said, else the
    /// publication's own.
    #[arg(long, value_name = "LIST")]
    list: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `pressrun test`.
pub(crate) async fn run(cli: &Cli, test: &Test) -> anyhow::Result<Exit> {
    test.run(&cli.open().await?).await
}

impl Test {
    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let stop = signal::stop();
        let to = &self.to;
        let (list, emails) = (self.list.as_deref(), app.emails());
        let titles = lists::titles(&app.store).await?;
        let built = publication::compile_for(&app.config, &emails, &self.issue, &titles, list)?;
        if list.is_some() {
            lists::find(app, &built.list).await?;
        }
        let values = match &self.reader {
            Some(reader) => test_copy::values_of(app, reader, &built).await?,
            None => Values::of_nobody(),
        };
        state::prove(app).await?;
        let report = test_copy::send(app, built, to, &values, stop.subscribe()).await?;
        for diagnostic in &report.built.diagnostics {
            eprintln!("{diagnostic}");
        }
        let tested = &report.tested;
        if self.json {
            let found = &report.built.diagnostics;
            print_json(
                &json!({ "issue": report.built.compiled.slug, "tests": tested, "diagnostics": found }),
            )?;
        } else {
            for one in tested {
                let later = match one.outcome {
                    "deferred" => "; the next `pressrun send` or `serve` tries again",
                    _ => "",
                };
                let address = match to.len() {
                    1 => String::new(),
                    _ => format!("{}: ", one.to),
                };
                println!("{address}{}: {}{later}", one.outcome, plain(&one.reply));
            }
        }
        Ok(match tested.iter().all(Tested::is_sent) {
            true => Exit::Done,
            false => Exit::Attention,
        })
    }
}
