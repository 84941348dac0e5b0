//! `pressrun doctor`: what stands between a newsletter and its readers, and what to do about it.

mod returned;

use std::io::{IsTerminal, stderr};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::address::EmailAddress;
use crate::cli::output::{print, print_json, wipe};
use crate::cli::{Cli, Exit};
use crate::config::{Config, parse_duration};
use crate::doctor::{self, Area, Check, Desk, Findings, Level, Wish};
use crate::terminal::plain;

/// Columns of a line on a terminal.
const WIDTH: usize = 100;

/// Looks at configuration, files, disk, database, clock, relay, DNS and site, and says what to do.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Only these areas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "AREA")]
    only: Vec<OnlyArea>,
    /// Asks neither relay, DNS nor site.
    #[arg(long)]
    offline: bool,
    /// Sends a test copy through the real relay to this address.
    #[arg(long, value_name = "ADDRESS")]
    send: Option<EmailAddress>,
    /// The issue that `--send` sends; the newest of `emails/issues` that compiles when not said.
    #[arg(long, value_name = "ISSUE", requires = "send")]
    issue: Option<String>,
    /// Waits for the sent message in this folder (a maildir, or what `pressrun sink --store` fills).
    #[arg(
        long,
        value_name = "FOLDER",
        requires = "send",
        conflicts_with = "listen"
    )]
    inbound: Option<PathBuf>,
    /// Takes the sent message by SMTP on this address.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "send")]
    listen: Option<SocketAddr>,
    /// How long to wait for the sent message.
    #[arg(long, default_value = "2m", value_parser = parse_duration, value_name = "TIME")]
    wait: Duration,
    /// Looks at a message that was saved with all its header (`Show original`, a `.eml` file).
    #[arg(long, value_name = "FILE", conflicts_with = "send")]
    message: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnlyArea {
    Configuration,
    Files,
    Disk,
    Database,
    Clock,
    Relay,
    Dns,
    Site,
}

impl OnlyArea {
    fn area(self) -> Area {
        match self {
            OnlyArea::Configuration => Area::Configuration,
            OnlyArea::Files => Area::Files,
            OnlyArea::Disk => Area::Disk,
            OnlyArea::Database => Area::Database,
            OnlyArea::Clock => Area::Clock,
            OnlyArea::Relay => Area::Relay,
            OnlyArea::Dns => Area::Dns,
            OnlyArea::Site => Area::Site,
        }
    }
}

/// Runs `pressrun doctor`. Fails with an error, asks for a person with a warning.
pub(super) async fn run(cli: &Cli, arguments: &Doctor) -> anyhow::Result<Exit> {
    let path = std::path::absolute(&cli.config)?;
    let config = match Config::load(&path) {
        Ok(config) => config,
        Err(error) => {
            let mut out = Findings::of(Area::Configuration);
            let advice = "correct it; nothing else can be looked at before";
            out.error("configuration", format!("{error:#}"), advice);
            return tell(&out.checks, arguments.json);
        }
    };
    let base = path.parent().unwrap_or(Path::new("/"));
    let desk = Desk::new(&config, base, arguments.offline);
    let mut areas: Vec<Area> = arguments.only.iter().map(|only| only.area()).collect();
    if areas.is_empty() && arguments.message.is_none() {
        areas = Area::ALL.to_vec();
    }
    let wish = Wish {
        offline: arguments.offline,
        areas,
    };
    let shown = stderr().is_terminal();
    let begin = |area: Area| {
        if shown {
            wipe();
            eprint!("looking at {} ...", area.name());
        }
    };
    let mut checks = doctor::examine(&desk, &path, &wish, begin).await;
    if shown {
        wipe();
    }
    let mut out = Findings::of(Area::Message);
    if let Some(file) = &arguments.message {
        returned::read(&desk, file, arguments.offline, &mut out).await?;
    }
    if let Some(to) = &arguments.send {
        let place = returned::Place {
            issue: arguments.issue.as_deref(),
            inbound: arguments.inbound.as_deref(),
            listen: arguments.listen,
            wait: arguments.wait,
        };
        returned::send(cli, &desk, to, &place, &mut out).await?;
    }
    checks.append(&mut out.checks);
    tell(&checks, arguments.json)
}

fn tell(checks: &[Check], as_json: bool) -> anyhow::Result<Exit> {
    let count = |level: Level| checks.iter().filter(|check| check.level == level).count();
    let worst = checks
        .iter()
        .map(|check| check.level)
        .max()
        .unwrap_or(Level::Ok);
    if as_json {
        print_json(&json!({ "worst": worst, "checks": checks }))?;
    } else {
        let mut text = String::new();
        let mut area = None;
        for check in checks {
            if area != Some(check.area) {
                area = Some(check.area);
                text += &format!("{}\n", check.area.name());
            }
            let says = format!("{:<8} {}", check.level.name(), plain(&check.says));
            text += &wrapped(&says, 2, 11);
            if !check.advice.is_empty() {
                text += &wrapped(&format!("-> {}", plain(&check.advice)), 11, 14);
            }
        }
        let parts = [Level::Error, Level::Warning, Level::Unknown, Level::Ok];
        let parts = parts.into_iter().filter(|level| count(*level) > 0);
        let parts: Vec<String> = parts
            .map(|level| format!("{} {}", count(level), level.name()))
            .collect();
        text += &format!("{}\n", parts.join(", "));
        print(&text)?;
    }
    Ok(match worst {
        Level::Ok => Exit::Done,
        Level::Error => Exit::Failed,
        Level::Warning | Level::Unknown => Exit::Attention,
    })
}

/// Words in lines of at most [`WIDTH`] columns, the first indented by `first`, the others by `next`.
fn wrapped(text: &str, first: usize, next: usize) -> String {
    let mut out = " ".repeat(first);
    let mut column = first;
    for (index, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if index > 0 {
            if column + 1 + width > WIDTH {
                out.push('\n');
                out.push_str(&" ".repeat(next));
                column = next;
            } else {
                out.push(' ');
                column += 1;
            }
        }
        out.push_str(word);
        column += width;
    }
    out.push('\n');
    out
}
