//! Where a process is told to listen: on a loopback address of its own, with the ports that containers have too, or, if
//! it cannot be told an address, on ports of 127.0.0.1 that no other run of ours takes.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

use crate::address::ClaimedAddress;

/// A place that is ours while this value lives.
#[derive(Debug)]
pub(super) struct Place {
    /// Where control connections are to be accepted.
    pub(super) address: SocketAddr,
    /// The ports for passive data connections, both ends included.
    pub(super) passive_ports: RangeInclusive<u16>,
    _claim: Claim,
}

/// What keeps other runs away; never read.
#[derive(Debug)]
enum Claim {
    Address { _address: ClaimedAddress },
    Ports { _socket: UdpSocket },
}

impl Place {
    /// An address of its own with the usual ports; ports of 127.0.0.1 where the system has no other address.
    pub(super) fn with_address(narrow: bool) -> Option<Self> {
        let Some(claim) = ClaimedAddress::any(&[CONTROL_PORT]) else { return Self::with_ports(narrow) };
        Some(Self {
            address: SocketAddr::from((claim.address(), CONTROL_PORT)),
            passive_ports: range(FIRST_PASSIVE_PORT, WIDE, narrow),
            _claim: Claim::Address { _address: claim },
        })
    }

    /// Ports of 127.0.0.1.
    pub(super) fn with_ports(narrow: bool) -> Option<Self> {
        let first = RandomState::new().hash_one(std::process::id()) % u64::from(BLOCKS);
        let first = u16::try_from(first).expect("a remainder is below its divisor");
        (0..BLOCKS).find_map(|attempt| Self::in_block((first + attempt) % BLOCKS, narrow))
    }

    fn in_block(block: u16, narrow: bool) -> Option<Self> {
        let port = FIRST_BLOCK + block * BLOCK;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some(Self {
            address: SocketAddr::from((IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
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
const CONTROL_PORT: u16 = 2121;
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
    fn two_places_are_never_the_same() {
        let [a, b] = [false, true].map(|narrow| Place::with_ports(narrow).unwrap());
        assert_ne!(a.address, b.address);
        assert!(a.passive_ports.end() < b.passive_ports.start() || b.passive_ports.end() < a.passive_ports.start());
        let [a, b] = [false, true].map(|narrow| Place::with_address(narrow).unwrap());
        assert_ne!(a.address, b.address);
    }

    #[test]
    fn all_blocks_lie_below_the_ports_of_connections() {
        let last = Place::in_block(BLOCKS - 1, false).map(|place| *place.passive_ports.end());
        // A port of it may be taken on this machine.
        assert!(last.is_none_or(|last| last < 32_768), "{last:?}");
        assert_eq!(range(20_001, BLOCK - 1, false), 20_001..=20_127);
        assert_eq!(range(40_000, WIDE, true), 40_000..=40_003);
    }
}
