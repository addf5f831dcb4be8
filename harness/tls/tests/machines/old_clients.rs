//! What only OpenSSL can do: the TLS of mainframes and of the last century's clients.

use ftpspec_tls::{
    By, ClientContext, ClientSettings, Engine, Fact, FailureKind, Resume, ResumedBy, Reuse12, ServerContext,
    ServerSettings, Sessions, State, Suites, Version,
};

use crate::pair::{End, Pair, client_settings, server_settings};
use crate::plain_openssl::PlainOpenssl;

#[test]
fn tls_1_0_and_1_1_with_old_suites() {
    for version in [Version::Tls10, Version::Tls11] {
        let (client, server) = old(version..=version, Reuse12::Id);
        let sessions = Sessions::new("control");
        let mut pair = Pair::open(&client, &server, &sessions, Resume::Newest);
        assert_eq!(pair.client.machine.handshake().unwrap().version, version);
        pair.client.machine.write(b"USER anonymous\r\n").unwrap();
        pair.client.machine.send_close_notify();
        pair.run();
        assert_eq!(pair.server.plain, b"USER anonymous\r\n");
        assert!(pair.server.machine.peer_closed());
        let data = Pair::open(&client, &server, &sessions, Resume::Newest);
        assert!(data.resumed());
        assert_eq!(data.client.machine.handshake().unwrap().resumption, Some(ResumedBy::SessionId));
    }
}

#[test]
fn rsa_key_exchange_with_cbc_and_sha1() {
    for (version, suite, name) in [
        (Version::Tls10, "AES128-SHA:@SECLEVEL=0", "TLS_RSA_WITH_AES_128_CBC_SHA"),
        (Version::Tls12, "AES256-SHA:@SECLEVEL=0", "TLS_RSA_WITH_AES_256_CBC_SHA"),
        (Version::Tls12, "AES128-GCM-SHA256:@SECLEVEL=0", "TLS_RSA_WITH_AES_128_GCM_SHA256"),
    ] {
        let (client, _) = old(version..=version, Reuse12::None);
        let mut end = End::new(client.connect(&Sessions::new("control"), Resume::No).unwrap());
        let mut server = PlainOpenssl::with_suite(suite);
        while end.machine.state() == State::Handshaking {
            end.arriving.extend(server.answer(&end.machine.take_outgoing()));
            end.read();
        }
        let handshake = end.machine.handshake().unwrap();
        assert_eq!((handshake.version, handshake.suite_name.as_str(), &handshake.group), (version, name, &None));
        end.machine.write(b"USER anonymous\r\n").unwrap();
        server.answer(&end.machine.take_outgoing());
        assert_eq!(server.plain, b"USER anonymous\r\n");
    }
}

#[test]
fn the_zos_client_hello_meets_a_server_of_today() {
    for engine in Engine::ALL {
        let server = ServerContext::new(engine, server_settings_of_today()).unwrap();
        let mut machine = server.accept().unwrap();
        machine.feed_record(&zos_client_hello());
        assert_eq!(machine.state(), State::Failed);
        let kind = machine.failure().unwrap().kind;
        // protocol_version, or handshake_failure: it has TLS 1.0 at most, and no suite that is in use today.
        assert!(matches!(kind, FailureKind::AlertSent(40 | 70)), "{engine} {kind:?}");
        let outgoing = machine.take_outgoing();
        assert_eq!((outgoing[0], outgoing.len()), (21, 7), "an alert in the clear: {outgoing:02x?}");
        let facts = machine.take_facts();
        let hello = zos_client_hello()[5..].to_vec();
        assert_eq!(facts[0], Fact::ClientHello { by: By::Peer, hello });
    }
}

#[test]
fn the_zos_client_hello_meets_a_server_of_its_time() {
    let (_, server) = old(Version::Tls10..=Version::Tls12, Reuse12::Id);
    let mut machine = server.accept().unwrap();
    machine.feed_record(&zos_client_hello());
    assert_eq!(machine.state(), State::Handshaking);
    assert!(machine.take_facts().contains(&Fact::ServerHello { by: By::Us }));
    let outgoing = machine.take_outgoing();
    assert_eq!(outgoing[..3], [22, 3, 1], "a handshake record of TLS 1.0: {:02x?}", &outgoing[..16]);

    // With nothing but 0033 (DHE-RSA with CBC and SHA-1) it is answered, too.
    let mut hello = zos_client_hello();
    hello[46..60].copy_from_slice(&[0, 0x33].repeat(7));
    let mut machine = server.accept().unwrap();
    machine.feed_record(&hello);
    assert!(machine.take_facts().contains(&Fact::ServerHello { by: By::Us }));
}

#[test]
fn without_old_suites_openssl_refuses_what_rustls_refuses() {
    // An old client at TLS 1.2, with RSA key exchange and CBC only, is what is left of it once AEAD is taken away.
    for engine in Engine::ALL {
        let server = ServerContext::new(engine, server_settings(Version::Tls12)).unwrap();
        let mut machine = server.accept().unwrap();
        let mut hello = zos_client_hello();
        hello[10] = 3; // client_version 0x0303
        machine.feed_record(&hello);
        assert_eq!(machine.failure().unwrap().kind, FailureKind::AlertSent(40), "{engine}");
    }
}

fn old(versions: std::ops::RangeInclusive<Version>, reuse_tls12: Reuse12) -> (ClientContext, ServerContext) {
    let base = client_settings(Version::Tls12);
    let settings = ClientSettings { versions: versions.clone(), suites: Suites::OldToo, ..base };
    let client = ClientContext::new(Engine::Openssl, settings).unwrap();
    let base = server_settings(Version::Tls12);
    let settings = ServerSettings { versions, suites: Suites::OldToo, reuse_tls12, ..base };
    (client, ServerContext::new(Engine::Openssl, settings).unwrap())
}

fn server_settings_of_today() -> ServerSettings {
    ServerSettings { versions: Version::Tls12..=Version::Tls13, ..server_settings(Version::Tls12) }
}

/// The ClientHello of the z/OS 2.2 client that was answered with "550 T…", its record header put back.
fn zos_client_hello() -> Vec<u8> {
    let message = "01000035 03016038 53aefee4 0e3fa5c1 738d1174 97b11a6c 48d50a52 9ed8c9f6 19af4c56 c20d0000 \
                   0e00ff00 35003800 39002f00 32003301 00";
    let digits: String = message.split_whitespace().collect();
    let octets = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
    [0x16, 3, 1, 0, 0x39].into_iter().chain(octets).collect()
}
