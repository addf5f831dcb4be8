//! What a handshake tells, and what an open session carries.

use std::sync::{Arc, Mutex};

use ftpspec_tls::{
    By, ClientCertificate, ClientCertificateUse, ClientContext, ClientSettings, Engine, Fact, Identity, KeyLog, Resume,
    ServerContext, ServerSettings, Sessions, Suites, TlsError, Trust, Version, library_versions,
};

use crate::pair::{Pair, client_settings, open, server_settings};
use crate::pki::{PKI, each_pair};

#[test]
fn a_handshake_tells_what_was_agreed_upon() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let settings = ClientSettings {
                alpn: vec![b"x".to_vec(), b"ftp".to_vec()],
                identity: Some(PKI.client_a.clone()),
                ..client_settings(version)
            };
            let client_context = ClientContext::new(client, settings).unwrap();
            let settings = ServerSettings {
                alpn: vec![b"ftp".to_vec(), b"y".to_vec()],
                client_certificate: ClientCertificate::Asked { roots: PKI.root.clone() },
                ..server_settings(version)
            };
            let server_context = ServerContext::new(server, settings).unwrap();
            let pair = Pair::open(&client_context, &server_context, &Sessions::new("control"), Resume::Newest);
            let (ours, theirs) = (pair.client.machine.handshake().unwrap(), pair.server.machine.handshake().unwrap());
            assert_eq!(ours.version, version);
            assert_eq!(ours.suite, theirs.suite);
            assert_eq!(ours.suite_name, theirs.suite_name);
            assert!(ours.suite_name.starts_with("TLS_"), "{}", ours.suite_name);
            assert_eq!(ours.group, theirs.group);
            assert!(ours.group.is_some(), "{client} {server} {version}");
            assert_eq!(ours.alpn.as_deref(), Some(&b"ftp"[..]));
            assert_eq!(theirs.alpn.as_deref(), Some(&b"ftp"[..]));
            assert_eq!(theirs.server_name.as_deref(), Some("localhost"));
            assert_eq!(ours.server_name.as_deref(), Some("localhost"));
            assert_eq!(ours.client_certificate, ClientCertificateUse::Sent);
            assert_eq!(theirs.client_certificate, ClientCertificateUse::Sent);
            assert_eq!(theirs.peer_chain, chain(&PKI.client_a));
            assert_eq!(ours.peer_chain, chain(&PKI.server));
            assert_eq!((&ours.resumed, &ours.resumption), (&None, &None));
        }
    }
}

#[test]
fn facts_come_in_the_order_of_the_protocol() {
    for (client, server) in each_pair() {
        let tls13 = open(client, server, Version::Tls13);
        let names: Vec<_> = tls13.client.facts.iter().map(name).collect();
        let expected = ["ClientHello Us", "ServerHello Peer", "HandshakeFinished", "Ticket Peer", "Ticket Peer"];
        assert_eq!(names, expected, "{client} {server}");
        let names: Vec<_> = tls13.server.facts.iter().map(name).collect();
        let expected = ["ClientHello Peer", "ServerHello Us", "HandshakeFinished", "Ticket Us", "Ticket Us"];
        assert_eq!(names, expected, "{client} {server}");

        let tls12 = open(client, server, Version::Tls12);
        let names: Vec<_> = tls12.client.facts.iter().map(name).collect();
        assert_eq!(names, ["ClientHello Us", "ServerHello Peer", "Ticket Peer", "HandshakeFinished"]);
        let names: Vec<_> = tls12.server.facts.iter().map(name).collect();
        assert_eq!(names, ["ClientHello Peer", "ServerHello Us", "Ticket Us", "HandshakeFinished"]);

        // Both ends saw the same ClientHello, to the octet.
        assert_eq!(hello(&tls13.client.facts), hello(&tls13.server.facts));
    }
}

#[test]
fn a_client_that_is_asked_may_have_no_certificate() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let settings = ServerSettings {
                client_certificate: ClientCertificate::Asked { roots: PKI.root.clone() },
                ..server_settings(version)
            };
            let server_context = ServerContext::new(server, settings).unwrap();
            let client_context = ClientContext::new(client, client_settings(version)).unwrap();
            let pair = Pair::open(&client_context, &server_context, &Sessions::new("control"), Resume::No);
            for end in [&pair.client, &pair.server] {
                assert_eq!(end.machine.handshake().unwrap().client_certificate, ClientCertificateUse::NotSent);
            }
            assert!(pair.server.facts.contains(&Fact::CertificateRequest { by: By::Us }));
            assert_eq!(pair.server.machine.handshake().unwrap().peer_chain, Vec::<Vec<u8>>::new());
        }
    }
}

#[test]
fn an_address_is_verified_and_not_sent_as_server_name() {
    for (client, server) in each_pair() {
        let settings = ClientSettings { server_name: "127.0.0.1".into(), ..client_settings(Version::Tls13) };
        let client_context = ClientContext::new(client, settings).unwrap();
        let server_context = ServerContext::new(server, server_settings(Version::Tls13)).unwrap();
        let pair = Pair::open(&client_context, &server_context, &Sessions::new("control"), Resume::No);
        assert_eq!(pair.server.machine.handshake().unwrap().server_name, None);
    }
}

#[test]
fn much_data_passes_both_ways_unchanged() {
    for (client, server) in each_pair() {
        for version in [Version::Tls12, Version::Tls13] {
            let mut pair = open(client, server, version);
            let data: Vec<u8> = (0..65_536_u32).map(|n| n.to_le_bytes()[1] ^ n.to_le_bytes()[0]).collect();
            for _ in 0..8 {
                pair.client.machine.write(&data).unwrap();
                pair.server.machine.write(&data).unwrap();
                pair.run();
            }
            assert!(pair.client.plain == data.repeat(8));
            assert!(pair.server.plain == data.repeat(8));
        }
    }
}

#[test]
fn secrets_go_to_the_key_log_line_by_line() {
    for engine in Engine::ALL {
        for (version, labels) in [
            (Version::Tls12, &["CLIENT_RANDOM"][..]),
            (
                Version::Tls13,
                &[
                    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                    "CLIENT_TRAFFIC_SECRET_0",
                    "SERVER_TRAFFIC_SECRET_0",
                ],
            ),
        ] {
            let (client_lines, client_log) = collected();
            let (server_lines, server_log) = collected();
            let settings = ClientSettings { key_log: Some(client_log), ..client_settings(version) };
            let client = ClientContext::new(engine, settings).unwrap();
            let settings = ServerSettings { key_log: Some(server_log), ..server_settings(version) };
            let server = ServerContext::new(engine.other(), settings).unwrap();
            let _pair = Pair::open(&client, &server, &Sessions::new("control"), Resume::No);
            let (client_lines, server_lines) = (client_lines.lock().unwrap(), server_lines.lock().unwrap());
            for label in labels {
                let line = client_lines.iter().find(|line| line.split(' ').next() == Some(label));
                let line = line.unwrap_or_else(|| panic!("{engine} {version}: no {label}"));
                let words: Vec<_> = line.split(' ').collect();
                assert_eq!((words.len(), words[1].len()), (3, 64));
                assert!(words[2].bytes().all(|digit| digit.is_ascii_hexdigit()));
                assert!(server_lines.contains(line), "both ends log the same secret");
            }
        }
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused_with_their_reason() {
    for engine in Engine::ALL {
        let base = || client_settings(Version::Tls13);
        let refused = |settings| ClientContext::new(engine, settings).err().map(|error| error.to_string());
        assert_eq!(
            refused(ClientSettings { server_name: "no such name".into(), ..base() }).unwrap(),
            "\"no such name\" is neither a DNS name nor an IP address"
        );
        assert_eq!(
            refused(ClientSettings { alpn: vec![Vec::new()], ..base() }).unwrap(),
            "an ALPN name has 1 to 255 octets, not 0"
        );
        let reason = refused(ClientSettings { trust: Trust::Roots(b"nothing".to_vec()), ..base() }).unwrap();
        assert!(reason.starts_with("the trusted roots cannot be used: "), "{reason}");
        let identity = Identity { key_pem: PKI.client_b.key_pem.clone(), ..PKI.client_a.clone() };
        let reason = refused(ClientSettings { identity: Some(identity), ..base() }).unwrap();
        assert!(reason.starts_with("the private key of identity \"client-a\" cannot be used: "), "{reason}");
        let identity = Identity { chain_pem: Vec::new(), ..PKI.client_a.clone() };
        let reason = refused(ClientSettings { identity: Some(identity), ..base() }).unwrap();
        assert!(reason.starts_with("the certificate chain of identity \"client-a\" cannot be used: "), "{reason}");
        assert!(refused(client_settings(Version::Tls11)).unwrap().starts_with(&format!("{engine} has no TLS")));
    }
    let settings = ClientSettings { suites: Suites::OldToo, ..client_settings(Version::Tls12) };
    assert_eq!(ClientContext::new(Engine::Rustls, settings).err().unwrap().to_string(), "rustls has no old suites");
}

#[test]
fn nothing_is_written_before_the_handshake_is_over() {
    for engine in Engine::ALL {
        let context = ClientContext::new(engine, client_settings(Version::Tls13)).unwrap();
        let mut machine = context.connect(&Sessions::new("control"), Resume::No).unwrap();
        assert_eq!(machine.write(b"USER x\r\n"), Err(TlsError::NotOpen));
        assert_eq!(machine.send_record(21, &[2, 40]), Err(TlsError::NotOpen));
        assert_eq!(machine.key_update(true), Err(TlsError::NotOpen));
    }
}

#[test]
fn library_versions_are_those_that_are_linked() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
    let (rustls, openssl) = library_versions();
    assert!(lock.contains(&format!("name = \"rustls\"\nversion = \"{rustls}\"")), "rustls is not {rustls}");
    assert!(openssl::version::version().starts_with(&format!("OpenSSL {openssl} ")), "{openssl}");
}

fn collected() -> (Arc<Mutex<Vec<String>>>, KeyLog) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    (lines, Arc::new(move |line: &str| log.lock().unwrap().push(line.to_owned())))
}

fn name(fact: &Fact) -> String {
    match fact {
        Fact::ClientHello { by, .. } => format!("ClientHello {by:?}"),
        Fact::ServerHello { by } => format!("ServerHello {by:?}"),
        Fact::HandshakeFinished(_) => "HandshakeFinished".to_owned(),
        Fact::Ticket { by } => format!("Ticket {by:?}"),
        other => format!("{other:?}"),
    }
}

fn hello(facts: &[Fact]) -> &[u8] {
    facts.iter().find_map(|fact| if let Fact::ClientHello { hello, .. } = fact { Some(hello) } else { None }).unwrap()
}

fn chain(identity: &Identity) -> Vec<Vec<u8>> {
    let chain = openssl::x509::X509::stack_from_pem(&identity.chain_pem).unwrap();
    chain.iter().map(|certificate| certificate.to_der().unwrap()).collect()
}
