//! `pressrun import-issue`: an issue from a newsletter written elsewhere.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{IsTerminal, Read, stderr, stdin};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::json;

use crate::cli::Exit;
use crate::cli::check::configuration;
use crate::cli::new::shown;
use crate::cli::output::{pairs, print, print_file, print_json};
use crate::draft::{self, Draft};
use crate::preflight::at_home;
use crate::publication::Publication;
use crate::publication::fetch::{Fetched, fetch};
use crate::publication::shelf::slug_of;
use crate::terminal::plain;

/// How the names of pictures end.
const PICTURES: [&str; 5] = ["png", "jpg", "jpeg", "gif", "webp"];

/// Makes an issue of pasted plain text, of Markdown, or of HTML from Substack, Medium, beehiiv or Google
/// Docs.
///
/// Title, dates, teaser, headlines and lists are recognised. What was guessed stands in the file as a
/// comment and is listed here by line; a link whose target was lost is written `(TODO)`, which `check`
/// refuses. Pictures beside the text come along; those on other hosts stay there unless you ask for them.
#[derive(Debug, Args)]
pub struct ImportIssue {
    /// The text, or `-` for the standard input.
    file: PathBuf,
    /// The issue's folder below `issues`; made from the last day covered, or from the title.
    #[arg(long)]
    slug: Option<String>,
    /// Prints `issue.md` instead of writing it.
    #[arg(long, conflicts_with_all = ["slug", "json"])]
    stdout: bool,
    /// Fetches the pictures that stay on other hosts, and saves them beside the issue: by http and https, from public
    /// addresses only, at most 16 MiB each.
    #[arg(long, conflicts_with = "stdout")]
    fetch_images: bool,
    /// Prints what was found as JSON.
    #[arg(long)]
    json: bool,
}

/// Writes the issue and tells what to look at.
pub(super) async fn run(config: &Path, arguments: &ImportIssue) -> anyhow::Result<Exit> {
    let name = arguments.file.display();
    let octets = read(&arguments.file).with_context(|| format!("`{name}` cannot be read"))?;
    let known = configuration(config);
    let publication = known
        .as_ref()
        .map(|(config, _)| config.publication.name.as_str());
    let draft = draft::read_of(publication.unwrap_or_default(), &octets);
    let mut draft = draft.map_err(|problem| anyhow!("`{name}`: {problem}"))?;
    if arguments.stdout {
        print_file(&draft.markdown)?;
        return Ok(Exit::Done);
    }
    let (config, emails) = known?;
    let slug = match &arguments.slug {
        Some(slug) => slug.clone(),
        None => draft
            .dates
            .map_or_else(|| slug_of(&draft.title), |(_, to)| to.to_string()),
    };
    let path = Publication::load(&emails)?.write_issue(&slug, &draft.markdown)?;
    if let (Some(beside), Some(folder)) = (arguments.file.parent(), path.parent()) {
        copy_pictures(&draft, beside, folder)?;
    }
    let mut fetched = Fetched::default();
    let sources = draft.remote_pictures();
    if let Some(folder) = path
        .parent()
        .filter(|_| arguments.fetch_images && !sources.is_empty())
    {
        if stderr().is_terminal() {
            eprintln!("fetching pictures: {}", sources.len());
        }
        fetched = fetch(&sources, folder, at_home(&config)).await?;
        draft = draft.with_files(&fetched.files);
        let written = fs::write(&path, &draft.markdown);
        written.with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    let path = shown(&path).display().to_string();
    if arguments.json {
        print_json(&json!({
            "file": path,
            "slug": slug,
            "format": draft.format,
            "title": draft.title,
            "teaser": draft.teaser,
            "dates": draft.dates.map(|(from, to)| json!({ "from": from, "to": to })),
            "authors": draft.authors,
            "items": draft.items,
            "open_links": draft.open_links,
            "guesses": draft.guesses,
            "fetched": fetched.files,
            "not_fetched": fetched.failed.iter().cloned().collect::<BTreeMap<String, String>>(),
        }))?;
    } else {
        print(&report(&draft, &fetched, &path, &slug))?;
    }
    Ok(Exit::Done)
}

/// The octets of a file, or of the standard input; one more than may be, at most.
fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let limit = draft::SIZE_LIMIT as u64 + 1;
    let mut octets = Vec::new();
    if file == Path::new("-") {
        stdin().lock().take(limit).read_to_end(&mut octets)?;
    } else {
        File::open(file)?.take(limit).read_to_end(&mut octets)?;
    }
    Ok(octets)
}

/// Takes the pictures along that lie beside the text, or below its folder, as Google Docs packs them.
fn copy_pictures(draft: &Draft, beside: &Path, folder: &Path) -> anyhow::Result<()> {
    let beside = match beside.as_os_str().is_empty() {
        true => Path::new("."),
        false => beside,
    };
    let Ok(home) = beside.canonicalize() else {
        return Ok(());
    };
    for source in draft.pictures() {
        let name = Path::new(&source);
        let inner = name
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let end = name
            .extension()
            .map(|end| end.to_string_lossy().to_ascii_lowercase());
        let picture = end.is_some_and(|end| PICTURES.contains(&end.as_str()));
        // The text is someone's: it may name any file, or one that leads elsewhere.
        let Some(from) = home
            .join(name)
            .canonicalize()
            .ok()
            .filter(|from| from.starts_with(&home))
        else {
            continue;
        };
        let to = folder.join(name);
        if !inner || !picture || !from.is_file() || to.exists() {
            continue;
        }
        let failed = || format!("`{}` cannot be copied", plain(&source));
        fs::create_dir_all(to.parent().unwrap_or(folder)).with_context(failed)?;
        fs::copy(&from, &to).with_context(failed)?;
    }
    Ok(())
}

fn report(draft: &Draft, fetched: &Fetched, path: &str, slug: &str) -> String {
    let dates = draft.dates.map(|(from, to)| match from == to {
        true => from.to_string(),
        false => format!("{from} to {to}"),
    });
    let none = || "none found".to_owned();
    let mut out = format!("wrote `{path}` from {}\n", draft.format.name());
    let mut rows = vec![
        ("title", plain(&draft.title)),
        ("dates", dates.unwrap_or_else(none)),
        ("teaser", draft.teaser.as_deref().map_or_else(none, plain)),
        ("items", draft.items.to_string()),
        ("links to fill in", draft.open_links.to_string()),
    ];
    if !fetched.files.is_empty() {
        rows.push(("pictures fetched", fetched.files.len().to_string()));
    }
    out.push_str(&pairs(&rows));
    if !fetched.failed.is_empty() {
        out.push_str("\nnot fetched; they stay where they are\n");
    }
    for (source, why) in &fetched.failed {
        out.push_str(&format!("  `{}` {}\n", plain(source), plain(why)));
    }
    if !draft.guesses.is_empty() {
        out.push_str("\nguessed; look at\n");
    }
    for guess in &draft.guesses {
        out.push_str(&format!(
            "  {path}:{}: {}\n",
            guess.line,
            plain(&guess.what)
        ));
    }
    out.push_str(&format!("\nnext: pressrun check {slug}\n"));
    out
}
