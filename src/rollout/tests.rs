//! Stages as they are said, and numbers that are chance or are not.

use insta::assert_snapshot;

use super::{Answers, Limits, Numbers, Share, Stages, outside, part_of};

const LIMITS: Limits = Limits {
    bounces: 0.05,
    deferrals: 0.5,
    unsubscribes: 0.02,
    complaints: 0.003,
};

fn numbers(sent: i64, bounced: i64, departed: i64) -> Numbers {
    Numbers {
        sent,
        bounced,
        departed,
        ..Numbers::default()
    }
}

#[test]
fn stages_are_read_and_say_how_far_each_opens() {
    let stages = Stages::parse("seed, 1%,10m,10%,20m,rest").expect("stages");
    let waits: Vec<i64> = stages.steps.iter().map(|step| step.wait).collect();
    assert_eq!(waits, [0, 600_000, 1_200_000, 0]);
    let names: Vec<String> = (0..4).map(|step| stages.name(step)).collect();
    assert_eq!(names, ["seed", "1 %", "10 %", "rest"]);
    let open = |step| stages.open_to(step, 1_001, 3);
    assert_eq!(
        [open(0), open(1), open(2), open(3)],
        [Some(3), Some(11), Some(101), None]
    );
    // More seeds than one percent: nobody is closed again.
    assert_eq!(stages.open_to(1, 100, 3), Some(3));
    assert_eq!(Stages::from_json(&stages.to_json()), Some(stages));
    assert_eq!(part_of(i64::MAX, 1_000_000), i64::MAX);
    assert_eq!(super::part("0.5%"), Ok(Share::Part(5_000)));
}

#[test]
fn what_is_no_sequence_of_stages_is_refused_with_the_reason() {
    let refused = [
        "",
        "rest",
        "10%",
        "10%,rest,5m",
        "10%,5m,5m,rest",
        "5m,10%,rest",
        "10%,10%,rest",
        "10%,5%,rest",
        "0%,rest",
        "101%,rest",
        "1.23456%,rest",
        "10%,seed,rest",
        "half,rest",
        "10%,rest,20%",
        "10 %%,rest",
    ];
    let told = refused.map(|text| format!("{text:?}: {}", Stages::parse(text).expect_err(text)));
    assert_snapshot!(told.join("\n"));
}

#[test]
fn a_number_is_outside_of_the_lists_own_band_or_over_the_limit() {
    let habit = vec![numbers(10_000, 20, 10); 8];
    let inside = |now: &Numbers, before: &[Numbers]| outside(now, before, &LIMITS).is_none();
    // 0.2 % is usual; at 300 messages three standard deviations reach about 1 %, which is the floor too.
    assert!(inside(&numbers(298, 2, 0), &habit), "few");
    assert!(inside(&numbers(297, 3, 0), &habit), "on the edge");
    assert!(!inside(&numbers(290, 10, 0), &habit));
    // A list that always loses that many is not held for it.
    let poor = vec![numbers(10_000, 350, 10); 8];
    assert!(inside(&numbers(290, 10, 0), &poor));
    // Without a habit the fixed limit alone counts.
    assert!(inside(&numbers(290, 10, 0), &habit[..2]));
    assert!(!inside(&numbers(280, 20, 0), &[]));
    assert!(!inside(&numbers(400, 0, 9), &habit), "unsubscribes");
    // Complaints: three are few in a thousand, but too many of nine hundred.
    let complaints = |sent, complained| Numbers {
        complained,
        ..numbers(sent, 0, 0)
    };
    assert!(inside(&complaints(1_000, 3), &[]));
    assert!(!inside(&complaints(900, 3), &[]));
    assert!(inside(&complaints(100, 2), &[]), "few");
    let quiet = vec![complaints(100_000, 10); 8];
    assert!(inside(&complaints(3_000, 3), &quiet), "on the floor");
    assert!(
        !inside(&complaints(3_000, 8), &quiet),
        "ten times what is usual"
    );
    assert!(super::complained(&complaints(3_000, 8), &LIMITS).is_none());
    assert!(super::complained(&complaints(3_000, 10), &LIMITS).is_some());
}

#[test]
fn the_sentence_names_number_band_and_source() {
    let habit = vec![numbers(10_000, 20, 10); 8];
    let mut now = numbers(290, 10, 0);
    let mut told = outside(&now, &habit, &LIMITS).expect("bounces");
    now = numbers(270, 30, 0);
    told += &format!("\n{}", outside(&now, &[], &LIMITS).expect("the limit"));
    now = numbers(400, 0, 9);
    told += &format!(
        "\n{}",
        outside(&now, &habit, &LIMITS).expect("unsubscribes")
    );
    now = numbers(400, 0, 0);
    now.complained = 4;
    told += &format!("\n{}", outside(&now, &habit, &LIMITS).expect("complaints"));
    now.complained = 0;
    let answers = Answers {
        answered: 80,
        deferred: 41,
    };
    now.providers.insert("Gmail".into(), answers);
    told += &format!("\n{}", outside(&now, &habit, &LIMITS).expect("4xx"));
    assert_snapshot!(told);
    // What a person has seen and accepted does not count again.
    assert_eq!(outside(&now.since(&now), &habit, &LIMITS), None);
}
