//! Who signs: the DKIM keys of the configuration, for one relay and one From address.

use std::path::Path;

use crate::address::EmailAddress;
use crate::config::{Config, Relay};
use crate::dkim::Signer;
use crate::keyfile;

/// Who signs for `relay`: nobody where the relay signs itself or no key is configured, and the Ed25519 key
/// as the second where the relay takes two signatures. Where the relay rewrites fields, they are not signed. The keys'
/// paths start at `base`, the folder of the configuration file.
pub fn signers(config: &Config, base: &Path, relay: &Relay) -> anyhow::Result<Vec<Signer>> {
    let dkim = &config.dkim;
    let wanted = relay.is_signed();
    let second = relay.kind.traits().signatures > 1;
    let domain = dkim
        .domain
        .as_deref()
        .unwrap_or(config.from.address.domain());
    let keys = [
        (&dkim.key, &dkim.selector, wanted),
        (&dkim.ed25519_key, &dkim.ed25519_selector, wanted && second),
    ];
    let mut signers = Vec::new();
    for (key, selector, wanted) in keys {
        let Some(file) = key.as_ref().filter(|_| wanted) else {
            continue;
        };
        let pem = keyfile::read(
            &base.join(file),
            "DKIM key",
            "`pressrun keys dkim` makes one",
        )?;
        let signer = Signer::from_pem(domain, selector, &pem)?;
        signers.push(match relay.kind.traits().rewrites {
            true => signer.sparing(),
            false => signer,
        });
    }
    Ok(signers)
}

/// [`signers`] of a mail from `from`: they speak for its domain where `dkim.domain` names no other. A run's From address
/// is frozen with it, and today's domain would not speak for it.
pub fn speaking_for(
    config: &Config,
    signers: impl IntoIterator<Item = Signer>,
    from: &EmailAddress,
) -> Vec<Signer> {
    let own = |signer: Signer| match config.dkim.domain {
        Some(_) => signer,
        None => signer.speaking_for(from.domain()),
    };
    signers.into_iter().map(own).collect()
}
