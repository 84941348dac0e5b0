//! Which list a test copy speaks of.

use pressrun::smtp::sink::SinkOptions;

use crate::control::desk::{Desk, ISSUE};
use crate::harness::Engine;
use crate::on_both;

on_both!(
    a_test_copy_speaks_of_the_list_asked_for_else_of_the_issues_own,
    async |engine: Engine| {
        let desk = Desk::new(engine, 0, SinkOptions::default()).await;
        for list in ["insiders", "monthly"] {
            let said = desk.run(&["lists", "add", list, "--title", list]).await;
            assert_eq!(said.code, 0, "{said:?}");
        }
        let plain = format!("{ISSUE}\nThis goes to [[list.name]].\n");
        let named = plain.replacen("---\n", "---\nlist: insiders\n", 1);
        for (text, asked, expected) in [
            (&plain, None, "weekly"),
            (&named, None, "insiders"),
            (&named, Some("monthly"), "monthly"),
            (&plain, Some("monthly"), "monthly"),
        ] {
            desk.write("bees", text);
            let before = desk.sink.accepted().len();
            let mut words = vec!["test", "bees", "--to", "me@example.com"];
            words.extend(asked.iter().flat_map(|list| ["--list", list]));
            let said = desk.run(&words).await;
            assert_eq!(said.code, 0, "{said:?}");
            let mail = &desk.sink.accepted()[before];
            let message = String::from_utf8_lossy(&mail.message).replace("=\r\n", "");
            let words = format!("This goes to {expected}.");
            assert!(message.contains(&words), "{asked:?}: {message}");
        }
        let nowhere = ["test", "bees", "--to", "me@example.com", "--list", "weakly"];
        let said = desk.run(&nowhere).await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.error.contains("no list is named `weakly`"), "{said:?}");
    }
);
