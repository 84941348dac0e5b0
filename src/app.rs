//! What every service is handed: the configuration, the store, the keys, time and chance.

pub mod keys;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use secrecy::ExposeSecret;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::config::Config;
use crate::keyring::Keyring;
use crate::store::{self, Store};

/// What is said where the keyring is not the database's own.
const FOREIGN: &str = "the keyring (`paths.keyring`) does not belong to this database: nobody suppressed would be \
     recognised, and no link already sent opens; restore the keyring that was there from a backup";

/// What opening a database does to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    /// It is brought up to date, and becomes the keyring's.
    Migrates,
    Reads,
}

/// One opened Pressrun; cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    pub config: Arc<Config>,
    /// The folder of the configuration file: relative paths start here.
    pub base: PathBuf,
    pub store: Store,
    pub keyring: Arc<Keyring>,
    pub clock: Clock,
    pub chance: Chance,
}

impl App {
    /// Opens the database and the keyring that `config` names.
    pub async fn open(config: Config, base: &Path) -> anyhow::Result<App> {
        let keyring = Keyring::load(&base.join(&config.paths.keyring))?;
        App::with_keys(config, base, keyring, store::BUSY).await
    }

    async fn with_keys(
        config: Config,
        base: &Path,
        keyring: Keyring,
        busy: Duration,
    ) -> anyhow::Result<App> {
        let url = config.database.url.expose_secret();
        let store = Store::open_within(url, base, config.database.connections, busy).await?;
        let app = App::of(config, base, store, keyring);
        app.store.hear_clock(&app.clock).await?;
        Ok(app)
    }

    fn of(config: Config, base: &Path, store: Store, keyring: Keyring) -> App {
        let clock = match store.is_sqlite() {
            true => Clock::System,
            false => Clock::shared(),
        };
        App {
            config: Arc::new(config),
            base: base.to_owned(),
            store,
            keyring: Arc::new(keyring),
            clock,
            chance: Chance::System,
        }
    }

    /// Fails where the database belongs to another keyring; a fresh database becomes this keyring's.
    pub async fn owned(&self) -> anyhow::Result<()> {
        ensure!(self.store.claim(&self.keyring).await?, FOREIGN);
        Ok(())
    }

    /// The same, also where the database knows another key under one of the keyring's numbers.
    pub async fn claim(&self) -> anyhow::Result<()> {
        self.owned().await?;
        keys::note(&self.store, &self.keyring).await
    }

    /// The author's folder.
    pub fn emails(&self) -> PathBuf {
        self.base.join(&self.config.paths.emails)
    }

    /// A path of the configuration, from the folder of its file.
    pub fn path(&self, relative: &Path) -> PathBuf {
        self.base.join(relative)
    }

    /// The public site's address of `path`, which starts with a slash.
    pub fn public_url(&self, path: &str) -> String {
        format!(
            "{}{path}",
            self.config.publication.url.trim_end_matches('/')
        )
    }

    /// Reads the configuration file and opens everything it names. Unless `fresh`, a database is not made for it.
    pub async fn from_file(path: &Path, fresh: bool) -> anyhow::Result<App> {
        let (config, folder) = App::described(path, fresh)?;
        App::open(config, folder).await
    }

    /// The same for a command that a person waits for: another program that locks the database is soon told.
    pub async fn from_file_soon(path: &Path, fresh: bool) -> anyhow::Result<App> {
        let (config, folder) = App::described(path, fresh)?;
        let keyring = Keyring::load(&folder.join(&config.paths.keyring))?;
        App::with_keys(config, folder, keyring, store::PATIENCE).await
    }

    /// The same for who stops a run or looks at one, and signs nothing. Where the configuration has an error, its database
    /// and paths are enough; where the keyring cannot be read, keys that belong to nothing stand in for it. Gives what is
    /// wrong with either too, or that the keyring is another database's.
    pub async fn to_control(path: &Path) -> anyhow::Result<(App, Vec<anyhow::Error>)> {
        App::in_need(path, Touch::Migrates).await
    }

    /// The same for who proves what is there: nothing is migrated or written, so that no evidence is.
    pub async fn to_prove(path: &Path) -> anyhow::Result<(App, Vec<anyhow::Error>)> {
        App::in_need(path, Touch::Reads).await
    }

    async fn in_need(path: &Path, touch: Touch) -> anyhow::Result<(App, Vec<anyhow::Error>)> {
        let mut faults = Vec::new();
        let (config, folder) = match App::described(path, false) {
            Ok(found) => found,
            Err(fault) if Config::load(path).is_ok() => return Err(fault),
            Err(fault) => {
                let Ok(config) = Config::to_control(path) else {
                    return Err(fault);
                };
                let folder = folder(path)?;
                there(&config, folder).with_context(|| {
                    format!("{fault:#}\nby `[database]` alone, whatever else is wrong")
                })?;
                faults.push(fault.context(
                    "the configuration has an error, and only its `[database]` and `[paths]` are looked at",
                ));
                (config, folder)
            }
        };
        let keyring = Keyring::load(&folder.join(&config.paths.keyring));
        let stand_in = || Keyring::generate(&Chance::System, Clock::System.now());
        let there = keyring.is_ok();
        let keyring = keyring.unwrap_or_else(|fault| {
            faults.push(fault);
            stand_in()
        });
        let app = match touch {
            Touch::Migrates => App::with_keys(config, folder, keyring, store::PATIENCE).await?,
            Touch::Reads => {
                let url = config.database.url.expose_secret();
                let store = Store::open_to_read(url, folder).await?;
                let store = store.context("the database is gone")?;
                let app = App::of(config, folder, store, keyring);
                // One that holds nothing has no clock to hear.
                if app.store.migration().await?.is_some() {
                    app.store.hear_clock(&app.clock).await?;
                }
                app
            }
        };
        if there && touch == Touch::Migrates {
            faults.extend(app.claim().await.err());
        }
        Ok((app, faults))
    }

    fn described(path: &Path, fresh: bool) -> anyhow::Result<(Config, &Path)> {
        let config = Config::load(path)?;
        let folder = folder(path)?;
        if !fresh {
            there(&config, folder)?;
        }
        Ok((config, folder))
    }
}

fn folder(path: &Path) -> anyhow::Result<&Path> {
    path.parent()
        .context("the configuration file stands in no folder")
}

/// Fails where the database of the configuration is a file that is not there.
fn there(config: &Config, folder: &Path) -> anyhow::Result<()> {
    let missing = Store::missing(config.database.url.expose_secret(), folder);
    if let Some(file) = missing {
        bail!(
            "there is no database `{}` yet: `pressrun subscribers add` or `import`, `lists add`, or `pressrun serve` \
             makes it; where `pressrun serve` was told of another one by its environment (PRESSRUN_DATABASE__URL), \
             say the same to this command",
            file.display()
        );
    }
    Ok(())
}
