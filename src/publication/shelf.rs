//! The author's issues as a row: which came when, which is the last one, and where the next one goes.
//!
//! Promises: nothing that is there is written over; a new issue takes its settings from the last one
//! letter by letter, so that comments and quoting stay the author's.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use jiff::civil::Date;
use jiff::{Span, Unit};
use unicode_normalization::UnicodeNormalization;

use crate::draft::quoted;
use crate::issue::dates::Dates;
use crate::issue::own::head::peek;
use crate::publication::folder::{Defaults, Folder};
use crate::publication::{Publication, is_slug};

/// Keys that belong to one issue only.
const OWN: [&str; 7] = [
    "title",
    "subject",
    "preheader",
    "teaser",
    "dates",
    "date",
    "embargo",
];
/// Items of the first issue of all.
const ITEMS: usize = 3;
/// Characters of a slug made from a title.
const SLUG_LIMIT: usize = 48;

/// What is asked of a new issue.
#[derive(Clone, Debug)]
pub struct NewIssue<'a> {
    pub title: &'a str,
    /// Made from the last one's, or from the title, when absent.
    pub slug: Option<&'a str>,
    /// Headlines laid out; as many as the last issue has when absent.
    pub items: Option<usize>,
}

/// An issue on the shelf.
#[derive(Clone, Debug)]
struct Shelved {
    slug: String,
    text: String,
    dates: Option<Dates>,
}

/// The folder that `issue`, a slug or a path, names, whether it is there or not.
pub fn folder_of(emails: &Path, issue: &str) -> PathBuf {
    let own = emails.join("issues").join(issue);
    let path = Path::new(issue);
    let mail = emails.join(issue);
    if issue.starts_with("system/") && !path.exists() && mail.is_dir() {
        mail
    } else if path.components().count() == 1 && own.is_dir() {
        own
    } else if path.is_file() {
        path.parent().unwrap_or(path).to_owned()
    } else {
        path.to_owned()
    }
}

impl Publication {
    /// The slug of the issue before `slug`: by the days they cover, or by name where they name none.
    pub fn previous(&self, slug: &str) -> anyhow::Result<Option<String>> {
        let shelf = self.shelf()?;
        let at = shelf.iter().position(|issue| issue.slug == slug);
        let before = at.unwrap_or(shelf.len()).checked_sub(1);
        Ok(before.map(|before| shelf[before].slug.clone()))
    }

    /// Lays out the next issue: the last one's settings, its rhythm of dates, and a skeleton to fill in.
    /// Gives the path of its file.
    pub fn write_next(&self, new: &NewIssue<'_>) -> anyhow::Result<PathBuf> {
        let title = new.title.trim();
        ensure!(
            !title.is_empty() && !title.contains(char::is_control),
            "the title is one line and not empty"
        );
        let mut shelf = self.shelf()?;
        // Its authors and its rhythm are nobody's.
        shelf.retain(|issue| !is_sample(issue));
        let last = shelf.last();
        let before_last = shelf.len().checked_sub(2).map(|at| &shelf[at]);
        let dates = last.and_then(|last| next_dates(last, before_last));
        let slug = match new.slug {
            Some(slug) => slug.to_owned(),
            None => last
                .and_then(|last| next_slug(last, before_last, dates))
                .unwrap_or_else(|| slug_of(title)),
        };
        let items = new.items.or_else(|| last.map(items_of)).unwrap_or(ITEMS);
        let mut text = format!("---\ntitle: {}\n", quoted(title));
        text.push_str("teaser: \"TK\"\n");
        if let Some(Dates { from, to }) = dates {
            text.push_str(&format!("dates: {{ from: {from}, to: {to} }}\n"));
        }
        text.push_str(&last.map(|last| settings(last, &slug)).unwrap_or_default());
        text.push_str("---\n\n");
        let greeting = match self.fields.names().any(|name| name == "first_name") {
            true => "Hello [[first_name|there]],",
            false => "Hello,",
        };
        text.push_str(&format!("{greeting}\n\nTK\n"));
        for _ in 0..items {
            text.push_str("\n## TK\n\nTK\n\n[Read more](TODO)\n");
        }
        self.write_issue(&slug, &text)
    }

    /// Writes `issue.md` of a new issue; an issue that is there already is an error.
    pub fn write_issue(&self, slug: &str, text: &str) -> anyhow::Result<PathBuf> {
        ensure!(
            is_slug(slug),
            "`{slug}` cannot name an issue; use lower-case letters, digits and `-`"
        );
        let folder = self.emails.join("issues").join(slug);
        let path = folder.join("issue.md");
        for name in ["issue.md", "issue.mjml"] {
            let there = folder.join(name);
            if there.exists() {
                bail!(
                    "`{}` is there already; give another `--slug`",
                    there.display()
                );
            }
        }
        let failed = || format!("`{}` cannot be written", path.display());
        fs::create_dir_all(&folder).with_context(failed)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = file.with_context(failed)?;
        file.write_all(text.as_bytes()).with_context(failed)?;
        file.sync_all().with_context(failed)?;
        Ok(path)
    }

    /// The issues from the first to the last: by the day they end, else by name.
    fn shelf(&self) -> anyhow::Result<Vec<Shelved>> {
        let issues = self.emails.join("issues");
        let mut shelf = Vec::new();
        for slug in self.slugs()? {
            let text = text_of(&issues.join(&slug))?;
            // What is wrong with an old issue is told when that one is checked.
            let dates = peek(&text).dates;
            shelf.push(Shelved { slug, text, dates });
        }
        // An issue without dates stands where its slug says, or first.
        shelf.sort_by_key(|issue| (issue.day(), issue.slug.clone()));
        Ok(shelf)
    }
}

impl Shelved {
    fn day(&self) -> Option<Date> {
        let named = self.slug.get(..10).and_then(|day| day.parse().ok());
        self.dates.map(|dates| dates.to).or(named)
    }
}

/// Whether an issue is the one that `pressrun init` lays out, as it was laid out.
fn is_sample(issue: &Shelved) -> bool {
    let defaults = Folder::Default(Defaults(format!("issues/{}", issue.slug)));
    let own = defaults.read("issue.md").ok().flatten();
    own.is_some_and(|own| own == issue.text.as_bytes())
}

/// The text of an issue, of either kind.
fn text_of(folder: &Path) -> anyhow::Result<String> {
    let md = folder.join("issue.md");
    let path = if md.is_file() {
        md
    } else {
        folder.join("issue.mjml")
    };
    let octets = fs::read(&path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    let text = String::from_utf8_lossy(&octets);
    Ok(text.trim_start_matches('\u{feff}').replace("\r\n", "\n"))
}

/// The days after the last issue's, as far on as that one was from the one before it.
fn next_dates(last: &Shelved, before: Option<&Shelved>) -> Option<Dates> {
    let Dates { from, to } = last.dates?;
    let step = before
        .and_then(|before| before.dates)
        .map(|before| days(before.from, from))
        .filter(|step| *step > 0)
        .unwrap_or_else(|| days(from, to) + 1);
    // One day alone says nothing of the rhythm: a week is what most have.
    let step = if step == 1 { 7 } else { step };
    let on = |day: Date| day.checked_add(Span::new().days(step)).ok();
    Some(Dates {
        from: on(from)?,
        to: on(to)?,
    })
}

fn days(from: Date, to: Date) -> i64 {
    let span = from.until((Unit::Day, to));
    span.map_or(0, |span| i64::from(span.get_days()))
}

/// `2026-06-08` after `2026-06-01`, `issue-12` after `issue-11`; nothing after a name without a number.
fn next_slug(last: &Shelved, before: Option<&Shelved>, dates: Option<Dates>) -> Option<String> {
    if let Ok(day) = last.slug.parse::<Date>() {
        let step = before
            .and_then(|before| before.slug.parse::<Date>().ok())
            .map(|before| days(before, day))
            .filter(|step| *step > 0);
        let shift = last.dates.zip(dates).map(|(old, new)| days(old.to, new.to));
        let step = step.or(shift).unwrap_or(7);
        let next = day.checked_add(Span::new().days(step)).ok()?;
        return Some(next.to_string());
    }
    let digits = last.slug.len()
        - last
            .slug
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .len();
    let (stem, number) = last.slug.split_at(last.slug.len() - digits);
    let number: u64 = number.parse().ok().filter(|_| digits <= 9)?;
    // A year at the end is no number to count on.
    (digits != 4).then(|| format!("{stem}{:0digits$}", number + 1))
}

/// A slug that a title can be recognised by.
pub fn slug_of(title: &str) -> String {
    let mut slug = String::new();
    for c in title.nfkd().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() && !is_mark(c) {
            slug.push('-');
        }
    }
    if slug.len() > SLUG_LIMIT {
        let cut = slug[..SLUG_LIMIT]
            .rfind('-')
            .filter(|cut| *cut > SLUG_LIMIT / 2);
        slug.truncate(cut.unwrap_or(SLUG_LIMIT));
    }
    let slug = slug.trim_matches('-');
    // A title in another script leaves nothing over.
    if slug.is_empty() {
        "issue".into()
    } else {
        slug.to_owned()
    }
}

/// An accent that was taken off its letter, or an apostrophe within a word.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\'' | '\u{2019}')
}

/// The lines of the front matter that every issue shares; one is shared under its own name.
fn settings(last: &Shelved, slug: &str) -> String {
    let inside = last.text.strip_prefix("---\n");
    let inside = inside
        .and_then(|rest| rest.split_once("\n---"))
        .map(|(yaml, _)| yaml);
    let mut kept = String::new();
    let mut own = false;
    for line in inside.unwrap_or_default().lines() {
        if !line.starts_with([' ', '\t', '-', '#', '}', ']']) {
            let key = line.split(':').next().unwrap_or_default().trim();
            own = OWN.contains(&key);
        }
        if own || line.trim().is_empty() {
            continue;
        }
        match line.starts_with("share:") {
            true => kept.push_str(&line.replace(&last.slug, slug)),
            false => kept.push_str(line),
        }
        kept.push('\n');
    }
    kept
}

fn items_of(last: &Shelved) -> usize {
    let headlines = last.text.lines().filter(|line| line.starts_with("## "));
    headlines.count().clamp(1, 30)
}

#[cfg(test)]
mod tests {
    use super::{NewIssue, slug_of};
    use crate::publication::Publication;

    fn shelf(issues: &[(&str, &str)]) -> (tempfile::TempDir, Publication) {
        let folder = tempfile::tempdir().expect("a folder");
        let publication = Publication::load(folder.path()).expect("a publication");
        for (slug, text) in issues {
            publication.write_issue(slug, text).expect("written");
        }
        (folder, publication)
    }

    fn next(publication: &Publication, title: &str) -> (String, String) {
        let new = NewIssue {
            title,
            slug: None,
            items: None,
        };
        let path = publication.write_next(&new).expect("a new issue");
        let slug = path.parent().and_then(|folder| folder.file_name());
        let slug = slug.expect("a folder").to_string_lossy().into_owned();
        (slug, std::fs::read_to_string(path).expect("written"))
    }

    #[test]
    fn the_next_issue_takes_the_last_ones_settings_and_rhythm() {
        let one = "---\ntitle: One\ndates: { from: 2026-05-25, to: 2026-05-31 }\n---\n## a\n";
        let two = "---\ntitle: \"Two\"\nsubject: s\ndate: 2026-06-08\nembargo: 2026-06-09\ntheme: letter # ours\nshare: https://s.example/2026-06-07\ndates:\n  from: 2026-06-01\n  to: 2026-06-07\n\
                   authors:\n  - name: Ada\n    url: https://a.example\n---\n## a\n\n## b\n";
        let (_folder, publication) = shelf(&[("2026-06-07", two), ("2026-05-31", one)]);
        let (slug, text) = next(&publication, "Three \"3\"");
        assert_eq!(slug, "2026-06-14");
        assert_eq!(
            text,
            "---\ntitle: \"Three \\\"3\\\"\"\nteaser: \"TK\"\ndates: { from: 2026-06-08, to: 2026-06-14 }\n\
             theme: letter # ours\nshare: https://s.example/2026-06-14\nauthors:\n  - name: Ada\n    url: https://a.example\n---\n\nHello,\n\nTK\n\
             \n## TK\n\nTK\n\n[Read more](TODO)\n\n## TK\n\nTK\n\n[Read more](TODO)\n"
        );
        assert_eq!(
            publication.previous("2026-06-14").expect("read").as_deref(),
            Some("2026-06-07")
        );
        assert_eq!(publication.previous("2026-05-31").expect("read"), None);
    }

    #[test]
    fn a_slug_counts_on_or_is_made_from_the_title() {
        let (_folder, publication) = shelf(&[("issue-009", "---\ntitle: a\n---\n")]);
        assert_eq!(next(&publication, "b").0, "issue-010");
        let (_folder, publication) = shelf(&[]);
        assert_eq!(
            next(&publication, "\u{c4}pfel & Co.: what\u{2019}s new?").0,
            "apfel-co-whats-new"
        );
        assert_eq!(slug_of("\u{65e5}\u{672c}"), "issue");
        assert_eq!(slug_of(&"long ".repeat(40)).len(), 44);
    }

    #[test]
    fn the_sample_is_no_issue_to_go_on_from() {
        let (folder, publication) = shelf(&[]);
        Publication::write_defaults(folder.path()).expect("the defaults");
        let (slug, text) = next(&publication, "Bees in May");
        assert_eq!(slug, "bees-in-may");
        assert!(
            !text.contains("authors:") && !text.contains("dates:"),
            "{text}"
        );
        assert_eq!(text.matches("\n## ").count(), 3);
        // What its author made of it is one.
        let sample = folder
            .path()
            .join("issues/this-week-in-ai-research/issue.md");
        let own = std::fs::read_to_string(&sample).expect("the sample");
        std::fs::write(sample, own.replace("Ada Example", "Ann Own")).expect("a file");
        std::fs::remove_dir_all(folder.path().join("issues/bees-in-may")).expect("a folder");
        assert!(next(&publication, "Bees in May").1.contains("Ann Own"));
    }

    #[test]
    fn an_issue_that_is_there_is_never_written_over() {
        let (_folder, publication) = shelf(&[("one", "---\ntitle: a\n---\n")]);
        let error = publication.write_issue("one", "").expect_err("an error");
        assert!(error.to_string().contains("is there already"), "{error}");
        assert!(publication.write_issue("../one", "").is_err());
    }
}
