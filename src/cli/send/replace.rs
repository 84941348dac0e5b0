//! `pressrun send --replace`: another content for a run that waits for its hour.

use std::io::IsTerminal;

use anyhow::{Context, bail};

use crate::app::App;
use crate::cli::output::print;
use crate::cli::send::ask::{Deed, yes};
use crate::cli::send::{Send, findings};
use crate::cli::{Exit, audit, control, diff};
use crate::clock::Timestamp;
use crate::compile::diff::diff as compare;
use crate::id::ListId;
use crate::publication::Built;
use crate::run::{guards, replace, why};
use crate::segment::Sieve;
use crate::store::audience::Whom;
use crate::store::runs::Run;

impl Send {
    /// Shows what differs, asks, and swaps the content; the hour and the readers stay.
    pub(super) async fn replace(&self, app: &App, built: Built) -> anyhow::Result<Exit> {
        let slug = &built.compiled.slug;
        let waiting = replace::waiting(app, slug, &built.list).await?;
        let public_url = app.config.publication.url.trim_end_matches('/');
        let mut found = compare(&waiting.content, &built.compiled, public_url);
        let before = format!("{slug} (run {})", waiting.run.id);
        let headers = replace::headers_changed(app, &waiting).await?;
        let same = headers.is_empty();
        found.headers.extend(headers);
        print(&diff::report(&before, slug, &found))?;
        if same && waiting.run.revision.as_deref() == Some(built.compiled.hash().as_str()) {
            println!(
                "nothing to replace: run {} has this content",
                waiting.run.id
            );
            return Ok(Exit::Done);
        }
        let start = Timestamp(waiting.run.start_at.unwrap_or(app.clock.now().0));
        let zone = &app.config.publication.timezone;
        let promos = findings(app, &built, start, zone).await?;
        self.rehearse_for(app, &built, &waiting.run).await?;
        let list = ListId(waiting.run.list_id.unwrap_or(0));
        let questions = guards::of_content(app, &built, list, &promos).await?;
        if let Some(exit) = self.answer(Deed::REPLACE, slug, &questions)? {
            return Ok(exit);
        }
        if !self.yes {
            if !std::io::stdin().is_terminal() {
                bail!(
                    "nothing was replaced; say `--yes` to give run {} this content",
                    waiting.run.id
                );
            }
            if !yes(&format!("Give run {} this content?", waiting.run.id))? {
                bail!("nothing was replaced");
            }
        }
        replace::replace(app, &waiting, &built).await?;
        let about = control::about(&waiting.run);
        audit::note(app, "replaced a run's content", &about).await?;
        println!("replaced; {}", why::why(app, &waiting.run).await?.sentence);
        Ok(Exit::Done)
    }

    /// The copies of `built` for the readers that `run` would go to now.
    async fn rehearse_for(&self, app: &App, built: &Built, run: &Run) -> anyhow::Result<()> {
        let list = app
            .store
            .list_by_id(ListId(run.list_id.unwrap_or(0)))
            .await?;
        let list = list.context("the run's list is gone")?;
        let segment = run.segment.as_deref().and_then(Sieve::from_json);
        let whom = Whom {
            segment: segment.as_ref().map(|sieve| &sieve.filter),
            monthly: run.monthly == 1,
            parts: &built.compiled.only,
        };
        self.rehearse(app, built, &list.slug, whom).await
    }
}
