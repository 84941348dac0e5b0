//! The demo's mailboxes: what the sink stored, read as a mail program reads it.

use std::path::Path;

use anyhow::Context;

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
        let text = decoded(raw);
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
        let mut found = Vec::new();
        for (at, _) in self.text.match_indices(base) {
            let rest = &self.text[at + base.len()..];
            let token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let end = rest.find(|c| !token(c)).unwrap_or(rest.len());
            let link = format!("{base}{}", &rest[..end]);
            if end > 0 && !found.contains(&link) {
                found.push(link);
            }
        }
        found
    }
}

/// RFC 2045, section 6.7, backwards: soft breaks go, `=XX` becomes its octet.
fn decoded(raw: &[u8]) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        let octet = raw
            .get(at + 1..at + 3)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match (byte, octet) {
            (b'=', Some("\r\n")) => at += 3,
            (b'=', Some(pair)) if pair.bytes().all(|b| b.is_ascii_hexdigit()) => {
                out.extend(u8::from_str_radix(pair, 16));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
