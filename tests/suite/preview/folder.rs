//! The issue's folder goes away and comes back, as another branch or a restored copy makes it.

use super::{Events, GOOD, PNG, Shown};
use crate::harness::block_on;

#[test]
fn a_folder_that_comes_back_is_followed_again() {
    block_on(async {
        let shown = Shown::of(GOOD).await;
        let mut events = Events::of(&shown).await;
        events.next().await;
        let issues = shown.desk.emails().join("issues");
        for words in ["Once", "Twice"] {
            // Another folder of the same name, and one moved away with all that is around it.
            match words {
                "Once" => std::fs::remove_dir_all(issues.join("one")).expect("no folder"),
                _ => std::fs::rename(&issues, issues.with_file_name("away")).expect("a rename"),
            }
            while events.next().await["broken"] == false {}
            shown.desk.write("issues/one/cat.png", PNG);
            shown.desk.write("issues/one/issue.md", GOOD);
            while events.next().await["broken"] == true {}
            shown.save(&GOOD.replace("Dear", words));
            let body = loop {
                events.next().await;
                let body = shown.get("/frame").await.body;
                if body.contains(words) {
                    break body;
                }
            };
            assert!(body.contains(words));
        }
        shown.end().await;
    });
}
