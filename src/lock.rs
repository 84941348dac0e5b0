//! Mutexes, locked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. One whose holder panicked is locked all the same: what it guards is whole after each statement, and
/// a panic in one task must not stop the others.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
