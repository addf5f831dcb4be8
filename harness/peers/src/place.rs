//! Where a peer is told to listen: on an IPv4 loopback address of its own with the same ports as all the others, or, where
//! it cannot be, on ports of the one loopback address that no other run of ours takes. IPv6 has `::1` and no other.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

use crate::address::ClaimedAddress;

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The address of this machine.
    #[must_use]
    pub fn loopback(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Self::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        }
    }

    /// Whether an address is of this family.
    #[must_use]
    pub fn has(self, address: &SocketAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }

    /// Whether this machine has a loopback address of the family, on which peers of ours could listen.
    ///
    /// # Errors
    /// It has none.
    pub fn check(self) -> Result<(), NoPlace> {
        TcpListener::bind((self.loopback(), 0)).map(drop).map_err(|_| NoPlace::Family { loopback: self.loopback() })
    }
}

/// Why there is nowhere to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoPlace {
    /// The machine has no loopback address of the family.
    #[error("this machine has no loopback address {loopback}, where peers of ours listen: {}", cure(.loopback))]
    Family {
        /// The address that it lacks.
        loopback: IpAddr,
    },
    /// Every port that we look at is taken.
    #[error("no free ports on loopback: is a run left over?")]
    Taken,
}

fn cure(loopback: &IpAddr) -> &'static str {
    match loopback {
        IpAddr::V4(_) => "bring its loopback device up",
        IpAddr::V6(_) => "enable IPv6 on its loopback device, or leave -6 away",
    }
}

/// A place that is ours while this value lives.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where control connections are to be accepted.
    pub(crate) address: SocketAddr,
    /// The ports for passive data connections, both ends included.
    pub(crate) passive_ports: RangeInclusive<u16>,
    _claim: Claim,
}

/// What keeps other runs away; never read.
#[derive(Debug)]
enum Claim {
    Address { _address: ClaimedAddress },
    Ports { _socket: UdpSocket },
}

impl Place {
    /// For a peer that takes an address: one of its own with the usual ports. Where there is only one address, be it that
    /// the family or the system has no other, it is ports of that.
    pub(crate) fn with_address(family: Family, implicit_tls: bool, narrow: bool) -> Result<Self, NoPlace> {
        if family == Family::V6 {
            return Self::with_ports(family, narrow);
        }
        // Both, for a container of a killed run may be left on either.
        let claim = ClaimedAddress::any(&[EXPLICIT_PORT, IMPLICIT_PORT]);
        let Some(claim) = claim else { return Self::with_ports(family, narrow) };
        let port = if implicit_tls { IMPLICIT_PORT } else { EXPLICIT_PORT };
        Ok(Self {
            address: SocketAddr::from((claim.address(), port)),
            passive_ports: range(FIRST_PASSIVE_PORT, WIDE, narrow),
            _claim: Claim::Address { _address: claim },
        })
    }

    /// Ports of the family's loopback address. The search begins anywhere, so that runs which start together seldom try
    /// the same, and ends where it began.
    pub(crate) fn with_ports(family: Family, narrow: bool) -> Result<Self, NoPlace> {
        family.check()?;
        let first = RandomState::new().hash_one(std::process::id()) % u64::from(BLOCKS);
        let first = u16::try_from(first).expect("a remainder is below its divisor");
        let mut blocks = (0..BLOCKS).map(|attempt| (first + attempt) % BLOCKS);
        blocks.find_map(|block| Self::in_block(family, block, narrow)).ok_or(NoPlace::Taken)
    }

    fn in_block(family: Family, block: u16, narrow: bool) -> Option<Self> {
        let port = FIRST_BLOCK + block * BLOCK;
        // A block is one peer's in both families: a peer that is told no address may listen on all there are.
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        // The claim of a killed run is gone, its container may still be there.
        TcpListener::bind((family.loopback(), port)).ok()?;
        Some(Self {
            address: SocketAddr::from((family.loopback(), port)),
            passive_ports: range(port + 1, BLOCK - 1, narrow),
            _claim: Claim::Ports { _socket: socket },
        })
    }
}

fn range(first: u16, width: u16, narrow: bool) -> RangeInclusive<u16> {
    let width = if narrow { NARROW } else { width };
    first..=first + (width - 1)
}

/// Above 1023, so that neither side needs rights for it.
const EXPLICIT_PORT: u16 = 2121;
/// As 990, above 1023.
const IMPLICIT_PORT: u16 = 2990;
const FIRST_PASSIVE_PORT: u16 = 40_000;
/// Ports; wide enough that no transfer of a run ever waits for one.
const WIDE: u16 = 1000;
/// Ports; as few as the scenarios about a narrow range want.
const NARROW: u16 = 4;
/// Below the ports that Linux gives to connections (32768 and above), so that none of those is in the way.
const FIRST_BLOCK: u16 = 20_000;
/// Ports: one to listen on, the others for data.
const BLOCK: u16 = 128;
const BLOCKS: u16 = (32_768 - FIRST_BLOCK) / BLOCK;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_places_are_never_the_same_in_either_family() {
        let families = [Family::V4, Family::V6].into_iter().filter(|family| family.check().is_ok());
        let places: Vec<_> = families
            .flat_map(|family| [false, true].map(|narrow| Place::with_ports(family, narrow).unwrap()))
            .collect();
        assert!(places.len() >= 2);
        for (at, a) in places.iter().enumerate() {
            for b in &places[..at] {
                let [low, high] = if a.address.port() < b.address.port() { [a, b] } else { [b, a] };
                assert!(*low.passive_ports.end() < high.address.port(), "{low:?} {high:?}");
            }
        }
        let [a, b] = [false, true].map(|narrow| Place::with_address(Family::V4, false, narrow).unwrap());
        assert_ne!(a.address.ip(), b.address.ip());
    }

    #[test]
    fn in_ipv6_a_peer_that_takes_an_address_gets_ports_of_its_own_all_the_same() {
        let place = match Place::with_address(Family::V6, true, false) {
            Ok(place) => place,
            Err(missing) => return assert_eq!(missing, NoPlace::Family { loopback: Ipv6Addr::LOCALHOST.into() }),
        };
        assert_eq!(place.address.ip(), IpAddr::V6(Ipv6Addr::LOCALHOST));
        assert_ne!(place.address.port(), IMPLICIT_PORT);
        assert_eq!(*place.passive_ports.start(), place.address.port() + 1);
    }

    #[test]
    fn a_family_that_the_machine_lacks_is_told_with_a_cure() {
        let told = NoPlace::Family { loopback: Family::V6.loopback() }.to_string();
        assert_eq!(
            told,
            "this machine has no loopback address ::1, where peers of ours listen: enable IPv6 on its loopback \
             device, or leave -6 away"
        );
    }

    #[test]
    fn all_blocks_lie_below_the_ports_of_connections() {
        let last = Place::in_block(Family::V4, BLOCKS - 1, false).map(|place| *place.passive_ports.end());
        // A port of it may be taken on this machine.
        assert!(last.is_none_or(|last| last < 32_768), "{last:?}");
        assert_eq!(range(20_001, BLOCK - 1, false), 20_001..=20_127);
        assert_eq!(range(40_000, WIDE, true), 40_000..=40_003);
    }
}
