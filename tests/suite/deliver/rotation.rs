//! The keyring is rotated in the middle of a run: every link of every copy holds, and every copy comes out the same.

use std::sync::Arc;
use std::time::Duration;

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::id::DeliveryKey;
use pressrun::keyring::Keyring;
use pressrun::run::again;
use pressrun::smtp::sink::SinkOptions;
use pressrun::status::RunStatus;
use pressrun::token::{Purpose, verify};

use crate::deliver::rig::{Rig, Wish, readers, start};
use crate::harness::Engine;
use crate::on_both;

/// The token of the message's List-Unsubscribe.
fn leave_token(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let (head, _) = text.split_once("\r\n\r\n").expect("a head");
    let head = head.replace("\r\n ", "").replace("\r\n\t", "");
    let (_, behind) = head.split_once("/u/").expect("a link to leave by");
    behind.split_once('>').expect("its end").0.to_owned()
}

on_both!(
    keys_rotated_while_a_run_sends_open_the_links_of_both_halves,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(40),
            connections: 1,
            sink: SinkOptions {
                delay: Duration::from_millis(10),
                ..SinkOptions::default()
            },
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        rig.sink.hold_after(8);
        let sending = rig.start().await;
        rig.wait_accepted(8).await;
        rig.stop_held(sending).await;
        let before = rig.sink.accepted().len();
        assert!(before < 40, "the run is under way");
        let mut keyring =
            Keyring::load(&rig.database.path().join("keyring.toml")).expect("a keyring");
        keyring.rotate(&Chance::seeded(9), Timestamp(1));
        let mut app = rig.app.clone();
        app.keyring = Arc::new(keyring);
        let sending = start(&app).await;
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let messages = rig.sink.accepted();
        assert_eq!(messages.len(), 40);
        let mut old = 0;
        for row in rig.rows(run).await {
            let address = row.address.expect("an address");
            let taken = messages.iter().find(|mail| mail.rcpt == [address.clone()]);
            let taken = &taken.expect("a message").message;
            let token = leave_token(taken);
            assert!(verify(&app.keyring, Purpose::Unsubscribe, &token).is_some());
            old += usize::from(verify(&rig.app.keyring, Purpose::Unsubscribe, &token).is_some());
            let seq = u32::try_from(row.seq).expect("a small number");
            let again = again::message(&app, DeliveryKey { run, seq }).await;
            let again = again.expect("a message").expect("a copy").message;
            assert_eq!(
                String::from_utf8_lossy(&again),
                String::from_utf8_lossy(taken)
            );
        }
        assert_eq!(old, before, "the other half is signed by the newer key");
    }
);
