//! `pressrun build`: writes an issue as a sample reader would get it.
//!
//! Promises: neither database nor keyring is needed, and what lists are called is asked where there is one; the links of the message lead nowhere, because
//! they are signed by a key made for it alone. Whatever else stands in the folder stays.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::Exit;
use crate::cli::check::{configuration, findings};
use crate::config::Config;
use crate::preflight;
use crate::publication::system::shown;
use crate::publication::{Built, Rejected};
use crate::run::sample::{self, Reader};

/// Writes an issue as a sample reader would get it: HTML, text and the whole message.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Slug or folder of the issue, or a system mail, such as `system/confirm`.
    issue: String,
    /// Folder for index.html, text.txt and message.eml; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes the files and prints their paths. Fails when the issue has an error.
pub async fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let (loaded, emails) = configuration(config)?;
    let path = std::path::absolute(config)?;
    let titles = preflight::titles_of(&loaded, path.parent().unwrap_or(&path)).await;
    let made = shown(&loaded, &emails, &arguments.issue, (None, &titles), false);
    let built = made.map(|made| made.built);
    publish(config, &loaded, built, &arguments.out)
}

/// Writes what was made and prints the paths, or tells why nothing was; the configuration stands in `file`.
pub(super) fn publish(
    file: &Path,
    config: &Config,
    made: anyhow::Result<Built>,
    folder: &Path,
) -> anyhow::Result<Exit> {
    let path = std::path::absolute(file)?;
    let built = match made {
        Ok(built) => built,
        Err(error) => {
            let rejected = error.downcast::<Rejected>()?;
            eprint!("{}", findings(&rejected.found));
            return Ok(Exit::Failed);
        }
    };
    if !built.diagnostics.is_empty() {
        eprint!("{}", findings(&built.diagnostics));
    }
    let base = path
        .parent()
        .context("the configuration file stands in no folder")?;
    let written = write(config, base, &built, folder)?;
    for path in written {
        println!("{}", path.display());
    }
    Ok(Exit::Done)
}

/// Writes `built` into `folder` and gives the paths; the configuration's file stands in `base`.
pub(super) fn write(
    config: &Config,
    base: &Path,
    built: &Built,
    folder: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    let public_url = config.publication.url.trim_end_matches('/');
    let compiled = &built.compiled;
    let reader = Reader::emptiest();
    let html = sample::html(compiled, public_url, &reader);
    // The page is looked at from disk, where the public site does not answer.
    let html = html.replace(&format!("\"{public_url}/i/"), "\"i/");
    let html = html.replace(&format!(" 1x, {public_url}/i/"), " 1x, i/");
    let text = sample::text(compiled, public_url, &reader);
    let made = sample::make(config, base, built, &reader)?;
    if let Some(reason) = &made.unsigned {
        eprintln!("message.eml is not signed: {reason}");
    }
    let mut files = vec![
        ("index.html".to_owned(), html.into_bytes()),
        ("text.txt".to_owned(), text.into_bytes()),
        ("message.eml".to_owned(), made.message),
    ];
    for (image, octets) in &built.images {
        files.push((format!("i/{}", image.hash), octets.clone()));
    }
    let mut written = Vec::new();
    for (name, octets) in files {
        let path = folder.join(name);
        let failed = || format!("`{}` cannot be written", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(failed)?;
        }
        std::fs::write(&path, octets).with_context(failed)?;
        written.push(path);
    }
    Ok(written)
}
