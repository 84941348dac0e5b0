//! `pressrun stats ISSUE --segment SEGMENT`: what a run came to among the readers of a segment, as far as it
//! is known by reader.
//!
//! Promises: shares as everywhere, of the copies that count, with intervals or "not enough data"; the run is asked once
//! whether it counts clicks and opens at all.

use anyhow::Context;
use serde_json::json;

use crate::app::App;
use crate::cli::Exit;
use crate::cli::output::{print, print_json, table};
use crate::cli::stats::columns::grouped;
use crate::cli::stats::{Args, spreadsheet};
use crate::clock::Timestamp;
use crate::id::{ListId, RunId};
use crate::numbers;
use crate::run::whom;
use crate::stats::interval::Share;
use crate::terminal::plain;

/// Prints the numbers of `run` for the segment `said`.
pub(super) async fn run(app: &App, run: RunId, said: &str, args: &Args) -> anyhow::Result<Exit> {
    let sieve = whom::read(app, "`--segment`", said)?;
    let found = app.store.run(run).await?;
    let found = found.context("the run was removed just now; try again")?;
    // What is asked of the last issues is asked of those before it.
    let before = found.started_at.unwrap_or(found.created_at) - 1;
    for note in whom::check(app, &sieve, found.list_id.map(ListId), Timestamp(before)).await? {
        eprintln!("note: {}", plain(&note));
    }
    numbers::catch_up(app, run).await?;
    let now = app.clock.now();
    let came = app.store.run_in_segment(run, &sieve.filter, now).await?;
    let whole = numbers::line(app, run).await?;
    let whole = whole.context("the run was removed just now; try again")?;
    let nameless = !app.store.nameless_of(&[run]).await?.is_empty();
    let judged = |number, of_all: Share| match of_all.told && !nameless {
        true => Share::of_counted(number, came.sent, came.uncounted),
        false => Share::default(),
    };
    let numbers = [("recipients", came.recipients), ("sent", came.sent)];
    let shares = [
        ("clicked", judged(came.clicked, whole.clicked_by_readers)),
        ("opened", judged(came.opened, whole.opened_by_readers)),
        ("unsubscribed", Share::of(came.departed, came.sent)),
    ];
    if args.json {
        let mut all = json!({ "uncounted": came.uncounted });
        for (name, number) in numbers {
            all[name] = number.into();
        }
        for (place, (_, share)) in ["clicked", "opened", "departed"].iter().zip(shares) {
            all[place] = serde_json::to_value(share)?;
        }
        print_json(&json!({
            "issue": found.slug,
            "run": found.id,
            "to": found.said_segment(),
            "segment": sieve.said,
            "nameless": nameless,
            "numbers": all,
        }))?;
        return Ok(Exit::Done);
    }
    if args.csv {
        print(&spreadsheet::segment(&sieve.said, &numbers, &shares))?;
        return Ok(Exit::Done);
    }
    let head = format!(
        "{} (run {}, {}), readers in `{}`\n\n",
        plain(&found.title),
        found.id,
        found.status,
        plain(&sieve.said)
    );
    let mut rows: Vec<Vec<String>> = numbers
        .map(|(name, number)| {
            vec![
                name.to_owned(),
                grouped(number),
                String::new(),
                String::new(),
            ]
        })
        .into();
    rows.extend(shares.map(|(name, share)| row(name, &share)));
    let rows = table(&["", "readers", "share", "19 times of 20"], &rows);
    let mut foot = match nameless {
        true => "\nwho opened and clicked is not kept in anonymous mode\n".to_owned(),
        false => "\nmachines are left out of those who clicked and opened\n".to_owned(),
    };
    if came.uncounted > 0 {
        foot.push_str(&format!(
            "{} of the copies count nothing, and stand in no share of clicks and opens\n",
            grouped(came.uncounted)
        ));
    }
    print(&format!("{head}{rows}{foot}"))?;
    Ok(Exit::Done)
}

fn row(name: &str, share: &Share) -> Vec<String> {
    let number = share.number().map_or_else(|| "-".to_owned(), grouped);
    let said = match (share.percent(), share.told) {
        (Some(percent), _) => percent,
        (None, true) => "not enough data".to_owned(),
        (None, false) => "not counted".to_owned(),
    };
    let range = share.interval.map(|found| found.range());
    vec![name.to_owned(), number, said, range.unwrap_or_default()]
}
