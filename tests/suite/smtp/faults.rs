//! What goes wrong on the way, and what the session then knows.

use std::time::Duration;

use pressrun::reply::Stage;
use pressrun::smtp::error::{ErrorKind, Phase, Terminator};
use pressrun::smtp::session::Offer;
use pressrun::smtp::sink::{Sink, SinkOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Fate, message, offer, open, relay, script, send, session, sink, taken};

async fn faulty(words: &str) -> Sink {
    sink(SinkOptions {
        script: script(words),
        ..SinkOptions::default()
    })
    .await
}

#[tokio::test]
async fn a_cut_after_the_dot_is_uncertain_whether_the_relay_took_the_message_or_not() {
    for (recipient, accepted) in [
        ("a+cut-after-dot@x.example", 1),
        ("a+drop-after-dot@x.example", 0),
    ] {
        let sink = sink(SinkOptions::default()).await;
        let mut session = session(&sink).await;
        let fates = send(&mut session, &[recipient, "b@x.example"]).await;
        assert_eq!(fates.len(), 1);
        let error = fates.into_iter().next().expect("a fate").error();
        assert_eq!(
            (error.kind, error.terminator),
            (ErrorKind::Closed, Terminator::MaybeSent)
        );
        assert_eq!(sink.counts().accepted, accepted);
    }
}

#[tokio::test]
async fn a_cut_before_the_dot_is_definite() {
    let sink = sink(SinkOptions::default()).await;
    let mut session = session(&sink).await;
    offer(&mut session, "a+cut-before-dot@x.example");
    assert_eq!(session.answer().await.expect("an answer"), Offer::Go);
    // The marker's commit takes its time; the relay's goodbye arrives meanwhile.
    tokio::time::sleep(Duration::from_millis(100)).await;
    session.body(message("a+cut-before-dot@x.example").into());
    let error = session.verdict().await.expect_err("a cut");
    assert_eq!(
        (error.kind, error.phase, error.terminator),
        (ErrorKind::Closed, Phase::Body, Terminator::NotSent)
    );
    assert_eq!(sink.counts().accepted, 0);
}

/// Each answer comes in time, and all of them together take too long.
#[tokio::test]
async fn a_relay_that_takes_its_time_over_every_command_is_left_before_the_dot() {
    let sink = sink(SinkOptions {
        pipelining: false,
        delay: Duration::from_millis(250),
        ..SinkOptions::default()
    })
    .await;
    let relay = pressrun::config::Relay {
        command_timeout: Duration::from_secs(10),
        message_timeout: Duration::from_millis(400),
        ..relay(&sink.url())
    };
    let mut session = open(&relay).await.expect("a session");
    offer(&mut session, "a@x.example");
    let error = session.answer().await.expect_err("it takes too long");
    assert_eq!(
        (error.kind, error.terminator),
        (ErrorKind::Timeout, Terminator::NotSent)
    );
    assert_eq!(sink.counts().accepted, 0);
}

#[tokio::test]
async fn the_dot_gets_all_of_its_time_however_much_the_message_has_taken() {
    let sink = sink(SinkOptions::default()).await;
    let relay = pressrun::config::Relay {
        message_timeout: Duration::from_secs(3),
        ..relay(&sink.url())
    };
    let mut session = open(&relay).await.expect("a session");
    let fates = send(&mut session, &["a+slow-3500ms@x.example"]).await;
    assert_eq!(fates.len(), 1);
    assert_eq!(fates[0].code(), 250);
    assert_eq!(sink.counts().accepted, 1);
}

#[tokio::test]
async fn an_answer_beyond_the_deadline_is_uncertain_and_never_taken_for_the_next() {
    let sink = sink(SinkOptions::default()).await;
    let mut hasty = relay(&sink.url());
    hasty.dot_timeout = Duration::from_millis(100);
    let mut session = open(&hasty).await.expect("a session");
    offer(&mut session, "a+slow-400ms@x.example");
    assert_eq!(session.answer().await.expect("an answer"), Offer::Go);
    session.body(message("a+slow-400ms@x.example").into());
    offer(&mut session, "b+dot-554@x.example");
    let error = session.verdict().await.expect_err("too late");
    assert_eq!(
        (error.kind, error.terminator),
        (ErrorKind::Timeout, Terminator::MaybeSent)
    );
    tokio::time::sleep(Duration::from_millis(400)).await;
    // The 250 lies in the socket by now; the session does not read it for anybody.
    let error = session.answer().await.expect_err("the session is over");
    assert_eq!(
        (error.kind, error.terminator),
        (ErrorKind::Timeout, Terminator::NotSent)
    );
    assert!(session.verdict().await.is_err());
}

#[tokio::test]
async fn a_421_ends_the_session_and_charges_nobody() {
    let words = ["mail-421", "421", "data-421-4.7.28"];
    for (word, phase) in words
        .into_iter()
        .zip([Phase::Mail, Phase::Rcpt, Phase::Data])
    {
        let sink = faulty(word).await;
        let mut session = session(&sink).await;
        let mut fates = send(&mut session, &["a@x.example", "b@x.example"]).await;
        let error = fates.remove(0).error();
        assert_eq!((error.kind, error.phase), (ErrorKind::Unavailable, phase));
        assert_eq!(error.terminator, Terminator::NotSent);
        assert_eq!(error.reply.expect("a reply").code, 421);
    }
}

#[tokio::test]
async fn a_421_to_the_dot_is_an_answer_and_the_last_one() {
    let sink = sink(SinkOptions::default()).await;
    let mut session = session(&sink).await;
    let mut fates = send(&mut session, &["a+dot-421@x.example", "b@x.example"]).await;
    let error = fates.pop().expect("two fates").error();
    assert_eq!(
        (error.kind, error.terminator),
        (ErrorKind::Unavailable, Terminator::NotSent)
    );
    assert!(matches!(fates.pop(), Some(Fate::Answered(reply)) if reply.code == 421));
    assert_eq!(sink.counts().accepted, 0);
}

#[tokio::test]
async fn a_relay_that_ends_after_so_many_messages_loses_none() {
    let sink = faulty("after-2").await;
    let mut first = session(&sink).await;
    let fates = send(&mut first, &["a@x.example", "b@x.example", "c@x.example"]).await;
    assert_eq!((fates[0].code(), fates[1].code()), (250, 250));
    let error = fates.into_iter().nth(2).expect("three fates").error();
    assert_eq!(
        (error.kind, error.terminator),
        (ErrorKind::Unavailable, Terminator::NotSent)
    );
    let mut second = session(&sink).await;
    send(&mut second, &["c@x.example"]).await;
    assert_eq!(taken(&sink), ["a@x.example", "b@x.example", "c@x.example"]);
}

#[tokio::test]
async fn a_refusal_heard_before_the_end_still_counts() {
    let sink = sink(SinkOptions::default()).await;
    let mut session = session(&sink).await;
    let fates = send(&mut session, &["a+550+data-421@x.example", "b@x.example"]).await;
    assert!(matches!(&fates[0], Fate::Refused(Stage::Rcpt, reply) if reply.code == 550));
    let error = fates.into_iter().nth(1).expect("two fates").error();
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn wrong_codes_are_never_read_as_success() {
    // (script, phase of the error, whether the dot may have left)
    let table = [
        ("mail-251", Phase::Mail, Terminator::NotSent),
        ("mail-354", Phase::Mail, Terminator::NotSent),
        ("354", Phase::Rcpt, Terminator::NotSent),
        ("299", Phase::Rcpt, Terminator::NotSent),
        ("data-250", Phase::Data, Terminator::NotSent),
        ("dot-354", Phase::Dot, Terminator::MaybeSent),
        ("dot-251", Phase::Dot, Terminator::MaybeSent),
        ("dot-220", Phase::Dot, Terminator::MaybeSent),
        ("garbage", Phase::Dot, Terminator::MaybeSent),
        ("longline", Phase::Dot, Terminator::MaybeSent),
        // The dot's 250 comes with the 354, before the message: it is no answer to it.
        ("early", Phase::Data, Terminator::NotSent),
        ("early+dot-554", Phase::Data, Terminator::NotSent),
        ("twice-data", Phase::Data, Terminator::NotSent),
    ];
    for (words, phase, terminator) in table {
        for pipelining in [true, false] {
            let sink = sink(SinkOptions {
                script: script(words),
                pipelining,
                ..SinkOptions::default()
            })
            .await;
            let mut session = session(&sink).await;
            let mut fates = send(&mut session, &["a@x.example", "b@x.example"]).await;
            let error = fates.remove(0).error();
            let found = (error.kind, error.phase, error.terminator);
            assert_eq!(found, (ErrorKind::Protocol, phase, terminator), "{words}");
            assert!(fates.is_empty(), "{words}: the session went on");
        }
    }
}

#[tokio::test]
async fn a_doubled_answer_never_shifts_the_next() {
    let sink = sink(SinkOptions::default()).await;
    let mut session = session(&sink).await;
    let fates = send(
        &mut session,
        &["a+twice-dot@x.example", "b+dot-554@x.example"],
    )
    .await;
    assert_eq!(fates[0].code(), 250);
    let error = fates.into_iter().nth(1).expect("two fates").error();
    assert_eq!(
        (error.kind, error.terminator),
        (ErrorKind::Protocol, Terminator::NotSent)
    );
}

#[tokio::test]
async fn a_relay_that_does_not_greet_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut hasty = relay(&format!(
        "smtp://{}",
        listener.local_addr().expect("an address")
    ));
    hasty.command_timeout = Duration::from_millis(100);
    let error = open(&hasty).await.expect_err("silence");
    assert_eq!(
        (error.kind, error.phase),
        (ErrorKind::Timeout, Phase::Greeting)
    );
}

#[tokio::test]
async fn a_relay_that_refuses_to_begin_is_unavailable() {
    for words in ["greeting-554", "greeting-421", "ehlo-421", "ehlo-451"] {
        let sink = faulty(words).await;
        let error = open(&relay(&sink.url())).await.expect_err("a refusal");
        assert_eq!(error.kind, ErrorKind::Unavailable, "{words}");
        assert!(error.reply.is_some());
    }
}

#[tokio::test]
async fn trickling_octets_do_not_stretch_a_deadline() {
    let sink = faulty("drip-30ms").await;
    let mut hasty = relay(&sink.url());
    hasty.dot_timeout = Duration::from_millis(150);
    let mut session = open(&hasty).await.expect("a session");
    // Where each octet stretched it, the answer would be there in the end.
    let mut fates = send(&mut session, &["a@x.example"]).await;
    let error = fates.remove(0).error();
    assert_eq!(
        (error.kind, error.terminator),
        (ErrorKind::Timeout, Terminator::MaybeSent)
    );
}

/// Waits until the client has said something.
async fn hear(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    let read = stream.read(&mut buffer).await.expect("octets");
    assert!(read > 0, "the client left");
}

/// A relay that answers the opening and the envelope, and then reads no more.
async fn stops_reading(listener: TcpListener, last_words: &'static [u8]) {
    let (mut stream, _) = listener.accept().await.expect("a client");
    let exchanges: [&[u8]; 3] = [
        b"220 hi\r\n",
        b"250-hi\r\n250 PIPELINING\r\n",
        b"250 ok\r\n250 ok\r\n354 go\r\n",
    ];
    for answer in exchanges {
        stream.write_all(answer).await.expect("an answer");
        // The last time, some of the message: it has certainly begun to leave.
        hear(&mut stream).await;
    }
    stream.write_all(last_words).await.expect("an answer");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn an_answer_in_the_middle_of_the_message_is_no_answer_to_its_end() {
    let table: [(&[u8], ErrorKind); 4] = [
        (b"250 taken already\r\n", ErrorKind::Protocol),
        (b"552 too big\r\n", ErrorKind::Protocol),
        (b"421 going down\r\n", ErrorKind::Unavailable),
        (b"", ErrorKind::Timeout),
    ];
    for (words, kind) in table {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut hasty = relay(&format!(
            "smtp://{}",
            listener.local_addr().expect("an address")
        ));
        hasty.dot_timeout = Duration::from_millis(500);
        let server = tokio::spawn(stops_reading(listener, words));
        let mut session = open(&hasty).await.expect("a session");
        offer(&mut session, "a@x.example");
        assert_eq!(session.answer().await.expect("an answer"), Offer::Go);
        // More than two sockets' buffers hold: the terminator cannot have left.
        session.body(b"0123456789abcdef\r\n".repeat(2_000_000).into());
        let error = session.verdict().await.expect_err("no answer");
        assert_eq!((error.kind, error.terminator), (kind, Terminator::NotSent));
        server.abort();
    }
}
