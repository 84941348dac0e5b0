//! `pressrun subscribers inactive`: who did nothing with the last issues. It changes nothing.

use clap::Args;
use serde_json::{Value, json};

use crate::app::App;
use crate::cli::Exit;
use crate::cli::output::{print, print_json, table};
use crate::clock::Timestamp;
use crate::id::SubscriberId;
use crate::lists;
use crate::run::whom;
use crate::segment::ISSUES_LIMIT;
use crate::terminal::plain;

/// Readers shown at most.
const SHOWN: u32 = 100_000;

#[derive(Debug, Args)]
pub struct Arguments {
    /// How many issues the reader got at least, and did nothing with.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=i64::from(ISSUES_LIMIT)))]
    issues: u32,
    /// Short name of the list; the publication's own when not said.
    #[arg(long)]
    list: Option<String>,
    /// How many of them are shown.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=i64::from(SHOWN)))]
    show: u32,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(app: &App, arguments: &Arguments) -> anyhow::Result<Exit> {
    let slug = arguments.list.as_deref();
    let list = lists::find(app, slug.unwrap_or(&app.config.publication.list)).await?;
    let said = format!("inactive:{}", arguments.issues);
    let sieve = whom::read(app, "`--issues`", &said)?;
    let (store, now) = (&app.store, app.clock.now());
    whom::check(app, &sieve, Some(list.id), now).await?;
    let readers = store
        .in_segment(list.id, &sieve.filter, true, now)
        .await?
        .readers;
    let of = store.confirmed_on(list.id, true).await?.readers;
    let shown = store
        .members(list.id, &sieve.filter, now, SubscriberId(0), arguments.show)
        .await?;
    if arguments.json {
        let shown: Vec<Value> = shown
            .iter()
            .map(|one| {
                let joined = Timestamp(one.confirmed_at).to_rfc3339();
                json!({ "email": one.address, "confirmed_at": joined })
            })
            .collect();
        print_json(&json!({
            "list": list.slug,
            "issues": arguments.issues,
            "inactive": readers,
            "of": of,
            "readers": shown,
        }))?;
        return Ok(Exit::Done);
    }
    let mut text = format!(
        "{readers} of {of} confirmed readers of `{}` opened and clicked nothing of the last {} issues they \
         got, as far as a person can be told from a machine\n",
        list.slug, arguments.issues
    );
    if !shown.is_empty() {
        let rows: Vec<Vec<String>> = shown
            .iter()
            .map(|one| {
                let joined = Timestamp(one.confirmed_at).to_rfc3339();
                vec![plain(&one.address), joined]
            })
            .collect();
        text.push_str(&table(&["reader", "confirmed"], &rows));
        text.push_str(&format!(
            "ask them whether they want to stay: pressrun send ISSUE --to {said}\n"
        ));
    }
    print(&text)?;
    Ok(Exit::Done)
}
