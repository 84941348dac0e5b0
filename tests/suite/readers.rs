//! Readers come in by the rules: nobody is called back, nothing is doubled, and a file says why not.

mod desk;
mod exports;
mod guard;
mod joined;
mod journal;
mod moves;
mod round_trip;
pub mod services;
mod spellings;
mod strays;
mod tags;
mod undo;

use std::path::Path;

use pressrun::address::EmailAddress;
use pressrun::chance::Chance;
use pressrun::import::decide::{Terms, decide};
use pressrun::import::{self, Import};
use pressrun::keyring::Keyring;
use pressrun::lists;
use pressrun::store::import::{Origin, Wanted};
use pressrun::subscriber::Status;

use crate::harness::Engine;
use crate::on_both;
use desk::{Desk, NOON};

on_both!(
    a_file_becomes_readers_with_names_and_typed_fields,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "Email,Name,City,Issues,Colour\nAda@X.example,\"Ada\nLovelace\",Bern,7,red\n\
                    b@x.example,,,,\n";
        let summary = desk.import(text).await;
        assert_eq!((summary.rows, summary.tally.added), (2, 2));
        assert_eq!(summary.ignored_columns, ["Colour"]);
        let (ada, joined) = desk.reader("ada@x.example").await.expect("a reader");
        assert_eq!(ada.address.as_str(), "Ada@x.example");
        assert_eq!(ada.name, "Ada Lovelace");
        assert_eq!(ada.fields.to_json(), r#"{"city":"Bern","issues":7}"#);
        assert_eq!(joined[0].status, Status::Confirmed);
        assert_eq!(joined[0].confirmed_at, Some(NOON));
        assert_eq!(joined[0].source, "import:readers.csv");
        desk.app.store.close().await;
    }
);

on_both!(
    the_same_file_a_second_time_changes_nothing,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "email,name,city\na@x.example,A,Bern\nb@x.example,B,\n";
        desk.import(text).await;
        let before = desk.exported().await;
        let again = desk.import(text).await;
        assert_eq!(
            (again.tally.added, again.tally.updated, again.tally.known),
            (0, 0, 2)
        );
        assert_eq!(desk.exported().await, before);
        desk.app.store.close().await;
    }
);

on_both!(
    a_newer_file_updates_what_it_holds_and_blanks_nothing,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email,name,city,issues\na@x.example,A,Bern,3\nb@x.example,B,Bern,4\n")
            .await;
        let summary = desk
            .import("email,name,city\na@x.example,,Basel\nb@x.example,Bee,\n")
            .await;
        assert_eq!((summary.tally.added, summary.tally.updated), (0, 2));
        let (a, _) = desk.reader("a@x.example").await.expect("a reader");
        assert_eq!(a.name, "A");
        assert_eq!(a.fields.to_json(), r#"{"city":"Basel","issues":3}"#);
        let (b, _) = desk.reader("b@x.example").await.expect("a reader");
        assert_eq!(
            (b.name.as_str(), b.fields.text("city").as_deref()),
            ("Bee", Some("Bern"))
        );
        desk.app.store.close().await;
    }
);

on_both!(
    who_left_or_is_suppressed_is_left_alone_even_when_confirmed_is_said,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "email,name\nleft@x.example,L\ncomplained@x.example,C\nnew@x.example,N\n";
        desk.import("email,name\nleft@x.example,L\n").await;
        desk.leave("left@x.example").await;
        desk.suppress("Complained@X.example").await;
        let said = Import {
            confirm: true,
            ..desk.job(&text.replace(",L", ",Other"))
        };
        let summary = desk.run(&said).await;
        assert_eq!(
            (
                summary.tally.added,
                summary.tally.unsubscribed,
                summary.tally.suppressed
            ),
            (1, 1, 1)
        );
        assert_eq!(
            desk.status("left@x.example").await,
            Some(Status::Unsubscribed)
        );
        assert_eq!(
            desk.reader("left@x.example")
                .await
                .expect("a reader")
                .0
                .name,
            "L"
        );
        assert!(desk.reader("complained@x.example").await.is_none());
        assert_eq!(desk.status("new@x.example").await, Some(Status::Confirmed));
        desk.app.store.close().await;
    }
);

on_both!(
    a_pending_reader_is_confirmed_only_when_that_is_said,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "email\na@x.example\n";
        let pending = Import {
            status: Status::Pending,
            ..desk.job(text)
        };
        assert_eq!(desk.run(&pending).await.tally.added, 1);
        assert_eq!(desk.import(text).await.tally.known, 1);
        let (_, held) = desk.reader("a@x.example").await.expect("a reader");
        assert_eq!(
            (held[0].status, held[0].confirmed_at),
            (Status::Pending, None)
        );
        let said = Import {
            confirm: true,
            ..desk.job(text)
        };
        assert_eq!(desk.run(&said).await.tally.confirmed, 1);
        let (_, held) = desk.reader("a@x.example").await.expect("a reader");
        assert_eq!(
            (held[0].status, held[0].confirmed_at),
            (Status::Confirmed, Some(NOON))
        );
        assert_eq!(desk.run(&pending).await.tally.known, 1);
        assert_eq!(desk.status("a@x.example").await, Some(Status::Confirmed));
        desk.app.store.close().await;
    }
);

on_both!(
    a_reader_of_one_list_joins_another_as_the_same_reader,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email\na@x.example\n").await;
        desk.leave("a@x.example").await;
        let slug = "monthly".parse().expect("a slug");
        assert!(
            lists::add(&desk.app, &slug, "Monthly")
                .await
                .expect("a write")
        );
        assert!(
            !lists::add(&desk.app, &slug, "Other")
                .await
                .expect("a write")
        );
        let other = Import {
            list: "monthly".into(),
            ..desk.job("email\nA@x.example\n")
        };
        assert_eq!(desk.run(&other).await.tally.added, 1);
        let (_, held) = desk.reader("a@x.example").await.expect("a reader");
        let statuses: Vec<Status> = held.iter().map(|s| s.status).collect();
        assert_eq!(statuses, [Status::Unsubscribed, Status::Confirmed]);
        assert_ne!(held[0].key, held[1].key);
        let counts = desk.app.store.subscription_counts().await.expect("a read");
        assert_eq!(counts.len(), 2);
        desk.app.store.close().await;
    }
);

on_both!(
    bad_rows_go_to_a_file_with_line_and_reason_and_the_rest_is_imported,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "\u{feff}email;name;issues\r\na@x.example;A;1\r\nnobody;N;2\r\n\r\n\
                    A@X.EXAMPLE;twice;1\r\nb.x.example;\"two\r\nlines\";9\r\nc@x.example;C;3";
        let summary = desk.import(text).await;
        assert_eq!(
            (summary.tally.added, summary.duplicates, summary.rejected),
            (2, 1, 2)
        );
        let rejects = desk.database.path().join("readers.rejects.csv");
        let written = std::fs::read_to_string(&rejects).expect("a rejects file");
        assert_eq!(
            written,
            "line;reason;email;name;issues\n\
             3;\"an address needs one `@` between the mailbox and the domain\";nobody;N;2\n\
             6;\"an address needs one `@` between the mailbox and the domain\";b.x.example;\"two\r\nlines\";9\n"
        );
        // Mended, the file itself is imported.
        let mended = written
            .replace("nobody", "n@x.example")
            .replace("b.x.example", "b@x.example");
        let summary = desk.import(&mended).await;
        assert_eq!((summary.tally.added, summary.rejected), (2, 0));
        assert_eq!(summary.ignored_columns, ["line", "reason"]);
        desk.app.store.close().await;
    }
);

on_both!(
    a_dry_run_counts_the_same_and_writes_nothing,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email,name\nknown@x.example,K\nold@x.example,O\nleft@x.example,L\n")
            .await;
        desk.leave("left@x.example").await;
        desk.suppress("s@x.example").await;
        let text = "email,name\nnew@x.example,\nnew@x.example,\nknown@x.example,K\nnobody,\n\
                    old@x.example,Older\nleft@x.example,\ns@x.example,\n";
        let before = desk.exported().await;
        let dry = Import {
            dry_run: true,
            ..desk.job(text)
        };
        let mut said = desk.run(&dry).await;
        assert_eq!(desk.exported().await, before);
        assert!(!desk.database.path().join("readers.rejects.csv").exists());
        let mut done = desk.import(text).await;
        assert_eq!(std::mem::take(&mut done.rejects_files).len(), 1);
        (said.dry_run, done.dry_run) = (false, false);
        assert!(done.import.take().is_some());
        let json = |summary: &import::Summary| serde_json::to_string(summary).expect("JSON");
        assert_eq!(json(&said), json(&done));
        desk.app.store.close().await;
    }
);

on_both!(
    an_import_of_many_batches_loses_and_doubles_nobody,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let mut text = String::from("email,name\n");
        for number in 0..2 * import::BATCH + 17 {
            text.push_str(&format!("r{number}@x.example,Reader {number}\n"));
        }
        let expected = (2 * import::BATCH + 17) as u64;
        assert_eq!(desk.import(&text).await.tally.added, expected);
        assert_eq!(desk.import(&text).await.tally.known, expected);
        let exported = desk.exported().await;
        let mut addresses: Vec<&str> = exported
            .lines()
            .skip(1)
            .filter_map(|line| line.split(',').next())
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len() as u64, expected);
        desk.app.store.close().await;
    }
);

on_both!(
    an_export_comes_back_as_the_same_readers,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "email,name,city,issues\n-x@x.example,=1+1,\"@home, \"\"x\"\"\",-5\n\
                    o'hara@x.example,'tis,,\n";
        desk.import(text).await;
        let exported = desk.exported().await;
        assert!(
            exported.contains("'-x@x.example,'=1+1,confirmed,import:readers.csv,")
                && exported.contains(",\"'@home, \"\"x\"\"\",'-5\n"),
            "{exported}"
        );
        let again = desk.import(&exported).await;
        assert_eq!(
            (again.tally.known, again.tally.added, again.tally.updated),
            (2, 0, 0)
        );
        desk.app.store.close().await;
    }
);

on_both!(
    a_keyring_of_another_database_is_noticed_before_anything_is_written,
    async |engine: Engine| {
        let mut desk = Desk::new(engine).await;
        desk.import("email\na@x.example\n").await;
        let foreign = Keyring::generate(&Chance::seeded(8), NOON);
        desk.app.keyring = std::sync::Arc::new(foreign);
        let job = desk.job("email\nnew@x.example\na@x.example\n");
        let error = import::run(&desk.app, &job, |_| {})
            .await
            .expect_err("a foreign keyring");
        assert!(
            format!("{error:#}").contains("does not belong to it"),
            "{error:#}"
        );
        assert!(desk.reader("new@x.example").await.is_none());
        desk.app.store.close().await;
    }
);

on_both!(
    a_batch_into_which_another_process_wrote_is_taken_back_whole,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email\na@x.example\n").await;
        let list = lists::find(&desk.app, "weekly").await.expect("the list");
        let origin = Origin {
            list: list.id,
            source: "test".into(),
            import: None,
            at: NOON,
        };
        let terms = Terms {
            status: Status::Confirmed,
            confirm: false,
            calls_back: false,
            voucher: None,
            import: None,
            at: NOON,
        };
        // The decision rests on a look at an empty list, as if `a` had joined since.
        let (rows, batch): (Vec<_>, Vec<_>) = ["b@x.example", "a@x.example"]
            .iter()
            .map(|address| {
                let address = EmailAddress::parse(address).expect("an address");
                let canonical = address.canonical();
                let hash = desk.app.keyring.address_hash(&canonical);
                (
                    import::columns::Row::new(address),
                    Wanted {
                        canonical,
                        hash,
                        mailbox: None,
                    },
                )
            })
            .unzip();
        let keys = || desk.app.chance.key();
        for looked in [false, true] {
            let blind = |_| Some(decide(&rows, &batch, Vec::new(), terms, keys).0);
            let store = &desk.app.store;
            let taken = store.import_batch(&origin, &batch, !looked, blind).await;
            assert!(!taken.expect("a refusal without an error"));
        }
        assert!(desk.reader("b@x.example").await.is_none());
        desk.app.store.close().await;
    }
);

/// A file that is not CSV of readers is refused whole, with its name.
#[test]
fn a_hostile_file_is_refused_with_a_reason() {
    crate::harness::block_on(async {
        let desk = Desk::new(Engine::Sqlite).await;
        let mut job = desk.job("");
        for (bytes, expected) in [
            (&b"\xff\xfee\0m\0a\0"[..], "UTF-16"),
            (b"", "the file is empty"),
            (b"email\n\"open", ""),
            (b"e\xe9mail\n", "the header is not UTF-8"),
        ] {
            std::fs::write(&job.file, bytes).expect("a file");
            match import::run(&desk.app, &job, |_| {}).await {
                Err(error) => {
                    let said = format!("{error:#}");
                    assert!(
                        said.contains("readers.csv: ") && said.contains(expected),
                        "{said}"
                    );
                }
                Ok(summary) => assert_eq!(
                    summary.rejects[0].reason,
                    "a quote is opened and never closed"
                ),
            }
        }
        let endless = [b"email\na@x.example\n".to_vec(), vec![b'x'; 2 << 20]].concat();
        std::fs::write(&job.file, endless).expect("a file");
        let error = import::run(&desk.app, &job, |_| {})
            .await
            .expect_err("an endless line");
        let said = format!("{error:#}");
        assert!(said.contains("line 3 is longer than 1 MiB"), "{said}");
        job.file = Path::new("/nowhere.csv").into();
        assert!(import::run(&desk.app, &job, |_| {}).await.is_err());
        desk.app.store.close().await;
    });
}
