//! A key's record in the DNS (RFC 6376, section 3.6.1; RFC 8463, section 4).
//!
//! Promises: pure; a record under which a receiver would verify nothing is an error, in words. Leaves to the caller
//! whether it is the right key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::tags;
use super::verify::Failure;

/// A record that signatures can be verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// `rsa` or `ed25519`; another is nobody's yet.
    pub kind: String,
    /// The public key in its encoding.
    pub key: Vec<u8>,
    /// The domain tries DKIM out: what fails is to be treated no worse than what was not signed (`t=y`).
    pub testing: bool,
    /// Only for identities of the domain itself (`t=s`).
    pub strict: bool,
}

impl KeyRecord {
    /// Reads the text of a record.
    pub fn read(text: &str) -> Result<KeyRecord, Failure> {
        let wrong = Failure::Key;
        let tags = tags::parse(text).ok_or(wrong("it is no list of tags"))?;
        match tags.iter().position(|(name, _)| *name == "v") {
            None => {}
            Some(0) if tags[0].1 == "DKIM1" => {}
            Some(0) => return Err(wrong("it is not of version DKIM1")),
            Some(_) => return Err(wrong("its version (`v=`) does not stand first")),
        }
        let lists = |name: &str, wanted: &str| match tags::value(&tags, name) {
            None => true,
            Some(list) => list
                .split(':')
                .any(|word| matches!(word.trim(), "*") || word.trim() == wanted),
        };
        if !lists("h", "sha256") {
            return Err(wrong("its key does not allow sha256"));
        }
        if !lists("s", "email") {
            return Err(wrong("its key is not for mail"));
        }
        let flags = tags::value(&tags, "t").unwrap_or_default();
        let flag = |name: &str| flags.split(':').any(|flag| flag.trim() == name);
        let key = tags::value(&tags, "p").ok_or(wrong("it holds no key"))?;
        let key: String = key.split_ascii_whitespace().collect();
        if key.is_empty() {
            return Err(wrong("its key was revoked"));
        }
        let key = STANDARD.decode(key);
        Ok(KeyRecord {
            kind: tags::value(&tags, "k").unwrap_or("rsa").to_owned(),
            key: key.map_err(|_| wrong("its key is not base64"))?,
            testing: flag("y"),
            strict: flag("s"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::KeyRecord;

    #[test]
    fn a_record_is_read_as_receivers_read_it() {
        let read = |text| KeyRecord::read(text);
        let plain = read("v=DKIM1; k=rsa; p=AA AA").expect("a record");
        assert_eq!((plain.kind.as_str(), plain.key.len()), ("rsa", 3));
        assert!(!plain.testing && !plain.strict);
        assert_eq!(read("p=AAAA").expect("the rest has defaults"), plain);
        let flags = read("v=DKIM1; t=y:s; h=sha1 : sha256; s=*; p=AAAA").expect("a record");
        assert!(flags.testing && flags.strict);
        for (text, why) in [
            ("k=rsa; v=DKIM1; p=AAAA", "does not stand first"),
            ("v=DKIM1; h=sha1; p=AAAA", "does not allow sha256"),
            ("v=DKIM1; s=tlsrpt; p=AAAA", "not for mail"),
            ("v=DKIM1; p=", "revoked"),
            ("v=DKIM1; p=A", "not base64"),
            ("v=DKIM1", "holds no key"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
