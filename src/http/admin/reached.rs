//! Who stands behind a run's numbers: whose copy came back and with which words, who left and why, who opened and clicked.
//!
//! Promises: pages go by key; a reader is shown under a number because she is counted in it, as the numbers judge.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::delivery::State as DeliveryState;
use crate::event::EventKind;
use crate::http::admin::wording::{label, minute, parameter, told};
use crate::http::admin::{Admin, runs};
use crate::http::fault::Fault;
use crate::http::form::Tail;
use crate::id::{DeliveryKey, RunId};
use crate::numbers::story::{Marks, Memory, Reading, Story, story};
use crate::numbers::{self, Line};
use crate::store::reached::{Reached, Stretch};

/// Readers of a page.
const PAGE: u32 = 50;

/// Which readers of a run are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    In(DeliveryState),
    Departed,
    Complained,
    Opened,
    Clicked,
    /// Clicked on the link of this index.
    Link(u32),
}

impl Wanted {
    fn parse(what: &str, link: &str) -> Option<Wanted> {
        Some(match what {
            "departed" => Wanted::Departed,
            "complained" => Wanted::Complained,
            "opened" => Wanted::Opened,
            "clicked" if link.is_empty() => Wanted::Clicked,
            "clicked" => Wanted::Link(link.parse().ok()?),
            state => Wanted::In(DeliveryState::parse(state)?),
        })
    }

    /// The heading, and how many the numbers say there are.
    fn named(&self, line: &Line) -> (String, Option<i64>) {
        let run = &line.run;
        match self {
            Wanted::In(state) => (label(*state).to_owned(), Some(run.counts.get(*state))),
            Wanted::Departed => ("Left by it".to_owned(), Some(run.departed)),
            Wanted::Complained => ("Complained".to_owned(), Some(run.complained)),
            Wanted::Opened => ("Opened".to_owned(), line.opened_by_readers.number()),
            Wanted::Clicked => ("Clicked".to_owned(), line.clicked_by_readers.number()),
            Wanted::Link(link) => {
                let known = run
                    .links
                    .iter()
                    .find(|known| known.link == i64::from(*link));
                let name = known.map_or("a link", |known| known.name.as_str());
                let number = known.and_then(|known| known.judged.readers.number());
                (format!("Clicked: {name}"), number)
            }
        }
    }

    /// Whether they are told by opens and clicks.
    fn of_what_was_read(&self) -> bool {
        matches!(self, Wanted::Opened | Wanted::Clicked | Wanted::Link(_))
    }

    /// The test of a segment that holds them.
    fn test(&self) -> Option<&'static str> {
        match self {
            Wanted::Opened => Some("opened"),
            Wanted::Clicked => Some("clicked"),
            _ => None,
        }
    }
}

#[derive(Serialize)]
struct Row {
    key: String,
    /// None of whoever is erased.
    reader: Option<String>,
    address: Option<String>,
    line: String,
}

/// `GET /runs/{id}/deliveries`: those of one number, `what`, and of one `link`.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let run = runs::find(&admin, &id).await?;
    let query = query.as_deref();
    let (what, link) = (parameter(query, "what"), parameter(query, "link"));
    let wanted = Wanted::parse(&what, &link).ok_or(Fault::NotFound)?;
    let line = numbers::line(&admin.app, run.id()).await?;
    let line = line.ok_or(Fault::NotFound)?;
    let after = parameter(query, "after");
    let first = after.is_empty();
    let after = if first {
        -1
    } else {
        let after: u32 = after.parse().map_err(|_| Fault::NotFound)?;
        i64::from(after)
    };
    // Whose events name nobody did what nobody knows; who left and who complained is known.
    let nameless = admin.app.store.nameless_of(&[run.id()]).await?;
    let nameless = nameless.contains(&run.id()) && wanted.of_what_was_read();
    let found = match nameless {
        true => Vec::new(),
        false => look(&admin, run.id(), &wanted, after).await?,
    };
    let full = found.len() == PAGE as usize;
    let more = found.last().filter(|_| full).map(|last| last.seq);
    let mut memory = Memory::of(&admin.app).await?;
    let mut rows = Vec::with_capacity(found.len());
    for one in found {
        rows.extend(row(&admin, run.id(), &wanted, one, &mut memory).await?);
    }
    let (name, number) = wanted.named(&line);
    let values = context! {
        run => context! { id => run.id, title => run.title.clone() },
        name,
        number => number.map(|number| told(Some(number))),
        rows => Serde(rows),
        what, link, first, more,
        segment => wanted.test().filter(|_| !nameless).map(|test| format!("{test}:{}", run.slug)),
        list => line.run.list.clone(),
        nameless,
    };
    Ok(admin.page("/issues", "reached.html", values))
}

async fn look(
    admin: &Admin,
    run: RunId,
    wanted: &Wanted,
    after: i64,
) -> Result<Vec<Reached>, Fault> {
    let store = &admin.app.store;
    let stretch = Stretch { after, limit: PAGE };
    let found = match wanted {
        Wanted::In(state) => store.reached_copies(run, state.name(), stretch).await?,
        Wanted::Departed => store.reached_copies(run, "departed", stretch).await?,
        Wanted::Complained => store.reached_copies(run, "complained", stretch).await?,
        Wanted::Opened => store.read_copies(run, "opened", stretch).await?,
        Wanted::Clicked => store.read_copies(run, "clicked", stretch).await?,
        Wanted::Link(link) => store.link_copies(run, *link, stretch).await?,
    };
    Ok(found)
}

/// None where it turns out that a machine asked for this link of hers.
async fn row(
    admin: &Admin,
    run: RunId,
    wanted: &Wanted,
    one: Reached,
    memory: &mut Memory,
) -> Result<Option<Row>, Fault> {
    let key = DeliveryKey {
        run,
        seq: u32::try_from(one.seq).unwrap_or(u32::MAX),
    };
    let zone = admin.zone();
    let time = |at: Option<i64>| at.map(|at| minute(Timestamp(at), zone));
    let line = match wanted {
        Wanted::In(_) => {
            let code = one.code.filter(|&code| code != 0);
            let code = code.map(|code| code.to_string());
            // A report that came by mail may hold the whole line.
            let reply = one.reply.unwrap_or_default();
            let whole = code.as_ref().is_some_and(|code| reply.starts_with(code));
            let classes = [code, one.enhanced].map(|part| part.filter(|_| !whole));
            let [code, enhanced] = classes;
            let parts = [time(one.settled_at), code, enhanced, Some(reply)];
            Some(joined(parts))
        }
        Wanted::Departed => {
            let why = one.reason.or_else(|| Some("without a reason".to_owned()));
            let words = one.words.filter(|words| !words.is_empty());
            Some(joined([time(one.departed_at), why, words, None]))
        }
        Wanted::Complained => Some(joined([time(one.complained_at), None, None, None])),
        Wanted::Opened | Wanted::Clicked | Wanted::Link(_) => {
            let story = story(&admin.app, key, &Marks::from(&one), memory).await?;
            let reading = match wanted {
                Wanted::Opened => story.opened.words(|at| minute(at, zone)),
                Wanted::Clicked => story.clicked.words(|at| minute(at, zone)),
                Wanted::Link(link) => clicked(&story, *link).map(|at| minute(at, zone)),
                _ => None,
            };
            match (reading, wanted) {
                // What is left of the events of an older run is not all that was judged.
                (None, Wanted::Link(_)) if story.forgotten => {
                    Reading::Once.words(|at| minute(at, zone))
                }
                (None, Wanted::Link(_)) if !story.events.is_empty() => None,
                (reading, _) => Some(reading.unwrap_or_default()),
            }
        }
    };
    Ok(line.map(|line| Row {
        key: key.to_string(),
        reader: (one.subscriber_id > 0).then(|| one.subscriber_id.to_string()),
        address: one.address,
        line,
    }))
}

/// When a reader first pressed on the link.
fn clicked(story: &Story, link: u32) -> Option<Timestamp> {
    let clicks = story.events.iter();
    let hers = clicks.filter(|told| told.kind == EventKind::Click && told.link == Some(link));
    hers.filter(|told| told.is_readers())
        .map(|told| told.at)
        .min()
}

fn joined(parts: [Option<String>; 4]) -> String {
    let parts = parts.into_iter().flatten();
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::Wanted;
    use crate::delivery::State;

    #[test]
    fn a_number_is_asked_for_by_its_name() {
        let parse = |what| Wanted::parse(what, "");
        assert_eq!(parse("bounced"), Some(Wanted::In(State::Bounced)));
        assert_eq!(parse("departed"), Some(Wanted::Departed));
        assert_eq!(Wanted::parse("clicked", "3"), Some(Wanted::Link(3)));
        assert_eq!(Wanted::parse("clicked", "three"), None);
        assert_eq!(parse("nobody"), None);
    }
}
