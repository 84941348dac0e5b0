//! `pressrun relay`: the relays as they are described, as they are found, and a login to one of them.

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use crate::app::App;
use crate::cli::output::{pairs, print, print_json, table};
use crate::cli::{Cli, Exit};
use crate::clock::Timestamp;
use crate::deliver::report::{self, CapReport, RelayReport};
use crate::terminal::plain;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists the relays: state, use, and what they carried.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows one relay: how each sending machine finds it, and what is used of its caps.
    Show {
        /// Name of the relay, as in `[relay.NAME]`.
        name: String,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Logs in at a relay and says what it offers; sends nothing.
    Test {
        /// Name of the relay, as in `[relay.NAME]`.
        name: String,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs `pressrun relay`.
pub(super) async fn run(cli: &Cli, command: &Command) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    match command {
        Command::List { json } => list(&app, *json).await,
        Command::Show { name, json } => show(&app, name, *json).await,
        Command::Test { name, json } => test(&app, name, *json).await,
    }
}

async fn list(app: &App, json: bool) -> anyhow::Result<Exit> {
    let reports = report::report(app).await?;
    if json {
        print_json(&reports)?;
        return Ok(Exit::Done);
    }
    let row = |report: &RelayReport| {
        let day = report.caps.iter().filter(|cap| cap.span == "day");
        let day = day.min_by_key(|cap| cap.most.saturating_sub(cap.used));
        vec![
            report.name.clone(),
            report.kind.to_owned(),
            if report.in_use { "yes" } else { "no" }.to_owned(),
            report.priority.to_string(),
            report.weight.to_string(),
            report.state().to_owned(),
            day.map(|cap| format!("{} of {}", cap.used, cap.most))
                .unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = reports.iter().map(row).collect();
    let header = [
        "relay", "kind", "in use", "priority", "weight", "state", "today",
    ];
    print(&table(&header, &rows))?;
    for report in &reports {
        for line in states(report) {
            print(&format!("{}: {line}\n", report.name))?;
        }
    }
    Ok(Exit::Done)
}

async fn show(app: &App, name: &str, json: bool) -> anyhow::Result<Exit> {
    let reports = report::report(app).await?;
    let found = reports.iter().find(|report| report.name == name);
    let report = found.with_context(|| {
        let known: Vec<_> = reports.iter().map(|report| report.name.as_str()).collect();
        format!(
            "there is no [relay.{name}]; there are `{}`",
            known.join("`, `")
        )
    })?;
    if json {
        print_json(report)?;
        return Ok(Exit::Done);
    }
    let yes = |yes| if yes { "yes" } else { "no" }.to_owned();
    let signs = match (report.signed, report.rewrites) {
        (true, false) => "by Pressrun",
        (true, true) => "by Pressrun, but for Date and Message-ID, which the relay writes anew",
        (false, true) => "by the relay, which writes its own Date and Message-ID too",
        (false, false) => "not by Pressrun",
    };
    let weight = match report.weight {
        0 => "0 (what it can carry)".to_owned(),
        weight => weight.to_string(),
    };
    let partly = report.nodes.iter().any(|told| told.state.why.is_some());
    let state = match report.state() {
        "works" if partly => "works, but not for all",
        state => state,
    };
    let mut rows = vec![
        ("kind", report.kind.to_owned()),
        ("url", report.url.clone()),
        ("in use", yes(report.in_use)),
        ("priority", report.priority.to_string()),
        ("weight", weight),
        ("connections", report.connections.to_string()),
        ("signed", signs.to_owned()),
        ("state", state.to_owned()),
    ];
    rows.extend(report.caps.iter().map(cap));
    print(&format!("{}\n{}", report.name, pairs(&rows)))?;
    for one in &report.amiss {
        print(&format!("  {}\n", plain(one)))?;
    }
    for line in states(report) {
        print(&format!("  {line}\n"))?;
    }
    Ok(Exit::Done)
}

fn cap(cap: &CapReport) -> (&'static str, String) {
    let name = match (cap.warm_up, cap.span) {
        (true, _) => "warm-up",
        (_, "second") => "per second",
        (_, "minute") => "per minute",
        (_, "hour") => "per hour",
        _ => "per day",
    };
    let next = cap.until.to_rfc3339();
    (
        name,
        format!("{} of {} used; anew at {next}", cap.used, cap.most),
    )
}

/// One line for each node that does not find the relay well.
fn states(report: &RelayReport) -> Vec<String> {
    let each = report.nodes.iter().filter(|told| told.state.why.is_some());
    each.map(|told| {
        let state = &told.state;
        let why = state.why.as_deref().map(plain).unwrap_or_default();
        let since = Timestamp(state.since).to_rfc3339();
        let next = state.next_at.map(|at| Timestamp(at).to_rfc3339());
        let next = next.map(|at| format!(", next at {at}")).unwrap_or_default();
        format!(
            "{} on {} since {since}{next}: {why}",
            state.state, told.node
        )
    })
    .collect()
}

async fn test(app: &App, name: &str, json: bool) -> anyhow::Result<Exit> {
    let offered = match report::test(app, name).await {
        Ok(offered) => offered,
        Err(error) if json && app.config.relay.contains_key(name) => {
            print_json(&json!({ "relay": name, "ok": false, "error": plain(&error.to_string()) }))?;
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(error.context(format!("relay {name}"))),
    };
    if json {
        print_json(&json!({ "relay": name, "ok": true, "offered": offered }))?;
        return Ok(Exit::Done);
    }
    let offers = [
        ("PIPELINING", offered.pipelining),
        ("CHUNKING", offered.chunking),
    ];
    let offers: Vec<_> = offers
        .iter()
        .filter(|offer| offer.1)
        .map(|offer| offer.0)
        .collect();
    let size = match offered.size {
        None => "not told".to_owned(),
        Some(0) => "no limit".to_owned(),
        Some(octets) => format!("{octets} octets"),
    };
    let list = |words: &[&str]| match words {
        [] => "none".to_owned(),
        words => words.join(", "),
    };
    let login = match offered.authenticated {
        true => "accepted",
        false => "no credentials are set",
    };
    let rows = [
        (
            "TLS",
            offered.tls.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        ("login", login.to_owned()),
        ("AUTH", list(&offered.auth)),
        ("extensions", list(&offers)),
        ("size", size),
        ("opening", format!("{} ms", offered.opening_ms)),
        ("round trip", format!("{} ms", offered.round_trip_ms)),
    ];
    print(&format!("relay {name} lets us in\n{}", pairs(&rows)))?;
    Ok(Exit::Done)
}
