//! The configuration: values that are well formed and still cannot be meant.

use std::time::Duration;

use url::Url;

use super::{Desk, Findings};
use crate::config::RelayKind;
use crate::config::sender::{is_example, is_free_mail, is_mixed, unset};
use crate::publication::Publication;

pub(super) fn look(desk: &Desk<'_>, out: &mut Findings) {
    placeholders(desk, out);
    address(desk, out);
    url(desk, out);
    listeners(desk, out);
    signing(desk, out);
    relays(desk, out);
    zones(desk, out);
}

/// RFC 5321, section 4.5.3.2.6.
const DOT: Duration = Duration::from_secs(600);

/// What a relay's section says that costs mail or makes doubles.
fn relays(desk: &Desk<'_>, out: &mut Findings) {
    for (name, relay) in &desk.config.relay {
        if relay
            .ehlo
            .as_deref()
            .is_some_and(|ehlo| ehlo == "localhost" || !ehlo.contains(['.', ':']))
        {
            out.error(
                "ehlo",
                format!("relay `{name}` is greeted with a name that is no full one (`relay.{name}.ehlo`)"),
                "take it out, or name this machine as others look it up",
            );
        }
        if relay.dot_timeout < DOT {
            out.warn(
                "dot-timeout",
                format!(
                    "relay `{name}` gets {} s to answer the final dot (`relay.{name}.dot_timeout`), and one that needs \
                     longer has taken mail of which nobody here knows",
                    relay.dot_timeout.as_secs()
                ),
                "leave it at the ten minutes that RFC 5321 asks for",
            );
        }
    }
}

/// The field in which a reader's time zone stands.
fn zones(desk: &Desk<'_>, out: &mut Findings) {
    let Some(field) = &desk.config.send.timezone_field else {
        return;
    };
    // A folder that cannot be read is told elsewhere.
    let Ok(found) = Publication::load(&desk.base.join(&desk.config.paths.emails)) else {
        return;
    };
    match found.fields.kind(field) {
        Some(_) => out.ok(
            "timezone-field",
            format!("a reader's time zone stands in `{field}`"),
        ),
        None => out.error(
            "timezone-field",
            format!("`send.timezone_field` names `{field}`, which `fields.toml` does not declare"),
            "declare it there, or correct the name: nothing is sent with `--at-local` before",
        ),
    }
}

fn placeholders(desk: &Desk<'_>, out: &mut Findings) {
    let config = desk.config;
    let host = desk.public_host();
    let hosts = [
        ("from.address", Some(config.from.address.domain())),
        ("publication.url", Some(host.as_str())),
        ("send.bounce_domain", config.send.bounce_domain.as_deref()),
    ];
    let example = |host: &Option<&str>| host.is_some_and(is_example);
    let mut left: Vec<&str> = hosts
        .iter()
        .filter(|(_, host)| example(host))
        .map(|(key, _)| *key)
        .collect();
    left.extend(unset(config));
    let postal = config.publication.postal_address.to_lowercase();
    let mut words = postal.split(|letter: char| !letter.is_alphanumeric());
    if words.any(|word| word == "example" || word == "your")
        && !left.contains(&"publication.postal_address")
    {
        left.push("publication.postal_address");
    }
    if left.is_empty() {
        return out.ok("placeholders", "no example value is left");
    }
    out.error(
        "placeholders",
        format!(
            "{} still hold{} an example",
            list(&left),
            if left.len() == 1 { "s" } else { "" }
        ),
        "write your own values into the configuration",
    );
}

fn list(keys: &[&str]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    keys.join(", ")
}

fn address(desk: &Desk<'_>, out: &mut Findings) {
    let domain = desk.config.from.address.domain();
    if is_mixed(domain) {
        return out.error(
            "from-domain",
            format!("`{domain}` mixes letters of two alphabets, which receivers take for fraud"),
            "send from a domain in letters of one alphabet",
        );
    }
    if is_free_mail(domain) {
        return out.error(
            "from-domain",
            format!("`{domain}` is a free-mail domain, whose owner has receivers refuse mail from others"),
            "send from an address in a domain of your own",
        );
    }
    out.ok("from-domain", format!("mail comes from `{domain}`"));
}

fn url(desk: &Desk<'_>, out: &mut Findings) {
    let text = &desk.config.publication.url;
    if text.starts_with("http:") {
        return out.error(
            "public-url",
            format!("`{text}` is this machine: no reader can follow a link or leave the list"),
            "set `publication.url` to the https address of the public site",
        );
    }
    out.ok("public-url", format!("links lead to `{text}`"));
}

fn listeners(desk: &Desk<'_>, out: &mut Findings) {
    let http = &desk.config.http;
    if !http.admin.ip().is_loopback() {
        out.error(
            "admin-listener",
            format!(
                "the author's pages listen on `{}`, where others may reach them",
                http.admin
            ),
            "bind `http.admin` to 127.0.0.1 and come by SSH or a proxy that asks for a password",
        );
    } else {
        out.ok(
            "admin-listener",
            format!("the author's pages listen on `{}` only", http.admin),
        );
    }
    let secure = Url::parse(&desk.config.publication.url).is_ok_and(|url| url.scheme() == "https");
    if secure && http.trusted_proxies.is_empty() {
        out.error(
            "public-listener",
            format!(
                "the public site listens on `{}` without TLS, and no proxy before it is trusted: all readers \
                 look like one, so that all but {} signups a minute are lost, and connections past {} cut",
                http.public,
                desk.config.signup.per_network_per_minute,
                http.connections_per_address
            ),
            "name the proxy's address in `http.trusted_proxies`, as in [\"127.0.0.1\"] for one on this machine",
        );
    } else {
        out.ok(
            "public-listener",
            format!("the public site listens on `{}`", http.public),
        );
    }
}

fn signing(desk: &Desk<'_>, out: &mut Findings) {
    for (name, relay) in &desk.config.relay {
        let signs = relay.dkim.unwrap_or(relay.kind != RelayKind::Ses);
        if signs && desk.config.dkim.key.is_none() {
            out.error(
                "signing",
                format!("mail through relay `{name}` is not signed with DKIM: there is no key"),
                "make one with `pressrun keys dkim --selector NAME`, or say `dkim = false` if the relay signs",
            );
        } else if signs {
            out.ok(
                "signing",
                format!("mail through relay `{name}` is signed here"),
            );
        } else {
            out.ok("signing", format!("relay `{name}` signs itself"));
        }
    }
}
