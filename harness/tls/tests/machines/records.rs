//! Records that a correct peer never sends, alerts behind the encryption, and key updates.

use ftpspec_tls::{
    By, ClientContext, ClientSettings, Engine, Fact, FailureKind, Resume, ServerContext, ServerSettings, Sessions,
    State, Suites, TlsError, Version,
};

use crate::pair::{End, Pair, client_settings, open, server_settings};
use crate::pki::each_pair;
use crate::plain_openssl::PlainOpenssl;

#[test]
fn alerts_are_seen_behind_the_encryption_both_ways() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let mut pair = open(client, server, version);
            pair.client.facts.clear();
            pair.server.facts.clear();
            pair.server.machine.write(b"before").unwrap();
            pair.server.machine.send_record(21, &[2, 80]).unwrap();
            pair.run();
            assert_eq!(pair.client.plain, b"before", "{client} {server} {version}");
            assert_eq!(pair.server.facts, [Fact::Alert { by: By::Us, level: 2, description: 80 }]);
            assert_eq!(pair.client.facts[0], Fact::Alert { by: By::Peer, level: 2, description: 80 });
            assert_eq!(pair.client.machine.failure().unwrap().kind, FailureKind::AlertReceived(80));
        }
    }
}

#[test]
fn a_record_of_another_type_keeps_the_session_in_step() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let mut pair = open(client, server, version);
            for round in 0..3_u8 {
                // A warning that both libraries let pass in both versions.
                pair.client.machine.send_record(21, &[1, 90]).unwrap();
                pair.client.machine.write(&[round; 100]).unwrap();
                pair.run();
            }
            assert_eq!(pair.server.machine.state(), State::Open, "{client} {server} {version} {:?}", pair.server.facts);
            assert_eq!(pair.server.plain.len(), 300);
            let warnings = pair
                .server
                .facts
                .iter()
                .filter(|fact| **fact == Fact::Alert { by: By::Peer, level: 1, description: 90 });
            assert_eq!(warnings.count(), 3);
        }
    }
}

#[test]
fn each_aead_suite_is_protected_in_step() {
    for (version, suites) in [
        (Version::Tls13, ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]),
        (Version::Tls12, ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"]),
    ] {
        for suite in suites {
            for engine in Engine::ALL {
                let client = ClientContext::new(engine, client_settings(version)).unwrap();
                let machine = client.connect(&Sessions::new("control"), Resume::No).unwrap();
                let mut end = End::new(machine);
                let mut server = PlainOpenssl::with_suite(suite);
                while end.machine.state() == State::Handshaking {
                    end.arriving.extend(server.answer(&end.machine.take_outgoing()));
                    end.read();
                }
                assert_eq!(end.machine.state(), State::Open, "{engine} {suite} {:?}", end.facts);
                end.machine.write(b"one ").unwrap();
                end.machine.send_record(21, &[1, 90]).unwrap();
                end.machine.write(b"two ").unwrap();
                end.machine.send_record(21, &[1, 90]).unwrap();
                end.machine.write(b"three").unwrap();
                server.answer(&end.machine.take_outgoing());
                assert_eq!(server.plain, b"one two three", "{engine} {suite}");
            }
        }
    }
}

#[test]
fn application_data_may_be_empty_or_full() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let mut pair = open(client, server, version);
            pair.server.machine.send_record(23, b"").unwrap();
            pair.server.machine.send_record(23, &[9; 16_384]).unwrap();
            pair.run();
            assert_eq!(pair.client.plain, [9; 16_384], "{client} {server} {version}");
            let too_long = pair.server.machine.send_record(23, &[9; 16_385]);
            assert!(matches!(too_long, Err(TlsError::CannotSend { content_type: 23, .. })));
        }
    }
}

#[test]
fn an_unknown_content_type_arrives_as_one() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let mut pair = open(client, server, version);
            // A heartbeat that nobody negotiated (RFC 6520 §3).
            pair.client.machine.send_record(24, &[1, 0, 1, 0]).unwrap();
            pair.run();
            assert_eq!(pair.server.machine.state(), State::Failed, "{client} {server} {version}");
            let kind = pair.server.machine.failure().unwrap().kind;
            // unexpected_message (RFC 8446 §5), or decode_error where a library reads on.
            assert!(matches!(kind, FailureKind::AlertSent(10 | 50)), "{client} {server} {version} {kind:?}");
        }
    }
}

#[test]
fn a_close_notify_sent_as_a_record_counts_as_one() {
    for (client, server) in each_pair() {
        let mut pair = open(client, server, Version::Tls13);
        pair.client.machine.send_record(21, &[1, 0]).unwrap();
        assert!(pair.client.machine.we_closed());
        pair.run();
        assert!(pair.server.machine.peer_closed());
    }
}

#[test]
fn keys_are_updated_on_both_sides() {
    for (client, server) in each_pair() {
        let mut pair = open(client, server, Version::Tls13);
        for request in [false, true, false] {
            pair.client.facts.clear();
            pair.server.facts.clear();
            pair.client.machine.key_update(request).unwrap();
            pair.client.machine.write(b"after the update").unwrap();
            pair.run();
            assert!(pair.client.facts.contains(&Fact::KeyUpdate { by: By::Us, request }), "{client} {server}");
            assert!(pair.server.facts.contains(&Fact::KeyUpdate { by: By::Peer, request }), "{client} {server}");
            // The answer goes out with what is written next, at the latest.
            pair.server.machine.write(b"answer").unwrap();
            pair.run();
            let answered = pair.client.facts.contains(&Fact::KeyUpdate { by: By::Peer, request: false });
            assert_eq!(answered, request, "{client} {server}");
            // A record of our own making follows the new keys.
            pair.client.machine.send_record(21, &[1, 90]).unwrap();
            pair.client.machine.write(b".").unwrap();
            pair.run();
            pair.assert_open();
        }
        assert_eq!(pair.server.plain, b"after the update.".repeat(3));
        assert_eq!(pair.client.plain, b"answer".repeat(3));
    }
}

#[test]
fn tls12_has_no_key_update() {
    for (client, server) in each_pair() {
        let mut pair = open(client, server, Version::Tls12);
        assert!(matches!(pair.client.machine.key_update(true), Err(TlsError::CannotSend { .. })));
        pair.client.machine.write(b"on it goes").unwrap();
        pair.run();
        assert_eq!(pair.server.plain, b"on it goes");
    }
}

#[test]
fn openssl_cannot_send_strange_records_under_a_cbc_suite() {
    let settings = ClientSettings { suites: Suites::OldToo, ..client_settings(Version::Tls11) };
    let client = ClientContext::new(Engine::Openssl, settings).unwrap();
    let settings = ServerSettings { suites: Suites::OldToo, ..server_settings(Version::Tls11) };
    let server = ServerContext::new(Engine::Openssl, settings).unwrap();
    let mut pair = Pair::open(&client, &server, &Sessions::new("control"), Resume::No);
    assert!(matches!(pair.client.machine.send_record(21, &[1, 90]), Err(TlsError::CannotSend { .. })));
    pair.client.machine.send_record(23, b"but this").unwrap();
    pair.run();
    assert_eq!(pair.server.plain, b"but this");
}
