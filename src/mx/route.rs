//! From a domain's MX records to the hosts to try, in their order (RFC 5321, section 5.1).
//!
//! Promises: a null MX is told apart from no MX; names that cannot be hosts are left out; equal
//! preferences are shuffled, and nothing else is; the number of hosts has a cap.

use std::net::IpAddr;

/// A domain may list more; whoever answers none of these answers no mail.
const HOSTS: usize = 12;

/// One MX record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange {
    pub preference: u16,
    pub host: String,
}

/// Where a domain's mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// RFC 7505: the domain takes no mail, and says so.
    Refused,
    /// The hosts by preference, then by name; one at least. Without MX records, the domain itself.
    Hosts(Vec<Exchange>),
    /// There are MX records, and none of them names a host.
    Unusable,
}

impl Route {
    /// Reads the MX records of `domain`.
    pub fn of(domain: &str, records: &[Exchange]) -> Route {
        if records.is_empty() {
            // RFC 5321, section 5.1: the implicit MX, with a preference of 0.
            return Route::Hosts(vec![Exchange {
                preference: 0,
                host: domain.to_ascii_lowercase(),
            }]);
        }
        let mut hosts: Vec<Exchange> = records
            .iter()
            .filter_map(|record| {
                Some(Exchange {
                    preference: record.preference,
                    host: host_name(&record.host)?,
                })
            })
            .collect();
        hosts.sort();
        let mut seen: Vec<Exchange> = Vec::with_capacity(hosts.len().min(HOSTS));
        for host in hosts {
            if seen.len() < HOSTS && seen.iter().all(|other| other.host != host.host) {
                seen.push(host);
            }
        }
        // RFC 7505, section 3: one record, and its host is the root.
        let null = records.iter().all(|record| is_root(&record.host));
        match (seen.is_empty(), null) {
            (false, _) => Route::Hosts(seen),
            (true, true) => Route::Refused,
            (true, false) => Route::Unusable,
        }
    }
}

/// The hosts in the order in which they are to be tried; `fraction` gives numbers in `0.0..1.0`.
pub fn order(hosts: &[Exchange], mut fraction: impl FnMut() -> f64) -> Vec<String> {
    let mut ordered = Vec::with_capacity(hosts.len());
    for equals in hosts.chunk_by(|one, other| one.preference == other.preference) {
        let mut left: Vec<&str> = equals.iter().map(|each| each.host.as_str()).collect();
        while !left.is_empty() {
            // Truncation is meant: a fraction of a length is an index.
            let at = (fraction() * left.len() as f64) as usize;
            ordered.push(left.swap_remove(at.min(left.len() - 1)).to_owned());
        }
    }
    ordered
}

/// What domains with the same hosts have in common: the key of their shared queue.
pub fn key(hosts: &[Exchange]) -> String {
    let mut names: Vec<&str> = hosts.iter().map(|each| each.host.as_str()).collect();
    names.sort_unstable();
    names.join(",")
}

fn is_root(host: &str) -> bool {
    host.trim_end_matches('.').is_empty()
}

/// The host in lower case without its last dot; none where it is an address or no name. An MX record
/// names a host (RFC 5321, section 5.1), and an address there would evade every check of the name.
fn host_name(text: &str) -> Option<String> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let named = name.len() <= 253 && name.split('.').all(label) && name.parse::<IpAddr>().is_err();
    named.then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{Exchange, HOSTS, Route, key, order};

    fn records(list: &[(u16, &str)]) -> Vec<Exchange> {
        let each = list.iter().map(|&(preference, host)| Exchange {
            preference,
            host: host.into(),
        });
        each.collect()
    }

    #[test]
    fn records_become_hosts_in_their_order() {
        let route = Route::of(
            "example.org",
            &records(&[
                (20, "B.example.net."),
                (10, "a.example.net"),
                (30, "a.example.net."),
            ]),
        );
        let expected = records(&[(10, "a.example.net"), (20, "b.example.net")]);
        assert_eq!(route, Route::Hosts(expected));
    }

    #[test]
    fn no_record_is_the_domain_itself_and_a_root_is_a_refusal() {
        let itself = Route::Hosts(records(&[(0, "example.org")]));
        assert_eq!(Route::of("Example.org", &[]), itself);
        for root in [".", ""] {
            assert_eq!(
                Route::of("example.org", &records(&[(0, root)])),
                Route::Refused
            );
        }
        // A null MX beside others is a mistake; the others are what can be tried.
        let mixed = Route::of("example.org", &records(&[(0, "."), (10, "mx.example.org")]));
        assert_eq!(mixed, Route::Hosts(records(&[(10, "mx.example.org")])));
    }

    #[test]
    fn an_address_or_nonsense_is_no_host() {
        for host in [
            "192.0.2.1",
            "192.0.2.1.",
            "2001:db8::1",
            "a..b",
            "a b",
            "ä.example",
        ] {
            let route = Route::of("example.org", &records(&[(10, host)]));
            assert_eq!(route, Route::Unusable, "{host}");
        }
    }

    #[test]
    fn two_domains_with_the_same_hosts_share_a_key() {
        let one = records(&[(10, "a.example.net"), (20, "b.example.net")]);
        let two = records(&[(5, "b.example.net"), (5, "a.example.net")]);
        assert_eq!(key(&one), key(&two));
        assert_ne!(key(&one), key(&one[..1]));
    }

    proptest! {
        #[test]
        fn equals_are_shuffled_and_preferences_kept(
            list in proptest::collection::vec((0u16..4, 0u8..40), 0..30),
            chance in proptest::collection::vec(0.0f64..1.0, 30),
        ) {
            let list: Vec<Exchange> = list
                .iter()
                .map(|(preference, host)| Exchange {
                    preference: *preference,
                    host: format!("mx{host}.example.org"),
                })
                .collect();
            let Route::Hosts(hosts) = Route::of("example.org", &list) else {
                panic!("named hosts are usable");
            };
            prop_assert!(!hosts.is_empty() && hosts.len() <= HOSTS);
            let mut chance = chance.into_iter().cycle();
            let ordered = order(&hosts, || chance.next().unwrap_or(0.0));
            let preference = |name: &String| {
                hosts.iter().find(|each| each.host == *name).map(|each| each.preference)
            };
            let preferences: Vec<_> = ordered.iter().map(preference).collect();
            prop_assert!(preferences.is_sorted());
            let mut sorted = ordered.clone();
            sorted.sort();
            let mut names: Vec<_> = hosts.iter().map(|each| each.host.clone()).collect();
            names.sort();
            prop_assert_eq!(sorted, names);
        }
    }

    #[test]
    fn every_equal_host_comes_first_at_some_time() {
        let hosts = records(&[(10, "a"), (10, "b"), (10, "c"), (20, "d")]);
        let first: Vec<String> = [0.1, 0.5, 0.9]
            .map(|fraction| order(&hosts, || fraction)[0].clone())
            .to_vec();
        assert_eq!(first, ["a", "b", "c"]);
    }
}
