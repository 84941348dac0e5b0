//! What can be told of the sender by the configuration alone: whose domain it is, how it is written, and what was
//! never filled in.
//!
//! Promises: pure; asks nobody. Leaves what the DNS says to `doctor`.

use super::Config;

/// What `pressrun init` writes where nothing else was said.
pub const NAME: &str = "My Newsletter";
pub const POSTAL_ADDRESS: &str = "Street and number, Town";

/// Texts that stand in examples and nowhere else.
const EXAMPLES: [&str; 5] = [
    "example.org",
    "example.com",
    "example.net",
    "example",
    "invalid",
];

/// Domains whose owners let nobody else send from them (their DMARC policy says so).
const FREE_MAIL: [&str; 46] = [
    "126.com",
    "163.com",
    "aim.com",
    "aol.com",
    "bluewin.ch",
    "comcast.net",
    "fastmail.com",
    "free.fr",
    "freenet.de",
    "gmail.com",
    "googlemail.com",
    "hey.com",
    "hushmail.com",
    "icloud.com",
    "laposte.net",
    "libero.it",
    "live.co.uk",
    "live.com",
    "live.de",
    "live.fr",
    "live.it",
    "live.nl",
    "mac.com",
    "mail.com",
    "mail.de",
    "mail.ru",
    "mailbox.org",
    "me.com",
    "msn.com",
    "naver.com",
    "orange.fr",
    "outlook.com",
    "pm.me",
    "posteo.de",
    "proton.me",
    "protonmail.ch",
    "protonmail.com",
    "qq.com",
    "rocketmail.com",
    "t-online.de",
    "tuta.com",
    "tutanota.com",
    "web.de",
    "yandex.com",
    "yandex.ru",
    "ymail.com",
];
/// Names that one owner has under the ending of many countries: `yahoo.co.uk`, `gmx.at`.
const FAMILIES: [&str; 4] = ["gmx", "hotmail", "outlook", "yahoo"];

/// Whether the domain, or one above it, belongs to a provider of mailboxes for everybody.
pub fn is_free_mail(domain: &str) -> bool {
    let mut above = Some(domain);
    while let Some(name) = above {
        if FREE_MAIL.contains(&name) || is_of_family(name) {
            return true;
        }
        above = name.split_once('.').map(|(_, above)| above);
    }
    false
}

fn is_of_family(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    let ending = match labels.as_slice() {
        [_, ending] => matches!(ending.len(), 2 | 3),
        [_, second, country] => matches!(*second, "co" | "com") && country.len() == 2,
        _ => false,
    };
    ending && FAMILIES.contains(&labels[0])
}

/// Whether a label of the domain holds Latin letters and such as look like them: nobody sees the difference, and
/// receivers take it for fraud (UTS 39, section 5).
pub fn is_mixed(domain: &str) -> bool {
    let (domain, _) = idna::domain_to_unicode(domain);
    domain.split('.').any(|label| {
        let latin = |letter: char| matches!(letter, 'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}');
        // Greek, Cyrillic, Armenian and Cherokee.
        let alike = |letter: char| {
            matches!(letter, '\u{370}'..='\u{58f}' | '\u{13a0}'..='\u{13ff}' | '\u{1f00}'..='\u{1fff}')
        };
        label.chars().any(latin) && label.chars().any(alike)
    })
}

/// Whether a host stands in examples and nowhere else.
pub fn is_example(host: &str) -> bool {
    EXAMPLES.iter().any(|end| {
        host.strip_suffix(end)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// The keys of what readers see that still say what `pressrun init` wrote.
pub fn unset(config: &Config) -> Vec<&'static str> {
    let publication = &config.publication;
    let said = [
        ("publication.name", &publication.name, NAME),
        (
            "publication.postal_address",
            &publication.postal_address,
            POSTAL_ADDRESS,
        ),
    ];
    let left = said
        .into_iter()
        .filter(|(_, said, first)| said.trim() == *first);
    left.map(|(key, ..)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::{is_example, is_free_mail, is_mixed};

    #[test]
    fn domains_of_everybody_s_mailboxes_are_known_by_name_and_by_family() {
        for domain in [
            "gmail.com",
            "news.gmail.com",
            "outlook.de",
            "hotmail.fr",
            "yahoo.co.uk",
            "gmx.net",
            "a.gmx.at",
            "proton.me",
        ] {
            assert!(is_free_mail(domain), "{domain}");
        }
        for domain in [
            "example.org",
            "notgmail.com",
            "outlook.bees.house",
            "gmx.bees.org",
            "yahoo.house",
            "live.org",
            "me.example.com",
        ] {
            assert!(!is_free_mail(domain), "{domain}");
        }
    }

    #[test]
    fn letters_that_look_like_others_beside_them_are_seen() {
        for domain in [
            "p\u{430}ypal.example",
            "xn--pypal-4ve.example",
            "bees.\u{3bf}rg",
        ] {
            assert!(is_mixed(domain), "{domain}");
        }
        for domain in [
            "b\u{fc}cher.example",
            "\u{43f}\u{438}\u{441}\u{44c}\u{43c}\u{43e}.example",
            "bees.house",
        ] {
            assert!(!is_mixed(domain), "{domain}");
        }
        assert!(
            is_example("example.org") && is_example("news.example.com") && is_example("a.invalid")
        );
        assert!(!is_example("myexample.org") && !is_example("bees.house"));
    }
}
