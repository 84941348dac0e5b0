//! The doctor: everything between a newsletter and its readers that can be looked at beforehand.
//!
//! Promises: changes nothing but a test file it removes; each check says in one sentence what it found and,
//! unless all is well, what to do. What could not be asked (`--offline`, a dead nameserver) is never
//! called well. Leaves mending to people.

mod config;
mod database;
mod dmarc;
mod domain;
mod envelope;
pub mod files;
mod links;
pub mod message;
mod ptr;
mod relay;
mod site;
mod spf;

use std::path::Path;

use serde::Serialize;

use crate::clock::Clock;
use crate::config::Config;
use crate::deliver::signing;
use crate::dkim::Signer;
use crate::dns::Dns;
use crate::keyring::Keyring;

/// What is looked at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    Configuration,
    Files,
    Disk,
    Database,
    Clock,
    Relay,
    Dns,
    Site,
    Message,
}

impl Area {
    /// Every area, in the order in which they are looked at.
    pub const ALL: [Area; 9] = [
        Area::Configuration,
        Area::Files,
        Area::Disk,
        Area::Database,
        Area::Clock,
        Area::Relay,
        Area::Dns,
        Area::Site,
        Area::Message,
    ];

    /// The word on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Area::Configuration => "configuration",
            Area::Files => "files",
            Area::Disk => "disk",
            Area::Database => "database",
            Area::Clock => "clock",
            Area::Relay => "relay",
            Area::Dns => "dns",
            Area::Site => "site",
            Area::Message => "message",
        }
    }
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// Nobody could be asked.
    Unknown,
    Warning,
    Error,
}

impl Level {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Unknown => "unknown",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub area: Area,
    /// A short name that stays the same, for scripts.
    pub check: &'static str,
    pub level: Level,
    /// What was found, in one sentence.
    pub says: String,
    /// What to do; empty where all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

/// All checks of one area as they are made.
#[derive(Debug)]
pub struct Findings {
    area: Area,
    pub checks: Vec<Check>,
}

impl Findings {
    /// None yet.
    pub fn of(area: Area) -> Findings {
        Findings {
            area,
            checks: Vec::new(),
        }
    }

    fn add(&mut self, check: &'static str, level: Level, says: String, advice: String) {
        self.checks.push(Check {
            area: self.area,
            check,
            level,
            says,
            advice,
        });
    }

    /// All is well.
    pub fn ok(&mut self, check: &'static str, says: impl Into<String>) {
        self.add(check, Level::Ok, says.into(), String::new());
    }

    /// Mail goes out, and something is worse than it need be.
    pub fn warn(
        &mut self,
        check: &'static str,
        says: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check, Level::Warning, says.into(), advice.into());
    }

    /// Mail does not go out, does not arrive, or something may be lost.
    pub fn error(
        &mut self,
        check: &'static str,
        says: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check, Level::Error, says.into(), advice.into());
    }

    /// Nobody answered.
    pub fn unknown(&mut self, check: &'static str, says: impl Into<String>) {
        let advice = "look again later; nothing is known about it now";
        self.add(check, Level::Unknown, says.into(), advice.to_owned());
    }
}

/// What the doctor is asked to do.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Asks nobody outside this machine's files and database.
    pub offline: bool,
    /// The areas to look at.
    pub areas: Vec<Area>,
}

/// What every check is handed.
pub struct Desk<'a> {
    pub config: &'a Config,
    /// The folder of the configuration file.
    pub base: &'a Path,
    pub clock: Clock,
    pub dns: Option<Dns>,
    /// None where the keyring cannot be read.
    pub keyring: Option<Keyring>,
    /// The signer of the mail, where this house signs.
    pub signer: Option<Signer>,
    /// Who signs a second time, by an Ed25519 key.
    pub second: Option<Signer>,
}

impl<'a> Desk<'a> {
    /// Reads what can be read; what cannot is told by the checks.
    pub fn new(config: &'a Config, base: &'a Path, offline: bool) -> Desk<'a> {
        let names = config.relays_of("").unwrap_or_default();
        let mut relays = names.into_iter().filter_map(|name| config.relay.get(name));
        let signers = relays.find_map(|relay| {
            let signers = signing::signers(config, base, relay).ok()?;
            (!signers.is_empty()).then_some(signers)
        });
        let mut signers = signers.unwrap_or_default().into_iter();
        Desk {
            config,
            base,
            clock: Clock::System,
            dns: match offline {
                true => None,
                false => Dns::new(&config.dns).ok(),
            },
            keyring: Keyring::load(&base.join(&config.paths.keyring)).ok(),
            signer: signers.next(),
            second: signers.next(),
        }
    }

    /// The domain of the envelope sender.
    pub fn bounce_domain(&self) -> &str {
        let domain = self.config.send.bounce_domain.as_deref();
        domain.unwrap_or_else(|| self.config.from.address.domain())
    }

    /// The host of the public site.
    pub fn public_host(&self) -> String {
        let url = url::Url::parse(&self.config.publication.url).ok();
        let host = url.as_ref().and_then(url::Url::host_str);
        host.unwrap_or_default().to_owned()
    }
}

/// What the DNS says of the sender for which receivers refuse or distrust mail (SPF, DKIM, DMARC), in sentences.
pub async fn of_sender(config: &Config, base: &Path) -> Vec<String> {
    let desk = Desk::new(config, base, false);
    let mut out = Findings::of(Area::Dns);
    if let Some(dns) = &desk.dns {
        domain::of_sender(&desk, dns, &mut out).await;
    }
    let errors = out.checks.into_iter();
    let errors = errors.filter(|check| check.level == Level::Error);
    errors.map(|check| check.says).collect()
}

/// Looks at every area that is wished for. `path` is the configuration file.
pub async fn examine(
    desk: &Desk<'_>,
    path: &Path,
    wish: &Wish,
    mut begin: impl FnMut(Area),
) -> Vec<Check> {
    let mut checks = Vec::new();
    for area in Area::ALL
        .into_iter()
        .filter(|area| wish.areas.contains(area))
    {
        begin(area);
        let mut out = Findings::of(area);
        match area {
            Area::Configuration => config::look(desk, &mut out),
            Area::Files => {
                files::modes(desk, path, &mut out);
                files::leavings(desk, &mut out);
            }
            Area::Disk => files::disk(desk, &mut out),
            Area::Database => database::look(desk, &mut out).await,
            Area::Clock => database::clock(desk, &mut out).await,
            Area::Relay if !wish.offline => relay::look(desk, &mut out).await,
            Area::Dns if !wish.offline => domain::look(desk, &mut out).await,
            Area::Site if !wish.offline => site::look(desk, &mut out).await,
            Area::Relay | Area::Dns | Area::Site | Area::Message => {}
        }
        checks.append(&mut out.checks);
    }
    checks
}
