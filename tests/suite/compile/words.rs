//! Words as the author typed them and as readers see them: bare addresses, and typographic quotes.

use pressrun::compile::{Segment, Slot};

use crate::compile::desk::Desk;
use crate::compile::filled;

#[test]
fn a_bare_address_is_a_link_that_leads_straight_and_stands_once_in_the_text() {
    let desk = Desk::new();
    let body = "See https://a.example/one_two_three, or (https://b.example/?a=1&b=2).\n\n\
                - www.c.example, https://a.example/one_Schindler's_List\n\nFor you: https://d.example/?for=[[first_name|x]]\n\n`https://e.example/` and [words](https://f.example/)\n";
    desk.write(
        "issues/one/issue.md",
        format!("---\ntitle: One\n---\n{body}"),
    );
    let built = desk.compile("one").expect("an issue");
    let urls: Vec<&str> = built
        .compiled
        .links
        .iter()
        .map(|link| link.url.as_str())
        .collect();
    // What is shown beside another address is taken for fraud: only the theme's and worded links are counted.
    assert!(
        !urls.iter().any(|url| url.contains("example/o")
            || url.contains("?a=1")
            || url.contains("c.example")),
        "{urls:?}"
    );
    assert!(urls.contains(&"https://f.example/"), "{urls:?}");
    assert!(
        !urls.iter().any(|url| url.contains("e.example")),
        "{urls:?}"
    );
    let html = filled(&built.compiled.html);
    assert!(
        html.contains("href=\"https://a.example/one_two_three\"")
            && html.contains(">https://a.example/one_two_three</a>, or ("),
        "{html}"
    );
    assert!(
        html.contains(">https://b.example/?a=1&amp;b=2</a>)."),
        "{html}"
    );
    assert!(html.contains(">www.c.example</a>"), "{html}");
    assert!(
        html.contains("href=\"https://a.example/one_Schindler&#39;s_List\""),
        "{html}"
    );
    assert!(!html.contains(">https://e.example/</a>"), "{html}");
    let addressed = built.compiled.html.0.iter().any(|segment| {
        matches!(segment, Segment::Slot(Slot::Field { name, context, .. })
            if name == "first_name" && *context == pressrun::compile::Context::Url)
    });
    assert!(addressed, "a slot in an address is written as one");
    let text = filled(&built.compiled.text);
    // Each stands there as it was typed, by its own link alone, and not once more in a list below.
    assert!(
        text.contains("See https://a.example/one_two_three, or (https://b.example/?a=1&b=2)."),
        "{text}"
    );
    assert!(text.contains("[1]") && !text.contains("[2]"), "{text}");
    assert_eq!(text.matches("d.example").count(), 1, "{text}");
}

#[test]
fn what_looks_like_an_address_and_is_none_stays_words() {
    let desk = Desk::new();
    let body = "Open https://a.example:PORT/x or https://a.example:99999/ or www.a.example:x, not https://256.1.1.1/ now.\n";
    desk.write(
        "issues/one/issue.md",
        format!("---\ntitle: One\n---\n{body}"),
    );
    let built = desk.compile("one").expect("an issue");
    let html = filled(&built.compiled.html);
    assert!(html.contains(body.trim_end()), "{html}");
    // Where it is marked as a link, it is meant as one.
    desk.write(
        "issues/one/issue.md",
        "---\ntitle: One\n---\nOpen [this](https://a.example:PORT/x) now.\n",
    );
    let error = desk.compile("one").expect_err("no port").to_string();
    assert!(error.contains("invalid port number"), "{error}");
}

#[test]
fn quotes_and_dashes_are_set_where_that_is_asked_for_and_nowhere_else() {
    let desk = Desk::new();
    let body = "She's \"here\" -- [\"so\"](https://a.example/x--y'z) ... `\"a\" -- b`\n\n\
                Dear [[first_name|\"you\" -- all]], https://b.example/a--b...\n\n\
                :::promo {code=\"A--B\" until=2030-01-01 url=\"https://c.example/--\"}\nIt's \"off\".\n:::\n";
    let write = |front: &str| {
        desk.write(
            "issues/one/issue.md",
            format!("---\ntitle: \"It's -- so\"\n{front}---\n{body}"),
        );
        desk.compile("one").expect("an issue").compiled
    };
    let plain = write("");
    let as_typed = plain.text.fill(|_| "#".into());
    assert!(as_typed.contains("She's \"here\" -- "), "{as_typed}");
    let smart = write("typography: smart\n");
    let text = smart.text.fill(|_| "#".into());
    for words in [
        "She\u{2019}s \u{201c}here\u{201d} \u{2013} \u{201c}so\u{201d}",
        "\u{2026} `\"a\" -- b`",
        "It\u{2019}s \u{201c}off\u{201d}.",
        "A--B",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(smart.title, "It's -- so");
    let urls = |compiled: &pressrun::compile::Compiled| {
        let urls: Vec<String> = compiled.links.iter().map(|link| link.url.clone()).collect();
        urls
    };
    assert_eq!(urls(&smart), urls(&plain), "no address is touched");
    assert!(text.contains("https://b.example/a--b"), "{text}");
    let default = smart.html.slots().find_map(|slot| match slot {
        Slot::Field { name, default, .. } if name == "first_name" => Some(default.as_str()),
        _ => None,
    });
    assert_eq!(default, Some("\"you\" -- all"));
    let german = write("typography: smart\nlang: de\n");
    let text = german.text.fill(|_| "#".into());
    assert!(
        text.contains("She\u{2019}s \u{201e}here\u{201c} \u{2013} \u{201e}so\u{201c}"),
        "{text}"
    );
    desk.write(
        "issues/one/issue.md",
        "---\ntitle: One\ntypography: smrat\n---\nHello.\n",
    );
    let error = desk.compile("one").expect_err("no such way").to_string();
    assert!(
        error.contains("`typography` is not `smrat`") && error.contains("did you mean `smart`?"),
        "{error}"
    );
}
