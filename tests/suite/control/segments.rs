//! Runs to a segment, and issues with parts that some readers get: what is frozen, sent and told.

use pressrun::compile::only::EVERY;
use pressrun::id::{DeliveryKey, RunId};
use pressrun::message::copy::CopyRecord;
use pressrun::run;
use pressrun::segment::{Filter, Sieve, Test};
use pressrun::smtp::sink::SinkOptions;
use pressrun::status::RunStatus;
use pressrun::store::runs::{Frozen, Plan};

use crate::control::desk::Desk;
use crate::deliver::rig::{Rig, Wish, readers};
use crate::harness::Engine;
use crate::on_both;

fn tagged(tag: &str) -> Sieve {
    Sieve {
        said: format!("tag:{tag}"),
        filter: Filter::Is(Test::Tag(tag.into())),
    }
}

fn to(tag: &str) -> Plan {
    Plan {
        segment: Some(tagged(tag)),
        ..Plan::default()
    }
}

/// A rig with 600 readers, of whom every second is tagged `even`.
async fn rig(engine: Engine) -> Rig {
    let wish = Wish {
        readers: readers(600),
        ..Wish::default()
    };
    let rig = Rig::new(engine, wish).await;
    rig.database
        .raw("insert into tags select id, 'even' from subscribers where id % 2 = 0")
        .await;
    rig
}

on_both!(
    a_freeze_to_a_segment_goes_on_behind_a_crash_and_takes_nobody_else,
    async |engine: Engine| {
        let rig = rig(engine).await;
        let run = rig.begin_as(&to("even"), "Little").await;
        let now = rig.app.clock.now();
        let step = rig.app.store.freeze_some(run, 256, now).await;
        assert_eq!(step.expect("a step"), Frozen::Some(128), "of 256 looked at");
        rig.app.store.close().await;
        // Another process finds it half frozen, and sends it.
        let app = rig.another("").await;
        let sending = crate::deliver::rig::start(&app).await;
        let finished = crate::deliver::rig::until(async || {
            let found = app.store.run(run).await.expect("a read");
            found.is_some_and(|run| run.status == RunStatus::Finished)
        });
        assert!(finished.await);
        sending.stop().await;
        let taken = rig.accepted();
        assert_eq!(taken.len(), 300);
        for (address, times) in taken {
            let digits: String = address.chars().filter(char::is_ascii_digit).collect();
            let index: usize = digits.parse().expect("a number");
            assert_eq!((index % 2, times), (1, 1), "{address} has an even key");
        }
        let found = app.store.run(run).await.expect("a read").expect("the run");
        assert_eq!(found.recipients, 300);
        assert_eq!(found.said_segment().as_deref(), Some("tag:even"));
        let verified = run::verify::one(&app, &found).await.expect("a look");
        assert!(verified.balanced, "{:?}", verified.faults);
    }
);

on_both!(
    a_segment_that_cannot_be_read_reaches_nobody,
    async |engine: Engine| {
        let rig = rig(engine).await;
        let run = rig.begin_as(&to("even"), "Little").await;
        let broken = format!("update runs set segment = '{{\"said\":\"x\"}}' where id = {run}");
        rig.database.raw(&broken).await;
        let counts = rig.finish(run).await;
        assert_eq!(counts.total(), 0);
        assert_eq!(rig.sink.counts().accepted, 0);
    }
);

const ISSUE: &str = "---\ntitle: \"Bees\"\npreheader: \"Six hives on six roofs, and what the neighbours say.\"\n\
    ---\nHello [[first_name|there]], these are the bees.\n\n## Hives\n\nFor all.\n\n:::only tag:paid\n\
    The [map](https://map.example/) for those who paid, [[first_name|dear reader]].\n\n\
    :::only tag:new\nA welcome to the new ones who paid.\n:::\n:::\n\n:::only not tag:paid\n\
    :::button {url=https://shop.example/}\nJoin\n:::\n:::\n\n## Honey\n\nAlso for all.\n";

async fn desk(engine: Engine) -> Desk {
    let desk = Desk::new(engine, 4, SinkOptions::default()).await;
    desk.write("bees", ISSUE);
    for (tag, readers) in [("paid", &[0, 1][..]), ("new", &[1, 2])] {
        let addresses: Vec<String> = readers
            .iter()
            .map(|number| format!("reader{number}@example.org"))
            .collect();
        let mut words = vec!["subscribers", "tag", tag];
        words.extend(addresses.iter().map(String::as_str));
        let said = desk.run(&words).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("2 of 2 readers"), "{said:?}");
    }
    desk
}

/// Which of the parts of [`ISSUE`] stand in a text.
fn parts(text: &str) -> [bool; 3] {
    ["for those who paid", "A welcome to the new", "Join"].map(|part| text.contains(part))
}

on_both!(
    a_reader_gets_the_parts_for_her_segments_and_they_are_regenerated,
    async |engine: Engine| {
        let desk = desk(engine).await;
        let said = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        let app = desk.app().await;
        let run = app
            .store
            .run_of("bees")
            .await
            .expect("a read")
            .expect("a run");
        let expected = [
            ("reader0@example.org", [true, false, false]),
            ("reader1@example.org", [true, true, false]),
            ("reader2@example.org", [false, false, true]),
            ("reader3@example.org", [false, false, true]),
        ];
        // A link in a part is a share of those who got the part, and the badge of the click map says so.
        let told = desk.run(&["stats", "bees", "--json"]).await;
        let told: serde_json::Value = serde_json::from_str(&told.out).expect("JSON");
        for (url, whole) in [("https://map.example/", 2), ("https://shop.example/", 2)] {
            let links = told["links"].as_array().expect("links");
            let link = links
                .iter()
                .find(|link| link["url"] == url)
                .expect("the link");
            assert_eq!(link["judged"]["readers"]["whole"], whole, "{link}");
        }
        let mails = desk.sink.accepted();
        assert_eq!(mails.len(), 4);
        for (address, expected) in expected {
            let mail = mails
                .iter()
                .find(|mail| mail.rcpt == [address])
                .expect("a mail");
            let message = String::from_utf8_lossy(&mail.message).replace("=\r\n", "");
            assert_eq!(parts(&message), expected, "{address}");
            let text = message.split("text/html").next().expect("the text part");
            assert_eq!(parts(text), expected, "{address}: {text}");
            assert!(text.contains("For all.") && text.contains("Also for all."));
            assert!(!text.contains("\r\n\r\n\r\n"), "{text}");
        }
        let rows = app
            .store
            .deliveries(RunId(run.id), None, -1, 10)
            .await
            .expect("rows");
        for row in rows {
            let key = DeliveryKey {
                run: RunId(run.id),
                seq: u32::try_from(row.seq).expect("a seq"),
            };
            let address = row.address.expect("an address");
            let expected = expected.iter().find(|(known, _)| *known == address);
            let (_, expected) = expected.expect("a reader");
            let page = run::again::html(&app, key)
                .await
                .expect("a view")
                .expect("a page");
            assert_eq!(parts(&page), *expected, "{address}");
            let mail = mails.iter().find(|mail| mail.rcpt == [address.as_str()]);
            let message = String::from_utf8_lossy(&mail.expect("a mail").message);
            let html = message.replace("=\r\n", "").replace("=3D", "=");
            // Every link of the page is the one in the mail, signed for this delivery.
            for link in page.split("href=\"").skip(1) {
                let link = link
                    .split('"')
                    .next()
                    .expect("an address")
                    .replace("&amp;", "&");
                assert!(html.contains(&link), "{address}: {link}");
            }
            let copy = app
                .store
                .copy_of(key)
                .await
                .expect("a read")
                .expect("a row");
            let copy = CopyRecord::from_json(&copy.copy.expect("a record")).expect("a copy");
            assert_ne!(copy.segments, EVERY);
        }
        // The link of a part is in the table, and its clicks count.
        let content = app
            .store
            .revision(run.revision.as_deref().expect("a revision"))
            .await;
        let content = content.expect("a read").expect("a content");
        assert!(content.contains("https://map.example/"), "{content}");
        assert_eq!(run.said_segment(), None);
    }
);

on_both!(
    a_test_copy_and_the_check_show_the_parts,
    async |engine: Engine| {
        let desk = desk(engine).await;
        for (words, expected) in [
            (&["--as", "reader0@example.org"][..], [true, false, false]),
            (&["--as", "reader3@example.org"], [false, false, true]),
            (&[], [true, true, true]),
        ] {
            let before = desk.sink.accepted().len();
            let mut all = vec!["test", "bees", "--to", "me@example.com"];
            all.extend(words);
            let said = desk.run(&all).await;
            assert_eq!(said.code, 0, "{said:?}");
            let mail = &desk.sink.accepted()[before];
            let message = String::from_utf8_lossy(&mail.message).replace("=\r\n", "");
            assert_eq!(parts(&message), expected, "{words:?}");
        }
        std::fs::write(
            desk.news().join("emails/segments.toml"),
            "[segments]\npaid = \"tag:paid\"\n",
        )
        .expect("a file");
        desk.write(
            "bees",
            &ISSUE.replace("only tag:paid", "only payd and tag:x"),
        );
        let said = desk.run(&["check", "bees"]).await;
        let told = format!("{}{}", said.out, said.error);
        assert_eq!(said.code, 1, "{told}");
        assert!(
            told.contains("issue.md:11:9: error[segment]: no segment is named `payd`")
                && told.contains("did you mean `paid`?"),
            "{told}"
        );
        desk.write("bees", &ISSUE.replace("only tag:paid", "only paid"));
        let said = desk.run(&["check", "bees"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        std::fs::write(
            desk.news().join("emails/segments.toml"),
            "[segments]\npaid = \"tga:paid\"\n",
        )
        .expect("a file");
        let said = desk.run(&["check", "bees"]).await;
        let told = format!("{}{}", said.out, said.error);
        assert!(
            told.contains("segments.toml:2:9: error[segments]: there is no test `tga:`"),
            "{told}"
        );
    }
);

on_both!(
    an_issue_goes_to_a_segment_and_then_to_the_others,
    async |engine: Engine| {
        let desk = desk(engine).await;
        let test = desk.run(&["segments", "test", "tag:paid"]).await;
        assert_eq!(
            test.out,
            "2 of 4 confirmed readers of `weekly` are in `tag:paid`\n  r***@example.org\n  r***@example.org\n"
        );
        let unsaid = desk.run(&["send", "bees", "--to", "tag:paid"]).await;
        assert!(
            unsaid
                .error
                .contains("`bees` would go to 2 readers of `weekly` who are in `tag:paid`"),
            "{unsaid:?}"
        );
        let sent = desk
            .run(&["send", "bees", "--yes", "--to", "tag:paid"])
            .await;
        assert_eq!(sent.code, 0, "{sent:?}");
        assert!(
            sent.error.contains("it goes to `tag:paid`: 2 of 4 readers"),
            "{sent:?}"
        );
        let mut taken: Vec<String> = desk
            .sink
            .accepted()
            .iter()
            .flat_map(|mail| mail.rcpt.clone())
            .collect();
        taken.sort();
        assert_eq!(taken, ["reader0@example.org", "reader1@example.org"]);
        let status = desk.run(&["status"]).await;
        assert!(status.out.contains("      to tag:paid\n"), "{status:?}");
        let why = desk.run(&["why", "bees"]).await;
        assert!(
            why.out.contains("`bees` (run 2) to `tag:paid` is finished"),
            "{why:?}"
        );
        let json = desk.run(&["status", "bees", "--json"]).await;
        let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
        assert_eq!(json[0]["segment"]["said"], "tag:paid");
        assert_eq!(json[0]["segment"]["filter"]["is"]["tag"], "paid");
        let again = desk
            .run(&["send", "bees", "--yes", "--to", "tag:paid"])
            .await;
        assert_eq!(again.code, 5, "{again:?}");
        assert!(
            again
                .error
                .contains("guard[same-issue]: 2 of the 2 readers have got `bees`"),
            "{again:?}"
        );
        let others = desk
            .run(&["send", "bees", "--yes", "--to", "not sent:bees"])
            .await;
        assert_eq!(others.code, 0, "{others:?}");
        assert_eq!(desk.sink.counts().accepted, 4);
        let stats = desk
            .run(&["stats", "bees", "--segment", "tag:new", "--json"])
            .await;
        let stats: serde_json::Value = serde_json::from_str(&stats.out).expect("JSON");
        assert_eq!(stats["to"], "not sent:bees");
        assert_eq!(stats["numbers"]["sent"], 1);
        let stats = desk.run(&["stats", "bees", "--segment", "tag:new"]).await;
        assert!(stats.out.contains("readers in `tag:new`"), "{stats:?}");
        for (said, expected) in [
            (
                "tag:Paid",
                "`--to` \"tag:Paid\": column 5: `Paid` is no tag",
            ),
            ("tag:nobody", "no reader of the list is in `tag:nobody`"),
            (
                "list:weakly",
                "there is no list `weakly`; did you mean `weekly`?",
            ),
            (
                "opened:bee",
                "no run of `bee` was ever begun; did you mean `bees`?",
            ),
            ("tag:paid'; drop table tags", "column 5"),
        ] {
            let failed = desk.run(&["send", "bees", "--yes", "--to", said]).await;
            assert_eq!(failed.code, 1, "{failed:?}");
            assert!(failed.error.contains(expected), "{said}: {failed:?}");
        }
    }
);

on_both!(
    who_does_not_answer_is_found_and_let_go,
    async |engine: Engine| {
        let desk = desk(engine).await;
        let sent = desk
            .run(&["send", "bees", "--yes", "--to", "tag:paid or tag:new"])
            .await;
        assert_eq!(sent.code, 0, "{sent:?}");
        desk.raw("update subscriptions set confirmed_at = 1; update deliveries set settled_at = 2")
            .await;
        let app = desk.app().await;
        let inactive = desk
            .run(&["subscribers", "inactive", "--issues", "1", "--json"])
            .await;
        let inactive: serde_json::Value = serde_json::from_str(&inactive.out).expect("JSON");
        assert_eq!(
            (&inactive["inactive"], &inactive["of"]),
            (&3.into(), &4.into())
        );
        // One answers; of another nobody can know.
        let rows = app
            .store
            .deliveries(RunId(2), None, -1, 10)
            .await
            .expect("rows");
        let seq = |address: &str| {
            let row = rows
                .iter()
                .find(|row| row.address.as_deref() == Some(address));
            row.expect("a row").seq
        };
        desk.raw(&format!(
            "insert into judged (run_id, seq, provider, opened, clicked) values (2, {}, '', null, 'human');
             update subscribers set tracking = 'off' where canonical = 'reader1@example.org'",
            seq("reader0@example.org")
        ))
        .await;
        let asked = desk
            .run(&["subscribers", "sunset", "bees", "--after", "14d"])
            .await;
        assert!(
            asked
                .out
                .starts_with("1 readers of run 2 of `bees` clicked nothing")
                && asked.out.contains("`--yes` makes them unsubscribed"),
            "{asked:?}"
        );
        let paused = desk
            .run(&[
                "subscribers",
                "sunset",
                "bees",
                "--after",
                "14d",
                "--pause",
                "--yes",
            ])
            .await;
        assert!(paused.out.ends_with("paused: 1\n"), "{paused:?}");
        let shown = desk
            .run(&["subscribers", "show", "reader2@example.org"])
            .await;
        assert!(
            shown
                .out
                .contains("paused until she ends it, confirmed since")
                && shown.out.contains("new"),
            "{shown:?}"
        );
        let none = desk
            .run(&["subscribers", "sunset", "bees", "--after", "14d", "--yes"])
            .await;
        assert!(none.out.starts_with("0 readers"), "{none:?}");
        let all = desk
            .run(&["send", "bees", "--yes", "--accept", "same-issue"])
            .await;
        assert_eq!(all.code, 0, "{all:?}");
        let whole = desk
            .run(&["subscribers", "sunset", "bees", "--after", "14d"])
            .await;
        assert_eq!(whole.code, 1);
        assert!(whole.error.contains("went to the whole list"), "{whole:?}");
    }
);
