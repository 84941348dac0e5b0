//! A configuration that was edited since the sender began: what is frozen with a run, and who is told.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use pressrun::address::EmailAddress;
use pressrun::app::App;
use pressrun::config::Config;
use pressrun::deliver::setup::is_outdated;
use pressrun::run::{self, again, why};
use pressrun::smtp::sink::{Sink, SinkOptions};
use pressrun::status::RunStatus;

use crate::deliver::rig::{Rig, Wish, readers, start, until};
use crate::harness::{Engine, block_on};
use crate::on_both;

async fn rig(engine: Engine, count: usize, sections: &str) -> Rig {
    let wish = Wish {
        readers: readers(count),
        sections: sections.into(),
        ..Wish::default()
    };
    Rig::new(engine, wish).await
}

/// The same publication by another configuration.
fn edited(app: &App, edit: impl FnOnce(&mut Config)) -> App {
    let mut config = Config::clone(&app.config);
    edit(&mut config);
    App {
        config: Arc::new(config),
        ..app.clone()
    }
}

fn from(address: &str) -> impl FnOnce(&mut Config) {
    let address = EmailAddress::parse(address).expect("an address");
    |config| config.from.address = address
}

on_both!(
    an_edited_configuration_is_not_in_force_with_a_sender_that_runs,
    async |engine: Engine| {
        let rig = rig(engine, 1, "").await;
        let outdated = async |app: &App, relay: &str| {
            let asked = is_outdated(&app.store, &app.config, relay).await;
            asked.expect("an answer")
        };
        let other = edited(&rig.app, from("author@other.example"));
        assert_eq!(outdated(&other, "").await, None, "nobody sends");
        let sending = rig.start().await;
        let told = async || outdated(&other, "").await.is_some();
        assert!(until(told).await);
        let why = outdated(&other, "").await.expect("a sentence");
        assert!(
            why.contains("the sender on one") && why.contains("(`from.address`)"),
            "{why}"
        );
        assert_eq!(outdated(&rig.app, "").await, None);
        let why = outdated(&rig.app, "second").await.expect("a sentence");
        assert!(why.contains("before `second` was described"), "{why}");
        sending.stop().await;
        assert_eq!(outdated(&other, "").await, None, "nobody sends any more");
    }
);

on_both!(
    a_run_is_signed_for_the_domain_of_its_own_from_address,
    async |engine: Engine| {
        let rig = rig(engine, 4, "[dkim]\nkey = \"dkim.pem\"").await;
        let key = rig.database.path().join("dkim.pem");
        std::fs::write(&key, include_str!("../../keys/dkim-test.pem")).expect("the key");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&key, private).expect("a mode");
        let run = rig.begin().await;
        let other = edited(&rig.app, from("author@other.example"));
        let sending = start(&other).await;
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        for message in rig.sink.accepted() {
            let text = String::from_utf8_lossy(&message.message).into_owned();
            assert!(text.contains("d=news.example.org;"), "{text}");
            assert!(!text.contains("other.example"), "{text}");
        }
        let row = &rig.rows(run).await[0];
        let key = pressrun::id::DeliveryKey {
            run,
            seq: u32::try_from(row.seq).expect("a seq"),
        };
        let made = again::message(&other, key).await.expect("a look");
        let made = String::from_utf8(made.expect("a copy").message).expect("text");
        assert!(made.contains("d=news.example.org;"), "{made}");
    }
);

on_both!(
    a_relay_that_is_not_described_any_more_is_told_before_the_hour_and_with_the_hold,
    async |engine: Engine| {
        let rig = rig(engine, 4, "").await;
        let run = rig.begin_through("gone").await;
        let said = async || {
            let said = why::why(&rig.app, &rig.run(run).await).await;
            said.expect("a sentence").sentence
        };
        let before = said().await;
        assert!(
            before.contains("`gone`, which the configuration here does not describe"),
            "{before}"
        );
        let sending = rig.start().await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        sending.stop().await;
        let reason = held.reason.expect("a reason");
        assert!(
            reason.contains("the configuration of one does not describe"),
            "{reason}"
        );
    }
);

#[test]
fn a_run_through_a_relay_that_one_machine_alone_knows_is_sent_by_that_one() {
    block_on(async {
        let mut rig = rig(Engine::Postgres, 40, "").await;
        let other = rig.another("node = \"two\"").await;
        let spare = Sink::bind(SinkOptions::default()).await.expect("a sink");
        let relay = format!("[relay.spare]\ntls = \"none\"\nurl = \"{}\"", spare.url());
        rig.more_relays(&relay, "").await;
        let knows = rig.start().await;
        let told = async || {
            let told = rig.app.store.told_senders().await.expect("a read");
            told.iter().any(|sender| sender.setup.is_some())
        };
        assert!(until(told).await);
        let knows_not = start(&other).await;
        let run = rig.begin_through("spare").await;
        rig.wait_status(run, RunStatus::Finished).await;
        knows.stop().await;
        knows_not.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 40);
        assert_eq!(spare.counts().accepted, 40);
    });
}

on_both!(
    a_list_that_was_emptied_before_the_hour_is_asked_about,
    async |engine: Engine| {
        let rig = rig(engine, 10, "").await;
        let now = rig.app.clock.now();
        let plan = pressrun::store::runs::Plan {
            start: Some(now.after(Duration::from_secs(3_600))),
            zone: Some("UTC".into()),
            expected: Some(10),
            ..Default::default()
        };
        let run = rig.begin_as(&plan, "Little").await;
        let taken = "update subscriptions set status = 'unsubscribed', left_at = 9 where key > 4;
                     update runs set start_at = 1 where id = ";
        rig.database.raw(&format!("{taken}{run}")).await;
        let late = edited(&rig.app, |config| {
            config.send.late_start = Duration::from_secs(u64::from(u32::MAX) * 1_000);
        });
        let sending = start(&late).await;
        let held = rig.wait_status(run, RunStatus::Held).await;
        let reason = held.reason.clone().expect("a reason");
        assert!(
            reason.contains("it would go to 4 readers, and to 10 when it was planned"),
            "{reason}"
        );
        run::resume(&late, &held, true).await.expect("a resume");
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.balanced(run).await.sent, 4);
    }
);
