//! What only payers got: the wall within a newsletter that was sold.
//!
//! Promises: nothing from behind the wall goes to everybody before the author said whom it is for: it stands
//! in parts for a segment that is still to be named, which `check` refuses.

use crate::draft::links::TODO;
use crate::draft::piece::{Kind, Piece};

/// The line that begins a part for some readers; its segment is the author's to name.
pub(super) const OPEN: &str = ":::only TODO";
pub(super) const CLOSE: &str = ":::";

/// How tools write it: Substack's element, the comments of Ghost and Jetpack.
const MARKS: [&str; 4] = [
    "paywall-jump",
    "paywalltodom",
    "<!--members-only-->",
    "wp:jetpack/paywall",
];

/// Whether a text as a tool exports it holds a wall.
pub(super) fn stands_in(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    MARKS.iter().any(|mark| lower.contains(mark))
}

/// Whether a comment is the wall.
pub(super) fn is_comment(comment: &str) -> bool {
    let words = comment.trim();
    words == "members-only" || words.starts_with("wp:jetpack/paywall")
}

/// The wall, at its place.
pub(super) fn piece() -> Piece {
    Piece::of(Kind::Verbatim(OPEN.to_owned()))
}

pub(super) fn is_wall(piece: &Piece) -> bool {
    matches!(&piece.kind, Kind::Verbatim(text) if text == OPEN)
}

/// Puts all behind the first wall into parts: the rest of an item, the items behind it, and what closes the
/// issue, because a part of whole items holds nothing else.
pub(super) fn settle(pieces: &mut Vec<Piece>) {
    let Some(wall) = pieces.iter().position(is_wall) else {
        return;
    };
    let mut behind = pieces.split_off(wall);
    behind.retain(|piece| !is_wall(piece));
    // A note is seen where it is mentioned, and may be mentioned above.
    let note = |piece: &Piece| matches!(piece.kind, Kind::Note { .. });
    let (notes, mut items): (Vec<Piece>, Vec<Piece>) = behind.into_iter().partition(note);
    let item = |piece: &Piece| matches!(piece.kind, Kind::Item { .. });
    let last = items.iter().rposition(item);
    let rule = items[last.unwrap_or_default()..]
        .iter()
        .position(|piece| piece.kind == Kind::Rule)
        .map(|at| last.unwrap_or_default() + at);
    let mut closing = rule.map_or_else(Vec::new, |at| items.split_off(at));
    let outro = closing.split_off(closing.len().min(1));
    let first = items.iter().position(item).unwrap_or(items.len());
    let whole = items.split_off(first);
    let mut told = false;
    for (part, rule) in [(items, Vec::new()), (whole, closing), (outro, Vec::new())] {
        enclose(pieces, part, &mut told);
        pieces.extend(rule);
    }
    pieces.extend(notes);
}

fn enclose(pieces: &mut Vec<Piece>, mut part: Vec<Piece>, told: &mut bool) {
    let Some(first) = part.first_mut() else {
        return;
    };
    let wall = match told {
        false => {
            format!("what only payers got begins here: name their segment in place of `{TODO}`")
        }
        true => "what only payers got goes on here".to_owned(),
    };
    *told = true;
    // Nothing stands above the first headline of a part of whole items.
    let what = match first.guess.take() {
        Some(guess) => format!("{wall}; {guess}"),
        None => wall,
    };
    pieces.push(Piece::guessed(Kind::Verbatim(OPEN.to_owned()), what));
    pieces.extend(part);
    pieces.push(Piece::of(Kind::Verbatim(CLOSE.to_owned())));
}
