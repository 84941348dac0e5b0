//! What a reader says of herself: the subscribe form's fields and tags, seen, changed and taken back.
//!
//! Promises: what the form asks is all that is shown and changed, and of the same kinds; what is emptied is forgotten,
//! but no field that every reader has. Leaves to the pages who may see it.

use crate::id::SubscriberId;
use crate::signup::Signups;
use crate::signup::offer::{Offer, Wrong};
use crate::store::about::Saying;

/// The form's questions, and her answers as they are typed.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Without lists: those are chosen elsewhere.
    pub offer: Offer,
    pub values: Vec<(String, String)>,
    pub tags: Vec<String>,
}

impl Signups {
    /// Whether there is anything that she is asked.
    pub fn asks(&self) -> bool {
        let offer = self.asked.offer_of_herself();
        !offer.fields.is_empty() || !offer.tags.is_empty()
    }

    /// What a reader has said so far.
    pub async fn about(&self, reader: SubscriberId) -> anyhow::Result<About> {
        let offer = self.asked.offer_of_herself();
        if !self.asks() {
            return Ok(About::default());
        }
        let Some(said) = self.app.store.said(reader).await? else {
            return Ok(About::default());
        };
        Ok(About {
            values: self.asked.typed(&said.name, &said.fields),
            tags: said.tags,
            offer,
        })
    }

    /// Takes new answers, all of them at once: what is missing is taken back. The inner error says what to look at.
    pub async fn say(
        &self,
        reader: SubscriberId,
        values: &[(String, String)],
        tags: &[String],
    ) -> anyhow::Result<Result<(), Wrong>> {
        let typed = match self.asked.whole(values, tags) {
            Ok(typed) => typed,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let unticked = self.asked.unticked(values);
        let mut asked = self.asked.declared();
        asked.retain(|name| !unticked.contains(name));
        let saying = Saying {
            name: self.asked.asks_name().then_some(typed.name.as_str()),
            fields: &typed.fields,
            asked: &asked,
            unticked: &unticked,
            tags: &typed.tags,
            offered: &self.app.config.signup.tags,
        };
        self.app.store.say(reader, &saying).await?;
        Ok(Ok(()))
    }
}
