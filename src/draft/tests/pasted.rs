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
