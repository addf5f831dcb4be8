//! A side that is kept to one AEAD has it and no other, whichever library it is made of.

use ftpspec_tls::{
    Aead, ClientContext, ClientSettings, Engine, FailureKind, Resume, ServerContext, ServerSettings, Sessions, State,
    Suites, Version,
};

use crate::pair::{Pair, client, client_settings, server_settings};

const AEADS: [(Aead, &str); 3] = [
    (Aead::Aes128, "_AES_128_GCM_SHA256"),
    (Aead::Aes256, "_AES_256_GCM_SHA384"),
    (Aead::ChaCha20, "_CHACHA20_POLY1305_SHA256"),
];

#[test]
fn one_aead_is_what_is_agreed_on() {
    for engine in Engine::ALL {
        for version in [Version::Tls12, Version::Tls13] {
            for (aead, name) in AEADS {
                let pair = Pair::open(
                    &client(engine.other(), version),
                    &kept_to(aead, engine, version),
                    &Sessions::new("control"),
                    Resume::No,
                );
                let suite = pair.client.machine.handshake().unwrap().suite_name.clone();
                assert!(suite.ends_with(name), "{engine} {version} {suite}");
            }
        }
    }
}

#[test]
fn two_sides_with_one_aead_each_have_none_in_common() {
    for engine in Engine::ALL {
        for version in [Version::Tls12, Version::Tls13] {
            let settings = ClientSettings { suites: Suites::Only(Aead::Aes256), ..client_settings(version) };
            let client = ClientContext::new(engine, settings).unwrap();
            let server = kept_to(Aead::Aes128, engine.other(), version);
            let mut hello = client.connect(&Sessions::new("control"), Resume::No).unwrap();
            let mut machine = server.accept().unwrap();
            machine.feed_record(&hello.take_outgoing());
            assert_eq!(machine.state(), State::Failed);
            assert_eq!(machine.failure().unwrap().kind, FailureKind::AlertSent(40), "{engine} {version}");
        }
    }
}

fn kept_to(aead: Aead, engine: Engine, version: Version) -> ServerContext {
    let settings = ServerSettings { suites: Suites::Only(aead), ..server_settings(version) };
    ServerContext::new(engine, settings).unwrap()
}
