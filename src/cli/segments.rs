//! `pressrun segments`: which segments there are, and who is in one. None of it mails anyone.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::address::masked;
use crate::app::App;
use crate::cli::output::{print, print_json, table};
use crate::cli::{Cli, Exit};
use crate::id::SubscriberId;
use crate::lists;
use crate::publication::Publication;
use crate::run::whom;
use crate::store::lists::Confirmed;
use crate::subscriber::List;
use crate::terminal::plain;

/// Readers that `test` shows at most.
const SHOWN: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows the segments of `segments.toml`, and how many readers are in each.
    List {
        /// Short name of the list; the publication's own when not said.
        #[arg(long)]
        list: Option<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Counts the readers in a segment, and shows some, masked.
    Test {
        /// A name of `segments.toml`, or an expression such as "tag:paid and not opened:last-3".
        #[arg(value_name = "SEGMENT")]
        said: String,
        /// Short name of the list; the publication's own when not said.
        #[arg(long)]
        list: Option<String>,
        /// How many readers are shown.
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=i64::from(SHOWN)))]
        show: u32,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(cli: &Cli, command: &Command) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    match command {
        Command::List { list, json } => declared(&app, list.as_deref(), *json).await?,
        Command::Test {
            said,
            list,
            show,
            json,
        } => test(&app, said, list.as_deref(), *show, *json).await?,
    }
    app.store.close().await;
    Ok(Exit::Done)
}

async fn declared(app: &App, list: Option<&str>, as_json: bool) -> anyhow::Result<()> {
    let list = asked(app, list).await?;
    let publication = Publication::load(&app.emails())?;
    let segments = publication.segments(&app.config.publication.timezone)?;
    let mut rows = Vec::new();
    let mut entries = Vec::new();
    for name in segments.names() {
        let (Some(filter), Some(written)) = (segments.get(name), segments.written(name)) else {
            continue;
        };
        let now = app.clock.now();
        let readers = app
            .store
            .in_segment(list.id, filter, true, now)
            .await?
            .readers;
        rows.push(vec![name.to_owned(), readers.to_string(), plain(written)]);
        entries.push(json!({ "name": name, "expression": written, "readers": readers }));
    }
    if as_json {
        return print_json(&json!({ "list": list.slug, "segments": entries }));
    }
    match rows.is_empty() {
        true => {
            print("`segments.toml` declares none; `pressrun segments test` takes any expression\n")
        }
        false => print(&table(&["segment", "readers", "means"], &rows)),
    }
}

async fn test(
    app: &App,
    said: &str,
    list: Option<&str>,
    show: u32,
    as_json: bool,
) -> anyhow::Result<()> {
    let list = asked(app, list).await?;
    let sieve = whom::read(app, "the segment", said)?;
    let now = app.clock.now();
    let notes = whom::check(app, &sieve, Some(list.id), now).await?;
    let (store, filter) = (&app.store, &sieve.filter);
    let Confirmed {
        readers,
        suppressed,
    } = store.in_segment(list.id, filter, true, now).await?;
    let of = store.confirmed_on(list.id, true).await?.readers;
    let first = SubscriberId(0);
    let shown = store.members(list.id, filter, now, first, show).await?;
    let shown: Vec<String> = shown.iter().map(|one| masked(&one.address)).collect();
    if as_json {
        let shown: Vec<Value> = shown.into_iter().map(Value::from).collect();
        return print_json(&json!({
            "segment": sieve.said,
            "means": sieve.filter,
            "list": list.slug,
            "readers": readers,
            "of": of,
            "suppressed": suppressed,
            "shown": shown,
            "notes": notes,
        }));
    }
    for note in notes {
        eprintln!("note: {}", plain(&note));
    }
    let others = match suppressed {
        0 => String::new(),
        number => format!("; suppressed ones, who get nothing: {number}"),
    };
    let mut text = format!(
        "{readers} of {of} confirmed readers of `{}` are in `{}`{others}\n",
        list.slug,
        plain(&sieve.said)
    );
    for address in &shown {
        text.push_str(&format!("  {address}\n"));
    }
    if i64::try_from(shown.len()).is_ok_and(|shown| 0 < shown && shown < readers) {
        text.push_str("  ...\n");
    }
    print(&text)
}

async fn asked(app: &App, list: Option<&str>) -> anyhow::Result<List> {
    lists::find(app, list.unwrap_or(&app.config.publication.list)).await
}
