//! Lines that Markdown does not know: where a directive may stand, and what a headline may end in.

use super::{headlines, issue, octets, read, text};
use crate::compile::press::Mail;
use crate::issue::block::{Block, Inline};

#[test]
fn a_directive_set_into_a_list_or_a_quote_is_told_and_code_is_not() {
    for (body, places) in [
        (
            "> :::button {url=\"https://x.example\" foo=1}\n> b\n> :::",
            vec!["4:3", "6:3"],
        ),
        ("- a\n    :::promo {code=X}", vec!["5:5"]),
        ("- :::promo {code=X}\n  b", vec!["4:3"]),
        ("1. a\n\n    :::button {url=x}", vec!["6:5"]),
        (
            "```\n> :::button\n```\n\n    :::promo\n\n> `:::` and **:::**\n\n- \\:::a",
            vec![],
        ),
        ("> a\n:::button {url=https://x.example}\nb\n:::", vec![]),
    ] {
        let (_, found) = read(body);
        let told = found
            .iter()
            .map(|told| told.split_once(": error[directive]: "));
        let told: Vec<(&str, &str)> = told.collect::<Option<_>>().expect("errors of directives");
        assert_eq!(told.len(), places.len(), "{body}: {found:?}");
        for ((at, what), place) in told.into_iter().zip(places) {
            assert_eq!(at, format!("a.md:{place}"), "{body}");
            assert!(
                what.starts_with("a directive cannot stand in a list or quote"),
                "{what}"
            );
        }
    }
}

#[test]
fn a_headline_may_end_in_braces() {
    let issue = issue("## The sets {a, b}\n\nx\n\n## Plain {.plain}\n\n## `{c}` {d} ##\n");
    let items = headlines(&issue.items);
    let shown: Vec<&str> = items.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(shown, ["The sets {a, b}", "Plain", "{c} {d}"]);
}

#[test]
fn an_authors_own_number_is_taken_whatever_follows_it() {
    let issue = issue(
        "## 1. [One](https://a.example/)\n\n## 2. **Two**\n\n## 3) `three`\n\n## 4. [[first_name|You]], look\n",
    );
    let items = issue.items.iter();
    let first = items.map(|item| (item.number, &item.headline[0]));
    let first: Vec<_> = first.collect();
    assert!(
        matches!(first[0], (Some(1), Inline::Link { .. })),
        "{first:?}"
    );
    assert!(
        matches!(first[1], (Some(2), Inline::Strong(_))),
        "{first:?}"
    );
    assert!(matches!(first[2], (Some(3), Inline::Code(_))), "{first:?}");
    assert!(matches!(first[3], (Some(4), Inline::Merge(_))), "{first:?}");
}

#[test]
fn a_number_that_touches_its_headline_is_told() {
    let (_, found) = read("## 1.First\n\n## 2.x and others\n\n## 3.5 million\n\n## 4. Fourth\n");
    let told = "a.md:4:1: warning[number]: the number 1 is printed twice: it touches its headline\n    \
                help: leave a blank behind it, `1. ...`, or take it out";
    assert_eq!(found, [told]);
}

#[test]
fn a_class_that_a_headline_does_not_take_is_told() {
    for (text, told) in [
        (
            "## One {.plian}\n",
            "`{.plian}` says nothing here\n    help: did you mean `{.plain}`?",
        ),
        (
            "## One\n\n### Two {.plain}\n",
            "6:1: error[headline]: `{.plain}` says nothing here",
        ),
    ] {
        let (_, found) = read(text);
        assert!(
            found.iter().any(|found| found.contains(told)),
            "{text}: {found:?}"
        );
    }
    assert_eq!(read("## One {#one .plain}\n").1, Vec::<String>::new());
}

#[test]
fn a_comment_behind_words_of_the_front_matter_is_told() {
    for (front, told) in [
        (
            "title: The Crumb #42",
            "a.md:2:18: error[front-matter]: from `#` on this is a comment, and no part of `title`",
        ),
        ("title: #42", "a.md:2:8: error[front-matter]: from `#` on"),
        (
            "title: T\nsubject: Bees #12: more",
            "a.md:3:15: error[front-matter]",
        ),
    ] {
        let mut found = Vec::new();
        let text = format!("---\n{front}\n---\nx\n");
        octets(text.as_bytes(), Mail::Issue, &mut found);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(
            found.iter().any(|found| found.contains(told)),
            "{front}: {found:?}"
        );
    }
    let mut found = Vec::new();
    let fine = b"---\ntitle: \"The Crumb #42\" # ours\n# a comment\ndate: 2026-06-07 # a Sunday\nteaser: C#, a#b\n---\nx\n";
    assert!(octets(fine, Mail::Issue, &mut found).is_some(), "{found:?}");
    let quoted = b"---\n\"title\": T\n---\n\ntitle: a word #1\n";
    assert!(
        octets(quoted, Mail::Issue, &mut found).is_some(),
        "{found:?}"
    );
}

#[test]
fn a_mistyped_directive_is_told_once_and_ends_where_its_own_line_says() {
    for body in [
        ":::buton {url=\"https://x.example\"}\nb\n:::",
        ":::promo {code}\nb\n:::",
        "x\n\n:::buton\n:::promo {code=X}\na\n:::\nb\n:::",
    ] {
        let (_, found) = read(body);
        assert_eq!(found.len(), 1, "{body}: {found:?}");
    }
}

#[test]
fn an_offer_holds_something_and_ends_on_a_day_that_exists() {
    for (body, told) in [
        (
            ":::promo\n:::",
            "4:1: error[directive]: nothing stands in this promo",
        ),
        (
            ":::promo {until=\"2026-13-45\"}\na\n:::",
            "error[directive]: there is no day `2026-13-45`",
        ),
    ] {
        let (_, found) = read(body);
        assert_eq!(found.len(), 1, "{body}: {found:?}");
        assert!(found[0].contains(told), "{found:?}");
    }
    assert_eq!(
        read(":::promo {until=\"12-31-26 at noon\"}\na\n:::").1,
        Vec::<String>::new()
    );
}

#[test]
fn a_line_that_ends_between_letters_without_blanks_leaves_none() {
    let issue =
        issue("\u{4eca}\u{65e5}\u{306f}\n\u{5929}\u{6c17}\nand\n\u{3044}\u{3044}\u{3002}\n");
    let joined = "\u{4eca}\u{65e5}\u{306f}\u{5929}\u{6c17} and \u{3044}\u{3044}\u{3002}";
    assert_eq!(issue.intro, [Block::Paragraph(vec![text(joined)])]);
}

#[test]
fn a_field_in_the_label_of_an_offer_is_told() {
    let (_, found) =
        read(":::promo {url=\"https://a.example/\" label=\"For [[first_name|you]]\"}\na\n:::");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("error[slot]: a label is the same for every reader"),
        "{found:?}"
    );
}
