//! DMARC, found by the walk up the DNS (RFC 9989, section 4.10), and who is aligned with the From domain.

use super::{Desk, Findings};
use crate::dmarc::{Policy, Record, applied, is_aligned, organizational, walk};
use crate::dns::{Dns, LookupError};

/// The records above a domain, and its organizational domain.
struct Walked {
    found: Vec<(String, Record)>,
    organization: String,
}

async fn walked(dns: &Dns, domain: &str) -> Result<Walked, LookupError> {
    let mut found = Vec::new();
    for name in walk(domain) {
        let texts = dns.txt(&format!("_dmarc.{name}")).await?.records;
        if let Some(record) = Record::among(&texts) {
            found.push((name, record));
        }
    }
    Ok(Walked {
        organization: organizational(domain, &found).to_owned(),
        found,
    })
}

pub(super) async fn look(desk: &Desk<'_>, dns: &Dns, out: &mut Findings) {
    let from = desk.config.from.address.domain();
    let walk = match walked(dns, from).await {
        Ok(walk) => walk,
        Err(error) => return out.unknown("dmarc", error.to_string()),
    };
    let Some((name, record, policy)) = applied(from, &walk.organization, &walk.found) else {
        return out.error(
            "dmarc",
            format!(
                "`{from}` has no DMARC record: Gmail and Yahoo want one of everyone who mails many"
            ),
            format!("publish a TXT record at `_dmarc.{from}`; `pressrun dns` prints it"),
        );
    };
    policies(name, record, policy, out);
    let bounce = desk.bounce_domain().to_owned();
    let spf = organization_of(dns, from, &walk, &bounce).await;
    let dkim = match &desk.signer {
        Some(signer) => Some(organization_of(dns, from, &walk, signer.domain()).await),
        None => None,
    };
    let author = (from, walk.organization.as_str());
    let spf = match spf {
        Ok(organization) => is_aligned(record.strict_spf, author, (&bounce, &organization)),
        Err(error) => return out.unknown("alignment", error.to_string()),
    };
    let dkim = match (&desk.signer, dkim) {
        (Some(signer), Some(Ok(organization))) => {
            let own = (signer.domain(), organization.as_str());
            Some(is_aligned(record.strict_dkim, author, own))
        }
        (_, Some(Err(error))) => return out.unknown("alignment", error.to_string()),
        // The relay signs, and with what is its own affair.
        _ => None,
    };
    match (dkim, spf) {
        (Some(true), true) => out.ok(
            "alignment",
            format!("DKIM and the envelope sender `{bounce}` both speak for `{from}`"),
        ),
        (None, true) => out.ok("alignment", format!("the envelope sender `{bounce}` speaks for `{from}`")),
        (Some(true), false) => out.warn(
            "alignment",
            format!("DKIM speaks for `{from}`, and the envelope sender `{bounce}` does not"),
            format!("set `send.bounce_domain` to a subdomain such as `bounce.{from}`"),
        ),
        (Some(false), true) => out.warn(
            "alignment",
            format!("the envelope sender speaks for `{from}`, and DKIM does not; forwarded mail fails"),
            format!("set `dkim.domain` to `{from}` or leave it empty"),
        ),
        (None, false) => out.warn(
            "alignment",
            format!("the envelope sender `{bounce}` does not speak for `{from}`; all rests on the relay's signature"),
            format!("set `send.bounce_domain` to a subdomain such as `bounce.{from}`"),
        ),
        (Some(false), false) => out.error(
            "alignment",
            format!("neither DKIM nor the envelope sender speaks for `{from}`: every mail fails DMARC"),
            format!("leave `dkim.domain` empty, and let `send.bounce_domain` be below `{from}`"),
        ),
    }
}

async fn organization_of(
    dns: &Dns,
    from: &str,
    walk: &Walked,
    domain: &str,
) -> Result<String, LookupError> {
    match domain == from {
        true => Ok(walk.organization.clone()),
        false => Ok(walked(dns, domain).await?.organization),
    }
}

fn policies(name: &str, record: &Record, policy: Policy, out: &mut Findings) {
    let says = format!("the DMARC record of `{name}` asks for `{}`", policy.name());
    if record.testing {
        out.warn(
            "dmarc",
            format!("{says}, one level less as long as it says `t=y`"),
            "take `t=y` away when the reports show no failure",
        );
    } else if policy == Policy::None {
        out.warn(
            "dmarc",
            format!("{says}: others may mail in its name"),
            "when the reports show no failure, say p=quarantine, then p=reject",
        );
    } else {
        out.ok("dmarc", says);
    }
    if record.reports.is_none() {
        out.warn(
            "dmarc-reports",
            "nobody gets the reports of who mails in this name",
            format!("add `rua=mailto:...` to the record at `_dmarc.{name}`"),
        );
    }
    if !record.removed.is_empty() {
        out.warn(
            "dmarc-tags",
            format!(
                "the record holds `{}`, which RFC 9989 took away",
                record.removed.join("`, `")
            ),
            "drop it; receivers pass it over",
        );
    }
}
