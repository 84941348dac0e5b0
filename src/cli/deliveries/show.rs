//! `pressrun deliveries show`: everything known of one delivery.
//!
//! Promises: what a relay or a reader wrote reaches the terminal without control characters.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::address::EmailAddress;
use crate::app::App;
use crate::cli::Exit;
use crate::cli::deliveries::is_deferred;
use crate::cli::output::{pairs, print, print_json};
use crate::clock::Timestamp;
use crate::delivery::State;
use crate::id::DeliveryKey;
use crate::numbers::story::{Marks, Memory, Story, story};
use crate::reply::reason::Reason;
use crate::run::{self, absent, why};
use crate::store::failures::Dossier;
use crate::store::runs::Run;
use crate::terminal::plain;

#[derive(Debug, Args)]
#[command(override_usage = "pressrun deliveries show <ISSUE> <SEQ|ADDRESS> [--json]")]
pub(super) struct Show {
    /// Slug or folder of the issue, and `:RUN` behind it for another run than its newest; left out where it was named
    /// before `show`.
    #[arg(value_name = "ISSUE")]
    first: String,
    /// The delivery's number, or its reader's address.
    #[arg(value_name = "SEQ|ADDRESS")]
    second: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Show {
    /// `named` is the issue, where it stands before `show`.
    pub(super) async fn run(&self, app: &App, named: Option<&str>) -> anyhow::Result<Exit> {
        let (issue, which) = match (named, &self.second) {
            (Some(issue), None) => (issue, &self.first),
            (None, Some(which)) => (self.first.as_str(), which),
            (Some(_), Some(_)) => bail!("the issue is named twice; once will do"),
            (None, None) => {
                bail!(
                    "name the issue, too: `pressrun deliveries show ISSUE {}`",
                    self.first
                )
            }
        };
        let run = run::find(app, issue).await?;
        let mut absent = None;
        let found = match which.parse::<u32>() {
            Ok(seq) => app.store.delivery(run.id(), seq).await?,
            Err(_) => {
                let address = EmailAddress::parse(which)
                    .with_context(|| format!("`{which}` is neither a number nor an address"))?;
                let canonical = address.canonical();
                let found = app.store.delivery_to(run.id(), &canonical).await?;
                if found.is_none() {
                    absent = Some(absent::why(app, &run, &address).await?);
                }
                found
            }
        };
        let Some(dossier) = found else {
            if let Some(why) = absent {
                bail!(
                    "`{}` got nothing by the run of `{}`: {}",
                    plain(which),
                    run.slug,
                    plain(&why)
                );
            }
            bail!(
                "the run of `{}` has no delivery `{}`; `pressrun deliveries {}` lists them",
                run.slug,
                plain(which),
                run.slug
            );
        };
        // What waits has no answer of its own to tell why.
        let why = match dossier.state == State::Queued.name() {
            true => Some(why::why(app, &run).await?.sentence),
            false => None,
        };
        let key = DeliveryKey {
            run: run.id(),
            seq: u32::try_from(dossier.seq).unwrap_or(u32::MAX),
        };
        let mut memory = Memory::of(app).await?;
        let story = story(app, key, &Marks::from(&dossier), &mut memory).await?;
        match self.json {
            true => print_json(&as_json(&run, &dossier, &story, why))?,
            false => print(&as_text(&run, &dossier, &story, why.as_deref()))?,
        }
        Ok(Exit::Done)
    }
}

fn as_text(run: &Run, dossier: &Dossier, story: &Story, why: Option<&str>) -> String {
    let address = dossier.address.as_deref().unwrap_or("(erased)");
    let mut rows: Vec<(&str, String)> = vec![
        ("state", state(dossier)),
        ("attempts", dossier.attempts.to_string()),
    ];
    rows.extend(why.map(|why| ("why it waits", plain(why))));
    let times = [
        ("marker taken", dossier.marked_at),
        ("settled", dossier.settled_at),
        ("left by it", dossier.departed_at),
        ("complained", dossier.complained_at),
    ];
    let known = times.into_iter().filter_map(|(name, at)| Some((name, at?)));
    rows.extend(known.map(|(name, at)| (name, time(at))));
    for (name, reading) in [("opened", story.opened), ("clicked", story.clicked)] {
        let words = reading.words(Timestamp::to_rfc3339);
        rows.extend(words.map(|words| (name, words)));
    }
    if let Some(reply) = answer(dossier) {
        rows.push(("last answer", reply));
    }
    if let Some(name) = &dossier.reason {
        let words = Reason::parse(name).map_or("", Reason::words);
        rows.push(("last failure", format!("{name}: {words}")));
    }
    if let Some(at) = dossier.failed_at {
        let stage = dossier.stage.as_deref().unwrap_or_default();
        let stage = match stage {
            "" => String::new(),
            stage => format!(", at {}", stage.to_ascii_uppercase()),
        };
        rows.push(("failed", format!("{}{stage}", time(at))));
    }
    let mut text = format!(
        "delivery {} of {} (run {}) to {}\n{}",
        dossier.seq,
        run.slug,
        run.id,
        plain(address),
        pairs(&rows)
    );
    let dialogue = dossier.dialogue.as_deref().unwrap_or_default();
    if !dialogue.is_empty() {
        text.push_str("\nwhat was said (C: Pressrun, S: the relay):\n");
        for line in dialogue.lines() {
            text.push_str(&format!("  {}\n", plain(line)));
        }
    }
    text
}

/// The state, and for a deferred one when it is tried again.
fn state(dossier: &Dossier) -> String {
    // What stood at the dot is in the queue again only where a person, or the run's policy, put it there.
    let unknown = dossier
        .reason
        .as_deref()
        .is_some_and(|name| name == Reason::NoAnswer.name());
    let deferred = is_deferred(&dossier.state, dossier.attempts);
    if deferred && dossier.marked_at.is_some() && unknown {
        return format!(
            "queued, and sent again from {}: nobody knew whether it had been taken, so it was put back",
            time(dossier.due_at)
        );
    }
    match deferred {
        true => format!("deferred, tried again at {}", time(dossier.due_at)),
        false => dossier.state.clone(),
    }
}

fn answer(dossier: &Dossier) -> Option<String> {
    let code = dossier.code.filter(|&code| code != 0);
    let code = code.map(|code| code.to_string());
    let parts = [
        code.as_ref(),
        dossier.enhanced.as_ref(),
        dossier.reply.as_ref(),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .map(|part| plain(part))
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn as_json(run: &Run, dossier: &Dossier, story: &Story, why: Option<String>) -> Value {
    let at = |at: Option<i64>| at.map(time);
    let failure = dossier.reason.as_ref().map(|reason| {
        let dialogue = dossier.dialogue.as_deref().unwrap_or_default();
        json!({
            "at": at(dossier.failed_at),
            "stage": dossier.stage,
            "reason": reason,
            "dialogue": dialogue.lines().collect::<Vec<_>>(),
        })
    });
    json!({
        "issue": run.slug,
        "run": run.id,
        "seq": dossier.seq,
        // As text: a script would round a number of 63 bits.
        "subscriber_id": dossier.subscriber_id.to_string(),
        "address": dossier.address,
        "state": dossier.state,
        "attempts": dossier.attempts,
        "why": why,
        "due_at": at(Some(dossier.due_at).filter(|&due| due > 0)),
        "marked_at": at(dossier.marked_at),
        "settled_at": at(dossier.settled_at),
        "code": dossier.code,
        "enhanced": dossier.enhanced,
        "reply": dossier.reply,
        // By a reader; who else did is named by its class.
        "opened_at": at(story.opened.first().map(|at| at.0)),
        "opened_by": story.opened.name(),
        "clicked_at": at(story.clicked.first().map(|at| at.0)),
        "clicked_by": story.clicked.name(),
        "departed_at": at(dossier.departed_at),
        "complained_at": at(dossier.complained_at),
        "failure": failure,
    })
}

fn time(at: i64) -> String {
    Timestamp(at).to_rfc3339()
}
