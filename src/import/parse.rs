//! The reading side of an import: a file becomes batches of rows, and a file of those it refuses.
//!
//! Promises: rows of one address come once, whatever the file repeats; memory does not grow with the
//! file but for the fingerprints of the addresses seen. Runs on a thread of its own.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::sync::mpsc;

use crate::import::columns::{Columns, Row};
use crate::import::csv::Records;
use crate::import::seen::Seen;
use crate::import::{BATCH, Import, Progress, Reject};
use crate::keyring::Keyring;
use crate::store::import::Wanted;
use crate::subscriber::field::FieldTable;

/// Rejected rows that are told one by one; the file has them all.
const TOLD: usize = 5;

/// Rows on their way to the store.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<Row>,
    /// The rows' addresses, as the store asks for them.
    pub(super) wanted: Vec<Wanted>,
    pub(super) progress: Progress,
}

/// What the reading thread found by itself.
#[derive(Default)]
pub(super) struct Parsed {
    pub(super) rows: u64,
    pub(super) duplicates: u64,
    pub(super) rejected: u64,
    pub(super) rejects: Vec<Reject>,
    pub(super) rejects_file: Option<PathBuf>,
}

/// An opened file whose header is understood.
pub(super) struct Parser {
    header: Vec<u8>,
    rejects: Rejects,
    records: Records<BufReader<File>>,
    columns: Columns,
    table: FieldTable,
    keyring: Arc<Keyring>,
    size: u64,
}

impl Parser {
    /// Opens the file and reads its header.
    pub(super) fn open(
        import: &Import,
        table: FieldTable,
        keyring: Arc<Keyring>,
    ) -> anyhow::Result<Parser> {
        let name = import.file.display().to_string();
        let file =
            File::open(&import.file).with_context(|| format!("`{name}` cannot be opened"))?;
        let size = file.metadata()?.len();
        let input = BufReader::with_capacity(1 << 16, file);
        let mut records = Records::open(input).context(name.clone())?;
        if records.read().context(name.clone())?.is_none() {
            bail!("{name}: there is no header line");
        }
        let columns = Columns::read(records.record(), &table, &import.map).context(name)?;
        Ok(Parser {
            header: records.record().raw.clone(),
            rejects: Rejects {
                path: rejects_path(&import.file),
                delimiter: records.delimiter(),
                file: None,
                dry_run: import.dry_run,
            },
            records,
            columns,
            table,
            keyring,
            size,
        })
    }

    /// Headers that mean nothing here.
    pub(super) fn ignored_columns(&self) -> &[String] {
        &self.columns.ignored
    }

    /// Reads to the end of the file, or until nobody takes the batches any more.
    pub(super) fn run(mut self, batches: &mpsc::Sender<Batch>) -> anyhow::Result<Parsed> {
        let mut parsed = Parsed::default();
        let mut seen = Seen::new();
        let mut batch = Batch::default();
        while self.records.read()?.is_some() {
            let record = self.records.record();
            parsed.rows += 1;
            match self.columns.row(record, &self.table) {
                Err(reason) => {
                    self.rejects
                        .write(&self.header, record.line, &reason, &record.raw)?;
                    parsed.rejected += 1;
                    if parsed.rejects.len() < TOLD {
                        let line = record.line;
                        parsed.rejects.push(Reject { line, reason });
                    }
                }
                Ok(row) => {
                    let wanted = wanted(&self.keyring, &row);
                    if seen.insert(&wanted.hash) {
                        batch.rows.push(row);
                        batch.wanted.push(wanted);
                    } else {
                        parsed.duplicates += 1;
                    }
                }
            }
            if batch.rows.len() == BATCH {
                batch.progress = self.progress(parsed.rows);
                if batches.blocking_send(std::mem::take(&mut batch)).is_err() {
                    // The writing side has given up, and says why.
                    return Ok(parsed);
                }
            }
        }
        batch.progress = self.progress(parsed.rows);
        batches.blocking_send(batch).ok();
        parsed.rejects_file = self.rejects.finish()?;
        Ok(parsed)
    }

    fn progress(&self, rows: u64) -> Progress {
        Progress {
            rows,
            bytes: self.records.bytes(),
            size: self.size,
        }
    }
}

/// Rejected rows with line and reason in front, made when the first one comes. It can be mended and
/// imported as it is: the two columns in front are ignored then.
struct Rejects {
    path: PathBuf,
    /// The delimiter of the file itself, whose rows follow as they stand there.
    delimiter: u8,
    file: Option<BufWriter<File>>,
    dry_run: bool,
}

impl Rejects {
    fn write(&mut self, header: &[u8], line: u64, reason: &str, raw: &[u8]) -> anyhow::Result<()> {
        if self.dry_run {
            return Ok(());
        }
        let separator = char::from(self.delimiter);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let name = self.path.display();
                // It holds addresses: nobody else needs to read it.
                let mut options = OpenOptions::new();
                let options = options.write(true).create(true).truncate(true).mode(0o600);
                let made = options.open(&self.path);
                let made = made.with_context(|| format!("`{name}` cannot be written"))?;
                let mut file = BufWriter::new(made);
                write!(file, "line{separator}reason{separator}")?;
                file.write_all(header)?;
                file.write_all(b"\n")?;
                self.file.insert(file)
            }
        };
        let reason = reason.replace('"', "\"\"");
        write!(file, "{line}{separator}\"{reason}\"{separator}")?;
        file.write_all(raw)?;
        file.write_all(b"\n")?;
        Ok(())
    }

    fn finish(self) -> anyhow::Result<Option<PathBuf>> {
        let Some(mut file) = self.file else {
            return Ok(None);
        };
        file.flush()
            .with_context(|| format!("`{}` cannot be written", self.path.display()))?;
        Ok(Some(self.path))
    }
}

/// The row's address as the store asks for it.
pub(super) fn wanted(keyring: &Keyring, row: &Row) -> Wanted {
    let canonical = row.address.canonical();
    Wanted {
        hash: keyring.address_hash(&canonical),
        canonical,
    }
}

fn rejects_path(file: &Path) -> PathBuf {
    file.with_extension("rejects.csv")
}
