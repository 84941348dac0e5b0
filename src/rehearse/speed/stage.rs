//! What a rehearsal is played on: a folder of its own, and in it the publication with made-up readers.
//!
//! Promises: nobody real is in it, and nothing that it does is told to anybody.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::app::App;
use crate::config::{Config, RelayKind, TlsPolicy};
use crate::import::{self, Import};
use crate::keyring::Keyring;
use crate::lists;
use crate::rehearse::providers::DIRECT;
use crate::subscriber::Status;

/// In a rehearsal nobody waits five minutes for a second try; the forecast adds the real wait.
const RETRY: Duration = Duration::from_secs(1);
/// A folder of this age was left by a rehearsal that was killed.
const ABANDONED: Duration = Duration::from_hours(24);

/// A folder of the rehearsal's own, gone with it.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    /// Beside the database, whose disk it is to measure; on PostgreSQL in the folder of this node.
    pub(super) fn new(app: &App) -> anyhow::Result<Folder> {
        let name = format!("rehearsal-{:016x}", app.chance.key());
        let place = match app.store.sqlite_path().and_then(Path::parent) {
            Some(place) => place.to_owned(),
            None => app.path(&app.config.paths.state),
        };
        fs::create_dir_all(&place)
            .with_context(|| format!("the folder `{}` cannot be made", place.display()))?;
        sweep(&place);
        let folder = place.join(name);
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("the folder `{}` cannot be made", folder.display()))?;
        Ok(Folder(folder))
    }
}

/// Removes what rehearsals left that were killed. None takes a day.
fn sweep(place: &Path) {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("rehearsal-")
    });
    for entry in ours {
        let made = entry.metadata().and_then(|data| data.modified());
        let age = made.ok().and_then(|made| made.elapsed().ok());
        if age.is_some_and(|age| age > ABANDONED) {
            // What cannot be removed is in nobody's way.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whether it can be removed or not, the forecast stands.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// The same publication with another database, keyring and relay.
pub(super) async fn stage(app: &App, folder: &Path, sink: &str) -> anyhow::Result<App> {
    let mut config = Config::clone(&app.config);
    config.database.url = "sqlite:rehearsal.db".to_owned().into();
    config.paths.keyring = "keyring.toml".into();
    config.paths.state = "state".into();
    config.paths.emails = app.emails();
    config.dkim.key = config.dkim.key.map(|key| app.path(&key));
    config.dkim.ed25519_key = config.dkim.ed25519_key.map(|key| app.path(&key));
    // Nobody is told of a run that does not take place.
    (config.notify.to, config.notify.webhook) = (None, None);
    config.send.retry = vec![RETRY];
    for relay in config.relay.values_mut() {
        sink.clone_into(&mut relay.url);
        if relay.kind == RelayKind::Mx {
            relay.kind = RelayKind::Smtp;
        }
        relay.tls = TlsPolicy::None;
        (relay.username, relay.password, relay.ca_file) = (None, None, None);
        // What these make wait is reckoned, and not waited for.
        (relay.per_minute, relay.per_hour, relay.per_day) = (0, 0, 0);
        relay.warmup = None;
    }
    Keyring::generate(&app.chance, app.clock.now()).create(&folder.join("keyring.toml"))?;
    App::open(config, folder).await
}

/// Made-up readers at the providers of the real ones.
pub(super) async fn people(
    stage: &App,
    folder: &Path,
    list: &str,
    mix: &[u64; 4],
) -> anyhow::Result<()> {
    let slug = crate::slug::Slug::parse(list)?;
    lists::add(stage, &slug, "Rehearsal").await?;
    let file = folder.join("readers.csv");
    let mut out = std::io::BufWriter::new(fs::File::create(&file)?);
    writeln!(out, "email,name")?;
    let mut number = 0_u64;
    for (provider, count) in DIRECT.iter().zip(mix) {
        for _ in 0..*count {
            match provider.domains.first() {
                Some(domain) => writeln!(out, "reader{number}@{domain},Reader {number}")?,
                None => writeln!(out, "reader@host{number}.example,Reader {number}")?,
            }
            number += 1;
        }
    }
    out.flush()?;
    drop(out);
    let import = Import {
        file,
        list: list.to_owned(),
        status: Status::Confirmed,
        confirm: true,
        consent: "made up for this measurement".to_owned(),
        map: Vec::new(),
        accept_taken_off: false,
        by: None,
        dry_run: false,
    };
    let summary = import::run(stage, &import, |_| ()).await?;
    ensure!(
        summary.tally.added == number,
        "{} of {number} readers could be made up",
        summary.tally.added
    );
    Ok(())
}
