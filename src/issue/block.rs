//! What an issue is made of once its Markdown is read: blocks, inlines, links and merge slots.
//!
//! Promises: plain data without a theme's or a medium's opinion; HTML and text are both made from it.

use jiff::civil::Date;

use crate::compile::notation::Notation;
use crate::compile::{Context, Slot};
use crate::segment::Sieve;

/// A block of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Where the blocks that follow stand in the file; nothing that a reader sees. Stands before each block,
    /// within lists and quotes, too.
    Here(usize),
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
    /// Blocks set to one side; images are never among them, they carry their own side.
    Aligned {
        align: Align,
        blocks: Vec<Block>,
    },
    /// For the readers of a segment only.
    Only {
        segment: Sieve,
        blocks: Vec<Block>,
        /// Where the segment is named in the file.
        offset: usize,
    },
    Promo(Promo),
    Button {
        link: LinkId,
        label: Vec<Inline>,
    },
    /// Components the author wrote in MJML; they stand in HTML only.
    Mjml {
        /// Texts, slots, and links and images that stand for their addresses.
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
    /// What Markdown has no sign for and HTML has.
    Marked {
        mark: Mark,
        text: Vec<Inline>,
    },
    Link {
        link: LinkId,
        text: Vec<Inline>,
    },
    /// Among words only until its paragraph is known to hold nothing else; then it is a [`Block::Image`]. In
    /// [`Block::Mjml`] it is the address of a file of the issue.
    Image(Picture),
    /// Number of a footnote, from 1 in order of mention.
    Note(usize),
    Break,
    /// In [`Block::Mjml`], what a slot stands for that is the same in every copy; a text there is markup.
    Fixed(String),
}

/// A look or meaning of words that only HTML can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    Underline,
    Small,
    Highlight,
    /// Code with slots or other looks in it.
    Code,
    /// A key of a keyboard.
    Key,
    /// With what it is short for.
    Abbreviation(String),
    /// CSS declarations of the few kinds that are let in.
    Style(String),
}

/// On which side of its line a picture stands.
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
    /// CSS pixels, if the author says so.
    pub width: Option<u32>,
    /// CSS pixels, if the author says so.
    pub height: Option<u32>,
    /// The theme's side when absent.
    pub align: Option<Align>,
    /// Of what moves, only the first frame is sent.
    pub still: bool,
    /// Where it stands in the file.
    pub offset: usize,
}

/// An offer with its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promo {
    pub blocks: Vec<Block>,
    pub code: Vec<Inline>,
    /// The last day in the reader's language, or whatever else the author wrote.
    pub until: Vec<Inline>,
    /// The last day, where the author wrote one as `2026-06-30`.
    pub ends: Option<Date>,
    pub link: Option<LinkId>,
    /// What the link says; the theme's word when empty.
    pub label: String,
    /// Where `until` stands in the file, or else the promo.
    pub offset: usize,
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
    /// Its words are an address. It leads there without a detour: filters take an address that is shown beside another for
    /// fraud.
    pub shows_address: bool,
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
    Field {
        name: String,
        default: String,
        /// How the field's values are written among words.
        notation: Option<Notation>,
    },
    Page(Slot),
}

impl Align {
    /// The side of this name.
    pub fn named(name: &str) -> Option<Align> {
        match name {
            "left" => Some(Align::Left),
            "center" => Some(Align::Center),
            "right" => Some(Align::Right),
            _ => None,
        }
    }

    /// As HTML and CSS call it.
    pub fn name(self) -> &'static str {
        match self {
            Align::Left => "left",
            Align::Center => "center",
            Align::Right => "right",
        }
    }
}

impl Block {
    /// The blocks of `blocks` that can be components of their own: what is for a segment stands in its place.
    pub fn components(blocks: &[Block]) -> Vec<&Block> {
        let mut components = Vec::new();
        for block in blocks {
            match block {
                Block::Only { blocks, .. } => components.extend(Block::components(blocks)),
                other => components.push(other),
            }
        }
        components
    }

    /// The images among `blocks`, in order.
    pub fn pictures(blocks: &[Block]) -> Vec<&Picture> {
        let each = Block::components(blocks).into_iter();
        let pictures = each.filter_map(|block| match block {
            Block::Image(picture) => Some(picture),
            _ => None,
        });
        pictures.collect()
    }
}

impl Merge {
    /// The slot, for the place it stands in.
    pub fn slot(&self, context: Context) -> Slot {
        match self {
            Merge::Field {
                name,
                default,
                notation,
            } => Slot::Field {
                name: name.clone(),
                default: default.clone(),
                context,
                // In an address a machine reads it.
                notation: notation.clone().filter(|_| context != Context::Url),
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
    words(inlines, &Merge::written)
}

/// The same for a reader of whom nothing is known: each slot gives its default.
pub fn impersonal_text(inlines: &[Inline]) -> String {
    words(inlines, &|merge| match merge {
        Merge::Field { default, .. } => default.clone(),
        Merge::Page(_) => String::new(),
    })
}

fn words(inlines: &[Inline], fill: &dyn Fn(&Merge) -> String) -> String {
    let mut out = String::new();
    collect(inlines, fill, &mut out);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn collect(inlines: &[Inline], fill: &dyn Fn(&Merge) -> String, out: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Text(text) | Inline::Code(text) | Inline::Fixed(text) => out.push_str(text),
            Inline::Merge(merge) => out.push_str(&fill(merge)),
            Inline::Strong(inner)
            | Inline::Emphasis(inner)
            | Inline::Strike(inner)
            | Inline::Sub(inner)
            | Inline::Sup(inner)
            | Inline::Marked { text: inner, .. }
            | Inline::Link { text: inner, .. } => collect(inner, fill, out),
            Inline::Image(picture) => out.push_str(&picture.alt),
            Inline::Note(_) => {}
            Inline::Break => out.push(' '),
        }
    }
}

/// Puts a text behind the others, which it may become one with.
pub(crate) fn add_text(inlines: &mut Vec<Inline>, text: &str) {
    match inlines.last_mut() {
        Some(Inline::Text(before)) => before.push_str(text),
        _ => inlines.push(Inline::Text(text.to_owned())),
    }
}

/// Neighbouring texts become one.
pub(crate) fn joined(inlines: Vec<Inline>) -> Vec<Inline> {
    let mut pairs = inlines.windows(2);
    if !pairs.any(|pair| matches!(pair, [Inline::Text(_), Inline::Text(_)])) {
        return inlines;
    }
    let mut out: Vec<Inline> = Vec::with_capacity(inlines.len());
    for inline in inlines {
        match (out.last_mut(), inline) {
            (Some(Inline::Text(before)), Inline::Text(more)) => before.push_str(&more),
            (_, inline) => out.push(inline),
        }
    }
    out
}

/// Neighbouring literals become one.
pub(crate) fn joined_pieces(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (out.last_mut(), piece) {
            (Some(Piece::Literal(before)), Piece::Literal(more)) => before.push_str(&more),
            (_, piece) => out.push(piece),
        }
    }
    out
}
