//! Exports of other newsletter tools, as far as they hold issues: which there are, and when they came out.
//!
//! Promises: reads files and nothing else (a packed export is unpacked by `unpack`, and gone afterwards); a post is
//! taken when it was published and went to readers, and says so when only some of them had it. Leaves its text to
//! `draft`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::archive::relink;
use crate::archive::unpack::{self, Unpacked};
use crate::clock::Timestamp;
use crate::draft;

/// Files of one export at most.
pub(super) const FILES: usize = 20_000;
/// Octets of a Ghost export: all its texts stand in one file.
const JSON_LIMIT: u64 = 512 * 1024 * 1024;

/// Whose export it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A folder with `posts.csv` and the posts as HTML.
    Substack,
    /// One JSON file.
    Ghost,
    /// Markdown and HTML files.
    Folder,
}

/// One issue of an export.
#[derive(Clone, Debug)]
pub struct Post {
    /// What it is called in the export; the same at each import.
    pub name: String,
    pub slug: Option<String>,
    pub title: Option<String>,
    pub teaser: Option<String>,
    pub date: Option<Timestamp>,
    /// Its text in the words of the tool.
    pub octets: Vec<u8>,
    /// Path of its address there.
    pub path: Option<String>,
    /// Host of that address, where the export names it.
    pub host: Option<String>,
    /// Whether only those who paid, or only members, had it.
    pub restricted: bool,
    /// Where its images stand.
    pub folder: PathBuf,
}

/// What an export holds.
#[derive(Debug)]
pub struct Export {
    pub origin: Origin,
    pub posts: Vec<Post>,
    /// What is left out, and why.
    pub skipped: Vec<(String, String)>,
    /// The folder below which its images lie, if it has any.
    pub images: Option<PathBuf>,
    /// Where all that stands, if it was packed.
    _unpacked: Option<Unpacked>,
}

/// Reads the export at `path`, which is of `origin`, or of what it looks like.
pub fn read(path: &Path, origin: Option<Origin>) -> anyhow::Result<Export> {
    let shown = path.display();
    ensure!(path.exists(), "there is no `{shown}`");
    let zip = path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("zip"));
    let unpacked = match zip {
        true => Some(unpack::unpack(path)?),
        false => None,
    };
    let path = match &unpacked {
        Some(unpacked) => unpacked.export()?,
        None => path.to_owned(),
    };
    let images = match path.is_dir() {
        true => Some(path.clone()),
        // Beside a file alone may lie whatever was downloaded.
        false => path
            .parent()
            .map(|folder| folder.join("content"))
            .filter(|folder| folder.is_dir()),
    };
    let origin = origin.unwrap_or_else(|| looks_like(&path));
    let path = match origin {
        Origin::Ghost => ghost_file(&path).unwrap_or(path),
        Origin::Substack | Origin::Folder => path,
    };
    let mut export = Export {
        origin,
        posts: Vec::new(),
        skipped: Vec::new(),
        images,
        _unpacked: unpacked,
    };
    match origin {
        Origin::Substack => substack(&path, &mut export)?,
        Origin::Ghost => ghost(&path, &mut export)?,
        Origin::Folder => folder(&path, &mut export)?,
    }
    // The oldest first: where two want one slug, it is always the same that gets it.
    let order = |post: &Post| (post.date, post.name.clone());
    export.posts.sort_by_key(order);
    Ok(export)
}

fn looks_like(path: &Path) -> Origin {
    if path.join("posts.csv").is_file() {
        Origin::Substack
    } else if ghost_file(path).is_some() {
        Origin::Ghost
    } else {
        Origin::Folder
    }
}

/// Ghost's one file: the export itself, or in a copy of the whole site beside `content`, alone or in `data`.
fn ghost_file(path: &Path) -> Option<PathBuf> {
    let is_json = |path: &Path| path.is_file() && path.extension().is_some_and(|end| end == "json");
    if is_json(path) {
        return Some(path.to_owned());
    }
    let whole = path.join("content").is_dir();
    let homes = [path.to_owned(), path.join("data")];
    homes.iter().filter(|_| whole).find_map(|home| {
        let entries = fs::read_dir(home).ok()?.flatten().map(|entry| entry.path());
        let mut files = entries.filter(|path| is_json(path));
        files.next().filter(|_| files.next().is_none())
    })
}

/// A line of Substack's `posts.csv`.
#[derive(Debug, Deserialize)]
struct Line {
    post_id: String,
    #[serde(default)]
    post_date: String,
    #[serde(default)]
    is_published: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    audience: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    subtitle: String,
}

fn substack(path: &Path, export: &mut Export) -> anyhow::Result<()> {
    let file = path.join("posts.csv");
    let shown = file.display().to_string();
    let lines =
        csv::Reader::from_path(&file).with_context(|| format!("`{shown}` cannot be read"))?;
    for line in lines.into_deserialize::<Line>() {
        let line = line.with_context(|| format!("`{shown}` is not as Substack exports it"))?;
        let name = line.post_id.clone();
        if !line.is_published.eq_ignore_ascii_case("true") {
            export.skipped.push((name, "never published".into()));
            continue;
        }
        if !matches!(line.r#type.as_str(), "" | "newsletter" | "podcast") {
            let why = format!("a {} and no issue", line.r#type);
            export.skipped.push((name, why));
            continue;
        }
        let slug = name.split_once('.').map_or(name.as_str(), |(_, slug)| slug);
        let html = ["posts", ""].map(|below| path.join(below).join(format!("{name}.html")));
        // The name comes from a file: it must not lead elsewhere.
        let plain = !name.contains(['/', '\\']) && !name.starts_with('.');
        let Some(octets) = html
            .iter()
            .filter(|_| plain)
            .find_map(|file| fs::read(file).ok())
        else {
            export
                .skipped
                .push((name, "its HTML is not in the export".into()));
            continue;
        };
        export.posts.push(Post {
            slug: Some(slug.to_owned()),
            path: Some(format!("/p/{slug}")),
            host: None,
            title: given(line.title),
            teaser: given(line.subtitle),
            date: instant(&line.post_date),
            octets,
            restricted: !matches!(line.audience.as_str(), "" | "everyone"),
            folder: path.to_owned(),
            name,
        });
    }
    Ok(())
}

/// Ghost's export: `{"db": [{"data": {"posts": [...]}}]}`.
#[derive(Debug, Deserialize)]
struct Ghost {
    db: Vec<GhostDatabase>,
}

#[derive(Debug, Deserialize)]
struct GhostDatabase {
    data: GhostData,
}

#[derive(Debug, Deserialize)]
struct GhostData {
    #[serde(default)]
    posts: Vec<GhostPost>,
}

#[derive(Debug, Deserialize)]
struct GhostPost {
    slug: String,
    title: Option<String>,
    custom_excerpt: Option<String>,
    html: Option<String>,
    status: Option<String>,
    r#type: Option<String>,
    visibility: Option<String>,
    published_at: Option<String>,
}

fn ghost(path: &Path, export: &mut Export) -> anyhow::Result<()> {
    let shown = path.display();
    let size = fs::metadata(path).map(|file| file.len()).unwrap_or(0);
    ensure!(size <= JSON_LIMIT, "`{shown}` is larger than 512 MiB");
    let octets = fs::read(path).with_context(|| format!("`{shown}` cannot be read"))?;
    let ghost: Ghost = serde_json::from_slice(&octets)
        .with_context(|| format!("`{shown}` is not as Ghost exports it"))?;
    for post in ghost
        .db
        .into_iter()
        .flat_map(|database| database.data.posts)
    {
        let name = post.slug.clone();
        if post.r#type.as_deref() == Some("page") {
            export.skipped.push((name, "a page and no issue".into()));
            continue;
        }
        if !matches!(post.status.as_deref(), Some("published" | "sent")) {
            export.skipped.push((name, "never published".into()));
            continue;
        }
        let Some(html) = post.html.filter(|html| !html.trim().is_empty()) else {
            export
                .skipped
                .push((name, "its HTML is not in the export".into()));
            continue;
        };
        export.posts.push(Post {
            path: Some(format!("/{}", post.slug)),
            host: None,
            slug: Some(post.slug),
            title: post.title.and_then(given),
            teaser: post.custom_excerpt.and_then(given),
            date: post.published_at.as_deref().and_then(instant),
            // A fragment of plain words would not be taken for HTML.
            octets: format!("<article>{html}</article>").into_bytes(),
            restricted: post.visibility.is_some_and(|who| who != "public"),
            folder: path.parent().unwrap_or(path).to_owned(),
            name,
        });
    }
    Ok(())
}

fn folder(path: &Path, export: &mut Export) -> anyhow::Result<()> {
    let mut files = Vec::new();
    let home = match path.is_dir() {
        true => {
            walk(path, 0, &mut files)?;
            path
        }
        false => {
            files.push(path.to_owned());
            path.parent().unwrap_or(path)
        }
    };
    files.sort();
    for file in files {
        let name = file
            .strip_prefix(home)
            .unwrap_or(&file)
            .display()
            .to_string();
        let end = file
            .extension()
            .map(|end| end.to_string_lossy().to_ascii_lowercase());
        if !matches!(end.as_deref(), Some("md" | "markdown" | "html" | "htm")) {
            continue;
        }
        let octets =
            fs::read(&file).with_context(|| format!("`{}` cannot be read", file.display()))?;
        let keys = draft::front_matter(&octets);
        let key = |names: &[&str]| {
            let found = keys.iter().find(|(key, _)| names.contains(&key.as_str()));
            found.map(|(_, value)| value.clone())
        };
        if key(&["draft"]).is_some_and(|draft| draft == "true")
            || key(&["status"]).is_some_and(|s| s == "draft")
        {
            export.skipped.push((name, "a draft".into()));
            continue;
        }
        let stem = file
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let stem = stem.unwrap_or_default();
        // `2023-05-01-the-name.md`, as many site generators want it.
        let dated = stem.get(..10).and_then(|day| day.parse::<Date>().ok());
        let bare = stem
            .get(11..)
            .filter(|rest| dated.is_some() && !rest.is_empty());
        let date = key(&["date", "published", "publish_date", "pubdate"]);
        let date = date.as_deref().and_then(instant);
        let address = key(&["permalink", "url", "absolute_url"]);
        export.posts.push(Post {
            slug: key(&["slug"]).or_else(|| Some(bare.unwrap_or(&stem).to_owned())),
            path: address.as_deref().and_then(path_of),
            host: address.as_deref().and_then(relink::host_of),
            title: key(&["title", "subject"]),
            teaser: key(&["teaser", "description", "subtitle", "excerpt", "summary"]),
            date: date.or_else(|| dated.and_then(midnight)),
            restricted: draft::holds_paywall(&octets),
            folder: file.parent().unwrap_or(home).to_owned(),
            octets,
            name,
        });
    }
    Ok(())
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    // Deeper than any export, and the end of a circle of links.
    if depth > 8 {
        return Ok(());
    }
    let entries =
        fs::read_dir(folder).with_context(|| format!("`{}` cannot be read", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, depth + 1, files)?;
        } else {
            files.push(path);
        }
        if files.len() > FILES {
            bail!("more than {FILES} files; give the folder of the issues alone");
        }
    }
    Ok(())
}

fn given(text: String) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The path of an address, or of a path; none where it is the first page.
fn path_of(address: &str) -> Option<String> {
    let path = match address.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => address,
    };
    let path = path.split(['?', '#']).next()?.trim_end_matches('/');
    (path.starts_with('/') && path.len() > 1).then(|| path.to_owned())
}

/// `2023-05-01T10:00:00.000Z`, `2023-05-01 10:00:00 +0200`, or a day alone, which is taken in UTC.
fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let exact = text.parse::<jiff::Timestamp>().ok();
    let exact = exact.map(|at| Timestamp(at.as_millisecond()));
    exact.or_else(|| midnight(text.get(..10)?.parse().ok()?))
}

/// When `day` begins, in UTC.
pub fn midnight(day: Date) -> Option<Timestamp> {
    let start = jiff::tz::TimeZone::UTC
        .to_timestamp(day.at(0, 0, 0, 0))
        .ok()?;
    Some(Timestamp(start.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::{instant, path_of};

    #[test]
    fn dates_and_addresses_are_read_as_tools_write_them() {
        let day = 1_682_899_200_000;
        for (text, at) in [
            ("2023-05-01", day),
            ("2023-05-01T10:00:00.000Z", day + 36_000_000),
            ("2023-05-01 10:00:00", day),
        ] {
            assert_eq!(instant(text).map(|at| at.0), Some(at), "{text}");
        }
        assert_eq!(instant("soon"), None);
        for (text, path) in [
            ("https://a.example/p/x/?y#z", Some("/p/x")),
            ("/2023/x/", Some("/2023/x")),
            ("https://a.example/", None),
            ("https://a.example", None),
            ("x", None),
        ] {
            assert_eq!(path_of(text).as_deref(), path, "{text}");
        }
    }
}
