//! What Markdown becomes, and what is said about what it cannot become.

use crate::compile::Slot;
use crate::compile::press::Mail;
use crate::diagnostic::{Diagnostic, Source};
use crate::issue::block::{Block, Inline, Merge, Target, plain_text};
use crate::issue::given::{Given, Titles};
use crate::issue::merge;
use crate::issue::{Issue, Item};
use crate::segment::named::Segments;
use crate::subscriber::field::FieldTable;

mod any_text;
mod directives;
mod html;

const FRONT: &str = "---\ntitle: T\n---\n";

fn fields() -> FieldTable {
    let text = "[fields.first_name]\ntype = \"text\"\n";
    let file = "fields.toml";
    merge::fields(Source { file, text }).expect("fields")
}

/// Reads octets as a mail of this kind; without the places of its blocks.
fn octets(octets: &[u8], mail: Mail, found: &mut Vec<Diagnostic>) -> Option<Issue> {
    let given = Given {
        fields: &fields(),
        mail,
        publication: "The Paper Trail",
        url: "https://news.example",
        list: "weekly",
        chosen: None,
        titles: &Titles::default(),
        subject: None,
        language: "en",
        typography: crate::config::typography::Typography::Plain,
        segments: &Segments::default(),
        zone: "UTC",
    };
    let mut issue = Issue::read("a", "a.md", octets, given, found).whole()?;
    // Signposts for the preview would stand between all that is looked at here.
    let items = issue.items.iter_mut().map(|item| &mut item.blocks);
    let parts = items.chain([&mut issue.intro, &mut issue.outro]);
    parts.chain(&mut issue.notes).for_each(unplaced);
    Some(issue)
}

fn unplaced(blocks: &mut Vec<Block>) {
    blocks.retain(|block| !matches!(block, Block::Here(_)));
    for block in blocks {
        match block {
            Block::List { items, .. } => items.iter_mut().for_each(unplaced),
            Block::Quote(inner)
            | Block::Aligned { blocks: inner, .. }
            | Block::Only { blocks: inner, .. } => unplaced(inner),
            Block::Promo(promo) => unplaced(&mut promo.blocks),
            _ => {}
        }
    }
}

fn read(body: &str) -> (Option<Issue>, Vec<String>) {
    let mut found = Vec::new();
    let text = format!("{FRONT}{body}");
    let issue = octets(text.as_bytes(), Mail::Issue, &mut found);
    (issue, found.iter().map(ToString::to_string).collect())
}

fn issue(body: &str) -> Issue {
    let (issue, found) = read(body);
    issue.unwrap_or_else(|| panic!("{found:?}"))
}

fn text(text: &str) -> Inline {
    Inline::Text(text.into())
}

fn headlines(items: &[Item]) -> Vec<(Option<usize>, String)> {
    let headline = |item: &Item| (item.number, plain_text(&item.headline));
    items.iter().map(headline).collect()
}

#[test]
fn items_are_numbered_and_an_authors_own_number_is_not_printed_twice() {
    let (issue, found) =
        read("## 1. One\n\n## Two\n\n## Plain {.plain}\n\n## 4) Four\n\n## 3.5% more\n");
    let issue = issue.expect("an issue");
    assert_eq!(
        headlines(&issue.items),
        [
            (Some(1), "One".into()),
            (Some(2), "Two".into()),
            (None, "Plain".into()),
            (Some(4), "Four".into()),
            (Some(5), "3.5% more".into()),
        ]
    );
    assert_eq!(
        found,
        ["a.md:10:1: warning[number]: item 4 stands where 3 is expected"]
    );
}

#[test]
fn a_line_after_the_last_item_begins_the_outro_and_one_between_items_divides_them() {
    let issue =
        issue("intro\n\n## One\n\na\n\n***\n\n## Two\n\nb\n\n---\n\nbye\n\n***\n\nbye bye\n");
    assert_eq!(issue.intro, [Block::Paragraph(vec![text("intro")])]);
    assert_eq!(issue.items[0].blocks, [Block::Paragraph(vec![text("a")])]);
    assert_eq!(issue.items[1].blocks, [Block::Paragraph(vec![text("b")])]);
    assert_eq!(
        issue.outro,
        [
            Block::Paragraph(vec![text("bye")]),
            Block::Rule,
            Block::Paragraph(vec![text("bye bye")]),
        ]
    );
}

#[test]
fn lists_nest_and_stay_tight() {
    let issue = issue("- a\n  - b\n  - **c**\n- d\n\n3. x\n\n4. y\n");
    let [
        Block::List {
            start: None,
            tight: true,
            items,
        },
        Block::List {
            start: Some(3),
            tight: false,
            ..
        },
    ] = issue.intro.as_slice()
    else {
        panic!("{:?}", issue.intro);
    };
    let [
        Block::Paragraph(first),
        Block::List {
            tight: true,
            items: inner,
            ..
        },
    ] = items[0].as_slice()
    else {
        panic!("{items:?}");
    };
    assert_eq!(*first, [text("a")]);
    assert_eq!(
        inner[1],
        [Block::Paragraph(vec![Inline::Strong(vec![text("c")])])]
    );
}

#[test]
fn slots_are_found_in_words_tables_and_links_but_not_in_code() {
    let issue = issue(
        "Hi *[[first_name|there]]*, `[[first_name]]` \\[[first_name]] [[1]](https://a.example)\n\n\
         ```\n[[oops]]\n```\n\n| a |\n|---|\n| [[first_name|x]] |\n\n\
         [b [[name|c]]](https://b.example/?n=[[name|d]])\n",
    );
    let merge = |name: &str, default: &str| {
        Inline::Merge(Merge::Field {
            name: name.into(),
            default: default.into(),
            notation: None,
        })
    };
    let Block::Paragraph(words) = &issue.intro[0] else {
        panic!("{:?}", issue.intro)
    };
    assert_eq!(
        words[1],
        Inline::Emphasis(vec![merge("first_name", "there")])
    );
    assert_eq!(words[3], Inline::Code("[[first_name]]".into()));
    assert_eq!(words[4], text(" [[first_name]] "));
    assert_eq!(plain_text(&words[5..]), "[1]");
    assert_eq!(issue.intro[1], Block::Code("[[oops]]".into()));
    let Block::Table { rows, .. } = &issue.intro[2] else {
        panic!("{:?}", issue.intro)
    };
    assert_eq!(rows[0][0], [merge("first_name", "x")]);
    assert!(matches!(issue.links[1].target, Target::Personal(_)));
    assert_eq!(issue.links[1].name, "intro - b [[name]]");
}

#[test]
fn something_like_an_unknown_tag_is_shown_with_a_warning() {
    let (issue, found) = read("Say <CALL> loudly.\n\n<CALL>\nand **more**\n");
    let issue = issue.expect("an issue");
    assert_eq!(
        issue.intro,
        [
            Block::Paragraph(vec![text("Say <CALL> loudly.")]),
            Block::Paragraph(vec![
                text("<CALL> and "),
                Inline::Strong(vec![text("more")])
            ]),
        ]
    );
    assert_eq!(found.len(), 2);
    assert!(
        found[0].starts_with("a.md:4:5: warning[unknown-tag]"),
        "{found:?}"
    );
}

#[test]
fn links_are_named_after_their_place_and_equal_targets_stay_apart() {
    let issue = issue(
        ":::promo {url=https://a.example}\nx\n:::\n\n## One\n\n[Read more](https://a.example)\n\n\
         ## Two\n\n[Read more](https://a.example) <mail@a.example>\n\n***\n\n[Bye](unsubscribe_url)\n",
    );
    let names: Vec<&str> = issue.links.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "promo - offer",
            "1 - Read more",
            "2 - Read more",
            "2 - mail@a.example",
            "outro - Bye"
        ]
    );
    assert_eq!(
        issue.links[3].target,
        Target::Direct("mailto:mail@a.example".into())
    );
    assert_eq!(issue.links[4].target, Target::Page(Slot::Unsubscribe));
}

#[test]
fn a_directive_ends_what_stands_above_it_and_keeps_its_own_content() {
    let issue = issue(
        "- a\n:::promo {code=[[first_name|X]] until=\"1 May\"}\n- b\n:::\n- c\n\n\
         :::button {url=preferences_url}\nGo **on**\n:::\n\n:::mjml\n<mj-spacer />\n[[name|x]]\n:::\n",
    );
    let [
        Block::List { .. },
        Block::Promo(promo),
        Block::List { .. },
        Block::Button { label, .. },
        Block::Mjml { source, .. },
    ] = issue.intro.as_slice()
    else {
        panic!("{:?}", issue.intro);
    };
    assert!(matches!(promo.blocks.as_slice(), [Block::List { .. }]));
    assert!(matches!(promo.code.as_slice(), [Inline::Merge(_)]));
    assert_eq!(plain_text(&promo.until), "1 May");
    assert_eq!(plain_text(label), "Go on");
    assert_eq!(source.len(), 3, "{source:?}");
}

#[test]
fn footnotes_are_numbered_by_mention() {
    let (issue, found) = read("a[^x] b[^y] c[^x]\n\n[^y]: why\n[^x]: ex\n[^z]: zed\n");
    let issue = issue.expect("an issue");
    let notes = issue.notes.iter().map(|note| match &note[0] {
        Block::Paragraph(words) => plain_text(words),
        other => panic!("{other:?}"),
    });
    assert_eq!(notes.collect::<Vec<_>>(), ["ex", "why"]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("warning[footnote]: footnote `z`"),
        "{found:?}"
    );
}

#[test]
fn an_image_stands_alone_with_its_text_and_may_be_a_link() {
    let issue = issue("![alt](a.png \"cap\")\n\n[![b](b.png)](https://a.example)\n");
    let pictures = issue.pictures();
    assert_eq!(
        (pictures[0].alt.as_str(), pictures[0].caption.as_str()),
        ("alt", "cap")
    );
    assert!(pictures[1].link.is_some());
    assert_eq!(issue.links[0].name, "intro - b");
}

#[test]
fn encodings_and_newlines_are_evened_out() {
    let unix = format!("{FRONT}## \u{201c}a\u{201d}\u{2011}b\n\nc\n");
    let mut found = Vec::new();
    let mut read = |text: &str| octets(text.as_bytes(), Mail::Issue, &mut found);
    let plain = read(&unix);
    assert!(plain.is_some());
    assert_eq!(
        read(&format!("\u{feff}{}", unix.replace('\n', "\r\n"))),
        plain
    );
    assert!(found.is_empty());
}

#[test]
fn every_error_is_told_at_its_place() {
    let deep = format!("{}x", "> ".repeat(40));
    for (body, expected) in [
        ("a [[nope]]", "a.md:4:3: error[unknown-field]"),
        (
            "[x](ftp://a.example)",
            "a.md:4:1: error[link]: `ftp://a.example` is no web address",
        ),
        ("[x](javascript:alert(1))", "error[link]"),
        (
            "[](https://a.example)",
            "error[link]: this link has no text",
        ),
        ("![](a.png)", "a.md:4:1: error[alt]: this image has no text"),
        (
            "a ![b](a.png)",
            "a.md:4:3: error[image]: an image among words",
        ),
        (
            "> ![b](a.png)",
            "error[image]: an image cannot stand in a list",
        ),
        (
            ":::promo\n![b](a.png)\n:::",
            "error[image]: an image cannot stand in a promo",
        ),
        (
            "![[[name|x]]](a.png)",
            "error[image]: slots cannot stand in an image",
        ),
        (
            "a <sub>b",
            "a.md:4:3: error[html-tag]: `<sub>` is never closed with `</sub>`",
        ),
        (
            "[a][b]",
            "a.md:4:1: error[link]: nothing says where `[b]` leads",
        ),
        (
            "a[^b]",
            "a.md:4:2: error[footnote]: there is no footnote `[^b]`",
        ),
        (
            "[[view_url]]\n\n[a](confirm_url)",
            "a.md:6:1: error[slot]: `confirm_url` exists",
        ),
        ("![b](a.png){widht=3}", "did you mean `width`?"),
        (
            "![b](a.png){width=wide}",
            "a.md:4:19: error[image]: `wide` is no `width` of an image",
        ),
        (
            "![b](a.png){width}",
            "error[image]: `{width}` cannot be read",
        ),
        ("# Title", "error[headline]: `#` is the issue's title"),
        ("##", "error[headline]: this item has no headline"),
        ("##### a", "error[headline]"),
        ("> ## a", "error[headline]: `##` begins an item"),
        ("a\n---", "a.md:4:1: error[headline]: the line of `---`"),
        (
            ":::button {url=https://a.example}\n:::",
            "error[directive]: a button holds one paragraph",
        ),
        (
            ":::button\na\n:::",
            "error[directive]: this button has no `url`",
        ),
        (deep.as_str(), "error[depth]: nested deeper than 12"),
        (
            "a\u{7}b",
            "a.md:4:2: error[encoding]: the control character U+0007",
        ),
        ("a\u{81}b", "error[encoding]"),
    ] {
        let (issue, found) = read(body);
        assert!(issue.is_none(), "{body}");
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{body}: {found:?}"
        );
    }
}

#[test]
fn octets_that_are_no_text_are_refused() {
    let mut found = Vec::new();
    let mut read = |text: &[u8]| octets(text, Mail::Issue, &mut found);
    assert!(read(b"---\ntitle: \xff\n---\n").is_none());
    assert!(read(&vec![b'a'; 600 * 1024]).is_none());
    assert!(
        found[0]
            .to_string()
            .starts_with("a.md:2:1: error[encoding]"),
        "{found:?}"
    );
    assert!(found[1].to_string().contains("error[size]"), "{found:?}");
}

#[test]
fn several_findings_come_from_one_run() {
    let (_, found) = read("[[a]]\n\n[x](y)\n\n![](z)\n");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn a_subject_holds_slots_and_defaults_to_the_title() {
    let mut found = Vec::new();
    let text = b"---\ntitle: T\nsubject: \"a [[first_name|b]]\"\n---\n";
    let issue = octets(text, Mail::Issue, &mut found).expect("an issue");
    assert_eq!(issue.subject.len(), 2);
    assert_eq!(self::issue("x").subject, [self::text("T")]);
    let bad = b"---\ntitle: T\nsubject: \"a [[nope]]\"\n---\n";
    assert!(octets(bad, Mail::Issue, &mut found).is_none());
    assert!(
        found[0]
            .to_string()
            .starts_with("a.md:3:13: error[unknown-field]"),
        "{found:?}"
    );
}

#[test]
fn footnote_style_links_lead_where_their_definition_says() {
    let read = issue(
        "[a][1], [b][], [1] and [2] in brackets\n\n[1]: https://a.example\n[B]: https://b.example\n",
    );
    let targets: Vec<&Target> = read.links.iter().map(|link| &link.target).collect();
    let web = |url: &str| Target::Web(url.into());
    assert_eq!(
        targets,
        [
            &web("https://a.example/"),
            &web("https://b.example/"),
            &web("https://a.example/")
        ]
    );
}

#[test]
fn the_last_day_of_an_offer_is_a_day_or_whatever_the_author_says() {
    let promo = |until: &str| {
        let read = issue(&format!(":::promo {{until={until}}}\nx\n:::\n"));
        match &read.intro[0] {
            Block::Promo(promo) => (
                plain_text(&promo.until),
                promo.ends.map(|day| day.to_string()),
            ),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        promo("2026-06-30"),
        ("30 June 2026".into(), Some("2026-06-30".into()))
    );
    assert_eq!(promo("\"next week\""), ("next week".into(), None));
}

#[test]
fn blocks_for_a_segment_hold_others_and_keep_their_place() {
    let read =
        issue(":::only tag:gold\n\n![a](a.png)\n\n:::button {url=view_url}\nb\n:::\n:::\n\nc\n");
    let [
        Block::Only {
            segment,
            blocks,
            offset,
        },
        Block::Paragraph(_),
    ] = read.intro.as_slice()
    else {
        panic!("{:?}", read.intro);
    };
    assert_eq!(segment.said, "tag:gold");
    assert!(matches!(
        blocks.as_slice(),
        [Block::Image(_), Block::Button { .. }]
    ));
    assert!(read.text[*offset..].starts_with("tag:gold"));
    assert_eq!(read.pictures().len(), 1);
}

#[test]
fn front_matter_and_body_are_told_in_one_run() {
    let mut found = Vec::new();
    let text = b"---\ntilte: a\n---\n[[nope]]\n";
    assert!(octets(text, Mail::Issue, &mut found).is_none());
    let codes: Vec<&str> = found.iter().map(|found| found.code).collect();
    assert_eq!(codes, ["front-matter", "front-matter", "unknown-field"]);
}

#[test]
fn the_share_link_of_the_front_matter_can_be_linked_to() {
    let mut found = Vec::new();
    let text = b"---\ntitle: T\nshare: https://s.example/?a=[[name|x]]\n---\n[a](share_url)\n";
    let read = octets(text, Mail::Issue, &mut found).expect("an issue");
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(read.links[0].target, read.links[1].target);
}
