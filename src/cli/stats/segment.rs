//! `pressrun stats ISSUE --segment SEGMENT`: what a run came to among the readers of a segment, as far as it
//! is known by reader.

use anyhow::Context;
use serde_json::{Value, json};

use crate::app::App;
use crate::cli::Exit;
use crate::cli::output::{print, print_json, table};
use crate::clock::Timestamp;
use crate::id::{ListId, RunId};
use crate::run::whom;
use crate::terminal::plain;
use crate::track;

/// Prints the numbers of `run` for the segment `said`.
pub(super) async fn run(app: &App, run: RunId, said: &str, as_json: bool) -> anyhow::Result<Exit> {
    let sieve = whom::read(app, "`--segment`", said)?;
    let found = app.store.run(run).await?;
    let found = found.context("the run was removed just now; try again")?;
    // What is asked of the last issues is asked of those before it.
    let before = found.started_at.unwrap_or(found.created_at) - 1;
    for note in whom::check(app, &sieve, found.list_id.map(ListId), Timestamp(before)).await? {
        eprintln!("note: {}", plain(&note));
    }
    track::fold::catch_up(&app.store).await?;
    let now = app.clock.now();
    let came = app.store.run_in_segment(run, &sieve.filter, now).await?;
    let nameless = !app.store.nameless_of(&[run]).await?.is_empty();
    if as_json {
        let mut numbers = serde_json::to_value(came)?;
        if nameless {
            numbers["opened"] = Value::Null;
            numbers["clicked"] = Value::Null;
        }
        print_json(&json!({
            "issue": found.slug,
            "run": found.id,
            "to": found.said_segment(),
            "segment": sieve.said,
            "nameless": nameless,
            "numbers": numbers,
        }))?;
        return Ok(Exit::Done);
    }
    let head = format!(
        "{} (run {}, {}), readers in `{}`\n\n",
        plain(&found.title),
        found.id,
        found.status,
        plain(&sieve.said)
    );
    let row = |name: &str, number: i64, of: i64| {
        vec![name.to_owned(), number.to_string(), share(number, of)]
    };
    let judged = |name: &str, number: i64| match nameless {
        true => vec![name.to_owned(), "-".to_owned(), String::new()],
        false => row(name, number, came.sent),
    };
    let rows = [
        row("recipients", came.recipients, 0),
        row("sent", came.sent, came.recipients),
        judged("clicked", came.clicked),
        judged("opened", came.opened),
        row("unsubscribes", came.departed, came.sent),
    ];
    let rows = table(&["", "readers", ""], &rows);
    let foot = match nameless {
        true => "\nwho opened and clicked is not kept in anonymous mode\n",
        false => "\nmachines are left out of those who clicked and opened\n",
    };
    print(&format!("{head}{rows}{foot}"))?;
    Ok(Exit::Done)
}

/// `12.3 %`; nothing where there is nothing to be a share of.
fn share(number: i64, of: i64) -> String {
    match of {
        0 => String::new(),
        of => {
            let tenths = (i128::from(number) * 2_000 + i128::from(of)) / (2 * i128::from(of));
            format!("{}.{} %", tenths / 10, tenths % 10)
        }
    }
}
