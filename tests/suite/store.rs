//! The store behaves the same on both databases.

use crate::harness::{Database, Engine};
use crate::on_both;

on_both!(
    a_fact_that_was_put_down_is_found_again,
    async |engine: Engine| {
        let database = Database::new(engine).await;
        let store = database.store().await;
        assert_eq!(store.meta("generation").await.expect("a read"), None);
        store.set_meta("generation", "7").await.expect("a write");
        store.set_meta("generation", "8").await.expect("a write");
        assert_eq!(
            store.meta("generation").await.expect("a read").as_deref(),
            Some("8")
        );
        store.close().await;
    }
);
