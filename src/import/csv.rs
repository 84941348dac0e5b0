//! Reads CSV as spreadsheets and other services write it, one record at a time.
//!
//! Promises: memory stays below a few times [`RECORD_LIMIT`] whatever the file holds; a record knows the line it
//! begins on, and can be written as one that a spreadsheet takes for text; a quote that is left open takes no other
//! row with it (`stray`). Takes `,`, `;` and tab, LF and CRLF, quoted line breaks, and a byte order mark. Leaves the
//! meaning of a cell to `columns`.

use std::io::{BufRead, Read as _};

use anyhow::{Context, bail, ensure};

use crate::import::csv::stray::{Again, Flaw, Shape};
use crate::import::formula::is_formula;

pub mod stray;

/// Longest record in octets. A reader's row is a few hundred; a file without line ends, or with a quote
/// left open, is noticed here instead of filling the memory.
pub const RECORD_LIMIT: usize = 1 << 20;

/// A file of records.
pub struct Records<R> {
    input: R,
    delimiter: u8,
    /// Lines read so far.
    lines: u64,
    /// Octets read so far.
    bytes: u64,
    record: Record,
    /// How the rows of the table look, once somebody has said it.
    shape: Option<Shape>,
    again: Again,
}

/// One record: reused for the next, so that a file costs one allocation.
#[derive(Default)]
pub struct Record {
    /// Line of the file on which it begins, from 1.
    pub line: u64,
    /// Lines of the file on which it stands.
    pub lines: u64,
    /// What is wrong with its quotes, if they are not to be trusted.
    pub flaw: Option<Flaw>,
    /// The record as it stood in the file, without its line end.
    raw: Vec<u8>,
    cells: Vec<u8>,
    ends: Vec<usize>,
    /// Where in `raw` the last quoted cell begins.
    opened: usize,
    /// Letters stand behind a closing quote.
    odd: bool,
    /// They do behind that of a cell of several lines.
    torn: bool,
}

/// Where a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Line,
    /// The file ended, and a quote was open.
    File,
    /// It was longer than a record may be.
    Limit,
}

impl<R: BufRead> Records<R> {
    /// Looks at the beginning of `input`: its encoding, its byte order mark, its delimiter.
    pub fn open(mut input: R) -> anyhow::Result<Records<R>> {
        let start = input.fill_buf().context("the file cannot be read")?;
        check_encoding(start)?;
        if start.starts_with(b"\xef\xbb\xbf") {
            input.consume(3);
        }
        let mut records = Records {
            input,
            delimiter: b',',
            lines: 0,
            bytes: 0,
            record: Record::default(),
            shape: None,
            again: Again::default(),
        };
        let mut start = records.input.fill_buf()?;
        check_line_ends(start)?;
        // Excel may say its delimiter on a line of its own.
        if start.len() > 5
            && start[..4].eq_ignore_ascii_case(b"sep=")
            && b"\r\n".contains(&start[5])
        {
            records.delimiter = start[4];
            records.read_line()?;
        } else {
            while let [b'\r' | b'\n', rest @ ..] = start {
                start = rest;
            }
            records.delimiter = sniff_delimiter(start);
        }
        Ok(records)
    }

    /// The next record that holds anything; blank lines, and rows of empty cells as spreadsheets leave
    /// them behind, are passed over.
    pub fn read(&mut self) -> anyhow::Result<Option<&Record>> {
        loop {
            if !self.read_record()? {
                return Ok(None);
            }
            let holds = self.record.cells.iter().any(|b| !b.is_ascii_whitespace());
            if holds || self.record.flaw.is_some() {
                self.hold_to_shape();
                return Ok(Some(&self.record));
            }
        }
    }

    /// Says how a row looks, so that a quote which is left open is told from a cell of several lines.
    pub fn expect(&mut self, shape: Shape) {
        self.shape = Some(shape);
    }

    /// The last record that [`Records::read`] gave.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What stands between two cells.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Octets of the file read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_record(&mut self) -> anyhow::Result<bool> {
        let record = &mut self.record;
        record.raw.clear();
        record.begin();
        record.line = self.lines + 1;
        let mut state = CellState::Start;
        let mut done = 0;
        loop {
            let read = self.read_line()?;
            let quoted = state == CellState::Quoted;
            let line = self.record.line;
            let end = match read {
                Read::Line => {
                    let record = &mut self.record;
                    state = record.split(done, self.delimiter, state);
                    done = record.raw.len();
                    if state == CellState::Quoted {
                        continue;
                    }
                    End::Line
                }
                Read::Nothing if quoted => {
                    self.record.ends.push(self.record.cells.len());
                    End::File
                }
                Read::Nothing => return Ok(false),
                Read::TooMuch if quoted => End::Limit,
                Read::TooMuch => {
                    bail!("line {line} is longer than 1 MiB; this is no CSV file of readers")
                }
            };
            self.record.lines = (self.lines + 1).saturating_sub(line).max(1);
            self.judge(end)?;
            if end == End::Line {
                self.record.trim_end();
            }
            return Ok(true);
        }
    }

    /// Appends the next line to the record.
    fn read_line(&mut self) -> anyhow::Result<Read> {
        let raw = &mut self.record.raw;
        let before = raw.len();
        // One octet more than allowed shows that the record is too long.
        let room = RECORD_LIMIT + 1 - before;
        self.again.take_line(raw, room);
        if !raw[before..].ends_with(b"\n") && raw.len() <= RECORD_LIMIT {
            let room = (RECORD_LIMIT + 1 - raw.len()) as u64;
            let mut limited = (&mut self.input).take(room);
            let read = limited.read_until(b'\n', raw);
            self.bytes += read.context("the file cannot be read on")? as u64;
        }
        if raw.len() > RECORD_LIMIT {
            return Ok(Read::TooMuch);
        }
        match raw.len() - before {
            0 => Ok(Read::Nothing),
            _ => {
                self.lines += 1;
                Ok(Read::Line)
            }
        }
    }
}

/// What reading a line came to.
enum Read {
    Line,
    /// The file has ended.
    Nothing,
    /// The record is longer than it may be.
    TooMuch,
}

impl Record {
    /// The cells in order.
    pub fn cells(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| self.cell(index))
    }

    /// The cell of this column; empty when the record is shorter.
    pub fn cell(&self, column: usize) -> &[u8] {
        let Some(&end) = self.ends.get(column) else {
            return b"";
        };
        let start = match column {
            0 => 0,
            _ => self.ends[column - 1],
        };
        &self.cells[start..end]
    }

    /// How many cells there are.
    pub fn width(&self) -> usize {
        self.ends.len()
    }

    /// The record as one line, with what a spreadsheet would take for a formula made text: an import reads it back.
    pub fn harmless(&self, delimiter: u8) -> Vec<u8> {
        let mut line = Vec::with_capacity(self.raw.len());
        for (column, cell) in self.cells().enumerate() {
            if column > 0 {
                line.push(delimiter);
            }
            let apostrophe: &[u8] = if is_formula(cell) { b"'" } else { b"" };
            let special = |octet: &u8| *octet == delimiter || b"\",;\t\n\r".contains(octet);
            if !cell.iter().any(special) {
                line.extend_from_slice(apostrophe);
                line.extend_from_slice(cell);
                continue;
            }
            line.push(b'"');
            line.extend_from_slice(apostrophe);
            for &octet in cell {
                // RFC 4180, section 2: a quote within is doubled.
                if octet == b'"' {
                    line.push(octet);
                }
                line.push(octet);
            }
            line.push(b'"');
        }
        line
    }

    /// Forgets its cells.
    fn begin(&mut self) {
        self.cells.clear();
        self.ends.clear();
        self.flaw = None;
        (self.odd, self.torn) = (false, false);
    }

    /// Takes the line end off.
    fn trim_end(&mut self) {
        let ending = self.raw.ends_with(b"\n");
        let length = self.raw.len() - usize::from(ending);
        let carriage = ending && self.raw[..length].ends_with(b"\r");
        self.raw.truncate(length - usize::from(carriage));
    }

    /// What the cell being read holds so far.
    fn open_cell(&self) -> &[u8] {
        &self.cells[self.ends.last().copied().unwrap_or_default()..]
    }

    /// Splits `raw` from `from` on, going on in `state`. RFC 4180, section 2; besides, a quote inside a
    /// bare cell is a letter, and letters behind a closing quote belong to the cell.
    fn split(&mut self, from: usize, delimiter: u8, mut state: CellState) -> CellState {
        let raw = std::mem::take(&mut self.raw);
        let line = &raw[from..];
        for (index, &byte) in line.iter().enumerate() {
            let last = index + 1 == line.len();
            state = match (state, byte) {
                (CellState::Quoted, b'"') => CellState::Closed,
                (CellState::Quoted, _) => {
                    self.cells.push(byte);
                    CellState::Quoted
                }
                (CellState::Start, b'"') => {
                    self.opened = from + index;
                    CellState::Quoted
                }
                (CellState::Closed, b'"') => {
                    self.cells.push(b'"');
                    CellState::Quoted
                }
                (_, b'\n') => state,
                (_, b'\r') if last || line[index + 1] == b'\n' => state,
                (_, _) if byte == delimiter => {
                    self.ends.push(self.cells.len());
                    CellState::Start
                }
                (_, _) => {
                    if state == CellState::Closed {
                        self.odd = true;
                        self.torn |= self.open_cell().contains(&b'\n');
                    }
                    self.cells.push(byte);
                    CellState::Bare
                }
            };
        }
        self.raw = raw;
        if state != CellState::Quoted {
            self.ends.push(self.cells.len());
        }
        state
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CellState {
    Start,
    Bare,
    Quoted,
    /// Behind a quote that closes the cell, or begins a doubled one.
    Closed,
}

fn check_encoding(start: &[u8]) -> anyhow::Result<()> {
    ensure!(!start.is_empty(), "the file is empty");
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        bail!("the file is UTF-16; save it as UTF-8 (Excel: `CSV UTF-8`)");
    }
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"\xd0\xcf\x11\xe0") {
        bail!("the file is a workbook or an archive; save the sheet as CSV in UTF-8");
    }
    if start.starts_with(b"\x1f\x8b") {
        bail!("the file is compressed; unpack it first");
    }
    if start.contains(&0) {
        bail!("the file holds NUL octets, so it is no UTF-8 text; save it as CSV in UTF-8");
    }
    Ok(())
}

/// A file whose lines end in CR alone would be one long header.
fn check_line_ends(start: &[u8]) -> anyhow::Result<()> {
    let mut quoted = false;
    for pair in start.windows(2) {
        match pair {
            [b'"', _] => quoted = !quoted,
            [b'\n', _] if !quoted => break,
            [b'\r', next] if !quoted && !b"\r\n".contains(next) => {
                bail!(
                    "the lines end in CR alone, as Macs once wrote them; save the file as `CSV UTF-8`"
                )
            }
            _ => {}
        }
    }
    Ok(())
}

/// The candidate that the first line holds most often outside quotes; a comma when there is none.
fn sniff_delimiter(start: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for &byte in start {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if quoted => {}
            _ => {
                for (candidate, count) in &mut counts {
                    *count += usize::from(*candidate == byte);
                }
            }
        }
    }
    // `max_by_key` takes the last of equals, and the comma should win.
    let best = counts.iter().rev().max_by_key(|(_, count)| *count);
    best.map_or(b',', |(candidate, _)| *candidate)
}

#[cfg(test)]
mod tests;
