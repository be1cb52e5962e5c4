//! Who a client is: the value of a header, or an address, behind proxies that are trusted to tell it.

use std::hash::Hasher;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// Before the bits of an address of version 4, where it is written as one of version 6 (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A client, as far as limits know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Client<'a> {
    /// By the value of a header, such as a key.
    Named(&'a [u8]),
    /// By an address; of version 6 the first 64 bits, which is what one customer is given (RFC 6177).
    At(IpAddr),
}

impl Client<'_> {
    /// A hash by which it is told from others.
    pub(super) fn hash(&self, mut hasher: impl Hasher) -> u64 {
        match self {
            Self::Named(value) => {
                hasher.write_u8(0);
                hasher.write(value);
            }
            Self::At(IpAddr::V4(address)) => {
                hasher.write_u8(4);
                hasher.write(&address.octets());
            }
            Self::At(IpAddr::V6(address)) => {
                hasher.write_u8(6);
                hasher.write_u64((u128::from(*address) >> 64) as u64);
            }
        }
        hasher.finish()
    }
}

/// The networks of proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Networks such as `10.0.0.0/8` and `fd00::/8`, or single addresses.
    ///
    /// # Errors
    /// The first text that is none.
    pub fn new<S: AsRef<str>>(networks: &[S]) -> Result<Self, String> {
        let networks = networks.iter().map(AsRef::as_ref);
        networks.map(|text| network(text).ok_or_else(|| text.to_owned())).collect::<Result<_, _>>().map(Self)
    }

    /// The address of a client: the last one that no trusted proxy has, of those that proxies told and the peer's own.
    ///
    /// `forwarded` are the values of `X-Forwarded-For` in their order. What is no address ends the search: it was not told by a
    /// proxy that is trusted. None when the peer has no address.
    #[must_use]
    pub fn client_of<'a>(
        &self,
        peer: &str,
        forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Option<Client<'static>> {
        let mut address = address(peer.as_bytes())?;
        let mut told = forwarded.rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
        while self.0.iter().any(|network| network.contains(&address)) {
            match told.next().and_then(self::address) {
                Some(before) => address = before,
                None => break,
            }
        }
        Some(Client::At(match address {
            IpAddr::V6(six) => IpAddr::V6(prefix(six)),
            four @ IpAddr::V4(_) => four,
        }))
    }
}

/// Reads an address; one of version 4 in the clothes of version 6 is one of version 4.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Reads a network or a single address; one in the range `::ffff:0:0/96` is one of version 4.
fn network(text: &str) -> Option<IpNet> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    let bits = network.prefix_len().checked_sub(MAPPED_BITS);
    match (network.addr().to_canonical(), bits) {
        (four @ IpAddr::V4(_), Some(bits)) if network.addr().is_ipv6() => IpNet::new(four, bits).ok(),
        _ => Some(network),
    }
}

/// The network of 64 bits.
fn prefix(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(address) >> 64 << 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_that_no_proxy_has_is_the_clients() {
        let proxies = Proxies::new(&["10.0.0.0/8", "192.0.2.7", "fd00::/8"]).unwrap();
        let table: [(&str, &[&str], &str); 11] = [
            ("198.51.100.1", &["1.1.1.1"], "198.51.100.1"), // nobody trusts the peer
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &["1.1.1.1"], "1.1.1.1"),
            ("10.1.2.3", &["6.6.6.6, 1.1.1.1"], "1.1.1.1"), // what a client invents stands before
            ("10.1.2.3", &["6.6.6.6, 1.1.1.1 ,192.0.2.7"], "1.1.1.1"),
            ("10.1.2.3", &["6.6.6.6", "1.1.1.1", "10.9.9.9"], "1.1.1.1"),
            ("10.1.2.3", &["1.1.1.1, unknown"], "10.1.2.3"),
            ("10.1.2.3", &["10.0.0.9"], "10.0.0.9"),
            ("fd00::1", &["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::"),
            ("::ffff:10.1.2.3", &["::ffff:1.1.1.1"], "1.1.1.1"),
            ("192.0.2.8", &["1.1.1.1"], "192.0.2.8"),
        ];
        for (peer, forwarded, expected) in table {
            let found = proxies.client_of(peer, forwarded.iter().map(|value| value.as_bytes()));
            assert_eq!(found, Some(Client::At(expected.parse().unwrap())), "{peer} {forwarded:?}");
        }
        assert_eq!(proxies.client_of("unix:", [].into_iter()), None);
    }

    #[test]
    fn addresses_of_version_6_are_compared_whole_and_then_cut() {
        for (trusted, peer, expected) in [
            ("fd00::1", "fd00::1", "1.1.1.1"), // a single address
            ("fd00::1", "fd00::2", "fd00::"),
            ("2001:db8::/128", "2001:db8::", "1.1.1.1"),
            ("2001:db8::/128", "2001:db8::bad", "2001:db8::"), // a stranger in the same network
            ("2001:db8:0:0:8000::/65", "2001:db8::8000:0:0:1", "1.1.1.1"),
            ("2001:db8:0:0:8000::/65", "2001:db8::7000:0:0:1", "2001:db8::"),
            ("2001:db8::/32", "2001:db8:1:2:3:4:5:6", "1.1.1.1"),
            ("::ffff:10.1.2.3", "10.1.2.3", "1.1.1.1"),
            ("::ffff:10.1.2.3", "::ffff:10.1.2.3", "1.1.1.1"),
            ("10.1.2.3", "::ffff:10.1.2.3", "1.1.1.1"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "1.1.1.1"),
            ("::ffff:10.0.0.0/104", "11.1.2.3", "11.1.2.3"),
            ("::/0", "::1", "1.1.1.1"),
            ("::/0", "10.1.2.3", "10.1.2.3"), // version 4 is not of it
        ] {
            let found = Proxies::new(&[trusted]).unwrap().client_of(peer, [&b"1.1.1.1"[..]].into_iter());
            assert_eq!(found, Some(Client::At(expected.parse().unwrap())), "{peer}, {trusted} trusted");
        }
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in ["10.0.0.0/33", "example.org", ""] {
            assert_eq!(Proxies::new(&["10.0.0.1", text]).unwrap_err(), text);
        }
    }

    #[test]
    fn names_and_addresses_are_different_clients() {
        let hash = |client: Client<'_>| client.hash(siphasher::sip::SipHasher13::new_with_keys(1, 2));
        let at = |text: &str| Client::At(text.parse().unwrap());
        assert_ne!(hash(Client::Named(&[1, 1, 1, 1])), hash(at("1.1.1.1")));
        assert_eq!(hash(at("2001:db8::1")), hash(at("2001:db8::2")));
        assert_ne!(hash(at("2001:db8:0:1::1")), hash(at("2001:db8:0:2::1")));
    }
}
