//! A loopback address for each peer, so that all may use the same ports. An address is claimed through the kernel,
//! whose claims end with the process that holds them; it opens no port that a peer or a client would meet.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// An address of 127.1.0.0/16 that no other run of ours takes while this value lives.
#[derive(Debug)]
pub(crate) struct ClaimedAddress {
    address: Ipv4Addr,
    /// Bound, and never read.
    _claim: UdpSocket,
}

impl ClaimedAddress {
    /// Claims an address on which `ports` are free. The search begins anywhere, so that runs which start together seldom
    /// try the same; where they do, the kernel gives the claim to one of them. None: the system has only 127.0.0.1, or
    /// all are taken.
    pub(crate) fn any(ports: &[u16]) -> Option<Self> {
        let first = RandomState::new().hash_one(std::process::id());
        (0..ATTEMPTS).find_map(|attempt| Self::at(nth_address(first.wrapping_add(attempt)), ports))
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn at(address: Ipv4Addr, ports: &[u16]) -> Option<Self> {
        let claim = UdpSocket::bind((address, CLAIM_PORT)).ok()?;
        // The claim of a killed run is gone, its container may still be there.
        let free = ports.iter().all(|port| TcpListener::bind((address, *port)).is_ok());
        free.then_some(Self { address, _claim: claim })
    }
}

/// Walks through 127.1.0.1 to 127.1.255.254, leaving out last octets that look like a network or a broadcast.
fn nth_address(index: u64) -> Ipv4Addr {
    let place = u16::try_from(index % u64::from(ADDRESSES)).expect("a remainder is below its divisor");
    let [third, fourth] = [place / LAST_OCTETS, place % LAST_OCTETS + 1].map(|octet| octet.to_be_bytes()[1]);
    Ipv4Addr::new(127, 1, third, fourth)
}

/// UDP, so that a client which tries this port on a peer's address is refused as it should be.
const CLAIM_PORT: u16 = 2120;

/// 1 to 254.
const LAST_OCTETS: u16 = 254;

const ADDRESSES: u16 = 256 * LAST_OCTETS;

/// Many more than there can be peers at one time on one machine.
const ATTEMPTS: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stay_inside_their_network_and_begin_anew_at_its_end() {
        assert_eq!(nth_address(0), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(nth_address(253), Ipv4Addr::new(127, 1, 0, 254));
        assert_eq!(nth_address(254), Ipv4Addr::new(127, 1, 1, 1));
        assert_eq!(nth_address(256 * 254 - 1), Ipv4Addr::new(127, 1, 255, 254));
        assert_eq!(nth_address(256 * 254), Ipv4Addr::new(127, 1, 0, 1));
        assert!(matches!(nth_address(u64::MAX).octets(), [127, 1, _, 1..=254]));
    }

    #[test]
    fn a_claimed_address_is_given_to_nobody_else_until_it_is_dropped() {
        let first = ClaimedAddress::any(&[]).unwrap();
        let address = first.address();
        assert!(ClaimedAddress::at(address, &[]).is_none());
        assert_ne!(ClaimedAddress::any(&[]).unwrap().address(), address);
        drop(first);
        assert!(ClaimedAddress::at(address, &[]).is_some());
    }

    #[test]
    fn an_address_whose_port_is_taken_is_not_claimed() {
        let claimed = ClaimedAddress::any(&[]).unwrap();
        let listener = TcpListener::bind((claimed.address(), 0)).unwrap();
        let (address, port) = (claimed.address(), listener.local_addr().unwrap().port());
        drop(claimed);
        assert!(ClaimedAddress::at(address, &[port]).is_none());
        drop(listener);
        assert!(ClaimedAddress::at(address, &[port]).is_some());
    }
}
