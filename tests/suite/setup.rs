//! Set-up and readers from the command line: exit code, stdout and stderr as a person sees them.

use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;

mod barred;
mod mailboxes;

/// Runs `pressrun` in `folder`, without any setting of the environment it was started in.
fn pressrun(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pressrun"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("an exit code");
    format!(
        "exit {code}\n--- stdout\n{}--- stderr\n{}",
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// A folder in which `init` has run.
fn publication() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = pressrun(folder.path(), &["init", "."]);
    assert!(made.starts_with("exit 0"), "{made}");
    folder
}

fn json(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let said = pressrun(folder, arguments);
    let body = said.strip_prefix("exit 0\n--- stdout\n").expect(&said);
    let (body, errors) = body.rsplit_once("--- stderr\n").expect("both streams");
    assert_eq!(errors, "");
    serde_json::from_str(body).expect(body)
}

#[test]
fn init_makes_what_the_next_commands_need_and_never_overwrites() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert_snapshot!(pressrun(folder.path(), &["init", "news"]));
    let news = folder.path().join("news");
    let config = std::fs::read_to_string(news.join("pressrun.toml")).expect("a configuration");
    assert_snapshot!(config);
    let keyring = std::fs::read(news.join("keyring.toml")).expect("a keyring");
    std::fs::write(news.join("pressrun.toml"), format!("{config}# mine\n")).expect("a file");
    assert_snapshot!(pressrun(
        folder.path(),
        &["init", "news", "--name", "Other"]
    ));
    assert_eq!(
        std::fs::read(news.join("keyring.toml")).expect("a keyring"),
        keyring
    );
    let kept = std::fs::read_to_string(news.join("pressrun.toml")).expect("a configuration");
    assert_eq!(kept, format!("{config}# mine\n"));
}

#[test]
fn init_keeps_keys_out_of_a_repository_that_is_there_already_and_hides_nothing_else_of_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mine, whole) = (folder.path().join("mine"), folder.path().join("whole"));
    for (place, name, text) in [
        (&mine, "index.html", "<p>"),
        (&whole, ".gitignore", "node_modules\n"),
    ] {
        std::fs::create_dir(place).expect("a folder");
        std::fs::write(place.join(name), text).expect("a file");
    }
    let made = pressrun(folder.path(), &["init", "mine"]);
    let ignored = std::fs::read_to_string(mine.join(".gitignore")).expect("a file");
    assert!(
        ignored.contains("\n/keyring.toml*\n") && !ignored.contains("\n/*\n"),
        "{made}{ignored}"
    );
    let made = pressrun(folder.path(), &["init", "whole"]);
    assert!(
        made.contains("write into it:\n  /pressrun.*\n  /keyring.toml*\n"),
        "{made}"
    );
    let kept = std::fs::read(whole.join(".gitignore")).expect("a file");
    assert_eq!(kept, b"node_modules\n");
    let again = pressrun(folder.path(), &["init", "mine"]);
    assert!(!again.contains("write into it"), "{again}");
    // Whatever comes to lie there later by a command of ours.
    for name in [
        "dkim-news.pem",
        "pressrun.before-47.db",
        "pressrun.db-wal",
        "pressrun.reserve",
        "backup-2026-11-27-071500/keyring.toml",
        "readers.rejects.csv",
        "lists/readers.rejects-2.csv",
    ] {
        let file = mine.join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, "secret").expect("a file");
    }
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .arg("-C")
            .arg(&mine)
            .args(arguments)
            .output()
            .expect("git runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    git(&["init", "--quiet"]);
    let added = git(&["add", "--all", "--dry-run"]);
    let added: Vec<_> = added
        .lines()
        .filter(|line| !line.contains("'emails/"))
        .collect();
    assert_eq!(added, ["add '.gitignore'", "add 'index.html'"]);
    // A repository whose only other folder is the forge's own is not ours alone either.
    let forge = folder.path().join("forge");
    std::fs::create_dir_all(forge.join(".github")).expect("a folder");
    pressrun(folder.path(), &["init", "forge"]);
    let ignored = std::fs::read_to_string(forge.join(".gitignore")).expect("a file");
    assert!(!ignored.contains("\n/*\n"), "{ignored}");
}

#[test]
fn init_refuses_what_could_not_work_before_it_writes_anything() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = "http://news.example.org";
    assert_snapshot!(pressrun(
        folder.path(),
        &["init", "news", "--url", url, "--list", "A b"]
    ));
    assert!(!folder.path().join("news").exists());
    let name = "O\"Hara's \\ \u{201c}News\u{201d}";
    let relay = "smtps://smtp.example.org";
    let made = pressrun(
        folder.path(),
        &["init", "news", "--name", name, "--relay", relay],
    );
    assert!(made.starts_with("exit 0"), "{made}");
    let shown = json(&folder.path().join("news"), &["config", "show", "--json"]);
    assert_eq!(shown["publication.name"]["value"], name);
    assert_eq!(shown["relay.main.tls"]["value"], "required");
}

#[test]
fn a_newcomers_import_is_told_row_by_row() {
    let folder = publication();
    let folder = folder.path();
    let text =
        "Email,Name,Colour\nada@x.example,Ada,red\nnobody,N,\nADA@x.example,,\nb@x.example,B,";
    std::fs::write(folder.join("readers.csv"), text).expect("a file");
    let import = ["subscribers", "import", "readers.csv", "--list", "weekly"];
    assert_snapshot!(pressrun(folder, &[&import[..], &["--dry-run"]].concat()));
    assert_snapshot!(pressrun(folder, &import));
    assert_snapshot!(pressrun(folder, &[&import[..], &["--json"]].concat()));
    assert_snapshot!(pressrun(folder, &["lists", "show"]));
    assert_snapshot!(pressrun(
        folder,
        &["subscribers", "import", "no.csv", "--list", "wekly"]
    ));
    assert_snapshot!(pressrun(
        folder,
        &["subscribers", "import", "no.csv", "--list", "weekly"]
    ));
}

#[test]
fn one_reader_is_added_shown_removed_and_not_called_back() {
    let folder = publication();
    let folder = folder.path();
    std::fs::write(
        folder.join("emails/fields.toml"),
        "[fields.issues]\ntype = \"number\"\n",
    )
    .expect("a file");
    let add = ["subscribers", "add", "Ada@x.example", "--list", "weekly"];
    let with = |more: &[&'static str]| pressrun(folder, &[&add[..], more].concat());
    assert_snapshot!(with(&["--name", "Ada", "--field", "issues=many"]));
    assert_snapshot!(with(&[
        "--name", "Ada", "--field", "issues=7", "--status", "pending"
    ]));
    assert_snapshot!(with(&[]));
    assert_snapshot!(with(&["--status", "confirmed"]));
    let shown = json(folder, &["subscribers", "show", "ada@X.example", "--json"]);
    assert_eq!(shown["address"], "Ada@x.example");
    assert_eq!(shown["fields"]["issues"], 7);
    assert_eq!(shown["subscriptions"][0]["status"], "confirmed");
    assert_eq!(shown["suppressed"], serde_json::Value::Null);
    assert_eq!(shown["consents"], serde_json::json!([]));
    let stated = ["subscribers", "add", "eve@x.example", "--list", "weekly"];
    let stated = [&stated[..], &["--consent", "she asked at the fair"]].concat();
    let said = pressrun(folder, &stated);
    assert!(
        said.contains("it is kept how she agreed: she asked at the fair"),
        "{said}"
    );
    let eve = json(folder, &["subscribers", "show", "eve@x.example", "--json"]);
    assert_eq!(eve["consents"][0]["what"], "stated: she asked at the fair");
    let remove = ["subscribers", "remove", "ada@x.example", "--list", "weekly"];
    assert_snapshot!(pressrun(folder, &remove));
    assert_snapshot!(pressrun(folder, &remove));
    assert_snapshot!(with(&[]));
    assert_snapshot!(pressrun(
        folder,
        &["subscribers", "show", "nobody@x.example"]
    ));
    let exported = pressrun(
        folder,
        &[
            "subscribers",
            "export",
            "--list",
            "weekly",
            "--status",
            "unsubscribed",
        ],
    );
    assert!(
        exported.contains("Ada@x.example,Ada,unsubscribed,cli,"),
        "{exported}"
    );
    let out = [
        "subscribers",
        "export",
        "--list",
        "weekly",
        "--out",
        "out.csv",
    ];
    pressrun(folder, &["subscribers", "erase", "eve@x.example", "--yes"]);
    assert_snapshot!(pressrun(folder, &out));
    assert_snapshot!(pressrun(folder, &out));
}

#[test]
fn a_suppressed_address_stays_so_until_its_owner_asks() {
    let folder = publication();
    let folder = folder.path();
    let suppressions = |more: &[&str]| pressrun(folder, &[&["suppressions"][..], more].concat());
    let list = ["lists", "add", "monthly", "--title", "The month in brief"];
    assert!(pressrun(folder, &list).starts_with("exit 0"));
    assert_snapshot!(suppressions(&["list"]));
    assert_snapshot!(suppressions(&[
        "add",
        "ada@x.example",
        "--reason",
        "asked by phone"
    ]));
    assert_snapshot!(suppressions(&["add", "Ada@X.example"]));
    assert_snapshot!(suppressions(&["list"]));
    let checked = json(
        folder,
        &["suppressions", "check", "ADA@x.example", "--json"],
    );
    assert_eq!(checked["reason"], "asked by phone");
    let add = ["subscribers", "add", "ada@x.example", "--list", "weekly"];
    assert_snapshot!(pressrun(folder, &add));
    assert_snapshot!(suppressions(&["remove", "ada@x.example"]));
    assert_snapshot!(suppressions(&["remove", "ada@x.example", "--yes"]));
    assert_snapshot!(suppressions(&["check", "ada@x.example"]));
    assert!(pressrun(folder, &add).starts_with("exit 0"));
}

#[test]
fn lists_are_added_once() {
    let folder = publication();
    let folder = folder.path();
    let add = ["lists", "add", "monthly", "--title", "The month in brief"];
    assert_snapshot!(pressrun(folder, &add));
    assert_snapshot!(pressrun(folder, &add));
    assert_snapshot!(pressrun(
        folder,
        &["lists", "add", "No Slug", "--title", "x"]
    ));
    assert_snapshot!(pressrun(folder, &["lists", "show"]));
    let shown = json(folder, &["lists", "show", "monthly", "--json"]);
    assert_eq!(shown[0]["title"], "The month in brief");
    assert_eq!(shown[0]["subscriptions"]["confirmed"], 0);
}

#[test]
fn a_configuration_that_is_wrong_or_missing_is_told_by_line() {
    let folder = publication();
    let path = folder.path().join("pressrun.toml");
    let text = std::fs::read_to_string(&path).expect("a configuration");
    assert_snapshot!(pressrun(folder.path(), &["config", "show"]));
    std::fs::write(
        &path,
        format!("{text}conections = 3\n[http]\npublic = 80\n"),
    )
    .expect("a file");
    assert_snapshot!(pressrun(folder.path(), &["config", "show"]));
    assert_snapshot!(pressrun(
        folder.path(),
        &["--config", "other.toml", "config", "show"]
    ));
}

#[test]
fn what_only_shows_or_changes_what_is_there_makes_no_database() {
    let folder = publication();
    let folder = folder.path();
    for arguments in [
        &["status"][..],
        &["lists", "show"],
        &["subscribers", "show", "ada@x.example"],
        &["subscribers", "export", "--list", "weekly"],
        &["suppressions", "check", "ada@x.example"],
        &["segments", "list"],
        &["stats"],
        &["verify"],
        &["archive", "list"],
        &["pause", "bees"],
    ] {
        let said = pressrun(folder, arguments);
        assert!(said.starts_with("exit 1"), "{arguments:?}: {said}");
        assert!(
            said.contains("pressrun.db` yet: `pressrun subscribers add`"),
            "{said}"
        );
        assert!(!folder.join("pressrun.db").exists(), "{arguments:?}");
    }
    let add = ["subscribers", "add", "ada@x.example", "--list", "weekly"];
    assert!(pressrun(folder, &add).starts_with("exit 0"));
    assert!(pressrun(folder, &["status"]).starts_with("exit 0"));
}

#[test]
fn a_lost_keyring_is_told_and_no_fresh_one_is_put_beside_a_used_database() {
    let folder = publication();
    let folder = folder.path();
    let barred = ["suppressions", "add", "ada@x.example"];
    assert!(pressrun(folder, &barred).starts_with("exit 0"));
    let keyring = folder.join("keyring.toml");
    let kept = folder.join("kept.toml");
    std::fs::rename(&keyring, &kept).expect("a keyring");
    for arguments in [&["init", "."][..], &["lists", "show"]] {
        let said = pressrun(folder, arguments);
        assert!(said.starts_with("exit 1"), "{said}");
        assert!(said.contains("restore it from a backup"), "{said}");
        assert!(!keyring.exists());
    }
    let other = publication();
    std::fs::copy(other.path().join("keyring.toml"), &keyring).expect("another keyring");
    let check = ["suppressions", "check", "ada@x.example"];
    let doctor = ["doctor", "--offline", "--only", "database"];
    // Who only looks is told the same, and looks.
    for (arguments, code) in [
        (&check[..], 1),
        (&["stats"], 1),
        (&["verify"], 3),
        (&["status"], 0),
        (&doctor, 1),
    ] {
        let said = pressrun(folder, arguments);
        assert!(said.starts_with(&format!("exit {code}")), "{said}");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("does not belong to this database"), "{said}");
    }
    // Whoever lost it for ever takes the readers along.
    let out = pressrun(folder, &["subscribers", "export", "--list", "weekly"]);
    assert!(out.starts_with("exit 0"), "{out}");
    std::fs::rename(&kept, &keyring).expect("a keyring");
    assert!(pressrun(folder, &check).contains("suppressed since"));
}
