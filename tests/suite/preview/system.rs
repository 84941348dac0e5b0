//! `pressrun preview system/confirm`: the mails that nobody sees before a reader does.

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::http::preview::Target;
use pressrun::keyring::Keyring;

use super::{Events, Shown};
use crate::compile::desk::Desk;
use crate::harness::block_on;

#[test]
fn a_system_mail_is_shown_anew_at_each_save_and_never_sent_from_there() {
    block_on(async {
        let shown = Shown::target(Desk::new(), Target::issue("system/confirm")).await;
        let mut events = Events::of(&shown).await;
        assert_eq!(events.next().await["broken"], false);
        let page = shown.get("/").await.body;
        assert!(page.contains("Please confirm: The Paper Trail"), "{page}");
        let frame = shown.get("/frame").await.body;
        assert!(frame.contains("/confirm/sample"), "{frame}");

        let file = shown.desk.emails().join("system/confirm/issue.md");
        let text = std::fs::read_to_string(&file).expect("the mail");
        shown.desk.write(
            "system/confirm/issue.md",
            text.replace("hopefully you", "perhaps you"),
        );
        assert_eq!(events.next().await["broken"], false);
        let frame = shown.get("/frame").await.body;
        assert!(frame.contains("perhaps you"), "{frame}");

        let keyring = Keyring::generate(&Chance::seeded(1), Timestamp(0));
        let path = shown.desk.folder.path().join("keyring");
        keyring.create(&path).expect("a keyring");
        let token = shown.token().await;
        let fields = [("token", token.as_str()), ("to", "author@example.net")];
        assert_eq!(shown.post(&fields).await.status, 303);
        let page = shown.get("/").await.body;
        assert!(page.contains("is sent by itself"), "{page}");
        shown.end().await;
    });
}
