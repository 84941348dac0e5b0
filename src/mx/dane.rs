//! DANE for SMTP (RFC 7672): which TLSA records can be used, and what they say of a certificate.
//!
//! Promises: only DANE-TA(2) and DANE-EE(3) count, as section 3.1 asks; whoever has a usable record gets
//! no mail over a connection that does not match one. Leaves the question whether the answer was
//! validated to the resolver, and the handshake to `smtp`.

use sha2::{Digest, Sha256, Sha512};

/// One TLSA record (RFC 6698, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    pub usage: u8,
    pub selector: u8,
    pub matching: u8,
    pub data: Vec<u8>,
}

/// Whose certificate a record describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// An authority in the server's chain.
    Authority,
    /// The server itself; its name and dates do not matter (RFC 7672, section 3.1.1).
    Server,
}

/// What a host proves itself by: records that can be used, and the names of which its certificate may hold any where an
/// authority vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bond {
    pub records: Vec<Tlsa>,
    /// The name under which the records were found: what the host is asked for (RFC 7672, section 8.1).
    pub base: String,
    /// RFC 7672, section 3.2.2: the recipient's domain, and the one that it is an alias of. Of no meaning, and none,
    /// where no record names an authority.
    pub others: Vec<String>,
}

impl Bond {
    /// The bond of a host found as `base` on the way to `domains`.
    pub fn new(records: Vec<Tlsa>, base: &str, domains: &[&str]) -> Bond {
        let by_authority = |record: &Tlsa| record.usage() == Some(Usage::Authority);
        let mut others: Vec<String> = Vec::new();
        if records.iter().any(by_authority) {
            for &domain in domains {
                if domain != base && !others.iter().any(|known| known == domain) {
                    others.push(domain.to_owned());
                }
            }
        }
        Bond {
            records,
            base: base.to_owned(),
            others,
        }
    }

    /// All names that its certificate may be for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(String::as_str);
        std::iter::once(self.base.as_str()).chain(others)
    }
}

/// The records that can be used. A domain that has records and none of these has TLS without proof.
pub fn usable(records: &[Tlsa]) -> Vec<Tlsa> {
    let usable = |record: &&Tlsa| {
        let length = match record.matching {
            0 => !record.data.is_empty(),
            1 => record.data.len() == 32,
            2 => record.data.len() == 64,
            _ => false,
        };
        record.usage().is_some() && record.selector <= 1 && length
    };
    records.iter().filter(usable).cloned().collect()
}

impl Tlsa {
    /// What the record describes; none for PKIX-TA(0), PKIX-EE(1) and numbers of the future.
    pub fn usage(&self) -> Option<Usage> {
        match self.usage {
            2 => Some(Usage::Authority),
            3 => Some(Usage::Server),
            _ => None,
        }
    }

    /// Whether this is the certificate, given with its public key's SubjectPublicKeyInfo, both in DER.
    pub fn matches(&self, certificate: &[u8], key: &[u8]) -> bool {
        let chosen = match self.selector {
            0 => certificate,
            1 => key,
            _ => return false,
        };
        match self.matching {
            0 => chosen == self.data,
            1 => Sha256::digest(chosen).as_slice() == self.data,
            2 => Sha512::digest(chosen).as_slice() == self.data,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256, Sha512};

    use super::{Bond, Tlsa, Usage, usable};

    fn record(usage: u8, selector: u8, matching: u8, data: Vec<u8>) -> Tlsa {
        Tlsa {
            usage,
            selector,
            matching,
            data,
        }
    }

    #[test]
    fn only_records_for_smtp_that_can_match_are_usable() {
        let digest = vec![0; 32];
        let table = [
            ((3, 1, 1, digest.clone()), true),
            ((2, 0, 1, digest.clone()), true),
            ((3, 1, 2, vec![0; 64]), true),
            ((3, 0, 0, vec![1]), true),
            ((0, 1, 1, digest.clone()), false),
            ((1, 1, 1, digest.clone()), false),
            ((255, 1, 1, digest.clone()), false),
            ((3, 2, 1, digest.clone()), false),
            ((3, 1, 3, digest.clone()), false),
            ((3, 1, 1, vec![0; 31]), false),
            ((3, 1, 2, digest), false),
            ((3, 1, 0, Vec::new()), false),
        ];
        for ((usage, selector, matching, data), expected) in table {
            let record = record(usage, selector, matching, data);
            assert_eq!(
                usable(std::slice::from_ref(&record)).len() == 1,
                expected,
                "{record:?}"
            );
        }
        assert_eq!(record(2, 0, 1, Vec::new()).usage(), Some(Usage::Authority));
    }

    #[test]
    fn the_recipient_s_domain_counts_where_an_authority_vouches() {
        let domains = ["news.example", "mx.example", "news.example"];
        let server = record(3, 1, 1, vec![0; 32]);
        let bond = Bond::new(vec![server.clone()], "mx.example", &domains);
        assert_eq!(bond.names().collect::<Vec<_>>(), ["mx.example"]);
        let authority = record(2, 1, 1, vec![0; 32]);
        let bond = Bond::new(vec![server, authority], "mx.example", &domains);
        let names: Vec<&str> = bond.names().collect();
        assert_eq!(names, ["mx.example", "news.example"]);
    }

    #[test]
    fn a_record_matches_by_its_selector_and_digest() {
        let (certificate, key) = (b"certificate".as_slice(), b"key".as_slice());
        let sha256 = |bytes: &[u8]| Sha256::digest(bytes).to_vec();
        let sha512 = |bytes: &[u8]| Sha512::digest(bytes).to_vec();
        for (record, expected) in [
            (record(3, 1, 1, sha256(key)), true),
            (record(3, 0, 1, sha256(certificate)), true),
            (record(3, 1, 2, sha512(key)), true),
            (record(3, 0, 0, certificate.to_vec()), true),
            (record(3, 1, 1, sha256(certificate)), false),
            (record(3, 0, 2, sha512(key)), false),
            (record(3, 1, 0, b"another".to_vec()), false),
        ] {
            assert_eq!(record.matches(certificate, key), expected, "{record:?}");
        }
    }
}
