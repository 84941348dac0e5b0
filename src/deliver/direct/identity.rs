//! What receiving hosts find when they check who we say we are.
//!
//! Promises: the checks that mailbox providers make of a sending address (PTR, the way back, the name in
//! EHLO), each told as a sentence with what to do. Leaves the telling to whoever asked.

use std::net::IpAddr;

use crate::dns::{Dns, LookupError};

/// What is wrong with the names of `source`, an address that mail is sent from, when EHLO says `ehlo`.
pub async fn faults(dns: &Dns, ehlo: &str, source: IpAddr) -> Result<Vec<String>, LookupError> {
    let mut faults = Vec::new();
    let names = dns.ptr(source).await?.records;
    if names.is_empty() {
        faults.push(format!(
            "`{source}` has no name (PTR); ask whoever gave you the address to set it to `{ehlo}`"
        ));
    } else {
        let mut leads_back = false;
        for name in &names {
            leads_back |= dns.addresses(name).await?.records.contains(&source);
        }
        if !leads_back {
            faults.push(format!(
                "the name of `{source}` is `{}`, and that name does not lead back to it; add an address record",
                names.join("`, `")
            ));
        }
    }
    // RFC 5321, section 4.1.1.1: the client's fully qualified domain name.
    if !ehlo.contains('.') || ehlo.starts_with('[') {
        faults.push(format!(
            "`{ehlo}` is no full host name for EHLO; set `ehlo` of the relay"
        ));
    } else if !dns.addresses(ehlo).await?.records.contains(&source) {
        faults.push(format!(
            "EHLO says `{ehlo}`, which is not a name of `{source}`; add an address record, or set `ehlo`"
        ));
    }
    Ok(faults)
}
