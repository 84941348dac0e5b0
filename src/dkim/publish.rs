//! What a sender publishes in the DNS: the DKIM key, SPF, DMARC (RFC 9989) and the bounce domain.
//!
//! Promises: records that can be pasted as they are; text longer than 255 octets is shown in strings
//! (RFC 1035, section 3.3.14) and in one piece. Leaves asking the DNS what stands there to `doctor`.

use std::fmt::Write;

use serde::Serialize;
use url::Host;

use crate::address::EmailAddress;
use crate::config::RelayKind;

/// Octets of one string of a TXT record.
const STRING: usize = 255;
/// Seconds that a resolver may keep the record.
const TTL: u32 = 3600;

/// Who sends, for [`records`].
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    pub from: &'a EmailAddress,
    /// Name and value of each key's DKIM record.
    pub dkim: Vec<(String, String)>,
    /// The same of keys that are to sign later.
    pub next: Vec<(String, String)>,
    pub bounce_domain: &'a str,
    pub relay: RelayKind,
    /// The host that the relay's URL names; an IPv6 address in brackets.
    pub relay_host: &'a str,
    /// The host that takes mail for the bounce domain; none when that takes mail already.
    pub mail_host: Option<&'a str>,
    /// Where DMARC reports go.
    pub reports: &'a EmailAddress,
}

/// One record, and why it is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Without the final dot.
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// In one piece.
    pub value: String,
    /// A TXT value in strings of at most 255 octets; empty for other types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strings: Vec<String>,
    pub why: String,
}

/// The type of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    Txt,
    Mx,
}

/// Every record for `sender`, in the order in which they matter.
pub fn records(sender: &Sender<'_>) -> Vec<Record> {
    let from = sender.from.domain();
    let mut records = Vec::new();
    for (name, value) in &sender.dkim {
        let why = "DKIM (RFC 6376): the public half of the key that signs every message";
        records.push(Record::txt(name, value.clone(), why));
    }
    for (name, value) in &sender.next {
        let why = "DKIM (RFC 6376): the public half of a key that signs nothing yet";
        records.push(Record::txt(name, value.clone(), why));
    }
    let spf = format!("v=spf1 {} ~all", spf_mechanism(sender));
    // Aligned with the From domain when it is the same or a subdomain: DMARC then passes by SPF as well.
    if from != sender.bounce_domain {
        let why = "SPF (RFC 7208) of the envelope sender: which hosts may send from it";
        records.push(Record::txt(sender.bounce_domain, spf.clone(), why));
    }
    let why = "SPF of the From domain; if it has an SPF record already, add the middle part to \
               that one, for two records are none";
    records.push(Record::txt(from, spf, why));
    let why = "DMARC (RFC 9989): reports first; when they show no failure, say p=quarantine, then p=reject";
    // RFC 9989, section 4.7: `v` first. No `pct`, `rf` or `ri`: they are gone (appendix C.5).
    let dmarc = format!(
        "v=DMARC1; p=none; adkim=r; aspf=r; rua=mailto:{}",
        sender.reports
    );
    records.push(Record::txt(&format!("_dmarc.{from}"), dmarc, why));
    if let Some(host) = sender.mail_host {
        records.push(Record {
            name: sender.bounce_domain.to_owned(),
            kind: Kind::Mx,
            value: format!("10 {host}."),
            strings: Vec::new(),
            why: "Bounces: the host that takes mail for the envelope sender's domain".to_owned(),
        });
    }
    records
}

/// What SPF must allow for this relay: by its documentation, else the host itself.
fn spf_mechanism(sender: &Sender<'_>) -> String {
    match sender.relay {
        RelayKind::Ses => "include:amazonses.com".to_owned(),
        RelayKind::Mailgun => "include:mailgun.org".to_owned(),
        RelayKind::Postmark => "include:spf.mtasv.net".to_owned(),
        RelayKind::Sendgrid => "include:sendgrid.net".to_owned(),
        // Mail leaves from this machine, and bounces and mail have the same host most of the time.
        RelayKind::Mx => format!("a:{}", sender.relay_host),
        RelayKind::Smtp => {
            let host = sender.relay_host;
            match Host::parse(host) {
                Ok(Host::Ipv4(address)) => format!("ip4:{address}"),
                Ok(Host::Ipv6(address)) => format!("ip6:{address}"),
                _ => format!("a:{host}"),
            }
        }
    }
}

impl Record {
    fn txt(name: &str, value: String, why: &str) -> Record {
        let mut strings = Vec::new();
        let mut rest = value.as_str();
        while !rest.is_empty() {
            let (string, after) = rest.split_at(rest.floor_char_boundary(STRING));
            strings.push(string.to_owned());
            rest = after;
        }
        Record {
            name: name.to_owned(),
            kind: Kind::Txt,
            value,
            strings,
            why: why.to_owned(),
        }
    }
}

/// The records as a zone file (RFC 1035, section 5.1), with each long text in one piece in a comment.
pub fn zone(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        let (name, value) = (&record.name, &record.value);
        let line = match record.kind {
            Kind::Mx => format!("{name}. {TTL} IN MX {value}"),
            Kind::Txt => {
                let quoted: Vec<_> = record.strings.iter().map(|string| quote(string)).collect();
                match &quoted[..] {
                    [one] => format!("{name}. {TTL} IN TXT {one}"),
                    many => format!("{name}. {TTL} IN TXT (\n  {}\n)", many.join("\n  ")),
                }
            }
        };
        writeln!(text, "; {}.\n{line}", record.why).expect("a string takes all text");
        if record.strings.len() > 1 {
            writeln!(
                text,
                "; The same in one piece, for a form that splits it itself:\n; {value}"
            )
            .expect("a string takes all text");
        }
        text.push('\n');
    }
    text
}

fn quote(string: &str) -> String {
    format!("\"{}\"", string.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Sender, records, zone};
    use crate::address::EmailAddress;
    use crate::config::RelayKind;

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).expect("an address")
    }

    fn sender<'a>(from: &'a EmailAddress, relay: RelayKind, host: &'a str) -> Sender<'a> {
        Sender {
            from,
            dkim: vec![("s._domainkey.example.com".into(), "k".repeat(410))],
            next: Vec::new(),
            bounce_domain: "bounce.example.com",
            relay,
            relay_host: host,
            mail_host: Some("mail.example.com"),
            reports: from,
        }
    }

    #[test]
    fn a_long_text_is_split_into_strings_that_join_to_the_whole() {
        let from = address("ed@example.com");
        let records = records(&sender(&from, RelayKind::Smtp, "smtp.example.net"));
        let dkim = &records[0];
        assert_eq!(dkim.strings.len(), 2);
        assert!(dkim.strings.iter().all(|string| string.len() <= 255));
        assert_eq!(dkim.strings.concat(), dkim.value);
        assert!(zone(&records).contains(&format!("; {}\n", dkim.value)));
    }

    #[test]
    fn spf_names_the_relay_by_its_kind() {
        let from = address("ed@example.com");
        for (kind, host, expected) in [
            (
                RelayKind::Smtp,
                "smtp.example.net",
                "v=spf1 a:smtp.example.net ~all",
            ),
            (RelayKind::Smtp, "192.0.2.7", "v=spf1 ip4:192.0.2.7 ~all"),
            (
                RelayKind::Smtp,
                "[2001:db8::7]",
                "v=spf1 ip6:2001:db8::7 ~all",
            ),
            (RelayKind::Ses, "x", "v=spf1 include:amazonses.com ~all"),
        ] {
            let records = records(&sender(&from, kind, host));
            let spf = records
                .iter()
                .filter(|record| record.value.starts_with("v=spf1"));
            let spf: Vec<_> = spf
                .map(|record| (record.name.as_str(), record.value.as_str()))
                .collect();
            assert_eq!(
                spf,
                [("bounce.example.com", expected), ("example.com", expected)]
            );
        }
    }

    #[test]
    fn one_domain_for_both_gets_one_spf_record() {
        let from = address("ed@example.com");
        let mut sender = sender(&from, RelayKind::Smtp, "smtp.example.net");
        sender.bounce_domain = "example.com";
        let records = records(&sender);
        let spf = records
            .iter()
            .filter(|record| record.value.starts_with("v=spf1"));
        assert_eq!(spf.count(), 1);
    }

    #[test]
    fn dmarc_begins_with_its_version_and_holds_no_tag_that_rfc_9989_removed() {
        let from = address("ed@example.com");
        let records = records(&sender(&from, RelayKind::Smtp, "smtp.example.net"));
        let dmarc = records
            .iter()
            .find(|record| record.name == "_dmarc.example.com");
        let dmarc = dmarc.expect("a DMARC record");
        assert_eq!(
            dmarc.value,
            "v=DMARC1; p=none; adkim=r; aspf=r; rua=mailto:ed@example.com"
        );
        assert!(records.iter().any(|record| record.kind == Kind::Mx));
    }
}
