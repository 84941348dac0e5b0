//! What the parser makes of texts good and bad.

use std::collections::BTreeMap;

use crate::mjml::files::{Files, NoFiles};
use crate::mjml::finding::Findings;
use crate::mjml::parse;
use crate::mjml::tree::{Content, Document, Element, Node};

/// The tree in one line: `name[attribute=value](nodes)`, contents in braces, texts that are not blank.
fn outline(nodes: &[Node]) -> String {
    let node = |node: &Node| match node {
        Node::Element(element) => element_outline(element),
        Node::Text(raw) if raw.text.trim().is_empty() => String::new(),
        Node::Text(raw) => format!("'{}'", raw.text),
        Node::Comment(raw) => raw.text.clone(),
        Node::Html(raw) => format!("html{{{}}}", raw.text),
    };
    let nodes: Vec<String> = nodes.iter().map(node).filter(|n| !n.is_empty()).collect();
    nodes.join(" ")
}

fn element_outline(element: &Element) -> String {
    let attributes = element.attributes.iter();
    let attributes: Vec<_> = attributes
        .map(|a| format!("{}={}", a.name, a.value))
        .collect();
    let attributes = match attributes.is_empty() {
        true => String::new(),
        false => format!("[{}]", attributes.join(" ")),
    };
    let content = match &element.content {
        Content::Nodes(nodes) => match outline(nodes) {
            none if none.is_empty() => none,
            nodes => format!("({nodes})"),
        },
        Content::Raw(raw) => format!("{{{}}}", raw.text),
    };
    format!("{}{attributes}{content}", element.name)
}

fn read(text: &str, files: &dyn Files) -> (Document, Vec<String>) {
    let mut findings = Findings::default();
    let document = parse("a.mjml", text, files, &mut findings);
    let told = findings.list().iter().map(|finding| {
        let file = &document.files[finding.span.file.0 as usize];
        let line = file.text[..finding.span.range.start].matches('\n').count() + 1;
        let at = &file.text[finding.span.range.clone()];
        format!(
            "{}:{line} {} `{at}`: {}",
            file.name, finding.code, finding.message
        )
    });
    let told = told.collect();
    (document, told)
}

fn root(document: &Document) -> String {
    document
        .root
        .as_ref()
        .map(element_outline)
        .unwrap_or_default()
}

/// The tree of a text in which nothing is wrong; components within contents are read as they come.
fn good(text: &str) -> String {
    let (document, mut told) = read(text, &NoFiles);
    told.retain(|told| !told.contains("wrong-parent"));
    assert_eq!(told, Vec::<String>::new(), "{text}");
    root(&document)
}

/// What is wrong with a text, and its tree.
fn bad(text: &str) -> (Vec<String>, String) {
    let (document, told) = read(text, &NoFiles);
    (told, root(&document))
}

#[test]
fn a_document_becomes_its_tree() {
    let text = "<?xml version=\"1.0\"?>\n<!doctype mjml>\n<!-- hi -->\n<mjml lang='en'>\n<mj-head/>\
        <mj-body>text<!-- c --><MJ-Section full-width=full-width>\n<mj-column></mj-column ></mj-section>\
        <br><hr/></hr></mj-body>\n</mjml>\n";
    assert_eq!(
        good(text),
        "mjml[lang=en](mj-head mj-body('text' <!-- c --> \
         mj-section[full-width=full-width](mj-column) br hr))"
    );
}

#[test]
fn content_is_kept_byte_for_byte() {
    for content in [
        "<b>a</b>\n<i>b</i>",
        "a < b & c > d <3 A\u{201d} > B",
        "<p>one<p>two<br>three</p>",
        "</p><!-- </mj-text> -->",
        "<!--[if mso]><b></mj-text><![endif]-->",
        "<![CDATA[ </mj-text> ]]>",
        "<a title=\"</mj-text>\">b</a>",
        "<mj-text>a<mj-raw/></mj-text>b",
        "<script>'</mj-text>'</script>",
        "<mj-column>",
        "  \u{2764}\u{fe0f} \u{1f469}\u{200d}\u{1f4bb}\n\n",
        "<CALL it's>",
        "",
    ] {
        let text = format!("<mjml><mj-text>{content}</mj-text></mjml>");
        assert_eq!(good(&text), format!("mjml(mj-text{{{content}}})"));
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_make_no_difference() {
    let unix = "<mjml>\n<mj-text\ncolor=\"a\nb\">\nx\n</mj-text>\n</mjml>";
    let windows = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
    assert_eq!(good(&windows), good(unix));
    assert_eq!(good(&unix.replace('\n', "\r")), good(unix));
}

#[test]
fn what_stands_before_the_root_is_kept_apart() {
    let text = "<mj-raw position=\"file-start\">x</mj-raw>\n<mjml></mjml>";
    let (document, told) = read(text, &NoFiles);
    assert!(told.is_empty());
    assert_eq!(outline(&document.before), "mj-raw[position=file-start]{x}");
}

#[test]
fn unclosed_and_crossed_elements_are_told_each_once() {
    let (told, tree) = bad(
        "<mjml><mj-body>\n<mj-section>\n<mj-column><mj-image src=\"a\"/>\n</mj-section></mj-column>\n\
         <mj-wrapper>\n</mj-body></mjml>",
    );
    assert_eq!(
        told,
        [
            "a.mjml:3 unclosed-element `mj-column`: `<mj-column>` is not closed before `</mj-section>` \
             in line 4",
            "a.mjml:5 unclosed-element `mj-wrapper`: `<mj-wrapper>` is not closed before `</mj-body>` \
             in line 6",
        ]
    );
    assert_eq!(
        tree,
        "mjml(mj-body(mj-section(mj-column(mj-image[src=a])) mj-wrapper))"
    );
    let (told, _) = bad("<mjml>\n<mj-body>");
    assert_eq!(
        told,
        [
            "a.mjml:2 unclosed-element `mj-body`: `<mj-body>` is never closed",
            "a.mjml:1 unclosed-element `mjml`: `<mjml>` is never closed",
        ]
    );
}

#[test]
fn a_text_that_is_not_closed_ends_before_the_next_component() {
    let (told, tree) = bad(
        "<mjml><mj-column><mj-text>one\n<mj-text>two</mj-text>\n<mj-button>go</mj-column></mjml>",
    );
    assert_eq!(
        told,
        [
            "a.mjml:1 unclosed-element `mj-text`: `<mj-text>` is not closed before `</mj-column>` in \
             line 3",
            "a.mjml:3 unclosed-element `mj-button`: `<mj-button>` is not closed before `</mj-column>` \
             in line 3",
        ]
    );
    assert_eq!(
        tree,
        "mjml(mj-column(mj-text{one\n} mj-text{two} mj-button{go}))"
    );
}

#[test]
fn a_misspelt_closing_tag_closes_what_it_means() {
    let (told, tree) = bad("<mjml><mj-section></mj-secton></mj-foo></mjml>");
    assert_eq!(
        told,
        [
            "a.mjml:1 stray-closing-tag `mj-secton`: `</mj-secton>` closes nothing",
            "a.mjml:1 stray-closing-tag `mj-foo`: `</mj-foo>` closes nothing",
        ]
    );
    assert_eq!(tree, "mjml(mj-section)");
}

#[test]
fn broken_tags_and_quotes_leave_what_follows_readable() {
    let (told, tree) = bad(
        "<mjml><mj-section <mj-column>\n<mj-text color=\"red>a</mj-text>\n\
        <mj-image src=\"b\"\" alt='c'/><mj-text>x<a href=\"y>z</a></mj-text\n</mj-column></mj-section> < \
        <mj-image alt=\"d\" alt=\"e\"/><!-- x</mjml>",
    );
    assert_eq!(
        told,
        [
            "a.mjml:1 unended-tag `mj-section`: the tag `<mj-section` is not ended with `>`",
            "a.mjml:2 unclosed-quote `\"`: the value of `color` lacks its closing quote",
            "a.mjml:3 attribute-name `\"`: `\"` is no name of an attribute",
            "a.mjml:3 unclosed-quote `\"`: a value lacks its closing quote",
            "a.mjml:3 unended-tag `</mj-text`: the tag `</mj-text` is not ended with `>`",
            "a.mjml:4 stray-less-than `<`: this `<` opens no tag",
            "a.mjml:4 duplicate-attribute `alt`: `alt` is given twice; the first one counts",
            "a.mjml:4 unclosed-comment `<!--`: this comment is never closed, and swallows the rest of \
             the file",
        ]
    );
    assert_eq!(
        tree,
        "mjml(mj-section(mj-column(mj-text[color=red]{a} mj-image[src=b alt=c] \
         mj-text{x<a href=\"y>z</a>})) mj-image[alt=d])"
    );
}

#[test]
fn bad_entities_are_told_in_texts_and_attributes_only() {
    let (told, _) = bad("<mjml><mj-text css-class=\"a&nbps;\">&nbps; &#0;</mj-text>\
        <mj-raw>&nbps;</mj-raw><mj-style>&nbps;</mj-style></mjml>");
    assert_eq!(
        told,
        [
            "a.mjml:1 bad-entity `&nbps;`: `&nbps;` is shown as it stands: no character has this name",
            "a.mjml:1 bad-entity `&nbps;`: `&nbps;` is shown as it stands: no character has this name",
            "a.mjml:1 bad-entity `&#0;`: `&#0;` is shown as it stands: no character has this number",
        ]
    );
}

#[test]
fn what_is_no_document_is_told() {
    for text in ["", "  \n", "hello", "<!-- x -->", "<?xml ?>"] {
        let (told, tree) = bad(text);
        assert!(told.iter().any(|told| told.contains("no-root")), "{text}");
        assert_eq!(tree, "");
    }
    let (told, _) = bad("<mjml></mjml><mjml></mjml>x");
    assert_eq!(
        told,
        [
            "a.mjml:1 outside-root `mjml`: `<mjml>` stands outside `<mjml>`",
            "a.mjml:1 outside-root `x`: text outside `<mjml>` is left out",
        ]
    );
}

#[test]
fn twenty_thousand_nested_tags_are_one_error() {
    for tag in ["<mj-section>", "<div>", "<MJ-SECTION a=b>"] {
        let (told, _) = bad(&format!("<mjml>{}", tag.repeat(20_000)));
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("too-deep"), "{told:?}");
    }
    let texts = "<mj-text>".repeat(20_000) + &"</mj-text>".repeat(20_000);
    assert!(good(&format!("<mjml>{texts}</mjml>")).len() > 300_000);
}

#[test]
fn hopeless_texts_are_given_up_soon() {
    for piece in [
        "<mj-text>",
        "<a b=\"",
        "</x>",
        "< ",
        "<!--",
        "<mj-include>",
        "<a b=c b=d>",
    ] {
        let text = format!("<mjml>{}", piece.repeat(50_000));
        let mut findings = Findings::default();
        parse("a.mjml", &text, &NoFiles, &mut findings);
        let told = findings.list().len() + findings.dropped;
        assert!((1..1_100).contains(&told), "{piece}: {told}");
    }
}

#[test]
fn ten_megabytes_are_one_error() {
    let (told, tree) = bad(&format!("<mjml>{}</mjml>", "x".repeat(10 * 1024 * 1024)));
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("too-large"), "{told:?}");
    assert_eq!(tree, "");
}

fn files(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    list.iter().map(owned).collect()
}

#[test]
fn fragments_stand_in_place_and_documents_give_head_and_body() {
    let files = files(&[
        (
            "p/one.mjml",
            "\u{feff}<mj-text>one</mj-text>\r\n<mj-include path=\"./two.mjml\"/>",
        ),
        (
            "p/two.mjml",
            "<mjml><mj-head><mj-title>t</mj-title><mj-include path=\"s.css\" type=\"css\"/></mj-head>\
             <mj-body width=\"1px\"><mj-text>two</mj-text></mj-body></mjml>",
        ),
        ("p/s.css", "a{}"),
        ("t.css", "b{}"),
        ("h.html", "<p>&x"),
        ("head.mjml", "<mj-font name=\"f\"/>"),
        ("my file.mjml", "x"),
    ]);
    let text = "<mjml><mj-body><mj-include path=\"p/one.mjml\"></mj-include>\
        <mj-include type=\"html\" path=\"h.html\"><mj-include path=\"my%20file.mjml\"/></mj-body>\
        <mj-head><mj-include type='css' path='t.css' css-inline=\"inline\"/>\
        <mj-include path=\"head.mjml\"/><mj-preview>p</mj-preview></mj-head></mjml>";
    let (document, told) = read(text, &files);
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(
        root(&document),
        "mjml(mj-body(mj-text{one} mj-text{two} html{<p>&x} 'x') \
         mj-head(mj-font[name=f] mj-preview{p} mj-title{t} mj-style{a{}} mj-style[inline=inline]{b{}}))"
    );
    let names: Vec<_> = document
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "a.mjml",
            "p/one.mjml",
            "p/two.mjml",
            "p/s.css",
            "h.html",
            "my file.mjml",
            "t.css",
            "head.mjml"
        ]
    );
}

#[test]
fn an_include_that_fails_says_why() {
    struct Locked;
    impl Files for Locked {
        fn read(&self, path: &str) -> Result<Option<String>, String> {
            match path {
                "b.mjml" => Ok(Some("\n<mj-include path=\"c.mjml\"/>".into())),
                "c.mjml" => Ok(Some("<mj-include path=\"b.mjml\"/>".into())),
                "locked.mjml" => Err("it is locked".into()),
                _ => Ok(None),
            }
        }
    }
    let text = "<mjml><mj-include path=\"x.mjml\"/>\n<mj-include path=\"a.mjml\"/>\n\
        <mj-include path=\"b.mjml\"/><mj-include path=\"locked.mjml\"/>\n\
        <mj-include path=\"../up.mjml\"/><mj-include path=\"/etc/passwd\"/>\
        <mj-include path=\"%2e%2e/up.mjml\"/>\n<mj-include/><mj-include pth=\"b\" path=\"\"/>\
        <mj-include path=\"x\" type=\"txt\"/></mjml>";
    let (document, told) = read(text, &Locked);
    assert_eq!(
        told,
        [
            "a.mjml:1 include-not-found `x.mjml`: there is no file `x.mjml`",
            "a.mjml:2 include-cycle `a.mjml`: `a.mjml` includes itself",
            "c.mjml:1 include-cycle `b.mjml`: `b.mjml` includes itself",
            "a.mjml:3 include-unreadable `locked.mjml`: `locked.mjml` cannot be read: it is locked",
            "a.mjml:4 include-outside `../up.mjml`: `../up.mjml` lies outside the folder that may be \
             included from",
            "a.mjml:4 include-outside `/etc/passwd`: `/etc/passwd` is absolute; write the path from \
             this file's folder",
            "a.mjml:4 include-outside `%2e%2e/up.mjml`: `%2e%2e/up.mjml` lies outside the folder that \
             may be included from",
            "a.mjml:5 include-path `mj-include`: `<mj-include>` needs a `path`",
            "a.mjml:5 unknown-attribute `pth`: `<mj-include>` has no attribute `pth`",
            "a.mjml:5 include-path ``: the path names no file",
            "a.mjml:5 wrong-value `txt`: `txt` is no type of include",
            "a.mjml:5 include-not-found `x`: there is no file `x`",
        ]
    );
    let at = document.files[2]
        .included_at
        .as_ref()
        .expect("b includes c");
    assert_eq!((at.file.0, at.range.start), (1, 1));
}

#[test]
fn files_that_multiply_are_stopped() {
    struct Doubling;
    impl Files for Doubling {
        fn read(&self, path: &str) -> Result<Option<String>, String> {
            let twice = format!("<mj-include path=\"x{path}\"/>").repeat(2);
            Ok(Some(twice))
        }
    }
    let (document, told) = read("<mjml><mj-include path=\"x\"/></mjml>", &Doubling);
    assert!(document.files.len() <= 200);
    assert!(
        told.iter().any(|told| told.contains("include-limit")),
        "{told:?}"
    );
}
