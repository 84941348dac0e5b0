//! What a stranger does wrong at first, and where it leads them.

use crate::compile::desk::Desk;

const PNG: &[u8] = include_bytes!("../../../emails/issues/this-week-in-ai-research/lora.png");
const ISSUE: &str = "---
title: A walk
preheader: What a stranger does wrong at first, and is told about
theme: mine
---

Hello [[frist_name|there]],

## One

Words with a [link](https://example.org/a).

![](cat.png)

## Two

- a list
";

#[test]
fn a_wrong_field_a_wrong_attribute_of_a_partial_and_a_missing_text_are_told_in_one_run() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["theme", "new", "mine", "--from", "letter"]).0, 0);
    let parts = desk.emails().join("themes/mine/parts.mjml");
    let good = std::fs::read_to_string(&parts).expect("the partial");
    let bad = good.replacen("<mj-text ", "<mj-text colour=\"red\" ", 1);
    let line = bad
        .lines()
        .position(|line| line.contains("colour="))
        .expect("a line")
        + 1;
    std::fs::write(&parts, bad).expect("a file");
    desk.write("issues/walk/issue.md", ISSUE);
    desk.write("issues/walk/cat.png", PNG);

    let (code, out, _) = desk.run(&["check", "walk"]);
    assert_eq!(code, 1, "{out}");
    for expected in [
        "emails/issues/walk/issue.md:7:7: error[unknown-field]: no field is called `frist_name`",
        "help: did you mean `first_name`?",
        "emails/issues/walk/issue.md:13:1: error[alt]: this image has no text",
        &format!(
            "emails/themes/mine/parts.mjml:{line}:10: error[unknown-attribute]: `mj-text` has no attribute \
             `colour`"
        ),
        "help: did you mean `color`?",
        "included from emails/themes/mine/layout.mjml:",
        "issue.md:11:14: warning[generic-link]: this link says `link` and not where it leads",
        "3 errors, 1 warning",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    // What is named is there: an editor and a workflow of GitHub find it.
    let (_, out, _) = desk.run(&["check", "walk", "--format", "github"]);
    let files = out.lines().filter_map(|line| line.split_once("file="));
    let files: Vec<&str> = files
        .filter_map(|(_, rest)| rest.split(',').next())
        .collect();
    assert_eq!(files.len(), 4, "{out}");
    for file in files {
        assert!(desk.folder.path().join(file).is_file(), "{file}");
    }

    let mended = ISSUE.replace("frist", "first").replace("![]", "![A cat]");
    desk.write("issues/walk/issue.md", mended);
    let (code, out, _) = desk.run(&["check", "walk"]);
    assert_eq!(code, 1);
    assert!(out.contains("1 error, 1 warning"), "{out}");
    std::fs::write(&parts, good).expect("a file");
    let (code, out, _) = desk.run(&["check", "walk"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn a_fault_of_a_theme_that_is_in_the_binary_keeps_its_name() {
    let desk = Desk::new();
    std::fs::remove_dir_all(desk.emails().join("themes/digest")).expect("a folder");
    desk.write(
        "issues/one/issue.md",
        "---\ntitle: One\n---\n:::mjml\n<mj-text colour=\"red\">a</mj-text>\n:::\n",
    );
    let (code, out, _) = desk.run(&["check", "one"]);
    assert_eq!(code, 1);
    let expected = "emails/issues/one/issue.md:5:10: error[unknown-attribute]";
    assert!(out.contains(expected), "{out}");
}

#[test]
fn a_title_that_yaml_reads_otherwise_is_told_to_stand_in_quotes() {
    let desk = Desk::new();
    for title in ["Bees: a week", "@home with bees", "*Bees*"] {
        let text = format!("---\ntitle: {title}\n---\nHello [[frist_name|you]].\n");
        desk.write("issues/one/issue.md", text);
        let (code, out, _) = desk.run(&["check", "one"]);
        assert_eq!(code, 1, "{title}: {out}");
        for expected in [
            "emails/issues/one/issue.md:2:",
            "stands in quotes: `title: \"...\"`",
            // What is wrong below it is told in the same run.
            "emails/issues/one/issue.md:4:7: error[unknown-field]",
        ] {
            assert!(out.contains(expected), "{title}: {expected}: {out}");
        }
    }
}

#[test]
fn a_file_that_is_missing_is_told_beside_a_wrong_field() {
    let desk = Desk::new();
    let text = "---\ntitle: One\n---\nHello [[frist_name|you]].\n\n![A cat](cat.png)\n";
    desk.write("issues/one/issue.md", text);
    let (code, out, _) = desk.run(&["check", "one"]);
    assert_eq!(code, 1, "{out}");
    for expected in [
        "issue.md:4:7: error[unknown-field]",
        "issue.md:6:1: error[image]: there is no file `cat.png`",
        "2 errors, 1 warning",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
}
