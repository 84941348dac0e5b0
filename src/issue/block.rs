//! What an issue is made of once its Markdown is read: blocks, inlines, links and merge slots.
//!
//! Promises: plain data without a theme's or a medium's opinion; HTML and text are both made from it.

use crate::compile::{Context, Slot};

/// A block of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    Paragraph(Vec<Inline>),
    /// A headline within an item; level 3 or 4.
    Heading {
        level: u8,
        text: Vec<Inline>,
    },
    List {
        /// The first number of an ordered list.
        start: Option<u64>,
        /// Without blank lines between its items.
        tight: bool,
        items: Vec<Vec<Block>>,
    },
    Quote(Vec<Block>),
    Code(String),
    Table {
        align: Vec<Align>,
        head: Vec<Vec<Inline>>,
        rows: Vec<Vec<Vec<Inline>>>,
    },
    Image(Picture),
    Rule,
    Promo(Promo),
    Button {
        link: LinkId,
        label: Vec<Inline>,
    },
    /// Components the author wrote in MJML; they stand in HTML only.
    Mjml {
        /// Texts and slots only.
        source: Vec<Inline>,
        /// Offset of the first octet of the source in the file.
        offset: usize,
    },
}

/// A stretch within a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inline {
    Text(String),
    Merge(Merge),
    Code(String),
    Strong(Vec<Inline>),
    Emphasis(Vec<Inline>),
    Strike(Vec<Inline>),
    Sub(Vec<Inline>),
    Sup(Vec<Inline>),
    Link {
        link: LinkId,
        text: Vec<Inline>,
    },
    /// Only until its paragraph is known to hold nothing else; then it is a [`Block::Image`].
    Image(Picture),
    /// Number of a footnote, from 1 in order of mention.
    Note(usize),
    Break,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Center,
    Right,
}

/// An image of the folder, or of the web.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub source: String,
    pub alt: String,
    pub caption: String,
    pub link: Option<LinkId>,
    /// Where it stands in the file.
    pub offset: usize,
}

/// An offer with its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promo {
    pub blocks: Vec<Block>,
    pub code: Vec<Inline>,
    pub until: Vec<Inline>,
    pub link: Option<LinkId>,
    /// What the link says; the theme's word when empty.
    pub label: String,
}

/// Index into [`crate::issue::Issue::links`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId(pub usize);

/// One link at one place: the same target elsewhere is another link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub target: Target,
    /// The item and the link's text, such as "3 - Read more".
    pub name: String,
    /// Where it stands in the file.
    pub offset: usize,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An http or https URL, the same for every copy, in its normal ASCII form.
    Web(String),
    /// An http or https URL that holds a reader's field; it cannot be in the link table.
    Personal(Vec<Piece>),
    /// `mailto:` or `tel:`.
    Direct(String),
    /// A page of our own, different in every copy.
    Page(Slot),
}

/// Part of a personal URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Literal(String),
    Merge(Merge),
}

/// `[[field|default]]`: a subscriber's value at send time, or one of our own pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    Field { name: String, default: String },
    Page(Slot),
}

impl Merge {
    /// The slot, for the place it stands in.
    pub fn slot(&self, context: Context) -> Slot {
        match self {
            Merge::Field { name, default } => Slot::Field {
                name: name.clone(),
                default: default.clone(),
                context,
            },
            Merge::Page(slot) => slot.clone(),
        }
    }

    /// As the author wrote it, for names.
    pub fn written(&self) -> String {
        match self {
            Merge::Field { name, .. } => format!("[[{name}]]"),
            Merge::Page(_) => "[[url]]".into(),
        }
    }
}

/// The words without their looks, on one line.
pub fn plain_text(inlines: &[Inline]) -> String {
    let mut out = String::new();
    collect(inlines, &mut out);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn collect(inlines: &[Inline], out: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Text(text) | Inline::Code(text) => out.push_str(text),
            Inline::Merge(merge) => out.push_str(&merge.written()),
            Inline::Strong(inner)
            | Inline::Emphasis(inner)
            | Inline::Strike(inner)
            | Inline::Sub(inner)
            | Inline::Sup(inner)
            | Inline::Link { text: inner, .. } => collect(inner, out),
            Inline::Image(picture) => out.push_str(&picture.alt),
            Inline::Note(_) => {}
            Inline::Break => out.push(' '),
        }
    }
}
