//! Where links may lead: http and https, mail and telephone, and our own pages.
//!
//! Promises: a URL in the link table is ASCII, absolute, has a host and no credentials, so that it can
//! stand in a Location header as it is.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::address::EmailAddress;
use crate::diagnostic::{Diagnostic, Source, nearest};
use crate::issue::block::{Merge, Piece, Target};
use crate::issue::merge::{PAGES, Slots, misplaced, page};

/// Reads the address of a link; what is wrong with it is told at `offset`.
pub(crate) fn read(
    source: Source<'_>,
    pieces: Vec<Piece>,
    offset: usize,
    found: &mut Vec<Diagnostic>,
) -> Target {
    check(&pieces).unwrap_or_else(|problem| {
        let error = source.error(offset, "link", problem);
        found.push(error.help(match meant(&pieces) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "a link leads to `https://...`, `http://...`, `mailto:...`, `tel:...` or to one of \
                     our own pages, such as `unsubscribe_url`"
                .into(),
        }));
        Target::Direct(String::new())
    })
}

/// What was most likely meant by an address that is none: a page of ours, or one of the web.
fn meant(pieces: &[Piece]) -> Option<String> {
    let [Piece::Literal(text)] = pieces else {
        return None;
    };
    let text = text.trim();
    if let Some(page) = nearest(text, PAGES.iter().map(|(page, _)| *page)) {
        return Some(page.to_owned());
    }
    let (host, _) = text.split_once('/').unwrap_or((text, ""));
    let (name, end) = host.rsplit_once('.')?;
    let fine = |c: char| c.is_alphanumeric() || "-.".contains(c);
    let named = name.chars().all(fine) && name.starts_with(char::is_alphanumeric);
    // A file of the author's is no host.
    let file = [
        "md", "html", "htm", "pdf", "png", "jpg", "jpeg", "gif", "mjml",
    ]
    .contains(&end);
    let host = named && !file && end.len() > 1 && end.chars().all(char::is_alphabetic);
    host.then(|| format!("https://{text}"))
}

/// As [`read`], in an issue: its share link has a name, and not every mail has every page.
pub(crate) fn within(
    slots: &Slots<'_>,
    pieces: Vec<Piece>,
    offset: usize,
    found: &mut Vec<Diagnostic>,
) -> Target {
    let share = slots.share();
    let pieces = match (pieces.as_slice(), share) {
        ([Piece::Literal(name)], Some(share)) if name.trim() == "share_url" => {
            slots.pieces(share, offset, &mut Vec::new())
        }
        _ => pieces,
    };
    // What stands in it was told where it stands.
    let unknown = |piece: &Piece| match piece {
        Piece::Literal(text) => pieces.len() == 1 && text.is_empty(),
        Piece::Merge(Merge::Field { name, .. }) => !slots.knows(name),
        Piece::Merge(Merge::Page(_)) => false,
    };
    if pieces.iter().any(unknown) {
        return Target::Direct(String::new());
    }
    let target = read(slots.source, pieces, offset, found);
    if let Target::Page(slot) = &target
        && let Some(problem) = misplaced(slots.mail(), slot)
    {
        let error = slots.source.error(offset, "slot", problem);
        // Unless it was told where the slot itself stands.
        if !found
            .iter()
            .any(|told| told.line == error.line && told.message == error.message)
        {
            found.push(error);
        }
    }
    target
}

/// Normalises an http or https URL; the error is a sentence.
pub(crate) fn web(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{text}` is no web address"));
    }
    // Not those that join letters or keep them apart, which titles in Persian and emoji hold.
    if text.contains(['\u{200b}', '\u{2060}', '\u{feff}', '\u{ad}']) {
        return Err(format!(
            "`{}` holds a character that cannot be seen; type it once more",
            text.escape_default()
        ));
    }
    // RFC 1123, section 2.1. What is no name, an address in brackets, has no such parts.
    let whole = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    let host = url.domain().unwrap_or_default();
    if !host.is_empty() && !host.trim_end_matches('.').split('.').all(whole) {
        return Err(format!(
            "`{text}` names the host `{host}`, which no host is called"
        ));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(format!("`{text}` names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "`{text}` holds a user name; readers take that for fraud"
        ));
    }
    Ok(url.to_string())
}

fn check(pieces: &[Piece]) -> Result<Target, String> {
    match pieces {
        [] => Err("this link leads nowhere".into()),
        [Piece::Merge(Merge::Page(slot))] => Ok(Target::Page(slot.clone())),
        [Piece::Literal(text)] => literal(text.trim()),
        _ => personal(pieces),
    }
}

fn literal(text: &str) -> Result<Target, String> {
    if let Some(slot) = page(text) {
        return Ok(Target::Page(slot));
    }
    if text == "TODO" {
        return Err("this link still lacks its target: `TODO` stands in its place".into());
    }
    let scheme = text
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let calm = !text.contains(|c: char| c.is_control() || c.is_whitespace());
    match scheme.as_str() {
        "mailto" | "tel" if calm => direct(&scheme, text).map(|()| Target::Direct(text.to_owned())),
        _ if text.starts_with('#') => Err(format!(
            "`{text}` leads to a place in this page, which a mail is not"
        )),
        _ => web(text).map(Target::Web),
    }
}

/// Whether a link of another scheme than the web's names somebody; the error is a sentence.
fn direct(scheme: &str, text: &str) -> Result<(), String> {
    let rest = &text[scheme.len() + 1..];
    let (to, _) = rest.split_once('?').unwrap_or((rest, ""));
    if scheme == "tel" {
        let named = to.bytes().any(|octet| octet.is_ascii_digit());
        return named
            .then_some(())
            .ok_or_else(|| format!("`{text}` names no number"));
    }
    // RFC 6068, section 2: several are parted by commas, and each is percent-encoded. None at all, with a subject,
    // lets the reader choose.
    if to.is_empty() && rest.len() > 1 {
        return Ok(());
    }
    for one in to.split(',') {
        let one = percent_decode_str(one).decode_utf8_lossy();
        if let Err(error) = EmailAddress::parse(&one) {
            return Err(format!("`{text}` names no address of mail: {error}"));
        }
    }
    Ok(())
}

/// A URL with fields in its path, query or fragment.
fn personal(pieces: &[Piece]) -> Result<Target, String> {
    // Letters and digits that no normalisation changes; ours unless the address holds them already.
    let key = "pressrunfield";
    let mut text = String::new();
    let mut merges = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) if literal.contains(key) => {
                return Err(format!("`{key}` cannot stand in this link"));
            }
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Merge(Merge::Page(_)) => {
                return Err("one of our own pages cannot be part of another address".into());
            }
            Piece::Merge(merge) => {
                text.push_str(key);
                merges.push(merge.clone());
            }
        }
    }
    let before = text.split(key).next().unwrap_or_default();
    let host_done = before
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains(['/', '?', '#']));
    if before.starts_with("mailto:") {
        return Err("an address of mail takes no field".into());
    }
    if !host_done {
        return Err("a field may stand after the host of an address, not before".into());
    }
    let url = web(text.trim())?;
    let mut merges = merges.into_iter();
    let mut out = Vec::new();
    for (index, literal) in url.split(key).enumerate() {
        if index > 0 {
            out.extend(merges.next().map(Piece::Merge));
        }
        if !literal.is_empty() {
            out.push(Piece::Literal(literal.to_owned()));
        }
    }
    Ok(Target::Personal(out))
}

/// Whether the words of a link are an address as a whole, marks of their look apart.
pub(crate) fn is_address(words: &str) -> bool {
    let words = words.trim_matches(|c: char| c.is_whitespace() || "*_`<>".contains(c));
    let begins = words.get(..4);
    let is_www = begins.is_some_and(|begins| begins.eq_ignore_ascii_case("www."));
    (words.contains("://") || is_www) && !words.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::{check, is_address};
    use crate::compile::Slot;
    use crate::issue::block::{Merge, Piece, Target};

    fn of(text: &str) -> Result<Target, String> {
        check(&[Piece::Literal(text.into())])
    }

    #[test]
    fn web_addresses_become_ascii_and_our_pages_become_slots() {
        let web = |text: &str| Ok(Target::Web(text.into()));
        assert_eq!(of("https://example.org"), web("https://example.org/"));
        assert_eq!(
            of("https://b\u{fc}cher.example/\u{e4}?q=a b"),
            web("https://xn--bcher-kva.example/%C3%A4?q=a%20b")
        );
        assert_eq!(of("unsubscribe_url"), Ok(Target::Page(Slot::Unsubscribe)));
        assert_eq!(
            of("mailto:a@example.org"),
            Ok(Target::Direct("mailto:a@example.org".into()))
        );
        for text in [
            "mailto:a@example.org,b@example.org?subject=x",
            "mailto:a%2Bb@example.org",
            "mailto:?subject=x&body=y",
            "tel:+49-30-1234",
        ] {
            assert_eq!(of(text), Ok(Target::Direct(text.into())));
        }
        assert_eq!(of("https://[2001:db8::1]/"), web("https://[2001:db8::1]/"));
        assert!(of("https://fa.example.org/\u{645}\u{6cc}\u{200c}\u{634}").is_ok());
        assert_eq!(of("https://example.org./"), web("https://example.org./"));
    }

    #[test]
    fn nothing_else_is_a_link() {
        for text in [
            "",
            "example.org",
            "/path",
            "//evil.example",
            "#top",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "https://",
            "https://user:secret@example.org/",
            "mailto:a b",
            "mailto:",
            "mailto:not-an-address",
            "mailto:a@example.org,b",
            "tel:",
            "https://example..org/",
            "https://-example.org/",
            "https://example-.org/x",
            "https://example.org/a\u{200b}b",
            "https://exam\u{200b}ple.org/",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_field_may_stand_behind_the_host_only() {
        let merge = Merge::Field {
            name: "name".into(),
            default: "x".into(),
            notation: None,
        };
        let with = |before: &str, after: &str| {
            check(&[
                Piece::Literal(before.into()),
                Piece::Merge(merge.clone()),
                Piece::Literal(after.into()),
            ])
        };
        assert_eq!(
            with("https://a.example/\u{e4}?n=", "&b=1"),
            Ok(Target::Personal(vec![
                Piece::Literal("https://a.example/%C3%A4?n=".into()),
                Piece::Merge(merge.clone()),
                Piece::Literal("&b=1".into()),
            ]))
        );
        assert!(with("https://", ".example/").is_err());
        assert!(with("https://a.example", "/").is_err());
        assert!(with("javascript://a/?", "").is_err());
        assert!(check(&[Piece::Merge(merge.clone())]).is_err());
    }

    #[test]
    fn words_around_an_address_are_no_address() {
        for (words, expected) in [
            ("https://example.com/guide", true),
            ("www.example.com", true),
            ("www. is how it begins", false),
            ("*https://example.com/*", true),
            ("the guide to https:// URLs", false),
            ("example.com", false),
        ] {
            assert_eq!(is_address(words), expected, "{words}");
        }
    }
}
