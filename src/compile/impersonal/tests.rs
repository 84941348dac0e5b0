//! What is cut out of a page, and what stays.

use proptest::prelude::proptest;

use super::{HERS, VIEW, Ways, without_reader};

const WAYS: Ways<'_> = Ways {
    page: "/archive/week",
    home: "/",
    archive: "/archive",
    subscribe: "Subscribe",
    issues: "All issues",
};

fn open(page: &str) -> String {
    beside(page, "")
}

fn beside(page: &str, text: &str) -> String {
    without_reader(
        &page.replace("HERS", HERS).replace("VIEW", VIEW),
        text,
        &WAYS,
    )
}

#[test]
fn of_what_the_author_wrote_no_more_than_the_links_sentence_goes() {
    let text = "We meet on Friday at eight in the\nCaf\u{e9} Example. If you would rather hear less, choose what \
                you get\n(...). The room is on the first floor.\n\nYou may leave here (...) & go.\n\n\
                Too long? Read it in your browser (...).\n\n\
                ------------------------------------------------------------------------\n\
                You get this because. Leave: ...";
    let footer = "<p>You get this because.<br><a href=\"HERS\">Leave</a></p>";
    let ways = "<p><a href=\"/\">Subscribe</a> &#183; <a href=\"/archive\">All issues</a></p>";
    for (written, shown) in [
        (
            "<p>We meet on Friday at eight in the Caf\u{e9} Example. If you would rather hear <em>less</em>, <a \
             href=\"HERS\">choose what you get</a>. The room is on the first floor.</p>",
            "<p>We meet on Friday at eight in the Caf\u{e9} Example. The room is on the first floor.</p>",
        ),
        (
            "<blockquote><p>You may <a href=\"HERS\">leave here</a> &amp; go.</p></blockquote>",
            "<blockquote><p></p></blockquote>",
        ),
        (
            "<p>Too long? <a href=\"VIEW\">Read it in your browser</a>.</p>",
            "<p></p>",
        ),
        (
            "<p>See. <em>The <a href=\"HERS\">room</a>. Is</em> on the first floor.</p>",
            "<p>See.<em> Is</em> on the first floor.</p>",
        ),
    ] {
        assert_eq!(
            beside(&format!("{written}{footer}"), text),
            format!("{shown}{ways}")
        );
    }
    // Where no footer stands the ways stand in its place.
    let page =
        "<p>We meet on Friday at eight in the Caf\u{e9} Example. <a href=\"HERS\">Leave</a>.</p>";
    assert_eq!(
        beside(page, text),
        "<p>We meet on Friday at eight in the Caf\u{e9} Example. <a href=\"/\">Subscribe</a> &#183; \
         <a href=\"/archive\">All issues</a></p>"
    );
}

#[test]
fn a_footer_says_what_anyone_may_do_and_keeps_the_address() {
    let page = "<td><div><p class=\"x\">You get this because.<br><a href=\"HERS\" style=\"color:red\">Leave</a> \
                &#183; <a href=\"HERS\">Choose</a></p><p>Town</p></div></td>";
    assert_eq!(
        open(page),
        "<td><div><p class=\"x\"><a href=\"/\" style=\"color:red\">Subscribe</a> &#183; \
         <a href=\"/archive\" style=\"color:red\">All issues</a></p><p>Town</p></div></td>"
    );
    // In a box the line of the link alone is the reader's.
    let page = "<div>Town<br><b>or</b> <a href=\"HERS\">leave</a><br>Imprint</div>";
    assert_eq!(
        open(page),
        "<div>Town<br><a href=\"/\">Subscribe</a> &#183; <a href=\"/archive\">All issues</a><br>Imprint</div>"
    );
    // The ways stand once, and last.
    let page = "<p>You may <a href=\"HERS\">leave</a>.</p><p>Text</p><div><a href=\"HERS\">Leave</a></div>";
    assert_eq!(
        open(page),
        "<p></p><p>Text</p><div><a href=\"/\">Subscribe</a> &#183; <a href=\"/archive\">All issues</a></div>"
    );
}

#[test]
fn the_way_into_the_browser_goes_and_the_date_beside_it_stays() {
    assert_eq!(
        open("<div><img src=\"x\">7 June &#160;&#183;&#160; <a href=\"VIEW\">View</a></div>"),
        "<div><img src=\"x\">7 June</div>"
    );
    assert_eq!(
        open("<div>7 June &#160;&#183;&#160; <a href=\"VIEW\">View</a></div>"),
        "<div>7 June</div>"
    );
    assert_eq!(
        open("<tr><td>7 June</td><td class=\"line\"><a href=\"VIEW\">View</a></td></tr>"),
        "<tr><td>7 June</td><td class=\"line\"></td></tr>"
    );
    assert_eq!(
        open("<p>Broken? <a href=\"VIEW\">Look</a>.</p>a"),
        "<p></p>a"
    );
}

#[test]
fn nothing_is_cut_apart_and_no_mark_is_left() {
    for (page, shown) in [
        // An element around two lines, and a page that ends before its elements do.
        (
            "<div><span>Why<br><a href=\"HERS\">leave</a></span></div>",
            "<div><span>Why<br><a href=\"/\">Subscribe</a> &#183; <a href=\"/archive\">All issues</a></span></div>",
        ),
        (
            "<!--[if mso]><a href=\"HERS\">x</a><![endif]-->",
            "<!--[if mso]><a href=\"/\">x</a><![endif]-->",
        ),
        (
            "<style>a>b{}</style><p>HERS VIEW < > </p>",
            "<style>a>b{}</style><p>/ /archive/week < > </p>",
        ),
        ("<div><p><a href=\"VIEW\">x", "<div><p>"),
        ("", ""),
    ] {
        assert_eq!(open(page), shown, "{page}");
    }
}

#[test]
fn a_quote_a_list_in_a_list_a_cell_and_a_broken_line_lose_no_more_than_their_sentence() {
    let text = "> Come on Friday. Whoever would rather hear less may choose what comes,\n> at any time. The room is \
                on the first floor.\n\n* Leave here\n  - One\n\nFriday at eight. Choose here. Bring tea.\n\n\
                One line\nleave here\nanother line\n\n*Bold is this. So is that.* Then plain.\n\n\
                Too much? Less? Or leave. We go on.\n\n------------------------------------------------------------------------\n";
    let footer = "<div><a href=\"HERS\">Leave</a></div>";
    let ways = "<div><a href=\"/\">Subscribe</a> &#183; <a href=\"/archive\">All issues</a></div>";
    for (written, shown) in [
        (
            "<blockquote><p>Come on Friday. Whoever would rather hear less may choose what comes, at any <a \
             href=\"HERS\">time</a>. The room is on the first floor.</p></blockquote>",
            "<blockquote><p>Come on Friday. The room is on the first floor.</p></blockquote>",
        ),
        (
            "<ul><li>Leave <a href=\"HERS\">here</a><ul><li>One</li></ul></li></ul>",
            "<ul><li><ul><li>One</li></ul></li></ul>",
        ),
        (
            "<td>Friday at eight. <a href=\"HERS\">Choose</a> here. Bring tea.</td>",
            "<td>Friday at eight. Bring tea.</td>",
        ),
        (
            "<p>One line<br><a href=\"HERS\">leave</a> here<br />another line</p>",
            "<p>One line<br />another line</p>",
        ),
        (
            "<p><a href=\"HERS\">leave</a> here<br>another line</p>",
            "<p>another line</p>",
        ),
        (
            "<p><strong>Bold is <a href=\"HERS\">this</a>. So is that.</strong> Then plain.</p>",
            "<p><strong> So is that.</strong> Then plain.</p>",
        ),
        // Two of them with a question in common.
        (
            "<p>Too much? <a href=\"HERS\">Less</a>? <a href=\"HERS\">Or leave</a>. We go on.</p>",
            "<p> We go on.</p>",
        ),
    ] {
        assert_eq!(
            beside(&format!("{written}{footer}"), text),
            format!("{shown}{ways}"),
            "{written}"
        );
    }
}

proptest! {
    #[test]
    fn of_any_page_something_is_left_and_no_link_of_hers(
        page in "(<p>|</p>|<em>|</em>|<b>|</b>|<li>|</li>|<ul>|</ul>|<td>|</td>|<br>|Aa\\. |Bb\\? |cc |\u{e9}|\\.|\
                 <a href=\"HERS\">x</a>|<a href=\"VIEW\">y</a>|<a href=\"HERS\" title=\"a > b\">|<!-- x\\. y -->|<){0,40}"
    ) {
        let text = format!("Aa. Bb? cc x {}\n{}", page, "-".repeat(72));
        for text in [text.as_str(), ""] {
            let left = beside(&page, text);
            assert!(!left.contains("about:pressrun"), "{left}");
        }
    }
}
