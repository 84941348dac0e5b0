//! What a relay answers: the reply itself, and what it means for the recipient, the connection or the relay.

use serde::{Deserialize, Serialize};

/// What the relay said, kept with the delivery; every byte of it is hostile until escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Basic code, 0 when the text is our own.
    pub code: u16,
    /// Enhanced status such as `5.1.1` (RFC 3463), when one was given.
    pub enhanced: Option<String>,
    pub text: String,
}
