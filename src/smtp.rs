//! SMTP: the session that hands messages to a relay, and the scripted sink that stands in for one.
//!
//! Promises: a message is called accepted only on 250 to its own final dot. Leaves the ledger, retries and
//! the number of connections to `deliver`.

pub mod buffer;
pub mod capabilities;
pub mod connect;
mod dialogue;
pub mod error;
mod outgoing;
pub mod probe;
pub mod session;
pub mod sink;
mod stream;
pub mod tls;
mod wire;
