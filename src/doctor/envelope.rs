//! Whether a relay will take the mail: as large as the issue is, and from the sender that stands on its envelope.
//!
//! Promises: nobody is named to the relay and nothing is offered to it; the issue is the author's newest that compiles.

use std::path::Path;

use super::{Desk, Findings};
use crate::config::Config;
use crate::id::{DeliveryKey, RunId};
use crate::issue::given::Titles;
use crate::message;
use crate::publication::{self, Publication};
use crate::run::sample::{self, Reader};
use crate::smtp::error::{ErrorKind, SessionError};
use crate::smtp::session::Session;

/// Issues of the folder that are tried until one compiles, from the last by name.
const TRIED: usize = 5;

/// The author's newest issue as a message.
pub(super) struct Newest {
    slug: String,
    /// Octets of a copy on the wire.
    size: usize,
}

/// The last issue of the folder by name that compiles; none where there is none.
pub(super) fn newest(config: &Config, base: &Path) -> Option<Newest> {
    let emails = base.join(&config.paths.emails);
    let slugs = Publication::load(&emails).ok()?.slugs().ok()?;
    let titles = Titles::default();
    slugs.into_iter().rev().take(TRIED).find_map(|slug| {
        let built = publication::compile_issue(config, &emails, &slug, &titles).ok()?;
        let sample = sample::make(config, base, &built, &Reader::emptiest()).ok()?;
        let size = sample.message.len();
        Some(Newest { slug, size })
    })
}

/// Asks the relay `name` over a session with nothing outstanding.
pub(super) async fn look(
    desk: &Desk<'_>,
    name: &str,
    session: &mut Session,
    newest: Option<&Newest>,
    out: &mut Findings,
) {
    size(name, session, newest, out);
    let domain = desk.bounce_domain();
    let sender = match &desk.keyring {
        Some(keyring) => {
            // As a run's first delivery has it: whoever looks at its form sees the form of every mail.
            let key = DeliveryKey {
                run: RunId(1),
                seq: 0,
            };
            message::envelope_sender(keyring, key, domain)
        }
        // Another check tells of the keyring; of the sender the relay judges the domain.
        None => format!("bounce@{domain}"),
    };
    // Of an issue that is too large the check before tells; here it is the sender that is asked about.
    let small = newest.map_or(0, |newest| newest.size);
    let small = match session.capabilities().refuses(small) {
        true => 0,
        false => small,
    };
    let reply = match session.try_sender(&sender, small).await {
        Ok(reply) => reply,
        // A relay that wants less of us closes with its answer (RFC 5321, section 3.8).
        Err(SessionError {
            kind: ErrorKind::Unavailable,
            reply: Some(reply),
            ..
        }) => reply,
        Err(error) => {
            return out.error(
                "relay-sender",
                format!("relay `{name}` breaks off when it is told the envelope sender: {error}"),
                "ask whoever runs the relay",
            );
        }
    };
    match reply.code {
        250 => out.ok(
            "relay-sender",
            format!(
                "relay `{name}` says nothing against an envelope sender at `{domain}`; some refuse one only with the \
                 whole mail, which `doctor --send ADDRESS` tries"
            ),
        ),
        400..=499 => out.warn(
            "relay-sender",
            format!("relay `{name}` puts off mail with an envelope sender at `{domain}`: {reply}"),
            "look again later; where it stays so, ask whoever runs the relay",
        ),
        _ => out.error(
            "relay-sender",
            format!("relay `{name}` refuses mail with an envelope sender at `{domain}`: {reply}"),
            "have the relay allow that domain (most ask for it to be verified there), or set `send.bounce_domain` to \
             one that it allows",
        ),
    }
}

fn size(name: &str, session: &Session, newest: Option<&Newest>, out: &mut Findings) {
    let limit = match session.capabilities().size {
        Some(limit) if limit > 0 => limit,
        _ => {
            return out.ok(
                "relay-size",
                format!("relay `{name}` tells no limit for the size of a mail"),
            );
        }
    };
    match newest {
        None => out.ok(
            "relay-size",
            format!("relay `{name}` takes mails of {limit} octets; there is no issue yet to hold against it"),
        ),
        Some(Newest { slug, size }) if session.capabilities().refuses(*size) => out.error(
            "relay-size",
            format!("a copy of `{slug}` has {size} octets, and relay `{name}` takes {limit}: it would refuse each one"),
            "shorten the issue, have the relay take more, or send through another one",
        ),
        Some(Newest { slug, size }) => out.ok(
            "relay-size",
            format!("a copy of `{slug}` has {size} octets, and relay `{name}` takes {limit}"),
        ),
    }
}
