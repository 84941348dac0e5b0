//! The header fields of a message: those of the run, and those of the reader.
//!
//! Promises: every field stands once, in ASCII, and is one field whatever a name or a subject holds.

use anyhow::{Context, ensure};
use lettre::message::Mailbox;

use crate::address::EmailAddress;
use crate::clock::Timestamp;
use crate::compile::escape::one_line;
use crate::compile::{Segment, Slot, Template};
use crate::message::RunHeaders;
use crate::message::copy::CopyRecord;
use crate::message::words::Field;

/// Characters of a name or of a value in the subject; longer ones are cut. Nobody's name is longer, and
/// a header must stay small (RFC 5322, section 2.1.1; providers refuse subjects over 998 octets).
const VALUE: usize = 100;
/// Characters of a subject, `[TEST]` and all; cut there when a reader's value makes it longer.
const SUBJECT: usize = 200;
const TEST: &str = "[TEST] ";

/// Refuses what no message may be sent under, before a run begins.
pub(super) fn check(headers: &RunHeaders) -> anyhow::Result<()> {
    let name = &headers.from_name;
    ensure!(
        one_line(name) == *name && name.chars().count() <= VALUE,
        "from.name is longer than {VALUE} characters, or holds a line end, a control or a needless blank"
    );
    let reply = ["re:", "fwd:", "fw:", "aw:"];
    let lower = name.to_ascii_lowercase();
    ensure!(
        !name.contains('@') && !reply.iter().any(|prefix| lower.starts_with(prefix)),
        "from.name `{name}` looks like an address or a reply; mailbox providers refuse such names"
    );
    for address in std::iter::once(&headers.from_address).chain(&headers.reply_to) {
        read_back(name, address)?;
    }
    let url = &headers.public_url;
    // Characters that stand for themselves in HTML, in a header and in quoted-printable alike.
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~:/[]%".contains(&octet);
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    let name = host.trim_end_matches(|c: char| c.is_ascii_digit());
    let name = if name.ends_with(':') {
        name.trim_end_matches(':')
    } else {
        host
    };
    let loopback = ["localhost", "127.0.0.1", "[::1]"].contains(&name);
    ensure!(
        !name.is_empty() && url.bytes().all(plain) && !url.ends_with('/') && url.len() <= 200,
        "publication.url `{url}` cannot begin a link; write it as `https://news.example.com`"
    );
    ensure!(
        scheme == "https" || scheme == "http" && loopback,
        "publication.url `{url}` must begin with `https://` (RFC 8058, section 3.1), or be on this machine"
    );
    if let Some(list) = &headers.list {
        let title = &list.title;
        ensure!(
            one_line(title) == *title && title.chars().count() <= VALUE,
            "the list's title is longer than {VALUE} characters, or holds a line end or a control"
        );
        let id = format!("{}.{}", list.label, list.domain);
        let label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        // RFC 2919, section 3: a list-id is at most 255 octets.
        ensure!(
            id.len() <= 255 && list.domain.contains('.') && id.split('.').all(label),
            "the list's id `{id}` is no name for List-Id; use letters, digits, hyphens and dots"
        );
    }
    Ok(())
}

/// A second opinion on the author's mailbox, once per run: lettre reads what we wrote as one mailbox of
/// this very address.
fn read_back(name: &str, address: &EmailAddress) -> anyhow::Result<()> {
    let mut field = Vec::new();
    mailbox("From", name, address, &mut field);
    let unfolded = String::from_utf8_lossy(&field).replace("\r\n", "");
    let read = unfolded.strip_prefix("From: ").unwrap_or(&unfolded);
    let read: Mailbox = read.parse().with_context(|| {
        format!("from.name `{name}` makes a From that mail programs cannot read")
    })?;
    let email: &str = read.email.as_ref();
    ensure!(
        email == address.as_str(),
        "from.name `{name}` makes a From that is read as another address; choose a plainer name"
    );
    Ok(())
}

/// The fields that all copies share: those before the reader's own, and those after.
pub(super) fn shared(headers: &RunHeaders, boundary: &str) -> (Vec<u8>, Vec<u8>) {
    let mut opening = Vec::new();
    mailbox(
        "From",
        &headers.from_name,
        &headers.from_address,
        &mut opening,
    );
    if let Some(address) = &headers.reply_to {
        mailbox("Reply-To", "", address, &mut opening);
    }
    let mut closing = Vec::new();
    if let Some(list) = &headers.list {
        let mut field = Field::new("List-Id", &mut closing);
        // Gmail refuses encoded words in list fields; the title is for people, the id is the list.
        if !list.title.is_empty() && list.title.is_ascii() {
            field.phrase(&list.title);
        }
        field.unit(&format!("<{}.{}>", list.label, list.domain));
        field.end();
        let feedback = feedback_id(headers, &list.label);
        for line in [
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            &feedback,
            "Precedence: bulk",
        ] {
            closing.extend_from_slice(line.as_bytes());
            closing.extend_from_slice(b"\r\n");
        }
    } else {
        // RFC 3834, section 5.1: nobody's autoresponder need answer.
        closing.extend_from_slice(b"Auto-Submitted: auto-generated\r\n");
    }
    let rest = format!(
        "X-Auto-Response-Suppress: OOF, AutoReply\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/alternative;\r\n boundary=\"{boundary}\"\r\n"
    );
    closing.extend_from_slice(rest.as_bytes());
    (opening, closing)
}

/// Three identifiers and a sender of 5 to 15 characters, the same for all copies, none twice.
fn feedback_id(headers: &RunHeaders, label: &str) -> String {
    let plain = |text: &str, most: usize| -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        text.chars().take(most).map(letter).collect()
    };
    let mut sender = plain(headers.from_address.domain(), 15);
    while sender.len() < 5 {
        sender.push('-');
    }
    let (about, list) = (plain(&headers.about, 40), plain(label, 40));
    format!("Feedback-ID: i-{about}:l-{list}:issue:{sender}")
}

/// A mailbox with its display name, if there is one.
pub(super) fn mailbox(field: &str, name: &str, address: &EmailAddress, out: &mut Vec<u8>) {
    let mut field = Field::new(field, out);
    let name = one_line(name);
    let name = cut(&name, VALUE);
    if name.is_empty() {
        field.unit(address.as_str());
    } else {
        field.phrase(name);
        field.unit(&format!("<{address}>"));
    }
    field.end();
}

/// RFC 5322, section 3.3: English names in every language, a numeric zone.
pub(super) fn date(date: Timestamp, out: &mut Vec<u8>) {
    let date = date
        .to_jiff()
        .strftime("Date: %a, %d %b %Y %H:%M:%S +0000\r\n");
    out.extend_from_slice(date.to_string().as_bytes());
}

/// The Subject field: encoded once when every copy has the same.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    template: Template,
    shared: Option<Vec<u8>>,
}

impl Subject {
    pub(super) fn new(template: &Template) -> anyhow::Result<Subject> {
        let mut literal = 0;
        let mut shared = true;
        let mut filled = false;
        for segment in &template.0 {
            match segment {
                Segment::Literal(text) => {
                    literal += text.chars().count();
                    filled |= !one_line(text).is_empty();
                }
                Segment::Slot(Slot::Field { default, .. }) => {
                    shared = false;
                    filled |= !one_line(default).is_empty();
                }
                Segment::Only(_) | Segment::End => {}
                Segment::Slot(_) => Err(anyhow::anyhow!("it holds a link"))
                    .context("the subject cannot be sent; take the link out of it")?,
            }
        }
        ensure!(
            filled,
            "the subject is empty for readers without values; write one"
        );
        let most = SUBJECT - TEST.len();
        ensure!(
            literal <= most,
            "the subject has {literal} characters; write at most {most}"
        );
        let mut subject = Subject {
            template: template.clone(),
            shared: None,
        };
        if shared {
            let mut field = Vec::new();
            encode(&subject.text(|_| String::new()), &mut field);
            subject.shared = Some(field);
        }
        Ok(subject)
    }

    /// Appends the field for one copy.
    pub(super) fn write(&self, copy: &CopyRecord, out: &mut Vec<u8>) {
        match &self.shared {
            Some(field) if !copy.test => out.extend_from_slice(field),
            _ => {
                let test = if copy.test { TEST } else { "" };
                let text = self.text(|slot| copy.line(slot));
                encode(&format!("{test}{text}"), out);
            }
        }
    }

    fn text(&self, line: impl Fn(&Slot) -> String) -> String {
        let mut text = String::new();
        for segment in &self.template.0 {
            match segment {
                Segment::Only(_) | Segment::End => {}
                Segment::Literal(literal) => text.push_str(literal),
                Segment::Slot(slot) => text.push_str(cut(&line(slot), VALUE)),
            }
        }
        text
    }
}

fn encode(text: &str, out: &mut Vec<u8>) {
    let text = one_line(text);
    let mut field = Field::new("Subject", out);
    if text.chars().nth(SUBJECT).is_some() {
        field.text(&format!("{}\u{2026}", cut(&text, SUBJECT - 1)));
    } else {
        field.text(&text);
    }
    field.end();
}

/// The first `most` characters of `text`, without a blank at the end.
fn cut(text: &str, most: usize) -> &str {
    let end = text
        .char_indices()
        .nth(most)
        .map_or(text.len(), |(end, _)| end);
    text[..end].trim_end_matches(' ')
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_cut_leaves_whole_characters_and_no_blank() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("a b", 2), "a");
        assert_eq!(cut("a b", 3), "a b");
    }
}
