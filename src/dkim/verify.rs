//! Verifying DKIM signatures (RFC 6376, section 6; RFC 8463 for Ed25519), on messages as they came back.
//!
//! Promises: both canonical forms, both algorithms, RSA keys from 1024 bits on (RFC 8301, section 3.2);
//! what is wrong is said in words. A body that the signature covers only in part (`l=`) does not verify:
//! what follows it is anybody's.
//! Leaves the DNS to the caller, who brings the key's record, and whose domain it should be, too.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::record::KeyRecord;
use super::{relaxed, tags};
use crate::clock::Timestamp;

/// The fields of a message, each with its fold and its final CRLF, and its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    pub header: &'a [u8],
    pub body: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Splits a message with CRLF line ends at its first empty line.
    pub fn of(message: &'a [u8]) -> Parts<'a> {
        let end = message.windows(4).position(|octets| octets == b"\r\n\r\n");
        match end {
            Some(end) => Parts {
                header: &message[..end + 2],
                body: &message[end + 4..],
            },
            None => Parts {
                header: message,
                body: b"",
            },
        }
    }

    /// The header fields from the top.
    pub fn fields(&self) -> Vec<&'a [u8]> {
        let mut fields = Vec::new();
        let mut rest = self.header;
        while !rest.is_empty() {
            let mut end = 0;
            loop {
                let line = rest[end..].windows(2).position(|octets| octets == b"\r\n");
                end = line.map_or(rest.len(), |line| end + line + 2);
                // A line that begins with a blank goes on with the field (RFC 5322, section 2.2.3).
                if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                    break;
                }
            }
            let (field, after) = rest.split_at(end);
            fields.push(field);
            rest = after;
        }
        fields
    }

    /// The unfolded values of every field of this name, from the top.
    pub fn values(&self, name: &str) -> Vec<String> {
        let fields = self
            .fields()
            .into_iter()
            .filter(|field| is_named(field, name));
        let value = |field: &[u8]| {
            let text = String::from_utf8_lossy(field);
            let value = text.split_once(':').map_or("", |(_, value)| value);
            value.replace("\r\n", "").trim().to_owned()
        };
        fields.map(value).collect()
    }
}

/// Why a signature does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the signature cannot be read: {0}")]
    Malformed(&'static str),
    #[error("the key's record cannot be used: {0}")]
    Key(&'static str),
    #[error("the signature has expired")]
    Expired,
    #[error("the body was changed on the way")]
    Body,
    #[error("the header was changed on the way, or another key signed")]
    Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Simple,
    Relaxed,
}

/// One DKIM-Signature field, read.
#[derive(Clone, Debug)]
pub struct Signature {
    pub domain: String,
    pub selector: String,
    /// `rsa-sha256` or `ed25519-sha256`.
    pub algorithm: String,
    /// The names in `h=`, in lower case.
    pub covered: Vec<String>,
    header: Form,
    body: Form,
    hash: Vec<u8>,
    signature: Vec<u8>,
    strict_identity: bool,
    expires: Option<i64>,
    field: Vec<u8>,
}

/// The signatures of a message, from the top; what is no signature says why.
pub fn signatures(parts: &Parts<'_>) -> Vec<Result<Signature, Failure>> {
    let fields = parts.fields().into_iter();
    let fields = fields.filter(|field| is_named(field, "DKIM-Signature"));
    fields.map(Signature::read).collect()
}

impl Signature {
    fn read(field: &[u8]) -> Result<Signature, Failure> {
        let wrong = Failure::Malformed;
        let text = std::str::from_utf8(field).map_err(|_| wrong("it is not ASCII"))?;
        let (_, value) = text.split_once(':').ok_or(wrong("it has no colon"))?;
        let tags = tags::parse(value).ok_or(wrong("it is no list of tags"))?;
        let tag = |name: &str| {
            let value = tags::value(&tags, name)?;
            Some(value.split_ascii_whitespace().collect::<String>())
        };
        let need = |name, what| {
            tag(name)
                .filter(|value| !value.is_empty())
                .ok_or(wrong(what))
        };
        if tag("v").as_deref() != Some("1") {
            return Err(wrong("it is not of version 1"));
        }
        let algorithm = need("a", "it names no algorithm")?;
        if !matches!(&*algorithm, "rsa-sha256" | "ed25519-sha256") {
            return Err(wrong(
                "its algorithm is neither rsa-sha256 nor ed25519-sha256",
            ));
        }
        let canonical = tag("c").unwrap_or_else(|| "simple".to_owned());
        let (header, body) = canonical.split_once('/').unwrap_or((&canonical, "simple"));
        let form = |name: &str| match name {
            "simple" => Ok(Form::Simple),
            "relaxed" => Ok(Form::Relaxed),
            _ => Err(wrong("its canonical form is unknown")),
        };
        let covered = need("h", "it names no header fields")?.to_ascii_lowercase();
        let covered: Vec<String> = covered.split(':').map(str::to_owned).collect();
        if !covered.iter().any(|name| name == "from") {
            // RFC 6376, section 6.1.1.
            return Err(wrong("it does not cover From"));
        }
        if tag("l").is_some() {
            return Err(wrong("it covers only the beginning of the body (`l=`)"));
        }
        let domain = need("d", "it names no domain")?.to_ascii_lowercase();
        let identity = tag("i").map(|identity| identity.to_ascii_lowercase());
        let identity = identity.and_then(|text| text.rsplit_once('@').map(|(_, d)| d.to_owned()));
        let identity = identity.unwrap_or_else(|| domain.clone());
        if identity != domain && !identity.ends_with(&format!(".{domain}")) {
            return Err(wrong("its identity is not of its domain"));
        }
        let octets = |name, what| {
            let text = need(name, what)?;
            STANDARD.decode(text).map_err(|_| wrong(what))
        };
        Ok(Signature {
            selector: need("s", "it names no selector")?.to_ascii_lowercase(),
            header: form(header)?,
            body: form(body)?,
            hash: octets("bh", "it has no hash of the body")?,
            signature: octets("b", "it has no signature")?,
            strict_identity: identity == domain,
            expires: tag("x").and_then(|text| text.parse().ok()),
            field: field.to_vec(),
            algorithm,
            covered,
            domain,
        })
    }

    /// Where the key stands in the DNS.
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// Whether a field of this name, and any other that is added, is covered.
    pub fn covers(&self, name: &str) -> bool {
        self.covered
            .iter()
            .any(|covered| covered.eq_ignore_ascii_case(name))
    }

    /// Verifies the message with the key in `record`, at the moment `now`.
    pub fn verify(&self, parts: &Parts<'_>, record: &str, now: Timestamp) -> Result<(), Failure> {
        let key = self.key(record)?;
        if self.expires.is_some_and(|expires| expires < now.seconds()) {
            return Err(Failure::Expired);
        }
        let body = match self.body {
            Form::Simple => simple_body(parts.body),
            Form::Relaxed => relaxed_body(parts.body),
        };
        if digest(&SHA256, &body).as_ref() != self.hash {
            return Err(Failure::Body);
        }
        let signed = self.signed(parts);
        let verified = match &*self.algorithm {
            // RFC 8463, section 3: the hash is signed, not the text.
            "ed25519-sha256" => UnparsedPublicKey::new(&ED25519, key)
                .verify(digest(&SHA256, &signed).as_ref(), &self.signature),
            _ => UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, key)
                .verify(&signed, &self.signature),
        };
        verified.map_err(|_| Failure::Signature)
    }

    /// The public key of a record that may have made this signature.
    fn key(&self, record: &str) -> Result<Vec<u8>, Failure> {
        let found = KeyRecord::read(record)?;
        if !self.algorithm.starts_with(&format!("{}-", found.kind)) {
            return Err(Failure::Key("its key is for another algorithm"));
        }
        if found.strict && !self.strict_identity {
            return Err(Failure::Key("its key is for the domain itself alone"));
        }
        Ok(found.key)
    }

    /// What the signature is over: the covered fields, then its own without the signature.
    fn signed(&self, parts: &Parts<'_>) -> Vec<u8> {
        let mut left = parts.fields();
        let mut signed = Vec::new();
        for name in &self.covered {
            // RFC 6376, section 5.4.2: the lowest first; a name without a field counts for nothing.
            if let Some(place) = left.iter().rposition(|field| is_named(field, name)) {
                self.put(left.remove(place), &mut signed);
            }
        }
        self.put(&without_signature(&self.field), &mut signed);
        signed.truncate(signed.len() - 2);
        signed
    }

    fn put(&self, field: &[u8], out: &mut Vec<u8>) {
        match self.header {
            Form::Relaxed => relaxed::field(field, out),
            Form::Simple => {
                out.extend_from_slice(field);
                if !field.ends_with(b"\r\n") {
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
    }
}

/// The field with nothing behind `b=` (RFC 6376, section 3.7).
fn without_signature(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let colon = field
        .iter()
        .position(|&octet| octet == b':')
        .map_or(0, |at| at + 1);
    out.extend_from_slice(&field[..colon]);
    for (index, tag) in field[colon..].split(|&octet| octet == b';').enumerate() {
        if index > 0 {
            out.push(b';');
        }
        let equals = tag.iter().position(|&octet| octet == b'=');
        match equals {
            Some(equals) if tag[..equals].trim_ascii() == b"b" => {
                out.extend_from_slice(&tag[..=equals]);
            }
            _ => out.extend_from_slice(tag),
        }
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn is_named(field: &[u8], name: &str) -> bool {
    let colon = field.iter().position(|&octet| octet == b':');
    colon.is_some_and(|colon| {
        field[..colon]
            .trim_ascii()
            .eq_ignore_ascii_case(name.as_bytes())
    })
}

/// RFC 6376, section 3.4.3: one CRLF at the end, and nothing else is touched.
fn simple_body(body: &[u8]) -> Vec<u8> {
    let mut end = body.len();
    while body[..end].ends_with(b"\r\n") {
        end -= 2;
    }
    [&body[..end], b"\r\n"].concat()
}

/// RFC 6376, section 3.4.4: blanks become one, none stand at a line's end, no empty lines at the end.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut blank = false;
    let mut rest = body.iter().peekable();
    while let Some(&octet) = rest.next() {
        match octet {
            b' ' | b'\t' => blank = true,
            b'\r' if rest.peek() == Some(&&b'\n') => blank = false,
            _ => {
                if blank && octet != b'\n' {
                    out.push(b' ');
                }
                blank = false;
                if octet == b'\n' {
                    out.push(b'\r');
                }
                out.push(octet);
            }
        }
    }
    while out.ends_with(b"\r\n") {
        out.truncate(out.len() - 2);
    }
    if !out.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Failure, Parts, relaxed_body, signatures, simple_body};
    use crate::clock::Timestamp;

    /// RFC 8463, appendix A.3: a message with both algorithms, and A.2: the keys.
    const MESSAGE: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\n d=football.example.com; i=@football.example.com;\n q=dns/txt; s=brisbane; t=1528637909; h=from : to :\n subject : date : message-id : from : subject : date;\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\n Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\nDKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\n d=football.example.com; i=@football.example.com;\n q=dns/txt; s=test; t=1528637909; h=from : to : subject :\n date : message-id : from : subject : date;\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\n DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\n dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\nFrom: Joe SixPack <joe@football.example.com>\nTo: Suzie Q <suzie@shopping.example.net>\nSubject: Is dinner ready?\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\nMessage-ID: <20030712040037.46341.5F8J@football.example.com>\n\nHi.\n\nWe lost the game.  Are you hungry yet?\n\nJoe.\n\n";
    const ED25519: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const RSA: &str = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";

    fn message() -> Vec<u8> {
        MESSAGE.replace('\n', "\r\n").into_bytes()
    }

    #[test]
    fn the_example_of_rfc_8463_verifies_by_both_algorithms() {
        let message = message();
        let parts = Parts::of(&message);
        let found = signatures(&parts);
        assert_eq!(found.len(), 2);
        for (signature, record) in found.iter().zip([ED25519, RSA]) {
            let signature = signature.as_ref().expect("a signature");
            assert_eq!(signature.verify(&parts, record, Timestamp(0)), Ok(()));
            assert!(signature.covers("Message-ID") && !signature.covers("List-Unsubscribe"));
        }
        let names: Vec<_> = found
            .iter()
            .flatten()
            .map(|found| found.record_name())
            .collect();
        let domain = "_domainkey.football.example.com";
        assert_eq!(
            names,
            [format!("brisbane.{domain}"), format!("test.{domain}")]
        );
        assert_eq!(parts.values("subject"), ["Is dinner ready?"]);
    }

    #[test]
    fn whatever_is_touched_on_the_way_is_told_apart() {
        let touched = |from: &str, to: &str| {
            let text = String::from_utf8(message()).expect("ASCII");
            assert!(text.contains(from), "{from}");
            let text = text.replace(from, to);
            let parts = Parts::of(text.as_bytes());
            let first = signatures(&parts).remove(0);
            first.and_then(|one| one.verify(&parts, ED25519, Timestamp(0)))
        };
        assert_eq!(touched("hungry", "angry"), Err(Failure::Body));
        assert_eq!(touched("dinner ready", "dinner"), Err(Failure::Signature));
        // Relaxed: blanks and folds may change.
        assert_eq!(touched("game.  Are", "game.\t Are"), Ok(()));
        assert_eq!(
            touched("Subject: Is dinner", "SUBJECT:\r\n Is  dinner"),
            Ok(())
        );
        // Named twice in h=, so none may be added.
        let twice = touched("Subject: Is", "Subject: Win!\r\nSubject: Is");
        assert_eq!(twice, Err(Failure::Signature));
        assert_eq!(touched("h=from", "h=to"), Err(Failure::Signature));
        let part = touched("t=1528637909", "l=2");
        assert!(matches!(part, Err(Failure::Malformed(why)) if why.contains("`l=`")));
        let old = touched("t=1528637909", "x=-1");
        assert_eq!(old, Err(Failure::Expired));
    }

    #[test]
    fn a_key_that_must_not_be_used_is_not() {
        let message = message();
        let parts = Parts::of(&message);
        let signature = signatures(&parts).remove(0).expect("a signature");
        for (record, why) in [
            ("v=DKIM1; k=ed25519; p=", "revoked"),
            (RSA, "another algorithm"),
            ("v=DKIM2; k=ed25519; p=AAAA", "version"),
            ("k=ed25519; h=sha1; p=AAAA", "sha256"),
            ("k=ed25519; s=tlsrpt; p=AAAA", "not for mail"),
            ("k=ed25519", "holds no key"),
            ("nothing", "no list of tags"),
        ] {
            let error = signature
                .verify(&parts, record, Timestamp(0))
                .expect_err(record);
            assert!(error.to_string().contains(why), "{record}: {error}");
        }
        let other = "k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let error = signature.verify(&parts, other, Timestamp(0));
        assert_eq!(error, Err(Failure::Signature));
    }

    #[test]
    fn bodies_take_the_forms_of_the_rfc() {
        // RFC 6376, section 3.4.5.
        assert_eq!(relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n"), b" C\r\nD E\r\n");
        assert_eq!(
            simple_body(b" C \r\nD \t E\r\n\r\n\r\n"),
            b" C \r\nD \t E\r\n"
        );
        assert_eq!(
            (relaxed_body(b""), simple_body(b"")),
            (vec![], b"\r\n".to_vec())
        );
        assert_eq!(relaxed_body(b"a"), b"a\r\n");
    }
}
