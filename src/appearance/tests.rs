//! Each look on small texts of HTML, and all of them on nonsense.

use proptest::prelude::{any, proptest};

use super::inbox::{is_padded, snippet};
use super::text::linked;
use super::{Appearance, Client, Images, Scheme, clip, dress, images_from};

fn look(html: &str, change: impl Fn(&mut Appearance)) -> String {
    let mut appearance = Appearance::default();
    change(&mut appearance);
    dress(html, appearance)
}

const PAGE: &str = "<html><head><meta name=\"color-scheme\" content=\"light dark\"><style>\
    a{color:#000}@media (prefers-color-scheme:dark) and (max-width:480px){a{color:#fff}}\
    @media (prefers-color-scheme: light){a{color:#111}}</style></head><body>x</body></html>";

#[test]
fn dark_and_light_answer_the_media_queries_whatever_the_browser_prefers() {
    let dark = look(PAGE, |look| look.scheme = Scheme::Dark);
    assert!(dark.contains("@media (min-width:0px) and (max-width:480px){a{color:#fff}}"));
    assert!(dark.contains("@media (max-width:0px){a{color:#111}}"));
    assert!(
        dark.contains(":root{color-scheme:dark!important}"),
        "{dark}"
    );
    let light = look(PAGE, |_| {});
    assert!(light.contains("@media (max-width:0px) and (max-width:480px)"));
    assert!(light.contains("@media (min-width:0px){a{color:#111}}"));
    assert!(light.contains(":root{color-scheme:light!important}"));
    let picture = look(
        "<source media='(prefers-color-scheme: dark)' srcset='d.png'>",
        |look| look.scheme = Scheme::Dark,
    );
    assert!(picture.contains("media=\"(min-width:0px)\""), "{picture}");
}

#[test]
fn a_mail_that_knows_no_dark_colours_stays_light_in_the_dark() {
    let dark = look("<head></head><p>x</p>", |look| look.scheme = Scheme::Dark);
    assert!(dark.contains("color-scheme:light"), "{dark}");
}

#[test]
fn inversion_turns_the_lightness_of_every_colour_and_keeps_images_and_names() {
    let html = "<table bgcolor=\"white\" style=\"color:#000;background:#ffffff url(white.png);\
        font-family:&quot;Black Sans&quot;;border:1px solid rgb(0, 0, 0)\"><style>#fff{color:Black}</style>";
    let inverted = look(html, |look| look.scheme = Scheme::Inverted);
    assert!(inverted.contains("bgcolor=\"#171717\""), "{inverted}");
    assert!(inverted.contains("color:#ffffff;background:#171717 url(white.png)"));
    assert!(inverted.contains("font-family:&quot;Black Sans&quot;"));
    assert!(inverted.contains("border:1px solid #ffffff"));
    assert!(inverted.contains("<style>#fff{color:#ffffff}</style>"));
    // A hue stays a hue.
    let blue = look("<b style='color:#0000ff'>", |look| {
        look.scheme = Scheme::Inverted
    });
    assert!(blue.contains("color:#1717ff"), "{blue}");
}

#[test]
fn without_images_their_words_are_left() {
    let html = "<img src=\"a.png\" srcset=\"b.png 2x\" alt=\"A cat\" width=\"20\"><td background=\"c.png\" \
        style=\"background:red url('d.png') no-repeat;background-image:url(e.png);color:blue\">";
    let off = look(html, |look| look.images = Images::Off);
    assert!(!off.contains(".png"), "{off}");
    assert!(off.contains("alt=\"A cat\"") && off.contains("color:blue"));
    assert!(off.contains("background:red no-repeat"), "{off}");
}

#[test]
fn without_styles_only_style_attributes_are_left() {
    let html = "<head><STYLE type=\"text/css\">p{color:red}</STYLE><link href=x></head><p style=\"color:blue\">";
    assert_eq!(
        super::plain::without_styles(html),
        "<head></head><p style=\"color:blue\">"
    );
}

#[test]
fn outlook_sees_what_is_for_word_and_not_what_is_for_others() {
    let cases = [
        ("<!--[if mso]>w<![endif]-->", "w"),
        ("<!--[if !mso]>w<![endif]-->", ""),
        ("<!--[if mso | IE]>w<![endif]-->", "w"),
        ("<!--[if (gte mso 9)&(!ie)]>w<![endif]-->", "w"),
        ("<!--[if lt mso 12]>w<![endif]-->", ""),
        ("<!--[if IE]>w<![endif]-->", ""),
        ("<!--[if !mso]><!-->o<!--<![endif]-->", ""),
        ("<!--[if !mso]> -->o<!-- <![endif]-->", ""),
        ("<!--[if !mso | ie]><!-->o<!--<![endif]-->e", "e"),
        ("<![if !mso]>o<![endif]>", ""),
        ("<![if mso]>o<![endif]>", "o"),
        ("a<!-- note -->b", "a<!-- note -->b"),
        (
            "<!--[if !mso]><!-->a<!--[if mso]>b<![endif]-->c<!--<![endif]-->d",
            "d",
        ),
    ];
    for (html, seen) in cases {
        assert_eq!(super::outlook::through_word(html), seen, "{html}");
    }
}

#[test]
fn outlook_has_neither_round_corners_nor_media_queries_nor_padding_on_links() {
    let html = "<style>.a{border-radius:4px;color:red}@media (max-width:480px){.a{color:blue}}.b{color:tan}</style>\
        <a style=\"padding:4px;max-width:10px;color:red\"><img width=\"120\" style=\"width:100%\">\
        <td style=\"padding:4px;display:inline-block;background:#fff url(x.png)\">";
    let word = super::outlook::through_word(html);
    assert!(word.contains(".a{color:red}.b{color:tan}"), "{word}");
    assert!(word.contains("<a style=\"color:red\">"), "{word}");
    assert!(word.contains("width:120px"), "{word}");
    assert!(
        word.contains("<td style=\"padding:4px;background:#fff \">"),
        "{word}"
    );
}

#[test]
fn gmail_cuts_before_the_tag_that_crosses_the_limit_and_closes_what_is_open() {
    let html = "<table><tr><td><p>12345678</p><p>more</p></td></tr></table>";
    let cut = clip::cut(html, 32);
    assert!(cut.starts_with("<table><tr><td><p>12345678</p>"), "{cut}");
    assert!(cut.contains("</td></tr></table><div"), "{cut}");
    assert!(cut.contains("[Message clipped]") && !cut.contains("more"));
    assert_eq!(clip::cut(html, html.len()), html);
    // Never within a character.
    assert!(clip::cut("<p>\u{e9}\u{e9}\u{e9}", 6).starts_with("<p>\u{e9}</p>"));
}

#[test]
fn an_inbox_shows_the_preheader_and_then_whatever_comes_next() {
    let html = "<head><title>T</title><style>p{}</style></head><div style=\"display:none\">Short&nbsp;&amp; good\
        &#847;&zwnj;&nbsp;</div><a>View in <b>browser</b></a><img alt=\"Logo\">";
    assert_eq!(snippet(html), "Short & good View in browser Logo");
    assert!(!is_padded(html));
    let padding = "&#847;&zwnj;&nbsp;".repeat(40);
    assert!(is_padded(&padding));
    assert_eq!(
        snippet(&format!("<div>Short{padding}</div><p>View")),
        "Short"
    );
}

#[test]
fn addresses_of_the_text_part_are_links_and_everything_is_escaped() {
    assert_eq!(
        linked("<b> https://a.example/x?a=1&b=2. (http://b.example)"),
        "&lt;b&gt; <a href=\"https://a.example/x?a=1&amp;b=2\" target=\"_blank\" \
         rel=\"noreferrer\">https://a.example/x?a=1&amp;b=2</a>. (<a href=\"http://b.example\" \
         target=\"_blank\" rel=\"noreferrer\">http://b.example</a>)"
    );
}

#[test]
fn only_addresses_of_images_move() {
    let html = "<img src=\"https://n.example/i/ab\"><a href=\"https://n.example/i/ab\">https://n.example/i/ab</a>\
        <td style=\"background:url(https://n.example/i/cd)\">";
    assert_eq!(
        images_from(html, "https://n.example/i/", "/i/"),
        "<img src=\"/i/ab\"><a href=\"https://n.example/i/ab\">https://n.example/i/ab</a>\
         <td style=\"background:url(/i/cd)\">"
    );
}

fn every_look(html: &str) {
    for scheme in [Scheme::Light, Scheme::Dark, Scheme::Inverted] {
        for client in [
            Client::Standard,
            Client::NoStyle,
            Client::Clipped,
            Client::Outlook,
        ] {
            for images in [Images::Own, Images::Off] {
                let appearance = Appearance {
                    scheme,
                    client,
                    images,
                };
                dress(html, appearance);
            }
        }
    }
    clip::cut(html, 10);
    snippet(html);
    linked(html);
    images_from(html, "/", "x");
}

proptest! {
    #[test]
    fn no_text_whatever_makes_a_look_panic(text in any::<String>()) {
        every_look(&text);
    }

    #[test]
    fn no_broken_markup_makes_a_look_panic(
        text in "(<|>|/|!|--|\\[if mso\\]|\\[endif\\]|<!|style|<style>|</style>|img| src=|\"|'|&|#|;|:|\\{|\\}|\\(|\\)|url|é|color|@media|prefers-color-scheme|x){0,60}"
    ) {
        every_look(&text);
    }
}
