//! Links as they stand in the author's own copy of a mail.
//!
//! Promises: no click counter of that mail and nothing that signs its reader in comes along. A counter that
//! holds its target becomes that; the target of any other is left to do.

use std::collections::BTreeSet;

use url::Url;

use crate::draft::Found;
use crate::draft::links::{TODO, next_address};
use crate::draft::piece::{Kind, Piece, escape};
use crate::lint::links::PERSONAL;
use crate::lint::trackers::{behind, counts, secret};

/// Tools that write their own name into the links of those who use them.
const TOOLS: [&str; 5] = ["beehiiv", "substack", "convertkit", "kit.com", "mailchimp"];

/// Takes what is personal out of all links.
pub(super) fn settle(found: &mut Found) {
    let mut told = Told::default();
    pieces(&mut found.pieces, &mut told);
    if told.lost > 0 {
        let hosts: Vec<String> = told.hosts.iter().map(|host| format!("`{host}`")).collect();
        found.notes.push(format!(
            "links that only a click counter knows the target of were left to do: {} ({})",
            told.lost,
            hosts.join(", ")
        ));
    }
    if told.cleaned > 0 {
        found.notes.push(format!(
            "marks of your own copy, or of the tool, were taken out of links: {}",
            told.cleaned
        ));
    }
}

#[derive(Default)]
struct Told {
    lost: usize,
    hosts: BTreeSet<String>,
    cleaned: usize,
}

fn pieces(within: &mut [Piece], told: &mut Told) {
    for piece in within {
        match &mut piece.kind {
            Kind::Item { text, .. }
            | Kind::Heading { text, .. }
            | Kind::Paragraph(text)
            | Kind::Note { text, .. }
            | Kind::Verbatim(text) => words(text, told),
            Kind::List(entries) => {
                for entry in entries {
                    words(&mut entry.text, told);
                }
            }
            Kind::Table(rows) => {
                for cell in rows.iter_mut().flatten() {
                    words(cell, told);
                }
            }
            Kind::Quote(inner) => pieces(inner, told),
            Kind::Image {
                href: Some(href), ..
            } => match mended(href, told) {
                Some(Mended::Lost(_)) => *href = TODO.to_owned(),
                Some(Mended::Target(url)) => *href = url,
                None => {}
            },
            _ => {}
        }
    }
}

/// Mends the links of a text in Markdown.
fn words(text: &mut String, told: &mut Told) {
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((start, end)) = next_address(rest) {
        let before = &rest[..start];
        let end = match before.ends_with("](") {
            true => start + closing(&rest[start..end]),
            false => end,
        };
        let (url, behind) = (&rest[start..end], &rest[end..]);
        rest = behind;
        match mended(url, told) {
            None => {
                out.push_str(before);
                out.push_str(url);
            }
            Some(Mended::Target(url)) => {
                // So that no bracket of it ends the link.
                let url = url.replace('(', "%28").replace(')', "%29");
                out.push_str(before);
                out.push_str(&url);
            }
            Some(Mended::Lost(host)) => {
                let open = before.strip_suffix('<');
                let closed = behind.strip_prefix('>').filter(|_| open.is_some());
                let open = open.filter(|_| closed.is_some()).unwrap_or(before);
                rest = closed.unwrap_or(behind);
                out.push_str(open);
                match open.ends_with("](") {
                    true => out.push_str(TODO),
                    false => out.push_str(&format!("[{}]({TODO})", escape(&host))),
                }
            }
        }
    }
    out.push_str(rest);
    *text = out;
}

/// Where the bracket stands that ends a link's target, or its end.
fn closing(target: &str) -> usize {
    let mut depth = 0_usize;
    let end = target.char_indices().find(|(_, c)| match c {
        '(' => {
            depth += 1;
            false
        }
        ')' if depth > 0 => {
            depth -= 1;
            false
        }
        c => *c == ')',
    });
    end.map_or(target.len(), |(at, _)| at)
}

enum Mended {
    Target(String),
    /// Nothing but this host knows the target.
    Lost(String),
}

/// What becomes of an address; nothing where it is as it should be.
fn mended(address: &str, told: &mut Told) -> Option<Mended> {
    let url = Url::parse(address).ok()?;
    if counts(&url) {
        let Some(target) = behind(&url) else {
            let host = url.host_str().unwrap_or_default().to_owned();
            told.lost += 1;
            told.hosts.insert(host.clone());
            return Some(Mended::Lost(host));
        };
        told.cleaned += 1;
        let target = cleaned(&target).unwrap_or(target);
        return Some(Mended::Target(target.into()));
    }
    let url = cleaned(&url)?;
    told.cleaned += 1;
    Some(Mended::Target(url.into()))
}

/// The address without what stands for its reader; nothing where it holds none of that.
fn cleaned(url: &Url) -> Option<Url> {
    let host = url.host_str().unwrap_or_default();
    let substack = host == "substack.com" || host.ends_with(".substack.com");
    let secret = secret(url);
    let tool = url.query_pairs().any(|(key, value)| {
        let source = key == "utm_source" && TOOLS.iter().any(|tool| value.contains(tool));
        source || key == "_bhlid"
    });
    let personal = |key: &str| {
        let own = [
            "r",
            "isFreemail",
            "triedRedirect",
            "publication_id",
            "post_id",
        ];
        PERSONAL.contains(&key)
            || secret.as_deref() == Some(key)
            || tool && key.starts_with("utm_")
            || substack && own.contains(&key)
    };
    let query = url.query()?;
    // Other parameters stay as they are written.
    let kept = query.split('&').filter(|pair| {
        let mut parsed = url::form_urlencoded::parse(pair.as_bytes());
        parsed.next().is_none_or(|(key, _)| !personal(&key))
    });
    let kept = kept.collect::<Vec<_>>().join("&");
    if kept == query {
        return None;
    }
    let mut url = url.clone();
    url.set_query(Some(kept.as_str()).filter(|kept| !kept.is_empty()));
    Some(url)
}
