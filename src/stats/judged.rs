//! The judged numbers of a run: readers told from machines, each share with its interval.
//!
//! Promises: read from the tallies alone, so that a run of a million costs what a small one does; what cannot be said
//! is missing. Leaves the verdicts to `event::score` and the tallies to `track::fold`.

use serde::Serialize;

use crate::stats::TestNumbers;
use crate::stats::classes::{Classes, Known};
use crate::stats::interval::Share;
use crate::stats::tally::{Class, HOURS, Part, Tally, What};
use crate::stats::uncounted::Uncounted;
use crate::trial::Variant;

/// Hours that are shown one by one: after two days hardly anything happens.
pub const SHOWN: usize = 48;

/// A run's judged numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Copies that were sent and count nothing: they are in no share of clicks and opens.
    pub uncounted: Uncounted,
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
    /// Every look at a copy's own page in a browser.
    pub views: Classes,
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

/// First opens and first clicks of readers in one hour since the relay took their copy; none is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hour {
    pub hour: i64,
    pub opened: Option<i64>,
    pub clicked: Option<i64>,
}

/// Readers of one provider, or of one subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    pub name: String,
    /// The words of a subject of a test, and whether they won.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub won: bool,
    pub sent: i64,
    pub bounced: i64,
    /// Known where the provider tells of complaints.
    pub complained: i64,
    pub clicked: Share,
    pub opened: Share,
    /// Opened by Apple's proxy alone.
    pub apple: i64,
}

/// Readers of one family of devices; none is not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    pub name: String,
    pub opened: Option<i64>,
    pub clicked: Option<i64>,
}

/// One link's judged numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LinkJudged {
    /// Readers who clicked it, of all whose copies show it.
    pub readers: Share,
    pub clicks: Classes,
}

impl LinkJudged {
    /// Clicks of readers; none where they are not counted.
    pub fn clicked(&self) -> Option<i64> {
        let clicks = &self.clicks;
        match clicks.known {
            Known::All => Some(clicks.readers()),
            // Nobody knows which are theirs.
            Known::NotMachines => clicks.all(),
            Known::Nothing => None,
        }
    }
}

impl Judged {
    /// From the tallies of a run that was sent to so many, of whom so many left by it.
    pub fn read(tally: &Tally, sent: i64, departed: i64) -> Judged {
        let classes = |what| Classes::read(tally, Part::Run, "", what);
        let (clickers, openers) = (classes(What::Clicked), classes(What::Opened));
        let (clicks, opens) = (classes(What::Clicks), classes(What::Opens));
        let views = classes(What::Views);
        let nameless = |what| Classes::read(tally, Part::Nameless, "", what);
        let (openers, opens) = (
            openers.and(nameless(What::Opened)),
            opens.and(nameless(What::Opens)),
        );
        let uncounted = Uncounted::read(tally, Part::Run, "");
        let clicked = Share::of_counted(clickers.readers(), sent, uncounted.clicks);
        let opened = Share::of_counted(openers.readers(), sent, uncounted.opens);
        let told = Told {
            clicked: clicked.told,
            opened: opened.told,
        };
        let machines = |of: &Classes, told: bool| match told {
            true => Share::of(of.machine, of.total()),
            false => Share::default(),
        };
        Judged {
            uncounted,
            clicked,
            opened,
            departed: Share::of(departed, sent),
            machine_clicks: machines(&clicks, told.clicked),
            machine_opens: machines(&opens, told.opened),
            clickers: clickers.if_counted(told.clicked),
            openers: openers.if_counted(told.opened),
            clicks: clicks.if_counted(told.clicked),
            opens: opens.if_counted(told.opened),
            views: views.if_counted(told.opened),
            hours: hours(tally, told),
            providers: groups(tally, Part::Provider),
            devices: devices(tally, told),
            subjects: groups(tally, Part::Subject),
            nameless: false,
        }
    }

    /// The same of a run whose events name nobody, or some of them: whoever is not judged is counted, and nobody
    /// knows who it was. Those of whom Apple's proxy alone loaded the images are not among the counted.
    pub fn nameless(mut self, counted: &Nameless) -> Judged {
        if self.clicked.told {
            self.clickers.fill_up(counted.clicked);
            self.clicks.fill_up(counted.clicks);
            self.clicked = Share::of(counted.clicked, self.clicked.whole);
        }
        self.clickers.without_machines();
        self.clicks.without_machines();
        if self.opened.told {
            self.openers.fill_up(counted.opened + self.openers.apple);
            self.opens.fill_up(counted.opens);
            self.opened = Share::of(counted.opened, self.opened.whole);
        }
        self.views = Classes::default().if_counted(false);
        (self.machine_clicks, self.machine_opens) = (Share::default(), Share::default());
        self.nameless = true;
        self
    }

    /// Gives the subjects of a test their words, A before B before the rest.
    pub fn name_subjects(&mut self, test: &TestNumbers) {
        let winner = test.decided.then_some(test.decision.winner);
        for group in &mut self.subjects {
            let variant = [Variant::A, Variant::B]
                .into_iter()
                .find(|variant| variant.name() == group.name);
            group.won = variant.is_some() && variant == winner;
            group.subject = match variant.or(winner) {
                Some(Variant::A) => Some(test.a.clone()),
                Some(Variant::B) => Some(test.b.clone()),
                None => None,
            };
        }
        // `rest` comes behind the capitals.
        self.subjects
            .sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Judged numbers of one link of a run that was sent to so many. A link that stands in parts for `some` readers
    /// was shown to those whose copies have one of them.
    pub fn link(tally: &Tally, link: i64, sent: i64, some: bool) -> LinkJudged {
        let bucket = link.to_string();
        let number = |part, bucket: &str, what| tally.get(part, bucket, what);
        let (shown, not) = match some {
            true => (
                number(Part::Link, &bucket, What::Sent),
                number(Part::Link, &bucket, What::NoClicks),
            ),
            false => (sent, number(Part::Run, "", What::NoClicks)),
        };
        let readers = Classes::read(tally, Part::Link, &bucket, What::Clicked);
        let readers = Share::of_counted(readers.readers(), shown, not);
        let clicks = Classes::read(tally, Part::Link, &bucket, What::Clicks);
        LinkJudged {
            readers,
            clicks: clicks.if_counted(readers.told),
        }
    }

    /// The same of a link whose clicks name nobody: so many readers, so many clicks.
    pub fn nameless_link(mut link: LinkJudged, readers: i64, clicks: i64) -> LinkJudged {
        if link.readers.told {
            link.readers = Share::of(readers, link.readers.whole);
            link.clicks.fill_up(clicks);
        }
        link.clicks.without_machines();
        link
    }

    /// First opens and first clicks of the hours that are shown.
    pub fn curves(&self) -> (Vec<i64>, Vec<i64>) {
        let (mut opened, mut clicked) = (vec![0; SHOWN], vec![0; SHOWN]);
        for hour in &self.hours {
            if let Some(place) = usize::try_from(hour.hour).ok().filter(|&hour| hour < SHOWN) {
                opened[place] = hour.opened.unwrap_or(0);
                clicked[place] = hour.clicked.unwrap_or(0);
            }
        }
        (opened, clicked)
    }
}

/// What of a run is counted at all.
#[derive(Clone, Copy)]
struct Told {
    clicked: bool,
    opened: bool,
}

/// Hours in which anything happened; the last holds all that came later than a week.
fn hours(tally: &Tally, told: Told) -> Vec<Hour> {
    let hour = |hour: i64| {
        let bucket = format!("{hour:03}");
        let number = |what| tally.get(Part::Hour, &bucket, what);
        Hour {
            hour,
            opened: told.opened.then(|| number(What::Opened(Class::Human))),
            clicked: told.clicked.then(|| number(What::Clicked(Class::Human))),
        }
    };
    let hours = (0..=HOURS).map(hour);
    hours
        .filter(|hour| hour.opened.unwrap_or(0) + hour.clicked.unwrap_or(0) > 0)
        .collect()
}

/// The largest first.
fn groups(tally: &Tally, part: Part) -> Vec<Group> {
    let group = |name: &str| {
        let sent = tally.get(part, name, What::Sent);
        let opened = Classes::read(tally, part, name, What::Opened);
        let clicked = Classes::read(tally, part, name, What::Clicked);
        let uncounted = Uncounted::read(tally, part, name);
        Group {
            name: name.to_owned(),
            subject: None,
            won: false,
            sent,
            bounced: tally.get(part, name, What::Bounced),
            complained: tally.get(part, name, What::Complained),
            clicked: Share::of_counted(clicked.readers(), sent, uncounted.clicks),
            opened: Share::of_counted(opened.readers(), sent, uncounted.opens),
            apple: opened.apple,
        }
    };
    let mut groups: Vec<Group> = tally.buckets(part).into_iter().map(group).collect();
    groups.sort_by(|one, other| other.sent.cmp(&one.sent).then(one.name.cmp(&other.name)));
    groups
}

fn devices(tally: &Tally, told: Told) -> Vec<Device> {
    let number = |name: &str, what| tally.get(Part::Device, name, what);
    let device = |name: &str| Device {
        name: name.to_owned(),
        opened: told
            .opened
            .then(|| number(name, What::Opened(Class::Human))),
        clicked: told
            .clicked
            .then(|| number(name, What::Clicked(Class::Human))),
    };
    let all = |device: &Device| device.opened.unwrap_or(0) + device.clicked.unwrap_or(0);
    let mut devices: Vec<Device> = tally
        .buckets(Part::Device)
        .into_iter()
        .map(device)
        .collect();
    devices.retain(|device| all(device) > 0);
    devices.sort_by(|one, other| {
        let order = all(other).cmp(&all(one));
        order.then(one.name.cmp(&other.name))
    });
    devices
}

#[cfg(test)]
mod tests {
    use super::{Judged, Nameless};
    use crate::stats::interval::Share;
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
        assert_eq!(
            (judged.clicks.machines(), judged.opens.machines()),
            (None, Some(0)),
            "of clicks nobody knows"
        );
        let link = Judged::nameless_link(Judged::link(&tally, 0, 100, false), 3, 4);
        assert_eq!(
            (link.readers.part, link.readers.whole, link.clicks.unsure),
            (3, 100, 4)
        );
        assert_eq!(link.clicks.machines(), None);
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
    fn copies_that_count_nothing_are_in_no_share_and_where_all_do_nothing_is_told() {
        let mut tally = Tally::default();
        tally.add(Part::Run, "", What::Opened(Class::Human), 24);
        tally.add(Part::Run, "", What::Clicked(Class::Human), 12);
        tally.add(Part::Run, "", What::Clicks(Class::Human), 12);
        tally.add(Part::Run, "", What::NoClicks, 50);
        tally.add(Part::Run, "", What::NoOpens, 50);
        tally.add(Part::Link, "0", What::Clicked(Class::Human), 12);
        tally.add(Part::Link, "1", What::Sent, 40);
        tally.add(Part::Link, "1", What::NoClicks, 20);
        tally.add(Part::Provider, "Gmail", What::Sent, 60);
        tally.add(Part::Provider, "Gmail", What::NoOpens, 30);
        tally.add(Part::Provider, "Gmail", What::Opened(Class::Human), 15);
        tally.add(Part::Hour, "001", What::Opened(Class::Human), 24);
        tally.add(Part::Hour, "001", What::Clicked(Class::Human), 12);
        let judged = Judged::read(&tally, 80, 4);
        let said = |share: Share| (share.part, share.whole, share.percent());
        assert_eq!(said(judged.opened), (24, 30, Some("80.0 %".into())));
        assert_eq!(said(judged.clicked), (12, 30, Some("40.0 %".into())));
        assert_eq!(said(judged.departed), (4, 80, Some("5.0 %".into())));
        assert_eq!(judged.providers[0].opened.whole, 30);
        let link = |link, some| Judged::link(&tally, link, 80, some).readers.whole;
        assert_eq!((link(0, false), link(1, true)), (30, 20));
        // No copy has a pixel: who clicked is not all who opened.
        tally.add(Part::Run, "", What::NoOpens, 30);
        let judged = Judged::read(&tally, 80, 4);
        assert_eq!(
            (judged.opened.number(), judged.clicked.number()),
            (None, Some(12))
        );
        assert_eq!((judged.opens.all(), judged.clicks.all()), (None, Some(12)));
        let hour = judged.hours[0];
        assert_eq!((hour.opened, hour.clicked), (None, Some(12)));
        tally.add(Part::Run, "", What::NoClicks, 30);
        let counted = Nameless::default();
        for judged in [
            Judged::read(&tally, 80, 4),
            Judged::read(&tally, 80, 4).nameless(&counted),
        ] {
            assert_eq!((judged.clicked.told, judged.opened.told), (false, false));
            assert_eq!((judged.hours.len(), judged.machine_clicks.told), (0, false));
            let json = serde_json::to_value(&judged).expect("plain data");
            assert!(json["clicks"]["human"].is_null() && json["opened"]["part"].is_null());
            assert_eq!(json["uncounted"]["clicks"], 80);
        }
        assert_eq!(Judged::link(&tally, 0, 80, false).clicked(), None);
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
