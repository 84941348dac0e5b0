//! `pressrun init`: a folder in which everything else works.
//!
//! Promises: never overwrites a file, and says what it left alone; what is not said on the command line
//! gets a value with which a newcomer can try everything on one machine.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use secrecy::ExposeSecret;
use url::Url;

use crate::chance::Chance;
use crate::cli::Exit;
use crate::cli::output::{pairs, print};
use crate::clock::Clock;
use crate::config::{Config, sender};
use crate::keyring::Keyring;
use crate::publication::Publication;
use crate::store::Store;

/// Where `pressrun sink` is told to listen in the examples.
const SINK: &str = "smtp://127.0.0.1:2525";
/// Where the database stands.
const DATABASE: &str = "sqlite:pressrun.db";

/// What of the folder git may have: what the author writes. Keys, passwords and readers it never sees, under whatever
/// name a backup or an export of them comes to lie here.
const GITIGNORE: &str = "# Keys, passwords and readers stay out of git; what you write goes in.
/*
!/.gitignore
!/emails/
";

/// Of a folder that holds something else as well: the names of what is made here, for the rest is not ours to keep out.
const OURS: &str =
    "# Keys, passwords and readers of pressrun; an export of them is to lie elsewhere.
/pressrun.*
/keyring.toml*
/dkim-*.pem
/state/
/backup-*/
*.rejects*.csv
";

/// What lies in a folder of ours alone, beside `pressrun.db` and its like, and what git itself puts there.
const MADE: [&str; 6] = [
    "keyring.toml",
    "emails",
    "state",
    ".git",
    ".gitignore",
    ".gitattributes",
];

#[derive(Debug, Args)]
pub struct Init {
    /// The folder; it is made if it is not there.
    dir: PathBuf,
    /// Name of the publication.
    #[arg(long, default_value = sender::NAME)]
    name: String,
    /// Public address of the site: base of every link in a mail.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The author's email address.
    #[arg(long, default_value = "author@example.org")]
    from: String,
    /// Postal address for the footer of every mail.
    #[arg(long, default_value = sender::POSTAL_ADDRESS)]
    postal_address: String,
    /// Short name of the list that readers join.
    #[arg(long, default_value = "weekly")]
    list: String,
    /// The SMTP server that takes the mail: smtp://host[:port] or smtps://host[:port].
    #[arg(long, default_value = SINK)]
    relay: String,
}

pub(super) async fn run(init: &Init) -> anyhow::Result<Exit> {
    let text = configuration(init);
    // Refused before anything is written.
    Config::parse(&text, "pressrun.toml", std::iter::empty())?;
    let keyring = init.dir.join("keyring.toml");
    if !keyring.exists() {
        refuse_lost(&init.dir).await?;
    }
    let dir = init.dir.display();
    fs::create_dir_all(&init.dir).with_context(|| format!("folder `{dir}` cannot be made"))?;
    let shared = is_shared(&init.dir)?;
    let mut left = Vec::new();
    let mut made = Vec::new();
    let mut note = |name: &'static str, what: &str, fresh: bool| match fresh {
        true => made.push((name, what.to_owned())),
        false => left.push((name, "was there and stays as it is".to_owned())),
    };
    let configured = write_new(&init.dir.join("pressrun.toml"), &text)?;
    note("pressrun.toml", "the configuration", configured);
    let fresh = !keyring.exists();
    if fresh {
        Keyring::generate(&Chance::System, Clock::System.now()).create(&keyring)?;
    }
    note(
        "keyring.toml",
        "the keys behind every link; keep a copy in a safe place",
        fresh,
    );
    let emails = init.dir.join("emails");
    let fresh = !emails.exists();
    Publication::write_defaults(&emails)?;
    note("emails", "themes, system mails and issues", fresh);
    let gitignore = init.dir.join(".gitignore");
    let (text, keeps) = match shared {
        false => (
            GITIGNORE,
            "keeps keys, passwords and readers out of git, and lets `emails` in",
        ),
        true => (
            OURS,
            "keeps keys, passwords and readers out of git, by the names of what is made here",
        ),
    };
    let ignored = write_new(&gitignore, text)?;
    note(".gitignore", keeps, ignored);
    let wanted = match ignored {
        true => Vec::new(),
        false => lets_in(&gitignore)?,
    };
    if !made.is_empty() {
        print(&format!("made in `{dir}`:\n{}", pairs(&made)))?;
    }
    if !left.is_empty() {
        print(&format!("left alone in `{dir}`:\n{}", pairs(&left)))?;
    }
    if !wanted.is_empty() {
        print(&format!(
            "`.gitignore` lets keys, passwords and readers into git; write into it:\n  {}\n",
            wanted.join("\n  ")
        ))?;
    }
    // A configuration that was there may say anything else.
    if configured {
        print(&next(init))?;
    }
    Ok(Exit::Done)
}

/// No fresh keyring is put beside a database that another one was used with: it would recognise nobody.
async fn refuse_lost(dir: &Path) -> anyhow::Result<()> {
    let path = dir.join("pressrun.toml");
    let url = match path.exists() {
        true => Config::load(&path)?.database.url.expose_secret().to_owned(),
        false => DATABASE.to_owned(),
    };
    let Some(store) = Store::open_to_read(&url, dir).await? else {
        return Ok(());
    };
    let had = store.had_keyring().await;
    store.close().await;
    ensure!(
        !had?,
        "nothing was made: `{}` is not there, and the database was used with it; restore it from a backup, as \
         a new one would recognise nobody who is suppressed and open no link already sent",
        dir.join("keyring.toml").display()
    );
    Ok(())
}

/// Whether anything lies in the folder that is not made here.
fn is_shared(dir: &Path) -> anyhow::Result<bool> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let ours = name.starts_with("pressrun.") || MADE.contains(&&*name);
        if !ours {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The lines of [`OURS`] that a `.gitignore` lacks which does not keep everything out.
fn lets_in(path: &Path) -> anyhow::Result<Vec<&'static str>> {
    let text = fs::read(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    let text = String::from_utf8_lossy(&text);
    let has = |wanted: &str| {
        let bare = |line: &str| line.trim_matches(['/', '*']).to_owned();
        let mut lines = text.lines().map(str::trim);
        lines.any(|line| matches!(line, "*" | "/*") || bare(line) == bare(wanted))
    };
    let ours = OURS.lines().filter(|line| !line.starts_with('#'));
    Ok(ours.filter(|line| !has(line)).collect())
}

/// Writes a file that is not there yet; false when it is.
fn write_new(path: &Path, text: &str) -> anyhow::Result<bool> {
    // The relay's password may come to stand here, so others do not read it.
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match file {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        opened => {
            let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
            written.with_context(|| format!("`{}` cannot be written", path.display()))?;
            Ok(true)
        }
    }
}

fn next(init: &Init) -> String {
    let sink = match init.relay == SINK {
        true => format!(
            "mail goes to {SINK} for now: `pressrun sink --listen 127.0.0.1:2525 --store mails` keeps it there\n"
        ),
        false => String::new(),
    };
    format!(
        "{sink}next, in that folder:\n  \
         pressrun subscribers import readers.csv --list {list} --consent \"how they agreed\"\n  \
         pressrun check this-week-in-ai-research\n  \
         pressrun send this-week-in-ai-research --list {list} --yes\n",
        list = init.list
    )
}

fn configuration(init: &Init) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut relay = format!("url = {}\n", quoted(&init.relay));
    let local = Url::parse(&init.relay)
        .ok()
        .filter(|url| url.scheme() == "smtp")
        .is_some_and(|url| matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")));
    if local {
        relay.push_str("# Nothing leaves this machine, so nothing is encrypted; drop this line for a real relay.\n");
        relay.push_str("tls = \"none\"\n");
    }
    format!(
        "# What a person must set. `pressrun config reference` prints every other key with its default;\n\
         # `pressrun config show` prints what is in force.\n\
         \n\
         [publication]\n\
         name = {name}\n\
         # Base of every link in a mail; https, except on this machine.\n\
         url = {url}\n\
         # For the footer; every commercial mail needs one.\n\
         postal_address = {postal}\n\
         list = {list}\n\
         \n\
         [from]\n\
         address = {from}\n\
         \n\
         [database]\n\
         url = \"{DATABASE}\"\n\
         \n\
         [relay.main]\n\
         {relay}\
         # username = \"...\"; the password is better set as PRESSRUN_RELAY__MAIN__PASSWORD.\n",
        name = quoted(&init.name),
        url = quoted(&init.url),
        postal = quoted(&init.postal_address),
        list = quoted(&init.list),
        from = quoted(&init.from),
    )
}
