//! What the sending process tells the others of its relays: which take no mail or no more, why, since when,
//! when they are tried next, and which go on.

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::clock::Timestamp;
use crate::store::StoreError;

/// One or more relays take no mail now, or no more of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub relays: Vec<RelayTrouble>,
    /// Relays of `send.relay` that do.
    pub working: Vec<String>,
}

/// A relay that takes no mail now, or no more of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayTrouble {
    pub relay: String,
    pub ail: Ail,
    /// The relay's words or the system's, without addresses.
    pub why: String,
    pub since: Timestamp,
    /// When it is tried next, or goes on; 0 where it never stopped.
    pub next: Timestamp,
}

/// What keeps a relay from taking mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ail {
    /// It cannot be reached, or refuses everyone.
    Broken,
    /// A cap of the configuration is used up.
    Full,
    /// It carries what it may each second, and others the rest.
    Spread,
    /// One of those whom it delivers to takes nothing now.
    Partly,
}

impl Ail {
    /// The name in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Ail::Broken => "broken",
            Ail::Full => "full",
            Ail::Spread => "spread",
            Ail::Partly => "partly",
        }
    }

    /// Whether no mail at all goes through it.
    pub fn rests(self) -> bool {
        matches!(self, Ail::Broken | Ail::Full)
    }
}

impl Trouble {
    /// What the senders of this database last told; none while all is well.
    pub async fn told(app: &App) -> Result<Option<Trouble>, StoreError> {
        let told = app.store.told_troubles().await?;
        let each = told.iter().map(|text| Trouble::parse(text.as_deref()?));
        let each: Vec<Option<Trouble>> = each.collect();
        let config = &app.config;
        let used = config.relays_of(&config.send.relay).unwrap_or_default();
        Ok(Trouble::together(&each, &used))
    }

    /// What the senders find together: what fails for one is told, and what goes out through any goes out.
    fn together(each: &[Option<Trouble>], used: &[&str]) -> Option<Trouble> {
        let mut relays: Vec<RelayTrouble> = Vec::new();
        for one in each.iter().flatten().flat_map(|trouble| &trouble.relays) {
            match relays.iter_mut().find(|known| known.relay == one.relay) {
                Some(known) if known.since <= one.since => {}
                Some(known) => *known = one.clone(),
                None => relays.push(one.clone()),
            }
        }
        let works = |name: &str| {
            let mut each = each.iter();
            each.any(|trouble| match trouble {
                Some(trouble) => trouble.working.iter().any(|working| working == name),
                None => true,
            })
        };
        let working = used.iter().filter(|name| works(name));
        let working = working.map(|&name| name.to_owned()).collect();
        (!relays.is_empty()).then_some(Trouble { relays, working })
    }

    /// As it stands in the database; the empty text is none.
    pub fn parse(text: &str) -> Option<Trouble> {
        if text.is_empty() {
            return None;
        }
        // An older program wrote a sentence.
        let sentence = || Trouble {
            relays: vec![RelayTrouble {
                relay: String::new(),
                ail: Ail::Broken,
                why: text.to_owned(),
                since: Timestamp(0),
                next: Timestamp(0),
            }],
            working: Vec::new(),
        };
        Some(serde_json::from_str(text).unwrap_or_else(|_| sentence()))
    }

    /// As it goes into the database.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers have a JSON form")
    }

    /// What of it concerns a run that goes through `names` alone.
    pub fn among(mut self, names: &[&str]) -> Option<Trouble> {
        self.relays
            .retain(|trouble| names.contains(&trouble.relay.as_str()));
        let rests = |name: &str| {
            let mut relays = self.relays.iter();
            relays.any(|trouble| trouble.relay == name && trouble.ail.rests())
        };
        // One that fails for one sender may work for another.
        let elsewhere = |name: &str| self.working.iter().any(|working| working == name);
        let working = names.iter().filter(|name| elsewhere(name) || !rests(name));
        self.working = working.map(|&name| name.to_owned()).collect();
        (!self.relays.is_empty()).then_some(self)
    }

    /// Whether nothing goes out at all.
    pub fn is_standstill(&self) -> bool {
        self.working.is_empty()
    }

    /// One sentence for each relay, and what is unaffected.
    pub fn sentence(&self) -> String {
        let each: Vec<String> = self.relays.iter().map(RelayTrouble::sentence).collect();
        let rest = match self.working.as_slice() {
            [] => "what is queued waits, and no reader is charged".to_owned(),
            names => format!("mail goes out through {}", names.join(", ")),
        };
        format!("{}; {rest}", each.join("; "))
    }
}

impl RelayTrouble {
    /// Which relay, why, since when, and when it is tried next.
    pub fn sentence(&self) -> String {
        if self.relay.is_empty() {
            return self.why.clone();
        }
        let (relay, why) = (&self.relay, &self.why);
        match self.ail {
            Ail::Broken | Ail::Partly => {
                let (since, next) = (self.since.to_rfc3339(), self.next.to_rfc3339());
                format!("relay {relay}: {why}, since {since}, next try at {next}")
            }
            Ail::Full => {
                let at = self.next.to_jiff().strftime("%H:%M UTC");
                format!("relay {relay}: {why}; goes on at {at}")
            }
            Ail::Spread => format!("relay {relay}: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ail, RelayTrouble, Trouble};
    use crate::clock::Timestamp;

    #[test]
    fn what_is_told_is_read_back_and_says_what_goes_on() {
        let mut trouble = Trouble {
            relays: vec![RelayTrouble {
                relay: "main".into(),
                ail: Ail::Broken,
                why: "smtp, connecting: refused".into(),
                since: Timestamp(0),
                next: Timestamp(4_000),
            }],
            working: vec!["spare".into()],
        };
        assert_eq!(Trouble::parse(&trouble.to_json()).as_ref(), Some(&trouble));
        assert_eq!(
            trouble.sentence(),
            "relay main: smtp, connecting: refused, since 1970-01-01T00:00:00Z, next try at \
             1970-01-01T00:00:04Z; mail goes out through spare"
        );
        trouble.working.clear();
        assert!(trouble.is_standstill());
        assert!(trouble.sentence().ends_with("no reader is charged"));
        trouble.relays[0].ail = Ail::Full;
        trouble.relays[0].why = "warm-up of news.example: 1,500 of 1,500 today".into();
        trouble.relays[0].next = Timestamp(86_400_000);
        let start =
            "relay main: warm-up of news.example: 1,500 of 1,500 today; goes on at 00:00 UTC; ";
        assert!(
            trouble.sentence().starts_with(start),
            "{}",
            trouble.sentence()
        );
        trouble.working = vec!["spare".into()];
        let pinned = trouble.clone().among(&["main"]).expect("it concerns it");
        assert!(pinned.is_standstill());
        assert_eq!(trouble.clone().among(&["spare"]), None);
        assert_eq!(
            trouble.clone().among(&["main", "spare"]),
            Some(trouble.clone())
        );
        let each = [Some(pinned.clone()), None];
        let both = Trouble::together(&each, &["main", "spare"]).expect("one of them");
        assert_eq!((&both.relays, both.working.len()), (&pinned.relays, 2));
        assert!(
            !both
                .clone()
                .among(&["main"])
                .expect("it is")
                .is_standstill()
        );
        let each = [Some(pinned.clone()), Some(pinned.clone())];
        assert_eq!(Trouble::together(&each, &["main"]), Some(pinned));
        assert_eq!(Trouble::together(&[None, None], &["main"]), None);
        trouble.relays[0].ail = Ail::Spread;
        trouble.relays[0].why = "is at its 40 messages a second".into();
        trouble.working = vec!["main".into(), "spare".into()];
        assert_eq!(
            trouble.sentence(),
            "relay main: is at its 40 messages a second; mail goes out through main, spare"
        );
        assert_eq!(Trouble::parse(""), None);
        let older = Trouble::parse("relay main: 421").expect("a sentence");
        assert!(older.sentence().starts_with("relay main: 421; "));
    }
}
