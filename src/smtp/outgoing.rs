//! What one write consists of: commands in a buffer of their own, and messages as they were given.
//!
//! Promises: octets leave in the order in which they were pushed, and are counted from the start of the
//! write; a message is never copied, and is let go once the write is finished.

use std::io::IoSlice;
use std::ops::Range;

use crate::smtp::buffer::Buffer;

/// Pieces given to the system in one call, which takes 1024 at most. A message with sixty links has some two hundred.
pub const SLICES: usize = 512;

/// A write under way.
#[derive(Debug, Default)]
pub struct Outgoing {
    commands: Vec<u8>,
    pieces: Vec<Piece>,
    /// Octets of all pieces.
    length: usize,
    /// Octets that are done with.
    written: usize,
    /// Where the next one stands.
    at: Place,
}

#[derive(Debug)]
enum Piece {
    /// Where it stands in `commands`.
    Commands(Range<usize>),
    Message(Buffer),
}

/// A place in the write: the piece, what the message is made of in its turn, and how many octets into that.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    piece: usize,
    part: usize,
    behind: usize,
}

impl Outgoing {
    /// Puts commands behind everything; the length of the write with them.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return self.length;
        }
        let start = self.commands.len();
        self.commands.extend_from_slice(bytes);
        self.length += bytes.len();
        let end = self.commands.len();
        match self.pieces.last_mut() {
            Some(Piece::Commands(last)) => last.end = end,
            _ => self.pieces.push(Piece::Commands(start..end)),
        }
        self.length
    }

    /// Puts a message behind everything; the length of the write with it.
    pub fn push_message(&mut self, message: Buffer) -> usize {
        if message.is_empty() {
            return self.length;
        }
        self.length += message.len();
        self.pieces.push(Piece::Message(message));
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether every octet is done with.
    pub fn is_written(&self) -> bool {
        self.written == self.length
    }

    /// Octets that are done with.
    pub fn written(&self) -> usize {
        self.written
    }

    /// The next octets, at most `limit`, as pieces put into `slices`: how many pieces and octets they are.
    pub fn next<'a>(&'a self, limit: usize, slices: &mut [IoSlice<'a>; SLICES]) -> (usize, usize) {
        let (mut octets, mut count) = (0, 0);
        let mut at = self.at;
        while count < SLICES && octets < limit {
            let Some(part) = self.part(at) else {
                break;
            };
            let whole = &part[at.behind..];
            let taken = &whole[..whole.len().min(limit - octets)];
            octets += taken.len();
            slices[count] = IoSlice::new(taken);
            count += 1;
            at = self.behind(at);
        }
        (count, octets)
    }

    /// So many octets more are done with.
    pub fn advance(&mut self, octets: usize) {
        self.written += octets;
        let mut left = octets;
        while let Some(part) = self.part(self.at) {
            let rest = part.len() - self.at.behind;
            if left < rest {
                break;
            }
            left -= rest;
            self.at = self.behind(self.at);
        }
        self.at.behind += left;
    }

    /// The write is over: a new one begins.
    pub fn clear(&mut self) {
        self.commands.clear();
        self.pieces.clear();
        self.length = 0;
        self.written = 0;
        self.at = Place::default();
    }

    /// The octets that stand together at `at`; never empty. None behind the last.
    fn part(&self, at: Place) -> Option<&[u8]> {
        match self.pieces.get(at.piece)? {
            Piece::Commands(range) => Some(&self.commands[range.clone()]),
            Piece::Message(message) => message.piece(at.part),
        }
    }

    /// The start of the part behind that at `at`.
    fn behind(&self, at: Place) -> Place {
        let next = Place {
            part: at.part + 1,
            behind: 0,
            ..at
        };
        match self.pieces.get(at.piece) {
            Some(Piece::Message(message)) if message.piece(next.part).is_some() => next,
            _ => Place {
                piece: at.piece + 1,
                ..Place::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::octets::Octets;

    fn message(octets: Octets) -> Buffer {
        let mut message = Buffer::default();
        *message.octets() = octets;
        message
    }

    #[test]
    fn more_pieces_than_go_in_one_call_leave_in_order() {
        let shared: Arc<[u8]> = vec![b's'; 192].into();
        let mut octets = Octets::default();
        octets.begin(&shared);
        for _ in 0..SLICES {
            octets.push(b"-");
            octets.share(0, 192);
        }
        let whole = octets.to_vec();
        let mut outgoing = Outgoing::default();
        outgoing.push_message(message(octets));
        let mut left = Vec::new();
        for pieces in [SLICES, SLICES, 0] {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let (count, octets) = outgoing.next(usize::MAX, &mut slices);
            assert_eq!(count, pieces);
            slices[..count]
                .iter()
                .for_each(|slice| left.extend_from_slice(slice));
            outgoing.advance(octets);
        }
        assert!(outgoing.is_written() && left == whole);
    }

    #[test]
    fn commands_in_a_row_are_one_piece_and_messages_are_not_copied() {
        let mut outgoing = Outgoing::default();
        outgoing.push(b"MAIL\r\n");
        outgoing.push(b"RCPT\r\n");
        let message = Buffer::from(b"Dear Ada\r\n".to_vec());
        let at = message.piece(0).map(<[u8]>::as_ptr);
        assert_eq!(outgoing.push_message(message), 22);
        let mut slices = [IoSlice::new(&[]); SLICES];
        assert_eq!(outgoing.next(usize::MAX, &mut slices), (2, 22));
        assert_eq!(&*slices[0], b"MAIL\r\nRCPT\r\n");
        assert_eq!(Some(slices[1].as_ptr()), at);
    }

    proptest! {
        #[test]
        fn whatever_is_taken_at_a_time_the_octets_leave_in_order(
            pieces in prop::collection::vec((any::<bool>(), prop::collection::vec((any::<bool>(), 0usize..300), 0..8)), 0..30),
            limits in prop::collection::vec((1usize..900, 1usize..900), 1..20),
        ) {
            let shared: Arc<[u8]> = (0..1_000_u32).map(|n| (n % 251) as u8).collect();
            let mut outgoing = Outgoing::default();
            let mut whole = Vec::new();
            // A message has stretches that are shared, from 192 octets on, and its own between them.
            for (number, (is_message, stretches)) in pieces.iter().enumerate() {
                let mut octets = Octets::default();
                octets.begin(&shared);
                for (stretch, (is_shared, length)) in stretches.iter().enumerate() {
                    let start = (number * 7 + stretch * 31) % 600;
                    match is_shared {
                        true => octets.share(start, start + length),
                        false => octets.push(&shared[start..start + length]),
                    }
                }
                let text = octets.to_vec();
                whole.extend_from_slice(&text);
                let length = match is_message {
                    true => outgoing.push_message(message(octets)),
                    false => outgoing.push(&text),
                };
                prop_assert_eq!(length, whole.len());
            }
            let mut left = Vec::new();
            let mut turns = limits.iter().cycle();
            while !outgoing.is_written() {
                let (limit, taken) = turns.next().copied().unwrap_or((1, 1));
                let mut slices = [IoSlice::new(&[]); SLICES];
                let (count, octets) = outgoing.next(limit, &mut slices);
                prop_assert!(octets <= limit && octets > 0);
                let offered: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                prop_assert_eq!(offered.len(), octets);
                let taken = taken.min(octets);
                left.extend_from_slice(&offered[..taken]);
                outgoing.advance(taken);
                prop_assert_eq!(outgoing.written(), left.len());
            }
            prop_assert_eq!(left, whole);
        }
    }
}
