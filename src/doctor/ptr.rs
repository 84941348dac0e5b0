//! The names of the addresses that mail leaves from, when it goes straight to its recipients' hosts.
//!
//! Mailbox providers refuse a sender whose address has no name, or whose name does not lead back to it.

use std::net::IpAddr;

use super::{Desk, Findings};
use crate::config::RelayKind;
use crate::dns::{Dns, LookupError};

pub(super) async fn look(desk: &Desk<'_>, dns: &Dns, out: &mut Findings) {
    for (name, relay) in &desk.config.relay {
        if relay.kind != RelayKind::Mx {
            continue;
        }
        let host = desk.public_host();
        let ehlo = relay.ehlo.as_deref().unwrap_or(&host).to_ascii_lowercase();
        let named = match dns.addresses(&ehlo).await {
            Ok(found) => found.records,
            Err(error) => {
                out.unknown("ehlo", error.to_string());
                continue;
            }
        };
        if named.is_empty() {
            out.error(
                "ehlo",
                format!("relay `{name}` greets as `{ehlo}`, which has no address"),
                format!("give it an A or AAAA record, or set `relay.{name}.ehlo` to the name of this machine"),
            );
            continue;
        }
        out.ok(
            "ehlo",
            format!("relay `{name}` greets as `{ehlo}`, which has an address"),
        );
        let sources = &desk.config.mx.sources;
        let addresses = if sources.is_empty() { &named } else { sources };
        for &address in addresses {
            if let Err(error) = one(dns, &ehlo, address, out).await {
                out.unknown("ptr", error.to_string());
            }
        }
    }
}

async fn one(
    dns: &Dns,
    ehlo: &str,
    address: IpAddr,
    out: &mut Findings,
) -> Result<(), LookupError> {
    let names = dns.ptr(address).await?.records;
    let advice = "ask whoever gave you the address for a PTR record with the name that EHLO says";
    if names.is_empty() {
        out.error(
            "ptr",
            format!("{address} has no name (PTR): Gmail and Microsoft refuse its mail"),
            advice,
        );
        return Ok(());
    }
    let mut confirmed = None;
    for name in names {
        if dns.addresses(&name).await?.records.contains(&address) {
            // Of several, the one that EHLO says is best.
            if confirmed.is_none() || name == ehlo {
                confirmed = Some(name);
            }
        }
    }
    match confirmed {
        None => out.error(
            "ptr",
            format!("the name of {address} does not lead back to it"),
            advice,
        ),
        Some(name) if name == ehlo => {
            out.ok("ptr", format!("{address} is `{name}`, there and back"));
        }
        Some(name) => out.warn(
            "ptr",
            format!("{address} is `{name}`, and EHLO says `{ehlo}`"),
            "let both be the same; some hosts compare them",
        ),
    }
    Ok(())
}
