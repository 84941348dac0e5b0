//! Front matter, right and wrong.

use super::{Front, read};
use crate::diagnostic::Source;

fn told(text: &str) -> (Option<(Front, usize)>, Vec<String>) {
    let mut found = Vec::new();
    let file = "issue.md";
    let front = read(Source { file, text }, &mut found);
    (front, found.iter().map(ToString::to_string).collect())
}

#[test]
fn a_full_front_matter_is_read_and_the_body_follows() {
    let text = "---\ntitle: \"A: b\"\nteaser: 2026\nlang: pt-BR\ndate: 2026-06-08\n\
                dates: { from: 2026-06-01, to: 2026-06-07 }\n\
                authors:\n  - name: Ada\n    url: https://a.example\n  - Grace\n---\nbody";
    let (read, found) = told(text);
    assert!(found.is_empty(), "{found:?}");
    let (front, body) = read.expect("front matter");
    assert_eq!(front.title, "A: b");
    assert_eq!(front.teaser.as_deref(), Some("2026"));
    assert_eq!(front.authors[1].name, "Grace");
    assert_eq!(&text[body..], "body");
    for (key, start) in [
        ("title", "A: b"),
        ("authors.0.url", "https://a"),
        ("date", "2026-06-08"),
    ] {
        assert!(text[front.place(key)..].starts_with(start), "{key}");
    }
}

#[test]
fn a_line_that_yaml_folds_is_one_line() {
    let (read, found) = told("---\ntitle: a\nteaser: >\n  one\n  two\nlang: en\n---\n");
    assert!(found.is_empty(), "{found:?}");
    let (front, _) = read.expect("front matter");
    assert_eq!(front.teaser.as_deref(), Some("one two"));
}

#[test]
fn every_error_is_told_in_one_run_at_its_place() {
    let (_, found) = told(
        "---\ntilte: a\nsubject: [b]\npreheader: \"\"\nteaser: \"a\\nb\"\nlist: \"[[name]]\"\n\
         date: 7 June\ndates: {from: 2026-02-30, untl: 2026-03-01}\nlang: \"e n\"\n\
         authors:\n  - nam: Ada\n  - [x]\nzebra: 1\n---\n[[nope]]\n",
    );
    insta::assert_snapshot!("front_matter_findings", found.join("\n"));
}

#[test]
fn what_is_no_front_matter_is_told_once() {
    for (text, expected) in [
        (
            "title: a\n",
            "issue.md:1:1: error[front-matter]: the file does not begin",
        ),
        (
            "--- \ntitle: a\n---\n",
            "issue.md:1:1: error[front-matter]: blanks stand behind `---`",
        ),
        (
            "---\ntitle: a\n",
            "issue.md:1:1: error[front-matter]: the front matter is never closed",
        ),
        (
            "---\n---\n",
            "issue.md:1:1: error[front-matter]: the issue has no `title`",
        ),
        (
            "---\n- a\n---\n",
            "issue.md:2:1: error[front-matter]: the front matter is no list",
        ),
        (
            "---\ntitle: a\ntitle: b\n---\n",
            "issue.md:3:1: error[front-matter]: ",
        ),
        ("---\ntitle: \"a\n---\n", "error[front-matter]: "),
        (
            "---\ntitle: a\nteaser: [[name|You]], look\n---\n",
            "a value that begins with a slot stands in quotes: `teaser: \"[[...\"`",
        ),
        (
            "---\ntitle: a\nteaser: [[name|You]]\n---\n",
            "issue.md:3:9: error[front-matter]: `teaser` begins with a slot; put it in quotes",
        ),
        (
            "---\ntitle: a\ndates: {from: 2026-03-02, to: 2026-03-01}\n---\n",
            "before it begins",
        ),
        (
            "---\ntitle: a\ndates: {from: 2026-03-02}\n---\n",
            "needs both",
        ),
        (
            "---\ntitle: a\nauthors: b\n---\n",
            "issue.md:3:10: error[front-matter]: `authors` takes",
        ),
    ] {
        let (_, found) = told(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains(expected), "{text}: {found:?}");
    }
}
