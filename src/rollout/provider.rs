//! Recipients' domains in groups: one provider answers for all of a group.
//!
//! Promises: few groups, so that they can be counted and compared from run to run; whoever is not named
//! belongs to the last.

/// The group of every domain that no other names.
pub const OTHERS: &str = "other domains";

/// Groups by their domains; `.*` stands for any ending.
const GROUPS: [(&str, &[&str]); 11] = [
    ("Gmail", &["gmail.com", "googlemail.com"]),
    (
        "Microsoft",
        &["outlook.*", "hotmail.*", "live.*", "msn.com"],
    ),
    (
        "Yahoo",
        &[
            "yahoo.*",
            "ymail.com",
            "rocketmail.com",
            "aol.com",
            "aim.com",
        ],
    ),
    ("Apple", &["icloud.com", "me.com", "mac.com"]),
    ("GMX and Web.de", &["gmx.*", "web.de"]),
    ("Telekom", &["t-online.de", "magenta.de"]),
    ("Orange", &["orange.fr", "wanadoo.fr"]),
    ("Proton", &["proton.me", "protonmail.com", "pm.me"]),
    ("Mail.ru", &["mail.ru", "bk.ru", "inbox.ru", "list.ru"]),
    ("Yandex", &["yandex.*", "ya.ru"]),
    (
        "QQ and NetEase",
        &["qq.com", "foxmail.com", "163.com", "126.com"],
    ),
];

/// The group of an address.
pub fn of(address: &str) -> &'static str {
    let domain = address.rsplit('@').next().unwrap_or_default();
    let domain = domain.to_ascii_lowercase();
    let is = |pattern: &&str| match pattern.strip_suffix(".*") {
        // `yahoo.co.uk` too, but no host below the name.
        Some(name) => {
            let rest = domain
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| !rest.is_empty() && rest.matches('.').count() < 2)
        }
        None => domain == **pattern,
    };
    let found = GROUPS.iter().find(|(_, domains)| domains.iter().any(&is));
    found.map_or(OTHERS, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_provider_answers_for_all_of_its_domains() {
        for (address, group) in [
            ("a@gmail.com", "Gmail"),
            ("a@GoogleMail.com", "Gmail"),
            ("a@hotmail.co.uk", "Microsoft"),
            ("a@outlook.de", "Microsoft"),
            ("a@yahoo.fr", "Yahoo"),
            ("a@gmx.net", "GMX and Web.de"),
            ("a@example.org", "other domains"),
            ("a@notgmail.com", "other domains"),
            ("a@live", "other domains"),
            ("a@live.", "other domains"),
        ] {
            assert_eq!(of(address), group, "{address}");
        }
    }
}
