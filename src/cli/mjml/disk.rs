//! The folder that includes are read from.
//!
//! Promises: nothing outside it is read, links that lead out of it included; what was asked for is noted,
//! so that it can be watched.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};

use crate::mjml::files::Files;
use crate::mjml::parser::SIZE_LIMIT;

pub(super) struct Disk {
    root: PathBuf,
    asked: RefCell<BTreeSet<PathBuf>>,
}

impl Disk {
    pub(super) fn below(root: &Path) -> anyhow::Result<Disk> {
        let folder = match root.as_os_str().is_empty() {
            true => Path::new("."),
            false => root,
        };
        let root = fs::canonicalize(folder)
            .with_context(|| format!("the folder `{}` cannot be opened", folder.display()))?;
        let asked = RefCell::default();
        Ok(Disk { root, asked })
    }

    /// The path of `file` below the root, folders divided by `/`.
    pub(super) fn name_of(&self, file: &Path) -> anyhow::Result<String> {
        let shown = file.display();
        let Some(last) = file.file_name() else {
            bail!("`{shown}` is a folder; name a file in it");
        };
        // The folder's links are followed, the file's own is not: it is known by its name here.
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let folder =
            fs::canonicalize(folder).with_context(|| format!("`{shown}` cannot be opened"))?;
        let path = folder.join(last);
        let Ok(below) = path.strip_prefix(&self.root) else {
            bail!(
                "`{shown}` is not in `{}`; widen `--root`",
                self.root.display()
            );
        };
        let parts = below.components().filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy()),
            _ => None,
        });
        let parts: Vec<_> = parts.collect();
        Ok(parts.join("/"))
    }

    /// Where the file of a name stands.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The files that were asked for since the last call, there or not.
    pub(super) fn take_asked(&self) -> BTreeSet<PathBuf> {
        self.asked.take()
    }
}

impl Files for Disk {
    fn read(&self, name: &str) -> Result<Option<String>, String> {
        let path = self.path_of(name);
        self.asked.borrow_mut().insert(path.clone());
        let real = match fs::canonicalize(&path) {
            Ok(real) => real,
            Err(error) if absent(error.kind()) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        if !real.starts_with(&self.root) {
            return Err("it is a link that leads out of the folder".into());
        }
        let known = fs::metadata(&real).map_err(|error| error.to_string())?;
        if !known.is_file() {
            return Err("it is no file".into());
        }
        if known.len() > SIZE_LIMIT as u64 {
            return Err(format!(
                "it is larger than {} MiB",
                SIZE_LIMIT / 1024 / 1024
            ));
        }
        let octets = fs::read(&real).map_err(|error| error.to_string())?;
        match String::from_utf8(octets) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err("it is not UTF-8".into()),
        }
    }
}

/// No such file, as the system may put it.
fn absent(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput
    )
}
