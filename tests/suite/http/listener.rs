//! The listener against slow, silent and many clients. Sockets only: one database is enough.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::site::TestSite;
use super::wire::parse;
use crate::deliver::rig::until;
use crate::harness::{Engine, block_on};

/// Reads until the other side closes; what came, or `None` when it is still open after a minute.
async fn closed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut rest = Vec::new();
    // A reset is as good an end as an orderly one.
    timeout(Duration::from_secs(60), stream.read_to_end(&mut rest))
        .await
        .ok()?
        .ok();
    Some(rest)
}

/// Connections of which a third says nothing, a third not all, and a third nothing more.
async fn three_hundred(site: &TestSite) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for n in 0..300 {
        let mut stream = TcpStream::connect(site.public).await.expect("a connection");
        // One that was closed meanwhile takes no more, and is none the worse for it.
        match n % 3 {
            0 => {}
            1 => stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow:")
                .await
                .expect("a write"),
            _ => {
                let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
                stream.write_all(request).await.expect("a write");
            }
        }
        streams.push(stream);
    }
    streams
}

#[test]
fn beside_three_hundred_silent_half_open_and_idle_connections_a_person_is_served() {
    block_on(async {
        let site = TestSite::with(Engine::Sqlite, &TestSite::config(&[]), |limits| {
            limits.header_timeout = Duration::from_secs(3_600);
        })
        .await;
        let streams = three_hundred(&site).await;
        assert_eq!(site.get("/healthz").await.status, 200);
        drop(streams);
        site.stop().await;
    });
}

#[test]
fn silent_half_open_and_idle_connections_are_gone_after_the_header_timeout() {
    block_on(async {
        let site = TestSite::with(Engine::Sqlite, &TestSite::config(&[]), |limits| {
            limits.header_timeout = Duration::from_secs(1);
        })
        .await;
        let mut streams = three_hundred(&site).await;
        let all = streams.iter_mut().map(closed);
        let ended = futures::future::join_all(all).await;
        assert_eq!(
            ended.iter().filter(|end| end.is_none()).count(),
            0,
            "still open"
        );
        site.stop().await;
    });
}

#[test]
fn a_slow_body_ends_at_the_deadline_and_a_large_head_at_once() {
    block_on(async {
        let site = TestSite::with(Engine::Sqlite, &TestSite::config(&[]), |limits| {
            limits.request_deadline = Duration::from_millis(500);
        })
        .await;
        let mut slow = TcpStream::connect(site.public).await.expect("a connection");
        slow.write_all(b"POST /subscribe HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nemail=")
            .await
            .expect("a write");
        let answer = closed(&mut slow).await.expect("an end");
        assert_eq!(parse(&answer).status, 408);
        for head in [
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(40_000)),
            format!(
                "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
                "X: y\r\n".repeat(100)
            ),
        ] {
            let mut large = TcpStream::connect(site.public).await.expect("a connection");
            large.write_all(head.as_bytes()).await.ok();
            let answer = closed(&mut large).await.expect("an end");
            assert!(
                answer.is_empty() || parse(&answer).status >= 400,
                "{answer:?}"
            );
        }
        assert_eq!(site.get("/healthz").await.status, 200);
        site.stop().await;
    });
}

#[test]
fn one_address_has_its_share_of_connections_and_a_proxy_stands_for_many() {
    block_on(async {
        let site = TestSite::with(Engine::Sqlite, &TestSite::config(&[]), |limits| {
            limits.per_address = 5;
            limits.trusted_proxies = Vec::new();
        })
        .await;
        let mut held = Vec::new();
        for _ in 0..5 {
            held.push(TcpStream::connect(site.public).await.expect("a connection"));
        }
        let mut sixth = TcpStream::connect(site.public).await.expect("a connection");
        let end = closed(&mut sixth).await;
        assert_eq!(
            end.as_deref(),
            Some(b"".as_slice()),
            "closed without a word"
        );
        held.pop();
        // The place is given back once the listener has seen the end.
        let served = until(async || {
            let mut again = TcpStream::connect(site.public).await.expect("a connection");
            let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            again.write_all(request).await.ok();
            let answer = closed(&mut again).await.expect("an end");
            !answer.is_empty() && parse(&answer).status == 200
        });
        assert!(served.await);
        drop(held);
        site.stop().await;
        let proxied = TestSite::with(Engine::Sqlite, &TestSite::config(&[]), |limits| {
            limits.per_address = 1;
        })
        .await;
        let _held = TcpStream::connect(proxied.public)
            .await
            .expect("a connection");
        assert_eq!(proxied.get("/healthz").await.status, 200);
    });
}

#[test]
fn a_busy_connection_is_ended_politely_and_shutdown_waits_for_answers() {
    block_on(async {
        let site = TestSite::with(Engine::Sqlite, &TestSite::config(&[]), |limits| {
            limits.lifetime = Duration::from_millis(300);
        })
        .await;
        let mut busy = TcpStream::connect(site.public).await.expect("a connection");
        let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut buffer = [0; 4096];
        let asking = async {
            while busy.write_all(request).await.is_ok() {
                if busy.read(&mut buffer).await.unwrap_or(0) == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = timeout(Duration::from_secs(60), asking).await;
        ended.expect("it is ended");
        // A request whose body is still coming when the listener closes is answered.
        let mut last = TcpStream::connect(site.public).await.expect("a connection");
        let head = b"POST /subscribe HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\
            Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n";
        last.write_all(head).await.expect("a write");
        // It is under way when somebody asks for the body.
        let mut go_on = [0; 25];
        last.read_exact(&mut go_on).await.expect("an answer");
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        last.write_all(b"email").await.expect("a write");
        let stopping = tokio::spawn(site.stop());
        tokio::time::sleep(Duration::from_millis(50)).await;
        last.write_all(b"=x").await.expect("a write");
        let answer = closed(&mut last).await.expect("an end");
        assert_eq!(parse(&answer).status, 400);
        stopping.await.expect("a clean stop");
    });
}
