//! Jobs on their way from leased blocks to connections.
//!
//! Promises: system mails before issues; a job counts as done only when its guard is dropped, which
//! happens after its outcome has been committed; a block is given back when all its jobs are done.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::id::RunId;
use crate::store::leases::Queued;
use crate::store::runs::Run;

/// One delivery to be tried.
#[derive(Debug)]
pub(crate) struct Job {
    pub run: Arc<Run>,
    pub row: Queued,
    pub guard: Guard,
}

/// Keeps a block open while one of its jobs is not settled.
#[derive(Debug)]
pub(crate) struct Guard {
    block: Arc<OpenBlock>,
}

/// A leased block with jobs in memory.
#[derive(Debug)]
struct OpenBlock {
    run: RunId,
    block: u32,
    pending: AtomicUsize,
    done: Arc<Done>,
}

/// Blocks whose jobs are all settled, for the dispatcher to give back.
#[derive(Debug, Default)]
pub(crate) struct Done {
    blocks: Mutex<Vec<(RunId, u32)>>,
    /// Wakes the dispatcher: a block is done, or the queue runs low.
    pub wake: Notify,
}

impl Done {
    /// Takes the blocks that are done.
    pub(crate) fn take(&self) -> Vec<(RunId, u32)> {
        std::mem::take(&mut lock(&self.blocks))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.block.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            lock(&self.block.done.blocks).push((self.block.run, self.block.block));
            self.block.done.wake.notify_one();
        }
    }
}

/// Jobs that wait for a connection.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    filled: Notify,
    done: Arc<Done>,
    low: usize,
}

#[derive(Debug, Default)]
struct Inner {
    system: VecDeque<Job>,
    issues: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// An empty queue that wakes the dispatcher when fewer than `low` jobs wait.
    pub(crate) fn new(done: Arc<Done>, low: usize) -> Queue {
        Queue {
            inner: Mutex::default(),
            filled: Notify::new(),
            done,
            low,
        }
    }

    /// Adds the rows of one leased block.
    pub(crate) fn push_block(&self, run: &Arc<Run>, block: u32, rows: Vec<Queued>) {
        let open = Arc::new(OpenBlock {
            run: run.id(),
            block,
            pending: AtomicUsize::new(rows.len()),
            done: self.done.clone(),
        });
        if rows.is_empty() {
            lock(&self.done.blocks).push((run.id(), block));
            self.done.wake.notify_one();
            return;
        }
        let mut inner = lock(&self.inner);
        let jobs = rows.into_iter().map(|row| Job {
            run: run.clone(),
            row,
            guard: Guard {
                block: open.clone(),
            },
        });
        if run.id() == RunId::SYSTEM {
            inner.system.extend(jobs);
        } else {
            inner.issues.extend(jobs);
        }
        drop(inner);
        self.filled.notify_waiters();
    }

    /// The next job, waiting for one; none once the queue is closed.
    pub(crate) async fn pop(&self) -> Option<Job> {
        loop {
            let filled = self.filled.notified();
            tokio::pin!(filled);
            // Registered before the look, so that a push in between is not missed.
            filled.as_mut().enable();
            match self.try_pop() {
                Some(job) => return Some(job),
                None if lock(&self.inner).closed => return None,
                None => filled.await,
            }
        }
    }

    /// The next job, if one waits.
    pub(crate) fn try_pop(&self) -> Option<Job> {
        let mut inner = lock(&self.inner);
        let job = inner
            .system
            .pop_front()
            .or_else(|| inner.issues.pop_front());
        if inner.issues.len() < self.low {
            self.done.wake.notify_one();
        }
        job
    }

    /// Puts a job back that nothing was decided about.
    pub(crate) fn put_back(&self, job: Job) {
        let mut inner = lock(&self.inner);
        if inner.closed {
            return;
        }
        if job.run.id() == RunId::SYSTEM {
            inner.system.push_front(job);
        } else {
            inner.issues.push_front(job);
        }
        drop(inner);
        self.filled.notify_waiters();
    }

    /// How many jobs of issues wait.
    pub(crate) fn len(&self) -> usize {
        lock(&self.inner).issues.len()
    }

    /// Drops the waiting jobs of runs that `keep` does not name; they stay queued in the ledger.
    pub(crate) fn retain(&self, keep: impl Fn(RunId) -> bool) {
        let mut inner = lock(&self.inner);
        if inner.issues.iter().all(|job| keep(job.run.id())) {
            return;
        }
        let all = std::mem::take(&mut inner.issues);
        let (stay, go): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|job: &Job| keep(job.run.id()));
        inner.issues = stay;
        drop(inner);
        // Their guards may wake the dispatcher: not under the lock.
        drop(go);
    }

    /// Gives nothing out any more; what waits stays queued in the ledger.
    pub(crate) fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.closed = true;
        let left = std::mem::take(&mut inner.system);
        let more = std::mem::take(&mut inner.issues);
        drop(inner);
        drop((left, more));
        self.filled.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
