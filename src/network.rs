//! Addresses as networks: what may be kept of a client's, what limits are counted by, which are public.
//!
//! Promises: no whole address ever leaves this module as text for storage; an IPv4 address written as
//! IPv6 is the IPv4 address. Leaves hashing to `keyring`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

    use super::{client, wide};

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
}
