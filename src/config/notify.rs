//! What is watched while a run is sent, and whom Pressrun tells.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use crate::address::EmailAddress;

/// Shares beyond which a run that opens in stages is held, whatever its list is used to; beyond that of complaints,
/// any run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// Of the messages, those that bounce.
    pub bounces: f64,
    /// Of the messages to one provider, those that it puts off at the first try.
    pub deferrals: f64,
    /// Of the readers, those who leave.
    pub unsubscribes: f64,
    /// Of the readers, those who complain.
    pub complaints: f64,
}

/// Whom to tell of runs, relays and floods of signups, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Who gets each notice as a mail; nobody when empty.
    pub to: Option<EmailAddress>,
    /// Who gets each notice as JSON; a secret, as many such addresses hold one.
    pub webhook: Option<SecretString>,
    /// What the webhook knows us by.
    pub webhook_secret: Option<SecretString>,
    /// Whether it may stand on this machine or in a private network, and be asked without TLS.
    pub webhook_private: bool,
    /// Waits between tries while it does not answer with 2xx; the last repeats for a day.
    #[serde(with = "super::durations")]
    pub webhook_retry: Vec<Duration>,
    /// What is told.
    pub on: Vec<NoticeKind>,
    /// The same is not told again within this time.
    #[serde(with = "super::duration")]
    pub window: Duration,
    /// A relay that fails for less is not told of.
    #[serde(with = "super::duration")]
    pub relay_after: Duration,
    /// Share of bounces beyond which a run is told of.
    pub bounce_rate: f64,
    /// Share of complaints beyond which a run is told of.
    pub complaint_rate: f64,
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    Started,
    Finished,
    Held,
    RelayDown,
    RelayUp,
    Bounces,
    Complaints,
    /// The subscribe form is under attack.
    Signups,
}

impl NoticeKind {
    /// The name in the configuration, in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            NoticeKind::Started => "started",
            NoticeKind::Finished => "finished",
            NoticeKind::Held => "held",
            NoticeKind::RelayDown => "relay-down",
            NoticeKind::RelayUp => "relay-up",
            NoticeKind::Bounces => "bounces",
            NoticeKind::Complaints => "complaints",
            NoticeKind::Signups => "signups",
        }
    }
}
