//! Direct delivery to the hosts that take a domain's mail: what is known of them, and what it decides.
//!
//! Promises: pure; DNS answers, time and chance are arguments. Nothing here speaks of a recipient: a
//! domain that cannot be reached is the domain's fault. Leaves lookups, sockets and queues to `deliver`.

pub mod backlog;
pub mod dane;
pub mod health;
pub mod pace;
pub mod provider;
pub mod route;
pub mod sts;
