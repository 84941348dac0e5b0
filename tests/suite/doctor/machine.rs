//! The machine's own side: configuration, files, disk, database, clock, and the relay's door.

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::keyring::Keyring;
use pressrun::smtp::sink::certificate::Certificate;
use pressrun::smtp::sink::script::Script;
use pressrun::smtp::sink::{Sink, SinkOptions, SinkTls};

use super::{Clinic, Wish, chmod, level};
use crate::harness::{Database, Engine, Port, block_on};
use crate::on_both;

/// Makes the database.
const MAKE: [&str; 5] = ["lists", "add", "monthly", "--title", "The month"];

on_both!(
    a_machine_in_order_is_called_so_without_asking_anyone,
    async |engine: Engine| {
        let database = Database::new(engine).await;
        let clinic = Clinic::at(
            database.path(),
            &Wish {
                database: &database.url,
                more: "[http]\ntrusted_proxies = [\"127.0.0.1\"]",
                ..Wish::default()
            },
            None,
        );
        let (code, _, error) = clinic.run(&MAKE).await;
        assert_eq!(code, 0, "{error}");
        let areas = "configuration,files,database,clock";
        let (_, told) = clinic.doctor(&["--offline", "--only", areas]).await;
        let bad: Vec<_> = told.iter().filter(|one| one.level != "ok").collect();
        // The server of the tests runs without fsync, for speed.
        let expected = |check: &str| engine == Engine::Postgres && check == "commit";
        assert!(bad.iter().all(|one| expected(&one.check)), "{bad:?}");
        for check in [
            "placeholders",
            "keyring",
            "dkim-key",
            "commit",
            "newest-row",
            "signing",
            "generation",
        ] {
            level(&told, check);
        }
        let own = ["--offline", "--only", "database"];
        let state = clinic.folder.join("state");
        std::fs::create_dir_all(&state).expect("a folder");
        std::fs::write(state.join("generation"), "7\n").expect("a file");
        let (_, told) = clinic.doctor(&own).await;
        assert_eq!(level(&told, "generation"), "error");
        let unsaid = clinic.run(&["resume"]).await;
        assert!(unsaid.2.contains("the database is older"), "{unsaid:?}");
        for words in [&["why"][..], &["status"]] {
            let said = clinic.run(words).await;
            assert!(said.1.contains("nothing is sent"), "{said:?}");
        }
        assert_eq!(clinic.run(&["resume", "--yes"]).await.0, 0);
        let (_, told) = clinic.doctor(&own).await;
        assert_eq!(level(&told, "generation"), "ok");
        // A database of an earlier version has no mark, and is known by a reader.
        let add = ["subscribers", "add", "ada@x.example", "--list", "weekly"];
        assert_eq!(clinic.run(&add).await.0, 0);
        database.raw("delete from meta where key = 'keyring'").await;
        let own = ["--offline", "--only", "database"];
        let (_, told) = clinic.doctor(&own).await;
        assert_eq!(level(&told, "keyring-owner"), "ok");
        let ring = clinic.folder.join("keyring.toml");
        let kept = std::fs::read(&ring).expect("a keyring");
        Keyring::generate(&Chance::seeded(99), Timestamp(0))
            .replace(&ring)
            .expect("another keyring");
        let (_, told) = clinic.doctor(&own).await;
        assert_eq!(level(&told, "keyring-owner"), "error");
        assert_eq!(clinic.run(&["lists", "show"]).await.0, 1);
        std::fs::write(&ring, kept).expect("a file");
        let day = 86_400_000_i64;
        let ahead = pressrun::clock::Clock::System.now().0 + day;
        database
            .raw(&format!(
                "insert into suppressions (hash, reason, created_at) values ('{}', 'x', {ahead})",
                match engine {
                    Engine::Sqlite => "00",
                    Engine::Postgres => "\\x00",
                }
            ))
            .await;
        let (code, told) = clinic.doctor(&["--offline", "--only", "clock"]).await;
        assert_eq!((level(&told, "newest-row"), code), ("error", 1));
    }
);

#[test]
fn each_fault_of_configuration_and_files_is_told() {
    block_on(async {
        for (from, to, check, expected) in [
            ("ada@bees.house", "ada@gmail.com", "from-domain", "error"),
            ("ada@bees.house", "ada@hotmail.fr", "from-domain", "error"),
            (
                "ada@bees.house",
                "ada@b\u{435}es.house",
                "from-domain",
                "error",
            ),
            (
                "6 Roof Row, Hive",
                "Street and number, Town",
                "placeholders",
                "error",
            ),
            (
                "name = \"Bees\"",
                "name = \"My Newsletter\"",
                "placeholders",
                "error",
            ),
            (
                "ada@bees.house",
                "ada@news.example.org",
                "placeholders",
                "error",
            ),
            (
                "https://news.bees.house",
                "http://127.0.0.1:8080",
                "public-url",
                "error",
            ),
            (
                "[dkim]",
                "[http]\nadmin = \"0.0.0.0:8081\"\n[dkim]",
                "admin-listener",
                "error",
            ),
            ("key = \"dkim.pem\"", "key = \"\"", "signing", "error"),
            ("[dkim]", "[dkim]", "public-listener", "error"),
            (
                "probe = \"50ms\"",
                "probe = \"50ms\"\ntimezone_field = \"zone\"",
                "timezone-field",
                "error",
            ),
        ] {
            let clinic = Clinic::new(&Wish::default());
            let path = clinic.folder.join("pressrun.toml");
            let text = std::fs::read_to_string(&path).expect("a configuration");
            std::fs::write(&path, text.replace(from, to)).expect("a file");
            let (_, told) = clinic.doctor(&["--only", "configuration"]).await;
            assert_eq!(level(&told, check), expected, "{to}");
        }
        let clinic = Clinic::new(&Wish::default());
        for (file, check) in [("keyring.toml", "keyring"), ("dkim.pem", "dkim-key")] {
            chmod(&clinic.folder.join(file), 0o644);
            let (code, told) = clinic.doctor(&["--only", "files"]).await;
            assert_eq!((level(&told, check), code), ("error", 1));
        }
        let (code, told) = clinic.doctor(&["--only", "database"]).await;
        assert_eq!((level(&told, "database"), code), ("warning", 3));
        assert!(
            !clinic.folder.join("pressrun.db").exists(),
            "a look makes nothing"
        );
        std::fs::write(clinic.folder.join("pressrun.toml"), "nonsense").expect("a file");
        let (code, told) = clinic.doctor(&[]).await;
        assert_eq!((level(&told, "configuration"), code), ("error", 1));
    });
}

#[test]
fn the_disk_is_written_to_and_left_as_it_was() {
    block_on(async {
        let clinic = Clinic::new(&Wish::default());
        let (_, told) = clinic.doctor(&["--only", "disk"]).await;
        for check in ["room", "file-system", "durable-write", "state"] {
            assert!(["ok", "warning"].contains(&level(&told, check)), "{told:?}");
        }
        let left: Vec<_> = std::fs::read_dir(&clinic.folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(left.len(), 3, "{left:?}");
        std::fs::write(clinic.folder.join("state"), "no folder").expect("a file");
        // A file there can be written, and no folder can be made of it.
        let (code, told) = clinic.doctor(&["--only", "disk"]).await;
        assert_eq!((level(&told, "state"), code), ("error", 1));
    });
}

#[test]
fn a_list_of_the_form_that_is_not_there_is_told() {
    block_on(async {
        let clinic = Clinic::new(&Wish {
            more: "[signup]\nlists = [\"monthly\", \"wekly\"]",
            ..Wish::default()
        });
        assert_eq!(clinic.run(&MAKE).await.0, 0);
        let (_, told) = clinic.doctor(&["--offline", "--only", "database"]).await;
        let lists: Vec<&str> = told
            .iter()
            .filter(|one| one.check == "signup-lists")
            .map(|one| one.says.as_str())
            .collect();
        assert_eq!(lists.len(), 1, "{told:?}");
        assert!(lists[0].contains("names `wekly`"), "{lists:?}");
    });
}

#[test]
fn a_damaged_database_is_told() {
    block_on(async {
        let clinic = Clinic::new(&Wish::default());
        clinic.run(&MAKE).await;
        let path = clinic.folder.join("pressrun.db");
        let mut octets = std::fs::read(&path).expect("a database");
        let pages = octets.len() / 4096;
        assert!(pages > 12, "{pages} pages");
        octets[4096 * 4..4096 * 10].fill(0x5a);
        std::fs::write(&path, octets).expect("a file");
        let (code, told) = clinic.doctor(&["--only", "database"]).await;
        assert_eq!(code, 1, "{told:?}");
        assert!(told.iter().any(|one| one.level == "error"), "{told:?}");
    });
}

#[test]
fn each_step_of_the_relays_door_is_told_apart() {
    block_on(async {
        let certificate = Certificate::loopback().expect("a certificate");
        let options = |tls| SinkOptions {
            tls,
            auth: Some(("bees".into(), "honey".into())),
            ..SinkOptions::default()
        };
        let sink = Sink::bind(options(SinkTls::StartTls(certificate.clone()))).await;
        let sink = sink.expect("a sink");
        let relay = |password: &str, ca: &str| {
            format!(
                "url = \"{}\"\nusername = \"bees\"\npassword = \"{password}\"\nca_file = \"{ca}\"",
                sink.url()
            )
        };
        for (password, ca, code, says) in [
            ("honey", "ca.pem", 0, "is logged in to"),
            (
                "wax",
                "ca.pem",
                1,
                "does not accept `username` and `password`",
            ),
            ("honey", "", 1, "no TLS with"),
        ] {
            let clinic = Clinic::new(&Wish {
                relay: relay(password, ca),
                ..Wish::default()
            });
            std::fs::write(clinic.folder.join("ca.pem"), certificate.ca_pem()).expect("a file");
            let (found, told) = clinic.doctor(&["--only", "relay"]).await;
            assert_eq!(found, code, "{told:?}");
            assert!(told[0].says.contains(says), "{told:?}");
            assert!(
                !told
                    .iter()
                    .any(|one| one.says.contains("honey") || one.says.contains("wax"))
            );
            if code == 0 {
                assert_eq!(level(&told, "relay-certificate"), "ok");
                assert_eq!(level(&told, "relay-speed"), "ok");
            }
        }
        let plain = Sink::bind(SinkOptions {
            pipelining: false,
            ..SinkOptions::default()
        });
        let plain = plain.await.expect("a sink");
        let clinic = Clinic::new(&Wish {
            relay: format!("url = \"{}\"\ntls = \"none\"", plain.url()),
            ..Wish::default()
        });
        let (code, told) = clinic.doctor(&["--only", "relay"]).await;
        assert_eq!((level(&told, "relay-speed"), code), ("warning", 3));
        assert_eq!(
            level(&told, "relay-certificate"),
            "ok",
            "nobody is on the way"
        );
        assert_eq!(level(&told, "relay-login"), "ok");
        let (closed, listened) = (plain.url(), plain.address());
        plain.shutdown().await;
        let _kept = Port::at(listened);
        let clinic = Clinic::new(&Wish {
            relay: format!("url = \"{closed}\"\ntls = \"none\""),
            ..Wish::default()
        });
        let (code, told) = clinic.doctor(&["--only", "relay"]).await;
        assert_eq!((level(&told, "relay-login"), code), ("error", 1));
        let (code, told) = clinic.doctor(&["--only", "relay", "--offline"]).await;
        assert_eq!((told.len(), code), (0, 0));
    });
}

#[test]
fn a_relay_is_asked_for_the_issues_size_and_for_our_envelope_sender_and_gets_no_mail() {
    block_on(async {
        let asked = async |size: Option<u64>, script: &str, issues: &[&str]| {
            let sink = Sink::bind(SinkOptions {
                size,
                script: Script::parse(script).expect("a script"),
                ..SinkOptions::default()
            });
            let sink = sink.await.expect("a sink");
            let clinic = Clinic::new(&Wish {
                relay: format!("url = \"{}\"\ntls = \"none\"", sink.url()),
                ..Wish::default()
            });
            for (number, text) in issues.iter().enumerate() {
                let folder = clinic.folder.join(format!("emails/issues/{number}"));
                std::fs::create_dir_all(&folder).expect("a folder");
                std::fs::write(folder.join("issue.md"), text).expect("a file");
            }
            let (code, told) = clinic.doctor(&["--only", "relay"]).await;
            let counts = sink.counts();
            assert_eq!(
                (counts.accepted, counts.refused),
                (0, 0),
                "no mail is offered"
            );
            sink.shutdown().await;
            (code, told, counts.resets)
        };
        let says = |told: &[super::Told], check: &str| {
            let found = told.iter().find(|one| one.check == check);
            found.map(|one| one.says.clone()).unwrap_or_default()
        };
        let issue = "---\ntitle: One\n---\nHello.\n";
        // What does not compile is no measure: the one before it is.
        let issues = [issue, "no front matter"];
        let (code, told, resets) = asked(Some(2_000), "", &issues).await;
        assert_eq!((level(&told, "relay-size"), code), ("error", 1));
        let size = says(&told, "relay-size");
        assert!(
            size.starts_with("a copy of `0` has ") && size.contains("relay `main` takes 2000"),
            "{size}"
        );
        assert_eq!((level(&told, "relay-sender"), resets), ("ok", 1));
        let (code, told, _) = asked(Some(1_000_000), "", &issues).await;
        assert_eq!((level(&told, "relay-size"), code), ("ok", 0));
        let (_, told, _) = asked(Some(2_000), "", &[]).await;
        assert!(
            says(&told, "relay-size").contains("there is no issue yet"),
            "{told:?}"
        );
        for none in [Some(0), None] {
            let (_, told, _) = asked(none, "", &issues).await;
            assert!(
                says(&told, "relay-size").contains("tells no limit"),
                "{told:?}"
            );
        }
        let (code, told, resets) = asked(None, "mail-550-5.7.1", &issues).await;
        assert_eq!(
            (level(&told, "relay-sender"), code, resets),
            ("error", 1, 1)
        );
        let refused = says(&told, "relay-sender");
        assert!(
            refused.contains("refuses mail with an envelope sender at `bounce.bees.house`: 550"),
            "{refused}"
        );
        // The latter closes with its answer.
        for later in ["mail-451", "mail-421"] {
            let (code, told, _) = asked(None, later, &issues).await;
            assert_eq!((level(&told, "relay-sender"), code), ("warning", 3));
        }
    });
}
