//! Every fault of an MJML file is reported at its place.
//!
//! `tests/mjml/errors` holds files with faults; beside each, a `.txt` of the same name lists what must be
//! said about it, no more and no less.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mjml/errors")
}

/// The files with faults, as an author in their folder names them.
fn faulty() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the folder is in the repository");
    let names = entries.map(|entry| entry.expect("it can be listed").file_name());
    let names = names.map(|name| name.into_string().expect("names are UTF-8"));
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".mjml")).collect();
    names.sort();
    names
}

fn compile(name: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pressrun"))
        .current_dir(folder())
        .args(["mjml", name])
        .output()
        .expect("pressrun starts")
}

/// `file:line:column: severity[code]` of each finding.
fn found(stderr: &str) -> BTreeSet<String> {
    let heads = stderr.lines().filter(|line| !line.starts_with(' '));
    let heads = heads.filter_map(|line| Some(&line[..=line.find("]: ")?]));
    let heads = heads.filter(|head| head.contains(": error[") || head.contains(": warning["));
    heads.map(str::to_owned).collect()
}

#[test]
fn every_fault_is_reported_at_its_line_and_column() {
    let mut wrong = String::new();
    for name in faulty() {
        let beside = folder().join(&name).with_extension("txt");
        let expected = fs::read_to_string(beside).expect("each file has its findings beside it");
        let expected: BTreeSet<String> = expected.lines().map(str::to_owned).collect();
        let output = compile(&name);
        let stderr = String::from_utf8(output.stderr).expect("messages are UTF-8");
        let found = found(&stderr);
        let missing = expected
            .difference(&found)
            .map(|line| format!("- {line}\n"));
        let more = found
            .difference(&expected)
            .map(|line| format!("+ {line}\n"));
        wrong.extend(missing.chain(more));
        let refused = expected.iter().any(|line| line.contains(": error["));
        if output.status.code() != Some(i32::from(refused)) {
            wrong.push_str(&format!("{name}: {}\n", output.status));
        }
        if refused && !output.stdout.is_empty() {
            wrong.push_str(&format!("{name}: is refused and still compiled\n"));
        }
    }
    assert!(wrong.is_empty(), "- is missing, + is unexpected\n{wrong}");
}

#[test]
fn every_finding_shows_its_line_with_a_caret() {
    for name in faulty() {
        let stderr = String::from_utf8(compile(&name).stderr).expect("messages are UTF-8");
        let found = found(&stderr).len();
        let carets = stderr
            .lines()
            .filter(|line| line.trim_start().starts_with("| "));
        let carets = carets.filter(|line| line.trim_end().ends_with('^')).count();
        assert_eq!(carets, found, "{name}:\n{stderr}");
    }
}
