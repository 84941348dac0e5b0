//! `pressrun dns`: every record to publish, ready to paste.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use secrecy::ExposeSecret;
use url::{Host, Url};

use crate::cli::output::print_json;
use crate::cli::{Cli, Exit};
use crate::config::{Config, Relay, RelayKind};
use crate::deliver::signing;
use crate::dkim::Signer;
use crate::dkim::publish::{Sender, records, zone};
use crate::keyfile;
use crate::run::again::signed;
use crate::store::Store;

/// Prints every DNS record to publish, ready to paste into a zone file.
#[derive(Debug, Args)]
pub struct Dns {
    /// The host that takes mail for the bounce domain; the public site's host when not said.
    #[arg(long, value_name = "HOST")]
    mail_host: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `pressrun dns`.
pub async fn run(cli: &Cli, dns: &Dns) -> anyhow::Result<Exit> {
    let path = std::path::absolute(&cli.config)?;
    let config = Config::load(&path)?;
    let from = &config.from.address;
    let (name, relay) = config.first_relay().context("send.relay names no relay")?;
    let base = path
        .parent()
        .context("the configuration file stands in no folder")?;
    let signers = signing::signers(&config, base, relay)?;
    let unnamed = match relay.is_signed() {
        true => unnamed_keys(&config, base),
        false => Vec::new(),
    };
    let Unnamed {
        unused,
        old,
        unknown,
    } = Unnamed::sorted(unnamed, &config, base).await;
    let record = |signer: &Signer| (signer.record_name(), signer.record());
    let site = host_of("publication.url", &config.publication.url)?;
    let own = seen(&site);
    let relay_host = match (relay.kind, &relay.ehlo) {
        // Mail leaves from this machine, under the name that EHLO says.
        (RelayKind::Mx, Some(name)) => name.clone(),
        (RelayKind::Mx, None) => site.to_string(),
        // So it does where the relay is on this machine: the world does not see its loopback address.
        _ if relay.is_here() => own.clone().unwrap_or_else(|| from.domain().to_owned()),
        _ => host_of(&format!("relay.{name}.url"), &relay.url)?.to_string(),
    };
    // An MX names a host, never an address (RFC 5321, section 5.1).
    let mail_host = match (&dns.mail_host, &site) {
        (Some(host), _) => Some(host.as_str()),
        // The From domain takes mail already: another MX would draw it away.
        (None, _) if config.send.bounce_domain.is_none() => None,
        (None, Host::Domain(host)) => Some(host.as_str()),
        (None, _) => Some(from.domain()),
    };
    let bounce_domain = config.send.bounce_domain.as_deref();
    let records = records(&Sender {
        from,
        bounce_domain: bounce_domain.unwrap_or_else(|| from.domain()),
        relay: relay.kind,
        relay_host: &relay_host,
        mail_host,
        reports: config.from.reply_to.as_ref().unwrap_or(from),
        dkim: signers.iter().map(record).collect(),
        next: unused.iter().map(|(_, signer)| record(signer)).collect(),
    });
    let left_out = say_of_left_out(&old, unknown.as_ref());
    if dns.json {
        for sentence in &left_out {
            eprintln!("note: {sentence}");
        }
        print_json(&records)?;
        return Ok(Exit::Done);
    }
    let none_signs = signers.is_empty() && unused.is_empty() && unknown.is_none();
    say_of_keys(name, relay, none_signs, &unused);
    for sentence in &left_out {
        println!("; DKIM: {sentence}.\n");
    }
    print!("{}", zone(&records));
    if mail_host.is_none() {
        println!(
            "; Bounces come to {} itself, whose MX stays as it is; `send.bounce_domain` gives them a domain\n\
             ; of their own, such as bounce.{}.\n",
            from.domain(),
            from.domain()
        );
    }
    if relay.is_here() {
        println!(
            "; Relay `{name}` is on this machine: SPF names the address under which its mail leaves. Here that of\n\
             ; {relay_host} is taken; say another one if it leaves by a relay behind it.\n"
        );
    }
    say_of_site(&site, own.is_some());
    Ok(Exit::Done)
}

/// Who signs, as a comment of the zone, above the records; and which keys are for later.
fn say_of_keys(name: &str, relay: &Relay, none_signs: bool, unused: &[(String, Signer)]) {
    if !relay.is_signed() {
        println!("; DKIM: relay `{name}` signs; its own pages show the records to publish.\n");
    } else if none_signs {
        println!(
            "; DKIM: no key yet, so nothing is signed; `pressrun keys dkim --selector NAME` makes one.\n"
        );
    }
    for (file, signer) in unused {
        println!(
            "; DKIM: nothing is signed with `{file}` yet; once {} is published, name it in [dkim].\n",
            signer.record_name()
        );
    }
}

/// Of each key that no record is given for: what becomes of the one that is published.
fn say_of_left_out(
    old: &[(String, Signer)],
    unknown: Option<&(Vec<(String, Signer)>, anyhow::Error)>,
) -> Vec<String> {
    let signed = old.iter().map(|(file, signer)| {
        format!(
            "`{file}` has signed mail before, and signs none now. {}, if it is published still, stays so for a week \
             after its last mail; then it is published with nothing behind `p=`",
            signer.record_name()
        )
    });
    let mut sentences: Vec<String> = signed.collect();
    let (unknown, why) = unknown.map_or((&[][..], None), |(keys, why)| (keys, Some(why)));
    for (file, signer) in unknown {
        let why = why.map_or_else(String::new, |why| format!("{why:#}"));
        sentences.push(format!(
            "whether `{file}` has signed mail cannot be told, for the database cannot be asked ({why}); so {} is not \
             given here, and where it is published it stays",
            signer.record_name()
        ));
    }
    sentences
}

/// What the public site needs, which no record here is for.
fn say_of_site(site: &Host, is_seen: bool) {
    match is_seen {
        true => println!(
            "; The public site, {site}, needs an A and an AAAA record with the addresses of its server."
        ),
        false => println!(
            "; The public site, {site}, is seen by this machine alone; `publication.url` names the one that readers\n\
             ; reach, which needs an A and an AAAA record."
        ),
    }
}

/// Keys beside the configuration, which does not name them: `pressrun keys dkim` has left them there for later, or they
/// are kept for what they have signed.
fn unnamed_keys(config: &Config, base: &Path) -> Vec<(String, Signer)> {
    let dkim = &config.dkim;
    let domain = dkim.domain.as_deref();
    let domain = domain.unwrap_or_else(|| config.from.address.domain());
    let named = [&dkim.key, &dkim.ed25519_key];
    let files = fs::read_dir(base).into_iter().flatten().flatten();
    let mut unused: Vec<(String, Signer)> = files
        .filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            let selector = name.strip_prefix("dkim-")?.strip_suffix(".pem")?;
            let is_named = |key: &Option<PathBuf>| key.as_deref() == Some(Path::new(&name));
            if named.into_iter().any(is_named) {
                return None;
            }
            let pem = keyfile::read(&file.path(), "DKIM key", "").ok()?;
            let signer = Signer::from_pem(domain, selector, &pem).ok()?;
            Some((name, signer))
        })
        .collect();
    unused.sort_by(|one, other| one.0.cmp(&other.0));
    unused
}

/// Keys that the configuration does not name, each with its file, by what is known of them.
struct Unnamed {
    /// Nothing is signed with them yet.
    unused: Vec<(String, Signer)>,
    /// They have signed mail.
    old: Vec<(String, Signer)>,
    /// Keys of which neither can be told, and why.
    unknown: Option<(Vec<(String, Signer)>, anyhow::Error)>,
}

impl Unnamed {
    async fn sorted(keys: Vec<(String, Signer)>, config: &Config, base: &Path) -> Unnamed {
        let mut sorted = Unnamed {
            unused: Vec::new(),
            old: Vec::new(),
            unknown: None,
        };
        if keys.is_empty() {
            return sorted;
        }
        match signed_before(config, base).await {
            Ok(signed) => {
                (sorted.old, sorted.unused) = keys
                    .into_iter()
                    .partition(|(_, signer)| signed.iter().any(|known| signer.is_known_by(known)));
            }
            Err(error) => sorted.unknown = Some((keys, error)),
        }
        sorted
    }
}

/// By what each key is known that has ever signed mail from this database; none where there is none yet.
async fn signed_before(config: &Config, base: &Path) -> anyhow::Result<Vec<String>> {
    let url = config.database.url.expose_secret();
    match Store::open_to_read(url, base).await? {
        Some(store) => Ok(signed::keys(&store).await?),
        None => Ok(Vec::new()),
    }
}

/// The host as others see it; none when it is this machine by a name that only it knows.
fn seen(host: &Host) -> Option<String> {
    match host {
        Host::Domain(name) if name == "localhost" || name.ends_with(".localhost") => None,
        Host::Domain(name) => Some(name.clone()),
        Host::Ipv4(ip) => (!ip.is_loopback()).then(|| ip.to_string()),
        Host::Ipv6(ip) => (!ip.is_loopback()).then(|| format!("[{ip}]")),
    }
}

/// The host of a URL; an IPv6 address in its brackets.
fn host_of(key: &str, url: &str) -> anyhow::Result<Host> {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(Url::host);
    let host = host.map(|host| host.to_owned());
    host.with_context(|| format!("{key} `{url}` names no host; expected `scheme://host`"))
}
