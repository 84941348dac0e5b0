//! Files with mistakes that would cost readers, or bring back those who left.

use pressrun::import::{self, Import};
use pressrun::subscriber::Status;

use super::desk::Desk;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    a_stray_quote_costs_its_own_row_and_no_other,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let rows: String = (0..3_000)
            .map(|n| {
                let status = if n % 10 == 0 {
                    "unsubscribed"
                } else {
                    "subscribed"
                };
                format!("r{n}@x.example,Reader {n},{status}\n")
            })
            .collect();
        let text = format!(
            "email,name,status\na@x.example,A,subscribed\nb@x.example,\"Bob,unsubscribed\n{rows}\
             z@x.example,\"Zed\",subscribed\ny@x.example,Y,subscribed\n"
        );
        let summary = desk.import(&text).await;
        assert_eq!((summary.rows, summary.rejected), (3_004, 1));
        assert_eq!((summary.tally.added, summary.tally.left), (2_703, 300));
        assert_eq!(summary.rejects[0].line, 3);
        assert_eq!(
            summary.rejects[0].reason,
            "a quote is opened and not closed: the next one stands in line 3004; what follows is read line by line"
        );
        assert_eq!(
            desk.status("r20@x.example").await,
            Some(Status::Unsubscribed)
        );
        assert_eq!(desk.status("r21@x.example").await, Some(Status::Confirmed));
        assert_eq!(desk.status("b@x.example").await, None);
        // Her row stands in the file of those that were not taken, with all that it says.
        let rejects = std::fs::read_to_string(&summary.rejects_files[0]).expect("a file");
        assert!(
            rejects.ends_with("b@x.example,\"\"\"Bob\",unsubscribed\n"),
            "{rejects}"
        );
        let again = desk.import(&rejects).await;
        assert_eq!((again.rejected, again.tally.left), (0, 1));
        desk.app.store.close().await;
    }
);

on_both!(
    rows_within_a_cell_that_is_quoted_as_it_should_be_are_no_readers_and_are_counted,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "email,name\na@x.example,\"A\nb@x.example,B\nc@x.example,C\"\nd@x.example,D\n";
        let summary = desk.import(text).await;
        assert_eq!(
            (summary.rows, summary.tally.added, summary.rejected),
            (4, 1, 3)
        );
        assert_eq!(desk.status("b@x.example").await, None);
        let header = desk.job("email,\"name\na@x.example,A\nb@x.example,\"B\"\n");
        let why = import::run(&desk.app, &header, |_| {})
            .await
            .expect_err("no header");
        let why = format!("{why:#}");
        assert!(why.contains("a quote in the header is not closed"), "{why}");
        desk.app.store.close().await;
    }
);

on_both!(
    who_left_under_a_column_that_nobody_knows_is_not_confirmed_before_the_author_says_what_it_means,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "email,Mailing state,Fair\na@x.example,subscribed,unsubscribed\nb@x.example,unsubscribed,\n";
        for dry_run in [true, false] {
            let job = Import {
                dry_run,
                ..desk.job(text)
            };
            let why = import::run(&desk.app, &job, |_| {})
                .await
                .expect_err("a question");
            let why = format!("{why:#}");
            for said in [
                "`Mailing state` is not read, and says `unsubscribed` in line 3",
                "`Fair` is not read, and says `unsubscribed` in line 2",
                "nothing was written",
                "Say what it means: `--map \"Mailing state=standing\"` if it says how readers stand there, and \
                 `--map \"Mailing state=-\"`",
            ] {
                assert!(why.contains(said), "{said}: {why}");
            }
        }
        assert_eq!(desk.app.store.imports().await.expect("a read").len(), 0);
        let said = |column: &str, to: &str| (column.to_owned(), to.to_owned());
        let job = Import {
            map: vec![said("Mailing state", "standing"), said("Fair", "-")],
            ..desk.job(text)
        };
        let summary = desk.run(&job).await;
        assert_eq!((summary.tally.added, summary.tally.left), (1, 1));
        assert_eq!(summary.ignored_columns, ["Fair"]);
        assert_eq!(desk.status("a@x.example").await, Some(Status::Confirmed));
        assert_eq!(desk.status("b@x.example").await, Some(Status::Unsubscribed));
        // Beside a column that tells how readers stand, the answer that might take all of them off is the second.
        let job = desk.job("email,status,Consent\na@x.example,active,no\nc@x.example,active,no\n");
        let why = import::run(&desk.app, &job, |_| {})
            .await
            .expect_err("a question");
        let why = format!("{why:#}");
        assert!(
            why.contains(
                "Say what it means: `--map \"Consent=-\"` if it means something else, and"
            ),
            "{why}"
        );
        desk.app.store.close().await;
    }
);

on_both!(
    a_column_that_means_something_else_is_not_read_though_the_service_whose_header_it_is_has_one_so_called,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        // An address book, whose `state` is one of the United States.
        let book = "first_name,email_address,state,created_at\nA,a@x.example,CA,2024-01-01\n";
        let refused = desk.import(book).await;
        assert_eq!((refused.rejected, refused.doubted), (1, vec!["state".to_owned()]));
        let aside = |text: &str, column: &str| Import {
            map: vec![(column.to_owned(), "-".to_owned())],
            ..desk.job(text)
        };
        let summary = desk.run(&aside(book, "state")).await;
        assert_eq!((summary.rejected, summary.tally.added), (0, 1));
        assert_eq!(summary.ignored_columns, ["state"]);
        let ghost = "email,name,subscribed_to_emails,created_at\nb@x.example,B,false,2024-01-01\n";
        let summary = desk.run(&aside(ghost, "subscribed_to_emails")).await;
        assert_eq!((summary.tally.left, summary.tally.added), (0, 1));
        assert_eq!(summary.ignored_columns, ["subscribed_to_emails"]);
        desk.app.store.close().await;
    }
);

on_both!(
    a_birthday_that_nobody_understands_is_told_and_keeps_nobody_out,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let text = "email,issues\na@x.example,many\nb@x.example,NULL\nc@x.example,7\n";
        let summary = desk.import(text).await;
        assert_eq!(
            (summary.tally.added, summary.rejected, summary.unfit),
            (3, 0, 1)
        );
        assert_eq!(
            summary.unfit_as,
            "in line 2, where `issues` takes a number such as `3` or `3.5`"
        );
        desk.app.store.close().await;
    }
);
