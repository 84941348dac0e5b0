//! `pressrun new`: lays out the next issue.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Exit;
use crate::cli::check::configuration;
use crate::cli::output::print;
use crate::publication::Publication;
use crate::publication::shelf::NewIssue;

/// Lays out the next issue with the last one's settings.
///
/// Theme, list, authors and whatever else stands in the last issue's front matter are taken over; dates
/// and slug go on in its rhythm. What is to be written is marked TK, which `check` refuses.
#[derive(Debug, Args)]
pub struct New {
    /// The title.
    title: String,
    /// The issue's folder below `issues`; made from the last one's, or from the title.
    #[arg(long)]
    slug: Option<String>,
    /// How many items are laid out; as many as in the last issue.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..=50))]
    items: Option<u8>,
}

/// Writes the file and prints its path.
pub(super) fn run(config: &Path, new: &New) -> anyhow::Result<Exit> {
    let (_, emails) = configuration(config)?;
    let publication = Publication::load(&emails)?;
    let path = publication.write_next(&NewIssue {
        title: &new.title,
        slug: new.slug.as_deref(),
        items: new.items.map(usize::from),
    })?;
    print(&format!("{}\n", shown(&path).display()))?;
    Ok(Exit::Done)
}

/// A path as the author would type it here.
pub(super) fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    short.unwrap_or_else(|| path.to_owned())
}
