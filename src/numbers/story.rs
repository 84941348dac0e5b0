//! What became of one copy: its events, each with its verdict, and whether a reader has opened it and clicked in it.
//!
//! Promises: judged by the rules and from the events that the numbers are counted by, so that a reader's page never says
//! what they deny. Of events that are forgotten, what was judged of them is left. Of a copy whose reader wants nothing
//! counted, nothing is told that she did with it, and of one that came back it is not said that it was read.

use std::collections::BTreeMap;

use crate::app::App;
use crate::clock::Timestamp;
use crate::delivery::State;
use crate::event::score::{JUDGED, Rule, Verdict, judge};
use crate::event::{EventKind, Evidence};
use crate::id::{DeliveryKey, RunId};
use crate::numbers::witness;
use crate::stats::tally::Class;
use crate::store::StoreError;
use crate::store::failures::Dossier;
use crate::store::reached::Reached;
use crate::store::readers::{Got, Happened};

/// One copy's events, and what they come to.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// In the order in which they came; no more than are judged of a copy.
    pub events: Vec<Told>,
    pub opened: Reading,
    pub clicked: Reading,
    /// Some events of its run may be forgotten.
    pub forgotten: bool,
}

/// One event with what is thought of it.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: Timestamp,
    pub kind: EventKind,
    pub link: Option<u32>,
    /// Where the link leads, for a click.
    pub url: Option<String>,
    /// Seconds since the relay took the copy.
    pub after: Option<i64>,
    pub rule: Rule,
    pub evidence: Evidence,
}

impl Told {
    /// Whether a reader asked for the pixel, a link or the copy's page; what else happens is nobody's look at a mail.
    pub fn is_readers(&self) -> bool {
        self.kind.is_look() && !self.evidence.head && Class::of(self.rule).is_reader()
    }

    /// Whether it is judged at all: a complaint or a leaving is a reader's by what it is.
    pub fn verdict(&self) -> Option<Verdict> {
        self.kind.is_look().then(|| self.rule.verdict())
    }
}

/// Whether a reader did it, as far as can be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    #[default]
    Never,
    /// A reader did, first at this time.
    First(Timestamp),
    /// A reader did; the events are forgotten, or some of them.
    Once,
    /// A reader did at this time, when some events of the run were forgotten already: no number counts it.
    Late(Timestamp),
    /// Only such as count for nobody.
    Only(Class),
    /// Somebody or something did, of whom nothing is kept.
    Unknown,
    /// She wants nothing counted.
    Withdrawn,
    /// The copy came back.
    CameBack,
}

impl Reading {
    /// In words; none where nothing happened. Times are told by `time`.
    pub fn words(self, time: impl Fn(Timestamp) -> String) -> Option<String> {
        Some(match self {
            Reading::Never => return None,
            Reading::First(at) => format!("first on {}", time(at)),
            Reading::Once => "by a reader; when is forgotten".to_owned(),
            Reading::Late(at) => {
                format!(
                    "on {}, and not counted: what came before is forgotten",
                    time(at)
                )
            }
            Reading::Only(Class::Apple) => {
                "by Apple's proxy alone, which opens every mail".to_owned()
            }
            Reading::Only(Class::Machine) => "by machines only".to_owned(),
            Reading::Only(_) => "perhaps: nobody can tell a reader from a machine here".to_owned(),
            Reading::Unknown => "by whom is not kept".to_owned(),
            Reading::Withdrawn => "not told: she wants nothing counted".to_owned(),
            Reading::CameBack => "not counted: it came back".to_owned(),
        })
    }

    /// When a reader first did.
    pub fn first(self) -> Option<Timestamp> {
        match self {
            Reading::First(at) | Reading::Late(at) => Some(at),
            _ => None,
        }
    }

    /// `human` and so on, as the numbers name who did it; none where nobody did, or nobody knows.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Reading::First(_) | Reading::Once | Reading::Late(_) => Some(Class::Human.name()),
            Reading::Only(class) => Some(class.name()),
            Reading::Never | Reading::Unknown | Reading::Withdrawn | Reading::CameBack => None,
        }
    }
}

/// What is kept of a delivery beside its events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks<'a> {
    /// The name of its state.
    pub state: &'a str,
    /// When its pixel, or its page, and its first link were first asked for, by whomever.
    pub opened_at: Option<i64>,
    pub clicked_at: Option<i64>,
    /// The best that was judged of it, by name.
    pub opened: Option<&'a str>,
    pub clicked: Option<&'a str>,
    /// 1 where its reader wants nothing counted any more since she got it; none where nothing of it was judged.
    pub withdrawn: Option<i64>,
}

macro_rules! marks_of {
    ($($kept:ty),*) => {$(
        impl<'a> From<&'a $kept> for Marks<'a> {
            fn from(kept: &'a $kept) -> Marks<'a> {
                Marks {
                    state: &kept.state,
                    opened_at: kept.opened_at,
                    clicked_at: kept.clicked_at,
                    opened: kept.opened.as_deref(),
                    clicked: kept.clicked.as_deref(),
                    withdrawn: kept.withdrawn,
                }
            }
        }
    )*};
}
marks_of!(Dossier, Got, Reached);

/// Of which runs events may be forgotten: what is judged of those stays as it was. It is asked once for all copies that
/// are told of.
#[derive(Debug)]
pub struct Memory {
    /// No event that is forgotten came after this.
    forgotten: Option<Timestamp>,
    runs: BTreeMap<RunId, bool>,
}

impl Memory {
    pub async fn of(app: &App) -> Result<Memory, StoreError> {
        Ok(Memory {
            forgotten: app.store.events_forgotten_to().await?,
            runs: BTreeMap::new(),
        })
    }

    async fn lacks(&mut self, app: &App, run: RunId) -> Result<bool, StoreError> {
        let Some(forgotten) = self.forgotten else {
            return Ok(false);
        };
        if let Some(known) = self.runs.get(&run) {
            return Ok(*known);
        }
        let found = app.store.run(run).await?;
        let lacks = found.is_none_or(|run| run.created_at <= forgotten.0);
        self.runs.insert(run, lacks);
        Ok(lacks)
    }
}

/// Reads and judges the events of one copy.
pub async fn story(
    app: &App,
    key: DeliveryKey,
    marks: &Marks<'_>,
    memory: &mut Memory,
) -> Result<Story, StoreError> {
    let most = u32::try_from(JUDGED).unwrap_or(u32::MAX);
    let events = app.store.events_of(key, most).await?;
    let evidence: Vec<Evidence> = events.iter().map(evidence).collect();
    let known: Vec<(&Happened, EventKind, &Evidence)> = events
        .iter()
        .zip(&evidence)
        .filter_map(|(event, evidence)| Some((event, EventKind::parse(&event.kind)?, evidence)))
        .collect();
    let witnesses: Vec<_> = known
        .iter()
        .map(|(event, kind, evidence)| {
            let link = event.link.and_then(|link| u32::try_from(link).ok());
            witness(*kind, link, Timestamp(event.at), event.after, evidence)
        })
        .collect();
    let rules = judge(&witnesses);
    let events: Vec<Told> = known
        .into_iter()
        .zip(&witnesses)
        .zip(rules)
        .map(|(((event, kind, evidence), witness), rule)| Told {
            at: witness.at,
            kind,
            link: witness.link,
            url: event.url.clone(),
            after: witness.after,
            rule,
            evidence: evidence.clone(),
        })
        .collect();
    Ok(told(events, marks, memory.lacks(app, key.run).await?))
}

fn told(mut events: Vec<Told>, marks: &Marks<'_>, forgotten: bool) -> Story {
    let denied = if marks.withdrawn == Some(1) || has(&events, EventKind::Withdrawal) {
        events.retain(|told| !told.kind.is_look());
        Some(Reading::Withdrawn)
    } else if marks.state == State::Bounced.name() || has(&events, EventKind::Bounce) {
        Some(Reading::CameBack)
    } else {
        None
    };
    if let Some(denied) = denied {
        // Of who withdrew it is not even said whether there is anything to tell.
        let asked = |at: Option<i64>| match denied {
            Reading::Withdrawn => denied,
            _ => at.map_or(Reading::Never, |_| denied),
        };
        return Story {
            events,
            opened: asked(marks.opened_at),
            clicked: asked(marks.clicked_at),
            forgotten,
        };
    }
    let those = Those {
        events: &events,
        forgotten,
        judged: marks.withdrawn.is_some(),
    };
    let clicks = |kind| kind == EventKind::Click;
    let clicked = those.reading(clicks, marks.clicked, marks.clicked_at);
    // Who clicked has opened it, and who read its page; a machine that followed a link has not.
    let any = |kind| matches!(kind, EventKind::Open | EventKind::Click | EventKind::View);
    let opens = |kind| kind == EventKind::Open;
    let viewed = has(&events, EventKind::View);
    let opened = match those.reading(any, marks.opened, marks.opened_at) {
        Reading::Only(_) => those.reading(opens, marks.opened, marks.opened_at.filter(|_| !viewed)),
        told => told,
    };
    Story {
        opened,
        clicked,
        forgotten,
        events,
    }
}

fn has(events: &[Told], kind: EventKind) -> bool {
    events.iter().any(|told| told.kind == kind)
}

/// The events that are left of a copy.
struct Those<'a> {
    events: &'a [Told],
    forgotten: bool,
    /// Whether anything of it was judged.
    judged: bool,
}

impl Those<'_> {
    fn reading(
        &self,
        of: fn(EventKind) -> bool,
        judged: Option<&str>,
        raw: Option<i64>,
    ) -> Reading {
        let those = || {
            let those = self.events.iter().filter(|told| of(told.kind));
            those.filter(|told| !told.evidence.head)
        };
        let hers = those().filter(|told| told.is_readers());
        let judged = Class::ALL
            .into_iter()
            .find(|class| Some(class.name()) == judged);
        let counted = judged.is_some_and(Class::is_reader);
        match hers.map(|told| told.at).min() {
            Some(at) if !self.forgotten => return Reading::First(at),
            _ if counted => return Reading::Once,
            Some(at) => return Reading::Late(at),
            None => {}
        }
        let best = those().map(|told| Class::of(told.rule)).min();
        match best.into_iter().chain(judged).min() {
            Some(class) => Reading::Only(class),
            None if raw.is_some() && !self.judged => Reading::Unknown,
            None => Reading::Never,
        }
    }
}

fn evidence(event: &Happened) -> Evidence {
    serde_json::from_str(&event.evidence).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Marks, Reading, Told, told};
    use crate::clock::Timestamp;
    use crate::event::score::Rule;
    use crate::event::{EventKind, Evidence};
    use crate::stats::tally::Class;

    fn seen(kind: EventKind, at: i64, rule: Rule) -> Told {
        Told {
            at: Timestamp(at),
            kind,
            link: None,
            url: None,
            after: None,
            rule,
            evidence: Evidence {
                head: rule == Rule::Head,
                ..Evidence::default()
            },
        }
    }

    #[test]
    fn only_what_a_reader_did_is_called_hers() {
        let read = |events: &[Told]| {
            let story = told(events.to_vec(), &Marks::default(), false);
            (story.opened, story.clicked)
        };
        let (open, click) = (EventKind::Open, EventKind::Click);
        let scanned = [
            seen(open, 5, Rule::KnownAgent),
            seen(click, 6, Rule::KnownAgent),
        ];
        let machine = Reading::Only(Class::Machine);
        assert_eq!(read(&scanned), (machine, machine));
        let apple = [seen(open, 5, Rule::ApplePrivacy)];
        assert_eq!(read(&apple), (Reading::Only(Class::Apple), Reading::Never));
        // A head is no open, and a link that a machine followed is none either.
        assert_eq!(
            read(&[seen(open, 5, Rule::Head), seen(click, 6, Rule::Burst)]),
            (Reading::Never, machine)
        );
        let hers = [
            seen(open, 5, Rule::KnownAgent),
            seen(EventKind::View, 80, Rule::Reader),
            seen(click, 90, Rule::Reader),
        ];
        let first = |at| Reading::First(Timestamp(at));
        assert_eq!(read(&hers), (first(80), first(90)));
        assert_eq!(read(&hers[2..]), (first(90), first(90)));
        assert_eq!(read(&[]), (Reading::Never, Reading::Never));
    }

    #[test]
    fn of_forgotten_events_is_said_what_was_judged_of_them() {
        let marks = Marks {
            opened_at: Some(5),
            clicked_at: Some(6),
            opened: Some("gmail"),
            clicked: Some("machine"),
            ..Marks::default()
        };
        let story = told(Vec::new(), &marks, true);
        assert_eq!(story.opened, Reading::Once);
        assert_eq!(story.clicked, Reading::Only(Class::Machine));
        let unjudged = Marks {
            opened: None,
            ..marks
        };
        assert_eq!(told(Vec::new(), &unjudged, true).opened, Reading::Unknown);
    }

    #[test]
    fn what_was_judged_of_a_reader_outlives_her_events_and_what_comes_later_is_no_first() {
        let marks = Marks {
            opened_at: Some(5),
            clicked_at: Some(6),
            opened: Some("human"),
            clicked: Some("human"),
            withdrawn: Some(0),
            ..Marks::default()
        };
        let read = |events: &[Told], marks: &Marks<'_>| {
            let story = told(events.to_vec(), marks, true);
            (story.opened, story.clicked)
        };
        let scanned = [seen(EventKind::Click, 60, Rule::KnownAgent)];
        assert_eq!(read(&scanned, &marks), (Reading::Once, Reading::Once));
        let hers = [seen(EventKind::Click, 90, Rule::Reader)];
        assert_eq!(read(&hers, &marks), (Reading::Once, Reading::Once));
        let nobody = Marks {
            opened: None,
            clicked: Some("machine"),
            ..marks
        };
        let late = Reading::Late(Timestamp(90));
        assert_eq!(read(&hers, &nobody), (late, late));
        // A machine's look at the page, which was no open.
        let viewed = (Reading::Never, Reading::Only(Class::Machine));
        assert_eq!(read(&[], &nobody), viewed);
    }

    #[test]
    fn of_who_wants_nothing_counted_nothing_is_told_and_what_came_back_was_not_read() {
        let marks = Marks {
            opened_at: Some(5),
            opened: Some("human"),
            ..Marks::default()
        };
        let mut events = vec![
            seen(EventKind::Open, 5, Rule::Reader),
            seen(EventKind::Bounce, 9, Rule::Reader),
        ];
        let story = told(events.clone(), &marks, false);
        assert_eq!(
            (story.opened, story.clicked, story.events.len()),
            (Reading::CameBack, Reading::Never, 2)
        );
        events[1].kind = EventKind::Withdrawal;
        let story = told(events, &marks, false);
        assert_eq!((story.opened, story.events.len()), (Reading::Withdrawn, 1));
        assert_eq!(story.clicked, Reading::Withdrawn, "clicked or not");
        let withdrawn = Marks {
            withdrawn: Some(1),
            ..marks
        };
        let story = told(Vec::new(), &withdrawn, false);
        assert_eq!(story.opened, Reading::Withdrawn);
    }
}
