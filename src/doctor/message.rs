//! A message as it came back: does its signature hold, does it cover the way out, does each link lead home?
//!
//! Promises: links are asked by HEAD, which counts nothing; no reader is signed off by it. One link of each
//! kind is asked, and every click target's.

use std::borrow::Cow;

use reqwest::{Client, Method, StatusCode};

use super::{Desk, Findings, site};
use crate::dkim::verify::{Failure, Parts, Signature, signatures};
use crate::message::received::{decoded, tokens};
use crate::token::{self, Purpose};

/// The header fields by which a reader leaves in one click (RFC 8058, section 3).
const WAY_OUT: [&str; 2] = ["List-Unsubscribe", "List-Unsubscribe-Post"];
/// Click targets asked at most.
const CLICKS: usize = 50;

/// Where each kind of link leads, what signs it, and what a site that knows it answers.
pub(super) const KINDS: [(&str, &str, Option<Purpose>, StatusCode); 7] = [
    (
        "/u/",
        "unsubscribe",
        Some(Purpose::Unsubscribe),
        StatusCode::OK,
    ),
    (
        "/preferences/",
        "preferences",
        Some(Purpose::Manage),
        StatusCode::OK,
    ),
    ("/c/", "click", Some(Purpose::Click), StatusCode::FOUND),
    ("/o/", "open", Some(Purpose::Open), StatusCode::OK),
    ("/view/", "view", Some(Purpose::View), StatusCode::OK),
    (
        "/confirm/",
        "confirm",
        Some(Purpose::Confirm),
        StatusCode::OK,
    ),
    ("/i/", "image", None, StatusCode::OK),
];

/// Looks at a raw message. Without a nameserver only signatures of our own key can be verified; `offline`
/// asks no link.
pub async fn inspect(desk: &Desk<'_>, raw: &[u8], offline: bool, out: &mut Findings) {
    let raw = with_crlf(raw);
    let parts = Parts::of(&raw);
    let good = signature(desk, &parts, out).await;
    way_out(&parts, &good, out);
    links(desk, &parts, offline, out).await;
}

/// Files keep lines as their system does; signatures are over CRLF.
fn with_crlf(raw: &[u8]) -> Cow<'_, [u8]> {
    let has_crlf = raw.windows(2).any(|octets| octets == b"\r\n");
    if has_crlf {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 40);
    for &octet in raw {
        if octet == b'\n' {
            out.push(b'\r');
        }
        out.push(octet);
    }
    Cow::Owned(out)
}

/// Verifies every signature and gives those that hold.
async fn signature(desk: &Desk<'_>, parts: &Parts<'_>, out: &mut Findings) -> Vec<Signature> {
    let mut good = Vec::new();
    let mut faults = Vec::new();
    let mut unknown = None;
    for found in signatures(parts) {
        let signature = match found {
            Ok(signature) => signature,
            Err(failure) => {
                faults.push(failure.to_string());
                continue;
            }
        };
        let name = signature.record_name();
        let records = match (&desk.dns, &desk.signer) {
            (Some(dns), _) => match dns.txt(&name).await {
                Ok(found) => found.records,
                Err(error) => {
                    unknown = Some(error.to_string());
                    continue;
                }
            },
            (None, Some(signer)) if signer.record_name() == name => vec![signer.record()],
            (None, _) => {
                unknown = Some(format!("the key at `{name}` was not asked for"));
                continue;
            }
        };
        let now = desk.clock.now();
        let verdict = match records.as_slice() {
            [] => Err(Failure::Key("there is none")),
            records => {
                let tries = records
                    .iter()
                    .map(|record| signature.verify(parts, record, now));
                tries
                    .reduce(|one, other| one.or(other))
                    .unwrap_or(Err(Failure::Key("there is none")))
            }
        };
        match verdict {
            Ok(()) => good.push(signature),
            Err(failure) => faults.push(format!("{failure} (`{name}`)")),
        }
    }
    match (good.first(), unknown) {
        (Some(first), _) => {
            let strength = &first.algorithm;
            out.ok("dkim-verifies", format!("the signature of `{}` holds ({strength})", first.domain));
        }
        (None, Some(why)) if faults.is_empty() => out.unknown("dkim-verifies", why),
        (None, _) if faults.is_empty() => out.error(
            "dkim-verifies",
            "the message came back without a DKIM signature",
            "set `dkim.key`, or have the relay sign",
        ),
        (None, _) => out.error(
            "dkim-verifies",
            format!("no signature holds: {}", faults.join("; ")),
            "compare `pressrun doctor` on DNS, and see whether the relay changes mails (footers, tracking)",
        ),
    }
    good
}

/// RFC 8058, section 4: a signature must cover both fields, or mailbox providers ignore them.
fn way_out(parts: &Parts<'_>, good: &[Signature], out: &mut Findings) {
    let missing: Vec<&str> = WAY_OUT
        .into_iter()
        .filter(|name| parts.values(name).is_empty())
        .collect();
    if !missing.is_empty() {
        return out.error(
            "one-click",
            format!("the message came back without {}", missing.join(" and ")),
            "send an issue, not a system mail; if it was one, the relay takes the field away",
        );
    }
    let values = parts.values(WAY_OUT[0]);
    let post = parts.values(WAY_OUT[1]);
    let https = values.iter().any(|value| {
        value.contains("<https:")
            || value.contains("<http://127.")
            || value.contains("<http://localhost")
    });
    if values.len() != 1 || !https || post != ["List-Unsubscribe=One-Click"] {
        return out.error(
            "one-click",
            "the fields for one-click unsubscribe are not as they were sent",
            "see whether the relay adds its own; switch that off there",
        );
    }
    let covered = good
        .iter()
        .any(|signature| WAY_OUT.iter().all(|name| signature.covers(name)));
    if covered {
        out.ok(
            "one-click",
            "a signature that holds covers List-Unsubscribe and List-Unsubscribe-Post",
        );
    } else if good.is_empty() {
        out.error(
            "one-click",
            "the fields for one-click unsubscribe stand there, and no signature that holds covers them",
            "mend the signature first",
        );
    } else {
        out.error(
            "one-click",
            "the signature holds, and does not cover List-Unsubscribe and List-Unsubscribe-Post",
            "let Pressrun sign (`dkim = true` of the relay), or have the relay sign these fields too",
        );
    }
}

async fn links(desk: &Desk<'_>, parts: &Parts<'_>, offline: bool, out: &mut Findings) {
    let mut text = parts.values(WAY_OUT[0]).join(" ");
    text.push_str(&String::from_utf8_lossy(&decoded(parts.body)));
    let base = &desk.config.publication.url;
    let client = match site::client() {
        Ok(client) => client,
        Err(error) => return out.unknown("links", format!("no link can be asked: {error:#}")),
    };
    let mut kinds = 0;
    for (path, name, purpose, expected) in KINDS {
        let found = tokens(&text, &format!("{base}{path}"));
        if found.is_empty() {
            continue;
        }
        kinds += 1;
        if let (Some(purpose), Some(keyring)) = (purpose, &desk.keyring) {
            let foreign = found
                .iter()
                .filter(|token| token::verify(keyring, purpose, token).is_none());
            let foreign = foreign.count();
            if foreign > 0 {
                out.error(
                    "links",
                    format!("{foreign} of {} {name} links were not signed by this keyring, or were cut on the way", found.len()),
                    "see whether the relay rewrites links; switch its tracking off",
                );
                continue;
            }
        }
        if offline {
            out.ok(
                "links",
                format!("{} {name} links are ours, and were not asked", found.len()),
            );
            continue;
        }
        let all = if name == "click" { CLICKS } else { 1 };
        let mut bad = None;
        for token in found.iter().take(all) {
            match ask(&client, &format!("{base}{path}{token}")).await {
                Ok(status) if status == expected => {}
                Ok(status) => bad = Some(format!("answers {}", status.as_u16())),
                Err(error) => bad = Some(format!("does not answer: {}", site::root(&error))),
            }
        }
        match bad {
            None => out.ok("links", format!("the site knows the message's {name} links")),
            Some(why) => out.error(
                "links",
                format!("a link of the message ({name}) {why}"),
                "let the public site use this very keyring and database, and restart it after changes",
            ),
        }
    }
    if kinds == 0 {
        out.error(
            "links",
            format!("no link of the message leads to `{base}`"),
            "see whether the relay rewrites links; switch its tracking off",
        );
    }
}

/// What the site answers to a link.
pub(super) async fn ask(client: &Client, url: &str) -> reqwest::Result<StatusCode> {
    let answer = client.request(Method::HEAD, url).send().await?;
    Ok(answer.status())
}
