//! What an author meant and wrote in another way: each slip is told at its place, once, with what was meant.

use pressrun::diagnostic::Diagnostic;
use pressrun::publication::Rejected;

use crate::compile::desk::Desk;

const PNG: &[u8] = include_bytes!("../../../emails/issues/this-week-in-ai-research/lora.png");

/// What is told of an issue of this text.
fn told(desk: &Desk, file: &str, text: &str) -> String {
    desk.write(&format!("issues/one/{file}"), text);
    let error = desk.compile("one").expect_err(text);
    let rejected = error.downcast::<Rejected>().expect("findings");
    let found = rejected.found.iter().map(Diagnostic::to_string);
    found.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_slot_that_is_cut_never_goes_out_as_it_stands() {
    let desk = Desk::new();
    for (body, expected) in [
        (
            "Hi [[first_name|\nthere]].",
            "4:4: error[slot]: this slot does not end on its line",
        ),
        (
            "Hi [[\nfirst_name|there]].",
            "4:4: error[slot]: this slot does not end on its line",
        ),
        (
            "> Hi [[\n> first_name|there]].",
            "4:6: error[slot]: this slot does not end on its line",
        ),
        (
            "Hi [[first_name|`x`]].",
            "4:4: error[slot]: code or a comment stands in this slot",
        ),
        (
            "Hi [[frist|a `b` c]].",
            "4:4: error[slot]: code or a comment stands in this slot",
        ),
        (
            "Hi [[first_name|<!-- a -->you]].",
            "4:4: error[slot]: code or a comment stands in",
        ),
        (
            "<p>Hi [[first_name|<code>x</code>]]</p>",
            "4:7: error[slot]: code or a comment stands in",
        ),
    ] {
        let told = told(
            &desk,
            "issue.md",
            &format!("---\ntitle: One\n---\n{body}\n"),
        );
        assert!(
            told.contains(&format!("issue.md:{expected}")),
            "{body}: {told}"
        );
        assert_eq!(told.matches("error[").count(), 1, "{body}: {told}");
    }
    for fine in [
        "Brackets [[`x`]] in code.",
        "A list [[a `b`]] of [[\n\nthings]].",
        "`[[first_name|x`]]",
    ] {
        desk.body(fine).expect(fine);
    }
}

#[test]
fn what_was_most_likely_meant_is_named() {
    let desk = Desk::new();
    desk.write("issues/one/red.png", PNG);
    desk.write("issues/one/img/Blue.png", PNG);
    for (body, expected) in [
        ("[[First_Name|x]]", "did you mean `first_name`?"),
        ("[[First Name|x]]", "did you mean `first_name`?"),
        ("[[FirstName|x]]", "did you mean `first_name`?"),
        ("[[firstname|x]]", "did you mean `first_name`?"),
        ("![A red field](RED.png)", "did you mean `red.png`?"),
        (
            "![A blue field](img/blue.png)",
            "did you mean `img/Blue.png`?",
        ),
        ("![A red field](rad.png)", "did you mean `red.png`?"),
        (
            "| a | b |\n|---|---|\n| ![A red field](red.png) | c |",
            "a table holds words",
        ),
        ("## A ![A red field](red.png)\n\nb", "below the headline"),
        ("## A {#plain}\n\nb", "did you mean `{.plain}`?"),
        ("[x]([[preference_url]])", "did you mean `preferences_url`?"),
        ("[x](preference_url)", "did you mean `preferences_url`?"),
        (
            "[x](example.org/a)",
            "did you mean `https://example.org/a`?",
        ),
        (":::promo {code=\"\"}\n:::", "nothing stands in this promo"),
        (
            ":::promo {code=a}\nx\n\n:::button {url=https://a.example/}\ny\n:::\n:::",
            "close the one of line 4",
        ),
    ] {
        let told = desk.refused(body);
        assert!(told.contains(expected), "{body}: {told}");
        assert_eq!(told.matches("error[").count(), 1, "{body}: {told}");
    }
    let text = "---\ntitle: One\nshare: https://a.example/?a=[[email]]\n---\n[x]([[share_url]])\n";
    let told = told(&desk, "issue.md", text);
    assert_eq!(told.matches("error[").count(), 1, "{told}");
    assert!(told.contains("link to it: `[words](share_url)`"), "{told}");
}

#[test]
fn front_matter_that_yaml_reads_in_another_way_says_how_to_write_it() {
    let desk = Desk::new();
    for (title, expected) in [
        ("[Weekly] News", "2:17: error[front-matter]"),
        ("[Weekly] News", "stands in quotes: `title: \"...\"`"),
        ("- dash", "stands in quotes"),
        (
            "\"A\" and \"B\"",
            "put all of it in other quotation marks: `title: '\"A\" and \"B\"'`",
        ),
        ("'Don't'", "write `title: \"Don't\"`"),
        ("\"x", "close the quotation mark, or write `title: '\"x'`"),
        (
            "&amp",
            "`title` begins with a mark of YAML's; put it in quotes",
        ),
    ] {
        let told = told(&desk, "issue.md", &format!("---\ntitle: {title}\n---\na\n"));
        assert!(told.contains(expected), "{title}: {told}");
    }
    let told = told(&desk, "issue.md", "---\ntitle: One\n--- \na\n");
    assert!(
        told.contains("issue.md:3:1: error[front-matter]: blanks stand behind `---`"),
        "{told}"
    );
}

#[test]
fn an_own_layout_is_told_what_its_footer_lacks() {
    let desk = Desk::new();
    std::fs::remove_dir_all(desk.emails().join("issues/one")).ok();
    let layout = |footer: &str| {
        format!(
            "---\ntitle: One\n---\n<mjml><mj-body><mj-section><mj-column><mj-text>Hi {footer}</mj-text>\
             </mj-column></mj-section></mj-body></mjml>\n"
        )
    };
    let page = told(&desk, "issue.mjml", &layout("{{ postal_address }}"));
    assert!(
        page.contains("link to it in the footer: `<a href=\"unsubscribe_url\">...</a>`"),
        "{page}"
    );
    assert_eq!(page.matches("error[").count(), 1, "{page}");
    let page = told(
        &desk,
        "issue.mjml",
        &layout("{{ publication.postal_address }}"),
    );
    assert!(page.contains("did you mean `postal_address`?"), "{page}");
}

#[test]
fn a_size_that_is_none_is_told_once_and_not_at_the_styles_that_use_it() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["theme", "new", "mine"]).0, 0);
    let file = desk.emails().join("themes/mine/theme.toml");
    let text = std::fs::read_to_string(&file).expect("a theme");
    std::fs::write(&file, text.replacen("size = \"16px\"", "size = \"16\"", 1)).expect("a file");
    let (code, out, _) = desk.run(&["theme", "check", "mine"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("`size` must be from \"8px\" to \"96px\""),
        "{out}"
    );
    assert!(out.contains("1 error, 0 warnings"), "{out}");
}

#[test]
fn words_and_links_are_looked_at_although_the_issue_cannot_be_compiled() {
    let desk = Desk::new();
    desk.write("issues/one/red.png", PNG);
    let text = "---\ntitle: One\n---\nHi [[frist_name|you]], TODO.\n\n## One\n\n#### Deep\n\n\
                ![image](red.png)\n\n[here](http://bit.ly/a) and [a plan](TODO)\n";
    desk.write("issues/one/issue.md", text);
    let (code, out, _) = desk.run(&["check", "one"]);
    assert_eq!(code, 1, "{out}");
    for expected in [
        "warning[preheader-missing]",
        "issue.md:4:4: error[unknown-field]",
        "issue.md:4:24: error[leftover-note]",
        "issue.md:8:1: warning[heading-order]",
        "issue.md:10:1: warning[alt-text]",
        "issue.md:12:1: warning[generic-link]",
        "warning[shortened-link]",
        "error[link]: this link still lacks its target",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    assert!(out.contains("3 errors, 5 warnings"), "{out}");
    // What `pressrun.toml` says of a lint holds for these, too.
    let config = desk.folder.path().join("pressrun.toml");
    let settings = std::fs::read_to_string(&config).expect("a configuration");
    std::fs::write(&config, format!("{settings}\n[lint]\nalt-text = \"off\"\n")).expect("a file");
    let (_, out, _) = desk.run(&["check", "one"]);
    assert!(
        !out.contains("alt-text") && out.contains("unknown-field"),
        "{out}"
    );
}
