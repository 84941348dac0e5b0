//! What stands in the DNS: SPF of the envelope sender, the DKIM key, DMARC, and where answers arrive.

use std::net::IpAddr;

use super::spf::{self, Survey, Trouble, VOID};
use super::{Desk, Findings, dmarc, ptr};
use crate::config::{Relay, RelayKind};
use crate::dkim::record::KeyRecord;
use crate::dkim::verify::Failure;
use crate::dkim::{Signer, tags};
use crate::dns::{Dns, LookupError};
use crate::spf::{Client, LOOKUPS, Verdict};

pub(super) async fn look(desk: &Desk<'_>, out: &mut Findings) {
    let Some(dns) = &desk.dns else {
        return out.error(
            "nameserver",
            "there is no nameserver to ask",
            "set `dns.nameserver`, or write one into /etc/resolv.conf",
        );
    };
    of_sender(desk, dns, out).await;
    zones(desk, dns, out).await;
    answers(desk, dns, out).await;
    ptr::look(desk, dns, out).await;
}

/// By what receivers tell whether mail is the sender's own.
pub(super) async fn of_sender(desk: &Desk<'_>, dns: &Dns, out: &mut Findings) {
    spf_of(desk, dns, out).await;
    for signer in [&desk.signer, &desk.second].into_iter().flatten() {
        dkim(signer, dns, out).await;
    }
    dmarc::look(desk, dns, out).await;
}

/// Where each kind of relay sends from, by its own documentation.
fn include_of(kind: RelayKind) -> Option<&'static str> {
    match kind {
        RelayKind::Ses => Some("amazonses.com"),
        RelayKind::Mailgun => Some("mailgun.org"),
        RelayKind::Postmark => Some("spf.mtasv.net"),
        RelayKind::Sendgrid => Some("sendgrid.net"),
        _ => None,
    }
}

async fn spf_of(desk: &Desk<'_>, dns: &Dns, out: &mut Findings) {
    let domain = desk.bounce_domain();
    let survey = match spf::survey(dns, domain).await {
        Ok(survey) => survey,
        Err(Trouble::None) => {
            return out.error(
                "spf",
                format!("`{domain}`, the envelope sender's domain, has no SPF record"),
                "publish one; `pressrun dns` prints it",
            );
        }
        Err(Trouble::Permanent(why)) => {
            return out.error(
                "spf",
                format!("receivers take the SPF record for wrong: {why}"),
                "correct it",
            );
        }
        Err(Trouble::Temporary(why)) => return out.unknown("spf", why),
    };
    if survey.lookups > LOOKUPS {
        out.error(
            "spf-lookups",
            format!("the SPF record of `{domain}` asks the DNS {} times; after {LOOKUPS} it counts as wrong", survey.lookups),
            "take out what no longer sends, or write ip4: and ip6: in place of include:",
        );
    } else {
        out.ok(
            "spf-lookups",
            format!(
                "the SPF record of `{domain}` asks the DNS {} times",
                survey.lookups
            ),
        );
    }
    shape(domain, &survey, out);
    for (name, relay) in &desk.config.relay {
        match include_of(relay.kind) {
            Some(include) => {
                if survey.domains.iter().any(|domain| domain == include) {
                    out.ok(
                        "spf",
                        format!(
                            "the SPF record of `{domain}` includes `{include}` for relay `{name}`"
                        ),
                    );
                } else {
                    out.error(
                        "spf",
                        format!("the SPF record of `{domain}` does not include `{include}`, from where relay `{name}` sends"),
                        format!("add `include:{include}` to it"),
                    );
                }
            }
            None => by_address(desk, dns, (name, relay), out).await,
        }
    }
}

/// What receivers hold against a record that they can read.
fn shape(domain: &str, survey: &Survey, out: &mut Findings) {
    match survey.rest {
        Verdict::Pass => out.warn(
            "spf-all",
            format!("the SPF record of `{domain}` lets anybody send in its name (`+all`)"),
            "end it in `-all` or `~all`: Gmail and Microsoft distrust such a domain",
        ),
        Verdict::Neutral => out.warn(
            "spf-all",
            format!("the SPF record of `{domain}` says nothing of those it does not name"),
            "end it in `-all` or `~all`",
        ),
        Verdict::Fail | Verdict::SoftFail => {}
    }
    if survey.ptr {
        out.warn(
            "spf-ptr",
            format!("the SPF record of `{domain}` goes by the sender's own name (`ptr`)"),
            "name its hosts with a:, ip4: or ip6: instead (RFC 7208, section 5.5)",
        );
    }
    if survey.void.len() > VOID {
        out.warn(
            "spf-void",
            format!(
                "the SPF record of `{domain}` names {} hosts that are not there (`{}`); after {VOID} it counts as wrong",
                survey.void.len(),
                survey.void.join("`, `")
            ),
            "take them out",
        );
    }
}

/// A relay of unknown kind most likely sends from its own address; it need not.
async fn by_address(desk: &Desk<'_>, dns: &Dns, (name, relay): (&str, &Relay), out: &mut Findings) {
    let domain = desk.bounce_domain();
    let host = url::Url::parse(&relay.url).ok();
    let host = host
        .as_ref()
        .and_then(url::Url::host_str)
        .unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    // Who sends straight to the recipients' hosts sends from this machine.
    let own = desk.public_host();
    let straight = relay.kind == RelayKind::Mx;
    let host = match straight {
        true => relay.ehlo.as_deref().unwrap_or(&own),
        false => host,
    };
    let addresses = match host.parse::<IpAddr>() {
        _ if straight && !desk.config.mx.sources.is_empty() => desk.config.mx.sources.clone(),
        Ok(address) => vec![address],
        Err(_) => match dns.addresses(host).await {
            Ok(found) => found.records,
            Err(error) => return out.unknown("spf", error.to_string()),
        },
    };
    if addresses.iter().all(|address| address.is_loopback()) {
        return out.unknown(
            "spf",
            format!("relay `{name}` is on this machine, so it is not seen from where it sends"),
        );
    }
    let sender = format!("bounce@{domain}");
    for address in addresses {
        let client = Client {
            address,
            sender: &sender,
            helo: host,
        };
        match spf::check(dns, domain, &client).await {
            Ok(Verdict::Pass) => {
                out.ok(
                    "spf",
                    format!("the SPF record of `{domain}` allows relay `{name}` at {address}"),
                );
            }
            Ok(verdict) => out.warn(
                "spf",
                format!(
                    "the SPF record of `{domain}` says {} of relay `{name}` at {address}",
                    verdict.name()
                ),
                format!(
                    "add `a:{host}` to it, unless the relay sends from other hosts that it allows"
                ),
            ),
            Err(Trouble::None) => {}
            Err(Trouble::Permanent(why)) => {
                out.error(
                    "spf",
                    format!("receivers take the SPF record for wrong: {why}"),
                    "correct it",
                );
            }
            Err(Trouble::Temporary(why)) => out.unknown("spf", why),
        }
    }
}

/// The record under the selector must be the public half of the very key that signs.
async fn dkim(signer: &Signer, dns: &Dns, out: &mut Findings) {
    let name = signer.record_name();
    let found = match dns.txt(&name).await {
        Ok(found) => found.records,
        Err(error) => return out.unknown("dkim", error.to_string()),
    };
    // Whatever holds a key in any form; another text may stand beside it.
    let holds =
        |text: &&String| tags::parse(text).is_some_and(|tags| tags::value(&tags, "p").is_some());
    let keys: Vec<&String> = found.iter().filter(holds).collect();
    let advice = "publish the record that `pressrun dns` prints, and wait until the DNS shows it";
    let [one] = keys.as_slice() else {
        return match keys.is_empty() {
            true => out.error(
                "dkim",
                format!("no DKIM key stands at `{name}`: every signature is void"),
                advice,
            ),
            false => out.error(
                "dkim",
                format!("several keys stand at `{name}`, and receivers choose any"),
                "leave only the one that `pressrun dns` prints",
            ),
        };
    };
    let own = KeyRecord::read(&signer.record()).expect("our own record is in order");
    let void = match KeyRecord::read(one) {
        Err(Failure::Key(why)) => why,
        Err(_) => "it cannot be read",
        Ok(found) if found.key != own.key => "its key is another than the one that signs",
        Ok(found) if found.kind != own.kind => "its key is for another algorithm (`k=`)",
        Ok(found) if found.testing => {
            return out.warn(
                "dkim",
                format!("the key at `{name}` is the one that signs, and says that it is only tried out (`t=y`)"),
                "take `t=y` out of the record: receivers may treat signed mail as unsigned",
            );
        }
        Ok(_) => return out.ok("dkim", format!("the key at `{name}` is the one that signs")),
    };
    out.error(
        "dkim",
        format!("receivers do not use the DKIM record at `{name}`, so that every signature is void: {void}"),
        advice,
    );
}

/// Yahoo looks for the zones of the author's and the envelope sender's domain, and refuses mail of one that has none.
async fn zones(desk: &Desk<'_>, dns: &Dns, out: &mut Findings) {
    let from = desk.config.from.address.domain();
    let bounces = desk.bounce_domain();
    let mut domains = vec![from];
    domains.extend((bounces != from).then_some(bounces));
    for domain in domains {
        match zone_of(dns, domain).await {
            Ok(Zone::At(zone)) => out.ok("zone", format!("`{domain}` belongs to the zone `{zone}`")),
            Ok(Zone::None) => out.error(
                "zone",
                format!("there is no zone for `{domain}` (no SOA record at it or above it): Yahoo refuses its mail"),
                "correct the name, or have the domain delegated to a nameserver that knows it",
            ),
            Ok(Zone::NoName) => out.error(
                "zone",
                format!("`{domain}` is no name in the DNS: receivers refuse mail of a domain that is not there"),
                "correct the name, or publish its records; `pressrun dns` prints them",
            ),
            Err(error) => out.unknown("zone", error.to_string()),
        }
    }
}

/// Where a domain stands in the DNS.
enum Zone<'a> {
    At(&'a str),
    /// Neither it nor a name above it begins a zone.
    None,
    /// It is not there, whatever is above it: who keeps `co.uk` keeps a zone above every name that nobody has.
    NoName,
}

/// The zone in which `domain` stands, a name without a dot not among them.
async fn zone_of<'a>(dns: &Dns, domain: &'a str) -> Result<Zone<'a>, LookupError> {
    let mut name = domain;
    while let Some((_, above)) = name.split_once('.') {
        let found = dns.soa(name).await?;
        if name == domain && !found.exists {
            return Ok(Zone::NoName);
        }
        if !found.records.is_empty() {
            return Ok(Zone::At(name));
        }
        name = above;
    }
    Ok(Zone::None)
}

/// Can replies and bounces come back?
async fn answers(desk: &Desk<'_>, dns: &Dns, out: &mut Findings) {
    let from = &desk.config.from;
    let replies = from.reply_to.as_ref().unwrap_or(&from.address).domain();
    let mut wanted = vec![("mx-replies", replies, "a reader's answer")];
    let bounces = desk.bounce_domain();
    if bounces != replies {
        wanted.push(("mx-bounces", bounces, "a bounce"));
    }
    if from.address.domain() != replies {
        wanted.push(("mx-from", from.address.domain(), "mail to the author"));
    }
    for (check, domain, what) in wanted {
        arrives(dns, check, domain, what, out).await;
    }
}

async fn arrives(dns: &Dns, check: &'static str, domain: &str, what: &str, out: &mut Findings) {
    let found = match dns.mx(domain).await {
        Ok(found) => found,
        Err(error) => return out.unknown(check, error.to_string()),
    };
    let advice = "publish an MX record with the host that takes its mail; `pressrun dns` prints one for bounces";
    if found.records.is_empty() {
        // RFC 5321, section 5.1: without an MX, the domain's own address is taken.
        let own = dns.addresses(domain).await;
        return match own {
            Err(error) => out.unknown(check, error.to_string()),
            Ok(own) if own.records.is_empty() => out.error(
                check,
                format!(
                    "`{domain}` takes no mail, so {what} is lost; receivers distrust such a sender"
                ),
                advice,
            ),
            Ok(_) => out.warn(
                check,
                format!(
                    "`{domain}` has no MX; {what} goes to its web address, if anyone takes it there"
                ),
                advice,
            ),
        };
    }
    for mx in &found.records {
        if mx.host.is_empty() {
            return out.error(
                check,
                format!("`{domain}` says that it takes no mail (null MX), so {what} is lost"),
                advice,
            );
        }
        match dns.addresses(&mx.host).await {
            Err(error) => return out.unknown(check, error.to_string()),
            Ok(host) if !host.records.is_empty() => {
                return out.ok(
                    check,
                    format!("{what} to `{domain}` arrives at `{}`", mx.host),
                );
            }
            Ok(_) => {}
        }
    }
    out.error(
        check,
        format!("no mail host of `{domain}` has an address, so {what} is lost"),
        "correct the MX records, or give their hosts addresses",
    );
}
