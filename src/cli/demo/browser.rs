//! The demo's browser: plain HTTP to the readers' site, as a mail program or a person would send it.

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What the readers read with.
pub(crate) const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
     Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile \
     Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 \
     Safari/537.36",
];

/// An answer of the site.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub location: Option<String>,
    pub body: String,
}

/// Asks for `url`.
pub(crate) async fn get(url: &str) -> anyhow::Result<Answer> {
    get_as(url, AGENTS[0]).await
}

/// Asks for `url` with a program that calls itself `agent`.
pub(crate) async fn get_as(url: &str, agent: &str) -> anyhow::Result<Answer> {
    ask(Method::GET, url, "", agent).await
}

/// Sends a form to `url`.
pub(crate) async fn post(url: &str, form: &str) -> anyhow::Result<Answer> {
    ask(Method::POST, url, form, AGENTS[0]).await
}

/// Fails unless the site answered so.
pub(crate) fn expect(answer: &Answer, status: StatusCode, what: &str) -> anyhow::Result<()> {
    ensure!(
        answer.status == status,
        "{what}: the site answered {}",
        answer.status
    );
    Ok(())
}

/// The value of a named input on a page.
pub(crate) fn input(page: &str, name: &str) -> Option<String> {
    let at = page.find(&format!("name=\"{name}\""))?;
    let tag = &page[page[..at].rfind('<')?..];
    let tag = &tag[..tag.find('>')?];
    let value = tag.split_once("value=\"")?.1;
    Some(value.split('"').next()?.to_owned())
}

async fn ask(method: Method, url: &str, form: &str, agent: &str) -> anyhow::Result<Answer> {
    let rest = url
        .strip_prefix("http://")
        .context("the demo's site is plain http on loopback")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let stream = TcpStream::connect(host)
        .await
        .with_context(|| format!("no site at {host}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(format!("/{path}"))
        .header("host", host)
        .header("user-agent", agent)
        .header("accept-language", "en")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(form.to_owned())))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let location = answer
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok());
    let location = location.map(str::to_owned);
    let body = answer.into_body().collect().await?.to_bytes();
    Ok(Answer {
        status,
        location,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
