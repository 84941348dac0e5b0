//! The links of a run after sending: what readers did with each, and a wrong target put right.
//!
//! Promises: copies and the frozen table stay as they were sent; who changed what and when is kept; the
//! redirect, the archive and the feeds follow within seconds.

use anyhow::{Context, bail, ensure};
use url::Url;

use crate::app::App;
use crate::store::repairs::{LinkRow, Repair};
use crate::store::runs::Run;

/// Octets of an address at most: it must fit a header.
const LIMIT: usize = 2000;

/// The link table of `run` with its corrections, the first one first.
pub async fn table(app: &App, run: &Run) -> anyhow::Result<(Vec<LinkRow>, Vec<Repair>)> {
    let links = app.store.link_table(run.id()).await?;
    let repairs = match &run.revision {
        Some(revision) => app.store.repairs_of(revision).await?,
        None => Vec::new(),
    };
    Ok((links, repairs))
}

/// Leads link `number` of `run`, counted from 1, to `url` from now on. Gives where it led before.
pub async fn fix(
    app: &App,
    run: &Run,
    number: usize,
    url: &str,
    who: &str,
) -> anyhow::Result<String> {
    let target = target(url)?;
    let (links, _) = table(app, run).await?;
    let slug = &run.slug;
    if links.is_empty() {
        bail!(
            "run {} of `{slug}` has no link table: its links lead straight to their targets",
            run.id
        );
    }
    let link = number.checked_sub(1).and_then(|index| links.get(index));
    let link = link.with_context(|| {
        format!(
            "run {} of `{slug}` has {} links; `pressrun links {slug}` shows them",
            run.id,
            links.len()
        )
    })?;
    let old = link.corrected.as_ref().unwrap_or(&link.url);
    ensure!(*old != target, "link {number} leads to `{target}` already");
    let revision = run.revision.as_deref().context("the run has no content")?;
    let now = app.clock.now();
    let done = app
        .store
        .repair_link(revision, link.link, old, &target, who, now);
    ensure!(
        done.await?,
        "link {number} was changed meanwhile; look again with `pressrun links {slug}`"
    );
    Ok(old.clone())
}

/// The audit's words for a correction.
pub fn corrected(old: &str, new: &str) -> String {
    format!("corrected a link from {old} to {}", new.trim())
}

/// The address as it is kept, if it is one to send readers to.
fn target(text: &str) -> anyhow::Result<String> {
    let wrong = || {
        format!("`{text}` is no address to send readers to; write `https://...` or `mailto:...`")
    };
    ensure!(
        !text.contains("[["),
        "`{text}` has a value of the reader's in it, which only a copy can fill: write the address as it is"
    );
    let parsed = Url::parse(text.trim()).with_context(wrong)?;
    let fine = match parsed.scheme() {
        "http" | "https" => {
            parsed.has_host() && parsed.username().is_empty() && parsed.password().is_none()
        }
        "mailto" => parsed.path().contains('@'),
        _ => false,
    };
    let url = String::from(parsed);
    let plain = url.len() <= LIMIT && url.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(fine && plain, wrong());
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn a_value_of_the_readers_is_refused_where_nothing_fills_it() {
        let refused = target("https://x.example/?n=[[first_name]]").expect_err("a slot");
        assert!(
            refused.to_string().contains("only a copy can fill"),
            "{refused}"
        );
        assert!(target("https://x.example/?n=[1]").is_ok());
    }

    #[test]
    fn readers_are_sent_to_web_and_mail_addresses_only() {
        for (text, kept) in [
            (" https://a.example", "https://a.example/"),
            (
                "http://b\u{fc}cher.example/\u{e4}",
                "http://xn--bcher-kva.example/%C3%A4",
            ),
            (
                "mailto:a@b.example?subject=x",
                "mailto:a@b.example?subject=x",
            ),
        ] {
            assert_eq!(target(text).expect(text), kept);
        }
        for text in [
            "",
            "a.example",
            "/path",
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://a.example/",
            "tel:1",
            "mailto:nobody",
            "https://user:secret@a.example/",
            "https://",
        ] {
            assert!(target(text).is_err(), "{text}");
        }
    }
}
