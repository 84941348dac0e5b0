//! What documents come to, as HTML.

use crate::mjml::files::NoFiles;
use crate::mjml::render::render;
use crate::mjml::tree::{Content, Document, Element, FileId, Node, Span};
use crate::mjml::{Options, Rendering, compile};

fn rendering(mjml: &str, options: &Options) -> Rendering {
    compile("a.mjml", mjml, &NoFiles, options)
}

fn html(mjml: &str) -> String {
    let rendering = rendering(mjml, &Options::default());
    let problems = rendering.diagnostics;
    assert!(problems.is_empty(), "{problems:?}");
    rendering.html.expect("html")
}

/// From `<body` on, of a document with a head and components in the body.
fn body(head: &str, components: &str) -> String {
    let html = html(&format!(
        "<mjml><mj-head>{head}</mj-head><mj-body>{components}</mj-body></mjml>"
    ));
    html[html.find("<body").expect("a body")..].to_owned()
}

fn column(components: &str) -> String {
    body(
        "",
        &format!("<mj-section><mj-column>{components}</mj-column></mj-section>"),
    )
}

#[test]
fn text_comes_out_byte_for_byte() {
    let text = "<b>a</b>\n<i>b</i> A\u{201d} > B &lt;CALL&gt; &nbsp;<br> \u{1f469}\u{200d}\u{1f4bb} \\ \
                <!--[if !mso]><!--><b>c</b> <i>d</i><!--<![endif]--> {{ x }} [[a|b]]";
    for component in ["mj-text", "mj-button", "mj-table"] {
        let html = column(&format!("<{component}>\n {text} </{component}>"));
        assert!(html.contains(&format!(">{text}</")), "{html}");
    }
}

#[test]
fn attributes_come_out_as_they_were_and_never_end_early() {
    let html = column(
        "<mj-image src='a.png?b=1&amp;c' alt='say \"h\u{e9}\" \\ &lt; \u{2764}\u{fe0f}' \
         title=\"it's\" /><mj-text font-family='\"A B\", serif'>x</mj-text>",
    );
    assert!(
        html.contains("alt=\"say &quot;h\u{e9}&quot; &#92; &lt; \u{2764}&#65039;\""),
        "{html}"
    );
    assert!(html.contains("src=\"a.png?b=1&amp;c\""), "{html}");
    assert!(html.contains("title=\"it's\""), "{html}");
    assert!(
        html.contains("font-family:&quot;A B&quot;, serif;"),
        "{html}"
    );
}

#[test]
fn what_mrml_has_no_place_for_is_put_in_where_it_belongs() {
    let html = column(
        "<mj-image src='a.png' href='#<img' title='T&amp;\nU' sizes='50vw' srcset='b.png 2x' />
         <mj-button title='say \"<a>\"' href='#b'>b</mj-button>
         <mj-button title='c' href=''>c</mj-button>",
    );
    for wanted in [
        "<a title=\"T&amp;&#10;U\" href=\"#&lt;img\"",
        "<img sizes=\"50vw\" alt=\"\"",
        "<a title=\"say &quot;&lt;a>&quot;\" href=\"#b\"",
        "<p href=\"\" title=\"c\" style=",
    ] {
        assert!(html.contains(wanted), "{wanted}: {html}");
    }
}

#[test]
fn an_attribute_is_found_by_precedence() {
    let head = "<mj-attributes>
        <mj-all color=\"#a11a11\" font-size=\"1px\" padding=\"2px\" />
        <mj-text font-size=\"3px\" line-height=\"4px\" css-class=\"kind\" />
        <mj-class name=\"one\" line-height=\"5px\" height=\"6px\" css-class=\"first\" />
        <mj-class name=\"two\" height=\"7px\" css-class=\"second\"><mj-text height=\"8px\" /></mj-class>
        </mj-attributes>";
    let text = |column: &str, attributes: &str| {
        let html = body(
            head,
            &format!(
                "<mj-section><mj-column {column}><mj-text {attributes}>a</mj-text></mj-column></mj-section>"
            ),
        );
        let style = html.rfind("<div").expect("the text");
        let class = html.rfind("<td align").expect("its cell");
        format!("{} {}", &html[class..style], &html[style..])
    };
    let plain = text("", "");
    for wanted in [
        "font-size:3px",
        "color:#a11a11",
        "line-height:4px",
        "class=\"kind\"",
    ] {
        assert!(plain.contains(wanted), "{wanted}: {plain}");
    }
    let classed = text("", "mj-class=\"one two\"");
    for wanted in ["line-height:5px", "height:7px", "class=\"first second\""] {
        assert!(classed.contains(wanted), "{wanted}: {classed}");
    }
    // What a class of the parent says of its texts is stronger than the text's own class.
    assert!(text("mj-class=\"two\"", "mj-class=\"one\"").contains(";height:8px"));
    assert!(text("mj-class=\"two\"", "height=\"9px\" css-class=\"own\"").contains(";height:9px"));
    assert!(text("", "mj-class=\"one\" css-class=\"own\"").contains("class=\"own\""));
}

#[test]
fn what_a_parent_hands_down_is_stronger_than_all_and_weaker_than_the_kind() {
    let social = |head: &str| {
        let head = format!("<mj-attributes>{head}</mj-attributes>");
        body(
            &head,
            "<mj-section><mj-column><mj-social color=\"red\"><mj-social-element name=\"web\" src=\"w.png\">a</mj-social-element>\
             </mj-social></mj-column></mj-section>",
        )
    };
    assert!(social("<mj-all color=\"blue\" />").contains("color:red"));
    assert!(social("<mj-social-element color=\"blue\" />").contains("color:blue"));
}

#[test]
fn raw_html_stands_where_it_was_written_and_takes_no_width() {
    let mjml = "<mjml>
        <mj-raw position=\"file-start\">{% start %}</mj-raw>
        <mj-head><mj-raw>{% head %}<meta name=\"a\"></mj-raw><!-- in the head --></mj-head>
        <mj-body><mj-raw>{% body %}</mj-raw>
        <mj-section><mj-raw>{% section %}</mj-raw><mj-column><mj-raw>{% column %}<tr></tr></mj-raw>
        </mj-column><!-- between --><mj-column></mj-column></mj-section></mj-body></mjml>";
    let html = html(mjml);
    assert!(html.starts_with("{% start %}\n<!doctype html>"), "{html}");
    let order = [
        "{% head %}<meta name=\"a\">\n<!-- in the head -->\n</head>",
        "{% body %}",
        "{% section %}",
        "{% column %}<tr></tr></tbody>",
        "<!-- between -->",
    ];
    let places: Vec<_> = order.iter().map(|part| html.find(part)).collect();
    assert!(
        places.is_sorted() && places[0].is_some(),
        "{places:?} {html}"
    );
    assert_eq!(html.matches("class=\"mj-column-per-50 ").count(), 2);
}

#[test]
fn nothing_of_other_hosts_is_added_unless_asked() {
    let mjml = "<mjml><mj-body><mj-section><mj-column>
        <mj-text font-family=\"Roboto\">a</mj-text>
        <mj-social><mj-social-element name=\"x\" src=\"x.png\" href=\"#\">x</mj-social-element></mj-social>
        <mj-accordion><mj-accordion-element><mj-accordion-title>a</mj-accordion-title>
        </mj-accordion-element></mj-accordion>
        <mj-carousel><mj-carousel-image src=\"a.png\" /></mj-carousel>
        </mj-column></mj-section></mj-body></mjml>";
    let ours = html(mjml);
    let sources: Vec<_> = ours.match_indices("src=\"").collect();
    let own = |(at, _): &(usize, &str)| !ours[at + 5..].starts_with("http");
    assert!(!sources.is_empty() && sources.iter().all(own), "{ours}");
    assert!(!ours.contains("googleapis"), "{ours}");
    let options = Options {
        foreign_icons: true,
        ..Options::default()
    };
    let mjml = mjml.replace(" src=\"x.png\"", "");
    assert!(rendering(&mjml, &Options::default()).html.is_none());
    let foreign = rendering(&mjml, &options).html.expect("html");
    assert_eq!(foreign.matches("src=\"https://i.imgur.com/").count(), 4);
    assert_eq!(foreign.matches("src=\"https://www.mailjet.com/").count(), 1);
}

#[test]
fn a_font_is_linked_where_something_uses_it() {
    let font = "<mj-font name=\"Some Font\" href=\"https://f.example/a?b=1&amp;c\" />";
    let page = |family: &str| {
        html(&format!(
            "<mjml><mj-head>{font}</mj-head><mj-body><mj-section><mj-column>\
             <mj-text font-family='{family}'>a</mj-text></mj-column></mj-section></mj-body></mjml>"
        ))
    };
    let link = "<link href=\"https://f.example/a?b=1&amp;c\" rel=\"stylesheet\"";
    assert!(page("some font, serif").contains(link));
    assert!(page("\"Some Font\", serif").contains(link));
    assert!(!page("serif").contains(link));
}

#[test]
fn inline_styles_leave_template_fences_in_a_table_where_they_are() {
    let table = "{% for x in y %}<tr class=\"r\"><td>{{ x }}</td></tr>{% endfor %}[[more]]";
    let html = body(
        "<mj-style inline=\"inline\">.r td { color: red }</mj-style>",
        &format!("<mj-section><mj-column><mj-table>{table}</mj-table></mj-column></mj-section>"),
    );
    let styled = table.replace("<td>", "<td style=\"color: red;\">");
    assert!(html.contains(&styled), "{html}");
}

#[test]
fn html_attributes_are_set_by_selector_and_nothing_else_changes() {
    let components = "<mj-section><mj-column><mj-text css-class=\"a\">x<br>&nbsp;{{ y }}</mj-text>\
                      </mj-column></mj-section>";
    let head = "<mj-html-attributes><mj-selector path=\".a div\">\
                <mj-html-attribute name=\"data-id\">42</mj-html-attribute></mj-selector>\
                </mj-html-attributes>";
    let (with, without) = (body(head, components), body("", components));
    assert_eq!(with.replace(" data-id=\"42\"", ""), without);
    assert_eq!(with.matches("<div data-id=\"42\"").count(), 1);
}

#[test]
fn marks_lead_from_a_class_to_the_component() {
    let mjml = "<mjml><mj-body><mj-section css-class=\"a\"><mj-column><mj-text>x</mj-text>\
                <mj-carousel><mj-carousel-image src=\"a\" /></mj-carousel></mj-column></mj-section>\
                </mj-body></mjml>";
    let options = Options {
        mark: true,
        ..Options::default()
    };
    let marked = rendering(mjml, &options);
    let html = marked.html.expect("html");
    // Body, section, column, text, carousel, image.
    assert_eq!(marked.marks.len(), 6);
    assert!(html.contains("class=\"a pr-at-1\""), "{html}");
    assert!(html.contains("class=\"pr-at-3\""), "{html}");
    assert!(html.contains("mj-carousel-image-1 pr-at-5"), "{html}");
    assert!(
        !rendering(mjml, &Options::default())
            .html
            .expect("html")
            .contains("pr-at-")
    );
}

/// An element of a document without text.
fn element(name: &str, within: Vec<Element>) -> Element {
    let span = Span {
        file: FileId(0),
        range: 0..0,
    };
    Element {
        name: name.into(),
        attributes: Vec::new(),
        content: Content::Nodes(within.into_iter().map(Node::Element).collect()),
        span: span.clone(),
        name_span: span,
    }
}

#[test]
fn what_no_layout_needs_is_refused() {
    let refusal = |root: Option<Element>| {
        let document = Document {
            files: Vec::new(),
            root,
            before: Vec::new(),
        };
        let refused = render(&document, &Options::default());
        refused.err().map(|finding| finding.message)
    };
    let deep = |times: usize| {
        let wrap = |inside, _| element("mj-wrapper", vec![inside]);
        let wrappers = (0..times).fold(element("mj-section", Vec::new()), wrap);
        let body = element("mj-body", vec![wrappers]);
        refusal(Some(element("mjml", vec![body])))
    };
    assert_eq!(deep(40), None);
    assert!(deep(90).is_some_and(|told| told.contains("too deep")));
    assert!(refusal(None).is_some_and(|told| told.contains("`<mjml>`")));
    let empty = refusal(Some(element("mjml", Vec::new())));
    assert!(empty.is_some_and(|told| told.contains("`<mj-body>`")));
}

#[test]
fn the_page_has_a_head_that_mail_programs_understand() {
    insta::assert_snapshot!(html(
        "<mjml lang=\"de\" dir=\"ltr\" owa=\"desktop\"><mj-body background-color=\"#eee\" \
         width=\"500px\" css-class=\"b\"><mj-section><mj-column></mj-column></mj-section></mj-body>\
         <mj-head><mj-title>A \"title\"</mj-title><mj-preview>Look <b>inside</b> &zwnj;</mj-preview>\
         <mj-breakpoint width=\"400px\" /><mj-style>.a { b: c }</mj-style>\
         <mj-style>.d > e { f: g }</mj-style></mj-head></mjml>"
    ));
}

#[test]
fn text_button_divider_spacer_and_table() {
    insta::assert_snapshot!(column(
        "<mj-text height=\"50px\" align=\"right\">a</mj-text>
         <mj-button href=\"#\" width=\"200px\" border=\"2px solid red\">b</mj-button>
         <mj-divider width=\"50%\" align=\"left\" />
         <mj-spacer height=\"30px\" />
         <mj-table cellspacing=\"4\" width=\"300px\"><tr><td>d</td></tr></mj-table>"
    ));
}

#[test]
fn images_are_as_wide_as_told_but_never_wider_than_their_column() {
    insta::assert_snapshot!(column(
        "<mj-image src=\"a.png\" width=\"100px\" href=\"#\" fluid-on-mobile=\"true\" />
         <mj-image src=\"b.png\" width=\"900px\" height=\"20px\" srcset=\"c.png 2x\" \
         sizes=\"50vw\" fluid-on-mobile=\"false\" />"
    ));
}

#[test]
fn sections_have_backgrounds_that_outlook_shows_too() {
    insta::assert_snapshot!(body(
        "",
        "<mj-section background-url=\"a.png\" background-color=\"#abc\" background-size=\"cover\" \
         background-repeat=\"no-repeat\" background-position=\"left 20%\" border-radius=\"4px\" />
         <mj-section full-width=\"full-width\" background-url=\"b.png\" css-class=\"c d\" />"
    ));
}

#[test]
fn a_wrapper_keeps_its_sections_apart() {
    insta::assert_snapshot!(body(
        "",
        "<mj-wrapper gap=\"10px\" padding=\"0 20px\"><mj-section /><mj-section /></mj-wrapper>"
    ));
}

#[test]
fn columns_share_the_width_of_their_section() {
    let page = html(
        "<mjml><mj-body><mj-section padding=\"0\"><mj-column width=\"33.5%\" padding=\"5px\" \
         border=\"1px solid red\" inner-border-radius=\"3px\"><mj-image src=\"a\" padding=\"0\" />\
         </mj-column><mj-group width=\"250px\"><mj-column /><mj-column width=\"100px\" /></mj-group>\
         </mj-section><mj-section gutter=\"20px\"><mj-column /><mj-column /><mj-column /></mj-section>\
         </mj-body></mjml>",
    );
    let media = page.find("@media only screen and (min").expect("rules");
    insta::assert_snapshot!(&page[media..]);
}

#[test]
fn a_hero_is_as_high_as_told_or_as_its_image() {
    insta::assert_snapshot!(body(
        "",
        "<mj-hero height=\"300px\" background-url=\"a.png\" padding=\"20px\"><mj-text>a</mj-text></mj-hero>
         <mj-hero mode=\"fluid-height\" background-url=\"b.png\" background-width=\"600px\" \
         background-height=\"300px\" inner-padding=\"5px\" />"
    ));
}

#[test]
fn a_navbar_folds_into_a_menu() {
    insta::assert_snapshot!(column(
        "<mj-navbar base-url=\"https://a.example\" hamburger=\"hamburger\">\
         <mj-navbar-link href=\"/b\" css-class=\"c\">B</mj-navbar-link></mj-navbar>"
    ));
}

#[test]
fn networks_share_an_address_or_lead_to_it() {
    insta::assert_snapshot!(column(
        "<mj-social><mj-social-element name=\"facebook\" src=\"f.png\" href=\"a\">A</mj-social-element>
         <mj-social-element name=\"x-noshare\" href=\"b\" src=\"c.png\" icon-position=\"right\">B\
         </mj-social-element></mj-social>
         <mj-social mode=\"vertical\"><mj-social-element name=\"github\" src=\"g.png\" /></mj-social>"
    ));
}

#[test]
fn an_accordion_unfolds() {
    insta::assert_snapshot!(column(
        "<mj-accordion font-family=\"serif\"><mj-accordion-element icon-position=\"left\">\
         <mj-accordion-title>A</mj-accordion-title></mj-accordion-element>
         <mj-accordion-element icon-wrapped-url=\"a.png\">\
         <mj-accordion-text>B</mj-accordion-text></mj-accordion-element></mj-accordion>"
    ));
}

#[test]
fn a_carousel_turns() {
    let page = html(
        "<mjml><mj-body><mj-section><mj-column><mj-carousel left-icon=\"l.png\">\
         <mj-carousel-image src=\"a.png\" href=\"#a\" css-class=\"c\" /><!-- not an image -->\
         <mj-carousel-image src=\"b.png\" thumbnails-src=\"t.png\" /></mj-carousel></mj-column>\
         </mj-section></mj-body></mjml>",
    );
    let rules = page.find(".mj-carousel {").expect("rules");
    insta::assert_snapshot!(&page[rules..]);
}
