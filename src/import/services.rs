//! The exports of other services, recognised by their header rows.
//!
//! Promises: what a service calls its columns and statuses is data (`services.toml`, with its sources); a header
//! is recognised by whole sets of names, so that one stray column makes no Mailchimp of a table. Leaves what a
//! row says to `columns`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

pub(super) const TABLE: &str = include_str!("services.toml");

/// How a reader stands in the file; what goes before what, the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Gets the newsletter there.
    Joined,
    /// Asked for it and never confirmed.
    Pending,
    /// Wants none for now.
    Paused,
    /// Has left.
    Left,
    Bounced,
    Complained,
    /// Kept out by the service or its owner.
    Blocked,
}

impl Standing {
    /// The word for it, which is read of any table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Standing::Joined => "joined",
            Standing::Pending => "pending",
            Standing::Paused => "paused",
            Standing::Left => "left",
            Standing::Bounced => "bounced",
            Standing::Complained => "complained",
            Standing::Blocked => "blocked",
        }
    }

    /// Whether the reader got the newsletter there and does not any more.
    pub(super) fn ends(self) -> bool {
        self == Standing::Left || self.suppressed().is_some()
    }

    /// Why the address is never to be mailed again, if it is not.
    pub fn suppressed(self) -> Option<&'static str> {
        match self {
            Standing::Bounced | Standing::Complained | Standing::Blocked => Some(self.name()),
            Standing::Joined | Standing::Pending | Standing::Paused | Standing::Left => None,
        }
    }
}

/// One service: its columns by what they hold. Every name and word is folded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Empty for a table of nobody in particular.
    pub name: String,
    known_by: Vec<Vec<String>>,
    /// Columns with which such a header is another's.
    #[serde(default)]
    without: Vec<String>,
    pub email: Vec<String>,
    #[serde(default)]
    pub(super) name_of: Vec<String>,
    #[serde(default)]
    pub(super) first: Vec<String>,
    #[serde(default)]
    pub(super) last: Vec<String>,
    #[serde(default)]
    pub(super) status: Vec<String>,
    /// Columns that speak of mail in some of their words only.
    #[serde(default)]
    pub(super) hints: Vec<String>,
    #[serde(default)]
    statuses: BTreeMap<Standing, Vec<String>>,
    #[serde(default)]
    pub(super) joined: Vec<String>,
    #[serde(default)]
    pub(super) left: Vec<String>,
    #[serde(default)]
    pub(super) gone: BTreeMap<Standing, Vec<String>>,
    #[serde(default)]
    pub(super) wanted: Vec<String>,
    /// Columns that say nothing of mail, whatever they are called.
    #[serde(default)]
    pub(super) nothing: Vec<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) json: Vec<String>,
    /// What stands before the name of a field of the author's.
    #[serde(default)]
    pub(super) inside: String,
    #[serde(default)]
    files: BTreeMap<Standing, String>,
    /// What whoever imports such a file must know.
    #[serde(default)]
    pub(super) note: String,
}

/// What gives a column away that nobody reads: parts of folded names and cells, or whole words of a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Doubts {
    /// In a cell: its reader wants no mail, or never asked for it.
    pub(super) cells: Vec<String>,
    /// In a header: the column is filled for those who get none.
    pub(super) gone: BTreeMap<Standing, Vec<String>>,
    /// Words of a header: the same, where no other column tells how readers stand.
    pub(super) perhaps: Vec<String>,
    /// In a header: what is no yes in it is perhaps none to mail.
    pub(super) wanted: Vec<String>,
    /// Words of a header: the same.
    pub(super) wanted_words: Vec<String>,
    /// In a header: whether somebody agreed, and not how often.
    pub(super) agreed: Vec<String>,
    /// Words of a header: it says where or how somebody agreed, and many words are no no there.
    pub(super) about: Vec<String>,
    /// Words of a header: it counts something, and a number in it is no answer.
    pub(super) counted: Vec<String>,
    /// Parts of cells that are a no under a name of consent, whatever stands beside them.
    pub(super) refused: Vec<String>,
    /// Words that stand in times, besides figures, and what those of months begin with.
    pub(super) times: Vec<String>,
    pub(super) months: Vec<String>,
    /// Cells that are a yes under a name of consent.
    pub(super) yes: Vec<String>,
    /// What words of a header begin with: it speaks of something else than mail.
    pub(super) other: Vec<String>,
    /// In a header: it speaks of mail all the same.
    pub(super) of_mail: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    service: Vec<Service>,
    doubts: Doubts,
}

impl Service {
    /// The service that writes such a header; the last entry of the table fits any.
    pub fn of(header: &[String]) -> &'static Service {
        let names: Vec<String> = header.iter().map(|name| folded(name)).collect();
        let fits = |service: &&Service| {
            service.fits(&names) && !service.without.iter().any(|name| names.contains(name))
        };
        services()
            .iter()
            .find(fits)
            .expect("the last entry asks for no column")
    }

    /// The services besides `taken` whose header it may be.
    pub(super) fn others(header: &[String], taken: &Service) -> Vec<&'static Service> {
        let names: Vec<String> = header.iter().map(|name| folded(name)).collect();
        let fits = |service: &&Service| service.is_known() && service.fits(&names);
        let others = services().iter().filter(fits);
        others.filter(|other| other.name != taken.name).collect()
    }

    fn fits(&self, names: &[String]) -> bool {
        let holds = |set: &Vec<String>| set.iter().all(|name| names.contains(name));
        self.known_by.iter().any(holds)
    }

    /// What counts for any table.
    pub(super) fn any() -> &'static Service {
        services()
            .last()
            .expect("a test reads the table of this build")
    }

    /// Whether the header was that of a service, and not of just any table.
    pub fn is_known(&self) -> bool {
        !self.name.is_empty()
    }

    /// What the word in the status column means, to this service or else in any table; none when it is not known.
    pub(super) fn standing(&self, word: &str) -> Option<Standing> {
        let word = folded(word);
        let means = |(_, words): &(&Standing, &Vec<String>)| words.contains(&word);
        let any = || Service::any().statuses.iter().find(means);
        let found = self.statuses.iter().find(means).or_else(any);
        found.map(|(&standing, _)| standing)
    }

    /// How readers stand in a file of this name at least.
    pub(super) fn standing_of_file(&self, name: &str) -> Standing {
        let name = folded(name);
        let begins = |(_, prefix): &(&Standing, &String)| name.starts_with(prefix.as_str());
        let found = self.files.iter().find(begins);
        found.map_or(Standing::Joined, |(&standing, _)| standing)
    }
}

/// A header or a word without case, blanks and punctuation.
pub(super) fn folded(text: &str) -> String {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// The words of a header, folded: `smsOptIn` and `SMS opt-in` are three.
pub(super) fn words(header: &str) -> Vec<String> {
    let letters: Vec<char> = header.chars().collect();
    let mut words = vec![String::new()];
    for (place, &letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).map(|before| letters[before]);
        let is_lower = |letter: Option<char>| letter.is_some_and(char::is_lowercase);
        let behind = letters.get(place + 1).copied();
        let begins = letter.is_uppercase() && (is_lower(before) || is_lower(behind));
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push_str(&folded(letter.encode_utf8(&mut [0; 4])));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

pub(super) fn doubts() -> &'static Doubts {
    &table().doubts
}

fn services() -> &'static [Service] {
    &table().service
}

fn table() -> &'static File {
    static FILE: OnceLock<File> = OnceLock::new();
    FILE.get_or_init(|| {
        let file: File = toml::from_str(TABLE).expect("a test reads the table of this build");
        File {
            service: file.service.into_iter().map(fold).collect(),
            ..file
        }
    })
}

fn fold(mut service: Service) -> Service {
    let lists = [
        &mut service.email,
        &mut service.name_of,
        &mut service.first,
        &mut service.last,
        &mut service.status,
        &mut service.hints,
        &mut service.nothing,
        &mut service.joined,
        &mut service.left,
        &mut service.wanted,
        &mut service.tags,
        &mut service.json,
        &mut service.without,
    ];
    let sets = service.known_by.iter_mut();
    let words = service.statuses.values_mut();
    let gone = service.gone.values_mut();
    for list in lists.into_iter().chain(sets).chain(words).chain(gone) {
        for name in list {
            *name = folded(name);
        }
    }
    for name in service.files.values_mut() {
        *name = folded(name);
    }
    service.inside = folded(&service.inside);
    service
}

#[cfg(test)]
mod tests {
    use super::{Service, Standing, services};

    fn of(header: &str) -> &'static Service {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        Service::of(&header)
    }

    #[test]
    fn each_service_is_known_by_its_own_header() {
        for (header, name) in [
            (
                "email,active_subscription,expiry,plan,email_disabled,created_at,first_payment_at",
                "Substack",
            ),
            (
                "Email,Name,Stripe plan,Cancel date,Start date,Paid upgrade date,Activity,Type",
                "Substack",
            ),
            (
                "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,\
                 CONFIRM_IP,LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,\
                 NOTES,TAGS",
                "Mailchimp",
            ),
            ("first_name,email_address,state,created_at,tags", "Kit"),
            (
                "id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,\
                 created_at,deleted_at,labels,tiers",
                "Ghost",
            ),
            (
                "id,email_address,notes,metadata,tags,type,creation_date",
                "Buttondown",
            ),
            ("Email,Status,Created At,Subscription Tier", "beehiiv"),
            // TryGhost/migrate, packages/mg-beehiiv-members/src/test/fixtures/members.csv, as it stands there.
            (
                "email,First Name,Last Name,status,tier,created_at,stripe_customer_id,Free Tier,Premium Tier,\
                 unsubscribed_at,Subscription Date (Substack)",
                "beehiiv",
            ),
            (
                "email,expiry,email_disabled,stripe_connected_customer_id,type",
                "Substack",
            ),
            (
                "id,email,name,note,subscribed,complimentary_plan,stripe_customer_id,created_at,deleted_at,\
                 labels,tiers",
                "Ghost",
            ),
            (
                "uuid,email,name,attributes,status,created_at,updated_at",
                "listmonk",
            ),
            (
                "email,name,status,source,created,confirmed,city",
                "Pressrun",
            ),
            (
                "Email Address,First Name,Last Name,Email Marketing,SMS Marketing,Source,Contact Rating,Date Added",
                "Mailchimp",
            ),
            // Kit's names stand in it, and names that Kit does not write.
            (
                "email,First Name,Last Name,status,tier,created_at,stripe_customer_id,unsubscribed_at,tags",
                "beehiiv",
            ),
            ("Email,First Name,Status,Created At,Tags", "Kit"),
            (
                "user_name,user_email_address,country,subscription_type,subscription_created_at,unsubscribed_at",
                "Substack",
            ),
            ("email,name", ""),
            ("Email,Status", ""),
        ] {
            assert_eq!(of(header).name, name, "{header}");
        }
    }

    #[test]
    fn every_entry_names_an_address_and_no_word_means_two_things() {
        for service in services() {
            assert!(!service.email.is_empty(), "{}", service.name);
            let mut words: Vec<&String> = service.statuses.values().flatten().collect();
            let all = words.len();
            words.sort();
            words.dedup();
            assert_eq!(words.len(), all, "{}", service.name);
        }
        assert!(services().last().is_some_and(|last| !last.is_known()));
    }

    #[test]
    fn a_header_has_the_words_that_a_reader_sees_in_it() {
        for (header, expected) in [
            ("SMS opt-in", &["sms", "opt", "in"][..]),
            ("smsOptIn", &["sms", "opt", "in"]),
            ("SMSOptIn", &["sms", "opt", "in"]),
            ("OPTIN_TIME", &["optin", "time"]),
            (
                "Subscription source (paid)",
                &["subscription", "source", "paid"],
            ),
            (" ", &[]),
        ] {
            assert_eq!(super::words(header), expected, "{header}");
        }
    }

    #[test]
    fn a_status_is_read_and_an_unknown_one_is_none() {
        let kit = of("first_name,email_address,state");
        assert_eq!(kit.standing("Cancelled"), Some(Standing::Left));
        // A word of its own goes before one of anybody's.
        assert_eq!(kit.standing("inactive"), Some(Standing::Pending));
        assert_eq!(kit.standing("Subscribed"), Some(Standing::Joined));
        assert_eq!(kit.standing("elsewhere"), None);
        let beehiiv = of("email,status,tier,created_at");
        assert_eq!(beehiiv.standing("validating"), Some(Standing::Pending));
        assert_eq!(beehiiv.standing("needs_attention"), Some(Standing::Pending));
        let mailchimp = of("Email Address,MEMBER_RATING");
        for (file, standing) in [
            (
                "unsubscribed_email_audience_export_1a2b.csv",
                Standing::Left,
            ),
            ("cleaned_members_export_1a2b.csv", Standing::Bounced),
            ("nonsubscribed_members.csv", Standing::Pending),
            ("subscribed_members.csv", Standing::Joined),
        ] {
            assert_eq!(mailchimp.standing_of_file(file), standing, "{file}");
        }
    }
}
