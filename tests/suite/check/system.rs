//! The mails that are sent by themselves, as their author looks at them.

use crate::compile::desk::Desk;

/// The confirm mail as the author has it, and a way to save it.
fn confirm(desk: &Desk) -> String {
    let file = desk.emails().join("system/confirm/issue.md");
    std::fs::read_to_string(file).expect("the confirm mail")
}

#[test]
fn a_system_mail_is_checked_by_its_name_and_by_its_path() {
    let desk = Desk::new();
    for name in [
        "system/confirm",
        "system/address",
        "system/moved",
        "system/back",
        "system/data",
        "system/erase",
        "system/welcome",
        "system/goodbye",
        "system/probe",
        "emails/system/confirm",
        "emails/system/confirm/issue.md",
    ] {
        let (code, out, error) = desk.run(&["check", name]);
        assert_eq!(code, 0, "{name}: {out}{error}");
        assert!(out.contains("0 errors, 0 warnings"), "{name}: {out}");
    }
    let text = confirm(&desk);
    let wrong = text.replace("Someone, hopefully", "[[frist_name]], hopefully");
    desk.write("system/confirm/issue.md", wrong);
    let (code, out, _) = desk.run(&["check", "system/confirm"]);
    assert_eq!(code, 1, "{out}");
    let place = "emails/system/confirm/issue.md:6:1: error[";
    assert!(out.contains(place), "{out}");
    // What only a confirm mail has is missing there.
    let bare = text.replace("confirm_url", "https://example.org/");
    desk.write("system/confirm/issue.md", bare);
    let (code, out, _) = desk.run(&["check", "system/confirm"]);
    assert_eq!(code, 1);
    assert!(out.contains("error[confirm]"), "{out}");
    // Without one of the author's own it is the one that is sent.
    std::fs::remove_dir_all(desk.emails().join("system/confirm")).expect("a folder");
    assert_eq!(desk.run(&["check", "system/confirm"]).0, 0);
    let (code, _, error) = desk.run(&["check", "system/farewell"]);
    assert_eq!(code, 1, "{error}");
}

#[test]
fn a_system_mail_is_built_as_its_reader_gets_it_and_is_no_issue() {
    let desk = Desk::new();
    let folder = desk.folder.path().join("look");
    for (kind, leaves, said) in [
        ("confirm", false, "/confirm/"),
        ("welcome", true, "/u/"),
        ("goodbye", false, "You are off the list"),
    ] {
        let (code, out, error) = desk.run(&["build", &format!("system/{kind}"), "--out", "look"]);
        assert_eq!(code, 0, "{kind}: {out}{error}");
        let message = std::fs::read_to_string(folder.join("message.eml")).expect("a message");
        assert_eq!(message.contains("\r\nList-Unsubscribe:"), leaves, "{kind}");
        let text = std::fs::read_to_string(folder.join("text.txt")).expect("a text");
        assert!(text.contains(said), "{kind}: {text}");
    }
    for name in ["system/welcome", "system/confirm"] {
        let error = desk.compile(name).expect_err("no issue").to_string();
        assert!(error.contains("is sent by itself"), "{error}");
    }
}
