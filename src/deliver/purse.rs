//! A relay's budget: what this node may send through it now, taken from the store in portions.
//!
//! Promises: no message goes out that is not counted under every cap of its relay, so that caps hold across
//! restarts and for all nodes together; a message costs no statement of its own. The caps per second are
//! spread out besides. Of the large ones a part is kept for system mails, for which somebody waits. Whoever finds the
//! purse empty waits, and one task fills it ([`keep`]).

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::config::Relay;
use crate::deliver::Shared;
use crate::deliver::relays::LiveRelay;
use crate::deliver::setup::Caps;
use crate::deliver::standing::Wait;
use crate::lock::lock;
use crate::rate::cap::{Cap, Grant, Unused};
use crate::rate::{Bucket, Rate, Span, warm_up};
use crate::stats::grouped;

/// A portion is this part of the smallest cap: what a crash may waste, and what one node may have while
/// another has nothing left.
const PART: u64 = 16;
/// A portion at most.
const PORTION: u64 = 500;
/// This part of an hour's or a day's cap, and at least so many, no issue gets; of a cap below this one it does.
const KEPT: u64 = 20;
const KEPT_LEAST: u64 = 10;
const LARGE: u64 = 100;
/// Between two looks at the clock while a cap is used up; the wall clock may be set meanwhile.
const LOOK: Duration = Duration::from_millis(200);
/// Before the store is asked again that could not answer.
const RETRY: Duration = Duration::from_secs(1);
/// Of a second's cap, what may go out at once.
const BURST: u32 = 4;
/// So long after the last message that others carried it is told that they do.
const SPILLS: Duration = Duration::from_secs(2);

/// The caps of one relay, and what is at hand of them.
#[derive(Debug)]
pub(crate) struct Purse {
    /// The relay's own name, under which its caps are counted.
    name: String,
    /// The sending domain.
    domain: String,
    state: Mutex<State>,
    /// Somebody found it empty.
    wanted: Notify,
}

#[derive(Debug)]
struct State {
    /// The lowest of all who send.
    caps: Caps,
    left: u32,
    /// Rises with each time for which something was granted: what is left of an earlier one is nothing now.
    term: u64,
    /// Since and until when what is left may be used.
    since: Timestamp,
    until: Instant,
    full: Option<Full>,
    mails: Mails,
    bucket: Option<Bucket>,
    /// The bucket's clock begins here: it does not follow a wall clock that is set.
    begun: Instant,
    spilled: Option<Spilled>,
}

/// What is at hand for system mails alone.
#[derive(Debug)]
struct Mails {
    left: u32,
    /// Somebody found none.
    wanted: bool,
    /// Until when what is left may be used; where nothing is, when to ask again.
    until: Instant,
}

/// Others carry what the cap per second leaves over.
#[derive(Clone, Copy, Debug)]
struct Spilled {
    last: Instant,
    /// Since when it has been told.
    since: Option<Timestamp>,
}

/// A cap that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub cap: Cap,
    pub since: Timestamp,
    pub until: Timestamp,
    /// The same by our own clock, which may differ from the database's.
    ask_at: Timestamp,
    /// When it was found, by the same.
    found: Timestamp,
}

impl Full {
    /// Whether the store need not be asked again at `now`. A clock that has gone back since was wrong then or is now.
    fn lasts(&self, now: Timestamp) -> bool {
        self.ask_at > now && self.found <= now
    }

    /// Which cap, in words: "1,500 of 1,500 today".
    pub(crate) fn sentence(&self, domain: Option<&str>) -> String {
        let all = self.cap.most;
        let (most, issues) = (number(all), number(all - kept(&self.cap)));
        let when = match self.cap.span {
            Span::Day => "today",
            Span::Hour => "in this hour",
            Span::Minute => "in this minute",
            Span::Second => "in this second",
        };
        match domain {
            Some(domain) => format!("warm-up of {domain}: {issues} of {most} {when}"),
            None => format!("{issues} of {most} messages {when}"),
        }
    }
}

impl Purse {
    /// The purse of the relay `name`; `domain` is what its mail is sent from.
    pub(crate) fn new(name: &str, relay: &Relay, domain: &str) -> Purse {
        let caps = Caps::of(relay);
        Purse {
            name: name.to_owned(),
            domain: domain.to_owned(),
            state: Mutex::new(State {
                caps,
                left: 0,
                term: 0,
                since: Timestamp(0),
                until: Instant::now(),
                full: None,
                mails: Mails {
                    left: 0,
                    wanted: false,
                    until: Instant::now(),
                },
                bucket: bucket(caps, Timestamp(0)),
                begun: Instant::now(),
                spilled: None,
            }),
            wanted: Notify::new(),
        }
    }

    /// Whether there is no cap.
    fn is_bottomless(&self) -> bool {
        self.state().caps == Caps::default()
    }

    /// Goes by these caps from now on: the lowest that any sender has. False where it does already.
    pub(crate) fn heed(&self, caps: Caps) -> bool {
        let mut state = self.state();
        if state.caps == caps {
            return false;
        }
        if state.caps.per_second != caps.per_second {
            let now = state.at(Instant::now());
            state.bucket = bucket(caps, now);
        }
        state.caps = caps;
        // What is at hand was granted under others; it was counted, and is not used.
        state.left = 0;
        state.term += 1;
        state.full = None;
        true
    }

    /// Whether a cap is used up.
    pub(crate) fn is_full(&self) -> bool {
        !self.is_bottomless() && self.state().full.is_some()
    }

    /// Whether nothing may go out at this moment, by a cap or by what is left of the present second.
    pub(crate) fn is_used_up(&self, now: Instant) -> bool {
        if self.is_bottomless() {
            return false;
        }
        let state = self.state();
        let at = state.at(now);
        let waits = |bucket: &Bucket| !bucket.has_one(at);
        state.full.is_some() || state.bucket.as_ref().is_some_and(waits)
    }

    /// Whether its messages are spread over each second.
    pub(crate) fn is_spread(&self) -> bool {
        self.state().bucket.is_some()
    }

    /// Another relay carries a message that this one may not carry now.
    pub(crate) fn spill(&self, now: Instant) {
        let mut state = self.state();
        let since = state.spilled.and_then(|spilled| spilled.since);
        state.spilled = Some(Spilled { last: now, since });
    }

    /// Whether others carry what the cap per second leaves over: that cap, and since when it is told.
    pub(crate) fn spills(&self, now: Timestamp) -> Option<(Timestamp, String)> {
        let mut state = self.state();
        let recent = |spilled: &Spilled| spilled.last.elapsed() < SPILLS;
        state.spilled = state.spilled.filter(recent);
        let since = *state.spilled.as_mut()?.since.get_or_insert(now);
        let most = u64::from(state.caps.per_second);
        let said = format!("is at its {} messages a second", number(most));
        Some((since, said))
    }

    /// The cap that is used up, where it takes long enough to be told.
    pub(crate) fn trouble(&self) -> Option<(Full, String)> {
        let full = self.state().full.clone()?;
        let domain = Some(self.domain.as_str());
        let domain = domain.filter(|domain| full.cap.name == warm_up_name(domain));
        let sentence = full.sentence(domain);
        (full.cap.span >= Span::Minute).then_some((full, sentence))
    }

    /// Takes the leave for one message, a system mail or an issue's; gives the term in which it may be given back,
    /// where that matters.
    pub(crate) fn take(&self, system: bool, now: Instant) -> Result<Option<u64>, Wait> {
        if self.is_bottomless() {
            return Ok(None);
        }
        let mut state = self.state();
        let common = state.left > 0 && state.until > now;
        let own = system && state.mails.left > 0 && state.mails.until > now;
        if !common && !own {
            state.mails.wanted |= system && state.mails.until <= now;
            drop(state);
            self.wanted.notify_one();
            return Err(Wait::Change);
        }
        let at = state.at(now);
        if let Some(bucket) = &mut state.bucket {
            bucket.take(at).map_err(Wait::For)?;
        }
        if !common {
            state.mails.left -= 1;
            // The next is asked for at once.
            if state.mails.left == 0 {
                state.mails.until = now;
            }
            return Ok(None);
        }
        state.left -= 1;
        Ok(Some(state.term))
    }

    /// Gives back the leave for a message that did not go out, as long as its `term` lasts: it was counted in that one,
    /// and in no later one.
    pub(crate) fn give_back(&self, term: u64) {
        let mut state = self.state();
        if state.term != term {
            return;
        }
        state.left += 1;
        if let Some(bucket) = &mut state.bucket {
            bucket.give_back();
        }
    }

    /// All caps as of `now`, those of the warm-up too.
    pub(crate) fn caps(&self, now: Timestamp) -> Vec<Cap> {
        let caps = self.state().caps;
        let each = [
            (Span::Second, caps.per_second),
            (Span::Minute, caps.per_minute),
            (Span::Hour, caps.per_hour),
            (Span::Day, caps.per_day),
        ];
        let each = each.into_iter().filter(|&(_, most)| most > 0);
        let cap = |(span, most)| Cap {
            name: self.name.clone(),
            span,
            most: u64::from(most),
        };
        let warm_up = caps.warm_up.map(|began| Cap {
            name: warm_up_name(&self.domain),
            span: Span::Day,
            most: warm_up(began, now),
        });
        each.map(cap).chain(warm_up).collect()
    }

    /// What is left and may not be used any more; with `all`, what may be, too.
    fn unused(&self, all: bool) -> Option<Unused> {
        let mut state = self.state();
        if !all && state.until > Instant::now() {
            return None;
        }
        let number = std::mem::take(&mut state.left);
        state.term += 1;
        let since = state.since;
        (number > 0).then_some(Unused { number, since })
    }

    pub(crate) fn fill(&self, grant: &Grant, caps: &[Cap], now: Timestamp) {
        let mut state = self.state();
        state.left += grant.number;
        state.since = grant.now;
        state.until = Instant::now() + grant.until.since(grant.now);
        let since = state.full.as_ref().map_or(grant.now, |full| full.since);
        state.full = grant.full.and_then(|index| {
            Some(Full {
                cap: caps.get(index)?.clone(),
                since,
                until: grant.until,
                ask_at: now.after(grant.until.since(grant.now)),
                found: now,
            })
        });
    }

    /// Whether a system mail waits for a leave of its own; asked once.
    fn mail_waits(&self) -> bool {
        std::mem::take(&mut self.state().mails.wanted)
    }

    fn fill_mails(&self, grant: &Grant) {
        let usable = match grant.number {
            0 => LOOK,
            _ => grant.until.since(grant.now),
        };
        let mails = &mut self.state().mails;
        mails.left = grant.number;
        mails.until = Instant::now() + usable;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// `now` by the bucket's clock.
    fn at(&self, now: Instant) -> Timestamp {
        Timestamp(0).after(now.saturating_duration_since(self.begun))
    }
}

/// What spaces the messages of one second, where a cap says how many those are.
fn bucket(caps: Caps, now: Timestamp) -> Option<Bucket> {
    let rate = Rate::new(caps.per_second, Duration::from_secs(1))?;
    Some(Bucket::new(rate, caps.per_second / BURST, now))
}

/// `1,500`.
fn number(most: u64) -> String {
    grouped(i64::try_from(most).unwrap_or(i64::MAX), ',')
}

/// How much of a cap is kept for system mails.
fn kept(cap: &Cap) -> u64 {
    match cap.span {
        Span::Hour | Span::Day if cap.most >= LARGE => (cap.most / KEPT).max(KEPT_LEAST),
        _ => 0,
    }
}

/// What of it issues may have.
fn for_issues(cap: &Cap) -> Cap {
    Cap {
        most: cap.most - kept(cap),
        ..cap.clone()
    }
}

/// Under which name the messages of a domain that is warmed up are counted, through whichever relay.
pub(crate) fn warm_up_name(domain: &str) -> String {
    format!("warm-up of {domain}")
}

/// Fills the purse of `relay` whenever it is found empty, until the engine stops.
pub(crate) async fn keep(shared: Arc<Shared>, relay: Arc<LiveRelay>) {
    let purse = &relay.standing.purse;
    // Another machine may have a cap, which holds here too.
    if purse.is_bottomless() && shared.app.store.is_sqlite() {
        return;
    }
    loop {
        tokio::select! {
            () = purse.wanted.notified() => {}
            () = shared.stopped() => return,
        }
        while let Some(wait) = refill(&shared, &relay).await {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shared.stopped() => return,
            }
        }
    }
}

/// Takes one portion. Where there is none, gives the time after which to look again.
async fn refill(shared: &Shared, relay: &LiveRelay) -> Option<Duration> {
    let app = &shared.app;
    let purse = &relay.standing.purse;
    let now = app.clock.now();
    if purse.mail_waits() {
        let caps = purse.caps(now);
        match app.store.take_budget(&caps, 1, None, now).await {
            Ok((grant, _)) => {
                purse.fill_mails(&grant);
                if grant.number > 0 {
                    shared.queue.look_again();
                }
            }
            Err(error) => {
                tracing::error!(%error, relay = relay.name, "a system mail's budget cannot be asked for");
            }
        }
    }
    let before = purse.state().full.clone();
    if let Some(full) = before.as_ref().filter(|full| full.lasts(now)) {
        return Some(full.ask_at.since(now).min(LOOK));
    }
    let caps = purse.caps(now);
    let smallest = caps.iter().map(|cap| cap.most).min().unwrap_or(0);
    let portion = (smallest / PART).clamp(1, PORTION);
    let portion = u32::try_from(portion).unwrap_or(1);
    let unused = purse.unused(false);
    let own: Vec<Cap> = caps.iter().map(for_issues).collect();
    match app.store.take_budget(&own, portion, unused, now).await {
        Ok((grant, _)) => {
            purse.fill(&grant, &caps, now);
            let full = purse.state().full.clone();
            if full.is_some() != before.is_some() || grant.number > 0 {
                shared.queue.look_again();
            }
            full.map(|full| full.ask_at.since(now).min(LOOK))
        }
        Err(error) => {
            tracing::error!(%error, relay = relay.name, "the relay's budget cannot be asked for");
            Some(RETRY)
        }
    }
}

/// Gives back what was taken and not used, at the end.
pub(crate) async fn empty(shared: &Shared) {
    for relay in &shared.relays {
        let Some(unused) = relay.standing.purse.unused(true) else {
            continue;
        };
        let now = shared.app.clock.now();
        let caps = relay.standing.purse.caps(now);
        let given = shared.app.store.take_budget(&caps, 0, Some(unused), now);
        if let Err(error) = given.await {
            tracing::warn!(%error, relay = relay.name, "unused budget could not be given back");
        }
    }
}
