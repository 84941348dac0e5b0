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

/// Whether an address belongs to the public network (or, `at_home`, to this machine).
pub fn is_public(ip: IpAddr, at_home: bool) -> bool {
    match ip.to_canonical().is_loopback() {
        true => at_home,
        false => network::is_public(ip),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{client, is_public, wide};

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

    #[test]
    fn no_address_of_the_inside_is_public() {
        for text in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::",
            "64:ff9b::a00:1",
        ] {
            let ip = text.parse().expect("an address");
            assert!(!is_public(ip, false), "{text}");
        }
        for text in ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"] {
            assert!(
                is_public(text.parse().expect("an address"), false),
                "{text}"
            );
        }
    }
}
