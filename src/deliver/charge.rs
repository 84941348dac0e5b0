//! Which runs an engine looks after, and how other processes come to know it.
//!
//! Promises: what a person has interrupted stays so until a person lets it go on, and goes on then whoever sends; a run
//! that waits for its hour is started by whoever stays to send it.

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::deliver::is_sending;
use crate::id::RunId;
use crate::status::RunStatus;
use crate::store::relays::ToldSender;
use crate::store::runs::Run;
use crate::store::{Store, StoreError};

/// Which runs an engine looks after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Charge {
    #[default]
    All,
    /// The open run alone.
    Mails,
    /// One run, and what is begun or goes on from now on. Not what was interrupted before: these runs, as long as they
    /// stand as they did since then.
    One { run: i64, but: Vec<(i64, i64)> },
}

impl Charge {
    /// Whether `run`, which is active, is sent.
    pub(super) fn has(&self, run: &Run) -> bool {
        match self {
            Charge::All => true,
            Charge::Mails => run.id() == RunId::SYSTEM,
            Charge::One { .. } => !self.leaves(run),
        }
    }

    /// Whether `run` is started in its hour. Whoever ends with another run would leave it half sent.
    pub(super) fn starts(&self, run: RunId) -> bool {
        match self {
            Charge::All => true,
            Charge::Mails => false,
            Charge::One { run: own, .. } => *own == run.0,
        }
    }

    /// Whether `run` is left alone because it was interrupted.
    fn leaves(&self, run: &Run) -> bool {
        matches!(self, Charge::One { but, .. } if but.contains(&(run.id, run.since)))
    }

    /// As it stands with the sender.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers have a JSON form")
    }

    /// Senders of before tell none, and have all.
    pub(super) fn read(text: Option<&str>) -> Charge {
        let read = text.and_then(|text| serde_json::from_str(text).ok());
        read.unwrap_or_default()
    }
}

/// Whether any process sends that has `run` in its charge, or would start it in its hour.
pub async fn has_in_charge(app: &App, run: &Run) -> anyhow::Result<bool> {
    let minds = |charge: &Charge| match run.status {
        RunStatus::Scheduled => charge.starts(run.id()),
        _ => charge.has(run),
    };
    let charges = charges(app).await?;
    Ok(charges.is_some_and(|charges| charges.is_empty() || charges.iter().any(minds)))
}

/// Whether whoever sends has `run` in no charge because it was interrupted: it does once the run goes on anew.
pub async fn is_left_alone(app: &App, run: &Run) -> anyhow::Result<bool> {
    let Some(charges) = charges(app).await? else {
        return Ok(false);
    };
    let has = charges.iter().any(|charge| charge.has(run));
    Ok(!has && charges.iter().any(|charge| charge.leaves(run)))
}

/// What the senders have told of their charges.
pub(super) async fn told(store: &Store) -> Result<Vec<Charge>, StoreError> {
    let told = store.told_senders().await?;
    let read = |told: &ToldSender| Charge::read(told.charge.as_deref());
    Ok(told.iter().map(read).collect())
}

/// The charges of those who send; none where nobody does.
async fn charges(app: &App) -> anyhow::Result<Option<Vec<Charge>>> {
    if !is_sending(app).await? {
        return Ok(None);
    }
    Ok(Some(told(&app.store).await?))
}

#[cfg(test)]
mod tests {
    use super::Charge;

    #[test]
    fn a_charge_is_read_as_it_was_told() {
        let one = Charge::One {
            run: 3,
            but: vec![(2, 1_771_502_400_000)],
        };
        for charge in [Charge::All, Charge::Mails, one] {
            assert_eq!(Charge::read(Some(&charge.to_json())), charge);
        }
        assert_eq!(Charge::read(None), Charge::All);
    }
}
