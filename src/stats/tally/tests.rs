//! What one delivery's events come to, taken back and given anew.

use super::{Class, Part, Tally, What, share};
use crate::clock::Timestamp;
use crate::event::score::Witness;
use crate::event::{EventKind, Evidence};

fn reader() -> Evidence {
    Evidence {
        agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)".into(),
        language: true,
        ..Evidence::default()
    }
}

fn seen(link: Option<u32>, second: i64, evidence: &Evidence) -> Witness<'_> {
    Witness {
        kind: match link {
            Some(_) => EventKind::Click,
            None => EventKind::Open,
        },
        link,
        at: Timestamp(second * 1000),
        after: Some(second),
        evidence,
    }
}

#[test]
fn a_reader_counts_once_by_the_best_of_her_events_and_every_event_counts() {
    let (reader, apple) = (
        reader(),
        Evidence {
            agent: "Mozilla/5.0".into(),
            ..Evidence::default()
        },
    );
    let events = [
        seen(None, 2, &apple),
        seen(None, 7_300, &reader),
        seen(None, 9_000, &reader),
        seen(Some(4), 7_400, &reader),
        seen(Some(4), 90_000, &reader),
    ];
    let one = share(&events, "Gmail", Some("B"));
    assert_eq!(
        (one.opened, one.clicked),
        (Some(Class::Human), Some(Class::Human))
    );
    let number = |part, bucket: &str, what| one.tally.get(part, bucket, what);
    assert_eq!(number(Part::Run, "", What::Opened(Class::Human)), 1);
    assert_eq!(number(Part::Run, "", What::Opened(Class::Apple)), 0);
    assert_eq!(number(Part::Run, "", What::Opens(Class::Apple)), 1);
    assert_eq!(number(Part::Run, "", What::Opens(Class::Human)), 2);
    assert_eq!(number(Part::Link, "4", What::Clicked(Class::Human)), 1);
    assert_eq!(number(Part::Link, "4", What::Clicks(Class::Human)), 2);
    assert_eq!(number(Part::Hour, "002", What::Opened(Class::Human)), 1);
    assert_eq!(number(Part::Hour, "002", What::Clicked(Class::Human)), 1);
    assert_eq!(
        number(Part::Device, "iPhone", What::Clicked(Class::Human)),
        1
    );
    assert_eq!(
        number(Part::Provider, "Gmail", What::Opened(Class::Human)),
        1
    );
    assert_eq!(number(Part::Subject, "B", What::Clicked(Class::Human)), 1);
}

#[test]
fn a_share_taken_back_and_given_anew_is_the_share_of_all() {
    let reader = reader();
    let head = Evidence {
        head: true,
        ..reader.clone()
    };
    let mut events = vec![seen(Some(0), 100, &reader), seen(Some(1), 101, &reader)];
    let before = share(&events, "Apple", None);
    assert_eq!(before.clicked, Some(Class::Human));
    let mut sum = before.tally.clone();
    // The third link within seconds makes scanners' clicks of the first two, so soon after the mail.
    events.push(seen(Some(2), 102, &reader));
    events.push(seen(Some(2), 102, &head));
    let after = share(&events, "Apple", None);
    assert_eq!(after.clicked, Some(Class::Machine));
    sum.merge(&before.tally, -1);
    sum.merge(&after.tally, 1);
    let mut alone = Tally::default();
    alone.merge(&after.tally, 1);
    assert!(sum.iter().eq(alone.iter()));
    assert_eq!(sum.get(Part::Run, "", What::Clicks(Class::Machine)), 3);
    assert_eq!(sum.get(Part::Run, "", What::Clicks(Class::Human)), 0);
}

#[test]
fn who_clicked_has_opened_and_a_machine_that_clicked_has_not() {
    let (reader, apple) = (
        reader(),
        Evidence {
            agent: "Mozilla/5.0".into(),
            ..Evidence::default()
        },
    );
    let number =
        |share: &super::Share, part, bucket: &str, what| share.tally.get(part, bucket, what);
    let without = share(&[seen(Some(0), 7_300, &reader)], "Gmail", None);
    assert_eq!(
        (without.opened, without.clicked),
        (Some(Class::Human), Some(Class::Human))
    );
    let opened = What::Opened(Class::Human);
    assert_eq!(number(&without, Part::Run, "", opened), 1);
    assert_eq!(number(&without, Part::Provider, "Gmail", opened), 1);
    assert_eq!(number(&without, Part::Hour, "002", opened), 1);
    assert_eq!(
        number(&without, Part::Run, "", What::Opens(Class::Human)),
        0,
        "nothing was loaded"
    );
    // What Apple's proxy loaded before may be hers.
    let events = [seen(None, 2, &apple), seen(Some(0), 7_300, &reader)];
    assert_eq!(share(&events, "Apple", None).opened, Some(Class::Human));
    let head = Evidence {
        agent: "curl/8.5".into(),
        ..Evidence::default()
    };
    let machine = share(&[seen(Some(0), 600, &head)], "Other", None);
    assert_eq!(
        (machine.opened, machine.clicked),
        (None, Some(Class::Machine))
    );
}

#[test]
fn who_read_it_in_a_browser_has_opened_it_and_a_machine_that_did_has_not() {
    let reader = reader();
    let look = |second: i64, evidence| Witness {
        kind: EventKind::View,
        ..seen(None, second, evidence)
    };
    let events = [look(7_300, &reader), look(7_900, &reader)];
    let one = share(&events, "Gmail", None);
    assert_eq!((one.opened, one.clicked), (Some(Class::Human), None));
    let number = |part, bucket: &str, what| one.tally.get(part, bucket, what);
    assert_eq!(number(Part::Run, "", What::Opened(Class::Human)), 1);
    assert_eq!(number(Part::Run, "", What::Opens(Class::Human)), 0);
    assert_eq!(number(Part::Run, "", What::Views(Class::Human)), 2);
    assert_eq!(number(Part::Hour, "002", What::Opened(Class::Human)), 1);
    let curl = Evidence {
        agent: "curl/8.5".into(),
        ..Evidence::default()
    };
    let machine = share(&[look(600, &curl)], "Gmail", None);
    assert_eq!(machine.opened, None);
    // So early nobody can tell.
    let early = share(&[look(10, &reader)], "Gmail", None);
    assert_eq!(early.opened, Some(Class::Unsure));
    let views = What::Views(Class::Machine);
    assert_eq!(machine.tally.get(Part::Run, "", views), 1);
}

#[test]
fn who_read_a_copy_that_came_back_is_in_no_number_of_readers() {
    let reader = reader();
    let mut events = vec![seen(None, 100, &reader), seen(Some(4), 160, &reader)];
    let before = share(&events, "Gmail", Some("A"));
    assert_eq!(before.clicked, Some(Class::Human));
    let mut bounce = seen(None, 9_000, &reader);
    bounce.kind = EventKind::Bounce;
    events.push(bounce);
    let after = share(&events, "Gmail", Some("A"));
    let mut alone = Tally::default();
    alone.add(Part::Run, "", What::Opens(Class::Human), 1);
    alone.add(Part::Run, "", What::Clicks(Class::Human), 1);
    alone.add(Part::Link, "4", What::Clicks(Class::Human), 1);
    assert_eq!(after.tally, alone);
    assert_eq!((after.opened, after.clicked), (None, None));
}

#[test]
fn names_lead_back() {
    for class in Class::ALL {
        for what in [
            What::Opened(class),
            What::Clicked(class),
            What::Opens(class),
            What::Clicks(class),
            What::Views(class),
        ] {
            assert_eq!(What::parse(&what.name()), Some(what));
        }
    }
    for what in [
        What::Sent,
        What::Bounced,
        What::NoClicks,
        What::NoOpens,
        What::Withdrawn,
        What::Complained,
    ] {
        assert_eq!(What::parse(&what.name()), Some(what));
    }
    assert_eq!(What::parse("opened:nobody"), None);
    assert_eq!(Part::parse("device"), Some(Part::Device));
    assert_eq!(Part::parse("planet"), None);
}
