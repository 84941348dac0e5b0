//! The themes of a publication: the built-in ones, the author's own, a copy to begin with, and what is to
//! be said of one.
//!
//! Promises: an author's theme stands before the built-in one of its name; a copy overwrites nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use crate::compile::press::Mail;
use crate::compile::theme::Theme;
use crate::compile::theme::inspect::{Contrast, contrasts, inspect};
use crate::compile::theme::look::Look;
use crate::compile::theme::tokens::Tokens;
use crate::config::Config;
use crate::diagnostic::{Diagnostic, Severity, Source, nearest};
use crate::issue::own::head::peek;
use crate::publication::called::call_from_here;
use crate::publication::folder::{self, Folder};
use crate::publication::order::{Order, Written};
use crate::publication::{Built, Previewed, Publication, Rejected, is_slug};

/// The specimen of a theme that brings none.
const SPECIMEN: &str = "themes/digest/specimen";

/// A theme by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Listed {
    pub name: String,
    /// Whether it stands in the author's folder.
    pub own: bool,
}

/// What is to be said of a theme.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    pub theme: String,
    /// Octets of the specimen's HTML; `None` when it could not be compiled.
    pub html_octets: Option<usize>,
    pub contrasts: Vec<Contrast>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Every theme there is, by name.
pub fn themes(emails: &Path) -> anyhow::Result<Vec<Listed>> {
    let mut names = folder::default_names("themes");
    let own = own_names(emails)?;
    names.extend(own.iter().cloned());
    let listed = names.into_iter().map(|name| Listed {
        own: own.contains(&name),
        name,
    });
    Ok(listed.collect())
}

/// The colours, type and spaces of a theme.
pub fn tokens(emails: &Path, name: &str) -> anyhow::Result<Tokens> {
    let theme = Publication::load(emails)?.theme(name);
    let theme = theme.map_err(|error| Rejected {
        found: vec![error],
        issue: None,
    });
    Ok(theme?.look.tokens.clone())
}

/// Copies the theme `from` into the author's folder as `name`, and gives the files written.
pub fn new_theme(emails: &Path, name: &str, from: &str) -> anyhow::Result<Vec<PathBuf>> {
    ensure!(
        is_slug(name),
        "`{name}` cannot name a theme; use lower-case letters, digits and `-`"
    );
    let known = known(emails, from)?;
    let target = emails.join("themes").join(name);
    ensure!(
        !target.exists(),
        "`{}` is there already and stays as it is; choose another name",
        target.display()
    );
    let publication = Publication::load(emails)?;
    let mut written = Vec::new();
    let specimen = format!("themes/{known}/specimen");
    for (path, below) in [(format!("themes/{known}"), ""), (specimen, "specimen/")] {
        let folder = publication.folder(&path);
        for file in folder.paths()? {
            // An author's copy of a built-in theme may lack the specimen, which the second round brings.
            let target = target.join(format!("{below}{file}"));
            if target.exists() {
                continue;
            }
            let octets = folder.read(&file)?.context("a file went away")?;
            let failed = || format!("`{}` cannot be written", target.display());
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent).with_context(failed)?;
            }
            std::fs::write(&target, octets).with_context(failed)?;
            written.push(target);
        }
    }
    Ok(written)
}

/// The specimen issue in the theme `name`: every block there is, compiled as an issue would be.
pub fn specimen(config: &Config, emails: &Path, name: &str) -> anyhow::Result<Built> {
    Ok(build_specimen(config, emails, name, false)?.built)
}

/// As [`specimen`], with the places of its blocks, for the preview.
pub fn preview_specimen(config: &Config, emails: &Path, name: &str) -> anyhow::Result<Previewed> {
    build_specimen(config, emails, name, true)
}

fn build_specimen(
    config: &Config,
    emails: &Path,
    name: &str,
    annotate: bool,
) -> anyhow::Result<Previewed> {
    let name = known(emails, name)?;
    let publication = Publication::load(emails)?;
    let (folder, _) = publication.specimen_folder(&name)?;
    let order = Order::new(config, Mail::Issue, "specimen", &folder);
    publication.build(&Order {
        theme: &name,
        forced: true,
        ..order.annotated(annotate)
    })
}

/// Looks a theme over: its tokens, its files, and the specimen compiled in it.
pub fn check_theme(config: &Config, emails: &Path, name: &str) -> anyhow::Result<Inspection> {
    let name = known(emails, name)?;
    let publication = Publication::load(emails)?;
    let mut inspection = Inspection {
        theme: name.clone(),
        html_octets: None,
        contrasts: Vec::new(),
        diagnostics: Vec::new(),
    };
    let files = publication
        .folder(&format!("themes/{name}"))
        .texts(&["mjml", "toml"])?;
    if let Some(text) = files.get("theme.toml") {
        let file = format!("themes/{name}/theme.toml");
        if let Err(found) = Look::read(Source { file: &file, text }) {
            inspection.diagnostics = found;
            call_from_here(emails, &mut inspection.diagnostics, &mut []);
            return Ok(inspection);
        }
    }
    let found = &mut inspection.diagnostics;
    let theme = match Theme::new(&name, files) {
        Ok(theme) => theme,
        Err(error) => {
            found.push(error);
            call_from_here(emails, found, &mut []);
            return Ok(inspection);
        }
    };
    inspection.contrasts = contrasts(&theme);
    found.extend(inspect(&theme));
    if !publication.specimen_folder(&name)?.1 {
        let file = format!("themes/{name}/specimen/issue.md");
        let message = "the theme has no specimen; the one of `digest` stands in for it";
        found.push(Diagnostic::about(
            Severity::Warning,
            "no-specimen",
            &file,
            message,
        ));
    }
    call_from_here(emails, found, &mut []);
    match specimen(config, emails, &name) {
        Ok(built) => {
            let url = config.publication.url.trim_end_matches('/');
            inspection.html_octets = Some(built.compiled.html_size_estimate(url));
            found.extend(built.diagnostics);
        }
        Err(error) => found.extend(error.downcast::<Rejected>()?.found),
    }
    Ok(inspection)
}

impl Publication {
    /// What is wrong with the theme of an issue that has faults of its own, so that one look tells all.
    pub(super) fn theme_faults(
        &self,
        order: &Order<'_>,
        written: &Written,
        known: &[Diagnostic],
    ) -> Vec<Diagnostic> {
        let told = |finding: &&Diagnostic| finding.file.starts_with("themes/");
        if order.mail != Mail::Issue || order.forced || known.iter().any(|found| told(&found)) {
            return Vec::new();
        }
        let (Written::Markdown(octets) | Written::Mjml(octets, _)) = written;
        let text = String::from_utf8_lossy(octets).replace("\r\n", "\n");
        let named = peek(text.trim_start_matches('\u{feff}')).theme;
        let name = named.as_deref().unwrap_or(order.theme);
        let Ok((folder, _)) = self.specimen_folder(name) else {
            return Vec::new();
        };
        let Ok(Some(specimen)) = folder.read("issue.md") else {
            return Vec::new();
        };
        let order = Order {
            site: order.site.clone(),
            slug: "specimen",
            folder: &folder,
            theme: name,
            forced: true,
            ..*order
        };
        let mut found = Vec::new();
        // What it comes to is nobody's; its findings are.
        let _ = self.press(&order, &Written::Markdown(specimen), &mut found);
        found.retain(|finding| {
            finding.is_error() && told(&finding) && !finding.file.contains("/specimen/")
        });
        found
    }

    /// Where the specimen stands, and whether it is the theme's own.
    fn specimen_folder(&self, name: &str) -> anyhow::Result<(Folder, bool)> {
        let own = self.folder(&format!("themes/{name}/specimen"));
        match own.read("issue.md")? {
            Some(_) => Ok((own, true)),
            None => Ok((self.folder(SPECIMEN), false)),
        }
    }
}

/// The name, if there is such a theme.
fn known(emails: &Path, name: &str) -> anyhow::Result<String> {
    let themes = themes(emails)?;
    if themes.iter().any(|theme| theme.name == name) {
        return Ok(name.to_owned());
    }
    let names: Vec<&str> = themes.iter().map(|theme| theme.name.as_str()).collect();
    match nearest(name, names.iter().copied()) {
        Some(meant) => bail!("there is no theme `{name}`; did you mean `{meant}`?"),
        None => bail!(
            "there is no theme `{name}`; there are: {}",
            names.join(", ")
        ),
    }
}

fn own_names(emails: &Path) -> anyhow::Result<BTreeSet<String>> {
    let themes = emails.join("themes");
    let mut names = BTreeSet::new();
    if themes.is_dir() {
        for entry in std::fs::read_dir(&themes)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_slug(&name) && entry.path().is_dir() {
                names.insert(name);
            }
        }
    }
    Ok(names)
}
