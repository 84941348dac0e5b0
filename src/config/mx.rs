//! Settings of direct delivery, `[mx]`: what holds for every relay of kind `mx`.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// How relays of kind `mx` deliver.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mx {
    /// Where the hosts of a domain listen.
    pub port: u16,
    /// A provider table of the operator's own, in TOML; it is read before the built-in one.
    pub providers: Option<PathBuf>,
    /// Addresses of this machine that mail is sent from; the system's choice when empty.
    pub sources: Vec<IpAddr>,
    /// Whether MTA-STS policies are looked for and obeyed.
    pub mta_sts: bool,
    /// Where policies are fetched.
    pub policy_port: u16,
    /// Whether hosts at addresses that are not public get mail.
    pub private: bool,
}
