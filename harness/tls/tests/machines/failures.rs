//! Handshakes that must fail, and how each side tells it.

use ftpspec_tls::{
    By, ClientCertificate, ClientContext, ClientSettings, Fact, FailureKind, Machine, Resume, ServerContext,
    ServerSettings, Sessions, State, Trust, Version,
};

use crate::pair::{Pair, client_settings, server_settings};
use crate::pki::{PKI, each_pair};

#[test]
fn no_common_version() {
    for (client, server) in each_pair() {
        for (ours, theirs) in [(Version::Tls12, Version::Tls13), (Version::Tls13, Version::Tls12)] {
            let pair = attempt(
                &ClientContext::new(client, client_settings(ours)).unwrap(),
                &ServerContext::new(server, server_settings(theirs)).unwrap(),
            );
            // protocol_version by the book (RFC 8446 §6.2); handshake_failure where a library sees it as a missing
            // extension or suite.
            let sent = kind(&*pair.server.machine);
            assert!(matches!(sent, FailureKind::AlertSent(40 | 70 | 109)), "{client} {server} {ours} {sent:?}");
            let FailureKind::AlertSent(alert) = sent else { unreachable!() };
            assert_eq!(kind(&*pair.client.machine), FailureKind::AlertReceived(alert));
            assert!(pair.server.facts.contains(&Fact::Alert { by: By::Us, level: 2, description: alert }));
            assert!(pair.client.facts.contains(&Fact::Alert { by: By::Peer, level: 2, description: alert }));
            assert!(matches!(pair.client.facts.last(), Some(Fact::Failed(_))));
        }
    }
}

#[test]
fn a_server_certificate_from_somebody_else() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let settings = ServerSettings { identity: PKI.stranger.clone(), ..server_settings(version) };
            let server_context = ServerContext::new(server, settings).unwrap();
            let pair = attempt(&ClientContext::new(client, client_settings(version)).unwrap(), &server_context);
            assert_eq!(kind(&*pair.client.machine), FailureKind::CertificateRejected, "{client} {server} {version}");
            assert_eq!(kind(&*pair.server.machine), FailureKind::AlertReceived(UNKNOWN_CA));
            assert!(pair.client.facts.contains(&Fact::Alert { by: By::Us, level: 2, description: UNKNOWN_CA }));

            // The same certificate is let in by those who trust its root, and by those who trust anyone.
            for trust in [Trust::Roots(PKI.stranger_root.clone()), Trust::Anyone] {
                let settings = ClientSettings { trust, ..client_settings(version) };
                let pair = attempt(&ClientContext::new(client, settings).unwrap(), &server_context);
                pair.assert_open();
            }
        }
    }
}

#[test]
fn a_server_certificate_for_another_name() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            for (name, holds) in
                [("ftp.example.org", false), ("127.0.0.2", false), ("localhost", true), ("127.0.0.1", true)]
            {
                let settings = ClientSettings { server_name: name.into(), ..client_settings(version) };
                let pair = attempt(
                    &ClientContext::new(client, settings).unwrap(),
                    &ServerContext::new(server, server_settings(version)).unwrap(),
                );
                if holds {
                    pair.assert_open();
                } else {
                    assert_eq!(kind(&*pair.client.machine), FailureKind::CertificateRejected, "{client} {name}");
                    let FailureKind::AlertReceived(alert) = kind(&*pair.server.machine) else { panic!("{name}") };
                    assert!([BAD_CERTIFICATE, CERTIFICATE_UNKNOWN].contains(&alert), "{client} {name} {alert}");
                }
            }
        }
    }
}

#[test]
fn a_missing_client_certificate() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let settings = ServerSettings {
                client_certificate: ClientCertificate::Demanded { roots: PKI.root.clone() },
                ..server_settings(version)
            };
            let pair = attempt(
                &ClientContext::new(client, client_settings(version)).unwrap(),
                &ServerContext::new(server, settings).unwrap(),
            );
            // certificate_required is TLS 1.3's (RFC 8446 §4.4.2.4); rustls sends it in TLS 1.2, too.
            let FailureKind::AlertSent(alert) = kind(&*pair.server.machine) else { panic!("{:?}", pair.server.facts) };
            assert!([HANDSHAKE_FAILURE, CERTIFICATE_REQUIRED].contains(&alert), "{client} {server} {version} {alert}");
            assert_eq!(kind(&*pair.client.machine), FailureKind::AlertReceived(alert));
            assert!(pair.client.facts.contains(&Fact::CertificateRequest { by: By::Peer }));
            let finished = |fact: &Fact| matches!(fact, Fact::HandshakeFinished(_));
            // In TLS 1.3 the client's own handshake was over before the alert came.
            assert_eq!(pair.client.facts.iter().any(finished), version == Version::Tls13);
            assert!(!pair.server.facts.iter().any(finished));
        }
    }
}

#[test]
fn a_client_certificate_from_somebody_else() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            // Both clients present what they have, though the server names other issuers (RFC 8446 §4.4.2.3 advises
            // against it): so it is the server that refuses.
            let client_settings = ClientSettings { identity: Some(PKI.stranger.clone()), ..client_settings(version) };
            let settings = ServerSettings {
                client_certificate: ClientCertificate::Asked { roots: PKI.root.clone() },
                ..server_settings(version)
            };
            let pair = attempt(
                &ClientContext::new(client, client_settings).unwrap(),
                &ServerContext::new(server, settings).unwrap(),
            );
            assert_eq!(kind(&*pair.server.machine), FailureKind::CertificateRejected, "{client} {server} {version}");
            assert_eq!(kind(&*pair.client.machine), FailureKind::AlertReceived(UNKNOWN_CA));
        }
    }
}

#[test]
fn nothing_in_common_in_alpn() {
    for (client, server) in each_pair() {
        let pair = attempt(
            &ClientContext::new(
                client,
                ClientSettings { alpn: vec![b"ftp".to_vec()], ..client_settings(Version::Tls13) },
            )
            .unwrap(),
            &ServerContext::new(
                server,
                ServerSettings { alpn: vec![b"h2".to_vec()], ..server_settings(Version::Tls13) },
            )
            .unwrap(),
        );
        assert_eq!(kind(&*pair.server.machine), FailureKind::AlertSent(NO_APPLICATION_PROTOCOL));
        assert_eq!(kind(&*pair.client.machine), FailureKind::AlertReceived(NO_APPLICATION_PROTOCOL));
    }
}

#[test]
fn plaintext_where_a_hello_was_due() {
    for (client, server) in each_pair() {
        let mut pair = Pair::new(
            ClientContext::new(client, client_settings(Version::Tls12))
                .unwrap()
                .connect(&Sessions::new("control"), Resume::No)
                .unwrap(),
            ServerContext::new(server, server_settings(Version::Tls12)).unwrap().accept().unwrap(),
        );
        for (end, text) in
            [(&mut pair.client, "550 TLS handshake failed\r\n"), (&mut pair.server, "USER anonymous\r\n")]
        {
            end.machine.feed_record(text.as_bytes());
            assert_eq!(kind(&*end.machine), FailureKind::NotTls);
            assert_eq!(end.machine.state(), State::Failed);
        }
        for short in ["5", "550 T"] {
            let context = ClientContext::new(client, client_settings(Version::Tls12)).unwrap();
            let mut machine = context.connect(&Sessions::new("control"), Resume::No).unwrap();
            machine.feed_record(short.as_bytes());
            assert_eq!(kind(&*machine), FailureKind::NotTls);
        }
    }
}

#[test]
fn plaintext_in_an_open_session() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let mut pair = crate::pair::open(client, server, version);
            pair.client.machine.feed_record(b"426 Connection closed; transfer aborted.\r\n");
            assert_eq!(kind(&*pair.client.machine), FailureKind::NotTls, "{client} {version}");
        }
    }
}

#[test]
fn a_record_changed_on_its_way() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let mut pair = crate::pair::open(client, server, version);
            pair.client.machine.write(b"STOR secret\r\n").unwrap();
            let mut record = pair.client.machine.take_outgoing();
            *record.last_mut().unwrap() ^= 1;
            pair.server.machine.feed_record(&record);
            pair.run();
            assert_eq!(kind(&*pair.server.machine), FailureKind::Decrypt, "{server} {version}");
            assert!(pair.server.plain.is_empty());
            // The alert is seen for what it is on both sides, protected though it was.
            assert_eq!(kind(&*pair.client.machine), FailureKind::AlertReceived(BAD_RECORD_MAC));
        }
    }
}

#[test]
fn an_end_before_the_handshake_is_over() {
    for (client, server) in each_pair() {
        let mut pair = Pair::new(
            ClientContext::new(client, client_settings(Version::Tls13))
                .unwrap()
                .connect(&Sessions::new("control"), Resume::No)
                .unwrap(),
            ServerContext::new(server, server_settings(Version::Tls13)).unwrap().accept().unwrap(),
        );
        pair.client.machine.transport_end();
        assert_eq!(kind(&*pair.client.machine), FailureKind::PeerEnded);
        // The ClientHello arrives, and then nothing more.
        pair.server.arriving.extend(pair.client.machine.take_outgoing());
        pair.server.read();
        pair.server.machine.transport_end();
        assert_eq!(kind(&*pair.server.machine), FailureKind::PeerEnded);
        assert!(matches!(pair.server.machine.take_facts().last(), Some(Fact::Failed(_))));
    }
}

fn attempt(client: &ClientContext, server: &ServerContext) -> Pair {
    let machine = client.connect(&Sessions::new("control"), Resume::No).unwrap();
    let mut pair = Pair::new(machine, server.accept().unwrap());
    pair.run();
    pair
}

fn kind(machine: &dyn Machine) -> FailureKind {
    assert_eq!(machine.state(), State::Failed);
    machine.failure().unwrap().kind
}

const BAD_RECORD_MAC: u8 = 20;
const HANDSHAKE_FAILURE: u8 = 40;
const BAD_CERTIFICATE: u8 = 42;
const CERTIFICATE_UNKNOWN: u8 = 46;
const UNKNOWN_CA: u8 = 48;
const CERTIFICATE_REQUIRED: u8 = 116;
const NO_APPLICATION_PROTOCOL: u8 = 120;
