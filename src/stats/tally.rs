//! What one delivery's events come to: its readers' classes, and its share of every number of the run.
//!
//! Promises: pure; a delivery's share is worked out from all of its events, so that it can be taken back and given
//! anew when more come, or when the rules change. A reader counts once in each number, by the best of her events.
//! Leaves the verdicts to `event::score`, and adding the shares up to `store`.

use std::collections::BTreeMap;

use crate::event::score::{Rule, Verdict, Witness, judge};
use crate::event::{EventKind, device};

/// Seconds of an hour.
const HOUR: i64 = 3600;
/// Hours since the 250 that are told apart: a week of them, the last holds all that came later.
pub const HOURS: i64 = 168;

/// By what numbers are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Run,
    Link,
    Hour,
    Provider,
    Device,
    Subject,
    /// Opens of a run whose events name nobody: they are counted when they come, and not judged again.
    Nameless,
}

impl Part {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Part::Run => "run",
            Part::Link => "link",
            Part::Hour => "hour",
            Part::Provider => "provider",
            Part::Device => "device",
            Part::Subject => "subject",
            Part::Nameless => "nameless",
        }
    }

    /// The part of this name.
    pub fn parse(name: &str) -> Option<Part> {
        let all = [
            Part::Run,
            Part::Link,
            Part::Hour,
            Part::Provider,
            Part::Device,
            Part::Subject,
            Part::Nameless,
        ];
        all.into_iter().find(|part| part.name() == name)
    }
}

/// What is thought of a reader's opens or clicks, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Human,
    /// Through Gmail's proxy: a reader, whose device nobody knows.
    Gmail,
    /// Apple's proxy: perhaps.
    Apple,
    Unsure,
    Machine,
}

impl Class {
    /// Every class, the best first.
    pub const ALL: [Class; 5] = [
        Class::Human,
        Class::Gmail,
        Class::Apple,
        Class::Unsure,
        Class::Machine,
    ];

    /// The name in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Class::Human => "human",
            Class::Gmail => "gmail",
            Class::Apple => "apple",
            Class::Unsure => "unsure",
            Class::Machine => "machine",
        }
    }

    /// What a rule makes of an event.
    pub fn of(rule: Rule) -> Class {
        match (rule, rule.verdict()) {
            (Rule::GmailProxy, _) => Class::Gmail,
            (Rule::ApplePrivacy, _) => Class::Apple,
            (_, Verdict::Human) => Class::Human,
            (_, Verdict::Unsure) => Class::Unsure,
            (_, Verdict::Machine) => Class::Machine,
        }
    }

    /// Whether a reader did it.
    pub fn is_reader(self) -> bool {
        matches!(self, Class::Human | Class::Gmail)
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// Copies that the relay took, and that were refused for good.
    Sent,
    Bounced,
    /// Sent copies whose clicks and whose opens are not counted: their readers do not want it or were not asked, or
    /// the issue has no link that is counted, or no pixel.
    NoClicks,
    NoOpens,
    /// Sent copies whose readers want nothing counted any more since they got it.
    Withdrawn,
    /// Readers who complained.
    Complained,
    /// Readers whose best open or click is of this class.
    Opened(Class),
    Clicked(Class),
    /// Opens and clicks of this class.
    Opens(Class),
    Clicks(Class),
    /// Looks at the copy's own page, "View in browser", of this class.
    Views(Class),
}

impl What {
    /// The name in the database.
    pub fn name(self) -> String {
        match self {
            What::Sent => "sent".to_owned(),
            What::Bounced => "bounced".to_owned(),
            What::NoClicks => "no-clicks".to_owned(),
            What::NoOpens => "no-opens".to_owned(),
            What::Withdrawn => "withdrawn".to_owned(),
            What::Complained => "complained".to_owned(),
            What::Opened(class) => format!("opened:{}", class.name()),
            What::Clicked(class) => format!("clicked:{}", class.name()),
            What::Opens(class) => format!("opens:{}", class.name()),
            What::Clicks(class) => format!("clicks:{}", class.name()),
            What::Views(class) => format!("views:{}", class.name()),
        }
    }

    /// What has this name.
    pub fn parse(name: &str) -> Option<What> {
        let Some((what, class)) = name.split_once(':') else {
            return match name {
                "sent" => Some(What::Sent),
                "bounced" => Some(What::Bounced),
                "no-clicks" => Some(What::NoClicks),
                "no-opens" => Some(What::NoOpens),
                "withdrawn" => Some(What::Withdrawn),
                "complained" => Some(What::Complained),
                _ => None,
            };
        };
        let class = Class::ALL.into_iter().find(|known| known.name() == class)?;
        Some(match what {
            "opened" => What::Opened(class),
            "clicked" => What::Clicked(class),
            "opens" => What::Opens(class),
            "clicks" => What::Clicks(class),
            "views" => What::Views(class),
            _ => return None,
        })
    }
}

/// Numbers by part, bucket (a link's index, an hour, a provider's name) and what they count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<(Part, String, What), i64>);

impl Tally {
    /// Adds `number`.
    pub fn add(&mut self, part: Part, bucket: &str, what: What, number: i64) {
        *self.0.entry((part, bucket.to_owned(), what)).or_default() += number;
    }

    /// Adds every number of `other`, `sign` times.
    pub fn merge(&mut self, other: &Tally, sign: i64) {
        for ((part, bucket, what), number) in &other.0 {
            self.add(*part, bucket, *what, sign * number);
        }
    }

    /// Everything that is not 0.
    pub fn iter(&self) -> impl Iterator<Item = (Part, &str, What, i64)> {
        let some = self.0.iter().filter(|(_, number)| **number != 0);
        some.map(|((part, bucket, what), number)| (*part, bucket.as_str(), *what, *number))
    }

    /// One number.
    pub fn get(&self, part: Part, bucket: &str, what: What) -> i64 {
        let found = self.0.get(&(part, bucket.to_owned(), what));
        found.copied().unwrap_or(0)
    }

    /// The buckets of a part, in their order.
    pub fn buckets(&self, part: Part) -> Vec<&str> {
        let keys = self.0.keys().filter(|key| key.0 == part);
        let mut names: Vec<&str> = keys.map(|key| key.1.as_str()).collect();
        names.dedup();
        names
    }
}

/// What a delivery's events come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub tally: Tally,
    pub opened: Option<Class>,
    pub clicked: Option<Class>,
}

/// The share of a delivery at `provider` that got the `subject` (of a test). `events` are those that are judged, in
/// any order. Of a copy that came back nobody has read anything: what its links were asked for counts as such alone, and
/// its reader in no number, as she is in none of those who got it.
pub fn share(events: &[Witness<'_>], provider: &str, subject: Option<&str>) -> Share {
    let mut seen = Seen::default();
    for (event, rule) in events.iter().zip(judge(events)) {
        if !event.evidence.head {
            seen.take(event, Class::of(rule), provider);
        }
    }
    if events.iter().any(|event| event.kind == EventKind::Bounce) {
        return Share {
            tally: seen.share.tally,
            ..Share::default()
        };
    }
    seen.count_reader(provider, subject);
    seen.share
}

/// A delivery's events, taken one by one.
#[derive(Default)]
struct Seen<'a> {
    share: Share,
    /// By whom each link was asked for.
    links: BTreeMap<u32, Class>,
    /// The first by which a reader may have opened it, and clicked in it.
    first_open: Option<&'a Witness<'a>>,
    first_click: Option<&'a Witness<'a>>,
}

impl<'a> Seen<'a> {
    fn take(&mut self, event: &'a Witness<'a>, class: Class, provider: &str) {
        let tally = &mut self.share.tally;
        match event.kind {
            EventKind::Open => {
                tally.add(Part::Run, "", What::Opens(class), 1);
                self.open(event, class);
            }
            EventKind::Click => {
                tally.add(Part::Run, "", What::Clicks(class), 1);
                self.click(event, class);
            }
            EventKind::View => {
                tally.add(Part::Run, "", What::Views(class), 1);
                // Who reads it in a browser has opened it, and who may have, may have; nobody knows who a machine's look
                // is of.
                if class != Class::Machine {
                    self.open(event, class);
                }
            }
            EventKind::Complaint => tally.add(Part::Provider, provider, What::Complained, 1),
            _ => {}
        }
    }

    fn open(&mut self, event: &'a Witness<'a>, class: Class) {
        self.share.opened = better(self.share.opened, class);
        if class.is_reader() {
            self.first_open = Some(earlier(self.first_open, event));
        }
    }

    fn click(&mut self, event: &'a Witness<'a>, class: Class) {
        self.share.clicked = better(self.share.clicked, class);
        if let Some(link) = event.link {
            let clicks = What::Clicks(class);
            let tally = &mut self.share.tally;
            tally.add(Part::Link, &link.to_string(), clicks, 1);
            let best = self.links.entry(link).or_insert(class);
            *best = class.min(*best);
        }
        if class.is_reader() {
            self.first_click = Some(earlier(self.first_click, event));
        }
    }

    /// Counts the reader once, by what was seen.
    fn count_reader(&mut self, provider: &str, subject: Option<&str>) {
        let Share {
            tally,
            opened,
            clicked,
        } = &mut self.share;
        for (link, class) in &self.links {
            tally.add(Part::Link, &link.to_string(), What::Clicked(*class), 1);
        }
        // Who clicked has opened it, whether her mail program loads pictures or not.
        if let Some(class) = clicked.filter(|class| class.is_reader()) {
            *opened = better(*opened, class);
        }
        tally.merge(&reader_counted([*opened, *clicked], provider, subject), 1);
        let first_click = self.first_click;
        let before = |one: &&Witness<'_>| first_click.is_none_or(|click| one.at < click.at);
        let first_open = self.first_open.filter(before).or(first_click);
        let firsts = [
            (first_open, What::Opened(Class::Human)),
            (first_click, What::Clicked(Class::Human)),
        ];
        for (event, what) in firsts {
            let Some(event) = event else { continue };
            let hour = event.after.unwrap_or(0).div_euclid(HOUR).clamp(0, HOURS);
            tally.add(Part::Hour, &format!("{hour:03}"), what, 1);
            tally.add(Part::Device, device::family(&event.evidence.agent), what, 1);
        }
    }
}

fn earlier<'a>(first: Option<&'a Witness<'a>>, event: &'a Witness<'a>) -> &'a Witness<'a> {
    first.filter(|first| first.at <= event.at).unwrap_or(event)
}

/// Where a reader by whom it was opened and clicked so is counted as one, beside the hours, devices and links.
pub fn reader_counted(
    [opened, clicked]: [Option<Class>; 2],
    provider: &str,
    subject: Option<&str>,
) -> Tally {
    let mut tally = Tally::default();
    let readers = [opened.map(What::Opened), clicked.map(What::Clicked)];
    for what in readers.into_iter().flatten() {
        tally.add(Part::Run, "", what, 1);
        tally.add(Part::Provider, provider, what, 1);
        if let Some(subject) = subject {
            tally.add(Part::Subject, subject, what, 1);
        }
    }
    tally
}

/// The same of a delivery whose reader wants nothing counted any more: nothing but a complaint, which she made herself.
pub fn share_of_withdrawn(events: &[Witness<'_>], provider: &str) -> Share {
    let complaints = events
        .iter()
        .filter(|event| event.kind == EventKind::Complaint);
    let mut share = Share::default();
    for _ in complaints {
        share
            .tally
            .add(Part::Provider, provider, What::Complained, 1);
    }
    share
}

fn better(known: Option<Class>, class: Class) -> Option<Class> {
    Some(known.map_or(class, |known| known.min(class)))
}

#[cfg(test)]
mod tests;
