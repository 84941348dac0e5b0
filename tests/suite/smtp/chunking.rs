//! Windows of messages by BDAT (RFC 3030): one write, answers matched in order, and what breaks them.

use std::time::Duration;

use pressrun::reply::Stage;
use pressrun::smtp::error::{ErrorKind, SessionError, Terminator};
use pressrun::smtp::session::window::Answer;
use pressrun::smtp::session::{Envelope, Session};
use pressrun::smtp::sink::{Keep, SinkOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::sink::talk;
use super::{Fate, SENDER, message, open, relay, script, session, sink, taken};

pub fn chunking() -> SinkOptions {
    SinkOptions {
        chunking: true,
        ..SinkOptions::default()
    }
}

pub fn put(session: &mut Session, recipient: &str) {
    let message = message(recipient);
    let envelope = Envelope {
        sender: SENDER,
        recipient,
        size: message.len(),
    };
    session.put(&envelope, message.into());
}

/// One window with a message for each recipient.
pub async fn send_window(session: &mut Session, recipients: &[&str]) -> Vec<Fate> {
    for recipient in recipients {
        put(session, recipient);
    }
    session.settle().await.into_iter().map(fate).collect()
}

fn fate(answer: Result<Answer, SessionError>) -> Fate {
    match answer {
        Ok(Answer {
            stage: Stage::Dot,
            reply,
        }) => Fate::Answered(reply),
        Ok(Answer { stage, reply }) => Fate::Refused(stage, reply),
        Err(error) => Fate::Broken(error),
    }
}

/// What is known of each: its code, or whether the end of it may have left.
fn known(fates: &[Fate]) -> Vec<String> {
    let each = fates.iter().map(|fate| match fate {
        Fate::Broken(error) => format!("{:?}", error.terminator),
        fate => fate.code().to_string(),
    });
    each.collect()
}

#[tokio::test]
async fn a_window_costs_one_round_trip() {
    let sink = sink(chunking()).await;
    let mut session = session(&sink).await;
    assert!(session.has_window());
    let before = sink.counts().turns;
    for window in [
        ["a@x.example", "b@x.example"],
        ["c@x.example", "d@x.example"],
    ] {
        let fates = send_window(&mut session, &window).await;
        assert_eq!(known(&fates), ["250", "250"]);
    }
    assert_eq!(sink.counts().turns - before, 2);
    assert_eq!(
        taken(&sink),
        ["a@x.example", "b@x.example", "c@x.example", "d@x.example"]
    );
    session.quit().await;
    assert_eq!(sink.counts().connections, 1);
}

#[tokio::test]
async fn without_both_extensions_there_is_no_window() {
    for (chunking, pipelining) in [(true, false), (false, true)] {
        let sink = sink(SinkOptions {
            chunking,
            pipelining,
            ..SinkOptions::default()
        })
        .await;
        let mut session = session(&sink).await;
        assert!(!session.has_window());
        let fates = send_window(&mut session, &["a@x.example"]).await;
        assert_eq!(known(&fates), ["NotSent"]);
        assert_eq!(sink.counts().accepted, 0);
    }
}

#[tokio::test]
async fn a_refusal_is_blamed_on_its_own_message_alone() {
    let sink = sink(chunking()).await;
    let mut session = session(&sink).await;
    let window = [
        "a@x.example",
        "b+550-5.1.1@x.example",
        "c@x.example",
        "d+mail-451@x.example",
        "e+data-452@x.example",
        "f+dot-554-5.6.0@x.example",
        "g@x.example",
    ];
    let fates = send_window(&mut session, &window).await;
    assert_eq!(
        known(&fates),
        ["250", "550", "250", "451", "452", "554", "250"]
    );
    assert!(matches!(&fates[1], Fate::Refused(Stage::Rcpt, _)));
    assert!(matches!(&fates[3], Fate::Refused(Stage::Mail, _)));
    assert!(matches!(&fates[4], Fate::Answered(_)), "BDAT was refused");
    let fates = send_window(&mut session, &["h@x.example"]).await;
    assert_eq!(known(&fates), ["250"], "the session goes on");
    assert_eq!(
        taken(&sink),
        ["a@x.example", "c@x.example", "g@x.example", "h@x.example"]
    );
    assert_eq!(sink.counts().connections, 1);
}

#[tokio::test]
async fn what_the_relay_would_refuse_is_not_written() {
    let sink = sink(SinkOptions {
        size: Some(1000),
        ..chunking()
    })
    .await;
    let mut session = session(&sink).await;
    let big = "x\r\n".repeat(400);
    let envelope = |recipient, size| Envelope {
        sender: SENDER,
        recipient,
        size,
    };
    session.put(&envelope("a@x.example", big.len()), big.into_bytes().into());
    put(&mut session, "b@x.example");
    session.put(
        &envelope("c\r\nRSET@x.example", 3),
        b"x\r\n".to_vec().into(),
    );
    let fates: Vec<Fate> = session.settle().await.into_iter().map(fate).collect();
    assert!(matches!(&fates[0], Fate::Refused(Stage::Mail, reply) if reply.code == 0));
    assert_eq!(fates[1].code(), 250);
    assert!(matches!(&fates[2], Fate::Refused(Stage::Rcpt, reply) if reply.code == 0));
    assert_eq!(taken(&sink), ["b@x.example"]);
}

#[tokio::test]
async fn a_cut_leaves_in_doubt_only_what_was_not_answered() {
    // Taken or not: nobody can tell. What was answered, and proved by a later answer, stands.
    for (word, accepted) in [
        ("cut-after-dot", 2),
        ("drop-after-dot", 1),
        ("cut-before-dot", 1),
    ] {
        let sink = sink(chunking()).await;
        let mut session = session(&sink).await;
        let cut = format!("c+{word}@x.example");
        let window = ["a@x.example", "b+450@x.example", &cut, "d@x.example"];
        let fates = send_window(&mut session, &window).await;
        assert_eq!(known(&fates), ["250", "450", "MaybeSent", "MaybeSent"]);
        assert_eq!(sink.counts().accepted, accepted, "{word}");
        let after = send_window(&mut session, &["e@x.example"]).await;
        assert_eq!(known(&after), ["NotSent"], "the session is over");
    }
}

#[tokio::test]
async fn a_goodbye_in_the_middle_leaves_nothing_in_doubt() {
    // RFC 5321, section 3.8: behind a 421 nothing is done. Relays end their connections so.
    let sink = sink(SinkOptions {
        script: script("after-2"),
        ..chunking()
    })
    .await;
    let mut first = session(&sink).await;
    let window = ["a@x.example", "b@x.example", "c@x.example", "d@x.example"];
    let fates = send_window(&mut first, &window).await;
    assert_eq!(known(&fates), ["250", "250", "NotSent", "NotSent"]);
    for fate in fates.into_iter().skip(2) {
        assert_eq!(fate.error().kind, ErrorKind::Unavailable);
    }
    let mut second = session(&sink).await;
    let fates = send_window(&mut second, &window[2..]).await;
    assert_eq!(known(&fates), ["250", "250"]);
    assert_eq!(taken(&sink), window);
}

#[tokio::test]
async fn a_421_to_a_message_is_its_answer_and_the_last_one() {
    let sink = sink(chunking()).await;
    let mut session = session(&sink).await;
    let window = ["a@x.example", "b+dot-421@x.example", "c@x.example"];
    let fates = send_window(&mut session, &window).await;
    assert_eq!(known(&fates), ["250", "421", "NotSent"]);
    assert_eq!(taken(&sink), ["a@x.example"]);
}

#[tokio::test]
async fn a_doubled_answer_leaves_the_whole_window_in_doubt() {
    // Each 250 behind the doubled one would be somebody else's.
    let words = ["twice-dot", "twice-mail", "twice-rcpt", "early"];
    for word in words {
        for last in ["d+dot-554@x.example", "d@x.example"] {
            let sink = sink(chunking()).await;
            let mut session = session(&sink).await;
            let doubled = format!("b+{word}@x.example");
            let window = ["a@x.example", &doubled, "c@x.example", last];
            let fates = send_window(&mut session, &window).await;
            assert_eq!(known(&fates), ["MaybeSent"; 4], "{word}, {last}");
            let error = fates.into_iter().next().expect("four fates").error();
            assert_eq!(error.kind, ErrorKind::Protocol);
        }
    }
}

#[tokio::test]
async fn a_doubled_answer_before_a_cut_makes_no_message_sent() {
    // The cut message's RCPT is read as the answer to it; no reply behind it proves that.
    let sink = sink(chunking()).await;
    let mut session = session(&sink).await;
    let window = [
        "a@x.example",
        "b+twice-dot@x.example",
        "c+drop-after-dot@x.example",
    ];
    let fates = send_window(&mut session, &window).await;
    assert_eq!(known(&fates), ["250", "250", "MaybeSent"]);
    assert_eq!(taken(&sink), ["a@x.example", "b+twice-dot@x.example"]);
}

#[tokio::test]
async fn an_answer_beyond_the_deadline_is_uncertain() {
    let sink = sink(chunking()).await;
    let mut hasty = relay(&sink.url());
    hasty.dot_timeout = Duration::from_millis(100);
    let mut session = open(&hasty).await.expect("a session");
    let window = ["a@x.example", "b+slow-500ms@x.example", "c@x.example"];
    let fates = send_window(&mut session, &window).await;
    // What came before may wait in the sink's own buffer with the late one.
    assert_eq!(known(&fates)[1..], ["MaybeSent", "MaybeSent"]);
    let error = fates.into_iter().nth(1).expect("three fates").error();
    assert_eq!(error.kind, ErrorKind::Timeout);
}

#[tokio::test]
async fn a_refusal_of_the_dot_is_believed_once_nothing_is_left_over() {
    // It says 450 before it has the message, takes that, and the next answer comes too late to show it.
    let sink = sink(chunking()).await;
    let mut hasty = relay(&sink.url());
    hasty.dot_timeout = Duration::from_millis(100);
    let mut session = open(&hasty).await.expect("a session");
    let window = ["a+dot-450+latin1+early@x.example", "b+slow-500ms@x.example"];
    let fates = send_window(&mut session, &window).await;
    assert_eq!(known(&fates), ["MaybeSent", "MaybeSent"]);
}

#[tokio::test]
async fn what_was_never_written_is_known_to_be_unsent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        stream.write_all(b"220 hi\r\n").await.expect("an answer");
        let mut heard = [0; 1024];
        assert!(stream.read(&mut heard).await.expect("octets") > 0);
        let offers = b"250-hi\r\n250-PIPELINING\r\n250 CHUNKING\r\n";
        stream.write_all(offers).await.expect("an answer");
        assert!(stream.read(&mut heard).await.expect("octets") > 0);
        // It hangs up in the middle of the first message, far from the end of the second.
    });
    let mut session = open(&relay(&format!("smtp://{address}")))
        .await
        .expect("a session");
    let big = b"0123456789abcdef\r\n".repeat(2_000_000);
    for recipient in ["a@x.example", "b@x.example"] {
        let envelope = Envelope {
            sender: SENDER,
            recipient,
            size: big.len(),
        };
        session.put(&envelope, big.clone().into());
    }
    let fates: Vec<Fate> = session.settle().await.into_iter().map(fate).collect();
    server.await.expect("no panic");
    assert_eq!(known(&fates), ["NotSent", "NotSent"]);
}

#[tokio::test]
async fn a_closed_connection_is_noticed_before_the_window_is_written() {
    let gone = sink(chunking()).await;
    let mut session = session(&gone).await;
    gone.shutdown().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let fates = send_window(&mut session, &["a@x.example", "b@x.example"]).await;
    assert_eq!(known(&fates), ["NotSent", "NotSent"]);
}

#[tokio::test]
async fn a_dropped_wait_poisons_the_session() {
    let sink = sink(chunking()).await;
    let mut session = session(&sink).await;
    put(&mut session, "a+slow-5s@x.example");
    let wait = tokio::time::timeout(Duration::from_millis(50), session.settle());
    assert!(wait.await.is_err());
    let fates = send_window(&mut session, &["b@x.example"]).await;
    let errors: Vec<SessionError> = fates.into_iter().map(Fate::error).collect();
    // The window that was given up is still there, and says so.
    assert_eq!(errors[0].kind, ErrorKind::Cancelled);
    assert_eq!(errors[0].terminator, Terminator::MaybeSent);
}

#[tokio::test]
async fn the_sink_takes_chunks_however_they_are_cut_and_discards_refused_ones() {
    let said =
        b"EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@x>\r\nBDAT 5\r\n.a\r\n.BDAT 4 LAST\r\n\r\n.\n\
        RSET\r\nMAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\nBDAT 3 LAST\r\nabcBDAT x\r\n";
    for keep in [Keep::Messages, Keep::Nothing] {
        for cut in [1, 2, 3, said.len()] {
            let options = SinkOptions { keep, ..chunking() };
            let sink = sink(options).await;
            let parts: Vec<&[u8]> = said.chunks(cut).collect();
            let heard = talk(sink.address(), &parts).await;
            let codes: Vec<&str> = heard.lines().map(|line| &line[..3]).collect();
            let answers = &codes[codes.len() - 10..];
            let expected = [
                "250", "250", "250", "250", "250", "250", "554", "250", "503", "501",
            ];
            assert_eq!(answers, expected, "{heard}");
            assert_eq!((sink.counts().accepted, sink.counts().octets), (1, 9));
            if keep == Keep::Messages {
                assert_eq!(sink.accepted()[0].message, &b".a\r\n.\r\n.\n"[..]);
            }
        }
    }
}
