//! What a value's kind cannot say: ranges, and keys that must agree with each other.
//!
//! Promises: a configuration that passes holds a public URL a reader can be sent to, a relay to send by,
//! and no way to put a password on the wire in clear.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::ExposeSecret;
use url::{Host, Url};

use super::hygiene::MOST_ISSUES;
use super::schema::nearest;
use super::{ALL_RELAYS, Config, Relay, RelayKind, Signup, TlsPolicy};
use crate::slug::Slug;

/// Messages in one write: each stands in memory twice, and each is in doubt when the sender dies.
const LARGEST_WINDOW: usize = 16;

/// A key, and what is wrong with its value.
pub(super) type Complaint = (String, String);

/// Everything wrong with `config`.
pub(super) fn check(config: &Config) -> Vec<Complaint> {
    let mut all = Complaints(Vec::new());
    all.publication(config);
    all.reach(config);
    all.shares(config);
    all.store(config);
    all.signup(&config.signup);
    all.keys(config);
    if !is_filter(&config.log.level) {
        let what = format!(
            "`{}` is no level; expected `info` or `pressrun=debug`",
            config.log.level
        );
        all.say("log.level", what);
    }
    all.notify(&config.notify);
    for (name, relay) in &config.relay {
        all.relay(name, relay);
    }
    if let Some(wanted) = unknown_relay(config) {
        let known: Vec<&str> = config.relay.keys().map(String::as_str).collect();
        let known = match known.as_slice() {
            [] => "no relay is described".to_owned(),
            names => format!("there are `{}`", names.join("`, `")),
        };
        all.say(
            "send.relay",
            format!("no section `[relay.{wanted}]`: {known}"),
        );
    }
    all.0
}

/// The first name in `send.relay` that no section has; any, while there is none.
fn unknown_relay(config: &Config) -> Option<&str> {
    match config.relays_of("") {
        Err(name) => Some(name),
        Ok(names) if names.is_empty() => Some("main"),
        Ok(_) => None,
    }
}

/// Whether `host` is this machine itself.
pub(super) fn is_loopback(host: Option<Host<&str>>) -> bool {
    match host {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

impl Relay {
    /// Whether it is on this machine.
    pub fn is_here(&self) -> bool {
        Url::parse(&self.url).is_ok_and(|url| is_loopback(host(&url)))
    }
}

/// Whether `text` has the form of a BCP 47 tag (RFC 5646, section 2.1): a language, then parts of letters and digits.
fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let letters = language.bytes().all(|b| b.is_ascii_alphabetic());
    let fits = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    letters && (2..=8).contains(&language.len()) && parts.all(fits)
}

/// Whether `text` is a level, or says of parts of the program on which level they tell.
fn is_filter(text: &str) -> bool {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    text.split(',').all(|part| {
        let (target, level) = part.rsplit_once('=').unwrap_or(("all", part));
        !target.trim().is_empty() && levels.contains(&level.trim().to_ascii_lowercase().as_str())
    })
}

struct Complaints(Vec<Complaint>);

impl Complaints {
    fn say(&mut self, key: &str, what: impl Into<String>) {
        self.0.push((key.to_owned(), what.into()));
    }

    fn publication(&mut self, config: &Config) {
        let publication = &config.publication;
        for (key, text) in [
            ("publication.name", &publication.name),
            ("publication.postal_address", &publication.postal_address),
            ("publication.language", &publication.language),
        ] {
            if text.trim().is_empty() {
                self.say(key, "must not be empty");
            }
        }
        if let Err(error) = crate::slug::Slug::parse(&publication.list) {
            self.say(
                "publication.list",
                format!("`{}`: {error}", publication.list),
            );
        }
        let language = publication.language.trim();
        if !language.is_empty() && !is_language(language) {
            let what =
                format!("`{language}` is no BCP 47 tag; expected one such as `en` or `pt-BR`");
            self.say("publication.language", what);
        }
        // Names alone: an offset would be wrong for half of the year.
        if jiff::tz::TimeZone::get(&publication.timezone).is_err() {
            let zones: Vec<_> = jiff::tz::db().available().collect();
            let hint = match nearest(
                &publication.timezone,
                zones.iter().map(|zone| zone.as_str()),
            ) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "expected one such as `Europe/Berlin`".to_owned(),
            };
            let what = format!("no time zone is named `{}`; {hint}", publication.timezone);
            self.say("publication.timezone", what);
        }
        if let Err(error) = check_public_url(&publication.url) {
            self.say("publication.url", error);
        }
    }

    /// How many may come, and by which names.
    fn reach(&mut self, config: &Config) {
        for (key, number) in [
            (
                "database.connections",
                u64::from(config.database.connections),
            ),
            ("http.connections", config.http.connections as u64),
            (
                "http.connections_per_address",
                config.http.connections_per_address as u64,
            ),
        ] {
            if !(1..=100_000).contains(&number) {
                self.say(key, format!("`{number}` is not between 1 and 100000"));
            }
        }
        // A commit that lingers holds what it has; a probe without a wait spins; a lease must outlive its renewal.
        for (key, wait, least, most) in [
            ("send.linger", config.send.linger, 0, 1_000),
            ("send.probe", config.send.probe, 10, 3_600_000),
            ("send.lease", config.send.lease, 500, 3_600_000),
        ] {
            let range = Duration::from_millis(least)..=Duration::from_millis(most);
            if !range.contains(&wait) {
                let [is, least, most] = [wait, *range.start(), *range.end()].map(said);
                let what = format!("`{is}` is not between {least} and {most}");
                self.say(key, what);
            }
        }
        let (public, admin) = (config.http.public, config.http.admin);
        if public == admin && public.port() != 0 {
            let what = "is `http.public` too; each needs a port of its own";
            self.say("http.admin", what);
        }
        for host in &config.http.admin_hosts {
            let address = host.parse::<IpAddr>().is_ok_and(|ip| !ip.is_unspecified());
            // An address of IPv6 alone has colons.
            if !address && (host.contains(':') || Host::parse(host).is_err()) {
                let what = format!(
                    "`{host}` is no host name or address; no scheme, port or path stands with it"
                );
                self.say("http.admin_hosts", what);
            }
        }
    }

    fn shares(&mut self, config: &Config) {
        let (send, stages) = (&config.send, &config.stages);
        for (key, share) in [
            ("send.jitter", send.jitter),
            ("stages.bounces", stages.bounces),
            ("stages.deferrals", stages.deferrals),
            ("stages.unsubscribes", stages.unsubscribes),
            ("stages.complaints", stages.complaints),
            ("notify.bounce_rate", config.notify.bounce_rate),
            ("notify.complaint_rate", config.notify.complaint_rate),
        ] {
            if !(0.0..=1.0).contains(&share) {
                self.say(key, format!("`{share}` is not between 0 and 1"));
            }
        }
        if send.retry.is_empty() {
            self.say("send.retry", "needs one wait at least, such as \"15m\"");
        }
    }

    fn store(&mut self, config: &Config) {
        let url = config.database.url.expose_secret();
        if !["sqlite:", "postgres://", "postgresql://"]
            .iter()
            .any(|start| url.starts_with(start))
        {
            // The value may hold a password, so it is not shown.
            self.say(
                "database.url",
                "neither `sqlite:FILE` nor `postgres://user@host/name`",
            );
        }
        let most = MOST_ISSUES;
        if !(1..=most).contains(&config.hygiene.probe_after) {
            let what = format!("must be between 1 and {most}");
            self.say("hygiene.probe_after", what);
        }
    }

    fn signup(&mut self, signup: &Signup) {
        if !(1..=24).contains(&signup.proof_bits) {
            self.say("signup.proof_bits", "must be between 1 and 24");
        }
        for tag in &signup.tags {
            if let Err(error) = Slug::parse(tag) {
                self.say("signup.tags", format!("`{tag}` is no tag: {error}"));
            }
        }
        if signup.form_min_age >= signup.form_max_age {
            self.say(
                "signup.form_min_age",
                "must be shorter than `signup.form_max_age`",
            );
        }
    }

    /// The domains that mail comes from and goes back to, and what signs it.
    fn keys(&mut self, config: &Config) {
        let dkim = &config.dkim;
        for (key, domain) in [
            ("send.bounce_domain", &config.send.bounce_domain),
            ("dkim.domain", &dkim.domain),
        ] {
            if let Some(domain) = domain.as_deref().filter(|domain| !is_domain(domain)) {
                self.say(
                    key,
                    format!("`{domain}` is not a host name in ASCII letters"),
                );
            }
        }
        for (key, selector) in [
            ("dkim.selector", &dkim.selector),
            ("dkim.ed25519_selector", &dkim.ed25519_selector),
        ] {
            if !selector.split('.').all(is_label) {
                self.say(key, format!("`{selector}` is not a DNS name"));
            }
        }
        if dkim.ed25519_key.is_some() && dkim.key.is_none() {
            let what = "stands beside an RSA key, never alone; set `dkim.key` too";
            self.say("dkim.ed25519_key", what);
        }
        if dkim.ed25519_key.is_some() && dkim.ed25519_selector == dkim.selector {
            let what = "is `dkim.selector` too; each key needs a name of its own";
            self.say("dkim.ed25519_selector", what);
        }
    }

    fn notify(&mut self, notify: &super::notify::Notify) {
        if notify.webhook_retry.is_empty() {
            self.say(
                "notify.webhook_retry",
                "needs one wait at least, such as \"1m\"",
            );
        }
        let Some(webhook) = &notify.webhook else {
            return;
        };
        // Its path is often a secret, so it is not shown.
        let key = "notify.webhook";
        match Url::parse(webhook.expose_secret()) {
            Ok(url) if url.scheme() == "https" && url.has_host() => {}
            Ok(url) if url.scheme() == "http" && notify.webhook_private => {}
            Ok(url) if url.scheme() == "http" => self.say(
                key,
                "must begin with https; `notify.webhook_private` allows http within a private network",
            ),
            _ => self.say(key, "is no address of a webhook; expected `https://host/path`"),
        }
        let secret = notify
            .webhook_secret
            .as_ref()
            .map(ExposeSecret::expose_secret);
        if secret.is_none_or(|secret| secret.len() < 16) {
            let what = "needs 16 characters at least: the webhook knows by it that we ask";
            self.say("notify.webhook_secret", what);
        }
    }

    fn relay(&mut self, name: &str, relay: &Relay) {
        let key = |key: &str| format!("relay.{name}.{key}");
        if name == ALL_RELAYS {
            let what = "`all` means every relay; choose another name";
            self.say(&format!("relay.{name}.url"), what);
        }
        if !(1..=10_000).contains(&relay.connections) {
            let what = format!("`{}` is not between 1 and 10000", relay.connections);
            self.say(&key("connections"), what);
        }
        if relay.window > LARGEST_WINDOW {
            let what = format!("`{}` is not between 0 and {LARGEST_WINDOW}", relay.window);
            self.say(&key("window"), what);
        }
        if !(1..=1000).contains(&relay.priority) {
            let what = format!("`{}` is not between 1 and 1000", relay.priority);
            self.say(&key("priority"), what);
        }
        if let Some(stream) = &relay.stream {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            if !relay.kind.traits().has_streams() {
                let what = format!("a relay of kind `{}` knows no streams", relay.kind.name());
                self.say(&key("stream"), what);
            } else if !stream.bytes().all(plain) || stream.len() > 64 {
                let what = format!("`{stream}` is not up to 64 letters, digits, `-`, `_` and `.`");
                self.say(&key("stream"), what);
            }
        }
        if let Some(ehlo) = relay.ehlo.as_deref().filter(|ehlo| !is_ehlo(ehlo)) {
            let what = format!("`{}` is no name of a host", ehlo.escape_debug());
            self.say(&key("ehlo"), what);
        }
        if relay.messages_per_connection == 0 {
            self.say(&key("messages_per_connection"), "must be 1 at least");
        }
        if relay.username.is_some() != relay.password.is_some() {
            self.say(
                &key("username"),
                "goes together with `password`; one of them is not set",
            );
        }
        if relay.kind == RelayKind::Mx || relay.url.starts_with("mx:") {
            return self.direct(name, relay);
        }
        let url = match Url::parse(&relay.url) {
            Ok(url) if url.has_host() => url,
            _ => {
                let what = "no relay's address; expected `smtp://host` or `smtps://host:port`";
                return self.say(&key("url"), what);
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            let what = "holds credentials; put them in `username` and `password`";
            return self.say(&key("url"), what);
        }
        let implicit = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            other => {
                let what = format!("`{other}:` is no way to a relay; expected `smtp:` or `smtps:`");
                return self.say(&key("url"), what);
            }
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            let what = format!("`{url}` goes on after the host; expected `smtp://host[:port]`");
            self.say(&key("url"), what);
        }
        if relay.tls == TlsPolicy::None && implicit {
            self.say(
                &key("tls"),
                "\"none\" contradicts `smtps:`, which is TLS from the first byte",
            );
        }
        if relay.tls == TlsPolicy::None && relay.password.is_some() && !is_loopback(host(&url)) {
            let what = "\"none\" would send the password in clear; use \"required\"";
            self.say(&key("tls"), what);
        }
    }
}

impl Complaints {
    /// A relay that is no server: mail goes to every domain's own hosts.
    fn direct(&mut self, name: &str, relay: &Relay) {
        let key = |key: &str| format!("relay.{name}.{key}");
        if relay.kind != RelayKind::Mx {
            self.say(&key("kind"), "must be \"mx\" for the url `mx:`");
        }
        if relay.url != "mx:" {
            let what = format!("`{}` with kind \"mx\"; expected `mx:`", relay.url);
            self.say(&key("url"), what);
        }
        if relay.password.is_some() {
            let what = "no host of a domain asks for a password; take it out";
            self.say(&key("password"), what);
        }
    }
}

/// Whether EHLO may say it (RFC 5321, section 4.1.2): a host's name, or its address in brackets.
fn is_ehlo(name: &str) -> bool {
    let label = |label: &str| {
        let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(fine)
    };
    let literal = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match literal {
        Some(address) => address
            .trim_start_matches("IPv6:")
            .parse::<std::net::IpAddr>()
            .is_ok(),
        None => name.len() <= 253 && name.split('.').all(label),
    }
}

/// A duration as the file writes it.
fn said(wait: Duration) -> String {
    match wait.subsec_millis() {
        0 => format!("{}s", wait.as_secs()),
        _ => format!("{}ms", wait.as_millis()),
    }
}

fn check_public_url(text: &str) -> Result<(), String> {
    let expected = "expected an address such as `https://news.example.org`";
    let url = Url::parse(text).map_err(|_| format!("`{text}` is no URL; {expected}"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(url.host()) => {}
        "http" => {
            return Err(format!(
                "`{text}` must begin with https; http is for loopback hosts"
            ));
        }
        _ => return Err(format!("`{text}` is not on the web; {expected}")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold credentials".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "`{text}` must end with the host or a path; {expected}"
        ));
    }
    Ok(())
}

/// `url` parses the host of a scheme it does not know as opaque text; an IP address is still one.
fn host(url: &Url) -> Option<Host<&str>> {
    match url.host() {
        Some(Host::Domain(name)) => match name.parse() {
            Ok(IpAddr::V4(ip)) => Some(Host::Ipv4(ip)),
            Ok(IpAddr::V6(ip)) => Some(Host::Ipv6(ip)),
            Err(_) => Some(Host::Domain(name)),
        },
        other => other,
    }
}

fn is_domain(text: &str) -> bool {
    text.contains('.') && text.split('.').all(is_label)
}

/// RFC 1035, section 2.3.1, in its modern reading: letters, digits, inner hyphens, 63 octets at most.
fn is_label(label: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(fine)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
