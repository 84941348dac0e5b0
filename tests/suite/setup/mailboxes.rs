//! One mailbox, two spellings, and a hand that adds, removes and allows.

use std::path::Path;

use super::{json, pressrun, publication};

fn add(folder: &Path, address: &str, more: &[&str]) -> String {
    let add = ["subscribers", "add", address, "--list", "weekly"];
    pressrun(folder, &[&add[..], more].concat())
}

fn remove(folder: &Path, address: &str) {
    let remove = ["subscribers", "remove", address, "--list", "weekly"];
    let said = pressrun(folder, &remove);
    assert!(said.contains("removed from `weekly`"), "{said}");
}

fn status(folder: &Path, address: &str) -> String {
    let shown = json(folder, &["subscribers", "show", address, "--json"]);
    let status = shown["subscriptions"][0]["status"].as_str();
    status.expect("a status").to_owned()
}

#[test]
fn whom_the_author_took_off_comes_back_as_confirmed_or_not_at_all() {
    let folder = publication();
    let folder = folder.path();
    add(folder, "q@x.example", &["--consent", "x"]);
    remove(folder, "q@x.example");
    let said = add(
        folder,
        "q@x.example",
        &["--consent", "y", "--status", "pending"],
    );
    assert!(
        said.contains("error: the reader was taken off `weekly` by hand, and nobody was added"),
        "{said}"
    );
    assert_eq!(status(folder, "q@x.example"), "unsubscribed");
    let said = add(folder, "q@x.example", &["--consent", "y"]);
    assert!(
        said.contains("put back on `weekly`: she gets the next issue"),
        "{said}"
    );
    assert_eq!(status(folder, "q@x.example"), "confirmed");
}

#[test]
fn another_spelling_is_told_of_whoever_left_and_let_in_where_the_author_took_her_off() {
    let folder = publication();
    let folder = folder.path();
    add(folder, "t@x.example", &["--consent", "x"]);
    remove(folder, "t@x.example");
    let said = add(folder, "t+new@x.example", &[]);
    assert!(
        said.contains(
            "error: `t@x.example`, another spelling of this mailbox, was taken off `weekly` by hand"
        ),
        "{said}"
    );
    let said = add(folder, "t+new@x.example", &["--consent", "she asked"]);
    assert!(said.contains("added to `weekly` as confirmed"), "{said}");
    assert_eq!(status(folder, "t@x.example"), "unsubscribed");
    // Who left by her own act is another matter, whatever is said.
    let file = folder.join("left.csv");
    std::fs::write(file, "email,status\nl@x.example,unsubscribed\n").expect("a file");
    let import = [
        "subscribers",
        "import",
        "left.csv",
        "--list",
        "weekly",
        "--consent",
        "x",
    ];
    pressrun(folder, &import);
    let said = add(folder, "l+new@x.example", &["--consent", "she asked"]);
    assert!(
        said.contains(
            "error: `l@x.example`, another spelling of this mailbox, left `weekly` and was not added; only the reader"
        ),
        "{said}"
    );
}

#[test]
fn who_left_by_her_own_act_bars_the_spelling_that_waits_and_the_one_that_was_taken_off() {
    let folder = publication();
    let folder = folder.path();
    add(folder, "e@x.example", &["--consent", "x"]);
    add(folder, "e+2@x.example", &["--consent", "x"]);
    add(
        folder,
        "w@x.example",
        &["--consent", "x", "--status", "pending"],
    );
    let file = folder.join("left.csv");
    let left = "email,status\ne+2@x.example,unsubscribed\nw+2@x.example,unsubscribed\n";
    std::fs::write(file, left).expect("a file");
    let import = ["subscribers", "import", "left.csv", "--list", "weekly"];
    pressrun(
        folder,
        &[&import[..], &["--consent", "x", "--accept", "taken-off"]].concat(),
    );
    assert_eq!(status(folder, "e+2@x.example"), "unsubscribed");
    remove(folder, "e@x.example");
    for (address, other, stays) in [
        ("e@x.example", "e+2@x.example", "unsubscribed"),
        ("w@x.example", "w+2@x.example", "pending"),
    ] {
        let said = add(
            folder,
            address,
            &["--consent", "y", "--status", "confirmed"],
        );
        let expected = format!(
            "error: `{other}`, another spelling of this mailbox, left `weekly` and was not added; only the reader"
        );
        assert!(said.contains(&expected), "{said}");
        assert_eq!(status(folder, address), stays);
    }
}

#[test]
fn the_spelling_that_is_suppressed_is_named_to_whoever_would_allow_another() {
    let folder = publication();
    let folder = folder.path();
    let suppressions = |more: &[&str]| pressrun(folder, &[&["suppressions"][..], more].concat());
    add(folder, "c.d@gmail.com", &["--consent", "x"]);
    suppressions(&["add", "c.d@gmail.com", "--reason", "by letter"]);
    let said = suppressions(&["check", "cd@gmail.com"]);
    assert!(
        said.contains(
            "another spelling of its mailbox, the reader `c.d@gmail.com`, is suppressed since"
        ),
        "{said}"
    );
    let said = suppressions(&["remove", "cd@gmail.com", "--yes"]);
    assert!(
        said.contains(
            "error: not this address is suppressed, but `c.d@gmail.com`, a reader's spelling"
        ),
        "{said}"
    );
    assert!(suppressions(&["remove", "c.d@gmail.com", "--yes"]).starts_with("exit 0"));
    assert!(suppressions(&["check", "cd@gmail.com"]).contains("not suppressed"));
    // Of two, the reader's own stays until it is named.
    suppressions(&["add", "c.d@gmail.com", "--reason", "by letter"]);
    suppressions(&["add", "c.d+x@gmail.com", "--reason", "by letter"]);
    let said = suppressions(&["remove", "c.d+x@gmail.com", "--yes"]);
    assert!(
        said.contains("`c.d@gmail.com`, a reader's spelling of the same mailbox, stays suppressed"),
        "{said}"
    );
}

#[test]
fn a_word_that_nobody_knows_is_told_with_the_way_to_read_the_file_without_its_column() {
    let folder = publication();
    let folder = folder.path();
    let text = "email,status,email status\na@x.example,Gold,active\n";
    std::fs::write(folder.join("readers.csv"), text).expect("a file");
    let import = ["subscribers", "import", "readers.csv", "--list", "weekly"];
    let said = pressrun(folder, &import);
    assert!(said.contains("+0 new, 1 rejected"), "{said}");
    let way = "if `status` says something else than how readers stand: `--map \"status=-\"` reads the file without it";
    assert!(said.contains(way), "{said}");
    let said = pressrun(folder, &[&import[..], &["--map", "status=-"]].concat());
    assert!(said.contains("+1 new"), "{said}");
}
