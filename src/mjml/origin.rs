//! From places in generated MJML back to what the author wrote.
//!
//! A theme makes one text out of layout, partials and an issue. Promises: a place in that text becomes one
//! in the author's file, and the chain of files that brought it in. Leaves it to who generates the text to
//! say which stretch of it comes from where.

use std::borrow::Cow;

/// Where a generated text comes from.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Name and text of the author's files. Includes are read relative to these names.
    pub files: Vec<(String, String)>,
    /// Sorted by `at`.
    pub stretches: Vec<Stretch>,
}

/// A stretch of the generated text, up to where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Octet of the generated text at which it begins.
    pub at: usize,
    /// Index into [`Origins::files`].
    pub file: usize,
    /// Octet of that file from which it was made.
    pub offset: usize,
    /// Octets of the file that it covers, one for one; what lies beyond belongs to the last of them.
    /// 0: all of it comes from that one place.
    pub length: usize,
    /// The stretch that brought this file in: where a layout includes a partial. Always an earlier one in
    /// the list or one that begins no later.
    pub via: Option<usize>,
}

/// A place in one of the author's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub file: usize,
    pub offset: usize,
    /// Octets from there that can be pointed at.
    pub length: usize,
    pub via: Option<usize>,
}

impl Origins {
    /// Where the octet `offset` of the generated text comes from; `None` before the first stretch.
    pub fn locate(&self, offset: usize) -> Option<Origin> {
        let after = self.stretches.partition_point(|known| known.at <= offset);
        let stretch = self.stretches[..after].last()?;
        let within = (offset - stretch.at).min(stretch.length.saturating_sub(1));
        Some(Origin {
            file: stretch.file,
            offset: stretch.offset + within,
            length: stretch.length - within.min(stretch.length),
            via: stretch.via,
        })
    }

    /// The stretches that brought a place in, innermost first.
    pub fn chain(&self, mut via: Option<usize>) -> Vec<&Stretch> {
        let mut chain = Vec::new();
        while let Some(stretch) = via.and_then(|index| self.stretches.get(index)) {
            // A chain longer than the list goes round in a circle.
            if chain.len() >= self.stretches.len() {
                break;
            }
            chain.push(stretch);
            via = stretch.via;
        }
        chain
    }
}

/// A text with `\n` only and without a byte order mark, which knows where octets were left out.
#[derive(Clone, Debug)]
pub struct Normal<'a> {
    pub text: Cow<'a, str>,
    /// Offsets in `text` before which one octet of the original is missing.
    removed: Vec<usize>,
}

impl<'a> Normal<'a> {
    pub fn of(text: &'a str) -> Normal<'a> {
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut removed = vec![0; text.len() - body.len()];
        if memchr::memchr(b'\r', body.as_bytes()).is_none() {
            let text = Cow::Borrowed(body);
            return Normal { text, removed };
        }
        let mut out = String::with_capacity(body.len());
        let mut rest = body;
        while let Some(found) = memchr::memchr(b'\r', rest.as_bytes()) {
            out.push_str(&rest[..found]);
            rest = &rest[found + 1..];
            match rest.starts_with('\n') {
                true => removed.push(out.len()),
                false => out.push('\n'),
            }
        }
        out.push_str(rest);
        let text = Cow::Owned(out);
        Normal { text, removed }
    }

    /// Where an octet of `text` stood in the original.
    pub fn original(&self, offset: usize) -> usize {
        offset + self.removed.partition_point(|&at| at <= offset)
    }
}

#[cfg(test)]
mod tests {
    use super::{Normal, Origin, Origins, Stretch};

    fn stretch(at: usize, offset: usize, length: usize, via: Option<usize>) -> Stretch {
        Stretch {
            at,
            file: 0,
            offset,
            length,
            via,
        }
    }

    #[test]
    fn a_place_moves_along_its_stretch_and_stops_at_its_end() {
        let origins = Origins {
            files: vec![("a".into(), "x".repeat(100))],
            stretches: vec![stretch(10, 50, 5, None), stretch(20, 7, 0, Some(0))],
        };
        assert_eq!(origins.locate(9), None);
        let at = |offset| {
            let origin: Origin = origins.locate(offset).expect("a place");
            (origin.offset, origin.length)
        };
        assert_eq!(at(10), (50, 5));
        assert_eq!(at(12), (52, 3));
        assert_eq!(at(19), (54, 1));
        assert_eq!(at(20), (7, 0));
        assert_eq!(at(90), (7, 0));
    }

    #[test]
    fn a_circle_of_files_ends() {
        let origins = Origins {
            files: Vec::new(),
            stretches: vec![stretch(0, 0, 0, Some(1)), stretch(0, 0, 0, Some(0))],
        };
        assert_eq!(origins.chain(Some(0)).len(), 2);
        assert!(origins.chain(Some(9)).is_empty());
    }

    #[test]
    fn line_ends_of_every_kind_become_one_and_keep_their_places() {
        let text = "\u{feff}a\r\nb\rc\nd";
        let normal = Normal::of(text);
        assert_eq!(normal.text, "a\nb\nc\nd");
        for wanted in ["a", "b", "c", "d"] {
            let at = normal.text.find(wanted).expect("it is there");
            assert_eq!(Some(normal.original(at)), text.find(wanted));
        }
    }
}
