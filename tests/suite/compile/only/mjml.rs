//! Parts for a segment in an issue that is written in MJML: sections, columns and components.

use pressrun::compile::{Compiled, only};
use pressrun::diagnostic::Diagnostic;
use pressrun::publication::Rejected;

use super::{assert_whole, filled, parts};
use crate::compile::desk::Desk;

const FRONT: &str = "---\ntitle: Own\n---\n";
const LAYOUT: &str = r#"<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text>Words for all.</mj-text>
        :::only tag:paid
        <mj-text>A <a href="https://one.example/">first link</a> for those who paid.</mj-text>
        :::
      </mj-column>
    </mj-section>
    :::only tag:paid and joined < 2026-01-01
    <mj-section>
      <mj-column>
        <mj-text>An offer.</mj-text>
        :::only tag:new
        <mj-text>New ones. <a href="https://new.example/">See them</a></mj-text>
        :::
      </mj-column>
    </mj-section>
    :::
    <mj-section>
      <mj-column><mj-text>Left, <a href="https://two.example/">too</a>.</mj-text></mj-column>
      :::only not tag:paid
      <mj-column><mj-button href="https://join.example/">Join us</mj-button></mj-column>
      :::
    </mj-section>
:::only tag:paid
    <mj-wrapper>
      <mj-section><mj-column><mj-text>Thanks for paying.</mj-text></mj-column></mj-section>
    </mj-wrapper>
:::
    <mj-section>
      <mj-column>
        <mj-text>Bye. <a href="{{ unsubscribe_url }}">{{ words.unsubscribe }}</a></mj-text>
        <mj-text>{{ postal_address }}</mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"#;

fn compiled(layout: &str) -> Result<Compiled, String> {
    let desk = Desk::new();
    desk.write("segments.toml", "[segments]\ngold = \"tag:gold\"\n");
    desk.write("issues/own/issue.mjml", format!("{FRONT}{layout}"));
    let built = desk.compile("own").map_err(|error| {
        let rejected = error.downcast::<Rejected>().expect("findings");
        let told: Vec<String> = rejected.found.iter().map(Diagnostic::to_string).collect();
        told.join("\n")
    })?;
    Ok(built.compiled)
}

#[test]
fn each_copy_of_an_issue_in_mjml_is_whole() {
    let compiled = compiled(LAYOUT).expect("an issue");
    let said: Vec<&str> = compiled
        .only
        .iter()
        .map(|sieve| sieve.said.as_str())
        .collect();
    let expected = [
        "tag:paid",
        "tag:paid and joined < 2026-01-01",
        "tag:new",
        "not tag:paid",
    ];
    assert_eq!(said, expected);
    for (segments, expected) in [
        (0b0000, [false, false, false, false, false]),
        (0b0001, [true, false, false, false, true]),
        (0b0011, [true, true, false, false, true]),
        (0b0111, [true, true, true, false, true]),
        (0b1000, [false, false, false, true, false]),
        (only::EVERY, [true; 5]),
    ] {
        let html = filled(&compiled.html, segments);
        assert_whole(&html, &format!("{segments:b}"));
        assert_eq!(parts(&html), expected, "{segments:b}");
        assert!(!html.contains(":::"), "{html}");
        // What only Outlook reads is as whole as the rest.
        let (_, body) = html.split_once("<body").expect("a body");
        let word = format!("<body{body}").replace("<!--[if mso | IE]>", "");
        let word = word.replace("<![endif]-->", "").replace("</html>", "");
        assert_whole(&word, &format!("{segments:b} in Outlook"));
        let text = filled(&compiled.text, segments);
        assert_eq!(parts(&text), expected, "{segments:b}: {text}");
        assert!(!text.contains("\n\n\n") && text.ends_with('\n'), "{text}");
    }
    let none = filled(&compiled.text, 0);
    let paid = filled(&compiled.text, 0b0001);
    assert!(paid.contains("first link <https://link.example/"), "{paid}");
    // The numbers of nobody have a gap.
    for text in [none, paid] {
        assert!(text.contains("[1] ") && !text.contains("[2]"), "{text}");
    }
}

#[test]
fn a_part_that_would_cut_a_page_in_two_is_told_at_its_line() {
    for (from, to, expected) in [
        (
            "<mj-text>Words for all.</mj-text>",
            "<mj-text>\n:::only gold\nWords\n</mj-text>",
            "issue.mjml:9:1: error[directive]: `:::only` and its end cannot stand within `<mj-text>`",
        ),
        (
            "        :::\n      </mj-column>\n    </mj-section>\n    :::only",
            "      </mj-column>\n        :::\n    </mj-section>\n    :::only",
            "issue.mjml:11:7: error[directive]: `</mj-column>` closes what was opened before `:::only`",
        ),
        (
            "<mj-text>Words for all.</mj-text>\n        :::only tag:paid\n",
            ":::only tag:paid\n<mj-text>Words for all.</mj-text>\n:::only gald\n",
            "issue.mjml:10:9: error[segment]: no segment is named `gald`",
        ),
        (
            "    :::\n    <mj-section>\n      <mj-column><mj-text>Left",
            "    <mj-section>\n      :::\n      <mj-column><mj-text>Left",
            "issue.mjml:23:5: error[directive]: `<mj-section>` is not closed before the `:::`",
        ),
        (
            ":::only not tag:paid",
            ":::promo {code=X}",
            "error[directive]: only `:::only` stands in an issue in MJML",
        ),
        (
            ":::only not tag:paid",
            ":::onyl not tag:paid",
            "did you mean `:::only`?",
        ),
        (
            ":::only not tag:paid",
            "",
            "error[directive]: `:::` closes nothing",
        ),
        (
            "</mj-wrapper>\n:::",
            "</mj-wrapper>",
            "error[directive]: this directive is never closed with `:::`",
        ),
    ] {
        let layout = LAYOUT.replacen(from, to, 1);
        assert_ne!(layout, LAYOUT, "{from}");
        let told = compiled(&layout).expect_err("a refusal");
        assert!(told.contains(expected), "{to}: {told}");
    }
}

#[test]
fn a_text_of_the_authors_own_is_the_same_for_all() {
    let desk = Desk::new();
    desk.write("issues/own/issue.mjml", format!("{FRONT}{LAYOUT}"));
    desk.write("issues/own/issue.txt", "In short: yes.\n");
    let built = desk.compile("own").expect("an issue");
    let told: Vec<String> = built
        .diagnostics
        .iter()
        .map(Diagnostic::to_string)
        .collect();
    let expected = "warning[segment]: `issue.txt` is the same for all readers";
    assert!(told.iter().any(|told| told.contains(expected)), "{told:?}");
    assert!(filled(&built.compiled.text, 0).contains("In short: yes."));
}
