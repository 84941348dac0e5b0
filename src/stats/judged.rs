//! The judged numbers of a run: readers told from machines, each share with its interval.
//!
//! Promises: read from the tallies alone, so that a run of a million costs what a small one does; what cannot be said
//! is missing. Leaves the verdicts to `event::score` and the tallies to `track::fold`.

use serde::Serialize;

use crate::stats::interval::Share;
use crate::stats::tally::{Class, HOURS, Part, Tally, What};

/// Hours that are shown one by one: after two days hardly anything happens.
pub const SHOWN: usize = 48;

/// Readers or events by what is thought of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Classes {
    pub human: i64,
    /// Through Gmail's proxy: readers, whose devices nobody knows.
    pub gmail: i64,
    /// Through Apple's proxy, which loads every mail's images: perhaps.
    pub apple: i64,
    pub unsure: i64,
    pub machine: i64,
}

impl Classes {
    /// Those who read, or what they did.
    pub fn readers(&self) -> i64 {
        self.human + self.gmail
    }

    /// All of them.
    pub fn total(&self) -> i64 {
        self.readers() + self.apple + self.unsure + self.machine
    }

    fn and(self, other: Classes) -> Classes {
        Classes {
            human: self.human + other.human,
            gmail: self.gmail + other.gmail,
            apple: self.apple + other.apple,
            unsure: self.unsure + other.unsure,
            machine: self.machine + other.machine,
        }
    }

    /// So many in all: nobody knows who the others are.
    fn fill_up(&mut self, all: i64) {
        self.unsure += (all - self.total()).max(0);
    }

    fn read(tally: &Tally, part: Part, bucket: &str, what: fn(Class) -> What) -> Classes {
        let number = |class| tally.get(part, bucket, what(class));
        Classes {
            human: number(Class::Human),
            gmail: number(Class::Gmail),
            apple: number(Class::Apple),
            unsure: number(Class::Unsure),
            machine: number(Class::Machine),
        }
    }
}

/// A run's judged numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Readers who clicked, of those to whom it was sent.
    pub clicked: Share,
    /// Readers who opened it, Apple's proxy left out; who clicked has opened it.
    pub opened: Share,
    /// Readers who left by it.
    pub departed: Share,
    /// Whoever clicked or opened at all, by the best of what they did.
    pub clickers: Classes,
    pub openers: Classes,
    /// Every click and every open.
    pub clicks: Classes,
    pub opens: Classes,
    /// How much of all clicks and opens machines made.
    pub machine_clicks: Share,
    pub machine_opens: Share,
    pub hours: Vec<Hour>,
    pub providers: Vec<Group>,
    pub devices: Vec<Device>,
    /// The two subjects of a test, and the rest.
    pub subjects: Vec<Group>,
    /// Events of it name nobody: machines that do not say so count with readers, and what is told apart by reader is
    /// not kept.
    pub nameless: bool,
}

/// What is counted of a run whose events name nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nameless {
    pub opened: i64,
    pub clicked: i64,
    pub opens: i64,
    pub clicks: i64,
}

/// First opens and first clicks of readers in one hour since the relay took their copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hour {
    pub hour: i64,
    pub opened: i64,
    pub clicked: i64,
}

/// Readers of one provider, or of one subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    pub name: String,
    pub sent: i64,
    pub bounced: i64,
    /// Known where the provider tells of complaints.
    pub complained: i64,
    pub clicked: Share,
    pub opened: Share,
    /// Opened by Apple's proxy alone.
    pub apple: i64,
}

/// Readers of one family of devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    pub name: String,
    pub opened: i64,
    pub clicked: i64,
}

/// One link's judged numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LinkJudged {
    /// Readers who clicked it, of all whose copies show it.
    pub readers: Share,
    pub clicks: Classes,
}

impl LinkJudged {
    /// Clicks of it, those of machines left out.
    pub fn clicked(&self) -> i64 {
        self.clicks.total() - self.clicks.machine
    }
}

impl Judged {
    /// From the tallies of a run that was sent to so many, of whom so many left by it.
    pub fn read(tally: &Tally, sent: i64, departed: i64) -> Judged {
        let classes = |what| Classes::read(tally, Part::Run, "", what);
        let (clickers, openers) = (classes(What::Clicked), classes(What::Opened));
        let (clicks, opens) = (classes(What::Clicks), classes(What::Opens));
        let nameless = |what| Classes::read(tally, Part::Nameless, "", what);
        let (openers, opens) = (
            openers.and(nameless(What::Opened)),
            opens.and(nameless(What::Opens)),
        );
        Judged {
            clicked: Share::of(clickers.readers(), sent),
            opened: Share::of(openers.readers(), sent),
            departed: Share::of(departed, sent),
            machine_clicks: Share::of(clicks.machine, clicks.total()),
            machine_opens: Share::of(opens.machine, opens.total()),
            clickers,
            openers,
            clicks,
            opens,
            hours: hours(tally),
            providers: groups(tally, Part::Provider),
            devices: devices(tally),
            subjects: groups(tally, Part::Subject),
            nameless: false,
        }
    }

    /// The same of a run whose events name nobody, or some of them: whoever is not judged is counted, and nobody
    /// knows who it was. Those of whom Apple's proxy alone loaded the images are not among the counted.
    pub fn nameless(mut self, counted: &Nameless) -> Judged {
        let sent = self.clicked.whole;
        self.clickers.fill_up(counted.clicked);
        self.openers.fill_up(counted.opened + self.openers.apple);
        self.clicks.fill_up(counted.clicks);
        self.opens.fill_up(counted.opens);
        self.clicked = Share::of(counted.clicked, sent);
        self.opened = Share::of(counted.opened, sent);
        (self.machine_clicks, self.machine_opens) = (Share::default(), Share::default());
        self.nameless = true;
        self
    }

    /// Judged numbers of one link of a run that was sent to so many. A link that stands in parts for `some` readers
    /// was shown to those whose copies have one of them.
    pub fn link(tally: &Tally, link: i64, sent: i64, some: bool) -> LinkJudged {
        let bucket = link.to_string();
        let shown = some.then(|| tally.get(Part::Link, &bucket, What::Sent));
        let readers = Classes::read(tally, Part::Link, &bucket, What::Clicked);
        LinkJudged {
            readers: Share::of(readers.readers(), shown.unwrap_or(sent)),
            clicks: Classes::read(tally, Part::Link, &bucket, What::Clicks),
        }
    }

    /// The same of a link whose clicks name nobody: so many readers, so many clicks.
    pub fn nameless_link(mut link: LinkJudged, readers: i64, clicks: i64) -> LinkJudged {
        link.readers = Share::of(readers, link.readers.whole);
        link.clicks.fill_up(clicks);
        link
    }

    /// First opens and first clicks of the hours that are shown.
    pub fn curves(&self) -> (Vec<i64>, Vec<i64>) {
        let (mut opened, mut clicked) = (vec![0; SHOWN], vec![0; SHOWN]);
        for hour in &self.hours {
            if let Some(place) = usize::try_from(hour.hour).ok().filter(|&hour| hour < SHOWN) {
                (opened[place], clicked[place]) = (hour.opened, hour.clicked);
            }
        }
        (opened, clicked)
    }
}

/// Hours in which anything happened; the last holds all that came later than a week.
fn hours(tally: &Tally) -> Vec<Hour> {
    let hour = |hour: i64| {
        let bucket = format!("{hour:03}");
        let number = |what| tally.get(Part::Hour, &bucket, what);
        Hour {
            hour,
            opened: number(What::Opened(Class::Human)),
            clicked: number(What::Clicked(Class::Human)),
        }
    };
    let hours = (0..=HOURS).map(hour);
    hours
        .filter(|hour| hour.opened + hour.clicked > 0)
        .collect()
}

/// The largest first.
fn groups(tally: &Tally, part: Part) -> Vec<Group> {
    let group = |name: &str| {
        let sent = tally.get(part, name, What::Sent);
        let opened = Classes::read(tally, part, name, What::Opened);
        let clicked = Classes::read(tally, part, name, What::Clicked);
        Group {
            name: name.to_owned(),
            sent,
            bounced: tally.get(part, name, What::Bounced),
            complained: tally.get(part, name, What::Complained),
            clicked: Share::of(clicked.readers(), sent),
            opened: Share::of(opened.readers(), sent),
            apple: opened.apple,
        }
    };
    let mut groups: Vec<Group> = tally.buckets(part).into_iter().map(group).collect();
    groups.sort_by(|one, other| other.sent.cmp(&one.sent).then(one.name.cmp(&other.name)));
    groups
}

fn devices(tally: &Tally) -> Vec<Device> {
    let device = |name: &str| Device {
        name: name.to_owned(),
        opened: tally.get(Part::Device, name, What::Opened(Class::Human)),
        clicked: tally.get(Part::Device, name, What::Clicked(Class::Human)),
    };
    let mut devices: Vec<Device> = tally
        .buckets(Part::Device)
        .into_iter()
        .map(device)
        .collect();
    devices.retain(|device| device.opened + device.clicked > 0);
    devices.sort_by(|one, other| {
        let order = (other.opened + other.clicked).cmp(&(one.opened + one.clicked));
        order.then(one.name.cmp(&other.name))
    });
    devices
}

#[cfg(test)]
mod tests {
    use super::{Judged, Nameless};
    use crate::stats::tally::{Class, Part, Tally, What};

    #[test]
    fn without_names_everybody_counts_and_nobody_is_known() {
        let mut tally = Tally::default();
        tally.add(Part::Run, "", What::Clicks(Class::Human), 2);
        let counted = Nameless {
            opened: 40,
            clicked: 10,
            opens: 60,
            clicks: 12,
        };
        let judged = Judged::read(&tally, 100, 1).nameless(&counted);
        assert_eq!((judged.opened.part, judged.clicked.part), (40, 10));
        assert_eq!((judged.clicks.human, judged.clicks.unsure), (2, 10));
        assert_eq!((judged.opens.unsure, judged.opens.machine), (60, 0));
        assert_eq!(judged.machine_opens.percent(), None);
        let link = Judged::nameless_link(Judged::link(&tally, 0, 100, false), 3, 4);
        assert_eq!(
            (link.readers.part, link.readers.whole, link.clicks.unsure),
            (3, 100, 4)
        );
    }

    #[test]
    fn without_names_the_proxies_are_told_apart_and_apples_counts_for_nobody() {
        let mut tally = Tally::default();
        for (what, number) in [
            (What::Opened(Class::Human), 12),
            (What::Opened(Class::Gmail), 6),
            (What::Opened(Class::Apple), 5),
            (What::Opens(Class::Apple), 9),
            (What::Opens(Class::Machine), 1),
        ] {
            tally.add(Part::Nameless, "", what, number);
        }
        let counted = Nameless {
            opened: 20,
            clicked: 1,
            opens: 40,
            clicks: 1,
        };
        let judged = Judged::read(&tally, 100, 0).nameless(&counted);
        assert_eq!(judged.opened.part, 20);
        let openers = judged.openers;
        // Two of the twenty were counted before anybody told them apart.
        assert_eq!(
            (openers.readers(), openers.unsure, openers.apple),
            (18, 2, 5)
        );
        assert_eq!((judged.opens.apple, judged.opens.total()), (9, 40));
    }

    #[test]
    fn a_link_for_some_readers_has_those_who_got_it_as_its_whole() {
        let mut tally = Tally::default();
        tally.add(Part::Link, "4", What::Sent, 265);
        tally.add(Part::Link, "4", What::Clicked(Class::Human), 20);
        let link = |link, some| Judged::link(&tally, link, 400, some).readers;
        assert_eq!((link(4, true).part, link(4, true).whole), (20, 265));
        assert_eq!(link(3, false).whole, 400);
        // Nobody got this one.
        assert_eq!((link(5, true).whole, link(5, true).percent()), (0, None));
    }

    #[test]
    fn machines_are_counted_apart_and_groups_stand_by_size() {
        let mut tally = Tally::default();
        for (what, number) in [
            (What::Opened(Class::Human), 30),
            (What::Opened(Class::Gmail), 20),
            (What::Opened(Class::Apple), 25),
            (What::Clicked(Class::Human), 10),
            (What::Clicked(Class::Machine), 40),
            (What::Clicks(Class::Human), 12),
            (What::Clicks(Class::Machine), 48),
        ] {
            tally.add(Part::Run, "", what, number);
        }
        tally.add(Part::Provider, "Apple", What::Sent, 40);
        tally.add(Part::Provider, "Gmail", What::Sent, 60);
        tally.add(Part::Provider, "Gmail", What::Opened(Class::Gmail), 20);
        tally.add(Part::Hour, "001", What::Opened(Class::Human), 3);
        tally.add(Part::Hour, "168", What::Clicked(Class::Human), 1);
        let judged = Judged::read(&tally, 100, 1);
        assert_eq!((judged.clicked.part, judged.opened.part), (10, 50));
        assert_eq!(judged.machine_clicks.percent().as_deref(), Some("80.0 %"));
        assert_eq!(judged.openers.apple, 25);
        let names: Vec<&str> = judged
            .providers
            .iter()
            .map(|group| group.name.as_str())
            .collect();
        assert_eq!(names, ["Gmail", "Apple"]);
        assert_eq!(judged.providers[0].opened.part, 20);
        assert_eq!(judged.hours.len(), 2);
        assert_eq!(judged.curves().0[1], 3);
        assert!(judged.subjects.is_empty());
    }
}
