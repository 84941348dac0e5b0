//! An import that takes much of a list off it asks before it does.

use pressrun::import::{self, Import};
use pressrun::subscriber::Status;

use super::desk::Desk;
use crate::harness::Engine;
use crate::on_both;

/// Rows of the readers `from..to`, each with this behind the address.
fn rows(from: usize, to: usize, behind: &str) -> String {
    (from..to)
        .map(|n| format!("r{n}@x.example{behind}\n"))
        .collect()
}

on_both!(
    an_import_that_ends_more_than_a_twentieth_of_a_list_wants_a_word,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import(&format!("email\n{}", rows(0, 100, ""))).await;
        desk.suppress("r99@x.example").await;
        let careful = |text: &str| Import {
            accept_taken_off: false,
            ..desk.job(text)
        };
        let tried = async |text: &str| import::run(&desk.app, &careful(text), |_| {}).await;
        let standing = async |n: usize| desk.status(&format!("r{n}@x.example")).await;
        // Strangers, those who left before and those who are suppressed already take nothing from the list.
        let few = format!(
            "email,status\n{}{}r99@x.example,bounced\n",
            rows(200, 300, ",unsubscribed"),
            rows(0, 4, ",unsubscribed")
        );
        let done = tried(&few).await.expect("4 of 99 go unasked");
        assert_eq!((done.tally.taken_off, done.tally.ends), (4, 4));
        let again = tried(&few).await.expect("nobody is left to be taken off");
        assert_eq!(again.tally.ends, 0);
        // Barred ones count as those who left do, and so do those who pause.
        desk.database
            .raw(
                "update subscriptions set status = 'paused'
                 where subscriber_id = (select id from subscribers where canonical = 'r12@x.example')",
            )
            .await;
        let many = format!(
            "email,status\n{}{}",
            rows(10, 13, ",unsubscribed"),
            rows(13, 16, ",bounced")
        );
        let before = desk.app.store.imports().await.expect("a read").len();
        let error = tried(&many).await.expect_err("6 of 95 are asked for");
        let said = format!("{error:#}");
        assert!(said.contains("6 of 95 readers of `weekly` (7 %)"), "{said}");
        assert!(said.contains("`--accept taken-off`"), "{said}");
        let after = desk.app.store.imports().await.expect("a read").len();
        assert_eq!(after, before, "nothing was begun");
        assert_eq!(standing(10).await, Some(Status::Confirmed));
        let dry = Import {
            dry_run: true,
            ..careful(&many)
        };
        let look = desk.run(&dry).await;
        assert_eq!((look.toll().ends, look.toll().readers), (6, 95));
        assert!(look.toll().is_heavy());
        let meant = desk.import(&many).await;
        assert_eq!((meant.tally.taken_off, meant.tally.barred), (3, 3));
        assert_eq!(standing(10).await, Some(Status::Unsubscribed));
        assert_eq!(standing(12).await, Some(Status::Unsubscribed));
        // Five of many go unasked, though they are more than one in twenty.
        let five = format!("email,status\n{}", rows(20, 25, ",unsubscribed"));
        let five = tried(&five).await.expect("5 of 89 go unasked");
        assert_eq!(five.tally.taken_off, 5);
        // A file without a word about leaving is not read twice, and brings whom it brings.
        let new = tried("email\nfresh@x.example\n").await.expect("an import");
        assert_eq!((new.tally.added, new.tally.ends), (1, 0));
        desk.app.store.close().await;
    }
);
