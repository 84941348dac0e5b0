//! What a process costs, as Linux counts it.

use std::fs;
use std::process::Child;
use std::time::Duration;

/// Processor time and memory of one process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds on any core, in steps of 10 ms.
    pub seconds: f64,
    /// The most memory it ever held, in MiB.
    pub peak_mib: f64,
}

/// What process `id` (or `self`) has cost so far; `None` once it is gone.
pub fn cost(id: &str) -> Option<Cost> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name stands in brackets and may hold anything; user and system time are 14th and 15th.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let user: f64 = fields.get(11)?.parse().ok()?;
    let system: f64 = fields.get(12)?.parse().ok()?;
    Some(Cost {
        // Linux reports in hundredths of a second to every program.
        seconds: (user + system) / 100.0,
        peak_mib: kib / 1024.0,
    })
}

/// Waits for `child`, which must succeed; gives what it cost up to a few milliseconds before its end.
pub fn wait(child: &mut Child, what: &str) -> Cost {
    let mut last = Cost::default();
    let id = child.id().to_string();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "{what} ended with {status}");
            return last;
        }
        last = cost(&id).unwrap_or(last);
        std::thread::sleep(Duration::from_millis(5));
    }
}
