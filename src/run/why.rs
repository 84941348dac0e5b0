//! Why a run stands where it stands, in one sentence.
//!
//! Promises: the cause, since when, what goes on all the same, and when something will next be tried; the
//! same sentence on the terminal, in JSON and in a notice. Reads only what every process can read.

use std::time::Duration;

use serde::Serialize;

use crate::app::App;
use crate::clock::Timestamp;
use crate::deliver::trouble::{Ail, RelayTrouble, Trouble};
use crate::deliver::{self, charge};
use crate::delivery::Counts;
use crate::run::{self, trial};
use crate::schedule::{shown, span};
use crate::status::RunStatus;
use crate::store::runs::Run;

mod database;
mod hour;
mod steps;
#[cfg(test)]
mod tests;

/// What goes on while one run stands still.
const OTHERS: &str = "other runs and mails to those who sign up go on, and the links in mails as long as `pressrun serve` \
     is there";
/// What becomes of what nobody sends.
const LOST: &str = "nothing is lost meanwhile";
/// What goes on while nothing can be sent.
const LINKS: &str = "links in mails work as long as `pressrun serve` is there, who leaves is gone at once, and no reader is charged with \
     it";

/// What holds a run up, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Its hour has not come, or it waits for what must be over before it starts.
    Scheduled,
    /// Its audience is being copied.
    Freezing,
    /// Nothing: it goes as fast as it can.
    Sending,
    /// It keeps the pace that it was given.
    Pace,
    /// A stage of it is out and looked at before the next opens.
    Stage,
    /// What is left waits for its readers' own hour, or for the next try.
    Waiting,
    /// The relay does not take mail.
    Relay,
    /// No process sends.
    NobodySends,
    /// The database takes no writes.
    Store,
    Paused,
    Held,
    Finished,
    Cancelled,
}

/// The answer to why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Why {
    pub issue: String,
    pub run: i64,
    pub status: RunStatus,
    pub cause: Cause,
    /// The whole answer as one sentence.
    pub sentence: String,
    /// Since when, in Unix milliseconds.
    pub since: Option<i64>,
    /// When something will next be tried or happens.
    pub next: Option<i64>,
    /// What goes on all the same.
    pub unaffected: Option<&'static str>,
    /// The command that goes on, where a person has to say it.
    pub command: Option<String>,
}

/// What the answer is made of.
struct Facts<'a> {
    run: &'a Run,
    /// What commands call it.
    name: String,
    counts: Counts,
    /// Queued deliveries that are not due yet, and when the next is.
    deferred: i64,
    next_due: Option<i64>,
    trouble: Option<Trouble>,
    /// What its subject test says, decided or so far.
    test: Option<String>,
    /// Whether any process sends, and one that has this run in its charge.
    sender: bool,
    sending: bool,
    /// A relay that it is to go through and that is not described here.
    unknown_relay: Option<&'a str>,
    /// Why some senders can sign nothing, and leave it to the others.
    unfit: Vec<String>,
    /// Why the next sender would hold it.
    doubt: Option<String>,
    /// A start that is later by more has to be said twice.
    late_start: Duration,
    /// Why the database takes no writes.
    refusal: Option<String>,
    /// The other run of the issue that copies its readers now.
    copied: Option<i64>,
    now: Timestamp,
    /// The earlier of the clocks by which an hour must have come.
    sure: Timestamp,
    zone: &'a str,
}

/// Says why `run` stands where it stands.
pub async fn why(app: &App, run: &Run) -> anyhow::Result<Why> {
    let (store, now) = (&app.store, app.clock.now());
    let (deferred, next_due) = store.deferred(run.id(), now).await?;
    let open = run.is_open();
    let refusal = match open {
        true => database::refusal(app).await,
        false => None,
    };
    Ok(tell(&Facts {
        run,
        name: run::name(app, run).await?,
        counts: store.counts(run.id()).await?,
        deferred,
        next_due,
        trouble: trouble(app, run).await?,
        test: trial::sentence(app, run).await?,
        sender: open && deliver::is_sending(app).await?,
        sending: open && charge::has_in_charge(app, run).await?,
        unfit: match open {
            true => unfit(app).await?,
            false => Vec::new(),
        },
        doubt: match run.status {
            status if status.is_moving() => match deliver::older(app).await? {
                Some(why) => Some(why),
                None => deliver::slept(app, run).await?,
            },
            _ if open => deliver::older(app).await?,
            _ => None,
        },
        unknown_relay: app.config.relays_of(&run.relay).err().filter(|_| open),
        late_start: app.config.send.late_start,
        refusal,
        copied: match run.status {
            RunStatus::Scheduled => run::hour::copied_now(app, run).await?,
            _ => None,
        },
        now,
        sure: app.clock.sure(),
        zone: &app.config.publication.timezone,
    }))
}

/// Why senders at work can sign nothing now, each in its own words.
async fn unfit(app: &App) -> anyhow::Result<Vec<String>> {
    let told = app.store.told_senders().await?;
    Ok(told.into_iter().filter_map(|sender| sender.unfit).collect())
}

/// What keeps relays of this run from taking mail.
async fn trouble(app: &App, run: &Run) -> anyhow::Result<Option<Trouble>> {
    let told = Trouble::told(app).await?;
    Ok(match run.relay.trim() {
        "" => told,
        names => {
            let names = app.config.relays_of(names).unwrap_or_default();
            told.and_then(|told| told.among(&names))
        }
    })
}

/// Why nothing is sent from this database, whatever runs there are: it looks restored from a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doubt {
    pub cause: &'static str,
    pub sentence: String,
    pub command: &'static str,
}

/// The doubt of this database, if there is one.
pub async fn doubt(app: &App) -> anyhow::Result<Option<Doubt>> {
    let sentence = run::doubt(app).await?;
    Ok(sentence.map(|sentence| Doubt {
        cause: "restored",
        sentence,
        command: "pressrun resume --yes",
    }))
}

/// [`why`] for every run that is neither finished nor cancelled.
pub async fn all(app: &App) -> anyhow::Result<Vec<Why>> {
    let mut found = Vec::new();
    for run in app.store.open_runs().await? {
        found.push(why(app, &run).await?);
    }
    Ok(found)
}

fn tell(facts: &Facts<'_>) -> Why {
    let run = facts.run;
    let mut why = Why {
        issue: run.slug.clone(),
        run: run.id,
        status: run.status,
        cause: Cause::Sending,
        sentence: String::new(),
        since: (run.since > 0).then_some(run.since),
        next: None,
        unaffected: None,
        command: None,
    };
    let said = match run.status {
        _ if facts.refusal.is_some() => facts.store(&mut why),
        RunStatus::Scheduled => facts.scheduled(&mut why),
        RunStatus::Freezing => facts.freezing(&mut why),
        RunStatus::Sending => facts.sending(&mut why),
        RunStatus::Paused => facts.paused(&mut why),
        RunStatus::Held => facts.held(&mut why),
        RunStatus::Cancelled => {
            why.cause = Cause::Cancelled;
            facts.cancelled(&why)
        }
        _ => {
            why.cause = Cause::Finished;
            format!(
                "is finished{}: {} of {} were sent{}{}",
                facts.since(why.since),
                facts.counts.sent,
                run.recipients,
                facts.unsent(),
                facts.unknown()
            )
        }
    };
    let to = run.said_segment();
    let to = to.map_or(String::new(), |to| format!(" to `{to}`"));
    let mut sentence = format!("`{}` (run {}){to} {said}", run.slug, run.id);
    for doubt in facts.unfit.iter().chain(&facts.doubt) {
        if !sentence.contains(doubt.as_str()) {
            sentence.push_str(&format!("; and {doubt}"));
        }
    }
    if let Some(name) = facts.unknown_relay {
        sentence.push_str(&format!(
            "; and it is to go through `{name}`, which the configuration here does not describe: describe it, and \
             restart the sender"
        ));
    }
    if let Some(test) = &facts.test {
        sentence.push_str("; ");
        sentence.push_str(test);
    }
    if let Some(unaffected) = why.unaffected {
        sentence.push_str("; ");
        sentence.push_str(unaffected);
    }
    if let Some(command) = &why.command {
        sentence.push_str(&format!("; go on with `{command}`"));
    }
    why.sentence = sentence;
    why
}

impl Facts<'_> {
    fn at(&self, at: i64) -> String {
        shown(Timestamp(at), self.zone)
    }

    /// ` since ... (5 min ago)`, where it is known.
    fn since(&self, since: Option<i64>) -> String {
        since.map_or(String::new(), |since| {
            let ago = self.now.since(Timestamp(since));
            format!(" since {} ({} ago)", self.at(since), span(ago))
        })
    }

    /// `at ... (in 5 min)`.
    fn then(&self, at: i64) -> String {
        let wait = Timestamp(at).since(self.now);
        format!("{} (in {})", self.at(at), span(wait))
    }

    /// How many are through, and how many wait.
    fn progress(&self) -> String {
        let open = self.counts.queued + self.counts.at_dot;
        format!(
            "{} of {} are done",
            self.counts.total() - open,
            self.run.recipients
        )
    }

    /// What goes on beside this run, where anything does.
    fn others(&self) -> Option<&'static str> {
        let standstill = self.trouble.as_ref().is_some_and(Trouble::is_standstill);
        match standstill {
            true => Some(LINKS),
            false => (self.sender && self.doubt.is_none()).then_some(OTHERS),
        }
    }

    fn cancelled(&self, why: &Why) -> String {
        let counts = &self.counts;
        let mut said = format!(
            "is cancelled{}: {} were sent, {} never will be",
            self.since(why.since),
            counts.sent,
            counts.cancelled
        );
        if counts.queued > 0 {
            said.push_str(&format!(
                ", {} are still to be taken out, for whoever cancelled it was stopped: `pressrun cancel {}` does so",
                counts.queued, self.name
            ));
        }
        if counts.at_dot > 0 {
            said.push_str(&format!(", {} wait for the relay's answer", counts.at_dot));
        }
        said + &self.unknown()
    }

    /// What became of those who got nothing, where there are any.
    fn unsent(&self) -> String {
        let counts = &self.counts;
        let each = [
            (counts.bounced, "bounced"),
            (counts.failed, "were refused for what they are"),
            (counts.expired, "were given up"),
            (counts.suppressed, "are suppressed"),
            (counts.unsubscribed, "had left"),
        ];
        let each = each.iter().filter(|(number, _)| *number > 0);
        each.map(|(number, what)| format!(", {number} {what}"))
            .collect()
    }

    /// The uncertain ones, where there are any, and how they are found.
    fn unknown(&self) -> String {
        match self.counts.uncertain {
            0 => String::new(),
            unknown => format!(
                ", and of {unknown} nobody knows: `pressrun deliveries {} --state uncertain` names them",
                self.name
            ),
        }
    }

    fn freezing(&self, why: &mut Why) -> String {
        if !self.sending {
            return self.nobody(why);
        }
        why.cause = Cause::Freezing;
        why.unaffected = self.others();
        format!(
            "is copying its readers{}: {} so far, and sends when all are there",
            self.since(why.since),
            self.run.recipients
        )
    }

    fn sending(&self, why: &mut Why) -> String {
        if !self.sending {
            return self.nobody(why);
        }
        let standstill = self
            .trouble
            .as_ref()
            .filter(|trouble| trouble.is_standstill());
        if let Some(trouble) = standstill {
            return self.relay(why, trouble);
        }
        if let Some(said) = self.stage(why) {
            return said;
        }
        // One relay of several, or some of those whom it delivers to: the others carry on.
        let limps = match &self.trouble {
            Some(trouble) => format!("; {}", trouble.sentence()),
            None => String::new(),
        };
        let (open, due) = (
            self.counts.queued + self.counts.at_dot,
            self.counts.queued - self.deferred,
        );
        if let (Some(next), true) = (self.next_due, open == self.deferred && open > 0) {
            why.cause = Cause::Waiting;
            why.next = Some(next);
            why.unaffected = self.others();
            let what = match &self.run.local_at {
                Some(_) => "wait for their own hour or their next try",
                None => "were deferred and wait for their next try",
            };
            return format!(
                "waits: {} {what}, the first {}; {}{limps}",
                self.deferred,
                self.then(next),
                self.progress()
            );
        }
        if self.run.is_paced() {
            return self.paced(why, due);
        }
        format!(
            "is being sent{}: {}{limps}",
            self.since(why.since),
            self.progress()
        )
    }

    fn relay(&self, why: &mut Why, trouble: &Trouble) -> String {
        // An older sender told neither.
        let times = |at: fn(&RelayTrouble) -> Timestamp| {
            let times = trouble.relays.iter().map(move |relay| at(relay).0);
            times.filter(|&at| at > 0).min()
        };
        let full = trouble.relays.iter().all(|relay| relay.ail == Ail::Full);
        why.cause = Cause::Relay;
        why.since = times(|relay| relay.since);
        why.next = times(|relay| relay.next);
        why.unaffected = Some(LINKS);
        let each: Vec<String> = trouble
            .relays
            .iter()
            .map(|relay| format!("relay {}: {}", relay.relay, relay.why))
            .collect();
        let next = match why.next {
            Some(next) if full => format!(", and it goes on {}", self.then(next)),
            Some(next) => format!(", next try {}", self.then(next)),
            None => String::new(),
        };
        format!(
            "{}{}: {}{next}; {}",
            if full { "rests" } else { "does not get on" },
            self.since(why.since),
            each.join("; "),
            self.progress()
        )
    }

    fn nobody(&self, why: &mut Why) -> String {
        why.cause = Cause::NobodySends;
        why.unaffected = Some(LOST);
        let who = match self.sender {
            true => {
                "no process sends it, for it was interrupted, and the `send` at work is another's"
            }
            false => "no process sends, neither `pressrun serve` nor a `send`",
        };
        let (doubt, sure) = match &self.doubt {
            Some(doubt) => (format!("; {doubt}"), " --yes"),
            None => (String::new(), ""),
        };
        why.command = Some(format!("pressrun resume {}{sure}", self.name));
        format!("stands still: {who}{doubt}; {}", self.progress())
    }

    fn paused(&self, why: &mut Why) -> String {
        why.cause = Cause::Paused;
        why.unaffected = self.others();
        why.command = Some(format!("pressrun resume {}", self.name));
        if self.run.waits() {
            return self.paused_before(why);
        }
        format!(
            "is paused by hand{}: {}",
            self.since(why.since),
            self.progress()
        )
    }

    fn held(&self, why: &mut Why) -> String {
        why.cause = Cause::Held;
        why.unaffected = self.others();
        why.command = Some(format!("pressrun resume {} --yes", self.name));
        let reason = self.run.reason.as_deref().unwrap_or("no reason was kept");
        let then = match self.run.waits() {
            true => self.held_before(),
            false => format!(
                "{}, and nothing is tried until a person says so",
                self.progress()
            ),
        };
        format!("is held{}: {reason}; {then}", self.since(why.since))
    }
}
