//! The event log of an issue, delivery by delivery, each event with what is thought of it.
//!
//! Promises: judged by the rules that the numbers are counted by. Of a reader who wants nothing counted, no look at a
//! mail is told; and what is no look is judged by nobody.

use serde::Serialize;

use crate::app::App;
use crate::clock::Timestamp;
use crate::event::score::{Rule, Verdict, Witness, judge};
use crate::event::{EventKind, Evidence};
use crate::id::RunId;
use crate::numbers::witness;
use crate::store::StoreError;
use crate::store::tallies::RunEvent;

/// One event with what is thought of it, and why.
#[derive(Clone, Debug, Serialize)]
pub struct JudgedEvent {
    pub id: i64,
    pub at: Timestamp,
    pub kind: EventKind,
    pub delivery: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<u32>,
    /// Seconds since the relay took the copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// None of what is no look at a mail: a complaint or a leaving is a reader's by what it is.
    #[serde(flatten)]
    pub judged: Option<Judged>,
    pub evidence: Evidence,
}

impl JudgedEvent {
    /// Man or machine; none of what is judged by nobody.
    pub fn verdict(&self) -> Option<Verdict> {
        self.judged.map(|judged| judged.verdict)
    }
}

/// What is thought of a look at a mail.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Judged {
    pub verdict: Verdict,
    pub rule: Rule,
}

/// Some deliveries' events.
#[derive(Clone, Debug)]
pub struct Page {
    pub events: Vec<JudgedEvent>,
    /// The last delivery looked at: behind it the next page begins. None at the end.
    pub last: Option<u32>,
}

/// The events of the next deliveries of `run` behind the delivery `seq`, up to `limit` deliveries.
pub async fn events(app: &App, run: RunId, seq: i64, limit: u32) -> Result<Page, StoreError> {
    let found = app.store.run_events(run, seq, limit).await?;
    let mut all = Vec::with_capacity(found.len());
    for events in found.chunk_by(|one, other| one.delivery == other.delivery) {
        all.extend(judge_delivery(events));
    }
    Ok(Page {
        events: all,
        last: found.last().map(|event| event.delivery.seq),
    })
}

fn judge_delivery(events: &[RunEvent]) -> Vec<JudgedEvent> {
    let withdrawal = |event: &RunEvent| event.withdrawn || event.kind == EventKind::Withdrawal;
    let withdrawn = events.iter().any(withdrawal);
    let evidence: Vec<Evidence> = events
        .iter()
        .map(|event| serde_json::from_str(&event.evidence).unwrap_or_default())
        .collect();
    let witnesses: Vec<Witness<'_>> = events
        .iter()
        .zip(&evidence)
        .map(|(event, evidence)| witness(event.kind, event.link, event.at, event.after, evidence))
        .collect();
    let rules = judge(&witnesses);
    let afters: Vec<Option<i64>> = witnesses.iter().map(|witness| witness.after).collect();
    let each = events.iter().zip(evidence).zip(rules).zip(afters);
    let told = each.filter(|(((event, _), _), _)| !(withdrawn && event.kind.is_look()));
    told.map(|(((event, evidence), rule), after)| JudgedEvent {
        id: event.id,
        at: event.at,
        kind: event.kind,
        delivery: event.delivery.seq,
        link: event.link,
        after,
        judged: event.kind.is_look().then(|| Judged {
            verdict: rule.verdict(),
            rule,
        }),
        evidence,
    })
    .collect()
}
