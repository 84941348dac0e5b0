//! The provider table: what is known of those who keep most mailboxes, as data.
//!
//! Promises: `providers.toml` is the table of this build, and an operator's own file comes before it;
//! unknown keys are errors. Leaves obeying it to `deliver`.

use std::time::Duration;

use serde::Deserialize;

use crate::config::parse_duration;
use crate::reply::Reply;

const BUILT_IN: &str = include_str!("providers.toml");

/// Whether a connection may stay in clear where no policy of the domain says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsRule {
    Opportunistic,
    /// Encrypted or not at all; who answers need not prove it.
    Encrypted,
}

/// Limits of one provider, or of any domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Empty for the default.
    pub name: String,
    pub connections: usize,
    pub messages_per_connection: u32,
    /// None is no limit.
    pub messages_per_minute: Option<u32>,
    pub tls: TlsRule,
    mx: Vec<String>,
    pauses: Vec<(String, Duration)>,
}

impl Provider {
    /// For how long the provider asks to be left alone with this answer.
    pub fn pause(&self, reply: &Reply) -> Option<Duration> {
        let text = reply.to_string().to_ascii_lowercase();
        let mut pauses = self.pauses.iter();
        let found = pauses.find(|(says, _)| says_so(&text, says));
        found.map(|&(_, wait)| wait)
    }

    fn fits(&self, host: &str) -> bool {
        self.mx
            .iter()
            .any(|end| match host.strip_suffix(end.as_str()) {
                Some(rest) => rest.is_empty() || rest.ends_with('.'),
                None => false,
            })
    }
}

/// Whether the text has these words; a number in them is no part of a longer one, as the `4.7.28` of `34.7.28.9` is.
fn says_so(text: &str, words: &str) -> bool {
    let goes_on = |c: char| c.is_ascii_digit() || c == '.';
    let is_number = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    text.match_indices(words).any(|(at, _)| {
        let mut behind = text[at + words.len()..].chars();
        let longer = match behind.next() {
            Some('.') => is_number(behind.next()),
            next => is_number(next),
        };
        let started = is_number(words.chars().next()) && text[..at].ends_with(goes_on);
        let goes_on = is_number(words.chars().next_back()) && longer;
        !(started || goes_on)
    })
}

/// All providers.
#[derive(Clone, Debug)]
pub struct Providers {
    default: Provider,
    known: Vec<Provider>,
}

impl Providers {
    /// The table of this build, with the entries of `own` before it.
    pub fn read(own: Option<&str>) -> Result<Providers, ProviderError> {
        let built_in = File::read(BUILT_IN)?;
        let base = built_in.default.unwrap_or_default();
        let own = own.map(File::read).transpose()?.unwrap_or_default();
        let default = match own.default {
            Some(entry) => entry.over(&base),
            None => base,
        };
        let mut known: Vec<Provider> = Vec::new();
        for entry in own.provider.iter().chain(&built_in.provider) {
            if known.iter().all(|other| other.name != entry.name) {
                known.push(
                    entry
                        .limits()
                        .over(&default)
                        .provider(&entry.name, &entry.mx)?,
                );
            }
        }
        Ok(Providers {
            default: default.provider("", &[])?,
            known,
        })
    }

    fn of(&self, host: &str) -> Option<&Provider> {
        self.known.iter().find(|provider| provider.fits(host))
    }

    /// Who keeps the mailboxes of a domain with these hosts; none where they stand for themselves, by
    /// [`Providers::any`]. Their names are written by whoever owns the domain: one host of its own among a provider's
    /// does not speak for that.
    pub fn of_all<'h>(&self, hosts: impl IntoIterator<Item = &'h str>) -> Option<&Provider> {
        let mut hosts = hosts.into_iter();
        let provider = self.of(hosts.next()?)?;
        hosts.all(|host| provider.fits(host)).then_some(provider)
    }

    /// The limits of everyone else.
    pub fn any(&self) -> &Provider {
        &self.default
    }
}

/// What is wrong with a table.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error("the provider table cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("provider `{name}`: {what}")]
    Entry { name: String, what: String },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    default: Option<Limits>,
    #[serde(default)]
    provider: Vec<Entry>,
}

/// [`Limits`] with a name; serde's `flatten` would let unknown keys through.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    mx: Vec<String>,
    connections: Option<usize>,
    messages_per_connection: Option<u32>,
    messages_per_minute: Option<u32>,
    tls: Option<TlsRule>,
    pause: Option<Vec<Pause>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    connections: Option<usize>,
    messages_per_connection: Option<u32>,
    messages_per_minute: Option<u32>,
    tls: Option<TlsRule>,
    pause: Option<Vec<Pause>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    says: String,
    wait: String,
}

impl File {
    fn read(text: &str) -> Result<File, ProviderError> {
        Ok(toml::from_str(text)?)
    }
}

impl Entry {
    fn limits(&self) -> Limits {
        Limits {
            connections: self.connections,
            messages_per_connection: self.messages_per_connection,
            messages_per_minute: self.messages_per_minute,
            tls: self.tls,
            pause: self.pause.clone(),
        }
    }
}

impl Limits {
    /// These, and where they say nothing, `base`.
    fn over(&self, base: &Limits) -> Limits {
        Limits {
            connections: self.connections.or(base.connections),
            messages_per_connection: self
                .messages_per_connection
                .or(base.messages_per_connection),
            messages_per_minute: self.messages_per_minute.or(base.messages_per_minute),
            tls: self.tls.or(base.tls),
            pause: self.pause.clone().or_else(|| base.pause.clone()),
        }
    }

    fn provider(&self, name: &str, mx: &[String]) -> Result<Provider, ProviderError> {
        let wrong = |what: &str| ProviderError::Entry {
            name: if name.is_empty() { "default" } else { name }.to_owned(),
            what: what.to_owned(),
        };
        let connections = self.connections.filter(|number| (1..=500).contains(number));
        let messages = self.messages_per_connection.filter(|&number| number > 0);
        let mut pauses = Vec::new();
        for pause in self.pause.iter().flatten() {
            let wait = parse_duration(&pause.wait).map_err(|what| wrong(&what))?;
            if pause.says.is_empty() {
                return Err(wrong("a `pause` needs words in `says`"));
            }
            pauses.push((pause.says.to_ascii_lowercase(), wait));
        }
        Ok(Provider {
            name: name.to_owned(),
            connections: connections.ok_or_else(|| wrong("`connections` is between 1 and 500"))?,
            messages_per_connection: messages
                .ok_or_else(|| wrong("`messages_per_connection` is 1 at least"))?,
            messages_per_minute: self.messages_per_minute.filter(|&number| number > 0),
            tls: self.tls.unwrap_or(TlsRule::Opportunistic),
            mx: mx
                .iter()
                .map(|end| end.trim_matches('.').to_ascii_lowercase())
                .collect(),
            pauses,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Providers, TlsRule};
    use crate::reply::Reply;

    fn name<'a>(providers: &'a Providers, host: &str) -> Option<&'a str> {
        providers.of(host).map(|provider| provider.name.as_str())
    }

    #[test]
    fn a_host_belongs_to_a_provider_by_the_end_of_its_name() {
        let providers = Providers::read(None).expect("the built-in table");
        let table = [
            ("gmail-smtp-in.l.google.com", Some("google")),
            ("aspmx.l.google.com", Some("google")),
            ("smtp.google.com", Some("google")),
            ("google.com.example.org", None),
            ("notgoogle.com", None),
            ("outlook-com.olc.protection.outlook.com", Some("outlook")),
            ("example-org.mail.protection.outlook.com", Some("office365")),
            ("mta5.am0.yahoodns.net", Some("yahoo")),
            ("mx01.mail.icloud.com", Some("apple")),
            ("mx00.emig.gmx.net", Some("gmx")),
            ("mx-ha03.web.de", Some("gmx")),
            ("smtp-in.orange.fr", Some("orange")),
            ("mx.example.org", None),
        ];
        for (host, expected) in table {
            assert_eq!(name(&providers, host), expected, "{host}");
        }
        let google = providers.of("aspmx.l.google.com").expect("google");
        assert_eq!(
            (google.connections, google.messages_per_connection),
            (5, 50)
        );
        assert_eq!(google.tls, TlsRule::Encrypted);
        assert_eq!(providers.any().tls, TlsRule::Opportunistic);
        assert_eq!(providers.any().messages_per_minute, None);
    }

    #[test]
    fn an_answer_may_ask_for_quiet() {
        let providers = Providers::read(None).expect("the built-in table");
        let yahoo = providers.of("mta5.am0.yahoodns.net").expect("yahoo");
        let said = |text: &str| Reply {
            code: 421,
            enhanced: Some("4.7.0".into()),
            text: text.into(),
        };
        let hours = |number: u64| Some(Duration::from_secs(number * 3600));
        assert_eq!(
            yahoo.pause(&said("[TSS04] Messages temporarily deferred")),
            hours(2)
        );
        assert_eq!(
            yahoo.pause(&said("[tss05] Messages temporarily deferred")),
            hours(4)
        );
        assert_eq!(yahoo.pause(&said("too busy")), None);
        let google = providers.of("aspmx.l.google.com").expect("google");
        let unusual = Reply {
            enhanced: Some("4.7.28".into()),
            ..said("unusual rate")
        };
        assert_eq!(google.pause(&unusual), Some(Duration::from_secs(600)));
        for address in ["34.7.28.9", "4.7.281", "4.7.28.1", "14.7.28"] {
            let echoed = said(&format!("no such user (client [{address}])"));
            assert_eq!(google.pause(&echoed), None, "{address}");
        }
        assert!(google.pause(&said("[4.7.28]. Unusual rate")).is_some());
    }

    #[test]
    fn a_host_of_ones_own_among_a_providers_does_not_speak_for_it() {
        let providers = Providers::read(None).expect("a table");
        let of = |hosts: &[&str]| {
            let provider = providers.of_all(hosts.iter().copied());
            provider.map(|provider| provider.name.clone())
        };
        let google = ["aspmx.l.google.com", "alt1.aspmx.l.google.com"];
        assert_eq!(of(&google).as_deref(), Some("google"));
        assert_eq!(of(&["nobody.google.com", "mx.evil.example"]), None);
        assert_eq!(of(&["mx.evil.example", "nobody.google.com"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_table_of_ones_own_comes_first_and_takes_the_place_of_a_name() {
        let own = "[default]\nconnections = 3\n\
            [[provider]]\nname = \"google\"\nmx = [\"google.com\"]\nconnections = 1\n\
            [[provider]]\nname = \"club\"\nmx = [\"example.org\"]\nmessages_per_minute = 30\n";
        let providers = Providers::read(Some(own)).expect("a table");
        assert_eq!(
            providers
                .of("aspmx.l.google.com")
                .expect("google")
                .connections,
            1
        );
        assert_eq!(
            name(&providers, "alt.googlemail.com"),
            None,
            "its place is taken"
        );
        let club = providers.of("mx.example.org").expect("club");
        assert_eq!(club.connections, 3, "the default of one's own");
        assert_eq!(club.messages_per_connection, 100);
        assert_eq!(club.messages_per_minute, Some(30));
        assert_eq!(providers.any().connections, 3);
        assert!(providers.of("mta5.am0.yahoodns.net").is_some());
    }

    #[test]
    fn a_wrong_table_is_told_with_its_entry() {
        let table = [
            (
                "[[provider]]\nname = \"a\"\nmx = []\nconnections = 0",
                "`a`: `connections`",
            ),
            (
                "[[provider]]\nname = \"a\"\nmx = []\npause = [{ says = \"x\", wait = \"soon\" }]",
                "`soon`",
            ),
            (
                "[default]\nmessages_per_connection = 0",
                "`default`: `messages_per_connection`",
            ),
            (
                "[[provider]]\nname = \"a\"\nmx = []\ntls = \"perhaps\"",
                "perhaps",
            ),
            (
                "[[provider]]\nname = \"a\"\nmx = []\nconection = 1",
                "conection",
            ),
            ("[others]\n", "others"),
        ];
        for (text, expected) in table {
            let error = Providers::read(Some(text)).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
