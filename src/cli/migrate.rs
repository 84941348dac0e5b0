//! `pressrun migrate`: from SQLite to PostgreSQL, with all that was ever sent.

use anyhow::{Context, bail, ensure};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::cli::output::print_json;
use crate::cli::{Cli, Exit};
use crate::deliver;
use crate::store::Store;

/// Where the target stands when the command line does not say it, which every user of the machine can read.
const VARIABLE: &str = "PRESSRUN_MIGRATE_TO";

/// Brings the SQLite database into an empty PostgreSQL: readers, runs, links, images and numbers, all keys as they are.
#[derive(Debug, Args)]
pub struct Arguments {
    /// `postgres://user@host/name`; with a password rather in the environment, as PRESSRUN_MIGRATE_TO.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `pressrun migrate`.
pub(super) async fn run(cli: &Cli, arguments: &Arguments) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    let said = arguments
        .to
        .clone()
        .or_else(|| std::env::var(VARIABLE).ok());
    let to =
        SecretString::from(said.with_context(|| format!("say where to: `--to`, or {VARIABLE}"))?);
    ensure!(
        app.store.is_sqlite(),
        "`database.url` names a PostgreSQL already; its own programs (`pg_dump`, `pg_restore`) move it"
    );
    if !to.expose_secret().starts_with("postgres") {
        bail!("`--to` is the URL of a PostgreSQL database: postgres://user@host/name");
    }
    ensure!(
        !deliver::is_sending(&app).await?,
        "a process sends from this database; stop `pressrun serve` and every `send` first"
    );
    let target = Store::open(to.expose_secret(), &app.base, 2).await?;
    let tell = |table: &str, rows: u64| {
        if rows > 0 && !arguments.json {
            eprintln!("{table}: {rows}");
        }
    };
    let done = app.store.transfer(&target, tell).await;
    target.close().await;
    app.store.close().await;
    let done = done.context("nothing was brought over")?;
    let rows: u64 = done.iter().map(|(_, rows)| rows).sum();
    match arguments.json {
        true => {
            let tables: serde_json::Map<String, serde_json::Value> = done
                .into_iter()
                .map(|(table, rows)| (table, json!(rows)))
                .collect();
            print_json(&json!({ "rows": rows, "tables": tables }))?;
        }
        false => println!(
            "{rows} rows of {} tables are in PostgreSQL; now name it as `database.url`, look with `pressrun verify`, and \
             start `pressrun serve`. The SQLite file stays as it is, and must not be sent from any more",
            done.len()
        ),
    }
    Ok(Exit::Done)
}
