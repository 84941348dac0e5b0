//! Parts of an issue that some readers get: which ones a copy shows.
//!
//! Promises: a reader is described by one number whose bit n says that the reader is in the nth segment of
//! the table; parts stand within each other, and an inner one needs all around it.

use std::collections::BTreeSet;
use std::ops::Not;

use crate::compile::{Compiled, Segment, Slot, Template};

/// Segments that one issue may name: bits of the number that describes a reader.
pub const SEGMENTS_LIMIT: usize = 16;
/// Whoever is in none of the segments: what every copy has.
pub const NOBODY: u32 = 0;
/// Whoever is in all of them: what stands in the issue.
pub const EVERY: u32 = u32::MAX;

/// In the index of a segment: for whoever is not in it.
pub const OTHERS: u32 = 1 << 31;

/// Whether the reader described by `segments` gets what is for the segment `index`, or for [`OTHERS`] than its own.
pub fn gets(segments: u32, index: u32) -> bool {
    if index & OTHERS != 0 {
        return !gets(segments, index & !OTHERS);
    }
    segments
        .checked_shr(index)
        .is_some_and(|bits| bits & 1 == 1)
}

impl Compiled {
    /// Links that stand nowhere but in parts that some readers get.
    pub fn links_for_some(&self) -> BTreeSet<u32> {
        let (mut within, mut all) = (BTreeSet::new(), BTreeSet::new());
        for template in [&self.html, &self.text] {
            let mut open: usize = 0;
            for segment in &template.0 {
                match segment {
                    Segment::Only(_) => open += 1,
                    Segment::End => open = open.saturating_sub(1),
                    Segment::Slot(Slot::Click(link)) if open > 0 => {
                        within.insert(*link);
                    }
                    Segment::Slot(Slot::Click(link)) => {
                        all.insert(*link);
                    }
                    Segment::Literal(_) | Segment::Slot(_) => {}
                }
            }
        }
        &within - &all
    }

    /// The links that a copy for the reader described by `segments` has.
    pub fn links_shown_to(&self, segments: u32) -> BTreeSet<u32> {
        let both = [&self.html, &self.text];
        let shown = both.into_iter().flat_map(|part| part.shown_to(segments));
        let links = shown.filter_map(|segment| match segment {
            Segment::Slot(Slot::Click(link)) => Some(*link),
            _ => None,
        });
        links.collect()
    }
}

impl Template {
    /// The stretches and holes of a copy for the reader described by `segments`, in order.
    pub fn shown_to(&self, segments: u32) -> impl Iterator<Item = &Segment> {
        // How many parts around are left out, from the outermost of them on.
        let mut out: usize = 0;
        self.0.iter().filter(move |segment| match segment {
            Segment::Only(index) => {
                if out > 0 || gets(segments, *index).not() {
                    out += 1;
                }
                false
            }
            Segment::End => {
                out = out.saturating_sub(1);
                false
            }
            Segment::Literal(_) | Segment::Slot(_) => out == 0,
        })
    }

    /// Whether each part that begins also ends, and names a segment of a table of `known`.
    pub(crate) fn is_nested(&self, known: usize) -> bool {
        let mut open: usize = 0;
        for segment in &self.0 {
            match segment {
                Segment::Only(index) if ((*index & !OTHERS) as usize) < known => open += 1,
                Segment::Only(_) => return false,
                Segment::End if open == 0 => return false,
                Segment::End => open -= 1,
                Segment::Literal(_) | Segment::Slot(_) => {}
            }
        }
        open == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{EVERY, NOBODY, OTHERS, gets};
    use crate::compile::{Compiled, Segment, Slot, Template};

    fn template() -> Template {
        let literal = |text: &str| Segment::Literal(text.into());
        Template(vec![
            literal("a"),
            Segment::Only(0),
            literal("b"),
            Segment::Only(1),
            literal("c"),
            Segment::End,
            literal("d"),
            Segment::End,
            Segment::Only(1),
            literal("e"),
            Segment::End,
            literal("f"),
        ])
    }

    #[test]
    fn a_part_within_another_needs_both() {
        for (segments, expected) in [
            (NOBODY, "af"),
            (0b01, "abdf"),
            (0b10, "aef"),
            (0b11, "abcdef"),
            (EVERY, "abcdef"),
        ] {
            let shown = template().fill_for(segments, |_| String::new());
            assert_eq!(shown, expected, "{segments:b}");
        }
        assert_eq!(template().fill(|_| String::new()), "af");
        assert!(!gets(EVERY, 32));
        for (segments, expected) in [(NOBODY, "b"), (0b01, "a"), (0b10, "b"), (EVERY, "a")] {
            let literal = |text: &str| Segment::Literal(text.into());
            let (yes, no) = (Segment::Only(0), Segment::Only(OTHERS));
            let either = [
                yes,
                literal("a"),
                Segment::End,
                no,
                literal("b"),
                Segment::End,
            ];
            let either = Template(either.into());
            assert!(either.is_nested(1) && !either.is_nested(0));
            assert_eq!(either.fill_for(segments, |_| String::new()), expected);
        }
    }

    #[test]
    fn links_that_stand_in_parts_alone_are_for_some() {
        let click = |link| Segment::Slot(Slot::Click(link));
        let within = |index, link| [Segment::Only(index), click(link), Segment::End];
        let mut html = vec![click(0)];
        html.extend(within(0, 1));
        html.extend(within(0, 2));
        html.extend(within(OTHERS, 3));
        let compiled = Compiled {
            slug: "week-1".into(),
            title: "Week 1".into(),
            subject: Template::default(),
            preheader: Template::default(),
            html: Template(html),
            text: Template(vec![click(0), click(2)]),
            links: Vec::new(),
            images: Vec::new(),
            only: Vec::new(),
        };
        assert_eq!(Vec::from_iter(compiled.links_for_some()), [1, 3]);
        assert_eq!(Vec::from_iter(compiled.links_shown_to(0b1)), [0, 1, 2]);
        assert_eq!(Vec::from_iter(compiled.links_shown_to(NOBODY)), [0, 2, 3]);
    }

    #[test]
    fn what_is_not_nested_is_noticed() {
        assert!(template().is_nested(2));
        assert!(!template().is_nested(1));
        assert!(!Template(vec![Segment::End, Segment::Only(0)]).is_nested(1));
        assert!(!Template(vec![Segment::Only(0)]).is_nested(1));
    }
}
