//! Proxies and scanners that are known by name, as data.
//!
//! Promises: `known.toml` is the table of this build; an agent says who it is only when it wants to, so that
//! nothing is a reader's because no entry fits. Leaves the verdict to `score`.

use std::net::IpAddr;
use std::sync::LazyLock;

use serde::Deserialize;

const BUILT_IN: &str = include_str!("known.toml");

static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::read(BUILT_IN).expect("a test reads the built-in table"));

/// What somebody who is known does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Loads the images of every mail, opened or not, for a reader who may also have opened it.
    Apple,
    /// Loads images when a reader opens the mail.
    Gmail,
    /// The same of another provider.
    Proxy,
    /// Loads images before a reader does.
    Prefetch,
    Scanner,
    Robot,
}

/// Who calls itself so.
pub fn agent(agent: &str) -> Option<Kind> {
    let small = agent.to_ascii_lowercase();
    let found = TABLE.agents.iter().find(|entry| entry.fits(&small));
    found.map(|entry| entry.kind)
}

/// The name of the network that `address` is in: what may be kept of it.
pub fn network(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    let found = TABLE
        .networks
        .iter()
        .find(|entry| entry.of.iter().any(|range| range.holds(address)));
    found.map(|entry| entry.name.as_str())
}

/// What the network of this name does.
pub fn network_kind(name: &str) -> Option<Kind> {
    let found = TABLE.networks.iter().find(|entry| entry.name == name);
    found.map(|entry| entry.kind)
}

#[derive(Debug)]
struct Table {
    agents: Vec<Agent>,
    networks: Vec<Network>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    agent: Vec<Agent>,
    network: Vec<NetworkEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Agent {
    name: String,
    kind: Kind,
    #[serde(default)]
    contains: Vec<String>,
    #[serde(default)]
    ends: Option<String>,
    #[serde(default)]
    equals: Option<String>,
    source: String,
    date: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkEntry {
    name: String,
    kind: Kind,
    of: Vec<String>,
    source: String,
    date: String,
}

#[derive(Debug)]
struct Network {
    name: String,
    kind: Kind,
    of: Vec<Range>,
}

/// A network as an address and the number of bits that count.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: IpAddr,
    bits: u32,
}

impl Table {
    fn read(text: &str) -> Result<Table, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut agents = file.agent;
        for agent in &mut agents {
            if agent.source.is_empty() || agent.date.is_empty() {
                return Err(format!("`{}` has no source or no date", agent.name));
            }
            let small = |text: &mut String| text.make_ascii_lowercase();
            agent.contains.iter_mut().for_each(small);
            agent.ends.iter_mut().for_each(small);
            agent.equals.iter_mut().for_each(small);
        }
        let mut networks = Vec::with_capacity(file.network.len());
        for entry in file.network {
            if entry.source.is_empty() || entry.date.is_empty() {
                return Err(format!("`{}` has no source or no date", entry.name));
            }
            let of = entry.of.iter().map(|text| Range::parse(text)).collect();
            let of: Option<Vec<Range>> = of;
            networks.push(Network {
                of: of.ok_or_else(|| format!("`{}`: a network is `192.0.2.0/24`", entry.name))?,
                name: entry.name,
                kind: entry.kind,
            });
        }
        Ok(Table { agents, networks })
    }
}

impl Agent {
    /// `agent` is in lower case.
    fn fits(&self, agent: &str) -> bool {
        let holds = self.contains.iter().any(|part| agent.contains(part));
        let ends = self.ends.as_ref().is_some_and(|end| agent.ends_with(end));
        holds || ends || self.equals.as_deref() == Some(agent)
    }
}

impl Range {
    fn parse(text: &str) -> Option<Range> {
        let (first, bits) = text.split_once('/')?;
        let (first, bits): (IpAddr, u32) = (first.parse().ok()?, bits.parse().ok()?);
        let most = if first.is_ipv4() { 32 } else { 128 };
        (bits > 0 && bits <= most).then_some(Range { first, bits })
    }

    fn holds(self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(other)) => {
                (first.to_bits() ^ other.to_bits()) >> (32 - self.bits) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(other)) => {
                (first.to_bits() ^ other.to_bits()) >> (128 - self.bits) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BUILT_IN, Kind, Table, agent, network, network_kind};

    #[test]
    fn the_built_in_table_is_whole_and_tells_its_sources() {
        let table = Table::read(BUILT_IN).expect("the built-in table");
        assert!(table.agents.len() > 5 && table.networks.len() > 3);
        for wrong in [
            "agent = []\nnetwork = [{ name = 'a', kind = 'scanner', of = ['1.2.3.4'], source = 'x', date = 'y' }]",
            "agent = []\nnetwork = [{ name = 'a', kind = 'scanner', of = ['1.2.3.4/33'], source = 'x', date = 'y' }]",
            "agent = [{ name = 'a', kind = 'robot', source = '', date = '' }]\nnetwork = []",
            "agent = [{ name = 'a', kind = 'reader', source = 'x', date = 'y' }]\nnetwork = []",
        ] {
            Table::read(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn a_name_is_known_by_its_part_its_end_or_its_whole() {
        let gmail = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
        for (name, kind) in [
            (gmail, Some(Kind::Gmail)),
            ("Mozilla/5.0", Some(Kind::Apple)),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/42.0.2311.135 Safari/537.36 \
                 Edge/12.246 Mozilla/5.0",
                Some(Kind::Prefetch),
            ),
            (
                "Mozilla/5.0 (compatible; YahooMailProxy)",
                Some(Kind::Proxy),
            ),
            ("CURL/8.5.0", Some(Kind::Robot)),
            ("BarracudaCentral/1.0", Some(Kind::Scanner)),
            // A maker of scanners makes a browser, too, and readers read with it.
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/131.0.0.0 Safari/537.36 Avast/131.0.27651.87",
                None,
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                None,
            ),
        ] {
            assert_eq!(agent(name), kind, "{name}");
        }
    }

    #[test]
    fn an_address_is_known_by_its_network_however_it_is_written() {
        let known = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(known("64.235.150.9"), Some("barracuda"));
        assert_eq!(known("::ffff:209.222.87.255"), Some("barracuda"));
        assert_eq!(known("209.222.88.0"), None);
        assert_eq!(known("2001:db8::1"), None);
        assert_eq!(network_kind("barracuda"), Some(Kind::Scanner));
        assert_eq!(network_kind("nobody"), None);
    }
}
