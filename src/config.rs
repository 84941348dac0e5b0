//! Configuration: one TOML file, overridden by the environment, typed before anything starts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use secrecy::SecretString;
use serde::Deserialize;

use crate::address::EmailAddress;
use crate::config::kind::WhenFull;
use crate::config::load::{Problems, Settings};
use crate::config::mx::Mx;
use crate::config::tree::Node;
use crate::config::uncertain::UncertainPolicy;
use crate::network::Network;

pub mod archive;
mod check;
pub mod hygiene;
pub mod inbound;
pub mod kind;
pub mod load;
pub mod mx;
pub mod notify;
pub mod privacy;
mod rescue;
mod schema;
pub mod sender;
pub mod show;
pub mod spelling;
#[cfg(test)]
mod tests;
mod tree;
pub mod typography;
pub mod uncertain;

/// What `send.relay` says for every relay that is described.
pub const ALL_RELAYS: &str = "all";

/// Everything Pressrun is told before it starts. `deploy/pressrun.toml` documents each key and is the
/// source of the defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub publication: Publication,
    pub from: From,
    pub database: Database,
    pub http: Http,
    pub relay: BTreeMap<String, Relay>,
    pub send: Send,
    pub stages: notify::Stages,
    pub notify: notify::Notify,
    pub dkim: Dkim,
    pub dns: Dns,
    pub mx: Mx,
    pub tracking: privacy::Counted,
    pub privacy: privacy::Privacy,
    pub retention: privacy::Retention,
    pub hygiene: hygiene::Hygiene,
    pub signup: Signup,
    pub archive: archive::Archive,
    pub inbound: inbound::Inbound,
    pub paths: Paths,
    pub log: Log,
    /// The level of each lint by its code.
    pub lint: BTreeMap<String, Level>,
}

impl Config {
    /// Short names of the lists that readers may choose from.
    pub fn offered_lists(&self) -> impl Iterator<Item = &str> {
        let own = self.signup.lists.is_empty();
        let own = own.then_some(self.publication.list.as_str());
        own.into_iter()
            .chain(self.signup.lists.iter().map(String::as_str))
    }

    /// Reads the configuration file at `path` and the environment over it.
    pub fn load(path: &Path) -> anyhow::Result<Config> {
        Ok(Config::load_with_origins(path)?.0)
    }

    /// [`Config::load`], with each setting's origin beside the typed values.
    pub fn load_with_origins(path: &Path) -> anyhow::Result<(Config, Settings)> {
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "the configuration `{name}` cannot be read; `pressrun init DIR` makes one, \
                 `--config FILE` names another"
            )
        })?;
        let file = path.file_name().unwrap_or(path.as_os_str());
        // A variable that is not UTF-8 is no setting: every value is a text.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Config::parse(&text, &file.to_string_lossy(), environment)
    }

    /// Reads `text`, naming it `file` in errors, and the variables of `environment` over it.
    pub fn parse(
        text: &str,
        file: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<(Config, Settings)> {
        let settings = Settings::read(file, text, environment)?;
        let mut root = Node::Section(BTreeMap::new());
        // A file without any relay is told so by the check, not as a missing section.
        root.insert_section("relay");
        for (path, value) in settings.values() {
            root.insert(path, value);
        }
        let mut config = Config::deserialize(&root).map_err(|fault| {
            let path = fault.path.join(".");
            let place = settings.place(&path);
            anyhow!("{place}: `{path}`: {}", fault.message)
        })?;
        let complaints = check::check(&config);
        if !complaints.is_empty() {
            let line = |(path, what): &(String, String)| {
                format!("{}: `{path}`: {what}", settings.place(path))
            };
            return Err(Problems(complaints.iter().map(line).collect()).into());
        }
        config.settle();
        Ok((config, settings))
    }

    /// The relays that `names` means: one, several with commas, `all`, or nothing for those of
    /// `send.relay`. The error is a name that no section has.
    pub fn relays_of<'a>(&'a self, names: &'a str) -> Result<Vec<&'a str>, &'a str> {
        let names = match names.trim() {
            "" => self.send.relay.trim(),
            names => names,
        };
        if names == ALL_RELAYS {
            return Ok(self.relay.keys().map(String::as_str).collect());
        }
        let each = names.split(',').map(str::trim);
        each.map(|name| match self.relay.contains_key(name) {
            true => Ok(name),
            false => Err(name),
        })
        .collect()
    }

    /// The relay that carries most: of those in `send.relay`, the first named of the first priority.
    pub fn first_relay(&self) -> Option<(&str, &Relay)> {
        let names = self.relays_of("").unwrap_or_default();
        let each = names.into_iter();
        let each = each.filter_map(|name| Some((name, self.relay.get(name)?)));
        each.min_by_key(|(_, relay)| relay.priority)
    }

    /// Reads `text` alone, without the environment: for programs that write their own configuration.
    pub fn from_text(text: &str) -> anyhow::Result<Config> {
        Ok(Config::parse(text, "configuration", std::iter::empty())?.0)
    }

    /// Fills what follows from other keys.
    fn settle(&mut self) {
        let url = &mut self.publication.url;
        url.truncate(url.trim_end_matches('/').len());
        if self.from.name.is_empty() {
            self.from.name = self.publication.name.clone();
        }
    }
}

/// Who publishes, and where readers find it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    /// Shown on pages, in the footer and in List-Id.
    pub name: String,
    /// Base of every link in a mail; https, or http on a loopback host. No trailing slash is kept.
    pub url: String,
    /// Postal address for the footer; every commercial mail needs one (CAN-SPAM).
    pub postal_address: String,
    /// The list that `init` makes and that the subscribe page offers.
    pub list: String,
    /// BCP 47 language of what the author writes; the pages' own words are English.
    pub language: String,
    /// One sentence for the subscribe page.
    pub description: String,
    /// The theme of the system mails, and of issues that name none.
    pub theme: String,
    /// The zone of every time of day that is said without one.
    pub timezone: String,
    pub typography: typography::Typography,
}

/// The one author mailbox of every mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct From {
    /// The publication's name when the file says nothing.
    pub name: String,
    pub address: EmailAddress,
    /// Where replies go when not to `address`; empty is none.
    pub reply_to: Option<EmailAddress>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `sqlite:FILE` (relative to the configuration file) or `postgres://...`.
    pub url: SecretString,
    /// Connections of the PostgreSQL pool, readers of the SQLite pool.
    pub connections: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Readers' links and the subscribe page.
    pub public: SocketAddr,
    /// The author's pages; loopback unless said otherwise.
    pub admin: SocketAddr,
    /// Host names under which the admin listener may be asked, besides loopback names.
    pub admin_hosts: Vec<String>,
    /// Reverse proxies whose X-Forwarded-For is believed, by address or network.
    pub trusted_proxies: Vec<Network>,
    /// Open connections at most.
    pub connections: usize,
    /// Open connections at most from one address.
    pub connections_per_address: usize,
}

/// What stands behind a relay's address; `config::kind` says how each behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayKind {
    Smtp,
    Ses,
    Mailgun,
    Postmark,
    Sendgrid,
    /// No server at all: every domain's own hosts, found by MX.
    Mx,
}

/// When a connection to a relay is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsPolicy {
    Required,
    Opportunistic,
    None,
}

/// One SMTP server that messages are handed to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    pub kind: RelayKind,
    /// `smtp://host[:port]` (STARTTLS by policy, port 587) or `smtps://host[:port]` (port 465).
    pub url: String,
    pub tls: TlsPolicy,
    pub connections: usize,
    /// Lower ones come first; a later one is used only while no earlier one takes mail.
    pub priority: u32,
    /// Its share of the messages beside others of its priority; 0 takes what it can carry.
    pub weight: u32,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// Whether Pressrun signs; by kind when not said (`ses` does not).
    pub dkim: Option<bool>,
    /// What the relay files the messages under: a configuration set, a message stream, a tag, a category.
    pub stream: Option<String>,
    /// Extra trusted certificates in PEM, for a relay with a private authority.
    pub ca_file: Option<PathBuf>,
    /// Name in EHLO; the public URL's host when not said.
    pub ehlo: Option<String>,
    /// Messages over one connection before it is renewed.
    pub messages_per_connection: u32,
    /// Messages in one write where the relay offers CHUNKING; 0 leaves CHUNKING alone.
    pub window: usize,
    /// Caps, for all nodes together; 0 is none.
    pub per_second: u32,
    pub per_minute: u32,
    pub per_hour: u32,
    pub per_day: u32,
    pub when_full: WhenFull,
    /// The day on which the warm-up of the sending domain began.
    #[serde(default, deserialize_with = "kind::day")]
    pub warmup: Option<jiff::civil::Date>,
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    #[serde(with = "duration")]
    pub command_timeout: Duration,
    /// Wait for one message up to its dot, whatever it is made of.
    #[serde(with = "duration")]
    pub message_timeout: Duration,
    /// Wait for the answer to the final dot; RFC 5321, section 4.5.3.2.6 asks for 10 minutes.
    #[serde(with = "duration")]
    pub dot_timeout: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// Which `[relay.<name>]` carries the mail: one, several with commas, or `all`.
    pub relay: String,
    /// Domain of the VERP envelope sender; the From domain when empty.
    pub bounce_domain: Option<String>,
    /// Waits between tries after a 4xx for one recipient; the last repeats.
    #[serde(with = "durations")]
    pub retry: Vec<Duration>,
    /// Each wait is moved by up to this fraction, so that retries do not march in step.
    pub jitter: f64,
    /// A delivery still deferred after this time expires.
    #[serde(with = "duration")]
    pub give_up: Duration,
    /// What becomes of uncertain deliveries: `hold`, `assume-sent` or `resend`.
    pub uncertain: UncertainPolicy,
    /// How long a group commit waits for company; "0s" commits at once.
    #[serde(with = "duration")]
    pub linger: Duration,
    /// How long a lease on PostgreSQL holds without renewal.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// Name of this node among several; the host name when empty.
    pub node: Option<String>,
    /// First wait of the circuit breaker before a probe; doubles up to a minute.
    #[serde(with = "duration")]
    pub probe: Duration,
    /// How long an interrupted sender waits for answers to final dots already sent.
    #[serde(with = "duration")]
    pub drain: Duration,
    /// How long a run waits after Send, so that it can be taken back.
    #[serde(with = "duration")]
    pub undo: Duration,
    /// A scheduled run that is later than this is held.
    #[serde(with = "duration")]
    pub late_start: Duration,
    /// The field in which a reader's time zone stands; all readers have the publication's without it.
    pub timezone_field: Option<String>,
    /// The author's own readers, who get a run first that begins with `seed`.
    pub seed: Vec<EmailAddress>,
}

/// How much a lint weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It is not told.
    Off,
    Warning,
    /// It stops the issue.
    Error,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dkim {
    /// Signing domain; the From domain when empty.
    pub domain: Option<String>,
    pub selector: String,
    /// PEM file of the RSA key, mode 0600; empty does not sign.
    pub key: Option<PathBuf>,
    pub ed25519_selector: String,
    /// PEM file of an Ed25519 key for a second signature; empty makes none.
    pub ed25519_key: Option<PathBuf>,
}

/// Whom the DNS is asked by.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The machine's own nameservers when not said.
    pub nameserver: Option<SocketAddr>,
    /// Wait for the answer to one question.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signup {
    /// Whether the public site offers the subscribe form.
    pub open: bool,
    pub per_network_per_minute: u32,
    pub per_network_per_hour: u32,
    /// Time within which one address gets one confirm mail for each list.
    #[serde(with = "duration")]
    pub address_window: Duration,
    /// Confirm mails of the whole instance per hour; more wait for the next.
    pub confirms_per_hour: u32,
    /// How old a form may be when it comes back.
    #[serde(with = "duration")]
    pub form_max_age: Duration,
    /// How young a form may be when it comes back: people need seconds.
    #[serde(with = "duration")]
    pub form_min_age: Duration,
    /// How long a confirm link works.
    #[serde(with = "duration")]
    pub confirm_window: Duration,
    /// How many more forms than the mean of a week an hour may have before they cost work.
    pub brake: u32,
    /// Zero bits that the work must show.
    pub proof_bits: u32,
    /// How long a signup that nobody confirms is kept.
    #[serde(with = "duration")]
    pub keep_unconfirmed: Duration,
    /// Slugs of the lists that the public site offers; the publication's own when empty.
    pub lists: Vec<String>,
    /// Fields that the form asks for besides the address: `name`, or declared ones.
    pub fields: Vec<String>,
    /// Tags that a reader may choose on the form.
    pub tags: Vec<String>,
    /// Slugs of the lists of which a digest of the month is promised.
    pub monthly: Vec<String>,
    /// Whether the domain of an address is asked if it takes mail.
    pub check_mx: bool,
    /// Whether a reader who leaves on our page gets the goodbye mail.
    pub goodbye: bool,
    /// Whether a reader who signs up again is told so by mail.
    pub remind: bool,
}

/// Files and folders, relative to the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    pub keyring: PathBuf,
    pub emails: PathBuf,
    /// Small files beside the database: generation guard and sending lock.
    pub state: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `pressrun=debug`.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// Durations written as "30s", "10m", "2h", "250ms".
mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        super::parse_duration(&text).map_err(serde::de::Error::custom)
    }
}

mod durations {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Duration>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let each = texts.iter().map(|text| super::parse_duration(text));
        each.collect::<Result<_, _>>()
            .map_err(serde::de::Error::custom)
    }
}

/// Parses "30s", "10m", "2h", "2d" or "250ms".
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let error =
        || format!("`{text}` is no duration; expected a number and `ms`, `s`, `m`, `h` or `d`");
    let number: u64 = number.parse().map_err(|_| error())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(error()),
    };
    let total = number.checked_mul(millis).ok_or_else(error)?;
    Ok(Duration::from_millis(total))
}
