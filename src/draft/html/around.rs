//! A link that a page puts around whole blocks, which Markdown cannot: a card, a headline with its picture.

use crate::draft::links::TODO;
use crate::draft::piece::{Kind, Piece, tame_start};
use crate::draft::write::target;

/// Puts what stands right above a headline, and nothing below it, behind that headline: its rubric.
pub(super) fn rubrics(pieces: &mut [Piece]) {
    for at in 1..pieces.len() {
        let [above, item] = &mut pieces[at - 1..=at] else {
            return;
        };
        let Kind::Heading { text, .. } = &above.kind else {
            continue;
        };
        if matches!(item.kind, Kind::Item { .. }) {
            let words = Kind::Paragraph(tame_start(text));
            *above = Piece::guessed(words, "a rubric, which stood above its headline");
            pieces.swap(at - 1, at);
        }
    }
}

/// Lets `pieces` lead to `href`, around which a page puts one link: their pictures, what is still to be filled in,
/// and their first headline or paragraph. Tells whether anything leads there.
pub(super) fn lead(pieces: &mut [Piece], href: &str) -> bool {
    let target = target(href);
    let open = format!("]({TODO})");
    let mut leads = false;
    for piece in pieces.iter_mut() {
        match &mut piece.kind {
            Kind::Image { href: own, .. } if own.is_none() => {
                *own = Some(href.to_owned());
                leads = true;
            }
            Kind::Paragraph(text) if text.contains(&open) => {
                *text = text.replace(&open, &format!("]({target})"));
                leads = true;
            }
            _ => {}
        }
    }
    let headlines = |kind: &Kind| matches!(kind, Kind::Item { .. } | Kind::Heading { .. });
    let headline = pieces.iter().position(|piece| headlines(&piece.kind));
    let paragraph = |piece: &Piece| matches!(piece.kind, Kind::Paragraph(_));
    let Some(first) = headline.or_else(|| pieces.iter().position(paragraph)) else {
        return leads;
    };
    match &mut pieces[first].kind {
        Kind::Item { text, .. } | Kind::Heading { text, .. } | Kind::Paragraph(text)
            if !text.contains("](") =>
        {
            *text = format!("[{text}]({target})");
            true
        }
        _ => leads,
    }
}
