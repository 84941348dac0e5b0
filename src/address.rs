//! Email addresses, parsed once: whoever holds an [`EmailAddress`] may put it on the wire.
//!
//! Promises: an ASCII addr-spec within the limits of RFC 5321, the domain in lower-case A-labels, the
//! local part as the reader wrote it, and one canonical form by which two spellings are one reader.
//! Leaves the question whether the mailbox exists to the relay.

use std::borrow::Cow;
use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// RFC 5321, section 4.5.3.1.1.
const LOCAL_LIMIT: usize = 64;
/// RFC 5321, section 4.5.3.1.3, less the angle brackets (RFC 3696, erratum 1690).
const ADDRESS_LIMIT: usize = 254;
/// RFC 1035, section 2.3.4.
const LABEL_LIMIT: usize = 63;

/// An address that SMTP and RFC 5322 accept as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress {
    text: String,
    at: usize,
}

/// Why a text is no address; the sentence ends a line such as "row 7: ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the address is empty")]
    Empty,
    #[error("an address needs one `@` between the mailbox and the domain")]
    NoAt,
    #[error("the part left of the `@` is empty")]
    NoLocal,
    #[error("the part left of the `@` is longer than 64 octets")]
    LongLocal,
    #[error("the address is longer than 254 octets")]
    LongAddress,
    #[error("the part left of the `@` holds a character that needs SMTPUTF8, which is not sent")]
    NonAsciiLocal,
    #[error("the part left of the `@` holds a character or a dot that is not allowed there")]
    BadLocal,
    #[error("the domain is not a host name with at least two labels")]
    BadDomain,
}

impl EmailAddress {
    /// Parses `text` after trimming blanks: dot-atom or quoted local part (RFC 5321, section 4.1.2),
    /// domain by UTS 46 to A-labels. Address literals such as `a@[127.0.0.1]` are refused.
    pub fn parse(text: &str) -> Result<EmailAddress, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NoAt)?;
        check_local(local)?;
        let domain = ascii_domain(domain)?;
        if local.len() + 1 + domain.len() > ADDRESS_LIMIT {
            return Err(AddressError::LongAddress);
        }
        Ok(EmailAddress {
            text: format!("{local}@{domain}"),
            at: local.len(),
        })
    }

    /// The addr-spec, ready for `RCPT TO:<...>` and for a header.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part left of the `@`, as written.
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// The domain in lower-case A-labels.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// The form under which two spellings are one reader: all lower case, a needlessly quoted local part
    /// unquoted. Nearly every mailbox ignores case; a list that mailed both spellings would mail one
    /// person twice.
    pub fn canonical(&self) -> String {
        let local = self.local();
        let plain = local
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|inner| is_dot_atom(inner))
            .unwrap_or(local);
        format!("{}@{}", plain.to_ascii_lowercase(), self.domain())
    }

    /// As its reader writes it: the domain in U-labels (RFC 5890, section 2.3.2.1), where it has any.
    pub fn shown(&self) -> Cow<'_, str> {
        match self.domain_shown() {
            Cow::Borrowed(_) => Cow::Borrowed(&self.text),
            Cow::Owned(domain) => Cow::Owned(format!("{}@{domain}", self.local())),
        }
    }

    fn domain_shown(&self) -> Cow<'_, str> {
        let domain = self.domain();
        if !domain.split('.').any(|label| label.starts_with("xn--")) {
            return Cow::Borrowed(domain);
        }
        match idna::domain_to_unicode(domain) {
            (shown, Ok(())) => Cow::Owned(shown),
            (_, Err(_)) => Cow::Borrowed(domain),
        }
    }

    /// What a page may show of an address: `m***@example.org`.
    pub fn masked(&self) -> String {
        let first = self.local().chars().next().unwrap_or('*');
        format!("{first}***@{}", self.domain_shown())
    }
}

/// [`EmailAddress::masked`] of what is kept as an address; what is none any more shows nothing of itself.
pub fn masked(kept: &str) -> String {
    EmailAddress::parse(kept).map_or_else(|_| "***".to_owned(), |address| address.masked())
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for EmailAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<EmailAddress, AddressError> {
        EmailAddress::parse(text)
    }
}

impl serde::Serialize for EmailAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<EmailAddress, D::Error> {
        let text = String::deserialize(deserializer)?;
        EmailAddress::parse(&text)
            .map_err(|error| serde::de::Error::custom(format!("`{text}`: {error}")))
    }
}

fn check_local(local: &str) -> Result<(), AddressError> {
    if local.is_empty() {
        return Err(AddressError::NoLocal);
    }
    if local.len() > LOCAL_LIMIT {
        return Err(AddressError::LongLocal);
    }
    if !local.is_ascii() {
        return Err(AddressError::NonAsciiLocal);
    }
    let fine = match local.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').is_some_and(is_quoted_content),
        None => is_dot_atom(local),
    };
    if fine {
        Ok(())
    } else {
        Err(AddressError::BadLocal)
    }
}

fn is_dot_atom(text: &str) -> bool {
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.split('.')
        .all(|part| !part.is_empty() && part.bytes().all(atom))
}

/// RFC 5321, section 4.1.2: qtextSMTP and quoted-pairSMTP, printable ASCII only.
fn is_quoted_content(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'\\' => bytes.next().is_some_and(|next| (32..=126).contains(&next)),
            b'"' => false,
            other => (32..=126).contains(&other),
        };
        if !fine {
            return false;
        }
    }
    !text.is_empty()
}

fn ascii_domain(domain: &str) -> Result<String, AddressError> {
    let composed: String = domain.nfc().collect();
    let ascii = idna::domain_to_ascii_strict(&composed).map_err(|_| AddressError::BadDomain)?;
    let label_ok = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_LIMIT
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let labels: Vec<&str> = ascii.split('.').collect();
    let numeric_tld = labels
        .last()
        .is_some_and(|tld| tld.bytes().all(|b| b.is_ascii_digit()));
    if labels.len() < 2 || numeric_tld || !labels.iter().all(|label| label_ok(label)) {
        return Err(AddressError::BadDomain);
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use super::{AddressError, EmailAddress};

    fn parse(text: &str) -> Result<String, AddressError> {
        EmailAddress::parse(text).map(|address| address.as_str().to_owned())
    }

    #[test]
    fn the_local_part_keeps_its_case_and_the_domain_becomes_a_labels() {
        assert_eq!(
            parse(" Ada.L@Bücher.Example "),
            Ok("Ada.L@xn--bcher-kva.example".into())
        );
        assert_eq!(
            parse("\"a b\"@example.org"),
            Ok("\"a b\"@example.org".into())
        );
    }

    #[test]
    fn a_domain_is_shown_as_its_owner_writes_it() {
        let shown = |text| EmailAddress::parse(text).map(|a| (a.shown().into_owned(), a.masked()));
        let umlaut = "ada@b\u{fc}cher.example";
        let masked = "a***@b\u{fc}cher.example";
        assert_eq!(shown(umlaut), Ok((umlaut.into(), masked.into())));
        let plain = "ada@books.example";
        assert_eq!(
            shown(plain),
            Ok((plain.into(), "a***@books.example".into()))
        );
    }

    #[test]
    fn two_spellings_of_one_mailbox_share_a_canonical_form() {
        let canonical = |text| EmailAddress::parse(text).map(|a| a.canonical());
        assert_eq!(canonical("A@x.example"), canonical("a@X.example"));
        assert_eq!(canonical("\"a.b\"@x.example"), canonical("A.B@x.example"));
        // NFC and NFD of the same domain.
        assert_eq!(
            canonical("a@b\u{fc}.example"),
            canonical("a@bu\u{308}.example")
        );
    }

    #[test]
    fn limits_and_odd_characters_are_refused_by_name() {
        let long = "a".repeat(65);
        assert_eq!(
            parse(&format!("{long}@example.org")),
            Err(AddressError::LongLocal)
        );
        let label = "b".repeat(60);
        let domain = format!("{label}.{label}.{label}.{label}");
        assert_eq!(
            parse(&format!("abcdefghijk@{domain}")),
            Err(AddressError::LongAddress)
        );
        for (text, error) in [
            ("", AddressError::Empty),
            ("nobody", AddressError::NoAt),
            ("@example.org", AddressError::NoLocal),
            ("a..b@example.org", AddressError::BadLocal),
            ("a b@example.org", AddressError::BadLocal),
            (
                "a\r\nRCPT TO:<x@y.example>@example.org",
                AddressError::BadLocal,
            ),
            ("用户@example.org", AddressError::NonAsciiLocal),
            ("a@localhost", AddressError::BadDomain),
            ("a@127.0.0.1", AddressError::BadDomain),
            ("a@[127.0.0.1]", AddressError::BadDomain),
            ("a@exa mple.org", AddressError::BadDomain),
            ("a@-x.example", AddressError::BadDomain),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }
}
