//! Newsletters of other tools, and what becomes of them.

mod brought;
mod pasted;

use jiff::civil::date;
use proptest::prelude::{ProptestConfig, any};
use proptest::proptest;

use super::{Draft, Format, read};
use crate::compile::press::Mail;
use crate::config::typography::Typography;
use crate::issue::Issue;
use crate::issue::given::Given;
use crate::subscriber::field::FieldTable;

const PASTED: &str = "This Week in Type \u{1f170}\u{fe0f} Three faces worth a look\n\
June 1\u{2013}7, 2026\n\n\
Old letters, new screens, and one very long s.\n\n\
Hello there,\n\n\
Three stories this week, all of them about letters.\n\n\
1. A serif for small screens\n\
The foundry drew it for watches. At eight pixels it still has feet.\n\n\
What they changed:\n\
Wider counters\n\
Shorter descenders\n\
A taller x-height\n\n\
Read more at this link.\n\n\
2. The long s comes back\n\n\
It was last set in earnest in 1803.\n\
\u{2022} It looks like an f\n\
   \u{25e6} but has no bar\n\
\u{2022} It is not an f\n\
Some readers disagree.\n\n\
Link\n\n\
3. Kerning by ear\n\n\
A podcast (https://pod.example/kern) lets you hear it.\n\n\
That's all for this week. See you next Monday!\n\n\
Unsubscribe\n";

fn given(fields: &FieldTable) -> Given<'_> {
    Given {
        fields,
        mail: Mail::Issue,
        publication: "The Paper Trail",
        url: "https://news.example.org",
        list: "weekly",
        chosen: None,
        titles: Box::leak(Box::default()),
        subject: None,
        language: "en",
        typography: Typography::Plain,
        segments: Box::leak(Box::default()),
        zone: "UTC",
    }
}

fn draft(text: &str) -> Draft {
    read(text.as_bytes()).expect("a draft")
}

/// The findings of `issue` over a draft.
fn findings(draft: &Draft) -> Vec<String> {
    let mut found = Vec::new();
    let octets = draft.markdown.as_bytes();
    Issue::read(
        "a",
        "issue.md",
        octets,
        given(&FieldTable::default()),
        &mut found,
    );
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_pasted_newsletter_becomes_an_issue_with_its_guesses_marked() {
    let draft = draft(PASTED);
    assert_eq!(draft.format, Format::PlainText);
    assert_eq!(draft.dates, Some((date(2026, 6, 1), date(2026, 6, 7))));
    assert_eq!((draft.items, draft.open_links), (3, 2));
    insta::assert_snapshot!("pasted", draft.markdown);
    let lines: Vec<&str> = draft.markdown.lines().collect();
    for guess in draft.guesses.iter().filter(|guess| guess.line > 2) {
        assert!(lines[guess.line - 1].contains(&guess.what), "{guess:?}");
    }
}

#[test]
fn links_left_to_do_are_what_check_refuses_and_nothing_else() {
    let draft = draft(PASTED);
    let found = findings(&draft);
    assert_eq!(found.len(), 2, "{found:#?}");
    let lines: Vec<&str> = draft.markdown.lines().collect();
    for finding in &found {
        let line: usize = finding
            .split(':')
            .nth(1)
            .and_then(|line| line.parse().ok())
            .expect("a line");
        assert!(lines[line - 1].contains("(TODO)"), "{finding}");
    }
    let mended = Draft {
        markdown: draft.markdown.replace("(TODO)", "(https://a.example)"),
        ..draft
    };
    assert_eq!(findings(&mended), [""; 0]);
}

#[test]
fn a_wrapped_text_keeps_its_paragraphs_together() {
    let text = "Subject: Notes\nFrom: a@example.org\nDate: Mon, 1 Jun 2026 07:00:00 +0200\n\n\
                A first paragraph that somebody wrapped at some sixty\ncharacters, so that its lines belong \
                together, as far\nas anybody can tell.\n\nAnother one that was wrapped in the very same way by\n\
                the very same program.\n";
    let draft = draft(text);
    assert_eq!(draft.title, "Notes");
    assert_eq!(draft.dates, Some((date(2026, 6, 1), date(2026, 6, 1))));
    assert!(
        draft
            .markdown
            .contains("so that its lines belong together, as far as anybody can tell."),
        "{}",
        draft.markdown
    );
}

#[test]
fn a_mail_that_was_passed_on_in_quotes_is_no_quote() {
    let text = "Begin forwarded message:\n\n> From: The Post <a@example.org>\n> Subject: Three hats\n\
                > Date: 1 June 2026 at 07:00:12 CEST\n> To: b@example.org\n>\n> Hello there,\n>\n\
                > Hats are back, says a letter from a reader who never lost hers.\n>\n> > Who needs a hat?\n>\n\
                > Everybody does, in the end, and so do their friends.\n";
    let draft = draft(text);
    assert_eq!(draft.title, "Three hats");
    assert_eq!(draft.dates, Some((date(2026, 6, 1), date(2026, 6, 1))));
    let body = "\nHello there,\n\nHats are back, says a letter from a reader who never lost hers.\n\n\
                > Who needs a hat?\n\nEverybody does";
    assert!(draft.markdown.contains(body), "{}", draft.markdown);
}

#[test]
fn bold_lines_are_headlines_and_a_masthead_is_the_title() {
    let draft = draft(
        "Issue #14 | The Cold Brew | Tuesday, June 2nd 2026\n\nGood morning! Coffee prices fell **again**, says the exchange, and \
         nobody knows why they did.\n\n**TOP STORY**\nBeans go digital this summer, and traders are not amused \
         about it at all.\n\n**QUICK SIPS**\n- A talk on mugs\n  https://mugs.example/talk\n- Decaf is back\n\n\
         Thanks,\nSam\n\nSent from my phone\n",
    );
    assert_eq!(draft.title, "Issue #14 | The Cold Brew");
    assert_eq!(draft.dates, Some((date(2026, 6, 2), date(2026, 6, 2))));
    for part in [
        "\nGood morning! Coffee prices fell **again**, says",
        "\n## TOP STORY\n\nBeans go digital",
        "\n## QUICK SIPS\n\n- A talk on mugs <https://mugs.example/talk>\n- Decaf is back\n",
        "\n***\n\nThanks,  \nSam\n",
    ] {
        assert!(draft.markdown.contains(part), "{part}: {}", draft.markdown);
    }
    assert!(!draft.markdown.contains("phone"), "{}", draft.markdown);
}

#[test]
fn a_numbered_list_is_not_taken_for_headlines() {
    let draft = draft(
        "Title\n\nDo this:\n\n1. Open it\n2. Read it\n3. Close it\n\nThat is how it is done, all in all.\n",
    );
    assert_eq!(draft.items, 0);
    assert!(
        draft
            .markdown
            .contains("1. Open it\n2. Read it\n3. Close it\n"),
        "{}",
        draft.markdown
    );
}

#[test]
fn exports_of_other_tools_are_known_and_read() {
    let substack = "<h3 class=\"subtitle\">Sub</h3><p>Hello <strong>you </strong>and <em>me</em>.</p>\
        <div class=\"captioned-image-container\"><figure><a class=\"image-link\" href=\"https://substackcdn.com/x.png\">\
        <img src=\"https://substackcdn.com/x.png\" alt=\"A map\" width=\"800\"></a><figcaption>The map</figcaption></figure></div>\
        <h2>One</h2><p>a <a href=\"https://a.example/?b=1&amp;c=2\">link</a></p><div class=\"subscription-widget-wrap\"><p>Subscribe</p></div>\
        <h2>Two</h2><ul><li><p>x</p><ul><li><p>y</p></li></ul></li></ul><blockquote><p>q</p></blockquote>";
    let one = draft(substack);
    assert_eq!(
        (one.format, one.items, one.teaser.as_deref()),
        (Format::Substack, 2, Some("Sub"))
    );
    insta::assert_snapshot!("substack", one.markdown);

    let medium = "<!DOCTYPE html><html><head><title>T</title></head><body><article class=\"h-entry\"><header>\
        <h1 class=\"p-name\">The title</h1></header><section data-field=\"subtitle\" class=\"p-summary\">The teaser</section>\
        <section data-field=\"body\" class=\"e-content\"><h3 class=\"graf graf--h3 graf--title\">The title</h3>\
        <h3 class=\"graf graf--h3\">1. First</h3><p class=\"graf\">Words<br>more</p><pre class=\"graf\">code &lt;x&gt;</pre>\
        <h3 class=\"graf graf--h3\">2. Second</h3><p>Read more</p></section><footer><p>By <a href=\"https://medium.com/@a\">A</a> on \
        <time class=\"dt-published\" datetime=\"2026-06-03T08:00:00.000Z\">June 3</time></p></footer></article></body></html>";
    let two = draft(medium);
    assert_eq!(
        (two.format, two.items, two.open_links),
        (Format::Medium, 2, 1)
    );
    assert_eq!(two.dates, Some((date(2026, 6, 3), date(2026, 6, 3))));
    insta::assert_snapshot!("medium", two.markdown);

    let docs = "<html><head><style>.c1{font-weight:700}.c2{font-style:italic}</style></head><body class=\"doc-content\">\
        <p class=\"title\"><span>My letter</span></p><h1 id=\"h.a\"><span>Head</span></h1><p><span>see </span><span class=\"c1\">bold</span><span> \
        and </span><span class=\"c2\"><a href=\"https://www.google.com/url?q=https://a.example/x%3Fy%3D1&amp;sa=D&amp;ust=1\">this</a></span></p>\
        <ul class=\"lst-kix_q-0 start\"><li><span>a</span></li></ul><ul class=\"lst-kix_q-1 start\"><li><span>b</span></li></ul>\
        <table><tr><td><p><span>k</span></p></td><td><p><span>v</span></p></td></tr></table></body></html>";
    let three = draft(docs);
    assert_eq!(
        (three.format, three.title.as_str()),
        (Format::GoogleDocs, "My letter")
    );
    insta::assert_snapshot!("google_docs", three.markdown);

    let beehiiv = "<html><body><table role=\"presentation\"><tr><td><h1>Daily</h1></td></tr><tr><td><p><b>Big news</b></p><p>It happened. \
        <a>read it</a></p><img src=\"https://media.beehiiv.com/p.gif\" width=\"1\" height=\"1\"></td></tr></table></body></html>";
    let four = draft(beehiiv);
    assert_eq!(
        (four.format, four.title.as_str(), four.items),
        (Format::Beehiiv, "Daily", 1)
    );
    insta::assert_snapshot!("beehiiv", four.markdown);
}

#[test]
fn cells_of_a_layout_and_terms_are_paragraphs_of_their_own() {
    for role in ["presentation", "none"] {
        let draft = draft(&format!(
            "<table role=\"{role}\"><tr><td>June 3, 2026</td></tr><tr><td>Good morning, readers.</td></tr>\
             <tr><td>Today we look at soup.</td><td>And at bread.</td></tr></table>\
             <dl><dt>Stock</dt><dd>What is left of bones.</dd></dl>\
             <ul><li><dl><dt>Term</dt><dd>Words</dd></dl></li></ul>"
        ));
        let body = "---\n\nGood morning, readers.\n\nToday we look at soup.\n\nAnd at bread.\n\nStock\n\n\
                    What is left of bones.\n\n- Term Words\n";
        assert!(draft.markdown.ends_with(body), "{role}: {}", draft.markdown);
        assert_eq!(draft.dates, Some((date(2026, 6, 3), date(2026, 6, 3))));
    }
}

#[test]
fn code_keeps_its_lines_and_words_their_looks() {
    let draft = draft(
        "<h2>One</h2><p><em><strong>both</strong></em> <b><i>too</i></b> <i>one</i></p>\
         <pre class=\"graf graf--pre\">line one<br>line two</pre>\
         <pre><div>a</div><div><br></div><div><span>b</span></div></pre>",
    );
    let body = "## One\n\n***both*** ***too*** *one*\n\n```\nline one\nline two\n```\n\n```\na\n\nb\n```\n";
    assert!(draft.markdown.ends_with(body), "{}", draft.markdown);
}

#[test]
fn a_link_around_blocks_is_kept_on_their_headline_picture_and_open_words() {
    let draft = draft(
        "<h1>T</h1><a href=\"https://e.example/1\"><h2>Linked head</h2></a><p>a</p>\
         <a href=\"https://e.example/2\"><div>Block link</div><div>More</div></a>\
         <a href=\"https://e.example/3\"><div><img src=\"https://a.example/i\" alt=\"A map\"></div>\
         <div>Older post</div><div>Read more</div></a>\
         <a href=\"https://a.example/i.png\"><div><img src=\"https://a.example/i\" alt=\"A box\"></div></a>\
         <a href=\"https://e.example/4\"><ul><li>x</li></ul></a>",
    );
    let body = "## [Linked head](https://e.example/1)\n\na\n\n[Block link](https://e.example/2)\n\nMore\n\n\
                [![A map](https://a.example/i)](https://e.example/3)\n\n[Older post](https://e.example/3)\n\n\
                [Read more](https://e.example/3)\n\n![A box](https://a.example/i)\n\n- x\n";
    assert!(draft.markdown.ends_with(body), "{}", draft.markdown);
    let note = "a link around what is no paragraph was left out: `https://e.example/4`";
    assert!(
        draft.guesses.iter().any(|guess| guess.what == note),
        "{:?}",
        draft.guesses
    );
    assert_eq!(draft.open_links, 0);
}

#[test]
fn stars_drawn_around_a_line_are_no_words_of_it() {
    let draft = draft(
        "My letter\n\n** What it means **\n\nIt means a lot to us.\n\n* Chips everywhere *\n\nMore of it.\n",
    );
    assert!(
        draft.markdown.contains("What it means\n"),
        "{}",
        draft.markdown
    );
    assert!(!draft.markdown.contains('*'), "{}", draft.markdown);
}

#[test]
fn marks_of_markdown_lines_that_go_on_and_comments_are_read_for_what_they_are() {
    let text = "Subject: The weekly post\n\nHello all of you, this is the intro.\n\n## One thing\n\
                An oven from 1890\nwas found in a cellar.\nIt still works.\n\n\
                - a list that goes on\nbehind its entry\n";
    let plain = draft(text);
    let markdown = &plain.markdown;
    assert!(markdown.contains("\n## One thing\n"), "{markdown}");
    assert!(
        markdown.contains("\nAn oven from 1890 was found in a cellar.\n\nIt still"),
        "{markdown}"
    );
    assert!(
        markdown.contains("- a list that goes on behind its entry\n"),
        "{markdown}"
    );
    let guessed =
        |draft: &Draft, what: &str| draft.guesses.iter().any(|guess| guess.what.contains(what));
    assert!(
        guessed(&plain, "its lines go on in small letters"),
        "{markdown}"
    );

    let named =
        draft("Weekly 5\n\nHi,\n\n## A *plain* one\n\nWords.\n\n## Another one\n\nWords.\n");
    assert_eq!(named.title, "Weekly 5");
    assert_eq!(
        named.markdown.matches("Weekly 5").count(),
        1,
        "{}",
        named.markdown
    );
    assert!(guessed(&named, "the title is the first line"));

    let docs = draft(
        "<html><body class=\"doc-content\"><p class=\"title\">T</p><p>Some words<sup><a href=\"#cmnt1\" \
         id=\"cmnt_ref1\">[a]</a></sup> and more.</p><div><p><a href=\"#cmnt_ref1\" id=\"cmnt1\">[a]</a>\
         <span>please check this</span></p></div></body></html>",
    );
    assert!(
        docs.markdown.contains("Some words and more."),
        "{}",
        docs.markdown
    );
    assert!(!docs.markdown.contains("please check"), "{}", docs.markdown);
    assert!(guessed(
        &docs,
        "a comment was left out: `please check this`"
    ));
}

#[test]
fn words_struck_by_a_class_stay_struck() {
    let draft = draft(
        "<html><head><style>.c9{text-decoration:line-through}</style></head><body><h1>T</h1>\
         <p><span class=\"c9\">\u{20ac}5</span> \u{20ac}4</p></body></html>",
    );
    assert!(
        draft.markdown.ends_with("~~\u{20ac}5~~ \u{20ac}4\n"),
        "{}",
        draft.markdown
    );
}

#[test]
fn a_link_to_another_tool_does_not_make_its_text_that_tools() {
    let read = draft(
        "<html><body class=\"doc-content\"><p class=\"title\"><span>My letter</span></p>\
         <p><span><a href=\"https://medium.com/@a/b\">one</a> <a href=\"https://a.substack.com/p/b\">two</a> \
         <a href=\"https://www.beehiiv.com/\">three</a></span></p></body></html>",
    );
    assert_eq!(
        (read.format, read.title.as_str()),
        (Format::GoogleDocs, "My letter")
    );
    let plain = draft("<h1>T</h1><p>See <a href=\"https://medium.com/@a/b\">this</a>.</p>");
    assert_eq!(plain.format, Format::Html);
}

#[test]
fn the_authors_own_button_is_a_link_and_what_is_left_out_is_noted() {
    let button = |href: &str, words: &str| {
        format!(
            "<p class=\"button-wrapper\"><a class=\"button primary\" href=\"{href}\"><span>{words}</span></a></p>"
        )
    };
    let draft = draft(&format!(
        "<h2>One</h2><p>a</p>{}{}{}{}<div class=\"tweet\" data-attrs='{{\"url\":\"https://x.com/a/1\"}}'></div>\
         <video src=\"https://a.example/v.mp4\">No film</video>\
         <figure><img src=\"https://a.example/i.png\" alt=\"A map\"><figcaption>By \
         <a href=\"https://b.example/\">Bo</a></figcaption></figure>\
         <figure><iframe src=\"https://c.example/\"></iframe><figcaption>A talk</figcaption></figure>",
        button("https://shop.example/book", "Buy the book"),
        button("%%checkout_url%%", "Subscribe now"),
        button("https://a.substack.com/subscribe?", "Subscribe"),
        button("https://www.a.example/p/x?action=share", "Share"),
    ));
    let body = "## One\n\na\n\n[Buy the book](https://shop.example/book)\n\n\
                <!-- left out: tweet `https://x.com/a/1` -->\n\n\
                <!-- left out: video `https://a.example/v.mp4`: No film -->\n\n\
                ![A map](https://a.example/i.png \"By Bo\")\n\n\
                <!-- left out: iframe `https://c.example/` -->\n\nA talk\n";
    assert!(draft.markdown.ends_with(body), "{}", draft.markdown);
    let notes: Vec<&str> = draft
        .guesses
        .iter()
        .map(|guess| guess.what.as_str())
        .collect();
    for note in [
        "left out: tweet `https://x.com/a/1`",
        "left out: iframe `https://c.example/`",
        "a button or a box of the tool's was left out: `Share`",
        "a link was left out of an image's caption: `https://b.example/`",
    ] {
        assert!(notes.contains(&note), "{note}: {notes:?}");
    }
}

#[test]
fn markdown_of_other_tools_keeps_its_words() {
    let text = "---\ntitle: \"Notes\"\ndate: 2026-06-03\nlayout: post\n---\n\n# Notes\n\nHi **you**, [one]() and [two](https://a.example).\n\n\
                First\n-----\n\n```\n# no headline\n```\n\n### Deep\n\n1. a\n2. b\n";
    let draft = draft(text);
    assert_eq!(
        (draft.format, draft.items, draft.open_links),
        (Format::Markdown, 1, 1)
    );
    insta::assert_snapshot!("markdown", draft.markdown);
}

#[test]
fn a_phrase_before_a_link_is_no_link_of_its_own() {
    let draft = draft(
        "<h2>One</h2><p>Read more <a href=\"https://a.example\">here</a>. Read more\n<em><a \
         href=\"https://b.example\">in the paper</a></em>. Read more.</p>",
    );
    let body = "Read more [here](https://a.example). Read more *[in the paper](https://b.example)*. \
                [Read more](TODO).\n";
    assert!(draft.markdown.ends_with(body), "{}", draft.markdown);
    assert_eq!(draft.open_links, 1);
}

#[test]
fn the_publications_name_above_a_title_is_none() {
    let text =
        "The Paper Trail\n\nThree faces worth a look\nJune 1, 2026\n\nHello there,\n\nWords.\n";
    let draft = super::read_of("The paper trail", text.as_bytes()).expect("a draft");
    assert_eq!(draft.title, "Three faces worth a look");
    let told: Vec<&str> = draft.guesses.iter().map(|guess| &*guess.what).collect();
    assert!(
        told.iter().any(|told| told.contains("`The Paper Trail`")),
        "{told:?}"
    );
    assert_eq!(self::draft(text).title, "The Paper Trail");
}

#[test]
fn what_is_no_text_is_refused() {
    assert!(read(b"").is_err());
    assert!(read(b" \n\t").is_err());
    assert!(read(&[0x89, b'P', b'N', b'G', 0xff]).is_err());
    assert!(read(&vec![b'a'; 3 << 20]).is_err());
    let raw =
        "From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>a=3D</p>";
    let error = read(raw.as_bytes()).expect_err("a message");
    assert!(error.contains("as it travels"), "{error}");
    let utf16: Vec<u8> = "\u{feff}Title\n\nWords"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(read(&utf16).map(|draft| draft.title), Ok("Title".into()));
    let deep = |depth| format!("<p>a</p>{}b", "<div>".repeat(depth));
    assert!(read(deep(500).as_bytes()).is_ok());
    assert!(read(deep(20_000).as_bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_pasted_becomes_an_issue_without_a_panic(text in any::<String>(), html in any::<bool>()) {
        let text = if html { format!("<p>{text}</p><h2>{text}") } else { text };
        if let Ok(draft) = read(text.as_bytes()) {
            let mut found = Vec::new();
            Issue::read("a", "issue.md", draft.markdown.as_bytes(), given(&FieldTable::default()), &mut found);
        }
    }
}
