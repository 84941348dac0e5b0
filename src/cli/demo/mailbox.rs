//! The demo's mailboxes: what the sink stored, read as a mail program reads it.

use std::path::Path;

use anyhow::Context;

use crate::message::received::{decoded, tokens};

/// One message out of a reader's mailbox.
pub(crate) struct Letter {
    pub to: String,
    pub subject: String,
    /// The message with its transfer encoding undone.
    text: String,
}

/// The messages in `folder` as they came, without the first `known`.
pub(crate) fn letters(folder: &Path, known: usize) -> anyhow::Result<Vec<Letter>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("the sink's folder `{}`", folder.display()))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    let mut letters = Vec::new();
    for path in paths.into_iter().skip(known) {
        let raw = std::fs::read(&path)?;
        // One that is being written just now has no last boundary yet.
        if raw.ends_with(b"--\r\n") {
            letters.push(Letter::read(&raw));
        }
    }
    Ok(letters)
}

impl Letter {
    fn read(raw: &[u8]) -> Letter {
        let text = String::from_utf8_lossy(&decoded(raw)).into_owned();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let to = field("To:");
        let address = to
            .rsplit_once('<')
            .map_or(to.as_str(), |(_, address)| address);
        Letter {
            to: address.trim_end_matches('>').to_owned(),
            subject: field("Subject:"),
            text,
        }
    }

    /// The distinct links of this message that begin with `base`, in their order.
    pub(crate) fn links(&self, base: &str) -> Vec<String> {
        let tokens = tokens(&self.text, base).into_iter();
        tokens.map(|token| format!("{base}{token}")).collect()
    }
}
