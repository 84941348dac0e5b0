//! Whatever stands in an author's file, reading it ends, and says where.

use proptest::prelude::{any, prop_assert, proptest};
use proptest::strategy::Strategy;

use super::{FRONT, octets, read};
use crate::compile::press::Mail;

/// Pieces of which a hostile issue may be made.
fn scraps() -> impl Strategy<Value = String> {
    const SCRAPS: &[&str] = &[
        "---\n",
        "title: T\n",
        "dates: {from: ",
        "authors:\n  - ",
        "\n",
        "\n\n",
        "## ",
        "# ",
        "> ",
        "- ",
        "1. ",
        "    ",
        ":::promo {code=\"",
        ":::only x\n",
        ":::mjml\n",
        ":::button {url=",
        ":::\n",
        "\"}",
        "[[",
        "]]",
        "[[name|x]]",
        "[[nope]]",
        "[[issue.title]]",
        "[",
        "](",
        ")",
        "][",
        "]: ",
        "![",
        "{width=",
        "}",
        "<b>",
        "</b>",
        "<div>",
        "</div>",
        "<div ",
        "<table>",
        "<tr>",
        "<td>",
        "<li>",
        "<ul>",
        "<pre>",
        "<",
        ">",
        "<!--",
        "-->",
        "<script>",
        "<CALL>",
        "&#x81;",
        "&nbsp;",
        "`",
        "```\n",
        "*",
        "**",
        "_",
        "~~",
        "\\",
        "|",
        "|---|\n",
        "[^a]",
        "[^a]: ",
        "***\n",
        "---",
        "https://a.example/",
        "mailto:a@b.example",
        "\u{e9}",
        "\u{1f468}\u{200d}\u{1f469}",
        "word ",
        " ",
    ];
    proptest::collection::vec(0..SCRAPS.len(), 0..60)
        .prop_map(|picks| picks.into_iter().map(|pick| SCRAPS[pick]).collect())
}

fn every_place_is_inside(text: &[u8]) -> bool {
    let mut found = Vec::new();
    octets(text, Mail::Issue, &mut found);
    let shown = String::from_utf8_lossy(text)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let lines: Vec<&str> = shown.split('\n').collect();
    found.iter().all(|found| {
        let line = lines.get(found.line.wrapping_sub(1));
        let whole = found.line == 0 && found.column == 0;
        whole
            || line
                .is_some_and(|line| found.column >= 1 && found.column <= line.chars().count() + 2)
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic_or_point_outside_of_the_file(
        body in scraps(),
        with_front in any::<bool>(),
    ) {
        let text = if with_front { format!("{FRONT}{body}") } else { body };
        prop_assert!(every_place_is_inside(text.as_bytes()), "{text}");
    }

    #[test]
    fn no_octets_make_the_reader_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(every_place_is_inside(&octets));
        let text = [FRONT.as_bytes(), &octets].concat();
        prop_assert!(every_place_is_inside(&text));
    }
}

#[test]
fn what_is_nested_without_end_is_told_once() {
    for (open, close) in [
        ("<b>", ""),
        ("<div>", ""),
        ("<b>", "</b>"),
        ("**a ", " b**"),
        ("*a **b ", " c***"),
        ("> ", ""),
        ("<ul><li>", ""),
    ] {
        let body = format!("{}x{}", open.repeat(20_000), close.repeat(20_000));
        let (issue, found) = read(&body);
        let deep = found.iter().filter(|found| found.contains("error[depth]"));
        assert!(issue.is_none() || deep.count() == 0, "{open}");
        assert!(found.len() < 60_000);
    }
}
