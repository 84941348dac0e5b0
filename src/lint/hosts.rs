//! What a host name tells: shorteners, private hosts, domains that look like others.
//!
//! Promises: no look-up; only the name is judged. The tables are short on purpose: they hold what
//! newsletters link to, not all there is.

use url::{Host, Url};

/// Services that hide where a link leads; filters distrust them, because spam uses them.
const SHORTENERS: [&str; 36] = [
    "adf.ly",
    "amzn.to",
    "bit.do",
    "bit.ly",
    "bitly.com",
    "bl.ink",
    "buff.ly",
    "cutt.ly",
    "db.tt",
    "dlvr.it",
    "fb.me",
    "flip.it",
    "goo.gl",
    "hubs.ly",
    "ift.tt",
    "is.gd",
    "j.mp",
    "lnkd.in",
    "mcaf.ee",
    "ow.ly",
    "po.st",
    "qr.ae",
    "rb.gy",
    "rebrand.ly",
    "s.id",
    "short.gy",
    "short.io",
    "shorturl.at",
    "soo.gd",
    "t.co",
    "t.ly",
    "tiny.cc",
    "tinyurl.com",
    "trib.al",
    "v.gd",
    "x.co",
];

/// Cyrillic and Greek letters that look like a Latin one.
const DOUBLES: &str = "\u{430}\u{435}\u{43e}\u{440}\u{441}\u{443}\u{445}\u{456}\u{458}\u{455}\u{501}\
    \u{51b}\u{51d}\u{4bb}\u{43c}\u{43d}\u{442}\u{43a}\u{432}\u{3bf}\u{3b1}\u{3b9}\u{3bd}\u{3c1}\u{3c5}\
    \u{3ba}\u{3c7}\u{3b3}";

pub(super) fn is_shortener(host: &str) -> bool {
    let host = host.strip_prefix("www.").unwrap_or(host);
    SHORTENERS.contains(&host)
}

/// Whether readers cannot reach a host: this machine, a private network, a name that is not public.
pub(super) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => {
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
        }
        Some(Host::Ipv6(ip)) => {
            let first = ip.segments()[0];
            // RFC 4193 (unique local) and RFC 4291, section 2.5.6 (link local).
            ip.is_loopback()
                || ip.is_unspecified()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let last = name.rsplit('.').next().unwrap_or_default();
            // RFC 6761, RFC 6762, RFC 8375 and ICANN's `internal`.
            name == "localhost"
                || name.ends_with(".home.arpa")
                || [
                    "localhost",
                    "local",
                    "internal",
                    "invalid",
                    "lan",
                    "localdomain",
                ]
                .contains(&last)
        }
        None => false,
    }
}

/// Why a host may be taken for another one; the name as readers see it comes with it.
pub(super) fn lookalike(host: &str) -> Option<(String, &'static str)> {
    if !host.split('.').any(|label| label.starts_with("xn--")) {
        return None;
    }
    let (shown, result) = idna::domain_to_unicode(host);
    if result.is_err() {
        return None;
    }
    for label in shown.split('.') {
        let scripts = |script: fn(char) -> bool| label.chars().any(script);
        let (latin, cyrillic, greek) = (scripts(is_latin), scripts(is_cyrillic), scripts(is_greek));
        if [latin, cyrillic, greek]
            .into_iter()
            .filter(|has| *has)
            .count()
            > 1
        {
            return Some((shown, "mixes alphabets"));
        }
        let letters = label.chars().filter(|c| c.is_alphabetic());
        let doubles = letters.clone().count() > 1
            && (cyrillic || greek)
            && letters.clone().all(|c| DOUBLES.contains(c));
        if doubles {
            return Some((shown, "is made of letters that look like Latin ones"));
        }
    }
    None
}

fn is_latin(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

fn is_cyrillic(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{52f}')
}

fn is_greek(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{3ff}')
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{is_local, lookalike};

    fn host(text: &str) -> String {
        let url = Url::parse(&format!("https://{text}/")).expect("a URL");
        url.host_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_domain_of_one_alphabet_is_none_of_these() {
        for text in [
            "example.org",
            "b\u{fc}cher.example",
            "\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.example",
        ] {
            assert_eq!(lookalike(&host(text)), None, "{text}");
        }
        // A Cyrillic letter in a Latin word, and a word of Cyrillic letters only.
        for text in [
            "p\u{430}ypal.example",
            "\u{441}\u{43e}\u{441}\u{430}.example",
        ] {
            assert!(lookalike(&host(text)).is_some(), "{text}");
        }
    }

    #[test]
    fn hosts_that_no_reader_reaches() {
        for (text, local) in [
            ("http://localhost:8080/", true),
            ("https://127.0.0.1/", true),
            ("https://192.168.1.4/", true),
            ("https://[::1]/", true),
            ("https://[fd00::1]/", true),
            ("https://printer.local/", true),
            ("https://wiki.internal/", true),
            ("https://example.org/", false),
            ("https://93.184.215.14/", false),
            ("https://localhost.example.org/", false),
        ] {
            assert_eq!(is_local(&Url::parse(text).expect("a URL")), local, "{text}");
        }
    }
}
