//! The images of an export, found by the addresses that they had where it comes from.
//!
//! Promises: a file is taken for an address only where no other fits as well; nothing outside the export's folder is
//! read. Leaves what an image may be to `compile::image`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

/// Files and folders of one export that are looked at, at most.
const ENTRIES: usize = 100_000;
/// Folders in each other at most.
const DEPTH: usize = 12;
const IMAGES: [&str; 5] = ["png", "jpg", "jpeg", "gif", "webp"];
/// What Ghost writes instead of its own address.
pub const GHOST: &str = "__GHOST_URL__";

/// The images of a folder, by their names.
#[derive(Clone, Debug, Default)]
pub struct Attic(HashMap<String, Vec<PathBuf>>);

impl Attic {
    /// Looks through the folder `home`.
    pub fn of(home: &Path) -> Attic {
        let mut attic = Attic::default();
        let mut left = ENTRIES;
        attic.take(home, DEPTH, &mut left);
        attic
    }

    fn take(&mut self, folder: &Path, depth: usize, left: &mut usize) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            let Some(rest) = left.checked_sub(1) else {
                return;
            };
            *left = rest;
            // What a symbolic link leads to is no part of the export.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let path = entry.path();
            if kind.is_dir() && depth > 0 {
                self.take(&path, depth - 1, left);
            }
            let end = path.extension().map(|end| end.to_string_lossy());
            let shown = |one: &&str| {
                end.as_ref()
                    .is_some_and(|end| end.eq_ignore_ascii_case(one))
            };
            if kind.is_file() && IMAGES.iter().any(|one| shown(&one)) {
                let name = entry.file_name().to_string_lossy().into_owned();
                self.0.entry(name).or_default().push(path);
            }
        }
    }

    /// The octets of the file that `address` means, if one does.
    pub fn read(&self, address: &str) -> Option<Vec<u8>> {
        fs::read(self.find(address)?).ok()
    }

    /// The file of this name whose folders agree with the address the farthest.
    fn find(&self, address: &str) -> Option<&Path> {
        let address = address.split(['?', '#']).next()?;
        // Image services wrap one address into another.
        let once = percent_decode_str(address).decode_utf8_lossy();
        let whole = percent_decode_str(&once).decode_utf8_lossy();
        for address in [address, &once, &whole] {
            let parts: Vec<&str> = address
                .rsplit('/')
                .filter(|part| !part.is_empty())
                .collect();
            let Some(files) = parts.first().and_then(|name| self.0.get(*name)) else {
                continue;
            };
            let agrees = |file: &PathBuf| {
                let folders = file
                    .components()
                    .rev()
                    .map(|part| part.as_os_str().to_string_lossy());
                folders
                    .zip(&parts)
                    .take_while(|(folder, part)| folder == *part)
                    .count()
            };
            let best = files.iter().map(agrees).max()?;
            let mut fit = files.iter().filter(|file| agrees(file) == best);
            return match (fit.next(), fit.next()) {
                (Some(file), None) => Some(file),
                _ => None,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Attic;

    #[test]
    fn a_file_is_found_by_its_old_address_unless_two_fit_alike() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path();
        for file in [
            "content/images/2022/bee.png",
            "content/images/2023/bee.png",
            "images/0a1b_600x400.jpeg",
            "a chart.gif",
            "notes.txt",
        ] {
            let path = home.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, file).expect("a file");
        }
        let outside = tempfile::tempdir().expect("a folder");
        fs::write(outside.path().join("secret.png"), "x").expect("a file");
        std::os::unix::fs::symlink(outside.path(), home.join("way")).expect("a link");
        let attic = Attic::of(home);
        let read = |address: &str| {
            attic
                .read(address)
                .map(|o| String::from_utf8_lossy(&o).into_owned())
        };
        for (address, file) in [
            (
                "https://x.example/content/images/2022/bee.png?w=6",
                Some("content/images/2022/bee.png"),
            ),
            (
                "__GHOST_URL__/content/images/2023/bee.png",
                Some("content/images/2023/bee.png"),
            ),
            ("/2023/bee.png", Some("content/images/2023/bee.png")),
            ("https://x.example/bee.png", None),
            (
                "https://cdn.example/fetch/w_1/https%3A%2F%2Fs3.example%2Fpublic%2Fimages%2F0a1b_600x400.jpeg",
                Some("images/0a1b_600x400.jpeg"),
            ),
            ("https://x.example/a%20chart.gif", Some("a chart.gif")),
            ("https://x.example/notes.txt", None),
            ("https://x.example/secret.png", None),
            ("https://x.example/other.png", None),
        ] {
            assert_eq!(read(address).as_deref(), file, "{address}");
        }
    }
}
