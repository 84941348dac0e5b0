//! Erasing a reader: she goes, and no import brings her back under an address that she had.
//!
//! Promises: what is left of her is a keyed hash of each of her addresses, as far as her copies still tell of them, one of
//! each of their mailboxes, under whatever spelling, and numbers that belong to nobody; an address that is another reader's by now is left to that one. Leaves what goes to
//! `store::identity`.

use std::collections::BTreeSet;

use crate::app::App;
use crate::id::SubscriberId;
use crate::message::copy::CopyRecord;
use crate::store::identity::Address;

/// Erases the reader. True if there was one.
pub async fn erase(app: &App, reader: SubscriberId) -> anyhow::Result<bool> {
    let copies = app.store.copies_of(reader).await?;
    let read = copies
        .iter()
        .filter_map(|copy| CopyRecord::from_json(copy).ok());
    let mut addresses: BTreeSet<String> = read.map(|copy| copy.to.canonical()).collect();
    let own = app.store.kept_reader(reader).await?;
    addresses.extend(own.map(|own| own.canonical));
    let hashed = addresses.into_iter().map(|canonical| Address {
        hash: app.keyring.address_hash(&canonical),
        mailbox: app.keyring.mailbox_hash(&canonical),
        canonical,
    });
    let former: Vec<_> = hashed.collect();
    Ok(app.store.erase(reader, &former, app.clock.now()).await?)
}
