//! `pressrun inbound`: takes one message from a mail server's pipe.
//!
//! Promises: a fault of ours asks the mail server to come again (exit code 75, as its pipe expects), and never
//! makes it return mail to anybody.

use std::io::{Read, stdin};

use anyhow::ensure;
use clap::Args;

use crate::cli::output::{print, print_json};
use crate::cli::{Cli, Exit};
use crate::inbound::{Taken, take};

/// Octets of a message: a report returns at most the mail it is about.
const LIMIT: u64 = 8 << 20;

/// Takes a message on standard input: a bounce, a complaint, or a wish to leave.
///
/// For a mail server that pipes in what comes for the bounce domain. In Postfix, `master.cf`:
///
///   pressrun unix - n n - - pipe user=pressrun argv=/usr/local/bin/pressrun
///     --config /var/lib/pressrun/pressrun.toml inbound --recipient ${recipient}
///
/// Whose mail it was, a signed token in the address says; a message without one changes nothing.
#[derive(Debug, Args)]
#[command(
    about = "Takes a message on standard input: a bounce, a complaint, or a wish to leave",
    verbatim_doc_comment
)]
pub struct Inbound {
    /// The address it came to; else the fields of the message are asked.
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(cli: &Cli, inbound: &Inbound) -> anyhow::Result<Exit> {
    match taken(cli, inbound).await {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            eprintln!("error: {error:#}");
            Ok(Exit::Later)
        }
    }
}

async fn taken(cli: &Cli, inbound: &Inbound) -> anyhow::Result<()> {
    let mut octets = Vec::new();
    let read = stdin().lock().take(LIMIT).read_to_end(&mut octets)?;
    ensure!(read > 0, "nothing came on standard input");
    let app = cli.open().await?;
    let taken = take(&app, &octets, inbound.recipient.as_deref()).await;
    app.store.close().await;
    let (word, text) = match taken? {
        Taken::Left(true) => ("left", "a reader left\n".to_owned()),
        Taken::Left(false) => ("left", "the reader had left before\n".to_owned()),
        Taken::Bounced {
            changed,
            suppressed,
        } => {
            let known = if changed { "" } else { ", as known before" };
            let dead = if suppressed {
                "; its address is suppressed"
            } else {
                ""
            };
            ("bounced", format!("a delivery came back{known}{dead}\n"))
        }
        Taken::Complained => (
            "complained",
            "a reader complained, and is never mailed again\n".to_owned(),
        ),
        Taken::ComplainedOf => (
            "complained",
            "somebody complained by a copy's link to leave: its reader gets that list no more\n"
                .to_owned(),
        ),
        Taken::Nothing(why) => ("nothing", format!("nothing was changed: {why}\n")),
    };
    match inbound.json {
        true => print_json(&serde_json::json!({ "taken": word, "text": text.trim_end() })),
        false => print(&text),
    }
}
