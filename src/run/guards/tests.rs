//! What is asked of whom, by facts alone.

use super::{Facts, Guard, Past, judge};
use crate::clock::{DAY, HOUR, MINUTE, Timestamp};

/// Eight weekly runs at 06:00 UTC to 100 readers.
fn facts<'a>(start: i64, readers: i64) -> Facts<'a> {
    let past = (1..=8).map(|week| Past {
        run: 10 - week,
        slug: format!("issue-{week}"),
        subjects: vec![format!("Subject  {week}")],
        readers: 100 + week,
        whole: true,
        segment: None,
        minute: 6 * 60,
        started: Timestamp(20_000 * DAY + 6 * HOUR - week * 7 * DAY),
    });
    Facts {
        slug: "bees",
        subjects: vec!["Bees".into()],
        readers,
        whole: true,
        segment: None,
        minute: i32::try_from(start / MINUTE).expect("a day has 1,440 minutes"),
        when: "it would start then".into(),
        zone: "UTC",
        past: past.collect(),
    }
}

fn asked(facts: &Facts<'_>) -> Vec<Guard> {
    judge(facts).iter().map(|question| question.guard).collect()
}

#[test]
fn the_usual_is_not_asked_about() {
    for (start, readers) in [(6, 100), (9, 208), (3, 53)] {
        assert_eq!(
            asked(&facts(start * HOUR, readers)),
            [],
            "{start} {readers}"
        );
    }
}

#[test]
fn an_hour_is_unusual_that_lies_far_from_every_one_before() {
    for start in [10, 14, 23, 2] {
        assert_eq!(asked(&facts(start * HOUR, 100)), [Guard::Hour], "{start}");
    }
    // Around midnight the clock begins anew.
    let mut late = facts(HOUR, 100);
    late.past[0].minute = 23 * 60;
    assert_eq!(asked(&late), []);
}

#[test]
fn a_list_that_doubled_or_halved_is_asked_about() {
    for readers in [0, 52, 211, 30_000] {
        assert_eq!(
            asked(&facts(6 * HOUR, readers)),
            [Guard::Audience],
            "{readers}"
        );
    }
    let mut young = facts(6 * HOUR, 30_000);
    young.past.truncate(2);
    assert_eq!(asked(&young), []);
    let mut part = facts(6 * HOUR, 3);
    part.whole = false;
    assert_eq!(asked(&part), []);
}

#[test]
fn a_run_to_a_segment_is_compared_with_runs_to_the_same() {
    let mut paid = facts(14 * HOUR, 3);
    paid.segment = Some("tag:paid".into());
    assert_eq!(asked(&paid), [], "nothing went to it before");
    for past in &mut paid.past {
        past.segment = Some("tag:paid".into());
    }
    assert_eq!(asked(&paid), [Guard::Audience, Guard::Hour]);
    paid.segment = None;
    assert_eq!(asked(&paid), []);
}

#[test]
fn a_subject_is_the_same_in_other_letters_unless_it_is_the_same_issue() {
    let mut again = facts(6 * HOUR, 100);
    again.subjects = vec!["Wasps".into(), "subject 3".into()];
    assert_eq!(asked(&again), [Guard::SameSubject], "the second of two");
    let third = again.past.iter_mut().find(|past| past.slug == "issue-3");
    let third = third.expect("a run of the past");
    third.subjects = vec!["Hives".into(), "Subject 3".into()];
    assert_eq!(asked(&again), [Guard::SameSubject], "of one that had two");
    again.slug = "issue-3";
    assert_eq!(asked(&again), []);
}

#[test]
fn each_guard_has_a_name_of_its_own() {
    for guard in Guard::ALL {
        assert_eq!(Guard::parse(guard.name()), Ok(guard));
    }
    let error = Guard::parse("all").expect_err("no such guard");
    assert!(error.contains("`same-issue`"), "{error}");
}

#[test]
fn what_a_subject_leaves_open_is_not_compared() {
    for (subject, closed) in [
        ("Six hives", "Six hives"),
        ("[[name|Reader]], six [[n]] hives", ", six  hives"),
        ("Six [[hives", "Six [[hives"),
    ] {
        assert_eq!(super::closed(subject), closed);
    }
}
