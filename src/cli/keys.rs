//! `pressrun keys`: the keyring behind signed links, and keys for DKIM.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use crate::app::{App, keys};
use crate::chance::Chance;
use crate::cli::output::print_json;
use crate::cli::{Cli, Exit, audit};
use crate::clock::Clock;
use crate::config::Config;
use crate::dkim::Signer;
use crate::keyfile;
use crate::keyring::{KeyState, Keyring};

/// Makes and shows keys: those behind signed links, and those for DKIM.
#[derive(Debug, Args)]
pub struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the keys of the keyring: ids, states and dates, never a secret.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Makes a new signing key; links signed before go on working. Running processes read it by themselves. With
    /// PostgreSQL, where several machines may send, it opens links and signs none before `keys activate`.
    Rotate {
        /// Goes on with this keyring where the database knows keys that it lacks: their links stay dead.
        #[arg(long)]
        yes: bool,
    },
    /// Lets a key sign that every machine has; the one before it goes on opening links.
    Activate {
        /// Number of the key, as `keys list` shows it.
        id: u8,
    },
    /// Ends all links that were signed by one key: for a key that has leaked.
    Revoke {
        /// Number of the key, as `keys list` shows it.
        id: u8,
        /// Revokes indeed: links in mails already sent stop working, unsubscribe links too.
        #[arg(long)]
        yes: bool,
    },
    /// Makes a key for DKIM and prints the DNS record that belongs to it.
    Dkim {
        /// Name of the key in the DNS; a new name for each new key.
        #[arg(long)]
        selector: String,
        /// Where the private key goes; `dkim-SELECTOR.pem` beside the configuration when not said.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Makes an Ed25519 key, for a second signature beside the RSA key's.
        #[arg(long)]
        ed25519: bool,
    },
}

/// Runs `pressrun keys ...`.
pub async fn run(cli: &Cli, keys: &Keys) -> anyhow::Result<Exit> {
    let path = std::path::absolute(&cli.config)?;
    let config = Config::load(&path)?;
    let base = path
        .parent()
        .context("the configuration file stands in no folder")?;
    let keyring = base.join(&config.paths.keyring);
    match &keys.command {
        Command::List { json } => list(&Keyring::load(&keyring)?, *json),
        Command::Rotate { yes } => {
            let id = rotate(&path, &config, &keyring, *yes).await?;
            note(cli, "rotated the keyring", id).await
        }
        Command::Activate { id } => match activate(&keyring, *id)? {
            true => note(cli, "let a key sign", *id).await,
            false => Ok(Exit::Done),
        },
        Command::Revoke { id, yes } => match revoke(&keyring, *id, *yes)? {
            true => note(cli, "revoked a key", *id).await,
            false => Ok(Exit::Done),
        },
        Command::Dkim {
            selector,
            out,
            ed25519,
        } => {
            let path = match out {
                Some(path) => std::path::absolute(path)?,
                None => base.join(format!("dkim-{selector}.pem")),
            };
            dkim(&config, base, selector, &path, *ed25519)
        }
    }
}

fn list(keyring: &Keyring, json: bool) -> anyhow::Result<Exit> {
    let keys = keyring.list();
    if json {
        let keys: Vec<_> = keys
            .iter()
            .map(|(id, state, created)| {
                serde_json::json!({ "id": id, "state": state, "created": created })
            })
            .collect();
        print_json(&keys)?;
        return Ok(Exit::Done);
    }
    println!("{:>3}  {:<8}  created", "id", "state");
    for (id, state, created) in keys {
        let state = match state {
            KeyState::Active => "active",
            KeyState::Verify => "verify",
            KeyState::Revoked => "revoked",
        };
        println!("{id:>3}  {state:<8}  {created}");
    }
    Ok(Exit::Done)
}

/// The audit's line. It comes second: a key that has leaked is revoked, also while the database is away.
async fn note(cli: &Cli, what: &str, id: u8) -> anyhow::Result<Exit> {
    let noted = async { audit::note(&cli.open().await?, what, &format!("key {id}")).await };
    let noted = noted.await;
    noted.context("the keyring is changed as said above, but the audit has no line of it")?;
    Ok(Exit::Done)
}

/// Gives the number of the new key, which the database has given to no other.
async fn rotate(config: &Path, with: &Config, path: &Path, yes: bool) -> anyhow::Result<u8> {
    let _held = Keyring::hold(path)?;
    let mut keyring = Keyring::load(path)?;
    // A key that has leaked is rotated also while the database is away: whoever notes it afterwards says so.
    let app = App::from_file_soon(config, true).await.ok();
    let mut id = keyring.highest();
    if let Some(app) = &app {
        app.owned().await?;
        if yes {
            keys::trust(&app.store, &keyring).await?;
        }
        let faults = keys::compare(&app.store, &keyring).await?.faults();
        ensure!(
            faults.is_empty(),
            "{}; {}; where that is lost for ever, `--yes` goes on with this one",
            faults.join("; "),
            keys::NEWEST
        );
        id = id.max(keys::highest(&app.store).await?);
    }
    loop {
        id = id.checked_add(1).context(
            "the keyring has used up its 255 key ids; make a new keyring with `pressrun init`",
        )?;
        let mut next = keyring.clone();
        next.add(id, &Chance::System, Clock::System.now());
        let mark = next.fingerprints().remove(&id).unwrap_or_default();
        // Another machine may rotate at this moment.
        let taken = match &app {
            Some(app) => keys::claim(&app.store, id, &mark).await?,
            None => true,
        };
        if taken {
            keyring = next;
            break;
        }
    }
    let name = path.display();
    if with.database.url.expose_secret().starts_with("sqlite:") {
        keyring.activate(id);
        keyring.replace(path)?;
        println!("key {id} signs from now on; links signed before go on working");
        println!(
            "what runs already reads `{name}` by itself; keep a copy of it in a safe place, without it every link is \
             dead"
        );
        return Ok(id);
    }
    keyring.replace(path)?;
    println!("key {id} opens links here, and signs none yet");
    println!("1. copy `{name}` to every other machine that serves or sends, and to a safe place");
    println!(
        "2. say `pressrun keys activate {id}` on each of them; what runs already reads it by itself"
    );
    Ok(id)
}

/// Lets a key sign that was made before; false where it does.
fn activate(path: &Path, id: u8) -> anyhow::Result<bool> {
    let _held = Keyring::hold(path)?;
    let mut keyring = Keyring::load(path)?;
    match keyring.state(id) {
        None => bail!("the keyring has no key `{id}`; `pressrun keys list` shows those it has"),
        Some(KeyState::Revoked) => {
            bail!("key `{id}` was revoked; `pressrun keys rotate` makes another")
        }
        Some(KeyState::Active) => {
            println!("key {id} signs already; nothing changed");
            return Ok(false);
        }
        Some(KeyState::Verify) => {}
    }
    keyring.activate(id);
    keyring.replace(path)?;
    println!("key {id} signs from now on; links signed before go on working");
    Ok(true)
}

/// False where it was revoked before.
fn revoke(path: &Path, id: u8, yes: bool) -> anyhow::Result<bool> {
    let _held = Keyring::hold(path)?;
    let mut keyring = Keyring::load(path)?;
    match keyring.state(id) {
        None => bail!("the keyring has no key `{id}`; `pressrun keys list` shows those it has"),
        Some(KeyState::Active) => bail!("key `{id}` signs; run `pressrun keys rotate` first"),
        Some(KeyState::Revoked) => {
            println!("key {id} was revoked before; nothing changed");
            return Ok(false);
        }
        Some(KeyState::Verify) => {}
    }
    ensure!(
        yes,
        "revoking key `{id}` ends every link it signed, unsubscribe links in mails already sent too; \
         add `--yes` if it has leaked"
    );
    ensure!(keyring.revoke(id), "key `{id}` could not be revoked");
    keyring.replace(path)?;
    println!(
        "key {id} is revoked; what runs already reads `{}` by itself",
        path.display()
    );
    println!("copy it to every other machine that serves or sends: there the links still open");
    Ok(true)
}

fn dkim(
    config: &Config,
    base: &Path,
    selector: &str,
    path: &Path,
    ed25519: bool,
) -> anyhow::Result<Exit> {
    let domain = config.dkim.domain.as_deref();
    let domain = domain.unwrap_or_else(|| config.from.address.domain());
    let (pem, prefix) = match ed25519 {
        true => (keyfile::generate_ed25519()?, "ed25519_"),
        false => (keyfile::generate_rsa()?, ""),
    };
    // Read back before it is written: a selector that the DNS cannot hold leaves no file behind.
    let signer = Signer::from_pem(domain, selector, &pem)?;
    keyfile::create(path, "DKIM key", &pem)?;
    println!(
        "private key: {} (mode 0600; keep a copy in a safe place)",
        path.display()
    );
    println!();
    println!("1. publish this record; `pressrun dns` shows the others too");
    println!();
    println!("{}. TXT", signer.record_name());
    println!("{}", signer.record());
    println!();
    println!("2. when the DNS shows it, sign with it");
    println!();
    println!("[dkim]");
    println!("{prefix}selector = \"{selector}\"");
    // As short as the configuration takes it: from its own folder.
    let shown = path.strip_prefix(base).unwrap_or(path).to_string_lossy();
    println!("{prefix}key = {}", toml::Value::String(shown.into_owned()));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use crate::dkim::Signer;
    use crate::keyfile;

    #[test]
    fn a_generated_key_is_written_for_its_owner_only_and_never_over_another() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("dkim.pem");
        let pem = keyfile::generate_rsa().expect("a key");
        keyfile::create(&path, "DKIM key", &pem).expect("a new file");
        let mode = std::fs::metadata(&path)
            .expect("the file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(keyfile::create(&path, "DKIM key", "other").is_err());
        let read =
            keyfile::read(&path, "DKIM key", "`pressrun keys dkim` makes one").expect("mode 0600");
        assert_eq!(read, pem);
        Signer::from_pem("a.example", "s", &read).expect("a key that signs");
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&path, open).expect("chmod");
        let error =
            keyfile::read(&path, "DKIM key", "`pressrun keys dkim` makes one").expect_err("0644");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_generated_ed25519_key_is_one_that_signs() {
        let pem = keyfile::generate_ed25519().expect("a key");
        let signer = Signer::from_pem("a.example", "s", &pem).expect("a key that signs");
        assert!(signer.record().starts_with("v=DKIM1; k=ed25519; p="));
    }
}
