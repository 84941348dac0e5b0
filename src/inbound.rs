//! Mail that comes to Pressrun itself: bounces, complaints, and wishes to leave.
//!
//! Promises: a signed token says whose mail it is about, in the address it came to or in the mail it returns, whatever
//! domain or site it stands under, which may have been ours when the mail went out; without one nothing is changed,
//! whatever the message claims; nothing is ever answered (RFC 3834, section 4). The
//! same message twice is once. Leaves taking the mail from the network to the mail server that pipes it in.

use crate::app::App;
use crate::clock::Timestamp;
use crate::dsn::{Action, Group, Kind, Mail};
use crate::id::{DeliveryKey, SubscriptionKey};
use crate::message::copy::CopyRecord;
use crate::reply::Stage;
use crate::reply::scope::{Verdict, scope};
use crate::store::returned::{Addressee, Bounce};
use crate::token::{Claim, Purpose, verify, verify_local_part};

/// What the local part of an address begins with to which a mail program sends a wish to leave.
pub const LEAVE: &str = "leave+";
/// The same for bounces: `message::envelope_sender` writes it.
const BOUNCE: &str = "bounce+";

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A reader left; false when she had before.
    Left(bool),
    /// A delivery came back.
    Bounced {
        /// It counted as sent until now.
        changed: bool,
        suppressed: bool,
    },
    /// A reader complained, and is never mailed again.
    Complained,
    /// Somebody who has a copy complained: its reader gets that list no more.
    ComplainedOf,
    /// Nothing to be done, and why.
    Nothing(&'static str),
}

/// Takes one message. `recipient` is the address it came to, where the mail server says so; else the fields are
/// asked in which it may have noted it.
pub async fn take(app: &App, octets: &[u8], recipient: Option<&str>) -> anyhow::Result<Taken> {
    let mail = Mail::read(octets);
    let addresses = addresses(&mail, recipient);
    let now = app.clock.now();
    match mail.kind() {
        Kind::Complaint {
            feedback,
            complaint,
            about,
        } => {
            // RFC 5965, section 3.5, and RFC 6591: the others are no complaints of readers.
            if !matches!(feedback.as_str(), "abuse" | "fraud") {
                return Ok(Taken::Nothing("a report that is no complaint"));
            }
            let about = about.as_ref();
            let source = about_whom(app, &addresses, &complaint, about);
            match source {
                Some(source) => complained(app, source, now).await,
                None => Ok(Taken::Nothing("a complaint about no mail of ours")),
            }
        }
        Kind::Report(groups) => {
            let key = addresses.iter().find_map(|address| bounce(app, address));
            match key {
                Some(key) => bounced(app, key, &groups, now).await,
                None => Ok(Taken::Nothing("a report about no mail of ours")),
            }
        }
        // Also one to the address for leaving: nobody asked for anything.
        Kind::Automatic => Ok(Taken::Nothing("an automatic answer")),
        Kind::Other => {
            let key = addresses.iter().find_map(|address| leave(app, address));
            match key {
                Some(key) => Ok(Taken::Left(app.store.leave(key, now).await?)),
                None => Ok(Taken::Nothing("no address of ours in it holds a token")),
            }
        }
    }
}

/// Who is spoken of, and by which copy.
#[derive(Clone, Copy, Debug)]
struct Whom {
    delivery: DeliveryKey,
    /// Where nothing but the link to leave says so, which stands in every copy and so in all that are passed on.
    subscription: Option<SubscriptionKey>,
}

async fn bounced(
    app: &App,
    key: DeliveryKey,
    groups: &[Group],
    now: Timestamp,
) -> anyhow::Result<Taken> {
    // RFC 3464, section 2.3.3: only `failed` is final; a delay is no bounce.
    let failed = groups.iter().find(|group| group.action == Action::Failed);
    let Some(failed) = failed else {
        return Ok(Taken::Nothing("a report of no failure"));
    };
    let suppress = scope(Stage::Rcpt, &failed.reply) == Verdict::Bounced { suppress: true };
    let changed = app
        .store
        .note_bounce(&Bounce {
            key,
            reply: &failed.reply,
            at: now,
        })
        .await?;
    let mut suppressed = false;
    if suppress && let Some(reader) = app.store.reader_of_delivery(key).await? {
        let (canonical, hash) = went_to(app, reader);
        suppressed = app
            .store
            .suppress(&canonical, &hash, "bounced", now)
            .await?;
    }
    Ok(Taken::Bounced {
        changed,
        suppressed,
    })
}

/// The address that a delivery went to: whoever has moved since is not to be blamed for the mailbox she gave up.
fn went_to(app: &App, reader: Addressee) -> (String, [u8; 32]) {
    let copy = reader.copy.as_deref().map(CopyRecord::from_json);
    let then = copy.and_then(Result::ok).map(|copy| copy.to.canonical());
    match then {
        Some(then) if then != reader.canonical => {
            let hash = app.keyring.address_hash(&then);
            (then, hash)
        }
        _ => (reader.canonical, reader.hash),
    }
}

async fn complained(app: &App, whom: Whom, now: Timestamp) -> anyhow::Result<Taken> {
    // Whoever it was: the run is told what its mail is taken for.
    app.store.note_complaint(whom.delivery, now).await?;
    const NOBODY: Taken = Taken::Nothing("a complaint of nobody who is a reader any more");
    if let Some(key) = whom.subscription {
        if app.store.subscription_view(key).await?.is_none() {
            return Ok(NOBODY);
        }
        // Invariant: what anybody can do who was passed a copy on is no more than its link does.
        app.store.leave(key, now).await?;
        return Ok(Taken::ComplainedOf);
    }
    let Some(reader) = app.store.reader_of_delivery(whom.delivery).await? else {
        return Ok(NOBODY);
    };
    app.store
        .suppress(&reader.canonical, &reader.hash, "complained", now)
        .await?;
    Ok(Taken::Complained)
}

/// Who complained: providers take the address out of a report, so the token in the returned mail says it. That of the
/// envelope stands in no part that a reader passes on, and goes first.
fn about_whom(
    app: &App,
    addresses: &[String],
    complaint: &Mail,
    about: Option<&Mail>,
) -> Option<Whom> {
    let senders = complaint.fields_of("original-mail-from");
    let paths = about
        .into_iter()
        .flat_map(|mail| mail.fields_of("return-path"));
    let given = addresses.iter().map(String::as_str);
    let mut senders = given.chain(senders).chain(paths);
    if let Some(key) = senders.find_map(|address| bounce(app, address)) {
        return Some(Whom {
            delivery: key,
            subscription: None,
        });
    }
    let ways = about
        .into_iter()
        .flat_map(|mail| mail.fields_of("list-unsubscribe"));
    ways.flat_map(|value| value.split(',')).find_map(|way| {
        let way = way.trim().trim_matches(['<', '>']);
        let (_, token) = way.rsplit_once("/u/")?;
        match verify(&app.keyring, Purpose::Unsubscribe, token)? {
            Claim::Unsubscribe(key, delivery) => Some(Whom {
                delivery,
                subscription: Some(key),
            }),
            _ => None,
        }
    })
}

/// The addresses that the message may have come to.
fn addresses(mail: &Mail, recipient: Option<&str>) -> Vec<String> {
    let noted = ["x-original-to", "delivered-to", "envelope-to", "to"];
    let noted = noted.iter().flat_map(|name| mail.fields_of(name));
    let all = recipient.into_iter().chain(noted);
    // A field may hold several; a token is verified, so a wrong one does no harm.
    all.flat_map(|value| value.split([',', ' ', ';']))
        .map(|address| address.trim_matches(['<', '>', '"']).to_owned())
        .filter(|address| address.contains('@'))
        .take(50)
        .collect()
}

fn token<'a>(address: &'a str, prefix: &str) -> Option<&'a str> {
    let address = address.trim().trim_matches(['<', '>']);
    let (local, _) = address.rsplit_once('@')?;
    let begins = local.get(..prefix.len())?;
    begins
        .eq_ignore_ascii_case(prefix)
        .then(|| &local[prefix.len()..])
}

fn bounce(app: &App, address: &str) -> Option<DeliveryKey> {
    let token = token(address, BOUNCE)?;
    match verify_local_part(&app.keyring, Purpose::Bounce, token)? {
        Claim::Bounce(key) => Some(key),
        _ => None,
    }
}

fn leave(app: &App, address: &str) -> Option<SubscriptionKey> {
    let token = token(address, LEAVE)?;
    match verify_local_part(&app.keyring, Purpose::Leave, token)? {
        Claim::Leave(key) => Some(key),
        _ => None,
    }
}
