//! `pressrun stats ISSUE --watch`: the numbers as they move, with lines of little bars.
//!
//! Promises: on a terminal the picture is drawn anew every second; elsewhere a line is printed when something moved.
//! Ends at Ctrl-C, or with the run where that was asked for.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;

use crate::app::App;
use crate::cli::Exit;
use crate::cli::output::{print, print_file};
use crate::cli::stats::columns::{columns, grouped, row};
use crate::cli::stats::report;
use crate::id::RunId;
use crate::numbers::{self, Report};
use crate::stats::spark;

const EVERY: Duration = Duration::from_secs(1);
/// Seconds that the lines show.
const WIDTH: usize = 60;
/// Moves to the upper left corner and clears what follows.
const AFRESH: &str = "\x1b[H\x1b[J";

/// Shows the run until told to stop.
pub async fn watch(app: &App, run: RunId, until_finished: bool) -> anyhow::Result<Exit> {
    let terminal = std::io::stdout().is_terminal();
    let mut past = Past::default();
    let mut said = String::new();
    loop {
        numbers::catch_up(app, run).await?;
        let found = numbers::issue(app, run).await?;
        let found = found.context("the run was removed just now")?;
        past.add(&found);
        if terminal {
            print_file(AFRESH)?;
            print(&format!("{}\n{}", past.lines(), report::issue(&found)))?;
        } else {
            let now = sentence(&found);
            if now != said {
                print(&now)?;
                said = now;
            }
        }
        let over = found.run.status.is_over();
        if until_finished && over {
            return Ok(Exit::Done);
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
        }
    }
}

/// What each second added.
#[derive(Default)]
struct Past {
    last: Option<[i64; 3]>,
    seconds: VecDeque<[i64; 3]>,
}

impl Past {
    fn add(&mut self, report: &Report) {
        let now = [report.run.counts.sent, report.run.opens, report.run.clicks];
        if let Some(last) = self.last.replace(now) {
            if self.seconds.len() == WIDTH {
                self.seconds.pop_front();
            }
            self.seconds
                .push_back([now[0] - last[0], now[1] - last[1], now[2] - last[2]]);
        }
    }

    fn lines(&self) -> String {
        let names = ["sent", "opens", "clicks"];
        let rows: Vec<Vec<String>> = (0..3)
            .map(|place| {
                let numbers: Vec<i64> = self.seconds.iter().map(|second| second[place]).collect();
                let last = numbers.last().copied().unwrap_or(0);
                let bars = spark::line(&numbers);
                row([
                    names[place],
                    &format!("{} a second", grouped(last)),
                    &format!("{bars:>WIDTH$}|"),
                ])
            })
            .collect();
        columns(&rows, |place| place == 1)
    }
}

fn sentence(report: &Report) -> String {
    let run = &report.run;
    format!(
        "{}: {} of {} sent; {} readers clicked, {} opened, {} left\n",
        run.status,
        grouped(run.counts.sent),
        grouped(run.recipients),
        grouped(report.judged.clicked.part),
        grouped(report.judged.opened.part),
        grouped(run.departed),
    )
}
