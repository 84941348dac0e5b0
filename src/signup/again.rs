//! Back on a list that a reader left long ago, wished for on her preferences page.
//!
//! Promises: her link alone brings nobody back, for it stands in every copy that was passed on; a mail to her address
//! does, within the limits of the form.

use crate::id::ListId;
use crate::signup::{SKEW, Signups};
use crate::store::preferences::Reader;
use crate::store::signup::{SignUp, SignedUp};

impl Signups {
    /// Asks `reader` by mail whether she wants to be on `lists`. `revision` is the compiled confirm mail's. True when
    /// a mail waits to be sent by this call.
    pub async fn ask_again(
        &self,
        reader: &Reader,
        lists: &[ListId],
        revision: &str,
    ) -> anyhow::Result<bool> {
        let (now, chance) = (self.app.clock.now(), &self.app.chance);
        let (signup, keyring) = (&self.app.config.signup, &self.app.keyring);
        let lists: Vec<(ListId, i64)> = lists.iter().map(|list| (*list, chance.key())).collect();
        let folded = reader.address.mailbox();
        let asked = SignUp {
            lists: &lists,
            address: reader.address.as_str(),
            canonical: &reader.canonical,
            hash: reader.hash,
            mailbox: keyring.address_hash(&folded),
            limit: keyring.address_hash(&format!("limit\0{folded}")),
            name: "",
            fields: "{}",
            tags: &[],
            subscriber: chance.key(),
            nonce: chance.key(),
            nonces_before: now.before(signup.form_max_age + SKEW),
            mailed_after: now.before(signup.address_window),
            per_hour: signup.confirms_per_hour,
            revision,
            known: None,
            reminded: keyring.address_hash(&format!("known\0{folded}")),
            at: now,
        };
        Ok(self.app.store.sign_up(&asked).await? == SignedUp::Mailed)
    }
}
