//! Which addresses (or mailboxes) a file has already named: a set of fingerprints that stays small for millions.
//!
//! Promises: six octets a reader and a tenth more, so that ten million cost about 70 MB. Two addresses
//! are taken for one only when 64 bits of a keyed hash agree: for ten million, once in 400,000 files.

/// Sixteen bits choose the bucket, forty-eight stand in it.
const BUCKETS: usize = 1 << 16;
/// A bucket grows by this many, not by doubling: memory stays near what is used.
const GROWTH: usize = 16;

/// Fingerprints seen so far.
pub struct Seen {
    buckets: Vec<Vec<[u8; 6]>>,
}

impl Seen {
    pub fn new() -> Seen {
        Seen {
            buckets: vec![Vec::new(); BUCKETS],
        }
    }

    /// Notes the address of this hash; false when it was noted before.
    pub fn insert(&mut self, hash: &[u8; 32]) -> bool {
        let (bucket, fingerprint) = place(hash);
        let bucket = &mut self.buckets[bucket];
        match bucket.binary_search(fingerprint) {
            Ok(_) => false,
            Err(place) => {
                if bucket.len() == bucket.capacity() {
                    bucket.reserve_exact(GROWTH);
                }
                bucket.insert(place, *fingerprint);
                true
            }
        }
    }

    /// Whether the address of this hash was noted.
    pub fn holds(&self, hash: &[u8; 32]) -> bool {
        let (bucket, fingerprint) = place(hash);
        self.buckets[bucket].binary_search(fingerprint).is_ok()
    }
}

/// The bucket of a hash, and what stands in it.
fn place(hash: &[u8; 32]) -> (usize, &[u8; 6]) {
    let [a, b, rest @ ..] = hash;
    let fingerprint = rest.first_chunk().expect("30 octets are left");
    (usize::from(u16::from_be_bytes([*a, *b])), fingerprint)
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn an_address_is_new_once() {
        let mut seen = Seen::new();
        let hash = |number: u32| {
            let mut hash = [7; 32];
            // Many in one bucket, in no order.
            hash[2..6].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
            hash
        };
        assert!((0..1000).all(|number| seen.insert(&hash(number))));
        assert!((0..1000).all(|number| !seen.insert(&hash(number))));
        assert!((0..1000).all(|number| seen.holds(&hash(number))));
        assert!(!seen.holds(&hash(1000)));
        let mut other = hash(1);
        other[0] = 8;
        assert!(seen.insert(&other));
    }
}
