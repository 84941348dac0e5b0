//! Packed exports: an archive unpacked into a folder of its own, which goes when it has been read.
//!
//! Promises: nothing is written outside that folder and no more than any export holds; only its owner looks into it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use zip::ZipArchive;

use crate::archive::export::FILES;

/// Octets of all files together: ten years with all their pictures.
const UNPACKED: u64 = 4 << 30;
/// Names that are tried for the folder, should others be left from a killed import.
const NAMES: u32 = 1_000;
/// Folders in each other at most, before what they hold begins.
const WRAPPED: usize = 8;

/// An unpacked export; its folder goes with it.
#[derive(Debug)]
pub(super) struct Unpacked {
    folder: PathBuf,
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Unpacks the archive `file`.
pub(super) fn unpack(file: &Path) -> anyhow::Result<Unpacked> {
    let shown = file.display();
    let broken = || format!("`{shown}` cannot be unpacked");
    let archive = File::open(file).with_context(|| format!("`{shown}` cannot be read"))?;
    let mut archive = ZipArchive::new(BufReader::new(archive)).with_context(broken)?;
    ensure!(
        archive.len() <= FILES,
        "`{shown}` holds more than {FILES} files; unpack it and give the folder of the issues alone"
    );
    let unpacked = Unpacked { folder: folder()? };
    let mut left = UNPACKED;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).with_context(broken)?;
        let name = entry.name().with_context(broken)?.into_owned();
        if !entry.is_file() || !is_plain(&name) {
            continue;
        }
        let target = unpacked.folder.join(name);
        fs::create_dir_all(target.parent().unwrap_or(&unpacked.folder))?;
        let mut target = File::create_new(target).with_context(broken)?;
        // What it holds counts, not what it says of itself.
        let held = io::copy(&mut entry.take(left + 1), &mut target).with_context(broken)?;
        ensure!(
            held <= left,
            "`{shown}` unpacks into more than {} GiB; unpack it and give the folder of the issues alone",
            UNPACKED >> 30
        );
        left -= held;
    }
    Ok(unpacked)
}

impl Unpacked {
    /// Where the export begins: some tools wrap it into a folder, and Ghost's is one file.
    pub(super) fn export(&self) -> anyhow::Result<PathBuf> {
        let mut at = self.folder.clone();
        for _ in 0..WRAPPED {
            let entries: Vec<PathBuf> = fs::read_dir(&at)?
                .map(|entry| Ok(entry?.path()))
                .collect::<io::Result<_>>()?;
            match entries.as_slice() {
                [one] if one.is_dir() => at.clone_from(one),
                [one] if one.extension().is_some_and(|end| end == "json") => return Ok(one.clone()),
                _ => return Ok(at),
            }
        }
        Ok(at)
    }
}

/// A new folder that only its owner opens.
fn folder() -> anyhow::Result<PathBuf> {
    let home = std::env::temp_dir();
    for number in 0..NAMES {
        let folder = home.join(format!("pressrun-export-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                let shown = home.display();
                return Err(error).with_context(|| format!("no folder can be made in `{shown}`"));
            }
        }
    }
    bail!(
        "`{}` is full of exports; remove `pressrun-export-*`",
        home.display()
    );
}

/// Whether a name stays below the folder, and is none that a packing machine left behind.
fn is_plain(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part != "__MACOSX";
    !name.contains(['\\', ':', '\0']) && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::{is_plain, unpack};

    #[test]
    fn an_export_is_found_in_its_wrapping_and_its_folder_goes_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("export.zip");
        let mut writer = ZipWriter::new(fs::File::create(&file).expect("a file"));
        for name in [
            "my export/posts.csv",
            "my export/posts/1.html",
            "../evil.html",
        ] {
            writer
                .start_file(name, SimpleFileOptions::default())
                .expect("an entry");
            writer.write_all(b"x").expect("its content");
        }
        writer.finish().expect("an archive");
        let unpacked = unpack(&file).expect("an export");
        let found = unpacked.export().expect("its beginning");
        assert!(found.ends_with("my export"), "{}", found.display());
        assert!(found.join("posts/1.html").is_file());
        assert!(!unpacked.folder.with_file_name("evil.html").exists());
        drop(unpacked);
        assert!(!found.exists());
        fs::write(&file, b"no archive").expect("a file");
        unpack(&file).expect_err("nothing to unpack");
    }

    #[test]
    fn only_names_below_the_folder_are_unpacked() {
        for name in ["posts.csv", "posts/1.one.html", "a/b/c.md"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//x",
            "C:\\x",
            "a\\x",
            ".x",
            "a/.git/x",
            "__MACOSX/x",
            "a\0b",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
