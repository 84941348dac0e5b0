//! Reads CSV as spreadsheets and other services write it, one record at a time.
//!
//! Promises: memory stays below [`RECORD_LIMIT`] whatever the file holds; a record knows the line it
//! begins on, and can be written as one that a spreadsheet takes for text. Takes `,`, `;` and tab, LF and
//! CRLF, quoted line breaks, and a byte order mark. Leaves the meaning of a cell to `columns`.

use std::io::{BufRead, Read};

use anyhow::{Context, bail, ensure};

use crate::import::formula::is_formula;

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
}

/// One record: reused for the next, so that a file costs one allocation.
#[derive(Default)]
pub struct Record {
    /// Line of the file on which it begins, from 1.
    pub line: u64,
    /// The record as it stood in the file, without its line end.
    raw: Vec<u8>,
    cells: Vec<u8>,
    ends: Vec<usize>,
    /// A quote was opened and the file ended.
    pub unclosed: bool,
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
        };
        let mut start = records.input.fill_buf()?;
        check_line_ends(start)?;
        // Excel may say its delimiter on a line of its own.
        if start.len() > 5
            && start[..4].eq_ignore_ascii_case(b"sep=")
            && b"\r\n".contains(&start[5])
        {
            records.delimiter = start[4];
            records.read_line(false)?;
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
            if self.record.unclosed || self.record.cells.iter().any(|b| !b.is_ascii_whitespace()) {
                return Ok(Some(&self.record));
            }
        }
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
        record.cells.clear();
        record.ends.clear();
        record.unclosed = false;
        record.line = self.lines + 1;
        let mut state = CellState::Start;
        let mut done = 0;
        loop {
            if !self.read_line(state == CellState::Quoted)? {
                let record = &mut self.record;
                record.unclosed = state == CellState::Quoted;
                if record.unclosed {
                    record.ends.push(record.cells.len());
                }
                return Ok(record.unclosed);
            }
            let record = &mut self.record;
            state = record.split(done, self.delimiter, state);
            done = record.raw.len();
            if state != CellState::Quoted {
                let ending = record.raw.ends_with(b"\n");
                let length = record.raw.len() - usize::from(ending);
                let carriage = ending && record.raw[..length].ends_with(b"\r");
                record.raw.truncate(length - usize::from(carriage));
                return Ok(true);
            }
        }
    }

    /// Appends the next line to the record; false at the end of the file.
    fn read_line(&mut self, quoted: bool) -> anyhow::Result<bool> {
        let raw = &mut self.record.raw;
        // One octet more than allowed shows that the record is too long.
        let room = (RECORD_LIMIT + 1 - raw.len()) as u64;
        let mut limited = (&mut self.input).take(room);
        let read = limited.read_until(b'\n', raw);
        let read = read.context("the file cannot be read on")?;
        self.bytes += read as u64;
        if raw.len() > RECORD_LIMIT {
            let line = self.record.line;
            if quoted {
                bail!(
                    "the record that begins on line {line} is longer than 1 MiB; \
                     is a quote left open there?"
                );
            }
            bail!("line {line} is longer than 1 MiB; this is no CSV file of readers");
        }
        self.lines += u64::from(read > 0);
        Ok(read > 0)
    }
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

    /// Splits `raw` from `from` on, going on in `state`. RFC 4180, section 2; besides, a quote inside a
    /// bare cell is a letter, and letters behind a closing quote belong to the cell.
    fn split(&mut self, from: usize, delimiter: u8, mut state: CellState) -> CellState {
        let line = &self.raw[from..];
        for (index, &byte) in line.iter().enumerate() {
            let last = index + 1 == line.len();
            state = match (state, byte) {
                (CellState::Quoted, b'"') => CellState::Closed,
                (CellState::Quoted, _) => {
                    self.cells.push(byte);
                    CellState::Quoted
                }
                (CellState::Start, b'"') => CellState::Quoted,
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
                    self.cells.push(byte);
                    CellState::Bare
                }
            };
        }
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
mod tests {
    use super::{RECORD_LIMIT, Records};

    fn read(text: &[u8]) -> Vec<(u64, Vec<String>)> {
        let mut records = Records::open(text).expect("a text file");
        let mut all = Vec::new();
        while let Some(record) = records.read().expect("a whole record") {
            let cells = record
                .cells()
                .map(|c| String::from_utf8_lossy(c).into_owned());
            all.push((record.line, cells.collect()));
        }
        all
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn the_forms_in_which_spreadsheets_write_are_all_read_with_their_lines() {
        let expected = vec![
            row(1, &["email", "name"]),
            row(2, &["a@x.example", "Ada \"the first\"\nLovelace"]),
            row(4, &["b@x.example", ""]),
            row(7, &["c@x.example", "C"]),
        ];
        let text = "email,name\na@x.example,\"Ada \"\"the first\"\"\nLovelace\"\nb@x.example,\n\n,\n\
                    c@x.example,C";
        assert_eq!(read(text.as_bytes()), expected);
        let with_bom = format!("\u{feff}{text}\n");
        assert_eq!(read(with_bom.as_bytes()), expected);
        assert_eq!(read(text.replace(',', ";").as_bytes()), expected);
        assert_eq!(read(text.replace(',', "\t").as_bytes()), expected);
        let crlf = text.replace('\n', "\r\n");
        let mut with_crlf = expected.clone();
        with_crlf[1].1[1] = "Ada \"the first\"\r\nLovelace".to_owned();
        assert_eq!(read(crlf.as_bytes()), with_crlf);
        let said = format!("sep=;\r\n{}", text.replace(',', ";"));
        let lines: Vec<u64> = read(said.as_bytes())
            .iter()
            .map(|(line, _)| *line)
            .collect();
        assert_eq!(lines, [2, 3, 5, 8]);
    }

    #[test]
    fn odd_quotes_lose_no_letters() {
        assert_eq!(
            read(b"h\na\"b\"c\n\"a\"bc\n"),
            [row(1, &["h"]), row(2, &["a\"b\"c"]), row(3, &["abc"])]
        );
        let mut records = Records::open(&b"h\n\"open\nx\n"[..]).expect("a text file");
        records.read().expect("a header");
        let last = records.read().expect("a record").expect("a record");
        assert!(last.unclosed && last.line == 2);
        assert_eq!(last.raw, b"\"open\nx\n");
        assert!(records.read().expect("the end").is_none());
    }

    #[test]
    fn a_record_without_end_is_an_error_and_not_the_machines_memory() {
        let endless = vec![b'a'; RECORD_LIMIT + 10];
        let error = |text: Vec<u8>| {
            let mut records = Records::open(&text[..]).expect("a text file");
            records.read().expect("a header");
            format!("{:#}", records.read().err().expect("too long"))
        };
        let line = error([b"email\n".to_vec(), endless.clone()].concat());
        assert_eq!(
            line,
            "line 2 is longer than 1 MiB; this is no CSV file of readers"
        );
        let lines = b"abc\n".repeat(RECORD_LIMIT / 3);
        let quote = error([b"email\n\"".to_vec(), lines].concat());
        assert!(
            quote.contains("line 2") && quote.contains("quote left open"),
            "{quote}"
        );
        let exact = [b"email\n".to_vec(), vec![b'a'; RECORD_LIMIT]].concat();
        assert_eq!(read(&exact).len(), 2);
    }

    #[test]
    fn other_encodings_are_named() {
        for (start, expected) in [
            (&b"\xff\xfee\0m\0"[..], "UTF-16"),
            (b"PK\x03\x04", "workbook"),
            (b"\x1f\x8b\x08", "compressed"),
            (b"e\0m\0", "NUL"),
            (b"email,name\ra@x.example,A\r", "end in CR alone"),
            (b"", "empty"),
        ] {
            let error = Records::open(start).err().expect("no CSV").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
