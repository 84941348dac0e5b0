//! The walk over the body: what a component is told by those above it, and who writes it.
//!
//! Promises: raw HTML and comments stand where their author put them and count as mjml counts them (they
//! are siblings, but take no width); ids are numbered, so the same document gives the same HTML.

use crate::mjml::Options;
use crate::mjml::render::attributes::{Attributes, Pair};
use crate::mjml::render::head::{Head, raw_text};
use crate::mjml::render::html::Html;
use crate::mjml::render::{
    accordion, basics, carousel, column, hero, image, measure, navbar, section, social, table,
};
use crate::mjml::tree::{Content, Element, Node, Span};

/// Rendering descends by recursion; no layout is nested this deep.
const DEPTH_LIMIT: usize = 64;

/// The body being rendered, and what it asks of the head.
pub struct Body<'a> {
    pub html: Html,
    pub head: &'a Head<'a>,
    pub options: &'a Options,
    /// Class names with their declarations above the breakpoint.
    pub media: Vec<(String, String)>,
    /// Rules of single components, by number.
    pub rules: String,
    /// Kinds whose rules are the same for all of them, as they came.
    pub kinds: Vec<&'static str>,
    pub marks: Vec<Span>,
    pub too_deep: Option<Span>,
    /// The first icon that only MJML's maker has.
    pub foreign_icon: Option<Span>,
    ids: u32,
}

/// What a component inherits.
#[derive(Clone, Copy, Default)]
pub struct Context<'p> {
    /// Pixels there are for it.
    pub width: f64,
    pub gap: Option<&'p str>,
    pub gutter: Option<&'p str>,
    pub from_right: bool,
    pub in_group: bool,
    /// Of the accordion around it, and of its element.
    pub accordion_font: Option<&'p str>,
    pub element_font: Option<&'p str>,
    pub thumbnails: Option<&'p str>,
    pub class: &'p str,
    pub depth: usize,
}

/// Where a component stands among its siblings.
#[derive(Clone, Copy)]
pub struct Place {
    pub index: usize,
    /// All there are.
    pub siblings: usize,
    /// Those that are not raw.
    pub flowing: usize,
}

/// A component in its place.
pub struct Part<'p> {
    pub element: &'p Element,
    pub attributes: Attributes<'p>,
    pub context: Context<'p>,
    pub place: Place,
}

enum Child<'p> {
    Raw(&'p str),
    Element(&'p Element),
}

impl<'a> Body<'a> {
    pub fn new(head: &'a Head<'a>, options: &'a Options, octets: usize) -> Body<'a> {
        Body {
            // Each component stands in a table or two of its own.
            html: Html::with_capacity(octets * 2),
            head,
            options,
            media: Vec::new(),
            rules: String::new(),
            kinds: Vec::new(),
            marks: Vec::new(),
            too_deep: None,
            foreign_icon: None,
            ids: 0,
        }
    }

    /// Renders `mj-body`, from `<body>` to `</body>`.
    pub fn render(&mut self, element: &'a Element, lang: &str, dir: &str) {
        let attributes = Attributes::of(&self.head.cascade, element, "", &[]);
        let mut part = Part {
            element,
            attributes,
            context: Context::default(),
            place: Place {
                index: 0,
                siblings: 1,
                flowing: 1,
            },
        };
        self.mark(&mut part);
        let at = &part.attributes;
        let html = &mut self.html;
        let css = html
            .open("body")
            .may("id", at.get("id"))
            .may("class", at.get("css-class"))
            .style();
        css.set("word-spacing", "normal")
            .take(at, &["background-color"])
            .done();
        if !self.head.preview.is_empty() {
            html.open("div")
                .set(
                    "style",
                    "display:none;font-size:1px;color:#ffffff;line-height:1px;max-height:0px;\
                     max-width:0px;opacity:0;overflow:hidden;",
                )
                .done();
            html.raw(self.head.preview);
            html.close("div");
        }
        let title = Some(self.head.title).filter(|title| !title.is_empty());
        let tag = html
            .open("div")
            .may("aria-label", title)
            .set("aria-roledescription", "email")
            .set("role", "article")
            .set("lang", lang)
            .set("dir", dir);
        tag.style()
            .set("word-spacing", "normal")
            .take(at, &["background-color"])
            .done();
        let context = Context {
            width: at.get("width").map_or(f64::NAN, measure::float),
            ..Context::default()
        };
        self.each(&part, context, &[], |body, child| body.component(child));
        self.html.close("div");
        self.html.raw("\n");
        self.html.close("body");
    }

    /// Writes the children of a component in their order; `write` does those that are not raw.
    pub fn each(
        &mut self,
        parent: &Part<'_>,
        context: Context<'_>,
        handed: &[Pair<'_>],
        mut write: impl FnMut(&mut Body<'a>, &Part<'_>),
    ) {
        if parent.context.depth >= DEPTH_LIMIT {
            self.too_deep.get_or_insert(parent.element.span.clone());
            return;
        }
        let children = children(parent.element);
        let is_raw = |child: &&Child<'_>| matches!(child, Child::Raw(_));
        let siblings = children.len();
        let flowing = siblings - children.iter().filter(is_raw).count();
        let own_class = parent.element.attribute("mj-class");
        let class = own_class.unwrap_or(parent.context.class);
        for (index, child) in children.into_iter().enumerate() {
            let element = match child {
                Child::Raw(html) => {
                    self.html.raw(html);
                    continue;
                }
                Child::Element(element) => element,
            };
            if writer(&element.name).is_none() {
                continue;
            }
            let attributes = Attributes::of(&self.head.cascade, element, class, handed);
            let mut part = Part {
                element,
                attributes,
                context: Context {
                    class,
                    depth: parent.context.depth + 1,
                    ..context
                },
                place: Place {
                    index,
                    siblings,
                    flowing,
                },
            };
            self.mark(&mut part);
            write(self, &part);
        }
    }

    /// Writes one component without what its parent puts around it.
    pub fn component(&mut self, part: &Part<'_>) {
        if let Some(write) = writer(&part.element.name) {
            write(self, part);
        }
    }

    /// A number that no other component of this document has.
    pub fn id(&mut self) -> u32 {
        self.ids += 1;
        self.ids
    }

    /// Asks for the rules of a kind in the head.
    pub fn needs_rules(&mut self, kind: &'static str) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }

    /// Declares a class above the breakpoint; a later declaration takes the place of an earlier one.
    pub fn above_breakpoint(&mut self, class: &str, declarations: String) {
        match self.media.iter_mut().find(|(known, _)| known == class) {
            Some((_, known)) => *known = declarations,
            None => self.media.push((class.to_owned(), declarations)),
        }
    }

    fn mark(&mut self, part: &mut Part<'_>) {
        if !self.options.mark {
            return;
        }
        let span = &part.element.span;
        let known = self.marks.iter().position(|mark| mark == span);
        let number = known.unwrap_or_else(|| {
            self.marks.push(span.clone());
            self.marks.len() - 1
        });
        part.attributes.add_class(&format!("pr-at-{number}"));
    }
}

fn children(element: &Element) -> Vec<Child<'_>> {
    let Content::Nodes(nodes) = &element.content else {
        return Vec::new();
    };
    let mut children = Vec::with_capacity(nodes.len());
    // Its parts are written several times over, and between them there is no place.
    let no_raw = element.name == "mj-carousel";
    for node in nodes {
        match node {
            Node::Element(raw) if no_raw && raw.name == "mj-raw" => {}
            Node::Comment(_) | Node::Html(_) if no_raw => {}
            Node::Element(raw) if raw.name == "mj-raw" => children.push(Child::Raw(raw_text(raw))),
            Node::Element(element) => children.push(Child::Element(element)),
            Node::Comment(raw) | Node::Html(raw) => children.push(Child::Raw(raw.text.trim())),
            // mjml does not show text between components; the validator tells of it.
            Node::Text(_) => {}
        }
    }
    children
}

type Writer = fn(&mut Body<'_>, &Part<'_>);

/// Who writes a kind of component; nobody, where it is no component of the body.
fn writer(kind: &str) -> Option<Writer> {
    Some(match kind {
        // mrml draws these; what they hand over is its AST.
        "mj-button" => basics::button,
        "mj-divider" => basics::divider,
        "mj-image" => image::image,
        "mj-spacer" => basics::spacer,
        "mj-text" => basics::text,
        // Ours: mrml inherits fonts otherwise, shows icons of another host, and has no raw HTML among the
        // elements.
        "mj-accordion" => accordion::accordion,
        "mj-accordion-element" => accordion::element,
        "mj-accordion-text" => accordion::text,
        "mj-accordion-title" => accordion::title,
        // Ours: mrml knows no `thumbnails="supported"` and no `target` of an image.
        "mj-carousel" => carousel::carousel,
        "mj-carousel-image" => carousel::image,
        // Ours: mrml knows no `gutter`; and a group holds columns.
        "mj-column" => column::column,
        "mj-group" => column::group,
        // Ours: mrml knows no `border-radius` of it, and pads inside for Outlook only.
        "mj-hero" => hero::hero,
        // Ours: mrml has no raw HTML among the links.
        "mj-navbar" => navbar::navbar,
        "mj-navbar-link" => navbar::link,
        // Ours: mrml knows no `gap` and no `gutter`, and shows raw HTML in a wrapper to Outlook only.
        "mj-section" | "mj-wrapper" => section::section,
        // Ours: mrml knows no `icon-position`, `border`, `sizes` and `srcset`, and no raw HTML among them.
        "mj-social" => social::social,
        "mj-social-element" => social::element,
        // Ours: mrml parts borders where there is a border, mjml where there is cell spacing; no `role`.
        "mj-table" => table::table,
        _ => return None,
    })
}
