//! From the author's folder to HTML and text: what a reader gets, and what an author is told.

use pressrun::compile::{Compiled, Segment, Slot, Template};
use pressrun::diagnostic::Diagnostic;
use pressrun::publication::{Publication, compile_system};

use crate::compile::desk::Desk;

mod commands;
mod components;
pub mod desk;
mod import;
mod only;
mod own;
pub mod pictures;
mod slips;
mod slots;
mod themes;
mod words;

const SAMPLE: &str = "this-week-in-ai-research";

fn filled(template: &Template) -> String {
    let base = "https://news.example.org";
    template.fill(|slot| match slot {
        Slot::Field { name, .. } if name == "first_name" => "<Zo\u{eb}>".into(),
        Slot::Field { .. } => String::new(),
        Slot::Click(index) => format!("{base}/c/{index}"),
        Slot::Open => format!("{base}/o/1"),
        Slot::Unsubscribe => format!("{base}/u/1"),
        Slot::Preferences => format!("{base}/preferences/1"),
        Slot::View => format!("{base}/view/1"),
        Slot::Confirm => format!("{base}/confirm/1"),
    })
}

fn count(template: &Template, wanted: impl Fn(&Slot) -> bool) -> usize {
    template.slots().filter(|slot| wanted(slot)).count()
}

#[test]
fn the_sample_issue_reads_as_it_should() {
    let built = Desk::new().compile(SAMPLE).expect("the sample");
    let compiled = &built.compiled;
    // One tag a line, so that a change can be read.
    let html = filled(&compiled.html).replace("><", ">\n<");
    insta::assert_snapshot!("sample_html", html);
    insta::assert_snapshot!("sample_text", filled(&compiled.text));
    assert_eq!(
        filled(&compiled.subject),
        "\u{1f916} Eleven papers worth rereading, <Zo\u{eb}>"
    );
    assert_eq!(built.diagnostics, []);
}

#[test]
fn the_sample_issue_keeps_every_promise_of_a_mail() {
    let built = Desk::new().compile(SAMPLE).expect("the sample");
    let compiled = &built.compiled;
    assert!(compiled.html_size_estimate("https://news.example.org") < 90 * 1024);
    for part in [&compiled.html, &compiled.text] {
        assert_eq!(count(part, |slot| *slot == Slot::Unsubscribe), 1);
        assert_eq!(count(part, |slot| *slot == Slot::View), 1);
        for index in 0..compiled.links.len() {
            let this = Slot::Click(u32::try_from(index).expect("few links"));
            assert_eq!(count(part, |slot| *slot == this), 1, "link {index}");
        }
    }
    assert_eq!(count(&compiled.html, |slot| *slot == Slot::Open), 1);
    assert_eq!(count(&compiled.text, |slot| *slot == Slot::Open), 0);
    let html = filled(&compiled.html);
    for wanted in [
        "<!doctype html>\n<html lang=\"en\" dir=\"ltr\"",
        "<meta name=\"color-scheme\" content=\"light dark\">",
        "prefers-color-scheme:dark",
        "&#847;&zwnj;&nbsp;",
        "<!--[if mso | IE]>",
        "1 Example Street, 12345 Sampletown",
        "Hello &lt;Zo\u{eb}&gt;,",
        "GPT\u{2011}3",
        "\u{201c}how big should it be?\u{201d}",
        "says &lt;CALL&gt; calculator",
        "let <strong style=\"font-weight:600\">every word",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    // Gmail drops a longer block of styles.
    let styles: usize = html
        .split("<style")
        .skip(1)
        .filter_map(|style| style.split("</style>").next())
        .map(str::len)
        .sum();
    assert!(styles < 8192, "{styles}");
    assert_eq!(html.matches("role=\"article\"").count(), 1);
    assert_eq!(
        html.matches("max-width:600px").count(),
        3,
        "one section holds all items"
    );
    for image in html.split("<img ").skip(1) {
        let image = image.split('>').next().expect("a tag");
        assert!(
            image.contains("alt=\"") && image.contains("width=\""),
            "{image}"
        );
        assert!(image.contains("src=\"https://"), "{image}");
    }
    assert!(
        filled(&compiled.text)
            .lines()
            .all(|line| !line.ends_with(' '))
    );
    assert_eq!(compiled.links[1].name, "1 - Read the Transformer paper");
    assert_eq!(compiled.links[4].name, "4 - The scaling laws");
    let again = Desk::new().compile(SAMPLE).expect("the sample");
    assert_eq!(again.compiled.hash(), compiled.hash());
}

#[test]
fn nothing_is_measured_where_the_configuration_says_so() {
    let mut desk = Desk::new();
    desk.config.tracking.clicks = false;
    desk.config.tracking.opens = false;
    let compiled = desk.compile(SAMPLE).expect("the sample").compiled;
    let measured = |slot: &Slot| matches!(slot, Slot::Click(_) | Slot::Open);
    for part in [&compiled.html, &compiled.text] {
        assert_eq!(count(part, measured), 0);
        assert!(filled(part).contains("https://arxiv.org/abs/1706.03762"));
    }
    assert!(compiled.links.is_empty());
}

#[test]
fn the_confirm_mail_holds_nothing_a_stranger_typed_in() {
    let desk = Desk::new();
    let compiled = compile_system(&desk.config, &desk.emails(), "confirm").expect("the mail");
    for part in [&compiled.html, &compiled.text] {
        let slots: Vec<&Slot> = part.slots().collect();
        assert_eq!(
            slots,
            [&Slot::Confirm; 2],
            "the button and the link below it"
        );
    }
    insta::assert_snapshot!("confirm_text", filled(&compiled.text));
    for (body, expected) in [
        ("Hello", "no `confirm_url`"),
        (
            "Hello [[name|x]] [a](confirm_url)",
            "`[[name]]` cannot stand",
        ),
        ("[a](confirm_url) [b](unsubscribe_url)", "has no such page"),
    ] {
        desk.write(
            "system/confirm/issue.md",
            format!("---\ntitle: T\n---\n{body}\n"),
        );
        let error = compile_system(&desk.config, &desk.emails(), "confirm").expect_err("an error");
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(compile_system(&desk.config, &desk.emails(), "farewell").is_err());
}

#[test]
fn the_welcome_mail_can_be_left_and_is_not_measured() {
    let desk = Desk::new();
    std::fs::remove_dir_all(desk.emails().join("system")).expect("defaults in the binary remain");
    let compiled = compile_system(&desk.config, &desk.emails(), "welcome").expect("the mail");
    for part in [&compiled.html, &compiled.text] {
        assert_eq!(count(part, |slot| *slot == Slot::Unsubscribe), 2);
        assert_eq!(
            count(part, |slot| matches!(slot, Slot::Click(_) | Slot::Open)),
            0
        );
    }
    insta::assert_snapshot!("welcome_text", filled(&compiled.text));
}

#[test]
fn every_block_has_its_html_and_its_text() {
    let desk = Desk::new();
    let body = include_str!("compile/every_block.md");
    let built = desk.body(body).unwrap_or_else(|found| panic!("{found:?}"));
    let html = filled(&built.compiled.html);
    let start = html.find("<h1").expect("a title");
    let end = html.find("You receive").expect("a footer");
    insta::assert_snapshot!("every_block_html", html[start..end].replace("><", ">\n<"));
    insta::assert_snapshot!("every_block_text", filled(&built.compiled.text));
    let found: Vec<String> = built
        .diagnostics
        .iter()
        .map(Diagnostic::to_string)
        .collect();
    insta::assert_snapshot!(
        "every_block_findings",
        found.join("\n").replace(&shown(&desk), "DIR")
    );
    let names: Vec<&str> = built
        .compiled
        .links
        .iter()
        .map(|link| link.name.as_str())
        .collect();
    assert!(names.contains(&"intro - Raw [[name|you]]"), "{names:?}");
}

fn shown(desk: &Desk) -> String {
    let path = desk.emails().canonicalize().expect("a folder");
    path.display().to_string()
}

#[test]
fn hostile_values_cannot_leave_their_place() {
    let desk = Desk::new();
    let body = "Hi [[name|x]] [a](https://a.example/?n=[[name|x]]&m=1)";
    let compiled = desk.body(body).expect("an issue").compiled;
    let hostile = "\"><script>alert(1)</script>\r\n\r\nX";
    let fill = |template: &Template| {
        template.fill(|slot| match slot {
            Slot::Field { .. } => hostile.into(),
            _ => "u".into(),
        })
    };
    let html = fill(&compiled.html);
    assert!(!html.contains("<script"), "{html}");
    assert!(
        html.contains("href=\"https://a.example/?n=%22%3E%3Cscript%3E"),
        "{html}"
    );
    assert!(html.contains("%3C%2Fscript%3E%20X&amp;m=1\""), "{html}");
    let text = fill(&compiled.text);
    assert!(!text.contains('\r'), "{text}");
    assert!(text.contains("https://a.example/?n=%22%3E"), "{text}");
}

#[test]
fn images_come_from_the_issues_folder_only() {
    let desk = Desk::new();
    desk.write(
        "secret.png",
        std::fs::read(desk.emails().join(format!("issues/{SAMPLE}/lora.png"))).expect("a file"),
    );
    desk.write(
        "issues/one/a.svg",
        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
    );
    std::os::unix::fs::symlink(
        desk.emails().join("secret.png"),
        desk.emails().join("issues/one/link.png"),
    )
    .expect("a link");
    for (source, expected) in [
        (
            "missing.png",
            ":4:1: error[image]: there is no file `missing.png`",
        ),
        (
            "../../secret.png",
            "error[image]: `../../secret.png` leads out of its folder",
        ),
        ("/etc/passwd", "leads out of its folder"),
        ("link.png", "leads out of its folder"),
        ("a.svg", "SVG"),
        (
            "http://a.example/a.png",
            "neither a file of the issue nor an `https://` address",
        ),
        ("data:image/png;base64,AAAA", "neither a file"),
    ] {
        let refused = desk.refused(&format!("![alt]({source})"));
        assert!(refused.contains(expected), "{source}: {refused}");
    }
    let built = desk
        .body("![alt](https://a.example/a.png)")
        .expect("an issue");
    assert_eq!(built.diagnostics[0].code, "remote-image");
    assert!(filled(&built.compiled.html).contains("src=\"https://a.example/a.png\""));
}

#[test]
fn mjml_of_the_authors_is_checked_where_it_stands() {
    let desk = Desk::new();
    for (mjml, expected) in [
        (
            "<mj-text>a",
            "issue.md:7:2: error[unclosed-element]: `<mj-text>` is not closed",
        ),
        (
            "<mj-spacer />\n\n</mj-column>",
            "issue.md:9:3: error[stray-closing-tag]: `</mj-column>` closes what the theme opened around",
        ),
        (
            "<mj-text>a</mj-text></mj-column>\n<mj-column>",
            "issue.md:7:23: error[stray-closing-tag]: `</mj-column>` closes what the theme opened around",
        ),
        (
            "<mj-raw><script>x</script></mj-raw>",
            "error[forbidden]: `<script>`",
        ),
        (
            "<mj-button href=\"javascript:x\">a</mj-button>",
            "issue.md:7:18: error[link]: `javascript:x`",
        ),
        (
            "<mj-button href=\"https://u:p@a.example/\">a</mj-button>",
            "issue.md:7:18: error[link]",
        ),
        ("<mj-include path=\"x\" />", "error[include-unreadable]"),
    ] {
        let refused = desk.refused(&format!("a\n\n:::mjml\n{mjml}\n:::"));
        assert!(refused.contains(expected), "{mjml}: {refused}");
    }
}

#[test]
fn a_theme_that_forgets_what_must_be_there_is_refused() {
    let desk = Desk::new();
    let layout =
        std::fs::read_to_string(desk.emails().join("themes/digest/layout.mjml")).expect("a layout");
    for (from, to, expected) in [
        (
            "{{ postal_address }}",
            "",
            "`postal_address` does not come out",
        ),
        (
            "href=\"{{ unsubscribe_url }}\"",
            "href=\"#\"",
            "HTML part has no `unsubscribe_url`",
        ),
        ("{{ open_pixel }}", "", "`open_pixel` does not come out"),
        (
            "{{ parts(intro, words) }}",
            "",
            "the link `intro - a` does not come out",
        ),
        (
            "{{ parts(intro, words) }}",
            "{{ parts(intro, words) }}{{ parts(intro, words) }}",
            "the link `intro - a` comes out 2 times",
        ),
        ("{{ teaser }}", "{{ teasr }}", "themes/digest/layout.mjml"),
        (
            "</mj-body>",
            "",
            "`<mj-body>` is not closed before `</mjml>`",
        ),
    ] {
        assert!(layout.contains(from), "{from}");
        desk.write("themes/digest/layout.mjml", layout.replacen(from, to, 1));
        desk.write(
            "issues/one/issue.md",
            "---\ntitle: One\nteaser: t\n---\n[a](https://a.example)\n",
        );
        let error = desk.compile("one").expect_err("a refusal").to_string();
        assert!(error.contains(expected), "{from}: {error}");
    }
}

#[test]
fn what_cannot_be_sent_at_all_is_refused_by_name() {
    let mut desk = Desk::new();
    let refused = desk.refused("[a](confirm_url)");
    assert!(
        refused.contains("`confirm_url` exists in the confirm mail only"),
        "{refused}"
    );
    desk.write(
        "issues/one/issue.md",
        "---\ntitle: T\nsubject: \"[[view_url]]\"\n---\n",
    );
    let error = desk.compile("one").expect_err("a refusal").to_string();
    assert!(
        error.contains("a subject cannot hold an address"),
        "{error}"
    );
    desk.write("issues/one/issue.md", "---\ntitle: T\ntheme: nope\n---\n");
    let error = desk.compile("one").expect_err("a refusal").to_string();
    assert!(error.contains("there is no theme `nope`"), "{error}");
    desk.write("issues/one/issue.md", "---\ntitle: T\ntheme: ../x\n---\n");
    let error = desk.compile("one").expect_err("a refusal").to_string();
    assert!(error.contains("cannot name a theme"), "{error}");
    desk.config.publication.postal_address = " \n".into();
    let refused = desk.refused("a");
    assert!(refused.contains("error[postal-address]"), "{refused}");
}

#[test]
fn an_issue_is_found_by_slug_and_by_path() {
    let desk = Desk::new();
    let folder = desk.emails().join("issues").join(SAMPLE);
    for name in [
        folder.display().to_string(),
        folder.join("issue.md").display().to_string(),
    ] {
        assert_eq!(
            desk.compile(&name).expect("the sample").compiled.slug,
            SAMPLE
        );
    }
    let error = desk.compile("this-week").expect_err("no issue").to_string();
    assert_eq!(
        error,
        format!("there is no issue `this-week`; there are: {SAMPLE}")
    );
    desk.write("issues/two/issue.txt", "a");
    let error = desk.compile("two").expect_err("no issue").to_string();
    assert!(
        error.contains("has no `issue.md` and no `issue.mjml`"),
        "{error}"
    );
    desk.write("issues/Three!/issue.md", "");
    let error = desk.compile("Three!").expect_err("no slug").to_string();
    assert!(error.contains("lower-case"), "{error}");
}

#[test]
fn defaults_are_written_once_and_overwrite_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mine = folder.path().join("fields.toml");
    std::fs::write(&mine, "# mine\n").expect("a file");
    let written = Publication::write_defaults(folder.path()).expect("the defaults");
    assert!(!written.contains(&mine));
    for path in [
        "themes/digest/layout.mjml",
        "system/confirm/issue.md",
        "system/welcome/issue.md",
        "issues/this-week-in-ai-research/issue.md",
        "issues/this-week-in-ai-research/lora.png",
    ] {
        assert!(written.contains(&folder.path().join(path)), "{path}");
    }
    assert_eq!(std::fs::read_to_string(&mine).expect("a file"), "# mine\n");
    assert!(
        Publication::write_defaults(folder.path())
            .expect("again")
            .is_empty()
    );
}

#[test]
fn the_frozen_form_gives_back_the_same_issue() {
    let compiled = Desk::new().compile(SAMPLE).expect("the sample").compiled;
    let json = serde_json::to_string(&compiled).expect("JSON");
    let back: Compiled = serde_json::from_str(&json).expect("the same shape");
    assert_eq!(back, compiled);
    let adjacent = compiled.html.0.windows(2);
    let doubled =
        adjacent.filter(|pair| matches!(pair, [Segment::Literal(_), Segment::Literal(_)]));
    assert_eq!(doubled.count(), 0);
}

#[test]
fn a_fault_of_a_partial_is_told_once_and_leads_to_who_brought_it_in() {
    let desk = Desk::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/emails/themes/digest");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).expect("a theme");
    for name in ["theme.toml", "layout.mjml", "dark.mjml", "parts.mjml"] {
        desk.write(&format!("themes/digest/{name}"), read(name));
    }
    let parts = read("parts.mjml").replacen("<mj-text css-class", "<mj-text csss-class", 1);
    let line = parts
        .lines()
        .position(|line| line.contains("csss-class"))
        .expect("it is there")
        + 1;
    desk.write("themes/digest/parts.mjml", parts);
    let refused = desk.refused("a\n\n## One\n\nb\n\n## Two\n\nc");
    let place = format!("themes/digest/parts.mjml:{line}:10: error[unknown-attribute]");
    assert_eq!(refused.matches("error[").count(), 1, "{refused}");
    assert!(refused.contains(&place), "{refused}");
    assert!(refused.contains("did you mean `css-class`?"), "{refused}");
    let layout = read("layout.mjml");
    let from = refused
        .split_once("included from ")
        .and_then(|(_, from)| from.split_once("/emails/themes/digest/layout.mjml:"))
        .map(|(_, line)| line)
        .expect(&refused);
    let from: usize = from
        .split(':')
        .next()
        .and_then(|line| line.parse().ok())
        .expect("a line");
    let shown = layout.lines().nth(from - 1).expect("a line of the layout");
    assert!(shown.contains("{{ parts("), "{from}: {shown}");
}
