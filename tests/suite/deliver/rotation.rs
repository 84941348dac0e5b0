//! Keys are rotated: every link of every copy holds, every copy comes out the same, and nobody restarts anything.

use std::sync::Arc;
use std::time::Duration;

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::id::DeliveryKey;
use pressrun::keyfile;
use pressrun::keyring::Keyring;
use pressrun::run::{self, again, why};
use pressrun::smtp::sink::SinkOptions;
use pressrun::status::RunStatus;
use pressrun::store::relays::ToldSender;
use pressrun::token::{Purpose, verify};

use crate::deliver::rig::{Rig, Wish, readers, start, until};
use crate::harness::{Engine, block_on};
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

/// How many of the messages have a link to leave by that this keyring opens.
fn opened(rig: &Rig, keyring: &Keyring) -> usize {
    let mails = rig.sink.accepted();
    let tokens = mails.iter().map(|mail| leave_token(&mail.message));
    tokens
        .filter(|token| verify(keyring, Purpose::Unsubscribe, token).is_some())
        .count()
}

on_both!(
    keys_rotated_and_revoked_beside_running_processes_are_in_force_in_each_of_them,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(6),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        rig.app.claim().await.expect("its own database");
        let web = rig.another("").await;
        let file = rig.database.path().join("keyring.toml");
        let mut keyring = Keyring::load(&file).expect("a keyring");
        let old = keyring.clone();
        let sending = rig.start().await;
        let run = rig.begin().await;
        rig.wait_status(run, RunStatus::Finished).await;
        keyring.rotate(&Chance::seeded(9), Timestamp(1));
        keyring.replace(&file).expect("written");
        let run = rig.begin().await;
        rig.wait_status(run, RunStatus::Finished).await;
        // The web process meets the new key in a reader's hand.
        assert_eq!(opened(&rig, &web.keyring), 12);
        assert_eq!(
            opened(&rig, &old),
            6,
            "the second run is signed by the new key"
        );
        keyring.revoke(1);
        keyring.replace(&file).expect("written");
        let run = rig.begin().await;
        rig.wait_status(run, RunStatus::Finished).await;
        web.keyring.look_now();
        assert_eq!(opened(&rig, &web.keyring), 12, "what key 1 signed is dead");
        assert_eq!(opened(&rig, &old), 6);
        sending.stop().await;
    }
);

on_both!(
    a_run_is_held_rather_than_sent_with_links_that_are_dead,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(6),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let file = rig.database.path().join("keyring.toml");
        let old = std::fs::read(&file).expect("a keyring");
        let mut newest = Keyring::load(&file).expect("a keyring");
        newest.rotate(&Chance::seeded(9), Timestamp(1));
        newest.replace(&file).expect("written");
        let app = rig.another("").await;
        app.claim().await.expect("its own database");
        let sending = start(&app).await;
        std::fs::write(&file, &old).expect("written");
        let run = rig.begin().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        let why = held.reason.clone().unwrap_or_default();
        assert!(why.contains("lacks key 2"), "{why}");
        assert_eq!(rig.sink.counts().accepted, 0);
        newest.replace(&file).expect("written");
        run::resume(&app, &held, true).await.expect("it goes on");
        rig.wait_status(run, RunStatus::Finished).await;
        assert_eq!(opened(&rig, &newest), 6);
        // What another machine says of a key holds here too.
        rig.database
            .raw("update meta set value = value || ' revoked' where key = 'key:2'")
            .await;
        let run = rig.begin().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        let why = held.reason.unwrap_or_default();
        assert!(
            why.contains("key 2, which signs here, was revoked"),
            "{why}"
        );
        assert_eq!(rig.sink.counts().accepted, 6);
        sending.stop().await;
    }
);

#[test]
fn a_run_is_left_to_the_machines_that_can_sign_and_held_where_none_can() {
    block_on(async {
        let wish = Wish {
            readers: readers(40),
            ..Wish::default()
        };
        let rig = Rig::new(Engine::Postgres, wish).await;
        rig.app.claim().await.expect("its own database");
        let mut newest = Keyring::clone(&rig.app.keyring);
        newest.rotate(&Chance::seeded(9), Timestamp(1));
        newest.revoke(1);
        let mut two = rig.another("node = \"two\"").await;
        two.keyring = Arc::new(newest.clone());
        // Another machine has a folder of its own.
        let mut config = (*two.config).clone();
        config.paths.state = "two".into();
        two.config = Arc::new(config);
        two.claim().await.expect("its own database");
        let unfit = rig.start().await;
        let told = async |wanted: &dyn Fn(&ToldSender) -> bool| {
            let told = rig.app.store.told_senders().await.expect("a read");
            told.iter().any(wanted)
        };
        assert!(until(async || told(&|sender| sender.unfit.is_some()).await).await);
        let fit = start(&two).await;
        let works = |sender: &ToldSender| sender.node == "two" && sender.setup.is_some();
        assert!(until(async || told(&works).await).await);
        rig.sink.hold_after(8);
        let run = rig.begin().await;
        rig.wait_accepted(8).await;
        let said = why::why(&rig.app, &rig.run(run).await).await;
        let said = said.expect("a sentence").sentence;
        assert!(
            said.contains("no link can be signed on one: key 1"),
            "{said}"
        );
        rig.sink.release();
        rig.wait_status(run, RunStatus::Finished).await;
        assert_eq!(opened(&rig, &newest), 40);
        fit.stop().await;
        let run = rig.begin().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        let reason = held.reason.unwrap_or_default();
        assert!(reason.contains("no link can be signed on one"), "{reason}");
        unfit.stop().await;
        assert_eq!(rig.sink.counts().accepted, 40);
    });
}

on_both!(
    a_copy_is_signed_again_by_the_key_of_then_or_by_none,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(2),
            sections: "[dkim]\nselector = \"one\"\nkey = \"dkim-one.pem\"".to_owned(),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let one = rig.database.path().join("dkim-one.pem");
        let pem = include_str!("../../keys/dkim-test.pem");
        keyfile::create(&one, "DKIM key", pem).expect("a key");
        let run = rig.begin().await;
        rig.finish(run).await;
        let mut app = rig.app.clone();
        let mut config = (*app.config).clone();
        config.dkim.selector = "two".to_owned();
        config.dkim.key = Some("dkim-two.pem".into());
        app.config = Arc::new(config);
        let pem = keyfile::generate_rsa().expect("a key");
        let two = rig.database.path().join("dkim-two.pem");
        keyfile::create(&two, "DKIM key", &pem).expect("a key");
        let key = DeliveryKey { run, seq: 0 };
        let made = async || {
            let again = again::message(&app, key).await.expect("a message");
            let again = again.expect("a copy");
            (
                String::from_utf8_lossy(&again.message).into_owned(),
                again.doubt,
            )
        };
        let mails = rig.sink.accepted();
        let sent = mails
            .iter()
            .find(|mail| mail.rcpt == ["reader0@example.org"]);
        let sent = String::from_utf8_lossy(&sent.expect("a mail").message).into_owned();
        assert!(sent.contains("s=one;"), "{sent}");
        // Where `keys dkim` left it.
        assert_eq!(made().await, (sent.clone(), None));
        std::fs::remove_file(&one).expect("one less");
        let (message, doubt) = made().await;
        let doubt = doubt.expect("it is told");
        assert!(
            doubt.contains("it was signed as `one._domainkey.news.example.org`"),
            "{doubt}"
        );
        assert!(!message.contains("DKIM-Signature"), "{message}");
        assert!(sent.ends_with(&message), "the rest is the same");
    }
);
