//! The sink itself: what it writes down, and that it does so before it answers.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use pressrun::clock::{Clock, Timestamp};
use pressrun::smtp::sink::{Keep, SinkOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Fate, message, send, session, sink};
use crate::deliver::rig::until;

#[tokio::test]
async fn an_accepted_message_is_a_file_and_a_line_of_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("mail");
    let log = folder.path().join("log.jsonl");
    std::fs::create_dir(&store).expect("a folder");
    std::fs::write(store.join("000001.eml"), "from an earlier sink").expect("a file");
    let sink = sink(SinkOptions {
        store: Some(store.clone()),
        log: Some(log.clone()),
        keep: Keep::Nothing,
        clock: Clock::fixed(Timestamp(1_700_000_000_000)),
        ..SinkOptions::default()
    })
    .await;
    let mut session = session(&sink).await;
    let recipients = [
        "a@x.example",
        "b+550@x.example",
        "c+cut-after-dot@x.example",
    ];
    let fates = send(&mut session, &recipients).await;
    assert!(matches!(&fates[2], Fate::Broken(_)));
    assert_eq!(
        std::fs::read(store.join("000001.eml")).expect("a file"),
        b"from an earlier sink"
    );
    assert_eq!(
        std::fs::read(store.join("000002.eml")).expect("a file"),
        message("a@x.example")
    );
    // They hold addresses and links that work: nobody else on the machine reads them.
    for file in [&store.join("000002.eml"), &log] {
        let mode = std::fs::metadata(file)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let text = std::fs::read_to_string(log).expect("a log");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["rcpt"], serde_json::json!(["a@x.example"]));
    assert_eq!(lines[0]["sender"], super::SENDER);
    assert_eq!(lines[0]["message_id"], "a@x.example");
    assert_eq!(lines[0]["time"], 1_700_000_000_000_i64);
    assert_eq!(lines[0]["file"], "000002.eml");
    assert_eq!(lines[0]["sha256"].as_str().expect("a hash").len(), 64);
    assert_eq!(
        (&lines[0]["verdict"], &lines[1]["verdict"]),
        (&"answered".into(), &"cut".into())
    );
}

#[tokio::test]
async fn a_folder_that_a_sink_makes_is_open_to_its_owner_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("made").join("mail");
    let sink = sink(SinkOptions {
        store: Some(store.clone()),
        ..SinkOptions::default()
    })
    .await;
    let mode = std::fs::metadata(&store)
        .expect("a folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    sink.shutdown().await;
}

/// What a client that says `said` hears until the sink is silent.
pub async fn talk(address: std::net::SocketAddr, said: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the sink");
    for part in said {
        stream.write_all(part).await.expect("a write");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.expect("a read");
    String::from_utf8(heard).expect("text")
}

#[tokio::test]
async fn messages_are_stored_as_they_were_meant_however_the_octets_are_cut() {
    let wholes: [(&[u8], &[u8]); 4] = [
        (b".\r\n", b""),
        (b"..\r\n..a\r\n\r\n.\r\n", b".\r\n.a\r\n\r\n"),
        (b"a\r\n.b\n.\n\r\n.\r\n", b"a\r\nb\n.\n\r\n"),
        (b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n"),
    ];
    for (wire, expected) in wholes {
        for cut in [1, 2, 3, wire.len()] {
            let sink = sink(SinkOptions::default()).await;
            let mut said: Vec<&[u8]> =
                vec![b"EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n"];
            said.extend(wire.chunks(cut));
            said.push(b"QUIT\r\n");
            let heard = talk(sink.address(), &said).await;
            assert!(heard.contains("354 "), "{heard}");
            assert!(
                heard.ends_with("250 2.0.0 taken\r\n221 2.0.0 goodbye\r\n"),
                "{heard}"
            );
            assert_eq!(sink.accepted()[0].message, expected);
        }
    }
}

#[tokio::test]
async fn a_sink_that_keeps_nothing_still_finds_every_end() {
    let sink = sink(SinkOptions {
        keep: Keep::Nothing,
        ..SinkOptions::default()
    })
    .await;
    // Lengths around the buffer's, so that the terminator falls on every side of its edge.
    let mut said = b"EHLO me\r\n".to_vec();
    let (mut octets, mut messages) = (0, 0);
    for around in [1, 100, 128 * 1024, 300_000] {
        for more in 0..12 {
            let text = [b"x".repeat(around + more), b"\r\n".to_vec()].concat();
            said.extend_from_slice(b"MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n");
            said.extend_from_slice(&text);
            said.extend_from_slice(b".\r\n");
            octets += text.len();
            messages += 1;
        }
    }
    said.extend_from_slice(b"QUIT\r\n");
    let heard = talk(sink.address(), &[&said]).await;
    assert!(heard.ends_with("221 2.0.0 goodbye\r\n"), "{heard}");
    let counts = sink.counts();
    assert_eq!((counts.accepted, counts.octets), (messages, octets as u64));
    assert!(sink.accepted().is_empty());
}

#[tokio::test]
async fn commands_out_of_order_are_refused() {
    let sink = sink(SinkOptions::default()).await;
    let said = b"EHLO me\r\nRCPT TO:<a@x>\r\nDATA\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nDATA\r\nBDAT 3\r\nQUIT\r\n";
    let heard = talk(sink.address(), &[said]).await;
    let codes: Vec<&str> = heard.lines().map(|line| &line[..3]).collect();
    let answers = &codes[codes.len() - 7..];
    assert_eq!(answers, ["503", "503", "250", "503", "554", "500", "221"]);
}

#[tokio::test]
async fn messages_behind_so_many_are_answered_when_they_are_released() {
    for last in ["c@x.example", "c+dot-554@x.example"] {
        let sink = sink(SinkOptions::default()).await;
        let mut session = session(&sink).await;
        sink.hold_after(2);
        let all = ["a@x.example", "b@x.example", last];
        let sending = send(&mut session, &all);
        tokio::pin!(sending);
        let ended = async || {
            let counts = sink.counts();
            counts.accepted + counts.refused == 3
        };
        tokio::select! {
            fates = &mut sending => panic!("the last was answered: {fates:?}"),
            came = until(ended) => assert!(came, "{:?}", sink.counts()),
        }
        let wait = tokio::time::timeout(Duration::from_millis(100), &mut sending);
        assert!(wait.await.is_err(), "it was answered while it is held");
        sink.release();
        let codes: Vec<u16> = sending.await.iter().map(Fate::code).collect();
        let expected = if last.contains('+') { 554 } else { 250 };
        assert_eq!(codes, [250, 250, expected]);
    }
}
