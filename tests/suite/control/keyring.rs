//! The keyring and the configuration in an operator's hands: restored, rotated twice, and with an error in them.

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::keyring::Keyring;
use pressrun::smtp::sink::SinkOptions;

use crate::control::desk::{Desk, said};
use crate::harness::Engine;
use crate::on_both;

on_both!(
    two_keys_never_go_by_one_number_unseen,
    async |engine: Engine| {
        let desk = Desk::new(engine, 1, SinkOptions::default()).await;
        let file = desk.news().join("keyring.toml");
        let old = std::fs::read(&file).expect("a keyring");
        let said = desk.run(&["keys", "rotate"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        let steps = said.out.contains("pressrun keys activate 2");
        assert_eq!(steps, engine == Engine::Postgres, "{said:?}");
        assert_eq!(desk.run(&["keys", "activate", "2"]).await.code, 0);
        let newest = std::fs::read(&file).expect("a keyring");
        let doctor = ["doctor", "--offline", "--only", "database"];
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = desk.run(&doctor).await;
        assert!(
            words(&said.out).contains("every key that the database knows is in the keyring"),
            "{said:?}"
        );

        // A backup from before the rotation.
        std::fs::write(&file, &old).expect("written");
        let older = "the keyring is older than the database: key 2 is not in it";
        for (arguments, code) in [
            (&["verify"][..], 3),
            (&["keys", "rotate"], 1),
            (&doctor, 1),
            (&["lists", "show"], 0),
        ] {
            let said = desk.run(arguments).await;
            assert_eq!(said.code, code, "{arguments:?}: {said:?}");
            let told = words(&said.out).contains(older) || said.error.contains(older);
            assert_eq!(told, arguments[0] != "lists", "{arguments:?}: {said:?}");
        }

        // The same, rotated again by a program that did not ask the database, or on another machine.
        let mut twin = Keyring::load(&file).expect("a keyring");
        twin.rotate(&Chance::seeded(9), Timestamp(1));
        twin.replace(&file).expect("written");
        let other = "holds another key under the number 2";
        for (arguments, code) in [
            (&["verify"][..], 3),
            (&["keys", "rotate"], 1),
            (&doctor, 1),
            (&["lists", "show"], 1),
            (&["serve", "--role", "sender"], 1),
        ] {
            let said = desk.run(arguments).await;
            assert_eq!(said.code, code, "{arguments:?}: {said:?}");
            let told = words(&said.out).contains(other) || said.error.contains(other);
            assert!(told, "{arguments:?}: {said:?}");
        }

        // The newest one is put back, or it is lost for ever: no number is given twice.
        std::fs::write(&file, &newest).expect("written");
        assert_eq!(desk.run(&["verify"]).await.code, 0);
        std::fs::write(&file, &old).expect("written");
        let said = desk.run(&["keys", "rotate", "--yes"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        let ids = Keyring::load(&file).expect("a keyring").list();
        let ids: Vec<u8> = ids.iter().map(|(id, ..)| *id).collect();
        assert_eq!(ids, [1, 3]);
        assert_eq!(desk.run(&["verify"]).await.code, 0);
    }
);

on_both!(
    a_run_is_stopped_and_looked_at_whatever_else_is_wrong_in_the_configuration,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        let said = desk
            .run(&["send", "bees", "--yes", "--at", "2037-07-20 07:00"])
            .await;
        assert_eq!(said.code, 0, "{said:?}");
        let file = desk.news().join("pressrun.toml");
        let whole = std::fs::read_to_string(&file).expect("a file");
        for harm in [
            format!("{whole}\nbroken = [\n"),
            whole.replace("[publication]", "[publicatoin]"),
            whole.replace("address = ", "adress = "),
            String::new(),
        ] {
            std::fs::write(&file, &harm).expect("written");
            for command in ["why", "status", "verify", "pause"] {
                let said = desk.run(&[command, "bees"]).await;
                assert_eq!(said.code, 0, "{command}: {said:?} with {harm}");
                assert!(
                    said.error.contains("only its `[database]` and `[paths]`"),
                    "{said:?}"
                );
            }
            let said = desk.run(&["resume", "bees"]).await;
            assert_eq!(said.code, 1, "{said:?}");
            std::fs::write(&file, &whole).expect("written");
            let said = desk.run(&["resume", "bees"]).await;
            assert_eq!(said.code, 0, "{said:?}");
        }
        std::fs::write(&file, format!("{whole}\nbroken = [\n")).expect("written");
        let said = desk.run(&["cancel", "bees"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        // An error in what is needed is one.
        std::fs::write(&file, format!("{whole}\n[database]\nurl = 3\n")).expect("written");
        assert_eq!(desk.run(&["status"]).await.code, 1);
    }
);

on_both!(
    a_dkim_key_that_has_signed_before_is_not_told_as_the_next_one,
    async |engine: Engine| {
        let desk = Desk::new(engine, 1, SinkOptions::default()).await;
        for selector in ["s1", "s2"] {
            let file = format!("dkim-{selector}.pem");
            let made = desk.run(&["keys", "dkim", "--selector", selector]).await;
            assert_eq!(made.code, 0, "{made:?}");
            let told = desk.run(&["dns"]).await.out;
            for words in [
                format!("nothing is signed with `{file}` yet"),
                format!("a key that signs nothing yet.\n{selector}._domainkey.example.com. 3600"),
            ] {
                assert!(told.contains(&words), "{told}");
            }
            desk.configure("dkim.selector", &format!("\"{selector}\""));
            desk.configure("dkim.key", &format!("\"{file}\""));
            let sent = desk.run(&["send", "bees", "--yes", "--again"]).await;
            assert_eq!(sent.code, 0, "{sent:?}");
        }
        let told = desk.run(&["dns"]).await.out;
        assert!(
            told.contains("`dkim-s1.pem` has signed mail before, and signs none now. s1._domainkey.example.com,"),
            "{told}"
        );
        assert!(
            !told.contains("s1._domainkey.example.com. 3600")
                && !told.contains("signs nothing yet"),
            "{told}"
        );
        let json = desk.run(&["dns", "--json"]).await;
        assert!(
            json.error
                .contains("note: `dkim-s1.pem` has signed mail before"),
            "{json:?}"
        );
        // Without the database nobody knows it.
        let mut command = desk.command(&["dns"]);
        let nobody = "postgres://nobody:secret@127.0.0.1:1/nothing";
        command.env("PRESSRUN_DATABASE__URL", nobody);
        let output = tokio::task::spawn_blocking(move || command.output());
        let told = said(&output.await.expect("no panic").expect("the program runs")).out;
        assert!(
            told.contains("whether `dkim-s1.pem` has signed mail cannot be told, for the database cannot be asked")
                && !told.contains("s1._domainkey.example.com. 3600")
                && !told.contains("signs nothing yet")
                && !told.contains("no key yet")
                && !told.contains("secret"),
            "{told}"
        );
    }
);
