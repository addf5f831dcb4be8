//! Whatever a machine is fed, in whatever state: it fails or goes on, and never panics.

use ftpspec_tls::{Engine, Machine, Resume, Sessions, State, Version};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::pair::{Pair, client, open, record_length, server};

/// Where a machine stands when the noise begins.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Fresh,
    /// Hellos have been exchanged, and one side has answered.
    Halfway,
    Open,
    Closed,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_records_never_panic(
        engine in prop_oneof![Just(Engine::Rustls), Just(Engine::Openssl)],
        version in prop_oneof![Just(Version::Tls12), Just(Version::Tls13)],
        stage in prop_oneof![Just(Stage::Fresh), Just(Stage::Halfway), Just(Stage::Open), Just(Stage::Closed)],
        records in vec(noise(), 1..6),
    ) {
        let mut pair = at(stage, engine, version);
        for end in [&mut pair.client, &mut pair.server] {
            for record in &records {
                end.machine.feed_record(record);
            }
            use_everything(&mut *end.machine);
        }
    }

    #[test]
    fn nonsense_behind_the_encryption_never_panics(
        engine in prop_oneof![Just(Engine::Rustls), Just(Engine::Openssl)],
        version in prop_oneof![Just(Version::Tls12), Just(Version::Tls13)],
        from_client in any::<bool>(),
        closed in any::<bool>(),
        records in vec((20_u8..=25, nonsense()), 1..5),
    ) {
        let Pair { client, server } = open(engine.other(), engine, version);
        let (mut sender, mut receiver) = if from_client { (client, server) } else { (server, client) };
        if closed {
            receiver.machine.send_close_notify();
        }
        for (content_type, octets) in records {
            let _ = sender.machine.send_record(content_type, &octets);
        }
        receiver.arriving.extend(sender.machine.take_outgoing());
        receiver.read();
        use_everything(&mut *receiver.machine);
        use_everything(&mut *sender.machine);
    }

    #[test]
    fn a_changed_handshake_never_panics_nor_opens_unnoticed(
        engine in prop_oneof![Just(Engine::Rustls), Just(Engine::Openssl)],
        version in prop_oneof![Just(Version::Tls12), Just(Version::Tls13)],
        at in 5_usize..2000,
        change in 1_u8..,
    ) {
        let mut pair = at_start(engine, version);
        let mut hello = pair.client.machine.take_outgoing();
        let at = 5 + at % (hello.len() - 5);
        hello[at] ^= change;
        pair.server.arriving.extend(hello);
        pair.server.read();
        pair.run();
        for end in [&mut pair.client, &mut pair.server] {
            end.machine.transport_end();
            // The Finished messages cover the hellos: a change in one cannot pass both (RFC 8446 §4.4.4).
            prop_assert_ne!(end.machine.state(), State::Open);
            use_everything(&mut *end.machine);
        }
    }
}

/// A record of any type, sometimes with a true header, sometimes with none at all.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let record =
        (any::<u8>(), prop_oneof![Just(20_u8), Just(21), Just(22), Just(23), Just(24)], vec(any::<u8>(), 0..300))
            .prop_map(|(minor, content_type, fragment)| {
                let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
                [&[content_type, 3, minor % 5, length[0], length[1]], &fragment[..]].concat()
            });
    prop_oneof![4 => record, 1 => vec(any::<u8>(), 0..64)]
}

/// Contents: handshake messages of every type and alerts among them, whole or broken.
fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let message = (0_u8..26, vec(any::<u8>(), 0..80)).prop_map(|(message_type, body)| {
        [&[message_type, 0, 0, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    });
    prop_oneof![4 => message, 1 => (0_u8..4, any::<u8>()).prop_map(|(level, alert)| vec![level, alert]), 1 => vec(any::<u8>(), 0..40)]
}

fn at_start(engine: Engine, version: Version) -> Pair {
    let machine = client(engine, version).connect(&Sessions::new("control"), Resume::No).unwrap();
    Pair::new(machine, server(engine.other(), version).accept().unwrap())
}

fn at(stage: Stage, engine: Engine, version: Version) -> Pair {
    match stage {
        Stage::Fresh => at_start(engine, version),
        Stage::Halfway => {
            let mut pair = at_start(engine, version);
            pair.server.arriving.extend(pair.client.machine.take_outgoing());
            pair.server.read();
            let answer = pair.server.machine.take_outgoing();
            // The ServerHello, and not yet what follows it.
            let first = record_length(&answer).unwrap();
            pair.client.machine.feed_record(&answer[..first]);
            pair
        }
        Stage::Open => open(engine, engine.other(), version),
        Stage::Closed => {
            let mut pair = open(engine, engine.other(), version);
            pair.client.machine.send_close_notify();
            pair.run();
            pair
        }
    }
}

/// Every call there is; what each returns is its own matter.
fn use_everything(machine: &mut dyn Machine) {
    let _ = machine.write(b"data");
    let _ = machine.send_record(21, &[1, 90]);
    let _ = machine.key_update(true);
    machine.send_close_notify();
    machine.transport_end();
    machine.feed_record(&[23, 3, 3, 0, 1, 0]);
    let _ = (machine.take_outgoing(), machine.take_plain(), machine.take_facts());
    let _ = (machine.state(), machine.peer_closed(), machine.we_closed());
    assert_eq!(machine.failure().is_some(), machine.state() == State::Failed);
}
