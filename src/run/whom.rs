//! To whom: an author's words made a segment and held against what there is.
//!
//! Promises: a list or an issue that is not there, and a question that nobody counts the answer to, is an
//! error; a tag that nobody bears is told, because a typing error would reach nobody.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};

use crate::app::App;
use crate::clock::Timestamp;
use crate::config::privacy::Tracking;
use crate::diagnostic::nearest;
use crate::id::ListId;
use crate::publication::Publication;
use crate::segment::{Given, Of, Sieve, Test};
use crate::track;

/// Reads `said`, an expression or the name of a declared segment. `what` names it for an error, such as
/// "`--to`".
pub fn read(app: &App, what: &str, said: &str) -> anyhow::Result<Sieve> {
    let publication = Publication::load(&app.emails())?;
    let zone = &app.config.publication.timezone;
    let segments = publication.segments(zone)?;
    let given = Given {
        fields: &publication.fields,
        named: &segments,
        zone,
    };
    Sieve::parse(said, &given).with_context(|| format!("{what} \"{said}\""))
}

/// Holds a segment against the database, asked of the readers of `list` (if there is one yet) and of what happened by
/// `at`. Gives what a person should know of it, in sentences.
pub async fn check(
    app: &App,
    sieve: &Sieve,
    list: Option<ListId>,
    at: Timestamp,
) -> anyhow::Result<Vec<String>> {
    let named = app.config.privacy.tracking == Tracking::Individual;
    let (clicks, opens) = (
        named && app.config.tracking.clicks,
        named && app.config.tracking.opens,
    );
    // What stands in the log is to be counted by now.
    track::fold::catch_up(&app.store).await?;
    let mut notes = Vec::new();
    for test in sieve.filter.tests() {
        if let Test::Opened(of) | Test::Clicked(of) | Test::Sent(of) = test
            && let Of::Issue(slug) = of
        {
            issue(app, slug).await?;
        }
        if let Test::Opened(Of::Issue(slug)) | Test::Clicked(Of::Issue(slug)) = test
            && let Some(run) = app.store.nameless_run_of(slug).await?
        {
            bail!(
                "run {run} of `{slug}` was counted without names (`privacy.tracking`), so nobody knows who opened or \
                 clicked"
            );
        }
        if let (Test::Opened(Of::Last(number)) | Test::Clicked(Of::Last(number)), Some(list)) =
            (test, list)
        {
            notes.extend(unknown(app, *number, list, at).await?);
        }
        match test {
            Test::List(slug) => known_list(app, slug).await?,
            Test::Opened(_) | Test::Inactive(_) => ensure!(
                opens || clicks,
                "`[tracking]` counts neither opens nor clicks, or `privacy.tracking` names nobody, so nobody knows \
                 who opened"
            ),
            Test::Clicked(_) => ensure!(
                clicks,
                "`tracking.clicks` is off, or `privacy.tracking` names nobody, so nobody knows who clicked"
            ),
            Test::Tag(tag) => notes.extend(unborne(app, tag).await?),
            _ => {}
        }
    }
    let mut told = BTreeSet::new();
    notes.retain(|note| told.insert(note.clone()));
    Ok(notes)
}

/// How many of the last issues tell nothing of who opened or clicked.
async fn unknown(
    app: &App,
    number: u32,
    list: ListId,
    at: Timestamp,
) -> anyhow::Result<Option<String>> {
    let (issues, nameless) = app.store.nameless_issues(list, number, at).await?;
    ensure!(
        nameless == 0 || nameless < issues,
        "all of the last {issues} issues were counted without names (`privacy.tracking`), so nobody knows who opened \
         or clicked"
    );
    Ok((nameless > 0).then(|| {
        format!(
            "{nameless} of the last {issues} issues were counted without names (`privacy.tracking`): nobody knows who \
             opened them or clicked, and so it counts for nobody"
        )
    }))
}

async fn known_list(app: &App, slug: &str) -> anyhow::Result<()> {
    if app.store.list(slug).await?.is_some() || slug == app.config.publication.list {
        return Ok(());
    }
    let lists = app.store.lists().await?;
    let known: Vec<&str> = lists.iter().map(|list| list.slug.as_str()).collect();
    match nearest(slug, known.iter().copied()) {
        Some(meant) => bail!("there is no list `{slug}`; did you mean `{meant}`?"),
        None => bail!(
            "there is no list `{slug}`; there are `{}`",
            known.join("`, `")
        ),
    }
}

async fn issue(app: &App, slug: &str) -> anyhow::Result<()> {
    let slugs = app.store.begun_issues().await?;
    if slugs.iter().any(|known| known == slug) {
        return Ok(());
    }
    match nearest(slug, slugs.iter().map(String::as_str)) {
        Some(meant) => bail!("no run of `{slug}` was ever begun; did you mean `{meant}`?"),
        None => bail!("no run of `{slug}` was ever begun; `pressrun status` lists the runs"),
    }
}

async fn unborne(app: &App, tag: &str) -> anyhow::Result<Option<String>> {
    let tags = app.store.tags().await?;
    if tags.iter().any(|(known, _)| known == tag) {
        return Ok(None);
    }
    let meant = nearest(tag, tags.iter().map(|(known, _)| known.as_str()));
    let meant = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
    Ok(Some(format!("no reader bears the tag `{tag}`{meant}")))
}
