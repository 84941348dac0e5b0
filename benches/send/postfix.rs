//! Postfix's own load generator, where it is installed: one body for all, and nothing looked at.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::meter::Meter;

const SOURCE: &str = "/usr/sbin/smtp-source";

/// Messages per second over `connections` that stay open; none where there is no Postfix.
pub fn run(meter: &mut Meter, connections: usize, count: usize, octets: usize) -> Option<f64> {
    if !Path::new(SOURCE).exists() {
        return None;
    }
    let mut command = Command::new(SOURCE);
    command
        .args(["-d", "-s", &connections.to_string()])
        .args(["-m", &count.to_string(), "-l", &octets.to_string()])
        .args(["-f", "bounce@example.com", "-t", "reader@example.org"])
        .arg(format!("inet:{}", meter.address))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    meter.begin();
    let status = command.status().expect("smtp-source");
    assert!(status.success(), "smtp-source ended with {status}");
    Some(meter.end(count))
}
