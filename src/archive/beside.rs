//! Links between the files of an export's folder, which lead by name from one file to another.
//!
//! Promises: a link to the file of another issue leads to its page; one that leads to no page here is told, and its words
//! stand without it. Images, addresses of the web and paths of a site are left alone. Pure.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

/// How the names of texts end, as a link leaves it out.
const TEXTS: [&str; 4] = ["md", "markdown", "html", "htm"];
/// How the names of files end to which a text beside them may lead.
const FILES: [&str; 7] = ["md", "markdown", "html", "htm", "txt", "pdf", "docx"];
/// What an importer takes for a link without a target, and drops.
const NOWHERE: &str = "TODO";

/// The issues of a folder by the names of their files: our page of each, if it has one.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside(pub(super) HashMap<String, Option<String>>);

/// A text with other links.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Relinked {
    pub(super) text: String,
    /// How many lead to our pages now.
    pub(super) links: u64,
    /// Where the others led, as it stood there.
    pub(super) lost: Vec<String>,
}

/// Where a link of the text leads: from and to which octet that stands, and how it is written.
struct Led {
    start: usize,
    end: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `[words](there)`
    Inline,
    /// `[name]: there`
    Definition,
    /// `href="there"`
    Html,
}

impl Beside {
    /// The text of the file `name` with its links to the others.
    pub(super) fn relinked(&self, name: &str, text: &str) -> Relinked {
        let mut made = Relinked::default();
        let (mut at, mut from) = (0, 0);
        while let Some(led) = next(text, at) {
            at = led.end;
            let inside = &text[led.start..led.end];
            let there = destination(inside);
            let page = match self.found(name, there) {
                Some(page) => page,
                None if is_file(there) => None,
                None => continue,
            };
            made.text.push_str(&text[from..led.start]);
            match (page, led.kind) {
                (Some(page), _) => {
                    made.text.push_str(&inside.replacen(there, page, 1));
                    made.links += 1;
                }
                (None, kind) => {
                    made.lost.push(there.to_owned());
                    made.text.push_str(match kind {
                        Kind::Inline => NOWHERE,
                        Kind::Definition | Kind::Html => inside,
                    });
                }
            }
            from = led.end;
        }
        made.text.push_str(&text[from..]);
        made
    }

    /// Our page of the issue to which `there` leads from the file `name`, if it has one; none where it is no issue.
    fn found(&self, name: &str, there: &str) -> Option<Option<&str>> {
        let path = there.split(['?', '#']).next()?;
        if path.is_empty() || path.starts_with('/') || has_scheme(path) {
            return None;
        }
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let mut parts: Vec<&str> = name.split('/').collect();
        parts.pop();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop()?;
                }
                part => parts.push(part),
            }
        }
        let whole = parts.join("/");
        let bare = TEXTS.iter().map(|end| format!("{whole}.{end}"));
        let found = std::iter::once(whole.clone()).chain(bare);
        let mut found = found.filter_map(|file| self.0.get(&file));
        found.next().map(Option::as_deref)
    }
}

/// Whether it is meant to lead to a file beside this one, and to no host that lacks its `https://`.
fn is_file(there: &str) -> bool {
    let path = there.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() || path.starts_with('/') || has_scheme(path) {
        return false;
    }
    if path.starts_with("./") || path.starts_with("../") {
        // With a slash at its end it is a page of the site that it stood in.
        return !path.ends_with('/');
    }
    let (_, end) = path.rsplit_once('.').unwrap_or_default();
    let host = path
        .split_once('/')
        .is_some_and(|(first, _)| first.contains('.'));
    !host && FILES.iter().any(|known| end.eq_ignore_ascii_case(known))
}

fn has_scheme(path: &str) -> bool {
    path.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !scheme.contains('/')
    })
}

/// What leads there, without the title behind it and the angle brackets around it.
fn destination(inside: &str) -> &str {
    let inside = inside.trim();
    match inside
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
    {
        Some((there, _)) => there,
        None => inside.split_whitespace().next().unwrap_or_default(),
    }
}

/// The next link from `at` on.
fn next(text: &str, mut at: usize) -> Option<Led> {
    let octets = text.as_bytes();
    while at < octets.len() {
        let rest = &octets[at..];
        let line = &octets[..at];
        let led = if rest.starts_with(b"](") {
            inline(text, at)
        } else if rest.starts_with(b"]:") && begins_line(line) {
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            let (start, end, kind) = (at + 2, at + end, Kind::Definition);
            Some(Led { start, end, kind })
        } else if rest.len() > 5 && rest[..5].eq_ignore_ascii_case(b"href=") {
            quoted(octets, at + 5)
        } else {
            None
        };
        match led {
            Some(led) if text.is_char_boundary(led.start) => return Some(led),
            _ => at += 1,
        }
    }
    None
}

/// `](there)` at `at`, unless an image stands in front of it.
fn inline(text: &str, at: usize) -> Option<Led> {
    let start = at + 2;
    let end = start + text[start..].find([')', '\n'])?;
    let mut depth = 0_usize;
    let open = text[..at].bytes().rposition(|b| match b {
        b']' => {
            depth += 1;
            false
        }
        b'[' if depth > 0 => {
            depth -= 1;
            false
        }
        b => b == b'[',
    });
    let image = open?
        .checked_sub(1)
        .is_some_and(|before| text.as_bytes()[before] == b'!');
    let kind = Kind::Inline;
    (text.as_bytes()[end] == b')' && !image).then_some(Led { start, end, kind })
}

/// Whether a name in brackets, and nothing else, stands on the line so far.
fn begins_line(before: &[u8]) -> bool {
    let start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |place| place + 1);
    let line = before[start..].trim_ascii_start();
    line.len() > 1 && line[0] == b'[' && !line.contains(&b']')
}

fn quoted(octets: &[u8], at: usize) -> Option<Led> {
    let quote = *octets.get(at).filter(|b| matches!(b, b'"' | b'\''))?;
    let start = at + 1;
    let end = start + octets[start..].iter().position(|b| *b == quote)?;
    let kind = Kind::Html;
    Some(Led { start, end, kind })
}

#[cfg(test)]
mod tests {
    use super::Beside;

    fn beside() -> Beside {
        let page = |name: &str| Some(format!("https://n.example/archive/{name}"));
        let all = [
            ("first.md", page("first")),
            ("2023/second part.md", page("second")),
            ("2023/third.html", page("third")),
            ("2023/paid.md", None),
        ];
        Beside(all.map(|(name, page)| (name.to_owned(), page)).into())
    }

    #[test]
    fn a_link_to_another_file_leads_to_its_page_from_wherever_it_stands() {
        for (name, text, expected) in [
            ("zero.md", "[x](first.md) y", "[x]({first}) y"),
            ("zero.md", "[x](./first.md#a \"T\")!", "[x]({first} \"T\")!"),
            ("zero.md", "[x](2023/second%20part.md)", "[x]({second})"),
            ("zero.md", "[x](<2023/second part.md>)", "[x](<{second}>)"),
            (
                "2023/third.html",
                "<a href=\"../first.md\">x</a>",
                "<a href=\"{first}\">x</a>",
            ),
            ("2023/paid.md", "[x](third)", "[x]({third})"),
            ("2023/paid.md", "a\n[x]: ../first\nb", "a\n[x]: {first}\nb"),
            (
                "zero.md",
                "[![y](2023/third.png)](first.md)",
                "[![y](2023/third.png)]({first})",
            ),
        ] {
            let page = |name: &str| format!("https://n.example/archive/{name}");
            let whole = ["first", "second", "third"]
                .iter()
                .fold(expected.to_owned(), |text, name| {
                    text.replace(&format!("{{{name}}}"), &page(name))
                });
            let made = beside().relinked(name, text);
            assert_eq!(
                (made.text, made.links, made.lost.len()),
                (whole, 1, 0),
                "{text}"
            );
        }
    }

    #[test]
    fn what_leads_to_no_page_is_told_and_what_is_no_file_is_left_alone() {
        let lost = |text: &str| {
            let made = beside().relinked("zero.md", text);
            (made.text, made.lost)
        };
        for there in [
            "gone.md",
            "../first.md",
            "2023/paid.md",
            "paper.pdf",
            "./x",
            "2023/paid",
        ] {
            let (text, told) = lost(&format!("[x]({there}) y"));
            assert_eq!(text, "[x](TODO) y", "{there}");
            assert_eq!(told, [there], "{there}");
        }
        let html = "<a href='gone.html'>x</a>";
        assert_eq!(lost(html), (html.to_owned(), vec!["gone.html".to_owned()]));
        for text in [
            "[x](https://a.example/first.md)",
            "[x](/first.md)",
            "[x](#first.md)",
            "[x](mailto:a@first.md)",
            "[x](a.example/first.md)",
            "[x](url)",
            "![x](first.md)",
            "![x](pic.png)",
            "see first.md (first.md) [first.md]",
            "a]: first.md",
            "[é](\u{fc}",
        ] {
            assert_eq!(lost(text), (text.to_owned(), Vec::new()), "{text}");
        }
    }
}
