//! Man or machine: every event of a delivery judged by its evidence and its neighbours.
//!
//! Promises: pure, and the same for the same events, so that numbers can be thrown away and judged again; each verdict
//! names its rule. Signs of a machine come before signs of a reader, because scanners borrow a browser's name and
//! nobody borrows a scanner's. Leaves counting to `stats::tally`.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::event::known::{self, Kind};
use crate::event::{EventKind, Evidence};

/// Counts up whenever a rule or its numbers change, or what is made of its verdicts: all is then judged again from the
/// log.
pub const RULES: i64 = 7;
/// Events of one delivery that are judged, the first ones; what comes after is one reader's loop, or malice.
pub const JUDGED: usize = 500;
/// A reader needs longer to see a mail, open it and press on a link; scanners on the way do not.
const EARLY: i64 = 5;
/// Seconds within which a click alone proves little.
const QUICK: i64 = 20;
/// So many links within so many milliseconds are many.
const BURST_LINKS: usize = 3;
const BURST: i64 = 5_000;
/// So many within the same time are pressed by no hand: a scanner asks for all links of a mail.
const BURST_MANY: usize = 6;
/// Seconds after the 250 within which scanners on the way look at a mail; many links later are rather a reader's.
const SOON: i64 = 600;
/// A reader looks at a mail for so many milliseconds before she opens the first of many links.
const LOOK: i64 = 5_000;
/// What the same network and agent does within so many milliseconds of a burst or a HEAD belongs to it.
const COMPANY: i64 = 30_000;

/// Who did it, as far as can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Human,
    Machine,
    Unsure,
}

impl Verdict {
    /// `human`, `machine` or `unsure`.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Human => "human",
            Verdict::Machine => "machine",
            Verdict::Unsure => "unsure",
        }
    }
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// It said that it fetches ahead.
    SaysPrefetch,
    /// It asked for the head alone.
    Head,
    /// It does not say what it is.
    NoAgent,
    /// It calls itself a scanner or a robot.
    KnownAgent,
    /// It comes from a scanner's network.
    KnownNetwork,
    /// A provider that loads images ahead.
    KnownPrefetch,
    /// Apple's proxy loads every mail's images.
    ApplePrivacy,
    /// Before a reader can have read, or before the relay had taken the mail.
    Early,
    /// Many links within seconds, as scanners ask for them.
    Burst,
    /// The same that asked for heads, or for many links.
    Company,
    /// A click without the languages that every browser names.
    NoLanguage,
    /// One click within the first seconds.
    Quick,
    /// Some links within seconds, as a reader opens them in tabs, and a scanner that comes late may, too.
    Tabs,
    /// Gmail's proxy loads images when a reader looks.
    GmailProxy,
    /// So does another provider's.
    Proxy,
    /// None of these.
    Reader,
}

impl Rule {
    /// The name as it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Rule::SaysPrefetch => "says-prefetch",
            Rule::Head => "head",
            Rule::NoAgent => "no-agent",
            Rule::KnownAgent => "known-agent",
            Rule::KnownNetwork => "known-network",
            Rule::KnownPrefetch => "known-prefetch",
            Rule::ApplePrivacy => "apple-privacy",
            Rule::Early => "early",
            Rule::Burst => "burst",
            Rule::Company => "company",
            Rule::NoLanguage => "no-language",
            Rule::Quick => "quick",
            Rule::Tabs => "tabs",
            Rule::GmailProxy => "gmail-proxy",
            Rule::Proxy => "proxy",
            Rule::Reader => "reader",
        }
    }

    /// What the rule says.
    pub fn verdict(self) -> Verdict {
        match self {
            Rule::ApplePrivacy | Rule::Quick | Rule::Tabs => Verdict::Unsure,
            Rule::GmailProxy | Rule::Proxy | Rule::Reader => Verdict::Human,
            _ => Verdict::Machine,
        }
    }
}

/// An event as a witness of it tells.
#[derive(Clone, Copy, Debug)]
pub struct Witness<'a> {
    pub kind: EventKind,
    pub link: Option<u32>,
    pub at: Timestamp,
    /// Seconds since the delivery was settled; none where it was not.
    pub after: Option<i64>,
    pub evidence: &'a Evidence,
}

/// The rule that judges each of the events of one delivery, in their order.
pub fn judge(events: &[Witness<'_>]) -> Vec<Rule> {
    let bursts = bursts(events);
    let each = events.iter().enumerate().map(|(place, event)| {
        let outright = alone(event).or_else(|| company(events, &bursts, place));
        match (outright.unwrap_or_else(|| kindly(event)), bursts[place]) {
            (Rule::Reader, Some(Pressed::Perhaps)) => Rule::Tabs,
            (rule, _) => rule,
        }
    });
    each.collect()
}

/// The rule that judges an event by its own evidence, where neither the others of its delivery are known nor when that
/// was sent.
pub fn judge_alone(kind: EventKind, link: Option<u32>, evidence: &Evidence) -> Rule {
    let event = Witness {
        kind,
        link,
        at: Timestamp(0),
        after: Some(i64::MAX),
        evidence,
    };
    alone(&event).unwrap_or_else(|| kindly(&event))
}

/// What an event's own evidence proves.
fn alone(event: &Witness<'_>) -> Option<Rule> {
    let evidence = event.evidence;
    let known = known::agent(&evidence.agent);
    let network = evidence.known.as_deref().and_then(known::network_kind);
    if evidence.purpose.is_some() {
        return Some(Rule::SaysPrefetch);
    }
    if evidence.head {
        return Some(Rule::Head);
    }
    if evidence.agent.is_empty() {
        return Some(Rule::NoAgent);
    }
    match known {
        Some(Kind::Scanner | Kind::Robot) => return Some(Rule::KnownAgent),
        Some(Kind::Prefetch) => return Some(Rule::KnownPrefetch),
        _ => {}
    }
    if matches!(network, Some(Kind::Scanner | Kind::Robot)) {
        return Some(Rule::KnownNetwork);
    }
    let open = event.kind == EventKind::Open;
    if open && (known == Some(Kind::Apple) || network == Some(Kind::Apple)) {
        return Some(Rule::ApplePrivacy);
    }
    event
        .after
        .is_none_or(|after| after < EARLY)
        .then_some(Rule::Early)
}

/// Who may have asked for many links within seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pressed {
    /// No hand presses so many.
    Scanner,
    Machine,
    /// A reader, or a machine that comes late or looks first.
    Perhaps,
}

/// Many links within seconds, one after the other.
struct Burst {
    /// When its first click came, and how many seconds after the 250.
    from: Timestamp,
    after: Option<i64>,
    /// The most links within the time of a burst.
    links: usize,
}

/// Which clicks belong to a burst, and who may have pressed them; none where a reader has looked at the mail before
/// and opens some of its links in tabs.
fn bursts(events: &[Witness<'_>]) -> Vec<Option<Pressed>> {
    let mut clicks: Vec<usize> = (0..events.len())
        .filter(|&place| events[place].link.is_some())
        .collect();
    clicks.sort_by_key(|&place| events[place].at);
    let mut found: Vec<Burst> = Vec::new();
    let mut within: Vec<Option<usize>> = vec![None; events.len()];
    let mut first = 0;
    for last in 0..clicks.len() {
        while events[clicks[last]].at.0 - events[clicks[first]].at.0 > BURST {
            first += 1;
        }
        let window = &clicks[first..=last];
        let mut links: Vec<_> = window.iter().map(|&place| events[place].link).collect();
        links.sort_unstable();
        links.dedup();
        if links.len() < BURST_LINKS {
            continue;
        }
        // Windows that overlap are one burst.
        let known = window.iter().find_map(|&place| within[place]);
        let burst = known.unwrap_or_else(|| {
            let begin = &events[window[0]];
            found.push(Burst {
                from: begin.at,
                after: begin.after,
                links: 0,
            });
            found.len() - 1
        });
        found[burst].links = found[burst].links.max(links.len());
        window.iter().for_each(|&place| within[place] = Some(burst));
    }
    let looks = looks(events);
    let pressed = |(place, burst): (usize, Option<usize>)| {
        let burst = &found[burst?];
        if burst.links >= BURST_MANY {
            return Some(Pressed::Scanner);
        }
        let event = &events[place];
        let before = |look: &&Witness<'_>| look.at.0 + LOOK <= burst.from.0;
        let hers = |look: &&Witness<'_>| is_proxy(look) || same(look, event);
        let looked = looks.iter().copied().filter(before).any(|look| hers(&look));
        let soon = burst.after.is_none_or(|after| after < SOON);
        match (looked, soon) {
            (true, false) => None,
            (false, true) => Some(Pressed::Machine),
            _ => Some(Pressed::Perhaps),
        }
    };
    within.into_iter().enumerate().map(pressed).collect()
}

/// Opens of the mail, and looks at its page, which nothing of their own speaks against.
fn looks<'a, 'b>(events: &'b [Witness<'a>]) -> Vec<&'b Witness<'a>> {
    let looks = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Open | EventKind::View));
    looks
        .filter(|event| alone(event).is_none() && kindly(event).verdict() == Verdict::Human)
        .collect()
}

/// Whether it is of a proxy that loads images when its reader looks.
fn is_proxy(event: &Witness<'_>) -> bool {
    let known = known::agent(&event.evidence.agent);
    matches!(known, Some(Kind::Gmail | Kind::Proxy))
}

fn same(one: &Witness<'_>, other: &Witness<'_>) -> bool {
    one.evidence.network == other.evidence.network && one.evidence.agent == other.evidence.agent
}

/// What its neighbours prove of an event.
fn company(events: &[Witness<'_>], bursts: &[Option<Pressed>], place: usize) -> Option<Rule> {
    let machine = |burst| matches!(burst, Some(Pressed::Scanner | Pressed::Machine));
    if machine(bursts[place]) {
        return Some(Rule::Burst);
    }
    let event = &events[place];
    // A reader's proxy is many readers'.
    if known::agent(&event.evidence.agent).is_some() {
        return None;
    }
    // Who has looked at the mail for a while before is not the machine that then asks for a few links from the same
    // house. One that asks for all of them may render the mail for as long first.
    let look = matches!(event.kind, EventKind::Open | EventKind::View);
    let near = |other: &Witness<'_>, burst: Option<Pressed>| {
        let before = match burst {
            Some(Pressed::Scanner) => COMPANY,
            _ if look => LOOK,
            _ => COMPANY,
        };
        let apart = other.at.0 - event.at.0;
        -COMPANY <= apart && apart < before
    };
    let caught = events.iter().zip(bursts).any(|(other, &burst)| {
        (machine(burst) || other.evidence.head) && near(other, burst) && same(other, event)
    });
    caught.then_some(Rule::Company)
}

/// What is left when nothing speaks for a machine outright.
fn kindly(event: &Witness<'_>) -> Rule {
    match (event.kind, known::agent(&event.evidence.agent)) {
        (EventKind::Open, Some(Kind::Gmail)) => Rule::GmailProxy,
        (EventKind::Open, Some(Kind::Proxy)) => Rule::Proxy,
        (EventKind::Click | EventKind::View, _) if !event.evidence.language => Rule::NoLanguage,
        (EventKind::Click | EventKind::View, _) if event.after < Some(QUICK) => Rule::Quick,
        _ => Rule::Reader,
    }
}

#[cfg(test)]
mod tests;
