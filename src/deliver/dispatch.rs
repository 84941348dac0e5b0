//! The dispatcher: freezes, leases blocks, fills the queue, gives blocks back, finishes runs, and keeps
//! the leases and the heartbeat alive.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::app::App;
use crate::clock::{Timestamp, uptime};
use crate::config::privacy::Tracking;
use crate::deliver::keys::Signing;
use crate::deliver::stages::Watched;
use crate::deliver::starter::Clocks;
use crate::deliver::teller::Telling;
use crate::deliver::trouble::Trouble;
use crate::deliver::{Engine, guard};
use crate::id::{DeliveryKey, RunId};
use crate::run::seal;
use crate::status::RunStatus;
use crate::store::StoreError;
use crate::store::relays::RelayState;
use crate::store::runs::{Frozen, Run};

mod round;

/// A change made by another process (pause, cancel, a new run) is seen within this time.
const TICK: Duration = Duration::from_millis(200);
/// Recipients frozen in one transaction: a step stays well under 50 ms.
const FREEZE_STEP: u32 = 4096;
/// Blocks leased at a time, at most.
const LEASES: u32 = 4;
/// The heartbeat of the generation guard.
const BEAT: Duration = Duration::from_secs(30);

/// What the dispatcher remembers between two rounds.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) runs: HashMap<RunId, Arc<Run>>,
    /// Issue runs at the last heartbeat.
    under_way: HashSet<RunId>,
    told: Option<Trouble>,
    states: Vec<RelayState>,
    beat: Option<Instant>,
    /// When it was last looked for runs of which somebody cancelled a part.
    swept: Option<Instant>,
    /// The wall clock at the last round, which shows a sleep that no other clock does, and the machine's own, which shows
    /// that the wall clock was set.
    awake: Option<(Timestamp, Duration)>,
    /// The wall clock and the machine's own: they show one that was set.
    clocks: Clocks,
    /// When it was looked at the others and the database's clock, and by how much ours was told to be ahead of it.
    heard: Option<Instant>,
    ahead: i64,
    watched: Watched,
    telling: Telling,
    standing: Standing,
    pub(super) signing: Signing,
    /// The disk was full at the last round.
    full: bool,
    /// The store's fault was told, or the guard's.
    failing: bool,
    unguarded: bool,
}

/// What is known of the database that a sender found: an older one than this machine remembers must not be sent from.
#[derive(Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Unknown,
    Newest,
    /// Told to the log.
    Older,
}

impl Engine {
    /// Works until the engine is told to stop. Faults of the store are waited out.
    pub(super) async fn dispatch(&self) -> anyhow::Result<()> {
        let mut memory = Memory {
            ahead: self.shared.app.clock.ahead(),
            ..Memory::default()
        };
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut renewed = Instant::now();
        let lease = self.shared.app.config.send.lease;
        while !self.shared.is_stopped() {
            if renewed.elapsed() > lease / 4 {
                renewed = Instant::now();
                self.renew().await?;
            }
            match self.round(&mut memory).await {
                Ok(()) if memory.failing => {
                    memory.failing = false;
                    tracing::info!("the store can be used again");
                }
                Ok(()) => {}
                // Five lines a second would fill what is left of a full disk.
                Err(error) if !memory.failing => {
                    memory.failing = true;
                    tracing::error!(%error, "the store cannot be used; nothing is taken up until it can");
                }
                Err(_) => {}
            }
            tokio::select! {
                _ = tick.tick() => {}
                () = self.shared.done.wake.notified() => {}
                () = self.shared.stopped() => {}
            }
        }
        let trouble = self.shared.trouble();
        self.tell_author(&mut memory.telling, &[], trouble.as_ref(), true)
            .await;
        self.tell(&mut memory, None).await;
        Ok(())
    }

    async fn renew(&self) -> anyhow::Result<()> {
        let app = &self.shared.app;
        match app
            .store
            .renew_leases(&self.node, self.boot, app.config.send.lease)
            .await
        {
            Ok(true) => {}
            Ok(false) => anyhow::bail!(
                "another process sends as node `{}`; set `send.node` to a name of its own on each",
                self.node
            ),
            Err(error) => tracing::error!(%error, "the leases could not be renewed"),
        }
        if let Err(error) = self.give_back_unknown().await {
            tracing::error!(%error, "it could not be asked which blocks are leased");
        }
        if !app.store.is_sqlite()
            && let Err(error) = self.reap().await
        {
            tracing::error!("dead senders could not be looked for: {error:#}");
        }
        Ok(())
    }

    /// One step of a freeze; the rest follows in the next rounds, so that a stop is heard in between.
    async fn freeze(&self, run: &Run) -> Result<(), StoreError> {
        let app = &self.shared.app;
        self.find_local_hours(run).await?;
        if app.config.privacy.tracking == Tracking::Anonymous {
            let now = app.clock.now();
            app.store.name_nobody(run.id(), &app.chance, now).await?;
        }
        let until = Instant::now() + TICK;
        loop {
            match app
                .store
                .freeze_some(run.id(), FREEZE_STEP, app.clock.now())
                .await?
            {
                Frozen::Some(_) if Instant::now() < until => {}
                Frozen::Some(_) => break,
                Frozen::All(_) | Frozen::Not => break,
            }
        }
        self.shared.done.wake.notify_one();
        Ok(())
    }

    /// Keeps the queue filled from one run of so many that are `sending`; finishes it when nothing is left.
    async fn feed(&self, run: &Arc<Run>, sending: usize, now: Timestamp) -> Result<(), StoreError> {
        let shared = &self.shared;
        let app = &shared.app;
        let system = run.id() == RunId::SYSTEM;
        let Some(via) = shared.via(run) else {
            return self.leave_to_others(run).await;
        };
        let wanted = ((shared.connections() * 16) / sending.max(1)).max(512);
        if shared.stands_still(via) && shared.queue.len(run.id()) > 0 {
            return Ok(());
        }
        if run.is_paced() {
            return self.feed_paced(run, via, wanted, now).await;
        }
        if system && shared.queue.len(run.id()) == 0 {
            // New mails are numbered into blocks that are held: one that takes its time keeps none of them waiting.
            for held in shared.queue.held(run.id()) {
                let rows = app.store.load_block(run.id(), held.block(), now).await?;
                shared.queue.push_new(run, via, &held, held.fresh(rows));
            }
        }
        while system || shared.queue.len(run.id()) < wanted {
            let lease = app.config.send.lease;
            let limit = self.blocks_for(wanted.saturating_sub(shared.queue.len(run.id())));
            let blocks = app
                .store
                .lease_blocks(run.id(), &self.node, self.boot, lease, limit, now)
                .await?;
            if blocks.is_empty() {
                return self.finish(run).await;
            }
            for block in blocks {
                if shared.done.is_open(run.id(), block) {
                    continue;
                }
                // A block that cannot be read now is given back with no job done.
                let rows = app.store.load_block(run.id(), block, now).await;
                let failed = rows.as_ref().err().map(ToString::to_string);
                shared
                    .queue
                    .push_block(run, via, block, rows.unwrap_or_default());
                if let Some(error) = failed {
                    tracing::error!(error, run.id = run.id, "a block could not be read");
                }
            }
            if system {
                break;
            }
        }
        Ok(())
    }

    /// How many blocks to lease for so many jobs: what one node hoards, the others cannot send.
    fn blocks_for(&self, jobs: usize) -> u32 {
        if self.shared.app.store.is_sqlite() {
            return LEASES;
        }
        let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
        jobs.div_ceil(DeliveryKey::BLOCK).clamp(1, LEASES)
    }

    /// Finishes a run in which nothing is left to be done.
    pub(super) async fn finish(&self, run: &Run) -> Result<(), StoreError> {
        if run.status != RunStatus::Sending {
            return Ok(());
        }
        let app = &self.shared.app;
        let counts = app.store.counts(run.id()).await?;
        if !counts.finished() || self.shared.is_refused_at_the_end(run).await {
            return Ok(());
        }
        seal::end(app, run, counts.sent + counts.uncertain).await?;
        if app.store.finish_run(run.id(), app.clock.now()).await? {
            tracing::info!(run.id = run.id, "the run is finished");
            return Ok(());
        }
        let fresh = app.store.run(run.id()).await?;
        let still = fresh
            .as_ref()
            .is_some_and(|run| run.status == RunStatus::Sending);
        let counts = app.store.counts(run.id()).await?;
        if still && counts.finished() && fresh.is_some_and(|run| run.recipients != counts.total()) {
            let why = "the ledger does not balance; run `pressrun verify` and keep the database";
            app.store
                .set_run_status(
                    run.id(),
                    RunStatus::Sending,
                    RunStatus::Held,
                    Some(why),
                    app.clock.now(),
                )
                .await?;
        }
        Ok(())
    }

    /// Whether nothing may be sent now: the database is older than it should be, which is asked when a sender or a run
    /// begins and until it is settled, or time has jumped under a run. What is under way is held then.
    async fn is_doubtful(&self, memory: &mut Memory, now: Timestamp) -> bool {
        let app = &self.shared.app;
        let up = uptime();
        let (awake, was_up) = memory.awake.replace((now, up)).unwrap_or((now, up));
        let runs = || memory.runs.values().filter(|run| run.id() != RunId::SYSTEM);
        let begins = runs().any(|run| !memory.under_way.contains(&run.id()));
        // Mails of the open run are in an old copy, too: nothing is fed while it is not known for the newest.
        let asked = begins || memory.standing != Standing::Newest;
        let why = match asked {
            true => self.generation.older(&app.store).await,
            false if memory.under_way.is_empty() => Ok(None),
            false => Ok(guard::gone(now, awake, up.saturating_sub(was_up))),
        };
        let why = match why {
            Ok(None) => {
                memory.standing = Standing::Newest;
                return false;
            }
            Ok(Some(why)) => why,
            Err(error) => {
                if !std::mem::replace(&mut memory.unguarded, true) {
                    tracing::error!("the generation guard cannot be asked: {error:#}");
                }
                return true;
            }
        };
        for run in runs() {
            let held =
                app.store
                    .set_run_status(run.id(), run.status, RunStatus::Held, Some(&why), now);
            if let Err(error) = held.await {
                tracing::error!(%error, run.id = run.id, "the run could not be held");
            }
        }
        self.shared.retain(|id| !asked && id == RunId::SYSTEM);
        if asked && memory.standing != Standing::Older {
            memory.standing = Standing::Older;
            tracing::error!("nothing is sent: {why}; `pressrun resume --yes` goes on");
        }
        memory.under_way.clear();
        true
    }

    async fn beat(&self, memory: &mut Memory) {
        let app = &self.shared.app;
        let under_way: HashSet<RunId> = memory
            .runs
            .keys()
            .copied()
            .filter(|&id| id != RunId::SYSTEM)
            .collect();
        let changed = under_way != memory.under_way;
        memory.under_way = under_way;
        let due = memory.beat.is_none_or(|beat| beat.elapsed() > BEAT);
        if !changed && (memory.under_way.is_empty() || !due) {
            return;
        }
        memory.beat = Some(Instant::now());
        let beaten = async {
            self.generation.beat(app).await?;
            if memory.under_way.is_empty() {
                self.generation.rest(app).await?;
            }
            anyhow::Ok(())
        };
        match beaten.await {
            Ok(()) => memory.unguarded = false,
            Err(error) if !memory.unguarded => {
                memory.unguarded = true;
                tracing::error!("the generation guard cannot be kept: {error:#}");
            }
            Err(_) => {}
        }
    }

    /// Tells other processes which relays fail, when that changes.
    async fn tell(&self, memory: &mut Memory, trouble: Option<Trouble>) {
        let app: &App = &self.shared.app;
        let states = match self.shared.is_stopped() {
            true => Vec::new(),
            false => self.shared.relay_states(),
        };
        if memory.states != states {
            let now = app.clock.now();
            if app
                .store
                .tell_relays(&self.node, &states, now)
                .await
                .is_ok()
            {
                memory.states = states;
            }
        }
        if memory.told == trouble {
            return;
        }
        let text = trouble.as_ref().map(Trouble::to_json);
        let told = app.store.tell_trouble(self.boot, text.as_deref());
        if told.await.is_ok() {
            memory.told = trouble;
        }
    }
}
