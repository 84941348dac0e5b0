//! By which DKIM keys a copy was signed, and those keys again after a rotation.
//!
//! Promises: a copy is signed again by the keys of then or by none, and never by today's in their place.

use crate::app::App;
use crate::dkim::Signer;
use crate::keyfile;
use crate::message::copy::CopyRecord;
use crate::message::{MessageTemplate, SignedBy, UNSIGNED};
use crate::store::{Store, StoreError};

/// Before the mark of who signs: what it means.
const PREFIX: &str = "dkim:";

/// Notes who signs the copies of a template, for those who ask after a rotation.
pub(crate) async fn note(app: &App, signed: &SignedBy) -> anyhow::Result<()> {
    let key = format!("{PREFIX}{}", signed.mark);
    // Read first: nothing is written where it stands already.
    if signed.mark != UNSIGNED && app.store.meta(&key).await?.is_none() {
        app.store.meta_or_insert(&key, &signed.keys).await?;
    }
    Ok(())
}

/// By what each key is known that ever signed copies.
pub(crate) async fn keys(store: &Store) -> Result<Vec<String>, StoreError> {
    let noted = store.metas(PREFIX).await?;
    let keys = noted.iter().flat_map(|(_, keys)| keys.lines());
    Ok(keys.map(str::to_owned).collect())
}

/// The mark of who signed the copy, where that is not who would sign it today.
pub(super) fn differs<'a>(template: &MessageTemplate, copy: &'a CopyRecord) -> Option<&'a str> {
    let then = copy.signed.as_deref()?;
    (then != template.signed_by().mark).then_some(then)
}

/// The keys behind a mark as far as their files are still here; nobody, and why, where one of them is not.
pub(super) async fn then(app: &App, mark: &str) -> anyhow::Result<(Vec<Signer>, Option<String>)> {
    if mark == UNSIGNED {
        return Ok((Vec::new(), None));
    }
    let Some(keys) = app.store.meta(&format!("{PREFIX}{mark}")).await? else {
        let why = "its DKIM signature is left out: it was signed by another key than today's";
        return Ok((Vec::new(), Some(why.to_owned())));
    };
    let signers: Option<Vec<Signer>> = keys.lines().map(|key| found(app, key)).collect();
    match signers {
        Some(signers) => Ok((signers, None)),
        None => {
            let names = keys.lines().filter_map(|key| key.split(' ').next());
            let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            let why = format!(
                "its DKIM signature is left out: it was signed as {}, whose key is not the one of today, and not found \
                 as `dkim-SELECTOR.pem` beside the configuration",
                names.join(" and ")
            );
            Ok((Vec::new(), Some(why)))
        }
    }
}

/// The key that is known so, from the configuration's own files or from where `keys dkim` puts those it makes.
fn found(app: &App, known_by: &str) -> Option<Signer> {
    let (selector, rest) = known_by.split_once("._domainkey.")?;
    let (domain, _) = rest.split_once(' ')?;
    if selector.contains('/') {
        return None;
    }
    let dkim = &app.config.dkim;
    let configured = [&dkim.key, &dkim.ed25519_key].into_iter().flatten();
    let beside = std::path::PathBuf::from(format!("dkim-{selector}.pem"));
    let files = configured.chain(std::iter::once(&beside));
    let mut signers = files.filter_map(|file| {
        let pem = keyfile::read(&app.base.join(file), "DKIM key", "").ok()?;
        let signer = Signer::from_pem(domain, selector, &pem).ok()?;
        Some(match Signer::is_sparing(known_by) {
            true => signer.sparing(),
            false => signer,
        })
    });
    signers.find(|signer| signer.known_by() == known_by)
}
