//! Links that stand for one reader's copy of a mail: its click counters, and what signs its reader in.
//!
//! Promises: only the address is judged, nothing is asked. A counter of a mail that somebody got counts all
//! readers of this issue as that one; where its address holds the target, the target is given.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;
use url::Url;

/// How padding is written differs from tool to tool.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Hosts of click counters, themselves or what they end with, and how their paths begin.
const COUNTERS: [(&str, &str); 28] = [
    ("activehosted.com", "/lt.php"),
    ("awstrack.me", "/"),
    ("clicks.aweber.com", "/"),
    ("click.convertkit-mail.com", "/"),
    ("click.convertkit-mail2.com", "/"),
    ("click.convertkit-mail4.com", "/"),
    ("click.kit-mail.com", "/"),
    ("click.kit-mail3.com", "/"),
    ("click.mlsend.com", "/"),
    ("click.pstmrk.it", "/"),
    ("cmail19.com", "/t/"),
    ("cmail20.com", "/t/"),
    ("createsend1.com", "/t/"),
    ("ct.sendgrid.net", "/"),
    ("emlnk.com", "/lt.php"),
    ("exct.net", "/"),
    ("hubspotlinks.com", "/"),
    ("klclick.com", "/"),
    ("klclick1.com", "/"),
    ("list-manage.com", "/track/"),
    ("list-manage1.com", "/track/"),
    ("list-manage2.com", "/track/"),
    ("mandrillapp.com", "/track/"),
    ("rs6.net", "/tn.jsp"),
    ("sendibm1.com", "/"),
    ("sendibt3.com", "/"),
    ("substack.com", "/redirect/"),
    ("track.pstmrk.it", "/"),
];
/// Paths of counters that stand below a sender's own domain: SendGrid, beehiiv, Mailgun, Amazon SES, Brevo.
const PATHS: [&str; 6] = ["/ls/click", "/ss/c/", "/c/eJ", "/CL0/", "/L0/", "/mk/cl/"];
/// Characters of a path or a value that stands for one mail to one reader.
const KEY: usize = 40;

/// Whether a link goes through the click counter of a mail.
pub(crate) fn counts(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let path = url.path();
    let below = |end: &str| {
        host.strip_suffix(end)
            .is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
    };
    let known = COUNTERS
        .iter()
        .any(|(end, start)| below(end) && path.starts_with(start));
    let own = PATHS
        .iter()
        .any(|start| path.starts_with(start) && keyed(url));
    let named = host.starts_with("click.") || host.starts_with("clicks.");
    known || own || named && keyed(url)
}

/// Whether a link holds something as long as a key.
fn keyed(url: &Url) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || "-_=.+%".contains(c);
    let long = |word: &str| word.len() >= KEY && word.chars().all(letters);
    let query = url.query().unwrap_or_default();
    let mut words = url.path().split('/').chain(query.split(['&', '=']));
    words.any(long)
}

/// Where a counter leads, as far as its own address says so.
pub(crate) fn behind(url: &Url) -> Option<Url> {
    let web = |text: &str| {
        Url::parse(text)
            .ok()
            .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
    };
    let mut found = None;
    for word in url.path().split('/') {
        let plain = percent_decode_str(word).decode_utf8_lossy();
        // Substack signs what it writes: `eyJ....signature`.
        let opened = BASE64.decode(plain.split('.').next().unwrap_or_default());
        let opened = opened
            .ok()
            .and_then(|octets| String::from_utf8(octets).ok());
        let target = opened.as_deref().map(|text| {
            let data: Option<serde_json::Value> = serde_json::from_str(text).ok();
            let data = data.as_ref().and_then(|data| data["e"].as_str());
            data.unwrap_or(text).to_owned()
        });
        found = found
            .or_else(|| web(&plain))
            .or_else(|| target.as_deref().and_then(web));
    }
    let mut values = url.query_pairs();
    found
        .or_else(|| values.find_map(|(_, value)| web(&value)))
        .filter(|target| !counts(target))
}

/// The parameter of a link that lets whoever follows it in as somebody, or stands for one of a list.
pub(crate) fn secret(url: &Url) -> Option<String> {
    let host = url.host_str().unwrap_or_default();
    let mailchimp = host.contains(".list-manage");
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(key, value)| {
        // `eyJ` is how JSON begins in base64.
        let token = key.to_ascii_lowercase().contains("token") || key == "jwt";
        token && value.starts_with("eyJ") || mailchimp && key == "e" && !value.is_empty()
    });
    found.map(|(key, _)| key.into_owned())
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{behind, counts, secret};

    const LONG: &str = "u001Qm9va3Mgd2l0aCBubyBlbmQgYXJlIGxvbmcgcmVhZHMgaW5kZWVk";

    #[test]
    fn click_counters_are_known_and_sites_like_them_are_not() {
        for (text, expected) in [
            (
                format!("https://link.mail.beehiiv.com/ss/c/{LONG}/4/h1"),
                true,
            ),
            ("https://substack.com/redirect/2/eyJl.x".into(), true),
            (
                "https://us1.list-manage.com/track/click?u=1&e=2".into(),
                true,
            ),
            (
                "https://us1.list-manage.com/subscribe?u=1&id=2".into(),
                false,
            ),
            (
                format!("https://u1.ct.sendgrid.net/ls/click?upn={LONG}"),
                true,
            ),
            (format!("https://email.mg.example.org/c/eJx{LONG}"), true),
            (format!("https://clicks.example.org/f/a/{LONG}"), true),
            ("https://click.palletsprojects.com/en/stable/".into(), false),
            ("https://example.org/c/eJ".into(), false),
            ("https://notsubstack.com/redirect/2".into(), false),
        ] {
            let url = Url::parse(&text).expect("a URL");
            assert_eq!(counts(&url), expected, "{text}");
        }
    }

    #[test]
    fn a_counter_that_holds_its_target_is_unpacked() {
        for (text, expected) in [
            (
                "https://substack.com/redirect/2/eyJlIjoiaHR0cHM6Ly9hLmV4YW1wbGUvYiJ9.sig",
                Some("https://a.example/b"),
            ),
            (
                "https://click.convertkit-mail.com/x/y/aHR0cHM6Ly9hLmV4YW1wbGUvYg==",
                Some("https://a.example/b"),
            ),
            (
                "https://tracking.example.org/CL0/https:%2F%2Fa.example%2Fb/1/0100-x",
                Some("https://a.example/b"),
            ),
            ("https://us1.list-manage.com/track/click?u=1&e=2", None),
        ] {
            let url = Url::parse(text).expect("a URL");
            let found = behind(&url).map(String::from);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_lets_somebody_in_is_told_from_other_parameters() {
        for (text, expected) in [
            (
                "https://open.substack.com/pub/a/p/b?token=eyJ1c2VyX2lk",
                Some("token"),
            ),
            ("https://us1.list-manage.com/unsubscribe?u=1&e=2", Some("e")),
            ("https://a.example/?e=2&token=abc", None),
        ] {
            let url = Url::parse(text).expect("a URL");
            assert_eq!(secret(&url).as_deref(), expected, "{text}");
        }
    }
}
