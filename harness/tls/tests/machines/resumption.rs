//! Sessions that pass from the control connection to data connections (RFC 4217 §10), both engines at both ends.

use ftpspec_tls::{
    ClientCertificate, ClientContext, ClientSettings, Engine, Resume, ResumedBy, Reuse12, ServerContext,
    ServerSettings, Sessions, TlsError, Version,
};

use crate::pair::{Pair, client, client_settings, server, server_settings};
use crate::pki::{PKI, each_pair};

/// The ways in which a server lets sessions be resumed.
const WAYS: [(Version, Reuse12, ResumedBy); 4] = [
    (Version::Tls12, Reuse12::Id, ResumedBy::SessionId),
    (Version::Tls12, Reuse12::Ticket, ResumedBy::Ticket),
    (Version::Tls13, Reuse12::Id, ResumedBy::Psk),
    (Version::Tls13, Reuse12::Ticket, ResumedBy::Psk),
];

#[test]
fn data_connections_in_a_row_resume_the_control_session() {
    for (client_engine, server_engine) in each_pair() {
        for (version, reuse, by) in WAYS {
            for resume in [Resume::Newest, Resume::EachOnce] {
                let client = client(client_engine, version);
                let server = reusing(server_engine, version, reuse);
                let sessions = Sessions::new("control");
                let control = Pair::open(&client, &server, &sessions, resume);
                assert!(!control.resumed());
                assert!(sessions.count() > 0, "{client_engine} {server_engine} {version} {reuse:?}");
                let mut data_resumed = Vec::new();
                for _ in 0..4 {
                    // Dropped without close_notify: that must not spoil the session.
                    let data = Pair::open(&client, &server, &sessions, resume);
                    data_resumed.push(data.resumed());
                    if data.resumed() {
                        let handshake = data.client.machine.handshake().unwrap();
                        assert_eq!(handshake.resumed.as_deref(), Some("control"));
                        assert_eq!(handshake.resumption, Some(by));
                        assert_eq!(data.server.machine.handshake().unwrap().resumed.as_deref(), Some(""));
                    }
                }
                // A session of TLS 1.2 that was used once and forgotten comes back with a full handshake only, unless
                // the server renews its ticket.
                let forgets = version == Version::Tls12 && resume == Resume::EachOnce;
                if forgets {
                    assert!(data_resumed[0], "{client_engine} {server_engine} {version} {reuse:?}");
                } else {
                    assert_eq!(data_resumed, [true; 4], "{client_engine} {server_engine} {version} {reuse:?}");
                }
            }
        }
    }
}

#[test]
fn the_first_session_can_be_offered_again_and_again() {
    for (client_engine, server_engine) in each_pair() {
        for (version, reuse, _) in WAYS {
            let client = client(client_engine, version);
            let server = reusing(server_engine, version, reuse);
            let sessions = Sessions::new("control");
            let _control = Pair::open(&client, &server, &sessions, Resume::No);
            for attempt in 0..3 {
                if client_engine == Engine::Rustls && version == Version::Tls13 && attempt > 0 {
                    let refused = client.connect(&sessions, Resume::First).map(drop);
                    assert!(matches!(refused, Err(TlsError::Unsupported { .. })), "{refused:?}");
                } else {
                    assert!(
                        Pair::open(&client, &server, &sessions, Resume::First).resumed(),
                        "{client_engine} {server_engine} {version} {reuse:?} {attempt}"
                    );
                }
            }
        }
    }
}

#[test]
fn without_an_offer_the_handshake_is_full() {
    for (client_engine, server_engine) in each_pair() {
        for (version, reuse, _) in WAYS {
            let client = client(client_engine, version);
            let server = reusing(server_engine, version, reuse);
            let sessions = Sessions::new("control");
            let _control = Pair::open(&client, &server, &sessions, Resume::Newest);
            assert!(!Pair::open(&client, &server, &sessions, Resume::No).resumed());
            assert!(!Pair::open(&client, &server, &Sessions::new("another"), Resume::Newest).resumed());
        }
    }
}

#[test]
fn a_foreign_session_is_offered_and_not_taken() {
    for (client_engine, server_engine) in each_pair() {
        for (version, reuse, _) in WAYS {
            let client = client(client_engine, version);
            let (one, another) = (reusing(server_engine, version, reuse), reusing(server_engine, version, reuse));
            let (of_one, of_another) = (Sessions::new("one"), Sessions::new("another"));
            let _control = Pair::open(&client, &one, &of_one, Resume::Newest);
            let before = of_one.count();

            let machine = client.connect_offering(&of_one, &of_another, Resume::Newest).unwrap();
            let mut data = Pair::new(machine, another.accept().unwrap());
            data.run();
            data.assert_open();
            assert!(!data.resumed(), "{client_engine} {server_engine} {version} {reuse:?}");
            assert!(of_another.count() > 0, "what the server gave went to the sessions named");
            assert!(of_one.count() <= before);

            // The same offer at its own server is taken: it was the server that refused above.
            let machine = client.connect_offering(&of_one, &of_another, Resume::Newest).unwrap();
            let mut data = Pair::new(machine, one.accept().unwrap());
            data.run();
            data.assert_open();
            assert_eq!(data.client.machine.handshake().unwrap().resumed.as_deref(), Some("one"));
        }
    }
}

#[test]
fn a_server_may_forbid_resumption_of_either_version() {
    for (client_engine, server_engine) in each_pair() {
        for (newest, reuse, tickets, resumes) in [
            (Version::Tls12, Reuse12::None, 2, false),
            (Version::Tls13, Reuse12::None, 2, true),
            (Version::Tls13, Reuse12::Ticket, 0, false),
            (Version::Tls13, Reuse12::Id, 0, false),
        ] {
            // The server has both versions: the client's newest decides.
            let settings = ServerSettings {
                versions: Version::Tls12..=Version::Tls13,
                tickets,
                reuse_tls12: reuse,
                ..server_settings(newest)
            };
            let server = ServerContext::new(server_engine, settings).unwrap();
            let client = client(client_engine, newest);
            let sessions = Sessions::new("control");
            let control = Pair::open(&client, &server, &sessions, Resume::Newest);
            assert_eq!(control.client.machine.handshake().unwrap().version, newest);
            assert_eq!(sessions.count() > 0, resumes, "{client_engine} {server_engine} {newest} {reuse:?}");
            assert_eq!(Pair::open(&client, &server, &sessions, Resume::Newest).resumed(), resumes);
        }
    }
}

#[test]
fn another_certificate_of_the_server_resumes_the_same_sessions() {
    for (client_engine, server_engine) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let client = client(client_engine, version);
            let server = server(server_engine, version);
            let sessions = Sessions::new("control");
            let _control = Pair::open(&client, &server, &sessions, Resume::Newest);

            for (resume, expected) in [(Resume::Newest, true), (Resume::No, false)] {
                let machine = client.connect(&sessions, resume).unwrap();
                let mut data = Pair::new(machine, server.accept_with(&PKI.server_renewed).unwrap());
                data.run();
                data.assert_open();
                assert_eq!(data.resumed(), expected);
                if !expected {
                    let leaf = &data.client.machine.handshake().unwrap().peer_chain[0];
                    assert_eq!(leaf, &leaf_of(&PKI.server_renewed.chain_pem));
                }
            }
        }
    }
}

#[test]
fn a_session_with_a_client_certificate_resumes_with_it() {
    for (client_engine, server_engine) in each_pair() {
        for (version, reuse, _) in WAYS {
            let settings = ClientSettings { identity: Some(PKI.client_a.clone()), ..client_settings(version) };
            let client = ClientContext::new(client_engine, settings).unwrap();
            let settings = ServerSettings {
                client_certificate: ClientCertificate::Demanded { roots: PKI.root.clone() },
                reuse_tls12: reuse,
                ..server_settings(version)
            };
            let server = ServerContext::new(server_engine, settings).unwrap();
            let sessions = Sessions::new("control");
            let _control = Pair::open(&client, &server, &sessions, Resume::Newest);
            let data = Pair::open(&client, &server, &sessions, Resume::Newest);
            assert!(data.resumed(), "{client_engine} {server_engine} {version} {reuse:?}");
            let handshake = data.server.machine.handshake().unwrap();
            assert_eq!(handshake.peer_chain.first(), Some(&leaf_of(&PKI.client_a.chain_pem)));
        }
    }
}

fn reusing(engine: Engine, version: Version, reuse_tls12: Reuse12) -> ServerContext {
    ServerContext::new(engine, ServerSettings { reuse_tls12, ..server_settings(version) }).unwrap()
}

fn leaf_of(chain_pem: &[u8]) -> Vec<u8> {
    openssl::x509::X509::from_pem(chain_pem).unwrap().to_der().unwrap()
}
