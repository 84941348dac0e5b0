//! `pressrun backup`: a copy of the publication in a folder.

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;
use secrecy::ExposeSecret;
use url::Url;

use crate::backup::{self, Backup};
use crate::cli::output::print_json;
use crate::cli::{Cli, Exit};
use crate::clock::Clock;
use crate::schedule::on_the_wall;
use crate::terminal::counted;

/// Copies the publication into a new folder, also beside `serve`: database, keys, configuration and emails.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder to be made; `backup-` and the time in the working directory when none is said.
    folder: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `pressrun backup`.
pub(super) async fn run(cli: &Cli, arguments: &Arguments) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    let folder = arguments.folder.clone().unwrap_or_else(|| {
        let now = on_the_wall(Clock::System.now(), &app.config.publication.timezone);
        PathBuf::from(now.strftime("backup-%Y-%m-%d-%H%M%S").to_string())
    });
    let made = backup::make(&app, &cli.config, &folder).await?;
    match arguments.json {
        true => print_json(&made)?,
        false => tell(&made, app.config.database.url.expose_secret()),
    }
    app.store.close().await;
    Ok(Exit::Done)
}

fn tell(made: &Backup, database: &str) {
    let folder = made.folder.display();
    match &made.database {
        Some(_) => println!(
            "{folder}: {}, {}, {}; every page of the copy is sound",
            counted(made.readers, "reader"),
            counted(made.runs, "run"),
            HumanBytes(made.octets)
        ),
        None => println!(
            "{folder}: configuration, keys and emails, {}; the database is a server's, and its {} and {} are \
             copied by\n  pg_dump --format=custom --file={folder}/pressrun.dump {}",
            HumanBytes(made.octets),
            counted(made.readers, "reader"),
            counted(made.runs, "run"),
            place(database)
        ),
    }
    for file in &made.elsewhere {
        println!(
            "not copied, because it stands elsewhere: {}",
            file.display()
        );
    }
    println!(
        "the keys in it open every link of your mail and sign in your name: keep it where you keep passwords. To go back \
         to it, copy it to where the publication stood; nothing is sent before `pressrun resume --yes`"
    );
}

/// A database's URL without what only its owner knows.
fn place(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return "DATABASE".into();
    };
    url.set_password(None).ok();
    url.set_query(None);
    url.to_string()
}
