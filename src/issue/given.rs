//! What an issue is read with: what its slots may hold, and what is the same in every copy.
//!
//! Promises: the list that an issue speaks of is the one that it goes to, whoever compiles it. Leaves it to the
//! caller to ask the database what its lists are called.

use std::collections::BTreeMap;

use crate::compile::press::Mail;
use crate::config::typography::Typography;
use crate::issue::front::Front;
use crate::segment::named::Segments;
use crate::subscriber::field::FieldTable;

/// What readers call the lists there are, by their short names; empty where there is no database to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Titles(BTreeMap<String, String>);

impl FromIterator<(String, String)> for Titles {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(lists: T) -> Titles {
        Titles(lists.into_iter().collect())
    }
}

/// What an issue is read with.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    pub fields: &'a FieldTable,
    pub mail: Mail,
    /// The publication's name.
    pub publication: &'a str,
    /// Base of every link, without a trailing slash.
    pub url: &'a str,
    /// Short name of the publication's list; the front matter may name another.
    pub list: &'a str,
    /// The list it is sent to, whatever the front matter says.
    pub chosen: Option<&'a str>,
    pub titles: &'a Titles,
    /// The subject, whatever the front matter says.
    pub subject: Option<&'a str>,
    /// BCP 47; the front matter may say another.
    pub language: &'a str,
    /// How words are set; the front matter may say another way.
    pub typography: Typography,
    /// The declared segments, and the zone in which their days begin.
    pub segments: &'a Segments,
    pub zone: &'a str,
}

impl<'a> Given<'a> {
    /// Short name of the list that an issue with this front matter goes to.
    pub fn list_of(&self, front: &'a Front) -> &'a str {
        self.chosen.or(front.list.as_deref()).unwrap_or(self.list)
    }

    /// Both names of that list.
    pub fn list_named(&self, front: &Front) -> (String, String) {
        (
            self.list_of(front).to_owned(),
            self.title_of(front).to_owned(),
        )
    }

    /// What readers call that list. Who does not know yet calls the publication's own as it will be called when
    /// it is made, and any other by its short name.
    pub fn title_of(&self, front: &'a Front) -> &'a str {
        let list = self.list_of(front);
        match self.titles.0.get(list) {
            Some(title) => title,
            None if list == self.list => self.publication,
            None => list,
        }
    }
}
