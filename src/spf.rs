//! SPF records (RFC 7208): read and expanded. Whoever has a resolver asks what they lead to.
//!
//! Promises: pure; a record that a receiver would call a permanent error is one here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Terms that ask the DNS, in all records that one check reads (section 4.6.4).
pub const LOOKUPS: u32 = 10;

/// Whether a text is an SPF record at all (section 4.5).
pub fn is_record(text: &str) -> bool {
    let version = text.split(' ').next().unwrap_or_default();
    version.eq_ignore_ascii_case("v=spf1")
}

/// A record, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub terms: Vec<Term>,
    /// Whose record counts when no term matches.
    pub redirect: Option<String>,
}

/// A mechanism and what it means when it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub verdict: Verdict,
    pub mechanism: Mechanism,
}

/// What a check comes to (section 2.6), without the errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
    SoftFail,
    Neutral,
}

impl Verdict {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::SoftFail => "softfail",
            Verdict::Neutral => "neutral",
        }
    }
}

/// Whom a term is about. Domains may hold macros; none is the domain of the record itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    All,
    Include(String),
    A(Option<String>, Lengths),
    Mx(Option<String>, Lengths),
    Ptr(Option<String>),
    Ip(IpAddr, u8),
    Exists(String),
}

/// Bits of an address that must agree, for IPv4 and IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    pub four: u8,
    pub six: u8,
}

impl Mechanism {
    /// Whether it costs one of the ten lookups.
    pub fn asks(&self) -> bool {
        !matches!(self, Mechanism::All | Mechanism::Ip(..))
    }
}

impl Record {
    /// Reads a record; the error quotes the term that a receiver would trip over.
    pub fn parse(text: &str) -> Result<Record, String> {
        let mut record = Record {
            terms: Vec::new(),
            redirect: None,
        };
        for word in text.split(' ').skip(1).filter(|word| !word.is_empty()) {
            let wrong = || format!("`{word}` is no term of SPF");
            let name_end = word.find([':', '/', '=']).unwrap_or(word.len());
            if word[name_end..].starts_with('=') {
                let (name, value) = (&word[..name_end], &word[name_end + 1..]);
                if name.eq_ignore_ascii_case("redirect") {
                    if record.redirect.is_some() || value.is_empty() {
                        return Err(wrong());
                    }
                    record.redirect = Some(value.to_owned());
                }
                // Section 6: an unknown modifier is passed over.
                continue;
            }
            let (verdict, rest) = match word.as_bytes()[0] {
                b'+' => (Verdict::Pass, &word[1..]),
                b'-' => (Verdict::Fail, &word[1..]),
                b'~' => (Verdict::SoftFail, &word[1..]),
                b'?' => (Verdict::Neutral, &word[1..]),
                _ => (Verdict::Pass, word),
            };
            let mechanism = mechanism(rest).ok_or_else(wrong)?;
            record.terms.push(Term { verdict, mechanism });
        }
        Ok(record)
    }
}

fn mechanism(word: &str) -> Option<Mechanism> {
    let end = word.find([':', '/']).unwrap_or(word.len());
    let (name, rest) = word.split_at(end);
    let value = rest.strip_prefix(':');
    let named = || value.filter(|value| !value.is_empty()).map(str::to_owned);
    match name.to_ascii_lowercase().as_str() {
        "all" => rest.is_empty().then_some(Mechanism::All),
        "include" => named().map(Mechanism::Include),
        "exists" => named().map(Mechanism::Exists),
        "ptr" if rest.is_empty() => Some(Mechanism::Ptr(None)),
        "ptr" => named().map(|name| Mechanism::Ptr(Some(name))),
        "a" => hosts(rest).map(|(name, lengths)| Mechanism::A(name, lengths)),
        "mx" => hosts(rest).map(|(name, lengths)| Mechanism::Mx(name, lengths)),
        "ip4" => {
            let (address, length) = network(value?, 32)?;
            Some(Mechanism::Ip(
                address.parse::<Ipv4Addr>().ok()?.into(),
                length,
            ))
        }
        "ip6" => {
            let (address, length) = network(value?, 128)?;
            Some(Mechanism::Ip(
                address.parse::<Ipv6Addr>().ok()?.into(),
                length,
            ))
        }
        _ => None,
    }
}

/// `:domain/24//64`, each part of it optional (section 5.3).
fn hosts(rest: &str) -> Option<(Option<String>, Lengths)> {
    let (name, lengths) = match rest.strip_prefix(':') {
        Some(value) => value.split_at(value.find('/').unwrap_or(value.len())),
        None => ("", rest),
    };
    if rest.starts_with(':') && name.is_empty() {
        return None;
    }
    let (four, six) = match lengths.split_once("//") {
        Some((four, six)) => (four, Some(six)),
        None => (lengths, None),
    };
    let bits = |text: &str, most: u8| text.parse::<u8>().ok().filter(|bits| *bits <= most);
    Some((
        (!name.is_empty()).then(|| name.to_owned()),
        Lengths {
            four: match four {
                "" => 32,
                four => bits(four.strip_prefix('/')?, 32)?,
            },
            six: match six {
                None => 128,
                Some(six) => bits(six, 128)?,
            },
        },
    ))
}

fn network(value: &str, most: u8) -> Option<(&str, u8)> {
    match value.split_once('/') {
        None => Some((value, most)),
        Some((address, bits)) => {
            let bits = bits.parse::<u8>().ok().filter(|bits| *bits <= most)?;
            Some((address, bits))
        }
    }
}

/// Whether `address` lies in the network of `network` with so many bits.
pub fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let shift = |all: u8| u32::from(all - bits.min(all));
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let differ = u32::from(one) ^ u32::from(other);
            differ.checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let differ = u128::from(one) ^ u128::from(other);
            differ.checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// Who sends, for the macros of a domain (section 7).
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    pub address: IpAddr,
    /// The envelope sender.
    pub sender: &'a str,
    pub helo: &'a str,
}

/// A domain of a term with its macros filled in; `None` when a macro is none.
pub fn expand(text: &str, domain: &str, client: &Client<'_>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.bytes().next()? {
            b'%' => out.push('%'),
            b'_' => out.push(' '),
            b'-' => out.push_str("%20"),
            b'{' => {
                let end = rest.find('}')?;
                out.push_str(&filled(&rest[1..end], domain, client)?);
                rest = &rest[end..];
            }
            _ => return None,
        }
        rest = &rest[1..];
    }
    out.push_str(rest);
    Some(out)
}

fn filled(text: &str, domain: &str, client: &Client<'_>) -> Option<String> {
    let letter = text.chars().next()?.to_ascii_lowercase();
    let (local, of) = client
        .sender
        .rsplit_once('@')
        .unwrap_or(("postmaster", client.sender));
    let value = match letter {
        's' => client.sender.to_owned(),
        'l' => local.to_owned(),
        'o' => of.to_owned(),
        'd' => domain.to_owned(),
        'h' => client.helo.to_owned(),
        // Section 5.5: nobody should ask for the name of the address; nobody gets it.
        'p' => "unknown".to_owned(),
        'v' => match client.address {
            IpAddr::V4(_) => "in-addr".to_owned(),
            IpAddr::V6(_) => "ip6".to_owned(),
        },
        'i' => match client.address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let nibble = |octet: u8| format!("{:x}.{:x}", octet >> 4, octet & 15);
                let nibbles: Vec<String> = address.octets().into_iter().map(nibble).collect();
                nibbles.join(".")
            }
        },
        _ => return None,
    };
    let how = &text[1..];
    let digits = how.bytes().take_while(u8::is_ascii_digit).count();
    let (keep, how) = how.split_at(digits);
    let (reverse, marks) = match how.strip_prefix(['r', 'R']) {
        Some(marks) => (true, marks),
        None => (false, how),
    };
    let marks = if marks.is_empty() { "." } else { marks };
    if !marks.bytes().all(|mark| b".-+,/_=".contains(&mark)) {
        return None;
    }
    let mut parts: Vec<&str> = value.split(|c: char| marks.contains(c)).collect();
    if reverse {
        parts.reverse();
    }
    if !keep.is_empty() {
        let keep: usize = keep.parse().ok().filter(|keep| *keep > 0)?;
        parts.drain(..parts.len().saturating_sub(keep));
    }
    Some(parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::{Client, Mechanism, Record, Verdict, expand, is_in, is_record};

    #[test]
    fn records_are_read_and_what_is_none_is_quoted() {
        assert!(is_record("v=spf1") && is_record("V=SPF1 -all") && !is_record("v=spf10 -all"));
        let text = "v=spf1 a:x.example/24//64 mx ?exists:%{i}.example ip6:2001:db8::/32 exp=a.example ~all";
        let record = Record::parse(text).expect("a record");
        assert_eq!(record.terms.len(), 5);
        assert_eq!(
            record
                .terms
                .iter()
                .filter(|term| term.mechanism.asks())
                .count(),
            3
        );
        assert_eq!(record.terms[4].verdict, Verdict::SoftFail);
        assert!(matches!(&record.terms[0].mechanism,
            Mechanism::A(Some(name), lengths) if name == "x.example" && lengths.four == 24 && lengths.six == 64));
        for (text, term) in [
            ("v=spf1 ip4:1.2.3.4.5 -all", "ip4:1.2.3.4.5"),
            ("v=spf1 include: -all", "include:"),
            ("v=spf1 ip4:192.0.2.0/33", "ip4:192.0.2.0/33"),
            ("v=spf1 al", "al"),
            ("v=spf1 redirect=a redirect=b", "redirect=b"),
        ] {
            let error = Record::parse(text).expect_err(text);
            assert!(error.contains(&format!("`{term}`")), "{error}");
        }
    }

    #[test]
    fn networks_hold_the_addresses_whose_first_bits_agree() {
        let ip = |text: &str| text.parse().expect("an address");
        for (address, network, bits, inside) in [
            ("192.0.2.7", "192.0.2.0", 24, true),
            ("192.0.3.7", "192.0.2.0", 24, false),
            ("192.0.3.7", "0.0.0.0", 0, true),
            ("192.0.2.7", "192.0.2.7", 32, true),
            ("2001:db8::7", "2001:db8::", 32, true),
            ("2001:db9::7", "2001:db8::", 32, false),
            ("192.0.2.7", "::", 0, false),
        ] {
            assert_eq!(
                is_in(ip(address), ip(network), bits),
                inside,
                "{address} {network}"
            );
        }
    }

    #[test]
    fn macros_come_out_as_in_the_rfc() {
        // RFC 7208, section 7.4.
        let mut client = Client {
            address: "192.0.2.3".parse().expect("an address"),
            sender: "strong-bad@email.example.com",
            helo: "x",
        };
        let domain = "email.example.com";
        for (text, expected) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{d2}", "example.com"),
            ("%{dr}", "com.example.email"),
            ("%{d1r}", "email"),
            ("%{l-}", "strong.bad"),
            (
                "%{ir}.%{v}._spf.%{d2}",
                "3.2.0.192.in-addr._spf.example.com",
            ),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%%", "%"),
        ] {
            let found = expand(text, domain, &client);
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
        client.address = "2001:db8::cb01".parse().expect("an address");
        let found = expand("%{ir}.%{v}._spf.%{d2}", domain, &client).expect("an expansion");
        assert!(
            found.starts_with("1.0.b.c.0.0.")
                && found.ends_with(".8.b.d.0.1.0.0.2.ip6._spf.example.com")
        );
        for text in ["%{x}", "%", "%{d", "%{d0}"] {
            assert_eq!(expand(text, domain, &client), None, "{text}");
        }
    }
}
