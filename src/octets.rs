//! Octets in pieces: most of a message stands in every copy of its run, and is kept once for all of them.
//!
//! Promises: what is shared is neither copied nor changed, however many hold it; the pieces in their order are the
//! text, and none of them is empty.

use std::fmt;
use std::sync::Arc;

/// A shared stretch shorter than this is copied: a piece of its own would cost more.
const WORTH_SHARING: usize = 192;

/// A text of octets, of which some are its own and some belong to many.
#[derive(Clone, Default)]
pub struct Octets {
    own: Vec<u8>,
    shared: Arc<[u8]>,
    pieces: Vec<Piece>,
    length: usize,
}

#[derive(Clone, Copy)]
struct Piece {
    from: Source,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Own,
    Shared,
}

impl Octets {
    /// Begins anew, with the room it has, as a text that may share what stands in `shared`.
    pub fn begin(&mut self, shared: &Arc<[u8]>) {
        self.clear();
        self.shared = shared.clone();
    }

    /// Takes everything out and keeps the room.
    pub fn clear(&mut self) {
        self.own.clear();
        self.pieces.clear();
        self.length = 0;
        self.shared = Arc::default();
    }

    /// Appends whatever `write` appends; it must leave alone what it finds. Gives what `write` gives.
    pub fn write<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let start = self.own.len();
        let given = write(&mut self.own);
        self.grown(start);
        given
    }

    /// Appends a copy of `octets`.
    pub fn push(&mut self, octets: &[u8]) {
        self.write(|own| own.extend_from_slice(octets));
    }

    /// Appends the octets from `start` to `end` of what is shared.
    ///
    /// # Panics
    /// If that is no part of what [`Octets::begin`] was given.
    pub fn share(&mut self, start: usize, end: usize) {
        if end - start < WORTH_SHARING {
            let own = self.own.len();
            self.own.extend_from_slice(&self.shared[start..end]);
            return self.grown(own);
        }
        assert!(end <= self.shared.len(), "only what is there is shared");
        self.length += end - start;
        self.pieces.push(Piece {
            from: Source::Shared,
            start,
            end,
        });
    }

    /// How many octets of its own it has: where the next ones will stand for [`Octets::again`].
    pub fn mark(&self) -> usize {
        self.own.len()
    }

    /// Appends once more its own octets from `start` to `end`, counted by [`Octets::mark`].
    pub fn again(&mut self, start: usize, end: usize) {
        self.write(|own| own.extend_from_within(start..end));
    }

    /// Its own octets before the first shared one, to be filled in later.
    pub fn head(&mut self) -> &mut [u8] {
        match self.pieces.first() {
            Some(first) if first.from == Source::Own => &mut self.own[first.start..first.end],
            _ => &mut [],
        }
    }

    /// The pieces, in their order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| self.octets(piece))
    }

    /// What stands behind the first `octets`, in pieces.
    pub fn behind(&self, octets: usize) -> impl Iterator<Item = &[u8]> {
        let mut skip = octets;
        self.pieces().map(move |piece| {
            let passed = skip.min(piece.len());
            skip -= passed;
            &piece[passed..]
        })
    }

    /// The piece with the number `at`; none behind the last.
    pub fn piece(&self, at: usize) -> Option<&[u8]> {
        self.pieces.get(at).map(|piece| self.octets(piece))
    }

    /// Octets in all.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no octet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the text ends in a line end, as every message does.
    pub fn ends_a_line(&self) -> bool {
        let mut last = self.pieces.iter().rev().map(|piece| self.octets(piece));
        match (last.next(), last.next()) {
            (Some(b"\n"), Some(before)) => before.ends_with(b"\r"),
            (Some(last), _) => last.ends_with(b"\r\n"),
            (None, _) => false,
        }
    }

    /// Octets that it has room for without asking for memory.
    pub fn room(&self) -> usize {
        self.own.capacity()
    }

    /// Everything in one.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.length);
        self.pieces()
            .for_each(|piece| whole.extend_from_slice(piece));
        whole
    }

    /// What stands in `own` from `start` on is the end of the text.
    fn grown(&mut self, start: usize) {
        let end = self.own.len();
        if start == end {
            return;
        }
        self.length += end - start;
        match self.pieces.last_mut() {
            Some(last) if last.from == Source::Own && last.end == start => last.end = end,
            _ => self.pieces.push(Piece {
                from: Source::Own,
                start,
                end,
            }),
        }
    }

    fn octets(&self, piece: &Piece) -> &[u8] {
        let source = match piece.from {
            Source::Own => &self.own[..],
            Source::Shared => &self.shared[..],
        };
        &source[piece.start..piece.end]
    }
}

impl From<Vec<u8>> for Octets {
    fn from(own: Vec<u8>) -> Octets {
        let mut octets = Octets {
            own,
            ..Octets::default()
        };
        octets.grown(0);
        octets
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Octets({} in {})", self.length, self.pieces.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_stretches_are_shared_and_short_ones_copied() {
        let shared: Arc<[u8]> = vec![b's'; 1_000].into();
        let mut octets = Octets::default();
        octets.begin(&shared);
        octets.push(b"Dear ");
        octets.share(0, 3);
        octets.push(b"!");
        octets.share(0, 1_000);
        octets.again(0, 4);
        let pieces: Vec<&[u8]> = octets.pieces().collect();
        assert_eq!(pieces, [&b"Dear sss!"[..], &shared[..], b"Dear"]);
        assert_eq!(pieces[1].as_ptr(), shared.as_ptr());
        assert_eq!(octets.head(), b"Dear sss!");
        octets.clear();
        assert!(octets.is_empty() && octets.to_vec().is_empty() && octets.head().is_empty());
        assert_eq!(Arc::strong_count(&shared), 1, "an empty text holds nothing");
    }

    #[test]
    fn a_line_end_is_seen_across_pieces() {
        let shared: Arc<[u8]> = [vec![b's'; 500], b"\r".to_vec()].concat().into();
        let mut octets = Octets::default();
        octets.begin(&shared);
        assert!(!octets.ends_a_line());
        octets.share(0, 501);
        assert!(!octets.ends_a_line());
        octets.push(b"\n");
        assert!(octets.ends_a_line());
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_text(
            steps in prop::collection::vec((0_u8..3, 0_usize..2_000, 0_usize..2_000), 0..40),
        ) {
            let shared: Vec<u8> = (0..2_000_u32).map(|n| (n % 251) as u8).collect();
            let arc: Arc<[u8]> = shared.clone().into();
            let mut octets = Octets::default();
            octets.begin(&arc);
            let (mut whole, mut own) = (Vec::new(), Vec::<u8>::new());
            for (kind, one, other) in steps {
                let (start, end) = (one.min(other), one.max(other));
                match kind {
                    0 => {
                        octets.share(start, end);
                        whole.extend_from_slice(&shared[start..end]);
                        if end - start < WORTH_SHARING {
                            own.extend_from_slice(&shared[start..end]);
                        }
                    }
                    1 => {
                        octets.push(&shared[start..end]);
                        whole.extend_from_slice(&shared[start..end]);
                        own.extend_from_slice(&shared[start..end]);
                    }
                    _ => {
                        let end = octets.mark();
                        let start = start.min(end);
                        octets.again(start, end);
                        whole.extend_from_slice(&own[start..end]);
                        own.extend_from_within(start..end);
                    }
                }
            }
            prop_assert_eq!(octets.len(), whole.len());
            prop_assert!(octets.pieces().all(|piece| !piece.is_empty()));
            prop_assert_eq!(octets.to_vec(), whole);
        }
    }
}
