//! The exports of other services, as they come: who left there is not mailed here.

use std::io::Write;

use pressrun::import::outcome::Outcome;
use pressrun::import::{self, Import};
use pressrun::subscriber::Status;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::desk::{Desk, NOON};
use crate::harness::{Engine, block_on};
use crate::on_both;

const SUBSCRIBED: &str = "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,\
    CONFIRM_IP,LEID,EUID,NOTES,TAGS\n\
    ada@x.example,Ada,Lovelace,2,2020-02-03 04:05:06,192.0.2.1,2020-02-03 04:06:00,192.0.2.1,1,a,,\n\
    both@x.example,,,2,,,,,2,b,,\n\
    nobody,,,2,,,,,3,c,,\n";
const UNSUBSCRIBED: &str = "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,UNSUB_TIME,\
    UNSUB_CAMPAIGN_TITLE,LEID,EUID\n\
    gone@x.example,,,2,,,2021-01-01 00:00:00,Week 1,4,d\n\
    both@x.example,,,2,,,2021-01-01 00:00:00,Week 1,5,e\n";
const CLEANED: &str = "Email Address,First Name,Last Name,MEMBER_RATING,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,LEID,EUID\n\
    dead@x.example,,,1,2022-01-01 00:00:00,Week 2,6,f\n";

/// An archive of these entries.
pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .expect("an entry");
        writer.write_all(content).expect("its content");
    }
    writer.finish().expect("an archive").into_inner()
}

/// An import of an archive.
fn packed(desk: &Desk, entries: &[(&str, &[u8])]) -> Import {
    let file = desk.database.path().join("export.zip");
    std::fs::write(&file, archive(entries)).expect("a file");
    Import {
        file,
        ..desk.job("email\n")
    }
}

on_both!(
    a_mailchimp_zip_brings_those_who_stay_and_remembers_those_who_left,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let mut job = packed(
            &desk,
            &[
                (
                    "subscribed_email_audience_export_1a.csv",
                    SUBSCRIBED.as_bytes(),
                ),
                (
                    "unsubscribed_email_audience_export_1a.csv",
                    UNSUBSCRIBED.as_bytes(),
                ),
                ("cleaned_email_audience_export_1a.csv", CLEANED.as_bytes()),
                (
                    "granular_activity/opens/1.csv",
                    b"Email,Timestamp\nada@x.example,1\n",
                ),
                ("../../evil.csv", b"not,a,list\n1,2,3\n"),
                ("readme.txt", b"hello"),
                ("nobody.csv", b""),
                ("note.csv", b"caf\xe9,x\n"),
            ],
        );
        // What the author says of a column holds for the tables that have it.
        job.map = vec![("MEMBER_RATING".to_owned(), "-".to_owned())];
        let summary = desk.run(&job).await;
        assert_eq!(summary.service, "Mailchimp");
        assert_eq!(summary.tables.len(), 3);
        assert_eq!(
            summary.passed_over,
            ["evil.csv", "nobody.csv", "note.csv", "1.csv"]
        );
        let tally = summary.tally;
        assert_eq!((tally.added, tally.left, tally.barred), (1, 2, 1));
        assert_eq!((summary.duplicates, summary.rejected), (1, 1));
        let table = summary.rejects[0].table.as_deref();
        assert_eq!(table, Some("subscribed_email_audience_export_1a.csv"));
        let (ada, held) = desk.reader("ada@x.example").await.expect("a reader");
        assert_eq!(ada.name, "Ada Lovelace");
        assert_eq!(held[0].status, Status::Confirmed);
        assert_eq!(held[0].created_at.to_rfc3339(), "2020-02-03T04:06:00Z");
        assert_eq!(held[0].confirmed_at, Some(NOON));
        let (_, held) = desk.reader("gone@x.example").await.expect("a reader");
        assert_eq!(held[0].status, Status::Unsubscribed);
        let left = held[0].left_at.expect("a time").to_rfc3339();
        assert_eq!(left, "2021-01-01T00:00:00Z");
        assert_eq!(
            desk.status("both@x.example").await,
            Some(Status::Unsubscribed)
        );
        assert!(desk.reader("dead@x.example").await.is_none());
        // Whoever is in a later file anyway is not brought back.
        let again = desk
            .import("email\ngone@x.example\ndead@x.example\n")
            .await
            .tally;
        assert_eq!((again.unsubscribed, again.suppressed), (1, 1));
        desk.app.store.close().await;
    }
);

on_both!(
    a_table_of_an_archive_that_cannot_be_read_is_none_of_other_things,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let name = "unsubscribed_email_audience_export_1a.csv";
        let refused = async |unsubscribed: &[u8]| {
            let entries = [
                (
                    "subscribed_email_audience_export_1a.csv",
                    SUBSCRIBED.as_bytes(),
                ),
                (name, unsubscribed),
            ];
            let job = packed(&desk, &entries);
            import::run(&desk.app, &job, |_| {}).await
        };
        for header in [
            // No UTF-8, two columns for the address, and none at all that says what is what.
            &b"Email Address,Pr\xe9nom\ngone@x.example,A\n"[..],
            b"Email Address,E-Mail-Adresse,Email Address\na@x.example,b,c\n",
            b"gone@x.example,Gone\n",
        ] {
            let error = refused(header).await.expect_err("a refusal");
            assert!(format!("{error:#}").contains(name), "{error:#}");
        }
        assert!(desk.reader("ada@x.example").await.is_none());
        // Damaged on its way.
        assert!(refused(UNSUBSCRIBED.as_bytes()).await.is_ok());
        let file = desk.database.path().join("export.zip");
        let mut octets = std::fs::read(&file).expect("a file");
        let entry = octets.windows(4).rposition(|four| four == b"PK\x03\x04");
        let start = entry.expect("its last entry") + 30 + name.len();
        octets[start..start + 20].fill(0xff);
        std::fs::write(&file, octets).expect("a file");
        let job = Import {
            file,
            ..desk.job("email\n")
        };
        let error = import::run(&desk.app, &job, |_| {}).await;
        let error = error.expect_err("a refusal");
        assert!(format!("{error:#}").contains(name), "{error:#}");
        desk.app.store.close().await;
    }
);

on_both!(
    a_row_that_says_she_left_counts_wherever_it_stands_in_the_file,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        // Some close by, and some many thousands of rows behind.
        let mut text = String::from("email,name,status\n");
        for name in ["near", "far", "dead", "mean", "back", "twice", "rests"] {
            text.push_str(&format!("{name}@x.example,{name},subscribed\n"));
        }
        text.push_str("near@x.example,,unsubscribed\nback@x.example,,unsubscribed\n");
        text.push_str("back@x.example,,subscribed\nmean@x.example,,bounced\n");
        text.push_str("twice@x.example,again,subscribed\nmean@x.example,,unsubscribed\n");
        text.push_str("rests@x.example,,paused\n");
        text.extend((0..33_000).map(|number| format!("r{number}@x.example,,subscribed\n")));
        text.push_str("far@x.example,,unsubscribed\ndead@x.example,,bounced\n");
        let summary = desk.import(&text).await;
        let tally = summary.tally;
        // Whose mailbox is gone by a row far behind is not taken before it; a bounce ends when it comes.
        assert_eq!(
            (tally.added, tally.left, tally.barred, tally.unsubscribed),
            (33_000 + 3, 3, 2, 1),
            "{summary:?}"
        );
        assert_eq!((summary.duplicates, summary.rejected), (7, 0));
        assert_eq!(desk.status("rests@x.example").await, Some(Status::Paused));
        for address in ["near@x.example", "far@x.example", "back@x.example"] {
            let status = desk.status(address).await;
            assert_eq!(status, Some(Status::Unsubscribed), "{address}");
        }
        let (near, _) = desk.reader("near@x.example").await.expect("a reader");
        assert_eq!(near.name, "near");
        let (twice, _) = desk.reader("twice@x.example").await.expect("a reader");
        assert_eq!(twice.name, "twice");
        for address in ["dead@x.example", "mean@x.example"] {
            let hash = desk.app.keyring.address_hash(address);
            let found = desk.app.store.suppression(&hash).await.expect("a read");
            assert!(found.is_some(), "{address}");
        }
        desk.app.store.close().await;
    }
);

on_both!(
    a_leaving_counts_though_the_rest_of_its_row_cannot_be_read,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email\na@x.example\nb@x.example\nc@x.example\n")
            .await;
        let text = "email,status,issues\na@x.example,unsubscribed,n/a\n\
                    b@x.example,complained,n/a\nc@x.example,unsubscribed,6,extra\n";
        let summary = desk.import(text).await;
        assert_eq!((summary.tally.taken_off, summary.tally.barred), (2, 1));
        assert_eq!(summary.rejected, 0);
        for address in ["a@x.example", "c@x.example"] {
            let status = desk.status(address).await;
            assert_eq!(status, Some(Status::Unsubscribed), "{address}");
        }
        desk.app.store.close().await;
    }
);

on_both!(
    rejected_rows_of_an_archive_come_back_as_their_table_had_them,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let table = "Email Address,First Name,MEMBER_RATING,Issues,LEID,EUID\n\
                     never.x.example,N,2,7,1,a\nnobody,,2,1,2,b\n";
        let job = packed(
            &desk,
            &[
                ("subscribed_export_1a.csv", table.as_bytes()),
                ("nonsubscribed_export_1a.csv", table.as_bytes()),
            ],
        );
        let summary = desk.run(&job).await;
        assert_eq!((summary.tally.added, summary.rejected), (0, 4));
        let [of_pending, of_joined] = summary.rejects_files.as_slice() else {
            panic!("{summary:?}");
        };
        let text = std::fs::read_to_string(of_joined).expect("a file");
        assert!(text.starts_with("line,reason,Email Address,"), "{text}");
        let mut text = std::fs::read_to_string(of_pending).expect("a file");
        // Mended in part, and what is rejected once more mended then.
        for (mend, mended) in [
            ("never.x.example", "never@x.example"),
            ("nobody", "late@x.example"),
        ] {
            assert!(text.contains("reason,standing,Email Address,"), "{text}");
            text = text.replace(mend, mended);
            let summary = desk.import(&text).await;
            assert_eq!(summary.tally.pending, 1, "{summary:?}");
            if let Some(file) = summary.rejects_files.first() {
                text = std::fs::read_to_string(file).expect("a file");
            }
        }
        for address in ["never@x.example", "late@x.example"] {
            let status = desk.status(address).await;
            assert_eq!(status, Some(Status::Pending), "{address}");
        }
        desk.app.store.close().await;
    }
);

on_both!(
    a_listmonk_file_says_what_it_does_not_tell_and_is_told_by_its_name,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let table = "uuid,email,name,attributes,status,created_at,updated_at\n\
                     1,gone@x.example,G,{},enabled,2024-01-05 12:11:12 +0000 UTC,\n";
        let named = |name: &str, text: &str| {
            let file = desk.database.path().join(name);
            std::fs::write(&file, text).expect("a file");
            Import {
                file,
                ..desk.job("email\n")
            }
        };
        let gone = desk.run(&named("unsubscribed.csv", table)).await;
        assert_eq!((gone.tally.left, gone.note.as_str()), (1, ""));
        let waits = table.replace("gone@", "waits@");
        let waits = desk.run(&named("unconfirmed-weekly.csv", &waits)).await;
        assert_eq!((waits.tally.added, waits.tally.pending), (1, 1));
        let whole = format!(
            "{table}2,waits@x.example,W,{{}},enabled,,\n3,here@x.example,H,{{}},enabled,,\n"
        );
        let dry = Import {
            dry_run: true,
            ..named("subscribers.csv", &whole)
        };
        let dry = desk.run(&dry).await;
        assert!(dry.note.contains("export those whose subscription"));
        let whole = desk.run(&named("subscribers.csv", &whole)).await;
        let tally = whole.tally;
        assert_eq!((tally.added, tally.updated, tally.unsubscribed), (1, 1, 1));
        assert_eq!(whole.note, dry.note);
        assert_eq!(desk.status("waits@x.example").await, Some(Status::Pending));
        assert_eq!(desk.import("email\n").await.note, "");
        desk.app.store.close().await;
    }
);

on_both!(
    leaving_elsewhere_ends_a_subscription_here_unless_the_reader_came_later_herself,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email\na@x.example\nb@x.example\n").await;
        desk.database
            .raw(
                "update subscriptions set source = 'form' where subscriber_id = (
                      select id from subscribers where canonical = 'b@x.example')",
            )
            .await;
        let ghost = "email,subscribed_to_emails,created_at,deleted_at\n\
                     a@x.example,false,2020-01-01T00:00:00.000Z,\n\
                     b@x.example,false,2020-01-01T00:00:00.000Z,\n\
                     c@x.example,true,2020-01-01T00:00:00.000Z,\n";
        let summary = desk.import(ghost).await;
        assert_eq!(summary.service, "Ghost");
        let tally = summary.tally;
        assert_eq!((tally.added, tally.taken_off, tally.known), (1, 1, 1));
        assert_eq!(desk.status("a@x.example").await, Some(Status::Unsubscribed));
        assert_eq!(desk.status("b@x.example").await, Some(Status::Confirmed));
        // The second time nothing changes any more.
        let tally = desk.import(ghost).await.tally;
        assert_eq!((tally.known, tally.unsubscribed), (2, 1));
        desk.app.store.close().await;
    }
);

on_both!(
    without_a_stated_consent_everyone_waits_for_a_confirmation,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let kit = "first_name,email_address,state\nA,a@x.example,active\nB,b@x.example,inactive\n";
        let bare = Import {
            consent: String::new(),
            status: Status::Pending,
            ..desk.job(kit)
        };
        let tally = desk.run(&bare).await.tally;
        assert_eq!((tally.added, tally.pending), (2, 2));
        let refused = Import {
            status: Status::Confirmed,
            ..bare
        };
        let error = import::run(&desk.app, &refused, |_| {}).await;
        let error = error.expect_err("no consent").to_string();
        assert!(
            error.contains("nobody is confirmed without a consent"),
            "{error}"
        );
        // Stated, it confirms those who had confirmed there, and no other.
        let stated = Import {
            confirm: true,
            ..desk.job(kit)
        };
        let tally = desk.run(&stated).await.tally;
        assert_eq!((tally.confirmed, tally.known), (1, 1));
        assert_eq!(desk.status("b@x.example").await, Some(Status::Pending));
        let imports = desk.app.store.imports().await.expect("a read");
        let consents: Vec<&str> = imports.iter().map(|i| i.consent.as_str()).collect();
        assert_eq!(consents, ["", "they asked"]);
        assert!(imports.iter().all(|import| import.begun_at == NOON));
        desk.app.store.close().await;
    }
);

#[test]
fn an_archive_that_is_none_of_readers_or_swells_is_refused() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite).await;
        let refused = async |entries: &[(&str, &[u8])], expected: &str| {
            let job = packed(&desk, entries);
            let error = import::run(&desk.app, &job, |_| {})
                .await
                .expect_err(expected);
            let said = format!("{error:#}");
            assert!(said.contains(expected), "{said}");
        };
        refused(&[("a.txt", b"x")], "no table of readers that is known").await;
        refused(&[("xl/workbook.xml", b"x")], "the file is a workbook").await;
        let two: [(&str, &[u8]); 2] = [("a.csv", b"email\n"), ("b.csv", b"email\n")];
        refused(&two, "no table of readers that is known").await;
        // One packed table of nobody's in particular is what it looks like.
        let one = packed(&desk, &[("list/readers.csv", b"email\na@x.example\n")]);
        assert_eq!(desk.run(&one).await.tally.added, 1);
        // A table that says it is shorter than it is.
        let bomb = [b"email\n".to_vec(), b"b@x.example\n".repeat(100_000)].concat();
        let mut lying = archive(&[("bomb.csv", &bomb)]);
        let said = u32::try_from(bomb.len()).expect("small").to_le_bytes();
        let places: Vec<usize> = (0..lying.len() - 4)
            .filter(|&at| lying[at..at + 4] == said)
            .collect();
        assert!(!places.is_empty());
        for at in places {
            lying[at..at + 4].copy_from_slice(&300_000_u32.to_le_bytes());
        }
        let job = packed(&desk, &[("x.csv", b"email\n")]);
        std::fs::write(&job.file, lying).expect("a file");
        let error = import::run(&desk.app, &job, |_| {})
            .await
            .expect_err("a bomb");
        let said = format!("{error:#}");
        assert!(said.contains("`bomb.csv` in it"), "{said}");
        assert!(desk.reader("b@x.example").await.is_none());
        desk.app.store.close().await;
    });
}

#[test]
fn a_hostile_cell_is_told_without_its_controls() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite).await;
        let text = "email,status\na@x.example,\"\u{1b}]0;x\u{7}<script>\u{202e}\"\n\u{1b}[2J,\n";
        let summary = desk.import(text).await;
        assert_eq!(summary.rejected, 2);
        let json = serde_json::to_string(&summary.rejects).expect("JSON");
        assert!(json.contains("`status` is `]0;x <script>`"), "{json}");
        assert!(!json.chars().any(char::is_control), "{json}");
        desk.app.store.close().await;
    });
}

on_both!(
    when_readers_joined_is_told_where_nobody_understands_it,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "email,joined\na@x.example,\"Aug 3, 2023\"\nb@x.example,03/04/2024\n\
                    c@x.example,2024-03-04\nd@x.example,\ne@x.example,NULL\n";
        let summary = desk.import(text).await;
        assert_eq!((summary.tally.added, summary.undated), (5, 2));
        assert_eq!(summary.undated_as, "`joined` is `Aug 3, 2023`");
        let notes = Outcome::from(&summary).notes();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("in 2 rows"), "{notes:?}");
        desk.app.store.close().await;
    }
);

on_both!(
    what_is_cut_of_a_long_cell_is_told_and_not_only_done,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let (long, short) = ("x".repeat(900_000), "\u{e9}".repeat(1_000));
        let text = format!(
            "email,name,city\na@x.example,Ada,{short}\nb@x.example,Bo,{long}\nc@x.example,{},{long}\n",
            "y".repeat(201)
        );
        let job = Import {
            dry_run: true,
            ..desk.job(&text)
        };
        let looked = import::run(&desk.app, &job, |_| {}).await;
        let done = desk.import(&text).await;
        assert_eq!(done.tally.added, 3);
        for summary in [looked.expect("a look"), done] {
            assert_eq!(summary.cut, 3);
            assert_eq!(
                summary.cut_as,
                "`city` in line 3, 1000 of 900000 characters"
            );
            let notes = Outcome::from(&summary).notes();
            assert_eq!(notes.len(), 1, "{notes:?}");
            assert!(notes[0].contains("of 3 cells"), "{notes:?}");
        }
        desk.app.store.close().await;
    }
);
