//! Readers who would get an issue twice: they have it, or another run of it is to bring it to them.
//!
//! Promises: by whatever list it came or is to come, and in whatever state the other run is, it is asked about before a
//! run is begun; what came to be only later holds a run at its hour, also where two have the same. The rest of a cancelled
//! run goes to nobody who got the issue since.

use anyhow::ensure;

use crate::app::App;
use crate::clock::Timestamp;
use crate::id::{ListId, RunId};
use crate::run::guards::{Guard, Question};
use crate::run::plan::Planned;
use crate::schedule::shown;
use crate::segment::Sieve;
use crate::status::RunStatus;
use crate::store::doubles::Going;
use crate::store::runs::{Audience, Run};
use crate::store::{Store, StoreError};
use crate::terminal::counted;

/// Who would get an issue twice.
#[derive(Clone, Debug, Default)]
pub struct Doubles {
    /// How many have it, and the newest run that brought it.
    got: Option<(i64, i64)>,
    /// How many are to get it by which other run, to which list.
    to_get: Vec<(Run, String, i64)>,
}

impl Doubles {
    /// How many there are; who is in two other runs counts twice.
    fn number(&self) -> i64 {
        let got = self.got.map_or(0, |(readers, _)| readers);
        self.to_get
            .iter()
            .map(|(_, _, readers)| readers)
            .sum::<i64>()
            + got
    }

    /// What has to be asked of a run of `slug` to so many readers.
    pub(super) fn questions(&self, slug: &str, readers: i64, zone: &str) -> Vec<Question> {
        let readers = counted(readers, "reader");
        let got = self.got.map(|(number, run)| {
            let have = if number == 1 { "has" } else { "have" };
            format!(
                "{number} of the {readers} {have} got `{slug}` before (run {run}) and would get it once more"
            )
        });
        let to_get = self.to_get.iter().map(|(run, list, number)| {
            let are = if *number == 1 { "is" } else { "are" };
            format!(
                "{number} of the {readers} {are} to get `{slug}` by run {} to `{list}`, which {}, and would get \
                 it twice",
                run.id,
                stands(run, zone)
            )
        });
        let sentences = got.into_iter().chain(to_get);
        let asked = sentences.map(|sentence| Question {
            guard: Guard::SameIssue,
            sentence,
        });
        asked.collect()
    }
}

/// What a run that is not over does.
fn stands(run: &Run, zone: &str) -> String {
    match (run.status, run.start_at) {
        (RunStatus::Scheduled, Some(start)) => {
            let zone = run.zone.as_deref().unwrap_or(zone);
            format!("starts {}", shown(Timestamp(start), zone))
        }
        (RunStatus::Freezing | RunStatus::Sending, _) => "is under way".to_owned(),
        (status, _) => format!("is {status}"),
    }
}

impl Planned {
    /// Finds who would get `slug` twice by what is planned.
    pub(super) async fn find_doubles(
        &mut self,
        app: &App,
        slug: &str,
        revision: &str,
        list: ListId,
    ) -> anyhow::Result<()> {
        let (store, now) = (&app.store, app.clock.now());
        let going = Going {
            list,
            slug,
            revision,
            audience: self.plan.audience,
            origin: self.plan.origin,
            segment: self.plan.segment.as_ref().map(|sieve| &sieve.filter),
            monthly: self.plan.monthly,
            own: None,
        };
        let of_it = self
            .origin
            .as_ref()
            .is_some_and(|origin| origin.slug == slug);
        let anew = match self.plan.audience {
            Audience::List | Audience::Continue => true,
            // Those who did not open another issue may have got this one since.
            Audience::Unopened => !of_it,
            Audience::Reached => false,
        };
        if anew {
            let (readers, run) = store.have_got(&going, now).await?;
            self.doubles.got = run.filter(|_| readers > 0).map(|run| (readers, run));
        }
        for other in store.open_runs_of(slug).await? {
            let readers = store.are_to_get(&going, &other, now).await?;
            if readers > 0 {
                let list = store.list_by_id(ListId(other.list_id.unwrap_or(0))).await?;
                let list = list.map_or_else(String::new, |list| list.slug);
                self.doubles.to_get.push((other, list, readers));
            }
        }
        self.plan.doubles = Some(self.doubles.number());
        let shared = self.doubles.to_get.iter();
        self.plan.shared = shared
            .map(|(run, _, readers)| (run.id(), *readers))
            .collect();
        Ok(())
    }

    /// Refuses to begin at once what more readers would get twice by now than whoever began it was told of. What waits is
    /// looked at in its hour.
    pub async fn look_again(
        &self,
        app: &App,
        slug: &str,
        revision: &str,
        list: ListId,
    ) -> anyhow::Result<()> {
        if self.plan.start.is_some() {
            return Ok(());
        }
        let mut now = Planned {
            doubles: Doubles::default(),
            ..self.clone()
        };
        now.find_doubles(app, slug, revision, list).await?;
        let (told, found) = (self.doubles.number(), now.doubles.number());
        ensure!(
            found <= told,
            "{} would get `{slug}` twice by now, and {told} when you were asked; look again",
            counted(found, "reader")
        );
        Ok(())
    }
}

/// Why `run`, whose hour has come, is not to start: some of its readers have got its issue by another run, or are to get
/// it, of whom nobody was asked when either was begun.
pub(crate) async fn meanwhile(
    store: &Store,
    run: &Run,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    // What goes to the rest, or once more, leaves those out by itself.
    if run.audience != Audience::List.name() {
        return Ok(None);
    }
    let (Some(accepted), Some(list)) = (store.accepted_doubles(run).await?, run.list_id) else {
        return Ok(None);
    };
    let sieve = run.segment.as_deref().map(Sieve::from_json);
    // Nobody is in a segment that cannot be read.
    let Some(sieve) = sieve.map_or(Some(None), |read| read.map(Some)) else {
        return Ok(None);
    };
    let going = Going {
        list: ListId(list),
        slug: &run.slug,
        revision: "",
        audience: Audience::List,
        origin: None,
        segment: sieve.as_ref().map(|sieve| &sieve.filter),
        monthly: run.monthly == 1,
        own: Some(RunId(run.id)),
    };
    let (mut readers, other) = store.have_got_or_are_to(&going, now).await?;
    let mut other = other.unwrap_or(0);
    for before in store.open_runs_of(&run.slug).await? {
        if is_before(&before, run) {
            let more = store.are_to_get(&going, &before, now).await?;
            if more > 0 {
                (readers, other) = (readers + more, other.max(before.id));
            }
        }
    }
    Ok((readers > accepted).then(|| {
        let (have, are) = match readers {
            1 => ("has", "is"),
            _ => ("have", "are"),
        };
        format!(
            "{readers} of its readers {have} got `{}` meanwhile or {are} to get it (run {other}), and {accepted} when it \
             was planned: they would get it twice; take it back, or let it go on all the same",
            run.slug
        )
    }))
}

/// Whether `other`, none of whose mails can have left yet, is not asked about `run` any more: it has begun to copy its
/// readers, or begins first.
fn is_before(other: &Run, run: &Run) -> bool {
    if other.id == run.id || other.started_at.is_some() {
        return false;
    }
    match other.status {
        RunStatus::Freezing => true,
        RunStatus::Scheduled => (other.start_at, other.id) < (run.start_at, run.id),
        _ => other.recipients > 0,
    }
}
