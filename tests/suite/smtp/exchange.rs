//! Messages go through: with PIPELINING, in lockstep, in one round trip each, past refusals.

use std::time::Duration;

use pressrun::reply::Stage;
use pressrun::smtp::error::{ErrorKind, Phase, Terminator};
use pressrun::smtp::session::{Envelope, Offer};
use pressrun::smtp::sink::{SinkCounts, SinkOptions};

use crate::harness::Port;

use super::{Fate, offer, open, relay, script, send, session, sink, taken};

fn lockstep() -> SinkOptions {
    SinkOptions {
        pipelining: false,
        ..SinkOptions::default()
    }
}

#[tokio::test]
async fn every_message_arrives_once_and_in_order_in_both_modes() {
    for options in [SinkOptions::default(), lockstep()] {
        let sink = sink(options).await;
        let mut session = session(&sink).await;
        let recipients = ["a@x.example", "b@x.example", "c@x.example"];
        let fates = send(&mut session, &recipients).await;
        assert!(fates.iter().all(|fate| fate.code() == 250), "{fates:?}");
        assert_eq!(taken(&sink), recipients);
        session.quit().await;
        assert_eq!(sink.counts().connections, 1);
    }
}

#[tokio::test]
async fn a_message_costs_one_round_trip_when_pipelined() {
    let sink = sink(SinkOptions::default()).await;
    let mut session = session(&sink).await;
    let recipients: Vec<String> = (0..20).map(|n| format!("r{n}@x.example")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let before = sink.counts().turns;
    send(&mut session, &recipients).await;
    // The first envelope waits by itself; after it each turn answers a dot and the next envelope.
    assert_eq!(sink.counts().turns - before, 21);
    assert_eq!(taken(&sink), recipients);
}

#[tokio::test]
async fn lockstep_waits_for_each_answer() {
    let sink = sink(lockstep()).await;
    let mut session = session(&sink).await;
    assert!(!session.capabilities().pipelining);
    let before = sink.counts().turns;
    send(&mut session, &["a@x.example", "b@x.example"]).await;
    assert_eq!(sink.counts().turns - before, 8);
}

#[tokio::test]
async fn a_refused_recipient_costs_no_connection_and_shifts_no_answer() {
    for options in [SinkOptions::default(), lockstep()] {
        let sink = sink(options).await;
        let mut session = session(&sink).await;
        let recipients = [
            "a@x.example",
            "b+550-5.1.1@x.example",
            "c+450@x.example",
            "d@x.example",
            "e+data-451-4.3.0@x.example",
            "f@x.example",
            "g+dot-554-5.6.0@x.example",
            "h@x.example",
        ];
        let fates = send(&mut session, &recipients).await;
        let codes: Vec<u16> = fates.iter().map(Fate::code).collect();
        assert_eq!(codes, [250, 550, 450, 250, 451, 250, 554, 250]);
        assert!(matches!(&fates[1], Fate::Refused(Stage::Rcpt, _)));
        assert!(matches!(&fates[4], Fate::Refused(Stage::Data, _)));
        assert!(matches!(&fates[6], Fate::Answered(_)));
        assert_eq!(
            taken(&sink),
            ["a@x.example", "d@x.example", "f@x.example", "h@x.example"]
        );
        let SinkCounts {
            connections,
            resets,
            refused,
            ..
        } = sink.counts();
        assert_eq!((connections, resets, refused), (1, 3, 1));
    }
}

#[tokio::test]
async fn a_reset_after_a_refusal_costs_no_round_trip_of_its_own() {
    let sink = sink(SinkOptions::default()).await;
    let mut session = session(&sink).await;
    let before = sink.counts().turns;
    send(
        &mut session,
        &["a+550@x.example", "b+550@x.example", "c@x.example"],
    )
    .await;
    assert_eq!(sink.counts().turns - before, 4);
}

#[tokio::test]
async fn a_refused_sender_is_reported_at_mail() {
    for options in [SinkOptions::default(), lockstep()] {
        let sink = sink(options).await;
        let mut session = session(&sink).await;
        session.offer(&Envelope {
            sender: "bounce+mail-451-4.1.8@news.example",
            recipient: "a@x.example",
            size: 10,
        });
        let answer = session.answer().await.expect("an answer");
        let Offer::Refused { stage, reply } = answer else {
            panic!("the sender was taken");
        };
        assert_eq!((stage, reply.code), (Stage::Mail, 451));
        assert_eq!(reply.enhanced.as_deref(), Some("4.1.8"));
        let fates = send(&mut session, &["b@x.example"]).await;
        assert_eq!(fates[0].code(), 250);
    }
}

#[tokio::test]
async fn mail_without_a_recipient_is_ended_by_a_lone_dot_and_is_never_sent() {
    // The relay refuses the recipient and opens DATA all the same; then it takes the empty message.
    for options in [SinkOptions::default(), lockstep()] {
        let pipelined = options.pipelining;
        let sink = sink(options).await;
        let mut session = session(&sink).await;
        let recipients = ["a+550+data-354+dot-250@x.example", "b@x.example"];
        let fates = send(&mut session, &recipients).await;
        assert!(matches!(&fates[0], Fate::Refused(Stage::Rcpt, reply) if reply.code == 550));
        assert_eq!(fates[1].code(), 250);
        assert_eq!(taken(&sink), ["b@x.example"]);
        // In lockstep DATA is not even asked for.
        assert_eq!(sink.counts().refused, u64::from(pipelined));
    }
}

#[tokio::test]
async fn a_greylisted_recipient_gets_through_on_the_third_try() {
    let sink = sink(SinkOptions::default()).await;
    let mut session = session(&sink).await;
    let fates = send(&mut session, &["a+grey-2@x.example"; 3]).await;
    let codes: Vec<u16> = fates.iter().map(Fate::code).collect();
    assert_eq!(codes, [450, 450, 250]);
}

#[tokio::test]
async fn a_message_over_the_limit_is_not_offered() {
    let sink = sink(SinkOptions {
        size: Some(1000),
        ..SinkOptions::default()
    })
    .await;
    let mut session = session(&sink).await;
    session.offer(&Envelope {
        sender: "",
        recipient: "a@x.example",
        size: 1001,
    });
    let Offer::Refused { stage, reply } = session.answer().await.expect("an answer") else {
        panic!("it was offered");
    };
    assert_eq!(
        (stage, reply.enhanced.as_deref()),
        (Stage::Mail, Some("5.3.4"))
    );
    assert_eq!(send(&mut session, &["b@x.example"]).await[0].code(), 250);
}

#[tokio::test]
async fn a_relay_without_ehlo_is_greeted_with_helo() {
    let sink = sink(SinkOptions {
        script: script("ehlo-502"),
        ..SinkOptions::default()
    })
    .await;
    let mut session = session(&sink).await;
    assert!(!session.capabilities().pipelining);
    assert_eq!(send(&mut session, &["a@x.example"]).await[0].code(), 250);
}

#[tokio::test]
async fn odd_but_sound_answers_are_understood() {
    let sink = sink(SinkOptions::default()).await;
    let mut session = session(&sink).await;
    let recipients = [
        "a+latin1@x.example",
        "b+multi@x.example",
        "c+251@x.example",
        "d+drip-1ms@x.example",
    ];
    let fates = send(&mut session, &recipients).await;
    let Fate::Answered(reply) = &fates[0] else {
        panic!("no answer: {fates:?}");
    };
    assert_eq!(reply.text, "Gr\\xFC\\xDFe");
    assert!(fates.iter().all(|fate| fate.code() == 250));
    assert_eq!(taken(&sink), recipients);
}

#[tokio::test]
async fn calls_out_of_order_break_the_session_and_send_nothing() {
    let sink = sink(SinkOptions::default()).await;
    let mut early_body = session(&sink).await;
    early_body.body(b"hello\r\n".to_vec().into());
    let error = early_body.verdict().await.expect_err("no 354 was given");
    assert_eq!(
        (error.kind, error.terminator),
        (ErrorKind::Misuse, Terminator::NotSent)
    );

    let mut offered_into_mail = session(&sink).await;
    offer(&mut offered_into_mail, "a@x.example");
    assert_eq!(
        offered_into_mail.answer().await.expect("an answer"),
        Offer::Go
    );
    offer(&mut offered_into_mail, "b@x.example");
    let error = offered_into_mail.answer().await.expect_err("mail was open");
    assert_eq!(error.kind, ErrorKind::Misuse);

    let mut nothing_offered = session(&sink).await;
    let error = nothing_offered
        .answer()
        .await
        .expect_err("nothing was offered");
    assert_eq!(error.kind, ErrorKind::Misuse);
    assert_eq!(sink.counts().accepted + sink.counts().refused, 0);
}

#[tokio::test]
async fn a_dropped_wait_poisons_the_session() {
    let sink = sink(SinkOptions::default()).await;
    let mut session = session(&sink).await;
    offer(&mut session, "a+slow-5s@x.example");
    assert_eq!(session.answer().await.expect("an answer"), Offer::Go);
    assert_eq!(session.terminator(), Terminator::NotSent);
    session.body(super::message("a+slow-5s@x.example").into());
    let wait = tokio::time::timeout(Duration::from_millis(50), session.verdict());
    assert!(wait.await.is_err());
    assert_eq!(session.terminator(), Terminator::MaybeSent);
    let error = session.verdict().await.expect_err("the session is over");
    assert_eq!(
        (error.kind, error.terminator),
        (ErrorKind::Cancelled, Terminator::MaybeSent)
    );
}

#[tokio::test]
async fn a_big_message_arrives_whole() {
    let sink = sink(SinkOptions::default()).await;
    let mut session = session(&sink).await;
    let line = format!("{}\r\n", "x".repeat(74));
    let message = line.repeat(200_000).into_bytes();
    session.offer(&Envelope {
        sender: "",
        recipient: "a@x.example",
        size: message.len(),
    });
    assert_eq!(session.answer().await.expect("an answer"), Offer::Go);
    session.body(message.clone().into());
    assert_eq!(session.verdict().await.expect("an answer").code, 250);
    assert_eq!(sink.accepted()[0].message.len(), message.len());
    assert!(sink.accepted()[0].message == message);
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_named() {
    let gone = sink(SinkOptions::default()).await;
    let (url, listened) = (gone.url(), gone.address());
    gone.shutdown().await;
    let _kept = Port::at(listened);
    let error = open(&relay(&url)).await.expect_err("nobody listens");
    assert_eq!((error.phase, error.kind), (Phase::Connect, ErrorKind::Io));
    assert!(
        error.to_string().contains("cannot connect to `127.0.0.1:"),
        "{error}"
    );
}
