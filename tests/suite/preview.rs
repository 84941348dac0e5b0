//! `pressrun preview` over real sockets: what it shows, to whom, and how soon it follows a save.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::http::preview::{self, Target};
use pressrun::keyring::Keyring;
use pressrun::store::Store;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::compile::desk::Desk;
use crate::harness::block_on;

mod folder;
mod list;
mod places;
mod system;
mod test_copy;
mod theme;

/// Nothing waits for it in a good run.
const PATIENCE: Duration = Duration::from_secs(60);
/// Any picture that is one.
const PNG: &[u8] = include_bytes!("../../emails/issues/this-week-in-ai-research/lora.png");

const GOOD: &str = "---\ntitle: One\nsubject: Hello [[first_name|there]]\npreheader: Soon\n---\n\n\
    Dear [[first_name|reader]], read [this](https://example.com/a?b=1&c=2).\n\n![A cat](cat.png)\n";
const BROKEN: &str = "---\ntitle: One\n---\n\nDear [[frist_name|reader]]\n";

/// A preview of the issue `one`, answered on a port of its own.
struct Shown {
    desk: Desk,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

/// A response: status, head, body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Shown {
    async fn open(desk: Desk) -> Shown {
        Shown::target(desk, Target::issue("one")).await
    }

    async fn target(desk: Desk, target: Target) -> Shown {
        let (stop, stopped) = watch::channel(false);
        let file = desk.folder.path().join("pressrun.toml");
        let opened = preview::open(&file, target, stopped).await;
        let opened = opened.expect("a preview");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(opened.serve(listener));
        Shown {
            desk,
            address,
            stop,
            task,
        }
    }

    async fn of(text: &str) -> Shown {
        let desk = Desk::new();
        desk.write("issues/one/cat.png", PNG);
        desk.write("issues/one/issue.md", text);
        Shown::open(desk).await
    }

    async fn ask(&self, request: String) -> Answer {
        let mut stream = TcpStream::connect(self.address)
            .await
            .expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("a write");
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).await.expect("a response");
        let text = String::from_utf8_lossy(&octets);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        Answer {
            status: head[9..12].parse().expect("a status"),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    async fn get_as(&self, host: &str, path: &str) -> Answer {
        // HTTP/1.0: the body ends with the connection and comes in one piece.
        self.ask(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n"))
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_as(&self.address.to_string(), path).await
    }

    async fn state(&self) -> Value {
        serde_json::from_str(&self.get("/state").await.body).expect("JSON")
    }

    async fn post(&self, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let length = body.len();
        self.ask(format!(
            "POST /test HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}"
        ))
        .await
    }

    /// The token on the page.
    async fn token(&self) -> String {
        let page = self.get("/").await.body;
        let rest = page
            .split_once("name=\"token\" value=\"")
            .expect("a token")
            .1;
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    fn save(&self, text: &str) {
        // As editors do: a new file takes the place of the old one.
        self.desk.write("issues/one/.issue.md.new", text);
        let folder = self.desk.emails().join("issues/one");
        std::fs::rename(folder.join(".issue.md.new"), folder.join("issue.md")).expect("a rename");
    }

    async fn end(self) {
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("an end").expect("no panic").expect("no error");
    }
}

/// The stream of `/events`.
struct Events {
    stream: TcpStream,
    text: String,
}

impl Events {
    async fn of(shown: &Shown) -> Events {
        let mut stream = TcpStream::connect(shown.address)
            .await
            .expect("a connection");
        let request = "GET /events HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("a write");
        Events {
            stream,
            text: String::new(),
        }
    }

    /// The data of the next event.
    async fn next(&mut self) -> Value {
        let read = async {
            loop {
                if let Some((event, rest)) = self.text.split_once("\n\n") {
                    let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                    let data = data.map(|data| serde_json::from_str(data).expect("JSON"));
                    self.text = rest.to_owned();
                    match data {
                        Some(data) => return data,
                        None => continue,
                    }
                }
                let mut octets = [0; 4096];
                let length = self.stream.read(&mut octets).await.expect("a read");
                assert!(length > 0, "the stream ended");
                self.text
                    .push_str(&String::from_utf8_lossy(&octets[..length]));
            }
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("an event")
    }
}

#[test]
fn a_save_is_told_at_once_and_an_error_keeps_the_last_good_render() {
    block_on(async {
        let shown = Shown::of(GOOD).await;
        let mut events = Events::of(&shown).await;
        let first = events.next().await;
        assert_eq!(first["broken"], false);
        assert!(shown.get("/frame").await.body.contains("Dear reader"));

        let saved = Instant::now();
        shown.save(&GOOD.replace("Dear", "Darling"));
        let second = events.next().await;
        println!("told {} ms after the save", saved.elapsed().as_millis());
        assert_ne!(first["version"], second["version"]);
        assert!(shown.get("/frame").await.body.contains("Darling reader"));

        shown.save(BROKEN);
        assert_eq!(events.next().await["broken"], true);
        let state = shown.state().await;
        let error = &state["errors"][0];
        assert_eq!(error["code"], "unknown-field");
        assert_eq!(
            (error["line"].as_u64(), error["column"].as_u64()),
            (Some(5), Some(6))
        );
        assert!(
            error["excerpt"]["text"]
                .as_str()
                .expect("a line")
                .contains("[[frist_name")
        );
        assert!(
            error["help"].as_str().expect("help").contains("first_name"),
            "{error}"
        );
        let page = shown.get("/").await.body;
        assert!(
            page.contains("<mark>[[frist_name|reader]]</mark>"),
            "{page}"
        );
        assert!(shown.get("/frame").await.body.contains("Darling reader"));

        shown.save(GOOD);
        assert_eq!(events.next().await["broken"], false);
        assert_eq!(shown.state().await["errors"], Value::Array(Vec::new()));
        shown.end().await;
    });
}

#[test]
fn a_broken_issue_is_shown_with_its_errors_and_one_that_is_not_there_is_refused() {
    block_on(async {
        let shown = Shown::of(BROKEN).await;
        let page = shown.get("/").await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains("Nothing has compiled yet"));
        assert_eq!(shown.get("/frame").await.status, 404);
        let mut events = Events::of(&shown).await;
        assert_eq!(events.next().await["broken"], true);
        shown.save(GOOD);
        assert_eq!(events.next().await["broken"], false);
        assert_eq!(shown.get("/frame").await.status, 200);
        shown.end().await;

        let desk = Desk::new();
        let file = desk.folder.path().join("pressrun.toml");
        let (_say, stop) = watch::channel(false);
        let opened = preview::open(&file, Target::issue("nowhere"), stop).await;
        let error = opened.err().expect("a refusal").to_string();
        assert!(error.starts_with("there is no issue `nowhere`"), "{error}");
    });
}

#[test]
fn fields_and_themes_are_watched_too_and_other_files_are_not() {
    block_on(async {
        let shown = Shown::of(GOOD).await;
        let mut events = Events::of(&shown).await;
        events.next().await;
        shown
            .desk
            .write("fields.toml", "[fields.city]\ntype = \"text\"\n");
        assert_eq!(events.next().await["broken"], true, "first_name is gone");
        shown
            .desk
            .write("fields.toml", "[fields.first_name]\ntype = \"text\"\n");
        assert_eq!(events.next().await["broken"], false);
        let layout = shown.desk.emails().join("themes/digest/layout.mjml");
        let text = std::fs::read_to_string(&layout).expect("the layout");
        std::fs::write(&layout, text.replace("<mj-body", "<mj-boody")).expect("a write");
        assert_eq!(events.next().await["broken"], true);
        std::fs::write(&layout, text).expect("a write");
        assert_eq!(events.next().await["broken"], false);
        let before = shown.state().await["version"].clone();
        std::fs::write(shown.desk.folder.path().join("pressrun.db"), "x").expect("a write");
        shown.desk.write("issues/two/issue.md", "x");
        shown.save(&GOOD.replace("Soon", "Later"));
        let after = events.next().await["version"].clone();
        let number = |version: &Value| {
            let text = version.as_str().expect("a version");
            text.rsplit('-')
                .next()
                .expect("a number")
                .parse::<u64>()
                .expect("a number")
        };
        assert_eq!(number(&after), number(&before) + 1);
        shown.end().await;
    });
}

#[test]
fn only_loopback_names_are_answered() {
    block_on(async {
        let shown = Shown::of(GOOD).await;
        for path in [
            "/",
            "/frame",
            "/state",
            "/events",
            "/readers?q=a",
            "/style.css",
        ] {
            let answer = shown.get_as("evil.example", path).await;
            assert_eq!(answer.status, 421, "{path}");
            assert!(!answer.body.contains("Dear"), "{path}");
        }
        assert_eq!(shown.get_as("localhost:1", "/").await.status, 200);
        shown.end().await;
    });
}

#[test]
fn every_answer_forbids_what_it_does_not_need() {
    block_on(async {
        let shown = Shown::of(GOOD).await;
        let page = shown.get("/").await;
        assert!(
            page.head.contains("script-src 'self'; style-src 'self'"),
            "{}",
            page.head
        );
        assert!(page.head.contains("frame-ancestors 'none'"));
        assert!(!page.body.contains("<script>") && !page.body.contains(" style="));
        let frame = shown.get("/frame").await;
        assert!(
            frame
                .head
                .contains("default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:;")
        );
        assert!(
            frame.head.contains("sandbox allow-same-origin"),
            "{}",
            frame.head
        );
        assert!(!frame.head.contains("https:"), "{}", frame.head);
        let open = shown.get("/frame?images=all").await;
        assert!(
            open.head.contains("img-src 'self' data: https: http:"),
            "{}",
            open.head
        );
        shown.end().await;
    });
}

#[test]
fn each_view_shows_what_its_program_would() {
    block_on(async {
        let shown = Shown::of(GOOD).await;
        let frame = shown.get("/frame").await.body;
        let image = frame
            .split("src=\"/i/")
            .nth(1)
            .expect("an image of the issue");
        let hash = image.split('"').next().unwrap_or_default();
        let image = shown.get(&format!("/i/{hash}")).await;
        assert!(
            image.head.contains("content-type: image/png"),
            "{}",
            image.head
        );
        assert_eq!(shown.get("/i/../x").await.status, 404);
        assert!(
            frame.contains("href=\"https://example.com/a?b=1&amp;c=2\""),
            "links lead on"
        );
        let dark = shown.get("/frame?scheme=dark").await.body;
        assert!(dark.contains("color-scheme:dark!important") && !dark.contains("prefers-color"));
        assert!(
            !shown
                .get("/frame?images=off")
                .await
                .body
                .contains("src=\"/i/")
        );
        let bare = shown.get("/frame?client=nostyle").await.body;
        assert!(!bare.contains("@media"), "{bare}");
        let word = shown.get("/frame?client=outlook").await.body;
        assert!(!word.contains("[if mso"), "{word}");
        let text = shown.get("/?show=text").await.body;
        assert!(text.contains("<pre class=\"text\""), "{text}");
        let source = shown.get("/?show=source").await.body;
        assert!(source.contains("MIME-Version: 1.0") && source.contains("Subject: Hello there"));
        let inbox = shown.get("/?show=inbox").await.body;
        assert!(
            inbox.contains("Hello there") && inbox.contains("Soon"),
            "{inbox}"
        );
        shown.end().await;
    });
}

#[test]
fn the_issue_is_seen_as_a_reader_of_the_database_or_with_typed_values_escaped() {
    block_on(async {
        let shown = Shown::of(GOOD).await;
        let nobody = shown.get("/?reader=ada%40example.org").await.body;
        assert!(nobody.contains("there is no database yet"), "{nobody}");
        let store = Store::open("sqlite:pressrun.db", shown.desk.folder.path(), 2).await;
        let store = store.expect("a database");
        store.close().await;
        let csv = "email,first_name\nada@example.org,<script>alert(1)</script>\n";
        std::fs::write(shown.desk.folder.path().join("readers.csv"), csv).expect("a file");
        let keyring = Keyring::generate(&Chance::seeded(1), Timestamp(0));
        let path = shown.desk.folder.path().join("keyring");
        keyring.create(&path).expect("a keyring");
        for arguments in [
            &["lists", "add", "weekly", "--title", "Weekly"][..],
            &[
                "subscribers",
                "import",
                "readers.csv",
                "--list",
                "weekly",
                "--consent",
                "made up for a test",
            ],
        ] {
            let (code, out, error) = shown.desk.run(arguments);
            assert_eq!(code, 0, "{arguments:?}: {out}{error}");
        }
        let frame = shown.get("/frame?reader=ada%40example.org").await.body;
        assert!(
            frame.contains("Dear &lt;script&gt;alert(1)&lt;/script&gt;"),
            "{frame}"
        );
        let page = shown.get("/?reader=ada%40example.org").await.body;
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(page.contains("Hello &lt;script&gt;"), "{page}");
        let found = shown.get("/readers?q=AD").await.body;
        assert_eq!(found, "[\"ada@example.org\"]");
        assert_eq!(shown.get("/readers?q=%25").await.body, "[]");
        let typed = shown
            .get("/frame?field.first_name=%22%3E%3Cb%3E")
            .await
            .body;
        assert!(typed.contains("Dear &quot;&gt;&lt;b&gt;"), "{typed}");
        let wrong = shown.get("/?reader=%3Cb%3Enobody").await.body;
        assert!(
            wrong.contains("is no address") && !wrong.contains("<b>nobody"),
            "{wrong}"
        );
        shown.end().await;
    });
}
