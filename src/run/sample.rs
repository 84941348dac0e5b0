//! An issue as one reader would get it, made outside a run.
//!
//! Promises: neither database nor keyring is needed; the message is what a run would send but for its
//! links, which are signed by a key made for it alone and lead nowhere.

use std::path::Path;

use anyhow::Context;

use crate::address::EmailAddress;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::compile::escape::escape_html;
use crate::compile::{Compiled, Slot, Template};
use crate::config::Config;
use crate::deliver::signing;
use crate::id::{DeliveryKey, RunId};
use crate::keyring::Keyring;
use crate::message::copy::{CopyRecord, Values};
use crate::message::{self, ListHeaders, MessageTemplate};
use crate::publication::Built;
use crate::run::headers_of;

/// The sample reader, who has no values: slots show their defaults, and every part of the issue is there.
pub const READER: &str = "reader@example.org";

/// For whom a sample is made.
#[derive(Clone, Debug)]
pub struct Reader {
    pub address: EmailAddress,
    pub values: Values,
}

impl Reader {
    /// The reader of whom nothing is known.
    pub fn emptiest() -> Reader {
        Reader {
            address: EmailAddress::parse(READER).expect("a plain address"),
            values: Values::of_nobody(),
        }
    }

    fn copy(&self, kid: u8) -> CopyRecord {
        let mut copy = CopyRecord::new(self.address.clone(), Clock::System.now(), kid);
        copy.name.clone_from(&self.values.name);
        copy.fields.clone_from(&self.values.fields);
        copy.segments = self.values.segments;
        copy
    }
}

/// One whole message and its HTML part.
#[derive(Clone, Debug)]
pub struct Sample {
    pub message: Vec<u8>,
    /// The HTML as the reader's program gets it, links rewritten.
    pub html: String,
    /// Why the message bears no signature although a run's would.
    pub unsigned: Option<String>,
}

/// Makes the message of `built` for `reader`; the configuration's file stands in `base`.
pub fn make(
    config: &Config,
    base: &Path,
    built: &Built,
    reader: &Reader,
) -> anyhow::Result<Sample> {
    let compiled = &built.compiled;
    let (_, relay) = config
        .first_relay()
        .context("`send.relay` names no relay")?;
    // The author's own machine may well not have the key that the sending one has.
    let (signers, unsigned) = match signing::signers(config, base, relay) {
        Ok(signers) => (signers, None),
        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
    };
    // The titles of other lists stand in the database.
    let title = match built.list == config.publication.list {
        true => &config.publication.name,
        false => &built.list,
    };
    let list = ListHeaders {
        title: title.clone(),
        label: "sample".into(),
        domain: config.from.address.domain().to_owned(),
    };
    // A mail that is sent by itself may go to somebody who is on no list, and offers no way out of one.
    let left = compiled.html.slots().any(|slot| *slot == Slot::Unsubscribe);
    let list = left.then_some(list);
    let headers = headers_of(config, list, &compiled.slug, "sample".into());
    let template = MessageTemplate::new(compiled, &headers, signers)?;
    let keyring = Keyring::generate(&Chance::System, Clock::System.now());
    let copy = reader.copy(keyring.active());
    let key = DeliveryKey {
        run: RunId(0),
        seq: 0,
    };
    let mut message = Vec::new();
    template.render(&keyring, key, &copy, &mut message)?;
    let html = message::html(compiled, &headers.public_url, &keyring, key, &copy);
    Ok(Sample {
        message,
        html: html.context("the sample's own key is gone")?,
        unsigned,
    })
}

/// The HTML part for `reader`, with links that lead straight to their targets.
pub fn html(compiled: &Compiled, public_url: &str, reader: &Reader) -> String {
    fill(compiled, &compiled.html, public_url, reader, escape_html)
}

/// The text part for `reader`, with links that lead straight to their targets.
pub fn text(compiled: &Compiled, public_url: &str, reader: &Reader) -> String {
    fill(compiled, &compiled.text, public_url, reader, str::to_owned)
}

/// The subject for `reader`.
pub fn subject(compiled: &Compiled, reader: &Reader) -> String {
    fill(compiled, &compiled.subject, "", reader, str::to_owned)
}

/// The preheader for `reader`.
pub fn preheader(compiled: &Compiled, reader: &Reader) -> String {
    fill(compiled, &compiled.preheader, "", reader, str::to_owned)
}

/// `escape` makes a target fit for the part.
fn fill(
    compiled: &Compiled,
    template: &Template,
    public_url: &str,
    reader: &Reader,
    escape: fn(&str) -> String,
) -> String {
    let copy = reader.copy(0);
    template.fill_for(copy.segments, |slot| match slot {
        Slot::Field { .. } => copy.line(slot),
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
