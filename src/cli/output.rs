//! What commands print: texts, tables and JSON on stdout, notes on stderr.
//!
//! Promises: a reader of the output that goes away (`| head`) neither ends a command nor makes it complain: what
//! nobody reads is dropped, and a `send` goes on to its end. An output that cannot be written otherwise (a full
//! disk) ends no work either, and is told at the end. Whoever's words are printed, no terminal does anything at them.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write, stderr, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::Context;
use serde::Serialize;

use crate::terminal::{json, lines, plain};

/// In all of `cli` these stand for std's, which panic where nobody reads: in the middle of a run that would leave
/// deliveries at the dot.
macro_rules! println {
    () => { $crate::cli::output::say(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::output::say(format_args!("{}\n", format_args!($($text)*))) };
}

macro_rules! print {
    ($($text:tt)*) => { $crate::cli::output::say(format_args!($($text)*)) };
}

macro_rules! eprintln {
    () => { $crate::cli::output::remark(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::output::remark(format_args!("{}\n", format_args!($($text)*))) };
}

macro_rules! eprint {
    ($($text:tt)*) => { $crate::cli::output::remark(format_args!($($text)*)) };
}

/// Why some of the output is nowhere.
static LOST: OnceLock<String> = OnceLock::new();

/// Writes on stdout what nobody has to read.
pub(super) fn say(text: fmt::Arguments<'_>) {
    let text = text.to_string();
    if let Err(error) = stdout().lock().write_all(lines(&text).as_bytes())
        && error.kind() != ErrorKind::BrokenPipe
    {
        // The first reason is the one that is told.
        LOST.set(error.to_string()).ok();
    }
}

/// Writes on stderr. Of one that cannot be written nobody can be told.
pub(super) fn remark(text: fmt::Arguments<'_>) {
    let text = text.to_string();
    stderr().lock().write_all(lines(&text).as_bytes()).ok();
}

/// Empties the line of a terminal in which something was said that is over.
pub(super) fn wipe() {
    stderr().lock().write_all(b"\r\x1b[K").ok();
}

/// Why some of the output could not be written, although somebody might have read it.
pub(super) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

/// Prints `text` on stdout.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    print_file(&lines(text))
}

/// Prints on stdout what would else go into a file, octet for octet: HTML, an issue, a script of ours.
pub(super) fn print_file(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Prints `value` as indented JSON on stdout.
pub(super) fn print_json(value: &(impl Serialize + ?Sized)) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print_file(&json(&text))
}

/// Columns of texts: the first is set left and so is every text; whole numbers are set right. A cell is one line.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &Vec<String>| row.iter().map(|cell| plain(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let mut widths: Vec<usize> = header.iter().map(|name| name.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let number = |column: usize| {
        let digits = |cell: &String| cell.bytes().all(|b| b.is_ascii_digit());
        column > 0 && rows.iter().filter_map(|row| row.get(column)).all(digits)
    };
    let mut text = String::new();
    let names: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    for row in std::iter::once(&names).chain(&rows) {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            line.push_str(gap);
            line.push_str(&match number(column) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Names and values under each other, a line each.
pub(super) fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    let line =
        |(name, value): &(&str, String)| format!("  {:<width$}  {}\n", plain(name), plain(value));
    rows.iter().map(line).collect()
}

/// A new file that only its owner reads: it holds addresses.
pub(super) fn private_file(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.with_context(|| format!("`{}` cannot be made; nothing was written", path.display()))
}
