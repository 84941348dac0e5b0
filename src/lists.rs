//! Lists by name: the one the configuration offers is made when it is first needed.

use anyhow::{bail, ensure};

use crate::app::App;
use crate::config::Config;
use crate::issue::given::Titles;
use crate::slug::Slug;
use crate::store::Store;
use crate::subscriber::{List, clean_name};

/// Makes a list; false when one of this slug is there already, which stays as it is.
pub async fn add(app: &App, slug: &Slug, title: &str) -> anyhow::Result<bool> {
    let title = clean_name(title);
    ensure!(
        !title.is_empty(),
        "the title is empty; say how readers know the list"
    );
    // Random, so that List-Id says nothing about how many lists there are.
    let label = format!("{:016x}", app.chance.key());
    let now = app.clock.now();
    // Two that add a list at once may draw the same number: one of them draws again.
    for _ in 0..10 {
        if app
            .store
            .add_list(slug.as_str(), &title, &label, now)
            .await?
        {
            return Ok(true);
        }
        if app.store.list(slug.as_str()).await?.is_some() {
            return Ok(false);
        }
    }
    bail!("list `{slug}` could not be made beside others; try again")
}

/// The list that the configuration names, made now if it is not there yet.
pub async fn ensure_default(app: &App) -> anyhow::Result<List> {
    let publication = &app.config.publication;
    if let Some(list) = app.store.list(&publication.list).await? {
        return Ok(list);
    }
    let slug = Slug::parse(&publication.list)?;
    add(app, &slug, &publication.name).await?;
    named(app, &publication.list).await
}

/// What readers call the lists there are.
pub async fn titles(store: &Store) -> anyhow::Result<Titles> {
    let lists = store.lists().await?.into_iter();
    Ok(lists.map(|list| (list.slug, list.title)).collect())
}

/// Short names in `signup.lists` that no list has; the publication's own list is made when it is needed.
pub async fn not_there(config: &Config, store: &Store) -> anyhow::Result<Vec<String>> {
    let asked = &config.signup.lists;
    let slugs: Vec<&str> = asked.iter().map(String::as_str).collect();
    let found = store.offered_lists(&slugs).await?;
    let mut missing = asked.clone();
    missing.retain(|slug| {
        *slug != config.publication.list && !found.iter().any(|(_, known, _)| known == slug)
    });
    Ok(missing)
}

/// The list of this slug; the default one is made if it is not there yet.
pub async fn find(app: &App, slug: &str) -> anyhow::Result<List> {
    if slug == app.config.publication.list {
        return ensure_default(app).await;
    }
    named(app, slug).await
}

/// The list of this slug; none is made.
pub async fn named(app: &App, slug: &str) -> anyhow::Result<List> {
    if let Some(list) = app.store.list(slug).await? {
        return Ok(list);
    }
    let mut known: Vec<String> = app
        .store
        .lists()
        .await?
        .into_iter()
        .map(|l| l.slug)
        .collect();
    if !known.contains(&app.config.publication.list) {
        known.push(app.config.publication.list.clone());
    }
    bail!(
        "no list is named `{slug}`; there are `{}` (`pressrun lists add {slug} --title TITLE` makes one)",
        known.join("`, `")
    )
}
