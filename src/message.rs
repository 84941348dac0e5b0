//! The message template: one RFC 5322 message, encoded once per run, with holes for each copy.
//!
//! Promises: a copy is a concatenation. Lines end in CRLF and hold at most 76 octets of body, no line
//! begins with a dot (so nothing is ever dot-stuffed), no blank is repeated or trails (so the body is
//! its own relaxed form), and no reader's value adds a header field. The same inputs give the same octets.
//! Leaves the choice of the relay, of the envelope and of the moment to `deliver`.

pub mod copy;
mod fields;
mod lines;
mod parts;
pub mod received;
mod words;

use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::address::EmailAddress;
use crate::clock::Timestamp;
use crate::compile::{Compiled, Template};
use crate::dkim::{self, Seal, SignError, Signer};
use crate::hex::hex;
use crate::id::{DeliveryKey, SubscriptionKey};
use crate::keyring::Keyring;
use crate::message::copy::CopyRecord;
use crate::message::fields::Subject;
use crate::message::parts::Parts;
use crate::octets::Octets;
use crate::token::{self, Claim};

/// What is fixed for all copies of a run besides its revision: frozen with it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunHeaders {
    pub from_name: String,
    /// Its domain stands right of the `@` in every Message-ID.
    pub from_address: EmailAddress,
    pub reply_to: Option<EmailAddress>,
    /// The list whose readers get this; none for mails to someone who has joined no list (yet), which
    /// then carry neither List-Unsubscribe nor List-Id.
    pub list: Option<ListHeaders>,
    /// What complaint reports are grouped by: the slug, or the kind of a system mail. Headers that were frozen
    /// under the field's former name are read.
    #[serde(alias = "campaign")]
    pub about: String,
    /// Domain of the VERP envelope sender.
    pub bounce_domain: String,
    /// Whether mail to that domain is read, so that a mail program may ask for leaving by mail.
    #[serde(default)]
    pub mailto: bool,
    /// Base of every link, without a trailing slash.
    pub public_url: String,
    /// The name of this installation, random and kept in its database: two installations, or a database
    /// made anew, never give one Message-ID to two messages.
    pub instance: String,
}

/// How a list is named in the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListHeaders {
    pub title: String,
    /// Never changes in the life of a list, whatever its title (RFC 2919, section 2).
    pub label: String,
    pub domain: String,
}

/// Why a copy cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error("key {0} of the keyring, under which this copy was signed, is revoked or gone")]
    NoKey(u8),
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// One run's message, encoded but for the readers' values.
#[derive(Clone, Debug)]
pub struct MessageTemplate {
    /// Domain of the address by which a reader may leave, where mail to it is read.
    leave_domain: Option<String>,
    public_url: String,
    /// Header fields that all copies share, before and after the reader's own.
    opening: Vec<u8>,
    closing: Vec<u8>,
    subject: Subject,
    /// The Message-ID between its sequence number and its `>`.
    message_id: String,
    one_click: bool,
    parts: Parts,
    /// Names of subscriber fields that any part asks for, sorted.
    fields: Vec<String>,
    sealing: Option<Sealing>,
    signed: SignedBy,
}

/// By which keys the copies of a template are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// A short mark of them, which is kept with each copy; [`UNSIGNED`] where nobody signs.
    pub mark: String,
    /// Each as [`Signer::known_by`] says, on a line of its own.
    pub keys: String,
}

/// The mark of copies that nobody signed.
pub const UNSIGNED: &str = "-";

impl SignedBy {
    fn of(signers: &[Signer]) -> SignedBy {
        let keys: Vec<String> = signers.iter().map(Signer::known_by).collect();
        let keys = keys.join("\n");
        let mark = match keys.is_empty() {
            true => UNSIGNED.to_owned(),
            false => hex(&Sha256::digest(keys.as_bytes())[..6]),
        };
        SignedBy { mark, keys }
    }
}

#[derive(Clone, Debug)]
struct Sealing {
    /// The first of those who sign: all sign the same fields, for they sign for one relay.
    signer: Signer,
    /// One for each key; their fields stand in this order before all others.
    seals: Vec<Seal>,
    /// The signed fields that all copies share, in relaxed form.
    shared: Vec<u8>,
}

impl MessageTemplate {
    /// Encodes `compiled` under `headers`; every copy is signed by each of `signers`.
    pub fn new(
        compiled: &Compiled,
        headers: &RunHeaders,
        signers: impl IntoIterator<Item = Signer>,
    ) -> anyhow::Result<MessageTemplate> {
        MessageTemplate::for_relay(compiled, headers, signers, &[])
    }

    /// [`MessageTemplate::new`] with header fields that one relay wants besides.
    pub fn for_relay(
        compiled: &Compiled,
        headers: &RunHeaders,
        signers: impl IntoIterator<Item = Signer>,
        more: &[(&str, String)],
    ) -> anyhow::Result<MessageTemplate> {
        fields::check(headers)?;
        let signers: Vec<Signer> = signers.into_iter().collect();
        let signed = SignedBy::of(&signers);
        let boundary = boundary(headers);
        let (opening, mut closing) = fields::shared(headers, &boundary);
        for (name, value) in more {
            closing.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let parts = Parts::new(compiled, &headers.public_url, &boundary)?;
        let templates: [&Template; 3] = [&compiled.subject, &compiled.text, &compiled.html];
        let one_click = headers.list.is_some();
        Ok(MessageTemplate {
            leave_domain: headers.mailto.then(|| headers.bounce_domain.clone()),
            public_url: headers.public_url.clone(),
            subject: Subject::new(&compiled.subject)?,
            message_id: format!(
                ".{}@{}",
                short_hash(headers, "message-id"),
                headers.from_address.domain()
            ),
            one_click,
            parts,
            fields: copy::fields_of(&templates),
            sealing: Sealing::new(signers, &opening, &closing, one_click),
            opening,
            closing,
            signed,
        })
    }

    /// Who signs its copies.
    pub fn signed_by(&self) -> &SignedBy {
        &self.signed
    }

    /// Subscriber fields of which a copy needs the value; `email` and `name` are built in and not listed.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Appends one whole message to `out`, ready for the wire: what stands between the answer to DATA
    /// and the lone dot. On an error `out` is as it was.
    pub fn render(
        &self,
        keyring: &Keyring,
        key: DeliveryKey,
        copy: &CopyRecord,
        out: &mut Vec<u8>,
    ) -> Result<(), RenderError> {
        let mut message = Octets::default();
        self.compose(keyring, key, copy, &mut message)?;
        message
            .pieces()
            .for_each(|piece| out.extend_from_slice(piece));
        Ok(())
    }

    /// Puts the same message in the place of what `out` holds, and shares with it what all copies have in common. On an
    /// error `out` is empty.
    pub fn compose(
        &self,
        keyring: &Keyring,
        key: DeliveryKey,
        copy: &CopyRecord,
        out: &mut Octets,
    ) -> Result<(), RenderError> {
        out.begin(self.parts.shared());
        if !keyring.holds(copy.kid) {
            return Err(RenderError::NoKey(copy.kid));
        }
        let links = Links { keyring, key, copy };
        let own = out.write(|head| {
            for seal in self.seals() {
                seal.reserve(head);
            }
            head.extend_from_slice(&self.opening);
            let own = self.write_own_fields(&links, head);
            head.extend_from_slice(&self.closing);
            head.extend_from_slice(b"\r\n");
            own
        });
        let body = out.len();
        self.parts.write(&links, out);
        let Some(sealing) = &self.sealing else {
            return Ok(());
        };
        let hash = dkim::body_hash(out.behind(body));
        let sealed = sealing.seal(out.head(), own, &hash, copy.date);
        if sealed.is_err() {
            out.clear();
        }
        Ok(sealed?)
    }

    /// The fields that differ between copies, in the order in which [`OWN`] names them.
    fn write_own_fields(&self, links: &Links<'_>, out: &mut Vec<u8>) -> Range<usize> {
        let start = out.len();
        let copy = links.copy;
        fields::date(copy.date, out);
        fields::mailbox("To", &copy.name, &copy.to, out);
        self.subject.write(copy, out);
        let id = format!("Message-ID: <{}{}>\r\n", links.key, self.message_id);
        out.extend_from_slice(id.as_bytes());
        if self.one_click {
            // RFC 8058, section 3.1: one https URI. Never folded: a URI has no place for it.
            let url = format!("{}/u/{}", self.public_url, links.unsubscribe());
            let field = match &self.leave_domain {
                None => format!("List-Unsubscribe: <{url}>\r\n"),
                // Another URI may stand beside it, if it is not https; folded at the comma only.
                Some(domain) => {
                    let leave = links.leave();
                    format!("List-Unsubscribe: <{url}>,\r\n <mailto:leave+{leave}@{domain}>\r\n")
                }
            };
            out.extend_from_slice(field.as_bytes());
        }
        start..out.len()
    }

    fn seals(&self) -> impl Iterator<Item = &Seal> {
        self.sealing.iter().flat_map(|sealing| &sealing.seals)
    }
}

/// Names of the reader's own fields, in their order; the last only with a list.
const OWN: [&str; 5] = ["Date", "To", "Subject", "Message-ID", "List-Unsubscribe"];

impl Sealing {
    /// Nothing where nobody signs.
    fn new(
        signers: Vec<Signer>,
        opening: &[u8],
        closing: &[u8],
        one_click: bool,
    ) -> Option<Sealing> {
        let signer = signers.first()?.clone();
        let mut names = Vec::new();
        let mut shared = Vec::new();
        for field in lines::fields(opening).chain(lines::fields(closing)) {
            let name = lines::name(field);
            if signer.signs(name) {
                names.push(name);
                dkim::relaxed::field(field, &mut shared);
            }
        }
        names.extend(&OWN[..if one_click { 5 } else { 4 }]);
        let seals = signers.iter().map(|signer| signer.prepare(&names));
        Some(Sealing {
            seals: seals.collect(),
            signer,
            shared,
        })
    }

    /// Signs what stands in `head`, which begins with the reserved fields, and a body of the hash `hash`. `own` is where
    /// the copy's own fields stand.
    fn seal(
        &self,
        head: &mut [u8],
        own: Range<usize>,
        hash: &str,
        date: Timestamp,
    ) -> Result<(), SignError> {
        let longest = self.seals.iter().map(Seal::length).max().unwrap_or(0);
        let mut fields = Vec::with_capacity(self.shared.len() + own.len() + longest);
        fields.extend_from_slice(&self.shared);
        for field in lines::fields(&head[own]) {
            if self.signer.signs(lines::name(field)) {
                dkim::relaxed::field(field, &mut fields);
            }
        }
        let mut at = 0;
        for seal in &self.seals {
            seal.seal(head, at, hash, &mut fields, date)?;
            at += seal.length();
        }
        Ok(())
    }
}

/// The signed links of one copy.
struct Links<'a> {
    keyring: &'a Keyring,
    key: DeliveryKey,
    copy: &'a CopyRecord,
}

impl Links<'_> {
    fn sign(&self, claim: &Claim) -> String {
        token::sign_with(self.keyring, self.copy.kid, claim)
    }

    fn append(&self, claim: &Claim, out: &mut Vec<u8>) {
        token::append_with(self.keyring, self.copy.kid, claim, out);
    }

    fn unsubscribe(&self) -> String {
        self.sign(&Claim::Unsubscribe(self.subscription(), self.key))
    }

    fn leave(&self) -> String {
        let claim = Claim::Leave(self.subscription());
        token::sign_local_part_with(self.keyring, self.copy.kid, &claim)
    }

    /// A copy for someone without a subscription (a test) has links that name none: keys begin at 1.
    fn subscription(&self) -> SubscriptionKey {
        self.copy.subscription.unwrap_or(SubscriptionKey(0))
    }
}

/// The HTML part of one copy, for a browser; none if the key that signed its links is revoked or gone.
pub fn html(
    compiled: &Compiled,
    public_url: &str,
    keyring: &Keyring,
    key: DeliveryKey,
    copy: &CopyRecord,
) -> Option<String> {
    let links = Links { keyring, key, copy };
    keyring
        .holds(copy.kid)
        .then(|| parts::decoded(&compiled.html, public_url, &links))
}

/// The envelope sender of one delivery (VERP): a bounce names the delivery without a look into the mail.
pub fn envelope_sender(keyring: &Keyring, key: DeliveryKey, bounce_domain: &str) -> String {
    let token = token::sign_local_part(keyring, &Claim::Bounce(key));
    format!("bounce+{token}@{bounce_domain}")
}

/// RFC 2046, section 5.1.1. Quoted-printable never holds `=_`, so no content can look like this.
fn boundary(headers: &RunHeaders) -> String {
    format!("=_{}", short_hash(headers, "boundary"))
}

/// Sixteen hexadecimal digits that name this installation and list; nothing secret goes in.
fn short_hash(headers: &RunHeaders, purpose: &str) -> String {
    let label = headers.list.as_ref().map_or("", |list| list.label.as_str());
    let mut hash = Sha256::new();
    for text in [purpose, &headers.instance, label, &headers.public_url] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    let octets: [u8; 32] = hash.finalize().into();
    hex(&octets[..8])
}
