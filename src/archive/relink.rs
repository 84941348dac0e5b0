//! Links between back issues: from their old addresses to our pages.
//!
//! Promises: only whole addresses of the old site change, whatever the text around them is written in; what leads
//! elsewhere, or to an issue that has no page here, stays as it was. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::publication::attic::GHOST;

/// Octets that end an address, in HTML, Markdown and plain words.
const ENDS: &[u8] = b" \t\r\n\"'<>()[]{}`|\\^";
/// What stands behind an address and belongs to the sentence.
const STOPS: &[char] = &['.', ',', ';', ':', '!', '?'];

/// Where issues stood, and where they stand now.
#[derive(Clone, Debug, Default)]
pub(super) struct Moves {
    /// Our page by its path there.
    pub(super) pages: HashMap<String, String>,
    /// Hosts of the old site, without `www.`.
    pub(super) hosts: BTreeSet<String>,
}

/// An address in a text: where it stands, and what it says.
struct Found<'a> {
    start: usize,
    end: usize,
    host: String,
    path: &'a str,
}

impl Moves {
    /// The text with the links that lead to one of our pages now, and how many those are.
    pub(super) fn relinked(&self, text: &str) -> (String, u64) {
        let (mut out, mut from, mut count) = (String::with_capacity(text.len()), 0, 0);
        let mut at = 0;
        while let Some(found) = next(text, at) {
            at = found.end;
            let ours = found.host.is_empty() || self.hosts.contains(&found.host);
            if let Some(page) = self.pages.get(found.path).filter(|_| ours) {
                out.push_str(&text[from..found.start]);
                out.push_str(page);
                (from, count) = (found.end, count + 1);
            }
        }
        out.push_str(&text[from..]);
        (out, count)
    }
}

/// The host to which most links to these paths lead: that of the old site, unless more of the links to it lead to issues
/// that nobody knows here, or another host is named as often.
pub(super) fn likely<'a>(
    texts: impl Iterator<Item = &'a str>,
    paths: &BTreeSet<&str>,
) -> Option<String> {
    let mut seen: BTreeMap<String, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for text in texts {
        let mut at = 0;
        while let Some(found) = next(text, at) {
            at = found.end;
            if found.host.is_empty() {
                continue;
            }
            let (known, unknown) = seen.entry(found.host).or_default();
            if paths.contains(found.path) {
                known.insert(found.path);
            } else if found
                .path
                .strip_prefix("/p/")
                .is_some_and(|slug| !slug.contains('/'))
            {
                unknown.insert(found.path);
            }
        }
    }
    let mut hosts: Vec<(usize, String)> = seen
        .into_iter()
        .filter(|(_, (known, unknown))| !known.is_empty() && known.len() >= unknown.len())
        .map(|(host, (known, _))| (known.len(), host))
        .collect();
    hosts.sort();
    let (most, host) = hosts.pop()?;
    let alone = hosts.last().is_none_or(|(next, _)| *next < most);
    alone.then_some(host)
}

/// The host of an address, without `www.`; none where it is none of the web.
pub(super) fn host_of(address: &str) -> Option<String> {
    let rest = after_scheme(address)?;
    let host = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
    let host = host.strip_prefix("www.").unwrap_or(&host);
    (host.contains('.') && !host.contains('@')).then(|| host.to_owned())
}

/// The first address of the old site or of the web in `text` from `at` on.
fn next(text: &str, mut at: usize) -> Option<Found<'_>> {
    let octets = text.as_bytes();
    while at < octets.len() {
        let start = at;
        at += 1;
        if !text.is_char_boundary(start) {
            continue;
        }
        let before = start.checked_sub(1).map(|place| octets[place]);
        let rest = &text[start..];
        let begins = match octets[start] {
            b'h' | b'H' => {
                !before.is_some_and(|b| b.is_ascii_alphanumeric()) && after_scheme(rest).is_some()
            }
            b'_' => rest.starts_with(GHOST),
            // A path alone is an address only where one must stand.
            b'/' => matches!(before, Some(b'"' | b'\'' | b'(')) && !rest.starts_with("//"),
            _ => false,
        };
        if !begins {
            continue;
        }
        let length = rest
            .bytes()
            .position(|b| ENDS.contains(&b))
            .unwrap_or(rest.len());
        let whole = rest[..length].trim_end_matches(STOPS);
        let end = start + whole.len();
        let (host, path) = match (after_scheme(whole), whole.strip_prefix(GHOST)) {
            (Some(rest), _) => {
                let path = &rest[rest.find('/').unwrap_or(rest.len())..];
                match host_of(whole) {
                    Some(host) => (host, path),
                    None => continue,
                }
            }
            (None, Some(path)) => (String::new(), path),
            (None, None) => (String::new(), whole),
        };
        let (host, path) = opened(host, path);
        let path = path
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .trim_end_matches('/');
        return Some(Found {
            start,
            end: end.max(at),
            host,
            path,
        });
    }
    None
}

/// What `open.substack.com/pub/NAME/p/SLUG` means.
fn opened(host: String, path: &str) -> (String, &str) {
    let inner = path
        .strip_prefix("/pub/")
        .filter(|_| host == "open.substack.com");
    match inner.and_then(|rest| rest.split_at_checked(rest.find('/')?)) {
        Some((name, path)) => (format!("{name}.substack.com"), path),
        None => (host, path),
    }
}

fn after_scheme(text: &str) -> Option<&str> {
    ["https://", "http://"].iter().find_map(|scheme| {
        let start = text.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme)
            .then(|| &text[scheme.len()..])
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Moves, likely};

    fn moves() -> Moves {
        Moves {
            pages: [("/p/first", "https://n.example/archive/first")]
                .map(|(path, page)| (path.to_owned(), page.to_owned()))
                .into(),
            hosts: ["old.substack.com".to_owned()].into(),
        }
    }

    #[test]
    fn whole_addresses_of_the_old_site_alone_lead_to_our_pages() {
        let new = "https://n.example/archive/first";
        for (text, expected) in [
            (
                "<a href=\"https://old.substack.com/p/first\">x</a>",
                Some("<a href=\"{}\">x</a>"),
            ),
            (
                "[x](http://www.Old.substack.com/p/first/?utm_source=a&b#c) y",
                Some("[x]({}) y"),
            ),
            ("see https://old.substack.com/p/first.", Some("see {}.")),
            ("<a href='/p/first'>", Some("<a href='{}'>")),
            (
                "<a href=\"__GHOST_URL__/p/first/\">",
                Some("<a href=\"{}\">"),
            ),
            (
                "(https://open.substack.com/pub/old/p/first?r=1)",
                Some("({})"),
            ),
            (
                "[a]: https://old.substack.com/p/first\nnext",
                Some("[a]: {}\nnext"),
            ),
            // Longer ones, other hosts, and words.
            ("https://old.substack.com/p/first-one", None),
            ("https://old.substack.com/p/first/comments", None),
            ("https://other.substack.com/p/first", None),
            ("https://old.substack.com.evil.example/p/first", None),
            ("https://x@old.substack.com/p/first", None),
            (
                "https://evil.example/?u=https://old.substack.com/p/first",
                None,
            ),
            ("and/or /p/first", None),
            ("//old.substack.com/p/first", None),
            ("__GHOST_URL__", None),
            ("http://", None),
            ("é\"/ü", None),
        ] {
            let (out, count) = moves().relinked(text);
            let whole = expected.map_or(text.to_owned(), |words| words.replace("{}", new));
            assert_eq!(
                (out, count),
                (whole, u64::from(expected.is_some())),
                "{text}"
            );
        }
    }

    #[test]
    fn the_old_host_is_the_one_that_the_links_between_issues_name() {
        let paths: BTreeSet<&str> = ["/p/first", "/p/welcome"].into();
        let own = "https://old.substack.com/p/first https://old.substack.com/p/welcome";
        let other = "https://other.substack.com/p/welcome https://other.substack.com/p/theirs \
                     https://other.substack.com/p/more";
        let find = |texts: &[&str]| likely(texts.iter().copied(), &paths);
        assert_eq!(find(&[own, other]).as_deref(), Some("old.substack.com"));
        assert_eq!(find(&[other]), None);
        assert_eq!(
            find(&["https://a.example/p/first https://b.example/p/first"]),
            None
        );
        assert_eq!(find(&["no link"]), None);
    }
}
