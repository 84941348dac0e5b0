//! What becomes of deliveries of which nobody knows whether the relay took them.

use serde::{Deserialize, Serialize};

/// Policy for deliveries of which nobody knows whether the relay took them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UncertainPolicy {
    Hold,
    AssumeSent,
    Resend,
}

impl UncertainPolicy {
    /// The name in the configuration, in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            UncertainPolicy::Hold => "hold",
            UncertainPolicy::AssumeSent => "assume-sent",
            UncertainPolicy::Resend => "resend",
        }
    }
}

impl From<String> for UncertainPolicy {
    /// The policy of this name; an unknown one holds, which leaves all to a person.
    fn from(name: String) -> UncertainPolicy {
        match name.as_str() {
            "assume-sent" => UncertainPolicy::AssumeSent,
            "resend" => UncertainPolicy::Resend,
            _ => UncertainPolicy::Hold,
        }
    }
}
