//! TLS and AUTH: who is trusted, and that credentials are never said to anybody else.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use pressrun::config::{Relay, TlsPolicy};
use pressrun::smtp::error::{ErrorKind, Phase};
use pressrun::smtp::sink::certificate::Certificate;
use pressrun::smtp::sink::{Sink, SinkOptions, SinkTls};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{open, relay, script, send, sink, taken};

const USER: &str = "pressrun-user";
const PASSWORD: &str = "correct horse battery staple";

fn with_credentials(url: &str, tls: TlsPolicy) -> Relay {
    Relay {
        tls,
        username: Some(USER.into()),
        password: Some(SecretString::from(PASSWORD)),
        ..relay(url)
    }
}

fn certificate(names: &[&str], expired: bool) -> Certificate {
    Certificate::generate(names, expired).expect("a certificate")
}

fn loopback() -> Certificate {
    Certificate::loopback().expect("a certificate")
}

fn ca_file(folder: &tempfile::TempDir, certificate: &Certificate) -> Option<PathBuf> {
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, certificate.ca_pem()).expect("a file");
    Some(path)
}

async fn guarded(tls: SinkTls, words: &str) -> Sink {
    sink(SinkOptions {
        tls,
        auth: Some((USER.into(), PASSWORD.into())),
        script: script(words),
        ..SinkOptions::default()
    })
    .await
}

/// Stands between sender and sink, and keeps what the sender says.
struct Tap {
    url: String,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    async fn before(sink: &Sink) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (record, behind) = (Arc::clone(&heard), sink.address());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(behind).await.expect("the sink");
                tokio::spawn(carry(client, server, Arc::clone(&record)));
            }
        });
        Tap { url, heard }
    }

    fn heard(&self) -> Vec<u8> {
        self.heard.lock().expect("a tap").clone()
    }
}

async fn carry(client: TcpStream, server: TcpStream, record: Arc<Mutex<Vec<u8>>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
        record
            .lock()
            .expect("a tap")
            .extend_from_slice(&buffer[..read]);
        if to_server.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
}

/// The credentials in every form in which AUTH PLAIN and AUTH LOGIN say them.
fn holds_credentials(bytes: &[u8]) -> bool {
    use base64::Engine;
    let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    let forms = [
        PASSWORD.to_owned(),
        encode(PASSWORD.to_owned()),
        encode(format!("\0{USER}\0{PASSWORD}")),
        "AUTH".to_owned(),
    ];
    forms.iter().any(|form| {
        bytes
            .windows(form.len())
            .any(|window| window == form.as_bytes())
    })
}

#[tokio::test]
async fn mail_goes_over_starttls_and_over_implicit_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    for implicit in [false, true] {
        for words in ["", "no-plain"] {
            let certificate = loopback();
            let ca = ca_file(&folder, &certificate);
            let tls = match implicit {
                true => SinkTls::Implicit(certificate),
                false => SinkTls::StartTls(certificate),
            };
            let sink = guarded(tls, words).await;
            let relay = Relay {
                ca_file: ca,
                ..with_credentials(&sink.url(), TlsPolicy::Required)
            };
            let mut session = open(&relay).await.expect("a session");
            assert!(session.capabilities().pipelining);
            let recipients = ["a@x.example", "b+550@x.example", "c@x.example"];
            let fates = send(&mut session, &recipients).await;
            let codes: Vec<u16> = fates.iter().map(super::Fate::code).collect();
            assert_eq!(codes, [250, 550, 250]);
            assert_eq!(taken(&sink), ["a@x.example", "c@x.example"]);
            session.quit().await;
        }
    }
}

#[tokio::test]
async fn nobody_but_the_verified_relay_hears_the_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    let stranger = loopback();
    let table = [
        (
            "another host's certificate",
            certificate(&["other.example"], false),
            "",
            true,
        ),
        (
            "an expired certificate",
            certificate(&["127.0.0.1"], true),
            "",
            true,
        ),
        ("an unknown authority", loopback(), "", false),
        ("STARTTLS taken out", loopback(), "hide-starttls", true),
        ("STARTTLS refused", loopback(), "starttls-454", true),
        ("clear text behind STARTTLS", loopback(), "inject", true),
    ];
    for (what, certificate, words, trusted) in table {
        let trusted = if trusted { &certificate } else { &stranger };
        let ca = ca_file(&folder, trusted);
        let sink = guarded(SinkTls::StartTls(certificate), words).await;
        let tap = Tap::before(&sink).await;
        let relay = Relay {
            ca_file: ca,
            ..with_credentials(&tap.url, TlsPolicy::Required)
        };
        let error = open(&relay).await.expect_err(what);
        let kinds = [ErrorKind::Tls, ErrorKind::Protocol];
        assert!(kinds.contains(&error.kind), "{what}: {error}");
        assert!(
            matches!(error.phase, Phase::StartTls | Phase::Tls),
            "{what}: {error}"
        );
        let heard = tap.heard();
        assert!(heard.starts_with(b"EHLO sender.example\r\n"), "{what}");
        assert!(!holds_credentials(&heard), "{what}");
        assert_eq!(sink.counts().accepted, 0);
    }
}

#[tokio::test]
async fn an_unverified_or_open_line_never_carries_credentials() {
    for (tls, policy) in [
        (SinkTls::StartTls(loopback()), TlsPolicy::Opportunistic),
        (SinkTls::None, TlsPolicy::Opportunistic),
    ] {
        let sink = guarded(tls, "").await;
        let tap = Tap::before(&sink).await;
        let error = open(&with_credentials(&tap.url, policy))
            .await
            .expect_err("credentials over an open line");
        assert_eq!((error.kind, error.phase), (ErrorKind::Auth, Phase::Auth));
        assert!(error.to_string().contains("tls = \"required\""), "{error}");
        assert!(!holds_credentials(&tap.heard()));
    }
}

#[tokio::test]
async fn a_loopback_relay_may_hear_them_where_the_author_says_so() {
    for words in ["", "no-plain"] {
        let sink = guarded(SinkTls::None, words).await;
        let mut session = open(&with_credentials(&sink.url(), TlsPolicy::None))
            .await
            .expect("a session");
        assert_eq!(send(&mut session, &["a@x.example"]).await[0].code(), 250);
    }
}

#[tokio::test]
async fn opportunistic_takes_what_it_can_get() {
    let tls = [
        SinkTls::StartTls(certificate(&["other.example"], true)),
        SinkTls::None,
    ];
    for (tls, encrypted) in tls.into_iter().zip([true, false]) {
        let sink = sink(SinkOptions {
            tls,
            ..SinkOptions::default()
        })
        .await;
        let tap = Tap::before(&sink).await;
        let relay = Relay {
            tls: TlsPolicy::Opportunistic,
            ..relay(&tap.url)
        };
        let mut session = open(&relay).await.expect("a session");
        send(&mut session, &["a@x.example"]).await;
        assert_eq!(taken(&sink), ["a@x.example"]);
        let said_in_clear = tap.heard().windows(9).any(|window| window == b"MAIL FROM");
        assert_eq!(said_in_clear, !encrypted);
    }
}

#[tokio::test]
async fn refused_credentials_are_an_error_of_the_relay_and_not_repeated() {
    let sink = guarded(SinkTls::None, "auth-535-5.7.8").await;
    let relay = with_credentials(&sink.url(), TlsPolicy::None);
    let error = open(&relay).await.expect_err("a refusal");
    assert_eq!((error.kind, error.phase), (ErrorKind::Auth, Phase::Auth));
    assert_eq!(error.reply.as_ref().expect("a reply").code, 535);
    assert!(!format!("{error} {error:?}").contains(PASSWORD));
}

#[tokio::test]
async fn half_of_the_credentials_is_a_mistake_in_the_configuration() {
    let sink = guarded(SinkTls::None, "").await;
    let relay = Relay {
        username: Some(USER.into()),
        ..relay(&sink.url())
    };
    let error = open(&relay).await.expect_err("no password");
    assert_eq!(error.kind, ErrorKind::Config);
}
