//! How the author looks at the issue: the state of the page, kept in its address.
//!
//! Promises: any query is taken; what is unknown in it counts as not said. The address of a look holds
//! only what differs from the first one.

use std::collections::BTreeMap;

use url::form_urlencoded;

use crate::appearance::{Appearance, Client, Images, Scheme};

/// Width of the frame when nothing is said: what most themes are made for.
const WIDTH: u32 = 600;
/// Widths that can be asked for.
const WIDTHS: std::ops::RangeInclusive<u32> = 200..=1600;
/// Fields of one look.
const FIELDS: usize = 64;

/// What stands on the stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Show {
    #[default]
    Mail,
    Text,
    Inbox,
    Source,
}

impl Show {
    pub(super) const ALL: [(Show, &'static str, &'static str, &'static str); 4] = [
        (Show::Mail, "mail", "Mail", "m"),
        (Show::Text, "text", "Plain text", "t"),
        (Show::Inbox, "inbox", "Inbox", "b"),
        (Show::Source, "source", "Source", "u"),
    ];
}

pub(super) const SCHEMES: [(Scheme, &str, &str); 3] = [
    (Scheme::Light, "light", "Light"),
    (Scheme::Dark, "dark", "Dark"),
    (Scheme::Inverted, "inverted", "Inverted"),
];
pub(super) const CLIENTS: [(Client, &str, &str); 4] = [
    (Client::Standard, "standard", "As sent"),
    (Client::NoStyle, "nostyle", "No styles"),
    (Client::Clipped, "clipped", "Clipped"),
    (Client::Outlook, "outlook", "Outlook"),
];
pub(super) const IMAGES: [(Images, &str, &str); 3] = [
    (Images::Own, "own", "On"),
    (Images::All, "all", "Remote too"),
    (Images::Off, "off", "Off"),
];

/// One way of looking at the issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) show: Show,
    /// Pixels; none fills the stage.
    pub(super) width: Option<u32>,
    pub(super) appearance: Appearance,
    /// The reader's address as typed; empty for the one of whom nothing is known.
    pub(super) reader: String,
    pub(super) name: String,
    /// Values typed for fields, by name; they win over the reader's own.
    pub(super) fields: BTreeMap<String, String>,
}

impl Look {
    /// Reads the query of an address.
    pub(super) fn read(query: &str) -> Look {
        let mut look = Look {
            show: Show::default(),
            width: Some(WIDTH),
            appearance: Appearance::default(),
            reader: String::new(),
            name: String::new(),
            fields: BTreeMap::new(),
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.trim();
            match name.as_ref() {
                "show" => {
                    let known = Show::ALL.iter().find(|known| known.1 == value);
                    look.show = known.map_or(look.show, |known| known.0);
                }
                "width" if value == "full" => look.width = None,
                "width" => {
                    let pixels = value.parse::<u32>().ok();
                    let pixels = pixels.map(|width| width.clamp(*WIDTHS.start(), *WIDTHS.end()));
                    look.width = pixels.or(look.width);
                }
                "scheme" => pick(&mut look.appearance.scheme, &SCHEMES, value),
                "client" => pick(&mut look.appearance.client, &CLIENTS, value),
                "images" => pick(&mut look.appearance.images, &IMAGES, value),
                "reader" => value.clone_into(&mut look.reader),
                "name" => value.clone_into(&mut look.name),
                other => {
                    let field = other.strip_prefix("field.");
                    let field = field.filter(|_| !value.is_empty() && look.fields.len() < FIELDS);
                    if let Some(field) = field {
                        look.fields.insert(field.to_owned(), value.to_owned());
                    }
                }
            }
        }
        look
    }

    /// The pairs of its address.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let mut put = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
        if let Some(known) = Show::ALL.iter().find(|known| known.0 == self.show)
            && self.show != Show::default()
        {
            put("show", known.1);
        }
        match self.width {
            None => put("width", "full"),
            Some(WIDTH) => {}
            Some(width) => put("width", &width.to_string()),
        }
        let Appearance {
            scheme,
            client,
            images,
        } = self.appearance;
        put_known(&mut put, "scheme", scheme, &SCHEMES);
        put_known(&mut put, "client", client, &CLIENTS);
        put_known(&mut put, "images", images, &IMAGES);
        for (name, value) in [("reader", &self.reader), ("name", &self.name)] {
            if !value.is_empty() {
                put(name, value);
            }
        }
        for (name, value) in &self.fields {
            put(&format!("field.{name}"), value);
        }
        pairs
    }

    /// The address of this look below `path`.
    pub(super) fn address(&self, path: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.pairs())
            .finish();
        match query.as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }

    /// The address of a look that differs in one thing.
    pub(super) fn with(&self, change: impl FnOnce(&mut Look)) -> String {
        let mut look = self.clone();
        change(&mut look);
        look.address("/")
    }
}

fn pick<T: Copy>(into: &mut T, known: &[(T, &str, &str)], value: &str) {
    if let Some(found) = known.iter().find(|known| known.1 == value) {
        *into = found.0;
    }
}

/// Says what is not the first of its kind.
fn put_known<T: Copy + PartialEq>(
    put: &mut impl FnMut(&str, &str),
    name: &str,
    value: T,
    known: &[(T, &str, &str)],
) {
    let at = known.iter().position(|known| known.0 == value);
    if let Some(at) = at.filter(|at| *at > 0) {
        put(name, known[at].1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Look, Show};
    use crate::appearance::{Client, Scheme};

    #[test]
    fn a_look_comes_back_from_its_address() {
        let query = "show=text&width=320&scheme=dark&client=outlook&images=off&reader=a%40b.example\
                     &name=A+%26+B&field.city=Z%C3%BCrich";
        let look = Look::read(query);
        assert_eq!(look.appearance.client, Client::Outlook);
        assert_eq!(look.fields["city"], "Z\u{fc}rich");
        assert_eq!(look.address("/"), format!("/?{query}"));
        let next = look.with(|look| look.appearance.scheme = Scheme::Light);
        assert!(
            !next.contains("scheme") && next.contains("images=off"),
            "{next}"
        );
    }

    #[test]
    fn nonsense_in_an_address_counts_as_not_said() {
        let look = Look::read("show=x&width=abc&scheme=%FF&client=&field.=&other=1&&=");
        assert_eq!((look.show, look.width), (Show::Mail, Some(600)));
        assert_eq!(look.address("/"), "/");
        assert_eq!(Look::read("width=9").width, Some(200));
        assert_eq!(Look::read("width=full").address("/"), "/?width=full");
    }
}
