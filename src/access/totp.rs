//! The second factor: codes of six digits that change every 30 seconds (RFC 6238).
//!
//! Promises: a code is good once, within the step before and after its own; the database holds a salt, and
//! the secret is made of it by the keyring. So neither a copy of the database nor one of the keyring alone
//! gives codes.

use anyhow::{Context, anyhow};
use totp_rs::{Builder, Secret, Totp};

use crate::app::App;
use crate::clock::Timestamp;
use crate::store::access::Account;

/// A second factor that is offered and not yet on.
pub struct Offer {
    salt: String,
    totp: Totp,
}

/// A fresh one.
pub fn offer(app: &App) -> anyhow::Result<Offer> {
    let salt = format!("{:016x}{:016x}", app.chance.key(), app.chance.key());
    let totp = totp(app, &salt)?;
    Ok(Offer { salt, totp })
}

impl Offer {
    /// The secret as it is typed into an app.
    pub fn secret(&self) -> String {
        self.totp.secret().to_base32()
    }

    /// The address that an app reads from a picture.
    pub fn url(&self) -> anyhow::Result<String> {
        let url = self.totp.to_url();
        url.map_err(|error| anyhow!("the address of the second factor: {error}"))
    }

    /// Turns it on if `code` is one of its own; the code is used up by that.
    pub async fn accept(&self, app: &App, code: &str) -> anyhow::Result<bool> {
        let Some(step) = step_of(&self.totp, code, app.clock.now()) else {
            return Ok(false);
        };
        app.store.set_admin_totp(Some(&self.salt), step).await?;
        Ok(true)
    }
}

/// Turns it off.
pub async fn turn_off(app: &App) -> anyhow::Result<()> {
    Ok(app.store.set_admin_totp(None, 0).await?)
}

/// Whether `code` may pass now; any does while it is off. A code that passes is used up.
pub(super) async fn holds(app: &App, account: &Account, code: &str) -> anyhow::Result<bool> {
    let Some(salt) = &account.totp_salt else {
        return Ok(true);
    };
    match step_of(&totp(app, salt)?, code, app.clock.now()) {
        Some(step) => Ok(app.store.use_totp_step(step).await?),
        None => Ok(false),
    }
}

/// The step whose code this is, of the one now and its neighbours.
fn step_of(totp: &Totp, code: &str, now: Timestamp) -> Option<i64> {
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let step = totp.check(&digits, u64::try_from(now.seconds()).ok()?)?;
    i64::try_from(step).ok()
}

fn totp(app: &App, salt: &str) -> anyhow::Result<Totp> {
    // A colon parts issuer and account in the address.
    let issuer = app.config.publication.name.replace(':', " ");
    let secret = Secret::new(Box::new(app.keyring.totp_secret(salt)));
    let builder = Builder::new()
        .with_secret(secret)
        .with_issuer(Some(issuer))
        .with_account_name("author");
    builder
        .build()
        .map_err(|error| anyhow!("{error}"))
        .context("the second factor")
}
