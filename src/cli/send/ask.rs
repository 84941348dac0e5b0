//! What a person is asked before Send: the guards one by one, then the whole.
//!
//! Promises: where nobody can be asked, nothing is sent without the flag that answers.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::bail;

use crate::app::App;
use crate::cli::Exit;
use crate::cli::send::Send;
use crate::publication::Built;
use crate::run::guards::{Guard, Question};
use crate::run::plan::Planned;
use crate::store::runs::Audience;
use crate::terminal::{counted, plain};

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed {
    order: &'static str,
    done: &'static str,
    does: &'static str,
}

impl Deed {
    pub(crate) const SEND: Deed = Deed {
        order: "Send it",
        done: "sent",
        does: "sends it",
    };
    pub(crate) const REPLACE: Deed = Deed {
        order: "Replace it",
        done: "replaced",
        does: "replaces it",
    };
    pub(crate) const MOVE: Deed = Deed {
        order: "Move it",
        done: "moved",
        does: "moves it",
    };
}

impl Send {
    /// Refuses to go on where nobody can be asked and nothing was said.
    pub(super) fn say_what(
        &self,
        app: &App,
        built: &Built,
        other: Option<&Built>,
        planned: &Planned,
    ) -> anyhow::Result<()> {
        if self.yes || std::io::stdin().is_terminal() {
            return Ok(());
        }
        eprint!("{}", self.approval(app, built, other, planned));
        let mut what = sentence(&built.compiled.slug, &built.list, planned);
        for note in &planned.notes {
            what.push_str("; ");
            what.push_str(note);
        }
        bail!("{what}; say `--yes` to send it")
    }

    /// Asks each guard that was not answered by its flag. An exit code where one is left unanswered.
    pub(super) fn answer(
        &self,
        deed: Deed,
        slug: &str,
        questions: &[Question],
    ) -> anyhow::Result<Option<Exit>> {
        let open: Vec<&Question> = questions
            .iter()
            .filter(|question| !self.accepts(question.guard))
            .collect();
        answer(deed, slug, &open, self.yes)
    }

    /// Whether the command line answers this guard.
    pub(super) fn accepts(&self, guard: Guard) -> bool {
        self.accept.contains(&guard) || (guard == Guard::SameIssue && self.again)
    }

    /// Tells the plan, and asks with the whole of it before the eyes unless `--yes` was said.
    pub(super) fn confirm(
        &self,
        app: &App,
        built: &Built,
        other: Option<&Built>,
        planned: &Planned,
    ) -> anyhow::Result<()> {
        let (slug, list) = (&built.compiled.slug, &built.list);
        if !self.yes {
            eprint!("{}", self.approval(app, built, other, planned));
        }
        for note in &planned.notes {
            eprintln!("{note}");
        }
        if planned.origin.is_some() {
            eprintln!("{}", sentence(slug, list, planned));
        }
        if self.yes {
            return Ok(());
        }
        let question = match planned.plan.audience {
            Audience::List => {
                let readers = counted(planned.readers, "reader");
                format!("Send `{slug}` to {readers} of `{list}`?")
            }
            _ => "Send it?".to_owned(),
        };
        if !yes(&question)? {
            bail!("nothing was sent");
        }
        Ok(())
    }
}

/// Asks what is `open`, one by one; where nobody can be asked, or nobody is to be, it is told, with the exit code that
/// says so.
pub(crate) fn answer(
    deed: Deed,
    slug: &str,
    open: &[&Question],
    yes_said: bool,
) -> anyhow::Result<Option<Exit>> {
    if open.is_empty() {
        return Ok(None);
    }
    let Deed { order, done, does } = deed;
    if !yes_said && std::io::stdin().is_terminal() {
        for question in open {
            let (name, sentence) = (question.guard.name(), plain(&question.sentence));
            if !yes(&format!("{name}: {sentence}. {order} all the same?"))? {
                bail!("nothing was {done}");
            }
        }
        return Ok(None);
    }
    let mut flags: Vec<String> = Vec::new();
    for question in open {
        let name = question.guard.name();
        eprintln!("guard[{name}]: {}", plain(&question.sentence));
        let flag = format!("--accept {name}");
        if !flags.contains(&flag) {
            flags.push(flag);
        }
    }
    eprintln!(
        "error: `{slug}` was not {done}: `{}` {does} all the same",
        flags.join(" ")
    );
    Ok(Some(Exit::Unanswered))
}

/// To whom it would go, with numbers.
fn sentence(slug: &str, list: &str, planned: &Planned) -> String {
    let readers = counted(planned.readers, "reader");
    let origin = planned.origin.as_ref();
    let (run, earlier) = origin.map_or((0, ""), |run| (run.id, run.slug.as_str()));
    match planned.plan.audience {
        Audience::List => {
            let segment = planned.plan.segment.as_ref();
            let part = segment.map(|sieve| format!(" who are in `{}`", plain(&sieve.said)));
            let part = part.unwrap_or_default();
            format!("`{slug}` would go to {readers} of `{list}`{part}")
        }
        Audience::Continue => format!(
            "`{slug}` would go to the {readers} of `{list}` whom its cancelled run {run} did not reach"
        ),
        Audience::Reached => format!(
            "{readers} of `{list}` got `{slug}` and would get it corrected, as a second mail"
        ),
        Audience::Unopened => format!(
            "`{slug}` would go to the {readers} of `{list}` who got `{earlier}` and neither opened it nor \
             clicked"
        ),
    }
}

/// Asks on the terminal; anything but yes is no.
pub(super) fn yes(question: &str) -> anyhow::Result<bool> {
    print!("{question} [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
