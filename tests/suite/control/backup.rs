//! A publication that is copied, and gone back to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use pressrun::smtp::sink::SinkOptions;

use crate::control::desk::Desk;
use crate::harness::Engine;
use crate::on_both;

/// What others could read below `folder`.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let mode = entry.metadata().expect("its mode").permissions().mode();
            if mode & 0o077 != 0 {
                found.push(entry.path().display().to_string());
            }
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found
}

on_both!(
    a_publication_is_copied_whole_and_its_copy_sends_nothing_before_a_person_says_so,
    async |engine: Engine| {
        let desk = Desk::new(engine, 5, SinkOptions::default()).await;
        let sent = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        // The key of a selector that signs no more: what it signed is made again by it.
        fs::write(desk.news().join("dkim-retired.pem"), "a key").expect("a file");
        let copy = desk.news().join("copy");
        let name = copy.to_str().expect("a path");
        let made = desk.run(&["backup", name]).await;
        assert_eq!(made.code, 0, "{made:?}");
        assert!(
            made.out.contains("5 readers") && made.out.contains("1 run"),
            "{made:?}"
        );
        assert!(copy.join("emails/issues/bees/issue.md").is_file());
        assert!(copy.join("keyring.toml").is_file());
        let retired = fs::read(copy.join("dkim-retired.pem")).expect("a file");
        assert_eq!(retired, b"a key");
        assert_eq!(open_to_others(&copy), [""; 0]);
        assert!(!desk.news().join("copy.unfinished").exists());
        let within = desk.run(&["backup", "emails/issues/copy"]).await;
        assert_eq!(within.code, 1);
        assert!(within.error.contains("copied into itself"), "{within:?}");
        let again = desk.run(&["backup", name]).await;
        assert_eq!(again.code, 1);
        assert!(again.error.contains("is there already"), "{again:?}");
        if engine == Engine::Postgres {
            assert!(made.out.contains("pg_dump --format=custom"), "{made:?}");
            return;
        }
        desk.write(
            "wasps",
            &crate::control::desk::ISSUE.replace("Bees", "Wasps"),
        );
        let config = desk.news().join("copy/pressrun.toml");
        let config = config.to_str().expect("a path");
        fs::create_dir_all(copy.join("emails/issues/wasps")).expect("a folder");
        let issue = desk.news().join("emails/issues/wasps/issue.md");
        fs::copy(issue, copy.join("emails/issues/wasps/issue.md")).expect("a file");
        let verified = desk.run(&["--config", config, "verify"]).await;
        assert_eq!(verified.code, 0, "{verified:?}");
        let held = desk
            .run(&["--config", config, "send", "wasps", "--yes"])
            .await;
        assert_ne!(held.code, 0, "{held:?}");
        assert_eq!(desk.sink.counts().accepted, 5);
        let trusted = desk.run(&["--config", config, "resume", "--yes"]).await;
        assert_eq!(trusted.code, 0, "{trusted:?}");
    }
);
