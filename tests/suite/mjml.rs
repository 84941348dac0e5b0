//! `pressrun mjml` from outside, and the promise that no text makes the front-end panic.

mod hostile;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use insta::assert_snapshot;

const GOOD: &str = "<mjml lang=\"en\"><mj-body><mj-section><mj-column>\
    <mj-text>Hello <b>a</b> <i>b</i></mj-text></mj-column></mj-section></mj-body></mjml>\n";

/// Mistakes of several kinds, over two files.
const BAD: &str = "<mjml>\n  <mj-body>\n    <mj-include path=\"./parts/item.mjml\" />\n    \
    <mj-section>\n      <mj-column>\n        <mj-txt>Hello &nbps; you</mj-txt>\n        \
    <mj-image src=\"a.png\" widht=\"10px\" />\n    </mj-section>\n  </mj-body>\n</mjml>\n";
const ITEM: &str = "<mj-section background-color=\"#zzz\">\r\n  <mj-column>\r\n    \
    <mj-button href=\"https://x.example\" inner-padding=\"1\u{2009}em\">Go</mj-button>\r\n  \
    </mj-column>\r\n</mj-section>\r\n<mj-include path=\"../gone.mjml\"/>\r\n";

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pressrun"));
    command.arg("mjml").args(arguments).current_dir(folder);
    command.env_clear();
    command
}

/// Exit code, stdout and stderr.
fn pressrun(folder: &Path, arguments: &[&str], stdin: &str) -> (i32, String, String) {
    let mut child = command(folder, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    // Whoever does not read stdin may be gone before it is written.
    let _ = pipe.write_all(stdin.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().expect("the program ends");
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("UTF-8");
    let code = output.status.code().expect("an exit code");
    (code, text(output.stdout), text(output.stderr))
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("mail/parts")).expect("a folder");
    fs::write(folder.path().join("mail/good.mjml"), GOOD).expect("a file");
    fs::write(folder.path().join("mail/bad.mjml"), BAD).expect("a file");
    fs::write(folder.path().join("mail/parts/item.mjml"), ITEM).expect("a file");
    folder
}

#[test]
fn a_file_and_a_pipe_give_the_same_html() {
    let folder = folder();
    let (code, html, told) = pressrun(folder.path(), &["mail/good.mjml"], "");
    assert_eq!((code, told.as_str()), (0, ""));
    assert!(html.starts_with("<!doctype html>"), "{html}");
    assert!(html.contains("Hello <b>a</b> <i>b</i>"), "{html}");
    let piped = pressrun(folder.path(), &["-"], &GOOD.replace('\n', "\r\n"));
    assert_eq!(piped, (0, html.clone(), String::new()));
    let (code, out, _) = pressrun(folder.path(), &["mail/good.mjml", "-o", "out.html"], "");
    assert_eq!((code, out.as_str()), (0, ""));
    let written = fs::read_to_string(folder.path().join("out.html"));
    assert_eq!(written.expect("it is written"), html);
}

#[test]
fn every_mistake_is_told_at_its_place_and_nothing_is_written() {
    let folder = folder();
    let out = folder.path().join("out.html");
    fs::write(&out, "the last good one").expect("a file");
    let (code, html, told) = pressrun(folder.path(), &["mail/bad.mjml", "-o", "out.html"], "");
    assert_eq!((code, html.as_str()), (1, ""));
    assert_eq!(
        fs::read_to_string(out).expect("a file"),
        "the last good one"
    );
    assert_snapshot!("mjml_findings", told);
}

#[test]
fn soft_tells_mistakes_as_warnings_and_skip_tells_those_of_syntax_only() {
    let folder = folder();
    let run = |level| pressrun(folder.path(), &["mail/bad.mjml", "--validate", level], "");
    let (code, html, soft) = run("soft");
    assert_eq!(code, 0);
    assert!(html.contains("https://x.example"), "{html}");
    assert!(!soft.contains(": error["), "{soft}");
    assert!(soft.contains("warning[unknown-element]"), "{soft}");
    let (code, skipped, skip) = run("skip");
    assert_eq!((code, skipped), (0, html));
    assert!(skip.contains("warning[unclosed-element]"), "{skip}");
    assert!(!skip.contains("unknown-element"), "{skip}");
}

#[test]
fn json_holds_html_and_findings() {
    let folder = folder();
    let run = |file| pressrun(folder.path(), &[file, "--format", "json"], "");
    let (code, good, told) = run("mail/good.mjml");
    assert_eq!((code, told.as_str()), (0, ""));
    let good: serde_json::Value = serde_json::from_str(&good).expect("JSON");
    assert!(
        good["html"]
            .as_str()
            .is_some_and(|html| html.contains("Hello"))
    );
    assert_eq!(good["diagnostics"], serde_json::json!([]));
    let (code, bad, told) = run("mail/bad.mjml");
    assert_eq!((code, told.as_str()), (1, ""));
    let bad: serde_json::Value = serde_json::from_str(&bad).expect("JSON");
    assert!(bad["html"].is_null());
    assert_eq!(bad["dropped"], 0);
    let list = bad["diagnostics"].as_array().expect("a list");
    let via = list
        .iter()
        .find(|found| found["file"] == "mail/parts/item.mjml");
    let via = &via.expect("one in the partial")["via"][0];
    assert_eq!(via["file"], "mail/bad.mjml");
    assert_eq!(via["line"], 3);
}

#[test]
fn includes_stay_in_the_folder_unless_root_widens_it() {
    let folder = folder();
    fs::write(folder.path().join("top.mjml"), "<mj-section/>").expect("a file");
    let text = GOOD.replace(
        "<mj-section>",
        "<mj-include path=\"../top.mjml\"/><mj-section>",
    );
    fs::write(folder.path().join("mail/up.mjml"), text).expect("a file");
    let (code, _, told) = pressrun(folder.path(), &["mail/up.mjml"], "");
    assert_eq!(code, 1);
    assert!(told.contains("error[include-outside]"), "{told}");
    let (code, _, told) = pressrun(folder.path(), &["mail/up.mjml", "--root", "."], "");
    assert_eq!((code, told.as_str()), (0, ""));
    #[cfg(unix)]
    {
        let mail = folder.path().join("mail");
        std::os::unix::fs::symlink("../top.mjml", mail.join("link.mjml")).expect("a link");
        let text = GOOD.replace(
            "<mj-section>",
            "<mj-include path=\"link.mjml\"/><mj-section>",
        );
        let (code, _, told) = pressrun(&mail, &["-"], &text);
        assert_eq!(code, 1);
        assert!(
            told.contains("a link that leads out of the folder"),
            "{told}"
        );
    }
}

#[test]
fn what_is_no_text_or_too_much_of_it_is_refused_in_a_sentence() {
    let folder = folder();
    let path = folder.path();
    fs::write(path.join("latin.mjml"), b"<mjml>\ncaf\xe9</mjml>").expect("a file");
    let (code, _, told) = pressrun(path, &["latin.mjml"], "");
    assert_eq!(code, 1);
    assert_eq!(
        told,
        "error: `latin.mjml` is not UTF-8 in line 2; save it as UTF-8\n"
    );
    let (code, _, told) = pressrun(path, &["nothing.mjml"], "");
    assert_eq!(code, 1);
    assert!(
        told.starts_with("error: `nothing.mjml` cannot be opened"),
        "{told}"
    );
    let (code, _, told) = pressrun(path, &["-"], &"<mj-text>\u{e9}".repeat(900_000));
    assert_eq!(code, 1);
    assert!(told.starts_with("<stdin>:1:1: error[too-large]"), "{told}");
    assert!(told.len() < 2_000, "{told}");
    let (code, _, told) = pressrun(path, &["-", "--watch", "-o", "x"], "");
    assert_eq!((code, told.lines().count()), (1, 1));
}

#[test]
fn a_save_of_an_included_file_compiles_again() {
    let folder = folder();
    let part = folder.path().join("mail/parts/item.mjml");
    fs::write(&part, "<mj-section/>").expect("a file");
    let text = GOOD.replace(
        "<mj-section>",
        "<mj-include path=\"parts/item.mjml\"/><mj-section>",
    );
    fs::write(folder.path().join("mail/good.mjml"), text).expect("a file");
    let mut child = command(
        folder.path(),
        &["mail/good.mjml", "--watch", "-o", "out.html"],
    )
    .stderr(Stdio::piped())
    .spawn()
    .expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("UTF-8");
    assert!(next().contains("0 errors, 0 warnings"));
    let html = || fs::read_to_string(folder.path().join("out.html")).expect("a file");
    assert!(!html().contains("Fresh"));
    fs::write(
        &part,
        "<mj-section><mj-column><mj-text>Fresh</mj-text></mj-column></mj-section>",
    )
    .expect("a file");
    let line = next();
    assert!(line.starts_with("mail/good.mjml: out.html, "), "{line}");
    assert!(html().contains("Fresh"));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}
