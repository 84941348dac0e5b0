//! DMARC (RFC 9989): records, the walk up the DNS, and which domains belong together.
//!
//! Promises: pure; the walk says which names to ask and reads what was found there.

use crate::dkim::tags;

/// Names asked at most for one domain (section 4.10).
const QUERIES: usize = 8;

/// What a domain asks of receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    None,
    Quarantine,
    Reject,
}

impl Policy {
    fn parse(text: &str) -> Option<Policy> {
        match text.to_ascii_lowercase().as_str() {
            "none" => Some(Policy::None),
            "quarantine" => Some(Policy::Quarantine),
            "reject" => Some(Policy::Reject),
            _ => None,
        }
    }

    /// The word in the record.
    pub fn name(self) -> &'static str {
        match self {
            Policy::None => "none",
            Policy::Quarantine => "quarantine",
            Policy::Reject => "reject",
        }
    }
}

/// Whether a domain is a public suffix (`psd=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    Yes,
    No,
    Unknown,
}

/// A record, read (section 4.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub policy: Policy,
    /// For subdomains; as `policy` when not said.
    pub subdomains: Policy,
    pub strict_dkim: bool,
    pub strict_spf: bool,
    pub suffix: Suffix,
    /// Receivers are asked to apply one level less (`t=y`).
    pub testing: bool,
    /// Where reports go, as written.
    pub reports: Option<String>,
    /// Tags that RFC 9989 took away (appendix C.5) and that stand here all the same.
    pub removed: Vec<&'static str>,
}

impl Record {
    /// Reads a text; `None` when it is no DMARC record.
    pub fn parse(text: &str) -> Option<Record> {
        // Section 4.7: `v` comes first and is written just so.
        let (first, _) = text.split_once(';').unwrap_or((text, ""));
        let (name, version) = first.split_once('=')?;
        if name.trim() != "v" || version.trim() != "DMARC1" {
            return None;
        }
        let tags = tags::parse(text)?;
        let value = |name: &str| tags::value(&tags, name);
        let reports = value("rua")
            .filter(|rua| !rua.is_empty())
            .map(str::to_owned);
        // Section 4.7: without a valid `p`, a record counts as `none`.
        let policy = value("p").and_then(Policy::parse).unwrap_or(Policy::None);
        let strict = |name| value(name).is_some_and(|mode| mode.eq_ignore_ascii_case("s"));
        let removed = ["pct", "rf", "ri"];
        Some(Record {
            policy,
            subdomains: value("sp").and_then(Policy::parse).unwrap_or(policy),
            strict_dkim: strict("adkim"),
            strict_spf: strict("aspf"),
            suffix: match value("psd") {
                Some("y" | "Y") => Suffix::Yes,
                Some("n" | "N") => Suffix::No,
                _ => Suffix::Unknown,
            },
            testing: value("t").is_some_and(|mode| mode.eq_ignore_ascii_case("y")),
            reports,
            removed: removed
                .into_iter()
                .filter(|name| value(name).is_some())
                .collect(),
        })
    }

    /// The one record among the texts under a name: several are none (section 4.10).
    pub fn among(texts: &[String]) -> Option<Record> {
        let mut records = texts.iter().filter_map(|text| Record::parse(text));
        let found = records.next();
        found.filter(|_| records.next().is_none())
    }
}

/// The domains to ask for a record (under `_dmarc.`), in this order (section 4.10).
pub fn walk(domain: &str) -> Vec<String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let from = |count: usize| labels[labels.len() - count..].join(".");
    let mut names = vec![domain.to_owned()];
    let below = match labels.len() {
        // Of a long name the domain itself is asked, then its last seven labels.
        count if count >= QUERIES => QUERIES - 1,
        count => count - 1,
    };
    names.extend((1..=below).rev().map(from));
    names
}

/// The organizational domain of `domain` (section 4.10.2), from what was found under the names of [`walk`].
pub fn organizational<'a>(domain: &'a str, found: &'a [(String, Record)]) -> &'a str {
    for (name, record) in found {
        match record.suffix {
            Suffix::No => return name,
            Suffix::Yes if name != domain => {
                // The domain one label below the public suffix.
                let labels = name.split('.').count() + 1;
                let all: Vec<(usize, char)> =
                    domain.char_indices().filter(|(_, c)| *c == '.').collect();
                let skip = (all.len() + 1).saturating_sub(labels);
                return match skip {
                    0 => domain,
                    skip => &domain[all[skip - 1].0 + 1..],
                };
            }
            Suffix::Yes | Suffix::Unknown => {}
        }
    }
    // Else the record with the fewest labels; the walk asks for those last.
    found.last().map_or(domain, |(name, _)| name)
}

/// The record that counts for `domain` (section 4.8): its own, else its organizational domain's, else that
/// of the public suffix; and the policy that follows from it.
pub fn applied<'a>(
    domain: &str,
    organizational: &str,
    found: &'a [(String, Record)],
) -> Option<(&'a str, &'a Record, Policy)> {
    let at = |wanted: &str| found.iter().find(|(name, _)| name == wanted);
    let record = at(domain).or_else(|| at(organizational));
    let record = record.or_else(|| {
        found
            .iter()
            .find(|(_, record)| record.suffix == Suffix::Yes)
    });
    let (name, record) = record?;
    let policy = match name == domain {
        true => record.policy,
        false => record.subdomains,
    };
    Some((name, record, policy))
}

/// Whether two domains are aligned (section 4.4): the same, or of one organizational domain.
pub fn is_aligned(strict: bool, one: (&str, &str), other: (&str, &str)) -> bool {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    same(one.0, other.0) || (!strict && same(one.1, other.1))
}

#[cfg(test)]
mod tests {
    use super::{Policy, Record, Suffix, applied, is_aligned, organizational, walk};

    fn record(text: &str) -> Record {
        Record::parse(text).expect(text)
    }

    #[test]
    fn a_long_name_is_asked_eight_times_as_in_the_rfc() {
        // RFC 9989, appendix B.4.1.
        let names = walk("a.b.c.d.e.f.g.h.i.j.k.example.com");
        let expected = [
            "a.b.c.d.e.f.g.h.i.j.k.example.com",
            "g.h.i.j.k.example.com",
            "h.i.j.k.example.com",
            "i.j.k.example.com",
            "j.k.example.com",
            "k.example.com",
            "example.com",
            "com",
        ];
        assert_eq!(names, expected);
        assert_eq!(
            walk("mail.example.com"),
            ["mail.example.com", "example.com", "com"]
        );
        assert_eq!(
            walk("a.b.c.d.e.f.g.h"),
            [
                "a.b.c.d.e.f.g.h",
                "b.c.d.e.f.g.h",
                "c.d.e.f.g.h",
                "d.e.f.g.h",
                "e.f.g.h",
                "f.g.h",
                "g.h",
                "h"
            ]
        );
    }

    #[test]
    fn a_public_suffix_parts_its_customers() {
        let found = vec![(
            "bank.example".to_owned(),
            record("v=DMARC1; p=reject; psd=y"),
        )];
        let giant = organizational("mail.giant.bank.example", &found);
        let mega = organizational("mega.bank.example", &found);
        assert_eq!((giant, mega), ("giant.bank.example", "mega.bank.example"));
        assert!(!is_aligned(
            false,
            ("mail.giant.bank.example", giant),
            ("mega.bank.example", mega)
        ));
        let (name, _, policy) = applied("mega.bank.example", mega, &found).expect("a record");
        assert_eq!((name, policy), ("bank.example", Policy::Reject));
        // A suffix that sends itself is its own organization.
        assert_eq!(organizational("bank.example", &found), "bank.example");
    }

    #[test]
    fn the_highest_record_names_the_organization_unless_one_says_so_below() {
        let all = |own: &str| {
            vec![
                ("news.example.com".to_owned(), record(own)),
                (
                    "example.com".to_owned(),
                    record("v=DMARC1; p=reject; sp=quarantine; aspf=s"),
                ),
            ]
        };
        let found = all("v=DMARC1; p=none");
        assert_eq!(organizational("a.news.example.com", &found), "example.com");
        let found = all("v=DMARC1; p=none; psd=n");
        assert_eq!(
            organizational("a.news.example.com", &found),
            "news.example.com"
        );
        assert_eq!(organizational("lonely.example", &[]), "lonely.example");
        let (name, record, policy) = applied("x.example.com", "example.com", &found).expect("one");
        assert_eq!(
            (name, policy, record.strict_spf),
            ("example.com", Policy::Quarantine, true)
        );
        assert!(is_aligned(
            false,
            ("a.example.com", "example.com"),
            ("b.example.com", "example.com")
        ));
        assert!(!is_aligned(
            true,
            ("a.example.com", "example.com"),
            ("example.com", "example.com")
        ));
    }

    #[test]
    fn records_are_what_the_rfc_takes_for_one() {
        let found = record("v=DMARC1; p=QUARANTINE; pct=50; t=y; rua=mailto:a@example.com; x=1;");
        assert_eq!((found.policy, found.testing), (Policy::Quarantine, true));
        assert_eq!(
            (found.removed.as_slice(), found.suffix),
            (&["pct"][..], Suffix::Unknown)
        );
        assert_eq!(found.reports.as_deref(), Some("mailto:a@example.com"));
        assert_eq!(record("v=DMARC1; p=bogus").policy, Policy::None);
        for text in [
            "v=dmarc1; p=none",
            "p=none; v=DMARC1",
            "v=spf1 -all",
            "v=DMARC1; p=none; p=none",
        ] {
            assert_eq!(Record::parse(text), None, "{text}");
        }
        let two = [
            "v=DMARC1; p=none".to_owned(),
            "v=DMARC1; p=reject".to_owned(),
        ];
        assert_eq!(Record::among(&two), None);
        assert!(Record::among(&two[..1]).is_some());
    }
}
