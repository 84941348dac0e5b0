//! What stands behind the items, and who gets any of it.
//!
//! Promises: where all of it is for some readers, a theme can draw its line and its card for these alone, and the
//! others see neither. Leaves to `only` and `notes` what stands in it.

use crate::compile::Segment;
use crate::compile::markup::table_index;
use crate::compile::notes;
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::issue::Issue;
use crate::issue::block::Block;
use crate::segment::Sieve;

/// Whom the end of an issue is for, where not all of it is for everybody; each an index into the table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Closing {
    pub(super) outro: Option<u32>,
    /// With the footnotes; none where the issue names authors or can be shared.
    pub(super) whole: Option<u32>,
}

impl Closing {
    /// Finds both in `known`, or puts them there while there are no more than `limit`; without a place there the
    /// theme's line stands for all.
    pub(super) fn of(issue: &Issue, known: &mut Vec<Sieve>, limit: usize) -> Closing {
        let mut place = |sieve: Sieve| {
            let found = known.iter().position(|other| *other == sieve);
            if found.is_none() && known.len() == limit {
                return None;
            }
            Some(table_index(found.unwrap_or_else(|| {
                known.push(sieve);
                known.len() - 1
            })))
        };
        let outro = whom(&issue.outro);
        let notes = notes::readers(issue).map(|(sieve, _)| sieve);
        let everybody = issue.share.is_some() || !issue.front.authors.is_empty();
        let noted = !issue.notes.is_empty();
        let whole = match (&outro, notes) {
            _ if everybody => None,
            (Some(outro), Some(notes)) => Some(Sieve::any(&[outro.clone(), notes])),
            (Some(outro), None) if !noted => Some(outro.clone()),
            (None, Some(notes)) if issue.outro.is_empty() => Some(notes),
            _ => None,
        };
        Closing {
            outro: outro.and_then(&mut place),
            whole: whole.and_then(&mut place),
        }
    }
}

/// Who gets any of these blocks, where none of them is for everybody.
fn whom(blocks: &[Block]) -> Option<Sieve> {
    let mut each: Vec<Sieve> = Vec::new();
    for block in blocks {
        let sieve = match block {
            Block::Here(_) => continue,
            Block::Only {
                segment, blocks, ..
            } => match whom(blocks) {
                Some(inner) => Sieve::all(&[segment.clone(), inner]),
                None => segment.clone(),
            },
            _ => return None,
        };
        if !each.contains(&sieve) {
            each.push(sieve);
        }
    }
    (!each.is_empty()).then(|| Sieve::any(&each))
}

/// Where what is for these readers begins and ends in a layout: between components, so that each copy is whole.
pub(super) fn edges(places: &mut Placeholders, whom: Option<u32>) -> [String; 2] {
    let Some(whom) = whom else {
        return [String::new(), String::new()];
    };
    [Segment::Only(whom), Segment::End].map(|edge| {
        let edge = places.put(Filling::Mark(edge), Wanted::Any, "the end of the issue");
        format!("<mj-raw>{edge}</mj-raw>")
    })
}
