//! Slots of the front matter, and values that are written as the issue's language does.

use pressrun::compile::Template;
use pressrun::lint::Facts;
use pressrun::preflight;
use pressrun::run::sample::{self, Reader};

use crate::compile::desk::Desk;
use crate::compile::filled;

#[test]
fn preheader_and_teaser_take_slots_and_the_title_says_why_it_does_not() {
    let desk = Desk::new();
    let issue = |front: &str| format!("---\ntitle: One\n{front}\n---\nHello.\n");
    desk.write(
        "issues/one/issue.md",
        issue("preheader: \"For [[first_name|you & me]]: \\\\[[x]]\"\nteaser: \"A teaser, [[first_name|friend]]\""),
    );
    let built = desk.compile("one").expect("an issue");
    let html = filled(&built.compiled.html);
    assert!(html.contains("For &lt;Zo\u{eb}&gt;: [[x]]"), "{html}");
    assert!(html.contains("A teaser, &lt;Zo\u{eb}&gt;"), "{html}");
    assert!(filled(&built.compiled.text).contains("\nA teaser, <Zo\u{eb}>\n"));
    let empty = |template: &Template| template.fill(|_| String::new());
    assert_eq!(empty(&built.compiled.preheader), "For you & me: [[x]]");
    assert!(empty(&built.compiled.html).contains("For you &amp; me: [[x]]"));

    desk.write(
        "issues/one/issue.md",
        issue("teaser: \"Only [[first_name|you]]\""),
    );
    let built = desk.compile("one").expect("an issue");
    assert_eq!(filled(&built.compiled.preheader), "Only <Zo\u{eb}>");

    for (front, expected) in [
        (
            "teaser: \"Hi [[frist_name|x]]\"",
            "issues/one/issue.md:3:13: error[unknown-field]: no field is called `frist_name`",
        ),
        (
            "preheader: \"[[view_url]]\"",
            "issues/one/issue.md:3:13: error[slot]: a preheader cannot hold an address",
        ),
        (
            "subject: \"[[issue.teaser]]\"\nteaser: \"Hi [[first_name|x]]\"",
            "issues/one/issue.md:3:11: error[slot]: `[[issue.teaser]]` is another one for every reader",
        ),
        (
            "lang: \"[[first_name|en]]\"",
            "issues/one/issue.md:3:7: error[front-matter]: `lang` is the same for every reader",
        ),
    ] {
        desk.write("issues/one/issue.md", issue(front));
        let error = desk.compile("one").expect_err(front).to_string();
        assert!(error.contains(expected), "{front}: {error}");
        assert_eq!(error.matches("error[").count(), 1, "{error}");
    }
    let text = "---\ntitle: \"Hi [[first_name|x]]\"\n---\nHello.\n";
    desk.write("issues/one/issue.md", text);
    let error = desk
        .compile("one")
        .expect_err("a slot in the title")
        .to_string();
    assert!(
        error.contains(
            "issue.md:2:8: error[front-matter]: `title` is the same for every reader; slots stand \
                        in `subject`, `preheader`, `teaser` and in the text"
        ),
        "{error}"
    );
}

#[test]
fn dates_and_numbers_of_readers_are_written_in_the_language_of_the_issue() {
    let desk = Desk::new();
    desk.write(
        "fields.toml",
        "[fields.renewal]\ntype = \"date\"\n[fields.points]\ntype = \"number\"\n",
    );
    let text = "---\ntitle: One\nlang: de\nsubject: \"Bis [[renewal|bald]]\"\n---\n\
                [[points|0]] Punkte bis [[renewal|bald]]: [mehr](https://a.example/?d=[[renewal|x]]).\n";
    desk.write("issues/one/issue.md", text);
    let built = desk.compile("one").expect("an issue");
    let mut reader = Reader::emptiest();
    let fields = [("renewal", "2026-03-03"), ("points", "12345")];
    reader.values.fields = fields
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    let compiled = &built.compiled;
    assert_eq!(sample::subject(compiled, &reader), "Bis 3. M\u{e4}rz 2026");
    let html = sample::html(compiled, "https://news.example.org", &reader);
    assert!(
        html.contains("12.345 Punkte bis 3. M\u{e4}rz 2026: <a"),
        "{html}"
    );
    assert!(html.contains("https://a.example/?d=2026-03-03"), "{html}");
    let text = sample::text(compiled, "https://news.example.org", &reader);
    assert!(
        text.contains("12.345 Punkte bis 3. M\u{e4}rz 2026"),
        "{text}"
    );
    // The message itself says the same.
    let made = sample::make(&desk.config, desk.folder.path(), &built, &reader).expect("a message");
    assert!(
        made.html
            .contains("12.345 Punkte bis 3. M\u{e4}rz 2026: <a"),
        "{}",
        made.html
    );
}

#[test]
fn the_page_on_issues_names_every_slot_and_key_and_its_example_deserves_no_lint() {
    let page = include_str!("../../../docs/issues.md");
    let desk = Desk::new();
    let (_, rest) = page.split_once("```markdown\n").expect("an example");
    let (example, _) = rest.split_once("\n```").expect("its end");
    desk.write("issues/one/issue.md", format!("{example}\n"));
    let built = desk.compile("one").expect("an issue");
    let found = preflight::findings(&desk.config, &built, &Facts::default());
    assert_eq!(found, []);
    // Whatever begins like this is told with the names there are.
    for family in ["issue", "list", "publication"] {
        let told = desk.refused(&format!("[[{family}.zzzzzzzz]]"));
        let (_, names) = told.split_once("there are ").expect("names");
        for name in names.lines().next().unwrap_or_default().split(", ") {
            let slot = format!("`[[{}]]`", name.trim_matches('`'));
            assert!(page.contains(&slot), "{slot}");
        }
    }
    for page_of_ours in ["unsubscribe", "preferences", "view", "confirm", "share"] {
        assert!(page.contains(&format!("`[[{page_of_ours}_url]]`")));
    }
    desk.write("issues/one/issue.md", "---\nnothing: x\n---\n");
    let told = desk.compile("one").expect_err("a refusal").to_string();
    let (_, keys) = told.split_once("there are: ").expect("the keys");
    for key in keys.lines().next().unwrap_or_default().split(", ") {
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
}
