//! The reading side of an import: a file becomes batches of rows, and a file of those it refuses.
//!
//! Promises: rows of one address come once, whatever the file repeats, but for those that say more than that its
//! reader joined: who left or is not to be mailed is so wherever the row stands. Memory does not grow with the file but
//! for the fingerprints of the addresses seen, and of the mailboxes that are gone; the same file, read in the same way, gives the same batches, so that an
//! import that was broken off goes on behind those it took. Runs on a thread of its own.

use std::sync::Arc;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::import::columns::Row;
use crate::import::columns::cut::Cut;
use crate::import::columns::unread::{Doubt, Look};
use crate::import::csv::stray::Flaw;
use crate::import::gone::Gone;
use crate::import::rejects::Rejects;
use crate::import::seen::Seen;
use crate::import::services::{self, Standing};
use crate::import::source::Source;
use crate::import::when::Here;
use crate::import::{BATCH, Import, Progress, Reject};
use crate::keyring::Keyring;
use crate::store::import::Wanted;
use crate::subscriber::clean_name;
use crate::subscriber::field::FieldTable;

/// Rejected rows that are kept to be told; the file has them all.
const TOLD: usize = 1_000;
/// Characters of a time that is not understood that are told.
const SHOWN: usize = 40;
/// Rows that are put in the order of their addresses before they are cut into batches: a batch then touches a
/// part of each index and not all of it, and a commit writes a fraction of the pages.
const SORTED: usize = 16 * BATCH;

/// How files are read: moved when another row is taken, or rows are cut into other batches, so that an import that an
/// older program began is not gone on with.
const READING: u32 = 4;

/// Rows on their way to the store.
#[derive(Default)]
pub(super) struct Batch {
    /// Counted from 1.
    pub(super) number: u64,
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
    /// Rows that say in words nobody understands when their readers joined, and the first of them.
    pub(super) undated: u64,
    pub(super) undated_as: String,
    /// Cells that hold more than is kept of them, and the first of them.
    pub(super) cut: u64,
    pub(super) cut_as: String,
    /// Cells that are no value of their field, and the first of them.
    pub(super) unfit: u64,
    pub(super) unfit_as: String,
    pub(super) rejected: u64,
    pub(super) rejects: Vec<Reject>,
    pub(super) rejects_files: Vec<String>,
    /// The columns by whose unknown words rows are rejected.
    pub(super) doubted: Vec<String>,
}

/// An opened file whose headers are understood.
pub(super) struct Parser {
    pub(super) source: Source,
    /// Whom the file says to be gone; nobody before it was looked through.
    pub(super) gone: Gone,
    rejects: Rejects,
    table: FieldTable,
    pub(super) keyring: Arc<Keyring>,
    here: Here,
}

impl Parser {
    /// Opens the file and reads its headers.
    pub(super) fn open(
        import: &Import,
        table: FieldTable,
        keyring: Arc<Keyring>,
        here: Here,
    ) -> anyhow::Result<Parser> {
        Ok(Parser {
            source: Source::open(&import.file, &table, &import.map)?,
            gone: Gone::nobody(),
            rejects: Rejects::new(&import.file, import.dry_run),
            table,
            keyring,
            here,
        })
    }

    /// Whether a row may say that its reader left, or is not to be mailed.
    pub(super) fn may_end(&self) -> bool {
        let tables = &self.source.tables;
        tables.iter().any(|table| table.columns.may_end())
    }

    /// Cells that are not read though they look as if their readers wanted no mail: the first of each column.
    pub(super) fn doubts(&self) -> anyhow::Result<Vec<Doubt>> {
        let mut doubts: Vec<Doubt> = Vec::new();
        for table in &self.source.tables {
            let Some(mut look) = Look::at(&table.columns) else {
                continue;
            };
            self.source.read(table, |records| {
                while let Some(record) = records.read()? {
                    look.look(record);
                }
                Ok(())
            })?;
            for doubt in look.found() {
                if doubts.iter().all(|known| known.column != doubt.column) {
                    doubts.push(doubt);
                }
            }
        }
        Ok(doubts)
    }

    /// Adds all but the file's content that decides which rows are taken and how they are cut into batches: the tables
    /// and what their columns mean, the fields, the keyring that tells rows of one address, and this program.
    pub(super) fn mark(&self, hash: &mut Sha256) {
        let program = (READING, env!("CARGO_PKG_VERSION"), BATCH, SORTED);
        let read = (&self.source.tables, &self.table, self.keyring.mark());
        // What Rust shows of them is the same as long as the program is: another text is another import, no more.
        hash.update(format!("{program:?}{read:?}"));
        hash.update(services::TABLE);
    }

    /// Reads to the end of the file, or until nobody takes the batches any more; the first `skip` batches are
    /// not handed out.
    pub(super) fn run(
        mut self,
        skip: u64,
        batches: &mpsc::Sender<Batch>,
    ) -> anyhow::Result<Parsed> {
        let mut parsed = Parsed::default();
        let mut seen = Seen::new();
        let mut outlet = Outlet {
            batches,
            waiting: Vec::new(),
            made: 0,
            merged: 0,
            skip,
        };
        let mut before = 0;
        for (number, table) in self.source.tables.iter().enumerate() {
            let (rejects, keyring) = (&mut self.rejects, &self.keyring);
            rejects.begin(number, table);
            let at = |rows: u64, bytes: u64| Progress {
                rows,
                bytes: before + bytes,
                size: self.source.size,
            };
            let read = self.source.read(table, |records| {
                while records.read()?.is_some() {
                    let record = records.record();
                    // Whoever stands in lines that one quote took is counted by those.
                    let rows = match record.flaw {
                        Some(Flaw::Holds { .. }) => record.lines,
                        _ => 1,
                    };
                    parsed.rows += rows;
                    match table.columns.row(record, &self.table, &self.here) {
                        Err(reason) => {
                            rejects.write(record, &reason)?;
                            parsed.reject(&table.name, record.line, rows, reason);
                            parsed.doubted(table.columns.doubted(record));
                        }
                        Ok(mut row) => {
                            if row.joined.is_none() && !row.standing.ends() {
                                parsed.undated(table.columns.joined_cell(record));
                            }
                            if !row.standing.ends() {
                                let cut = table.columns.cut_cells(record, &self.table);
                                parsed.cut(record.line, &cut);
                            }
                            parsed.unfit(record.line, &row.unfit);
                            let wanted = wanted(keyring, &row);
                            if !row.standing.ends() {
                                row.elsewhere = self.gone.standing(&wanted);
                            }
                            match seen.insert(&wanted.hash) || row.standing > Standing::Joined {
                                true => outlet.waiting.push((row, wanted)),
                                false => parsed.duplicates += 1,
                            }
                        }
                    }
                    if outlet.waiting.len() == SORTED
                        && !outlet.flush(at(parsed.rows, records.bytes()))
                    {
                        return Ok(None);
                    }
                }
                Ok(Some(records.bytes()))
            });
            let read = match table.name.as_str() {
                "" => read,
                name => read.with_context(|| format!("`{name}` in it")),
            };
            match read? {
                Some(bytes) => before += bytes,
                // The writing side has given up, and says why.
                None => return Ok(parsed),
            }
        }
        outlet.flush(Progress {
            rows: parsed.rows,
            bytes: before,
            size: self.source.size,
        });
        parsed.duplicates += outlet.merged;
        parsed.rejects_files = self.rejects.finish()?;
        Ok(parsed)
    }
}

impl Parsed {
    fn undated(&mut self, said: Option<(&str, &str)>) {
        let Some((column, cell)) = said else {
            return;
        };
        self.undated += 1;
        if self.undated_as.is_empty() {
            let cell: String = clean_name(cell).chars().take(SHOWN).collect();
            self.undated_as = format!("`{column}` is `{cell}`");
        }
    }

    fn cut(&mut self, line: u64, cells: &[Cut<'_>]) {
        self.cut += cells.len() as u64;
        if let Some(cut) = cells.first().filter(|_| self.cut_as.is_empty()) {
            let Cut {
                column,
                holds,
                kept,
            } = cut;
            self.cut_as = format!("`{column}` in line {line}, {kept} of {holds} characters");
        }
    }

    fn unfit(&mut self, line: u64, fields: &[String]) {
        self.unfit += fields.len() as u64;
        if let Some(why) = fields.first().filter(|_| self.unfit_as.is_empty()) {
            self.unfit_as = format!("in line {line}, where {why}");
        }
    }

    fn doubted(&mut self, column: Option<&str>) {
        let Some(column) = column.map(str::to_owned) else {
            return;
        };
        if !self.doubted.contains(&column) {
            self.doubted.push(column);
        }
    }

    fn reject(&mut self, table: &str, line: u64, rows: u64, reason: String) {
        self.rejected += rows;
        if self.rejects.len() < TOLD {
            let table = (!table.is_empty()).then(|| table.to_owned());
            self.rejects.push(Reject {
                table,
                line,
                reason,
            });
        }
    }
}

/// Rows that wait to be sorted and handed out.
struct Outlet<'a> {
    batches: &'a mpsc::Sender<Batch>,
    waiting: Vec<(Row, Wanted)>,
    /// Batches made so far.
    made: u64,
    /// Rows that only said how another row's reader stands.
    merged: u64,
    skip: u64,
}

impl Outlet<'_> {
    /// Hands out what waits; false when nobody takes it.
    fn flush(&mut self, progress: Progress) -> bool {
        self.waiting.sort_unstable_by(|(row, a), (other, b)| {
            let standing = || row.standing.cmp(&other.standing);
            a.canonical.cmp(&b.canonical).then_with(standing)
        });
        let rows = self.waiting.len();
        // The last of an address is the gravest: the row that tells the most of the reader takes its word.
        self.waiting.dedup_by(|(row, a), (first, b)| {
            let same = a.canonical == b.canonical;
            if same {
                first.standing = row.standing;
                first.left = first.left.max(row.left);
            }
            same
        });
        self.merged += (rows - self.waiting.len()) as u64;
        while !self.waiting.is_empty() {
            // From the end: the rest stays where it is.
            let rest = (self.waiting.len() - 1) / BATCH * BATCH;
            let (rows, wanted) = self.waiting.drain(rest..).unzip();
            self.made += 1;
            let batch = Batch {
                number: self.made,
                rows,
                wanted,
                progress,
            };
            if self.made > self.skip && self.batches.blocking_send(batch).is_err() {
                return false;
            }
        }
        true
    }
}

/// The row's address as the store asks for it.
pub(super) fn wanted(keyring: &Keyring, row: &Row) -> Wanted {
    let canonical = row.address.canonical();
    let mailbox = Some(row.address.mailbox()).filter(|mailbox| *mailbox != canonical);
    Wanted {
        hash: keyring.address_hash(&canonical),
        mailbox: mailbox.map(|mailbox| {
            let hash = keyring.address_hash(&mailbox);
            (mailbox, hash)
        }),
        canonical,
    }
}
