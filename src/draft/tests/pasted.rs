//! Plain text as it is pasted: lists, numbers in brackets, phrases.

use super::draft;

#[test]
fn entries_that_are_set_in_alike_are_alike() {
    let draft = draft(
        "T\nJune 3, 2026\n\nHello,\n\n1. A\n\nThings:\n- one\n    - inner a\n    - inner b\n        - deep\n    \
         - inner c\n- two\n\n2. B\n\ntext\n",
    );
    let body = "- one\n  - inner a\n  - inner b\n    - deep\n  - inner c\n- two\n";
    assert!(draft.markdown.contains(body), "{}", draft.markdown);
}

#[test]
fn a_phrase_before_a_known_number_leads_where_the_number_does() {
    let draft = draft(
        "T\nJune 3, 2026\n\nHello,\n\n1. First\n\nText.\n\n2. Second\n\nText of *it* [2]. Read more [1]. \
         And more [2], or click here.\n\n[1] https://example.org/one\n[2] https://example.org/two",
    );
    let body = "Text of \\*it\\* [\\[2\\]](https://example.org/two). [Read more](https://example.org/one). \
                And more [\\[2\\]](https://example.org/two), or [click here](TODO).\n";
    assert!(draft.markdown.ends_with(body), "{}", draft.markdown);
}

#[test]
fn words_that_stand_where_a_link_was_are_told() {
    let draft = draft(
        "T\nJune 3, 2026\n\nHello,\n\n1. First\n\nWatch the video here.\n\n\
         Read the whole story on our blog >>\n\nWrite to ada@example.org or see www.example.org/eu for more.\n\n\
         - Sign up at the link below\n- No\n\n2. Read more\n\nText of second, and some more of it.\n",
    );
    let told =
        "<!-- guessed: a link may be lost, because a sentence ends with where it was -->\n\n";
    for part in [
        format!("{told}Watch the video here.\n"),
        "[Read the whole story on our blog](TODO)\n".into(),
        "Write to [ada@example.org](mailto:ada@example.org) or see \
         [www.example.org/eu](https://www.example.org/eu) for more.\n"
            .into(),
        format!("{told}- Sign up at the link below\n"),
        "<!-- guessed: a headline, though it may be a link -->\n\n## 2. Read more\n".into(),
    ] {
        assert!(draft.markdown.contains(&part), "{part}: {}", draft.markdown);
    }
}

#[test]
fn short_lines_in_capitals_are_headlines_and_no_teaser() {
    let draft = draft(
        "Title\nJune 3, 2026\n\nTOP STORIES THIS WEEK\n\n1. First\n\nText of it.\n\n2. Second\n\n\
         Text of second.\n\nQUICK HITS\n- a thing\n- b thing\n\nJOBS\n1. Baker\n2. Cook\n",
    );
    assert_eq!(draft.teaser, None, "{}", draft.markdown);
    for part in ["## TOP STORIES THIS WEEK", "## QUICK HITS", "## JOBS"] {
        assert!(draft.markdown.contains(part), "{part}: {}", draft.markdown);
    }
}
