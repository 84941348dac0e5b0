//! A click on a block shows where that very block was written, however deep it stands.

use super::Shown;
use crate::harness::block_on;

const TEXT: &str = "---
title: One
---

- entry one
  - inner one
  - **inner** two

    1. innermost

       with more words
- entry two

> quoted words
>
> - quoted entry

:::only tag:paid
paid words

:::promo {code=X}
promo words

- promo entry
:::
:::

## An item[^note]

<ul>
<li>html entry</li>
<li><b>bold</b> entry</li>
</ul>

<div align=\"center\">
<p>set words</p>
loose words
</div>

***

closing words

[^note]: noted words
";

/// The line that a click on the block of `words` shows.
fn line_of(frame: &str, places: &[serde_json::Value], words: &str) -> u64 {
    let place = place_of(frame, places, words);
    let file = place["file"].as_str().expect("a file");
    assert!(
        file.ends_with("/emails/issues/one/issue.md"),
        "{words}: {file}"
    );
    place["line"].as_u64().expect("a line")
}

/// Where the block of `words` was written.
fn place_of<'p>(
    frame: &str,
    places: &'p [serde_json::Value],
    words: &str,
) -> &'p serde_json::Value {
    let at = frame.find(words).unwrap_or_else(|| panic!("{words}"));
    // The innermost marked element around the words is the last one that opened before them.
    let (_, mark) = frame[..at].rsplit_once("pr-at-").expect("a mark");
    let digits = mark.split(|c: char| !c.is_ascii_digit()).next();
    let number: usize = digits
        .and_then(|digits| digits.parse().ok())
        .expect("a number");
    &places[number]
}

const HEAD: &str = "---
title: The walk & the bee
teaser: \"Hello [[first_name|you]]\"
lang: en
dates: { from: 2026-05-04, to: 2026-05-10 }
theme: letter
authors:
  - name: Ada
---

one
";

#[test]
fn what_the_front_matter_says_shows_the_line_of_its_key_and_who_draws_it() {
    block_on(async {
        for theme in ["digest", "letter", "magazine"] {
            let shown = Shown::of(&HEAD.replace("letter", theme)).await;
            let frame = shown.get("/frame").await.body;
            // What is marked looks as what is sent.
            assert!(!frame.contains(['\u{10f0f0}', '\u{10f0f1}']), "{theme}");
            let (_, whole) = frame.split_once("</head>").expect("a body");
            let title = whole.find(">The walk").expect("a title");
            let body = &whole[whole[..title].rfind("pr-at-").expect("a mark")..];
            let state = shown.state().await;
            let places = state["places"].as_array().expect("places");
            for (words, line) in [
                (">The walk &amp; the bee", 2),
                ("Hello ", 3),
                ("2026", 5),
                ("Ada", 8),
            ] {
                let body = if words == "2026" { whole } else { body };
                assert_eq!(line_of(body, places, words), line, "{theme}: {words}");
                let drawn = &place_of(body, places, words)["drawn"];
                let file = drawn["file"].as_str().expect("a file");
                assert!(
                    file.ends_with(&format!("themes/{theme}/layout.mjml")),
                    "{theme}: {file}"
                );
                assert!(drawn["line"].as_u64() > Some(1), "{theme}: {drawn}");
            }
            shown.end().await;
        }
    });
}

#[test]
fn each_block_within_others_shows_its_own_line() {
    block_on(async {
        let shown = Shown::of(TEXT).await;
        let frame = shown.get("/frame").await.body;
        let state = shown.state().await;
        let places = state["places"].as_array().expect("places");
        for (words, line) in [
            ("entry one", 5),
            ("inner one", 6),
            ("inner</strong> two", 7),
            ("innermost", 9),
            ("with more words", 11),
            ("entry two", 12),
            ("quoted words", 14),
            ("quoted entry", 16),
            ("paid words", 19),
            ("promo words", 22),
            ("promo entry", 24),
            ("An item", 28),
            ("html entry", 31),
            ("bold</strong> entry", 32),
            ("set words", 36),
            ("loose words", 37),
            ("closing words", 42),
            ("noted words", 44),
        ] {
            assert_eq!(line_of(&frame, places, words), line, "{words}");
        }
        for tag in frame.split('<').filter_map(|rest| rest.split('>').next()) {
            assert!(tag.matches(" class=\"").count() < 2, "{tag}");
        }
        shown.end().await;
    });
}
