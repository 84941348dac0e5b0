//! `pressrun check` as a person, a script and a workflow see it.

use crate::compile::desk::Desk;

const ISSUE: &str =
    "---\ntitle: \"Bees, week 23\"\n---\nDear {{ name }}, look [here](http://a.example/).\n";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("issues/one/issue.md", ISSUE);
    desk
}

/// Appends to the configuration.
fn configure(desk: &Desk, lines: &str) {
    let path = desk.folder.path().join("pressrun.toml");
    let text = std::fs::read_to_string(&path).expect("a configuration");
    std::fs::write(&path, format!("{text}{lines}")).expect("a file");
}

#[test]
fn findings_read_well_in_each_format() {
    let desk = desk();
    let (code, out, error) = desk.run(&["check", "one"]);
    assert_eq!((code, error.as_str()), (1, ""));
    // What follows is the summary, whose sizes are the theme's.
    let (findings, _) = out.split_once("\n\nissue ").expect("a summary");
    insta::assert_snapshot!("text", findings);
    let (code, out, _) = desk.run(&["check", "one", "--format", "github"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!("github", out);
    let (code, out, _) = desk.run(&["check", "one", "--format", "json"]);
    assert_eq!(code, 1);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    insta::assert_snapshot!("json", format!("{:#}", json["diagnostics"]));
    assert_eq!(desk.run(&["check", "one", "--json"]).1, out);
}

#[test]
fn warnings_stop_a_check_that_denies_them() {
    let desk = desk();
    configure(&desk, "[lint]\nleftover-template = \"warning\"\n");
    assert_eq!(desk.run(&["check", "one"]).0, 0);
    assert_eq!(desk.run(&["check", "one", "--deny", "warnings"]).0, 1);
    let (code, out, _) = desk.run(&["check", "--all", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, json.as_array().map(Vec::len)), (0, Some(2)));
}

#[test]
fn a_lint_is_switched_off_by_its_code_and_a_misspelt_code_is_told() {
    let desk = desk();
    configure(&desk, "[lint]\ngeneric-link = \"off\"\n");
    let (_, out, _) = desk.run(&["check", "one"]);
    assert!(
        !out.contains("generic-link") && out.contains("http-link"),
        "{out}"
    );
    configure(&desk, "generic-lnik = \"off\"\n");
    let (code, _, error) = desk.run(&["check", "one"]);
    assert_eq!(code, 1);
    assert!(
        error.contains("generic-lnik") && error.contains("generic-link"),
        "{error}"
    );
}

#[test]
fn a_lint_explains_itself() {
    let desk = Desk::new();
    let (code, out, _) = desk.run(&["check", "--explain", "generic-link"]);
    assert_eq!(code, 0);
    assert_eq!(out, include_str!("../../../docs/lints/generic-link.md"));
    let (code, _, error) = desk.run(&["check", "--explain", "generic-lnik"]);
    assert_eq!(code, 1);
    assert_eq!(
        error,
        "error: there is no lint `generic-lnik`; did you mean `generic-link`?\n"
    );
}
