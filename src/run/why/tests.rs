//! One sentence per cause, as a person reads it.

use insta::assert_snapshot;

use super::{Cause, Facts, tell};
use crate::clock::{MINUTE, Timestamp};
use crate::config::uncertain::UncertainPolicy;
use crate::deliver::trouble::{Ail, RelayTrouble, Trouble};
use crate::delivery::Counts;
use crate::rollout::Stages;
use crate::status::RunStatus;
use crate::store::runs::Run;

/// Thursday, 19 February 2026, 12:00 UTC.
const NOW: i64 = 1_771_502_400_000;

fn run(status: RunStatus) -> Run {
    Run {
        id: 7,
        kind: "issue".into(),
        slug: "bees".into(),
        title: "Bees".into(),
        list_id: Some(1),
        revision: None,
        headers: "{}".into(),
        relay: "main".into(),
        policy: UncertainPolicy::Hold,
        status,
        recipients: 30_000,
        reason: None,
        created_at: NOW - 30 * MINUTE,
        cutoff: NOW - 30 * MINUTE,
        started_at: Some(NOW - 20 * MINUTE),
        finished_at: None,
        since: NOW - 20 * MINUTE,
        start_at: None,
        zone: None,
        local_at: None,
        zone_field: None,
        per_day: None,
        spread: None,
        spread_until: None,
        paced_to: None,
        audience: "list".into(),
        origin: None,
        stages: None,
        stage: None,
        staged_at: None,
        open_to: None,
        stage_base: None,
        trial: None,
        segment: None,
        monthly: 0,
        expected: None,
        doubted: None,
    }
}

fn facts(run: &Run) -> Facts<'_> {
    Facts {
        run,
        name: run.slug.clone(),
        counts: Counts {
            sent: 12_000,
            bounced: 40,
            queued: 17_950,
            at_dot: 10,
            ..Counts::default()
        },
        deferred: 0,
        next_due: None,
        trouble: None,
        test: None,
        sender: true,
        sending: true,
        unfit: Vec::new(),
        doubt: None,
        unknown_relay: None,
        late_start: std::time::Duration::from_secs(3600),
        refusal: None,
        copied: None,
        sure: Timestamp(NOW),
        now: Timestamp(NOW),
        zone: "Europe/Berlin",
    }
}

/// While no process sends at all.
fn nobody(run: &Run) -> Facts<'_> {
    Facts {
        sender: false,
        sending: false,
        ..facts(run)
    }
}

#[test]
fn every_cause_is_one_sentence_that_says_what_to_expect() {
    let mut told = String::new();
    let mut causes = Vec::new();
    let mut say = |facts: &Facts<'_>| {
        let why = tell(facts);
        told += &why.sentence;
        told += "\n\n";
        causes.push(why.cause);
    };
    let mut scheduled = run(RunStatus::Scheduled);
    scheduled.recipients = 0;
    scheduled.started_at = None;
    scheduled.start_at = Some(NOW + 18 * 60 * MINUTE);
    scheduled.zone = Some("America/New_York".into());
    say(&facts(&scheduled));
    scheduled.local_at = Some("2026-02-20T07:00:00".into());
    say(&Facts {
        sending: false,
        ..facts(&scheduled)
    });
    scheduled.local_at = None;
    for late in [5, 90] {
        scheduled.start_at = Some(NOW - late * MINUTE);
        say(&nobody(&scheduled));
    }
    scheduled.start_at = Some(NOW - 5_000);
    say(&facts(&scheduled));
    say(&Facts {
        copied: Some(6),
        ..facts(&scheduled)
    });
    say(&Facts {
        sure: Timestamp(NOW - 4 * MINUTE),
        ..nobody(&scheduled)
    });
    scheduled.reason = Some("the clock was set forward by 40 min".into());
    for status in [RunStatus::Paused, RunStatus::Held] {
        scheduled.status = status;
        for start in [-5, 60] {
            scheduled.start_at = Some(NOW + start * MINUTE);
            say(&nobody(&scheduled));
        }
    }
    say(&facts(&run(RunStatus::Freezing)));
    let sending = run(RunStatus::Sending);
    say(&facts(&sending));
    let mut trouble = Trouble {
        relays: vec![RelayTrouble {
            relay: "main".into(),
            ail: Ail::Broken,
            why: "connection refused".into(),
            since: Timestamp(NOW - 4 * MINUTE),
            next: Timestamp(NOW + 12_000),
        }],
        working: Vec::new(),
    };
    say(&Facts {
        trouble: Some(trouble.clone()),
        ..facts(&sending)
    });
    trouble.working.push("spare".into());
    say(&Facts {
        trouble: Some(trouble),
        ..facts(&sending)
    });
    let counts = Counts {
        sent: 29_962,
        queued: 38,
        ..Counts::default()
    };
    say(&Facts {
        counts,
        deferred: 38,
        next_due: Some(NOW + 5 * MINUTE),
        ..facts(&sending)
    });
    let mut paced = run(RunStatus::Sending);
    paced.per_day = Some(20 * 86_400);
    say(&facts(&paced));
    paced.per_day = None;
    paced.spread = Some(120 * MINUTE);
    paced.spread_until = Some(NOW + 100 * MINUTE);
    say(&facts(&paced));
    say(&nobody(&sending));
    say(&Facts {
        sending: false,
        doubt: Some("nothing was sent for 90 minutes".into()),
        ..facts(&sending)
    });
    let mut staged = run(RunStatus::Sending);
    staged.stages = Some(Stages::of_test(200_000, std::time::Duration::from_secs(60)).to_json());
    staged.open_to = Some(0);
    say(&facts(&staged));
    say(&Facts {
        refusal: Some("the database takes no writes (database or disk is full)".into()),
        ..facts(&sending)
    });
    say(&facts(&run(RunStatus::Paused)));
    let mut held = run(RunStatus::Held);
    held.reason = Some("the relay refuses this run: 554 5.7.1 rejected".into());
    say(&facts(&held));
    let mut over = Counts {
        sent: 12_000,
        cancelled: 18_000,
        ..Counts::default()
    };
    say(&Facts {
        counts: over,
        ..facts(&run(RunStatus::Cancelled))
    });
    (over.cancelled, over.at_dot, over.uncertain) = (17_992, 3, 5);
    say(&Facts {
        counts: over,
        ..facts(&run(RunStatus::Cancelled))
    });
    say(&Facts {
        counts,
        ..facts(&run(RunStatus::Finished))
    });
    assert_snapshot!("sentences", told);
    let expected = [
        Cause::Scheduled,
        Cause::Scheduled,
        Cause::NobodySends,
        Cause::NobodySends,
        Cause::Scheduled,
        Cause::Scheduled,
        Cause::Scheduled,
        Cause::Paused,
        Cause::Paused,
        Cause::Held,
        Cause::Held,
        Cause::Freezing,
        Cause::Sending,
        Cause::Relay,
        Cause::Sending,
        Cause::Waiting,
        Cause::Pace,
        Cause::Pace,
        Cause::NobodySends,
        Cause::NobodySends,
        Cause::Stage,
        Cause::Store,
        Cause::Paused,
        Cause::Held,
        Cause::Cancelled,
        Cause::Cancelled,
        Cause::Finished,
    ];
    assert_eq!(causes, expected);
}
