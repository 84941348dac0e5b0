//! What fills a slot, among words, among components, within an address.

use crate::compile::Context;
use crate::issue::block::{Inline, Merge, Piece};

/// What fills a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filler {
    /// Another value in every copy.
    Reader(Merge),
    /// The same in every copy.
    Fixed(Fixed),
}

/// A value that is known when the issue is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) text: String,
    /// A whole address, which stands in a URL as it is.
    pub(crate) address: bool,
}

impl Filler {
    /// Among words.
    pub(crate) fn inline(self) -> Inline {
        match self {
            Filler::Reader(merge) => Inline::Merge(merge),
            Filler::Fixed(fixed) => Inline::Text(fixed.text),
        }
    }

    /// Among the markup of components.
    pub(super) fn component(self) -> Inline {
        match self {
            Filler::Fixed(fixed) => Inline::Fixed(fixed.text),
            other => other.inline(),
        }
    }

    /// Within an address.
    pub(crate) fn piece(self) -> Piece {
        match self {
            Filler::Reader(merge) => Piece::Merge(merge),
            Filler::Fixed(fixed) if fixed.address => Piece::Literal(fixed.text),
            Filler::Fixed(fixed) => Piece::Literal(Context::Url.escape(&fixed.text).into_owned()),
        }
    }
}
