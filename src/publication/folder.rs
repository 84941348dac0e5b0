//! Folders of files: the author's on disk, and the defaults in the binary.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rust_embed::RustEmbed;

use crate::diagnostic::nearest;
use crate::publication::called::from_here;

/// Themes are text; a larger file is not one of theirs.
const TEXT_LIMIT: u64 = 512 * 1024;
/// Files of one theme.
const FILES_LIMIT: usize = 64;
/// Files among which a mistyped name is looked for.
const NAMES_LIMIT: usize = 1_000;

#[derive(RustEmbed)]
#[folder = "emails/"]
struct Emails;

/// A folder that is read from.
#[derive(Clone, Debug)]
pub(super) enum Folder {
    Disk(PathBuf),
    Default(Defaults),
}

/// A folder of the defaults, by its path.
#[derive(Clone, Debug)]
pub(super) struct Defaults(pub(super) String);

impl Folder {
    /// The octets of a file within the folder, if it is there. A path that leads out is an error, also
    /// by a symbolic link.
    pub(super) fn read(&self, path: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let inner = Path::new(path);
        let within = inner
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        ensure!(
            within && !path.contains('\\') && !path.is_empty(),
            "`{path}` leads out of its folder; give a path from there, without `..`"
        );
        match self {
            Folder::Default(Defaults(folder)) => {
                let file = Emails::get(&format!("{folder}/{path}"));
                Ok(file.map(|file| file.data.into_owned()))
            }
            Folder::Disk(folder) => {
                let real = match followed(folder, inner) {
                    Ok(real) => real,
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error).context(format!("`{path}` cannot be read")),
                };
                let real = real.with_context(|| format!("`{path}` leads out of its folder"))?;
                ensure!(real.is_file(), "`{path}` is no file");
                let octets = std::fs::read(&real);
                octets.map(Some).context(format!("`{path}` cannot be read"))
            }
        }
    }

    /// Every text file with one of these extensions, by its path within the folder.
    pub(super) fn texts(&self, extensions: &[&str]) -> anyhow::Result<BTreeMap<String, String>> {
        let wanted = |path: &str| {
            let extension = Path::new(path).extension();
            extension.is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
        };
        let mut texts = BTreeMap::new();
        for path in self.paths()?.into_iter().filter(|path| wanted(path)) {
            ensure!(texts.len() < FILES_LIMIT, "more than {FILES_LIMIT} files");
            let octets = self.read(&path)?.unwrap_or_default();
            let text = String::from_utf8(octets);
            let text =
                text.map_err(|_| anyhow::anyhow!("`{path}` is not UTF-8; save it as UTF-8"))?;
            texts.insert(path, text.replace("\r\n", "\n"));
        }
        Ok(texts)
    }

    /// How a file is called in findings.
    pub(super) fn shown(&self, path: &str) -> String {
        match self {
            Folder::Default(Defaults(folder)) => format!("{folder}/{path}"),
            Folder::Disk(folder) => from_here(&folder.join(path)),
        }
    }

    /// The file whose name is nearest to this one, beside where it would stand: in other letters, or mistyped.
    pub(super) fn near(&self, path: &str) -> Option<String> {
        let Folder::Disk(folder) = self else {
            return None;
        };
        let (home, name) = match path.rsplit_once('/') {
            Some((home, name)) => (format!("{home}/"), name),
            None => (String::new(), path),
        };
        let entries = std::fs::read_dir(folder.join(&home)).ok()?;
        let names = entries.take(NAMES_LIMIT).filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.into_string().ok()
        });
        let names: Vec<String> = names.collect();
        let lower = name.to_lowercase();
        let same = names.iter().find(|known| known.to_lowercase() == lower);
        let near = || nearest(name, names.iter().map(String::as_str));
        let meant = same.map(String::as_str).or_else(near)?;
        Some(format!("{home}{meant}"))
    }

    /// Every file, by its path within the folder.
    pub(super) fn paths(&self) -> anyhow::Result<Vec<String>> {
        match self {
            Folder::Default(Defaults(folder)) => {
                let prefix = format!("{folder}/");
                let paths = Emails::iter();
                Ok(paths
                    .filter_map(|path| path.strip_prefix(&prefix).map(str::to_owned))
                    .collect())
            }
            Folder::Disk(folder) => {
                let mut paths = Vec::new();
                walk(folder, "", 0, &mut paths)?;
                paths.sort();
                Ok(paths)
            }
        }
    }
}

/// Where the file `inner` of a folder really is; `None` where a symbolic link leads it out of there.
fn followed(folder: &Path, inner: &Path) -> io::Result<Option<PathBuf>> {
    let mut real = folder.to_owned();
    for part in inner.components() {
        real.push(part);
        if real.symlink_metadata()?.is_symlink() {
            let (real, home) = (folder.join(inner).canonicalize()?, folder.canonicalize()?);
            return Ok(real.starts_with(home).then_some(real));
        }
    }
    Ok(Some(real))
}

fn walk(folder: &Path, prefix: &str, depth: usize, paths: &mut Vec<String>) -> anyhow::Result<()> {
    // Four levels are more than a theme needs, and end a circle of symbolic links.
    if depth > 4 {
        bail!("folders are nested too deep");
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.metadata()?;
        if kind.is_dir() {
            walk(&entry.path(), &format!("{prefix}{name}/"), depth + 1, paths)?;
        } else if kind.len() <= TEXT_LIMIT {
            paths.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

/// The folders directly below a folder of the defaults.
pub(super) fn default_names(folder: &str) -> BTreeSet<String> {
    let names = Emails::iter().filter_map(|path| {
        let (name, _) = path
            .strip_prefix(folder)?
            .strip_prefix('/')?
            .split_once('/')?;
        Some(name.to_owned())
    });
    names.collect()
}

/// What an author need not have: `pressrun theme new` brings it.
fn is_on_demand(path: &str) -> bool {
    let other = path.starts_with("themes/") && !path.starts_with("themes/digest/");
    other || path.starts_with("themes/digest/specimen/")
}

/// Writes what the binary holds below `emails`, without touching a file that is there; of the themes only
/// the one that a new publication uses.
pub(super) fn write_defaults(emails: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for path in Emails::iter().filter(|path| !is_on_demand(path)) {
        let target = emails.join(path.as_ref());
        let file = Emails::get(&path).context("a default file is listed and missing")?;
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("`{}` cannot be made", folder.display()))?;
        }
        match std::fs::File::create_new(&target) {
            Ok(mut open) => {
                open.write_all(&file.data)
                    .with_context(|| format!("`{}` cannot be written", target.display()))?;
                written.push(target);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).context(format!("`{}` cannot be written", target.display()));
            }
        }
    }
    Ok(written)
}
