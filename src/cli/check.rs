//! `pressrun check`: compiles an issue and says what is wrong with it, without sending anything.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde_json::json;

use crate::cli::Exit;
use crate::compile::{Compiled, HTML_LIMIT, Slot, Template};
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::publication::{Built, Rejected, compile_issue};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Slug or folder of the issue.
    issue: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Prints findings, size and the link table. Fails when a finding is an error.
pub fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let (config, emails) = configuration(config)?;
    let out = &mut std::io::stdout().lock();
    match compile_issue(&config, &emails, &arguments.issue) {
        Ok(built) if arguments.json => {
            writeln!(out, "{}", as_json(&built, &config.publication.url))?;
            Ok(Exit::Done)
        }
        Ok(built) => {
            report(out, &built, &config.publication.url)?;
            Ok(Exit::Done)
        }
        Err(error) => {
            let rejected = error.downcast::<Rejected>()?;
            if arguments.json {
                writeln!(out, "{}", json!({ "diagnostics": rejected.0 }))?;
            } else {
                findings(out, &rejected.0)?;
            }
            Ok(Exit::Failed)
        }
    }
}

/// The configuration and the author's folder it names; neither database nor keys are opened.
pub(crate) fn configuration(path: &Path) -> anyhow::Result<(Config, std::path::PathBuf)> {
    let path = std::path::absolute(path)?;
    let config = Config::load(&path)?;
    let base = path
        .parent()
        .context("the configuration file stands in no folder")?;
    let emails = base.join(&config.paths.emails);
    Ok((config, emails))
}

/// Findings, one below the other, and their count.
pub(crate) fn findings(out: &mut impl Write, found: &[Diagnostic]) -> anyhow::Result<()> {
    for diagnostic in found {
        writeln!(out, "{diagnostic}")?;
    }
    let errors = found.iter().filter(|found| found.is_error()).count();
    let warnings = found.len() - errors;
    writeln!(
        out,
        "{}, {}",
        counted(errors, "error"),
        counted(warnings, "warning")
    )?;
    Ok(())
}

/// The subject as a reader without any fields gets it.
pub(crate) fn plain(template: &Template) -> String {
    template.fill(|slot| match slot {
        Slot::Field { name, .. } if name == "email" => "reader@example.org".into(),
        _ => String::new(),
    })
}

fn report(out: &mut impl Write, built: &Built, public_url: &str) -> anyhow::Result<()> {
    let compiled = &built.compiled;
    findings(out, &built.diagnostics)?;
    writeln!(out)?;
    writeln!(out, "issue     {}", compiled.slug)?;
    writeln!(out, "subject   {}", plain(&compiled.subject))?;
    if !compiled.preheader.is_empty() {
        writeln!(out, "preheader {}", compiled.preheader)?;
    }
    let (html, text) = sizes(compiled, public_url);
    writeln!(
        out,
        "html      {} of the {} after which Gmail cuts",
        kibibytes(html),
        kibibytes(HTML_LIMIT)
    )?;
    writeln!(out, "text      {}", kibibytes(text))?;
    writeln!(out, "revision  {}", &compiled.hash()[..16])?;
    for (image, octets) in &built.images {
        writeln!(
            out,
            "image     {} ({} x {}, {})",
            image.source,
            image.width,
            image.height,
            kibibytes(octets.len())
        )?;
    }
    if !compiled.links.is_empty() {
        writeln!(out, "\nlinks")?;
    }
    let widest = compiled.links.iter().map(|link| link.name.chars().count());
    let widest = widest.max().unwrap_or_default().min(48);
    for (index, link) in compiled.links.iter().enumerate() {
        writeln!(out, "{index:>4}  {:widest$}  {}", link.name, link.url)?;
    }
    Ok(())
}

fn as_json(built: &Built, public_url: &str) -> serde_json::Value {
    let compiled = &built.compiled;
    let (html, text) = sizes(compiled, public_url);
    json!({
        "slug": compiled.slug,
        "title": compiled.title,
        "subject": plain(&compiled.subject),
        "preheader": compiled.preheader,
        "revision": compiled.hash(),
        "html_octets": html,
        "text_octets": text,
        "links": compiled.links,
        "images": compiled.images,
        "diagnostics": built.diagnostics,
    })
}

/// Octets of both parts.
fn sizes(compiled: &Compiled, public_url: &str) -> (usize, usize) {
    let url = public_url.trim_end_matches('/');
    (
        compiled.html_size_estimate(url),
        plain(&compiled.text).len(),
    )
}

fn kibibytes(octets: usize) -> String {
    format!("{}.{} KiB", octets / 1024, octets % 1024 * 10 / 1024)
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
