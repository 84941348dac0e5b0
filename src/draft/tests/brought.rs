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
    let markdown = super::draft("# T\n\n## One\n\n**Free**\n\n<!--members-only-->\n\nPaid\n");
    let body = format!("**Free**\n\n{wall}{begin}Paid{end}");
    assert!(markdown.markdown.ends_with(&body), "{}", markdown.markdown);
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

#[test]
fn what_substack_fills_in_later_is_kept_or_told_at_its_place() {
    let embed = |class: &str, data: &str| {
        let data = data.replace('"', "&quot;");
        format!("<div class=\"{class}\" data-attrs=\"{data}\"></div>")
    };
    let draft = draft(&format!(
        "<div class=\"available-content\"><h2>One</h2><p>a</p>{}{}<p>b \
         <span class=\"mention-wrap\" data-attrs=\"{{&quot;name&quot;:&quot;Ann B&quot;}}\"></span></p>{}{}{}{}\
         <p>c</p></div>",
        embed(
            "latex-rendered",
            r#"{"persistentExpression":"E=mc^2","id":"X"}"#
        ),
        embed(
            "image-gallery-embed",
            r#"{"gallery":{"images":[{"src":"https://a.example/1.png"},{"src":"https://a.example/2.png"}],
                "caption":"Two maps","alt":"Maps"}}"#
        ),
        embed(
            "poll-embed",
            r#"{"id":7,"question":"Tea --> or [[coffee]]?"}"#
        ),
        embed(
            "native-audio-embed",
            r#"{"label":"Song","mediaUploadId":"u"}"#
        ),
        embed(
            "digest-post-embed",
            r#"{"title":"Older *one*","canonical_url":"https://a.example/p/o"}"#
        ),
        embed(
            "tweet",
            r#"{"url":"https://x.com/a/1","full_text":"So it is","username":"a"}"#
        ),
    ));
    let body = "## One\n\na\n\n```\nE=mc^2\n```\n\n![Maps](https://a.example/1.png \"Two maps\")\n\n\
                ![Maps](https://a.example/2.png)\n\nb Ann B\n\n\
                <!-- left out: poll-embed: Tea -- > or [ [coffee]]? -->\n\n\
                <!-- left out: native-audio-embed: Song -->\n\n[Older \\*one\\*](https://a.example/p/o)\n\n\
                <!-- left out: tweet `https://x.com/a/1`: So it is -->\n\nc\n";
    assert!(draft.markdown.ends_with(body), "{}", draft.markdown);
    assert_eq!(findings(&draft), [""; 0]);
    let lines: Vec<&str> = draft.markdown.lines().collect();
    let marks: Vec<_> = draft
        .guesses
        .iter()
        .filter(|guess| guess.what.starts_with("left out"))
        .collect();
    assert_eq!(marks.len(), 3);
    for mark in marks {
        assert!(lines[mark.line - 1].contains(&mark.what), "{mark:?}");
    }
}

#[test]
fn substacks_quotes_cards_and_hints_are_read_for_what_they_are() {
    let draft = draft(
        "<div class=\"available-content\"><h2>One</h2><div class=\"preformatted-block\"><label class=\"hide-text\">\
         Text within this block will maintain its original spacing when published</label><pre class=\"text\">a\n  b\
         </pre></div><div class=\"pullquote\"><p>Well said</p></div>\
         <div class=\"embedded-post-wrap\" data-attrs=\"{&quot;title&quot;:&quot;Old&quot;,&quot;url&quot;:\
         &quot;https://a.example/p&quot;}\"><a href=\"https://a.example/p\"><img src=\"https://a.example/l.png\">\
         <div>Old</div><div>Read more</div></a><div>2 years ago \u{b7} 10 likes</div></div>\
         <p>x<a class=\"footnote-anchor\" href=\"#footnote-1\" id=\"footnote-anchor-1\">1</a></p>\
         <div class=\"footnote\"><a id=\"footnote-1\" href=\"#footnote-anchor-1\">1</a><div><p>First</p>\
         <p>Second</p></div></div></div>",
    );
    let body = "## One\n\n```\na\n  b\n```\n\n> Well said\n\n[Old](https://a.example/p)\n\nx[^1]\n\n\
                [^1]: First\n\n    Second\n";
    assert!(draft.markdown.ends_with(body), "{}", draft.markdown);
}

#[test]
fn a_rubric_stands_below_its_headline_and_a_preview_without_its_padding() {
    let draft = draft(
        "<html><body><div style=\"display:none\">PLUS: A robot &#65279; &#8199; &#65279;</div><h1>Daily</h1><hr>\
         <h6>ROBOTICS</h6><h2>It waits</h2><p>For us.</p><h6>SPACE</h6><h2>It flies</h2><p>Away.</p>\
         <p>powered by beehiiv</p></body></html>",
    );
    assert_eq!(draft.teaser.as_deref(), Some("PLUS: A robot"));
    let rubric = "<!-- guessed: a rubric, which stood above its headline -->";
    let body = format!(
        "---\n\n## It waits\n\n{rubric}\n\nROBOTICS\n\nFor us.\n\n## It flies\n\n{rubric}\n\nSPACE\n\nAway.\n"
    );
    assert!(draft.markdown.ends_with(&body), "{}", draft.markdown);
}
