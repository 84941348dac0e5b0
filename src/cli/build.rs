//! `pressrun build`: writes an issue as a sample reader would get it.
//!
//! Promises: neither database nor keyring is needed; the links of the message lead nowhere, because
//! they are signed by a key made for it alone. Whatever else stands in the folder stays.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::address::EmailAddress;
use crate::chance::Chance;
use crate::cli::Exit;
use crate::cli::check::{configuration, findings};
use crate::clock::Clock;
use crate::compile::{Compiled, Slot, Template, escape_html};
use crate::config::Config;
use crate::deliver;
use crate::id::{DeliveryKey, RunId};
use crate::keyring::Keyring;
use crate::message::copy::CopyRecord;
use crate::message::{ListHeaders, MessageTemplate};
use crate::publication::{Built, Rejected, compile_issue};
use crate::run;

/// The sample reader, who has no fields: slots show their defaults.
const READER: &str = "reader@example.org";

/// Writes an issue as a sample reader would get it: HTML, text and the whole message.

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Slug or folder of the issue.
    issue: String,
    /// Folder for index.html, text.txt and message.eml; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes the files and prints their paths. Fails when the issue has an error.
pub fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let path = std::path::absolute(config)?;
    let (config, emails) = configuration(config)?;
    let built = match compile_issue(&config, &emails, &arguments.issue) {
        Ok(built) => built,
        Err(error) => {
            let rejected = error.downcast::<Rejected>()?;
            findings(&mut std::io::stderr().lock(), &rejected.0)?;
            return Ok(Exit::Failed);
        }
    };
    if !built.diagnostics.is_empty() {
        findings(&mut std::io::stderr().lock(), &built.diagnostics)?;
    }
    let base = path
        .parent()
        .context("the configuration file stands in no folder")?;
    let written = write(&config, base, &built, &arguments.out)?;
    let mut out = std::io::stdout().lock();
    for path in written {
        writeln!(out, "{}", path.display())?;
    }
    Ok(Exit::Done)
}

/// Writes `built` into `folder` and gives the paths; the configuration's file stands in `base`.
pub(crate) fn write(
    config: &Config,
    base: &Path,
    built: &Built,
    folder: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    let public_url = config.publication.url.trim_end_matches('/');
    let compiled = &built.compiled;
    let html = sample(compiled, &compiled.html, public_url, escape_html);
    // The page is looked at from disk, where the public site does not answer.
    let html = html.replace(&format!("\"{public_url}/i/"), "\"i/");
    let text = sample(compiled, &compiled.text, public_url, str::to_owned);
    let mut files = vec![
        ("index.html".to_owned(), html.into_bytes()),
        ("text.txt".to_owned(), text.into_bytes()),
        ("message.eml".to_owned(), message(config, base, compiled)?),
    ];
    for (image, octets) in &built.images {
        files.push((format!("i/{}", image.hash), octets.clone()));
    }
    let mut written = Vec::new();
    for (name, octets) in files {
        let path = folder.join(name);
        let failed = || format!("`{}` cannot be written", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(failed)?;
        }
        std::fs::write(&path, octets).with_context(failed)?;
        written.push(path);
    }
    Ok(written)
}

/// The whole message, signed when a run's would be.
fn message(config: &Config, base: &Path, compiled: &Compiled) -> anyhow::Result<Vec<u8>> {
    let relay = config.relay.get(&config.send.relay);
    let relay = relay.context("`send.relay` names no relay")?;
    let signer = deliver::signer(config, base, relay).unwrap_or_else(|error| {
        // The author's own machine may well not have the key that the sending one has.
        eprintln!("message.eml is not signed: {error:#}");
        None
    });
    let list = ListHeaders {
        title: config.publication.name.clone(),
        label: "sample".into(),
        domain: config.from.address.domain().to_owned(),
    };
    let headers = run::headers_of(config, Some(list), &compiled.slug, "sample".into());
    let template = MessageTemplate::new(compiled, &headers, signer)?;
    let now = Clock::System.now();
    let keyring = Keyring::generate(&Chance::System, now);
    let reader = EmailAddress::parse(READER)?;
    let copy = CopyRecord::new(reader, now, keyring.active());
    let key = DeliveryKey {
        run: RunId(0),
        seq: 0,
    };
    let mut out = Vec::new();
    template.render(&keyring, key, &copy, &mut out)?;
    Ok(out)
}

/// A part as a reader without any fields gets it; links lead straight to their targets, which `escape`
/// makes fit for the part.
fn sample(
    compiled: &Compiled,
    template: &Template,
    public_url: &str,
    escape: fn(&str) -> String,
) -> String {
    template.fill(|slot| match slot {
        Slot::Field { name, .. } if name == "email" => READER.into(),
        Slot::Field { .. } => String::new(),
        Slot::Click(index) => {
            let link = compiled.links.get(*index as usize);
            link.map(|link| escape(&link.url)).unwrap_or_default()
        }
        Slot::Open => format!("{public_url}/o/sample"),
        Slot::Unsubscribe => format!("{public_url}/u/sample"),
        Slot::Preferences => format!("{public_url}/preferences/sample"),
        Slot::View => format!("{public_url}/view/sample"),
        Slot::Confirm => format!("{public_url}/confirm/sample"),
    })
}
