//! `pressrun check`: compiles issues and says what is wrong with them, without sending anything.
//!
//! Promises: nothing is made or changed; a database is asked for earlier subjects when it is there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde_json::json;

use crate::cli::{Exit, explain, output};
use crate::clock::Clock;
use crate::compile::{Compiled, HTML_LIMIT, Slot, Template};
use crate::config::Config;
use crate::diagnostic::{Diagnostic, Severity};
use crate::issue::given::Titles;
use crate::lint::{self, Facts};
use crate::preflight::{self, reach};
use crate::publication::system::shown;
use crate::publication::{Built, Publication, Rejected};
use crate::store::Store;
use crate::terminal::counted;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Slugs or folders of the issues, or system mails, such as `system/confirm`.
    #[arg(required_unless_present_any = ["all", "explain"])]
    issue: Vec<String>,
    /// Checks every issue of the folder.
    #[arg(long, conflicts_with = "issue")]
    all: bool,
    /// Fails on warnings, too.
    #[arg(long, value_name = "WHAT")]
    deny: Option<Deny>,
    /// How findings are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Asks every link whether it answers.
    #[arg(long)]
    online: bool,
    /// Explains the lint of this code.
    #[arg(long, value_name = "CODE", conflicts_with_all = ["issue", "all", "online"])]
    explain: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Deny {
    Warnings,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: each finding with the line it is about.
    Text,
    /// One object for an issue, a list for several.
    Json,
    /// Annotations of GitHub Actions.
    Github,
}

/// What came of one issue.
struct Checked {
    built: Option<Built>,
    found: Vec<Diagnostic>,
}

/// Prints findings, size and the link table. Fails when a finding is an error.
pub async fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(code) = &arguments.explain {
        return explain::run(code);
    }
    let path = std::path::absolute(config)?;
    let (config, emails) = configuration(&path)?;
    let issues = match arguments.all {
        true => Publication::load(&emails)?.slugs()?,
        false => arguments.issue.clone(),
    };
    if issues.is_empty() {
        bail!("there is no issue to check; `pressrun new TITLE` makes one");
    }
    let base = path.parent().unwrap_or(&path);
    let store = preflight::database(&config, base).await;
    let check = Check {
        titles: preflight::titles(store.as_ref()).await,
        store,
        config,
        emails,
        online: arguments.online,
    };
    let mut all = Vec::new();
    for issue in &issues {
        all.push(check.issue(issue).await?);
    }
    let format = if arguments.json {
        Format::Json
    } else {
        arguments.format
    };
    check.print(&all, format)?;
    let found = all.iter().flat_map(|checked| &checked.found);
    let fatal = |finding: &Diagnostic| finding.is_error() || arguments.deny == Some(Deny::Warnings);
    Ok(match found.into_iter().any(fatal) {
        true => Exit::Failed,
        false => Exit::Done,
    })
}

/// What the issues of one call share.
struct Check {
    config: Config,
    emails: PathBuf,
    store: Option<Store>,
    titles: Titles,
    online: bool,
}

impl Check {
    async fn issue(&self, issue: &str) -> anyhow::Result<Checked> {
        let wanted = (None, &self.titles);
        let built = match shown(&self.config, &self.emails, issue, wanted, false) {
            Ok(made) => made.built,
            Err(error) => {
                let rejected = error.downcast::<Rejected>()?;
                let slug = rejected.issue.as_ref().map(|issue| issue.slug.as_str());
                let facts = self.facts(slug.unwrap_or_default()).await;
                let (config, emails) = (&self.config, &self.emails);
                let found = preflight::findings_of(config, emails, &rejected, &facts);
                return Ok(Checked { built: None, found });
            }
        };
        let mut facts = self.facts(&built.compiled.slug).await;
        if self.online {
            let urls = preflight::addresses(&built);
            let at_home = preflight::at_home(&self.config);
            if stderr().is_terminal() {
                let slug = &built.compiled.slug;
                eprintln!("asking {} of `{slug}`...", counted(urls.len(), "link"));
            }
            reach::ask(&urls, at_home, &mut facts).await?;
        }
        Ok(Checked {
            found: preflight::findings(&self.config, &built, &facts),
            built: Some(built),
        })
    }

    async fn facts(&self, slug: &str) -> Facts {
        let now = Clock::System.now();
        preflight::facts(&self.emails, slug, self.store.as_ref(), now).await
    }

    fn print(&self, all: &[Checked], format: Format) -> anyhow::Result<()> {
        let url = &self.config.publication.url;
        let mut out = String::new();
        match (format, all) {
            (Format::Json, [one]) => return output::print_json(&as_json(one, url)),
            (Format::Json, all) => {
                let each: Vec<_> = all.iter().map(|one| as_json(one, url)).collect();
                return output::print_json(&each);
            }
            (Format::Github, all) => {
                for finding in all.iter().flat_map(|one| &one.found) {
                    writeln!(out, "{}", annotation(finding))?;
                }
            }
            (Format::Text, all) => {
                for (index, one) in all.iter().enumerate() {
                    if index > 0 {
                        out.push('\n');
                    }
                    out.push_str(&findings(&one.found));
                    if let Some(built) = &one.built {
                        out.push('\n');
                        report(&mut out, built, url)?;
                    }
                }
            }
        }
        output::print(&out)
    }
}

/// The configuration and the author's folder it names; neither database nor keys are opened.
pub(crate) fn configuration(path: &Path) -> anyhow::Result<(Config, PathBuf)> {
    let path = std::path::absolute(path)?;
    let config = Config::load(&path)?;
    let base = path
        .parent()
        .context("the configuration file stands in no folder")?;
    let emails = base.join(&config.paths.emails);
    Ok((config, emails))
}

/// Findings with their code frames, their count, and where more is said about them.
pub(crate) fn findings(found: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in found {
        out.push_str(&diagnostic.framed());
        out.push('\n');
        if diagnostic.excerpt.is_some() {
            out.push('\n');
        }
    }
    let errors = found.iter().filter(|found| found.is_error()).count();
    let warnings = found.len() - errors;
    out.push_str(&format!(
        "{}, {}\n",
        counted(errors, "error"),
        counted(warnings, "warning")
    ));
    let codes: BTreeSet<&str> = found.iter().map(|finding| finding.code).collect();
    let known: Vec<&str> = codes
        .into_iter()
        .filter(|code| lint::find(code).is_some())
        .collect();
    if !known.is_empty() {
        let known = known.join(", ");
        out.push_str(&format!(
            "more with `pressrun check --explain CODE`: {known}\n"
        ));
    }
    out
}

/// A workflow command of GitHub Actions.
fn annotation(finding: &Diagnostic) -> String {
    // The runner reads these back; a property ends at a comma or a colon.
    let data = |text: &str| {
        let text = text.replace('%', "%25");
        text.replace('\r', "%0D").replace('\n', "%0A")
    };
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let kind = match finding.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let place = match finding.line {
        0 => String::new(),
        line => format!(",line={line},col={}", finding.column),
    };
    let help = finding.help.as_ref().map(|help| format!("\nhelp: {help}"));
    let message = format!("{}{}", finding.message, help.unwrap_or_default());
    format!(
        "::{kind} file={}{place},title={}::{}",
        property(&finding.file),
        property(finding.code),
        data(&message)
    )
}

/// A template as a reader without any fields gets it.
pub(crate) fn plain(template: &Template) -> String {
    template.fill(|slot| match slot {
        Slot::Field { name, .. } if name == "email" => "reader@example.org".into(),
        _ => String::new(),
    })
}

fn report(out: &mut String, built: &Built, public_url: &str) -> anyhow::Result<()> {
    let compiled = &built.compiled;
    writeln!(out, "issue     {}", compiled.slug)?;
    writeln!(out, "subject   {}", plain(&compiled.subject))?;
    let preheader = plain(&compiled.preheader);
    if !preheader.is_empty() {
        writeln!(out, "preheader {preheader}")?;
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

fn as_json(checked: &Checked, public_url: &str) -> serde_json::Value {
    let Some(built) = &checked.built else {
        return json!({ "diagnostics": checked.found });
    };
    let compiled = &built.compiled;
    let (html, text) = sizes(compiled, public_url);
    json!({
        "slug": compiled.slug,
        "title": compiled.title,
        "subject": plain(&compiled.subject),
        "preheader": plain(&compiled.preheader),
        "revision": compiled.hash(),
        "html_octets": html,
        "text_octets": text,
        "links": compiled.links,
        "images": compiled.images,
        "diagnostics": checked.found,
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

#[cfg(test)]
mod tests {
    use super::annotation;
    use crate::diagnostic::Source;

    #[test]
    fn an_annotation_survives_percent_signs_commas_and_line_ends() {
        let source = Source {
            file: "a,b:c%.md",
            text: "x\ny",
        };
        let finding = source
            .warning(2, "some-code", "50% of this: a, b")
            .help("two\nlines");
        assert_eq!(
            annotation(&finding),
            "::warning file=a%2Cb%3Ac%25.md,line=2,col=1,title=some-code::50%25 of this: a, b%0A\
             help: two%0Alines"
        );
    }
}
