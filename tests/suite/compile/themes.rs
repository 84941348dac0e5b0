//! The three themes, what is promised of each, and the commands around them.

use pressrun::compile::theme::look::Look;
use pressrun::compile::theme::tokens::Measure;
use pressrun::compile::{Compiled, Slot};
use pressrun::diagnostic::{Diagnostic, Source};
use pressrun::publication::compile_system;
use pressrun::publication::themes::{check_theme, specimen};

use crate::compile::desk::Desk;
use crate::compile::{SAMPLE, count, filled};

const THEMES: [&str; 3] = ["digest", "letter", "magazine"];
const URL: &str = "https://news.example.org";

fn shown(desk: &Desk, theme: &str) -> Compiled {
    let built = specimen(&desk.config, &desk.emails(), theme).expect(theme);
    // A language of which the themes have no words is told, and is set all the same.
    let other = |found: &&Diagnostic| !found.message.contains("says its own words");
    let other: Vec<&Diagnostic> = built.diagnostics.iter().filter(other).collect();
    assert!(other.is_empty(), "{other:?}");
    built.compiled
}

fn html(compiled: &Compiled) -> String {
    // One tag a line, so that a change can be read.
    filled(&compiled.html).replace("><", ">\n<")
}

#[test]
fn every_specimen_shows_every_block_without_a_finding() {
    let desk = Desk::new();
    for theme in THEMES {
        let compiled = shown(&desk, theme);
        let page = html(&compiled);
        for wanted in [
            "<h1",
            "<h2",
            "<h3",
            "<ul",
            "<ol",
            "<blockquote",
            "<pre",
            "<code",
            "<th ",
            "<sup",
            "<hr",
            "<strong",
            "class=\"promo\"",
            "class=\"code\"",
            "1 Example Street",
        ] {
            assert!(page.contains(wanted), "{theme}: {wanted}");
        }
        let shared = ["Share this issue", "Pass it on"];
        assert!(shared.iter().any(|words| page.contains(words)), "{theme}");
        insta::assert_snapshot!(format!("{theme}_html"), page);
        insta::assert_snapshot!(format!("{theme}_text"), filled(&compiled.text));
    }
}

#[test]
fn every_theme_keeps_every_promise_of_a_mail() {
    let mut desk = Desk::new();
    for theme in THEMES {
        desk.config.publication.theme = theme.into();
        let sample = desk.compile(SAMPLE).expect(theme).compiled;
        let size = sample.html_size_estimate(URL);
        assert!(size < 60 * 1024, "{theme}: {size}");
        for compiled in [sample, shown(&desk, theme)] {
            for part in [&compiled.html, &compiled.text] {
                for slot in [Slot::Unsubscribe, Slot::Preferences, Slot::View] {
                    assert_eq!(count(part, |found| *found == slot), 1, "{theme}: {slot:?}");
                }
            }
            let page = html(&compiled);
            for wanted in [
                "<meta name=\"color-scheme\" content=\"light dark\">",
                "@media (prefers-color-scheme:dark)",
                "[data-ogsc] .t",
                "[data-ogsb] ",
                "<!--[if mso | IE]>",
                "&#847;&zwnj;&nbsp;",
            ] {
                assert!(page.contains(wanted), "{theme}: {wanted}");
            }
            assert!(
                !page.contains("background-image") && !page.contains("url("),
                "{theme}"
            );
            for style in page.split("<style").skip(1) {
                // Gmail drops a longer block.
                let end = style.find("</style>").expect("an end");
                assert!(end < 8192, "{theme}: {end}");
            }
            for image in page.split("<img ").skip(1) {
                let image = image.split('>').next().expect("a tag");
                assert!(
                    image.contains("alt=\"") && image.contains("width=\""),
                    "{theme}: {image}"
                );
            }
        }
    }
}

#[test]
fn text_is_large_enough_and_stands_out_in_both_schemes() {
    let desk = Desk::new();
    for theme in THEMES {
        let inspection = check_theme(&desk.config, &desk.emails(), theme).expect(theme);
        assert!(
            inspection.diagnostics.is_empty(),
            "{:?}",
            inspection.diagnostics
        );
        assert!(inspection.contrasts.len() >= 13, "{theme}");
        for pair in &inspection.contrasts {
            assert!(pair.light >= 4.5 && pair.dark >= 4.5, "{theme}: {pair:?}");
        }
        let path = format!(
            "{}/emails/themes/{theme}/theme.toml",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).expect("a theme");
        let source = Source {
            file: "theme.toml",
            text: &text,
        };
        let look = Look::read(source).expect("a sound theme");
        let size = &look.tokens.kinds[&("body", "size")];
        assert!(matches!(size, Measure::Pixels(16..)), "{theme}: {size:?}");
    }
}

#[test]
fn a_language_from_right_to_left_turns_the_page() {
    let mut desk = Desk::new();
    desk.config.publication.language = "ar".into();
    for (theme, border) in
        THEMES
            .iter()
            .zip(["border-right:3px", "border-right:2px", "border-right:6px"])
    {
        let page = html(&shown(&desk, theme));
        assert!(page.contains("lang=\"ar\" dir=\"rtl\""), "{theme}");
        // A column's own box has no text; what stands in it says its side itself.
        let inner = page.replace("font-size:0px;text-align:left", "");
        assert!(!inner.contains("text-align:left"), "{theme}");
        assert!(!page.contains("direction:ltr"), "{theme}");
        // A masthead's far cell is on the left where the near one is on the right.
        let inner = page.replace("align=\"left\" valign=\"bottom\"", "");
        assert!(!inner.contains("align=\"left\""), "{theme}");
        assert!(page.contains(border), "{theme}");
    }
}

#[test]
fn one_token_changes_a_colour_everywhere() {
    let desk = Desk::new();
    for theme in THEMES {
        let (code, _, complaint) = desk.run(&["theme", "new", "mine", "--from", theme]);
        assert_eq!(code, 0, "{complaint}");
        let path = desk.emails().join("themes/mine");
        let toml = std::fs::read_to_string(path.join("theme.toml")).expect("a theme");
        let set = |text: &str, scheme: &str, colour: &str| {
            let at = text.find(&format!("[colors.{scheme}]")).expect("a scheme");
            let at = at + text[at..].find("\naccent = \"").expect("a token") + 11;
            (
                text[at..at + 7].to_owned(),
                format!("{}{colour}{}", &text[..at], &text[at + 7..]),
            )
        };
        let (light, toml) = set(&toml, "light", "#012345");
        let (dark, toml) = set(&toml, "dark", "#fedcba");
        // The digest's buttons have the colour of its links, by tokens of their own.
        let toml = toml.replace(&format!("button = \"{light}\""), "button = \"#012345\"");
        let toml = toml.replace(&format!("button = \"{dark}\""), "button = \"#fedcba\"");
        let toml = toml.replace(&format!("band = \"{light}\""), "band = \"#012345\"");
        desk.write("themes/mine/theme.toml", toml);
        let page = html(&shown(&desk, "mine"));
        assert!(
            page.contains("#012345") && page.contains("#fedcba"),
            "{theme}"
        );
        assert!(!page.contains(&light) && !page.contains(&dark), "{theme}");
        std::fs::remove_dir_all(path).expect("the theme goes");
    }
}

#[test]
fn system_mails_follow_the_publications_theme() {
    let mut desk = Desk::new();
    for theme in THEMES {
        desk.config.publication.theme = theme.into();
        for kind in ["confirm", "welcome", "goodbye", "probe"] {
            let compiled = compile_system(&desk.config, &desk.emails(), kind).expect(kind);
            let leaves = i32::from(matches!(kind, "welcome" | "probe"));
            for part in [&compiled.html, &compiled.text] {
                let found = count(part, |slot| *slot == Slot::Unsubscribe);
                // These say it once in their text as well.
                assert_eq!(i32::from(found > 0), leaves, "{theme}: {kind}");
            }
        }
        let goodbye = compile_system(&desk.config, &desk.emails(), "goodbye").expect("a mail");
        if theme == "letter" {
            insta::assert_snapshot!("goodbye_text", filled(&goodbye.text));
        }
    }
}

#[test]
fn themes_are_listed_copied_once_and_previewed() {
    let desk = Desk::new();
    let (_, before, _) = desk.run(&["theme", "list"]);
    let (code, copied, _) = desk.run(&["theme", "new", "mine", "--from", "letter"]);
    assert_eq!(code, 0);
    let (again, _, refused) = desk.run(&["theme", "new", "mine"]);
    assert_eq!(again, 1);
    let refused = refused.replace(&desk.emails().display().to_string(), "emails");
    let (unknown, _, meant) = desk.run(&["theme", "new", "other", "--from", "magasine"]);
    assert_eq!(unknown, 1);
    let (_, _, name) = desk.run(&["theme", "new", "../mine"]);
    let (_, after, _) = desk.run(&["theme", "list"]);
    let (checked, table, _) = desk.run(&["theme", "check", "mine"]);
    assert_eq!(checked, 0);
    insta::assert_snapshot!(
        "theme_commands",
        format!("{before}\n{copied}\n{refused}{meant}{name}\n{after}\n{table}")
    );
    let (code, files, _) = desk.run(&["theme", "preview", "mine", "--out", "shown"]);
    assert_eq!(code, 0);
    for file in files.lines() {
        assert!(desk.folder.path().join(file).is_file(), "{file}");
    }
    assert!(
        files.contains("shown/index.html") && files.contains("shown/i/"),
        "{files}"
    );
}

#[test]
fn a_theme_with_faults_is_told_each_at_its_line() {
    let desk = Desk::new();
    let (code, _, _) = desk.run(&["theme", "new", "mine"]);
    assert_eq!(code, 0);
    let path = desk.emails().join("themes/mine");
    let change = |file: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(path.join(file)).expect("a file");
        assert!(text.contains(from), "{from}");
        desk.write(&format!("themes/mine/{file}"), text.replacen(from, to, 1));
    };
    change("theme.toml", "muted = \"#5d6577\"", "muted = \"#a0a6b4\"");
    change(
        "layout.mjml",
        "color=\"{{ colors.button_text }}\"",
        "color=\"#ffffff\"",
    );
    change(
        "layout.mjml",
        "{{ ground(colors, \"[data-ogsb] \") }}\n",
        "",
    );
    desk.write("themes/mine/spare.mjml", "<mj-text>never</mj-text>\n");
    std::fs::remove_dir_all(path.join("specimen")).expect("no specimen");
    let (faint, told, _) = desk.run(&["theme", "check", "mine"]);
    assert_eq!(faint, 1);
    change("theme.toml", "accent = ", "acent = ");
    change("theme.toml", "size = \"16px\"", "size = \"16pt\"");
    let (wrong, wrongly, _) = desk.run(&["theme", "check", "mine"]);
    assert_eq!(wrong, 1);
    insta::assert_snapshot!("theme_faults", format!("{told}\n{wrongly}"));
    let (code, json, _) = desk.run(&["theme", "check", "mine", "--json"]);
    assert_eq!(code, 1);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["theme"], "mine");
    assert_eq!(json[0]["diagnostics"][0]["severity"], "error");
}

#[test]
fn a_layout_that_names_no_token_is_told_what_was_meant() {
    let desk = Desk::new();
    let path = desk.emails().join("themes/digest/layout.mjml");
    let text = std::fs::read_to_string(path).expect("a layout");
    desk.write(
        "themes/digest/layout.mjml",
        text.replacen("{{ colors.background }}", "{{ colors.backgruond }}", 1),
    );
    let told = desk.refused("a");
    assert!(
        told.contains("`colors.backgruond` is not given to this theme"),
        "{told}"
    );
    assert!(told.contains("did you mean `colors.background`?"), "{told}");
    desk.write(
        "issues/two/issue.md",
        "---\ntitle: Two\ntheme: leter\n---\na\n",
    );
    let error = desk.compile("two").expect_err("no such theme").to_string();
    assert!(error.contains("did you mean `letter`?"), "{error}");
}

#[test]
fn code_is_written_from_left_to_right_wherever_it_stands() {
    let desk = Desk::new();
    for (language, direction) in [("ar", " dir=\"ltr\""), ("en", "")] {
        let text = format!("---\ntitle: T\nlang: {language}\n---\na `b;` c\n\n```\nd;\n```\n");
        desk.write("issues/one/issue.md", text);
        let built = desk.compile("one").expect("an issue");
        let page = filled(&built.compiled.html);
        for tag in ["code", "pre"] {
            let open = page.split(&format!("<{tag}")).nth(1).expect(tag);
            let open = open.split('>').next().expect("a tag");
            assert_eq!(open.contains(" dir="), !direction.is_empty(), "{open}");
            assert!(open.contains(direction), "{open}");
        }
    }
}

#[test]
fn the_magazine_draws_a_picture_as_wide_as_a_phone_only_where_it_fills_the_sheet() {
    let desk = Desk::new();
    let png = include_bytes!("../../../emails/issues/this-week-in-ai-research/lora.png");
    desk.write("issues/one/pic.png", png);
    for (size, fluid) in [("", true), ("{width=200}", false)] {
        let text = format!("---\ntitle: T\ntheme: magazine\n---\n![A chart](pic.png){size}\n");
        desk.write("issues/one/issue.md", text);
        let built = desk.compile("one").expect("an issue");
        let page = filled(&built.compiled.html);
        assert_eq!(
            page.contains("class=\"mj-full-width-mobile\""),
            fluid,
            "{size}"
        );
    }
}

#[test]
fn a_theme_that_prints_no_footnotes_is_told() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["theme", "new", "mine"]).0, 0);
    let layout = desk.emails().join("themes/mine/layout.mjml");
    let text = std::fs::read_to_string(&layout).expect("a layout");
    let changed = text.replacen("{% if notes %}", "{% if false %}", 1);
    assert_ne!(changed, text);
    let issue = "---\ntitle: T\ntheme: mine\n---\na[^1] b\n\n[^1]: note\n";
    desk.write("issues/one/issue.md", issue);
    desk.compile("one").expect("an issue");
    std::fs::write(&layout, changed).expect("a file");
    let refused = desk.compile("one").expect_err("a refusal").to_string();
    let expected = "footnote 1 does not come out in the HTML part";
    assert!(refused.contains(expected), "{refused}");
}

#[test]
fn a_theme_speaks_the_language_of_its_issue() {
    let desk = Desk::new();
    let speaks = |front: &str| {
        let front = format!(
            "---\ntitle: T\nshare: https://share.example\n{front}---\na [link](https://example.org/)\n"
        );
        desk.write("issues/one/issue.md", front);
        let (code, out, _) = desk.run(&["check", "one"]);
        let built = desk.compile("one").expect("an issue");
        let parts = html(&built.compiled) + &built.compiled.text.fill(|_| String::new());
        (code, out.contains("says its own words"), parts)
    };
    for theme in ["digest", "letter", "magazine"] {
        let (code, told, parts) = speaks(&format!("lang: de-AT\ntheme: {theme}\n"));
        assert_eq!((code, told), (0, false));
        for word in [
            "Abmelden",
            "Einstellungen",
            "Im Browser ansehen",
            "weil Sie sie",
        ] {
            assert!(parts.contains(word), "{theme}: {word} in {parts}");
        }
        for word in ["Unsubscribe", "Preferences", "browser", "because"] {
            assert!(!parts.contains(word), "{theme}: {word} in {parts}");
        }
    }
    // In a language that no theme knows, the author is told and may say the words herself.
    assert!(speaks("lang: sw\n").1);
    assert_eq!(desk.run(&["theme", "new", "mine"]).0, 0);
    let file = desk.emails().join("themes/mine/theme.toml");
    let toml = std::fs::read_to_string(&file).expect("a theme");
    desk.write(
        "themes/mine/theme.toml",
        format!(
            "{toml}\n[words.de]\nunsubscribe = \"Abbestellen\"\n[words.sw]\nview = \"Angalia\"\n"
        ),
    );
    let (_, told, parts) = speaks("lang: de\ntheme: mine\n");
    assert!(
        !told && parts.contains("Abbestellen") && parts.contains("Einstellungen"),
        "{parts}"
    );
    let (_, told, parts) = speaks("lang: sw\ntheme: mine\n");
    assert!(told && parts.contains("Angalia"), "one word is not all");
    let (_, out, _) = desk.run(&["check", "one"]);
    assert!(out.contains("under `[words.sw]`: unsubscribe, "), "{out}");
    // Words that are said to be German are those of German issues, and of no others.
    let german = toml.replace(
        "view = \"View in browser\"",
        "language = \"de\"\nview = \"Ansicht\"",
    );
    desk.write("themes/mine/theme.toml", german);
    assert!(speaks("lang: de\ntheme: mine\n").2.contains("Ansicht"));
    let (_, told, parts) = speaks("theme: mine\n");
    assert!(
        !told && parts.contains("View in browser") && !parts.contains("Ansicht"),
        "{parts}"
    );
    // What she wrote instead of the English word, and in no language, is in that of her publication.
    let hers = toml.replace("\"Unsubscribe\"", "\"Abbestellen\"");
    assert_ne!(hers, toml);
    desk.write("themes/mine/theme.toml", &hers);
    let (_, told, parts) = speaks("lang: de\ntheme: mine\n");
    assert!(!told && parts.contains("Abmelden"), "{parts}");
    let mut german = Desk::new();
    german.config.publication.language = "de".into();
    german.write(
        "issues/one/issue.md",
        "---\ntitle: T\ntheme: letter\n---\na [link](https://example.org/)\n",
    );
    let built = german.compile("one").expect("an issue");
    let parts = html(&built.compiled);
    assert!(
        parts.contains("Abmelden") && !parts.contains("because"),
        "a theme that comes along is nobody's own: {parts}"
    );
    german.write("themes/digest/theme.toml", &hers);
    let built = german.body("a [link](https://example.org/)");
    let parts = html(&built.expect("an issue").compiled);
    assert!(
        parts.contains("Abbestellen") && parts.contains("Einstellungen"),
        "{parts}"
    );
    // So it stands in no English issue of that publication.
    german.write(
        "issues/one/issue.md",
        "---\ntitle: T\nlang: en\n---\na [link](https://example.org/)\n",
    );
    let parts = html(&german.compile("one").expect("an issue").compiled);
    assert!(
        parts.contains("Unsubscribe") && !parts.contains("Abbestellen"),
        "{parts}"
    );
    desk.write(
        "themes/mine/theme.toml",
        format!("{toml}\n[words.de]\nunsubscrbe = \"\"\n"),
    );
    let (code, out, _) = desk.run(&["theme", "check", "mine"]);
    assert!(
        code != 0 && out.contains("did you mean `unsubscribe`?"),
        "{out}"
    );
}
