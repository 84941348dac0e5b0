//! The fold: counts what stands in the event log, a fraction of a second behind it.
//!
//! Promises: every event is counted once, whoever else folds and wherever the program is killed; what was judged by
//! older rules is judged again from the log, and stays as it was where events of it are forgotten. A batch is sorted
//! by delivery and written in pieces, so that the one writer of SQLite is never held long. Leaves the room that it
//! makes for those who store to `flood`, the verdicts to `event::score`, and the shares to `stats::tally`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::clock::{Clock, Timestamp};
use crate::event::EventKind;
use crate::event::score::{JUDGED, RULES, Witness};
use crate::id::{DeliveryKey, RunId};
use crate::rollout::provider;
use crate::stats::tally::{reader_counted, share, share_of_withdrawn};
use crate::store::events::earliest_of;
use crate::store::folds::{BlockGain, Facts, Folded, JudgedRow, Logged, Position};
use crate::store::{Result, Store};
use crate::track::flood::{Flood, PIECE};
use crate::track::parts::{self, LookBack};
use crate::trial::Trial;

/// Events of one batch: so many are held in memory, and so many are sorted, so that neighbours are written together.
const BATCH: u32 = 20_000;
/// How far behind the log counters may be while events come.
const BEHIND: Duration = Duration::from_millis(400);
/// How often the parts of the runs under way are looked at.
const PARTS: Duration = Duration::from_secs(5);
/// How long an event may wait to be counted before the numbers are not whole: by far longer than those two.
const LATE: Duration = Duration::from_secs(10);
/// After a fault of the database.
const AGAIN: Duration = Duration::from_secs(2);
/// While another process folds.
const OTHERS: Duration = Duration::from_millis(20);

/// What one step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Something was done, and more may be left.
    Done,
    /// Another process moved first.
    Taken,
    /// Nothing is left.
    Idle,
}

/// Counts everything that is in the log now.
pub async fn catch_up(store: &Store) -> Result<()> {
    catch_up_beside(store, &mut Flood::beside(Arc::default())).await
}

async fn catch_up_beside(store: &Store, flood: &mut Flood) -> Result<()> {
    let end = store.log_end().await?;
    let mut folder = Folder::new(store.clone(), flood).await?;
    loop {
        let position = store.fold_position().await?;
        if position.folded >= end && position.rules >= RULES {
            return Ok(());
        }
        match folder.step(position).await? {
            Step::Done => {}
            Step::Taken => sleep(OTHERS).await,
            Step::Idle => return Ok(()),
        }
    }
}

/// Whether every event is counted, but what came within the last seconds, and judged by the rules of today.
pub async fn is_whole(store: &Store, now: Timestamp) -> Result<bool> {
    let position = store.fold_position().await?;
    if position.rules < RULES {
        return Ok(false);
    }
    let first = store.batch_end(position.folded, 1).await?;
    Ok(first.is_none_or(|first| earliest_of(first) > now.before(LATE)))
}

/// Whether what was judged by older rules is to be judged again, which takes long where much is.
pub async fn is_to_judge_again(store: &Store) -> Result<bool> {
    let position = store.fold_position().await?;
    Ok(position.rules.abs() <= RULES && position.rules != RULES && position.folded > 0)
}

/// Judges every event again by the rules of this program. The numbers are incomplete until it returns.
pub async fn judge_again(store: &Store) -> Result<()> {
    loop {
        let before = store.fold_position().await?;
        if before.rules.abs() > RULES {
            return Ok(());
        }
        let after = Position { rules: 0, ..before };
        if store.move_fold(&before, &after).await? {
            return catch_up(store).await;
        }
        sleep(OTHERS).await;
    }
}

/// Folds whenever it is woken, until nobody can wake it any more; what waits then is counted, too.
/// `stored` rises with every event that is stored beside it.
pub(super) async fn keep(
    store: Store,
    clock: Clock,
    mut wake: mpsc::Receiver<()>,
    stored: Arc<AtomicU64>,
) {
    let mut looked = Instant::now();
    let mut flood = Flood::beside(stored);
    let mut back = LookBack::default();
    loop {
        let woken = timeout(PARTS, wake.recv()).await;
        let mut ended = woken == Ok(None);
        if woken == Ok(Some(())) {
            // More come, and are counted with it.
            let until = Instant::now() + BEHIND;
            while let Ok(woken) = timeout_at(until, wake.recv()).await {
                ended = woken.is_none();
                if ended {
                    break;
                }
            }
        }
        let mut done = catch_up_beside(&store, &mut flood).await;
        if ended {
            if let Err(error) = done {
                tracing::error!(%error, "the last events are counted at the next start");
            }
            return;
        }
        if done.is_ok() && looked.elapsed() >= PARTS {
            looked = Instant::now();
            done = parts::catch_up(&store, None, clock.now()).await;
        }
        if done.is_ok() {
            done = back.step(&store, clock.now()).await;
        }
        if let Err(error) = done {
            tracing::warn!(%error, "the event log waits to be counted");
            sleep(AGAIN).await;
        }
    }
}

struct Folder<'a> {
    store: Store,
    flood: &'a mut Flood,
    /// No event that is forgotten came after this.
    forgotten: Option<Timestamp>,
    runs: HashMap<RunId, Known>,
}

/// What judging must know of a run.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Below which number its deliveries took part in its subject test; none without one.
    test: Option<i64>,
    /// Every event of it is there still: what was counted can be taken back and counted anew.
    whole: bool,
}

impl Folder<'_> {
    async fn new(store: Store, flood: &mut Flood) -> Result<Folder<'_>> {
        Ok(Folder {
            forgotten: store.events_forgotten_to().await?,
            store,
            flood,
            runs: HashMap::new(),
        })
    }

    async fn step(&mut self, position: Position) -> Result<Step> {
        if position.rules.abs() > RULES {
            // A newer program has judged: its rules hold.
            return Ok(Step::Idle);
        }
        if position.rules == -RULES {
            return self.judge_next(position).await;
        }
        if position.folded < position.upto {
            return self.finish(position).await;
        }
        if position.rules != RULES {
            let after = Position {
                rules: -RULES,
                run_id: 0,
                seq: -1,
                ..position
            };
            let kept = self.forgotten;
            let begun = self.store.forget_tallies(&position, &after, kept).await?;
            return Ok(if begun { Step::Done } else { Step::Taken });
        }
        let end = self.store.batch_end(position.folded, BATCH).await?;
        let Some(upto) = end else {
            return Ok(Step::Idle);
        };
        let after = Position {
            upto,
            run_id: 0,
            seq: -1,
            ..position
        };
        match self.store.move_fold(&position, &after).await? {
            true => self.finish(after).await,
            false => Ok(Step::Taken),
        }
    }

    /// Counts what is left of the open batch.
    async fn finish(&mut self, mut position: Position) -> Result<Step> {
        let logged = self.store.logged(position.folded, position.upto).await?;
        let key = |logged: &Logged| {
            let key = logged.event.delivery;
            (key.run.0, i64::from(key.seq))
        };
        let done = logged.partition_point(|event| key(event) <= (position.run_id, position.seq));
        let mut rest = &logged[done..];
        while let Some(first) = rest.first() {
            let began = Instant::now();
            let run = first.event.delivery.run;
            let mut end = rest.partition_point(|event| event.event.delivery.run == run);
            let most = self.flood.piece();
            if end > most {
                // A delivery's events stay together.
                let last = rest[most - 1].event.delivery;
                end = rest.partition_point(|event| event.event.delivery <= last);
            }
            let (piece, behind) = rest.split_at(end);
            let folded = self.piece(run, piece).await?;
            let (run_id, seq) = key(&piece[end - 1]);
            let after = Position {
                run_id,
                seq,
                ..position
            };
            if !self.store.fold(&position, &after, &folded).await? {
                return Ok(Step::Taken);
            }
            (position, rest) = (after, behind);
            self.flood.rest(began.elapsed()).await;
        }
        let after = Position {
            folded: position.upto,
            run_id: 0,
            seq: -1,
            ..position
        };
        let closed = self.store.move_fold(&position, &after).await?;
        Ok(if closed { Step::Done } else { Step::Taken })
    }

    /// What the events of a piece come to, all of them of `run` and by delivery.
    async fn piece(&mut self, run: RunId, piece: &[Logged]) -> Result<Folded> {
        let mut seqs: Vec<u32> = piece.iter().map(|event| event.event.delivery.seq).collect();
        seqs.dedup();
        let facts = self.store.delivery_facts(run, &seqs).await?;
        let known = self.known(run).await?;
        let judged = |seq: &u32| facts.get(seq).is_some_and(|facts| facts.provider.is_some());
        seqs.retain(|seq| known.whole && judged(seq));
        let mut earlier: HashMap<u32, Vec<Logged>> = HashMap::new();
        if !seqs.is_empty() {
            for event in self.store.folded_events(run, &seqs, JUDGED).await? {
                let seq = event.event.delivery.seq;
                earlier.entry(seq).or_default().push(event);
            }
        }
        let mut folded = Folded::new(run);
        for events in piece.chunk_by(|one, other| one.event.delivery == other.event.delivery) {
            let key = events[0].event.delivery;
            let Some(facts) = facts.get(&key.seq) else {
                // Pruned, or of a database restored to an earlier day: the events stay and move no number.
                let index = events.iter().map(|event| (key.seq, event.id, event.after));
                folded.index.extend(index);
                continue;
            };
            let mut events = events.to_vec();
            for event in &mut events {
                let settled = facts.settled_at;
                let since = settled.map(|at| event.event.at.seconds() - at.seconds());
                event.after = event.after.or(since);
                folded.index.push((key.seq, event.id, event.after));
            }
            count(&mut folded, key, facts, &events);
            let provider = provider_of(facts);
            let subject = subject(known.test, key.seq);
            let earlier = earlier.remove(&key.seq).unwrap_or_default();
            let withdrawal = |event: &Logged| event.event.kind == EventKind::Withdrawal;
            let withdrawn = facts.withdrawn || events.iter().any(withdrawal);
            if withdrawn != facts.withdrawn {
                folded.stale.insert(key.block());
            } else if earlier.len() >= JUDGED {
                continue;
            }
            if !known.whole {
                // What it gave before cannot be worked out again, so that nothing is given anew; who withdraws takes
                // along what was judged of her.
                if withdrawn != facts.withdrawn {
                    let before = reader_counted(facts.judged, &provider, subject);
                    folded.tally.merge(&before, -1);
                    folded.judged.push(JudgedRow {
                        seq: key.seq,
                        provider,
                        opened: None,
                        clicked: None,
                        withdrawn,
                    });
                }
                continue;
            }
            let of = |events: &[Witness<'_>], withdrawn: bool| match withdrawn {
                true => share_of_withdrawn(events, &provider),
                false => share(events, &provider, subject),
            };
            let before = witnesses(&earlier);
            let new = witnesses(&events);
            let now: Vec<Witness<'_>> = before.iter().chain(&new).take(JUDGED).copied().collect();
            let now = of(&now, withdrawn);
            if !before.is_empty() {
                let before = of(&before, facts.withdrawn);
                folded.tally.merge(&before.tally, -1);
            }
            folded.tally.merge(&now.tally, 1);
            folded.judged.push(JudgedRow {
                seq: key.seq,
                provider,
                opened: now.opened,
                clicked: now.clicked,
                withdrawn,
            });
        }
        Ok(folded)
    }

    /// Judges the next deliveries again, or ends it.
    async fn judge_next(&mut self, position: Position) -> Result<Step> {
        let limit = u32::try_from(PIECE).unwrap_or(u32::MAX);
        let run = RunId(position.run_id);
        let next = self
            .store
            .deliveries_with_events(run, position.seq, limit)
            .await?;
        let Some((run, seqs)) = next else {
            let after = Position {
                rules: RULES,
                run_id: 0,
                seq: -1,
                ..position
            };
            let ended = self.store.move_fold(&position, &after).await?;
            return Ok(if ended { Step::Done } else { Step::Taken });
        };
        let known = self.known(run).await?;
        if !known.whole {
            let after = Position {
                run_id: run.0,
                seq: i64::MAX,
                ..position
            };
            let passed = self.store.move_fold(&position, &after).await?;
            return Ok(if passed { Step::Done } else { Step::Taken });
        }
        let facts = self.store.delivery_facts(run, &seqs).await?;
        let mut events: BTreeMap<u32, Vec<Logged>> = BTreeMap::new();
        for event in self.store.folded_events(run, &seqs, JUDGED).await? {
            let seq = event.event.delivery.seq;
            events.entry(seq).or_default().push(event);
        }
        let mut folded = Folded::new(run);
        for (seq, events) in events {
            let Some(facts) = facts.get(&seq) else {
                continue;
            };
            // Older rules have not counted a look at the copy's page as a first open.
            note_firsts(&mut folded, DeliveryKey { run, seq }, facts, &events);
            let provider = provider_of(facts);
            let events = witnesses(&events);
            let share = match facts.withdrawn {
                true => share_of_withdrawn(&events, &provider),
                false => share(&events, &provider, subject(known.test, seq)),
            };
            folded.tally.merge(&share.tally, 1);
            folded.judged.push(JudgedRow {
                seq,
                provider,
                opened: share.opened,
                clicked: share.clicked,
                withdrawn: facts.withdrawn,
            });
        }
        let after = Position {
            run_id: run.0,
            seq: seqs.last().map_or(position.seq, |&seq| i64::from(seq)),
            ..position
        };
        let kept = self.store.fold_again(&position, &after, &folded).await?;
        Ok(if kept { Step::Done } else { Step::Taken })
    }

    async fn known(&mut self, run: RunId) -> Result<Known> {
        if let Some(known) = self.runs.get(&run) {
            return Ok(*known);
        }
        let found = self.store.run(run).await?;
        let test = found.as_ref().and_then(|run| {
            let test: Option<Trial> = run.trial();
            test.map(|test| test.test_to(run.recipients))
        });
        let began = found.map_or(i64::MIN, |run| run.created_at);
        let known = Known {
            test,
            whole: self.forgotten.is_none_or(|forgotten| began > forgotten.0),
        };
        self.runs.insert(run, known);
        Ok(known)
    }
}

/// The counters that need no verdict.
fn count(folded: &mut Folded, key: DeliveryKey, facts: &Facts, events: &[Logged]) {
    note_firsts(folded, key, facts, events);
    let mut gain = folded.blocks.get(&key.block()).copied().unwrap_or_default();
    for Logged { event, .. } in events.iter().filter(|event| !event.event.evidence.head) {
        match event.kind {
            EventKind::Open => gain.opens += 1,
            EventKind::Click => {
                gain.clicks += 1;
                if let Some(link) = event.link {
                    *folded.link_clicks.entry(link).or_default() += 1;
                    let first = folded.reader_clicks.entry((key.seq, link));
                    let first = first.or_insert(event.at);
                    *first = event.at.min(*first);
                }
            }
            _ => {}
        }
    }
    if gain != BlockGain::default() {
        folded.blocks.insert(key.block(), gain);
    }
}

/// When a copy was first looked at, by its pixel or on its own page, and when a link of it was first asked for: by
/// whomever, and where none of that was known before.
fn note_firsts(folded: &mut Folded, key: DeliveryKey, facts: &Facts, events: &[Logged]) {
    let first = |of: fn(EventKind) -> bool| {
        let those = events.iter().filter(|event| !event.event.evidence.head);
        let those = those.filter(|event| of(event.event.kind));
        those.map(|event| event.event.at).min()
    };
    let looks = |kind| matches!(kind, EventKind::Open | EventKind::View);
    let open = first(looks).filter(|_| !facts.opened);
    let click = first(|kind| kind == EventKind::Click).filter(|_| !facts.clicked);
    if open.is_some() || click.is_some() {
        let gain = folded.blocks.entry(key.block()).or_default();
        gain.opened += i64::from(open.is_some());
        gain.clicked += i64::from(click.is_some());
        folded.firsts.push((key.seq, open, click));
    }
}

/// Which subject the delivery `seq` got, as the numbers name it; none without a test.
pub(super) fn subject(test_to: Option<i64>, seq: u32) -> Option<&'static str> {
    let test_to = test_to?;
    Some(match i64::from(seq) {
        seq if seq < test_to => crate::trial::Variant::of(seq).name(),
        _ => "rest",
    })
}

/// Who keeps the mailbox: as it was when it was first asked.
fn provider_of(facts: &Facts) -> String {
    match (&facts.provider, &facts.address) {
        (Some(known), _) => known.clone(),
        (None, address) => provider::of(address.as_deref().unwrap_or_default()).to_owned(),
    }
}

fn witnesses(events: &[Logged]) -> Vec<Witness<'_>> {
    let each = events.iter().map(|logged| Witness {
        kind: logged.event.kind,
        link: logged.event.link,
        at: logged.event.at,
        after: logged.after,
        evidence: &logged.event.evidence,
    });
    each.collect()
}
