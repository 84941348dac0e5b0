//! `pressrun send --continue` of a run that tested two subjects: the rest gets the one that won.

use crate::app::App;
use crate::cli::send::Send;
use crate::issue::given::Titles;
use crate::publication::{self, Built};
use crate::run::plan::Planned;
use crate::run::trial;
use crate::trial::Variant;

/// The subject of an issue as its author wrote it.
pub(super) fn subject(built: &Built) -> String {
    let front = &built.issue.front;
    front.subject.clone().unwrap_or_else(|| front.title.clone())
}

impl Send {
    /// The issue for the rest of a cancelled run: under the subject that won its test, unless the author has written
    /// another since or tests anew.
    pub(super) async fn under_the_winner(
        &self,
        app: &App,
        built: Built,
        titles: &Titles,
        planned: &mut Planned,
    ) -> anyhow::Result<Built> {
        let Some(origin) = planned
            .origin
            .as_ref()
            .filter(|_| self.go_on && self.subject_b.is_none())
        else {
            return Ok(built);
        };
        let Some((run, test)) = trial::continued(app, origin).await? else {
            return Ok(built);
        };
        if subject(&built) != test.a {
            return Ok(built);
        }
        match test.decision.map(|decision| decision.winner) {
            Some(Variant::A) => Ok(built),
            Some(Variant::B) => {
                planned.notes.push(format!(
                    "the subject test of run {run} was won by \"{}\": the rest gets it under that",
                    test.b
                ));
                let (config, emails) = (&app.config, app.emails());
                let list = Some(built.list.as_str());
                publication::compile_under(config, &emails, &self.issue, titles, list, &test.b)
            }
            None => {
                planned.notes.push(format!(
                    "the subject test of run {run} was never decided: the rest gets it under \"{}\"",
                    test.a
                ));
                Ok(built)
            }
        }
    }
}
