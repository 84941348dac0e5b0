//! Kinds of relays: what one rewrites is not signed, and one that can be told to leave it is told.

use std::os::unix::fs::PermissionsExt;

use pressrun::clock::Timestamp;
use pressrun::dkim::Signer;
use pressrun::dkim::verify::{Parts, signatures};
use pressrun::id::DeliveryKey;
use pressrun::run::again;
use pressrun::smtp::sink::{Sink, SinkOptions};

use crate::deliver::rig::{Rig, Wish, readers};
use crate::harness::{Engine, block_on};

/// A message as a relay sends it on that writes a Date and a Message-ID of its own.
fn rewritten(mail: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(mail).expect("ASCII");
    let line = |line: &str| match line.split_once(": ") {
        Some(("Date", _)) => "Date: Tue, 01 Jul 2025 10:00:00 +0000\r\n".to_owned(),
        Some(("Message-ID", _)) => {
            "Message-ID: <0100018f-000000@email.amazonses.com>\r\n".to_owned()
        }
        _ => line.to_owned(),
    };
    text.split_inclusive("\r\n")
        .map(line)
        .collect::<String>()
        .into_bytes()
}

#[test]
fn what_a_relay_rewrites_is_not_signed_and_one_that_can_leave_it_is_told_to() {
    block_on(async {
        let more = "weight = 1\nkind = \"ses\"\ndkim = true";
        let wish = Wish {
            readers: readers(10),
            relay: more,
            ..Wish::default()
        };
        let mut rig = Rig::new(Engine::Sqlite, wish).await;
        let postmark = Sink::bind(SinkOptions::default()).await.expect("a sink");
        let key = rig.database.path().join("dkim.pem");
        let pem = include_str!("../../keys/dkim-test.pem");
        std::fs::write(&key, pem).expect("the key");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&key, private).expect("a mode");
        let relays = format!(
            "[relay.postmark]\nkind = \"postmark\"\ntls = \"none\"\nweight = 1\nurl = \"{}\"\n\
             [dkim]\nkey = \"dkim.pem\"",
            postmark.url()
        );
        rig.more_relays(&relays, "relay = \"main, postmark\"").await;
        let run = rig.begin().await;
        rig.finish(run).await;
        let signer = Signer::from_pem("example.com", "pressrun", pem).expect("a key");
        let (ses, kept) = (rig.sink.accepted(), postmark.accepted());
        assert!(!ses.is_empty() && !kept.is_empty());
        for mail in ses {
            let mail = rewritten(&mail.message);
            let parts = Parts::of(&mail);
            let signature = signatures(&parts).remove(0).expect("a signature");
            let verified = signature.verify(&parts, &signer.record(), Timestamp(0));
            assert_eq!(verified, Ok(()), "{}", String::from_utf8_lossy(&mail));
        }
        for mail in kept {
            let text = String::from_utf8_lossy(&mail.message).into_owned();
            assert!(text.contains("\r\nX-PM-KeepID: true\r\n"), "{text}");
            let signature = signatures(&Parts::of(&mail.message))
                .remove(0)
                .expect("a signature");
            assert!(
                signature.covers("Message-ID") && signature.covers("Date"),
                "{text}"
            );
        }
        // A copy is made again as it was signed then.
        let rows = rig.rows(run).await;
        for row in rows {
            let seq = u32::try_from(row.seq).expect("a number");
            let again = again::message(&rig.app, DeliveryKey { run, seq }).await;
            let again = again.expect("a read").expect("a copy");
            assert_eq!(again.doubt, None);
            let sent = rig.sink.accepted().into_iter().chain(postmark.accepted());
            let same = sent
                .map(|mail| mail.message)
                .any(|mail| *mail == again.message);
            assert!(same, "{}", String::from_utf8_lossy(&again.message));
        }
    });
}
