//! A test copy through the real relay, and the message that comes back: from a folder, by SMTP, from a file.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, ensure};

use crate::address::EmailAddress;
use crate::cli::{Cli, signal};
use crate::doctor::{Desk, Findings, message};
use crate::lists;
use crate::message::copy::Values;
use crate::publication::{self, Built, Publication};
use crate::run::test_copy;
use crate::smtp::sink::{Keep, Sink, SinkOptions};

/// Between two looks into a mailbox.
const LOOK: Duration = Duration::from_millis(200);
/// Issues of the folder that are tried until one compiles, from the one changed last.
const TRIED: usize = 5;
/// Octets of a message that is looked at.
const LIMIT: u64 = 16 * 1024 * 1024;

/// Where the message is expected.
pub(super) struct Place<'a> {
    pub(super) issue: Option<&'a str>,
    pub(super) inbound: Option<&'a Path>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) wait: Duration,
}

/// Looks at a message that somebody saved.
pub(super) async fn read(
    desk: &Desk<'_>,
    file: &Path,
    offline: bool,
    out: &mut Findings,
) -> anyhow::Result<()> {
    let shown = file.display();
    let raw =
        std::fs::read(file).with_context(|| format!("the message `{shown}` cannot be read"))?;
    message::inspect(desk, &raw, offline, out).await;
    Ok(())
}

/// Sends a test copy to `to`, and looks at what arrives.
pub(super) async fn send(
    cli: &Cli,
    desk: &Desk<'_>,
    to: &EmailAddress,
    place: &Place<'_>,
    out: &mut Findings,
) -> anyhow::Result<()> {
    let app = cli.open().await?;
    let titles = lists::titles(&app.store).await?;
    let compile =
        |issue: &str| publication::compile_issue(&app.config, &app.emails(), issue, &titles);
    let (issue, built) = match place.issue {
        Some(issue) => (issue.to_owned(), compile(issue)?),
        None => match newest(&app.emails(), compile)? {
            Some(found) => found,
            None => {
                out.error(
                    "sent",
                    "no test copy was sent: none of the newest issues compiles",
                    "`pressrun check ISSUE` says why, and `--issue` names another one",
                );
                app.store.close().await;
                return Ok(());
            }
        },
    };
    let sink = match place.listen {
        None => None,
        Some(listen) => Some(
            Sink::bind(SinkOptions {
                listen,
                keep: Keep::Messages,
                ..SinkOptions::default()
            })
            .await?,
        ),
    };
    let known = match place.inbound {
        Some(folder) => mails(folder)?,
        None => Vec::new(),
    };
    let stop = signal::stop();
    let one = std::slice::from_ref(to);
    let values = Values::default();
    let sent = test_copy::send(&app, built, one, &values, stop.subscribe()).await;
    app.store.close().await;
    let tested = sent?.tested;
    let Some(tested) = tested.first() else {
        return Ok(());
    };
    if !tested.is_sent() {
        out.error(
            "sent",
            format!(
                "the test copy of `{issue}` is {}: {}",
                tested.outcome, tested.reply
            ),
            "see the checks of the relay above",
        );
        return Ok(());
    }
    out.ok(
        "sent",
        format!(
            "the relay took the test copy of `{issue}`: {}",
            tested.reply
        ),
    );
    if sink.is_none() && place.inbound.is_none() {
        let advice = "save it there with all its header, and say `pressrun doctor --message FILE`";
        out.warn(
            "returned",
            "the message was not looked at where it arrived",
            advice,
        );
        return Ok(());
    }
    match arrival(place, &known, sink.as_ref(), to).await? {
        Some(raw) => {
            out.ok("returned", "the message came back");
            message::inspect(desk, &raw, false, out).await;
        }
        None => out.error(
            "returned",
            format!("the message did not come back within {:?}", place.wait),
            "look into the relay's own log; `--wait 10m` waits longer",
        ),
    }
    Ok(())
}

/// The issue that compiles whose folder was changed last: the next one may just have been laid out. None where no newest
/// one does.
fn newest(
    emails: &Path,
    compile: impl Fn(&str) -> anyhow::Result<Built>,
) -> anyhow::Result<Option<(String, Built)>> {
    let mut slugs = Publication::load(emails)?.slugs()?;
    slugs.sort_by_cached_key(|slug| {
        let folder = emails.join("issues").join(slug);
        let changed = std::fs::metadata(folder).and_then(|data| data.modified());
        Reverse(changed.unwrap_or(SystemTime::UNIX_EPOCH))
    });
    ensure!(
        !slugs.is_empty(),
        "there is no issue to send; `pressrun new ISSUE` makes one"
    );
    let mut tried = slugs.into_iter().take(TRIED);
    Ok(tried.find_map(|slug| {
        let built = compile(&slug).ok()?;
        Some((slug, built))
    }))
}

/// The message once it is there.
async fn arrival(
    place: &Place<'_>,
    known: &[PathBuf],
    sink: Option<&Sink>,
    to: &EmailAddress,
) -> anyhow::Result<Option<Vec<u8>>> {
    let until = Instant::now() + place.wait;
    while Instant::now() < until {
        if let Some(sink) = sink {
            let taken = sink.accepted().into_iter();
            let mut ours = taken.filter(|mail| mail.rcpt.iter().any(|rcpt| rcpt == to.as_str()));
            if let Some(mail) = ours.next() {
                return Ok(Some(mail.message.to_vec()));
            }
        }
        if let Some(folder) = place.inbound {
            for file in mails(folder)? {
                if known.contains(&file) {
                    continue;
                }
                let raw = std::fs::read(&file)?;
                // One that is being written has no last boundary yet.
                if is_whole(&raw) {
                    return Ok(Some(raw));
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(None)
}

fn is_whole(raw: &[u8]) -> bool {
    raw.trim_ascii_end().ends_with(b"--")
}

/// The files of a folder that may be mails, and of its `new` and `cur` where it is a maildir.
fn mails(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in [folder.to_owned(), folder.join("new"), folder.join("cur")] {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("`{}`", folder.display())),
        };
        for entry in entries {
            let entry = entry?;
            let data = entry.metadata()?;
            if data.is_file() && data.len() < LIMIT {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}
