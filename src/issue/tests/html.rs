//! What HTML becomes, and what is said about HTML that is not let in.

use super::{issue, read};
use crate::issue::block::{Align, Block, Inline, Mark, plain_text};

#[test]
fn html_becomes_what_markdown_would_have_made_of_it() {
    for (html, markdown) in [
        ("<b>a</b> <i>b</i> <s>c</s>", "**a** *b* ~~c~~"),
        (
            "<p>a <strong>b</strong>\n c&nbsp;&amp;</p>",
            "a **b** c\u{a0}&",
        ),
        ("<h3>a</h3>", "### a"),
        ("<blockquote><p>a</p><p>b</p></blockquote>", "> a\n>\n> b"),
        (
            "<ul>\n<li>a</li>\n<li>b <ol><li>c</li></ol></li>\n</ul>",
            "- a\n- b\n  1. c",
        ),
        ("<div>\n\n**a**\n\n- b\n\n</div>", "**a**\n\n- b"),
        (
            "<a href=\"https://a.example/?a=1&amp;b=[[name|x]]\">c</a>",
            "[c](https://a.example/?a=1&b=[[name|x]])",
        ),
        ("<pre><code>a &lt; b\nc</code></pre>", "```\na < b\nc\n```"),
        (
            "<table><tr><th>a</th><th align=right>b</th></tr><tr><td>c</td><td>d</td></tr></table>",
            "| a | b |\n|---|--:|\n| c | d |",
        ),
        ("<hr>", "***"),
        ("<pre>[[nope]]</pre>", "    [[nope]]"),
        ("<!-- [[nope]] -->a <code>[[nope]]</code>", "a `[[nope]]`"),
        ("<code>a</code><br>b", "`a`\\\nb"),
        ("<script >\n".trim_end_matches("<script >\n"), ""),
        ("<!-- a\n\nnote -->\n\na <!-- b -->c", "a c"),
    ] {
        let blocks = |text: &str| issue(text).intro;
        assert_eq!(blocks(html), blocks(markdown), "{html}");
    }
}

#[test]
fn html_says_what_markdown_cannot() {
    let read = issue(
        "a <u>b</u> <abbr title=\"See\">c</abbr> <span style=\"color:red\">d</span> <q>e</q>\n\n\
         <div align=\"center\"><p>a</p>\n<img src=\"a.png\" alt=\"b\" width=\"80\"></div>\n\n\
         <figure><a href=\"https://a.example\"><img src=\"b.png\" alt=\"c\"></a>\
         <figcaption>d <em>e</em></figcaption></figure>\n",
    );
    let Block::Paragraph(words) = &read.intro[0] else {
        panic!("{:?}", read.intro);
    };
    let marks: Vec<&Mark> = words
        .iter()
        .filter_map(|word| match word {
            Inline::Marked { mark, .. } => Some(mark),
            _ => None,
        })
        .collect();
    assert_eq!(
        marks,
        [
            &Mark::Underline,
            &Mark::Abbreviation("See".into()),
            &Mark::Style("color:red".into())
        ]
    );
    assert!(plain_text(words).ends_with("d \u{201c}e\u{201d}"));
    assert!(matches!(
        &read.intro[1],
        Block::Aligned {
            align: Align::Center,
            ..
        }
    ));
    let [first, second] = read.pictures()[..] else {
        panic!("{:?}", read.intro);
    };
    assert_eq!((first.width, first.align), (Some(80), Some(Align::Center)));
    assert_eq!(second.caption, "d e");
    assert!(second.link.is_some());
}

#[test]
fn hostile_and_broken_html_is_told_and_nothing_of_it_is_let_in() {
    let mut told = String::new();
    for html in [
        "<script>alert(1)</script>",
        "a <script>alert(1)</script>",
        "<img src=\"a.png\" alt=\"b\" onerror=\"alert(1)\">",
        "<a href=\"javascript:alert(1)\">x</a>",
        "<a href=\"JaVa&#115;cript:alert(1)\">x</a>",
        "<a href=\"data:text/html,x\">x</a>",
        "<a href='https://a.example/\" onclick=\"x'>x</a>",
        "<span style=\"background-color:url(javascript:x)\">x</span>",
        "<div style=\"position:fixed;top:0\">x</div>",
        "<style>p{color:red}</style>",
        "<iframe src=\"https://a.example\"></iframe>",
        "<form action=\"https://a.example\"><input name=a></form>",
        "<div class=\"x\" id=y>z</div>",
        "<div>a\n\nb",
        "<p>a</b></p>",
        "<b>a <i>b</b> c</i>",
        "*a <b>b* c</b>",
        "</div>",
        "<div onclick=\"a>b",
        "<ul>a</ul>",
        "<ul><p>a</p></ul>",
        "<td>a</td>",
        "<table><tr><td><div>a</div></td></tr></table>",
        "<h2>a</h2>",
        "<b/>a",
        "<?php x ?>",
        "<!DOCTYPE html>",
        "<tabel></tabel>",
        "<svg><a href=\"https://a.example\">x</a></svg>",
        "<object data=\"x\">a</object>",
        "<details>\n\n:::promo\nx\n:::\n\n</details>",
        "<img src=\"[[name|x]].png\" alt=\"b\">",
        "<img src=\"a.png\">",
        "<a>x</a>",
    ] {
        let (issue, found) = read(html);
        let kept = issue.map(|issue| format!("{:?}", issue.intro));
        told.push_str(&format!(
            "{html}\n  {}\n",
            found.join("\n").replace('\n', "\n  ")
        ));
        if let Some(kept) = kept {
            told.push_str(&format!("  kept: {kept}\n"));
        }
    }
    insta::assert_snapshot!("hostile_html", told);
}

#[test]
fn a_directive_that_html_would_swallow_is_told_and_nothing_below_it_is_lost() {
    let (_, found) = read(":::promo\n<p>a</p>\n:::\n\n## b\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("a.md:6:1: error[directive]: this line is part of the HTML"));
    let (_, found) = read("<p>a</p>\n:::button {url=view_url}\nb\n:::\n");
    assert!(
        found[0].starts_with("a.md:5:1: error[directive]"),
        "{found:?}"
    );
    let apart = issue(":::promo\n<p>a</p>\n\n:::\n\n## b\n");
    assert_eq!(apart.items.len(), 1);
}

#[test]
fn an_image_has_a_size_and_a_side() {
    let read = issue(
        "![a](a.png \"b\"){width=300 align=center}\n\n[![c](c.png){height=20px}](https://a.example)\n\n\
         [![d](d.png)](https://a.example){width=40}\n\n![e][ref]{width=1}\n\n[ref]: e.png\n",
    );
    let sizes: Vec<_> = read
        .pictures()
        .iter()
        .map(|picture| {
            (
                picture.source.as_str(),
                picture.width,
                picture.height,
                picture.align,
            )
        })
        .collect();
    assert_eq!(
        sizes,
        [
            ("a.png", Some(300), None, Some(Align::Center)),
            ("c.png", None, Some(20), None),
            ("d.png", Some(40), None, None),
            ("e.png", Some(1), None, None),
        ]
    );
}
