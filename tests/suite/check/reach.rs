//! Whether links answer, asked of a server of our own.

use std::time::Duration;

use pressrun::lint::Facts;
use pressrun::preflight::reach;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Port, block_on};

/// What asking these links comes to.
async fn ask(urls: &[String], at_home: bool) -> Facts {
    let mut facts = Facts::default();
    let asked = reach::ask(urls, at_home, &mut facts).await;
    asked.expect("a client");
    facts
}

/// A server whose paths name the status they answer; `/no-head-204` refuses HEAD.
async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let own = base.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let own = own.clone();
            tokio::spawn(async move {
                let mut octets = vec![0; 4096];
                let length = stream.read(&mut octets).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&octets[..length]).into_owned();
                let mut words = request.split_whitespace();
                let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
                let answer = match (method, path) {
                    ("HEAD", "/no-head") => "405 Method Not Allowed\r\n".to_owned(),
                    (_, "/fine" | "/no-head") => "200 OK\r\n".to_owned(),
                    (_, "/moved") => format!("302 Found\r\nlocation: {own}/fine\r\n"),
                    (_, "/circle") => format!("302 Found\r\nlocation: {own}/circle\r\n"),
                    (_, "/inside") => "302 Found\r\nlocation: http://10.1.2.3/\r\n".to_owned(),
                    (_, "/gone") => "410 Gone\r\n".to_owned(),
                    (_, "/closed") => "403 Forbidden\r\n".to_owned(),
                    (_, "/broken") => "502 Bad Gateway\r\n".to_owned(),
                    _ => "404 Not Found\r\n".to_owned(),
                };
                let answer =
                    format!("HTTP/1.1 {answer}content-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.ok();
                stream.shutdown().await.ok();
                tokio::time::sleep(Duration::from_millis(1)).await;
            });
        }
    });
    base
}

#[test]
fn links_are_asked_and_each_answer_is_weighed() {
    block_on(async {
        let base = server().await;
        let paths = [
            "/fine", "/no-head", "/moved", "/circle", "/inside", "/gone", "/closed", "/broken",
            "/x",
        ];
        let urls: Vec<String> = paths.iter().map(|path| format!("{base}{path}")).collect();
        let found = ask(&urls, true).await.unreachable;
        let told: Vec<(&str, bool, &str)> = found
            .iter()
            .map(|one| (&one.url[base.len()..], one.dead, one.why.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    "/circle",
                    true,
                    "cannot be followed: it redirects in a circle"
                ),
                (
                    "/inside",
                    true,
                    "leads to a private address, which was not asked"
                ),
                ("/gone", true, "is gone for good (410)"),
                ("/closed", false, "turned the question away (403)"),
                ("/broken", false, "has trouble at its end (502)"),
                ("/x", true, "is not there (404)"),
            ]
        );
    });
}

#[test]
fn nothing_inside_is_asked_for_a_publication_of_the_public_web() {
    block_on(async {
        let base = server().await;
        let port = base.rsplit(':').next().expect("a port");
        let urls = [
            format!("{base}/fine"),
            format!("http://localhost:{port}/fine"),
        ];
        let found = ask(&urls, false).await.unreachable;
        let told: Vec<&str> = found.iter().map(|one| one.why.as_str()).collect();
        assert_eq!(told, ["leads to a private address, which was not asked"; 2]);
    });
}

#[test]
fn when_nothing_at_all_answers_no_single_link_is_called_dead() {
    block_on(async {
        let port = Port::free();
        let base = format!("http://127.0.0.1:{}", port.number);
        let urls = [format!("{base}/a"), format!("{base}/b")];
        let facts = ask(&urls, true).await;
        assert_eq!((facts.silent, facts.unreachable.len()), (2, 0));
        let one = ask(&urls[..1], true).await.unreachable;
        assert!(one[0].dead);
        assert_eq!(one[0].why, "takes no connection");
    });
}
