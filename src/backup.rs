//! A copy of a publication in a folder: the database as it stands at one instant, and every file that belongs to it.
//!
//! Promises: a folder under its final name is whole; the database is copied beside a sender at work and checked page by
//! page; nothing in the folder is anybody else's to read. Leaves `state` out: a copy that is sent from one day is doubted
//! until a person says that it may be.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::app::App;

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backup {
    pub folder: PathBuf,
    /// The database in the folder; none where a server has it.
    pub database: Option<PathBuf>,
    pub readers: i64,
    pub runs: i64,
    /// Octets of all files.
    pub octets: u64,
    /// Files that belong to it and stand elsewhere, so that they were left where they are.
    pub elsewhere: Vec<PathBuf>,
}

/// Copies the publication of `app`, whose configuration is the file `config`, into the new folder `into`.
pub async fn make(app: &App, config: &Path, into: &Path) -> anyhow::Result<Backup> {
    ensure!(
        !into.exists(),
        "`{}` is there already; a backup is a folder of its own, for example `{}`",
        into.display(),
        named(into, ".2").display()
    );
    ensure!(
        !lies_within(into, &app.path(&app.config.paths.emails)),
        "`{}` lies in the folder that is to be copied, and would be copied into itself; name a folder beside it",
        into.display()
    );
    let unfinished = named(into, ".unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)
            .with_context(|| format!("what is left in `{}`", unfinished.display()))?;
    }
    let made = fill(app, config, &unfinished).await;
    let made = made.and_then(|made| {
        fs::rename(&unfinished, into)?;
        sync(into.parent().unwrap_or(Path::new(".")))?;
        Ok(made)
    });
    match made {
        Ok(made) => Ok(Backup {
            folder: into.to_owned(),
            database: made.database.map(|file| into.join(file)),
            ..made
        }),
        Err(error) => {
            fs::remove_dir_all(&unfinished).ok();
            Err(error.context(format!("`{}` was not made", into.display())))
        }
    }
}

/// Whether `path`, which need not be there, stands in `folder`, by whatever links either is named.
fn lies_within(path: &Path, folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else {
        return false;
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut above = path.ancestors().filter_map(|path| path.canonicalize().ok());
    above
        .next()
        .is_some_and(|nearest| nearest.starts_with(&folder))
}

/// Copies into `folder`, which is not there yet.
async fn fill(app: &App, config: &Path, folder: &Path) -> anyhow::Result<Backup> {
    make_folder(folder)?;
    let (readers, runs) = app.store.sizes().await?;
    let mut backup = Backup {
        folder: folder.to_owned(),
        database: None,
        readers,
        runs,
        octets: 0,
        elsewhere: Vec::new(),
    };
    // Before the keyring: a key that signed a link is never younger than the copy that holds it.
    if let Some(source) = app.store.sqlite_path() {
        let name = PathBuf::from(source.file_name().context("the database has no name")?);
        let target = folder.join(&name);
        private(&target)?;
        app.store.copy_to(&target).await?;
        fs::File::open(&target)?.sync_all()?;
        backup.octets += fs::metadata(&target)?.len();
        backup.database = Some(name);
    }
    let paths = &app.config.paths;
    let dkim = &app.config.dkim;
    let keys = [&dkim.key, &dkim.ed25519_key];
    let authorities = app.config.relay.values().map(|relay| &relay.ca_file);
    let others = dkim_keys(&app.base)?;
    let own = config
        .file_name()
        .context("the configuration has no name")?;
    let files = [Path::new(own), &paths.keyring, &paths.emails]
        .into_iter()
        .chain(
            keys.into_iter()
                .chain(authorities)
                .flatten()
                .chain(&others)
                .map(PathBuf::as_path),
        );
    for file in files {
        let within = file.is_relative() && !file.components().any(|part| part.as_os_str() == "..");
        let source = app.path(file);
        if !within {
            backup.elsewhere.push(source);
        } else if source.exists() {
            backup.octets += copy(&source, &folder.join(file))
                .with_context(|| format!("`{}` could not be copied", source.display()))?;
        }
    }
    sync(folder)?;
    Ok(backup)
}

/// The keys beside the configuration by their names, as `keys dkim` makes them: what one signed that signs no more is made
/// again by it.
fn dkim_keys(base: &Path) -> io::Result<Vec<PathBuf>> {
    let base = match base.as_os_str().is_empty() {
        true => Path::new("."),
        false => base,
    };
    let mut keys = Vec::new();
    for entry in fs::read_dir(base)? {
        let name = entry?.file_name();
        let shown = name.to_string_lossy();
        if shown.starts_with("dkim-") && shown.ends_with(".pem") {
            keys.push(PathBuf::from(name));
        }
    }
    Ok(keys)
}

/// Copies a file, or a folder with all in it. A link is followed where it leads to a file, and left out where it leads to
/// a folder, which might be one that it stands in.
fn copy(source: &Path, target: &Path) -> io::Result<u64> {
    if target.exists() {
        return Ok(0);
    }
    if !source.is_dir() {
        if let Some(folder) = target.parent() {
            make_folder(folder)?;
        }
        let mut file = private(target)?;
        let octets = io::copy(&mut fs::File::open(source)?, &mut file)?;
        file.sync_all()?;
        return Ok(octets);
    }
    make_folder(target)?;
    let mut octets = 0;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        let linked = entry.file_type()?.is_symlink() && entry.path().is_dir();
        if !linked {
            octets += copy(&entry.path(), &target.join(entry.file_name()))?;
        }
    }
    sync(target)?;
    Ok(octets)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn private(file: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(file)
}

fn sync(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    fs::File::open(folder)?.sync_all()
}

/// `folder` with more behind its name.
fn named(folder: &Path, more: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}
