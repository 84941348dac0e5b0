//! What the author's copy of a mail, or another tool, brings along that must not go to all.

use super::{draft, findings};

#[test]
fn what_was_for_payers_goes_to_nobody_before_their_segment_is_named() {
    let draft = draft(
        "<div class=\"available-content\"><h2>One</h2><p>Free words</p>\
         <div class=\"paywall-jump\" data-component-name=\"PaywallToDOM\"></div><p>Paid words</p>\
         <h2>Two</h2><p>More of it</p><h2>Three</h2><p>x</p><p>Thanks for reading!</p></div>",
    );
    let wall =
        "<!-- guessed: what only payers got begins here: name their segment in place of `TODO` -->";
    let more = "<!-- guessed: what only payers got goes on here -->";
    let end = "\n\n:::\n";
    let begin = "\n\n:::only TODO\n\n";
    let body = format!(
        "## One\n\nFree words\n\n{wall}{begin}Paid words{end}\n{more}{begin}## Two\n\nMore of it\n\n\
         ## Three\n\nx{end}"
    );
    assert!(draft.markdown.contains(&body), "{}", draft.markdown);
    let last = format!("***\n\n{more}{begin}Thanks for reading!{end}");
    assert!(draft.markdown.ends_with(&last), "{}", draft.markdown);
    let found = findings(&draft);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found.iter().all(|found| found.contains("`TODO`")),
        "{found:#?}"
    );
    assert!(
        !draft.finished_text().contains(":::"),
        "{}",
        draft.finished_text()
    );

    let ghost = super::draft("<p>Free words</p><p>and more</p><!--members-only--><p>Paid</p>");
    let body = format!("{wall}{begin}Paid{end}");
    assert!(ghost.markdown.ends_with(&body), "{}", ghost.markdown);
}
