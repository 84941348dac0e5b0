//! The tables of readers in a file: the file itself, or those entries of an archive that are recognised.
//!
//! Promises: nothing of an archive is ever written, and the name of an entry only shown; an archive that unpacks
//! into more than it says, or into more than any list of readers, ends with an error and not with the memory.

use std::cmp::Reverse;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use crate::import::columns::{Columns, names};
use crate::import::csv::Records;
use crate::import::services::{Service, folded};
use crate::subscriber::clean_name;
use crate::subscriber::field::FieldTable;

/// Entries of an archive: a publication of ten years has a few thousand.
const ENTRIES: usize = 20_000;
/// Octets of all tables together, by what they say themselves (an entry that holds more is an error of its own):
/// ten million readers take a quarter of it.
const UNPACKED: u64 = 4 << 30;
const BUFFER: usize = 1 << 16;

/// An opened file whose headers are understood.
pub(super) struct Source {
    path: PathBuf,
    /// Those whose readers stand gravest come first, so that leaving wins when an address is in two.
    pub(super) tables: Vec<Table>,
    /// Tables of the archive that are none of readers.
    pub(super) passed_over: Vec<String>,
    /// Octets to read.
    pub(super) size: u64,
}

/// One table of readers.
#[derive(Debug)]
pub(super) struct Table {
    /// Place in the archive; none is the file itself.
    entry: Option<usize>,
    /// Name of the entry without folders; empty for the file itself.
    pub(super) name: String,
    /// The header as one line, and what is between two cells.
    pub(super) header: Vec<u8>,
    pub(super) delimiter: u8,
    pub(super) columns: Columns,
    size: u64,
}

type Input<'a> = Records<Box<dyn BufRead + 'a>>;

impl Source {
    /// Opens `path` and reads its headers.
    pub(super) fn open(
        path: &Path,
        table: &FieldTable,
        map: &[(String, String)],
    ) -> anyhow::Result<Source> {
        let name = path.display().to_string();
        let mut file = File::open(path).with_context(|| format!("`{name}` cannot be opened"))?;
        let mut source = Source {
            path: path.to_owned(),
            tables: Vec::new(),
            passed_over: Vec::new(),
            size: 0,
        };
        match is_archive(&mut file)? {
            true => source.look_into(file, table, map).context(name)?,
            false => {
                let size = file.metadata()?.len();
                let mut records = open_records(file).context(name.clone())?;
                let shown = path.file_name().unwrap_or_default().to_string_lossy();
                let found = header(&mut records, &shown, table, map, false).context(name)?;
                source.tables.push(Table { size, ..found });
            }
        }
        source.size = source.tables.iter().map(|table| table.size).sum();
        Ok(source)
    }

    /// The columns of the plain table `path`, whatever they hold.
    pub(super) fn names(path: &Path) -> anyhow::Result<Vec<String>> {
        let mut file = File::open(path).context("the file cannot be opened")?;
        ensure!(!is_archive(&mut file)?, "the file is an archive");
        let mut records = open_records(file)?;
        ensure!(records.read()?.is_some(), "there is no header line");
        names(records.record())
    }

    /// Reads `table` from behind its header.
    pub(super) fn read<T>(
        &self,
        table: &Table,
        with: impl FnOnce(&mut Input<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let file = File::open(&self.path)?;
        let Some(entry) = table.entry else {
            let mut records = open_records(file)?;
            records.read()?;
            records.expect(table.columns.shape());
            return with(&mut records);
        };
        let mut archive = ZipArchive::new(BufReader::new(file))?;
        let mut records = open_records(archive.by_index(entry)?)?;
        records.read()?;
        records.expect(table.columns.shape());
        with(&mut records)
    }

    /// Finds the tables of readers in an archive.
    fn look_into(
        &mut self,
        file: File,
        table: &FieldTable,
        map: &[(String, String)],
    ) -> anyhow::Result<()> {
        let broken = "the archive cannot be read; unpack it and import its tables";
        let mut archive = ZipArchive::new(BufReader::new(file)).context(broken)?;
        ensure!(
            archive.len() <= ENTRIES,
            "the archive has more than {ENTRIES} entries; unpack it and import its tables"
        );
        let mut plain = Vec::new();
        for index in 0..archive.len() {
            let entry = archive.by_index(index).context(broken)?;
            let path = entry.name().context(broken)?.into_owned();
            if path.ends_with("xl/workbook.xml") {
                bail!("the file is a workbook; save the sheet as CSV in UTF-8");
            }
            let Some(name) = table_name(&path).filter(|_| entry.is_file()) else {
                continue;
            };
            let size = entry.size();
            if size == 0 {
                self.passed_over.push(name);
                continue;
            }
            let probed = probe(entry, &name, table, map);
            let probed = probed.with_context(|| format!("`{name}` in the archive"))?;
            let Some((known, found)) = probed else {
                self.passed_over.push(name);
                continue;
            };
            let found = Table {
                entry: Some(index),
                name,
                size,
                ..found
            };
            match known {
                true => self.tables.push(found),
                false => plain.push(found),
            }
        }
        // A table of nobody's in particular counts only when it is the only one: that is a file which
        // somebody packed.
        if self.tables.is_empty() && plain.len() == 1 {
            self.tables.append(&mut plain);
        }
        self.passed_over
            .extend(plain.into_iter().map(|table| table.name));
        ensure!(
            !self.tables.is_empty(),
            "the archive holds no table of readers that is known; unpack it and import the right one"
        );
        let size: u64 = self.tables.iter().map(|table| table.size).sum();
        ensure!(
            size <= UNPACKED,
            "the archive unpacks into more than {} GiB; no list of readers is so long",
            UNPACKED >> 30
        );
        // The gravest first.
        self.tables
            .sort_by_key(|table| Reverse(table.columns.standing()));
        Ok(())
    }
}

/// Whether an entry is a known service's table, and the table; none where it is one of other things. One that may be of
/// readers and cannot be read is an error: it may say who left.
fn probe(
    entry: impl Read,
    name: &str,
    table: &FieldTable,
    map: &[(String, String)],
) -> anyhow::Result<Option<(bool, Table)>> {
    let mut records = open_records(entry)?;
    match header(&mut records, name, table, map, true) {
        Ok(found) => Ok(Some((found.columns.service.is_known(), found))),
        Err(why) if why.is::<std::io::Error>() => Err(why),
        Err(why) => {
            let record = records.record();
            let may_be = match names(record) {
                Ok(header) => of_readers(&header),
                // In letters of another code; the signs of an address are the same in nearly all.
                Err(_) => record.cells().any(speaks_of_mail),
            };
            match may_be {
                true => Err(why),
                false => Ok(None),
            }
        }
    }
}

/// Whether a column's name that cannot be read is of addresses, or is one.
fn speaks_of_mail(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains(&b'@') || memchr::memmem::find(&name, b"mail").is_some()
}

/// Whether a header names a column for the address, or is a row with one itself.
fn of_readers(header: &[String]) -> bool {
    let email = &Service::of(header).email;
    let mut header = header.iter();
    header.any(|name| email.contains(&folded(name)) || name.contains('@'))
}

/// Reads the header; the place of the table is left to the caller. `among` others, a column that is mapped may be of
/// another.
fn header(
    records: &mut Input<'_>,
    name: &str,
    table: &FieldTable,
    map: &[(String, String)],
    among: bool,
) -> anyhow::Result<Table> {
    if records.read()?.is_none() {
        bail!(
            "there is no header line; the first line names the columns, and one of them is `email`"
        );
    }
    let record = records.record();
    ensure!(
        record.flaw.is_none() && !record.runs_into_rows(records.delimiter()),
        "a quote in the header is not closed: it goes on to line {}",
        record.line + record.lines - 1
    );
    // What is mapped may be a column of one table and not of the next.
    let header = names(record)?;
    let map: Vec<(String, String)> = match among || Service::of(&header).is_known() {
        true => map
            .iter()
            .filter(|(column, _)| header.contains(column))
            .cloned()
            .collect(),
        false => map.to_vec(),
    };
    Ok(Table {
        entry: None,
        name: String::new(),
        header: record.harmless(records.delimiter()),
        delimiter: records.delimiter(),
        columns: Columns::read(record, name, table, &map)?,
        size: 0,
    })
}

fn open_records<'a>(input: impl Read + 'a) -> anyhow::Result<Input<'a>> {
    let input: Box<dyn BufRead + 'a> = Box::new(BufReader::with_capacity(BUFFER, input));
    Records::open(input)
}

/// The name of an entry that may be a table: no folder, nothing hidden, nothing of the machine it was packed on.
fn table_name(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let fits = name.to_ascii_lowercase().ends_with(".csv") && !name.starts_with('.');
    (fits && !path.starts_with("__MACOSX")).then(|| clean_name(name))
}

fn is_archive(file: &mut File) -> anyhow::Result<bool> {
    let mut start = [0; 4];
    let length = file.read(&mut start)?;
    file.rewind()?;
    Ok(&start[..length] == b"PK\x03\x04" || &start[..length] == b"PK\x05\x06")
}

/// The hash of the whole file: one row mended in the middle makes another file of it.
pub(super) fn fingerprint(path: &Path) -> anyhow::Result<[u8; 32]> {
    let name = path.display().to_string();
    let mut file = File::open(path).with_context(|| format!("`{name}` cannot be opened"))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER]);
    loop {
        match file.read(&mut buffer).context(name.clone())? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::table_name;

    #[test]
    fn an_entry_is_named_without_its_folders_and_only_if_it_may_be_a_table() {
        for (path, name) in [
            ("email_list.weekly.csv", Some("email_list.weekly.csv")),
            ("../../etc/cron.d/x.CSV", Some("x.CSV")),
            ("C:\\temp\\\u{1b}[2Jx.csv", Some("[2Jx.csv")),
            ("__MACOSX/._x.csv", None),
            ("posts/.hidden.csv", None),
            ("posts/1.html", None),
        ] {
            assert_eq!(table_name(path).as_deref(), name, "{path}");
        }
    }
}
