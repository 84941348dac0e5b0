//! Files that hold a secret: the keyring, and the private keys of DKIM.
//!
//! Promises: written with mode 0600 and never over another file; refused when group or others may read
//! them; errors name the file and never quote it. Leaves what stands inside to whoever reads it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, ensure};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A key file is a few KB; what is longer than this is something else.
const LIMIT: u64 = 64 * 1024;

/// Reads the secret file at `path`. `what` names it in errors, and `else_do` says what to do without it.
pub fn read(path: &Path, what: &str, else_do: &str) -> anyhow::Result<String> {
    let name = path.display();
    let file =
        File::open(path).with_context(|| format!("{what} `{name}` cannot be read; {else_do}"))?;
    // Asked of the open file, not of the path: what is checked is what is read.
    let metadata = file
        .metadata()
        .with_context(|| format!("{what} `{name}`"))?;
    let mode = metadata.permissions().mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "{what} `{name}` may be read by others (mode {mode:04o}); run `chmod 600 {name}`"
    );
    let mut text = String::new();
    file.take(LIMIT)
        .read_to_string(&mut text)
        .with_context(|| format!("{what} `{name}`"))?;
    Ok(text)
}

/// Writes `text` to a new file of mode 0600, durably; an existing file is never overwritten.
pub fn create(path: &Path, what: &str, text: &str) -> anyhow::Result<()> {
    let name = path.display();
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{what} `{name}` cannot be created"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("{what} `{name}`"))
}

/// A fresh RSA key of 2048 bits as PKCS#8 in PEM (RFC 7468, section 10), from the cryptographic
/// library's own generator. RFC 8301, section 3.2 asks signers for 2048 bits.
pub fn generate_rsa() -> anyhow::Result<String> {
    let key = KeyPair::generate(KeySize::Rsa2048)
        .ok()
        .context("the RSA key could not be generated")?;
    let der = key
        .as_der()
        .ok()
        .context("the RSA key has no PKCS#8 form")?;
    Ok(pem(der.as_ref()))
}

/// A fresh Ed25519 key in the same form (RFC 8410, section 7).
pub fn generate_ed25519() -> anyhow::Result<String> {
    let der = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())
        .ok()
        .context("the Ed25519 key could not be generated")?;
    Ok(pem(der.as_ref()))
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}
