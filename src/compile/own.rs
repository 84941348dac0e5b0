//! An issue in the author's own layout: what is put into it, and the way back to the author's file.
//!
//! Promises: the layout stands in the place of the theme's, with the theme's partials at hand; a finding in
//! it is told where it stands in `issue.mjml`. Leaves its reading to `issue::own`.

use minijinja::value::Value;

use crate::compile::escape::escape_html;
use crate::compile::layout::Snapshot;
use crate::compile::markup::{safe, table_index};
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::compile::press::Press;
use crate::compile::theme::Theme;
use crate::compile::{Context, Segment, Slot, Template};
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::issue::Issue;
use crate::issue::block::{Inline, Merge};
use crate::issue::own::{Layout, Part};
use crate::mjml;
use crate::mjml::finding::Findings;

/// The theme's file for which the author's stands.
const LAYOUT: &str = "layout.mjml";

/// The theme with the author's layout instead of its own.
pub(super) fn own_theme(theme: &Theme, layout: &Layout) -> Theme {
    theme.with(LAYOUT, layout.template.clone())
}

/// Moves what was found in the author's layout to where it stands in the author's file.
pub(super) fn own_places(issue: &Issue, theme: &Theme, found: &mut [Diagnostic]) {
    let Some(layout) = &issue.layout else { return };
    let stands_for = format!("themes/{}/{LAYOUT}", theme.name);
    for finding in found {
        for place in &mut finding.via {
            own_place(issue, theme, place);
        }
        if finding.file != stands_for {
            continue;
        }
        // Other tools write their readers' fields as the engine writes what is the same for all.
        let foreign = finding.message.ends_with("is not given to this theme");
        if foreign && finding.help.is_none() {
            let help = "a reader's field is written `[[first_name|there]]`";
            finding.help = Some(help.into());
        }
        finding.file.clone_from(&issue.file);
        if finding.line == 0 {
            continue;
        }
        let offset = layout.offset(finding.line, finding.column);
        let length = finding.excerpt.as_ref().map_or(1, |excerpt| excerpt.length);
        let severity = finding.severity;
        let moved = issue
            .source()
            .at(severity, offset, length, finding.code, "");
        (finding.line, finding.column) = (moved.line, moved.column);
        finding.excerpt = moved.excerpt;
    }
}

/// As [`own_places`], for one place.
pub(super) fn own_place(issue: &Issue, theme: &Theme, place: &mut Place) {
    let Some(layout) = &issue.layout else { return };
    if place.file == format!("themes/{}/{LAYOUT}", theme.name) {
        let offset = layout.offset(place.line, place.column);
        (place.line, place.column) = issue.source().place(offset);
        place.file.clone_from(&issue.file);
    }
}

impl Press<'_> {
    /// Tells what a layout lacks: one of the author's where it would stand, at the end of its body.
    pub(super) fn lacks(&mut self, code: &'static str, message: String, help: Option<String>) {
        let issue = self.issue;
        let end = issue.layout.as_ref().and(issue.text.rfind("</mj-body"));
        let error = match end {
            Some(end) => issue.source().error(end, code, message),
            None => Diagnostic::about(Severity::Error, code, &issue.file, message),
        };
        self.found.push(Diagnostic { help, ..error });
    }

    /// What the author's layout calls `own`: slots, addresses of links and of images.
    pub(super) fn own_parts(&self, places: &mut Placeholders) -> Vec<Value> {
        let Some(layout) = &self.issue.layout else {
            return Vec::new();
        };
        // A text part leaves out what only eyes can see.
        let wanted = if self.plain {
            Wanted::Any
        } else {
            Wanted::Some
        };
        let context = if self.plain {
            Context::Text
        } else {
            Context::Html
        };
        // A loop of the author's may bring it out as often as it likes.
        let edge = |places: &mut Placeholders, edge| {
            places.put(Filling::Mark(edge), Wanted::Any, "`:::only`")
        };
        let part = |part: &Part| match part {
            Part::Slot(merge) => {
                let what = format!("`{}`", merge.written());
                places.put(Filling::Slot(merge.slot(context)), wanted, what)
            }
            Part::Link(id) => {
                let what = format!("the link `{}`", self.issue.links[id.0].name);
                let address = self.addresses[id.0].iter().map(|segment| match segment {
                    Segment::Only(_) | Segment::End => String::new(),
                    Segment::Literal(text) => escape_html(text),
                    Segment::Slot(slot) => places.put(Filling::Slot(slot.clone()), wanted, &*what),
                });
                address.collect()
            }
            Part::Picture(index) => {
                let source = &layout.pictures[*index].source;
                let own = self.images.get(source);
                let address = own.map(|image| format!("{}/i/{}", self.site.url, image.hash));
                escape_html(address.as_deref().unwrap_or(source))
            }
            Part::Only(index) => {
                let (segment, _) = &layout.only[*index];
                let place = self.only.iter().position(|known| known == segment);
                edge(places, Segment::Only(table_index(place.unwrap_or(0))))
            }
            Part::End => edge(places, Segment::End),
        };
        layout.parts.iter().map(part).map(safe).collect()
    }

    /// The pixel at the end of the page, where the author's layout does not say where.
    pub(super) fn with_pixel(&self, html: String) -> String {
        let missing =
            self.issue.layout.is_some() && !self.pixel.is_empty() && !html.contains(&self.pixel);
        match html.rfind("</body>").filter(|_| missing) {
            None => html,
            Some(end) => format!(
                "{}<img src=\"{}\" width=\"1\" height=\"1\" alt=\"\" \
                 style=\"display:block;width:1px;height:1px;border:0\">{}",
                &html[..end],
                self.pixel,
                &html[end..]
            ),
        }
    }

    /// The text part: `issue.txt`, or the words of the layout.
    pub(super) fn own_text(
        &mut self,
        layout: &Layout,
        mut places: Placeholders,
    ) -> Option<Template> {
        let document = match &layout.text {
            Some(_) => None,
            None => {
                let options = self.options;
                (self.options.opens, self.options.annotate) = (false, false);
                self.plain = true;
                let mut marks = self.theme.marks(std::iter::empty());
                let context = self.context(&mut places, &mut marks);
                (self.options, self.plain) = (options, false);
                // Its errors were told when the HTML was made.
                let layout = self.theme.layout(&context, &marks).ok()?;
                let (mjml, _) = marks.trace(&layout);
                let files = Snapshot(self.theme);
                let mut findings = Findings::default();
                Some(mjml::parse(&self.issue.file, &mjml, &files, &mut findings))
            }
        };
        let mut text = self.writer(&mut places);
        match (&layout.text, &document) {
            (Some(words), _) => {
                let written = text.inlines(words);
                let lines: Vec<String> = written.trim().lines().map(str::to_owned).collect();
                text.lines(&lines);
                let leaving =
                    |inline: &Inline| *inline == Inline::Merge(Merge::Page(Slot::Unsubscribe));
                if !words.iter().any(leaving) {
                    self.footer(&mut text);
                }
            }
            (None, Some(document)) => text.tree(document),
            (None, None) => {}
        }
        let page = std::mem::take(&mut text.out);
        self.split(&places, &page, "text")
    }
}
