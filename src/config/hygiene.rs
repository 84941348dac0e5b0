//! When addresses that stopped taking mail are looked for without anybody's command.

use std::time::Duration;

use serde::Deserialize;

use crate::config::duration;

/// Issues running that may be asked for: further back it would be another address.
pub const MOST_ISSUES: u32 = 12;

/// How addresses are given up.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hygiene {
    /// Between two looks of `serve`; zero leaves them to a person.
    #[serde(with = "duration")]
    pub probe_every: Duration,
    /// Issues running that came back before an address is asked.
    pub probe_after: u32,
    /// How long a probe must stay taken.
    #[serde(with = "duration")]
    pub probe_wait: Duration,
}
