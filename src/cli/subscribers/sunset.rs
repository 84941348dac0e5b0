//! `pressrun subscribers sunset`: the end of a run that asked its readers whether they want to stay.
//!
//! Promises: nobody is touched whose answer may have gone uncounted; without `--yes` nobody is at all.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use serde_json::json;

use crate::address::masked;
use crate::app::App;
use crate::cli::output::{print, print_json};
use crate::cli::{Exit, audit, control};
use crate::config::parse_duration;
use crate::config::privacy::Tracking;
use crate::run;
use crate::schedule::span;
use crate::store::sunset::{End, Silent};
use crate::track;

/// Readers whose subscriptions change in one transaction.
const STEP: u32 = 200;
/// Addresses shown, masked.
const SHOWN: usize = 10;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Slug or folder of the issue that asked; its newest run counts, and it went to a segment.
    issue: String,
    /// How long each reader had to answer by clicking a link of it.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    after: Duration,
    /// Pauses them: they stay on the list, get nothing, and can come back on their preferences page.
    #[arg(long)]
    pause: bool,
    /// Does it; without, it is only told who it would be.
    #[arg(long)]
    yes: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(app: &App, arguments: &Arguments) -> anyhow::Result<Exit> {
    let found = run::find(app, &arguments.issue).await?;
    let slug = &found.slug;
    ensure!(
        app.config.tracking.clicks && app.config.privacy.tracking == Tracking::Individual,
        "`tracking.clicks` is off, or `privacy.tracking` names nobody, so nobody knows who answered"
    );
    track::fold::catch_up(&app.store).await?;
    ensure!(
        found.segment.is_some(),
        "run {} of `{slug}` went to the whole list and asked nobody in particular; a run that asks goes to a \
         segment: `pressrun send ISSUE --to inactive:8`",
        found.id
    );
    ensure!(
        app.store.nameless_of(&[found.id()]).await?.is_empty(),
        "clicks of run {} of `{slug}` were counted without names (`privacy.tracking`), so nobody knows who answered",
        found.id
    );
    let end = match arguments.pause {
        true => End::Paused,
        false => End::Unsubscribed,
    };
    if arguments.yes {
        let what = format!("made silent readers {}", end.name());
        audit::note(app, &what, &control::about(&found)).await?;
    }
    let now = app.clock.now();
    let unasked = app.config.privacy.unasked;
    let (mut after, mut silent, mut ended) = (-1, 0_u64, 0_u64);
    let mut shown = Vec::new();
    loop {
        let asked_by = now.before(arguments.after);
        let page = app
            .store
            .silent_of(found.id(), after, asked_by, unasked, STEP)
            .await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        silent += page.len() as u64;
        for reader in page.iter().take(SHOWN - shown.len().min(SHOWN)) {
            shown.push(masked(&reader.address));
        }
        if arguments.yes {
            let keys: Vec<i64> = page.iter().map(Silent::key).collect();
            ended += app.store.sunset(&keys, end, now).await?;
        }
    }
    let had = span(arguments.after);
    if arguments.json {
        print_json(&json!({
            "issue": slug,
            "run": found.id,
            "to": found.said_segment(),
            "silent": silent,
            "ended": ended,
            "as": end.name(),
            "shown": shown,
        }))?;
        return Ok(Exit::Done);
    }
    let mut text = format!(
        "{silent} readers of run {} of `{slug}` clicked nothing of it in {had} and are still on the list\n",
        found.id
    );
    for address in &shown {
        text.push_str(&format!("  {address}\n"));
    }
    if silent > shown.len() as u64 {
        text.push_str("  ...\n");
    }
    match (arguments.yes, silent) {
        (true, _) => text.push_str(&format!("{}: {ended}\n", end.name())),
        (false, 0) => {}
        (false, _) => text.push_str(&format!("`--yes` makes them {}\n", end.name())),
    }
    print(&text)?;
    Ok(Exit::Done)
}
