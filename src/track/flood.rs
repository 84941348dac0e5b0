//! How the fold makes room for those who store: SQLite has one writer for both.
//!
//! Promises: what could be counted in time is; in a flood, storing comes before counting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Events of one piece: a transaction of a few milliseconds.
pub(super) const PIECE: usize = 500;
/// Events of one piece while events pour in.
const SMALL_PIECE: usize = 64;
/// Events stored a second that leave the fold the least room: more than it could ever count.
const FLOOD: f64 = 20_000.0;
/// In a flood, a rest is so many times as long as the piece before it took.
const REST: f64 = 8.0;

/// How fast events are stored while others are counted.
#[derive(Debug)]
pub(super) struct Flood {
    stored: Arc<AtomicU64>,
    /// How many were stored at the last look, and when that was.
    seen: (u64, Instant),
    /// From 0, a calm, to 1.
    height: f64,
}

impl Flood {
    /// Beside a writer that raises `stored` with every event.
    pub(super) fn beside(stored: Arc<AtomicU64>) -> Flood {
        Flood {
            seen: (stored.load(Ordering::Relaxed), Instant::now()),
            stored,
            height: 0.0,
        }
    }

    /// A tenth of a flood is none yet.
    fn is_calm(&self) -> bool {
        self.height < 0.01
    }

    /// Events of the next piece.
    pub(super) fn piece(&self) -> usize {
        if !self.is_calm() { SMALL_PIECE } else { PIECE }
    }

    /// After a piece that took `took`: leaves the database to those who store. The rest grows with the square of
    /// their rate, so that what could be counted in time is.
    pub(super) async fn rest(&mut self, took: Duration) {
        let (stored, now) = (self.stored.load(Ordering::Relaxed), Instant::now());
        let (before, looked) = self.seen;
        self.seen = (stored, now);
        let rate = (stored - before) as f64 / (now - looked).as_secs_f64().max(1e-3);
        self.height = (rate / FLOOD).min(1.0).powi(2);
        if !self.is_calm() {
            sleep(took.mul_f64(REST * self.height)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{Flood, PIECE, SMALL_PIECE};

    const TOOK: Duration = Duration::from_millis(5);

    /// A piece beside which so many events are stored; gives how long the rest behind it is.
    async fn piece(flood: &mut Flood, stored: &AtomicU64, events: u64) -> Duration {
        advance(TOOK).await;
        stored.fetch_add(events, Ordering::Relaxed);
        let from = Instant::now();
        flood.rest(TOOK).await;
        from.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_fold_rests_in_a_flood_a_little_before_one_and_not_in_a_calm() {
        let stored = Arc::new(AtomicU64::new(0));
        let mut flood = Flood::beside(Arc::clone(&stored));
        assert_eq!(piece(&mut flood, &stored, 5).await, Duration::ZERO);
        assert_eq!(flood.piece(), PIECE, "a thousand a second");
        let high = piece(&mut flood, &stored, 500).await;
        assert_eq!(flood.piece(), SMALL_PIECE);
        assert_eq!(high, TOOK * 8);
        // Twenty a millisecond since the last look, half of it in the rest: 5,000 a second.
        let less = piece(&mut flood, &stored, 225).await;
        assert!(Duration::ZERO < less && less < TOOK, "{less:?}");
        assert_eq!(piece(&mut flood, &stored, 0).await, Duration::ZERO);
        assert_eq!(flood.piece(), PIECE, "it is over");
    }
}
