//! Images among components of the author's own: files of the issue, each with a text.

use crate::compile::desk::Desk;
use crate::compile::filled;

const PNG: &[u8] = include_bytes!("../../../emails/issues/this-week-in-ai-research/lora.png");

#[test]
fn a_file_named_in_components_is_an_image_of_the_issue() {
    let desk = Desk::new();
    desk.write("issues/one/pic.png", PNG);
    let body = ":::mjml\n<mj-image src=\"pic.png\" alt=\"A chart\" width=\"200px\" />\n\
                <mj-text>[[first_name|you]] <img src='pic.png' alt=\"\" width=\"20\"></mj-text>\n:::";
    let built = desk.body(body).expect("an issue");
    let [image] = built.compiled.images.as_slice() else {
        panic!("{:?}", built.compiled.images);
    };
    let html = filled(&built.compiled.html);
    let address = format!("src=\"https://news.example.org/i/{}\"", image.hash);
    assert_eq!(html.matches(&address).count(), 1, "{html}");
    assert!(!html.contains("pic.png"), "{html}");
    let tag = html.split("<img ").find(|tag| tag.contains(&address));
    let tag = tag.and_then(|tag| tag.split('>').next()).expect("a tag");
    assert!(
        tag.contains(" height=\"") && !tag.contains("auto\""),
        "{tag}"
    );
    // What is wrong with it is told where it is named.
    let missing = desk.refused(&body.replacen("pic.png", "pci.png", 1));
    let place = "issue.md:5:16: error[image]: there is no file `pci.png`";
    assert!(missing.contains(place), "{missing}");
}

#[test]
fn words_of_components_are_of_the_themes_scheme_unless_they_have_a_class_or_a_ground() {
    let desk = Desk::new();
    let body = ":::mjml\n<mj-text>bare words</mj-text>\n<mj-text css-class=\"x\">own words</mj-text>\n\
                <mj-text container-background-color=\"#ffffee\">words on paper</mj-text>\n:::";
    for theme in ["digest", "letter", "magazine"] {
        let text = format!("---\ntitle: T\ntheme: {theme}\n---\n{body}\n");
        desk.write("issues/one/issue.md", text);
        let built = desk.compile("one").expect("an issue");
        let html = filled(&built.compiled.html);
        let cell = |words: &str| {
            let before = html.split(words).next().expect("words");
            before.rsplit("<td").next().expect("a cell").to_owned()
        };
        assert!(cell("bare words").contains("class=\"o\""), "{theme}");
        assert!(cell("own words").contains("class=\"x\""), "{theme}");
        // What has a ground of its own is left out by the rule.
        let paper = cell("words on paper");
        assert!(
            paper.contains("style=\"background:#ffffee"),
            "{theme}: {paper}"
        );
        let rule = ".o:not([style*=\"background\"])>div";
        assert!(html.contains(rule), "{theme}");
    }
}

#[test]
fn a_component_may_put_a_link_on_its_icon_and_its_label_and_names_its_icon() {
    let desk = Desk::new();
    desk.write("issues/one/pic.png", PNG);
    let body = ":::mjml\n<mj-social>\n<mj-social-element name=\"github\" src=\"pic.png\" \
                href=\"https://github.com/x\">GH</mj-social-element>\n</mj-social>\n\
                <mj-carousel>\n<mj-carousel-image src=\"pic.png\" alt=\"A chart\" \
                href=\"https://c.example/\" />\n</mj-carousel>\n:::";
    let built = desk.body(body).expect("an issue");
    let names: Vec<&str> = built
        .compiled
        .links
        .iter()
        .map(|link| &*link.name)
        .collect();
    assert_eq!(names, ["intro - GH", "intro - A chart"]);
    let refused =
        desk.refused(&body.replacen("src=\"pic.png\" href=\"https://g", "href=\"https://g", 1));
    let expected = "issue.md:6:1: error[mjml-structure]: this icon has no `src`";
    assert!(refused.contains(expected), "{refused}");
}

#[test]
fn a_link_of_components_stands_in_the_table_by_its_words_and_takes_fields_as_an_address_does() {
    let desk = Desk::new();
    let body = "## One\n\na\n\n:::mjml\n<mj-button href=\"https://b.example/?a=1&amp;b=2\">Press</mj-button>\n\
                <mj-text><a href='https://p.example/?n=[[first_name|x]]&b=1'>yours</a></mj-text>\n:::";
    let built = desk.body(body).expect("an issue");
    let links = built.compiled.links.iter();
    let links: Vec<(&str, &str)> = links.map(|link| (&*link.name, &*link.url)).collect();
    assert_eq!(links, [("1 - Press", "https://b.example/?a=1&b=2")]);
    let html = filled(&built.compiled.html);
    let personal = "href='https://p.example/?n=%3CZo%C3%AB%3E&amp;b=1'";
    assert!(html.contains(personal), "{html}");
    for (from, to, expected) in [
        (
            "https://b.example",
            "htps://b.example",
            "issue.md:9:18: error[link]",
        ),
        ("https://p.example/?n=", "", "issue.md:10:19: error["),
        (
            "<a href",
            "<a class=\"[[first_name|x]]\" href",
            "issue.md:10:20: error[slot]",
        ),
        (
            "<a href",
            "<a title=[[first_name|x onmouseover=alert(1)]] href",
            "issue.md:10:19: error[slot]: a field cannot stand in `title` without quotes",
        ),
        (
            "<a href",
            "<!--[if mso]><a class=\"[[first_name|x]]\"></a><![endif]--><a href",
            "issue.md:10:33: error[slot]: a field cannot stand in `class`",
        ),
        (
            "<a href",
            "<style>.x{color:[[first_name|red}body{display:none]]}</style><a href",
            "issue.md:10:26: error[slot]: a field cannot stand within `<style>`",
        ),
    ] {
        let refused = desk.refused(&body.replacen(from, to, 1));
        assert!(refused.contains(expected), "{to}: {refused}");
    }
}

#[test]
fn what_components_among_markdown_say_stands_in_the_text_part() {
    let desk = Desk::new();
    desk.write("issues/one/pic.png", PNG);
    let body = "Before, [one](https://one.example/).\n\n:::mjml\n<!-- no -->\n\
                <mj-text>Hello <b>[[first_name|you]]</b>, [[issue.title]] &amp; more of\n\
                <a href=\"https://two.example/?a=1&amp;b=2\">the second</a></mj-text>\n\
                <mj-image src=\"pic.png\" alt=\"A chart\" href=\"https://chart.example/\" />\n\
                <mj-divider />\n<mj-button href=\"https://press.example/\">Press</mj-button>\n:::\n\n\
                :::only tag:paid\n:::mjml\n<mj-text>Secret</mj-text>\n:::\n:::\n\nBehind.\n";
    let text = format!("---\ntitle: \"One <two> & three\"\n---\n{body}");
    desk.write("issues/one/issue.md", text);
    let built = desk.compile("one").expect("an issue");
    assert_eq!(built.diagnostics, []);
    let compiled = built.compiled;
    let text = filled(&compiled.text);
    let (_, text) = text.split_once("/view/1\n\n").expect("a head");
    let (text, _) = text.split_once("\n\n----").expect("a foot");
    assert_eq!(
        text,
        "Before, one [1].\n\nHello *<Zo\u{eb}>*, One <two> & three & more of the second [2]\n\n\
         [Image: A chart]:\nhttps://news.example.org/c/2\n\nPress:\nhttps://news.example.org/c/3\n\n\
         Behind.\n\n[1] https://news.example.org/c/0\n[2] https://news.example.org/c/1"
    );
    assert!(
        filled(&compiled.html).contains("One &lt;two&gt; &amp; three &amp; more of"),
        "what a slot stands for is words in the page as well"
    );
    let paid = compiled.text.fill_for(1, |_| String::new());
    assert!(paid.contains("\n\nSecret\n\nBehind."), "{paid}");
}

#[test]
fn a_button_of_components_that_leads_nowhere_is_told_by_its_line() {
    let desk = Desk::new();
    let told = |body: &str| {
        let built = desk.body(body).expect("an issue");
        let told: Vec<String> = built.diagnostics.iter().map(ToString::to_string).collect();
        told.join("\n")
    };
    let button = |tag: &str| format!("a\n\n:::mjml\n<mj-spacer />\n{tag}\n:::");
    let idle = told(&button("<mj-button>Go</mj-button>"));
    let place = "issue.md:8:2: warning[button-link]: this button leads nowhere";
    assert!(idle.contains(place), "{idle}");
    assert_eq!(
        told(&button(
            "<mj-button href=\"https://a.example/\">Go</mj-button>"
        )),
        ""
    );
    let layout = |defaults: &str, button: &str| {
        let text = format!(
            "---\ntitle: T\n---\n<mjml><mj-head><mj-attributes>{defaults}</mj-attributes></mj-head><mj-body>\
             <mj-section><mj-column>\n{button}<mj-text>Hello there, reader of ours \
             <a href=\"{{{{ unsubscribe_url }}}}\">Leave</a> {{{{ postal_address }}}}</mj-text></mj-column>\
             </mj-section></mj-body></mjml>"
        );
        desk.write("issues/own/issue.mjml", text);
        let found = desk.compile("own").expect("an issue").diagnostics;
        found
            .iter()
            .map(|found| (found.code, found.line))
            .collect::<Vec<_>>()
    };
    let looks = "<mj-button color=\"#ffffff\" />";
    assert_eq!(
        layout(looks, "<mj-button>Go</mj-button>"),
        [("button-link", 5)]
    );
    let everywhere = "<mj-button href=\"https://a.example/\" />";
    assert_eq!(layout(everywhere, "<mj-button>Go</mj-button>"), []);
    let leads = "<mj-button {% if true %}href=\"{{ view_url }}\"{% endif %}>Go</mj-button>";
    assert_eq!(layout(looks, leads), []);
}

#[test]
fn an_image_of_components_without_a_text_is_told_by_its_line() {
    let desk = Desk::new();
    desk.write("issues/one/pic.png", PNG);
    let told = desk.refused(
        "a\n\n:::mjml\n<mj-image src=\"pic.png\" />\n<!-- <mj-image src=\"no.png\" /> -->\n\
         <mj-image src=\"https://x.example/y.png\" alt=\"\" />\n:::",
    );
    let place = "issue.md:7:2: error[alt]: this image has no text";
    assert!(told.contains(place), "{told}");
    assert!(!told.contains("no.png") && !told.contains(":9:"), "{told}");
}

#[test]
fn an_image_that_a_theme_names_by_its_file_is_found_by_no_reader_and_refused() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["theme", "new", "mine"]).0, 0);
    let layout = desk.emails().join("themes/mine/layout.mjml");
    let text = std::fs::read_to_string(&layout).expect("a layout");
    let logo = "<mj-image src=\"logo.png\" alt=\"Our sign\" />\n{{ parts(intro, words) }}";
    let changed = text.replacen("{{ parts(intro, words) }}", logo, 1);
    assert_ne!(changed, text);
    std::fs::write(&layout, &changed).expect("a file");
    desk.write(
        "issues/walk/issue.md",
        "---\ntitle: A walk\ntheme: mine\n---\nHello.\n",
    );
    let (code, out, _) = desk.run(&["check", "walk"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("finds the image `logo.png`"), "{out}");
    let away = changed.replace("logo.png", "https://example.org/logo.png");
    std::fs::write(&layout, away).expect("a file");
    assert_eq!(desk.run(&["check", "walk"]).0, 0);
}

#[test]
fn an_image_with_a_blank_in_its_name_is_found_as_markdown_writes_it() {
    let desk = Desk::new();
    desk.write("issues/one/my photo.png", PNG);
    desk.write("issues/one/100%25.png", PNG);
    desk.write("secret.png", PNG);
    let built = desk
        .body("![A photo](my%20photo.png)\n\n![A photo](<my photo.png>)\n\n![All](100%25.png)")
        .expect("an issue");
    let html = filled(&built.compiled.html);
    let shown = html.matches("src=\"https://news.example.org/i/").count();
    assert_eq!(shown, 3, "{html}");
    let out = desk.refused("![a](%2e%2e/%2e%2e/secret.png)");
    assert!(out.contains("leads out of its folder"), "{out}");
}

#[test]
fn components_are_looked_at_beside_the_other_faults_of_an_issue() {
    let desk = Desk::new();
    let told =
        desk.refused("Hi [[frist_name|x]].\n\n:::mjml\n<mj-text colour=\"red\">a</mj-text>\n:::");
    for expected in [
        "issue.md:4:4: error[unknown-field]",
        "issue.md:7:10: error[unknown-attribute]: `mj-text` has no attribute `colour`",
    ] {
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn all_that_is_wrong_in_all_components_is_told_in_one_run_in_the_order_of_the_file() {
    let desk = Desk::new();
    let told = desk.refused(
        "Hi [[frist_name|x]].\n\n:::mjml\n<mj-text colour=\"red\">a</mj-text></mj-column>\n\
         <mj-button align=\"middle\" href=\"https://a.example/\">b</mj-button>\n\
         <mj-social><mj-social-element name=\"github\" href=\"https://a.example/g\">g</mj-social-element>\n\
         <mj-social-element name=\"x\" href=\"https://a.example/x\">x</mj-social-element></mj-social>\n\
         <mj-text><form></form></mj-text>\n:::\n\nSee ![](no.png)\n\n\
         :::mjml\n<mj-txt>c</mj-txt>\n<mj-image alt=\"d\" src=\"nowhere.png\" />\n:::\n\n\
         Hi [[fist_name|x]].",
    );
    let codes: Vec<&str> = told
        .lines()
        .filter_map(|line| line.split_once(": error[")?.1.split(']').next())
        .collect();
    assert_eq!(
        codes,
        [
            "unknown-field",
            "unknown-attribute",
            "stray-closing-tag",
            "wrong-value",
            "mjml-structure",
            "mjml-structure",
            "forbidden",
            "alt",
            "image",
            "unknown-element",
            "image",
            "unknown-field",
        ],
        "{told}"
    );
}

#[test]
fn beyond_fifty_faults_of_components_the_others_are_counted() {
    let desk = Desk::new();
    let block = |count: usize| {
        let line = "<mj-text colour=\"red\">a</mj-text>\n";
        format!(":::mjml\n{}:::\n", line.repeat(count))
    };
    let told = desk
        .body(&format!("{}\n{}\n[x]()", block(30), block(40)))
        .expect_err("a refusal");
    let faults = |told: &[String], code: &str| {
        let code = format!("[{code}]");
        told.iter().filter(|told| told.contains(&code)).count()
    };
    assert_eq!(faults(&told, "unknown-attribute"), 50, "{told:?}");
    let more = told.iter().find(|told| told.contains("[more-faults]"));
    let more = more.expect("a count");
    // The first that is not told stands on line 4 + 32 + 1 + 20.
    let expected = "issue.md:58:10: error[more-faults]: and 20 more; mend these first";
    assert!(more.contains(expected), "{more}");
    assert!(told.last().expect("a link").contains("[link]"), "{told:?}");
    let told = desk.body(&block(130)).expect_err("a refusal");
    assert_eq!(faults(&told, "unknown-attribute"), 50, "{told:?}");
    assert!(
        told.last().expect("a count").contains("and 80 more"),
        "{told:?}"
    );
    let told = desk.body(&block(50)).expect_err("a refusal");
    assert_eq!(told.len(), 50, "{told:?}");
}
