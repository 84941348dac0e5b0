//! The questions before Send: what looks like a mistake is asked about by name.
//!
//! Promises: each guard compares with what this list got before, and is silent where there is too little
//! to compare with. None decides: each is answered by a person or by its own flag, never by silence.

use std::time::Duration;

use anyhow::Context;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::clock::Timestamp;
use crate::compile::Template;
use crate::diagnostic::Diagnostic;
use crate::id::ListId;
use crate::lists;
use crate::preflight;
use crate::publication::{self, Built};
use crate::run::plan::Planned;
use crate::schedule::{Start, on_the_wall, shown, span};
use crate::status::RunStatus;
use crate::store::history::Earlier;
use crate::store::runs::{Audience, Run};
use crate::trial::Trial;

pub mod sender;
#[cfg(test)]
mod tests;

/// Runs whose subjects are compared: half a year of a weekly.
const SUBJECTS: u32 = 26;
/// Runs with whose size and hour a run is compared, and how many there must be.
const HABIT: usize = 8;
const ENOUGH: usize = 3;
/// A start is unusual that lies farther than this from every one of them.
const HOURS: i32 = 3;
/// Who has not opened a mail by then may still.
const OPENS: Duration = Duration::from_hours(24);
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
    /// Receivers will not take mail from this sender.
    Sender,
}

impl Guard {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Guard; 6] = [
        Guard::Sender,
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
            Guard::Sender => "sender",
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
    /// One, or the two of a test.
    subjects: Vec<String>,
    readers: i64,
    whole: bool,
    /// To whom of the list, as it was said.
    segment: Option<String>,
    /// The time of day at which readers get it, by the publication's clock or by their own, in minutes.
    minute: i32,
    /// The same as a sentence.
    when: String,
    zone: &'a str,
    past: Vec<Past>,
}

struct Past {
    run: i64,
    slug: String,
    subjects: Vec<String>,
    readers: i64,
    whole: bool,
    segment: Option<String>,
    minute: i32,
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
    let zone = &app.config.publication.timezone;
    found.extend(planned.doubles.questions(slug, planned.readers, zone));
    found.extend(resent(slug, planned));
    let (minute, when) = match &planned.plan.local_at {
        Some(local) => {
            let minute = minute_of(local);
            (
                minute,
                format!(
                    "it would come at {} by each reader's own clock",
                    clock(minute)
                ),
            )
        }
        None => starts(planned.start, zone),
    };
    let tested = planned.plan.trial.as_deref().and_then(Trial::from_json);
    let mut subjects = vec![subject_of(built)];
    subjects.extend(tested.map(|test| closed(&test.b)));
    found.extend(judge(&Facts {
        slug,
        subjects,
        readers: planned.readers,
        whole: planned.plan.audience == Audience::List,
        segment: planned
            .plan
            .segment
            .as_ref()
            .map(|sieve| sieve.said.clone()),
        minute,
        when,
        zone,
        past: past(app, list).await?,
    }));
    found.extend(over_by_then(promos));
    Ok(found)
}

/// What has to be asked before a run to `list` that waits for its hour gets the content of `built`.
pub async fn of_content(
    app: &App,
    built: &Built,
    list: ListId,
    promos: &[Diagnostic],
) -> anyhow::Result<Vec<Question>> {
    let facts = Facts {
        slug: &built.compiled.slug,
        subjects: vec![subject_of(built)],
        readers: 0,
        whole: false,
        segment: None,
        minute: 0,
        when: String::new(),
        zone: &app.config.publication.timezone,
        past: past(app, list).await?,
    };
    Ok(same_subject(&facts)
        .into_iter()
        .chain(over_by_then(promos))
        .collect())
}

/// What has to be asked before `run` starts at another hour.
pub async fn of_hour(
    app: &App,
    run: &Run,
    start: Timestamp,
    promos: &[Diagnostic],
) -> anyhow::Result<Vec<Question>> {
    let zone = &app.config.publication.timezone;
    let (minute, when) = starts(start, zone);
    let facts = Facts {
        slug: &run.slug,
        subjects: Vec::new(),
        readers: 0,
        whole: run.audience == Audience::List.name(),
        segment: run.said_segment(),
        minute,
        when,
        zone,
        past: past(app, ListId(run.list_id.unwrap_or(0))).await?,
    };
    Ok(hour(&facts)
        .into_iter()
        .chain(over_by_then(promos))
        .collect())
}

/// The offers of `run` that are over when it starts then. None where the author's folder does not hold any more what the
/// run sends, so that nobody can look.
pub async fn promos_of(
    app: &App,
    run: &Run,
    start: &Start,
) -> anyhow::Result<Option<Vec<Diagnostic>>> {
    let list = app
        .store
        .list_by_id(ListId(run.list_id.unwrap_or(0)))
        .await?;
    let list = list.context("the run's list is gone")?;
    let emails = app.emails();
    let titles = lists::titles(&app.store).await?;
    let (config, slug) = (&app.config, &run.slug);
    let built = publication::compile_for(config, &emails, slug, &titles, Some(&list.slug));
    let Some(built) = built
        .ok()
        .filter(|built| run.revision == Some(built.compiled.hash()))
    else {
        return Ok(None);
    };
    let mut facts = preflight::facts(&emails, &run.slug, None, app.clock.now()).await;
    facts.today = Some(on_the_wall(start.at, &start.zone).date());
    let mut found = preflight::findings(&app.config, &built, &facts);
    found.retain(|finding| finding.code == PROMO_LINT);
    Ok(Some(found))
}

fn over_by_then(promos: &[Diagnostic]) -> impl Iterator<Item = Question> {
    promos.iter().map(|finding| Question {
        guard: Guard::PromoDate,
        sentence: format!("{} ({}:{})", finding.message, finding.file, finding.line),
    })
}

async fn past(app: &App, list: ListId) -> anyhow::Result<Vec<Past>> {
    let past = app.store.sent_to(list, SUBJECTS).await?;
    let zone = &app.config.publication.timezone;
    past.into_iter()
        .map(|earlier| Past::of(earlier, zone))
        .collect()
}

/// A second mail to those who did not open the first is asked about where it comes within a day, or is the third.
fn resent(slug: &str, planned: &Planned) -> Option<Question> {
    let of_it = |origin: &&Run| planned.plan.audience == Audience::Unopened && origin.slug == slug;
    let origin = planned.origin.as_ref().filter(of_it)?;
    // Said again of a cancelled one, it goes to those alone whom that did not reach: it was asked about then.
    let second = origin.audience == Audience::Unopened.name();
    if second && origin.status == RunStatus::Cancelled {
        return None;
    }
    let ago = planned
        .start
        .since(Timestamp(origin.started_at.unwrap_or(0)));
    let got = if second {
        "a second time"
    } else if ago < OPENS {
        "for the first time"
    } else {
        return None;
    };
    Some(Question {
        guard: Guard::SameIssue,
        sentence: format!(
            "the {} readers get `{slug}` only {} after it was sent {got} (run {})",
            planned.readers,
            span(ago),
            origin.id
        ),
    })
}

impl Past {
    fn of(earlier: Earlier, zone: &str) -> anyhow::Result<Past> {
        /// What is read of a revision.
        #[derive(Deserialize)]
        struct Head {
            subject: Template,
        }
        let head: Head = serde_json::from_str(&earlier.content).context("a frozen revision")?;
        let segment = earlier.said_segment();
        let started = Timestamp(earlier.started_at);
        let tested = earlier.trial.as_deref().and_then(Trial::from_json);
        let mut subjects = vec![head.subject.fill(|_| String::new())];
        subjects.extend(tested.map(|test| closed(&test.b)));
        Ok(Past {
            run: earlier.id,
            slug: earlier.slug,
            subjects,
            readers: earlier.readers,
            whole: earlier.audience == Audience::List.name(),
            segment,
            minute: match &earlier.local_at {
                Some(local) => minute_of(local),
                None => starts(started, zone).0,
            },
            started,
        })
    }
}

/// The time of day of a start by the publication's clock, and the same as a sentence.
fn starts(start: Timestamp, zone: &str) -> (i32, String) {
    let wall = on_the_wall(start, zone);
    let minute = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
    (minute, format!("it would start {}", shown(start, zone)))
}

/// The time of day in `2026-02-20T07:00:00`, which we wrote.
fn minute_of(local: &str) -> i32 {
    let local = local.parse::<DateTime>();
    local.map_or(0, |local| {
        i32::from(local.hour()) * 60 + i32::from(local.minute())
    })
}

fn clock(minute: i32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn subject_of(built: &Built) -> String {
    built.compiled.subject.fill(|_| String::new())
}

/// A subject as it was written, without what is filled in for each reader.
fn closed(written: &str) -> String {
    let mut closed = String::new();
    let mut rest = written;
    while let Some((before, (_, behind))) = rest
        .split_once("[[")
        .and_then(|(before, behind)| Some((before, behind.split_once("]]")?)))
    {
        closed.push_str(before);
        rest = behind;
    }
    closed + rest
}

fn judge(facts: &Facts<'_>) -> Vec<Question> {
    let asked = [same_subject(facts), audience(facts), hour(facts)];
    asked.into_iter().flatten().collect()
}

fn same_subject(facts: &Facts<'_>) -> Option<Question> {
    let had = |past: &Past, subject: &String| {
        let mut had = past.subjects.iter();
        past.slug != facts.slug && had.any(|before| folded(before) == folded(subject))
    };
    let same = |past| {
        let mut subjects = facts.subjects.iter();
        Some((subjects.find(|subject| had(past, subject))?, past))
    };
    let (subject, past): (&String, &Past) = facts.past.iter().find_map(same)?;
    Some(Question {
        guard: Guard::SameSubject,
        sentence: format!(
            "the list had the subject `{subject}` before: `{}` (run {}) of {}",
            past.slug,
            past.run,
            shown(past.started, facts.zone)
        ),
    })
}

/// Whether so many readers are more than twice as many as usual, or fewer than half.
pub(crate) fn is_far(now: i64, usual: i64) -> bool {
    now > usual.saturating_mul(2) || now.saturating_mul(2) < usual
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
    is_far(now, usual).then(|| Question {
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
    let past = facts.past.iter().filter(|past| past.whole);
    let past = past.filter(|past| past.segment == facts.segment);
    let past: Vec<&Past> = past.take(HABIT).collect();
    if !facts.whole || past.len() < ENOUGH {
        return None;
    }
    let apart = |past: &Past| {
        let apart = (past.minute - facts.minute).abs();
        apart.min(24 * 60 - apart)
    };
    let nearest = past.iter().min_by_key(|past| apart(past))?;
    (apart(nearest) > HOURS * 60).then(|| Question {
        guard: Guard::Hour,
        sentence: format!(
            "{}; of the last {} runs the nearest by the clock started at {}",
            facts.when,
            past.len(),
            clock(nearest.minute)
        ),
    })
}

/// Subjects that a reader would call the same.
fn folded(subject: &str) -> String {
    let words: Vec<String> = subject.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}
