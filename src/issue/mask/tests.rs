//! What is hidden from Markdown, and what is left as it stands.

use proptest::prelude::{prop_assert, proptest};

use super::Masked;
use crate::compile::press::Mail;
use crate::config::typography::Typography;
use crate::diagnostic::Source;
use crate::issue::block::{Inline, Merge};
use crate::issue::front::Front;
use crate::issue::given::{Given, Titles};
use crate::issue::merge::Slots;
use crate::segment::named::Segments;
use crate::subscriber::field::FieldTable;

fn mask(text: &str) -> (Masked, Vec<String>) {
    let mut found = Vec::new();
    let source = Source { file: "a.md", text };
    let given = Given {
        fields: &FieldTable::default(),
        mail: Mail::Issue,
        publication: "",
        url: "",
        list: "",
        chosen: None,
        titles: &Titles::default(),
        subject: None,
        language: "en",
        typography: Typography::Plain,
        segments: &Segments::default(),
        zone: "UTC",
    };
    let slots = Slots::new(source, "a", &Front::default(), given);
    let masked = Masked::of(&slots, 0, &mut found);
    assert_eq!(masked.text.len(), text.len());
    (masked, found.iter().map(ToString::to_string).collect())
}

#[test]
fn slots_are_hidden_and_come_back_and_code_is_not_searched() {
    let (masked, found) = mask("a [[name|x]] `[[name]]` [[name|y]]\n\n    [[oops]]\n");
    assert!(found.is_empty(), "{found:?}");
    assert!(!masked.text.contains("[[name|"));
    assert!(masked.text.contains("`[[name]]`"));
    assert!(masked.text.contains("    [[oops]]"));
    assert_eq!(masked.unmask(&masked.text).len(), 5);
}

#[test]
fn code_is_looked_for_wherever_it_may_stand() {
    for code in [
        "a `b\n[[oops]] c` d",
        "    [[oops]]",
        "- a\n\n      [[oops]]",
        ">     [[oops]]",
        "```\n\n[[oops]]\n```",
        "- ~~~\n  [[oops]]\n  ~~~",
        "<!--\n\n[[oops]] -->",
        "a <code>[[oops]]</code>",
    ] {
        let (masked, found) = mask(&format!("a [[name|x]]\n\n{code}\n"));
        assert!(found.is_empty(), "{code}: {found:?}");
        assert!(masked.text.contains("[[oops]]"), "{code}");
    }
    let (masked, _) = mask("a `b`\n\n- c\n  [[name|x]]\n\n`d`");
    assert!(!masked.text.contains("[["));
}

proptest! {
    #[test]
    fn no_code_is_overlooked(text in "([-\\[\\]`~ \t\n>*1.a]|\\[\\[a\\]\\]|    |```|<pre>|\n\n){0,40}") {
        let unread = super::unread_ranges(&text);
        let mut slots = text.match_indices("[[").map(|(at, _)| at);
        let within = slots.any(|at| unread.iter().any(|range| range.contains(&at)));
        prop_assert!(!within || super::may_be_unread(&text));
    }
}

#[test]
fn slots_of_one_length_are_told_apart() {
    let letters = ('a'..='z').flat_map(|a| ('a'..='z').map(move |b| (a, b)));
    let text: String = letters.map(|(a, b)| format!("[[name|{a}{b}]] ")).collect();
    let (masked, found) = mask(&text);
    assert!(found.is_empty(), "{found:?}");
    let defaults: String = masked
        .unmask(&masked.text)
        .iter()
        .map(|inline| match inline {
            Inline::Merge(Merge::Field { default, .. }) => format!("[[name|{default}]]"),
            Inline::Text(text) => text.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(defaults, text);
}

#[test]
fn words_in_braces_stay_at_the_end_of_a_headline_and_attributes_do_not() {
    let text = "## The sets {a, b}\n\n## Plain {.plain}\n\n### Of code {x} ###\n\n\
                ```\n# a {b}\n```\n\nSet {y}\n---\n\nwords {z}\n";
    let (masked, _) = mask(text);
    let hidden = masked.text.match_indices(super::BRACE);
    let hidden: Vec<&str> = hidden.map(|(at, _)| &text[at - 1..=at]).collect();
    assert_eq!(hidden, ["b}", "x}", "y}"]);
    let shown = masked.unmask("The sets {a, b\u{2}");
    assert_eq!(shown, [Inline::Text("The sets {a, b}".into())]);
}

#[test]
fn an_unknown_tag_is_hidden_with_a_warning_and_known_ones_are_not() {
    let (masked, found) = mask("a <CALL> </CALL> <b>x</b> <https://a.example> `<CODE>` \\<X> <3");
    assert_eq!(found.len(), 1, "a pair is told once: {found:?}");
    assert!(found[0].starts_with("a.md:1:3: warning[unknown-tag]: `<CALL>`"));
    assert_eq!(masked.text.matches('<').count(), 6, "{}", masked.text);
    for (text, help) in [
        (
            "<stong>x</stong>",
            "did you mean `<strong>`? Write `\\<stong>` to have it shown",
        ),
        ("<CALL>", "write `\\<CALL>` to say so"),
        ("<x>", "write `\\<x>` to say so"),
    ] {
        let (_, found) = mask(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with(&format!("help: {help}")), "{found:?}");
    }
}
