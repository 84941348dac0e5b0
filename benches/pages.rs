//! The author's pages above a million readers, each asked as a browser asks, on a connection of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::measure::{Reference, Row, median};
use pressrun::access;
use pressrun::app::App;
use pressrun::http::serve_admin;
use pressrun::id::RunId;

const LOOKS: usize = 11;
/// Every page that reads the database; `RUN` is the last run. The count of a segment, which outlives its page, comes last.
const PAGES: [&str; 21] = [
    "/",
    "/issues",
    "/runs/RUN",
    "/runs/RUN/numbers",
    "/runs/RUN/clicks",
    "/numbers",
    "/lists",
    "/lists/1",
    "/imports",
    "/suppressions",
    "/settings",
    "/sessions",
    "/audit",
    "/deliveries/RUN-500000",
    "/subscribers/500000",
    "/subscribers",
    "/subscribers?q=r999",
    "/subscribers?q=nobody&by=name",
    "/subscribers?status=paused&list=bench",
    "/subscribers?segment=tag:nobody&list=bench",
    "/segments?q=tag:nobody&list=bench",
];

/// A line for each page; the whole time from the connection to the last octet.
pub async fn measured(app: &App, folder: &Path, run: RunId) -> Vec<Row> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let site = serve_admin(app.clone(), folder.join("pressrun.toml"), listener, async {
        stopped.await.ok();
    });
    let site = tokio::spawn(site);
    let token = access::new_link(app).await.expect("a link");
    let login =
        format!("POST /login/{token} HTTP/1.1\r\nOrigin: http://{at}\r\nContent-Length: 0\r\n");
    let answer = asked(at, &login).await;
    let cookie = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let cookie = name.eq_ignore_ascii_case("set-cookie").then_some(value)?;
        Some(cookie.split(';').next().unwrap_or_default().to_owned())
    });
    let cookie = cookie.unwrap_or_else(|| panic!("no session: {answer}"));
    let mut rows = Vec::new();
    for page in PAGES {
        let page = page.replace("RUN", &run.0.to_string());
        let request = format!("GET {page} HTTP/1.1\r\nCookie: {cookie}\r\n");
        let mut looks = Vec::new();
        let mut status = String::new();
        for _ in 0..LOOKS {
            let from = Instant::now();
            let answer = asked(at, &request).await;
            looks.push(from.elapsed().as_secs_f64() * 1e3);
            status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        let goal = Reference {
            name: "50 ms",
            value: 50.0,
            goal: 1.0,
        };
        let slowest = looks.iter().copied().fold(0.0, f64::max);
        let mut note = format!("slowest {slowest:.1}");
        if status != "200" {
            note.push_str(&format!(", status {status}"));
        }
        rows.push(Row::against(&page, median(&mut looks), goal).with(note));
    }
    stop.send(()).ok();
    site.await.expect("no panic").expect("a site that ends");
    rows
}

async fn asked(at: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(at).await.expect("a connection");
    let request = format!("{head}Host: {at}\r\nConnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}
