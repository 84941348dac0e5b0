//! What the author says yes to: the mail as readers will see it in their inbox, to whom it goes, by what, and when.
//!
//! Promises: every line is what the run will have, as it was compiled and planned; slots stand as they were written.

use jiff::civil::DateTime;
use url::Url;

use crate::app::App;
use crate::cli::output::pairs;
use crate::cli::send::Send;
use crate::compile::diff::words;
use crate::config::{Relay, RelayKind};
use crate::publication::Built;
use crate::run::plan::Planned;
use crate::schedule::shown;

impl Send {
    /// The lines; under each subject where `other` is the issue under its second.
    pub(super) fn approval(
        &self,
        app: &App,
        built: &Built,
        other: Option<&Built>,
        planned: &Planned,
    ) -> String {
        let from = &app.config.from;
        let subject = |built: &Built| words(&built.compiled, &built.compiled.subject);
        let mut rows = vec![("subject", subject(built))];
        rows.extend(other.map(|other| ("or", subject(other))));
        rows.push((
            "preheader",
            match words(&built.compiled, &built.compiled.preheader) {
                none if none.trim().is_empty() => {
                    "none: inboxes show how the text begins".to_owned()
                }
                said => said,
            },
        ));
        rows.push(("from", format!("{} <{}>", from.name, from.address)));
        let reply_to = from.reply_to.as_ref();
        rows.extend(reply_to.map(|to| ("reply to", to.to_string())));
        let segment = planned.plan.segment.as_ref();
        let part = segment.map(|sieve| format!(", who are in `{}`", sieve.said));
        rows.push((
            "list",
            format!("{}{}", built.list, part.unwrap_or_default()),
        ));
        rows.push(("readers", planned.readers.to_string()));
        let names = app.config.relays_of(&self.relay).unwrap_or_default();
        let relays = names.into_iter().filter_map(|name| {
            let relay = app.config.relay.get(name)?;
            Some(format!("{name} ({})", whereto(relay)))
        });
        rows.push(("relay", relays.collect::<Vec<_>>().join(", ")));
        rows.push(("starts", self.when(planned)));
        pairs(&rows)
    }

    fn when(&self, planned: &Planned) -> String {
        let local = planned.plan.local_at.as_deref();
        if let Some(hour) = local.and_then(|hour| hour.parse::<DateTime>().ok()) {
            let hour = hour.strftime("%a %-d %b %Y %H:%M");
            return format!("{hour} by each reader's own clock");
        }
        match self.at {
            Some(_) => shown(planned.start, &planned.zone),
            None if planned.plan.start.is_some() => format!(
                "{}, unless it is taken back before",
                shown(planned.start, &planned.zone)
            ),
            None => "at once".to_owned(),
        }
    }
}

/// The next hop, without what it is told of us.
fn whereto(relay: &Relay) -> String {
    if relay.kind == RelayKind::Mx {
        return "straight to the readers' hosts".to_owned();
    }
    let url = Url::parse(&relay.url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    match url.as_ref().and_then(Url::port) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
