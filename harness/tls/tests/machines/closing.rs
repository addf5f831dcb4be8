//! close_notify, and the way back to plaintext that CCC takes (RFC 4217 §9).

use ftpspec_tls::{By, Fact, State, TlsError, Version};

use crate::pair::{End, Pair, open};
use crate::pki::each_pair;

#[test]
fn back_to_plaintext_without_an_octet_lost() {
    let mut combinations = 0;
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            for client_closes_first in [true, false] {
                let Pair { client: one, server: other } = open(client, server, version);
                let (first, second) = if client_closes_first { (one, other) } else { (other, one) };
                back_to_plaintext(first, second);
                combinations += 1;
            }
        }
    }
    assert_eq!(combinations, 16);
}

fn back_to_plaintext(mut first: End, mut second: End) {
    first.machine.write(b"200 last protected words\r\n").unwrap();
    first.machine.send_close_notify();
    assert!(first.machine.we_closed());
    // One segment: data, close_notify, and plaintext glued behind it; some of it looks like a record.
    second.arriving.extend(first.machine.take_outgoing());
    second.arriving.extend(b"\x17\x03\x03\x00\x02ok: plaintext of the first\r\n");
    second.read();
    assert_eq!(second.plain, b"200 last protected words\r\n");
    assert_eq!(second.facts.last(), Some(&Fact::CloseNotify { by: By::Peer }));
    assert!(second.machine.peer_closed() && !second.machine.we_closed());
    assert_eq!(second.arriving, b"\x17\x03\x03\x00\x02ok: plaintext of the first\r\n");

    second.machine.send_close_notify();
    first.arriving.extend(second.machine.take_outgoing());
    first.arriving.extend(b"220 plaintext of the second\r\n");
    first.read();
    assert!(first.machine.peer_closed() && first.machine.we_closed());
    assert_eq!(first.arriving, b"220 plaintext of the second\r\n");
    assert_eq!(first.machine.state(), State::Open);
}

#[test]
fn what_is_fed_behind_close_notify_is_ignored() {
    for (client, server) in each_pair() {
        let mut pair = open(client, server, Version::Tls13);
        pair.server.machine.send_close_notify();
        pair.run();
        pair.client.machine.feed_record(b"220 plaintext\r\n");
        pair.client.machine.feed_record(b"\x17\x03\x03\x00\x02ok");
        assert_eq!(pair.client.machine.state(), State::Open);
        assert_eq!(pair.client.machine.take_facts(), []);
    }
}

#[test]
fn one_side_may_write_on_when_the_other_has_closed() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let mut pair = open(client, server, version);
            pair.client.machine.send_close_notify();
            pair.run();
            assert!(pair.server.machine.peer_closed());
            pair.server.machine.write(&vec![7; 40_000]).unwrap();
            pair.server.machine.send_close_notify();
            pair.run();
            assert_eq!(pair.client.plain, vec![7; 40_000]);
            assert!(pair.client.machine.peer_closed());
        }
    }
}

#[test]
fn nothing_is_sent_behind_our_own_close_notify() {
    for (client, server) in each_pair() {
        let mut pair = open(client, server, Version::Tls13);
        pair.client.machine.send_close_notify();
        assert!(!pair.client.machine.take_outgoing().is_empty());
        assert_eq!(pair.client.machine.write(b"more"), Err(TlsError::Closed));
        assert_eq!(pair.client.machine.send_record(23, b"more"), Err(TlsError::Closed));
        assert_eq!(pair.client.machine.key_update(false), Err(TlsError::Closed));
        pair.client.machine.send_close_notify();
        assert!(pair.client.machine.take_outgoing().is_empty());
    }
}

#[test]
fn a_bare_end_of_the_transport_leaves_our_own_direction_open() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let mut pair = open(client, server, version);
            pair.server.machine.transport_end();
            assert_eq!(pair.server.machine.state(), State::Open);
            assert!(!pair.server.machine.peer_closed());
            pair.server.machine.write(b"still here").unwrap();
            pair.run();
            assert_eq!(pair.client.plain, b"still here");
        }
    }
}

#[test]
fn close_notify_in_the_middle_of_a_handshake_ends_it() {
    for (client, _) in each_pair() {
        let context = crate::pair::client(client, Version::Tls12);
        let mut machine = context.connect(&ftpspec_tls::Sessions::new("control"), ftpspec_tls::Resume::No).unwrap();
        machine.send_close_notify();
        assert!(!machine.we_closed(), "before the end of the handshake nothing is sent");
        machine.feed_record(&[21, 3, 3, 0, 2, 1, 0]);
        assert!(machine.peer_closed());
        assert_eq!(machine.failure().unwrap().kind, ftpspec_tls::FailureKind::PeerEnded);
    }
}
