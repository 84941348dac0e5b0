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

#[test]
fn links_of_the_authors_own_copy_are_unpacked_or_left_to_do() {
    let key = "u001Qm9va3Mgd2l0aCBubyBlbmQgYXJlIGxvbmcgcmVhZHMgaW5kZWVk";
    let counter = format!("https://link.mail.beehiiv.com/ss/c/{key}/4/h1");
    let packed = "https://substack.com/redirect/2/eyJlIjoiaHR0cHM6Ly9hLmV4YW1wbGUvYiJ9.sig";
    let token = "https://open.substack.com/pub/x/p/y?token=eyJ1c2VyX2lk&amp;r=1";
    let page = draft(&format!(
        "<h2>One</h2><p><a href=\"{counter}\">one</a>, <a href=\"{packed}\">two</a>, <a href=\"{token}\">\
         three</a>, <a href=\"https://b.example/?a=1&amp;utm_source=x.beehiiv.com&amp;_bhlid=2\">four</a></p>\
         <a href=\"{counter}\"><img src=\"https://b.example/i.png\" alt=\"A map\"></a>"
    ));
    let body = "[one](TODO), [two](https://a.example/b), [three](https://open.substack.com/pub/x/p/y), \
                [four](https://b.example/?a=1)\n\n[![A map](https://b.example/i.png)](TODO)\n";
    assert!(page.markdown.ends_with(body), "{}", page.markdown);
    assert_eq!(page.open_links, 2);
    let told: Vec<&str> = page.guesses.iter().map(|guess| &*guess.what).collect();
    let lost = "links that only a click counter knows the target of were left to do: 2 \
                (`link.mail.beehiiv.com`)";
    assert!(told.contains(&lost), "{told:?}");

    let pasted = draft(&format!(
        "Title\n\nHello,\n\nRead more ({packed}) and {counter} too, says everyone who has been there.\n"
    ));
    let body = "[Read more](https://a.example/b) and [link.mail.beehiiv.com](TODO) too";
    assert!(pasted.markdown.contains(body), "{}", pasted.markdown);
    let markdown = draft(&format!(
        "# T\n\n## A\n\n[x]({counter})\u{2014}and [y](<{counter}>), [z]({packed}).\n\n## B\n\nb\n"
    ));
    let body = "[x](TODO)\u{2014}and [y](TODO), [z](https://a.example/b).";
    assert!(markdown.markdown.contains(body), "{}", markdown.markdown);
}
