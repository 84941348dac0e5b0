//! The test copy that is asked for on the page.

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::keyring::Keyring;
use pressrun::smtp::sink::{Sink, SinkOptions};

use super::{GOOD, Shown};
use crate::harness::block_on;

#[test]
fn a_test_goes_out_with_the_token_of_the_page_only() {
    block_on(async {
        let sink = Sink::bind(SinkOptions::default()).await.expect("a sink");
        let shown = Shown::of(GOOD).await;
        let folder = shown.desk.folder.path();
        let file = folder.join("pressrun.toml");
        let config = std::fs::read_to_string(&file).expect("a configuration");
        let address = sink.address().to_string();
        std::fs::write(&file, config.replace("127.0.0.1:2525", &address)).expect("a file");
        let refused = shown.post(&[("token", "x"), ("to", "a@example.org")]).await;
        assert_eq!(refused.status, 400);
        let token = shown.token().await;
        let fields = [
            ("token", token.as_str()),
            ("to", "a@example.org, b@example.org"),
            ("look", "width=375&field.first_name=Zoe"),
        ];
        let sent = shown.post(&fields).await;
        assert_eq!(sent.status, 303);
        assert!(
            sent.head
                .contains("location: /?width=375&field.first_name=zoe"),
            "{}",
            sent.head
        );
        let page = shown.get("/").await.body;
        assert!(
            page.contains("keyring `"),
            "there is no keyring yet: {page}"
        );
        let keyring = Keyring::generate(&Chance::seeded(1), Timestamp(0));
        keyring.create(&folder.join("keyring")).expect("a keyring");
        assert_eq!(shown.post(&fields).await.status, 303);
        let mails = sink.accepted();
        assert_eq!(mails.len(), 2);
        let text = String::from_utf8_lossy(&mails[0].message);
        assert!(text.contains("\r\nSubject: [TEST] Hello Zoe\r\n"), "{text}");
        let page = shown.get("/").await.body;
        assert!(page.contains("<b>sent</b> b@example.org"), "{page}");
        let wrong = [("token", token.as_str()), ("to", "nobody")];
        shown.post(&wrong).await;
        assert!(shown.get("/").await.body.contains("`nobody` is no address"));
        shown.end().await;
        sink.shutdown().await;
    });
}
