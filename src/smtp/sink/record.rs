//! What a sink writes down of a message before it answers: a file, a line of JSON, a record in memory.
//!
//! Promises: nobody but the owner reads what is on the disk, for it holds addresses and links that work.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use bytes::Bytes;
use memchr::memmem;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::clock::{Clock, Timestamp};
use crate::hex::hex;
use crate::lock::lock;
use crate::smtp::sink::{Keep, SinkOptions};

/// One message that a sink took.
#[derive(Clone, Debug, Serialize)]
pub struct Accepted {
    /// Unix milliseconds.
    pub time: Timestamp,
    /// Without its angle brackets; empty when the message has none.
    pub message_id: String,
    pub rcpt: Vec<String>,
    pub sender: String,
    /// Of the message as stored, in hexadecimal digits.
    pub sha256: String,
    pub size: usize,
    /// `answered`, or `cut` where the sender was not told.
    pub verdict: &'static str,
    /// Name of the stored file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The octets, where they are kept.
    #[serde(skip)]
    pub message: Bytes,
}

/// Where a sink's messages go.
#[derive(Debug)]
pub struct Recorder {
    keep: Keep,
    clock: Clock,
    folder: Option<PathBuf>,
    next: AtomicU64,
    log: Option<Mutex<File>>,
    kept: Mutex<Vec<Accepted>>,
}

impl Recorder {
    /// Makes the folder, opens the log at its end.
    pub fn new(options: &SinkOptions) -> anyhow::Result<Recorder> {
        if let Some(folder) = &options.store {
            let shown = folder.display();
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.with_context(|| format!("cannot make the folder `{shown}`"))?;
        }
        let log = match &options.log {
            None => None,
            Some(path) => {
                let mut options = OpenOptions::new();
                let opened = options.create(true).append(true).mode(0o600).open(path);
                let file = opened.with_context(|| format!("cannot write `{}`", path.display()))?;
                Some(Mutex::new(file))
            }
        };
        Ok(Recorder {
            keep: options.keep,
            clock: options.clock.clone(),
            folder: options.store.clone(),
            next: AtomicU64::new(1),
            log,
            kept: Mutex::default(),
        })
    }

    /// Whether messages are looked at, or only counted.
    pub fn is_needed(&self) -> bool {
        self.keep != Keep::Nothing || self.folder.is_some() || self.log.is_some()
    }

    /// Writes one message down.
    pub fn record(
        &self,
        sender: &str,
        recipients: Vec<String>,
        message: Vec<u8>,
        verdict: &'static str,
    ) -> anyhow::Result<()> {
        let mut accepted = Accepted {
            time: self.clock.now(),
            message_id: message_id(&message),
            rcpt: recipients,
            sender: sender.to_owned(),
            sha256: hex(&Sha256::digest(&message)),
            size: message.len(),
            verdict,
            file: None,
            message: Bytes::new(),
        };
        if let Some(folder) = &self.folder {
            accepted.file = Some(self.store(folder, &message)?);
        }
        if let Some(log) = &self.log {
            let mut line = serde_json::to_vec(&accepted)?;
            line.push(b'\n');
            // One write, so that a reader of the file never sees half a line of a finished one.
            lock(log).write_all(&line)?;
        }
        if self.keep == Keep::Messages {
            accepted.message = Bytes::from(message);
        }
        if self.keep != Keep::Nothing {
            lock(&self.kept).push(accepted);
        }
        Ok(())
    }

    /// The records kept so far.
    pub fn accepted(&self) -> Vec<Accepted> {
        lock(&self.kept).clone()
    }

    /// Files of an earlier sink in the same folder are left alone.
    fn store(&self, folder: &Path, message: &[u8]) -> anyhow::Result<String> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("{number:06}.eml");
            let path = folder.join(&name);
            let mut options = OpenOptions::new();
            match options.write(true).create_new(true).mode(0o600).open(&path) {
                Ok(mut file) => {
                    file.write_all(message)?;
                    return Ok(name);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let shown = path.display();
                    return Err(error).with_context(|| format!("cannot write `{shown}`"));
                }
            }
        }
    }
}

/// What stood between DATA's answer and the terminator, without the dot that a sender puts before one at
/// the start of a line (RFC 5321, section 4.5.2).
pub fn unstuff(wire: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(wire.len());
    let mut rest = wire.strip_prefix(b".").unwrap_or(wire);
    while let Some(at) = memmem::find(rest, b"\r\n.") {
        message.extend_from_slice(&rest[..at + 2]);
        rest = &rest[at + 3..];
    }
    message.extend_from_slice(rest);
    message
}

/// The value of the Message-ID field, without brackets; unfolded if it has to be.
fn message_id(message: &[u8]) -> String {
    let head = memmem::find(message, b"\r\n\r\n").unwrap_or(message.len());
    let mut lines = message[..head].split(|&byte| byte == b'\n');
    const NAME: &[u8] = b"message-id:";
    while let Some(line) = lines.next() {
        let Some((name, value)) = line.split_at_checked(NAME.len()) else {
            continue;
        };
        if !name.eq_ignore_ascii_case(NAME) {
            continue;
        }
        let mut value = value.trim_ascii();
        if value.is_empty() {
            value = lines.next().unwrap_or_default().trim_ascii();
        }
        let text = String::from_utf8_lossy(value);
        return text.trim_matches(['<', '>']).to_owned();
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::{message_id, unstuff};

    #[test]
    fn stuffed_dots_are_taken_away() {
        assert_eq!(
            unstuff(b"..\r\n..a\r\nb.\r\n...\r\n"),
            b".\r\n.a\r\nb.\r\n..\r\n"
        );
        assert_eq!(unstuff(b""), b"");
    }

    #[test]
    fn the_message_id_is_found_in_the_head_only() {
        assert_eq!(
            message_id(b"To: a\r\nmessage-ID: <x@y>\r\n\r\nhi\r\n"),
            "x@y"
        );
        assert_eq!(message_id(b"Message-ID:\r\n <x@y>\r\n\r\n"), "x@y");
        assert_eq!(message_id(b"To: a\r\n\r\nMessage-ID: <x@y>\r\n"), "");
        assert_eq!(message_id(b""), "");
    }
}
