//! Links: what they say, and where they lead.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use crate::issue::block::{Piece, Target};
use crate::lint::place::{Anchor, anchors};
use crate::lint::{Desk, hosts, lines_named, trackers, words};

/// What says nothing about where a link leads, in lower case.
const GENERIC: [&str; 27] = [
    "article",
    "check it out",
    "click",
    "click here",
    "click this",
    "continue reading",
    "details",
    "find out more",
    "full story",
    "go",
    "here",
    "info",
    "learn more",
    "link",
    "more",
    "more info",
    "page",
    "read",
    "read here",
    "read it",
    "read more",
    "see more",
    "source",
    "this",
    "this article",
    "this link",
    "this page",
];

/// Ends of hosts; other words with a dot (`main.rs`, `README.md`) are most likely none.
const COMMON_ENDS: [&str; 12] = [
    "com", "org", "net", "edu", "gov", "io", "co", "eu", "uk", "de", "fr", "example",
];
/// Query parameters that stand for one visit of one person.
pub(crate) const PERSONAL: [&str; 21] = [
    "_bhlid",
    "_hsenc",
    "_hsmi",
    "dclid",
    "fbclid",
    "gbraid",
    "gclid",
    "igsh",
    "igshid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "msclkid",
    "oly_anon_id",
    "oly_enc_id",
    "ttclid",
    "twclid",
    "vero_id",
    "wbraid",
    "yclid",
];

pub(super) fn check(desk: &mut Desk<'_>) {
    let anchors = anchors(desk.inputs.issue);
    generic(desk, &anchors);
    same_text(desk, &anchors);
    shown_addresses(desk, &anchors);
    words::broken_marks(desk);
    for link in &desk.inputs.issue.links {
        let url = match &link.target {
            Target::Web(url) => url.clone(),
            Target::Personal(pieces) => pieces.iter().map(literal).collect(),
            Target::Direct(_) | Target::Page(_) => continue,
        };
        if let Ok(parsed) = Url::parse(&url) {
            target(desk, link.offset, &parsed);
        }
    }
    brought(desk);
    unreachable(desk);
}

fn literal(piece: &Piece) -> &str {
    match piece {
        Piece::Literal(text) => text,
        Piece::Merge(_) => "x",
    }
}

/// The octets of a link as it is written, so that all of it is underlined.
fn span(desk: &Desk<'_>, offset: usize) -> (usize, usize) {
    let rest = desk.inputs.issue.text.get(offset..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    let end = match line.find("](") {
        Some(at) if line.starts_with('[') => line[at..].find(')').map(|end| at + end + 1),
        _ => line.find([' ', ')', '"']),
    };
    (offset, end.unwrap_or(line.len()).max(1))
}

fn generic(desk: &mut Desk<'_>, anchors: &[Anchor]) {
    let plain = |text: &str| {
        let text = text.trim_matches(|c: char| !c.is_alphanumeric());
        text.to_lowercase()
    };
    let issue = desk.inputs.issue;
    let mut offsets = Vec::new();
    let mut texts = BTreeSet::new();
    for anchor in anchors {
        if GENERIC.contains(&plain(&anchor.text).as_str()) {
            offsets.push(issue.links[anchor.link.0].offset);
            texts.insert(anchor.text.as_str());
        }
    }
    let Some(first) = offsets.first().copied() else {
        return;
    };
    let mut lines: Vec<usize> = offsets
        .iter()
        .map(|at| issue.source().place(*at).0)
        .collect();
    lines.sort_unstable();
    lines.dedup();
    let texts: Vec<String> = texts
        .iter()
        .take(3)
        .map(|text| format!("`{text}`"))
        .collect();
    let texts = texts.join(", ");
    let message = match offsets.len() {
        1 => format!("this link says {texts} and not where it leads"),
        many => {
            let lines = lines_named(&lines);
            format!("{many} links say {texts} and not where they lead: {lines}")
        }
    };
    let help = "link the words that name the target: who listens to a mail jumps from link to link";
    let at = span(desk, first);
    desk.say("generic-link", at, message, help);
}

fn same_text(desk: &mut Desk<'_>, anchors: &[Anchor]) {
    let issue = desk.inputs.issue;
    let mut by_text: BTreeMap<String, Vec<&Anchor>> = BTreeMap::new();
    for anchor in anchors {
        by_text
            .entry(anchor.text.to_lowercase())
            .or_default()
            .push(anchor);
    }
    for (text, group) in by_text {
        let first = &issue.links[group[0].link.0];
        let other = |anchor: &&Anchor| issue.links[anchor.link.0].target != first.target;
        if !group.iter().any(other) {
            continue;
        }
        let offsets = group.iter().map(|anchor| issue.links[anchor.link.0].offset);
        let mut lines: Vec<usize> = offsets.map(|at| issue.source().place(at).0).collect();
        lines.dedup();
        let message = format!(
            "`{text}` leads to different places on {}",
            lines_named(&lines)
        );
        let at = span(desk, first.offset);
        desk.say(
            "same-text-links",
            at,
            message,
            "name what is different about each",
        );
    }
}

fn shown_addresses(desk: &mut Desk<'_>, anchors: &[Anchor]) {
    let issue = desk.inputs.issue;
    for anchor in anchors {
        let link = &issue.links[anchor.link.0];
        let Target::Web(url) = &link.target else {
            continue;
        };
        let host = Url::parse(url).ok();
        let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
        let Some(shown) = shown_host(&anchor.text).filter(|shown| bare(shown) != bare(host)) else {
            continue;
        };
        let message = format!("this link shows `{shown}` and leads to `{host}`");
        let help =
            "link words, or the address that is shown: filters take the difference for fraud";
        let at = span(desk, link.offset);
        desk.say("shown-address", at, message, help);
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix("www.").unwrap_or(host)
}

/// The host of a text that is an address of the web and nothing else.
fn shown_host(text: &str) -> Option<String> {
    let text = text.trim();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None => ("", text),
    };
    let host = rest
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let (name, end) = host.rsplit_once('.')?;
    let named = |c: char| c.is_alphanumeric() || c == '.' || c == '-';
    let address = scheme.to_lowercase().starts_with("http")
        || host.starts_with("www.")
        || COMMON_ENDS.contains(&end);
    let fine = !name.is_empty() && name.chars().all(named) && end.chars().all(char::is_alphabetic);
    (address && fine).then_some(host)
}

fn target(desk: &mut Desk<'_>, offset: usize, url: &Url) {
    let at = span(desk, offset);
    let host = url.host_str().unwrap_or_default();
    let public = Url::parse(desk.inputs.public_url).ok();
    let ours = public
        .as_ref()
        .is_some_and(|public| public.host() == url.host());
    let at_home = public.as_ref().is_some_and(hosts::is_local);
    if hosts::is_local(url) && !at_home {
        let message = format!("`{host}` is a host that readers cannot reach");
        desk.say(
            "local-link",
            at,
            message,
            "give the public address of that page",
        );
        return;
    }
    if let Some((shown, why)) = hosts::lookalike(host) {
        let message = format!("the domain `{shown}` {why} (`{host}` in ASCII)");
        let help = "if the domain is right, say so with `lookalike-link = \"warning\"`; spam does this to \
                    look like someone else";
        desk.say("lookalike-link", at, message, help);
    }
    if let Some(what) = odd(url, &desk.inputs.issue.text) {
        let message = format!("`{url}` {what}");
        desk.say(
            "odd-link",
            at,
            message,
            "copy it once more from the page itself",
        );
        return;
    }
    if hosts::is_shortener(host) {
        let message = format!("`{host}` hides where the link leads");
        let help = "give the address behind it: filters distrust shorteners, and clicks are counted anyway";
        desk.say("shortened-link", at, message, help);
    } else if url.scheme() == "http" && !(ours && at_home) {
        let message = format!("`{url}` is not encrypted");
        desk.say(
            "http-link",
            at,
            message,
            "most hosts answer to `https://`, too; try it",
        );
    }
    personal(desk, at, url);
}

/// What stands for the author's own copy of a mail, or visit to a page.
fn personal(desk: &mut Desk<'_>, at: (usize, usize), url: &Url) {
    let host = url.host_str().unwrap_or_default();
    if trackers::counts(url) {
        let message = format!("`{host}` counts the clicks of one reader of another mail");
        let help = "open it and give the address that comes up: every click would be that reader's";
        return desk.say("personal-link", at, message, help);
    }
    if let Some(key) = trackers::secret(url) {
        let message = format!("`{key}` in this link lets whoever follows it in as you");
        let help = "take it and its value out";
        return desk.say("personal-link", at, message, help);
    }
    let personal = url
        .query_pairs()
        .find(|(key, _)| PERSONAL.contains(&&**key));
    if let Some((key, _)) = personal {
        let message = format!("`{key}` in this link marks your own visit to that page");
        desk.say(
            "personal-parameter",
            at,
            message,
            "take it and its value out",
        );
    }
}

/// What is odd about an address that is one; `written` is the text it stands in.
fn odd(url: &Url, written: &str) -> Option<String> {
    let host = url.host_str().unwrap_or_default();
    let text = url.as_str();
    let path = url.path();
    if ["http", "https", "ttps", "ttp"].contains(&host) {
        return Some("has `https://` twice".into());
    }
    if !host.contains(['.', ':']) {
        return Some(format!("names the host `{host}`, which has no dot"));
    }
    if host.starts_with("www.www.")
        || host
            .split('.')
            .any(|label| label == "ww" || label == "wwww")
    {
        return Some(format!("names the host `{host}`"));
    }
    // Who writes `%20` has a file with a blank in its name.
    let blank = path.contains("%20") && !written.contains(path);
    if blank || url.query().is_some_and(|query| query.contains("%20http")) {
        return Some("holds a blank".into());
    }
    if text.contains("%E2%80%A6") || text.ends_with("...") {
        return Some("was cut off: it ends in an ellipsis".into());
    }
    if text.to_lowercase().contains("your-link-here") || path.contains("insert-link") {
        return Some("stands for a link that is still to come".into());
    }
    if url.fragment() == Some("") {
        return Some("ends in a `#` that leads to no place".into());
    }
    if text.contains("](") || text.contains("%5D(") {
        return Some("holds the marks of another link".into());
    }
    let first = url.query().and_then(|query| query.split_once("?utm_"));
    // An address within the address may have one of its own.
    if first.is_some_and(|(before, _)| !before.contains("://") && !before.contains("%3A%2F%2F")) {
        return Some("has two question marks; the second should be `&`".into());
    }
    let open = text.matches('(').count();
    let stray = text.ends_with([',', ';', '\'']) || text.ends_with(')') && open == 0;
    // A title of a wiki may end in an abbreviation: `Apple_Inc.`
    let word = path.rsplit_once('_').map_or("", |(_, word)| word);
    let title = word.starts_with(|c: char| c.is_ascii_uppercase());
    let dot = text.ends_with('.') && !path.ends_with("/.") && !title;
    if stray || dot {
        return Some("ends in a mark that belongs to the sentence".into());
    }
    None
}

/// Links of the table that stand in no Markdown: a theme or components brought them.
fn brought(desk: &mut Desk<'_>) {
    let compiled = desk.inputs.compiled;
    let links = compiled.iter().flat_map(|compiled| &compiled.links);
    let theme = links.filter(|link| link.name.starts_with("theme - "));
    for link in theme {
        let Ok(url) = Url::parse(&link.url) else {
            continue;
        };
        let host = url.host_str().unwrap_or_default();
        if hosts::is_shortener(host) {
            let message = format!("`{host}` hides where a link of the theme leads");
            desk.say_about("shortened-link", message, "give the address behind it");
        }
    }
}

fn unreachable(desk: &mut Desk<'_>) {
    let issue = desk.inputs.issue;
    let silent = desk.inputs.facts.silent;
    if silent > 0 {
        let message = format!("of {silent} links no host answered");
        let help = "is this machine online? ask once more when it is";
        desk.say_about("unanswered-link", message, help);
    }
    for fact in &desk.inputs.facts.unreachable {
        let code = if fact.dead {
            "dead-link"
        } else {
            "unanswered-link"
        };
        let help = if fact.dead {
            "correct the address or take the link out"
        } else {
            "open it in a browser: some hosts turn programs away"
        };
        let message = format!("`{}` {}", fact.url, fact.why);
        let same = |target: &Target| matches!(target, Target::Web(url) if *url == fact.url);
        match issue.links.iter().find(|link| same(&link.target)) {
            Some(link) => {
                let at = span(desk, link.offset);
                desk.say(code, at, message, help);
            }
            None => desk.say_about(code, message, help),
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{odd, shown_host};

    #[test]
    fn a_text_that_is_an_address_is_told_from_words() {
        for (text, host) in [
            ("https://www.example.org/real", Some("www.example.org")),
            ("good.example", Some("good.example")),
            ("www.example.xyz/a?b", Some("www.example.xyz")),
            ("main.rs", None),
            ("Node.js and bees", None),
            ("the paper", None),
            ("e.g. this", None),
        ] {
            assert_eq!(shown_host(text).as_deref(), host, "{text}");
        }
    }

    #[test]
    fn mistyped_addresses_are_told_from_long_ones() {
        for (text, is_odd) in [
            ("https://https//example.org/a", true),
            ("https://example/", true),
            ("https://ww.example.org/", true),
            ("https://example.org/a b", true),
            ("https://example.org/a%20b.pdf", false),
            ("https://example.org/a\u{2026}", true),
            ("https://example.org/a.", true),
            ("https://example.org/a)", true),
            ("https://example.org/a?b=1?utm_source=x", true),
            ("https://example.org/a_(b)", false),
            ("https://en.wikipedia.org/wiki/Apple_Inc.", false),
            (
                "https://a.example/?u=https://b.example/?utm_source=x",
                false,
            ),
            ("https://example.org/a?q=b%20c", false),
            (
                "https://web.archive.org/web/2020/https://example.org/",
                false,
            ),
            ("https://[2001:db8::1]/", false),
            ("https://www.example.com/your-link-here", true),
            ("https://example.org/#", true),
            ("https://example.org/#place", false),
        ] {
            let url = Url::parse(text).expect("a URL");
            assert_eq!(odd(&url, text).is_some(), is_odd, "{text}");
        }
    }
}
