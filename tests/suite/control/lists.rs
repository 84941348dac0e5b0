//! Which list a test copy speaks of, who of a list is left out of a run, and who is taken out of all of it.

use pressrun::clock::Timestamp;
use pressrun::smtp::sink::SinkOptions;

use crate::control::desk::{Desk, ISSUE};
use crate::harness::Engine;
use crate::on_both;

on_both!(
    a_test_copy_speaks_of_the_list_asked_for_else_of_the_issues_own,
    async |engine: Engine| {
        let desk = Desk::new(engine, 0, SinkOptions::default()).await;
        for list in ["insiders", "monthly"] {
            let title = format!("The {list} & co");
            let said = desk.run(&["lists", "add", list, "--title", &title]).await;
            assert_eq!(said.code, 0, "{said:?}");
        }
        let plain = ISSUE.replacen("title: ", "subject: \"[[list.title]]: bees\"\ntitle: ", 1);
        let plain = format!("{plain}\nThis goes to [[list.name]], called [[list.title]].\n");
        let named = plain.replacen("---\n", "---\nlist: insiders\n", 1);
        for (text, asked, expected) in [
            (&plain, None, ["weekly", "The Weekly"]),
            (&named, None, ["insiders", "The insiders & co"]),
            (&named, Some("monthly"), ["monthly", "The monthly & co"]),
            (&plain, Some("monthly"), ["monthly", "The monthly & co"]),
        ] {
            desk.write("bees", text);
            let before = desk.sink.accepted().len();
            let mut words = vec!["test", "bees", "--to", "me@example.com"];
            words.extend(asked.iter().flat_map(|list| ["--list", list]));
            let said = desk.run(&words).await;
            assert_eq!(said.code, 0, "{said:?}");
            let mail = &desk.sink.accepted()[before];
            let message = String::from_utf8_lossy(&mail.message).replace("=\r\n", "");
            let [name, title] = expected;
            let html = title.replace('&', "&amp;");
            for words in [
                format!("Subject: [TEST] {title}: bees"),
                format!("This goes to {name}, called {title}."),
                format!("This goes to {name}, called {html}."),
            ] {
                assert!(message.contains(&words), "{asked:?}: {words} in {message}");
            }
        }
        let nowhere = ["test", "bees", "--to", "me@example.com", "--list", "weakly"];
        let said = desk.run(&nowhere).await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.error.contains("no list is named `weakly`"), "{said:?}");
    }
);

on_both!(
    every_command_calls_the_list_that_an_issue_goes_to_as_its_readers_do,
    async |engine: Engine| {
        let desk = Desk::new(engine, 1, SinkOptions::default()).await;
        let said = desk
            .run(&["lists", "add", "insiders", "--title", "Inside {{ 1 }} <b>"])
            .await;
        assert_eq!(said.code, 0, "{said:?}");
        let issue = ISSUE.replacen("title: ", "subject: \"[[list.title]]: bees\"\ntitle: ", 1);
        let issue = issue.replacen("---\n", "---\nlist: insiders\n", 1);
        let issue = format!("{issue}\n:::mjml\n<mj-text>For [[list.title]] alone</mj-text>\n:::\n");
        desk.write("bees", &issue);
        let title = "Inside {{ 1 }} <b>";
        let said = desk.run(&["check", "bees", "--json"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        let checked: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(checked["subject"], format!("{title}: bees"));
        let said = desk.run(&["build", "bees", "--out", "out"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        let read = |name: &str| std::fs::read_to_string(desk.news().join("out").join(name));
        let page = read("index.html").expect("a page");
        assert!(
            page.contains("For Inside {{ 1 }} &lt;b&gt; alone"),
            "{page}"
        );
        let text = read("text.txt").expect("a text");
        assert!(text.contains(&format!("\nFor {title} alone\n")), "{text}");
        let reader = ["subscribers", "add", "in@example.org", "--list", "insiders"];
        let said = desk
            .run(&[&reader[..], &["--status", "confirmed"]].concat())
            .await;
        assert_eq!(said.code, 0, "{said:?}");
        let said = desk.run(&["rehearse", "bees"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        let said = desk
            .run(&["send", "bees", "--yes", "--accept", "hour"])
            .await;
        assert_eq!(said.code, 0, "{said:?}");
        let mails = desk.sink.accepted();
        let [mail] = mails.as_slice() else {
            panic!("{} mails", mails.len());
        };
        let message = String::from_utf8_lossy(&mail.message).replace("=\r\n", "");
        for words in [
            format!("Subject: {title}: bees"),
            "For Inside {{ 1 }} &lt;b&gt; alone".into(),
            format!("\nFor {title} alone\r\n"),
        ] {
            assert!(message.contains(&words), "{words} in {message}");
        }
        // What was checked is what was sent.
        let run = desk.run(&["status", "bees", "--json"]).await;
        let run: serde_json::Value = serde_json::from_str(&run.out).expect("JSON");
        let revision = checked["revision"].as_str().expect("a revision");
        assert!(run.to_string().contains(&revision[..16]), "{run}");
    }
);

on_both!(
    whoever_is_suppressed_is_counted_for_herself_wherever_readers_are_counted,
    async |engine: Engine| {
        let desk = Desk::new(engine, 4, SinkOptions::default()).await;
        let suppress = [
            "suppressions",
            "add",
            "reader0@example.org",
            "--reason",
            "complained",
        ];
        let said = desk.run(&suppress).await;
        assert_eq!(said.code, 0, "{said:?}");
        desk.raw(
            "update subscriptions set status = 'paused'
             where subscriber_id = (select id from subscribers where canonical = 'reader1@example.org')",
        )
        .await;
        let json = async |words: &[&str]| {
            let said = desk.run(words).await;
            assert_eq!(said.code, 0, "{said:?}");
            serde_json::from_str::<serde_json::Value>(&said.out).expect("JSON")
        };
        let shown = json(&["lists", "show", "weekly", "--json"]).await;
        let counts = &shown[0]["subscriptions"];
        for (status, number) in [("confirmed", 2), ("paused", 1), ("suppressed", 1)] {
            assert_eq!(counts[status], number, "{status}: {counts}");
        }
        let numbers = json(&["stats", "--list", "weekly", "--json"]).await;
        assert_eq!(numbers["statuses"]["confirmed"], counts["confirmed"]);
        assert_eq!(numbers["statuses"]["suppressed"], counts["suppressed"]);
        let test = ["segments", "test", "domain:example.org"];
        let said = desk.run(&test).await;
        let first = "2 of 2 confirmed readers of `weekly` are in `domain:example.org`; suppressed ones, who get \
                     nothing: 1\n";
        assert!(said.out.starts_with(first), "{said:?}");
        assert_eq!(said.out.lines().count(), 3, "she is not shown: {said:?}");
        let found = json(&[&test[..], &["--json"]].concat()).await;
        assert_eq!(
            (&found["readers"], &found["suppressed"]),
            (&2.into(), &1.into())
        );
        let tagged = ["subscribers", "tag", "vip", "--to", "domain:example.org"];
        let said = desk.run(&tagged).await;
        assert!(said.out.contains("2 of 2 readers"), "{said:?}");
        let said = desk
            .run(&["send", "bees", "--yes", "--accept", "hour"])
            .await;
        assert_eq!(said.code, 0, "{said:?}");
        let told = "suppressed, and who get nothing: 1";
        assert!(said.error.contains(told), "{said:?}");
        assert_eq!(desk.sink.accepted().len(), 2);
    }
);

on_both!(
    readers_who_want_the_digest_alone_are_told_of_whenever_they_are_left_out,
    async |engine: Engine| {
        let desk = Desk::new(engine, 4, SinkOptions::default()).await;
        desk.raw(
            "update subscriptions set frequency = 'monthly'
             where subscriber_id = (select min(subscriber_id) from subscriptions)",
        )
        .await;
        let weekly = ["send", "bees", "--yes", "--accept", "hour"];
        let said = desk.run(&weekly).await;
        assert_eq!(said.code, 0, "{said:?}");
        let told = "the digest of the month alone, and are left out: 1";
        assert!(said.error.contains(told), "{said:?}");
        assert_eq!(desk.sink.accepted().len(), 3);
        desk.write("digest", &ISSUE.replace("Bees", "Wasps"));
        let monthly = ["send", "digest", "--yes", "--accept", "hour", "--monthly"];
        let said = desk.run(&monthly).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert!(!said.error.contains("digest of the month"), "{said:?}");
        assert_eq!(desk.sink.accepted().len(), 3 + 4);
    }
);

on_both!(
    a_reader_who_asks_for_it_is_erased_by_a_command_after_it_was_told_what_goes,
    async |engine: Engine| {
        let desk = Desk::new(engine, 2, SinkOptions::default()).await;
        let who = "reader0@example.org";
        let asked = desk.run(&["subscribers", "erase", who]).await;
        assert_eq!(asked.code, 0, "{asked:?}");
        assert!(asked.out.contains("nothing was changed yet"), "{asked:?}");
        // What was stated when she was imported is known of her.
        let show = ["subscribers", "show", who];
        let said = desk.run(&show).await;
        assert_eq!(said.code, 0, "{said:?}");
        let stated = "weekly: imported from readers.csv: made up for a test";
        assert!(said.out.contains(stated), "{said:?}");
        let said = desk.run(&[&show[..], &["--json"]].concat()).await;
        let known: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        let consent = &known["consents"][0];
        assert_eq!(consent["list"], "weekly");
        assert!(
            consent["what"]
                .as_str()
                .is_some_and(|what| what.starts_with("imported from"))
        );
        // One who is on no list any more can be erased as well.
        desk.raw(
            "delete from subscriptions where subscriber_id in (
                 select id from subscribers where canonical = 'reader0@example.org')",
        )
        .await;
        let done = desk.run(&["subscribers", "erase", who, "--yes"]).await;
        assert_eq!(done.code, 0, "{done:?}");
        let back = desk
            .run(&["subscribers", "add", who, "--list", "weekly"])
            .await;
        assert!(back.error.contains("suppressed"), "{back:?}");
        let twice = desk.run(&["subscribers", "erase", who, "--yes"]).await;
        assert_eq!(twice.code, 1, "{twice:?}");
        let app = desk.app().await;
        let lines = app
            .store
            .audit_lines(Timestamp(i64::MAX), i64::MAX, 10)
            .await
            .expect("lines");
        let erased: Vec<_> = lines
            .iter()
            .filter(|line| line.what == "erased a reader")
            .collect();
        assert_eq!(erased.len(), 1, "{lines:?}");
        assert!(!erased[0].about.contains('@'), "{erased:?}");
    }
);
