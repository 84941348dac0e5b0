//! One mailbox has many spellings: who was erased, complained or left is so under each of them.

use pressrun::address::EmailAddress;
use pressrun::erasure;
use pressrun::import::{self, Import};
use pressrun::subscriber::Status;

use super::desk::{Desk, NOON};
use crate::harness::Engine;
use crate::on_both;

const SPELLINGS: &str =
    "email\njohndoe@gmail.com\nJohn.Doe@googlemail.com\njohn.doe+news@gmail.com\n";

on_both!(
    an_erased_mailbox_is_taken_in_under_none_of_its_spellings,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email\njohn.doe@gmail.com\nbea@x.example\n")
            .await;
        for address in ["john.doe@gmail.com", "bea@x.example"] {
            let (reader, _) = desk.reader(address).await.expect("a reader");
            assert!(
                erasure::erase(&desk.app, reader.id)
                    .await
                    .expect("an erasure")
            );
        }
        let again = desk
            .import(&format!("{SPELLINGS}bea+x@x.example\nbea.x@x.example\n"))
            .await;
        assert_eq!((again.tally.suppressed, again.tally.added), (4, 1));
        assert!(
            desk.reader("bea.x@x.example").await.is_some(),
            "a dot is one elsewhere"
        );
        // As JSON lines it is kept, and who moves to another program is not asked again.
        assert!(desk.lines().await.contains("\"mailbox\":\""));
        // Her own word lets her in again, in whatever spelling.
        let hash = |text: &str| {
            let address = EmailAddress::parse(text).expect("an address");
            desk.app.keyring.address_hash(&address.mailbox())
        };
        let store = &desk.app.store;
        let found = store
            .suppression_of_mailbox(&hash("j.ohndoe@gmail.com"))
            .await;
        assert_eq!(
            found.expect("a read").map(|(reason, _)| reason).as_deref(),
            Some("erased")
        );
        assert!(
            store
                .allow_mailbox("johndoe@gmail.com", &hash("j.ohndoe@gmail.com"))
                .await
                .expect("a write")
        );
        assert_eq!(desk.import(SPELLINGS).await.tally.added, 3);
        desk.app.store.close().await;
    }
);

on_both!(
    who_complained_is_so_under_each_spelling_and_a_bounce_is_of_one_address,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email,complained,bounced\nann+a@x.example,yes,\nbob+b@x.example,,yes\n")
            .await;
        let again = desk
            .import("email\nann@x.example\nbob@x.example\nann+b@x.example\n")
            .await;
        assert_eq!((again.tally.suppressed, again.tally.added), (2, 1));
        assert_eq!(desk.status("bob@x.example").await, Some(Status::Confirmed));
        desk.app.store.close().await;
    }
);

on_both!(
    who_left_a_list_is_not_called_back_to_it_under_another_spelling,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email\na.nn@gmail.com\nbob@x.example\nz@x.example\n")
            .await;
        desk.leave("a.nn@gmail.com").await;
        desk.leave("bob@x.example").await;
        let text = "email\nann@gmail.com\nan.n@gmail.com\nbob+again@x.example\nz+1@x.example\n";
        let again = desk.import(text).await;
        assert_eq!((again.tally.unsubscribed, again.tally.added), (3, 1));
        // Also where so many new readers came that nobody is looked up any more: the last batch is hers.
        let crowd: String = (0..20_000)
            .map(|n| format!("r{n:05}@y.example\n"))
            .collect();
        let many = desk
            .import(&format!("email\n{crowd}ann@googlemail.com\n"))
            .await;
        assert_eq!((many.tally.unsubscribed, many.tally.added), (1, 20_000));
        // Whom a file brings under two spellings stays two readers, and nobody's status is another's.
        assert_eq!(desk.status("z@x.example").await, Some(Status::Confirmed));
        assert_eq!(desk.status("z+1@x.example").await, Some(Status::Confirmed));
        assert_eq!(desk.app.clock.now(), NOON);
        desk.app.store.close().await;
    }
);

/// Refuses the mailbox of this address under every spelling.
async fn refuse(desk: &Desk, text: &str) {
    let address = EmailAddress::parse(text).expect("an address");
    let (canonical, mailbox) = (address.canonical(), address.mailbox());
    let hash = |text: &str| desk.app.keyring.address_hash(text);
    let hashes = (&hash(&canonical), &hash(&mailbox));
    let store = &desk.app.store;
    let fresh = store.suppress_mailbox(&canonical, hashes, "complained by mail", NOON);
    assert!(fresh.await.expect("a write"));
}

on_both!(
    who_gets_mail_leaves_by_a_file_though_another_spelling_of_her_mailbox_is_refused,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import(
            "email,name\nbob@gmail.com,Bob\ncid@gmail.com,\neve@gmail.com,\nlea@gmail.com,\n",
        )
        .await;
        for other in [
            "b.ob@gmail.com",
            "c.id@gmail.com",
            "e.ve@gmail.com",
            "l.ea@gmail.com",
        ] {
            refuse(&desk, other).await;
        }
        // She is a reader, and no row that says no more makes her a suppressed one.
        let plain = desk
            .import("email,name\nbob@gmail.com,Bobby\nbo.b@gmail.com,\n")
            .await;
        let tally = plain.tally;
        assert_eq!((tally.updated, tally.suppressed), (1, 1), "{plain:?}");
        let gone = "email,status\nbob@gmail.com,unsubscribed\ncid@gmail.com,bounced\neve@gmail.com,complained\n\
                    bo.b@gmail.com,unsubscribed\n";
        let dry = Import {
            dry_run: true,
            ..desk.job(gone)
        };
        let dry = import::run(&desk.app, &dry, |_| {}).await.expect("a look");
        assert_eq!((dry.tally.ends, dry.readers), (3, 4), "the guard sees them");
        let tally = desk.import(gone).await.tally;
        assert_eq!(tally, dry.tally);
        assert_eq!((tally.taken_off, tally.barred, tally.suppressed), (1, 2, 1));
        assert_eq!(
            desk.status("bob@gmail.com").await,
            Some(Status::Unsubscribed)
        );
        for address in ["cid@gmail.com", "eve@gmail.com"] {
            let hash = desk.app.keyring.address_hash(address);
            let found = desk.app.store.suppression(&hash).await.expect("a read");
            assert!(found.is_some(), "{address}");
        }
        assert!(desk.reader("bo.b@gmail.com").await.is_none());
        // Also behind so many new readers that nobody is looked up any more: the last batch is hers.
        let crowd: String = (0..20_000)
            .map(|n| format!("r{n:05}@y.example,\n"))
            .collect();
        let many = format!("email,status\n{crowd}lea@gmail.com,unsubscribed\n");
        assert_eq!(desk.import(&many).await.tally.taken_off, 1);
        assert_eq!(
            desk.status("lea@gmail.com").await,
            Some(Status::Unsubscribed)
        );
        desk.app.store.close().await;
    }
);

on_both!(
    of_two_spellings_in_one_file_the_graver_word_counts_wherever_its_row_stands,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email\nold@gmail.com\n").await;
        let crowd = |of: &str| -> String {
            (0..33_000)
                .map(|n| format!("{of}{n:05}@y.example,subscribed\n"))
                .collect()
        };
        // Beside each other in either order, and many batches apart in either order.
        let text = format!(
            "email,status\na.b@gmail.com,unsubscribed\nab@gmail.com,subscribed\n\
             ann@x.example,subscribed\nann+a@x.example,complained\n\
             early@gmail.com,subscribed\nl.ate@gmail.com,unsubscribed\nmean@gmail.com,subscribed\n\
             bob@x.example,subscribed\nbob+b@x.example,bounced\nold@gmail.com,subscribed\no.ld@gmail.com,unsubscribed\n\
             two@x.example,subscribed\ntwo+2@x.example,subscribed\n{}\
             e.arly@gmail.com,unsubscribed\nlate@gmail.com,subscribed\nm.ean@gmail.com,complained\n",
            crowd("r")
        );
        let dry = Import {
            dry_run: true,
            ..desk.job(&text)
        };
        let dry = import::run(&desk.app, &dry, |_| {}).await.expect("a look");
        let summary = desk.import(&text).await;
        let tally = summary.tally;
        assert_eq!(tally, dry.tally);
        assert_eq!(
            (tally.unsubscribed, tally.suppressed),
            (3, 2),
            "{summary:?}"
        );
        assert_eq!((tally.left, tally.barred, tally.known), (4, 3, 1));
        for address in [
            "ab@gmail.com",
            "ann@x.example",
            "early@gmail.com",
            "late@gmail.com",
            "mean@gmail.com",
        ] {
            assert!(desk.reader(address).await.is_none(), "{address}");
        }
        // A bounce is of one address; a reader of before stays one; two spellings that both joined are two readers.
        for address in [
            "bob@x.example",
            "old@gmail.com",
            "two@x.example",
            "two+2@x.example",
        ] {
            assert_eq!(
                desk.status(address).await,
                Some(Status::Confirmed),
                "{address}"
            );
        }
        desk.app.store.close().await;
    }
);

on_both!(
    who_waits_is_confirmed_by_no_file_while_another_spelling_left_or_is_refused,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let waiting = Import {
            status: Status::Pending,
            ..desk.job(
                "email\nab@gmail.com\nkl@gmail.com\nop@gmail.com\nqr@gmail.com\nst@gmail.com\n",
            )
        };
        desk.run(&waiting).await;
        desk.import("email\nk.l@gmail.com\n").await;
        desk.leave("k.l@gmail.com").await;
        refuse(&desk, "o.p@gmail.com").await;
        let text = "email,status\na.b@gmail.com,unsubscribed\nab@gmail.com,subscribed\nkl@gmail.com,subscribed\n\
                    op@gmail.com,subscribed\nq.r@gmail.com,complained\nqr@gmail.com,subscribed\n\
                    st@gmail.com,subscribed\n";
        let confirming = |text: &str| Import {
            confirm: true,
            ..desk.job(text)
        };
        let dry = Import {
            dry_run: true,
            ..confirming(text)
        };
        let dry = import::run(&desk.app, &dry, |_| {}).await.expect("a look");
        let tally = desk.run(&confirming(text)).await.tally;
        assert_eq!(tally, dry.tally);
        assert_eq!((tally.confirmed, tally.added, tally.waiting), (1, 0, 0));
        assert_eq!((tally.unsubscribed, tally.suppressed), (2, 2));
        assert_eq!(desk.run(&confirming(text)).await.tally.confirmed, 0);
        for (address, status) in [
            ("ab@gmail.com", Status::Pending),
            ("kl@gmail.com", Status::Pending),
            ("op@gmail.com", Status::Pending),
            ("qr@gmail.com", Status::Pending),
            ("st@gmail.com", Status::Confirmed),
        ] {
            assert_eq!(desk.status(address).await, Some(status), "{address}");
        }
        desk.app.store.close().await;
    }
);

on_both!(
    of_whom_a_bounce_is_known_the_graver_word_of_a_file_is_kept_with_it,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        let store = &desk.app.store;
        desk.import("email\nann+a@x.example\nbea@x.example\n").await;
        let hash = |address: &str| desk.app.keyring.address_hash(address);
        for address in ["ann+a@x.example", "bea@x.example"] {
            let hash = hash(address);
            let fresh = store.suppress(address, &hash, "bounced", NOON);
            assert!(fresh.await.expect("a write"));
        }
        let told = async |address: &str| {
            let found = store.suppression(&hash(address)).await.expect("a read");
            found.map(|(reason, _)| reason)
        };
        // Also of one whom the file names twice, and never the other way round.
        let text = "email,status\nann+a@x.example,complained\nbea@x.example,unsubscribed\n\
                    cid@x.example,bounced\ncid@x.example,complained\n";
        let tally = desk.import(text).await.tally;
        assert_eq!((tally.suppressed, tally.barred, tally.ends), (2, 1, 0));
        desk.import("email,status\nann+a@x.example,bounced\ncid@x.example,bounced\n")
            .await;
        for (address, reason) in [
            ("ann+a@x.example", "complained"),
            ("bea@x.example", "bounced"),
            ("cid@x.example", "complained"),
        ] {
            assert_eq!(told(address).await.as_deref(), Some(reason), "{address}");
        }
        // Her mailbox is refused, whatever becomes of the bounce; and who left has left when her address is allowed again.
        let again = desk.import("email\nann@x.example\n").await;
        assert_eq!((again.tally.suppressed, again.tally.added), (1, 0));
        let bea = hash("bea@x.example");
        let allowed = store.allow("bea@x.example", &bea, NOON);
        assert!(allowed.await.expect("a write"));
        assert_eq!(
            desk.status("bea@x.example").await,
            Some(Status::Unsubscribed)
        );
        desk.app.store.close().await;
    }
);
