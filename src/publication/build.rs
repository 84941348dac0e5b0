//! An order built: the issue read, its images and its theme found, and all of it pressed.
//!
//! Promises: an issue with errors gives as many of them as can be found at once, and none that only follows from another.

use std::collections::BTreeMap;

use crate::compile::Image;
use crate::compile::apart::try_components;
use crate::compile::press::{Pressed, press};
use crate::compile::theme::Theme;
use crate::diagnostic::{Diagnostic, Severity, sort};
use crate::issue::given::{Given, Titles};
use crate::issue::{Issue, Read};
use crate::publication::called::call_from_here;
use crate::publication::order::{Order, Written};
use crate::publication::picture::read_pictures;
use crate::publication::{Built, Previewed, Publication, Rejected};
use crate::segment::named::Segments;

impl Publication {
    pub(super) fn build_from(
        &self,
        order: &Order<'_>,
        written: &Written,
    ) -> anyhow::Result<Previewed> {
        let mut found = Vec::new();
        let failed = |found: &[Diagnostic]| found.iter().any(Diagnostic::is_error);
        let issue = match self.press(order, written, &mut found) {
            Ok(mut previewed) if !failed(&found) => {
                call_from_here(&self.emails, &mut found, &mut previewed.places);
                previewed.built.diagnostics = found;
                return Ok(previewed);
            }
            Ok(previewed) => Some(Box::new(previewed.built.issue)),
            Err(issue) => issue,
        };
        found.extend(self.theme_faults(order, written, &found));
        sort(&mut found, &order.folder.shown(written.file()));
        call_from_here(&self.emails, &mut found, &mut []);
        Err(Rejected { found, issue }.into())
    }

    /// The error is what could be read of the issue.
    pub(super) fn press(
        &self,
        order: &Order<'_>,
        written: &Written,
        found: &mut Vec<Diagnostic>,
    ) -> Result<Previewed, Option<Box<Issue>>> {
        let segments = match self.segments(order.zone) {
            Ok(segments) => segments,
            Err(error) => {
                let rejected = error.downcast::<Rejected>();
                found.extend(rejected.map_or_else(|error| vec![unread(&error)], |all| all.found));
                return Err(None);
            }
        };
        let unknown = Titles::default();
        let given = self.given(order, &segments, &unknown);
        let (issue, faulty) = match read(order, written, given, found) {
            Read::Whole(issue) => (issue, false),
            Read::Faulty(issue) => (issue, true),
            Read::Nothing => return Err(None),
        };
        let images = read_pictures(&issue, order.folder, order.attic, found);
        let theme = match self.theme_of(order, &issue) {
            Ok(theme) => theme,
            Err(error) => {
                found.push(error);
                return Err(Some(Box::new(issue)));
            }
        };
        let table: BTreeMap<String, Image> = images
            .iter()
            .map(|(image, _)| (image.source.clone(), image.clone()))
            .collect();
        if faulty {
            find_more(order, &issue, &theme, &table, found);
            return Err(Some(Box::new(issue)));
        }
        let (site, mail, options) = (&order.site, order.mail, order.options);
        let pressed = press(&issue, &theme, &table, site, mail, options, found);
        let Some(Pressed { compiled, places }) = pressed else {
            return Err(Some(Box::new(issue)));
        };
        let built = Built {
            compiled,
            list: given.list_of(&issue.front).to_owned(),
            images,
            diagnostics: Vec::new(),
            issue,
            theme,
            emails: self.emails.clone(),
        };
        Ok(Previewed { built, places })
    }

    /// What an issue is read by.
    fn given<'a>(
        &'a self,
        order: &'a Order<'_>,
        segments: &'a Segments,
        unknown: &'a Titles,
    ) -> Given<'a> {
        Given {
            fields: &self.fields,
            mail: order.mail,
            publication: &order.site.name,
            url: &order.site.url,
            list: order.list,
            chosen: order.chosen,
            titles: order.titles.unwrap_or(unknown),
            subject: order.subject,
            language: &order.site.language,
            typography: order.typography,
            segments,
            zone: order.zone,
        }
    }

    /// The theme that the issue names, or else that of the order, in the issue's language.
    fn theme_of(&self, order: &Order<'_>, issue: &Issue) -> Result<Theme, Diagnostic> {
        let named = issue.front.theme.as_deref().filter(|_| !order.forced);
        let theme = self.theme(named.unwrap_or(order.theme))?;
        let lang = issue.front.lang.as_deref();
        Ok(theme.for_language(lang, &order.site.language))
    }
}

fn read(
    order: &Order<'_>,
    written: &Written,
    given: Given<'_>,
    found: &mut Vec<Diagnostic>,
) -> Read {
    let name = |name: &str| order.folder.shown(name);
    match written {
        Written::Markdown(octets) => {
            Issue::read(order.slug, &name("issue.md"), octets, given, found)
        }
        Written::Mjml(octets, words) => {
            let (file, text) = (name("issue.mjml"), name("issue.txt"));
            let words = words
                .as_ref()
                .map(|words| (text.as_str(), words.as_slice()));
            Issue::read_mjml(order.slug, (&file, octets), words, given, found)
        }
    }
}

/// Presses what could be read of an issue with errors, for what else is wrong with it.
fn find_more(
    order: &Order<'_>,
    issue: &Issue,
    theme: &Theme,
    images: &BTreeMap<String, Image>,
    found: &mut Vec<Diagnostic>,
) {
    if issue.layout.is_none() {
        try_components(issue, theme, &[&issue.text], found);
        return;
    }
    let (site, mail, options) = (&order.site, order.mail, order.options);
    let mut more = Vec::new();
    press(issue, theme, images, site, mail, options, &mut more);
    // What comes of another fault is none.
    more.retain(|more| {
        let follows = |known: &Diagnostic| {
            known.touches(more) || known.code == "link" && more.code == "unsubscribe"
        };
        !found.iter().any(follows)
    });
    found.append(&mut more);
}

/// A file of the folder that cannot be read.
fn unread(error: &anyhow::Error) -> Diagnostic {
    let message = format!("{error:#}");
    Diagnostic::about(Severity::Error, "segments", "segments.toml", message)
}
