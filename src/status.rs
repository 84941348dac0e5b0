//! A run's life: its statuses, and what may follow from each.
//!
//! Promises: the names are those of the database, of JSON and of the command line. Leaves the
//! compare-and-set to `store`, and when a run moves on to `run` and `deliver`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Its content is fixed, its hour is to come.
    Scheduled,
    /// Its audience is being copied.
    Freezing,
    Sending,
    /// A person stopped it.
    Paused,
    /// Pressrun stopped it, and its reason says why.
    Held,
    /// Nothing of it is open any more.
    Finished,
    Cancelled,
    /// The run of the system mails, which never ends.
    Open,
}

impl RunStatus {
    /// Every status, in the order in which a run goes through them.
    pub const ALL: [RunStatus; 8] = [
        RunStatus::Scheduled,
        RunStatus::Freezing,
        RunStatus::Sending,
        RunStatus::Paused,
        RunStatus::Held,
        RunStatus::Finished,
        RunStatus::Cancelled,
        RunStatus::Open,
    ];

    /// The name in the database, in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            RunStatus::Scheduled => "scheduled",
            RunStatus::Freezing => "freezing",
            RunStatus::Sending => "sending",
            RunStatus::Paused => "paused",
            RunStatus::Held => "held",
            RunStatus::Finished => "finished",
            RunStatus::Cancelled => "cancelled",
            RunStatus::Open => "open",
        }
    }

    /// Whether nothing of it will be sent any more.
    pub fn is_over(self) -> bool {
        matches!(self, RunStatus::Finished | RunStatus::Cancelled)
    }

    /// Whether a sender works at it.
    pub fn is_moving(self) -> bool {
        matches!(self, RunStatus::Freezing | RunStatus::Sending)
    }

    /// Whether it stands still until a person lets it go on.
    pub fn is_stopped(self) -> bool {
        matches!(self, RunStatus::Paused | RunStatus::Held)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl TryFrom<String> for RunStatus {
    type Error = String;

    fn try_from(name: String) -> Result<RunStatus, String> {
        RunStatus::ALL
            .into_iter()
            .find(|status| status.name() == name)
            .ok_or_else(|| {
                format!(
                    "`{name}` is no status of a run: this database was written by another version"
                )
            })
    }
}
