//! The questions before Send: what looks like a mistake is asked about by name.
//!
//! Promises: each guard compares with what this list got before, and is silent where there is too little
//! to compare with. None decides: each is answered by a person or by its own flag, never by silence.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::clock::Timestamp;
use crate::compile::Template;
use crate::diagnostic::Diagnostic;
use crate::id::ListId;
use crate::publication::Built;
use crate::run::plan::Planned;
use crate::schedule::{on_the_wall, shown};
use crate::store::history::Earlier;
use crate::store::runs::Audience;

/// Runs whose subjects are compared: half a year of a weekly.
const SUBJECTS: u32 = 26;
/// Runs with whose size and hour a run is compared, and how many there must be.
const HABIT: usize = 8;
const ENOUGH: usize = 3;
/// A start is unusual that lies farther than this from every one of them.
const HOURS: i32 = 3;
/// The lint that knows which offers have ended.
pub const PROMO_LINT: &str = "promo-ended";

/// What may be asked before Send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// This list had a mail with this subject.
    SameSubject,
    /// Some of these readers have this issue already.
    SameIssue,
    /// The list is far larger or smaller than it was.
    Audience,
    /// This list is not mailed at this time of day.
    Hour,
    /// An offer will be over when the mail comes.
    PromoDate,
}

impl Guard {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Guard; 5] = [
        Guard::SameIssue,
        Guard::SameSubject,
        Guard::Audience,
        Guard::Hour,
        Guard::PromoDate,
    ];

    /// The name in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Guard::SameSubject => "same-subject",
            Guard::SameIssue => "same-issue",
            Guard::Audience => "audience",
            Guard::Hour => "hour",
            Guard::PromoDate => "promo-date",
        }
    }

    /// The guard of this name.
    pub fn parse(name: &str) -> Result<Guard, String> {
        let found = Guard::ALL.into_iter().find(|guard| guard.name() == name);
        found.ok_or_else(|| {
            let known = Guard::ALL.map(Guard::name).join("`, `");
            format!("there is no guard `{name}`; there are `{known}`")
        })
    }
}

/// A guard that has something to ask, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    pub guard: Guard,
    pub sentence: String,
}

/// What is compared: the run to be, and the list's past.
struct Facts<'a> {
    slug: &'a str,
    subject: String,
    readers: i64,
    whole: bool,
    /// To whom of the list, as it was said.
    segment: Option<String>,
    start: Timestamp,
    /// Whether the start is an hour of the author's choice.
    timed: bool,
    zone: &'a str,
    past: Vec<Past>,
}

struct Past {
    run: i64,
    slug: String,
    subject: String,
    readers: i64,
    whole: bool,
    segment: Option<String>,
    timed: bool,
    started: Timestamp,
}

/// What has to be asked before `built` goes to `list` as planned. `promos` are the findings of
/// [`PROMO_LINT`] for the day of the start.
pub async fn questions(
    app: &App,
    built: &Built,
    list: ListId,
    planned: &Planned,
    promos: &[Diagnostic],
) -> anyhow::Result<Vec<Question>> {
    let slug = &built.compiled.slug;
    let mut found = Vec::new();
    if let Some((readers, run)) = have_got(app, slug, list, planned).await? {
        found.push(Question {
            guard: Guard::SameIssue,
            sentence: format!(
                "{readers} of the {} readers have got `{slug}` before (run {run}) and would get it once more",
                planned.readers
            ),
        });
    }
    let past = app.store.sent_to(list, SUBJECTS).await?;
    let past: anyhow::Result<Vec<Past>> = past.into_iter().map(Past::of).collect();
    found.extend(judge(&Facts {
        slug,
        subject: built.compiled.subject.fill(|_| String::new()),
        readers: planned.readers,
        whole: planned.plan.audience == Audience::List,
        segment: planned
            .plan
            .segment
            .as_ref()
            .map(|sieve| sieve.said.clone()),
        start: planned.start,
        timed: planned.plan.local_at.is_none(),
        zone: &app.config.publication.timezone,
        past: past?,
    }));
    found.extend(promos.iter().map(|finding| Question {
        guard: Guard::PromoDate,
        sentence: format!("{} ({}:{})", finding.message, finding.file, finding.line),
    }));
    Ok(found)
}

/// How many of the readers have a copy of the issue `slug`, unless the plan says that they are to get it once more, and
/// the newest run that brought it.
async fn have_got(
    app: &App,
    slug: &str,
    list: ListId,
    planned: &Planned,
) -> anyhow::Result<Option<(i64, i64)>> {
    let store = &app.store;
    let (readers, run) = match (planned.plan.audience, &planned.origin) {
        (Audience::List, _) => {
            let segment = planned.plan.segment.as_ref().map(|sieve| &sieve.filter);
            store.have_got(list, slug, segment, app.clock.now()).await?
        }
        // Those who did not open another issue may have got this one since.
        (Audience::Unopened, Some(origin)) if origin.slug != slug => {
            let audience = planned.plan.audience;
            store
                .part_has_got(list, audience, origin.id(), slug, planned.plan.monthly)
                .await?
        }
        _ => return Ok(None),
    };
    Ok(run.filter(|_| readers > 0).map(|run| (readers, run)))
}

impl Past {
    fn of(earlier: Earlier) -> anyhow::Result<Past> {
        /// What is read of a revision.
        #[derive(Deserialize)]
        struct Head {
            subject: Template,
        }
        let head: Head = serde_json::from_str(&earlier.content).context("a frozen revision")?;
        let segment = earlier.said_segment();
        Ok(Past {
            run: earlier.id,
            slug: earlier.slug,
            subject: head.subject.fill(|_| String::new()),
            readers: earlier.recipients,
            whole: earlier.audience == Audience::List.name(),
            segment,
            timed: !earlier.local,
            started: Timestamp(earlier.started_at),
        })
    }
}

fn judge(facts: &Facts<'_>) -> Vec<Question> {
    let asked = [same_subject(facts), audience(facts), hour(facts)];
    asked.into_iter().flatten().collect()
}

fn same_subject(facts: &Facts<'_>) -> Option<Question> {
    let same =
        |past: &&Past| past.slug != facts.slug && folded(&past.subject) == folded(&facts.subject);
    let past = facts.past.iter().find(same)?;
    Some(Question {
        guard: Guard::SameSubject,
        sentence: format!(
            "the list had the subject `{}` before: `{}` (run {}) of {}",
            facts.subject,
            past.slug,
            past.run,
            shown(past.started, facts.zone)
        ),
    })
}

fn audience(facts: &Facts<'_>) -> Option<Question> {
    // A run to a segment is compared with runs to the same segment.
    let past = facts.past.iter().filter(|past| past.whole);
    let past = past.filter(|past| past.segment == facts.segment);
    let mut sizes: Vec<i64> = past.map(|past| past.readers).take(HABIT).collect();
    if !facts.whole || sizes.len() < ENOUGH {
        return None;
    }
    sizes.sort_unstable();
    let (usual, now) = (sizes[sizes.len() / 2], facts.readers);
    let far = now > usual.saturating_mul(2) || now.saturating_mul(2) < usual;
    far.then(|| Question {
        guard: Guard::Audience,
        sentence: format!(
            "it would go to {now} readers; the last {} runs went to {usual} in the middle, {} to {}",
            sizes.len(),
            sizes[0],
            sizes[sizes.len() - 1]
        ),
    })
}

fn hour(facts: &Facts<'_>) -> Option<Question> {
    let minute = |at: Timestamp| {
        let wall = on_the_wall(at, facts.zone);
        i32::from(wall.hour()) * 60 + i32::from(wall.minute())
    };
    let past = facts.past.iter().filter(|past| past.whole && past.timed);
    let past = past.filter(|past| past.segment == facts.segment);
    let past: Vec<&Past> = past.take(HABIT).collect();
    if !facts.timed || !facts.whole || past.len() < ENOUGH {
        return None;
    }
    let now = minute(facts.start);
    let apart = |past: &Past| {
        let apart = (minute(past.started) - now).abs();
        apart.min(24 * 60 - apart)
    };
    let nearest = past.iter().min_by_key(|past| apart(past))?;
    (apart(nearest) > HOURS * 60).then(|| Question {
        guard: Guard::Hour,
        sentence: format!(
            "it would start {}; of the last {} runs the nearest by the clock started at {}",
            shown(facts.start, facts.zone),
            past.len(),
            on_the_wall(nearest.started, facts.zone).strftime("%H:%M")
        ),
    })
}

/// Subjects that a reader would call the same.
fn folded(subject: &str) -> String {
    let words: Vec<String> = subject.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Facts, Guard, Past, judge};
    use crate::clock::Timestamp;

    const DAY: i64 = 86_400_000;
    const HOUR: i64 = 3_600_000;

    /// Eight weekly runs at 06:00 UTC to 100 readers.
    fn facts<'a>(start: i64, readers: i64) -> Facts<'a> {
        let past = (1..=8).map(|week| Past {
            run: 10 - week,
            slug: format!("issue-{week}"),
            subject: format!("Subject  {week}"),
            readers: 100 + week,
            whole: true,
            segment: None,
            timed: true,
            started: Timestamp(20_000 * DAY + 6 * HOUR - week * 7 * DAY),
        });
        Facts {
            slug: "bees",
            subject: "Bees".into(),
            readers,
            whole: true,
            segment: None,
            start: Timestamp(20_000 * DAY + start),
            timed: true,
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
        late.past[0].started = Timestamp(19_000 * DAY + 23 * HOUR);
        assert_eq!(asked(&late), []);
        let mut by_their_clocks = facts(14 * HOUR, 100);
        by_their_clocks.timed = false;
        assert_eq!(asked(&by_their_clocks), []);
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
        again.subject = "subject 3".into();
        assert_eq!(asked(&again), [Guard::SameSubject]);
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
}
