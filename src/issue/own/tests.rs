//! What is found in a layout of the author's own, and where.

use crate::compile::Slot;
use crate::compile::press::Mail;
use crate::config::typography::Typography;
use crate::issue::Issue;
use crate::issue::block::{Merge, Target};
use crate::issue::given::{Given, Titles};
use crate::issue::own::Part;
use crate::segment::named::Segments;
use crate::subscriber::field::FieldTable;

fn read(body: &str) -> (Option<Issue>, Vec<String>) {
    let mut found = Vec::new();
    let text = format!("---\ntitle: T\n---\n{body}");
    let given = Given {
        fields: &FieldTable::default(),
        mail: Mail::Issue,
        publication: "P",
        url: "https://p.example",
        list: "weekly",
        chosen: None,
        titles: &Titles::default(),
        subject: None,
        language: "en",
        typography: Typography::Plain,
        segments: &Segments::default(),
        zone: "UTC",
    };
    let read = Issue::read_mjml("a", ("a.mjml", text.as_bytes()), None, given, &mut found);
    let issue = read.whole();
    (issue, found.iter().map(ToString::to_string).collect())
}

#[test]
fn slots_links_and_images_are_found_and_the_engines_own_signs_are_left_alone() {
    let (issue, found) = read(
        "<mjml>{# [[x]] #}<!-- [[y]] --><mj-text><h2>News &amp; more</h2>Hi [[name|you]], [[issue.title]]\n\
         <a href=\"https://a.example/?a=1&amp;b=2\"><b>Read</b> on</a> {{ words.share }}</mj-text>\n\
         <mj-image src='a.png' alt='[[name|x]] {{ title }}' href=\"{{ view_url }}\"/>\n\
         <mj-button href=\"unsubscribe_url\">Leave</mj-button></mjml>",
    );
    assert!(found.is_empty(), "{found:?}");
    let issue = issue.expect("an issue");
    let layout = issue.layout.as_ref().expect("a layout");
    assert!(
        layout
            .template
            .contains("Hi {{ own[0] }}, T\n<a href=\"{{ own[1] }}\">"),
        "{}",
        layout.template
    );
    assert!(layout.template.contains("{# [[x]] #}<!-- [[y]] -->"));
    let kinds: Vec<bool> = layout
        .parts
        .iter()
        .map(|part| matches!(part, Part::Slot(Merge::Field { .. })))
        .collect();
    assert_eq!(kinds, [true, false, false, true, false]);
    assert_eq!(issue.pictures()[0].source, "a.png");
    let names: Vec<&str> = issue.links.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["News & more - Read on", "News & more - Leave"]);
    assert_eq!(
        issue.links[0].target,
        Target::Web("https://a.example/?a=1&b=2".into())
    );
    assert_eq!(issue.links[1].target, Target::Page(Slot::Unsubscribe));
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    for (body, expected) in [
        (
            "<mj-text>\n[[nope]]</mj-text>",
            "a.mjml:5:1: error[unknown-field]",
        ),
        (
            "<mj-text color=\"[[name|x]]\">a</mj-text>",
            "a.mjml:4:17: error[slot]: a field cannot stand in `color`",
        ),
        (
            "<mj-image alt=\"a\" src=\"[[name|x]].png\"/>",
            "a.mjml:4:24: error[image]",
        ),
        (
            "<a href=\"https://[[name|x]]/\">a</a>",
            "error[link]: a field may stand after the host",
        ),
        (
            "<a href=\"mailto:a@b.example?subject=[[name|x]]\">a</a>",
            "error[link]: an address of mail takes no field",
        ),
        (
            "<mj-button href=\"javascript:x\">a</mj-button>",
            "a.mjml:4:18: error[link]",
        ),
        (
            "<mj-style>a{color:[[name|x]]}</mj-style>",
            "a.mjml:4:19: error[slot]",
        ),
        (
            "<a title=[[name|x onmouseover=alert(1)]] href=\"https://a.example/\">a</a>",
            "a.mjml:4:10: error[slot]: a field cannot stand in `title` without quotes",
        ),
        (
            "<a href=\"https://a.example/\" [[name|x]]>a</a>",
            "a.mjml:4:30: error[slot]",
        ),
        (
            "<mj-text css-class=\"\\[[x]] [[name|x]]\">a</mj-text>",
            "a.mjml:4:28: error[slot]: a field cannot stand in `css-class`",
        ),
        (
            "<mj-navbar-link href=\"/a?n=[[name|x]]\">a</mj-navbar-link>",
            "a.mjml:4:28: error[slot]: a field cannot stand in `href`",
        ),
        (
            "<a href=\"{{ publication.url }}?n=[[name|x]]\">a</a>",
            "a.mjml:4:34: error[slot]",
        ),
        (
            "<mj-html-attribute name=\"onclick\">[[name|x]]</mj-html-attribute>",
            "a.mjml:4:35: error[slot]",
        ),
        (
            "<mj-text>{{ \"[[name|x]]\" }}</mj-text>",
            "a.mjml:4:14: error[slot]",
        ),
    ] {
        let (issue, found) = read(body);
        assert!(issue.is_none(), "{body}");
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{body}: {found:?}"
        );
    }
}

#[test]
fn what_outlook_alone_reads_is_read_too_and_values_without_quotes() {
    let (issue, found) = read(
        "{% set rows = [[1, 2], [3]] %}<!--[if mso]><p title=\"[[name|x]]\">Hi [[name|you]]</p>\
         <a href=https://a.example/b>a</a><![endif]-->",
    );
    assert!(found.is_empty(), "{found:?}");
    let issue = issue.expect("an issue");
    let layout = issue.layout.as_ref().expect("a layout");
    assert!(
        layout.template.ends_with(
            "<!--[if mso]><p title=\"{{ own[0] }}\">Hi {{ own[1] }}</p>\
             <a href={{ own[2] }}>a</a><![endif]-->"
        ),
        "{}",
        layout.template
    );
    assert_eq!(
        issue.links[0].target,
        Target::Web("https://a.example/b".into())
    );
}

#[test]
fn a_place_in_the_template_leads_back_to_the_file() {
    let (issue, _) = read("<mj-text>\n[[name|a rather long default]] <b>x</b>\n</mj-text>");
    let issue = issue.expect("an issue");
    let layout = issue.layout.as_ref().expect("a layout");
    let line = layout.template.lines().nth(1).expect("a line");
    let column = line.find("<b>").expect("a tag") + 1;
    let offset = layout.offset(2, column);
    assert!(issue.text[offset..].starts_with("<b>x"));
    assert_eq!(issue.source().place(layout.offset(1, 1)), (4, 1));
}
