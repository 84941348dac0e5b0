//! Who may see the author's pages: by a password, by a link that is good once, then by a session.
//!
//! Promises: cookies and links are 256 random bits and kept as SHA-256 alone; whatever is wrong with a login
//! (no password set, a wrong one, a wrong or used code, too many tries) is the same answer; a new password
//! ends all sessions. A link needs no second factor: who can print one reads the keyring anyway.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::clock::Timestamp;
use crate::network;
use crate::store::access::Session;
use crate::store::audit::AuditLine;
use crate::subscriber::clean;

pub mod password;
pub mod picture;
pub mod totp;
pub mod tries;

/// How long a printed link may be used.
pub const LINK: Duration = Duration::from_secs(15 * 60);
/// A session that nobody has used for so long is over.
pub const IDLE: Duration = Duration::from_secs(12 * 60 * 60);
/// And so is one of this age, however busy.
pub const WHOLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A session is noted as seen once in this time: each page would be a write otherwise.
const SEEN: Duration = Duration::from_secs(60);
/// Characters kept of a browser's name.
const AGENT: usize = 200;
/// The session of commands: no key is 0.
pub const COMMAND: i64 = 0;

/// What somebody typed to log in.
pub struct Typed {
    pub password: SecretString,
    /// Of the second factor; empty where none was asked for.
    pub code: String,
}

/// Whose browser it is.
#[derive(Clone, Debug)]
pub struct Guest {
    pub client: IpAddr,
    /// The browser as it names itself.
    pub agent: String,
}

/// A new link's token; it logs in once within [`LINK`].
pub async fn new_link(app: &App) -> anyhow::Result<String> {
    let now = app.clock.now();
    let token = fresh(app);
    app.store
        .add_login_link(&hash(&token), now.after(LINK), now)
        .await?;
    Ok(token)
}

/// Uses a link up and begins a session; gives its cookie.
pub async fn by_link(app: &App, token: &str, guest: &Guest) -> anyhow::Result<Option<String>> {
    match app
        .store
        .use_login_link(&hash(token), app.clock.now())
        .await?
    {
        true => Ok(Some(begin(app, "link", guest).await?)),
        false => Ok(None),
    }
}

/// Tries a password, and a code where the second factor is on; gives the cookie of a new session.
pub async fn by_password(app: &App, typed: Typed, guest: &Guest) -> anyhow::Result<Option<String>> {
    let now = app.clock.now();
    let client = network::client(guest.client);
    let network = app.keyring.network_hash(now.day(), client);
    let number = app.chance.key();
    let tries = app
        .store
        .note_try(number, &network, now.before(tries::REMEMBERED), now)
        .await?;
    if tries::wait(&tries, now) > Duration::ZERO {
        app.store.forget_try(number).await?;
        tracing::warn!("a login was not looked at: too many failed before it");
        return Ok(None);
    }
    let account = app.store.admin_account().await?;
    let known = password::matches(typed.password, account.password.clone()).await?;
    // The code is used up only together with the password.
    if !known || !totp::holds(app, &account, &typed.code).await? {
        tracing::warn!("a login failed");
        return Ok(None);
    }
    app.store.forget_tries(&network).await?;
    Ok(Some(begin(app, "password", guest).await?))
}

async fn begin(app: &App, way: &str, guest: &Guest) -> anyhow::Result<String> {
    let now = app.clock.now();
    let cookie = fresh(app);
    let session = Session {
        id: app.chance.key(),
        way: way.to_owned(),
        begun_at: now.0,
        seen_at: now.0,
        agent: clean(&guest.agent, AGENT),
    };
    let (whole, idle) = bounds(now);
    app.store
        .begin_session(&hash(&cookie), &session, whole, idle)
        .await?;
    tracing::info!(session.id = session.id, way, "the author logged in");
    note(app, session.id, "logged in", &format!("by {way}")).await?;
    Ok(cookie)
}

/// The session that a cookie opens, noted as seen now.
pub async fn look(app: &App, cookie: &str) -> anyhow::Result<Option<Session>> {
    let now = app.clock.now();
    let (whole, idle) = bounds(now);
    let found = app.store.session(&hash(cookie), whole, idle).await?;
    if let Some(session) = &found
        && now.since(Timestamp(session.seen_at)) >= SEEN
    {
        app.store.touch_session(session.id, now).await?;
    }
    Ok(found)
}

/// Every session that is not over, the last seen first.
pub async fn sessions(app: &App) -> anyhow::Result<Vec<Session>> {
    let (whole, idle) = bounds(app.clock.now());
    Ok(app.store.sessions(whole, idle).await?)
}

/// Keeps what was done in a session: `about` names a run or a reader's key, never an address.
pub async fn note(app: &App, session: i64, what: &str, about: &str) -> anyhow::Result<()> {
    keep(app, session, "", what, about).await
}

/// Keeps what a command changes: `who` gave it, as the machine calls them.
pub async fn note_command(app: &App, who: &str, what: &str, about: &str) -> anyhow::Result<()> {
    keep(app, COMMAND, who, what, about).await
}

/// Who does what takes long, so that it is told in the audit where it begins.
#[derive(Clone, Debug)]
pub struct Doer {
    session: i64,
    who: String,
}

impl Doer {
    /// Whoever has the session.
    pub fn session(id: i64) -> Doer {
        Doer {
            session: id,
            who: String::new(),
        }
    }

    /// Whoever gave the command, as the machine calls them.
    pub fn command(who: String) -> Doer {
        Doer {
            session: COMMAND,
            who,
        }
    }

    /// Keeps what is done, as [`note`] does.
    pub async fn note(&self, app: &App, what: &str, about: &str) -> anyhow::Result<()> {
        keep(app, self.session, &self.who, what, about).await
    }
}

async fn keep(app: &App, session: i64, who: &str, what: &str, about: &str) -> anyhow::Result<()> {
    let line = AuditLine {
        at: app.clock.now().0,
        id: app.chance.key(),
        session,
        who: who.to_owned(),
        what: what.to_owned(),
        about: about.to_owned(),
    };
    Ok(app.store.note_audit(&line).await?)
}

/// Begun and seen after these, a session is not over.
fn bounds(now: Timestamp) -> (Timestamp, Timestamp) {
    (now.before(WHOLE), now.before(IDLE))
}

/// 256 random bits as 43 characters.
fn fresh(app: &App) -> String {
    let mut bits = [0; 32];
    app.chance.fill(&mut bits);
    URL_SAFE_NO_PAD.encode(bits)
}

/// What is kept of a cookie or a link. They are random, so a plain hash is as good as a slow one.
fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
