//! How the author's files are called in what is told of them.
//!
//! Promises: from where the program was started, so that an editor finds them; a file of the defaults, which
//! is on no disk, keeps its name within the author's folder.

use std::collections::BTreeMap;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Provenance};
use crate::publication::Rejected;

/// Calls the files of findings and places from here; `emails` is the author's folder.
pub(crate) fn call_from_here(emails: &Path, found: &mut [Diagnostic], places: &mut [Provenance]) {
    let places = places.iter_mut();
    let places =
        places.flat_map(|written| std::iter::once(&mut written.place).chain(&mut written.drawn));
    let mut files: Vec<&mut String> = places.map(|place| &mut place.file).collect();
    for finding in found {
        files.push(&mut finding.file);
        files.extend(finding.via.iter_mut().map(|place| &mut place.file));
    }
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        let called = known.entry(file.clone()).or_insert_with(|| {
            let full = emails.join(&**file).canonicalize();
            full.map_or_else(|_| file.clone(), |full| from_here(&full))
        });
        file.clone_from(called);
    }
}

/// One finding of a file of the author's, as an error.
pub(super) fn rejected(emails: &Path, error: Diagnostic) -> Rejected {
    let mut found = vec![error];
    call_from_here(emails, &mut found, &mut []);
    Rejected { found, issue: None }
}

/// A path on the disk, from the current folder where it is below it.
pub(super) fn from_here(full: &Path) -> String {
    let here = std::env::current_dir().ok();
    let here = here.and_then(|here| here.canonicalize().ok());
    let short = here.and_then(|here| full.strip_prefix(here).ok());
    short.unwrap_or(full).display().to_string()
}
