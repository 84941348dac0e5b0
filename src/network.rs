//! Addresses as networks: what may be kept of a client's, what limits are counted by, which are public.
//!
//! Promises: no whole address ever leaves this module as text for storage; an IPv4 address written as
//! IPv6 is the IPv4 address; a network that is read names no bits that it does not mean. Leaves hashing to `keyring`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// All addresses that begin with the same bits, as the configuration names them: `10.0.0.0/8`, `fd00::/8`, or one
/// address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    /// At least 1.
    bits: u32,
}

impl Network {
    /// Whether `address` is one of them, however it is written.
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4()
            && masked(address, self.bits, self.bits) == self.first
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Network {
        let first = address.to_canonical();
        let bits = width(first);
        Network { first, bits }
    }
}

impl FromStr for Network {
    type Err = String;

    /// RFC 4632, section 3.1, and RFC 4291, section 2.3: an address, `/` and how many of its bits are the network's.
    fn from_str(text: &str) -> Result<Network, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| {
            format!(
                "`{text}` is neither an address nor a network; write `10.0.0.7`, `10.0.0.0/8` or `fd00::/8`"
            )
        })?;
        let Some(bits) = bits else {
            return Ok(Network::from(written));
        };
        // An IPv4 address in IPv6 stands behind 96 bits of its own (RFC 4291, section 2.5.5.2).
        let first = written.to_canonical();
        let before = width(written) - width(first);
        let plain = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        let bits = bits.parse::<u32>().ok().filter(|_| plain);
        let bits = bits.and_then(|bits| bits.checked_sub(before));
        let Some(bits) = bits.filter(|&bits| bits <= width(first)) else {
            return Err(format!(
                "`{text}`: behind the `/` stands how many bits are the network's, {} at most",
                width(written)
            ));
        };
        if bits == 0 {
            return Err(format!(
                "`{text}` is every address there is; name those that are meant"
            ));
        }
        let network = Network {
            first: masked(first, bits, bits),
            bits,
        };
        if network.first != first {
            return Err(format!(
                "`{text}` has more bits than its first {bits}; write `{network}` for the network, or `{first}` for \
                 that address alone"
            ));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits == width(self.first) {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}/{}", self.first, self.bits),
        }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Network, D::Error> {
        let text = String::deserialize(from)?;
        text.trim().parse().map_err(D::Error::custom)
    }
}

/// How many bits an address has.
fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS,
        IpAddr::V6(_) => Ipv6Addr::BITS,
    }
}

/// The network one customer holds: an IPv4 address, or the /64 of an IPv6 address. Limits per client
/// are counted by it.
pub fn client(address: IpAddr) -> IpAddr {
    masked(address, 32, 64)
}

/// The neighbourhood: /24 or /48. Evidence and forms are tied to it, and wide limits counted by it.
pub fn wide(address: IpAddr) -> IpAddr {
    masked(address, 24, 48)
}

/// Whether an address belongs to the public network, where strangers may send us.
pub fn is_public(address: IpAddr) -> bool {
    let ip = address.to_canonical();
    if ip.is_loopback() {
        return false;
    }
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            // RFC 6890: this network, shared address space, protocol assignments, benchmarks, reserved.
            let special = a == 0
                || a == 100 && (64..128).contains(&b)
                || a == 192 && b == 0
                || a == 198 && (18..20).contains(&b)
                || a >= 224;
            !(ip.is_private() || ip.is_link_local() || special)
        }
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            // RFC 4291, section 2.4: global unicast is 2000::/3. Those that carry an IPv4 address within
            // (RFC 3056, RFC 4380) could lead inside.
            first & 0xe000 == 0x2000 && first != 0x2002 && ip.segments()[..2] != [0x2001, 0]
        }
    }
}

fn masked(address: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(four) => {
            let mask = u32::MAX << (32 - v4);
            IpAddr::V4(Ipv4Addr::from_bits(four.to_bits() & mask))
        }
        IpAddr::V6(six) => {
            let mask = u128::MAX << (128 - v6);
            IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Network, client, wide};

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_is_cut_to_its_network_however_it_is_written() {
        assert_eq!(client(ip("203.0.113.9")), ip("203.0.113.9"));
        assert_eq!(wide(ip("203.0.113.9")), ip("203.0.113.0"));
        assert_eq!(wide(ip("::ffff:203.0.113.9")), ip("203.0.113.0"));
        assert_eq!(client(ip("2001:db8:1:2:3::4")), ip("2001:db8:1:2::"));
        assert_eq!(wide(ip("2001:db8:1:2:3::4")), ip("2001:db8:1::"));
    }

    fn network(text: &str) -> Result<Network, String> {
        text.parse()
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_as_it_does() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.200.0.1", "11.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "fd00::1"),
            ("192.0.2.128/25", "192.0.2.129", "192.0.2.127"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
            ("::ffff:10.0.0.9", "10.0.0.9", "10.0.0.8"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("2001:db8::/32", "2001:db8:9::", "10.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let read = network(text).expect("a network");
            assert!(read.holds(ip(inside)), "{text} {inside}");
            assert!(!read.holds(ip(outside)), "{text} {outside}");
            assert_eq!(network(&read.to_string()), Ok(read));
        }
    }

    #[test]
    fn a_network_that_is_none_is_refused_with_what_to_write() {
        for (text, said) in [
            (
                "10.0.0.5/8",
                "write `10.0.0.0/8` for the network, or `10.0.0.5`",
            ),
            ("fd00::1/8", "write `fd00::/8`"),
            ("10.0.0.0/33", "32 at most"),
            ("10.0.0.0/255.0.0.0", "how many bits"),
            ("10.0.0.0/", "how many bits"),
            ("10.0.0.0/+8", "how many bits"),
            ("fd00::/129", "128 at most"),
            ("::ffff:10.0.0.0/8", "how many bits"),
            ("0.0.0.0/0", "every address there is"),
            ("::/0", "every address there is"),
            ("10.0.0.*", "neither an address nor a network"),
            ("proxy.example", "neither an address nor a network"),
            ("", "neither an address nor a network"),
        ] {
            let told = network(text).expect_err(text);
            assert!(told.contains(said), "{text}: {told}");
        }
    }
}
