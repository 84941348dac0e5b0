//! What every benchmark shares: the machine's disk, medians and the table.
//!
//! A goal is a ratio to a reference that the same run measured, so it means the same on any machine.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// One line of the table.
pub struct Row {
    pub work: String,
    /// In the table's unit.
    pub value: f64,
    pub reference: Option<Reference>,
    pub note: String,
}

/// What a value is held against.
pub struct Reference {
    pub name: &'static str,
    pub value: f64,
    /// The smallest (or, for a time, the largest) ratio that is good.
    pub goal: f64,
}

impl Row {
    /// A line that others are held against, or that only informs.
    pub fn plain(work: impl Into<String>, value: f64) -> Row {
        Row {
            work: work.into(),
            value,
            reference: None,
            note: String::new(),
        }
    }

    /// A line with a goal.
    pub fn against(work: impl Into<String>, value: f64, reference: Reference) -> Row {
        Row {
            reference: Some(reference),
            ..Row::plain(work, value)
        }
    }

    /// The same line with a remark at its end.
    pub fn with(mut self, note: impl Into<String>) -> Row {
        self.note = note.into();
        self
    }
}

/// Prints the table. A larger value is better when `unit` is a rate, such as `rows/s`; else a smaller one.
pub fn print(title: &str, unit: &str, rows: &[Row]) {
    println!("\n{title}");
    println!("{:<44} {unit:>12}  {:<28} goal", "", "ratio");
    for row in rows {
        let value = number(row.value);
        let (ratio, goal) = match &row.reference {
            Some(reference) => {
                let ratio = row.value / reference.value;
                let (sign, met) = if unit.ends_with("/s") {
                    (">=", ratio >= reference.goal)
                } else {
                    ("<=", ratio <= reference.goal)
                };
                let verdict = if met { "met" } else { "MISSED" };
                (
                    format!("{ratio:.2} of {}", reference.name),
                    format!("{sign} {:.2} {verdict}", reference.goal),
                )
            }
            None => (String::new(), String::new()),
        };
        let line = format!(
            "{:<44} {value:>12}  {ratio:<28} {goal:<15} {}",
            row.work, row.note
        );
        println!("{}", line.trim_end());
    }
}

/// Prints how long this disk takes to make 4 KiB durable, in the folder the databases stand in.
pub fn print_disk(folder: &Path) {
    let micros = fdatasync_micros(folder);
    println!("fdatasync of 4 KiB: {micros:.0} us (median of 200)");
}

/// Median of 200 times writing 4 KiB and waiting for the disk.
fn fdatasync_micros(folder: &Path) -> f64 {
    let path = folder.join("fdatasync.probe");
    let mut file = File::create(&path).expect("a probe file");
    let page = [0x5a; 4096];
    let mut times: Vec<f64> = (0..200)
        .map(|_| {
            let from = Instant::now();
            file.write_all(&page).expect("a write");
            file.sync_data().expect("a sync");
            from.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    fs::remove_file(&path).expect("the probe file is ours");
    median(&mut times)
}

/// The middle one; the mean of the two middle ones when their number is even.
pub fn median(values: &mut [f64]) -> f64 {
    assert!(!values.is_empty(), "a median of nothing");
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() % 2 {
        1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}

/// A number for people: 12,345 or 6.78.
pub fn number(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
