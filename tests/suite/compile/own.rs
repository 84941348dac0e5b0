//! An issue written in MJML, and everything at once in one written in Markdown.

use pressrun::compile::Slot;
use pressrun::diagnostic::Diagnostic;
use pressrun::publication::Rejected;

use crate::compile::desk::Desk;
use crate::compile::{count, filled};

const LAYOUT: &str = r##"<mjml lang="{{ language }}">
  <mj-head><mj-preview>{{ preheader }}</mj-preview><mj-style>.x{color:red}</mj-style></mj-head>
  <mj-body background-color="#eeeeee">
    <mj-section><mj-column>
      <mj-image src="pic.png" alt="Two red squares" width="200px" href="https://pic.example" />
      <mj-text><h2>First &amp; foremost</h2><p>Hello [[first_name|there]], see
        <a href="https://a.example/?a=1&amp;b=2">the <b>story</b></a> or
        <a href="https://p.example/?n=[[first_name|x]]">yours</a>.</p>
        <ul><li>one</li><li>two</li></ol></ul></mj-text>
      <mj-button href="https://button.example">Press me</mj-button>
      <mj-table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></mj-table>
    </mj-column></mj-section>
    <mj-section><mj-column>
      <mj-text>{{ words.why }} {{ publication.name }}. <a href="{{ unsubscribe_url }}">{{ words.unsubscribe }}</a><br>{{ postal_address }}</mj-text>
    </mj-column></mj-section>
  </mj-body>
</mjml>
"##;
const FRONT: &str = "---\ntitle: Own\nteaser: A layout of my own\n---\n";

/// A PNG of one colour.
fn square(width: u32, height: u32) -> Vec<u8> {
    let mut octets = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(width, height, image::Rgb([200, 30, 30]))
        .write_to(&mut octets, image::ImageFormat::Png)
        .expect("an encoder");
    octets.into_inner()
}

fn told(diagnostics: &[Diagnostic]) -> String {
    let told: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
    told.join("\n")
}

#[test]
fn an_issue_in_mjml_has_its_own_looks_and_every_promise_of_a_mail() {
    let desk = Desk::new();
    let layout = LAYOUT.replace("</ol></ul>", "</ul>");
    desk.write("issues/own/issue.mjml", format!("{FRONT}{layout}"));
    desk.write("issues/own/pic.png", square(40, 20));
    let built = desk.compile("own").expect("an issue");
    let compiled = &built.compiled;
    insta::assert_snapshot!("own_text", filled(&compiled.text));
    assert_eq!(filled(&compiled.preheader), "A layout of my own");
    let names: Vec<&str> = compiled
        .links
        .iter()
        .map(|link| link.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "intro - Two red squares",
            "First & foremost - the story",
            "First & foremost - Press me"
        ]
    );
    for part in [&compiled.html, &compiled.text] {
        assert_eq!(count(part, |slot| *slot == Slot::Unsubscribe), 1);
        assert_eq!(count(part, |slot| matches!(slot, Slot::Click(_))), 3);
    }
    assert_eq!(count(&compiled.html, |slot| *slot == Slot::Open), 1);
    let html = filled(&compiled.html);
    for wanted in [
        "Hello &lt;Zo\u{eb}&gt;, see",
        "https://p.example/?n=%3CZo%C3%AB%3E",
        "1 Example Street, 12345 Sampletown",
        "width=\"200\"",
        "height=\"100\"",
        &format!(
            "src=\"https://news.example.org/i/{}\"",
            compiled.images[0].hash
        ),
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    assert!(html.find("/o/1").expect("a pixel") > html.find("Sampletown").expect("an address"));
    assert_eq!(built.images.len(), 1);
}

#[test]
fn an_inbox_shows_what_the_layouts_own_preview_says() {
    let desk = Desk::new();
    let layout = LAYOUT.replace("</ol></ul>", "</ul>");
    let layout = layout.replace(
        "{{ preheader }}",
        "Bees &amp; [[first_name|you]]&#847;&zwnj;",
    );
    desk.write("issues/own/issue.mjml", format!("{FRONT}{layout}"));
    desk.write("issues/own/pic.png", square(40, 20));
    let built = desk.compile("own").expect("an issue");
    assert_eq!(filled(&built.compiled.preheader), "Bees & <Zo\u{eb}>");
}

#[test]
fn a_layout_knows_the_list_it_goes_to() {
    let desk = Desk::new();
    let layout = LAYOUT.replace("</ol></ul>", "</ul>");
    let layout = layout.replace(
        "{{ words.why }}",
        "{{ list.title }} {{ list.name }} [[list.title]]:",
    );
    desk.write("issues/own/pic.png", square(40, 20));
    for (front, expected) in [
        ("", "The Paper Trail weekly The Paper Trail:"),
        ("list: in-side\n", "in-side in-side in-side:"),
    ] {
        let front = FRONT.replacen("title", &format!("{front}title"), 1);
        desk.write("issues/own/issue.mjml", format!("{front}{layout}"));
        let compiled = desk.compile("own").expect("an issue").compiled;
        for part in [&compiled.html, &compiled.text] {
            assert!(filled(part).contains(expected), "{}", filled(part));
        }
    }
}

#[test]
fn a_text_beside_the_mjml_is_the_text_part() {
    let desk = Desk::new();
    let layout = LAYOUT.replace("</ol></ul>", "</ul>");
    desk.write("issues/own/issue.mjml", format!("{FRONT}{layout}"));
    desk.write("issues/own/pic.png", square(40, 20));
    desk.write(
        "issues/own/issue.txt",
        "Hello [[first_name|there]]!\n\nIn short: yes.\n",
    );
    let compiled = desk.compile("own").expect("an issue").compiled;
    let text = filled(&compiled.text);
    assert!(
        text.starts_with("Hello <Zo\u{eb}>!\n\nIn short: yes.\n\n-----"),
        "{text}"
    );
    assert!(
        text.contains("Unsubscribe:") && text.contains("Sampletown"),
        "{text}"
    );
    desk.write("issues/own/issue.txt", "Hello [[frist_name|there]]!\n");
    let error = desk.compile("own").expect_err("a refusal").to_string();
    assert!(
        error.contains("issue.txt:1:7: error[unknown-field]"),
        "{error}"
    );
}

#[test]
fn what_is_wrong_in_an_mjml_issue_is_told_where_it_stands() {
    let desk = Desk::new();
    desk.write("issues/own/pic.png", square(40, 20));
    let good = LAYOUT.replace("</ol></ul>", "</ul>");
    for (from, to, expected) in [
        (
            "<mj-button href",
            "<mj-button colr=\"red\" href",
            "18: error[unknown-attribute]: `mj-button` has no attribute `colr`",
        ),
        (
            "{{ words.why }}",
            "{{ wrods.why }}",
            "19: error[theme]: `wrods",
        ),
        (
            "pic.png",
            "pick.png",
            "22: error[image]: there is no file `pick.png`",
        ),
        (
            "[[first_name|there]]",
            "[[first_name]]",
            "54: error[no-default]",
        ),
        (
            "title: Own",
            "titel: Own",
            "1: error[front-matter]: there is no key `titel`",
        ),
        ("<mj-table>", "<mj-tabel>", "8: error[unknown-element]"),
    ] {
        let text = format!("{FRONT}{good}");
        assert!(text.contains(from), "{from}");
        desk.write("issues/own/issue.mjml", text.replacen(from, to, 1));
        let error = desk.compile("own").expect_err(from);
        let rejected = error.downcast_ref::<Rejected>().expect("findings");
        let told = told(&rejected.found);
        let at = text.find(from).expect("it stands there");
        let line = text[..at].matches('\n').count() + 1;
        let expected = format!("issue.mjml:{line}:{expected}");
        assert!(told.contains(&expected), "{from}: {told}");
        assert!(!told.contains("layout.mjml"), "{from}: {told}");
    }
    for (from, to, expected) in [
        (
            "{{ unsubscribe_url }}",
            "https://x.example",
            "the HTML part has no `unsubscribe_url`",
        ),
        (
            "{{ postal_address }}",
            "",
            "`postal_address` does not come out in the HTML part",
        ),
    ] {
        let text = format!("{FRONT}{good}").replacen(from, to, 1);
        desk.write("issues/own/issue.mjml", text);
        let error = desk.compile("own").expect_err(from).to_string();
        assert_eq!(error.matches(expected).count(), 1, "{from}: {error}");
    }
    desk.write("issues/own/issue.md", "---\ntitle: T\n---\n");
    let error = desk.compile("own").expect_err("a refusal").to_string();
    assert!(
        error.contains("has both `issue.md` and `issue.mjml`"),
        "{error}"
    );
}

#[test]
fn everything_at_once_becomes_html_and_text() {
    let desk = Desk::new();
    let body = include_str!("torture.md");
    desk.write("issues/all/small.png", square(60, 30));
    desk.write("issues/all/sharp.png", square(20, 10));
    desk.write("issues/all/sharp@2x.png", square(40, 20));
    desk.write(
        "issues/all/issue.md",
        format!("---\ntitle: All & everything\nlang: de\nshare: https://share.example\ndates: 2026-06-07\n---\n{body}"),
    );
    let built = desk.compile("all").expect("an issue");
    let html = filled(&built.compiled.html);
    let start = html.find("<h1").expect("a title");
    let end = html.find("Sie erhalten").expect("a footer");
    insta::assert_snapshot!("torture_html", html[start..end].replace("><", ">\n<"));
    insta::assert_snapshot!("torture_text", filled(&built.compiled.text));
    let codes: Vec<&str> = built.diagnostics.iter().map(|found| found.code).collect();
    assert!(codes.is_empty(), "{}", told(&built.diagnostics));
    let sources: Vec<&str> = built
        .images
        .iter()
        .map(|(image, _)| image.source.as_str())
        .collect();
    assert_eq!(sources, ["small.png", "sharp.png", "sharp@2x.png"]);
}

#[test]
fn an_issue_in_mjml_is_checked_by_its_lines_and_its_theme_marks_are_no_leftovers() {
    let desk = Desk::new();
    desk.write("issues/own/pic.png", square(40, 20));
    let layout = LAYOUT
        .replace("</ol></ul>", "</ul>")
        .replace(".x{color:red}", "@media print{.x{width:50%}}");
    desk.write("issues/own/issue.mjml", format!("{FRONT}{layout}"));
    let (code, out, error) = desk.run(&["check", "own"]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(!out.contains("leftover"), "{out}");

    let faults = [
        (".x{width:50%}", ".x{width:50%;float:left}", "mail-css"),
        ("see\n", "see TODO\n", "leftover-note"),
        ("the <b>story</b>", "<b>here</b>", "generic-link"),
        ("<li>two</li>", "<li>*|FNAME|*</li>", "leftover-template"),
        ("<td>2</td>", "<td><meter></meter></td>", "mail-html"),
    ];
    let mut wrong = format!("{FRONT}{layout}");
    for (from, to, _) in faults {
        wrong = wrong.replacen(from, to, 1);
    }
    desk.write("issues/own/issue.mjml", &wrong);
    let (code, out, _) = desk.run(&["check", "own"]);
    assert_eq!(code, 1, "{out}");
    for (_, to, lint) in faults {
        let mut lines = wrong.lines();
        let line = lines.position(|line| line.contains(to.trim_end()));
        let line = line.expect("a line") + 1;
        let told = out.lines().find(|told| told.contains(&format!("[{lint}]")));
        let told = told.unwrap_or_else(|| panic!("{lint}: {out}"));
        let place = format!("emails/issues/own/issue.mjml:{line}:");
        assert!(told.starts_with(&place), "{place} {told}");
    }
}

#[test]
fn outlooks_own_words_are_filled_in_and_a_navigation_leads_behind_its_base_in_the_text_too() {
    let desk = Desk::new();
    desk.write("issues/own/pic.png", square(40, 20));
    let layout = LAYOUT.replace("</ol></ul>", "</ul>").replacen(
        "<mj-button",
        "<mj-text><!--[if mso]><p title=\"[[first_name|x]]\">Outlook, [[first_name|you]]\
         <a href=\"https://o.example/\">o</a></p><![endif]--></mj-text>\n\
         <mj-navbar base-url=\"https://n.example\"><mj-navbar-link href=\"/a?b=1\">First</mj-navbar-link>\
         </mj-navbar><mj-button",
        1,
    );
    desk.write("issues/own/issue.mjml", format!("{FRONT}{layout}"));
    let built = desk.compile("own").expect("an issue");
    let html = filled(&built.compiled.html);
    let wanted = "<!--[if mso]><p title=\"&lt;Zo\u{eb}&gt;\">Outlook, &lt;Zo\u{eb}&gt;\
                  <a href=\"https://news.example.org/c/";
    assert!(html.contains(wanted), "{html}");
    assert!(!html.contains("[["), "{html}");
    let text = filled(&built.compiled.text);
    assert!(
        text.contains("\nFirst: https://n.example/a?b=1\n"),
        "{text}"
    );
    // Another issue of the folder has the same subject.
    let other = format!("{FRONT}{}", LAYOUT.replace("</ol></ul>", "</ul>"));
    desk.write("issues/other/issue.mjml", other);
    let (_, out, error) = desk.run(&["check", "own"]);
    assert!(out.contains("[subject-repeated]"), "{out}{error}");
}

/// A layout as another tool exports it: no front matter, and no word of ours.
const PLAIN: &str = r##"<!-- Made elsewhere -->
<mjml>
  <mj-head>
    <mj-title>Bees &amp;
      hives</mj-title>
    <mj-preview>Eleven thousand workers, and one queen.</mj-preview>
    <mj-style>@media print{#foot{display:none}}</mj-style>
  </mj-head>
  <mj-body>
    <mj-section><mj-column>
      <mj-text>Hello, see <a href="https://a.example/hive">the hive</a>.</mj-text>
      <mj-text><a href="unsubscribe_url">Leave</a><br>{{ postal_address }}</mj-text>
    </mj-column></mj-section>
  </mj-body>
</mjml>
"##;

#[test]
fn a_plain_mjml_file_is_an_issue() {
    let desk = Desk::new();
    desk.write("issues/plain/issue.mjml", PLAIN);
    let compiled = desk.compile("plain").expect("an issue").compiled;
    assert_eq!(compiled.title, "Bees & hives");
    assert_eq!(filled(&compiled.subject), "Bees & hives");
    let preheader = "Eleven thousand workers, and one queen.";
    assert_eq!(filled(&compiled.preheader), preheader);
    let html = filled(&compiled.html);
    assert!(html.contains("@media print{#foot{display:none}}"), "{html}");
    assert!(filled(&compiled.text).contains("Sampletown"));
    let (code, out, error) = desk.run(&["check", "plain", "--deny", "warnings"]);
    assert_eq!(code, 0, "{out}{error}");
    // Settings stand above it, and its own words win where both say one.
    let front = "---\nsubject: \"Hello, [[first_name|you]]\"\nlang: de\n---\n";
    desk.write("issues/plain/issue.mjml", format!("{front}{PLAIN}"));
    let compiled = desk.compile("plain").expect("an issue").compiled;
    assert_eq!(compiled.title, "Bees & hives");
    assert_eq!(filled(&compiled.subject), "Hello, <Zo\u{eb}>");
    assert_eq!(filled(&compiled.preheader), preheader);
    // Its title is known to whoever looks through the shelf.
    desk.write("issues/two/issue.mjml", PLAIN);
    desk.write("issues/plain/issue.mjml", PLAIN);
    let (_, out, error) = desk.run(&["check", "two"]);
    assert!(
        out.contains("issue.mjml:4:15: warning[subject-repeated]"),
        "{out}{error}"
    );
}

#[test]
fn what_a_plain_mjml_file_lacks_is_told_at_its_line_in_one_run() {
    let desk = Desk::new();
    let bare = PLAIN
        .replace("{{ postal_address }}", "1 Street")
        .replace("unsubscribe_url", "https://a.example/leave");
    desk.write("issues/plain/issue.mjml", &bare);
    let refused = desk.compile("plain").expect_err("a refusal").to_string();
    for expected in [
        "issue.mjml:14:3: error[theme]: `postal_address` does not come out in the HTML part",
        "issue.mjml:14:3: error[unsubscribe]: the HTML part has no `unsubscribe_url`",
    ] {
        assert_eq!(refused.matches(expected).count(), 1, "{refused}");
    }
    let untitled = bare
        .replace("<mj-title>Bees &amp;\n      hives</mj-title>", "")
        .replace("<mj-text>Hello", "<mj-text colour=\"red\">Hello");
    desk.write("issues/plain/issue.mjml", untitled);
    let refused = desk.compile("plain").expect_err("a refusal").to_string();
    for expected in [
        "issue.mjml:3:3: error[front-matter]: the issue has no title",
        "help: write `<mj-title>...</mj-title>` into `<mj-head>`",
        "issue.mjml:10:16: error[unknown-attribute]",
    ] {
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
}
