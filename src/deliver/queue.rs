//! Jobs on their way from leased blocks to connections.
//!
//! Promises: system mails before issues, and one job of each run in turn, so that no run waits for another
//! to end; a job goes only to a relay that may have it (`standing`). A job counts as done only when its
//! guard is dropped, which happens after its outcome has been committed; a block is given back when all
//! its jobs are done.

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::deliver::standing::{Coin, Standing, Turns, Via, Wait};
use crate::id::RunId;
use crate::lock::lock;
use crate::store::leases::Queued;
use crate::store::runs::Run;

/// One delivery to be tried.
#[derive(Debug)]
pub(crate) struct Job {
    pub run: Arc<Run>,
    pub row: Queued,
    /// The relays that may carry it.
    pub via: Via,
    /// Of the relay that has it.
    pub coin: Coin,
    pub guard: Guard,
}

/// Keeps a block open while one of its jobs is not settled.
#[derive(Debug)]
pub(crate) struct Guard {
    block: Arc<OpenBlock>,
    seq: i64,
}

/// A leased block with jobs in memory.
#[derive(Debug)]
struct OpenBlock {
    run: RunId,
    block: u32,
    pending: AtomicUsize,
    /// Whether jobs are added while it is held: those of the open run, and of a run that keeps a pace.
    grows: bool,
    /// The jobs of one that grows that are not settled, by their numbers.
    seqs: Mutex<HashSet<i64>>,
    done: Arc<Done>,
}

/// A leased block that grows, and what of it was in memory at some moment.
pub(crate) struct Held {
    open: Arc<OpenBlock>,
    known: HashSet<i64>,
}

impl Held {
    /// Its number.
    pub(crate) fn block(&self) -> u32 {
        self.open.block
    }

    /// Those of `rows` that were not in memory: read after this was taken, so that what was settled meanwhile is not
    /// tried as it stood.
    pub(crate) fn fresh(&self, mut rows: Vec<Queued>) -> Vec<Queued> {
        rows.retain(|row| !self.known.contains(&row.seq));
        rows
    }
}

impl OpenBlock {
    /// Jobs of `rows` in it, which it counts already.
    fn jobs(
        self: &Arc<OpenBlock>,
        run: &Arc<Run>,
        via: Via,
        rows: Vec<Queued>,
    ) -> impl Iterator<Item = Job> {
        if self.grows {
            lock(&self.seqs).extend(rows.iter().map(|row| row.seq));
        }
        rows.into_iter().map(move |row| Job {
            run: run.clone(),
            via,
            coin: Coin::default(),
            guard: Guard {
                block: self.clone(),
                seq: row.seq,
            },
            row,
        })
    }
}

/// Which blocks have jobs in memory, and which are done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    blocks: Mutex<Blocks>,
    /// Wakes the dispatcher: a block is done, or the queue runs low.
    pub wake: Notify,
}

#[derive(Debug, Default)]
struct Blocks {
    /// Some of their jobs are not settled.
    open: HashSet<(RunId, u32)>,
    /// All of their jobs are settled: for the dispatcher to give back.
    done: Vec<(RunId, u32)>,
}

impl Done {
    /// Takes the blocks that are done.
    pub(crate) fn take(&self) -> Vec<(RunId, u32)> {
        std::mem::take(&mut lock(&self.blocks).done)
    }

    /// Puts done blocks back that could not be given back.
    pub(crate) fn put_back(&self, run: RunId, blocks: &[u32]) {
        let mut held = lock(&self.blocks);
        held.done.extend(blocks.iter().map(|&block| (run, block)));
    }

    /// Whether this block is held: jobs of it are in memory, or it is still to be given back.
    pub(crate) fn has(&self, run: RunId, block: u32) -> bool {
        let blocks = lock(&self.blocks);
        blocks.open.contains(&(run, block)) || blocks.done.contains(&(run, block))
    }

    /// Whether jobs of this block are in memory. A node whose lease ended without its knowing may be given a block
    /// again of which it has jobs still: to load it as well would make two of one delivery.
    pub(crate) fn is_open(&self, run: RunId, block: u32) -> bool {
        lock(&self.blocks).open.contains(&(run, block))
    }

    fn open(&self, run: RunId, block: u32) {
        lock(&self.blocks).open.insert((run, block));
    }

    fn close(&self, run: RunId, block: u32) {
        let mut blocks = lock(&self.blocks);
        blocks.open.remove(&(run, block));
        blocks.done.push((run, block));
        drop(blocks);
        self.wake.notify_one();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.block.grows {
            lock(&self.block.seqs).remove(&self.seq);
        }
        if self.block.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.block.done.close(self.block.run, self.block.block);
        }
    }
}

/// Jobs that wait for a connection.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    relays: Vec<Arc<Standing>>,
    /// Something changed for those who wait: a job came, a relay failed or came back, a budget was filled.
    changed: Notify,
    done: Arc<Done>,
    low: usize,
}

#[derive(Debug, Default)]
struct Inner {
    system: Option<Line>,
    /// Whose turn is next stands first.
    runs: VecDeque<Line>,
    turns: Turns,
    /// Blocks that grow, and perhaps some that are done.
    growing: Vec<Weak<OpenBlock>>,
    closed: bool,
}

/// The jobs of one run.
#[derive(Debug)]
struct Line {
    run: RunId,
    via: Via,
    jobs: VecDeque<Job>,
}

impl Queue {
    /// An empty queue for `relays`, that wakes the dispatcher when fewer than `low` jobs wait.
    pub(crate) fn new(done: Arc<Done>, relays: Vec<Arc<Standing>>, low: usize) -> Queue {
        Queue {
            inner: Mutex::default(),
            relays,
            changed: Notify::new(),
            done,
            low,
        }
    }

    /// Adds the rows of one leased block, which may go through the relays of `via`. The block is not
    /// open.
    pub(crate) fn push_block(&self, run: &Arc<Run>, via: Via, block: u32, rows: Vec<Queued>) {
        let open = Arc::new(OpenBlock {
            run: run.id(),
            block,
            pending: AtomicUsize::new(rows.len()),
            grows: run.id() == RunId::SYSTEM || run.is_paced(),
            seqs: Mutex::default(),
            done: self.done.clone(),
        });
        if rows.is_empty() {
            return self.done.close(run.id(), block);
        }
        self.done.open(run.id(), block);
        let jobs = open.jobs(run, via, rows);
        let mut inner = lock(&self.inner);
        inner.line(run.id(), via).jobs.extend(jobs);
        if open.grows {
            inner.growing.retain(|block| block.strong_count() > 0);
            inner.growing.push(Arc::downgrade(&open));
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// The blocks of `run` that are held and grow.
    pub(crate) fn held(&self, run: RunId) -> Vec<Held> {
        let inner = lock(&self.inner);
        let open = inner.growing.iter().filter_map(Weak::upgrade);
        let held = |open: Arc<OpenBlock>| {
            let known = lock(&open.seqs).clone();
            Held { open, known }
        };
        open.filter(|open| open.run == run).map(held).collect()
    }

    /// Adds `rows` to a block while it is held, of which they are [`Held::fresh`]. Nothing, if the block is done by now.
    pub(crate) fn push_new(&self, run: &Arc<Run>, via: Via, held: &Held, rows: Vec<Queued>) {
        let more = |pending| (pending > 0).then_some(pending + rows.len());
        let pending = &held.open.pending;
        if rows.is_empty()
            || pending
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
                .is_err()
        {
            return;
        }
        let jobs = held.open.jobs(run, via, rows);
        let mut inner = lock(&self.inner);
        inner.line(run.id(), via).jobs.extend(jobs);
        drop(inner);
        self.changed.notify_waiters();
    }

    /// The next job that `relay` may have, waiting for one; none once the queue is closed.
    pub(crate) async fn pop(&self, relay: usize) -> Option<Job> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a change in between is not missed.
            changed.as_mut().enable();
            let wait = match self.take(relay) {
                Ok(job) => return Some(job),
                Err(_) if lock(&self.inner).closed => return None,
                Err(wait) => wait,
            };
            match wait {
                Wait::Change => changed.await,
                Wait::For(time) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep(time) => {}
                },
            }
        }
    }

    /// The next job that `relay` may have now.
    pub(crate) fn try_pop(&self, relay: usize) -> Option<Job> {
        self.take(relay).ok()
    }

    fn take(&self, relay: usize) -> Result<Job, Wait> {
        let mut inner = lock(&self.inner);
        let inner = &mut *inner;
        let mut wait = Wait::Change;
        let now = Instant::now();
        let given = Cell::new(Coin::default());
        let mut may = |line: &Line| match self.may(&mut inner.turns, relay, line, now) {
            Ok(coin) => {
                given.set(coin);
                true
            }
            Err(other) => {
                wait = wait.min(other);
                false
            }
        };
        let system = inner.system.iter_mut().find(|line| may(line));
        if let Some(mut job) = system.and_then(|line| line.jobs.pop_front()) {
            job.coin = given.take();
            return Ok(job);
        }
        let Some(index) = inner.runs.iter().position(may) else {
            if inner.runs.is_empty() {
                self.done.wake.notify_one();
            }
            return Err(wait);
        };
        // The next turn is another run's.
        let mut line = inner.runs.remove(index).ok_or(Wait::Change)?;
        let mut job = line.jobs.pop_front().ok_or(Wait::Change)?;
        job.coin = given.take();
        // Once on the way down: where no more can be had, each job of the rest would ask for it again.
        let left = line.jobs.len();
        if left == 0 || left + 1 == self.low / (inner.runs.len() + 1) {
            self.done.wake.notify_one();
        }
        if !line.jobs.is_empty() {
            inner.runs.push_back(line);
        }
        Ok(job)
    }

    /// Whether `relay` may take a job of `line` now; then its turn is counted.
    fn may(
        &self,
        turns: &mut Turns,
        relay: usize,
        line: &Line,
        now: Instant,
    ) -> Result<Coin, Wait> {
        if line.jobs.is_empty() {
            return Err(Wait::Change);
        }
        turns.take(&self.relays, relay, line.run, line.via, now)
    }

    /// Puts a job back that nothing was decided about; `relay` had taken it.
    pub(crate) fn put_back(&self, relay: usize, job: Job) {
        self.put(relay, job, VecDeque::push_front);
    }

    /// The same behind the others of its run: it is not to keep them waiting.
    pub(crate) fn put_behind(&self, relay: usize, job: Job) {
        self.put(relay, job, VecDeque::push_back);
    }

    fn put(&self, relay: usize, mut job: Job, place: fn(&mut VecDeque<Job>, Job)) {
        job.coin = Coin::default();
        let mut inner = lock(&self.inner);
        inner.turns.give_back(relay);
        if inner.closed {
            return;
        }
        place(&mut inner.line(job.run.id(), job.via).jobs, job);
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Domains of those whose jobs wait, up to so many of the `wanted` ones, each once.
    pub(crate) fn domains(&self, wanted: impl Fn(&str) -> bool, most: usize) -> Vec<String> {
        let inner = lock(&self.inner);
        let lines = inner.system.iter().chain(&inner.runs);
        let mut found = Vec::new();
        for job in lines.flat_map(|line| &line.jobs) {
            if found.len() >= most {
                break;
            }
            let domain = job.row.address.rsplit_once('@');
            let domain = domain.map(|(_, domain)| domain.to_ascii_lowercase());
            if let Some(domain) = domain.filter(|domain| wanted(domain))
                && !found.contains(&domain)
            {
                found.push(domain);
            }
        }
        found
    }

    /// Lets those who wait look again.
    pub(crate) fn look_again(&self) {
        self.changed.notify_waiters();
    }

    /// How many jobs of `run` wait.
    pub(crate) fn len(&self, run: RunId) -> usize {
        let inner = lock(&self.inner);
        let mut lines = inner.runs.iter().chain(&inner.system);
        let line = lines.find(|line| line.run == run);
        line.map_or(0, |line| line.jobs.len())
    }

    /// Drops the waiting jobs of runs that `keep` does not name; they stay queued in the ledger.
    pub(crate) fn retain(&self, keep: impl Fn(RunId) -> bool) {
        let mut inner = lock(&self.inner);
        let mut lines = inner.system.iter().chain(&inner.runs);
        if lines.all(|line| keep(line.run)) {
            return;
        }
        let all = std::mem::take(&mut inner.runs);
        let (stay, mut go): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|line: &Line| keep(line.run));
        inner.runs = stay;
        go.extend(inner.system.take_if(|line| !keep(line.run)));
        drop(inner);
        // Their guards may wake the dispatcher: not under the lock.
        drop(go);
    }

    /// Drops what waits of the block of `job`; it stays queued in the ledger.
    pub(crate) fn forget(&self, job: &Job) {
        let (run, block) = (job.guard.block.run, job.guard.block.block);
        let mut inner = lock(&self.inner);
        let inner = &mut *inner;
        let mut lines = inner.runs.iter_mut().chain(&mut inner.system);
        let Some(line) = lines.find(|line| line.run == run) else {
            return;
        };
        let all = std::mem::take(&mut line.jobs);
        let (go, stay): (VecDeque<_>, VecDeque<_>) = all
            .into_iter()
            .partition(|job| job.guard.block.block == block);
        line.jobs = stay;
        inner.runs.retain(|line| !line.jobs.is_empty());
        // The guard of `job` holds the block, so the dispatcher is woken by none of these.
        drop(go);
    }

    /// Gives nothing out any more; what waits stays queued in the ledger.
    pub(crate) fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.closed = true;
        let left = inner.system.take();
        let more = std::mem::take(&mut inner.runs);
        drop(inner);
        drop((left, more));
        self.changed.notify_waiters();
    }
}

impl Inner {
    /// The line of `run`; one that comes anew stands last.
    fn line(&mut self, run: RunId, via: Via) -> &mut Line {
        let new = || Line {
            run,
            via,
            jobs: VecDeque::new(),
        };
        if run == RunId::SYSTEM {
            return self.system.get_or_insert_with(new);
        }
        let index = match self.runs.iter().position(|line| line.run == run) {
            Some(index) => index,
            None => {
                self.runs.push_back(new());
                self.runs.len() - 1
            }
        };
        &mut self.runs[index]
    }
}
