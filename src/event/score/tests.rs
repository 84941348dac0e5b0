//! Each rule where it should speak, and what scanners and readers were seen to do.

use serde::Deserialize;

use super::{Rule, Verdict, Witness, judge};
use crate::clock::Timestamp;
use crate::event::{EventKind, Evidence};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn reader() -> Evidence {
    Evidence {
        agent: BROWSER.into(),
        network: "9b1c2d3e4f506172".into(),
        language: true,
        ..Evidence::default()
    }
}

fn seen(kind: EventKind, link: Option<u32>, millis: i64, evidence: &Evidence) -> Witness<'_> {
    Witness {
        kind,
        link,
        at: Timestamp(millis),
        after: Some(millis / 1000),
        evidence,
    }
}

fn click(link: u32, millis: i64, evidence: &Evidence) -> Witness<'_> {
    seen(EventKind::Click, Some(link), millis, evidence)
}

#[test]
fn a_burst_is_judged_with_its_neighbours_and_its_company() {
    let one = reader();
    let other = Evidence {
        network: "0011223344556677".into(),
        ..reader()
    };
    let events = [
        seen(EventKind::Open, None, 60_500, &one),
        click(0, 60_000, &one),
        click(1, 62_000, &one),
        // Beyond the window of the first, within that of the second; and of another network.
        click(2, 64_900, &one),
        click(0, 66_000, &other),
        click(3, 90_000, &one),
        click(3, 900_000, &one),
    ];
    let rules = judge(&events);
    assert_eq!(
        rules,
        [
            Rule::Company,
            Rule::Burst,
            Rule::Burst,
            Rule::Burst,
            Rule::Burst,
            Rule::Company,
            Rule::Reader,
        ]
    );
    // An open that came well before is not the machine's, and hers are the clicks that come long after.
    let scanned = [
        seen(EventKind::Open, None, 54_000, &one),
        click(0, 60_000, &other),
        click(1, 60_400, &other),
        click(2, 60_800, &other),
        click(3, 61_200, &one),
    ];
    assert_eq!(
        judge(&scanned),
        [
            Rule::Reader,
            Rule::Burst,
            Rule::Burst,
            Rule::Burst,
            Rule::Tabs
        ]
    );
    // Two links, however often, are a reader's tabs.
    let tabs = [
        click(0, 60_000, &one),
        click(1, 60_100, &one),
        click(0, 60_200, &one),
        click(1, 60_300, &one),
    ];
    assert!(judge(&tabs).iter().all(|rule| *rule == Rule::Reader));
}

#[test]
fn who_has_looked_at_the_mail_and_opens_some_links_in_tabs_is_a_reader() {
    let one = reader();
    let gmail = Evidence {
        agent: "Firefox/11.0 (via ggpht.com GoogleImageProxy)".into(),
        ..Evidence::default()
    };
    let apple = Evidence {
        agent: "Mozilla/5.0".into(),
        ..Evidence::default()
    };
    let tabs = |opened: Option<(i64, &Evidence)>, from: i64, links: u32| {
        let opened = opened.map(|(at, by)| (at * 1000, by.clone()));
        let mut events: Vec<Witness<'_>> = Vec::new();
        if let Some((at, by)) = &opened {
            events.push(seen(EventKind::Open, None, *at, by));
        }
        let open = events.len();
        let at = |link: u32| from * 1000 + i64::from(link) * 700;
        events.extend((0..links).map(|link| click(link, at(link), &one)));
        // One more link, later.
        events.push(click(9, from * 1000 + 20_000, &one));
        let rules = judge(&events);
        let burst = &rules[open..rules.len() - 1];
        assert!(burst.iter().all(|rule| *rule == burst[0]), "{rules:?}");
        (burst[0], rules[rules.len() - 1])
    };
    let hour = 3_600;
    let (human, unsure) = ((Rule::Reader, Rule::Reader), (Rule::Tabs, Rule::Reader));
    let machine = (Rule::Burst, Rule::Company);
    assert_eq!(tabs(Some((hour - 15, &one)), hour, 3), human);
    assert_eq!(tabs(Some((hour - 15, &gmail)), hour, 5), human);
    // Apple's proxy has told of nobody who looked, and what comes with the pixel is no reader's.
    assert_eq!(tabs(Some((hour - 15, &apple)), hour, 3), unsure);
    assert_eq!(tabs(Some((hour - 2, &one)), hour, 3), unsure);
    assert_eq!(tabs(None, hour, 3), unsure);
    // In the first minutes it may be either, and without a look before it is a scanner; so are many links at any time.
    assert_eq!(tabs(Some((45, &one)), 60, 3), unsure);
    assert_eq!(tabs(None, 60, 3), machine);
    assert_eq!(tabs(Some((hour - 15, &one)), hour, 8), machine);
}

#[test]
fn each_rule_speaks_where_it_should() {
    let told = |kind, after: Option<i64>, evidence: &Evidence| {
        let event = Witness {
            kind,
            link: None,
            at: Timestamp(0),
            after,
            evidence,
        };
        judge(&[event])[0]
    };
    let (open, click) = (EventKind::Open, EventKind::Click);
    let named = |agent: &str| Evidence {
        agent: agent.into(),
        ..reader()
    };
    let apple = named("Mozilla/5.0");
    let gmail = named("Firefox/11.0 (via ggpht.com GoogleImageProxy)");
    assert_eq!(told(open, Some(60), &reader()), Rule::Reader);
    assert_eq!(told(open, Some(4), &reader()), Rule::Early);
    assert_eq!(told(open, Some(-3), &reader()), Rule::Early);
    assert_eq!(told(open, None, &reader()), Rule::Early);
    assert_eq!(told(click, Some(19), &reader()), Rule::Quick);
    assert_eq!(told(open, Some(19), &reader()), Rule::Reader);
    assert_eq!(told(open, Some(1), &apple), Rule::ApplePrivacy);
    assert_eq!(told(click, Some(60), &apple), Rule::Reader);
    assert_eq!(told(open, Some(60), &gmail), Rule::GmailProxy);
    assert_eq!(told(open, Some(1), &gmail), Rule::Early);
    assert_eq!(told(open, Some(60), &named("")), Rule::NoAgent);
    assert_eq!(told(open, Some(60), &named("curl/8")), Rule::KnownAgent);
    let quiet = Evidence {
        language: false,
        ..reader()
    };
    assert_eq!(told(click, Some(60), &quiet), Rule::NoLanguage);
    assert_eq!(told(open, Some(60), &quiet), Rule::Reader);
    let scanner = Evidence {
        known: Some("mimecast".into()),
        ..reader()
    };
    assert_eq!(told(open, Some(60), &scanner), Rule::KnownNetwork);
    let forgotten = Evidence {
        known: Some("a network of an older table".into()),
        ..reader()
    };
    assert_eq!(told(open, Some(60), &forgotten), Rule::Reader);
    let head = Evidence {
        head: true,
        ..reader()
    };
    assert_eq!(told(click, Some(60), &head), Rule::Head);
    assert_eq!(Rule::Head.verdict(), Verdict::Machine);
    assert_eq!(Rule::ApplePrivacy.verdict(), Verdict::Unsure);
}

#[derive(Deserialize)]
struct Patterns {
    pattern: Vec<Pattern>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    name: String,
    machine: bool,
    #[serde(default)]
    agent: String,
    #[serde(default)]
    language: bool,
    #[serde(default)]
    known: Option<String>,
    #[serde(default)]
    purpose: Option<String>,
    #[serde(default)]
    unsettled: bool,
    #[serde(default)]
    opens: Vec<f64>,
    #[serde(default)]
    clicks: Vec<(f64, u32)>,
    #[serde(default)]
    heads: Vec<(f64, u32)>,
}

impl Pattern {
    /// The rules that judged its events.
    fn judged(&self) -> Vec<Rule> {
        let evidence = Evidence {
            agent: self.agent.clone(),
            network: "9b1c2d3e4f506172".into(),
            language: self.language,
            known: self.known.clone(),
            purpose: self.purpose.clone(),
            ..Evidence::default()
        };
        let head = Evidence {
            head: true,
            ..evidence.clone()
        };
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a fixture")]
        let millis = |seconds: f64| (seconds * 1000.0) as i64;
        let opens = self.opens.iter().map(|&at| {
            let at = millis(at);
            seen(EventKind::Open, None, at, &evidence)
        });
        let clicks = self
            .clicks
            .iter()
            .map(|&(at, link)| click(link, millis(at), &evidence));
        let heads = self
            .heads
            .iter()
            .map(|&(at, link)| click(link, millis(at), &head));
        let mut events: Vec<_> = heads.chain(opens).chain(clicks).collect();
        if self.unsettled {
            events.iter_mut().for_each(|event| event.after = None);
        }
        judge(&events)
    }
}

#[test]
fn of_what_scanners_do_nearly_all_is_flagged_and_of_what_readers_do_nothing() {
    let patterns: Patterns = toml::from_str(include_str!("patterns.toml")).expect("the patterns");
    let (mut events, mut flagged) = (0, 0);
    for pattern in &patterns.pattern {
        let rules = pattern.judged();
        let machine = |rule: &&Rule| rule.verdict() == Verdict::Machine;
        if pattern.machine {
            events += rules.len();
            flagged += rules.iter().filter(machine).count();
            // What is missed is at least not taken for a reader.
            let human = rules.iter().any(|rule| rule.verdict() == Verdict::Human);
            assert!(!human, "{}: {rules:?}", pattern.name);
        } else {
            let wrong = rules.iter().any(|rule| rule.verdict() != Verdict::Human);
            assert!(!wrong, "{}: {rules:?}", pattern.name);
        }
    }
    assert!(events > 50, "{events} events are few");
    assert!(
        flagged * 100 >= events * 95,
        "{flagged} of {events} events were flagged"
    );
}
