//! What became of one copy: its events, each with its verdict, and whether a reader has opened it and clicked in it.
//!
//! Promises: judged by the rules and from the events that the numbers are counted by, so that a reader's page never says
//! what they deny. Of events that are forgotten, what was judged of them is left.

use crate::app::App;
use crate::clock::Timestamp;
use crate::event::score::{JUDGED, Rule, Verdict, judge};
use crate::event::{EventKind, Evidence};
use crate::id::DeliveryKey;
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
        self.is_look() && !self.evidence.head && Class::of(self.rule).is_reader()
    }

    /// Whether it is judged at all: a complaint or a leaving is a reader's by what it is.
    pub fn verdict(&self) -> Option<Verdict> {
        self.is_look().then(|| self.rule.verdict())
    }

    fn is_look(&self) -> bool {
        let kinds = [EventKind::Open, EventKind::Click, EventKind::View];
        kinds.contains(&self.kind)
    }
}

/// Whether a reader did it, as far as can be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    #[default]
    Never,
    /// A reader did, first at this time.
    First(Timestamp),
    /// A reader did; the events are forgotten.
    Once,
    /// Only such as count for nobody.
    Only(Class),
    /// Somebody or something did, of whom nothing is kept.
    Unknown,
}

impl Reading {
    /// In words; none where nothing happened. Times are told by `time`.
    pub fn words(self, time: impl Fn(Timestamp) -> String) -> Option<String> {
        Some(match self {
            Reading::Never => return None,
            Reading::First(at) => format!("first on {}", time(at)),
            Reading::Once => "by a reader; when is forgotten".to_owned(),
            Reading::Only(Class::Apple) => {
                "by Apple's proxy alone, which opens every mail".to_owned()
            }
            Reading::Only(Class::Machine) => "by machines only".to_owned(),
            Reading::Only(_) => "perhaps: nobody can tell a reader from a machine here".to_owned(),
            Reading::Unknown => "by whom is not kept".to_owned(),
        })
    }

    /// When a reader first did.
    pub fn first(self) -> Option<Timestamp> {
        match self {
            Reading::First(at) => Some(at),
            _ => None,
        }
    }

    /// `human` and so on, as the numbers name who did it; none where nobody did, or nobody knows.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Reading::First(_) | Reading::Once => Some(Class::Human.name()),
            Reading::Only(class) => Some(class.name()),
            Reading::Never | Reading::Unknown => None,
        }
    }
}

/// What is kept of a delivery beside its events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks<'a> {
    /// When its pixel and its first link were first asked for, by whomever.
    pub opened_at: Option<i64>,
    pub clicked_at: Option<i64>,
    /// The best that was judged of it, by name.
    pub opened: Option<&'a str>,
    pub clicked: Option<&'a str>,
}

macro_rules! marks_of {
    ($($kept:ty),*) => {$(
        impl<'a> From<&'a $kept> for Marks<'a> {
            fn from(kept: &'a $kept) -> Marks<'a> {
                Marks {
                    opened_at: kept.opened_at,
                    clicked_at: kept.clicked_at,
                    opened: kept.opened.as_deref(),
                    clicked: kept.clicked.as_deref(),
                }
            }
        }
    )*};
}
marks_of!(Dossier, Got, Reached);

/// Reads and judges the events of one copy.
pub async fn story(app: &App, key: DeliveryKey, marks: &Marks<'_>) -> Result<Story, StoreError> {
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
    Ok(told(events, marks))
}

fn told(events: Vec<Told>, marks: &Marks<'_>) -> Story {
    let clicks = |kind| kind == EventKind::Click;
    let clicked = reading(&events, clicks, marks.clicked, marks.clicked_at);
    // Who clicked has opened it, and who read its page; a machine that followed a link has not.
    let any = |kind| matches!(kind, EventKind::Open | EventKind::Click | EventKind::View);
    let opens = |kind| kind == EventKind::Open;
    let opened = match reading(&events, any, marks.opened, marks.opened_at) {
        Reading::Only(_) => reading(&events, opens, marks.opened, marks.opened_at),
        told => told,
    };
    Story {
        events,
        opened,
        clicked,
    }
}

fn reading(
    events: &[Told],
    of: fn(EventKind) -> bool,
    judged: Option<&str>,
    raw: Option<i64>,
) -> Reading {
    let those = || {
        let those = events.iter().filter(|told| of(told.kind));
        those.filter(|told| !told.evidence.head)
    };
    let hers = those().filter(|told| told.is_readers());
    if let Some(at) = hers.map(|told| told.at).min() {
        return Reading::First(at);
    }
    let judged = Class::ALL
        .into_iter()
        .find(|class| Some(class.name()) == judged);
    let best = those().map(|told| Class::of(told.rule)).min();
    match (best, judged) {
        (Some(best), _) => Reading::Only(best),
        (None, Some(class)) if class.is_reader() => Reading::Once,
        (None, Some(class)) => Reading::Only(class),
        (None, None) if raw.is_some() => Reading::Unknown,
        (None, None) => Reading::Never,
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
            let story = told(events.to_vec(), &Marks::default());
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
        };
        let story = told(Vec::new(), &marks);
        assert_eq!(story.opened, Reading::Once);
        assert_eq!(story.clicked, Reading::Only(Class::Machine));
        let unjudged = Marks {
            opened: None,
            ..marks
        };
        assert_eq!(told(Vec::new(), &unjudged).opened, Reading::Unknown);
    }
}
