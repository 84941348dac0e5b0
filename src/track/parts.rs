//! Who keeps the mailboxes that a run's copies were sent to, which subject they carried, which of the links that some
//! readers get, and which of them count nothing, counted by blocks.
//!
//! Promises: a block is counted once, and again when something in it was settled since. Leaves the counters to
//! `store::parts`.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::compile::{Compiled, Segment, Slot};
use crate::id::RunId;
use crate::rollout::provider;
use crate::stats::tally::{Part, Tally, What};
use crate::store::parts::StaleBlock;
use crate::store::{Result, Store};
use crate::track::fold::subject;

/// Blocks of one look: 16,384 deliveries.
const BLOCKS: u32 = 64;
/// Looks in a row while a run sends and goes on to change; a run that is over is counted to its end.
const LOOKS: usize = 8;
/// For how long a run that is over is looked at without being asked for.
const OVER: Duration = Duration::from_secs(3 * 86_400);

/// How long one step of a look back takes, how long it rests then, and how often it begins anew.
const STEP: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(3600);

/// What is known of a run's issue, and whether the run's events name nobody.
type Issue = (Option<Shown>, bool);

/// One part of a block as it is kept: part, bucket, what, number.
type Kept = (String, String, String, i64);

/// Counts the blocks of `run`, or else of all runs under way or lately over, whose counters have moved.
pub async fn catch_up(store: &Store, run: Option<RunId>, now: Timestamp) -> Result<()> {
    let mut looks = 0;
    let mut issues = HashMap::new();
    loop {
        let whole = look(store, run, now, &mut issues).await?;
        looks += 1;
        if whole || (run.is_none() && looks >= LOOKS) {
            return Ok(());
        }
    }
}

/// One look; true if nothing is left.
async fn look(
    store: &Store,
    run: Option<RunId>,
    now: Timestamp,
    issues: &mut HashMap<i64, Issue>,
) -> Result<bool> {
    let stale = store.stale_blocks(run, now.before(OVER), BLOCKS).await?;
    for block in &stale {
        count(store, block, issues).await?;
    }
    Ok(stale.len() < usize::try_from(BLOCKS).unwrap_or(usize::MAX))
}

/// A look back at the runs that are over for longer, the newest first: what a newer program counts anew of them, or a
/// reader who withdrew. Nobody waits for it, and little is done of it at a time.
#[derive(Debug, Default)]
pub(super) struct LookBack {
    /// Those before this one are left.
    before: Option<RunId>,
    stepped: Option<Instant>,
    ended: Option<Instant>,
}

impl LookBack {
    /// Looks on for a moment, if it is time to.
    pub(super) async fn step(&mut self, store: &Store, now: Timestamp) -> Result<()> {
        let within = |at: Option<Instant>, wait| at.is_some_and(|at| at.elapsed() < wait);
        if within(self.ended, AGAIN) || within(self.stepped, REST) {
            return Ok(());
        }
        let began = Instant::now();
        self.stepped = Some(began);
        self.ended = None;
        let mut issues = HashMap::new();
        while began.elapsed() < STEP {
            let before = self.before.unwrap_or(RunId(i64::MAX));
            let Some(run) = store.run_over_by(now.before(OVER), before).await? else {
                (self.before, self.ended) = (None, Some(Instant::now()));
                return Ok(());
            };
            if look(store, Some(run), now, &mut issues).await? {
                self.before = Some(run);
            }
        }
        Ok(())
    }
}

/// The issue of a run that has parts for some readers; none of any other, or where it cannot be read.
pub async fn issue_in_parts(store: &Store, run: RunId) -> Result<Option<Compiled>> {
    let content = store.content_of(run, true).await?;
    Ok(content.and_then(|content| serde_json::from_str(&content).ok()))
}

async fn count(store: &Store, block: &StaleBlock, issues: &mut HashMap<i64, Issue>) -> Result<()> {
    let run = RunId(block.run_id);
    let found = store.run(run).await?;
    let (shown, nameless) = match issues.entry(block.run_id) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            let content = store.content_of(run, false).await?;
            let issue = content.and_then(|content| serde_json::from_str(&content).ok());
            let nameless = store.nameless_of(&[run]).await?.contains(&run);
            new.insert((issue.map(Shown::new), nameless))
        }
    };
    // Of an issue that cannot be read it is not known that it counts nothing.
    let (clicks, opens) = shown
        .as_ref()
        .map_or((true, true), |shown| (shown.clicks, shown.opens));
    let mut shown = shown.as_mut().filter(|shown| !shown.some.is_empty());
    let test = found.and_then(|run| run.trial().map(|test| test.test_to(run.recipients)));
    let mut parts = Tally::default();
    for copy in store.copied(block).await? {
        let what = match copy.state.as_str() {
            "sent" => What::Sent,
            _ => What::Bounced,
        };
        // What names nobody cannot be taken back with its reader: she stays among those of whom it is a share.
        let withdrawn = copy.withdrawn == 1 && copy.untracked == 0;
        let untracked = copy.untracked == 1 || (withdrawn && !*nameless);
        let not = [
            (untracked || !clicks).then_some(What::NoClicks),
            (untracked || !opens).then_some(What::NoOpens),
        ];
        let not = not.into_iter().flatten().filter(|_| what == What::Sent);
        let what: Vec<What> = std::iter::once(what).chain(not).collect();
        let mut add = |part, bucket: &str| {
            for what in &what {
                parts.add(part, bucket, *what, 1);
            }
        };
        let provider = provider::of(copy.address.as_deref().unwrap_or_default());
        add(Part::Provider, provider);
        let seq = u32::try_from(copy.seq).ok();
        if let Some(subject) = seq.and_then(|seq| subject(test, seq)) {
            add(Part::Subject, subject);
        }
        if let Some(shown) = shown.as_mut().filter(|_| what[0] == What::Sent) {
            for link in shown.links(u32::try_from(copy.parts).unwrap_or(0)) {
                add(Part::Link, &link.to_string());
            }
        }
        for what in what.iter().skip(1) {
            parts.add(Part::Run, "", *what, 1);
        }
        if withdrawn && what[0] == What::Sent {
            parts.add(Part::Run, "", What::Withdrawn, 1);
        }
    }
    let mut change = parts.clone();
    if let Some(before) = &block.parts {
        change.merge(&read(before), -1);
    }
    let kept: Vec<Kept> = parts
        .iter()
        .map(|(part, bucket, what, number)| {
            (
                part.name().to_owned(),
                bucket.to_owned(),
                what.name(),
                number,
            )
        })
        .collect();
    let kept = serde_json::to_string(&kept).expect("names and numbers have a JSON form");
    // Where another was quicker, it counted the same.
    store.keep_parts(block, &kept, &change).await.map(|_| ())
}

/// Which links for some readers a copy has, and whether it counts anything.
struct Shown {
    issue: Compiled,
    /// It has links that are counted, and a pixel.
    clicks: bool,
    opens: bool,
    some: BTreeSet<u32>,
    /// By the parts of a copy.
    known: HashMap<u32, BTreeSet<u32>>,
}

impl Shown {
    fn new(issue: Compiled) -> Shown {
        let some = issue.links_for_some();
        let has = |wanted: fn(&Slot) -> bool| {
            let mut all = issue.html.0.iter().chain(&issue.text.0);
            all.any(|segment| matches!(segment, Segment::Slot(slot) if wanted(slot)))
        };
        Shown {
            clicks: has(|slot| matches!(slot, Slot::Click(_))),
            opens: has(|slot| matches!(slot, Slot::Open)),
            issue,
            some,
            known: HashMap::new(),
        }
    }

    fn links(&mut self, parts: u32) -> &BTreeSet<u32> {
        let (issue, some) = (&self.issue, &self.some);
        let known = self.known.entry(parts);
        known.or_insert_with(|| &issue.links_shown_to(parts) & some)
    }
}

fn read(text: &str) -> Tally {
    let kept: Vec<Kept> = serde_json::from_str(text).unwrap_or_default();
    let mut tally = Tally::default();
    for (part, bucket, what, number) in kept {
        if let (Some(part), Some(what)) = (Part::parse(&part), What::parse(&what)) {
            tally.add(part, &bucket, what, number);
        }
    }
    tally
}
