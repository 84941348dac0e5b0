//! MTA-STS (RFC 8461): the TXT record that announces a policy, the policy, and which hosts it names.
//!
//! Promises: pure parsing; what is malformed is an error with its reason, and a domain whose record is
//! malformed has no policy. Leaves fetching, caching and the certificate to `deliver`.

use std::time::Duration;

/// A policy file is a few lines; more than this is none. RFC 8461, section 3.2, suggests 64 KB.
pub const SIZE: usize = 64 * 1024;
/// RFC 8461, section 3.2: one year.
const MAX_AGE: u64 = 31_557_600;
const HOSTS: usize = 200;

/// What a policy asks of whoever sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A host it names, with a valid certificate, or no mail at all.
    Enforce,
    /// The same is wished for, and mail goes out regardless.
    Testing,
    None,
}

/// A domain's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub mode: Mode,
    pub max_age: Duration,
    mx: Vec<String>,
}

/// Why a record or a policy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StsError {
    #[error("several MTA-STS records")]
    Several,
    #[error("the MTA-STS record has no `id` of up to 32 letters and digits")]
    NoId,
    #[error("the MTA-STS policy has no line `version: STSv1`")]
    NoVersion,
    #[error("the MTA-STS policy has no `mode` that is `enforce`, `testing` or `none`")]
    NoMode,
    #[error("the MTA-STS policy has no `max_age` of up to a year of seconds")]
    NoMaxAge,
    #[error("the MTA-STS policy names no `mx`")]
    NoMx,
}

/// The id of the policy that the TXT records of `_mta-sts.<domain>` announce, if they announce one.
pub fn announced(records: &[String]) -> Result<Option<String>, StsError> {
    // RFC 8461, section 3.1: records that do not begin so are discarded; of the rest there must be one.
    let mut ours = records.iter().filter(|record| {
        record
            .split(';')
            .next()
            .is_some_and(|v| v.trim_end() == "v=STSv1")
    });
    let Some(record) = ours.next() else {
        return Ok(None);
    };
    if ours.next().is_some() {
        return Err(StsError::Several);
    }
    let mut fields = record
        .split(';')
        .skip(1)
        .filter_map(|field| field.split_once('='));
    let id = fields.find(|(name, _)| name.trim() == "id");
    let id = id.map(|(_, value)| value.trim());
    let fine = |id: &&str| {
        (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    id.filter(fine)
        .map(|id| Some(id.to_owned()))
        .ok_or(StsError::NoId)
}

impl Policy {
    /// Reads the body of `https://mta-sts.<domain>/.well-known/mta-sts.txt`.
    pub fn parse(text: &str) -> Result<Policy, StsError> {
        let (mut version, mut mode, mut max_age) = (None, None, None);
        let mut mx = Vec::new();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match name.trim() {
                // RFC 8461, section 3.2: of a repeated field other than `mx` the first counts.
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age.get_or_insert(value),
                "mx" if mx.len() < HOSTS => {
                    mx.push(value.trim_end_matches('.').to_ascii_lowercase())
                }
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(StsError::NoVersion);
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err(StsError::NoMode),
        };
        let digits = max_age.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let seconds: Option<u64> = digits.and_then(|text| text.parse().ok());
        let seconds = seconds.filter(|&seconds| seconds <= MAX_AGE);
        let max_age = Duration::from_secs(seconds.ok_or(StsError::NoMaxAge)?);
        mx.retain(|pattern| !pattern.is_empty());
        if mx.is_empty() && mode != Mode::None {
            return Err(StsError::NoMx);
        }
        Ok(Policy { mode, max_age, mx })
    }

    /// Whether the policy names `host`; `*.` stands for exactly one label (RFC 8461, section 4.1).
    pub fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.mx
            .iter()
            .any(|pattern| match pattern.strip_prefix("*.") {
                Some(parent) => host
                    .split_once('.')
                    .is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
                None => host == *pattern,
            })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_assert, proptest};

    use super::{Mode, Policy, StsError, announced};

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn one_record_announces_a_policy_by_its_id() {
        let id = |list: &[&str]| announced(&texts(list));
        let some = |id: &str| Ok(Some(id.to_owned()));
        assert_eq!(
            id(&["v=STSv1; id=20160831085700Z;"]),
            some("20160831085700Z")
        );
        assert_eq!(id(&["v=spf1 -all", "v=STSv1;id=a1"]), some("a1"));
        assert_eq!(id(&[]), Ok(None));
        assert_eq!(id(&["v=STSv10; id=1"]), Ok(None));
        assert_eq!(id(&["id=1; v=STSv1"]), Ok(None));
        assert_eq!(
            id(&["v=STSv1; id=1", "v=STSv1; id=2"]),
            Err(StsError::Several)
        );
        for record in [
            "v=STSv1",
            "v=STSv1; id=",
            "v=STSv1; id=a-b",
            "v=STSv1; other=1",
        ] {
            assert_eq!(id(&[record]), Err(StsError::NoId), "{record}");
        }
        let long = format!("v=STSv1; id={}", "a".repeat(33));
        assert_eq!(id(&[&long]), Err(StsError::NoId));
    }

    #[test]
    fn a_policy_is_read_with_either_line_end() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n\
                    mx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n";
        for text in [text.to_owned(), text.replace('\r', "")] {
            let policy = Policy::parse(&text).expect("a policy");
            assert_eq!(policy.mode, Mode::Enforce);
            assert_eq!(policy.max_age, Duration::from_secs(604_800));
            assert!(policy.names("mail.example.com") && policy.names("MAIL.example.com."));
            assert!(policy.names("mx1.example.net"));
            for other in [
                "example.net",
                "a.b.example.net",
                ".example.net",
                "mail.example.com.evil.org",
            ] {
                assert!(!policy.names(other), "{other}");
            }
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_no_policy() {
        let table = [
            ("mode: enforce\nmx: a\nmax_age: 1", StsError::NoVersion),
            (
                "version: STSv2\nmode: enforce\nmx: a\nmax_age: 1",
                StsError::NoVersion,
            ),
            ("version: STSv1\nmx: a\nmax_age: 1", StsError::NoMode),
            (
                "version: STSv1\nmode: maybe\nmx: a\nmax_age: 1",
                StsError::NoMode,
            ),
            ("version: STSv1\nmode: enforce\nmax_age: 1", StsError::NoMx),
            ("version: STSv1\nmode: testing\nmx: a", StsError::NoMaxAge),
            (
                "version: STSv1\nmode: testing\nmx: a\nmax_age: -1",
                StsError::NoMaxAge,
            ),
            (
                "version: STSv1\nmode: testing\nmx: a\nmax_age: 31557601",
                StsError::NoMaxAge,
            ),
            ("<html>404</html>", StsError::NoVersion),
        ];
        for (text, expected) in table {
            assert_eq!(Policy::parse(text), Err(expected), "{text}");
        }
        let none = Policy::parse("version: STSv1\nmode: none\nmax_age: 86400");
        assert_eq!(none.expect("a policy").mode, Mode::None);
        let twice = "version: STSv1\nmode: testing\nmode: enforce\nmx: a\nmax_age: 1\nmax_age: x";
        assert_eq!(
            Policy::parse(twice).expect("the first counts").mode,
            Mode::Testing
        );
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_and_a_wildcard_is_one_label(text in ".{0,400}", label in "[a-z0-9-]{1,20}", deep in "[a-z]{1,5}\\.[a-z]{1,5}") {
            Policy::parse(&text).ok();
            announced(&[text]).ok();
            let policy = Policy::parse("version: STSv1\nmode: enforce\nmx: *.example.org\nmax_age: 9");
            let policy = policy.expect("a policy");
            let host = format!("{label}.example.org");
            prop_assert!(policy.names(&host));
            let host = format!("{deep}.example.org");
            prop_assert!(!policy.names(&host));
        }
    }
}
