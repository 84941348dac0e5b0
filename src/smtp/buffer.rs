//! Buffers of messages, which find their own way home.
//!
//! Promises: whoever drops a [`Buffer`], wherever, gives it back to the pool it came from; what lies there is
//! bounded. A fresh buffer costs more than what is written into it: the system clears its pages first.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::lock;
use crate::octets::Octets;

/// Buffers that wait for their next message.
const SPARE: usize = 128;
/// A buffer that one huge message has grown beyond this is given back to the system.
const SPARE_OCTETS: usize = 256 * 1024;

/// Where the buffers of a relay's messages wait.
#[derive(Debug, Default)]
pub struct Buffers {
    spare: Mutex<Vec<Octets>>,
}

/// The octets of one message.
#[derive(Default)]
pub struct Buffer {
    octets: Octets,
    home: Option<Arc<Buffers>>,
}

impl Buffers {
    /// An empty buffer.
    pub fn take(self: &Arc<Buffers>) -> Buffer {
        Buffer {
            octets: self.spare().pop().unwrap_or_default(),
            home: Some(self.clone()),
        }
    }

    fn give_back(&self, mut octets: Octets) {
        if octets.room() == 0 || octets.room() > SPARE_OCTETS {
            return;
        }
        octets.clear();
        let mut spare = self.spare();
        if spare.len() < SPARE {
            spare.push(octets);
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Octets>> {
        lock(&self.spare)
    }
}

impl Buffer {
    /// What the message is written into.
    pub fn octets(&mut self) -> &mut Octets {
        &mut self.octets
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.give_back(std::mem::take(&mut self.octets));
        }
    }
}

impl Deref for Buffer {
    type Target = Octets;

    fn deref(&self) -> &Octets {
        &self.octets
    }
}

/// A buffer of no pool.
impl From<Vec<u8>> for Buffer {
    fn from(octets: Vec<u8>) -> Buffer {
        Buffer {
            octets: octets.into(),
            home: None,
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} octets)", self.octets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_serves_the_next_message_and_is_empty_by_then() {
        let buffers = Arc::new(Buffers::default());
        let mut first = buffers.take();
        first.octets().push(b"Dear Ada");
        let at = first.piece(0).map(<[u8]>::as_ptr);
        drop(first);
        let mut second = buffers.take();
        assert!(second.is_empty());
        second.octets().push(b"Dear Bob");
        assert_eq!(second.piece(0).map(<[u8]>::as_ptr), at);
    }

    #[test]
    fn what_one_huge_message_has_grown_is_not_kept_and_neither_is_the_thousandth() {
        let buffers = Arc::new(Buffers::default());
        let mut huge = buffers.take();
        huge.octets().push(&[0; SPARE_OCTETS + 1]);
        drop(huge);
        assert!(buffers.spare().is_empty());
        let mut many: Vec<Buffer> = (0..SPARE + 10).map(|_| buffers.take()).collect();
        for buffer in &mut many {
            buffer.octets().push(b"x");
        }
        drop(many);
        assert_eq!(buffers.spare().len(), SPARE);
    }
}
