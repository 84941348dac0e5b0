//! DKIM signatures (RFC 6376): `a=rsa-sha256`, and `a=ed25519-sha256` (RFC 8463) beside it where a second
//! key is configured; by aws-lc-rs, `c=relaxed/relaxed`, oversigned, no `l=`.
//!
//! Promises: the same message, key and second give the same signature (PKCS#1 v1.5 and Ed25519 are
//! deterministic), and none is made with an RSA key of fewer than 2048 bits. Asks for a body that is already in its relaxed form, as
//! `message` writes it, so that `bh=` is the SHA-256 of the octets on the wire.
//! Leaves key files to `keyfile`, and a second algorithm to a second [`Signer`] beside the first.

pub mod publish;
pub mod record;
pub mod relaxed;
pub mod tags;
pub mod verify;

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use aws_lc_rs::digest::{Context as Digest, SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::clock::Timestamp;

/// Fields that are signed where they stand, and named once more than they stand, so that a field added
/// on the way breaks the signature (RFC 6376, section 8.15). Those that are absent are named once.
const OVERSIGNED: [&str; 13] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];
/// Fields that are signed where they stand.
const SIGNED: [&str; 2] = ["List-Id", "Feedback-ID"];

/// Fields that some relays write anew: a signature over them would be void behind such a one.
const REWRITTEN: [&str; 2] = ["Date", "Message-ID"];
/// Behind the name and the key of a signer that leaves them out.
const SPARING: &str = " sparing";

/// Octets of a line of the signature field.
const LINE: usize = 76;

/// A private key, and the name under which its public half is published. Cheap to clone.
#[derive(Clone)]
pub struct Signer {
    domain: String,
    selector: String,
    key: Key,
    /// Whether what a relay writes anew stays out of the signature.
    spares: bool,
}

#[derive(Clone)]
enum Key {
    Rsa(Arc<KeyPair>),
    Ed25519(Arc<Ed25519KeyPair>),
}

/// Octets of an Ed25519 signature.
const ED25519: usize = 64;

/// The library that signs gave up; nothing about the message is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the DKIM signature could not be computed")]
pub struct SignError;

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer {{ {} }}", self.record_name())
    }
}

impl Signer {
    /// Reads an RSA key of 2048 bits or more in PEM, PKCS#8 or PKCS#1, or an Ed25519 key in PKCS#8. Errors
    /// never quote `pem`.
    pub fn from_pem(domain: &str, selector: &str, pem: &str) -> anyhow::Result<Signer> {
        check_name("DKIM domain", domain)?;
        ensure!(
            domain.contains('.'),
            "DKIM domain `{domain}` has one label; name the domain of the From address"
        );
        check_name("DKIM selector", selector)?;
        ensure!(
            !pem.contains("ENCRYPTED"),
            "the DKIM key is encrypted with a password; `openssl pkey -in OLD -out NEW` writes it plain"
        );
        let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs8(key)) => {
                let der = key.secret_pkcs8_der();
                // OpenSSL writes the private half alone; the public one follows from it.
                if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
                    return Ok(Signer::new(domain, selector, Key::Ed25519(Arc::new(key))));
                }
                KeyPair::from_pkcs8(der)
            }
            Ok(PrivateKeyDer::Pkcs1(key)) => KeyPair::from_der(key.secret_pkcs1_der()),
            _ => bail!("the DKIM key is no private key in PEM; `pressrun keys dkim` makes one"),
        };
        let key = key.ok().context(
            "the DKIM key is no RSA key of 2048 bits or more; `pressrun keys dkim` makes one",
        )?;
        Ok(Signer::new(domain, selector, Key::Rsa(Arc::new(key))))
    }

    /// The same key for another domain, that of a run's frozen From address.
    #[must_use]
    pub fn speaking_for(mut self, domain: &str) -> Signer {
        self.domain = domain.to_ascii_lowercase();
        self
    }

    /// The same key for a relay that writes a Date and a Message-ID of its own: neither is signed.
    #[must_use]
    pub fn sparing(mut self) -> Signer {
        self.spares = true;
        self
    }

    fn new(domain: &str, selector: &str, key: Key) -> Signer {
        Signer {
            domain: domain.to_ascii_lowercase(),
            selector: selector.to_ascii_lowercase(),
            key,
            spares: false,
        }
    }

    /// The signing domain, `d=`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Where the public key stands in the DNS (RFC 6376, section 3.6.2.1).
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// The value of the TXT record with the public key (RFC 6376, section 3.6.1; RFC 8463, section 4.2).
    pub fn record(&self) -> String {
        let (kind, public) = match &self.key {
            Key::Rsa(key) => {
                let public = key.public_key().as_der();
                let public = public.expect("a key that was read has a public half");
                ("rsa", STANDARD.encode(public.as_ref()))
            }
            Key::Ed25519(key) => ("ed25519", STANDARD.encode(key.public_key().as_ref())),
        };
        format!("v=DKIM1; k={kind}; p={public}")
    }

    /// By what its signatures are known: name and key, so that another key under the name is told from it, and whether
    /// it is [`Signer::sparing`].
    pub fn known_by(&self) -> String {
        let key = STANDARD.encode(digest(&SHA256, self.record().as_bytes()));
        let sparing = if self.spares { SPARING } else { "" };
        format!("{} {}{sparing}", self.record_name(), &key[..16])
    }

    /// Whether [`Signer::known_by`] said this of the same name and key, sparing or not.
    pub fn is_known_by(&self, known: &str) -> bool {
        let known = known.strip_suffix(SPARING).unwrap_or(known);
        let own = self.known_by();
        own.strip_suffix(SPARING).unwrap_or(&own) == known
    }

    /// Whether [`Signer::known_by`] said this of a signer that is sparing.
    pub fn is_sparing(known_by: &str) -> bool {
        known_by.ends_with(SPARING)
    }

    /// Whether a header field of this name, in any case, goes into its `h=` (RFC 6376, section 5.4; RFC 8058, section 4).
    pub fn signs(&self, name: &str) -> bool {
        let is = |known: &&str| known.eq_ignore_ascii_case(name);
        let spared = self.spares && REWRITTEN.iter().any(is);
        !spared && OVERSIGNED.iter().chain(&SIGNED).any(is)
    }

    /// Octets of a signature.
    fn length(&self) -> usize {
        match &self.key {
            Key::Rsa(key) => key.public_modulus_len(),
            Key::Ed25519(_) => ED25519,
        }
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    text,
                    &mut signature,
                )
                .map_err(|_| SignError)?;
                Ok(signature)
            }
            // RFC 8463, section 3: the SHA-256 of the text is what PureEdDSA signs.
            Key::Ed25519(key) => {
                let signature = key.try_sign(digest(&SHA256, text).as_ref());
                Ok(signature.map_err(|_| SignError)?.as_ref().to_vec())
            }
        }
    }

    /// Prepares the signature field of messages whose header fields are `present`, in the order in
    /// which [`Seal::seal`] will be given those of them that it [`Signer::signs`].
    pub fn prepare(&self, present: &[&str]) -> Seal {
        let names = present.iter().chain(OVERSIGNED.iter());
        let names: Vec<&str> = names.copied().filter(|name| self.signs(name)).collect();
        // The longer name leaves no room for a domain on its line.
        let (algorithm, fold) = match &self.key {
            Key::Rsa(_) => ("rsa-sha256", ""),
            Key::Ed25519(_) => ("ed25519-sha256", "\r\n"),
        };
        let mut text = format!(
            "DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed;{fold} d={};\r\n s={}; t={NO_TIME};\r\n h=",
            self.domain, self.selector
        );
        let mut column = " h=".len();
        for (place, name) in names.iter().enumerate() {
            if place > 0 {
                text.push(':');
                column += 1;
            }
            // One octet stays free for the colon or semicolon behind the name.
            if column + name.len() + 1 > LINE {
                text.push_str("\r\n ");
                column = 1;
            }
            text.push_str(name);
            column += name.len();
        }
        text.push_str(";\r\n bh=");
        text.push_str(NO_HASH);
        text.push_str(";\r\n b=");
        Seal::new(self.clone(), text.into_bytes())
    }
}

/// What `bh=` says of a body in relaxed form (RFC 6376, sections 3.4.4 and 3.7), given in pieces: SHA-256 in base64.
pub fn body_hash<'a>(body: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut digest = Digest::new(&SHA256);
    body.into_iter().for_each(|piece| digest.update(piece));
    STANDARD.encode(digest.finish())
}

/// Ten digits, as every second from 2001 to 2286 has: the field's length never changes.
const NO_TIME: &str = "0000000000";
const NO_HASH: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// Characters of a SHA-256 in base64.
const HASH: usize = 44;

/// The signature field of one run's messages: everything but the second, the body hash and the signature.
#[derive(Clone, Debug)]
pub struct Seal {
    signer: Signer,
    /// The field as it stands in the message, with blanks to be filled.
    field: Vec<u8>,
    /// The field in relaxed form with an empty `b=`, as it is signed (RFC 6376, section 3.7).
    relaxed: Vec<u8>,
    blanks: Blanks,
    relaxed_blanks: Blanks,
    /// Where the signature's base64 begins in `field`, and how long it is.
    signature: usize,
    letters: usize,
}

#[derive(Clone, Copy, Debug)]
struct Blanks {
    time: usize,
    hash: usize,
}

impl Blanks {
    fn find(field: &[u8]) -> Blanks {
        let place = |tag: &str| {
            let mut windows = field.windows(tag.len());
            let found = windows.position(|window| window == tag.as_bytes());
            found.expect("the field was written with both tags") + tag.len()
        };
        Blanks {
            time: place(" t="),
            hash: place(" bh="),
        }
    }

    fn fill(self, field: &mut [u8], time: &str, hash: &str) {
        field[self.time..self.time + NO_TIME.len()].copy_from_slice(time.as_bytes());
        field[self.hash..self.hash + HASH].copy_from_slice(hash.as_bytes());
    }
}

impl Seal {
    fn new(signer: Signer, mut field: Vec<u8>) -> Seal {
        let mut relaxed = Vec::with_capacity(field.len());
        relaxed::field(&field, &mut relaxed);
        // RFC 6376, section 3.7: the signature field goes into the hash without its final CRLF.
        relaxed.truncate(relaxed.len() - 2);
        let signature = field.len();
        let letters = signer.length().div_ceil(3) * 4;
        for place in 0..letters {
            if (place + " b=".len()).is_multiple_of(LINE - 1) {
                field.extend(b"\r\n ");
            }
            field.push(b'A');
        }
        field.extend(b"\r\n");
        Seal {
            blanks: Blanks::find(&field),
            relaxed_blanks: Blanks::find(&relaxed),
            signer,
            field,
            relaxed,
            signature,
            letters,
        }
    }

    /// Octets that the field takes.
    pub fn length(&self) -> usize {
        self.field.len()
    }

    /// Appends the field with its blanks; [`Seal::seal`] fills them once the message stands.
    pub fn reserve(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.field);
    }

    /// Fills the field that was reserved at `at` in `message`, whose body has the hash `hash`. `fields` are
    /// the signed header fields in relaxed form and in the order told to [`Signer::prepare`]; they are left
    /// as they were.
    pub fn seal(
        &self,
        message: &mut [u8],
        at: usize,
        hash: &str,
        fields: &mut Vec<u8>,
        date: Timestamp,
    ) -> Result<(), SignError> {
        let time = format!("{:010}", date.seconds().clamp(0, 9_999_999_999));
        let start = fields.len();
        fields.extend_from_slice(&self.relaxed);
        self.relaxed_blanks.fill(&mut fields[start..], &time, hash);
        let signature = self.signer.sign(fields);
        fields.truncate(start);
        let signature = signature?;
        let field = &mut message[at..at + self.field.len()];
        self.blanks.fill(field, &time, hash);
        let text = STANDARD.encode(&signature);
        debug_assert_eq!(text.len(), self.letters);
        let blanks = field[self.signature..].iter_mut();
        let blanks = blanks.filter(|octet| octet.is_ascii_alphanumeric());
        for (blank, letter) in blanks.zip(text.bytes()) {
            *blank = letter;
        }
        Ok(())
    }
}

fn check_name(what: &str, name: &str) -> anyhow::Result<()> {
    let label = |label: &str| {
        let letters = label.bytes();
        let inside = letters
            .clone()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inside
            && (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    ensure!(
        name.len() <= 200 && name.split('.').all(label),
        "{what} `{name}` is no name for the DNS; use letters, digits, hyphens and dots"
    );
    Ok(())
}

#[cfg(test)]
mod tests;
