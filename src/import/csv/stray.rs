//! A quote that is left open, and the rows behind it.
//!
//! Promises: of the lines that such a quote would swallow, each is a record of its own; only lines with as many cells
//! as the table has columns are taken for rows there, so that no line of somebody's note becomes a reader. A cell of
//! several lines that is quoted as it should be stays one. Leaves to `csv` how a line is split.

use std::io::BufRead;

use anyhow::ensure;

use crate::address::EmailAddress;
use crate::import::csv::{CellState, End, Record, Records};

/// Quotes left open in one file: each has up to a record's limit read again.
const MOST: u32 = 1_000;

/// How the rows of a table look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Cells in its header.
    pub width: usize,
    /// The column of the addresses.
    pub email: usize,
}

/// Why the quotes of a record are not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A quote is opened, and the file ends, or goes on for longer than a record may be. The record is the first line,
    /// as with the next one.
    Unclosed,
    /// A quote is opened, and the next one stands in this line, as the beginning of another cell. The record is the
    /// first line, that quote a letter in it; what follows comes as records of its own.
    LeftOpen { to: u64 },
    /// A quoted cell goes on to this line, and holds lines that read like rows.
    Holds { to: u64 },
    /// A line behind a quote left open that has more or fewer cells than the header.
    Behind,
    /// Letters stand behind a closing quote, and there are more or fewer cells than in the header.
    Odd,
}

impl Flaw {
    /// Why such a row is refused.
    pub fn reason(self) -> String {
        match self {
            Flaw::Unclosed => "a quote is opened and never closed".to_owned(),
            Flaw::LeftOpen { to } => format!(
                "a quote is opened and not closed: the next one stands in line {to}; what follows is read line by line"
            ),
            Flaw::Holds { to } => {
                format!("a quote goes on to line {to}, over lines that read like rows of their own")
            }
            Flaw::Behind => {
                "a quote is left open above, and the line has not as many cells as the header"
                    .to_owned()
            }
            Flaw::Odd => {
                "a quote is closed within a cell, and the row has not as many cells as the header"
                    .to_owned()
            }
        }
    }
}

/// Lines that are read a second time.
#[derive(Default)]
pub(super) struct Again {
    lines: Vec<u8>,
    /// Octets of them read.
    at: usize,
    /// The last line behind a quote left open.
    until: u64,
    /// Quotes left open so far.
    quotes: u32,
}

impl Again {
    /// Moves the next line, or what there is of it, to the end of `raw`: up to `room` octets.
    pub(super) fn take_line(&mut self, raw: &mut Vec<u8>, room: usize) {
        let rest = &self.lines[self.at..];
        let line = rest.iter().position(|octet| *octet == b'\n');
        let length = line.map_or(rest.len(), |end| end + 1).min(room);
        raw.extend_from_slice(&rest[..length]);
        self.at += length;
        if self.at == self.lines.len() && self.at > 0 {
            self.lines = Vec::new();
            self.at = 0;
        }
    }

    /// `lines` come before all that is still to be read.
    fn put_back(&mut self, lines: &[u8]) {
        let rest = self.lines.split_off(self.at);
        self.lines = [lines, &rest].concat();
        self.at = 0;
    }
}

impl<R: BufRead> Records<R> {
    /// Looks at the record that was read to `end`: whether one of its quotes swallows rows.
    pub(super) fn judge(&mut self, end: End) -> anyhow::Result<()> {
        let (line, to) = (self.record.line, self.lines);
        let Some(shape) = self.shape else {
            ensure!(end != End::Limit, endless(line));
            self.record.flaw = (end == End::File).then_some(Flaw::Unclosed);
            return Ok(());
        };
        let torn = self.record.torn || end != End::Line;
        // Beside quotes that are wrong anyway, an address in its place is enough.
        let cells = if torn { 1 } else { shape.width };
        let swallows = self.record.lines > 1 && self.record.swallows(self.delimiter, shape, cells);
        ensure!(end != End::Limit || swallows, endless(line));
        match (end, swallows) {
            (End::File | End::Limit, _) => self.leave_open(Flaw::Unclosed, to)?,
            (End::Line, true) if torn => self.leave_open(Flaw::LeftOpen { to }, to)?,
            (End::Line, true) => self.record.flaw = Some(Flaw::Holds { to }),
            (End::Line, false) => {}
        }
        Ok(())
    }

    /// Whether the record has the cells of a row where its quotes, or those above it, leave a doubt.
    pub(super) fn hold_to_shape(&mut self) {
        let Some(shape) = self.shape else {
            return;
        };
        let behind = self.record.line <= self.again.until;
        let record = &mut self.record;
        if record.flaw.is_some() || record.width() == shape.width {
            return;
        }
        record.flaw = match (behind, record.odd) {
            (true, _) => Some(Flaw::Behind),
            (false, true) => Some(Flaw::Odd),
            (false, false) => None,
        };
    }

    /// Makes the record its first line, and has the others, up to the line `to`, read again.
    fn leave_open(&mut self, flaw: Flaw, to: u64) -> anyhow::Result<()> {
        self.again.quotes += 1;
        let line = self.record.line;
        ensure!(
            self.again.quotes <= MOST,
            "more than {MOST} quotes are opened and not closed, the last of them in line {line}; this is no CSV file \
             of readers"
        );
        let record = &mut self.record;
        let first = record.raw.iter().position(|octet| *octet == b'\n');
        let first = first.map_or(record.raw.len(), |end| end + 1);
        self.again.put_back(&record.raw[first..]);
        self.again.until = self.again.until.max(to);
        self.lines = line;
        record.raw.truncate(first);
        record.trim_end();
        record.take_literally(self.delimiter);
        record.lines = 1;
        record.flaw = Some(flaw);
        Ok(())
    }
}

impl Record {
    /// Whether the first line runs into others that hold an address in a cell of their own.
    pub fn runs_into_rows(&self, delimiter: u8) -> bool {
        self.further_lines().any(|line| {
            let row = Record::of_line(line, delimiter);
            row.cells().any(is_address)
        })
    }

    /// Whether a line but the first reads like a row: an address in its place, and at least so many `cells`.
    fn swallows(&self, delimiter: u8, shape: Shape, cells: usize) -> bool {
        self.further_lines().any(|line| {
            let row = Record::of_line(line, delimiter);
            row.width() >= cells && is_address(row.cell(shape.email))
        })
    }

    /// The lines behind the first that may hold an address.
    fn further_lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.raw.split(|octet| *octet == b'\n').skip(1);
        lines.filter(|line| line.contains(&b'@'))
    }

    /// One line, read for itself.
    fn of_line(line: &[u8], delimiter: u8) -> Record {
        let mut record = Record {
            raw: line.to_vec(),
            ..Record::default()
        };
        if record.split(0, delimiter, CellState::Start) == CellState::Quoted {
            record.ends.push(record.cells.len());
        }
        record
    }

    /// Splits the line again, its open quote a letter.
    fn take_literally(&mut self, delimiter: u8) {
        self.begin();
        if self.split(0, delimiter, CellState::Start) != CellState::Quoted {
            return;
        }
        let cell = self.ends.last().copied().unwrap_or_default();
        self.cells.truncate(cell);
        for &octet in &self.raw[self.opened..] {
            match octet == delimiter {
                true => self.ends.push(self.cells.len()),
                false => self.cells.push(octet),
            }
        }
        self.ends.push(self.cells.len());
    }
}

fn is_address(cell: &[u8]) -> bool {
    let text = std::str::from_utf8(cell).unwrap_or_default();
    EmailAddress::parse(text).is_ok()
}

fn endless(line: u64) -> String {
    format!(
        "the record that begins on line {line} is longer than 1 MiB; is a quote left open there?"
    )
}
