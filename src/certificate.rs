//! The one thing asked of a certificate here: until when it is valid (RFC 5280, section 4.1.2.5).
//!
//! Promises: reads DER from strangers without trusting any length in it. Trust itself is rustls's.

use crate::clock::Timestamp;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which stands before the serial number where it stands at all.
const VERSION: u8 = 0xa0;

/// The last moment at which the certificate in `der` is valid; none when it is no certificate.
pub fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(der)?;
    let (tag, mut rest, _) = element(certificate)?;
    if tag != SEQUENCE {
        return None;
    }
    if *rest.first()? == VERSION {
        rest = element(rest)?.2;
    }
    // Serial number, algorithm, issuer; then the validity.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, end) = element(validity)?;
    let (tag, text, _) = element(end)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// Tag, content and what follows of the first element.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return None;
        }
        let (octets, after) = rest.split_at_checked(count)?;
        length = octets
            .iter()
            .fold(0, |sum, &octet| sum << 8 | usize::from(octet));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// `YYMMDDhhmmssZ`, or with four digits of the year.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        // RFC 5280, section 4.1.2.5.1: years from 50 on are of the last century.
        UTC_TIME if text.len() == 13 && text.is_ascii() => match &text[..2] >= "50" {
            true => format!("19{text}"),
            false => format!("20{text}"),
        },
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let civil = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    let instant = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
    Some(Timestamp(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::{GENERALIZED_TIME, UTC_TIME, not_after, time};

    #[test]
    fn a_certificate_says_until_when_it_is_valid() {
        let names = vec!["localhost".to_owned()];
        let mut wish = rcgen::CertificateParams::new(names).expect("names");
        wish.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let key = rcgen::KeyPair::generate().expect("a key");
        let made = wish.self_signed(&key).expect("a certificate");
        let end = not_after(made.der()).expect("a time");
        assert_eq!(end.to_rfc3339(), "2031-02-03T00:00:00Z");
        for length in 0..made.der().len() {
            assert!(
                not_after(&made.der()[..length]).is_none(),
                "cut at {length}"
            );
        }
    }

    #[test]
    fn both_ways_to_write_a_time_are_read() {
        let read = |tag, text| time(tag, text).map(|time| time.to_rfc3339());
        let first = read(UTC_TIME, "491231235959Z");
        assert_eq!(first.as_deref(), Some("2049-12-31T23:59:59Z"));
        let last = read(UTC_TIME, "500101000000Z");
        assert_eq!(last.as_deref(), Some("1950-01-01T00:00:00Z"));
        let far = read(GENERALIZED_TIME, "20500101000000Z");
        assert_eq!(far.as_deref(), Some("2050-01-01T00:00:00Z"));
        assert_eq!(read(UTC_TIME, "4912312359Z"), None);
    }
}
