//! The author's password: argon2id, one at a time, away from the threads that answer readers.
//!
//! Promises: a try costs the same whether a password is set or not; no password is in an error or a log.

use anyhow::{Context, anyhow, ensure};
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::app::App;

/// Characters at least: what nobody guesses at the few tries there are.
pub const SHORTEST: usize = 12;
/// Octets at most.
const LONGEST: usize = 1024;
/// One hash takes 19 MiB and some 30 ms: many at one time would be an attack on the sender beside it.
static ONE: Semaphore = Semaphore::const_new(1);

/// Sets the password and ends every session; gives how many there were.
pub async fn set(app: &App, password: SecretString) -> anyhow::Result<u64> {
    let length = password.expose_secret().chars().count();
    ensure!(
        length >= SHORTEST,
        "the password has {length} characters; {SHORTEST} is the least, and a sentence is better"
    );
    ensure!(
        password.expose_secret().len() <= LONGEST,
        "the password is longer than {LONGEST} octets"
    );
    let mut salt = [0; 16];
    app.chance.fill(&mut salt);
    let made = hashing(move || {
        let made = hasher().hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
        made.map(|made| made.to_string())
    });
    let made = made.await?;
    let made = made.map_err(|error| anyhow!("the password could not be hashed: {error}"))?;
    Ok(app.store.set_admin_password(&made).await?)
}

/// Whether `password` is the one whose hash is `kept`; never where none is kept.
pub(super) async fn matches(password: SecretString, kept: Option<String>) -> anyhow::Result<bool> {
    if password.expose_secret().len() > LONGEST {
        return Ok(false);
    }
    hashing(move || {
        let password = password.expose_secret().as_bytes();
        match kept {
            Some(kept) => hasher().verify_password(password, kept.as_str()).is_ok(),
            None => {
                // The same work for nothing: an answer's time does not tell that no password is set.
                hasher().hash_password_with_salt(password, &[0; 16]).ok();
                false
            }
        }
    })
    .await
}

/// OWASP's first choice for argon2id, which is the library's default: 19 MiB, two passes, one lane.
fn hasher() -> Argon2<'static> {
    Argon2::default()
}

async fn hashing<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let _one = ONE.acquire().await.context("the hasher is closed")?;
    let done = tokio::task::spawn_blocking(work);
    done.await.context("the hasher panicked")
}
