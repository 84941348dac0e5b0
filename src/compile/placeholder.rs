//! Placeholders: what stands in a page for a slot while theme and MJML are at work on it.
//!
//! Promises: ASCII letters and digits that neither escapes nor attributes change; each is told apart;
//! one that is lost or doubled on the way is noticed.

use memchr::memmem::Finder;

use crate::compile::{Segment, Slot, Template};

/// Digits of a placeholder's number.
const DIGITS: usize = 5;

/// What a placeholder becomes.
#[derive(Clone, Debug)]
pub(crate) enum Filling {
    Slot(Slot),
    /// The same in every copy; a placeholder only so that its presence can be checked.
    Literal(String),
    /// Where a part begins or ends that some copies have.
    Mark(Segment),
}

/// How often a placeholder must come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Once,
    /// At least once.
    Some,
    /// As the theme likes.
    Any,
}

/// The placeholders of one page.
#[derive(Debug)]
pub(crate) struct Placeholders {
    key: String,
    /// Looks for the key: whole pages are searched for it, and word after word.
    finder: Finder<'static>,
    placed: Vec<Placed>,
}

#[derive(Debug)]
struct Placed {
    filling: Filling,
    wanted: Wanted,
    /// For the error: "the link `3 - Read more`".
    what: String,
}

impl Placeholders {
    /// Placeholders that do not stand in any of `inputs` by chance.
    pub(crate) fn unlike(inputs: &[&str]) -> Placeholders {
        let key = (0_u32..)
            .map(|number| format!("prs{number}k"))
            .find(|key| {
                let finder = Finder::new(key);
                !inputs
                    .iter()
                    .any(|input| finder.find(input.as_bytes()).is_some())
            })
            .expect("finite texts cannot hold every number");
        Placeholders {
            finder: Finder::new(&key).into_owned(),
            key,
            placed: Vec::new(),
        }
    }

    /// A new placeholder.
    pub(crate) fn put(
        &mut self,
        filling: Filling,
        wanted: Wanted,
        what: impl Into<String>,
    ) -> String {
        self.placed.push(Placed {
            filling,
            wanted,
            what: what.into(),
        });
        let number = self.placed.len() - 1;
        format!("{}{number:0DIGITS$}", self.key)
    }

    /// Whether a placeholder stands in `text`.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.finder.find(text.as_bytes()).is_some()
    }

    /// The text before the first key, and what stands behind each.
    fn pieces<'t>(&'t self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let keys = self.finder.find_iter(text.as_bytes());
        let ends = keys.chain(std::iter::once(text.len()));
        let mut from = 0;
        ends.map(move |end| {
            let piece = &text[from..end];
            from = end + self.key.len();
            piece
        })
    }

    /// Whether a part begins where this is all that `text` is, or ends; none where it is neither.
    pub(crate) fn edge(&self, text: &str) -> Option<bool> {
        let number = text.strip_prefix(self.key.as_str());
        let number = number.filter(|number| number.len() == DIGITS);
        let placed = number
            .and_then(|number| number.parse().ok())
            .and_then(|number: usize| self.placed.get(number));
        match &placed?.filling {
            Filling::Mark(edge) => Some(matches!(edge, Segment::Only(_))),
            Filling::Slot(_) | Filling::Literal(_) => None,
        }
    }

    /// Cuts the finished page at its placeholders. The error lists, in sentences, what did not come out
    /// as often as it must.
    pub(crate) fn split(&self, page: &str) -> Result<Template, Vec<String>> {
        let mut seen = vec![0_usize; self.placed.len()];
        let mut segments = Vec::new();
        let mut literal = String::new();
        let mut pieces = self.pieces(page);
        literal.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let number = piece.get(..DIGITS).and_then(|digits| digits.parse().ok());
            let placed = number.and_then(|number: usize| Some((number, self.placed.get(number)?)));
            let Some((number, placed)) = placed else {
                return Err(vec!["a placeholder was damaged on the way".into()]);
            };
            seen[number] += 1;
            match &placed.filling {
                Filling::Literal(text) => literal.push_str(text),
                Filling::Slot(slot) => {
                    cut(&mut literal, &mut segments, Segment::Slot(slot.clone()))
                }
                Filling::Mark(mark) => cut(&mut literal, &mut segments, mark.clone()),
            }
            literal.push_str(&piece[DIGITS..]);
        }
        if !literal.is_empty() {
            segments.push(Segment::Literal(literal));
        }
        let problems: Vec<String> = self
            .placed
            .iter()
            .zip(seen)
            .filter_map(|(placed, seen)| problem(placed, seen))
            .collect();
        if problems.is_empty() {
            Ok(Template(segments))
        } else {
            Err(problems)
        }
    }

    /// Whether something that stands for `slot` came out.
    pub(crate) fn shows(&self, slot: &Slot, page: &str) -> bool {
        let number = |piece: &str| piece.get(..DIGITS)?.parse::<usize>().ok();
        let pieces = self.pieces(page).skip(1);
        let mut shown = pieces.filter_map(|piece| self.placed.get(number(piece)?));
        shown.any(|placed| matches!(&placed.filling, Filling::Slot(known) if known == slot))
    }

    /// Characters a reader will see where `text` stands, about.
    pub(crate) fn width(&self, text: &str) -> usize {
        let mut width = text.chars().count();
        for piece in self.pieces(text).skip(1) {
            let number = piece.get(..DIGITS).and_then(|digits| digits.parse().ok());
            let filling = number.and_then(|number: usize| self.placed.get(number));
            let shown = match filling.map(|placed| &placed.filling) {
                Some(Filling::Slot(Slot::Field { default, .. })) => default.chars().count().max(6),
                Some(Filling::Literal(text)) => text.chars().count(),
                Some(Filling::Mark(_)) => 0,
                // A link of ours: base and token.
                Some(Filling::Slot(_)) | None => 76,
            };
            width = width + shown - (self.key.len() + DIGITS).min(width + shown);
        }
        width
    }
}

/// Ends the text so far, and puts `next` behind it.
fn cut(literal: &mut String, segments: &mut Vec<Segment>, next: Segment) {
    if !literal.is_empty() {
        segments.push(Segment::Literal(std::mem::take(literal)));
    }
    segments.push(next);
}

fn problem(placed: &Placed, seen: usize) -> Option<String> {
    let fine = match placed.wanted {
        Wanted::Once => seen == 1,
        Wanted::Some => seen > 0,
        Wanted::Any => true,
    };
    let what = &placed.what;
    match seen {
        _ if fine => None,
        0 => Some(format!("{what} does not come out")),
        times => Some(format!("{what} comes out {times} times")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Filling, Placeholders, Wanted};
    use crate::compile::{Segment, Slot, Template};

    #[test]
    fn a_page_is_cut_where_its_placeholders_stand() {
        let mut places = Placeholders::unlike(&["prs0k prs1k"]);
        let view = places.put(Filling::Slot(Slot::View), Wanted::Once, "view");
        let address = places.put(Filling::Literal("Street 1".into()), Wanted::Some, "address");
        assert_eq!(
            places.split(&format!("prs0k1 {view}7, {address}")),
            Ok(Template(vec![
                Segment::Literal("prs0k1 ".into()),
                Segment::Slot(Slot::View),
                Segment::Literal("7, Street 1".into()),
            ]))
        );
        assert_eq!(places.width(&address), 8);
    }

    #[test]
    fn what_is_lost_doubled_or_damaged_is_told() {
        let mut places = Placeholders::unlike(&[]);
        let view = places.put(Filling::Slot(Slot::View), Wanted::Once, "the view link");
        assert_eq!(
            places.split("nothing"),
            Err(vec!["the view link does not come out".into()])
        );
        assert_eq!(
            places.split(&format!("{view}{view}")),
            Err(vec!["the view link comes out 2 times".into()])
        );
        assert!(places.split("prs0kxxxxx").is_err());
        assert!(places.split("prs0k00007").is_err());
    }
}
