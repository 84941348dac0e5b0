//! Chance as an argument: random keys and jitter from the operating system, or from a seed in tests.
//!
//! Promises: keys handed to readers come from a cryptographic generator in either case.

use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::lock::lock;

/// Where the program takes its random numbers from.
#[derive(Clone, Debug)]
pub enum Chance {
    /// The operating system's generator.
    System,
    /// A seeded generator, so that a test sees the same keys every time.
    Seeded(Arc<Mutex<StdRng>>),
}

impl Chance {
    /// A generator that repeats itself for the same `seed`.
    pub fn seeded(seed: u64) -> Chance {
        Chance::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Fills `bytes` with random octets.
    pub fn fill(&self, bytes: &mut [u8]) {
        match self {
            Chance::System => getrandom::fill(bytes)
                .expect("the operating system's generator answers once the machine has booted"),
            Chance::Seeded(generator) => lock(generator).fill_bytes(bytes),
        }
    }

    /// A random key in `1..=i64::MAX`: 63 bits, so that both databases hold it as a positive bigint.
    pub fn key(&self) -> i64 {
        loop {
            let mut bytes = [0; 8];
            self.fill(&mut bytes);
            let key = i64::from_be_bytes(bytes) & i64::MAX;
            if key != 0 {
                return key;
            }
        }
    }

    /// A number in `0.0..1.0`, for jitter.
    pub fn fraction(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}
