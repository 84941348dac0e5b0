//! What is counted of readers, and how long it is kept.

use std::time::Duration;

use serde::Deserialize;

use crate::config::duration;

/// Whether opens and clicks are counted at all.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// Puts a pixel into issues.
    pub opens: bool,
    /// Sends links of issues through the public site.
    pub clicks: bool,
}

/// What is counted of whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privacy {
    pub tracking: Tracking,
    /// Whether readers who never said anything of it are counted.
    pub unasked: bool,
    /// How long a reader can be told from another in the anonymous numbers of a run.
    #[serde(with = "duration")]
    pub pseudonyms: Duration,
}

/// How much of a reader stands in an open or a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tracking {
    /// Who opened and clicked what.
    Individual,
    /// How many did, and not who.
    Anonymous,
    /// Nothing: copies have no pixel, and their links lead straight to their targets.
    Off,
}

/// How long each kind of data is kept; zero is for ever.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    #[serde(with = "duration")]
    pub events: Duration,
    #[serde(with = "duration")]
    pub failures: Duration,
    #[serde(with = "duration")]
    pub notices: Duration,
    #[serde(with = "duration")]
    pub confirm_log: Duration,
    #[serde(with = "duration")]
    pub leave_reasons: Duration,
    #[serde(with = "duration")]
    pub consents: Duration,
    #[serde(with = "duration")]
    pub copies: Duration,
    #[serde(with = "duration")]
    pub audit: Duration,
    #[serde(with = "duration")]
    pub erased: Duration,
}
