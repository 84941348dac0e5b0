//! Whether links answer: each is asked once, a few at a time.
//!
//! Promises: no body is read, no page is asked twice; nothing inside is asked unless the publication itself lives on
//! this machine. Leaves the weight of an answer to `lint`, and what may be asked at all to `web`.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use reqwest::{Client, Method, StatusCode, Url};

use crate::lint::{Facts, Unreachable};
use crate::web::{self, Trouble, may_ask};

/// Links asked at the same time: enough to be done in a minute, few enough to disturb nobody.
const AT_ONCE: usize = 6;
/// An issue with more links has other problems.
const LINKS: usize = 400;
const PATIENCE: Duration = Duration::from_secs(15);

/// What came of asking one link.
enum Answer {
    Fine,
    Dead(String),
    /// Nobody answered; so it is with every link where there is no network.
    Silent(String),
    Doubtful(String),
}

/// Asks each of `urls`, which are in their normal form, and notes those that did not answer well, in
/// their order. `at_home` allows addresses of this machine.
pub async fn ask(urls: &[String], at_home: bool, facts: &mut Facts) -> anyhow::Result<()> {
    let mut wanted: Vec<&String> = Vec::new();
    for url in urls {
        if wanted.len() < LINKS && !wanted.contains(&url) {
            wanted.push(url);
        }
    }
    let client = web::client(at_home, "link check", PATIENCE)?;
    let answers: Vec<(&String, Answer)> = stream::iter(wanted)
        .map(|url| {
            let client = &client;
            async move { (url, one(client, url, at_home).await) }
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let silent = |(_, answer): &(&String, Answer)| matches!(answer, Answer::Silent(_));
    // One host may be gone; all of them at once are not.
    if answers.len() > 1 && answers.iter().all(silent) {
        facts.silent = answers.len();
        return Ok(());
    }
    let bad = |(url, answer): (&String, Answer)| {
        let (dead, why) = match answer {
            Answer::Fine => return None,
            Answer::Dead(why) | Answer::Silent(why) => (true, why),
            Answer::Doubtful(why) => (false, why),
        };
        Some(Unreachable {
            url: url.clone(),
            dead,
            why,
        })
    };
    facts.unreachable = answers.into_iter().filter_map(bad).collect();
    Ok(())
}

async fn one(client: &Client, url: &str, at_home: bool) -> Answer {
    let Ok(url) = Url::parse(url) else {
        return Answer::Dead("is no address".into());
    };
    if !may_ask(&url, at_home) {
        return Answer::Dead("leads to a private address, which was not asked".into());
    }
    match send(client, Method::HEAD, &url).await {
        Ok(status) if status.is_success() => Answer::Fine,
        // Many hosts answer a HEAD wrongly or not at all; what counts is what readers do.
        Ok(_) => judged(send(client, Method::GET, &url).await),
        Err(error) if error.is_connect() => failed(&error),
        Err(_) => judged(send(client, Method::GET, &url).await),
    }
}

async fn send(client: &Client, method: Method, url: &Url) -> reqwest::Result<StatusCode> {
    let request = client.request(method, url.clone());
    let answer = request
        .header("accept", "text/html,*/*;q=0.8")
        .send()
        .await?;
    Ok(answer.status())
}

fn judged(answer: reqwest::Result<StatusCode>) -> Answer {
    let status = match answer {
        Ok(status) => status,
        Err(error) => return failed(&error),
    };
    match status.as_u16() {
        200..=299 => Answer::Fine,
        404 => Answer::Dead("is not there (404)".into()),
        410 => Answer::Dead("is gone for good (410)".into()),
        code @ (401 | 403 | 429 | 999) => {
            Answer::Doubtful(format!("turned the question away ({code})"))
        }
        code @ 500..=599 => Answer::Doubtful(format!("has trouble at its end ({code})")),
        code => Answer::Doubtful(format!("answered {code}")),
    }
}

fn failed(error: &reqwest::Error) -> Answer {
    let trouble = Trouble::of(error);
    let why = trouble.sentence(PATIENCE);
    match trouble {
        Trouble::Private | Trouble::Redirect(_) => Answer::Dead(why),
        Trouble::NoHost | Trouble::NoConnection => Answer::Silent(why),
        Trouble::Slow | Trouble::Certificate | Trouble::BrokenOff => Answer::Doubtful(why),
    }
}
