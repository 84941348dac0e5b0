//! `pressrun build`: writes an issue as a sample reader would get it.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::Exit;
use crate::cli::check::{configuration, findings};
use crate::compile::{Compiled, Slot, Template, escape_html};
use crate::publication::{Built, Rejected, compile_issue};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The issue's slug, or the path of its folder.
    issue: String,
    /// Where to write index.html and text.txt; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes the files and prints their paths. Fails when the issue has an error.
pub fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let (config, emails) = configuration(config)?;
    let built = match compile_issue(&config, &emails, &arguments.issue) {
        Ok(built) => built,
        Err(error) => {
            let rejected = error.downcast::<Rejected>()?;
            findings(&mut std::io::stderr().lock(), &rejected.0)?;
            return Ok(Exit::Failed);
        }
    };
    if !built.diagnostics.is_empty() {
        findings(&mut std::io::stderr().lock(), &built.diagnostics)?;
    }
    let base = config.publication.url.trim_end_matches('/');
    let written = write(&built, base, &arguments.out)?;
    let mut out = std::io::stdout().lock();
    for path in written {
        writeln!(out, "{}", path.display())?;
    }
    Ok(Exit::Done)
}

fn write(built: &Built, public_url: &str, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let html = sample(
        &built.compiled,
        &built.compiled.html,
        public_url,
        escape_html,
    );
    // The page is looked at from disk, where the public site does not answer.
    let html = html.replace(&format!("\"{public_url}/i/"), "\"i/");
    let text = sample(
        &built.compiled,
        &built.compiled.text,
        public_url,
        str::to_owned,
    );
    let mut files = vec![
        ("index.html".to_owned(), html.into_bytes()),
        ("text.txt".to_owned(), text.into_bytes()),
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

/// A part as a reader without any fields gets it; links lead straight to their targets, which `escape`
/// makes fit for the part.
fn sample(
    compiled: &Compiled,
    template: &Template,
    public_url: &str,
    escape: fn(&str) -> String,
) -> String {
    template.fill(|slot| match slot {
        Slot::Field { name, .. } if name == "email" => "reader@example.org".into(),
        Slot::Field { .. } => String::new(),
        Slot::Click(index) => {
            let link = compiled.links.get(*index as usize);
            link.map(|link| escape(&link.url)).unwrap_or_default()
        }
        Slot::Open => format!("{public_url}/o/sample"),
        Slot::Unsubscribe => format!("{public_url}/u/sample"),
        Slot::Preferences => format!("{public_url}/preferences/sample"),
        Slot::View => format!("{public_url}/view/sample"),
        Slot::Confirm => format!("{public_url}/confirm/sample"),
    })
}
