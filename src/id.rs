//! Identifiers: small types that keep a run, a list, a reader and a delivery from being mixed up.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A run: numbered from 1 in the order of creation. Run 1 is the open run of system mails.
    RunId
}
id! {
    /// A list: numbered from 1 in the order of creation.
    ListId
}
id! {
    /// A reader's random 63-bit key, never reused.
    SubscriberId
}
id! {
    /// The random 63-bit key of one subscription; unsubscribe and manage tokens carry it.
    SubscriptionKey
}

impl RunId {
    /// The open, never finished run that carries confirm, welcome, test and notice mails.
    pub const SYSTEM: RunId = RunId(1);
}

/// One run for one subscriber: the key of a delivery.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct DeliveryKey {
    pub run: RunId,
    /// Dense from 0 within the run.
    pub seq: u32,
}

impl DeliveryKey {
    /// Deliveries in one lease block (a row changes only at its marker and its outcome).
    pub const BLOCK: u32 = 256;

    /// The lease block this delivery stands in.
    pub fn block(self) -> u32 {
        self.seq / Self::BLOCK
    }
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run, self.seq)
    }
}
