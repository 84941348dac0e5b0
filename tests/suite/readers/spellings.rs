//! One mailbox has many spellings: who was erased, complained or left is so under each of them.

use pressrun::address::EmailAddress;
use pressrun::erasure;
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
