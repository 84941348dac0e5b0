//! The files that a document may include.
//!
//! Promises: the front-end asks for nothing but relative paths below the root, in their shortest form
//! (`a/b.mjml`, never `./a/../b.mjml`). Leaves the reading to the caller, who has the disk.

/// What the caller reads for the front-end.
pub trait Files {
    /// The text of a file below the root; `Ok(None)` where there is none. An error says in words why it
    /// cannot be read.
    fn read(&self, path: &str) -> Result<Option<String>, String>;
}

/// No files at all: every include is missing.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

#[cfg(test)]
impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }
}

/// Files in memory, by their paths.
impl Files for std::collections::BTreeMap<String, String> {
    fn read(&self, path: &str) -> Result<Option<String>, String> {
        Ok(self.get(path).cloned())
    }
}

/// Why a path leads to no file below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Astray {
    Empty,
    Absolute,
    /// It climbs above the root.
    Above,
    /// It is written with `\`.
    Backslash,
}

/// `path` as written in the file `from`, as a path below the root.
pub fn resolve(from: &str, path: &str) -> Result<String, Astray> {
    if path.trim().is_empty() {
        return Err(Astray::Empty);
    }
    if path.contains('\\') {
        return Err(Astray::Backslash);
    }
    let drive = path.as_bytes().get(1) == Some(&b':');
    if path.starts_with('/') || drive || path.contains("://") {
        return Err(Astray::Absolute);
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(Astray::Above)?;
            }
            part => parts.push(part),
        }
    }
    match parts.is_empty() {
        true => Err(Astray::Empty),
        false => Ok(parts.join("/")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Astray, resolve};

    #[test]
    fn a_path_starts_from_the_folder_of_its_file() {
        assert_eq!(resolve("a.mjml", "b.mjml"), Ok("b.mjml".into()));
        assert_eq!(
            resolve("x/y/a.mjml", "./p//b.mjml"),
            Ok("x/y/p/b.mjml".into())
        );
        assert_eq!(resolve("x/y/a.mjml", "../../b.mjml"), Ok("b.mjml".into()));
    }

    #[test]
    fn no_path_leads_above_the_root() {
        assert_eq!(resolve("x/a.mjml", "../../b.mjml"), Err(Astray::Above));
        assert_eq!(resolve("x/a.mjml", "b/../../../c"), Err(Astray::Above));
        assert_eq!(resolve("a.mjml", "/etc/passwd"), Err(Astray::Absolute));
        assert_eq!(resolve("a.mjml", "C:/b.mjml"), Err(Astray::Absolute));
        assert_eq!(
            resolve("a.mjml", "https://x.example/a"),
            Err(Astray::Absolute)
        );
        assert_eq!(resolve("a.mjml", "..\\b.mjml"), Err(Astray::Backslash));
        assert_eq!(resolve("a.mjml", " "), Err(Astray::Empty));
        assert_eq!(resolve("a/b.mjml", ".."), Err(Astray::Empty));
    }
}
