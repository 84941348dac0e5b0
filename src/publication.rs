//! The author's folder: issues, themes, fields, images and system mails.
//!
//! Promises: what is compiled is one snapshot, read once; nothing outside an issue's folder is read for
//! it; what the author does not bring comes from the defaults in the binary; no file of the author's is
//! ever overwritten. Leaves all judgement to `issue` and `compile`.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::compile::press::Mail;
use crate::compile::theme::Theme;
use crate::compile::{Compiled, Image};
use crate::config::Config;
use crate::diagnostic::{Diagnostic, Provenance, Severity, Source, nearest};
use crate::issue::Issue;
use crate::issue::given::Titles;
use crate::issue::merge;
use crate::issue::own::head::peek;
use crate::publication::attic::Attic;
use crate::publication::called::rejected;
use crate::publication::folder::{Defaults, Folder};
use crate::publication::order::{Order, Written};
use crate::segment::named::Segments;
use crate::subscriber::field::FieldTable;

pub mod attic;
mod build;
pub(crate) mod called;
pub mod fetch;
mod folder;
mod order;
mod picture;
pub mod shelf;
pub mod system;
pub mod themes;

/// The author's folder with its fields.
#[derive(Clone, Debug)]
pub struct Publication {
    emails: PathBuf,
    pub fields: FieldTable,
}

/// An issue ready to be sent or shown.
#[derive(Clone, Debug)]
pub struct Built {
    pub compiled: Compiled,
    /// Short name of the list it goes to: the one asked for, else the front matter's, else the publication's.
    pub list: String,
    /// Each image of the issue with its octets.
    pub images: Vec<(Image, Vec<u8>)>,
    /// Warnings only; errors make a [`Rejected`].
    pub diagnostics: Vec<Diagnostic>,
    /// What it was compiled from, for whoever looks closer.
    pub issue: Issue,
    pub theme: Theme,
    /// The author's folder.
    pub emails: PathBuf,
}

/// An issue for the preview.
#[derive(Clone, Debug)]
pub struct Previewed {
    /// Its HTML holds classes `pr-at-<n>`; it is not what is sent.
    pub built: Built,
    /// Where the element with the class `pr-at-<n>` was written.
    pub places: Vec<Provenance>,
}

/// The issue has errors. Behind an [`anyhow::Error`]; find it by `downcast_ref`.
#[derive(Clone, Debug)]
pub struct Rejected {
    pub found: Vec<Diagnostic>,
    /// What could be read of it, for more findings in one run.
    pub issue: Option<Box<Issue>>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the issue cannot be compiled")?;
        for diagnostic in &self.found {
            write!(f, "\n{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejected {}

/// Compiles the issue named by its slug, or by the path of its folder or file; readers call the lists by `titles`.
pub fn compile_issue(
    config: &Config,
    emails: &Path,
    issue: &str,
    titles: &Titles,
) -> anyhow::Result<Built> {
    compile_for(config, emails, issue, titles, None)
}

/// As [`compile_issue`], to be sent to `list` whatever the front matter says.
pub fn compile_for(
    config: &Config,
    emails: &Path,
    issue: &str,
    titles: &Titles,
    list: Option<&str>,
) -> anyhow::Result<Built> {
    let asked = Asked {
        list,
        titles,
        subject: None,
    };
    Ok(made(config, emails, issue, asked, false)?.built)
}

/// As [`compile_for`], under another subject than the issue's own.
pub fn compile_under(
    config: &Config,
    emails: &Path,
    issue: &str,
    titles: &Titles,
    list: Option<&str>,
    subject: &str,
) -> anyhow::Result<Built> {
    let asked = Asked {
        list,
        titles,
        subject: Some(subject),
    };
    Ok(made(config, emails, issue, asked, false)?.built)
}

/// What is asked for, whatever the issue says.
struct Asked<'a> {
    list: Option<&'a str>,
    titles: &'a Titles,
    subject: Option<&'a str>,
}

fn made(
    config: &Config,
    emails: &Path,
    issue: &str,
    asked: Asked<'_>,
    annotate: bool,
) -> anyhow::Result<Previewed> {
    let publication = Publication::load(emails)?;
    if let Some((kind, _)) = publication.system_mail(issue) {
        bail!(
            "`{kind}` is sent by itself and is no issue; look at it with `pressrun preview system/{kind}`"
        );
    }
    let (slug, folder) = publication.find_issue(issue)?;
    let order = Order {
        chosen: asked.list,
        titles: Some(asked.titles),
        subject: asked.subject,
        ..Order::new(config, Mail::Issue, &slug, &folder)
    };
    publication.build(&order.annotated(annotate))
}

/// Compiles a text from elsewhere for the archive, with images of the folder `images` or else of `attic`; nothing of it is
/// counted.
pub fn compile_text(
    config: &Config,
    emails: &Path,
    slug: &str,
    markdown: Vec<u8>,
    images: &Path,
    attic: &Attic,
) -> anyhow::Result<Built> {
    let publication = Publication::load(emails)?;
    let folder = Folder::Disk(images.to_owned());
    let mut order = Order::new(config, Mail::Issue, slug, &folder);
    (order.options.clicks, order.options.opens) = (false, false);
    order.attic = Some(attic);
    Ok(publication
        .build_from(&order, &Written::Markdown(markdown))?
        .built)
}

/// Compiles the system mail `kind`, such as `confirm`.
pub fn compile_system(config: &Config, emails: &Path, kind: &str) -> anyhow::Result<Compiled> {
    let Some(mail) = system::mail_of(kind) else {
        bail!(
            "there is no system mail `{kind}`; there are {}",
            system::names()
        )
    };
    let publication = Publication::load(emails)?;
    let folder = publication.folder(&format!("system/{kind}"));
    let order = Order::new(config, mail, kind, &folder);
    let Previewed { built, .. } = publication.build(&order)?;
    ensure!(
        built.images.is_empty(),
        "the system mail `{kind}` holds an image of its folder; use none or one of the web"
    );
    Ok(built.compiled)
}

impl Publication {
    /// Reads the folder `emails`; without `fields.toml` there are only the built-in fields.
    pub fn load(emails: &Path) -> anyhow::Result<Publication> {
        let folder = Folder::Disk(emails.to_owned());
        let fields = match folder.read("fields.toml")? {
            None => FieldTable::default(),
            Some(octets) => {
                let text = String::from_utf8(octets).context("`fields.toml` is not UTF-8")?;
                let source = Source {
                    file: "fields.toml",
                    text: &text,
                };
                merge::fields(source).map_err(|error| rejected(emails, error))?
            }
        };
        Ok(Publication {
            emails: emails.to_owned(),
            fields,
        })
    }

    /// The segments that `segments.toml` declares; none without it. A day begins in `zone`.
    pub fn segments(&self, zone: &str) -> anyhow::Result<Segments> {
        let folder = Folder::Disk(self.emails.clone());
        let Some(octets) = folder.read("segments.toml")? else {
            return Ok(Segments::default());
        };
        let text = String::from_utf8(octets).context("`segments.toml` is not UTF-8")?;
        let source = Source {
            file: "segments.toml",
            text: &text,
        };
        merge::segments(source, &self.fields, zone)
            .map_err(|error| rejected(&self.emails, error).into())
    }

    /// Writes the default themes, system mails, fields and the sample issue into `emails`. What is there
    /// already stays as it is. Gives the paths written.
    pub fn write_defaults(emails: &Path) -> anyhow::Result<Vec<PathBuf>> {
        folder::write_defaults(emails)
    }

    /// The slugs of the author's issues, in order.
    pub fn slugs(&self) -> anyhow::Result<Vec<String>> {
        let issues = self.emails.join("issues");
        if !issues.is_dir() {
            return Ok(Vec::new());
        }
        let mut slugs = Vec::new();
        for entry in std::fs::read_dir(&issues)? {
            let entry = entry?;
            let path = entry.path();
            if path.join("issue.md").is_file() || path.join("issue.mjml").is_file() {
                slugs.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        slugs.sort();
        Ok(slugs)
    }

    /// The subject of each issue of the folder but `slug`, as its front matter says it; an issue that
    /// cannot be read has none.
    pub fn subjects(&self, slug: &str) -> anyhow::Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for other in self.slugs()?.into_iter().filter(|other| other != slug) {
            let folder = Folder::Disk(self.emails.join("issues").join(&other));
            let read = |file: &str| folder.read(file).ok().flatten();
            let Some(octets) = read("issue.md").or_else(|| read("issue.mjml")) else {
                continue;
            };
            let text = String::from_utf8_lossy(&octets).replace("\r\n", "\n");
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let front = peek(text);
            let subject = front.subject.unwrap_or(front.title);
            if !subject.is_empty() {
                found.push((other, subject));
            }
        }
        Ok(found)
    }

    /// The slug and the folder of an issue.
    fn find_issue(&self, issue: &str) -> anyhow::Result<(String, Folder)> {
        let given = Path::new(issue);
        let by_path = given.components().count() != 1 || matches!(issue, "." | "..");
        let path = if by_path {
            given.to_owned()
        } else {
            self.emails.join("issues").join(issue)
        };
        let path = match path.file_name() {
            Some(name) if name == "issue.md" || name == "issue.mjml" => {
                path.parent().unwrap_or(&path).to_owned()
            }
            _ => path,
        };
        let path = match path.canonicalize() {
            Ok(path) => path,
            Err(_) if by_path => {
                bail!("there is no folder `{issue}`; name an issue by its folder or by its slug")
            }
            Err(_) => match self.slugs()?.as_slice() {
                [] => bail!("there is no issue `{issue}`, and none other either"),
                slugs => bail!(
                    "there is no issue `{issue}`; there are: {}",
                    slugs.join(", ")
                ),
            },
        };
        let slug = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let slug = slug.unwrap_or_default();
        ensure!(
            is_slug(&slug),
            "`{slug}` cannot name an issue; use lower-case letters, digits and `-` for its folder"
        );
        Ok((slug, Folder::Disk(path)))
    }

    /// A folder of the author's, or the default one.
    fn folder(&self, path: &str) -> Folder {
        let own = self.emails.join(path);
        if own.is_dir() {
            Folder::Disk(own)
        } else {
            Folder::Default(Defaults(path.to_owned()))
        }
    }

    fn theme(&self, name: &str) -> Result<Theme, Diagnostic> {
        let file = format!("themes/{name}");
        let error = |message: String| Diagnostic::about(Severity::Error, "theme", &file, message);
        if !is_slug(name) {
            return Err(error(format!("`{name}` cannot name a theme")));
        }
        let folder = self.folder(&file);
        let files = folder.texts(&["mjml", "toml"]);
        let files = files.map_err(|problem| error(format!("{problem:#}")))?;
        if files.is_empty() {
            let known = themes::themes(&self.emails).unwrap_or_default();
            let known: Vec<&str> = known.iter().map(|theme| theme.name.as_str()).collect();
            let help = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are: {}", known.join(", ")),
            };
            return Err(error(format!("there is no theme `{name}`")).help(help));
        }
        Theme::new(name, files)
    }

    fn build(&self, order: &Order<'_>) -> anyhow::Result<Previewed> {
        let (slug, folder) = (order.slug, order.folder);
        let written = match (folder.read("issue.md")?, folder.read("issue.mjml")?) {
            (Some(octets), None) => Written::Markdown(octets),
            (None, Some(octets)) => Written::Mjml(octets, folder.read("issue.txt")?),
            (Some(_), Some(_)) => {
                bail!(
                    "`{slug}` has both `issue.md` and `issue.mjml`; keep the one that is to be sent"
                )
            }
            (None, None) => bail!(
                "`{slug}` has no `issue.md` and no `issue.mjml`; `pressrun new TITLE` lays an issue out"
            ),
        };
        self.build_from(order, &written)
    }
}

/// A name that can stand in a URL and in any file system.
fn is_slug(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= 80 && !name.starts_with('-') && name.bytes().all(fine)
}
