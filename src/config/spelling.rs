//! Variables of the environment that begin as settings do and are none: what was meant by them.
//!
//! Promises: one whose underscores alone are wrong is an error with the right spelling. Any other is told by [`unknown`],
//! with what it may be meant for, but those by which a container platform tells of the services beside this one: whoever
//! runs it can take none of these away. Leaves what a setting's value says to `load`.

use super::load::PREFIX;
use super::schema::{Key, Schema, nearest};

/// Between section and key.
const DIVIDES: &str = "__";
/// Read elsewhere in this program.
const OURS: [&str; 2] = ["FAILPOINT", "MIGRATE_TO"];
/// The beginnings of what our tests and benchmarks read, and of what Kubernetes tells every container of a service
/// that is called `pressrun`.
const OTHERS: [&str; 9] = [
    "TEST_",
    "BENCH_",
    "FAULTS",
    "KILL_",
    "JUDGES_",
    "BINARY",
    "REPLY_SCRIPTS",
    "SERVICE_",
    "PORT",
];

/// The variable that `name` stands for, with as many underscores as it takes: what it would be if each divided a
/// section from a key or two words, or else the nearest.
pub(super) fn meant(name: &str) -> Option<String> {
    let rest = single(name.strip_prefix(PREFIX)?);
    if let Some(found) = relay(&rest) {
        return Some(format!("{PREFIX}{found}"));
    }
    let known: Vec<(String, String)> = spellings(&rest)
        .map(|spelling| (single(&spelling), spelling))
        .collect();
    let near = nearest(&rest, known.iter().map(|(single, _)| single.as_str()))?;
    let (_, spelling) = known.iter().find(|(single, _)| single == near)?;
    Some(format!("{PREFIX}{spelling}"))
}

/// The same where nothing but underscores differs.
pub(super) fn underscored(name: &str) -> Option<String> {
    meant(name).filter(|meant| single(meant) == single(name) && meant != name)
}

/// Whether `name`, which says `value`, is to be a setting, or would be if its underscores were right: those of others and
/// those that nobody reads are not.
pub(super) fn is_setting(name: &str, value: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let single = || !is_known(rest) && underscored(name).is_some() && !is_link(rest, value);
    rest.contains(DIVIDES) || single()
}

/// What is to be said of variables that begin as settings do and that nobody reads, one text for each.
pub fn unknown(variables: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let nobodys = |(name, value): (String, String)| {
        let rest = name.strip_prefix(PREFIX)?;
        let known = is_known(rest) || is_of_a_service(rest) || is_link(rest, &value);
        (!known && !is_setting(&name, &value)).then_some(name)
    };
    let mut found: Vec<String> = variables.filter_map(nobodys).collect();
    found.sort();
    let told = found.iter().map(|name| match meant(name) {
        Some(meant) => format!(
            "environment variable `{name}` is no setting and is passed over; did you mean `{meant}`?"
        ),
        None => format!(
            "environment variable `{name}` is no setting and is passed over; one is written \
             `{PREFIX}<SECTION>{DIVIDES}<KEY>`, and `pressrun config reference` lists every key"
        ),
    });
    told.collect()
}

/// Whether Kubernetes, or Docker before it, says so of a service beside this one, such as `DB_SERVICE_HOST`,
/// `DB_SERVICE_PORT_SQL` or `DB_PORT_5432_TCP_ADDR`.
fn is_of_a_service(rest: &str) -> bool {
    let of_port = |(_, behind): (&str, &str)| {
        let mut parts = behind.split('_');
        let number = parts.next().unwrap_or_default();
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number && matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"))
    };
    rest.ends_with("_SERVICE_HOST")
        || rest.ends_with("_SERVICE_PORT")
        || rest.contains("_SERVICE_PORT_")
        || rest.rsplit_once("_PORT_").is_some_and(of_port)
        || rest.split_once("_PORT_").is_some_and(of_port)
}

/// Whether it tells of where a service beside this one is, such as `tcp://10.0.0.1:5432` in `DB_PORT`: a port that is set
/// is a number.
fn is_link(rest: &str, value: &str) -> bool {
    rest.ends_with("_PORT") && value.contains("://")
}

fn is_known(rest: &str) -> bool {
    OURS.contains(&rest) || OTHERS.iter().any(|start| rest.starts_with(start))
}

/// Upper case, and one underscore wherever there are several.
fn single(text: &str) -> String {
    let parts = text.split('_').filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("_").to_ascii_uppercase()
}

/// A key of a relay of any name, with one underscore or several: the longest key that it ends in.
fn relay(rest: &str) -> Option<String> {
    let behind = rest.strip_prefix("RELAY_")?;
    let keys = of_relays().flat_map(endings);
    let named = keys.filter_map(|key| {
        let name = behind.strip_suffix(&format!("_{key}"))?;
        (!name.is_empty()).then_some((name, key))
    });
    let (name, key) = named.max_by_key(|(_, key)| key.len())?;
    Some(format!("RELAY{DIVIDES}{name}{DIVIDES}{key}"))
}

/// Every variable there is, without its beginning; a relay's under the name that `rest` seems to give it.
fn spellings(rest: &str) -> impl Iterator<Item = String> {
    let name = rest.strip_prefix("RELAY_").map(|behind| {
        let (name, _) = behind.split_once('_').unwrap_or((behind, ""));
        name.to_owned()
    });
    let relays = name.into_iter().flat_map(|name| {
        let keys = of_relays().flat_map(endings);
        keys.map(move |key| format!("RELAY{DIVIDES}{name}{DIVIDES}{key}"))
    });
    let keys = Schema::get().keys.iter();
    let others = keys.filter(|key| relays_key(key).is_none());
    let others = others.flat_map(|key| {
        let (section, _) = key.pattern.rsplit_once('.').unwrap_or_default();
        let section = section.replace('.', DIVIDES).to_ascii_uppercase();
        endings(key).map(move |end| format!("{section}{DIVIDES}{end}"))
    });
    others.chain(relays)
}

fn of_relays() -> impl Iterator<Item = &'static Key> {
    let keys = Schema::get().keys.iter();
    keys.filter(|key| relays_key(key).is_some())
}

fn relays_key(key: &Key) -> Option<&str> {
    key.pattern.strip_prefix("relay.*.")
}

/// How a key ends as a variable: its last word, and for a secret that of its file too.
fn endings(key: &'static Key) -> impl Iterator<Item = String> {
    let (_, word) = key.pattern.rsplit_once('.').unwrap_or(("", &key.pattern));
    let word = word.replace('-', "_").to_ascii_uppercase();
    let file = key.secret.then(|| format!("{word}_FILE"));
    std::iter::once(word).chain(file)
}

#[cfg(test)]
mod tests {
    use super::{is_setting, meant, underscored, unknown};

    #[test]
    fn whoever_writes_one_underscore_for_two_is_told_the_right_name() {
        for (written, right) in [
            ("HTTP_PUBLIC", "HTTP__PUBLIC"),
            ("HTTP_ADMIN_HOSTS", "HTTP__ADMIN_HOSTS"),
            ("HTTP__ADMIN__HOSTS", "HTTP__ADMIN_HOSTS"),
            ("_HTTP__PUBLIC", "HTTP__PUBLIC"),
            ("DATABASE_URL", "DATABASE__URL"),
            ("DATABASE_URL_FILE", "DATABASE__URL_FILE"),
            ("RELAY_MAIN_PASSWORD", "RELAY__MAIN__PASSWORD"),
            ("RELAY_MAIN__PASSWORD_FILE", "RELAY__MAIN__PASSWORD_FILE"),
            (
                "RELAY_SPARE_ONE_CONNECT_TIMEOUT",
                "RELAY__SPARE_ONE__CONNECT_TIMEOUT",
            ),
            ("LINT_GENERIC_LINK", "LINT__GENERIC_LINK"),
        ] {
            let (written, right) = (format!("PRESSRUN_{written}"), format!("PRESSRUN_{right}"));
            assert_eq!(underscored(&written), Some(right.clone()), "{written}");
            assert!(is_setting(&written, "x"), "{written}");
            assert_eq!(underscored(&right), None);
        }
        for (written, right) in [
            ("HTTP_PUBIC", "HTTP__PUBLIC"),
            ("RELAY_MAIN_PASWORD", "RELAY__MAIN__PASSWORD"),
        ] {
            let written = format!("PRESSRUN_{written}");
            assert_eq!(meant(&written), Some(format!("PRESSRUN_{right}")));
            assert_eq!(underscored(&written), None, "{written}");
            // A guess is no reason to stop.
            assert!(!is_setting(&written, "x"), "{written}");
            let told = unknown([(written.clone(), "x".to_owned())].into_iter());
            let right = format!("is passed over; did you mean `PRESSRUN_{right}`?");
            assert!(
                matches!(told.as_slice(), [told] if told.ends_with(&right)),
                "{told:?}"
            );
        }
    }

    #[test]
    fn what_a_platform_tells_of_services_beside_this_one_is_no_setting_and_no_news() {
        for service in ["DB", "DATABASE", "RELAY", "SEND", "MX", "RELAY_MAIN"] {
            for (end, value) in [
                ("SERVICE_HOST", "10.0.0.1"),
                ("SERVICE_PORT", "5432"),
                ("SERVICE_PORT_SQL", "5432"),
                ("PORT", "tcp://10.0.0.1:5432"),
                ("PORT_5432_TCP", "tcp://10.0.0.1:5432"),
                ("PORT_5432_TCP_PROTO", "tcp"),
                ("PORT_5432_TCP_PORT", "5432"),
                ("PORT_5432_TCP_ADDR", "10.0.0.1"),
            ] {
                let name = format!("PRESSRUN_{service}_{end}");
                assert!(!is_setting(&name, value), "{name}");
                let told = unknown([(name, value.to_owned())].into_iter());
                assert_eq!(told, [""; 0]);
            }
        }
        assert!(is_setting("PRESSRUN_MX_PORT", "2525"));
    }

    #[test]
    fn what_nobody_reads_is_told_and_what_others_read_is_not() {
        let names = [
            "PATH",
            "PRESSRUN_MIGRATE_TO",
            "PRESSRUN_TEST_POSTGRES",
            "PRESSRUN_SERVICE_HOST",
            "PRESSRUN_PORT_8080_TCP_ADDR",
            "PRESSRUN_HTTP__PUBLIC",
            "PRESSRUN_COLOUR_OF_THE_BICYCLE_SHED",
        ];
        let told = unknown(
            names
                .into_iter()
                .map(|name| (name.to_owned(), "x".to_owned())),
        );
        let [told] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert!(
            told.starts_with(
                "environment variable `PRESSRUN_COLOUR_OF_THE_BICYCLE_SHED` is no setting"
            ),
            "{told}"
        );
    }
}
