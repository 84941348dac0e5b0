//! Tags in and out with a table of readers.

use super::desk::Desk;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    tags_of_a_table_are_put_on_and_those_that_are_there_stay,
    async |engine: Engine| {
        let desk = Desk::new(engine).await;
        desk.import("email,Tags\nada@x.example,\"Early Bird, VIP,vip\"\nbob@x.example,\n")
            .await;
        desk.import("email,tags\nada@x.example,Paid\nbob@x.example,VIP\n")
            .await;
        let tags = desk.app.store.tags().await.expect("tags");
        let expected = [("early-bird", 1), ("paid", 1), ("vip", 2)];
        assert_eq!(
            tags,
            expected.map(|(tag, readers)| (tag.to_owned(), readers))
        );
        let exported = desk.exported().await;
        assert!(
            exported.contains(",\"early-bird, paid, vip\","),
            "{exported}"
        );
        // Our own table is read again, and changes nothing.
        let again = desk.import(&exported).await.tally;
        assert_eq!((again.known, again.added), (2, 0));
        let after = desk.app.store.tags().await.expect("tags");
        assert_eq!(after, tags);
        // Whoever left is left alone.
        desk.leave("bob@x.example").await;
        desk.import("email,tags\nbob@x.example,late\n").await;
        assert_eq!(desk.app.store.tags().await.expect("tags"), tags);
        desk.app.store.close().await;
    }
);
