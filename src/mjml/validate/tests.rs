//! Each rule of the validator by itself.

use crate::mjml::components::{COMPONENTS, component};
use crate::mjml::finding::Findings;
use crate::mjml::tree::{FileId, Span};
use crate::mjml::validate::specimen::{document, findings, told, told_of};
use crate::mjml::validate::validate;
use crate::mjml::values::TEXT;

fn assert_told(text: &str, expected: &[&str]) {
    assert_eq!(told(text), expected, "{text}");
}

fn assert_told_of(content: &str, expected: &[&str]) {
    assert_eq!(told_of(content), expected, "{content}");
}

#[test]
fn a_sound_document_is_left_alone() {
    assert_told(
        "<mjml lang=\"en\" xmlns:v=\"urn:x\"><!-- a --><mj-head><mj-attributes><mj-all color=\"red\" />\
         <mj-class name=\"a\" color=\"#fff\"><mj-text align=\"center\" /></mj-class><mj-class name=\"b\" \
         padding=\"0\" /><mj-text font-size=\"14px\" css-class=\"c\" /><mj-image /></mj-attributes>\
         <mj-html-attributes><!-- c --><mj-selector path=\".a\"><mj-html-attribute name=\"x\">1\
         </mj-html-attribute></mj-selector></mj-html-attributes><mj-title>t</mj-title>\
         <mj-font name=\"f\" href=\"prs0k00012\" /></mj-head><mj-body width=\"600px\"><mj-section \
         mj-class=\"a b\" css-class=\"x y\" full-width=\"\"><mj-column> <mj-text mj-class=\"a  b\">b<i>c\
         </i></mj-text><mj-image src=\"prs0k00012\" fluid-on-mobile=\"true\" /><mj-carousel><!-- d -->\
         <mj-carousel-image src=\"a\" /></mj-carousel><mj-raw>x</mj-raw></mj-column></mj-section>\
         </mj-body></mjml>",
        &[],
    );
}

#[test]
fn an_unknown_component_is_named_with_its_neighbour() {
    assert_told_of(
        "<mj-txt>a <b>c</b></mj-txt>",
        &[
            "error unknown-element [mj-txt] there is no component `mj-txt` (did you mean `mj-text`?)",
        ],
    );
    assert_told_of(
        "<mj-kaleidoscope />",
        &["error unknown-element [mj-kaleidoscope] there is no component `mj-kaleidoscope` ()"],
    );
}

#[test]
fn html_among_components_is_told_once_and_where_it_belongs() {
    assert_told_of(
        "<p>a <b>c</b></p><table></table>",
        &[
            "error unknown-element [p] `p` is no component, and HTML cannot stand directly in \
             `mj-column` (put it into `mj-text` or `mj-raw`)",
            "error unknown-element [table] `table` is no component, and HTML cannot stand directly in \
             `mj-column` (did you mean `mj-table`? otherwise, put it into `mj-text` or `mj-raw`)",
        ],
    );
    assert_told(
        "<mjml><mj-head><link /></mj-head><mj-body /></mjml>",
        &[
            "error unknown-element [link] `link` is no component, and HTML cannot stand directly in \
           `mj-head` (put it into `mj-raw`)",
        ],
    );
}

#[test]
fn components_within_unknown_elements_are_judged_too() {
    assert_told_of(
        "<div><mj-text colour=\"red\">a</mj-text><mj-imgae /></div>",
        &[
            "error unknown-element [div] `div` is no component, and HTML cannot stand directly in \
             `mj-column` (put it into `mj-text` or `mj-raw`)",
            "error unknown-attribute [colour] `mj-text` has no attribute `colour` (did you mean \
             `color`?)",
            "error unknown-element [mj-imgae] there is no component `mj-imgae` (did you mean \
             `mj-image`?)",
        ],
    );
}

#[test]
fn a_misplaced_component_is_told_where_it_stands() {
    assert_told(
        "<mjml><mj-body><mj-column /><mj-section><mj-text>a</mj-text></mj-section></mj-body></mjml>",
        &[
            "error wrong-parent [mj-column] `mj-column` cannot stand in `mj-body` (`mj-column` stands \
             in `mj-group` or `mj-section`)",
            "error wrong-parent [mj-text] `mj-text` cannot stand in `mj-section` (`mj-text` stands in \
             `mj-column` or `mj-hero`)",
        ],
    );
}

#[test]
fn what_mjml_drops_without_a_word_is_a_warning() {
    assert_told(
        "<mjml><mj-section /><mj-body><mj-all /></mj-body></mjml>",
        &[
            "warning wrong-parent [mj-section] `mj-section` cannot stand in `mjml` and is dropped \
             (`mj-section` stands in `mj-body` or `mj-wrapper`)",
            "warning wrong-parent [mj-all] `mj-all` cannot stand in `mj-body` and is dropped (`mj-all` \
             stands in `mj-attributes`)",
        ],
    );
}

#[test]
fn text_between_components_is_told_without_its_blanks() {
    assert_told_of(
        "\n  some text\n<mj-spacer />",
        &[
            "warning stray-text [some text] text directly in `mj-column` is dropped (put it into \
           `mj-text` or `mj-raw`)",
        ],
    );
    assert_told_of(
        "<mj-spacer>a</mj-spacer><mj-carousel>b<mj-carousel-image src=\"a\" /></mj-carousel>",
        &[
            "warning stray-text [a] text directly in `mj-spacer` is dropped (`mj-spacer` holds no text \
             and no HTML)",
            "warning stray-text [b] text directly in `mj-carousel` is dropped (`mj-carousel` holds \
             `mj-carousel-image`)",
        ],
    );
}

#[test]
fn an_unknown_attribute_is_named_with_its_neighbour() {
    assert_told_of(
        "<mj-text font-siez=\"1px\" Color=\"red\" class=\"a\" text-align=\"left\" style=\"b\">a</mj-text>",
        &[
            "error unknown-attribute [font-siez] `mj-text` has no attribute `font-siez` (did you mean \
             `font-size`?)",
            "error unknown-attribute [Color] `mj-text` has no attribute `Color` (did you mean `color`?)",
            "error unknown-attribute [class] `mj-text` has no attribute `class` (did you mean \
             `css-class`?)",
            "error unknown-attribute [text-align] `mj-text` has no attribute `text-align` (did you mean \
             `align`?)",
            "error unknown-attribute [style] `mj-text` has no attribute `style` (give it a `css-class` \
             and write the style into `mj-style`)",
        ],
    );
    assert_told(
        "<mjml><mj-head><mj-title language=\"en\" /><mj-style language=\"a\" /></mj-head><mj-body /></mjml>",
        &[
            "error unknown-attribute [language] `mj-title` has no attribute `language` (`mj-title` takes \
             no attributes but `css-class` and `mj-class`)",
            "error unknown-attribute [language] `mj-style` has no attribute `language` (`mj-style` takes \
             `inline`)",
        ],
    );
}

#[test]
fn an_attribute_that_mjml_does_not_look_at_is_a_warning() {
    assert_told(
        "<mjml langue=\"fr\"><mj-head><mj-html-attributes><mj-selector path=\".a\" paht=\"b\" />\
         </mj-html-attributes></mj-head><mj-body /></mjml>",
        &[
            "warning unknown-attribute [langue] `mjml` has no attribute `langue` (did you mean `lang`?)",
            "warning unknown-attribute [paht] `mj-selector` has no attribute `paht` (did you mean \
             `path`?)",
        ],
    );
}

#[test]
fn a_wrong_value_is_told_with_what_is_expected() {
    assert_told_of(
        "<mj-image src=\"a\" width=\"100\" height=\"\" align=\"centre\" fluid-on-mobile=\"yes\" \
         padding=\"1px 2em\" container-background-color=\"ffffff\" />",
        &[
            "error wrong-value [100] `100` is no value for `width` of `mj-image` (expected a width such \
             as `600px`; did you mean `100px`?)",
            "error wrong-value [] `height` of `mj-image` is empty (expected a height such as `20px` or \
             `auto`)",
            "error wrong-value [centre] `centre` is no value for `align` of `mj-image` (expected `left`, \
             `center` or `right`; did you mean `center`?)",
            "error wrong-value [yes] `yes` is no value for `fluid-on-mobile` of `mj-image` (expected \
             `true` or `false`)",
            "error wrong-value [1px 2em] `1px 2em` is no value for `padding` of `mj-image` (expected one \
             to four lengths such as `10px`, `10px 25px` or `5%`)",
            "error wrong-value [ffffff] `ffffff` is no value for `container-background-color` of \
             `mj-image` (expected a colour such as `#1a2b3c`, `navy` or `rgba(0, 0, 0, 0.5)`; did you \
             mean `#ffffff`?)",
        ],
    );
    assert_told_of(
        "<mj-table cellpadding=\"none\">a</mj-table>",
        &[
            "error wrong-value [none] `none` is no value for `cellpadding` of `mj-table` (expected a whole \
           number such as `4`)",
        ],
    );
}

#[test]
fn a_long_or_broken_value_is_cut_in_the_message() {
    let value = "a\n".repeat(100);
    let found = findings(&format!("<mjml><mj-body width=\"{value}\" /></mjml>"));
    let [finding] = &found[..] else {
        panic!("{found:?}");
    };
    assert!(finding.message.len() < 90, "{}", finding.message);
    assert!(!finding.message.contains('\n'), "{}", finding.message);
}

#[test]
fn a_missing_attribute_is_told_unless_it_is_given_elsewhere() {
    let image = "warning missing-attribute [mj-image] `mj-image` has no `src` (give it `src`; nothing \
                 is shown without it)";
    assert_told_of("<mj-image />", &[image]);
    assert_told_of("<mj-image src=\" \" />", &[image]);
    for given in [
        "<mj-image src=\"a\" />",
        "<mj-all src=\"a\" />",
        "<mj-class name=\"c\" src=\"a\" />",
        "<mj-class name=\"d\"><mj-image src=\"a\" /></mj-class>",
    ] {
        assert_told(
            &format!(
                "<mjml><mj-head><mj-attributes><mj-class name=\"c\" />{given}</mj-attributes></mj-head>\
                 <mj-body><mj-hero><mj-image mj-class=\"c\" /></mj-hero></mj-body></mjml>"
            ),
            &[],
        );
    }
    assert_told(
        "<mjml><mj-head><mj-font /><mj-breakpoint /><mj-attributes><mj-class /></mj-attributes>\
         <mj-html-attributes><mj-selector><mj-html-attribute /></mj-selector></mj-html-attributes>\
         </mj-head><mj-body /></mjml>",
        &[
            "warning missing-attribute [mj-font] `mj-font` has no `href` (give it `href`; the font is not \
             loaded without it)",
            "warning missing-attribute [mj-font] `mj-font` has no `name` (give it `name`; the font is not \
             loaded without one)",
            "warning missing-attribute [mj-breakpoint] `mj-breakpoint` has no `width` (give it `width`; \
             the breakpoint is lost without it)",
            "warning missing-attribute [mj-class] `mj-class` has no `name` (give it `name`; nobody can \
             use it without one)",
            "warning missing-attribute [mj-selector] `mj-selector` has no `path` (give it `path`; nothing \
             is selected without it)",
            "warning missing-attribute [mj-html-attribute] `mj-html-attribute` has no `name` (give it \
             `name`; nothing is set without one)",
        ],
    );
}

#[test]
fn a_social_element_needs_a_known_network_or_a_picture() {
    assert_told_of(
        "<mj-social><mj-social-element name=\"facebok\" /><mj-social-element name=\"facebok\" src=\"a\" />\
         <mj-social-element name=\"x-noshare\" /><mj-social-element name=\"my-network\" />\
         <mj-social-element /></mj-social>",
        &[
            "warning wrong-value [facebok] MJML has no icon for `facebok` (did you mean `facebook`?)",
            "warning wrong-value [my-network] MJML has no icon for `my-network` (give it a `src` for its \
             icon)",
            "warning missing-attribute [mj-social-element] `mj-social-element` has no `name` (give it \
             `name` or a `src`; no icon is shown without one)",
        ],
    );
}

#[test]
fn a_class_that_nobody_defines_is_told_by_itself() {
    assert_told(
        "<mjml><mj-head><mj-attributes><mj-class name=\"wide\" /></mj-attributes></mj-head><mj-body>\
         <mj-section mj-class=\"wide wdie other\" /></mj-body></mjml>",
        &[
            "warning unknown-class [wdie] no `mj-class` is called `wdie` (did you mean `wide`?)",
            "warning unknown-class [other] no `mj-class` is called `other` (define it in \
             `mj-attributes`: `<mj-class name=\"other\" ... />`)",
        ],
    );
}

#[test]
fn no_class_is_missed_where_a_file_could_not_be_read() {
    let document = document("<mjml><mj-body><mj-section mj-class=\"a\" /></mj-body></mjml>");
    let mut found = Findings::default();
    let start = Span {
        file: FileId(0),
        range: 0..1,
    };
    found.error(&start, "include-not-found", "there is no such file");
    validate(&document, &mut found);
    assert_eq!(found.list().len(), 1, "{found:?}");
}

#[test]
fn defaults_are_judged_by_the_component_they_are_for() {
    assert_told(
        "<mjml><mj-head><mj-attributes><mj-text colour=\"red\" padding=\"1\" /><mj-txt /><mj-all \
         colr=\"red\" width=\"wide\" /><mj-class name=\"a\" font-size=\"big\" paddding=\"1px\" \
         css-class=\"b\"><mj-button href=\"a\" heigth=\"1px\" /><mj-class name=\"b\" /></mj-class>\
         </mj-attributes></mj-head><mj-body /></mjml>",
        &[
            "error unknown-attribute [colour] `mj-text` has no attribute `colour` (did you mean \
             `color`?)",
            "error wrong-value [1] `1` is no value for `padding` of `mj-text` (expected one to four \
             lengths such as `10px`, `10px 25px` or `5%`; did you mean `1px`?)",
            "error unknown-element [mj-txt] there is no component `mj-txt` (did you mean `mj-text`?)",
            "warning unknown-attribute [colr] no component has an attribute `colr` (did you mean \
             `color`?)",
            "warning wrong-value [wide] `wide` is no value for `width` (expected a width such as \
             `600px`)",
            "warning wrong-value [big] `big` is no value for `font-size` (expected a size such as \
             `20px`)",
            "warning unknown-attribute [paddding] no component has an attribute `paddding` (did you mean \
             `padding`?)",
            "error unknown-attribute [heigth] `mj-button` has no attribute `heigth` (did you mean \
             `height`?)",
            "warning wrong-parent [mj-class] `mj-class` cannot stand in `mj-class` and is dropped \
             (`mj-class` stands in `mj-attributes`)",
        ],
    );
}

#[test]
fn of_what_there_is_one_of_the_others_are_told() {
    assert_told(
        "<mjml><mj-head><mj-title>a</mj-title><mj-title>b</mj-title></mj-head><mj-body /><mj-body />\
         <mj-head /></mjml>",
        &[
            "warning duplicate-element [mj-body] there is more than one `mj-body`; only the first one \
             counts ()",
            "warning duplicate-element [mj-head] there is more than one `mj-head`; only the first one \
             counts ()",
            "warning duplicate-element [mj-title] there is more than one `mj-title`; only the last one \
             counts ()",
        ],
    );
}

#[test]
fn a_document_has_a_body() {
    assert_told(
        "<mjml><mj-head /></mjml>",
        &[
            "error missing-body [mjml] the document has no `mj-body`, so there is nothing to render (put \
             `<mj-body>` into `<mjml>`, beside `<mj-head>`)",
        ],
    );
}

#[test]
fn what_stands_before_the_root_is_judged_too() {
    assert_told(
        "<mj-raw position=\"start\">a</mj-raw><mjml><mj-body /></mjml>",
        &[
            "error wrong-value [start] `start` is no value for `position` of `mj-raw` (expected \
             `file-start`)",
        ],
    );
}

/// The errors about what stands within an element where nothing is expected.
fn errors_within(content: &str) -> Vec<String> {
    let mut lines = told(&format!(
        "<mjml><mj-body><mj-x>{content}</mj-x></mj-body></mjml>"
    ));
    lines.retain(|line| line.starts_with("error") && !line.contains("[mj-x]"));
    lines
}

#[test]
fn every_component_is_fine_in_each_of_its_places_with_all_its_defaults() {
    for around in &COMPONENTS {
        for child in around.children {
            let known = component(child).expect("a child is a component");
            let defaults = known.attributes().filter_map(|attribute| {
                let default = attribute.default?;
                Some(format!(" {}=\"{default}\"", attribute.name))
            });
            let defaults: String = defaults.collect();
            let text = format!("<{0}><{child}{defaults} /></{0}>", around.name);
            assert_eq!(errors_within(&text), Vec::<String>::new(), "{text}");
        }
    }
}

#[test]
fn every_attribute_of_every_component_is_known_and_its_type_is_checked() {
    // The parser has seen to what is included.
    for known in COMPONENTS.iter().filter(|known| known.name != "mj-include") {
        for attribute in known.attributes() {
            let text = format!("<{} {}=\"@\" />", known.name, attribute.name);
            let errors = errors_within(&text);
            let expected = usize::from(attribute.value != TEXT);
            assert_eq!(errors.len(), expected, "{errors:?}");
            let wrong = errors
                .iter()
                .filter(|error| error.starts_with("error wrong-value [@]"));
            assert_eq!(wrong.count(), expected, "{errors:?}");
        }
    }
}

#[test]
fn errors_are_not_lost_behind_warnings() {
    let stray = "a<mj-spacer />".repeat(80);
    let found = told_of(&format!("{stray}<mj-txt />{}", "<p />".repeat(100)));
    assert_eq!(found.len(), 50);
    let errors = found.iter().filter(|line| line.starts_with("error"));
    assert_eq!(errors.count(), 50);
}
