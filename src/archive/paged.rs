//! What stands on the page of a site and cannot stand in an issue: images among words, links to places in the page, and
//! links that go from where the page stood.
//!
//! Promises: the words stay as they are; an image is lifted out of its paragraph, and is its words where it cannot be; a
//! link that leads somewhere leads there from now on by its whole address. Pure.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use url::Url;

/// Where a page stood: the base of its links.
pub(super) fn base(host: Option<&str>, path: Option<&str>) -> Option<Url> {
    let path = path.unwrap_or_default();
    // A path without a name of a file at its end is a folder's.
    let file = path
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains('.'));
    let end = if file { "" } else { "/" };
    Url::parse(&format!("https://{}{path}{end}", host?)).ok()
}

/// The Markdown of a page as an issue takes it.
pub(super) fn as_issue(text: &str, base: Option<&Url>) -> String {
    lifted(&relinked(text, base))
}

fn events(text: &str) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    Parser::new_ext(text, options).into_offset_iter()
}

/// The text with whole addresses in its links; a link that leads nowhere from here is its words.
fn relinked(text: &str, base: Option<&Url>) -> String {
    let mut edits = Vec::new();
    for (event, range) in events(text) {
        let Event::Start(Tag::Link { dest_url, .. }) = event else {
            continue;
        };
        // A slot is no address, and neither is what lacks its target altogether.
        let is_slot = dest_url.contains("[[") || dest_url.is_empty();
        if is_slot || Url::parse(&dest_url) != Err(url::ParseError::RelativeUrlWithoutBase) {
            continue;
        }
        let whole = &text[range.clone()];
        let Some(words) = words(whole) else {
            continue;
        };
        let place = base.filter(|_| !dest_url.starts_with('#'));
        let address = place.and_then(|base| base.join(&dest_url).ok());
        edits.push((range.start..range.start + words.start, String::new()));
        let behind = range.start + words.end..range.end;
        match address {
            Some(address) => {
                edits[..].last_mut().expect("one was put there").1 = "[".to_owned();
                edits.push((behind, format!("]({address})")));
            }
            None => edits.push((behind, String::new())),
        }
    }
    applied(text, edits)
}

/// Where the words of a link stand in it.
fn words(link: &str) -> Option<Range<usize>> {
    let inside = link.strip_prefix('[')?;
    let end = [inside.rfind("]("), inside.rfind("]["), inside.rfind(']')];
    let end = end.into_iter().flatten().next()?;
    Some(1..end + 1)
}

/// The text with each image in a block of its own.
fn lifted(text: &str) -> String {
    let mut edits = Vec::new();
    let mut depth = 0_usize;
    // The outermost paragraph, and the link and the image in it.
    let (mut paragraph, mut link): (Option<Range<usize>>, Option<Range<usize>>) = (None, None);
    let mut image: Option<(Range<usize>, String)> = None;
    let mut above: Vec<String> = Vec::new();
    for (event, range) in events(text) {
        match event {
            Event::Start(Tag::Paragraph) if depth == 0 => {
                paragraph = Some(range);
                depth += 1;
            }
            Event::Start(Tag::Link { .. }) => link = Some(range),
            Event::End(TagEnd::Link) => link = None,
            Event::Start(Tag::Image { .. }) => image = Some((range, String::new())),
            Event::End(TagEnd::Image) => {
                let Some((range, alt)) = image.take() else {
                    continue;
                };
                let Some(whole) = &paragraph else {
                    edits.push((range, alt));
                    continue;
                };
                // With the link around it, if that holds nothing else.
                let linked = link.clone().filter(|link| {
                    words(&text[link.clone()]).is_some_and(|words| {
                        text[link.start + words.start..link.start + words.end].trim()
                            == &text[range.clone()]
                    })
                });
                let block = linked.unwrap_or(range);
                if text[whole.clone()].trim() == &text[block.clone()] {
                    continue;
                }
                if link.as_ref().is_some_and(|link| *link != block) {
                    edits.push((block, alt));
                    continue;
                }
                above.push(text[block.clone()].to_owned());
                edits.push((block, String::new()));
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some((_, alt)) = &mut image {
                    alt.push_str(&words);
                }
            }
            Event::End(TagEnd::Paragraph) if depth == 1 && paragraph.is_some() => {
                let end = paragraph
                    .take()
                    .map_or(range.end, |paragraph| paragraph.end);
                if !above.is_empty() {
                    let gap = if text[..end].ends_with('\n') {
                        "\n"
                    } else {
                        "\n\n"
                    };
                    edits.push((end..end, format!("{gap}{}\n\n", above.join("\n\n"))));
                    above.clear();
                }
                depth = 0;
            }
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    applied(text, edits)
}

/// The text with these places replaced; of two that overlap, the first.
pub(super) fn applied(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (range, with) in edits {
        if range.start < at {
            continue;
        }
        out.push_str(&text[at..range.start]);
        out.push_str(&with);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::{as_issue, base};

    #[test]
    fn a_page_of_a_site_becomes_an_issue_word_by_word() {
        let stood = base(Some("old.example"), Some("/2020/03/new-one.html"));
        for (text, expected) in [
            (
                "See [the *last* one](/2020/03/old.html).",
                "See [the *last* one](https://old.example/2020/03/old.html).",
            ),
            (
                "[a](other.html \"t\") [b](../02/x/)",
                "[a](https://old.example/2020/03/other.html) [b](https://old.example/2020/02/x/)",
            ),
            (
                "[up](#top) and [r][r]\n\n[r]: #below\n",
                "up and r\n\n[r]: #below\n",
            ),
            (
                "[w](https://x.example/) [m](mailto:a@x.example) `[c](d)`",
                "[w](https://x.example/) [m](mailto:a@x.example) `[c](d)`",
            ),
            (
                "Words ![A cat](pic.png) behind.\n\nNext.\n",
                "Words  behind.\n\n![A cat](pic.png)\n\n\nNext.\n",
            ),
            ("![A cat](pic.png)\n", "![A cat](pic.png)\n"),
            (
                "[![A cat](pic.png)](https://x.example/)\n",
                "[![A cat](pic.png)](https://x.example/)\n",
            ),
            (
                "So [![A cat](pic.png)](x.html) sat.\n",
                "So  sat.\n\n[![A cat](pic.png)](https://old.example/2020/03/x.html)\n\n",
            ),
            ("- a ![dog](d.png)\n- b\n", "- a dog\n- b\n"),
            ("## A ![dog](d.png)\n", "## A dog\n"),
            (
                "![One](1.png) ![Two](2.png)\n",
                " \n\n![One](1.png)\n\n![Two](2.png)\n\n",
            ),
        ] {
            assert_eq!(as_issue(text, stood.as_ref()), expected, "{text}");
        }
        assert_eq!(
            as_issue("[a](b.html) ![c](d.png)", None),
            "a \n\n![c](d.png)\n\n"
        );
    }

    #[test]
    fn a_folders_page_is_the_base_of_what_lies_in_it() {
        let base = |path| {
            base(Some("old.example"), path)
                .expect("an address")
                .to_string()
        };
        assert_eq!(base(Some("/p/one")), "https://old.example/p/one/");
        assert_eq!(base(Some("/p/one.html")), "https://old.example/p/one.html");
        assert_eq!(base(None), "https://old.example/");
    }
}
