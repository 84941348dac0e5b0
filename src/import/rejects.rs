//! The rows of an import that were not taken: a file beside the imported one.
//!
//! Promises: such a file can be mended and imported as it is; a spreadsheet takes no cell of it for a formula; only its
//! owner reads it, for it holds addresses; a dry run writes none.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::import::csv::Record;
use crate::import::services::Standing;
use crate::import::source::Table;

/// The columns in front. The first two are ignored when the file is imported; the last is there only where the table
/// itself, by its name, said how its readers stand, which no name of this file does.
pub(super) const IN_FRONT: [&str; 3] = ["line", "reason", "standing"];

/// Rejected rows with line and reason in front, each table's in a file of its own, made when the first one
/// comes.
pub(super) struct Rejects {
    imported: PathBuf,
    dry_run: bool,
    /// Place of the table in the import, its header and its delimiter.
    table: (usize, Vec<u8>, u8),
    standing: Standing,
    file: Option<(PathBuf, BufWriter<File>)>,
    done: Vec<(PathBuf, BufWriter<File>)>,
}

impl Rejects {
    pub(super) fn new(imported: &Path, dry_run: bool) -> Rejects {
        Rejects {
            imported: imported.to_owned(),
            dry_run,
            table: (0, Vec::new(), b','),
            standing: Standing::Joined,
            file: None,
            done: Vec::new(),
        }
    }

    /// What follows is of this table.
    pub(super) fn begin(&mut self, number: usize, table: &Table) {
        self.done.extend(self.file.take());
        // The delimiter of the table itself, so that its rows have its columns.
        self.table = (number, table.header.clone(), table.delimiter);
        self.standing = table.columns.standing();
    }

    pub(super) fn write(&mut self, record: &Record, reason: &str) -> anyhow::Result<()> {
        if self.dry_run {
            return Ok(());
        }
        let (number, header, delimiter) = &self.table;
        let separator = char::from(*delimiter);
        let stands = self.standing != Standing::Joined;
        let file = match &mut self.file {
            Some((_, file)) => file,
            None => {
                let path = rejects_path(&self.imported, *number);
                let mut options = OpenOptions::new();
                let options = options.write(true).create(true).truncate(true).mode(0o600);
                let made = options.open(&path);
                let made =
                    made.with_context(|| format!("`{}` cannot be written", path.display()))?;
                let mut file = BufWriter::new(made);
                for name in &IN_FRONT[..2 + usize::from(stands)] {
                    write!(file, "{name}{separator}")?;
                }
                file.write_all(header)?;
                file.write_all(b"\n")?;
                &mut self.file.insert((path, file)).1
            }
        };
        let reason = reason.replace('"', "\"\"");
        write!(file, "{}{separator}\"{reason}\"{separator}", record.line)?;
        if stands {
            write!(file, "{}{separator}", self.standing.name())?;
        }
        file.write_all(&record.harmless(*delimiter))?;
        file.write_all(b"\n")?;
        Ok(())
    }

    /// The files that were made.
    pub(super) fn finish(mut self) -> anyhow::Result<Vec<String>> {
        self.done.extend(self.file.take());
        let mut names = Vec::new();
        for (path, mut file) in self.done {
            let name = path.display().to_string();
            file.flush()
                .with_context(|| format!("`{name}` cannot be written"))?;
            names.push(name);
        }
        Ok(names)
    }
}

/// No name from inside an archive goes into a path: its tables are numbered.
fn rejects_path(file: &Path, number: usize) -> PathBuf {
    match number {
        0 => file.with_extension("rejects.csv"),
        _ => file.with_extension(format!("rejects-{}.csv", number + 1)),
    }
}
